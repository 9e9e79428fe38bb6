//! What the masks of updates may name, and what each field is when it is emptied.

use lanyard_proto::{
    authn::v1 as authn,
    call::v1 as call,
    credentials::v1 as credentials,
    mapping::v1::{self as mapping, update_access_entry_request::End},
};

use crate::{
    grpc::{field, mask::masked},
    mapping::{AUDIENCE_DEFAULT, AuthorizerMode, TOKEN_CACHE_SECONDS_DEFAULT},
};

masked! {
    authn::UpdateAccessKeyRequest { active: stated }
    authn::UpdateAssumeRolePolicyRequest { trust_policy: stated }
    authn::UpdateRoleRequest {
        description: is(Some(String::new())),
        // What a new role has where none is given: the service's own number for it.
        session_seconds_max: is(Some(0)),
    }
    authn::UpdateOidcProviderThumbprintsRequest { thumbprints: stated }
    authn::UpdateOidcProviderCaBundleRequest { ca_bundle_pem: stated }

    mapping::UpdateAccessEntryRequest {
        // The one of its type.
        username: is(Some(String::new())),
        groups: is(Some(call::Strings::default())),
        end("ends_at" "endless"): is(Some(End::Endless(()))),
        rebind: stated,
        // An entry is pinned by who knocks, and cannot be made to wait no more.
        pin_until: stays,
    }
    mapping::UpdateClusterConfigRequest {
        authentication_mode: refused,
        authorizer_mode: is(field::enum_number(AuthorizerMode::WebhookFirst)),
        // Its own alone, as a new cluster's.
        trusted_accounts: is(Some(mapping::TrustedAccounts::default())),
        audiences: is(Some(call::Strings { values: vec![AUDIENCE_DEFAULT.to_owned()] })),
        token_cache_seconds: is(Some(TOKEN_CACHE_SECONDS_DEFAULT)),
        endpoint: is(Some(String::new())),
        certificate_authority: is(Some(String::new())),
        tags: is(Some(call::Tags::default())),
    }

    credentials::UpdatePodIdentityAssociationRequest {
        role_arn: refused,
        target_role_arn: is(Some(String::new())),
        disable_session_tags: is(Some(false)),
        policy: is(Some(String::new())),
        // Of a role that the hub keeps there is none, and of one of AWS's there always is.
        aws_road: stays,
    }
}

#[cfg(test)]
mod tests;

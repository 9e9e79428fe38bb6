//! The OIDC providers of accounts.

use lanyard_proto::authn::v1 as pb;

use crate::{
    authn::oidc_providers::{CreateOidcProvider, OidcProvider, OidcProviderRef},
    fault::CallError,
    grpc::{
        codec::convert,
        field,
        mutation::{asked, mutated, pages},
    },
};

convert! { OidcProvider = pb::OidcProvider {
    id: text, account: text, issuer_url: plain, client_ids: plain, thumbprints: plain, ca_bundle_pem: plain, tags: plain,
    created_at: moment,
} }

mutated! { OidcProvider = pb::OidcProviderMutated { provider: message } }

pages! { OidcProvider = pb::OidcProviderPage }

asked! {
    CreateOidcProvider = pb::CreateOidcProviderRequest {
        account: optional_text, issuer_url: plain, client_ids: plain, thumbprints: plain, ca_bundle_pem: plain, tags: plain,
    }
}

/// A provider of an account.
pub(crate) fn provider(account: Option<&str>, issuer_url: String) -> Result<OidcProviderRef, CallError> {
    Ok(OidcProviderRef { account: field::optional("account", account)?, issuer_url })
}

//! Authn's traits, served over gRPC.

use std::collections::BTreeMap;

use lanyard_iam::AccountId;
use lanyard_proto::authn::v1::{
    self as pb, accounts_server, admit_aws_server, admit_server, authenticate_server,
    instance_profiles_server, oidc_providers_server,
};

use tonic::{Request, Response, Status};

use super::{
    Accounts, Admit, AdmitAws, AdmitQuery, Authenticate, OidcProviders,
    accounts::{OfAccount, UpdateRole},
    convert::{named, provider},
    instance_profiles::{InstanceProfiles, UpdateInstanceProfile},
    oidc_providers::{OidcProvider, UpdateOidcProvider as Update},
};
use crate::{
    fault::CallError,
    grpc::{CallingService, codec, field, mutation::page_query, serve},
    identity::{Actor, Vouched},
    mutation::{Page, PageQuery},
};

serve! {
    /// Serves [`Authenticate`], between services. Wrap the engine into [`super::Vouching`] first.
    pub fn authenticate = Authenticate as authenticate_server::Authenticate in AuthenticateServer;
    internal authenticate(pb::AuthenticateRequest) -> pb::AuthenticateResponse
        = |engine, (), m| engine.authenticate(m.try_into()?).await?.into();
}

serve! {
    /// Serves [`Admit`], between services. Wrap the engine into [`super::Vouching`] first.
    pub fn admit = Admit as admit_server::Admit in AdmitServer;
    => {
        async fn admit(&self, request: Request<pb::AdmitRequest>) -> Result<Response<pb::AdmitResponse>, Status> {
            self.door.internal(&request)?;
            let caller = request.extensions().get::<CallingService>().cloned();
            let query: AdmitQuery = request.into_inner().try_into()?;
            speaks_for_itself(&query, caller.as_ref())?;
            Ok(Response::new(self.engine.admit(query).await?.into()))
        }
    }
}

serve! {
    /// Serves [`AdmitAws`], between services. Wrap the engine into [`super::Vouching`] first.
    pub fn admit_aws = AdmitAws as admit_aws_server::AdmitAws in AdmitAwsServer;
    internal admit_aws(pb::AdmitAwsRequest) -> pb::AdmitAwsResponse
        = |engine, (), m| engine.admit_aws(m.try_into()?).await?.into();
}

/// A service is known by the certificate of its own connection and by nothing that a message says: no door makes itself the
/// spoke service.
fn speaks_for_itself(query: &AdmitQuery, caller: Option<&CallingService>) -> Result<(), Status> {
    let service = query.certificate_principal.as_deref().filter(|principal| principal.contains("/service/"));
    match service {
        Some(service) if caller.is_none_or(|caller| caller.0.to_string() != service) => {
            Err(Status::permission_denied("a service is admitted by its own certificate alone"))
        }
        _ => Ok(()),
    }
}

serve! {
    /// Serves [`Accounts`].
    pub fn accounts = Accounts as accounts_server::Accounts in AccountsServer;
    mutation create_account(pb::CreateAccountRequest) -> pb::AccountMutated
        = |engine, by, m| engine.create_account(by, m.try_into()?).await?.into();
    mutation delete_account(pb::DeleteAccountRequest) -> pb::AccountMutated
        = |engine, by, m| engine.delete_account(by, field::parse("id", &m.id)?).await?.into();
    list list_accounts(pb::ListAccountsRequest) -> pb::AccountPage
        = |engine, by, m| engine.list_accounts(by, page_query(m.page)).await?.into();

    mutation create_user(pb::CreateUserRequest) -> pb::UserMutated
        = |engine, by, m| engine.create_user(by, m.try_into()?).await?.into();
    actor get_user(pb::GetUserRequest) -> pb::User
        = |engine, by, m| engine.get_user(by, named(m.account.as_deref(), m.name)?).await?.into();
    list list_users(pb::ListUsersRequest) -> pb::UserPage = |engine, by, m| {
        let account = codec::optional_text::read("account", m.account)?;
        engine.list_users(by, OfAccount { account, path_prefix: m.path_prefix }, page_query(m.page)).await?.into()
    };
    mutation tag_user(pb::TagUserRequest) -> pb::UserMutated
        = |engine, by, m| engine.tag_user(by, named(m.account.as_deref(), m.name)?, m.tags).await?.into();
    mutation untag_user(pb::UntagUserRequest) -> pb::UserMutated
        = |engine, by, m| engine.untag_user(by, named(m.account.as_deref(), m.name)?, m.tag_keys).await?.into();
    mutation delete_user(pb::DeleteUserRequest) -> pb::UserMutated
        = |engine, by, m| engine.delete_user(by, named(m.account.as_deref(), m.name)?, m.only_bare).await?.into();

    mutation create_access_key(pb::CreateAccessKeyRequest) -> pb::AccessKeyCreated
        = |engine, by, m| engine.create_access_key(by, named(m.account.as_deref(), m.user)?).await?.into();
    actor list_access_keys(pb::ListAccessKeysRequest) -> pb::ListAccessKeysResponse = |engine, by, m| {
        let keys = engine.list_access_keys(by, named(m.account.as_deref(), m.user)?).await?;
        pb::ListAccessKeysResponse { keys: field::all(keys) }
    };
    actor get_access_key_info(pb::GetAccessKeyInfoRequest) -> pb::AccessKeyInfo = |engine, by, m| {
        let key = field::parse("access_key_id", &m.access_key_id)?;
        pb::AccessKeyInfo { account: engine.get_access_key_info(by, key).await?.to_string() }
    };
    mutation update_access_key(pb::UpdateAccessKeyRequest) -> pb::AccessKeyMutated = |engine, by, m| {
        let key = field::parse("access_key_id", &m.access_key_id)?;
        engine.set_access_key_active(by, named(m.account.as_deref(), m.user)?, key, m.active).await?.into()
    };
    mutation delete_access_key(pb::DeleteAccessKeyRequest) -> pb::AccessKeyMutated = |engine, by, m| {
        let key = field::parse("access_key_id", &m.access_key_id)?;
        engine.delete_access_key(by, named(m.account.as_deref(), m.user)?, key).await?.into()
    };

    mutation create_role(pb::CreateRoleRequest) -> pb::IamRoleMutated
        = |engine, by, m| engine.create_role(by, m.try_into()?).await?.into();
    actor get_role(pb::GetRoleRequest) -> pb::IamRole
        = |engine, by, m| engine.get_role(by, named(m.account.as_deref(), m.name)?).await?.into();
    list list_roles(pb::ListRolesRequest) -> pb::IamRolePage = |engine, by, m| {
        let account = codec::optional_text::read("account", m.account)?;
        engine.list_roles(by, OfAccount { account, path_prefix: m.path_prefix }, page_query(m.page)).await?.into()
    };
    mutation update_assume_role_policy(pb::UpdateAssumeRolePolicyRequest) -> pb::IamRoleMutated = |engine, by, m| {
        let role = named(m.account.as_deref(), m.name)?;
        engine.update_trust_policy(by, role, m.trust_policy, m.allow_any_subject).await?.into()
    };
    mutation update_role(pb::UpdateRoleRequest) -> pb::IamRoleMutated = |engine, by, m| {
        let update = UpdateRole { description: m.description, session_seconds_max: m.session_seconds_max };
        engine.update_role(by, named(m.account.as_deref(), m.name)?, update).await?.into()
    };
    mutation tag_role(pb::TagRoleRequest) -> pb::IamRoleMutated
        = |engine, by, m| engine.tag_role(by, named(m.account.as_deref(), m.name)?, m.tags).await?.into();
    mutation untag_role(pb::UntagRoleRequest) -> pb::IamRoleMutated
        = |engine, by, m| engine.untag_role(by, named(m.account.as_deref(), m.name)?, m.tag_keys).await?.into();
    mutation revoke_sessions(pb::RevokeSessionsRequest) -> pb::IamRoleMutated
        = |engine, by, m| engine.revoke_sessions(by, named(m.account.as_deref(), m.name)?).await?.into();
    mutation delete_role(pb::DeleteRoleRequest) -> pb::IamRoleMutated
        = |engine, by, m| engine.delete_role(by, named(m.account.as_deref(), m.name)?, m.only_bare).await?.into();

    mutation put_policy(pb::PutPolicyRequest) -> pb::InlinePolicyMutated = |engine, by, m| {
        let account = codec::optional_text::read("account", m.account)?;
        engine.put_policy(by, account, codec::message::read("owner", m.owner)?, m.name, m.document).await?.into()
    };
    actor get_policy(pb::GetPolicyRequest) -> pb::InlinePolicy = |engine, by, m| {
        let account = codec::optional_text::read("account", m.account)?;
        engine.get_policy(by, account, codec::message::read("owner", m.owner)?, m.name).await?.into()
    };
    actor list_policies(pb::ListPoliciesRequest) -> pb::ListPoliciesResponse = |engine, by, m| {
        let account = codec::optional_text::read("account", m.account)?;
        let policies = engine.list_policies(by, account, codec::message::read("owner", m.owner)?).await?;
        pb::ListPoliciesResponse { policies: field::all(policies) }
    };
    mutation delete_policy(pb::DeletePolicyRequest) -> pb::InlinePolicyMutated = |engine, by, m| {
        let account = codec::optional_text::read("account", m.account)?;
        engine.delete_policy(by, account, codec::message::read("owner", m.owner)?, m.name).await?.into()
    };
    actor get_caller_policies(pb::GetCallerPoliciesRequest) -> pb::CallerPolicies
        = |engine, by, _m| engine.get_caller_policies(by).await?.into();
}

serve! {
    /// Serves [`OidcProviders`].
    pub fn oidc_providers = OidcProviders as oidc_providers_server::OidcProviders in OidcProvidersServer;
    mutation create_oidc_provider(pb::CreateOidcProviderRequest) -> pb::OidcProviderMutated
        = |engine, by, m| engine.create_oidc_provider(by, m.try_into()?).await?.into();
    actor get_oidc_provider(pb::GetOidcProviderRequest) -> pb::OidcProvider
        = |engine, by, m| engine.get_oidc_provider(by, provider(m.account.as_deref(), m.issuer_url)?).await?.into();
    list list_oidc_providers(pb::ListOidcProvidersRequest) -> pb::OidcProviderPage = |engine, by, m| {
        let account = codec::optional_text::read("account", m.account)?;
        match m.whole {
            true => every_provider(engine, by, account).await?.into(),
            false => engine.list_oidc_providers(by, account, page_query(m.page)).await?.into(),
        }
    };
    mutation delete_oidc_provider(pb::DeleteOidcProviderRequest) -> pb::OidcProviderMutated
        = |engine, by, m| engine.delete_oidc_provider(by, provider(m.account.as_deref(), m.issuer_url)?).await?.into();
    mutation add_oidc_client_id(pb::AddOidcClientIdRequest) -> pb::OidcProviderMutated = |engine, by, m| {
        let of = provider(m.account.as_deref(), m.issuer_url)?;
        engine.update_oidc_provider(by, of, Update::AddClientId(m.client_id)).await?.into()
    };
    mutation remove_oidc_client_id(pb::RemoveOidcClientIdRequest) -> pb::OidcProviderMutated = |engine, by, m| {
        let of = provider(m.account.as_deref(), m.issuer_url)?;
        engine.update_oidc_provider(by, of, Update::RemoveClientId(m.client_id)).await?.into()
    };
    mutation update_oidc_provider_thumbprints(pb::UpdateOidcProviderThumbprintsRequest) -> pb::OidcProviderMutated = |engine, by, m| {
        let of = provider(m.account.as_deref(), m.issuer_url)?;
        engine.update_oidc_provider(by, of, Update::Thumbprints(m.thumbprints)).await?.into()
    };
    mutation update_oidc_provider_ca_bundle(pb::UpdateOidcProviderCaBundleRequest) -> pb::OidcProviderMutated = |engine, by, m| {
        let of = provider(m.account.as_deref(), m.issuer_url)?;
        engine.update_oidc_provider(by, of, Update::CaBundle(m.ca_bundle_pem)).await?.into()
    };
    mutation tag_oidc_provider(pb::TagOidcProviderRequest) -> pb::OidcProviderMutated = |engine, by, m| {
        let of = provider(m.account.as_deref(), m.issuer_url)?;
        engine.update_oidc_provider(by, of, Update::Tag(m.tags)).await?.into()
    };
    mutation untag_oidc_provider(pb::UntagOidcProviderRequest) -> pb::OidcProviderMutated = |engine, by, m| {
        let of = provider(m.account.as_deref(), m.issuer_url)?;
        engine.update_oidc_provider(by, of, Update::Untag(m.tag_keys)).await?.into()
    };
}

/// All providers of an account, page by page. What a list of names does not show stays out, so that one answer has room for all.
async fn every_provider<T: OidcProviders>(
    engine: &T,
    by: Vouched<Actor>,
    account: Option<AccountId>,
) -> Result<Page<OidcProvider>, CallError> {
    let (mut items, mut query) = (Vec::new(), PageQuery::default());
    loop {
        let page = engine.list_oidc_providers(by.clone(), account, query).await?;
        items.extend(page.items.into_iter().map(|provider| OidcProvider {
            client_ids: Vec::new(),
            thumbprints: Vec::new(),
            ca_bundle_pem: None,
            tags: BTreeMap::new(),
            ..provider
        }));
        match page.next_token {
            Some(token) => query = PageQuery { token, ..PageQuery::default() },
            None => return Ok(Page { items, next_token: None }),
        }
    }
}

serve! {
    /// Serves [`InstanceProfiles`].
    pub fn instance_profiles = InstanceProfiles as instance_profiles_server::InstanceProfiles in InstanceProfilesServer;
    mutation create_instance_profile(pb::CreateInstanceProfileRequest) -> pb::InstanceProfileMutated
        = |engine, by, m| engine.create_instance_profile(by, m.try_into()?).await?.into();
    actor get_instance_profile(pb::GetInstanceProfileRequest) -> pb::InstanceProfile
        = |engine, by, m| engine.get_instance_profile(by, named(m.account.as_deref(), m.name)?).await?.into();
    list list_instance_profiles(pb::ListInstanceProfilesRequest) -> pb::InstanceProfilePage = |engine, by, m| {
        let account = codec::optional_text::read("account", m.account)?;
        let of = OfAccount { account, path_prefix: m.path_prefix };
        engine.list_instance_profiles(by, of, page_query(m.page)).await?.into()
    };
    list list_instance_profiles_for_role(pb::ListInstanceProfilesForRoleRequest) -> pb::InstanceProfilePage = |engine, by, m| {
        let role = named(m.account.as_deref(), m.role)?;
        engine.list_instance_profiles_for_role(by, role, page_query(m.page)).await?.into()
    };
    mutation add_role_to_instance_profile(pb::AddRoleToInstanceProfileRequest) -> pb::InstanceProfileMutated = |engine, by, m| {
        let of = named(m.account.as_deref(), m.name)?;
        engine.update_instance_profile(by, of, UpdateInstanceProfile::AddRole(m.role)).await?.into()
    };
    mutation remove_role_from_instance_profile(pb::RemoveRoleFromInstanceProfileRequest) -> pb::InstanceProfileMutated = |engine, by, m| {
        let of = named(m.account.as_deref(), m.name)?;
        engine.update_instance_profile(by, of, UpdateInstanceProfile::RemoveRole(m.role)).await?.into()
    };
    mutation tag_instance_profile(pb::TagInstanceProfileRequest) -> pb::InstanceProfileMutated = |engine, by, m| {
        let of = named(m.account.as_deref(), m.name)?;
        engine.update_instance_profile(by, of, UpdateInstanceProfile::Tag(m.tags)).await?.into()
    };
    mutation untag_instance_profile(pb::UntagInstanceProfileRequest) -> pb::InstanceProfileMutated = |engine, by, m| {
        let of = named(m.account.as_deref(), m.name)?;
        engine.update_instance_profile(by, of, UpdateInstanceProfile::Untag(m.tag_keys)).await?.into()
    };
    mutation delete_instance_profile(pb::DeleteInstanceProfileRequest) -> pb::InstanceProfileMutated
        = |engine, by, m| engine.delete_instance_profile(by, named(m.account.as_deref(), m.name)?).await?.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immunity_41_no_door_makes_itself_the_spoke_service() {
        let spoke_service = "lanyard://hub/h1/service/spoke";
        let asked = |principal: Option<&str>, caller: Option<&str>| {
            let query = AdmitQuery {
                method: String::new(),
                authority: String::new(),
                headers: Vec::new(),
                body: bytes::Bytes::new(),
                source_ip: None,
                certificate_principal: principal.map(str::to_owned),
                certificate_sha256: None,
                beside: None,
            };
            let caller = caller.map(|caller| CallingService(std::sync::Arc::new(caller.to_owned())));
            speaks_for_itself(&query, caller.as_ref()).is_ok()
        };
        let gateway = Some("lanyard://hub/h1/service/gateway");
        assert!(asked(Some(spoke_service), Some(spoke_service)));
        assert!(!asked(Some(spoke_service), gateway) && !asked(Some(spoke_service), None));
        // What a door says of its own clients' certificates is for authn to weigh.
        assert!(asked(Some("lanyard://hub/h1/spoke/1"), gateway) && asked(None, gateway));
    }
}

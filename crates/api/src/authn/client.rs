//! Authn's traits over gRPC.

/// Sends a change, as a message of these fields.
macro_rules! change {
    ($remote:ident.$client:ident::$rpc:ident($by:ident, $request:ident { $($field:ident $(: $value:expr)?),+ })) => {{
        let message = pb::$request { mutation: None, $($field $(: $value)?),+ };
        call!($remote.$client::$rpc($remote.mutation($by, message)))
    }};
}

mod instance_profiles;
mod oidc_providers;

use std::collections::BTreeMap;

use lanyard_iam::TokenDigest;
use lanyard_iam::{AccessKeyId, AccountId};
use lanyard_proto::authn::v1::{
    self as pb, accounts_client::AccountsClient, admit_aws_client::AdmitAwsClient, admit_client::AdmitClient,
    authenticate_client::AuthenticateClient,
};
use secrecy::ExposeSecret as _;

use super::{
    Accounts, Admission, Admit, AdmitAws, AdmitAwsQuery, AdmitQuery, Authenticate, AuthenticateQuery,
    Authentication, AwsAdmission,
    accounts::{
        AccessKey, Account, CallerPolicies, CreateAccount, CreateRole, CreateUser, IamRole, InlinePolicy,
        Named, NewAccessKey, OfAccount, PolicyOwner, UpdateRole, User,
    },
    convert,
};
use crate::{
    fault::{CallError, Fault},
    grpc::{Remote, Wire, call, field, received},
    identity::{Actor, Vouched},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

impl<C: Wire> Authenticate for Remote<C> {
    async fn authenticate(&self, query: AuthenticateQuery) -> Result<Authentication, Fault> {
        let token = query.digest.unwrap_or_else(|| TokenDigest::of(query.token.expose_secret()));
        let request = self.internal(query.into());
        received(convert::authentication(call!(raw self.AuthenticateClient::authenticate(request)), token))
    }
}

impl<C: Wire> Admit for Remote<C> {
    async fn admit(&self, query: AdmitQuery) -> Result<Admission, Fault> {
        call!(self.AdmitClient::admit(self.internal(query.into())))
    }
}

impl<C: Wire> AdmitAws for Remote<C> {
    async fn admit_aws(&self, query: AdmitAwsQuery) -> Result<AwsAdmission, Fault> {
        call!(self.AdmitAwsClient::admit_aws(self.internal(query.into())))
    }
}

pub(super) fn account(account: Option<AccountId>) -> Option<String> {
    account.map(String::from)
}

impl<C: Wire> Accounts for Remote<C> {
    async fn create_account(
        &self,
        by: Mutation,
        asked: CreateAccount,
    ) -> Result<Mutated<Account>, CallError> {
        call!(self.AccountsClient::create_account(self.mutation(by, asked.into())))
    }

    async fn delete_account(&self, by: Mutation, id: AccountId) -> Result<Mutated<Account>, CallError> {
        let message = pb::DeleteAccountRequest { mutation: None, id: id.to_string() };
        call!(self.AccountsClient::delete_account(self.mutation(by, message)))
    }

    async fn list_accounts(&self, by: Vouched<Actor>, page: PageQuery) -> Result<Page<Account>, CallError> {
        let message = pb::ListAccountsRequest { page: Some(page.into()) };
        call!(self.AccountsClient::list_accounts(self.actor(by, message)))
    }

    async fn create_user(&self, by: Mutation, asked: CreateUser) -> Result<Mutated<User>, CallError> {
        call!(self.AccountsClient::create_user(self.mutation(by, asked.into())))
    }

    async fn get_user(&self, by: Vouched<Actor>, user: Named) -> Result<User, CallError> {
        let message = pb::GetUserRequest { account: account(user.account), name: user.name };
        call!(self.AccountsClient::get_user(self.actor(by, message)))
    }

    async fn list_users(
        &self,
        by: Vouched<Actor>,
        of: OfAccount,
        page: PageQuery,
    ) -> Result<Page<User>, CallError> {
        let OfAccount { account: of, path_prefix } = of;
        let message = pb::ListUsersRequest { account: account(of), page: Some(page.into()), path_prefix };
        call!(self.AccountsClient::list_users(self.actor(by, message)))
    }

    async fn tag_user(
        &self,
        by: Mutation,
        user: Named,
        tags: BTreeMap<String, String>,
    ) -> Result<Mutated<User>, CallError> {
        let Named { account: of, name } = user;
        let message = pb::TagUserRequest { mutation: None, account: account(of), name, tags };
        call!(self.AccountsClient::tag_user(self.mutation(by, message)))
    }

    async fn untag_user(
        &self,
        by: Mutation,
        user: Named,
        tag_keys: Vec<String>,
    ) -> Result<Mutated<User>, CallError> {
        let Named { account: of, name } = user;
        let message = pb::UntagUserRequest { mutation: None, account: account(of), name, tag_keys };
        call!(self.AccountsClient::untag_user(self.mutation(by, message)))
    }

    async fn delete_user(
        &self,
        by: Mutation,
        user: Named,
        only_bare: bool,
    ) -> Result<Mutated<User>, CallError> {
        let Named { account: of, name } = user;
        let message = pb::DeleteUserRequest { mutation: None, account: account(of), name, only_bare };
        call!(self.AccountsClient::delete_user(self.mutation(by, message)))
    }

    async fn create_access_key(&self, by: Mutation, user: Named) -> Result<Mutated<NewAccessKey>, CallError> {
        let message =
            pb::CreateAccessKeyRequest { mutation: None, account: account(user.account), user: user.name };
        call!(self.AccountsClient::create_access_key(self.mutation(by, message)))
    }

    async fn list_access_keys(&self, by: Vouched<Actor>, user: Named) -> Result<Vec<AccessKey>, CallError> {
        let message = pb::ListAccessKeysRequest { account: account(user.account), user: user.name };
        let answer = call!(raw self.AccountsClient::list_access_keys(self.actor(by, message)));
        received(field::each(answer.keys))
    }

    async fn get_access_key_info(
        &self,
        by: Vouched<Actor>,
        key: AccessKeyId,
    ) -> Result<AccountId, CallError> {
        let message = pb::GetAccessKeyInfoRequest { access_key_id: key.to_string() };
        let info = call!(raw self.AccountsClient::get_access_key_info(self.actor(by, message)));
        received(field::parse("account", &info.account))
    }

    async fn set_access_key_active(
        &self,
        by: Mutation,
        user: Named,
        key: AccessKeyId,
        active: bool,
    ) -> Result<Mutated<AccessKey>, CallError> {
        let message = pb::UpdateAccessKeyRequest {
            mutation: None,
            account: account(user.account),
            user: user.name,
            access_key_id: key.to_string(),
            active,
            update_mask: None,
        };
        call!(self.AccountsClient::update_access_key(self.mutation(by, message)))
    }

    async fn delete_access_key(
        &self,
        by: Mutation,
        user: Named,
        key: AccessKeyId,
    ) -> Result<Mutated<AccessKey>, CallError> {
        let message = pb::DeleteAccessKeyRequest {
            mutation: None,
            account: account(user.account),
            user: user.name,
            access_key_id: key.to_string(),
        };
        call!(self.AccountsClient::delete_access_key(self.mutation(by, message)))
    }

    async fn create_role(&self, by: Mutation, asked: CreateRole) -> Result<Mutated<IamRole>, CallError> {
        call!(self.AccountsClient::create_role(self.mutation(by, asked.into())))
    }

    async fn get_role(&self, by: Vouched<Actor>, role: Named) -> Result<IamRole, CallError> {
        let message = pb::GetRoleRequest { account: account(role.account), name: role.name };
        call!(self.AccountsClient::get_role(self.actor(by, message)))
    }

    async fn list_roles(
        &self,
        by: Vouched<Actor>,
        of: OfAccount,
        page: PageQuery,
    ) -> Result<Page<IamRole>, CallError> {
        let OfAccount { account: of, path_prefix } = of;
        let message = pb::ListRolesRequest { account: account(of), page: Some(page.into()), path_prefix };
        call!(self.AccountsClient::list_roles(self.actor(by, message)))
    }

    async fn update_role(
        &self,
        by: Mutation,
        role: Named,
        update: UpdateRole,
    ) -> Result<Mutated<IamRole>, CallError> {
        let UpdateRole { description, session_seconds_max } = update;
        let message = pb::UpdateRoleRequest {
            mutation: None,
            account: account(role.account),
            name: role.name,
            description,
            session_seconds_max,
            update_mask: None,
        };
        call!(self.AccountsClient::update_role(self.mutation(by, message)))
    }

    async fn tag_role(
        &self,
        by: Mutation,
        role: Named,
        tags: BTreeMap<String, String>,
    ) -> Result<Mutated<IamRole>, CallError> {
        let Named { account: of, name } = role;
        let message = pb::TagRoleRequest { mutation: None, account: account(of), name, tags };
        call!(self.AccountsClient::tag_role(self.mutation(by, message)))
    }

    async fn untag_role(
        &self,
        by: Mutation,
        role: Named,
        tag_keys: Vec<String>,
    ) -> Result<Mutated<IamRole>, CallError> {
        let Named { account: of, name } = role;
        let message = pb::UntagRoleRequest { mutation: None, account: account(of), name, tag_keys };
        call!(self.AccountsClient::untag_role(self.mutation(by, message)))
    }

    async fn update_trust_policy(
        &self,
        by: Mutation,
        role: Named,
        trust_policy: String,
        allow_any_subject: bool,
    ) -> Result<Mutated<IamRole>, CallError> {
        let message = pb::UpdateAssumeRolePolicyRequest {
            mutation: None,
            account: account(role.account),
            name: role.name,
            trust_policy,
            allow_any_subject,
            update_mask: None,
        };
        call!(self.AccountsClient::update_assume_role_policy(self.mutation(by, message)))
    }

    async fn revoke_sessions(&self, by: Mutation, role: Named) -> Result<Mutated<IamRole>, CallError> {
        let message =
            pb::RevokeSessionsRequest { mutation: None, account: account(role.account), name: role.name };
        call!(self.AccountsClient::revoke_sessions(self.mutation(by, message)))
    }

    async fn delete_role(
        &self,
        by: Mutation,
        role: Named,
        only_bare: bool,
    ) -> Result<Mutated<IamRole>, CallError> {
        let Named { account: of, name } = role;
        let message = pb::DeleteRoleRequest { mutation: None, account: account(of), name, only_bare };
        call!(self.AccountsClient::delete_role(self.mutation(by, message)))
    }

    async fn put_policy(
        &self,
        by: Mutation,
        of: Option<AccountId>,
        owner: PolicyOwner,
        name: String,
        document: String,
    ) -> Result<Mutated<InlinePolicy>, CallError> {
        let message = pb::PutPolicyRequest {
            mutation: None,
            account: account(of),
            owner: Some(owner.into()),
            name,
            document,
        };
        call!(self.AccountsClient::put_policy(self.mutation(by, message)))
    }

    async fn get_policy(
        &self,
        by: Vouched<Actor>,
        of: Option<AccountId>,
        owner: PolicyOwner,
        name: String,
    ) -> Result<InlinePolicy, CallError> {
        let message = pb::GetPolicyRequest { account: account(of), owner: Some(owner.into()), name };
        call!(self.AccountsClient::get_policy(self.actor(by, message)))
    }

    async fn list_policies(
        &self,
        by: Vouched<Actor>,
        of: Option<AccountId>,
        owner: PolicyOwner,
    ) -> Result<Vec<InlinePolicy>, CallError> {
        let message = pb::ListPoliciesRequest { account: account(of), owner: Some(owner.into()) };
        let answer = call!(raw self.AccountsClient::list_policies(self.actor(by, message)));
        received(field::each(answer.policies))
    }

    async fn delete_policy(
        &self,
        by: Mutation,
        of: Option<AccountId>,
        owner: PolicyOwner,
        name: String,
    ) -> Result<Mutated<InlinePolicy>, CallError> {
        let message =
            pb::DeletePolicyRequest { mutation: None, account: account(of), owner: Some(owner.into()), name };
        call!(self.AccountsClient::delete_policy(self.mutation(by, message)))
    }

    async fn get_caller_policies(&self, by: Vouched<Actor>) -> Result<CallerPolicies, CallError> {
        let message = pb::GetCallerPoliciesRequest {};
        call!(self.AccountsClient::get_caller_policies(self.actor(by, message)))
    }
}

//! Accounts, users, keys, roles and policies.

use lanyard_iam::CanonicalArn;
use lanyard_proto::authn::v1::{self as pb, policy_owner::Owner};

use crate::{
    authn::accounts::{
        AccessKey, Account, CallerPolicies, CreateAccount, CreateRole, CreateUser, IamRole, InlinePolicy,
        Named, NewAccessKey, PolicyOwner, User,
    },
    fault::CallError,
    grpc::{
        codec::{convert, message, secret},
        field,
        mutation::{asked, join, mutated, pages, split},
    },
    mutation::Mutated,
};

convert! { Account = pb::Account { id: text, partition: text, authority: text, name: plain, created_at: moment } }

convert! { User = pb::User {
    account: text, path: plain, name: plain, principal_id: plain, tags: plain, created_at: moment,
} }

convert! { AccessKey = pb::AccessKey { id: text, account: text, user: plain, active: plain, created_at: moment } }

convert! { IamRole = pb::IamRole {
    account: text, path: plain, name: plain, principal_id: plain, trust_policy: plain, trusted_ids: plain,
    session_seconds_max: plain, revoked_before: optional_moment, tags: plain, description: plain, created_at: moment,
} }

convert! { InlinePolicy = pb::InlinePolicy { account: text, owner: message, name: plain, document: plain } }

convert! { CallerPolicies = pb::CallerPolicies { owner: message, policies: items, session_policy: plain } }

impl From<PolicyOwner> for pb::PolicyOwner {
    fn from(owner: PolicyOwner) -> Self {
        let owner = match owner {
            PolicyOwner::User(name) => Owner::User(name),
            PolicyOwner::Role(name) => Owner::Role(name),
            PolicyOwner::Principal(arn) => Owner::PrincipalArn(arn.into()),
        };
        Self { owner: Some(owner) }
    }
}

impl TryFrom<pb::PolicyOwner> for PolicyOwner {
    type Error = CallError;

    fn try_from(owner: pb::PolicyOwner) -> Result<Self, CallError> {
        Ok(match field::required("owner", owner.owner)? {
            Owner::User(name) => Self::User(name),
            Owner::Role(name) => Self::Role(name),
            Owner::PrincipalArn(arn) => Self::Principal(principal(&arn)?),
        })
    }
}

/// A canonical ARN as it stands there: another principal's ARN is not read as the one that it canonicalizes to.
fn principal(text: &str) -> Result<CanonicalArn, CallError> {
    let arn: CanonicalArn = field::parse("owner", text)?;
    if arn.as_str() == text {
        return Ok(arn);
    }
    let message = format!("`{}` is a session: name its role, `{arn}`", lanyard_iam::shown(text));
    Err(CallError::invalid("owner", "canonical_arn", message))
}

mutated! {
    Account = pb::AccountMutated { account: message }
    User = pb::UserMutated { user: message }
    AccessKey = pb::AccessKeyMutated { key: message }
    IamRole = pb::IamRoleMutated { role: message }
    InlinePolicy = pb::InlinePolicyMutated { policy: message }
}

pages! { Account = pb::AccountPage, User = pb::UserPage, IamRole = pb::IamRolePage }

impl From<Mutated<NewAccessKey>> for pb::AccessKeyCreated {
    fn from(answer: Mutated<NewAccessKey>) -> Self {
        let (created, mutated) = split(answer);
        Self { key: message::write(created.key), secret: secret::write(created.secret), mutated }
    }
}

impl TryFrom<pb::AccessKeyCreated> for Mutated<NewAccessKey> {
    type Error = CallError;

    fn try_from(answer: pb::AccessKeyCreated) -> Result<Self, CallError> {
        let created = NewAccessKey { key: message::read("key", answer.key)?, secret: answer.secret.into() };
        join(created, answer.mutated)
    }
}

asked! {
    CreateAccount = pb::CreateAccountRequest { id: text, partition: text, authority: text, name: plain }
    CreateUser = pb::CreateUserRequest { account: optional_text, path: plain, name: plain, tags: plain }
    CreateRole = pb::CreateRoleRequest {
        account: optional_text, path: plain, name: plain, trust_policy: plain, session_seconds_max: plain, tags: plain,
        description: plain, allow_any_subject: plain,
    }
}

/// Something with a name in an account.
pub(crate) fn named(account: Option<&str>, name: String) -> Result<Named, CallError> {
    Ok(Named { account: field::optional("account", account)?, name })
}

//! The readers of AWS's XML and JSON by themselves: bytes in, what they say out, no call. For fuzzing them and for looking at answers
//! that were kept.

use lanyard_iam::{AccountId, Arn, PrincipalArn, PrincipalId};
use time::OffsetDateTime;

use crate::own;
use crate::own::{AssumedRole, RoleSessionAsked, Unreadable};

/// The principal in the answer to `GetUser` or `GetRole`, bound to the one that was asked about.
///
/// # Errors
/// [`Unreadable`] for anything else.
pub fn principal(body: &[u8], asked: &PrincipalArn) -> Result<(PrincipalId, PrincipalArn), Unreadable> {
    own::principal_in(body, asked)
}

/// The role in the answer to `GetInstanceProfile`, if the profile has one.
///
/// # Errors
/// [`Unreadable`] for anything else.
pub fn instance_profile(body: &[u8], asked: &Arn) -> Result<Option<PrincipalArn>, Unreadable> {
    own::instance_profile_in(body, asked)
}

/// Ids and private DNS names of the instances in the answer to `DescribeInstances`, bound to the account and ids that were
/// asked about.
///
/// # Errors
/// [`Unreadable`] for anything else.
pub fn instances(
    body: &[u8],
    account: AccountId,
    asked: &[String],
) -> Result<Vec<(String, Option<String>)>, Unreadable> {
    let found = own::instances_in(body, account, asked)?;
    Ok(found.into_iter().map(|instance| (instance.id, instance.private_dns_name)).collect())
}

/// The session in the answer to `AssumeRole`, or to `AssumeRoleWithWebIdentity`, asked for as JSON, bound to the role and the
/// session that were asked for.
///
/// # Errors
/// [`Unreadable`] for anything else.
pub fn role_session(
    body: &[u8],
    session: RoleSessionAsked<'_>,
    by_web_identity: bool,
    now: OffsetDateTime,
) -> Result<AssumedRole, Unreadable> {
    let operation = if by_web_identity { own::Operation::WebIdentity } else { own::Operation::AssumeRole };
    own::assumed_role_in(body, &own::Asked { operation, session, now })
}

/// The code of an error of IAM or EC2.
#[must_use]
pub fn error_code(body: &[u8]) -> Option<String> {
    own::error_code_in(body)
}

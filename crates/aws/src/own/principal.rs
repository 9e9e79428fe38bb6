//! Who the hub is to AWS, and what IAM says of roles that are assumed for others.

use lanyard_iam::{CallerIdentity, PrincipalArn, PrincipalKind};

use super::call::{Call, Whose};
use super::iam::{IAM, place};
use super::wire::Unreadable;
use super::{AwsClient, AwsFault, NamedPrincipal};
use crate::xml::Element;

/// Longest session that IAM lets a role have, in seconds (IAM `MaxSessionDuration`).
const ROLE_SECONDS: std::ops::RangeInclusive<u32> = 3_600..=43_200;

/// Whom a role has to trust, so that the hub may assume it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubPrincipal {
    /// A user, or the role that the hub's credentials are a session of.
    pub arn: PrincipalArn,
    /// Whether these are a session of a role, so that what the hub assumes with it is chained.
    pub is_session: bool,
    /// Whether the role's path is known. STS leaves it out of a session's ARN, and IAM did not tell.
    pub is_whole: bool,
}

impl AwsClient {
    /// Whose the hub's own credentials are, asked once for the same credentials (AWS STS `GetCallerIdentity`).
    ///
    /// # Errors
    /// [`AwsFault`]: nobody has told.
    pub async fn caller(&self) -> Result<CallerIdentity, AwsFault> {
        self.own_credentials_and_caller().await.map(|(_, caller)| caller)
    }

    /// The hub's own principal, as trust policies have to name it. Of a role's session IAM is asked for the role's path.
    ///
    /// # Errors
    /// [`AwsFault`]: STS has not told. That IAM has not is no fault.
    pub async fn hub_principal(&self) -> Result<HubPrincipal, AwsFault> {
        let caller = self.caller().await?.arn;
        let PrincipalKind::AssumedRole { role, .. } = &caller.kind else {
            return Ok(HubPrincipal { arn: caller, is_session: false, is_whole: true });
        };
        let kind = PrincipalKind::Role { path: "/".to_owned(), name: role.clone() };
        let pathless = PrincipalArn { kind, ..caller };
        Ok(match self.principal(&pathless).await {
            Ok(NamedPrincipal::Is { arn, .. }) => HubPrincipal { arn, is_session: true, is_whole: true },
            Ok(NamedPrincipal::Absent) | Err(_) => {
                HubPrincipal { arn: pathless, is_session: true, is_whole: false }
            }
        })
    }

    /// How long a role's sessions may be, in seconds (IAM `GetRole`, `MaxSessionDuration`).
    ///
    /// # Errors
    /// [`AwsFault`]: IAM has not told, which a hub that only assumes roles need not be able to ask.
    pub async fn role_session_seconds_max(&self, role: &PrincipalArn) -> Result<u32, AwsFault> {
        let name = role.name().unwrap_or_default();
        let call = Call::query(IAM, place(role.partition), "iam:GetRole", &[("RoleName", name)]);
        let whose = Whose::Account(role.partition, role.account);
        self.call(whose, &call, |answer| seconds_max_in(&answer.body, role)).await
    }
}

/// The longest session in the answer to `GetRole`.
pub(crate) fn seconds_max_in(body: &[u8], asked: &PrincipalArn) -> Result<u32, Unreadable> {
    super::iam::principal_in(body, asked)?;
    let root = Element::parse(body, "GetRoleResponse")?;
    let role = root.one("GetRoleResult")?.one("Role")?;
    let seconds = role.text_of("MaxSessionDuration")?.parse().ok();
    let seconds = seconds.filter(|seconds| ROLE_SECONDS.contains(seconds));
    seconds.ok_or_else(|| Unreadable::new("its `MaxSessionDuration` is none that a role can have"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/team/app";

    fn read(seconds: &str, arn: &str) -> Result<u32, String> {
        let body = format!(
            "<GetRoleResponse><GetRoleResult><Role><RoleId>AROAAPP</RoleId><Arn>{arn}</Arn>{seconds}</Role></GetRoleResult>\
             </GetRoleResponse>"
        );
        seconds_max_in(body.as_bytes(), &PrincipalArn::parse(ROLE).unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_roles_longest_session_is_within_what_iam_allows() {
        let of = |text: &str| format!("<MaxSessionDuration>{text}</MaxSessionDuration>");
        assert_eq!(read(&of("3600"), ROLE), Ok(3_600));
        assert_eq!(read(&of("43200"), ROLE), Ok(43_200));
        for text in ["3599", "43201", "", "-1", "1e4", "4294967296"] {
            assert!(read(&of(text), ROLE).is_err(), "{text}");
        }
        assert!(read("", ROLE).unwrap_err().contains("no `MaxSessionDuration`"));
        let other = "arn:aws:iam::111122223333:role/team/other";
        assert!(read(&of("3600"), other).unwrap_err().contains("another principal"));
    }
}

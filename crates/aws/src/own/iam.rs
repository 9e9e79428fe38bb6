//! IAM as the hub: who bears a name, and which role an instance profile has.

use lanyard_iam::{AccountId, Arn, Partition, PrincipalArn, PrincipalId, PrincipalIdKind, PrincipalKind};

use super::call::{Api, Call, Place, Whose};
use super::wire::{Unreadable, Wire};
use super::{AwsClient, AwsFault};
use crate::metered::Service;
use crate::xml::Element;

pub(super) const IAM: Api =
    Api { service: Service::Iam, name: "iam", version: "2010-05-08", wire: Wire::Query };

/// The code of "there is none".
const NO_SUCH_ENTITY: &str = "NoSuchEntity";

/// Who bears a principal's name in AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedPrincipal {
    /// A user or role of this name, whose path may be another than that asked about.
    Is {
        /// Its unique id.
        id: PrincipalId,
        /// Its ARN, with its path.
        arn: PrincipalArn,
    },
    /// Nobody.
    Absent,
}

impl AwsClient {
    /// Who bears the name of a user or role (`GetUser`, `GetRole`).
    ///
    /// # Errors
    /// [`AwsFault`]: AWS has not told, for whatever reason. Nobody of that name is an answer.
    pub async fn principal(&self, asked: &PrincipalArn) -> Result<NamedPrincipal, AwsFault> {
        let (action, parameter) = match asked.kind {
            PrincipalKind::User { .. } => ("iam:GetUser", "UserName"),
            _ => ("iam:GetRole", "RoleName"),
        };
        let name = asked.name().unwrap_or_default();
        let call = Call::query(IAM, place(asked.partition), action, &[(parameter, name)]);
        let whose = Whose::Account(asked.partition, asked.account);
        match self.call(whose, &call, |answer| principal_in(&answer.body, asked)).await {
            Ok((id, arn)) => Ok(NamedPrincipal::Is { id, arn }),
            Err(AwsFault::Refused(refusal)) if refusal.code == NO_SUCH_ENTITY => Ok(NamedPrincipal::Absent),
            Err(fault) => Err(fault),
        }
    }

    /// The role of an instance profile (`GetInstanceProfile`), if it has one.
    pub(super) async fn role_of_profile(&self, profile: &Arn) -> Result<Option<PrincipalArn>, AwsFault> {
        let Some((partition, account, name)) = profile_parts(profile) else { return Ok(None) };
        let parameters = [("InstanceProfileName", name)];
        let call = Call::query(IAM, place(partition), "iam:GetInstanceProfile", &parameters);
        let whose = Whose::Account(partition, account);
        match self.call(whose, &call, |answer| instance_profile_in(&answer.body, profile)).await {
            Err(AwsFault::Refused(refusal)) if refusal.code == NO_SUCH_ENTITY => Ok(None),
            other => other,
        }
    }
}

/// IAM has one host for a partition.
pub(super) fn place(partition: Partition) -> Place {
    let (host, region) = partition.iam_endpoint();
    (host.to_owned(), region.to_owned())
}

/// The principal in the answer to `GetUser` or `GetRole`: of the account, kind and name that were asked about.
pub(crate) fn principal_in(
    body: &[u8],
    asked: &PrincipalArn,
) -> Result<(PrincipalId, PrincipalArn), Unreadable> {
    let is_user = matches!(asked.kind, PrincipalKind::User { .. });
    let (response, result, entity, id, kind) = match is_user {
        true => ("GetUserResponse", "GetUserResult", "User", "UserId", PrincipalIdKind::User),
        false => ("GetRoleResponse", "GetRoleResult", "Role", "RoleId", PrincipalIdKind::Role),
    };
    let root = Element::parse(body, response)?;
    let entity = root.one(result)?.one(entity)?;
    let arn =
        PrincipalArn::parse(entity.text_of("Arn")?).map_err(|error| Unreadable::new(error.to_string()))?;
    let id = PrincipalId::parse(entity.text_of(id)?).map_err(|error| Unreadable::new(error.to_string()))?;
    let same_kind = matches!(arn.kind, PrincipalKind::User { .. }) == is_user
        && matches!(arn.kind, PrincipalKind::User { .. } | PrincipalKind::Role { .. });
    let same_name = match (arn.name(), asked.name()) {
        (Some(found), Some(asked)) => found.eq_ignore_ascii_case(asked),
        _ => false,
    };
    if !same_kind || !same_name || (arn.partition, arn.account) != (asked.partition, asked.account) {
        return Err(Unreadable::new("it is about another principal"));
    }
    if id.kind() != kind {
        return Err(Unreadable::new("the unique id is of another kind than the principal"));
    }
    Ok((id, arn))
}

/// The role in the answer to `GetInstanceProfile`.
pub(crate) fn instance_profile_in(body: &[u8], asked: &Arn) -> Result<Option<PrincipalArn>, Unreadable> {
    let root = Element::parse(body, "GetInstanceProfileResponse")?;
    let profile = root.one("GetInstanceProfileResult")?.one("InstanceProfile")?;
    if profile.text_of("Arn")? != asked.as_str() {
        return Err(Unreadable::new("it is about another instance profile"));
    }
    let Some(roles) = profile.maybe("Roles")? else { return Ok(None) };
    let Some(role) = roles.maybe("member")? else { return Ok(None) };
    let arn =
        PrincipalArn::parse(role.text_of("Arn")?).map_err(|error| Unreadable::new(error.to_string()))?;
    if matches!(arn.kind, PrincipalKind::Role { .. }) && arn.account.as_str() == asked.account() {
        Ok(Some(arn))
    } else {
        Err(Unreadable::new("the role of the instance profile is none of its account"))
    }
}

/// Partition, account and name of an instance profile's ARN.
pub(crate) fn profile_parts(profile: &Arn) -> Option<(Partition, AccountId, &str)> {
    let (kind, rest) = profile.resource().split_once('/')?;
    let name = rest.rsplit('/').next().filter(|name| !name.is_empty())?;
    let is_one = profile.service() == "iam" && kind == "instance-profile";
    let partition = Partition::from_name(profile.partition()).filter(|_| is_one)?;
    Some((partition, AccountId::parse(profile.account()).ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/team/dev";
    const USER: &str = "arn:aws:iam::111122223333:user/ana";

    fn role(arn: &str, id: &str) -> String {
        format!(
            "<GetRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetRoleResult><Role><Path>/team/</Path>\
             <AssumeRolePolicyDocument>%7B%7D</AssumeRolePolicyDocument><RoleId>{id}</RoleId><RoleName>dev</RoleName>\
             <Arn>{arn}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></Role></GetRoleResult><ResponseMetadata>\
             <RequestId>1</RequestId></ResponseMetadata></GetRoleResponse>"
        )
    }

    fn user(arn: &str, id: &str) -> String {
        format!(
            "<GetUserResponse><GetUserResult><User><UserId>{id}</UserId><Arn>{arn}</Arn></User></GetUserResult></GetUserResponse>"
        )
    }

    fn read(body: &str, asked: &str) -> Result<String, String> {
        principal_in(body.as_bytes(), &PrincipalArn::parse(asked).unwrap())
            .map(|(id, arn)| format!("{} {arn}", id.as_str()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_principal_is_read_with_its_own_path() {
        assert_eq!(read(&role(ROLE, "AROADEV"), ROLE), Ok(format!("AROADEV {ROLE}")));
        let elsewhere = "arn:aws:iam::111122223333:role/other/dev";
        assert_eq!(read(&role(elsewhere, "AROADEV"), ROLE), Ok(format!("AROADEV {elsewhere}")));
        assert_eq!(read(&user(USER, "AIDAANA"), USER), Ok(format!("AIDAANA {USER}")));
    }

    #[test]
    fn immunity_02_an_answer_about_another_principal_is_none() {
        let cases = [
            (role("arn:aws:iam::444455556666:role/team/dev", "AROADEV"), ROLE, "another principal"),
            (role("arn:aws-cn:iam::111122223333:role/team/dev", "AROADEV"), ROLE, "another principal"),
            (role("arn:aws:iam::111122223333:role/team/ops", "AROADEV"), ROLE, "another principal"),
            (role(USER, "AIDAANA"), ROLE, "another principal"),
            (role("arn:aws:sts::111122223333:assumed-role/dev/s", "AROADEV"), ROLE, "another principal"),
            (role(ROLE, "AIDADEV"), ROLE, "another kind"),
            (role(ROLE, ""), ROLE, "not a principal id"),
            (role("dev", "AROADEV"), ROLE, "ARN"),
            (user(USER, "AIDAANA"), ROLE, "not a `GetRoleResponse`"),
            (role(ROLE, "AROADEV"), USER, "not a `GetUserResponse`"),
            (role(ROLE, "AROADEV").replace("<Arn>", "<Arn>x</Arn><Arn>"), ROLE, "`Arn` twice"),
            (role(ROLE, "AROADEV").replace("RoleId", "Id"), ROLE, "no `RoleId`"),
            (role(ROLE, "AROADEV").replace("</GetRoleResponse>", ""), ROLE, "not well-formed"),
            (String::new(), ROLE, "not well-formed"),
        ];
        for (body, asked, words) in cases {
            let error = read(&body, asked).unwrap_err();
            assert!(error.contains(words), "{body}: {error}");
        }
    }

    #[test]
    fn an_instance_profile_has_one_role_of_its_account_or_none() {
        let arn = "arn:aws:iam::111122223333:instance-profile/nodes/workers";
        let profile = |roles: &str| {
            format!(
                "<GetInstanceProfileResponse><GetInstanceProfileResult><InstanceProfile><Arn>{arn}</Arn>{roles}\
                 </InstanceProfile></GetInstanceProfileResult></GetInstanceProfileResponse>"
            )
        };
        let member = |arn: &str| format!("<member><Arn>{arn}</Arn></member>");
        let asked = Arn::parse(arn).unwrap();
        let read = |roles: &str| instance_profile_in(profile(roles).as_bytes(), &asked);
        let of = |text: &str| PrincipalArn::parse(text).unwrap();
        assert_eq!(read(&format!("<Roles>{}</Roles>", member(ROLE))), Ok(Some(of(ROLE))));
        assert_eq!(read("<Roles/>"), Ok(None));
        assert_eq!(read(""), Ok(None));
        let other = "arn:aws:iam::444455556666:role/dev";
        for roles in [member(USER), member(other), member("x"), member(ROLE) + &member(ROLE)] {
            assert!(read(&format!("<Roles>{roles}</Roles>")).is_err(), "{roles}");
        }
        let another = Arn::parse("arn:aws:iam::111122223333:instance-profile/workers").unwrap();
        assert!(instance_profile_in(profile("").as_bytes(), &another).is_err());
        assert_eq!(profile_parts(&asked).map(|(_, _, name)| name), Some("workers"));
        for text in
            [ROLE, "arn:aws:ec2::111122223333:instance-profile/x", "arn:aws:iam::x:instance-profile/x"]
        {
            assert_eq!(profile_parts(&Arn::parse(text).unwrap()), None, "{text}");
        }
    }
}

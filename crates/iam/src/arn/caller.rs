//! What STS answers to `GetCallerIdentity`.

use super::canonical::CanonicalArn;
use super::principal::{PrincipalArn, PrincipalArnError, PrincipalKind};
use crate::id::{AccountId, PrincipalId};
use crate::shown::shown;

/// A caller's identity as STS states it, with its parts checked against each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The account.
    pub account: AccountId,
    /// The caller's ARN; for a role session with its session name.
    pub arn: PrincipalArn,
    /// The unique id: for a role session the role's (`AROA…`), without the session name.
    pub principal_id: PrincipalId,
}

/// Why an answer of STS cannot be an identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerIdentityError {
    /// The ARN is not a principal's.
    #[error("the caller's ARN is unusable: {0}")]
    Arn(#[from] PrincipalArnError),
    /// An IAM role as caller: STS answers with the session, never with the role.
    #[error("`{}` cannot be a caller: a role acts through a session", shown(.0))]
    NotACaller(String),
    /// The account is not twelve digits.
    #[error("`{}` is not an account number", shown(.0))]
    Account(String),
    /// Account and ARN disagree.
    #[error("the account `{account}` differs from that of the ARN `{arn}`")]
    OtherAccount {
        /// The account named beside the ARN.
        account: AccountId,
        /// The ARN.
        arn: PrincipalArn,
    },
    /// The user id of a role session is not `ID:SESSION`, or another one has a form it cannot have.
    #[error("the user id `{}` is malformed: a role session's is ID:SESSION, any other a plain id", shown(.0))]
    UserId(String),
    /// The session name of the user id is not that of the ARN.
    #[error("the session `{}` of the user id differs from `{}` in the ARN", shown(.user_id), shown(.arn))]
    OtherSession {
        /// The session name in the user id.
        user_id: String,
        /// The session name in the ARN.
        arn: String,
    },
}

impl CallerIdentity {
    /// Takes an answer apart: for users, root and federated users the user id is taken whole; for a role session it has
    /// to split at `:` into exactly the role's id and the session name, which has to be that of the ARN.
    ///
    /// # Errors
    /// As [`CallerIdentityError`] says.
    pub fn parse(account: &str, user_id: &str, arn: &str) -> Result<Self, CallerIdentityError> {
        let arn = PrincipalArn::parse(arn)?;
        let account =
            AccountId::parse(account).map_err(|_| CallerIdentityError::Account(account.to_owned()))?;
        if account != arn.account {
            return Err(CallerIdentityError::OtherAccount { account, arn });
        }
        let malformed = || CallerIdentityError::UserId(user_id.to_owned());
        let id = match &arn.kind {
            PrincipalKind::Role { .. } => return Err(CallerIdentityError::NotACaller(arn.to_string())),
            PrincipalKind::AssumedRole { session, .. } => {
                let (id, name) = user_id.split_once(':').ok_or_else(malformed)?;
                if id.is_empty() || name.is_empty() || name.contains(':') {
                    return Err(malformed());
                }
                if name != session {
                    return Err(CallerIdentityError::OtherSession {
                        user_id: name.to_owned(),
                        arn: session.clone(),
                    });
                }
                id
            }
            PrincipalKind::Root | PrincipalKind::User { .. } | PrincipalKind::FederatedUser { .. } => user_id,
        };
        let principal_id = PrincipalId::parse(id).map_err(|_| malformed())?;
        Ok(Self { account, arn, principal_id })
    }

    /// The ARN that mappings are looked up by.
    #[must_use]
    pub fn canonical_arn(&self) -> CanonicalArn {
        self.arn.canonical()
    }

    /// The session name, chosen by the caller; `None` when there is no role session.
    #[must_use]
    pub fn session_name(&self) -> Option<&str> {
        self.arn.session_name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "111122223333";

    #[test]
    fn the_identity_vectors_hold() {
        let role = "arn:aws:sts::111122223333:assumed-role/R/S";
        let user = "arn:aws:iam::111122223333:user/team/ana";
        let federated = "arn:aws:sts::111122223333:federated-user/bob";
        let accepted = [
            ("V71", role, "AROAX:S", "AROAX", "arn:aws:iam::111122223333:role/R"),
            ("V74", user, "AIDAX", "AIDAX", user),
            ("V75", federated, "111122223333:bob", "111122223333:bob", federated),
            ("root", "arn:aws:iam::111122223333:root", ACCOUNT, ACCOUNT, "arn:aws:iam::111122223333:root"),
        ];
        for (id, arn, user_id, principal_id, canonical) in accepted {
            let identity = CallerIdentity::parse(ACCOUNT, user_id, arn).unwrap();
            assert_eq!(identity.principal_id.as_str(), principal_id, "{id}");
            assert_eq!(identity.canonical_arn().as_str(), canonical, "{id}");
        }
        let refused = [
            ("V72", role, "AROAX", CallerIdentityError::UserId("AROAX".to_owned())),
            ("V73", role, "AROAX:S:T", CallerIdentityError::UserId("AROAX:S:T".to_owned())),
            (
                "V76",
                "arn:aws:sts::111122223333:assumed-role/R",
                "AROAX:S",
                PrincipalArnError::NoSession("assumed-role/R".to_owned()).into(),
            ),
            (
                "V77",
                "arn:aws:ec2::111122223333:instance/i-1",
                "AROAX:S",
                PrincipalArnError::Service("ec2".to_owned()).into(),
            ),
            (
                "V78",
                "arn:aws-moon:sts::111122223333:assumed-role/R/S",
                "AROAX:S",
                PrincipalArnError::Partition("aws-moon".to_owned()).into(),
            ),
        ];
        for (id, arn, user_id, error) in refused {
            assert_eq!(CallerIdentity::parse(ACCOUNT, user_id, arn), Err(error), "{id}");
        }
    }

    #[test]
    fn the_parts_of_an_answer_have_to_agree() {
        let role = "arn:aws:sts::111122223333:assumed-role/R/S";
        let cases = [
            ("other account", "444455556666", "AROAX:S", role),
            ("no account", "1111", "AROAX:S", role),
            ("other session", ACCOUNT, "AROAX:T", role),
            ("empty session", ACCOUNT, "AROAX:", role),
            ("empty id", ACCOUNT, ":S", role),
            ("empty user id", ACCOUNT, "", "arn:aws:iam::111122223333:user/ana"),
            ("a role itself", ACCOUNT, "AROAX", "arn:aws:iam::111122223333:role/R"),
        ];
        for (what, account, user_id, arn) in cases {
            assert!(CallerIdentity::parse(account, user_id, arn).is_err(), "{what}");
        }
    }
}

//! Numbers that tell whose they are.
//!
//! A local access key id (`LKIA…`) and a local principal's unique id (`AIDA…`, `AROA…`) hold their account's number in
//! their first eight characters after the prefix: 40 bits in base32. So the one account to look in is known before
//! anything is looked up, and no index over all accounts is needed. The rest is random.

use aws_lc_rs::rand::SecureRandom;
use lanyard_iam::{AccessKeyId, AccountId, PrincipalId, SecretAccessKey};

/// Length of the prefix of every id.
const PREFIX_CHARS: usize = 4;

/// The system has no randomness to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

/// A fresh long-term key id of an account.
///
/// # Errors
/// [`NoRandomness`].
pub(crate) fn new_access_key_id(
    account: AccountId,
    random: &dyn SecureRandom,
) -> Result<AccessKeyId, NoRandomness> {
    Ok(AccessKeyId::generate_local(with_account(account, random)?))
}

/// A fresh user id of an account.
///
/// # Errors
/// [`NoRandomness`].
pub(crate) fn new_user_id(
    account: AccountId,
    random: &dyn SecureRandom,
) -> Result<PrincipalId, NoRandomness> {
    Ok(PrincipalId::generate_user(with_account(account, random)?))
}

/// A fresh role id of an account.
///
/// # Errors
/// [`NoRandomness`].
pub(crate) fn new_role_id(
    account: AccountId,
    random: &dyn SecureRandom,
) -> Result<PrincipalId, NoRandomness> {
    Ok(PrincipalId::generate_role(with_account(account, random)?))
}

/// A fresh id of an account's instance profile.
///
/// # Errors
/// [`NoRandomness`].
pub(crate) fn new_instance_profile_id(
    account: AccountId,
    random: &dyn SecureRandom,
) -> Result<PrincipalId, NoRandomness> {
    Ok(PrincipalId::generate_instance_profile(with_account(account, random)?))
}

/// A fresh secret.
///
/// # Errors
/// [`NoRandomness`].
pub(crate) fn new_secret(random: &dyn SecureRandom) -> Result<SecretAccessKey, NoRandomness> {
    let mut bytes = zeroize::Zeroizing::new([0; SecretAccessKey::RANDOM_BYTES]);
    random.fill(bytes.as_mut()).map_err(|_| NoRandomness)?;
    Ok(SecretAccessKey::generate(&bytes))
}

/// The account of a local long-term key id; none for any other id.
#[must_use]
pub(crate) fn account_of_key(id: &AccessKeyId) -> Option<AccountId> {
    if !id.is_local() || id.is_session() {
        return None;
    }
    account_in(id.as_str())
}

/// The account of a local principal's unique id. For an id that AWS made it is a number without meaning: use it to look,
/// never to believe.
#[must_use]
pub(crate) fn account_of_principal(id: &PrincipalId) -> Option<AccountId> {
    account_in(id.as_str())
}

/// Random bytes of which the first eight say, in their low five bits, the account.
fn with_account<const N: usize>(
    account: AccountId,
    random: &dyn SecureRandom,
) -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    random.fill(&mut bytes).map_err(|_| NoRandomness)?;
    bytes.iter_mut().zip(account.id_values()).for_each(|(byte, value)| *byte = value);
    Ok(bytes)
}

fn account_in(id: &str) -> Option<AccountId> {
    AccountId::from_id_chars(id.get(PREFIX_CHARS..)?)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;

    #[test]
    fn a_key_and_a_principal_tell_their_account() {
        let random = SystemRandom::new();
        for account in ["000000000000", "000000000001", "111122223333", "999999999999"] {
            let account = AccountId::parse(account).unwrap();
            let key = new_access_key_id(account, &random).unwrap();
            assert!(key.as_str().starts_with("LKIA") && key.as_str().len() == 20, "{key}");
            assert_eq!(account_of_key(&key), Some(account), "{key}");
            let (user, role) =
                (new_user_id(account, &random).unwrap(), new_role_id(account, &random).unwrap());
            assert!(user.as_str().starts_with("AIDA") && user.as_str().len() == 21, "{user}");
            assert!(role.as_str().starts_with("AROA") && role.as_str().len() == 21, "{role}");
            assert_eq!(account_of_principal(&user), Some(account), "{user}");
            assert_eq!(account_of_principal(&role), Some(account), "{role}");
        }
    }

    #[test]
    fn other_ids_tell_no_account() {
        for id in [
            "AKIAAAAAAAAAAAAAAAAA",
            "LSIAAAAAAAAAAAAAAAAA",
            "LKIA0000000000000000",
            "LKIA7777777777777777",
            "LKIAaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(account_of_key(&AccessKeyId::parse(id).unwrap()), None, "{id}");
        }
        for id in ["AIDA", "AIDAX", "AIDA7777777777777777", "AIDA0000000000000000"] {
            assert_eq!(account_of_principal(&PrincipalId::parse(id).unwrap()), None, "{id}");
        }
    }

    #[test]
    fn ids_of_one_account_differ() {
        let account = AccountId::parse("111122223333").unwrap();
        let random = SystemRandom::new();
        let ids: std::collections::HashSet<_> =
            (0..1000).map(|_| new_access_key_id(account, &random).unwrap()).collect();
        assert_eq!(ids.len(), 1000);
    }
}

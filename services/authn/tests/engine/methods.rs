//! The managed methods of authn and what has to be looked at for each: one line for one, so that a new one is missed here first.

use std::collections::BTreeSet;

use lanyard_api::methods::MANAGED;

use self::Effect::{Dangerous, Harmless, Reads};
use self::Whose::{Account, Hub};

/// Whose is what a method asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// An account's, and so nobody else's.
    Account,
    /// The hub operators', the list of the accounts that one may see, or what the number of a key tells whoever knows it.
    Hub,
}

/// What a method can do to a cluster's last administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes nothing.
    Reads,
    /// It changes something and takes nobody: it only adds; who may assume a role may do so again after its sessions were revoked,
    /// however long these last; and nobody of an OIDC issuer is an administrator that the guard counts.
    Harmless,
    /// It can take the last one.
    Dangerous,
}

/// All of them.
const METHODS: [(&str, Whose, Effect); 47] = [
    ("CreateAccount", Hub, Harmless),
    ("DeleteAccount", Hub, Dangerous),
    ("ListAccounts", Hub, Reads),
    ("GetAccessKeyInfo", Hub, Reads),
    ("CreateUser", Account, Harmless),
    ("GetUser", Account, Reads),
    ("ListUsers", Account, Reads),
    ("TagUser", Account, Dangerous),
    ("UntagUser", Account, Dangerous),
    ("DeleteUser", Account, Dangerous),
    ("CreateAccessKey", Account, Harmless),
    ("ListAccessKeys", Account, Reads),
    ("UpdateAccessKey", Account, Dangerous),
    ("DeleteAccessKey", Account, Dangerous),
    ("CreateRole", Account, Harmless),
    ("GetRole", Account, Reads),
    ("ListRoles", Account, Reads),
    ("UpdateRole", Account, Harmless),
    ("TagRole", Account, Dangerous),
    ("UntagRole", Account, Dangerous),
    ("UpdateAssumeRolePolicy", Account, Dangerous),
    ("RevokeSessions", Account, Harmless),
    ("DeleteRole", Account, Dangerous),
    ("PutPolicy", Account, Dangerous),
    ("GetPolicy", Account, Reads),
    ("ListPolicies", Account, Reads),
    ("DeletePolicy", Account, Dangerous),
    ("GetCallerPolicies", Account, Reads),
    ("CreateOidcProvider", Account, Harmless),
    ("GetOidcProvider", Account, Reads),
    ("ListOidcProviders", Account, Reads),
    ("DeleteOidcProvider", Account, Harmless),
    ("AddOidcClientId", Account, Harmless),
    ("RemoveOidcClientId", Account, Harmless),
    ("UpdateOidcProviderThumbprints", Account, Harmless),
    ("UpdateOidcProviderCaBundle", Account, Harmless),
    ("TagOidcProvider", Account, Harmless),
    ("UntagOidcProvider", Account, Harmless),
    ("CreateInstanceProfile", Account, Harmless),
    ("GetInstanceProfile", Account, Reads),
    ("ListInstanceProfiles", Account, Reads),
    ("ListInstanceProfilesForRole", Account, Reads),
    ("AddRoleToInstanceProfile", Account, Harmless),
    ("RemoveRoleFromInstanceProfile", Account, Harmless),
    ("TagInstanceProfile", Account, Harmless),
    ("UntagInstanceProfile", Account, Harmless),
    ("DeleteInstanceProfile", Account, Harmless),
];

/// Those that ask about what is an account's.
pub(crate) fn of_accounts() -> impl Iterator<Item = &'static str> {
    METHODS.into_iter().filter_map(|(name, whose, _)| (whose == Account).then_some(name))
}

/// Those that can take a cluster's last administrator.
pub(crate) fn dangerous() -> BTreeSet<&'static str> {
    METHODS.into_iter().filter_map(|(name, _, effect)| (effect == Dangerous).then_some(name)).collect()
}

#[test]
fn immunity_33_every_method_is_looked_at() {
    let managed = MANAGED.iter().filter(|method| method.path.starts_with("/lanyard.authn."));
    let there: BTreeSet<(&str, bool)> =
        managed.filter_map(|method| Some((method.path.rsplit('/').next()?, method.mutates))).collect();
    let known: BTreeSet<(&str, bool)> =
        METHODS.into_iter().map(|(name, _, effect)| (name, effect != Reads)).collect();
    assert_eq!(there, known);
    assert_eq!(known.len(), METHODS.len(), "each has one line");
}

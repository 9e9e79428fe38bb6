//! What of somebody can be gone, though their proof still verifies.

use std::fmt;

/// What of a local principal, or of what its session descends from, is gone. It names nobody: whoever is refused may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gone {
    /// The account is no longer one that the hub keeps.
    Account,
    /// The principal was deleted.
    Principal,
    /// The sessions of the role were revoked.
    Sessions,
    /// The access key was deactivated or deleted.
    AccessKey,
    /// An account that the session descends from is no longer one that the hub keeps.
    KinAccount,
    /// A user or role that the session descends from was deleted.
    KinPrincipal,
    /// The sessions of a role in between were revoked.
    KinSessions,
    /// The OIDC provider by whose token the session was made was deleted.
    KinProvider,
    /// The cluster whose pod got the session was deleted.
    KinCluster,
    /// The Pod Identity association by which a pod got the session was deleted.
    KinAssociation,
    /// The access key that the session descends from was deactivated or deleted.
    KinAccessKey,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "the account is no longer a local one of this hub",
            Self::Principal => "the principal was deleted; one made anew under its name is another",
            Self::Sessions => "the role's sessions from before now were revoked",
            Self::AccessKey => "the access key was deactivated or deleted",
            Self::KinAccount => {
                "an account that the session descends from is no longer a local one of this hub"
            }
            Self::KinPrincipal => {
                "a user or role that the session descends from was deleted; one made anew under its name is another"
            }
            Self::KinSessions => "the sessions of a role in between were revoked after this one was made",
            Self::KinProvider => {
                "the OIDC provider by whose token the session was made was deleted; one made anew is another"
            }
            Self::KinCluster => "the cluster whose pod got the session was deleted",
            Self::KinAssociation => {
                "the Pod Identity association by which a pod got the session was deleted; one made anew is another"
            }
            Self::KinAccessKey => "the access key that the session descends from was deactivated or deleted",
        })
    }
}

//! Which process may have which purposes' keys.

use std::fmt;

use super::purpose::Purpose;

/// Whose envelope key it is: one service's, or that of a process with all of them in it.
///
/// A service's envelope key opens its own purposes' keys and no others, so that who takes over one service has not the keys
/// of the next: authz's process signs no sessions, authn's mints no proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// All services in one process, and whoever sets a hub up. It makes the keys.
    Suite,
    /// authn.
    Authn,
    /// mapping.
    Mapping,
    /// authz.
    Authz,
    /// credentials.
    Credentials,
}

impl Holder {
    /// The services.
    pub const SERVICES: [Self; 4] = [Self::Authn, Self::Mapping, Self::Authz, Self::Credentials];

    /// What it may have. Whoever writes has the chain's key, for each line of change is chained to the one before.
    #[must_use]
    pub const fn purposes(self) -> &'static [Purpose] {
        match self {
            Self::Suite => &Purpose::ALL,
            Self::Authn => &[
                Purpose::AccessKeySecret,
                Purpose::SessionVerifying,
                Purpose::SessionOpening,
                Purpose::SessionSecret,
                Purpose::TokenCache,
                Purpose::VouchAuthn,
                Purpose::VouchMapping,
                Purpose::VouchAuthz,
                Purpose::VouchCredentials,
                Purpose::Chain,
                Purpose::PageToken,
            ],
            Self::Mapping => &[
                Purpose::Proof,
                Purpose::SpokeKubeconfig,
                Purpose::VouchMapping,
                Purpose::Chain,
                Purpose::PageToken,
            ],
            Self::Authz => &[Purpose::Proof, Purpose::VouchAuthz, Purpose::Chain, Purpose::PageToken],
            Self::Credentials => &[
                Purpose::SessionSigning,
                Purpose::SessionOpening,
                Purpose::SessionSecret,
                Purpose::IssuerSigning,
                Purpose::VouchCredentials,
                Purpose::Chain,
                Purpose::PageToken,
            ],
        }
    }

    /// Whether it may have a purpose's keys.
    #[must_use]
    pub fn may_have(self, purpose: Purpose) -> bool {
        self.purposes().contains(&purpose)
    }

    /// Its name: the service's.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suite => "suite",
            Self::Authn => "authn",
            Self::Mapping => "mapping",
            Self::Authz => "authz",
            Self::Credentials => "credentials",
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immunity_61_no_service_has_the_keys_to_anothers_work() {
        let holders = |purpose| -> Vec<_> {
            Holder::SERVICES.into_iter().filter(|holder| holder.may_have(purpose)).collect()
        };
        let cases: [(Purpose, &[Holder]); 8] = [
            (Purpose::SessionSigning, &[Holder::Credentials]),
            (Purpose::SessionVerifying, &[Holder::Authn]),
            (Purpose::SessionOpening, &[Holder::Authn, Holder::Credentials]),
            (Purpose::Proof, &[Holder::Mapping, Holder::Authz]),
            (Purpose::AccessKeySecret, &[Holder::Authn]),
            (Purpose::TokenCache, &[Holder::Authn]),
            (Purpose::SpokeKubeconfig, &[Holder::Mapping]),
            (Purpose::IssuerSigning, &[Holder::Credentials]),
        ];
        for (purpose, expected) in cases {
            assert_eq!(holders(purpose), expected, "{purpose}");
        }
        for purpose in Purpose::ALL {
            assert!(Holder::Suite.may_have(purpose) && !holders(purpose).is_empty(), "{purpose}");
        }
    }
}

//! What keys are for.

use std::time::Duration;

use lanyard_iam::session::USER_SESSION_LIFETIME_MAX;

use crate::kind::Kind;

/// What a key is for; each purpose has a random key of its own, in versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Seals the secrets of local access keys.
    AccessKeySecret,
    /// Signs role sessions (an Ed25519 seed).
    SessionSigning,
    /// Knows who signed role sessions: the public half of [`Self::SessionSigning`], version by version.
    SessionVerifying,
    /// Opens role sessions.
    SessionOpening,
    /// Derives a role session's secret key from its token.
    SessionSecret,
    /// Makes the proof that authz believes.
    Proof,
    /// Seals the token cache's values.
    TokenCache,
    /// Vouches for actors that call authn's own methods.
    VouchAuthn,
    /// Vouches to mapping.
    VouchMapping,
    /// Vouches to authz.
    VouchAuthz,
    /// Vouches to credentials.
    VouchCredentials,
    /// Seals the kubeconfigs of spokes.
    SpokeKubeconfig,
    /// Seals the keys with which the hub signs tokens of clusters' issuers.
    IssuerSigning,
    /// Chains change lines.
    Chain,
    /// Seals page tokens.
    PageToken,
}

impl Purpose {
    /// All of them; one that is made of another comes after it.
    pub const ALL: [Self; 15] = [
        Self::AccessKeySecret,
        Self::SessionSigning,
        Self::SessionVerifying,
        Self::SessionOpening,
        Self::SessionSecret,
        Self::Proof,
        Self::TokenCache,
        Self::VouchAuthn,
        Self::VouchMapping,
        Self::VouchAuthz,
        Self::VouchCredentials,
        Self::SpokeKubeconfig,
        Self::IssuerSigning,
        Self::Chain,
        Self::PageToken,
    ];

    /// As it stands in the database and in associated data.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessKeySecret => "access_key_secret",
            Self::SessionSigning => "session_signing",
            Self::SessionVerifying => "session_verifying",
            Self::SessionOpening => "session_opening",
            Self::SessionSecret => "session_secret",
            Self::Proof => "proof",
            Self::TokenCache => "token_cache",
            Self::VouchAuthn => "vouch_authn",
            Self::VouchMapping => "vouch_mapping",
            Self::VouchAuthz => "vouch_authz",
            Self::VouchCredentials => "vouch_credentials",
            Self::SpokeKubeconfig => "spoke_kubeconfig",
            Self::IssuerSigning => "issuer_signing",
            Self::Chain => "chain",
            Self::PageToken => "page_token",
        }
    }

    /// The purpose whose key this one's is made of, where it is not random.
    pub(crate) const fn made_of(self) -> Option<Self> {
        match self {
            Self::SessionVerifying => Some(Self::SessionSigning),
            _ => None,
        }
    }

    /// What its older versions are still needed for.
    pub const fn older_versions(self) -> Needed {
        const HOUR: Duration = Duration::from_secs(3_600);
        match self {
            Self::AccessKeySecret => Needed::AtRest(Kind::AccessKey),
            Self::SpokeKubeconfig => Needed::AtRest(Kind::SpokeKubeconfig),
            Self::IssuerSigning => Needed::AtRest(Kind::HostedIssuer),
            // The longest life of any session.
            Self::SessionSigning | Self::SessionVerifying | Self::SessionOpening | Self::SessionSecret => {
                Needed::For(Duration::from_secs(USER_SESSION_LIFETIME_MAX.whole_seconds().unsigned_abs()))
            }
            // A cluster's token-cache time, an hour at most, and a minute.
            Self::Proof => Needed::For(HOUR.saturating_add(Duration::from_secs(60))),
            // A minute, and no longer than a token counts.
            Self::VouchAuthn
            | Self::VouchMapping
            | Self::VouchAuthz
            | Self::VouchCredentials
            | Self::TokenCache => Needed::For(HOUR),
            // Nobody turns a page later than AWS's own tokens would let them.
            Self::PageToken => Needed::For(HOUR.saturating_mul(24)),
            // The lines that it chained are verified for as long as they are there.
            Self::Chain => Needed::Always,
        }
    }

    /// The purpose that seals what lies at rest in places of this table; none where that is not known by the place.
    pub(crate) fn of_place(table: &str) -> Option<Self> {
        let seals_there = |purpose: &Self| match purpose.older_versions() {
            Needed::AtRest(kind) => kind.as_str() == table,
            Needed::For(_) | Needed::Always => false,
        };
        Self::ALL.into_iter().find(seals_there)
    }

    /// The purpose of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }
}

/// For how long an older version of a purpose's key has to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// It sealed what lies at rest for records of this kind: until all of that is sealed anew.
    AtRest(Kind),
    /// What it made lives no longer than this.
    For(Duration),
    /// For good.
    Always,
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

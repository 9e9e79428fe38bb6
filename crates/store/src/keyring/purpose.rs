//! What keys are for.

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

    /// The purpose of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

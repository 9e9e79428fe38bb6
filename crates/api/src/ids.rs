//! Names, numbers and clocks that every service uses in the same meaning.

use std::{fmt, num::NonZeroU128, str::FromStr};

use lanyard_iam::AccountId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest cluster id and name, in characters (EKS `CreateCluster`).
pub const CLUSTER_NAME_CHARS_MAX: usize = 100;

/// A name or number that breaks its own rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{input}` is not valid: {rule}")]
pub struct InvalidName {
    /// What was being read, such as `cluster id`.
    pub what: &'static str,
    /// The input as given.
    pub input: String,
    /// The rule it broke.
    pub rule: &'static str,
}

/// What people, flags, URLs and tokens call a cluster: unique on the hub, by default its name. Unlike that it may hold dots, for people
/// of aws-iam-authenticator and kops sign domain names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterId(String);

impl ClusterId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id that a cluster of this name has where none is asked for: a name is an id without dots.
    ///
    /// # Errors
    /// Where it is no name (EKS `CreateCluster`).
    pub fn of_name(name: &str) -> Result<Self, InvalidName> {
        let id = name.parse::<Self>().ok().filter(|id| !id.0.contains('.'));
        id.ok_or_else(|| InvalidName {
            what: "cluster name",
            input: name.chars().take(CLUSTER_NAME_CHARS_MAX).collect(),
            rule: "1 to 100 letters, digits, `-` and `_`, the first a letter or digit",
        })
    }
}

impl FromStr for ClusterId {
    type Err = InvalidName;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        // It is a segment of URLs, so never `.` or `..`; and a domain name with the root's dot behind it would be another id than
        // the one without.
        let starts = input.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let plain = input.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if starts && plain && !input.ends_with('.') && input.len() <= CLUSTER_NAME_CHARS_MAX {
            return Ok(Self(input.to_owned()));
        }
        Err(InvalidName {
            what: "cluster id",
            input: input.chars().take(CLUSTER_NAME_CHARS_MAX).collect(),
            rule: "1 to 100 letters, digits, `-`, `_` and `.`, the first a letter or digit, the last no dot",
        })
    }
}

impl TryFrom<String> for ClusterId {
    type Error = InvalidName;

    fn try_from(input: String) -> Result<Self, Self::Error> {
        input.parse()
    }
}

impl From<ClusterId> for String {
    fn from(id: ClusterId) -> Self {
        id.0
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new random one.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(input: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(input).map(Self).map_err(|_| InvalidName {
                    what: $what,
                    input: input.chars().take(64).collect(),
                    rule: "a UUID",
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// A cluster's random number: never used again, unlike its id and name. Keys, caches and sealed claims use it.
    ClusterUid,
    "cluster uid"
);
uuid_id!(
    /// The hub's random number, made at first start; management calls sign it.
    HubId,
    "hub id"
);
uuid_id!(
    /// Names one answer of the suite, so that `explain --id` finds it again. Random: it cannot be guessed.
    DecisionId,
    "decision id"
);
uuid_id!(
    /// A block's number.
    BlockId,
    "block id"
);
uuid_id!(
    /// An access entry's number: an entry deleted and made again for the same principal has another one.
    EntryId,
    "access entry id"
);

uuid_id!(
    /// An identity-provider configuration's number: one that is made again under the name has another one.
    IdentityProviderConfigId,
    "identity-provider configuration id"
);

uuid_id!(
    /// An account's OIDC provider's number: one that is made again for the same issuer has another one.
    OidcProviderId,
    "OIDC provider id"
);

uuid_id!(
    /// A change of a cluster, as EKS lets its clients follow one.
    ClusterUpdateId,
    "update id"
);

/// Which certificate: the SHA-256 of its bytes (DER). Written as 64 hex digits in lower case, and read with colons between the
/// bytes too, as OpenSSL shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateSha256([u8; 32]);

impl CertificateSha256 {
    /// Of the digest itself.
    pub fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl FromStr for CertificateSha256 {
    type Err = InvalidName;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        let mut digest = [0; 32];
        let is_shown_by_openssl = input.split(':').count() == digest.len();
        let digits = if is_shown_by_openssl { &input.replace(':', "") } else { input };
        let is_digest = !is_shown_by_openssl || input.split(':').all(|byte| byte.len() == 2);
        if is_digest && hex::decode_to_slice(digits, &mut digest).is_ok() {
            return Ok(Self(digest));
        }
        Err(InvalidName {
            what: "certificate fingerprint",
            input: input.chars().take(95).collect(),
            rule: "the SHA-256 of the certificate in 64 hex digits; `lanyard pki show` tells it",
        })
    }
}

impl TryFrom<String> for CertificateSha256 {
    type Error = InvalidName;

    fn try_from(input: String) -> Result<Self, Self::Error> {
        input.parse()
    }
}

impl From<CertificateSha256> for String {
    fn from(sha256: CertificateSha256) -> Self {
        sha256.to_string()
    }
}

impl fmt::Display for CertificateSha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A scope's counter: one more for each committed mutation in it, in commit order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The trace that a request belongs to (W3C Trace Context, section 3.2.2.3): 16 bytes, not all of them zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId(NonZeroU128);

impl TraceId {
    /// Takes its number.
    #[must_use]
    pub fn new(number: NonZeroU128) -> Self {
        Self(number)
    }
}

impl FromStr for TraceId {
    type Err = InvalidName;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        const DIGITS: usize = 32;
        let is_lower_hex = input.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = (input.len() == DIGITS && is_lower_hex).then(|| u128::from_str_radix(input, 16));
        let number = number.and_then(Result::ok).and_then(NonZeroU128::new);
        number.map(Self).ok_or_else(|| InvalidName {
            what: "trace id",
            input: input.chars().take(DIGITS * 2).collect(),
            rule: "32 lower-case hex digits, not all of them zero",
        })
    }
}

impl TryFrom<String> for TraceId {
    type Error = InvalidName;

    fn try_from(input: String) -> Result<Self, Self::Error> {
        input.parse()
    }
}

impl From<TraceId> for String {
    fn from(id: TraceId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What a change belongs to, and has one chain and one counter of revisions for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The hub itself: accounts, the list of clusters, hub-wide blocks.
    Hub,
    /// One account: users, keys, roles, policies, blocks.
    Account(AccountId),
    /// One cluster: entries, aws-auth, RBAC, nodes, blocks.
    Cluster(ClusterUid),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub => f.write_str("hub"),
            Self::Account(id) => write!(f, "account/{id}"),
            Self::Cluster(uid) => write!(f, "cluster/{uid}"),
        }
    }
}

impl FromStr for Scope {
    type Err = InvalidName;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidName {
            what: "scope",
            input: input.chars().take(64).collect(),
            rule: "`hub`, `account/<12 digits>` or `cluster/<uid>`",
        };
        match input.split_once('/') {
            None if input == "hub" => Ok(Self::Hub),
            Some(("account", id)) => id.parse().map(Self::Account).map_err(|_| invalid()),
            Some(("cluster", uid)) => uid.parse().map(Self::Cluster).map_err(|_| invalid()),
            _ => Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_id_is_a_name_of_eks_or_has_dots_inside() {
        for good in ["a", "dev-1", "0_x", &"a".repeat(100)] {
            let id: ClusterId = good.parse().unwrap();
            assert_eq!(ClusterId::of_name(good), Ok(id), "{good}");
        }
        for dotted in ["my-dev-cluster.example.com", "a.b", &format!("{}.b", "a".repeat(98))] {
            assert!(dotted.parse::<ClusterId>().is_ok() && ClusterId::of_name(dotted).is_err(), "{dotted}");
        }
        let bad = ["", ".", "..", "...", ".a", "a.", "a/.b", "a..", "-a", "_a", "a/b", "ä", "a b", "a%2eb"];
        for bad in bad.into_iter().chain([&*"a".repeat(101), &*format!("{}.b", "a".repeat(99))]) {
            assert!(bad.parse::<ClusterId>().is_err() && ClusterId::of_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_certificate_is_known_by_its_fingerprint_as_programs_write_it() {
        let digest = "0aff".repeat(16);
        let openssl = vec!["0A:FF"; 16].join(":");
        for good in [&digest, &digest.to_uppercase(), &openssl] {
            let read: CertificateSha256 = good.parse().unwrap();
            assert_eq!(read.to_string(), digest, "{good}");
        }
        let bad = [
            "",
            "0a",
            &digest[..63],
            &format!("{digest}0"),
            &digest.replace('f', "g"),
            &openssl[..92],
            &openssl.replacen("0A", "A", 1),
            &format!("{}:", &digest[..63]),
        ];
        for bad in bad {
            assert!(bad.parse::<CertificateSha256>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_trace_is_known_by_the_digits_of_its_traceparent() {
        let digits = "00f92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(digits.parse::<TraceId>().unwrap().to_string(), digits);
        for bad in
            ["", "0", &"0".repeat(32), &digits[1..], &digits.to_uppercase(), &format!("+{}", &digits[1..])]
        {
            assert!(bad.parse::<TraceId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_scope_reads_back_what_it_writes() {
        for scope in [Scope::Hub, Scope::Cluster(ClusterUid::random())] {
            assert_eq!(scope.to_string().parse::<Scope>(), Ok(scope));
        }
        for bad in ["", "Hub", "account/1", "cluster/x", "hub/"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }
}

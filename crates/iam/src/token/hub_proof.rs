//! The proof by which a principal of AWS gets a session of a hub: a presigned `GetCallerIdentity` URL that signs the hub's id.
//!
//! It is judged by the allow-list of tokens, and differs from one in what it signs: [`HUB_ID_HEADER`] in place of
//! [`CLUSTER_ID_HEADER`]. So what a cluster's API server sees is never a proof for the hub, nor the other way round.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use super::err::shown;
use super::mint::presign;
use super::parse::{is_graphic, judge_url};
use super::{CLUSTER_ID_HEADER, MintError, ParsedToken, TOKEN_BYTES_MAX, TokenError, TokenRules};
use crate::id::{AccessKeyId, Credentials, Region};
use crate::shown::moment_text;

/// The header that binds a proof, and a management call, to a hub.
pub const HUB_ID_HEADER: &str = "x-lanyard-hub-id";
/// How long a proof is accepted after its date. It is made for the one exchange that follows.
pub const HUB_PROOF_AGE_MAX: Duration = Duration::minutes(5);
/// Longest URL, in bytes: as long as one in a token.
pub const HUB_PROOF_BYTES_MAX: usize = TOKEN_BYTES_MAX;

/// Why a proof is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubProofError {
    /// Longer than [`HUB_PROOF_BYTES_MAX`].
    #[error("the proof has {0} bytes, at most {max} are allowed", max = HUB_PROOF_BYTES_MAX)]
    TooLong(usize),
    /// It would be a token of a cluster.
    #[error(
        "the proof signs {header}: a token of a cluster, which its API server sees, is no proof for the hub; make one with \
         `lanyard credential-process`",
        header = CLUSTER_ID_HEADER
    )]
    ClusterIdSigned,
    /// It would be good for every hub.
    #[error("the proof does not sign {header}: sign it with the hub's id", header = HUB_ID_HEADER)]
    HubIdNotSigned,
    /// A signed header whose value is not known here.
    #[error("the proof signs `{0}`: sign host and {header} alone, each once", header = HUB_ID_HEADER)]
    UnknownSignedHeader(String),
    /// Past its time.
    #[error(
        "the proof of {} was accepted until {}: make a new one",
        moment_text(date),
        moment_text(not_after)
    )]
    TooOld {
        /// When it was made.
        date: OffsetDateTime,
        /// Until when it was accepted.
        not_after: OffsetDateTime,
    },
    /// A key of a hub: it signs calls itself.
    #[error("`{0}` is a key of a hub: sign calls with it, it needs no exchange")]
    LocalKey(AccessKeyId),
    /// Something that no token may have either.
    #[error("the proof is no presigned GetCallerIdentity as it has to be: {0}")]
    Form(#[from] TokenError),
}

impl HubProofError {
    /// A stable name for the refusal, in snake case.
    #[must_use]
    pub fn reason_code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "proof_too_long",
            Self::ClusterIdSigned => "cluster_id_signed",
            Self::HubIdNotSigned => "hub_id_not_signed",
            Self::UnknownSignedHeader(_) => "unknown_signed_header",
            Self::TooOld { .. } => "proof_expired",
            Self::LocalKey(_) => "local_key",
            Self::Form(error) => error.reason_code(),
        }
    }
}

/// A proof of which every part has been judged, except the signature: that is STS's to verify.
#[derive(Clone)]
pub struct HubProof(ParsedToken);

impl HubProof {
    /// Judges the URL: its length, the allow-list of tokens, what it signs, and its age.
    ///
    /// # Errors
    /// The first part that is refused.
    pub fn parse(url: &str, rules: &TokenRules, now: OffsetDateTime) -> Result<Self, HubProofError> {
        if url.len() > HUB_PROOF_BYTES_MAX {
            return Err(HubProofError::TooLong(url.len()));
        }
        if !is_graphic(url.as_bytes()) {
            return Err(TokenError::Url.into());
        }
        let parsed = judge_url(url, rules, now, judge_signed_headers)?;
        let (date, not_after) = (parsed.date().at(), parsed.date().at().saturating_add(HUB_PROOF_AGE_MAX));
        if now > not_after {
            return Err(HubProofError::TooOld { date, not_after });
        }
        if parsed.access_key_id().is_local() {
            return Err(HubProofError::LocalKey(parsed.access_key_id().clone()));
        }
        Ok(Self(parsed))
    }

    /// Its judged parts, of which the URL for STS is made.
    #[must_use]
    pub fn parts(&self) -> &ParsedToken {
        &self.0
    }

    /// What it is known by, so that it counts once at a hub: the same for every spelling of its URL.
    #[must_use]
    pub fn digest(&self, hub_id: &str) -> [u8; 32] {
        let url = self.0.rebuild_url();
        let mut hash = Sha256::new();
        for part in ["hub proof", hub_id, url.expose_secret()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

impl fmt::Debug for HubProof {
    /// As its parts: nothing that could be presented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HubProof").field(&self.0).finish()
    }
}

/// Exactly `host` and the hub's header.
fn judge_signed_headers(list: &str) -> Result<(), HubProofError> {
    let (mut host, mut hub_id) = (0, 0);
    let mut unknown = None;
    for name in list.split(';') {
        if name.eq_ignore_ascii_case(CLUSTER_ID_HEADER) {
            return Err(HubProofError::ClusterIdSigned);
        }
        if name.eq_ignore_ascii_case("host") {
            host += 1;
        } else if name.eq_ignore_ascii_case(HUB_ID_HEADER) {
            hub_id += 1;
        } else {
            unknown = unknown.or(Some(name));
        }
    }
    match (hub_id, host, unknown) {
        (0, _, _) => Err(HubProofError::HubIdNotSigned),
        (_, 0, _) => Err(TokenError::HostNotSigned.into()),
        (_, _, Some(name)) => Err(HubProofError::UnknownSignedHeader(shown(name))),
        (1, 1, None) => Ok(()),
        (_, _, None) => Err(HubProofError::UnknownSignedHeader(shown(list))),
    }
}

/// Presigns `GetCallerIdentity` at an STS host for a hub: `host` and [`HUB_ID_HEADER`] signed, good for [`HUB_PROOF_AGE_MAX`]. The
/// URL is a bearer value until it was used.
///
/// # Errors
/// When a part cannot be sent.
pub fn mint_hub_proof(
    credentials: &Credentials,
    host: &str,
    region: &Region,
    hub_id: &str,
    now: OffsetDateTime,
) -> Result<SecretString, MintError> {
    let url = presign(credentials, (host, region), (HUB_ID_HEADER, hub_id), now, HUB_PROOF_AGE_MAX)?;
    if url.len() > HUB_PROOF_BYTES_MAX {
        return Err(MintError::TooLong(url.len()));
    }
    Ok(SecretString::from(url.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{SecretAccessKey, SessionToken};
    use crate::partition::Partition;
    use crate::token::{StsAuthority, TOKEN_EXPIRES, TOKEN_PREFIX, mint_token};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const HOST: &str = "sts.eu-west-1.amazonaws.com";
    const HUB: &str = "8c0c9f3a-0000-4000-8000-000000000000";

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap()
    }

    fn rules() -> TokenRules {
        let lab = StsAuthority::new("lab", "sts.lab.example:8443", Region::parse("lab").unwrap()).unwrap();
        let region = Region::parse("eu-west-1").unwrap();
        TokenRules { partition: Partition::Aws, region, self_hosted: vec![lab], own_hosts: [].into() }
    }

    fn ana() -> Credentials {
        Credentials {
            access_key_id: AccessKeyId::parse("ASIAEXAMPLE123456789").unwrap(),
            secret_access_key: SecretAccessKey::new("secret".to_owned()),
            session_token: Some(SessionToken::new("a/b+c=".to_owned())),
        }
    }

    fn proof_of(credentials: &Credentials) -> String {
        let region = Region::parse("eu-west-1").unwrap();
        mint_hub_proof(credentials, HOST, &region, HUB, now()).unwrap().expose_secret().to_owned()
    }

    fn parse(url: &str) -> Result<HubProof, HubProofError> {
        HubProof::parse(url, &rules(), now())
    }

    #[test]
    fn a_proof_is_rebuilt_as_it_was_made() {
        let url = proof_of(&ana());
        let proof = parse(&url).unwrap();
        let sorted = |url: &str| {
            let mut parts: Vec<String> = url.split(['?', '&']).map(str::to_owned).collect();
            parts.sort();
            parts
        };
        assert_eq!(sorted(proof.parts().rebuild_url().expose_secret()), sorted(&url), "in canonical order");
        assert_eq!((proof.parts().host(), proof.parts().region()), (HOST, "eu-west-1"));
        assert_eq!(proof.digest(HUB), parse(&url).unwrap().digest(HUB));
        assert_ne!(proof.digest(HUB), proof.digest("another"), "the same words at another hub");
        let shown = format!("{proof:?}");
        assert!(!shown.contains("Signature") && !shown.contains("a/b+c"), "{shown}");
    }

    #[test]
    fn immunity_32_another_spelling_of_a_proof_is_the_same_proof() {
        let url = proof_of(&ana());
        let respelled = url.replace("https://", "HTTPS://").replace("X-Amz-Date=", "x-amz-date=");
        assert_ne!(url, respelled);
        assert_eq!(parse(&respelled).unwrap().digest(HUB), parse(&url).unwrap().digest(HUB));
    }

    #[test]
    fn immunity_32_a_token_of_a_cluster_is_no_proof_nor_a_proof_a_token() {
        let region = Region::parse("eu-west-1").unwrap();
        let token = mint_token(&ana(), HOST, &region, HUB, now(), TOKEN_EXPIRES).unwrap();
        let inside = URL_SAFE_NO_PAD.decode(token.expose().strip_prefix(TOKEN_PREFIX).unwrap()).unwrap();
        let inside = String::from_utf8(inside).unwrap();
        assert_eq!(parse(&inside).unwrap_err(), HubProofError::ClusterIdSigned);
        let both =
            proof_of(&ana()).replace("host%3Bx-lanyard-hub-id", "host%3Bx-k8s-aws-id%3Bx-lanyard-hub-id");
        assert_eq!(parse(&both).unwrap_err(), HubProofError::ClusterIdSigned);
        let shouted = both.replace("x-k8s-aws-id", "X-K8S-AWS-ID");
        assert_eq!(parse(&shouted).unwrap_err(), HubProofError::ClusterIdSigned);

        let as_token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(proof_of(&ana())));
        let refused = ParsedToken::parse(&as_token, &rules(), now()).unwrap_err();
        assert_eq!(refused, TokenError::ClusterIdNotSigned);
    }

    #[test]
    fn a_proof_is_refused_by_the_part_that_is_wrong() {
        let url = proof_of(&ana());
        let cases = [
            ("plain", url.replace("https", "http"), "token_scheme"),
            ("a user", url.replace("https://", "https://ana@"), "token_user_info"),
            ("elsewhere", url.replace(HOST, "sts.evil.example"), "token_host"),
            ("a port", url.replace(HOST, &format!("{HOST}:443")), "token_host"),
            ("a path", url.replace("/?", "/x?"), "token_path"),
            ("a fragment", format!("{url}#x"), "token_fragment"),
            ("another action", url.replace("GetCallerIdentity", "AssumeRole"), "action"),
            ("one more parameter", format!("{url}&RoleArn=x"), "parameter_not_allowed"),
            ("twice", format!("{url}&Action=GetCallerIdentity"), "repeated_parameter"),
            ("no hub", url.replace("host%3Bx-lanyard-hub-id", "host"), "hub_id_not_signed"),
            ("no host", url.replace("host%3Bx-lanyard-hub-id", "x-lanyard-hub-id"), "host_not_signed"),
            ("one header more", url.replace("host%3B", "accept%3Bhost%3B"), "unknown_signed_header"),
            ("a header twice", url.replace("host%3B", "host%3Bhost%3B"), "unknown_signed_header"),
            ("another service", url.replace("%2Fsts%2F", "%2Feks%2F"), "scope_service"),
            ("another region", url.replace("%2Feu-west-1%2F", "%2Feu-west-2%2F"), "scope_region"),
            ("a line break", format!("{url}\n"), "token_url"),
            ("nothing", String::new(), "token_url"),
            ("endless", "x".repeat(HUB_PROOF_BYTES_MAX + 1), "proof_too_long"),
        ];
        for (what, url, code) in cases {
            assert_eq!(parse(&url).unwrap_err().reason_code(), code, "{what}");
        }
        let local =
            Credentials { access_key_id: AccessKeyId::parse("LKIAAAAAAAAAAAAAAAAA").unwrap(), ..ana() };
        assert_eq!(parse(&proof_of(&local)).unwrap_err().reason_code(), "local_key");
    }

    #[test]
    fn immunity_05_a_proof_counts_for_five_minutes_and_not_from_the_future() {
        let url = proof_of(&ana());
        let at = |seconds| HubProof::parse(&url, &rules(), now() + Duration::seconds(seconds));
        assert!(at(300).is_ok() && at(-300).is_ok());
        assert_eq!(at(301).unwrap_err().reason_code(), "proof_expired");
        assert_eq!(at(901).unwrap_err().reason_code(), "token_expired");
        assert_eq!(at(-301).unwrap_err().reason_code(), "token_from_future");
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let region = Region::parse("eu-west-1").unwrap();
        assert!(mint_hub_proof(&ana(), "a/b", &region, HUB, now()).is_err());
        let endless = Credentials { session_token: Some(SessionToken::new("x".repeat(5_000))), ..ana() };
        let refused = mint_hub_proof(&endless, HOST, &region, HUB, now()).unwrap_err();
        assert!(matches!(refused, MintError::TooLong(_)), "{refused}");
    }
}

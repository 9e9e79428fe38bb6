//! Projected ServiceAccount tokens of Kubernetes: of which pod on which node somebody bears one.
//!
//! Such a token is a JWT of its cluster's own issuer with a claim `kubernetes.io` beside the registered ones (Kubernetes,
//! "Schema for service account private claims"; KEP-4193 for the node). Here it has to be bound to a pod, and by that to a node:
//! a token of a Secret, or one that was asked for without a pod, is anybody's who got hold of it.

mod kept;

use std::fmt;

use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};

pub use self::kept::KeptTokens;

use crate::algorithm::Algorithm;
use crate::claims::Claims;
use crate::jwks::Jwks;
use crate::jwt::Jwt;
use crate::refusal::JwtRefusal;
use crate::shown::shown;
use crate::verify::{Expected, inspect, verify};

/// What an API server signs with (kube-apiserver, `--service-account-signing-key-file`; KEP-740 allows external signers the same).
/// Which of them a token may have, its key says.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384, Algorithm::Es512];
/// The claim that Kubernetes puts its own into.
const KUBERNETES: &str = "kubernetes.io";
/// What a ServiceAccount's `sub` begins with.
const SUBJECT_PREFIX: &str = "system:serviceaccount:";
/// Longest name of an object, in bytes (Kubernetes: a DNS subdomain).
const NAME_BYTES_MAX: usize = 253;
/// How long after its issue a token by a key that nobody knows may be nobody's fault: the keys of a cluster's issuer are read each
/// minute.
const KEYS_ARRIVE_WITHIN: Duration = Duration::minutes(3);
/// Longest uid, in bytes. Kubernetes writes UUIDs, of 36.
const UID_BYTES_MAX: usize = 128;

/// An object of the cluster, as it was when the token was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundObject {
    /// Its name.
    pub name: String,
    /// Its uid: one of the same name, made later, has another.
    pub uid: String,
}

/// What a projected token proves. There is no way to have one but from a token that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccountToken {
    /// The namespace of ServiceAccount and pod.
    pub namespace: String,
    /// Whose it is.
    pub service_account: BoundObject,
    /// The pod that it was projected into.
    pub pod: BoundObject,
    /// The node that the pod runs on.
    pub node: BoundObject,
    /// From when on it is not good any more.
    pub expires_at: OffsetDateTime,
}

/// Why a token proves no pod. As [`JwtRefusal`], it repeats no more of the token than the beginning of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceAccountRefusal {
    /// It is refused as any token of the issuer would be.
    #[error(transparent)]
    Jwt(#[from] JwtRefusal),
    /// It is for others too, each of whom could bear it here.
    #[error(
        "the token has {count} audiences, it has to be for `{expected}` alone: project one with that audience"
    )]
    Audiences {
        /// How many.
        count: usize,
        /// The only one that it may have.
        expected: String,
    },
    /// The claim that makes it a token of Kubernetes is not there.
    #[error(
        "the token has no claim `kubernetes.io`: it is none that an API server issued for a ServiceAccount"
    )]
    NotOfKubernetes,
    /// It is bound to no pod, or to none on a node.
    #[error(
        "the token is not bound to a {0}: use the one that is projected into the pod (the node is in those of Kubernetes 1.30 and later)"
    )]
    Unbound(&'static str),
    /// A part of that claim is not what Kubernetes writes.
    #[error("the claim `kubernetes.io` has a {part} that is none of Kubernetes: {rule}")]
    Claim {
        /// Which.
        part: &'static str,
        /// What it has to be.
        rule: &'static str,
    },
    /// `sub` is another than the claim says.
    #[error("the token is of the subject `{found}`, and its claim `kubernetes.io` says `{expected}`")]
    Subject {
        /// What `sub` says, cut short.
        found: String,
        /// What it has to say.
        expected: String,
    },
}

impl ServiceAccountRefusal {
    /// A stable name for the refusal, in snake case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Jwt(refusal) => refusal.code(),
            Self::Audiences { .. } => "several_audiences",
            Self::NotOfKubernetes => "not_of_kubernetes",
            Self::Unbound(_) => "token_unbound",
            Self::Claim { .. } => "kubernetes_claim",
            Self::Subject { .. } => "subject_mismatch",
        }
    }

    /// Whether the refused token says that it was issued a moment ago, by a key that is not known: then the issuer may have begun to
    /// sign by a new one, of which whoever verifies will hear. Nobody gets anything by saying so, but to be asked to come again.
    #[must_use]
    pub fn may_be_of_a_new_key(&self, raw: &str, now: OffsetDateTime) -> bool {
        if !matches!(self, Self::Jwt(JwtRefusal::UnknownKey(_))) {
            return false;
        }
        let issued_at = inspect(raw, now).ok().and_then(|inspected| inspected.claims.get("iat")?.as_i64());
        let issued_at = issued_at.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        issued_at.and_then(|moment| moment.checked_add(KEYS_ARRIVE_WITHIN)).is_some_and(|until| until >= now)
    }
}

impl ServiceAccountToken {
    /// Proves that the cluster with this issuer and these keys has issued the token for the audience and nobody else, to a pod
    /// that runs on a node, and that it holds now. `nbf` and `iat` may be [`crate::CLOCK_LEEWAY`] ahead, `exp` may not have passed.
    ///
    /// # Errors
    /// [`ServiceAccountRefusal`]: the token does not prove it.
    pub fn verify(
        raw: &str,
        issuer: &str,
        keys: &Jwks,
        audience: &str,
        now: OffsetDateTime,
    ) -> Result<Self, ServiceAccountRefusal> {
        Self::verify_jwt(Jwt::parse(raw)?, issuer, keys, audience, now)
    }

    /// The same of a token that was taken apart before, to find out whose it would be.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_jwt(
        jwt: Jwt<'_>,
        issuer: &str,
        keys: &Jwks,
        audience: &str,
        now: OffsetDateTime,
    ) -> Result<Self, ServiceAccountRefusal> {
        let algorithms = ALGORITHMS.into_iter().collect();
        let expected = Expected { issuer, audiences: &[audience], algorithms };
        let claims = verify(jwt, keys, &expected, now)?;
        let count = claims.audiences().len();
        if count != 1 {
            return Err(ServiceAccountRefusal::Audiences { count, expected: audience.to_owned() });
        }
        Self::of(&claims)
    }

    fn of(claims: &Claims) -> Result<Self, ServiceAccountRefusal> {
        let own = claims.iter().find(|(name, _)| *name == KUBERNETES).map(|(_, value)| value);
        let own = own.and_then(Value::as_object).ok_or(ServiceAccountRefusal::NotOfKubernetes)?;
        let namespace = own.get("namespace").and_then(Value::as_str).unwrap_or_default();
        if !is_name(namespace) || namespace.contains('.') {
            let rule = "lower-case letters, digits and inner hyphens";
            return Err(ServiceAccountRefusal::Claim { part: "namespace", rule });
        }
        let service_account = object(own, "serviceaccount")?.ok_or(ServiceAccountRefusal::NotOfKubernetes)?;
        // Neither part has a colon, so that a subject is of one ServiceAccount alone.
        let expected = Subject { namespace, name: &service_account.name }.to_string();
        if claims.subject() != expected {
            return Err(ServiceAccountRefusal::Subject { found: shown(claims.subject()), expected });
        }
        let pod = object(own, "pod")?.ok_or(ServiceAccountRefusal::Unbound("pod"))?;
        let node = object(own, "node")?.ok_or(ServiceAccountRefusal::Unbound("node"))?;
        let (namespace, expires_at) = (namespace.to_owned(), claims.expires_at());
        Ok(Self { namespace, service_account, pod, node, expires_at })
    }
}

/// `sub` of a ServiceAccount's token.
struct Subject<'a> {
    namespace: &'a str,
    name: &'a str,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SUBJECT_PREFIX}{}:{}", self.namespace, self.name)
    }
}

/// An object that the claim names, if it does.
fn object(
    own: &Map<String, Value>,
    part: &'static str,
) -> Result<Option<BoundObject>, ServiceAccountRefusal> {
    let Some(value) = own.get(part).filter(|value| !value.is_null()) else { return Ok(None) };
    let text = |member: &str| value.get(member).and_then(Value::as_str).unwrap_or_default();
    let (name, uid) = (text("name"), text("uid"));
    if !is_name(name) {
        let rule = "its name is 1 to 253 lower-case letters, digits, and inner hyphens and dots";
        return Err(ServiceAccountRefusal::Claim { part, rule });
    }
    if !is_uid(uid) {
        let rule = "its uid is 1 to 128 letters, digits and hyphens";
        return Err(ServiceAccountRefusal::Claim { part, rule });
    }
    Ok(Some(BoundObject { name: name.to_owned(), uid: uid.to_owned() }))
}

/// A DNS subdomain, as Kubernetes has names.
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= NAME_BYTES_MAX && text.split('.').all(label)
}

fn is_uid(text: &str) -> bool {
    (1..=UID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests;

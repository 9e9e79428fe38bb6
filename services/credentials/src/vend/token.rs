//! The token that a pod shows, held against the issuer of its cluster.

use lanyard_api::{
    CallError, Fault,
    credentials::{POD_IDENTITY_AUDIENCE, VendRefusal},
};
use lanyard_oidc::{JwtRefusal, ServiceAccountRefusal, ServiceAccountToken};
use time::OffsetDateTime;

use super::source::PodIdentity;
use crate::snapshot::KnownIssuer;

/// The pod that a token proves, by the keys of this very cluster's issuer.
///
/// # Errors
/// [`VendRefusal::ExpiredToken`], [`VendRefusal::InvalidToken`]; a fault for a token that was issued a moment ago by a key that the
/// hub has not been told of yet.
pub(super) fn proven(raw: &str, issuer: &KnownIssuer, now: OffsetDateTime) -> Result<PodIdentity, CallError> {
    let (url, keys) = (&issuer.record.issuer_url, &issuer.jwks);
    match ServiceAccountToken::verify(raw, url, keys, POD_IDENTITY_AUDIENCE, now) {
        Ok(token) => Ok(pod(token)),
        Err(refusal) => Err(refused(raw, &refusal, now)),
    }
}

fn pod(token: ServiceAccountToken) -> PodIdentity {
    let ServiceAccountToken { namespace, service_account, pod, node, .. } = token;
    PodIdentity {
        namespace,
        service_account: service_account.name,
        service_account_uid: service_account.uid,
        pod: pod.name,
        pod_uid: pod.uid,
        node: node.name,
        node_uid: node.uid,
    }
}

fn refused(raw: &str, refusal: &ServiceAccountRefusal, now: OffsetDateTime) -> CallError {
    match refusal {
        ServiceAccountRefusal::Jwt(JwtRefusal::Expired(_)) => VendRefusal::ExpiredToken.because(refusal),
        _ if refusal.may_be_of_a_new_key(raw, now) => {
            let detail = "the hub does not know the key yet that signed the token: it reads them each minute; try again";
            let part = "the keys of the cluster's issuer".into();
            CallError::Fault(Fault::Unavailable { part, detail: detail.into() })
        }
        _ => VendRefusal::InvalidToken.because(refusal),
    }
}

//! The token that a pod shows, held against the issuer of its cluster.

use lanyard_api::{
    CallError, Fault,
    credentials::{POD_IDENTITY_AUDIENCE, VendRefusal},
};
use lanyard_oidc::{Jwt, JwtRefusal, ServiceAccountRefusal, ServiceAccountToken};
use time::OffsetDateTime;

use super::source::PodIdentity;
use crate::snapshot::KnownIssuer;

/// Verifies a token by the keys of this very cluster's issuer; `parsed` is what came of taking it apart.
///
/// # Errors
/// [`VendRefusal::ExpiredToken`], [`VendRefusal::InvalidToken`]; a fault for a token that was issued a moment ago by a key that the
/// hub has not been told of yet.
pub(super) fn verified(
    raw: &str,
    parsed: Result<Jwt<'_>, JwtRefusal>,
    issuer: &KnownIssuer,
    now: OffsetDateTime,
) -> Result<ServiceAccountToken, CallError> {
    let (url, keys) = (&issuer.record.issuer_url, &issuer.jwks);
    let verify = |jwt| ServiceAccountToken::verify_jwt(jwt, url, keys, POD_IDENTITY_AUDIENCE, now);
    let verified = parsed.map_err(ServiceAccountRefusal::from).and_then(verify);
    verified.map_err(|refusal| refused(raw, &refusal, now))
}

/// The pod that a token proves.
pub(super) fn pod(token: &ServiceAccountToken) -> PodIdentity {
    let ServiceAccountToken { namespace, service_account, pod, node, .. } = token;
    PodIdentity {
        namespace: namespace.clone(),
        service_account: service_account.name.clone(),
        service_account_uid: service_account.uid.clone(),
        pod: pod.name.clone(),
        pod_uid: pod.uid.clone(),
        node: node.name.clone(),
        node_uid: node.uid.clone(),
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

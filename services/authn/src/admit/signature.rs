//! The signature of a call: SigV4 as service `lanyard`, over method, host, hub, nonce and the message's hash.

use lanyard_api::authn::AdmitQuery;
use lanyard_api::signing::{HUB_ID_HEADER, NONCE_HEADER, SERVICE};
use lanyard_api::{Denial, HubId, SignatureUse};
use lanyard_iam::sigv4::Expected;
use lanyard_iam::token::CLUSTER_ID_HEADER;
use lanyard_iam::{HttpRequest, PayloadHash, SignedRequest};
use lanyard_kit::telemetry::names;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::denial::denial;
use crate::local_keys::Signer;

/// What a signature has to cover, beside `host` and whatever else begins with `x-amz-`.
pub(super) const REQUIRED: [&str; 4] = ["x-amz-content-sha256", "x-amz-date", HUB_ID_HEADER, NONCE_HEADER];
/// Fewest and most characters of a nonce.
const NONCE_CHARS: std::ops::RangeInclusive<usize> = 16..=64;

/// The headers as they were signed: those that came, with the authority as `host`.
pub(super) fn with_host<'a>(
    authority: &'a str,
    came: &'a [(String, String)],
) -> Result<Vec<(&'a str, &'a str)>, Denial> {
    let mut headers: Vec<(&str, &str)> = Vec::with_capacity(came.len() + 1);
    headers.push(("host", authority));
    for (name, value) in came {
        if !name.eq_ignore_ascii_case("host") {
            headers.push((name, value));
        } else if value != authority {
            let message = "the host header differs from the authority that was addressed; send one";
            return Err(denial("host", message));
        }
    }
    Ok(headers)
}

/// What signs a cluster's id proves nothing but who signed.
pub(super) fn cluster_token() -> Denial {
    let message = "what signs a cluster's id is a client token, which every cluster sees: it proves no management call; sign \
                   for this hub";
    denial("cluster_token", message)
}

/// The headers of a gRPC call, which have to name this hub and a nonce.
pub(super) fn headers(query: &AdmitQuery, hub: HubId) -> Result<Vec<(&str, &str)>, Denial> {
    let headers = with_host(&query.authority, &query.headers)?;
    if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(CLUSTER_ID_HEADER)) {
        return Err(cluster_token());
    }
    let one = |name: &str| {
        let mut values =
            headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
        values.next().filter(|_| values.next().is_none())
    };
    if one(HUB_ID_HEADER) != Some(hub.to_string().as_str()) {
        let message = format!("`{HUB_ID_HEADER}` has to stand once and name this hub, `{hub}`; sign for it");
        return Err(denial("wrong_hub", message));
    }
    let is_nonce = |text: &str| {
        NONCE_CHARS.contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if !one(NONCE_HEADER).is_some_and(is_nonce) {
        let message =
            format!("`{NONCE_HEADER}` has to stand once, with 16 to 64 letters, digits, `-` and `_`");
        return Err(denial("nonce", message));
    }
    Ok(headers)
}

/// The call as it was signed.
pub(super) fn request<'a>(query: &'a AdmitQuery, headers: &'a [(&'a str, &'a str)]) -> HttpRequest<'a> {
    HttpRequest { method: "POST", path: &query.method, query: "", headers }
}

/// Judges every part but the signature itself.
pub(super) fn parse<'a>(
    request: &HttpRequest<'a>,
    region: &str,
    now: OffsetDateTime,
) -> Result<SignedRequest<'a>, Denial> {
    let expected = Expected { required_headers: &REQUIRED, ..Expected::new(region, SERVICE, now) };
    SignedRequest::parse(request, &expected).map_err(|error| denial(error.reason_code(), error.to_string()))
}

/// Verifies the signature over the message's bytes as they came. The region is the hub's, which [`parse`] has required.
pub(super) fn verify(
    signer: &Signer,
    signed: &SignedRequest<'_>,
    request: &HttpRequest<'_>,
    region: &str,
    body: &[u8],
) -> Result<(), Denial> {
    let payload = PayloadHash::of(body);
    let verify = |key: &_| signed.verify(request, &payload, key);
    let verified = signer.secret.verify(signed.date().day(), region, SERVICE, verify);
    verified.map_err(|mismatch| {
        tell_mismatch(signed, request, &payload);
        denial(mismatch.reason_code(), format!("{mismatch}; sign the call as it is sent"))
    })
}

/// Says in the log what was verified, for whoever looks for the difference to what was signed. That is for debugging alone: it tells
/// a client's affairs, though none of its secrets, and nobody else is told it.
pub(super) fn tell_mismatch(signed: &SignedRequest<'_>, request: &HttpRequest<'_>, payload: &PayloadHash) {
    tracing::debug!(
        { names::CANONICAL_REQUEST } = signed.canonical_request(request, payload),
        "a signature does not fit the request"
    );
}

/// One use of a signature, to be known again until it is too old for any replica's clock: by who signed, and by the signature or
/// what it is of.
pub(super) fn use_of(by: &str, signed: &[u8], not_after: OffsetDateTime, hub: HubId) -> SignatureUse {
    let mut hash = Sha256::new();
    hash.update((by.len() as u64).to_be_bytes());
    hash.update(by);
    hash.update(hub.0.as_bytes());
    hash.update(signed);
    SignatureUse { digest: hash.finalize().into(), expires_at: not_after + Expected::SKEW_MAX }
}

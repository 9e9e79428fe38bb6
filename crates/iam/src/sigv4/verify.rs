//! Verifying signed requests.

use std::borrow::Cow;
use std::fmt;

use time::{Duration, OffsetDateTime};

use super::authorization::{Authorization, Credential, signed_headers};
use super::canonical::{Canonical, canonical_query};
use super::presigned::{PresignedParts, SECURITY_TOKEN, SIGNATURE};
use super::redacted;
use super::{
    ALGORITHM, AmzDate, HttpRequest, PayloadHash, SigV4Error, Signature, SignatureMismatch, SigningKey,
    SigningStyle, StringToSign,
};
use crate::id::AccessKeyId;

/// What a signature has to be for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The region of the scope.
    pub region: &'a str,
    /// The service of the scope.
    pub service: &'a str,
    /// The time by this clock.
    pub now: OffsetDateTime,
    /// Headers that have to be there and signed, beside `host` and all `x-amz-*`; lower case.
    pub required_headers: &'a [&'a str],
    /// How this service wants its requests signed.
    pub style: SigningStyle,
    /// The longest lifetime that a presigned request may give itself.
    pub presign_expires_max: Duration,
    /// How long a presigned request counts from its date, whatever lifetime it gives itself, if any; none where that one counts.
    pub presign_age_max: Option<Duration>,
}

impl<'a> Expected<'a> {
    /// How old a header signature may be: AWS's rule for requests.
    pub const HEADER_AGE_MAX: Duration = Duration::minutes(5);
    /// How far ahead of this clock a signature may be dated.
    pub const SKEW_MAX: Duration = Duration::minutes(5);
    /// The longest lifetime of a presigned request, unless set otherwise: the life of a client token.
    pub const PRESIGN_EXPIRES_MAX: Duration = Duration::minutes(15);

    /// The usual style and limits, no further headers required.
    #[must_use]
    pub fn new(region: &'a str, service: &'a str, now: OffsetDateTime) -> Self {
        Self {
            region,
            service,
            now,
            required_headers: &[],
            style: SigningStyle::default(),
            presign_expires_max: Self::PRESIGN_EXPIRES_MAX,
            presign_age_max: None,
        }
    }
}

/// The signature parts of a request, judged in all but the signature itself.
#[derive(Clone)]
pub struct SignedRequest<'a> {
    access_key_id: AccessKeyId,
    scope: Scope<'a>,
    date: AmzDate,
    not_after: OffsetDateTime,
    signed_headers: Vec<Cow<'a, str>>,
    session_token: Option<Cow<'a, str>>,
    signature: Signature,
    presigned: bool,
    style: SigningStyle,
}

#[derive(Clone)]
struct Scope<'a> {
    region: Cow<'a, str>,
    service: Cow<'a, str>,
}

impl<'a> SignedRequest<'a> {
    /// Takes the signature from wherever the request has it; from both places or from none is refused.
    ///
    /// # Errors
    /// As [`SigV4Error`] says: every part is judged, except the signature.
    pub fn parse(request: &HttpRequest<'a>, expected: &Expected<'_>) -> Result<Self, SigV4Error> {
        let authorization = request.single_header("authorization")?;
        let parts = PresignedParts::parse(request.query)?;
        match (authorization, parts.is_signed()) {
            (Some(_), true) => Err(SigV4Error::SignedTwice),
            (Some(text), false) => Self::from_header(request, text, expected),
            (None, true) => Self::from_query(request, parts, expected),
            (None, false) => Err(SigV4Error::Unsigned),
        }
    }

    fn from_header(
        request: &HttpRequest<'a>,
        text: &'a str,
        expected: &Expected<'_>,
    ) -> Result<Self, SigV4Error> {
        let parsed = Authorization::parse(text)?;
        let date = request.single_header("x-amz-date")?.ok_or(SigV4Error::MissingDate)?;
        let date = AmzDate::parse(date).ok_or(SigV4Error::MalformedDate)?;
        let not_after = date.at().saturating_add(Expected::HEADER_AGE_MAX);
        judge_window(&date, not_after, expected.now)?;
        parsed.credential.scope.judge(expected.region, expected.service, &date)?;
        judge_headers(request, &parsed.signed_headers, expected)?;
        let session_token = request.single_header("x-amz-security-token")?.map(Cow::Borrowed);
        let Credential { access_key_id, scope } = parsed.credential;
        Ok(Self {
            access_key_id,
            scope: Scope { region: Cow::Borrowed(scope.region), service: Cow::Borrowed(scope.service) },
            date,
            not_after,
            signed_headers: parsed.signed_headers.into_iter().map(Cow::Borrowed).collect(),
            session_token,
            signature: parsed.signature,
            presigned: false,
            style: expected.style,
        })
    }

    fn from_query(
        request: &HttpRequest<'a>,
        parts: PresignedParts<'a>,
        expected: &Expected<'_>,
    ) -> Result<Self, SigV4Error> {
        let missing = SigV4Error::MissingParameter;
        if parts.algorithm.ok_or(missing("X-Amz-Algorithm"))? != ALGORITHM {
            return Err(SigV4Error::Algorithm);
        }
        let credential = parts.credential.ok_or(missing("X-Amz-Credential"))?;
        let credential = Credential::parse(&credential)?;
        let date =
            AmzDate::parse(&parts.date.ok_or(SigV4Error::MissingDate)?).ok_or(SigV4Error::MalformedDate)?;
        let given = || {
            let expires = parts.expires.ok_or(missing("X-Amz-Expires"))?;
            lifetime(&expires, expected.presign_expires_max)
        };
        let not_after = date.at().saturating_add(expected.presign_age_max.map_or_else(given, Ok)?);
        judge_window(&date, not_after, expected.now)?;
        credential.scope.judge(expected.region, expected.service, &date)?;
        let list = parts.signed_headers.ok_or(missing("X-Amz-SignedHeaders"))?;
        let names = signed_headers(&list)?;
        judge_headers(request, &names, expected)?;
        let signature = parts.signature.ok_or(missing(SIGNATURE))?;
        Ok(Self {
            scope: Scope {
                region: Cow::Owned(credential.scope.region.to_owned()),
                service: Cow::Owned(credential.scope.service.to_owned()),
            },
            access_key_id: credential.access_key_id,
            date,
            not_after,
            signed_headers: names.into_iter().map(|name| Cow::Owned(name.to_owned())).collect(),
            session_token: parts.security_token,
            signature: Signature::parse(&signature).ok_or(SigV4Error::MalformedSignature)?,
            presigned: true,
            style: expected.style,
        })
    }

    /// The key that claims to have signed.
    #[must_use]
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// The session token that came along; for keys of a session it is what the secret is looked up by.
    #[must_use]
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// When the request claims to be signed; its day is the signing key's.
    #[must_use]
    pub fn date(&self) -> AmzDate {
        self.date
    }

    /// Until when the signature counts, by its own date.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// The signature, for recognising a request that comes twice.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Whether the signature is in the query.
    #[must_use]
    pub fn is_presigned(&self) -> bool {
        self.presigned
    }

    /// Whether the signature covers this header (lower case).
    #[must_use]
    pub fn signs_header(&self, name: &str) -> bool {
        self.signed_headers.iter().any(|signed| signed == name)
    }

    /// Verifies the signature of the very request that was parsed, over the hash of the body as received.
    ///
    /// # Errors
    /// When request, body or key are not those that were signed with.
    pub fn verify(
        &self,
        request: &HttpRequest<'_>,
        payload: &PayloadHash,
        key: &SigningKey,
    ) -> Result<(), SignatureMismatch> {
        if request.header_values("x-amz-content-sha256").any(|claimed| claimed.trim() != payload.as_str()) {
            return Err(SignatureMismatch::Payload);
        }
        let names = self.signed_names();
        let query = self.query_of(request);
        let signature = key.sign(&StringToSign {
            date: self.date,
            region: &self.scope.region,
            service: &self.scope.service,
            canonical_request_sha256: self.canonical(request, &names, &query, payload).sha256(),
        });
        if signature.matches(&self.signature) { Ok(()) } else { Err(SignatureMismatch::Signature) }
    }

    /// The canonical request as it is made here, for whoever looks for what differs from the one that was signed (AWS: troubleshoot
    /// Signature Version 4). In place of a session token, or of another secret that a request may bear, stands the beginning of its
    /// SHA-256; what is longer than 8 KiB is cut.
    #[must_use]
    pub fn canonical_request(&self, request: &HttpRequest<'_>, payload: &PayloadHash) -> String {
        redacted::canonical(request, &self.query_of(request), |request, query| {
            let mut text = String::new();
            self.canonical(request, &self.signed_names(), query, payload).write(&mut text);
            text
        })
    }

    fn canonical<'c>(
        &self,
        request: &'c HttpRequest<'c>,
        signed_headers: &'c [&'c str],
        query: &'c str,
        payload: &'c PayloadHash,
    ) -> Canonical<'c> {
        Canonical { request, query, signed_headers, payload_sha256: payload.as_str(), style: self.style }
    }

    fn signed_names(&self) -> Vec<&str> {
        self.signed_headers.iter().map(AsRef::as_ref).collect()
    }

    /// The canonical query.
    fn query_of(&self, request: &HttpRequest<'_>) -> String {
        match request.query {
            "" => String::new(),
            query => canonical_query(query, |name| self.leaves_out(name)),
        }
    }

    fn leaves_out(&self, name: &str) -> bool {
        self.presigned
            && (name.eq_ignore_ascii_case(SIGNATURE)
                || !self.style.sign_session_token && name.eq_ignore_ascii_case(SECURITY_TOKEN))
    }
}

impl fmt::Debug for SignedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedRequest")
            .field("access_key_id", &self.access_key_id)
            .field("date", &self.date)
            .field("signed_headers", &self.signed_headers)
            .field("presigned", &self.presigned)
            .finish_non_exhaustive()
    }
}

/// Verifies a request signed by header, when the key is at hand.
///
/// # Errors
/// As [`SignedRequest::parse`] and [`SignedRequest::verify`] say; a presigned request is refused.
pub fn verify_headers(
    request: &HttpRequest<'_>,
    payload: &PayloadHash,
    key: &SigningKey,
    expected: &Expected<'_>,
) -> Result<(), VerifyError> {
    let signed = SignedRequest::parse(request, expected)?;
    if signed.presigned {
        return Err(SigV4Error::Unsigned.into());
    }
    Ok(signed.verify(request, payload, key)?)
}

/// Verifies a presigned request, when the key is at hand.
///
/// # Errors
/// As [`SignedRequest::parse`] and [`SignedRequest::verify`] say; a request signed by header is refused.
pub fn verify_presigned(
    request: &HttpRequest<'_>,
    payload: &PayloadHash,
    key: &SigningKey,
    expected: &Expected<'_>,
) -> Result<(), VerifyError> {
    let signed = SignedRequest::parse(request, expected)?;
    if !signed.presigned {
        return Err(SigV4Error::Unsigned.into());
    }
    Ok(signed.verify(request, payload, key)?)
}

/// Why a request whose key is at hand is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A part is out of order.
    #[error(transparent)]
    Parts(#[from] SigV4Error),
    /// The signature does not fit.
    #[error(transparent)]
    Mismatch(#[from] SignatureMismatch),
}

/// Whole seconds from 1 to the maximum; digits alone.
fn lifetime(text: &str, max: Duration) -> Result<Duration, SigV4Error> {
    let max_seconds = max.whole_seconds().unsigned_abs();
    let seconds = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    match seconds {
        Some(seconds) if seconds > 0 && u64::from(seconds) <= max_seconds => {
            Ok(Duration::seconds(seconds.into()))
        }
        _ => Err(SigV4Error::Expires { max_seconds }),
    }
}

/// Both ends of the window count: neither old nor from the future.
pub(super) fn judge_window(
    date: &AmzDate,
    not_after: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<(), SigV4Error> {
    if now > not_after {
        return Err(SigV4Error::TooOld { date: date.at(), not_after, now });
    }
    if date.at() > now + Expected::SKEW_MAX {
        let skew_seconds = Expected::SKEW_MAX.whole_seconds();
        return Err(SigV4Error::Future { date: date.at(), now, skew_seconds });
    }
    Ok(())
}

/// `host` and all `x-amz-*` headers have to be signed, and so has what this endpoint requires; what is named as signed
/// has to be there.
pub(super) fn judge_headers(
    request: &HttpRequest<'_>,
    signed: &[&str],
    expected: &Expected<'_>,
) -> Result<(), SigV4Error> {
    let is_signed = |name: &str| signed.iter().any(|signed| signed.eq_ignore_ascii_case(name));
    for name in ["host"].iter().chain(expected.required_headers) {
        if !is_signed(name) {
            return Err(SigV4Error::HeaderNotSigned((*name).to_owned()));
        }
        // A second value would be signed along with the first, and leave open which of them is read.
        request.single_header(name)?;
    }
    for (name, _) in request.headers {
        let is_amz = name.get(..6).is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-amz-"));
        let may_follow =
            !expected.style.sign_session_token && name.eq_ignore_ascii_case("x-amz-security-token");
        if is_amz && !may_follow && !is_signed(name) {
            return Err(SigV4Error::HeaderNotSigned(name.to_ascii_lowercase()));
        }
    }
    for name in signed {
        if request.header_values(name).next().is_none() {
            return Err(SigV4Error::SignedHeaderMissing((*name).to_owned()));
        }
    }
    Ok(())
}

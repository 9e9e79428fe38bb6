//! Signing requests.

use std::fmt;

use secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use super::canonical::{Canonical, canonical_query};
use super::encode::encode_into;
use super::presigned::SECURITY_TOKEN;
use super::{
    ALGORITHM, AmzDate, HttpRequest, PayloadHash, SCOPE_END, SIGNED_HEADERS_MAX, SigV4Error, Signature,
    SigningKey, SigningStyle, StringToSign,
};
use crate::id::{Credentials, SessionToken};

/// Headers that proxies and clients change under way, and that are not signed therefore.
const UNSIGNED_HEADERS: [&str; 5] =
    ["connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"];

/// Signs requests of one key for one region and service.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// Who signs.
    pub credentials: &'a Credentials,
    /// The region of the scope.
    pub region: &'a str,
    /// The service of the scope.
    pub service: &'a str,
    /// How the service wants it.
    pub style: SigningStyle,
}

/// The headers to add to a request signed by header.
#[derive(Clone)]
pub struct SignedHeaders {
    date: AmzDate,
    content_sha256: Option<PayloadHash>,
    session_token: Option<SessionToken>,
    authorization: String,
}

impl SignedHeaders {
    /// Names (lower case) and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            Some(("x-amz-date", self.date.as_str())),
            self.content_sha256.as_ref().map(|hash| ("x-amz-content-sha256", hash.as_str())),
            self.session_token.as_ref().map(|token| ("x-amz-security-token", token.expose())),
            Some(("authorization", self.authorization.as_str())),
        ]
        .into_iter()
        .flatten()
    }
}

impl fmt::Debug for SignedHeaders {
    /// The values would let their reader act as the signer for a while.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedHeaders").field("date", &self.date).finish_non_exhaustive()
    }
}

/// Signs by header in the usual style.
///
/// # Errors
/// As [`Signer::sign_headers`] says.
pub fn sign_headers(
    credentials: &Credentials,
    region: &str,
    service: &str,
    request: &HttpRequest<'_>,
    payload: &PayloadHash,
    now: OffsetDateTime,
) -> Result<SignedHeaders, SigV4Error> {
    Signer::new(credentials, region, service).sign_headers(request, payload, now)
}

impl<'a> Signer<'a> {
    /// A signer in the usual style.
    #[must_use]
    pub fn new(credentials: &'a Credentials, region: &'a str, service: &'a str) -> Self {
        Self { credentials, region, service, style: SigningStyle::default() }
    }

    /// Signs all headers of the request (those aside that proxies change) and tells which to add. `host` has to be among
    /// them.
    ///
    /// # Errors
    /// When the request already carries parts of a signature, or has no `host`.
    pub fn sign_headers(
        &self,
        request: &HttpRequest<'_>,
        payload: &PayloadHash,
        now: OffsetDateTime,
    ) -> Result<SignedHeaders, SigV4Error> {
        let date = AmzDate::of(now);
        let content_sha256 = self.style.content_sha256_header.then_some(*payload);
        let session_token = self.credentials.session_token.clone();
        let mut headers: Vec<(&str, &str)> = request.headers.to_vec();
        refuse_signature_parts(request)?;
        headers.push(("x-amz-date", date.as_str()));
        if let Some(hash) = &content_sha256 {
            headers.push(("x-amz-content-sha256", hash.as_str()));
        }
        if let Some(token) = session_token.as_ref().filter(|_| self.style.sign_session_token) {
            headers.push(("x-amz-security-token", token.expose()));
        }
        let request = HttpRequest { headers: &headers, ..*request };
        let names = header_names(&request)?;
        let query = canonical_query(request.query, |_| false);
        let signature = self.signature(&request, &names, &query, payload, date);
        let mut authorization = String::with_capacity(256);
        authorization.push_str(ALGORITHM);
        authorization.push_str(" Credential=");
        self.push_credential(&date, &mut authorization);
        authorization.push_str(", SignedHeaders=");
        authorization.push_str(&names.join(";"));
        authorization.push_str(", Signature=");
        signature.push_hex(&mut authorization);
        Ok(SignedHeaders { date, content_sha256, session_token, authorization })
    }

    /// The whole query of the presigned request: its own parameters first, as they are, then those of the signature in
    /// the order of botocore. Whoever has it can send the request, so it is a secret.
    ///
    /// # Errors
    /// When the request already carries parts of a signature, has no `host`, or the lifetime is not whole seconds from 0.
    pub fn presign(
        &self,
        request: &HttpRequest<'_>,
        payload: &PayloadHash,
        now: OffsetDateTime,
        expires: Duration,
    ) -> Result<SecretString, SigV4Error> {
        const WEEK_SECONDS: u64 = 604_800;
        let expires_seconds = u64::try_from(expires.whole_seconds())
            .ok()
            .filter(|&seconds| seconds <= WEEK_SECONDS)
            .ok_or(SigV4Error::Expires { max_seconds: WEEK_SECONDS })?;
        refuse_signature_parts(request)?;
        let date = AmzDate::of(now);
        let names = header_names(request)?;
        let mut query = String::with_capacity(request.query.len() + 512);
        query.push_str(request.query);
        let push = |query: &mut String, name: &str, value: &str| {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(name);
            query.push('=');
            encode_into(value, query);
        };
        let mut credential = String::with_capacity(96);
        self.push_credential(&date, &mut credential);
        push(&mut query, "X-Amz-Algorithm", ALGORITHM);
        push(&mut query, "X-Amz-Credential", &credential);
        push(&mut query, "X-Amz-Date", date.as_str());
        push(&mut query, "X-Amz-Expires", &expires_seconds.to_string());
        push(&mut query, "X-Amz-SignedHeaders", &names.join(";"));
        if let Some(token) = &self.credentials.session_token {
            push(&mut query, SECURITY_TOKEN, token.expose());
        }
        let canonical =
            canonical_query(&query, |name| name == SECURITY_TOKEN && !self.style.sign_session_token);
        let signature = self.signature(request, &names, &canonical, payload, date);
        query.push_str("&X-Amz-Signature=");
        signature.push_hex(&mut query);
        Ok(SecretString::from(query))
    }

    fn signature(
        &self,
        request: &HttpRequest<'_>,
        names: &[String],
        query: &str,
        payload: &PayloadHash,
        date: AmzDate,
    ) -> Signature {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let canonical = Canonical {
            request,
            query,
            signed_headers: &names,
            payload_sha256: payload.as_str(),
            style: self.style,
        };
        let key =
            SigningKey::derive(&self.credentials.secret_access_key, date.day(), self.region, self.service);
        key.sign(&StringToSign {
            date,
            region: self.region,
            service: self.service,
            canonical_request_sha256: canonical.sha256(),
        })
    }

    fn push_credential(&self, date: &AmzDate, out: &mut String) {
        for part in [
            self.credentials.access_key_id.as_str(),
            "/",
            date.day(),
            "/",
            self.region,
            "/",
            self.service,
            "/",
            SCOPE_END,
        ] {
            out.push_str(part);
        }
    }
}

/// The names to sign: lower case, sorted, each once.
pub(super) fn header_names(request: &HttpRequest<'_>) -> Result<Vec<String>, SigV4Error> {
    let mut names: Vec<String> = request
        .headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .filter(|name| !UNSIGNED_HEADERS.contains(&name.as_str()))
        .collect();
    names.sort_unstable();
    names.dedup();
    if !names.iter().any(|name| name == "host") {
        return Err(SigV4Error::HeaderNotSigned("host".to_owned()));
    }
    if names.len() > SIGNED_HEADERS_MAX { Err(SigV4Error::TooManySignedHeaders) } else { Ok(names) }
}

/// A request that already carries a signature, or parts of one, would go out with two.
pub(super) fn refuse_signature_parts(request: &HttpRequest<'_>) -> Result<(), SigV4Error> {
    for name in ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"] {
        if request.header_values(name).next().is_some() {
            return Err(SigV4Error::AlreadySigned(name.to_owned()));
        }
    }
    for parameter in request.query.split('&') {
        let name = parameter.split('=').next().unwrap_or_default();
        if name.get(..6).is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-amz-")) {
            return Err(SigV4Error::AlreadySigned(name.to_owned()));
        }
    }
    Ok(())
}

//! AWS Signature Version 4, both directions: signing by header or by query, and verifying either.
//!
//! Signing: [`Signer`]. Verifying: [`SignedRequest::parse`] judges every part but the signature, so that the caller can
//! look up the key by [`SignedRequest::access_key_id`], derive or fetch its [`SigningKey`], and ask
//! [`SignedRequest::verify`]. Keys are derived apart from verifying because they are good for a day and worth keeping.

mod authorization;
mod canonical;
mod claimed;
mod date;
mod encode;
mod err;
mod key;
mod presigned;
mod redacted;
mod sign;
mod verify;
mod x509;

#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;

use std::fmt;

use sha2::{Digest as _, Sha256};

pub use authorization::Authorization;
pub use claimed::ClaimedScope;
pub use date::{AMZ_DATE_LENGTH, AmzDate};
pub use err::{SigV4Error, SignatureMismatch};
pub use key::{Signature, SigningKey};
pub use sign::{SignedHeaders, Signer, sign_headers};
pub use verify::{Expected, SignedRequest, VerifyError, verify_headers, verify_presigned};
pub use x509::{
    CERTIFICATE_HEADER, CHAIN_HEADER, CertificateSignedRequest, CertificateSigner, CertificateSignerError,
    X509_ALGORITHM,
};

pub(crate) use encode::{decode_into, encode_into, has_valid_escapes};
pub use encode::{decode_query, decode_segment, percent_encoded};
pub(crate) use key::StringToSign;

/// The algorithm's name on the wire; of those that access keys sign by the only one that is accepted.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How the names of all of AWS's algorithms begin.
pub(crate) const ALGORITHM_PREFIX: &str = "AWS4-";
/// The last part of every credential scope.
pub(crate) const SCOPE_END: &str = "aws4_request";
/// Most headers that a signature may name. Clients sign fewer than a dozen.
pub const SIGNED_HEADERS_MAX: usize = 64;
/// Most query parameters of a signed request.
pub const QUERY_PARAMETERS_MAX: usize = 256;

/// A request as it is signed: everything as on the wire.
#[derive(Clone, Copy)]
pub struct HttpRequest<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The raw path, still percent-encoded.
    pub path: &'a str,
    /// The raw query, without `?`; empty when there is none.
    pub query: &'a str,
    /// All headers, in order, names in any case. Over HTTP/2, `host` is the authority.
    pub headers: &'a [(&'a str, &'a str)],
}

impl fmt::Debug for HttpRequest<'_> {
    /// Method, path and header names: values and the query may hold session tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

impl<'a> HttpRequest<'a> {
    /// The values of a header, in order.
    pub(crate) fn header_values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The value of a header that may stand at most once.
    pub(crate) fn single_header(&self, name: &str) -> Result<Option<&'a str>, SigV4Error> {
        let mut values = self.header_values(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value.map(str::trim)),
            _ => Err(SigV4Error::DuplicateHeader(name.to_owned())),
        }
    }
}

/// The SHA-256 of a body, in lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PayloadHash([u8; 64]);

impl PayloadHash {
    /// Hashes a body.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(hex_of(&Sha256::digest(body).into()))
    }

    /// The 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The SHA-256 of no bytes at all, which is what bodiless requests sign.
pub(crate) const EMPTY_BODY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl fmt::Debug for PayloadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a service wants its requests signed, where services differ. [`SigningStyle::default`] is what all but S3 want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningStyle {
    /// Whether `.`, `..` and repeated slashes are taken out of the path before it is signed.
    pub normalize_path: bool,
    /// Whether the path is encoded once more than on the wire (`%3A` is signed as `%253A`).
    pub encode_path_twice: bool,
    /// Whether the session token is covered by the signature. Where it is not, it is added to the finished request.
    pub sign_session_token: bool,
    /// Whether `x-amz-content-sha256` is sent and signed (signing by header only).
    pub content_sha256_header: bool,
}

impl Default for SigningStyle {
    fn default() -> Self {
        Self {
            normalize_path: true,
            encode_path_twice: true,
            sign_session_token: true,
            content_sha256_header: false,
        }
    }
}

/// Lower-case hex of a SHA-256 sized value, without allocating.
pub(crate) fn hex_of(bytes: &[u8; 32]) -> [u8; 64] {
    let mut out = [0u8; 64];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        }
    }
    out
}

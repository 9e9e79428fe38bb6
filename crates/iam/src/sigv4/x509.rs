//! Requests signed by the key of an X.509 certificate, which rides along in headers.
//!
//! The form is the one of AWS IAM Roles Anywhere ("Signing process"): what is signed is as in Signature Version 4, the algorithm
//! is `AWS4-X509-ECDSA-SHA256`, and in place of an access key the credential names the certificate's serial number. Whether the
//! certificate counts, and whose it is, is for the caller to find out.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::authorization::{AuthorizationParts, CredentialScope, signed_headers};
use super::canonical::{Canonical, canonical_query};
use super::sign::{header_names, refuse_signature_parts};
use super::verify::{judge_headers, judge_window};
use super::{
    AmzDate, Expected, HttpRequest, PayloadHash, SCOPE_END, SigV4Error, SignatureMismatch, SigningStyle,
    hex_of,
};

/// The algorithm's name on the wire.
pub const X509_ALGORITHM: &str = "AWS4-X509-ECDSA-SHA256";
/// The header with the certificate: DER in base64.
pub const CERTIFICATE_HEADER: &str = "x-amz-x509";
/// The header with the certificates between it and the root, comma-separated.
pub const CHAIN_HEADER: &str = "x-amz-x509-chain";
/// Most digits of a serial number: it has at most twenty bytes (RFC 5280, 4.1.2.2).
const SERIAL_DIGITS_MAX: usize = 49;
/// Most bytes of an ECDSA signature over P-256 in DER.
const SIGNATURE_BYTES_MAX: usize = 72;
/// Most certificates between one and its root. Lanyard has one.
const CHAIN_MAX: usize = 4;
/// Most characters of one certificate. Lanyard's have about a thousand.
const CERTIFICATE_CHARS_MAX: usize = 8 * 1024;

/// The signature parts of a request that a certificate's key signed, judged in all but certificate and signature.
#[derive(Clone)]
pub struct CertificateSignedRequest<'a> {
    serial: &'a str,
    scope: CredentialScope<'a>,
    date: AmzDate,
    not_after: OffsetDateTime,
    signed_headers: Vec<&'a str>,
    signature: Vec<u8>,
    chain: Vec<Vec<u8>>,
    style: SigningStyle,
}

impl<'a> CertificateSignedRequest<'a> {
    /// Whether an `Authorization` header is of this algorithm.
    #[must_use]
    pub fn is_claimed_by(authorization: &str) -> bool {
        authorization.trim_start().split(' ').next() == Some(X509_ALGORITHM)
    }

    /// Takes the signature from the `Authorization` header, and the certificates from theirs.
    ///
    /// # Errors
    /// As [`SigV4Error`] says.
    pub fn parse(request: &HttpRequest<'a>, expected: &Expected<'_>) -> Result<Self, SigV4Error> {
        let text = request.single_header("authorization")?.ok_or(SigV4Error::Unsigned)?;
        let (algorithm, parts) = AuthorizationParts::parse(text)?;
        if algorithm != X509_ALGORITHM {
            return Err(SigV4Error::Algorithm);
        }
        let (serial, scope) = CredentialScope::parse(parts.credential)?;
        if serial.is_empty()
            || serial.len() > SERIAL_DIGITS_MAX
            || !serial.bytes().all(|digit| digit.is_ascii_digit())
        {
            return Err(SigV4Error::MalformedCredential);
        }
        let signature = signature(parts.signature).ok_or(SigV4Error::MalformedEcdsaSignature)?;
        let date = request.single_header("x-amz-date")?.ok_or(SigV4Error::MissingDate)?;
        let date = AmzDate::parse(date).ok_or(SigV4Error::MalformedDate)?;
        let not_after = date.at().saturating_add(Expected::HEADER_AGE_MAX);
        judge_window(&date, not_after, expected.now)?;
        scope.judge(expected.region, expected.service, &date)?;
        let signed_headers = signed_headers(parts.signed_headers)?;
        judge_headers(request, &signed_headers, expected)?;
        let chain = chain(request)?;
        let style = expected.style;
        Ok(Self { serial, scope, date, not_after, signed_headers, signature, chain, style })
    }

    /// The certificates that came along, DER: the signer's own first, at least that one. Nothing of them is verified.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// The serial number that the credential names, in decimal.
    #[must_use]
    pub fn serial(&self) -> &str {
        self.serial
    }

    /// Until when the signature counts, by its own date.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// Verifies the signature of the very request that was parsed, over the hash of the body as received, by a public key (a
    /// point of P-256, uncompressed). The answer is the SHA-256 of what was signed, by which a call that comes twice is known:
    /// not of the signature, for of those there are several to one call.
    ///
    /// # Errors
    /// When request, body or key are not those that were signed with.
    pub fn verify(
        &self,
        request: &HttpRequest<'_>,
        payload: &PayloadHash,
        public_key: &[u8],
    ) -> Result<[u8; 32], SignatureMismatch> {
        if request.header_values("x-amz-content-sha256").any(|claimed| claimed.trim() != payload.as_str()) {
            return Err(SignatureMismatch::Payload);
        }
        let text = string_to_sign(
            request,
            &self.signed_headers,
            payload,
            self.style,
            self.date,
            self.scope.region,
            self.scope.service,
        );
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key);
        key.verify(text.as_bytes(), &self.signature).map_err(|_| SignatureMismatch::Signature)?;
        Ok(Sha256::digest(text.as_bytes()).into())
    }
}

impl fmt::Debug for CertificateSignedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateSignedRequest")
            .field("serial", &self.serial)
            .field("date", &self.date)
            .field("signed_headers", &self.signed_headers)
            .finish_non_exhaustive()
    }
}

/// The certificates of the headers, the signer's first.
fn chain(request: &HttpRequest<'_>) -> Result<Vec<Vec<u8>>, SigV4Error> {
    let malformed = |name: &'static str| SigV4Error::MalformedCertificate(name);
    let decode = |text: &str, name| {
        let text = text.trim();
        if text.len() > CERTIFICATE_CHARS_MAX {
            return Err(malformed(name));
        }
        STANDARD.decode(text).map_err(|_| malformed(name))
    };
    let own = request.single_header(CERTIFICATE_HEADER)?.ok_or(malformed(CERTIFICATE_HEADER))?;
    let mut chain = vec![decode(own, CERTIFICATE_HEADER)?];
    if let Some(above) = request.single_header(CHAIN_HEADER)? {
        if above.split(',').count() > CHAIN_MAX {
            return Err(malformed(CHAIN_HEADER));
        }
        for certificate in above.split(',') {
            chain.push(decode(certificate, CHAIN_HEADER)?);
        }
    }
    Ok(chain)
}

fn signature(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.is_empty() || pairs.len() > SIGNATURE_BYTES_MAX {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

fn string_to_sign(
    request: &HttpRequest<'_>,
    signed_headers: &[&str],
    payload: &PayloadHash,
    style: SigningStyle,
    date: AmzDate,
    region: &str,
    service: &str,
) -> String {
    let query = canonical_query(request.query, |_| false);
    let payload_sha256 = payload.as_str();
    let canonical = Canonical { request, query: &query, signed_headers, payload_sha256, style };
    let hash = hex_of(&canonical.sha256());
    let hash = std::str::from_utf8(&hash).unwrap_or_default();
    let (day, date) = (date.day(), date.as_str());
    format!("{X509_ALGORITHM}\n{date}\n{day}/{region}/{service}/{SCOPE_END}\n{hash}")
}

/// A certificate with its key, to sign by.
pub struct CertificateSigner {
    serial: String,
    /// As the headers have it.
    certificate: String,
    chain: String,
    key: EcdsaKeyPair,
}

/// Why nothing can be signed by a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateSignerError {
    /// There is none.
    #[error("there is no certificate; give the chain, the signer's own first")]
    NoCertificate,
    /// The serial number is none.
    #[error("the serial number of a certificate is decimal digits, at most 49")]
    Serial,
    /// The key is none, or of another kind.
    #[error("the key is no PKCS #8 key of P-256; give the one that was made with the certificate")]
    Key,
}

impl CertificateSigner {
    /// Of a chain (DER, the signer's own first, without the root), the serial number of the first, in decimal, and its key
    /// (PKCS #8, DER). That they belong together is for the caller to see, by [`Self::public_key`].
    ///
    /// # Errors
    /// [`CertificateSignerError`] names the part that does not do.
    pub fn new(chain: &[impl AsRef<[u8]>], serial: &str, key: &[u8]) -> Result<Self, CertificateSignerError> {
        let is_serial = !serial.is_empty()
            && serial.len() <= SERIAL_DIGITS_MAX
            && serial.bytes().all(|digit| digit.is_ascii_digit());
        if !is_serial {
            return Err(CertificateSignerError::Serial);
        }
        let (own, above) = chain.split_first().ok_or(CertificateSignerError::NoCertificate)?;
        let above: Vec<String> = above.iter().map(|certificate| STANDARD.encode(certificate)).collect();
        Ok(Self {
            serial: serial.to_owned(),
            certificate: STANDARD.encode(own),
            chain: above.join(","),
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key)
                .map_err(|_| CertificateSignerError::Key)?,
        })
    }

    /// The public half of the key: an uncompressed point of P-256.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// Signs all headers of the request (those aside that proxies change) and tells which to add. `host` has to be among
    /// them.
    ///
    /// # Errors
    /// When the request already carries parts of a signature, or has no `host`.
    pub fn sign_headers(
        &self,
        region: &str,
        service: &str,
        request: &HttpRequest<'_>,
        payload: &PayloadHash,
        now: OffsetDateTime,
    ) -> Result<Vec<(&'static str, String)>, SigV4Error> {
        refuse_signature_parts(request)?;
        let date = AmzDate::of(now);
        let mut added = vec![
            ("x-amz-date", date.as_str().to_owned()),
            ("x-amz-content-sha256", payload.as_str().to_owned()),
            (CERTIFICATE_HEADER, self.certificate.clone()),
        ];
        if !self.chain.is_empty() {
            added.push((CHAIN_HEADER, self.chain.clone()));
        }
        let mut headers: Vec<(&str, &str)> = request.headers.to_vec();
        headers.extend(added.iter().map(|(name, value)| (*name, value.as_str())));
        let request = HttpRequest { headers: &headers, ..*request };
        let names = header_names(&request)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let style = SigningStyle::default();
        let text = string_to_sign(&request, &names, payload, style, date, region, service);
        // The library fails where the system has no randomness; then nothing is signed.
        let signature =
            self.key.sign(&SystemRandom::new(), text.as_bytes()).map_err(|_| SigV4Error::NoRandomness)?;
        let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let (serial, day, names) = (&self.serial, date.day(), names.join(";"));
        let authorization = format!(
            "{X509_ALGORITHM} Credential={serial}/{day}/{region}/{service}/{SCOPE_END}, SignedHeaders={names}, Signature={hex}"
        );
        added.push(("authorization", authorization));
        Ok(added)
    }
}

impl fmt::Debug for CertificateSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateSigner").field("serial", &self.serial).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

use lanyard_iam::sigv4::{Authorization, CERTIFICATE_HEADER, CertificateSignedRequest, Expected};
use lanyard_iam::{HttpRequest, PayloadHash, SecretAccessKey, SignedRequest, SigningKey};

use super::{NOW, promise};

/// The body that was signed.
const BODY: &[u8] = b"";
/// The key of AWS's documentation.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The public key of the certificate that the kept inputs have, whose private half nobody has.
const PUBLIC_KEY: [u8; 65] = [
    0x04, 0x2d, 0xcd, 0x34, 0xdb, 0x39, 0x48, 0xcc, 0x7c, 0xa9, 0x49, 0x9e, 0xbb, 0x9a, 0x29, 0xb1, 0x15,
    0x62, 0xf9, 0x3d, 0xf1, 0x3f, 0x4e, 0x9f, 0xf3, 0x9d, 0xfc, 0xe6, 0x83, 0x8e, 0xab, 0xf1, 0x9c, 0x22,
    0x8a, 0x1b, 0x48, 0x06, 0xfa, 0xc1, 0xa1, 0x04, 0xe5, 0x73, 0x5e, 0x41, 0x4f, 0xee, 0xd5, 0xdd, 0x8d,
    0x9d, 0x0a, 0xd2, 0xa7, 0x25, 0xc0, 0x2f, 0xea, 0x06, 0x1a, 0xbf, 0xfc, 0xe0, 0xf6,
];

/// A signed request: the `Authorization` header's value, then headers as `name: value`, a line each; a line that begins
/// with `?` is the query. Accepted means that the signature verifies.
pub fn authorization(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let mut lines = text.lines();
    let value = lines.next().unwrap_or_default();
    if let Err(error) = Authorization::parse(value) {
        promise::is_one_bounded_line(&error.to_string());
        promise::is_reason_code(error.reason_code());
    }
    let (mut headers, mut query) = (Vec::new(), "");
    if !value.is_empty() {
        headers.push(("authorization", value));
    }
    for line in lines {
        match (line.strip_prefix('?'), line.split_once(':')) {
            (Some(rest), _) => query = rest,
            (None, Some((name, value))) => headers.push((name, value.trim())),
            (None, None) => {}
        }
    }
    let path = "/lanyard.mapping.v1.Entries/CreateAccessEntry";
    let request = HttpRequest { method: "POST", path, query, headers: &headers };
    if CertificateSignedRequest::is_claimed_by(value) { judge_certificate(&request) } else { judge(&request) }
}

/// The same, signed by the key of a certificate.
fn judge_certificate(request: &HttpRequest<'_>) -> bool {
    let mut expected = Expected::new("us-east-1", "lanyard", NOW);
    expected.required_headers = &["x-lanyard-hub-id", "x-lanyard-nonce", CERTIFICATE_HEADER];
    let signed = match CertificateSignedRequest::parse(request, &expected) {
        Ok(signed) => signed,
        Err(error) => {
            promise::is_one_bounded_line(&error.to_string());
            promise::is_reason_code(error.reason_code());
            return false;
        }
    };
    assert!(!signed.chain().is_empty() && !signed.serial().is_empty(), "a certificate that is none");
    assert!(signed.not_after() >= NOW, "a signature past its time");
    let verifies =
        |request: &HttpRequest<'_>, body| signed.verify(request, &PayloadHash::of(body), &PUBLIC_KEY).is_ok();
    verifies(request, BODY) && is_for_nothing_else(request, verifies)
}

/// Other requests that a signature must not fit; true, or a panic.
fn is_for_nothing_else(
    request: &HttpRequest<'_>,
    verifies: impl Fn(&HttpRequest<'_>, &'static [u8]) -> bool,
) -> bool {
    for other in [
        HttpRequest { method: "GET", ..*request },
        HttpRequest { path: "/lanyard.mapping.v1.Entries/DeleteAccessEntry", ..*request },
        HttpRequest { query: "x=y", ..*request },
    ] {
        assert!(!verifies(&other, BODY), "the signature is good for another request too: {other:?}");
    }
    assert!(!verifies(request, b"x"), "the signature is good for another body too");
    true
}

fn judge(request: &HttpRequest<'_>) -> bool {
    let mut expected = Expected::new("us-east-1", "lanyard", NOW);
    expected.required_headers = &["x-lanyard-hub-id", "x-lanyard-nonce"];
    let signed = match SignedRequest::parse(request, &expected) {
        Ok(signed) => signed,
        Err(error) => {
            promise::is_one_bounded_line(&error.to_string());
            promise::is_reason_code(error.reason_code());
            return false;
        }
    };
    for name in ["host", "x-lanyard-hub-id", "x-lanyard-nonce"] {
        assert!(signed.signs_header(name), "`{name}` does not have to be signed");
    }
    assert!(signed.not_after() >= NOW, "a signature past its time");
    let secret = SecretAccessKey::new(SECRET.to_owned());
    let key = SigningKey::derive(&secret, signed.date().day(), "us-east-1", "lanyard");
    let verifies =
        |request: &HttpRequest<'_>, body| signed.verify(request, &PayloadHash::of(body), &key).is_ok();
    verifies(request, BODY) && is_for_nothing_else(request, verifies)
}

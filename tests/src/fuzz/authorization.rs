use lanyard_iam::sigv4::{Authorization, Expected};
use lanyard_iam::{HttpRequest, PayloadHash, SecretAccessKey, SignedRequest, SigningKey};

use super::{NOW, promise};

/// The body that was signed.
const BODY: &[u8] = b"";
/// The key of AWS's documentation.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

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
    judge(&HttpRequest { method: "POST", path, query, headers: &headers })
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
    if !verifies(request, BODY) {
        return false;
    }
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

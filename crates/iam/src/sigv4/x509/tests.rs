use proptest::prelude::*;
use time::Duration;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
const REGION: &str = "eu-west-1";
const SERVICE: &str = "lanyard";
const SERIAL: &str = "123456789";

/// A signer whose certificate is no certificate, and its public key.
fn signer() -> (CertificateSigner, Vec<u8>) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
    let signer = CertificateSigner::new(&["leaf", "issuer"], SERIAL, pkcs8.as_ref()).unwrap();
    (signer, pair.public_key().as_ref().to_vec())
}

/// What was signed, with what was added.
type Headers = Vec<(String, String)>;

fn signed(signer: &CertificateSigner, body: &[u8]) -> Headers {
    let own = [("host", "hub:8444"), ("x-lanyard-nonce", "0123456789abcdef")];
    let request = HttpRequest { method: "POST", path: "/a.B/C", query: "", headers: &own };
    let added = signer.sign_headers(REGION, SERVICE, &request, &PayloadHash::of(body), NOW).unwrap();
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    own.into_iter().chain(added.into_iter().map(|(name, value)| (name.to_owned(), value))).collect()
}

/// The code of the refusal, if any.
fn judged(
    headers: &Headers,
    path: &str,
    body: &[u8],
    now: OffsetDateTime,
    key: &[u8],
) -> Result<[u8; 32], &'static str> {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let request = HttpRequest { method: "POST", path, query: "", headers: &headers };
    let required = ["x-amz-content-sha256", CERTIFICATE_HEADER, "x-lanyard-nonce"];
    let expected = Expected { required_headers: &required, ..Expected::new(REGION, SERVICE, now) };
    let parsed = CertificateSignedRequest::parse(&request, &expected).map_err(|error| error.reason_code())?;
    assert_eq!((parsed.serial(), parsed.chain()), (SERIAL, &[b"leaf".to_vec(), b"issuer".to_vec()][..]));
    parsed.verify(&request, &PayloadHash::of(body), key).map_err(SignatureMismatch::reason_code)
}

fn with(headers: &Headers, name: &str, value: &str) -> Headers {
    let mut headers = headers.clone();
    headers.retain(|(known, _)| known != name);
    headers.push((name.to_owned(), value.to_owned()));
    headers
}

#[test]
fn a_signature_is_for_one_method_body_header_and_time() {
    let (signer, key) = signer();
    let headers = signed(&signer, b"body");
    let first = judged(&headers, "/a.B/C", b"body", NOW, &key).unwrap();
    let other_key = self::signer().1;
    let cases = [
        (headers.clone(), "/a.B/D", &b"body"[..], NOW, &key, "signature_mismatch"),
        (headers.clone(), "/a.B/C", b"other", NOW, &key, "payload_hash_mismatch"),
        (headers.clone(), "/a.B/C", b"body", NOW, &other_key, "signature_mismatch"),
        (headers.clone(), "/a.B/C", b"body", NOW + Duration::minutes(6), &key, "signature_too_old"),
        (headers.clone(), "/a.B/C", b"body", NOW - Duration::minutes(6), &key, "signature_from_future"),
        (with(&headers, "host", "other:1"), "/a.B/C", b"body", NOW, &key, "signature_mismatch"),
        (
            with(&headers, "x-lanyard-nonce", "another-nonce-00"),
            "/a.B/C",
            b"body",
            NOW,
            &key,
            "signature_mismatch",
        ),
        (
            with(&headers, "x-amz-date", "99991231T235959Z"),
            "/a.B/C",
            b"body",
            NOW,
            &key,
            "signature_from_future",
        ),
        (with(&headers, "x-amz-extra", "1"), "/a.B/C", b"body", NOW, &key, "header_not_signed"),
        (with(&headers, CERTIFICATE_HEADER, "%"), "/a.B/C", b"body", NOW, &key, "malformed_certificate"),
    ];
    for (headers, path, body, now, key, code) in cases {
        assert_eq!(judged(&headers, path, body, now, key), Err(code), "{code} {path}");
    }
    // Signed twice: two signatures of one call, which is known again.
    let again = signed(&signer, b"body");
    assert_ne!(again, headers);
    assert_eq!(judged(&again, "/a.B/C", b"body", NOW, &key), Ok(first));
}

#[test]
fn the_header_has_one_form() {
    let (signer, key) = signer();
    let headers = signed(&signer, b"");
    let authorization = &headers.iter().find(|(name, _)| name == "authorization").unwrap().1;
    assert!(CertificateSignedRequest::is_claimed_by(authorization));
    assert!(!CertificateSignedRequest::is_claimed_by("AWS4-HMAC-SHA256 Credential=x"));
    let cases = [
        (authorization.replace("X509-ECDSA", "HMAC"), "algorithm"),
        (authorization.replace(SERIAL, "12a"), "malformed_credential"),
        (authorization.replace(SERIAL, &"1".repeat(50)), "malformed_credential"),
        (authorization.replace(REGION, "us-east-1"), "scope_region"),
        (authorization.replace("/lanyard/", "/sts/"), "scope_service"),
        (authorization.replace("/20261124/", "/20261125/"), "scope_day"),
        (authorization.replace("Signature=", "Signature=0"), "malformed_signature"),
        (format!("{authorization}{}", "00".repeat(80)), "malformed_signature"),
        (authorization.replace(";x-amz-x509;", ";"), "header_not_signed"),
    ];
    for (text, code) in cases {
        let headers = with(&headers, "authorization", &text);
        assert_eq!(judged(&headers, "/a.B/C", b"", NOW, &key), Err(code), "{text}");
    }
}

#[test]
fn a_key_that_is_none_signs_nothing_and_none_is_printed() {
    let new = |chain: &[&str], serial: &str, key: &[u8]| CertificateSigner::new(chain, serial, key).map(drop);
    assert_eq!(new(&["leaf"], "1", b"no key"), Err(CertificateSignerError::Key));
    assert_eq!(new(&["leaf"], "", b""), Err(CertificateSignerError::Serial));
    assert_eq!(new(&[], "1", b""), Err(CertificateSignerError::NoCertificate));
    assert_eq!(format!("{:?}", signer().0), "CertificateSigner { serial: \"123456789\", .. }");
}

proptest! {
    #[test]
    fn any_headers_are_read_or_refused_without_a_panic(authorization in "\\PC{0,80}", certificate in "[A-Za-z0-9+/=,]{0,40}") {
        let text = format!("{X509_ALGORITHM} Credential={authorization}, SignedHeaders=host, Signature={certificate}");
        for authorization in [authorization, text] {
            let headers =
                [("host", "h"), ("authorization", &*authorization), (CERTIFICATE_HEADER, &*certificate), (CHAIN_HEADER, &*certificate)];
            let request = HttpRequest { method: "POST", path: "/", query: "", headers: &headers };
            let _ = CertificateSignedRequest::parse(&request, &Expected::new(REGION, SERVICE, NOW));
        }
    }
}

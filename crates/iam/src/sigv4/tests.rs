use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::*;
use crate::id::{AccessKeyId, Credentials, SecretAccessKey, SessionToken};

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);
const BODY: &[u8] = b"message";

fn credentials() -> Credentials {
    Credentials {
        access_key_id: AccessKeyId::parse("LKIAIOSFODNN7EXAMPLE").unwrap(),
        secret_access_key: SecretAccessKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: Some(SessionToken::new("token/with+signs==".to_owned())),
    }
}

fn key() -> SigningKey {
    SigningKey::derive(&credentials().secret_access_key, "20260301", "us-west-2", "lanyard")
}

type Headers = Vec<(String, String)>;

/// A management call, signed as the command line signs it.
fn signed_call() -> Headers {
    let credentials = credentials();
    let headers = [("host", "hub.example:8443"), ("x-lanyard-hub-id", "hub-1"), ("x-lanyard-nonce", "n-1")];
    let mut signer = Signer::new(&credentials, "us-west-2", "lanyard");
    signer.style.content_sha256_header = true;
    let request = HttpRequest { method: "POST", path: "/lanyard.x.v1.Y/Z", query: "", headers: &headers };
    let added = signer.sign_headers(&request, &PayloadHash::of(BODY), NOW).unwrap();
    let all = headers.into_iter().chain(added.iter());
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn verify(headers: &Headers, query: &str, now: OffsetDateTime) -> Result<(), VerifyError> {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let request = HttpRequest { method: "POST", path: "/lanyard.x.v1.Y/Z", query, headers: &headers };
    let expected = Expected {
        required_headers: &["x-lanyard-hub-id", "x-lanyard-nonce", "x-amz-content-sha256"],
        ..Expected::new("us-west-2", "lanyard", now)
    };
    verify_headers(&request, &PayloadHash::of(BODY), &key(), &expected)
}

fn edit(name: &str, f: impl Fn(&str) -> String) -> Headers {
    signed_call().into_iter().map(|(n, v)| if n == name { (n, f(&v)) } else { (n, v) }).collect()
}

fn parts(error: SigV4Error) -> Result<(), VerifyError> {
    Err(VerifyError::Parts(error))
}

#[test]
fn a_signed_call_is_verified() {
    assert_eq!(verify(&signed_call(), "", NOW), Ok(()));
    assert_eq!(verify(&signed_call(), "", NOW + Expected::HEADER_AGE_MAX), Ok(()));
    assert_eq!(verify(&signed_call(), "", NOW - Expected::SKEW_MAX), Ok(()));
}

#[test]
fn immunity_05_both_ends_of_the_window_are_checked() {
    let date = NOW;
    let late = NOW + Expected::HEADER_AGE_MAX + Duration::SECOND;
    let not_after = NOW + Expected::HEADER_AGE_MAX;
    assert_eq!(verify(&signed_call(), "", late), parts(SigV4Error::TooOld { date, not_after, now: late }));
    let early = NOW - Expected::SKEW_MAX - Duration::SECOND;
    assert_eq!(
        verify(&signed_call(), "", early),
        parts(SigV4Error::Future { date, now: early, skew_seconds: 300 })
    );
}

#[test]
fn the_first_and_the_last_date_there_is_are_out_of_time() {
    for (at, code) in
        [("99991231T235959Z", "signature_from_future"), ("00000101T000000Z", "signature_too_old")]
    {
        let in_header = edit("x-amz-date", |_| at.to_owned());
        let in_query = presigned(Duration::minutes(1));
        let date = in_query.split("X-Amz-Date=").nth(1).and_then(|rest| rest.get(..16)).unwrap();
        let verdicts = [verify(&in_header, "", NOW), verify_query(&in_query.replace(date, at), NOW)];
        for verdict in verdicts {
            let Err(VerifyError::Parts(error)) = verdict else { panic!("{at}: {verdict:?}") };
            assert_eq!(error.reason_code(), code, "{at}");
        }
    }
}

#[test]
fn each_part_out_of_order_is_refused_by_its_name() {
    let auth =
        |from: &'static str, to: &'static str| edit("authorization", move |value| value.replace(from, to));
    let without = |name: &str| signed_call().into_iter().filter(|(n, _)| n != name).collect::<Headers>();
    let with = |name: &str, value: &str| {
        let mut headers = signed_call();
        headers.push((name.to_owned(), value.to_owned()));
        headers
    };
    let own = str::to_owned;
    let region = SigV4Error::Region { found: own("us-east-1"), expected: own("us-west-2") };
    let service = SigV4Error::Service { found: own("sts"), expected: own("lanyard") };
    let unsigned = |name: &str| parts(SigV4Error::HeaderNotSigned(own(name)));
    let mismatch = Err(VerifyError::Mismatch(SignatureMismatch::Signature));
    let cases: Vec<(&str, Headers, Result<(), VerifyError>)> = vec![
        ("no signature", without("authorization"), parts(SigV4Error::Unsigned)),
        ("no date", without("x-amz-date"), parts(SigV4Error::MissingDate)),
        ("date form", edit("x-amz-date", |_| own("2026-03-01")), parts(SigV4Error::MalformedDate)),
        (
            "two dates",
            with("X-Amz-Date", "20260301T120000Z"),
            parts(SigV4Error::DuplicateHeader(own("x-amz-date"))),
        ),
        ("two hosts", with("Host", "other"), parts(SigV4Error::DuplicateHeader(own("host")))),
        (
            "two signatures",
            with("Authorization", "AWS4-HMAC-SHA256 x"),
            parts(SigV4Error::DuplicateHeader(own("authorization"))),
        ),
        ("other region", auth("us-west-2", "us-east-1"), parts(region)),
        ("other service", auth("/lanyard/", "/sts/"), parts(service)),
        ("other day", auth("/20260301/", "/20260302/"), parts(SigV4Error::ScopeDay)),
        ("host unsigned", auth("host;", ""), unsigned("host")),
        ("hub unsigned", auth("x-lanyard-hub-id;", ""), unsigned("x-lanyard-hub-id")),
        ("date unsigned", auth("x-amz-date;", ""), unsigned("x-amz-date")),
        ("token unsigned", auth("x-amz-security-token;", ""), unsigned("x-amz-security-token")),
        ("another x-amz header", with("x-amz-target", "t"), unsigned("x-amz-target")),
        (
            "missing",
            without("x-lanyard-nonce"),
            parts(SigV4Error::SignedHeaderMissing(own("x-lanyard-nonce"))),
        ),
        ("order", auth("host;x-amz-content", "x-amz-content"), unsigned("host")),
        (
            "two nonces",
            with("X-Lanyard-Nonce", "n-2"),
            parts(SigV4Error::DuplicateHeader(own("x-lanyard-nonce"))),
        ),
        ("other host", edit("host", |_| own("evil.example")), mismatch.clone()),
        ("other hub", edit("x-lanyard-hub-id", |_| own("hub-2")), mismatch.clone()),
        ("other nonce", edit("x-lanyard-nonce", |_| own("n-2")), mismatch.clone()),
        ("other token", edit("x-amz-security-token", |_| own("t")), mismatch),
        (
            "unsigned payload",
            edit("x-amz-content-sha256", |_| own("UNSIGNED-PAYLOAD")),
            Err(VerifyError::Mismatch(SignatureMismatch::Payload)),
        ),
    ];
    for (what, headers, verdict) in cases {
        assert_eq!(verify(&headers, "", NOW), verdict, "{what}");
    }
    assert_eq!(verify(&signed_call(), "a=1", NOW), Err(VerifyError::Mismatch(SignatureMismatch::Signature)));
    assert_eq!(verify(&signed_call(), "a=%zz", NOW), parts(SigV4Error::MalformedQuery));
    assert_eq!(verify(&signed_call(), "x-amz-signature=00", NOW), parts(SigV4Error::SignedTwice));
}

#[test]
fn another_keys_holder_cannot_sign_for_this_one() {
    let headers = signed_call();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let request = HttpRequest { method: "POST", path: "/lanyard.x.v1.Y/Z", query: "", headers: &headers };
    let other =
        SigningKey::derive(&SecretAccessKey::new("other".to_owned()), "20260301", "us-west-2", "lanyard");
    let expected = Expected::new("us-west-2", "lanyard", NOW);
    let parsed = SignedRequest::parse(&request, &expected).unwrap();
    assert_eq!(parsed.access_key_id().as_str(), "LKIAIOSFODNN7EXAMPLE");
    assert_eq!(parsed.session_token(), Some("token/with+signs=="));
    assert!(parsed.signs_header("x-lanyard-hub-id") && !parsed.signs_header("accept"));
    assert_eq!(parsed.verify(&request, &PayloadHash::of(BODY), &other), Err(SignatureMismatch::Signature));
    assert_eq!(parsed.verify(&request, &PayloadHash::of(BODY), &key()), Ok(()));
    assert!(!format!("{parsed:?} {request:?}").contains("with+signs"));
}

fn presigned(expires: Duration) -> String {
    let credentials = credentials();
    let request = HttpRequest { method: "GET", path: "/", query: "Action=X", headers: &[("host", "h")] };
    let signer = Signer::new(&credentials, "us-west-2", "lanyard");
    signer.presign(&request, &PayloadHash::of(b""), NOW, expires).unwrap().expose_secret().to_owned()
}

fn verify_query(query: &str, now: OffsetDateTime) -> Result<(), VerifyError> {
    let request = HttpRequest { method: "GET", path: "/", query, headers: &[("host", "h")] };
    verify_presigned(&request, &PayloadHash::of(b""), &key(), &Expected::new("us-west-2", "lanyard", now))
}

#[test]
fn a_presigned_request_counts_as_long_as_it_says_and_no_longer_than_allowed() {
    let query = presigned(Duration::minutes(1));
    assert_eq!(verify_query(&query, NOW), Ok(()));
    assert_eq!(verify_query(&query, NOW + Duration::minutes(1)), Ok(()));
    let (not_after, now) = (NOW + Duration::minutes(1), NOW + Duration::seconds(61));
    assert_eq!(verify_query(&query, now), parts(SigV4Error::TooOld { date: NOW, not_after, now }));
    for seconds in ["0", "901", "-1", "+60", "6e1", "", "4294967297"] {
        let query = query.replace("Expires=60", &format!("Expires={seconds}"));
        assert_eq!(verify_query(&query, NOW), parts(SigV4Error::Expires { max_seconds: 900 }), "{seconds}");
    }
    let credentials = credentials();
    let request = HttpRequest { method: "GET", path: "/", query: "", headers: &[("host", "h")] };
    let signer = Signer::new(&credentials, "us-west-2", "lanyard");
    for expires in [Duration::seconds(-1), Duration::days(8)] {
        assert!(signer.presign(&request, &PayloadHash::of(b""), NOW, expires).is_err(), "{expires}");
    }
}

#[test]
fn where_its_date_alone_counts_a_presigned_request_is_as_old_as_it_may_be_whatever_it_says() {
    let verify = |query: &str, now: OffsetDateTime| {
        let request = HttpRequest { method: "GET", path: "/", query, headers: &[("host", "h")] };
        let expected = Expected {
            presign_age_max: Some(Duration::minutes(15)),
            ..Expected::new("us-west-2", "lanyard", now)
        };
        verify_presigned(&request, &PayloadHash::of(b""), &key(), &expected)
    };
    let not_after = NOW + Duration::minutes(15);
    for expires in [Duration::ZERO, Duration::minutes(1), Duration::hours(1), Duration::days(7)] {
        let query = presigned(expires);
        assert_eq!(verify(&query, not_after), Ok(()), "{expires}");
        let now = not_after + Duration::SECOND;
        assert_eq!(verify(&query, now), parts(SigV4Error::TooOld { date: NOW, not_after, now }), "{expires}");
    }
    // What it says is signed as any other parameter is, and not looked at, nor missed.
    let minute = presigned(Duration::minutes(1));
    let mismatch = Err(VerifyError::Mismatch(SignatureMismatch::Signature));
    for other in ["X-Amz-Expires=0&", "X-Amz-Expires=604801&", "X-Amz-Expires=soon&", ""] {
        let changed = minute.replace("X-Amz-Expires=60&", other);
        assert_ne!(changed, minute);
        assert_eq!(verify(&changed, NOW), mismatch, "{other}");
    }
}

#[test]
fn immunity_01_a_signature_parameter_counts_once_whatever_its_letter_case() {
    let query = presigned(Duration::minutes(1));
    for name in ["X-Amz-Date", "x-amz-date", "X-AMZ-CREDENTIAL", "x-amz-signedheaders", "%58-Amz-Signature"] {
        let twice = format!("{query}&{name}=x");
        let verdict = verify_query(&twice, NOW);
        assert!(
            matches!(verdict, Err(VerifyError::Parts(SigV4Error::DuplicateParameter(_)))),
            "{name}: {verdict:?}"
        );
    }
    for part in
        ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"]
    {
        let without = query.split('&').filter(|p| !p.starts_with(part)).collect::<Vec<_>>().join("&");
        let verdict = verify_query(&without, NOW);
        assert!(
            matches!(verdict, Err(VerifyError::Parts(SigV4Error::MissingParameter(_)))),
            "{part}: {verdict:?}"
        );
    }
    let many = "a=1&".repeat(QUERY_PARAMETERS_MAX + 1);
    assert_eq!(verify_query(&many, NOW), parts(SigV4Error::TooManyParameters));
}

#[test]
fn what_is_signed_already_is_not_signed_again() {
    let credentials = credentials();
    let signer = Signer::new(&credentials, "us-west-2", "lanyard");
    let payload = PayloadHash::of(b"");
    for header in ["Authorization", "X-Amz-Date", "x-amz-security-token", "x-amz-content-sha256"] {
        let headers = [("host", "h"), (header, "x")];
        let request = HttpRequest { method: "GET", path: "/", query: "", headers: &headers };
        assert!(
            matches!(signer.sign_headers(&request, &payload, NOW), Err(SigV4Error::AlreadySigned(_))),
            "{header}"
        );
    }
    let request =
        HttpRequest { method: "GET", path: "/", query: "a=1&x-amz-date=2", headers: &[("host", "h")] };
    assert!(matches!(
        signer.presign(&request, &payload, NOW, Duration::MINUTE),
        Err(SigV4Error::AlreadySigned(_))
    ));
    let request = HttpRequest { method: "GET", path: "/", query: "", headers: &[] };
    assert_eq!(
        signer.sign_headers(&request, &payload, NOW).unwrap_err(),
        SigV4Error::HeaderNotSigned("host".to_owned())
    );
}

#[test]
fn a_signer_of_another_make_is_understood() {
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4;

    let keys = credentials();
    let identity = aws_credential_types::Credentials::new(
        keys.access_key_id.as_str(),
        keys.secret_access_key.expose(),
        keys.session_token.as_ref().map(|token| token.expose().to_owned()),
        None,
        "test",
    )
    .into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-west-2")
        .name("lanyard")
        .time(NOW.into())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let plain = [("host", "hub.example:8443"), ("x-lanyard-hub-id", "hub-1")];
    let uri = "https://hub.example:8443/a%20b/c?q=x%2By&p";
    let request = SignableRequest::new("POST", uri, plain.into_iter(), SignableBody::Bytes(BODY)).unwrap();
    let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
    let mut headers: Vec<(&str, &str)> = plain.to_vec();
    headers.extend(instructions.headers());
    let request = HttpRequest { method: "POST", path: "/a%20b/c", query: "q=x%2By&p", headers: &headers };
    let expected = Expected::new("us-west-2", "lanyard", NOW);
    assert_eq!(verify_headers(&request, &PayloadHash::of(BODY), &key(), &expected), Ok(()));
    assert!(verify_headers(&request, &PayloadHash::of(b"other"), &key(), &expected).is_err());
}

proptest! {
    #[test]
    fn what_one_side_signs_the_other_verifies(
        path in "(/[a-zA-Z0-9._~ %@:-]{0,6}){1,4}",
        query in "([a-z%+ ]{1,4}=[a-z0-9/:@-]{0,6}&){0,4}",
        value in "[ -~]{0,20}",
        body in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let query = query.replace('%', "%25");
        let credentials = credentials();
        let plain = [("Host", "hub.example"), ("X-Any", value.as_str())];
        let request = HttpRequest { method: "PUT", path: &path, query: &query, headers: &plain };
        let payload = PayloadHash::of(&body);
        let added = sign_headers(&credentials, "us-west-2", "lanyard", &request, &payload, NOW).unwrap();
        let headers: Vec<(&str, &str)> = plain.into_iter().chain(added.iter()).collect();
        let signed = HttpRequest { headers: &headers, ..request };
        let expected = Expected::new("us-west-2", "lanyard", NOW);
        prop_assert_eq!(verify_headers(&signed, &payload, &key(), &expected), Ok(()));
        let altered = format!("{value}x");
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(n, v)| if *n == "X-Any" { (*n, altered.as_str()) } else { (*n, *v) }).collect();
        let signed = HttpRequest { headers: &headers, ..request };
        prop_assert!(verify_headers(&signed, &payload, &key(), &expected).is_err());
    }

    #[test]
    fn any_query_is_read_or_refused_without_a_panic(query in "\\PC{0,60}", value in "[A-Za-z0-9%/+-]{0,30}") {
        let expected = Expected::new("r", "s", NOW);
        for query in [query, format!("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={value}&X-Amz-Date={value}")] {
            let request = HttpRequest { method: "GET", path: "/", query: &query, headers: &[("host", "h")] };
            prop_assert!(SignedRequest::parse(&request, &expected).is_err());
        }
    }
}

#[test]
fn what_was_verified_can_be_read_without_the_secrets_in_it() {
    let shown = |headers: &Headers, query: &str| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let request = HttpRequest { method: "POST", path: "/lanyard.x.v1.Y/Z", query, headers: &headers };
        let signed = SignedRequest::parse(&request, &Expected::new("us-west-2", "lanyard", NOW)).unwrap();
        signed.canonical_request(&request, &PayloadHash::of(BODY))
    };
    let query = "b=2&WebIdentityToken=eyJhbGci&a=1&x-amz-security-token=hush-hush";
    let text = shown(&signed_call(), query);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["POST", "/lanyard.x.v1.Y/Z"]);
    assert!(lines[2].starts_with("WebIdentityToken=<sha256:") && lines[2].contains(">&a=1&b=2&"), "{text}");
    assert_eq!(lines[2].matches("=<sha256:").count(), 2, "{text}");
    assert_eq!(lines[3], "host:hub.example:8443");
    let token = lines.iter().find_map(|line| line.strip_prefix("x-amz-security-token:")).unwrap();
    assert!(token.starts_with("<sha256:") && token.len() == "<sha256:>".len() + 12, "{token}");
    assert_eq!(lines.last(), Some(&PayloadHash::of(BODY).as_str()));
    for secret in ["token/with", "eyJhbGci", "hush-hush", "wJalrXUtnFEMI", "Signature="] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    let long = shown(&signed_call(), &"ö=".repeat(9_000));
    assert!(long.len() <= 8 * 1024 + '…'.len_utf8() && long.ends_with('…'));
}

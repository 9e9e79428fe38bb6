use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::*;
use crate::id::{AccessKeyId, Credentials, Region, SecretAccessKey, SessionToken};
use crate::partition::Partition;
use crate::sigv4::SignatureMismatch;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);
const HOST: &str = "sts.us-west-2.amazonaws.com";
/// Where the verifier itself is an STS.
const OWN_HOST: &str = "127.0.0.1:8445";

fn credentials(session: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: AccessKeyId::parse("LKIAIOSFODNN7EXAMPLE").unwrap(),
        secret_access_key: SecretAccessKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: session.map(|token| SessionToken::new(token.to_owned())),
    }
}

fn rules() -> TokenRules {
    let region = Region::parse("eu-lab-1").unwrap();
    TokenRules {
        partition: Partition::Aws,
        region: Region::parse("us-west-2").unwrap(),
        self_hosted: vec![StsAuthority::new("lab", "sts.lab.example:8443", region).unwrap()],
        own_hosts: [StsHost::parse(OWN_HOST).unwrap()].into(),
    }
}

fn mint(session: Option<&str>, cluster_id: &str) -> Token {
    let region = Region::parse("us-west-2").unwrap();
    mint_token(&credentials(session), HOST, &region, cluster_id, NOW, TOKEN_EXPIRES).unwrap()
}

fn url_of(token: &Token) -> String {
    let encoded = token.expose().strip_prefix(TOKEN_PREFIX).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

fn token_of(url: &str) -> String {
    format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(url))
}

#[test]
fn a_minted_token_has_the_parameters_of_the_stock_clients_in_their_order() {
    let url = url_of(&mint(Some("a/b+c="), "prod"));
    let names: Vec<&str> =
        url.split_once('?').unwrap().1.split('&').map(|p| p.split_once('=').unwrap().0).collect();
    let expected = [
        "Action",
        "Version",
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
    ];
    assert_eq!(names, expected);
    assert!(
        url.starts_with("https://sts.us-west-2.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&")
    );
    assert!(
        url.contains("&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Security-Token=a%2Fb%2Bc%3D&"),
        "{url}"
    );
}

#[test]
fn a_local_keys_token_is_verified_for_its_cluster_and_no_other() {
    for session in [None, Some("session/token+==")] {
        let parsed = ParsedToken::parse(mint(session, "prod").expose(), &rules(), NOW).unwrap();
        let key = parsed.signing_key(&credentials(None).secret_access_key);
        assert_eq!(parsed.verify_local("prod", &key), Ok(()));
        // V79: the cluster id is a header, signed but not in the URL.
        for other in ["prod2", "Prod", "", "prod "] {
            assert_eq!(parsed.verify_local(other, &key), Err(SignatureMismatch::Signature), "{other}");
        }
        let stolen = parsed.signing_key(&SecretAccessKey::new("another".to_owned()));
        assert_eq!(parsed.verify_local("prod", &stolen), Err(SignatureMismatch::Signature));
        assert_eq!(parsed.session_token().map(SessionToken::expose), session);
    }
}

#[test]
fn the_parts_of_a_token_come_out_as_they_went_in() {
    let parsed = ParsedToken::parse(mint(None, "prod").expose(), &rules(), NOW).unwrap();
    assert_eq!((parsed.host(), parsed.region(), parsed.self_hosted()), (HOST, "us-west-2", None));
    assert_eq!(parsed.access_key_id().as_str(), "LKIAIOSFODNN7EXAMPLE");
    assert_eq!((parsed.date().at(), parsed.expires()), (NOW, TOKEN_EXPIRES));
    assert_eq!(parsed.not_after(), NOW + Duration::minutes(15));
    assert_eq!(ParsedToken::headers("prod"), [("x-k8s-aws-id", "prod"), ("accept", "application/json")]);
}

#[test]
fn a_self_hosted_sts_is_known_by_its_exact_host_and_region() {
    let region = Region::parse("eu-lab-1").unwrap();
    let mint = |host: &str| mint_token(&credentials(None), host, &region, "c", NOW, TOKEN_EXPIRES).unwrap();
    let parsed = ParsedToken::parse(mint("sts.lab.example:8443").expose(), &rules(), NOW).unwrap();
    assert_eq!((parsed.self_hosted(), parsed.region()), (Some("lab"), "eu-lab-1"));
    for host in ["sts.lab.example", "sts.lab.example:8444", "STS.lab.example:8443", "x.sts.lab.example:8443"]
    {
        let refused = ParsedToken::parse(mint(host).expose(), &rules(), NOW).unwrap_err();
        assert_eq!(refused.reason_code(), "token_host", "{host}");
    }
}

#[test]
fn a_token_for_the_verifiers_own_host_is_of_its_own_keys_and_any_region_of_the_partition() {
    let at = |host: &str, region: &str, key: &str| {
        let region = Region::parse(region).unwrap();
        let key = Credentials { access_key_id: AccessKeyId::parse(key).unwrap(), ..credentials(None) };
        let token = mint_token(&key, host, &region, "dev", NOW, TOKEN_EXPIRES).unwrap();
        ParsedToken::parse(token.expose(), &rules(), NOW)
    };
    let own = "LKIAIOSFODNN7EXAMPLE";
    for region in ["us-west-2", "eu-central-1", "us-east-1"] {
        let parsed = at(OWN_HOST, region, own).unwrap();
        assert_eq!((parsed.host(), parsed.region(), parsed.self_hosted()), (OWN_HOST, region, None));
        parsed.verify_local("dev", &parsed.signing_key(&credentials(None).secret_access_key)).unwrap();
        let other = parsed.verify_local("prod", &parsed.signing_key(&credentials(None).secret_access_key));
        assert!(other.is_err(), "a token for one cluster, at another");
    }
    let refusals = [
        (OWN_HOST, "cn-north-1", own, "scope_region"),
        (OWN_HOST, "us-west-2", "AKIAIOSFODNN7EXAMPLE", "key_of_others"),
        (OWN_HOST, "us-west-2", "ASIAIOSFODNN7EXAMPLE", "key_of_others"),
        ("127.0.0.1", "us-west-2", own, "token_host"),
        ("127.0.0.1:8446", "us-west-2", own, "token_host"),
        ("localhost:8445", "us-west-2", own, "token_host"),
    ];
    for (host, region, key, reason) in refusals {
        assert_eq!(at(host, region, key).unwrap_err().reason_code(), reason, "{host} {region} {key}");
    }
}

#[test]
fn immunity_01_the_request_is_rebuilt_from_what_was_judged() {
    let token = mint(Some("s"), "prod");
    let url = url_of(&token);
    let parsed = ParsedToken::parse(token.expose(), &rules(), NOW).unwrap();
    let rebuilt = parsed.rebuild_url().expose_secret().to_owned();
    let sorted = |url: &str| {
        let mut parts: Vec<String> = url.split_once('?').unwrap().1.split('&').map(str::to_owned).collect();
        parts.sort();
        parts
    };
    assert_eq!(sorted(&rebuilt), sorted(&url));
    // Other spellings and escapes of the same parts lead to the same request, and to no other.
    let respelled = url
        .replace("X-Amz-Date", "x-amz-date")
        .replace("Action=GetCallerIdentity", "aCTION=%47etCallerIdentity")
        .replace("https", "HTTPS");
    let parsed = ParsedToken::parse(&token_of(&respelled), &rules(), NOW).unwrap();
    assert_eq!(parsed.rebuild_url().expose_secret(), rebuilt);
    // The forms of the attack: a second action, a second credential, in each letter case.
    for name in ["action", "ACTION", "Action", "x-amz-credential", "X-AMZ-EXPIRES", "x-amz-signedheaders"] {
        for attack in
            [format!("{url}&{name}=AssumeRole"), url.replace("/?", &format!("/?{name}=AssumeRole&"))]
        {
            let refused = ParsedToken::parse(&token_of(&attack), &rules(), NOW).unwrap_err();
            assert!(
                ["duplicate_parameter", "repeated_parameter"].contains(&refused.reason_code()),
                "{attack}: {refused}"
            );
        }
    }
}

#[test]
fn what_a_refusal_repeats_of_a_token_stays_on_one_line() {
    let url = url_of(&mint(None, "prod"));
    let long = format!("host%3Bx-k8s-aws-id%3B{}", "x".repeat(65));
    for (part, attack, shown) in [
        (
            "host%3Bx-k8s-aws-id",
            "host%3Bx-k8s-aws-id%3B%0Aa%1B%5B31m%E2%80%AE",
            r"`\na\u{1b}[31m\u{202e}`".to_owned(),
        ),
        ("host%3Bx-k8s-aws-id", &long, format!("`{}…`", "x".repeat(64))),
        ("%2Fsts%2F", "%2Fs%0Dts%2F", r"`s\rts`".to_owned()),
    ] {
        assert!(url.contains(part), "{url}");
        let refused = ParsedToken::parse(&token_of(&url.replace(part, attack)), &rules(), NOW).unwrap_err();
        assert!(refused.to_string().contains(&shown), "{attack}: {refused}");
    }
}

#[test]
fn immunity_05_a_token_from_the_future_is_refused_offline() {
    let token = mint(None, "prod");
    for (ahead, reason) in
        [(300, None), (301, Some("token_from_future")), (86_400, Some("token_from_future"))]
    {
        let verdict = ParsedToken::parse(token.expose(), &rules(), NOW - Duration::seconds(ahead));
        assert_eq!(verdict.err().map(|error| error.reason_code()), reason, "{ahead} s ahead");
    }
    let late = ParsedToken::parse(token.expose(), &rules(), NOW + Duration::seconds(901)).unwrap_err();
    assert_eq!((late.reason_code(), late.part().as_str()), ("token_expired", "X-Amz-Date"));
}

#[test]
fn a_token_that_would_be_refused_is_not_minted() {
    let region = Region::parse("us-west-2").unwrap();
    let keys = credentials(None);
    let mint = |host: &str, cluster: &str, seconds: i64| {
        mint_token(&keys, host, &region, cluster, NOW, Duration::seconds(seconds)).map(|token| token.digest())
    };
    assert!(mint(HOST, "c", 900).is_ok());
    assert_eq!(mint(HOST, "c", 901), Err(MintError::Expires));
    assert_eq!(mint(HOST, "c", -1), Err(MintError::Expires));
    assert_eq!(mint(HOST, "a b", 60), Err(MintError::ClusterId("a b".to_owned())));
    assert_eq!(mint(HOST, "", 60), Err(MintError::ClusterId(String::new())));
    assert_eq!(mint("a/b", "c", 60), Err(MintError::Host("a/b".to_owned())));
    let fat = credentials(Some(&"a".repeat(3000)));
    let refused = mint_token(&fat, HOST, &region, "c", NOW, TOKEN_EXPIRES);
    assert!(matches!(refused, Err(MintError::TooLong(_))), "{refused:?}");
}

#[test]
fn a_token_is_named_by_its_digest_alone() {
    let token = mint(Some("session-token"), "prod");
    let digest = hex::encode(token.digest().as_bytes());
    assert_eq!(format!("{token:?}"), format!("Token({})", &digest[..12]));
    assert_eq!(token.digest().to_string(), digest[..12]);
    let parsed = ParsedToken::parse(token.expose(), &rules(), NOW).unwrap();
    let printed = format!("{parsed:?} {:?}", parsed.rebuild_url());
    assert!(!printed.contains("session-token") && !printed.contains("Signature="), "{printed}");
}

#[test]
fn only_one_prefix_is_ours() {
    for (text, ours) in [
        ("k8s-aws-v1.", true),
        ("k8s-aws-v1", false),
        ("k8s-aws-v2.x", false),
        ("eyJhbGciOi", false),
        ("", false),
    ] {
        assert_eq!(looks_like_token(text), ours, "{text}");
    }
}

#[test]
fn no_token_is_verified_with_one_byte_of_its_url_changed() {
    let token = mint(Some("session"), "prod");
    let url = url_of(&token);
    let parsed = ParsedToken::parse(token.expose(), &rules(), NOW).unwrap();
    let key = parsed.signing_key(&credentials(None).secret_access_key);
    for at in 0..url.len() {
        let mut bytes = url.clone().into_bytes();
        bytes[at] = if bytes[at].is_ascii_alphanumeric() { bytes[at] ^ 1 } else { b'x' };
        let changed = String::from_utf8(bytes).unwrap();
        let verdict = ParsedToken::parse(&token_of(&changed), &rules(), NOW);
        let accepted = verdict.is_ok_and(|parsed| {
            // The key id says whose secret is taken: another one, another secret.
            parsed.access_key_id().as_str() == "LKIAIOSFODNN7EXAMPLE"
                && parsed.verify_local("prod", &key).is_ok()
        });
        assert!(!accepted, "{changed}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let rules = rules();
        let encoded = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
        let url = format!("https://{HOST}/?{text}");
        for raw in [text.clone(), format!("{TOKEN_PREFIX}{text}"), encoded, token_of(&text), token_of(&url)] {
            if let Err(error) = ParsedToken::parse(&raw, &rules, NOW) {
                prop_assert!(!error.reason_code().is_empty() && !error.part().as_str().is_empty());
            }
        }
    }

    /// A decoder of another make is as strict: on letters, lengths, padding and stray bits at the end.
    #[test]
    fn one_spelling_of_base64_is_taken(text in "[A-Za-z0-9_-]{0,70}[A-Za-z0-9+/=_ -]{0,2}") {
        let refused = ParsedToken::parse(&format!("{TOKEN_PREFIX}{text}"), &rules(), NOW).unwrap_err();
        prop_assert_eq!(refused == TokenError::Encoding, URL_SAFE_NO_PAD.decode(&text).is_err(), "{}", refused);
    }

    #[test]
    fn whatever_is_accepted_is_rebuilt_to_something_accepted_alike(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), "[a-zA-Z0-9%&=;/+.-]"), 0..4),
        session in "[ -~]{0,20}",
    ) {
        let session = (!session.is_empty()).then_some(session);
        let mut url = url_of(&mint(session.as_deref(), "prod"));
        for (index, with) in edits {
            let at = index.index(url.len());
            url.replace_range(at..=at, &with);
        }
        if let Ok(parsed) = ParsedToken::parse(&token_of(&url), &rules(), NOW) {
            let rebuilt = parsed.rebuild_url();
            let again = ParsedToken::parse(&token_of(rebuilt.expose_secret()), &rules(), NOW).unwrap();
            let again_rebuilt = again.rebuild_url();
            prop_assert_eq!(again_rebuilt.expose_secret(), rebuilt.expose_secret());
            prop_assert_eq!(again.access_key_id(), parsed.access_key_id());
        }
    }
}

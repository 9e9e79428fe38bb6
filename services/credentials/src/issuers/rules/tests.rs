use lanyard_api::ClusterUid;
use time::macros::datetime;

use super::*;

const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
const URL: &str = "https://hub.example/id/1";

fn rule_of<T: std::fmt::Debug>(answer: Result<T, CallError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(CallError::Invalid { rule, .. } | CallError::Precondition { rule, .. }) => rule,
        Err(CallError::NotFound { .. }) => "not_found",
        Err(CallError::LimitExceeded { .. }) => "limit",
        Err(other) => panic!("{other}"),
    }
}

fn public(kid: &str) -> IssuerKey {
    IssuerKey {
        kid: Some(kid.to_owned()),
        thumbprint: format!("print of {kid}"),
        algorithms: vec!["RS256".to_owned()],
        jwk: format!(r#"{{"kid":"{kid}"}}"#),
    }
}

fn none() -> HostedIssuer {
    HostedIssuer { cluster: ClusterUid::random(), issuer_url: URL.to_owned(), keys: Vec::new() }
}

fn add(issuer: HostedIssuer, kid: &str, signer: IssuerSigner, hour: i64) -> HostedIssuer {
    let now = NOON + Duration::hours(hour);
    let how = Publishing { signer, by: "ana".to_owned(), now, signs_from: now };
    published(issuer, public(kid), how).unwrap().unwrap()
}

fn watched(issuer_url: &str, kids: &[&str]) -> WorkloadIssuer {
    WorkloadIssuer {
        cluster: ClusterUid::random(),
        issuer_url: issuer_url.to_owned(),
        keys: kids.iter().map(|kid| public(kid)).collect(),
        irsa_obstacle: None,
        pushed_by: "spoke".to_owned(),
        pushed_at: NOON,
    }
}

#[test]
fn a_key_to_publish_is_public_named_and_for_an_algorithm_of_api_servers() {
    const EC: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
    const ED: &str = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
    let jwk = |members: &str, more: &str| format!("{{{members}{more}}}");
    let cases = [
        (jwk(EC, r#","kid":"a""#), "ok"),
        (jwk(EC, ""), "no_kid"),
        (jwk(EC, r#","kid":"a","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI""#), "private_key"),
        (jwk(ED, r#","kid":"a""#), "algorithm"),
        (jwk(r#""kty":"oct","k":"AAAA""#, r#","kid":"a""#), "private_key"),
        (format!("{},{}", jwk(EC, r#","kid":"a""#), jwk(EC, r#","kid":"b""#)), "jwk"),
        ("{}".to_owned(), "jwk"),
        (String::new(), "jwk"),
        (r#"{"kty":"EC"}],"keys":[{}"#.to_owned(), "jwk"),
        (" ".repeat(17_000), "jwk"),
    ];
    for (jwk, expected) in cases {
        let found = key(&jwk);
        if let Err(error) = &found {
            assert!(!error.to_string().contains("jpsQ"), "{error}");
        }
        assert_eq!(rule_of(found), expected, "{jwk:.200}");
    }
}

#[test]
fn an_issuer_elsewhere_is_one_that_an_sts_can_fetch() {
    let cases = [
        ("https://bucket.example/dev", "ok"),
        ("https://bucket.example", "ok"),
        ("http://bucket.example", "issuer_url"),
        ("https://bucket.example?x", "issuer_url"),
        ("https://ana@bucket.example", "issuer_url"),
        ("https://kubernetes.default.svc", "issuer_url"),
        ("kubernetes/serviceaccount", "issuer_url"),
        ("", "issuer_url"),
    ];
    for (url, expected) in cases {
        assert_eq!(rule_of(asked_url(url)), expected, "{url}");
    }
}

#[test]
fn where_an_issuer_is_stays_while_it_has_keys() {
    let before = add(none(), "a", IssuerSigner::ApiServer, 0);
    let elsewhere = "https://bucket.example";
    assert_eq!(rule_of(judge_url(&before, None)), "ok");
    assert_eq!(rule_of(judge_url(&before, Some(URL))), "ok");
    assert_eq!(rule_of(judge_url(&before, Some(elsewhere))), "issuer_url_fixed");
}

#[test]
fn immunity_49_an_issuers_keys_come_from_one_place() {
    let ours = add(none(), "a", IssuerSigner::ApiServer, 0);
    let hubs = add(none(), "hub", IssuerSigner::Hub, 0);
    // Publishing where the API server serves keys of its own.
    let publishing = [
        (&ours, Some(watched(URL, &["a"])), "ok"),
        (&ours, Some(watched("https://other.example", &["x"])), "ok"),
        (&hubs, None, "ok"),
        (&hubs, Some(watched("https://other.example", &["x"])), "ok"),
        (&hubs, Some(watched(URL, &["x"])), "issuer_keys_watched"),
        (&hubs, Some(watched(URL, &["new", "x"])), "issuer_keys_watched"),
        (&hubs, Some(watched(URL, &["new"])), "ok"),
    ];
    for (before, seen, expected) in publishing {
        let found = rule_of(judge_source(before, seen.as_ref(), &public("new")));
        assert_eq!(found, expected, "{before:?} {seen:?}");
    }
    // Watching where keys are published.
    let two = add(ours.clone(), "b", IssuerSigner::ApiServer, 1);
    let watching = [
        (None, watched(URL, &["x"]), "ok"),
        (Some(&two), watched(URL, &["a", "b"]), "ok"),
        (Some(&two), watched(URL, &["b"]), "ok"),
        (Some(&two), watched(URL, &["b", "x"]), "issuer_keys_published"),
        (Some(&two), watched("https://other.example", &["x"]), "ok"),
        (Some(&hubs), watched(URL, &["x"]), "ok"),
        (Some(&hubs), watched(URL, &["x", "hub"]), "signing_key_taken"),
        (Some(&hubs), watched("https://other.example", &["hub"]), "signing_key_taken"),
    ];
    for (hosted, seen, expected) in watching {
        assert_eq!(rule_of(judge_watched(hosted, &seen)), expected, "{hosted:?} {seen:?}");
    }
}

#[test]
fn keys_overlap_and_each_supersedes_those_of_its_signer() {
    let issuer = add(none(), "a", IssuerSigner::ApiServer, 0);
    let issuer = add(issuer, "hub", IssuerSigner::Hub, 1);
    let issuer = add(issuer, "b", IssuerSigner::ApiServer, 2);
    let superseded: Vec<_> = issuer.keys.iter().map(|key| (key.kid(), key.superseded_at)).collect();
    assert_eq!(superseded, [("a", Some(NOON + Duration::hours(2))), ("hub", None), ("b", None)]);
    let how = |signer| Publishing { signer, by: "bo".to_owned(), now: NOON, signs_from: NOON };
    assert_eq!(
        published(issuer.clone(), public("b"), how(IssuerSigner::ApiServer)).unwrap(),
        None,
        "the same again"
    );
    assert_eq!(rule_of(published(issuer.clone(), public("b"), how(IssuerSigner::Hub))), "kid_taken");
    let other = IssuerKey { thumbprint: "other".to_owned(), ..public("a") };
    assert_eq!(rule_of(published(issuer, other, how(IssuerSigner::ApiServer))), "kid_taken");
    let full = (0..16).fold(none(), |issuer, n| add(issuer, &n.to_string(), IssuerSigner::ApiServer, n));
    assert_eq!(rule_of(published(full, public("more"), how(IssuerSigner::ApiServer))), "limit");
}

#[test]
fn a_key_stays_until_its_tokens_have_ended() {
    let issuer = add(add(none(), "a", IssuerSigner::ApiServer, 0), "b", IssuerSigner::ApiServer, 2);
    let issuer = add(add(issuer, "hub-1", IssuerSigner::Hub, 0), "hub-2", IssuerSigner::Hub, 2);
    let hour = |hour: i64| NOON + Duration::hours(hour);
    let cases = [
        ("a", false, hour(3), "issuer_key_in_use"),
        ("a", false, hour(26) - Duration::SECOND, "issuer_key_in_use"),
        ("a", false, hour(26), "ok"),
        ("a", true, hour(3), "ok"),
        ("b", false, hour(99), "issuer_key_in_use"),
        ("b", true, hour(3), "ok"),
        ("hub-1", false, hour(2) + Duration::minutes(29), "issuer_key_in_use"),
        ("hub-1", false, hour(2) + Duration::minutes(30), "ok"),
        ("none", true, hour(99), "not_found"),
    ];
    for (kid, early, now, expected) in cases {
        assert_eq!(rule_of(retired(issuer.clone(), kid, early, now)), expected, "{kid} {early} {now}");
    }
    // The newest was taken away: the one before it signs on.
    let (left, _) = retired(issuer, "b", true, hour(3)).unwrap();
    assert_eq!(
        left.keys_of(IssuerSigner::ApiServer).map(|key| key.superseded_at).collect::<Vec<_>>(),
        [None]
    );
}

#[test]
fn the_hub_signs_with_the_newest_key_that_has_begun() {
    let first = add(none(), "hub-1", IssuerSigner::Hub, 0);
    let how = Publishing {
        signer: IssuerSigner::Hub,
        by: "ana".to_owned(),
        now: NOON,
        signs_from: NOON + HUB_KEY_LEAD,
    };
    let both = published(first, public("hub-2"), how).unwrap().unwrap();
    let kid = |now| signing(&both, now).map(HostedKey::kid);
    assert_eq!(kid(NOON - Duration::SECOND), None);
    assert_eq!(kid(NOON + HUB_KEY_LEAD - Duration::SECOND), Some("hub-1"));
    assert_eq!(kid(NOON + HUB_KEY_LEAD), Some("hub-2"));
}

//! What an operator finds in the log of an issuer that leads inwards or elsewhere, or has no end.

use std::net::IpAddr;

use lanyard_kit::{http_client::TestInternet, telemetry::TestLog};

use super::*;
use crate::jwks::KEYS_MAX;

const NOT_FOLLOWED: &str = "an issuer is not followed";
const NO_ANSWER: &str = "its tokens have no answer";

/// What somebody does to an issuer that is theirs.
type Attack = fn(&StandIn);

#[tokio::test]
async fn immunity_26_each_way_in_through_an_issuer_is_a_line_of_the_log_with_its_code_and_one_a_minute() {
    let attacks: [(&str, Attack, &str); 7] = [
        (
            "a redirect",
            |it| it.behave(Behaviour::Redirect("https://169.254.169.254/".to_owned())),
            "issuer_redirects",
        ),
        (
            "a redirect of the keys",
            |it| it.behave_at(Document::Keys, Behaviour::Redirect("https://10.0.0.1/".to_owned())),
            "issuer_redirects",
        ),
        ("keys at a private address", |it| it.set_keys_url("https://10.0.0.1/"), "issuer_address_refused"),
        (
            "keys at the metadata service",
            |it| it.set_keys_url("https://169.254.169.254/"),
            "issuer_address_refused",
        ),
        ("keys in a file", |it| it.set_keys_url("file:///etc/passwd"), "issuer_keys_url"),
        (
            "many keys",
            |it| it.behave_at(Document::Keys, Behaviour::ManyKeys(KEYS_MAX + 1)),
            "issuer_too_many_keys",
        ),
        ("a set without end", |it| it.behave(Behaviour::ManyKeys(100_000)), "issuer_document_too_large"),
    ];
    for (what, attack, code) in attacks {
        let log = TestLog::start();
        let scene = Scene::new().await;
        attack(&scene.stand_in);
        for _ in 0..6 {
            assert_eq!(scene.newest().await, code, "{what}");
            let lines = log.lines(NOT_FOLLOWED);
            let [line] = lines.as_slice() else { panic!("{what}: one line, not one for each: {lines:?}") };
            let parts = [" WARN ", "reason.code", code, scene.stand_in.issuer()];
            assert!(parts.iter().all(|part| line.contains(part)), "{what}: {line}");
            scene.clock.advance(Span::seconds(10));
        }
        assert_eq!(scene.newest().await, code, "{what}");
        assert_eq!(log.lines(NOT_FOLLOWED).len(), 2, "{what}: a minute later it is told again");
    }
}

/// DNS rebinding, and an issuer that is inside from the beginning.
#[tokio::test]
async fn immunity_26_a_name_that_turns_inwards_is_a_line_of_the_log() {
    const HOST: &str = "issuer.example";
    const ISSUER: &str = "https://issuer.example/id/7";
    let (public, private) = (IpAddr::from([1, 1, 1, 1]), IpAddr::from([10, 0, 0, 7]));
    let log = TestLog::start();
    let internet = TestInternet::default();
    let mut stand_in = StandIn::start_as(ISSUER, &[HOST]).await;
    internet.place(public, stand_in.address());
    internet.place(private, stand_in.address());
    internet.point(HOST, &[public]);
    let clock = TestClock::new(NOON);
    let options = IssuerOptions {
        ca_bundle_pem: Some(stand_in.ca_pem().to_owned()),
        internet: Some(internet.clone()),
        ..IssuerOptions::new(ISSUER)
    };
    let provider = Provider::new(Issuer::new(options).unwrap(), Arc::new(clock.clone())).unwrap();
    assert_eq!(provider.refresh().await, Ok(()));
    // No connection is left, so that the next call looks the name up.
    stand_in.renew_certificate().await;
    for turned in [vec![private], vec![public, private]] {
        internet.point(HOST, &turned);
        clock.advance(Span::seconds(10));
        assert_eq!(provider.refresh().await.unwrap_err().code(), "issuer_address_refused", "{turned:?}");
    }
    let lines = log.lines(NOT_FOLLOWED);
    let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
    for part in ["reason.code", "issuer_address_refused", ISSUER, "10.0.0.7"] {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
}

#[tokio::test]
async fn tokens_that_have_no_answer_are_a_line_a_minute_with_how_many_there_were() {
    let log = TestLog::start();
    let scene = Scene::new().await;
    scene.stand_in.behave(Behaviour::Status(500));
    for times in ["times=1", "times=60"] {
        for _ in 0..60 {
            assert_eq!(scene.newest().await, "issuer_status");
            scene.clock.advance(Span::seconds(1));
        }
        let lines = log.lines(NO_ANSWER);
        let line = lines.last().unwrap();
        let parts = [" WARN ", "issuer_status", scene.stand_in.issuer(), times];
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    assert_eq!(log.lines(NO_ANSWER).len(), 2, "{}", log.text());
    // Another fault is news.
    scene.stand_in.behave(Behaviour::Redirect("https://10.0.0.1/".to_owned()));
    assert_eq!(scene.newest().await, "issuer_redirects");
    assert_eq!(scene.newest().await, "issuer_redirects");
    let lines = log.lines(NO_ANSWER);
    assert!(matches!(lines.as_slice(), [_, _, line] if line.contains("issuer_redirects")), "{lines:?}");
}

#[tokio::test]
async fn an_issuer_that_is_away_is_told_of_in_other_words_and_as_seldom() {
    let log = TestLog::start();
    let scene = Scene::new().await;
    for status in [500, 503] {
        scene.stand_in.behave(Behaviour::Status(status));
        assert_eq!(scene.newest().await, "issuer_status");
        scene.clock.advance(Span::seconds(10));
    }
    let lines = log.lines("an issuer's keys cannot be fetched");
    assert!(matches!(lines.as_slice(), [line] if line.contains("issuer_status")), "{lines:?}");
    assert!(log.lines(NOT_FOLLOWED).is_empty());
    // Another fault is news.
    scene.stand_in.behave(Behaviour::Redirect("https://10.0.0.1/".to_owned()));
    assert_eq!(scene.newest().await, "issuer_redirects");
    assert_eq!(log.lines(NOT_FOLLOWED).len(), 1);
}

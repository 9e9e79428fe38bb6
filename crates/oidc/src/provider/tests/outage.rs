//! Issuers that are down, or not what they should be.

use super::*;
use crate::jwks::KEYS_MAX;

#[tokio::test]
async fn old_keys_count_while_the_issuer_is_down_and_then_there_is_no_answer() {
    let scene = Scene::new().await;
    let raw = scene.stand_in.mint(&scene.claims());
    assert_eq!(scene.code(&raw).await, "ok");
    scene.stand_in.behave(Behaviour::Status(500));
    let forged = SigningKey::generate(Algorithm::Es256, "key-1").mint(&scene.claims());
    for (hours, expected) in
        [(1, "ok"), (12, "ok"), (24, "ok"), (25, "issuer_keys_stale"), (48, "issuer_keys_stale")]
    {
        scene.clock.set(NOON + Span::HOUR * hours);
        assert_eq!(scene.code(&raw).await, expected, "after {hours} h");
        let of_forged = if expected == "ok" { "jwt_signature" } else { expected };
        assert_eq!(scene.code(&forged).await, of_forged, "after {hours} h");
        scene.settled().await;
    }
    let fault = scene.provider.verify(Jwt::parse(&raw).unwrap(), &["kubernetes"]).await.unwrap_err();
    let OidcFault::Stale { limit, cause, .. } = &fault else { panic!("{fault}") };
    assert_eq!((*limit, cause.code()), (Duration::from_secs(25 * 3600), "issuer_status"));
    scene.stand_in.behave(Behaviour::Honest);
    assert_eq!(scene.code(&raw).await, "issuer_keys_stale", "not asked again at once");
    scene.clock.advance(Span::seconds(10));
    assert_eq!(scene.code(&raw).await, "ok", "back");
}

#[tokio::test]
async fn a_key_that_cannot_be_looked_for_has_no_answer_rather_than_a_refusal() {
    let scene = Scene::new().await;
    assert_eq!(scene.newest().await, "ok");
    let next = Arc::new(SigningKey::generate(Algorithm::Es256, "next"));
    scene.stand_in.behave(Behaviour::Status(503));
    scene.clock.advance(Span::seconds(10));
    assert_eq!(scene.code_of(&next).await, "issuer_status");
    assert_eq!(scene.code_of(&next).await, "issuer_status", "nor just after");
    assert_eq!(scene.newest().await, "ok", "the known key is not concerned");
    assert_eq!(scene.asked(), 2);
    scene.stand_in.behave(Behaviour::Honest);
    scene.stand_in.add(&next);
    scene.clock.advance(Span::seconds(10));
    assert_eq!(scene.code_of(&next).await, "ok");
}

/// The line that shows how many attempts ended so.
fn fetches(outcome: &str, times: u32) -> String {
    format!("lanyard_oidc_fetches_total{{outcome=\"{outcome}\"}} {times}\n")
}

#[tokio::test]
async fn what_an_issuer_does_wrong_is_a_fault_of_its_own_counted_and_never_a_refusal() {
    let instead = |text: &str| Behaviour::Instead(text.to_owned());
    let both = [Document::Discovery, Document::Keys];
    let cases = [
        (both.as_slice(), Behaviour::Status(500), "issuer_status"),
        (&both, Behaviour::Status(404), "issuer_status"),
        (&both, Behaviour::Status(204), "issuer_status"),
        (&both, Behaviour::Hang, "issuer_unreachable"),
        (&both, Behaviour::SlowBody, "issuer_unreachable"),
        (&both, Behaviour::BreaksOff, "issuer_unreachable"),
        (&both, Behaviour::Redirect("https://issuer.example/".to_owned()), "issuer_redirects"),
        (&both, Behaviour::Redirect("https://10.0.0.1/".to_owned()), "issuer_redirects"),
        (&both, Behaviour::ManyKeys(100_000), "issuer_document_too_large"),
        (&both[..1], Behaviour::Truncated, "issuer_discovery"),
        (&both[..1], instead("<html>"), "issuer_discovery"),
        (&both[..1], Behaviour::OtherIssuer("https://evil.example".to_owned()), "issuer_mismatch"),
        (&both[1..], Behaviour::Truncated, "issuer_keys"),
        (&both[1..], Behaviour::ManyKeys(KEYS_MAX + 1), "issuer_too_many_keys"),
        (&both[1..], instead("{}"), "issuer_keys"),
        (&both[1..], instead(r#"{"keys":[],"keys":[]}"#), "issuer_keys"),
    ];
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let hasty = Scene::with(|options| options.keys.timeout_milliseconds = 300).await;
    let patient = Scene::new().await;
    let mut faults = 0;
    for (documents, behaviour, expected) in cases {
        let never_ends = matches!(behaviour, Behaviour::Hang | Behaviour::SlowBody);
        let scene = if never_ends { &hasty } else { &patient };
        for document in documents {
            scene.stand_in.behave(Behaviour::Honest);
            scene.stand_in.behave_at(*document, behaviour.clone());
            scene.clock.advance(Span::seconds(10));
            assert_eq!(scene.newest().await, expected, "{document:?} {behaviour:?}");
            faults += 1;
            let (shown, line) = (recorder.handle().render(), fetches("fault", faults));
            assert!(shown.contains(&line), "{line} is not in\n{shown}");
        }
    }
    assert!(recorder.handle().render().contains(&fetches("fetched", 0)));
    assert_eq!(hasty.provider.status().keys + patient.provider.status().keys, 0);
}

#[tokio::test]
async fn an_issuer_that_withdraws_all_keys_has_none() {
    let scene = Scene::new().await;
    assert_eq!(scene.newest().await, "ok");
    let raw = scene.stand_in.mint(&scene.claims());
    scene.stand_in.remove_key("key-1");
    scene.clock.advance(Span::HOUR);
    assert_eq!(scene.code(&raw).await, "unknown_key");
}

#[tokio::test]
async fn whoever_configures_an_issuer_is_told_what_is_wrong_with_it() {
    let scene = Scene::new().await;
    let fault = |scene: &Scene| scene.provider.status().fault.map(|fault| fault.code());
    let other = scene.stand_in.issuer().replace("/main", "/other");
    scene.stand_in.behave_at(Document::Discovery, Behaviour::OtherIssuer(other.clone()));
    let told = scene.provider.refresh().await.unwrap_err();
    assert!(told.to_string().contains(&other), "{told}");
    assert_eq!(fault(&scene), Some("issuer_mismatch"));
    scene.stand_in.behave(Behaviour::Honest);
    scene.stand_in.add_jwk(json!({"kty": "RSA", "kid": "old", "n": "AQAB", "e": "AQAB"}));
    scene.clock.advance(Span::seconds(10));
    scene.provider.refresh().await.unwrap();
    let status = scene.provider.status();
    let skipped: Vec<_> = status.skipped.iter().map(|key| (key.kid.as_deref(), key.reason.code())).collect();
    assert_eq!((status.keys, skipped, status.fault), (1, vec![(Some("old"), "too_short")], None));
}

#[tokio::test]
async fn an_issuer_is_trusted_by_its_ca_bundle_alone() {
    let (scene, stranger) = (Scene::new().await, StandIn::start("").await);
    let with = |pem: Option<&str>| {
        let options = IssuerOptions { ca_bundle_pem: pem.map(str::to_owned), ..scene.stand_in.options() };
        Provider::new(Issuer::new(options).unwrap(), Arc::new(SystemClock)).unwrap()
    };
    assert_eq!(with(Some(scene.stand_in.ca_pem())).refresh().await, Ok(()));
    for provider in [with(Some(stranger.ca_pem())), with(None)] {
        let fault = provider.refresh().await.unwrap_err();
        assert!(fault.to_string().contains("did not prove who it is"), "{fault}");
        assert_eq!(fault.code(), "issuer_certificate");
    }
}

#[tokio::test]
async fn an_issuer_may_be_known_by_the_thumbprint_of_the_last_certificate_that_it_shows() {
    let (mut scene, stranger) = (Scene::new().await, StandIn::start("").await);
    let with = |scene: &Scene, thumbprints: &[&str], pem: Option<&str>| {
        let options = IssuerOptions {
            ca_bundle_pem: pem.map(str::to_owned),
            thumbprints: thumbprints.iter().map(ToString::to_string).collect(),
            ..scene.stand_in.options()
        };
        Provider::new(Issuer::new(options).unwrap(), Arc::new(SystemClock)).unwrap()
    };
    let (own, other) = (scene.stand_in.thumbprint(), stranger.thumbprint());
    let known = with(&scene, &[&other, &own.to_uppercase()], None);
    assert_eq!(known.refresh().await, Ok(()));
    let stranger_pem = Some(stranger.ca_pem());
    for provider in [with(&scene, &[&other], None), with(&scene, &[&own], stranger_pem)] {
        let fault = provider.refresh().await.unwrap_err();
        assert!(fault.to_string().contains("did not prove who it is"), "{fault}");
    }
    // Another certificate of the same authority is as good, and one of another authority is not.
    scene.stand_in.renew_certificate().await;
    assert_eq!(with(&scene, &[&own], None).refresh().await, Ok(()));
    scene.stand_in.renew_authority().await;
    assert!(with(&scene, &[&own], None).refresh().await.is_err());
}

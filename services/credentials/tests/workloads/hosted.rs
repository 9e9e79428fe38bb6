use lanyard_api::{
    CallError, ClusterId, Mutation, Scope,
    credentials::{FoundIssuer, HostedIssuer, IssuerSigner, Issuers, PublishIssuerKey, Workloads},
    mapping::Cluster,
};
use lanyard_credentials::{ClusterToken, ClusterTokens as _};
use lanyard_oidc::{Algorithm, Expected, Jwks, Jwt, stand_in::SigningKey, verify};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};
use time::Duration;

use crate::{bench::*, issuers::documents};

const HUB: &str = "https://hub.example";

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Algorithm::Es256, kid)
}

fn own_url(cluster: &Cluster) -> String {
    format!("{HUB}/id/{}", cluster.uid)
}

async fn publish(
    calls: &impl Issuers,
    cluster: &Cluster,
    key: &SigningKey,
) -> Result<HostedIssuer, CallError> {
    let asked = PublishIssuerKey { jwk: key.jwk().to_string(), issuer_url: None };
    let by = Mutation::by(actor_of(HOME));
    calls.publish_issuer_key(by, cluster.id.clone(), asked).await.map(|published| published.value)
}

async fn retire(calls: &impl Issuers, kid: &str, early: bool) -> Result<HostedIssuer, CallError> {
    let by = Mutation::by(actor_of(HOME));
    calls.retire_issuer_key(by, dev(), kid.to_owned(), early).await.map(|retired| retired.value)
}

async fn push(calls: &impl Workloads, cluster: &Cluster, url: &str, keys: &[&SigningKey]) -> &'static str {
    let by = Mutation::by(spoke(cluster.uid));
    code_of(calls.push_issuer(by, cluster.id.clone(), documents(url, keys)).await)
}

/// The ids of the keys that everybody sees.
async fn served(calls: &impl Issuers, cluster: &Cluster) -> Vec<String> {
    let FoundIssuer { documents, .. } = calls.find_issuer(cluster.uid).await.unwrap();
    let Some(documents) = documents else { return Vec::new() };
    let configuration: Value = serde_json::from_str(&documents.configuration).unwrap();
    assert_eq!(configuration["issuer"], own_url(cluster));
    let jwks: Value = serde_json::from_str(&documents.jwks).unwrap();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Whether a token of a pod is verified from memory by the issuer that it names.
async fn counts(bench: &Bench, key: &SigningKey) -> bool {
    let now = bench.clock_now().unix_timestamp();
    let url = own_url(&bench.cluster);
    let token =
        key.mint(&serde_json::json!({ "iss": url, "sub": "s", "aud": ["a"], "iat": now, "exp": now + 60 }));
    let snapshot = bench.engine.workloads(bench.cluster.uid).await.unwrap();
    let Some(known) = snapshot.issuer_named(&url) else { return false };
    let expected =
        Expected { issuer: &url, audiences: &["a"], algorithms: Algorithm::ALL.into_iter().collect() };
    verify(Jwt::parse(&token).unwrap(), &known.jwks, &expected, bench.clock_now()).is_ok()
}

pub(crate) async fn keys_are_published_overlap_and_are_retired_when_their_tokens_have_ended(
    bench: &Bench,
    calls: &impl Issuers,
) {
    let (old, new) = (key("old"), key("new"));
    assert_eq!(served(calls, &bench.cluster).await, [""; 0]);
    let first = publish(calls, &bench.cluster, &old).await.unwrap();
    assert_eq!((first.issuer_url, first.keys.len()), (own_url(&bench.cluster), 1));
    assert_eq!(publish(calls, &bench.cluster, &old).await.unwrap().keys.len(), 1, "the same again");
    assert_eq!([counts(bench, &old).await, counts(bench, &new).await], [true, false]);
    bench.clock.advance(Duration::hours(1));
    publish(calls, &bench.cluster, &new).await.unwrap();
    assert_eq!(served(calls, &bench.cluster).await, ["old", "new"]);
    assert_eq!([counts(bench, &old).await, counts(bench, &new).await], [true, true]);
    assert_eq!(code_of(retire(calls, "new", false).await), "issuer_key_in_use");
    bench.clock.advance(Duration::hours(23));
    assert_eq!(code_of(retire(calls, "old", false).await), "issuer_key_in_use");
    assert_eq!(code_of(retire(calls, "none", true).await), "not_found");
    bench.clock.advance(Duration::hours(1));
    retire(calls, "old", false).await.unwrap();
    assert_eq!([counts(bench, &old).await, counts(bench, &new).await], [false, true]);
    let described = calls.describe_issuer(actor_of(HOME), dev()).await.unwrap();
    assert_eq!(described.issuer_url, Some(own_url(&bench.cluster)));
    assert_eq!((described.hub_url, described.watched), (Some(own_url(&bench.cluster)), None));
    // The last one goes with the issuer.
    assert_eq!(retire(calls, "new", true).await.unwrap().keys, []);
    let described = calls.describe_issuer(actor_of(HOME), dev()).await.unwrap();
    assert_eq!((described.issuer_url, described.hosted, described.documents), (None, None, None));
}

pub(crate) async fn immunity_49_an_issuers_keys_come_from_one_place_and_are_one_clusters<
    T: Issuers + Workloads,
>(
    bench: &Bench,
    calls: &T,
) {
    let other = bench.another_cluster("other").await;
    let (own, more, foreign) = (key("own"), key("more"), key("foreign"));
    publish(calls, &bench.cluster, &own).await.unwrap();
    let url = own_url(&bench.cluster);
    // What the API server serves has to be among what is published; what it served before goes on beside it.
    assert_eq!(push(calls, &bench.cluster, &url, &[&own]).await, "ok");
    assert_eq!(push(calls, &bench.cluster, &url, &[&own, &more]).await, "issuer_keys_published");
    assert_eq!(push(calls, &bench.cluster, "https://kubernetes.default.svc", &[&more]).await, "ok");
    assert!(counts(bench, &own).await, "tokens of the new name count while the old one is seen");
    // Another cluster has neither name nor key.
    assert_eq!(push(calls, &other, &url, &[&foreign]).await, "issuer_taken");
    assert_eq!(push(calls, &other, "https://issuer.example", &[&own]).await, "signing_key_taken");
    assert_eq!(code_of(publish(calls, &other, &own).await), "signing_key_taken");
    assert_eq!(code_of(publish(calls, &other, &more).await), "signing_key_taken");
    let claimed = PublishIssuerKey { jwk: foreign.jwk().to_string(), issuer_url: Some(url.clone()) };
    let by = Mutation::by(actor_of(HOME));
    assert_eq!(code_of(calls.publish_issuer_key(by, other.id.clone(), claimed).await), "issuer_taken");
    // An issuer whose keys are watched is not published beside that.
    let others = own_url(&other);
    assert_eq!(push(calls, &other, &others, &[&foreign]).await, "ok");
    assert_eq!(served(calls, &other).await, ["foreign"], "the hub serves what it sees");
    assert_eq!(code_of(publish(calls, &other, &key("second")).await), "issuer_keys_watched");
    publish(calls, &other, &foreign).await.unwrap();
    publish(calls, &other, &key("third")).await.unwrap();
    let by = || Mutation::by(actor_of(HOME));
    calls.retire_issuer_key(by(), other.id.clone(), "foreign".to_owned(), true).await.unwrap();
    assert_eq!(served(calls, &other).await, ["third"], "whatever the API server still shows");
    // An account has its own clusters alone.
    let asked = PublishIssuerKey { jwk: key("x").jwk().to_string(), issuer_url: None };
    let abroad = calls.publish_issuer_key(Mutation::by(actor_of(ABROAD)), dev(), asked).await;
    assert_eq!(code_of(abroad), "not_found");
}

pub(crate) async fn who_retires_a_key_is_told_whether_tokens_count_on_by_what_the_api_server_serves<
    T: Issuers + Workloads,
>(
    bench: &Bench,
    calls: &T,
) {
    let (own, next, url) = (key("own"), key("next"), own_url(&bench.cluster));
    let retired = async |kid: &str| {
        let by = Mutation::by(actor_of(HOME));
        calls.retire_issuer_key(by, dev(), kid.to_owned(), true).await.unwrap().notices
    };
    publish(calls, &bench.cluster, &own).await.unwrap();
    assert_eq!(push(calls, &bench.cluster, &url, &[&own]).await, "ok");
    // It was the only one that is published, so that the API server's are the source.
    let notices = retired("own").await;
    assert!(notices[0].contains("count on") && notices[0].contains("publish it again"), "{notices:?}");
    assert!(counts(bench, &own).await);
    // Published again, with one beside it: what the API server shows says nothing.
    publish(calls, &bench.cluster, &own).await.unwrap();
    publish(calls, &bench.cluster, &next).await.unwrap();
    let notices = retired("own").await;
    assert!(notices[0].contains("count no more"), "{notices:?}");
    assert!(!counts(bench, &own).await);
    // Under another name it counts whatever is published under this one.
    let other = "https://kubernetes.default.svc";
    assert_eq!(push(calls, &bench.cluster, other, &[&next]).await, "ok");
    let notices = retired("next").await;
    assert!(notices[0].contains(other) && !notices[0].contains("publish it again"), "{notices:?}");
    assert!(!counts(bench, &next).await);
}

pub(crate) async fn an_issuer_elsewhere_is_described_and_not_served(bench: &Bench, calls: &impl Issuers) {
    let bucket = "https://bucket.example/dev";
    let asked = |issuer_url: &str| PublishIssuerKey {
        jwk: key("a").jwk().to_string(),
        issuer_url: Some(issuer_url.to_owned()),
    };
    let publish = async |asked| calls.publish_issuer_key(Mutation::by(actor_of(HOME)), dev(), asked).await;
    assert_eq!(code_of(publish(asked("http://bucket.example")).await), "issuer_url");
    let published = publish(asked(bucket)).await.unwrap();
    assert!(published.notices[0].contains("export the documents"), "{:?}", published.notices);
    assert_eq!(code_of(publish(asked("https://other.example")).await), "issuer_url_fixed");
    let found = calls.find_issuer(bench.cluster.uid).await.unwrap();
    assert_eq!((found.issuer_url.as_deref(), found.documents), (Some(bucket), None));
    let described = calls.describe_issuer(actor_of(HOME), dev()).await.unwrap();
    assert!(described.documents.unwrap().configuration.contains(bucket));
}

pub(crate) async fn the_hub_signs_with_keys_of_its_own_that_verify_no_pod(
    bench: &Bench,
    calls: &impl Issuers,
) {
    let own = key("own");
    publish(calls, &bench.cluster, &own).await.unwrap();
    let asked = || ClusterToken {
        subject: "system:serviceaccount:n:a".to_owned(),
        audience: "sts.amazonaws.com".to_owned(),
        lifetime: Duration::hours(3),
        claims: Map::from_iter([("tags".to_owned(), "x".into())]),
    };
    let minted = async || bench.engine.mint(bench.cluster.uid, asked()).await.unwrap();
    let verified = async |token: &str| {
        let found = calls.find_issuer(bench.cluster.uid).await.unwrap().documents.unwrap();
        let jwks = Jwks::parse(found.jwks.as_bytes()).unwrap();
        let (url, audiences) = (own_url(&bench.cluster), ["sts.amazonaws.com"]);
        let expected = Expected {
            issuer: &url,
            audiences: &audiences,
            algorithms: Algorithm::ALL.into_iter().collect(),
        };
        let claims = verify(Jwt::parse(token).unwrap(), &jwks, &expected, bench.clock_now());
        claims.map(|claims| claims.expires_at() - bench.clock_now()).ok()
    };
    let first = minted().await;
    let quarter = Some(Duration::minutes(15));
    assert_eq!(verified(first.expose_secret()).await, quarter, "no longer than it needs");
    let kid = |token: &str| Jwt::parse(token).unwrap().header().kid.clone().unwrap();
    let first_kid = kid(first.expose_secret());
    assert_eq!(kid(minted().await.expose_secret()), first_kid, "one key for all");
    // A pod's token by the hub's key is none.
    let snapshot = bench.engine.workloads(bench.cluster.uid).await.unwrap();
    let known = snapshot.issuer().unwrap();
    assert_eq!(known.record.keys.len(), 1);
    let refused = verify(
        Jwt::parse(first.expose_secret()).unwrap(),
        &known.jwks,
        &Expected {
            issuer: &own_url(&bench.cluster),
            audiences: &["sts.amazonaws.com"],
            algorithms: Algorithm::ALL.into_iter().collect(),
        },
        bench.clock_now(),
    );
    assert!(refused.is_err());
    // The next one is published before it signs, and the one before it stays until its tokens have ended.
    let rotated = calls.rotate_hub_issuer_key(Mutation::by(actor_of(HOME)), dev()).await.unwrap().value;
    assert_eq!(rotated.keys_of(IssuerSigner::Hub).count(), 2);
    assert_eq!(kid(minted().await.expose_secret()), first_kid);
    assert_eq!(code_of(retire(calls, &first_kid, false).await), "issuer_key_in_use");
    bench.clock.advance(Duration::minutes(15));
    let second = minted().await;
    assert_ne!(kid(second.expose_secret()), first_kid);
    assert_eq!(verified(second.expose_secret()).await, quarter);
    bench.clock.advance(Duration::minutes(15));
    retire(calls, &first_kid, false).await.unwrap();
    assert_ne!(kid(minted().await.expose_secret()), first_kid, "what is left is still there");
}

pub(crate) async fn immunity_37_a_cluster_that_is_gone_has_no_issuer_at_the_hub_and_no_key(
    bench: &Bench,
    calls: &impl Issuers,
) {
    let own = key("own");
    publish(calls, &bench.cluster, &own).await.unwrap();
    bench.engine.mint(bench.cluster.uid, token()).await.unwrap();
    bench.delete(&bench.cluster).await;
    assert_eq!(calls.find_issuer(bench.cluster.uid).await.unwrap(), FoundIssuer::default());
    assert!(!counts(bench, &own).await);
    assert_eq!(code_of(bench.engine.mint(bench.cluster.uid, token()).await.map(drop)), "not_found");
    let scope = Scope::Cluster(bench.cluster.uid);
    assert!(bench.store.load::<HostedIssuer>(scope).await.unwrap().1.is_empty());
    // Another of the same name has another issuer, and may have the key.
    let anew = bench.another_cluster("dev").await;
    let issuer = publish(calls, &anew, &own).await.unwrap();
    assert_eq!(issuer.issuer_url, own_url(&anew));
    assert_ne!(issuer.issuer_url, own_url(&bench.cluster));
}

fn token() -> ClusterToken {
    ClusterToken {
        subject: "s".to_owned(),
        audience: "a".to_owned(),
        lifetime: Duration::MINUTE,
        claims: Map::new(),
    }
}

pub(crate) async fn a_hub_that_does_not_know_its_url_has_no_issuers(bench: &Bench, _: &impl Issuers) {
    let nameless = bench.nameless();
    let refused = publish(&nameless, &bench.cluster, &key("a")).await;
    assert_eq!(code_of(refused), "external_url");
    assert_eq!(code_of(nameless.mint(bench.cluster.uid, token()).await.map(drop)), "external_url");
    let by_id: ClusterId = dev();
    let described = nameless.describe_issuer(actor_of(HOME), by_id).await.unwrap();
    assert_eq!((described.hub_url, described.hosted), (None, None));
}

use lanyard_iam::sigv4::{HttpRequest, PayloadHash, Signer};
use lanyard_iam::{Credentials, Partition, SecretAccessKey, SessionToken};
use lanyard_kit::limits::Quota;
use lanyard_kit::{Clock as _, SecretString, SystemClock};
use time::OffsetDateTime;

use super::*;
use crate::stand_in::{Behaviour, StandIn};
use crate::sts::BoundTo;

const HOST: &str = "sts.eu-west-1.amazonaws.com";
const REGION: &str = "eu-west-1";
const ACCOUNT: &str = "111122223333";

/// Somebody's keys and name.
struct Person {
    credentials: Credentials,
    arn: String,
    user_id: String,
}

fn user(name: &str) -> Person {
    let id = name.to_uppercase();
    Person {
        credentials: credentials(&format!("AKIA{id:X>16}"), None),
        arn: format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
        user_id: format!("AIDA{id:X>17}"),
    }
}

fn session(name: &str, key: &str) -> Person {
    Person {
        credentials: credentials(key, Some("session+token/=")),
        arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/Dev/{name}"),
        user_id: format!("AROADEVDEVDEVDEVDEVDE:{name}"),
    }
}

fn credentials(key: &str, token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: AccessKeyId::parse(key).unwrap(),
        secret_access_key: SecretAccessKey::new(format!("secret of {key}")),
        session_token: token.map(|token| SessionToken::new(token.to_owned())),
    }
}

/// What the client is asked, with a URL presigned for a cluster id.
struct Asked {
    url: SecretString,
    key: AccessKeyId,
    host: String,
    region: String,
    cluster_id: String,
    spoke: String,
}

fn signed(by: &Credentials, host: &str, region: &str, cluster_id: &str) -> Asked {
    signed_at(SystemClock.now(), by, host, region, cluster_id)
}

fn signed_at(at: OffsetDateTime, by: &Credentials, host: &str, region: &str, cluster_id: &str) -> Asked {
    let request = HttpRequest {
        method: "GET",
        path: "/",
        query: "Action=GetCallerIdentity&Version=2011-06-15",
        headers: &[("host", host), ("x-k8s-aws-id", cluster_id)],
    };
    let signer = Signer::new(by, region, "sts");
    let minute = time::Duration::minutes(1);
    let query = signer.presign(&request, &PayloadHash::of(b""), at, minute).unwrap();
    Asked {
        url: SecretString::from(format!("https://{host}/?{}", query.expose_secret())),
        key: by.access_key_id.clone(),
        host: host.to_owned(),
        region: region.to_owned(),
        cluster_id: cluster_id.to_owned(),
        spoke: "spoke-1".to_owned(),
    }
}

impl Asked {
    fn at(mut self, spoke: &str) -> Self {
        self.spoke = spoke.to_owned();
        self
    }

    fn call(&self) -> GetCallerIdentity<'_> {
        GetCallerIdentity {
            url: &self.url,
            host: &self.host,
            region: &self.region,
            partition: Partition::Aws,
            self_hosted: false,
            access_key_id: &self.key,
            bound_to: BoundTo::Cluster(&self.cluster_id),
            spoke: &self.spoke,
        }
    }
}

fn options() -> StsOptions {
    StsOptions { backoff_milliseconds: 1, ..StsOptions::default() }
}

async fn start(options: StsOptions) -> (StandIn, StsClient) {
    let stand_in = StandIn::start(&[HOST, "sts.eu-nowhere-9.amazonaws.com"]).await;
    let client = StsClient::new(options, stand_in.http_options()).unwrap();
    (stand_in, client)
}

fn know(stand_in: &StandIn, person: &Person) {
    stand_in.add(&person.credentials, ACCOUNT, &person.arn, &person.user_id);
}

fn reason(answer: Result<StsAnswer, StsFault>) -> StsRefusalReason {
    match answer {
        Ok(StsAnswer::Refused(refusal)) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_signed_for_this_cluster_is_who_sts_says() {
    let (stand_in, client) = start(options()).await;
    for person in [user("ana"), session("ana@example.com", "ASIAEXAMPLE123456789")] {
        know(&stand_in, &person);
        let asked = signed(&person.credentials, HOST, REGION, "dev");
        match client.get_caller_identity(asked.call()).await {
            Ok(StsAnswer::Verified(identity)) => assert_eq!(identity.arn.to_string(), person.arn),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_stand_in_takes_a_token_for_fifteen_minutes_whatever_lifetime_it_gives_itself_as_sts_does() {
    let (stand_in, client) = start(options()).await;
    let ana = user("ana");
    know(&stand_in, &ana);
    for (minutes, is_old) in [(14, false), (16, true)] {
        let at = SystemClock.now() - time::Duration::minutes(minutes);
        let asked = signed_at(at, &ana.credentials, HOST, REGION, "dev");
        match client.get_caller_identity(asked.call()).await {
            Ok(StsAnswer::Verified(_)) if !is_old => {}
            Ok(StsAnswer::Refused(refusal)) if is_old => {
                assert_eq!(refusal.reason, StsRefusalReason::Expired)
            }
            other => panic!("{minutes}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn immunity_04_v79_another_clusters_token_a_wrong_secret_and_a_tampered_one_are_refused_alike() {
    let (stand_in, client) = start(options()).await;
    let ana = user("ana");
    know(&stand_in, &ana);
    let mut replayed = signed(&ana.credentials, HOST, REGION, "dev");
    replayed.cluster_id = "prod".to_owned();
    let wrong = Credentials {
        secret_access_key: SecretAccessKey::new("guess".to_owned()),
        ..ana.credentials.clone()
    };
    let wrong = signed(&wrong, HOST, REGION, "dev");
    let mut tampered = signed(&ana.credentials, HOST, REGION, "dev");
    tampered.url = SecretString::from(tampered.url.expose_secret().replace("Version=2011", "Version=2012"));
    for (what, asked) in [("another cluster", replayed), ("wrong secret", wrong), ("tampered", tampered)] {
        let found = reason(client.get_caller_identity(asked.call()).await);
        assert_eq!(found, StsRefusalReason::SignatureOrCluster, "{what}");
    }
}

#[tokio::test]
async fn each_refusal_has_its_reason() {
    let (stand_in, client) = start(options()).await;
    let ana = user("ana");
    let asked = signed(&ana.credentials, HOST, REGION, "dev");
    let found = reason(client.get_caller_identity(asked.call()).await);
    assert_eq!(found, StsRefusalReason::InvalidKey);
    let cases = [
        (Behaviour::Denied, StsRefusalReason::Other),
        (Behaviour::Expired, StsRefusalReason::Expired),
        (Behaviour::RegionDisabled, StsRefusalReason::RegionDisabled),
    ];
    for (behaviour, expected) in cases {
        stand_in.behave(behaviour);
        assert_eq!(reason(client.get_caller_identity(asked.call()).await), expected, "{behaviour:?}");
    }
}

#[tokio::test]
async fn immunity_14_faults_are_faults_and_each_says_which() {
    let limits = StsOptions { attempt_milliseconds: 300, deadline_milliseconds: 1_000, ..options() };
    let (stand_in, client) = start(limits).await;
    let asked = signed(&user("ana").credentials, HOST, REGION, "dev");
    type Kind = fn(&StsFault) -> bool;
    let throttled: Kind = |fault| matches!(fault, StsFault::Throttled { .. });
    let timed_out: Kind = |fault| matches!(fault, StsFault::TimedOut { .. });
    let bad: Kind = |fault| matches!(fault, StsFault::BadAnswer { .. });
    let cases: [(Behaviour, Kind); 14] = [
        (Behaviour::Throttled400, throttled),
        (Behaviour::Throttled403, throttled),
        (Behaviour::Throttled429, throttled),
        (Behaviour::ServerError, |fault| matches!(fault, StsFault::ServerError { status: 500, .. })),
        (Behaviour::Hang, timed_out),
        (Behaviour::SlowBody, timed_out),
        (Behaviour::Truncated, bad),
        (Behaviour::Redirect, bad), // V67
        (Behaviour::HugeBody, bad),
        (Behaviour::BadJson, bad), // V70
        (Behaviour::Xml, bad),
        (Behaviour::MixedIdentity, bad),
        (Behaviour::AnotherPrincipal, bad),
        (Behaviour::AnotherPartition, bad),
    ];
    for (behaviour, is_expected) in cases {
        stand_in.behave(behaviour);
        let fault = client.get_caller_identity(asked.call()).await.unwrap_err();
        assert!(is_expected(&fault), "{behaviour:?}: {fault:?}");
        let shown = format!("{fault} {fault:?}");
        assert!(!shown.contains("X-Amz-Signature"), "{behaviour:?}: {shown}");
    }
}

#[tokio::test]
async fn throttling_is_tried_again_and_no_other_fault_is() {
    let (stand_in, client) = start(options()).await;
    let ana = user("ana");
    know(&stand_in, &ana);
    let asked = signed(&ana.credentials, HOST, REGION, "dev");
    stand_in.behave(Behaviour::ThrottledAtFirst(2));
    assert!(matches!(client.get_caller_identity(asked.call()).await, Ok(StsAnswer::Verified(_))));
    assert_eq!(stand_in.calls(), 3);
    stand_in.behave(Behaviour::ServerError);
    client.get_caller_identity(asked.call()).await.unwrap_err();
    assert_eq!(stand_in.calls(), 4);
    stand_in.behave(Behaviour::Throttled400);
    client.get_caller_identity(asked.call()).await.unwrap_err();
    assert_eq!(stand_in.calls(), 7);
}

#[tokio::test]
async fn nobody_there_and_a_stranger_in_its_place_are_unreachable() {
    let (stand_in, _) = start(options()).await;
    let (other, _) = start(options()).await;
    let asked = signed(&user("ana").credentials, HOST, REGION, "dev");
    let mut http = stand_in.http_options();
    http.roots = other.http_options().roots;
    let client = StsClient::new(options(), http).unwrap();
    let fault = client.get_caller_identity(asked.call()).await.unwrap_err();
    assert!(matches!(fault, StsFault::Unreachable { .. }), "{fault:?}");
    assert_eq!(stand_in.calls(), 0, "nothing is sent to a stranger");
}

#[tokio::test]
async fn immunity_28_made_up_keys_use_up_the_share_of_unproven_ones_alone() {
    let slow = |burst| Quota { per_second: 1, burst };
    let (stand_in, client) = start(StsOptions { spoke: slow(10), region: slow(1_000), ..options() }).await;
    let ana = user("ana");
    know(&stand_in, &ana);
    let honest = signed(&ana.credentials, HOST, REGION, "dev");
    client.get_caller_identity(honest.call()).await.unwrap();
    let mut held_back = 0;
    for number in 0..30 {
        let made_up = signed(&credentials(&format!("AKIAMADEUP{number:010}"), None), HOST, REGION, "dev");
        match client.get_caller_identity(made_up.call()).await {
            Ok(StsAnswer::Refused(_)) => {}
            Err(StsFault::Limited { whose: Limited::Spoke, .. }) => held_back += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(held_back >= 20, "{held_back}");
    let anew = SystemClock.now() - time::Duration::seconds(10);
    for honest in [honest, signed_at(anew, &ana.credentials, HOST, REGION, "dev")] {
        let again = client.get_caller_identity(honest.call()).await;
        assert!(matches!(again, Ok(StsAnswer::Verified(_))), "{again:?}");
    }
    let elsewhere = signed(&user("bo").credentials, HOST, REGION, "dev").at("spoke-2");
    assert!(
        client.get_caller_identity(elsewhere.call()).await.is_ok(),
        "another spoke has a share of its own"
    );
}

/// Its id is no secret: it stands in logs, and in the extra values of certificate requests and reviews.
#[tokio::test]
async fn immunity_28_who_knows_a_keys_id_takes_nothing_of_its_share_away() {
    let slow = Quota { per_second: 1, burst: 5 };
    let (stand_in, client) = start(StsOptions { spoke: slow, ..options() }).await;
    for (person, forged) in [
        (user("ana"), credentials("AKIAXXXXXXXXXXXXXANA", Some("x"))),
        (session("bo", "ASIAEXAMPLE123456789"), credentials("ASIAEXAMPLE123456789", None)),
    ] {
        know(&stand_in, &person);
        assert_eq!(person.credentials.access_key_id, forged.access_key_id);
        let honest = signed(&person.credentials, HOST, REGION, "dev").at(&person.arn);
        client.get_caller_identity(honest.call()).await.unwrap();
        let forged = signed(&forged, HOST, REGION, "dev").at(&person.arn);
        assert_eq!(
            reason(client.get_caller_identity(forged.call()).await),
            StsRefusalReason::InvalidKey,
            "STS says so before it looks at the signature"
        );
        for number in 0..10 {
            let made_up = credentials(&format!("AKIAMADEUP{number:010}"), None);
            let made_up = signed(&made_up, HOST, REGION, "dev").at(&person.arn);
            let _ = client.get_caller_identity(made_up.call()).await;
        }
        let mut held_back = 0;
        for _ in 0..30 {
            let result = client.get_caller_identity(forged.call()).await;
            held_back += usize::from(matches!(result, Err(StsFault::Limited { .. })));
        }
        assert!(held_back >= 20, "{held_back}");
        let anew = SystemClock.now() - time::Duration::seconds(10);
        let anew = signed_at(anew, &person.credentials, HOST, REGION, "dev").at(&person.arn);
        // A new token of a key without a session could be a forged one.
        let is_of_a_session = person.credentials.session_token.is_some();
        for honest in [Some(honest), is_of_a_session.then_some(anew)].into_iter().flatten() {
            let again = client.get_caller_identity(honest.call()).await;
            assert!(matches!(again, Ok(StsAnswer::Verified(_))), "{again:?}");
        }
    }
}

#[tokio::test]
async fn immunity_28_who_knows_many_keys_ids_takes_nothing_from_tokens_that_sts_has_verified() {
    let slow = Quota { per_second: 1, burst: 20 };
    let (stand_in, client) = start(StsOptions { spoke: slow, region: slow, ..options() }).await;
    let people = ["ana", "bo", "cy", "di", "eve"].map(user);
    let mut tokens = Vec::new();
    for person in &people {
        know(&stand_in, person);
        tokens.push(signed(&person.credentials, HOST, REGION, "dev"));
    }
    for token in &tokens {
        client.get_caller_identity(token.call()).await.unwrap();
    }
    for person in &people {
        let key = person.credentials.access_key_id.as_str();
        let forged = Credentials {
            secret_access_key: SecretAccessKey::new("guess".to_owned()),
            ..credentials(key, None)
        };
        let forged = signed(&forged, HOST, REGION, "dev");
        for _ in 0..10 {
            let _ = client.get_caller_identity(forged.call()).await;
        }
    }
    for token in &tokens {
        let again = client.get_caller_identity(token.call()).await;
        assert!(matches!(again, Ok(StsAnswer::Verified(_))), "{again:?}");
    }
}

#[tokio::test]
async fn immunity_28_one_key_is_held_back_at_its_own_spoke_and_unknown_regions_share_one_limit() {
    let slow = Quota { per_second: 1, burst: 3 };
    let (stand_in, client) = start(StsOptions { access_key: slow, unknown_regions: slow, ..options() }).await;
    let ana = user("ana");
    know(&stand_in, &ana);
    let asked = signed(&ana.credentials, HOST, REGION, "dev");
    // The first one is nobody's yet; then the token is known.
    for _ in 0..1 + 3 {
        client.get_caller_identity(asked.call()).await.unwrap();
    }
    let fault = client.get_caller_identity(asked.call()).await.unwrap_err();
    assert!(matches!(fault, StsFault::Limited { whose: Limited::AccessKey, .. }), "{fault:?}");
    assert!(client.get_caller_identity(asked.at("spoke-2").call()).await.is_ok());

    let nowhere =
        |name: &str| signed(&user(name).credentials, "sts.eu-nowhere-9.amazonaws.com", "eu-nowhere-9", "dev");
    let mut last = None;
    for name in ["b", "c", "d", "e"] {
        last = Some(client.get_caller_identity(nowhere(name).call()).await);
    }
    let fault = last.unwrap().unwrap_err();
    assert!(matches!(fault, StsFault::Limited { whose: Limited::Region, .. }), "{fault:?}");
    assert!(
        client.get_caller_identity(signed(&user("f").credentials, HOST, REGION, "dev").call()).await.is_ok()
    );
}

#[tokio::test]
async fn the_breaker_opens_when_sts_fails_for_several_principals() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let assert_shown = |open: u8| {
        let shown = recorder.handle().render();
        for gauge in [
            "lanyard_aws_sts_breaker_open{region=\"eu-west-1\"}",
            "lanyard_aws_breaker_open{service=\"sts\"}",
        ] {
            let line = format!("{gauge} {open}\n");
            assert!(shown.contains(&line), "{line} is not in\n{shown}");
        }
    };
    let (stand_in, client) = start(options()).await;
    let people = [user("ana"), user("bo"), user("cy")];
    for person in &people {
        know(&stand_in, person);
        client.get_caller_identity(signed(&person.credentials, HOST, REGION, "dev").call()).await.unwrap();
    }
    assert_shown(0);
    stand_in.behave(Behaviour::ServerError);
    for person in &people {
        let asked = signed(&person.credentials, HOST, REGION, "dev");
        let fault = client.get_caller_identity(asked.call()).await.unwrap_err();
        assert!(matches!(fault, StsFault::ServerError { .. }), "{fault:?}");
    }
    assert_shown(1);
    let calls = stand_in.calls();
    let asked = signed(&people[0].credentials, HOST, REGION, "dev");
    let fault = client.get_caller_identity(asked.call()).await.unwrap_err();
    assert!(matches!(fault, StsFault::BreakerOpen { .. }), "{fault:?}");
    assert_eq!(stand_in.calls(), calls);
}

#[tokio::test]
async fn immunity_55_one_caller_with_many_keys_does_not_open_the_breaker() {
    let (stand_in, client) = start(options()).await;
    let sessions: Vec<Person> = (0..8)
        .map(|number| session(&format!("mallory{number}"), &format!("ASIAMALLORY{number:09}")))
        .collect();
    for session in &sessions {
        know(&stand_in, session);
        client.get_caller_identity(signed(&session.credentials, HOST, REGION, "dev").call()).await.unwrap();
    }
    stand_in.behave(Behaviour::ServerError);
    for session in &sessions {
        let asked = signed(&session.credentials, HOST, REGION, "dev");
        let fault = client.get_caller_identity(asked.call()).await.unwrap_err();
        assert!(matches!(fault, StsFault::ServerError { .. }), "{fault:?}");
    }
    for number in 0..8 {
        let made_up = signed(&credentials(&format!("AKIAMADEUP{number:010}"), None), HOST, REGION, "dev");
        client.get_caller_identity(made_up.call()).await.unwrap_err();
    }
    stand_in.behave(Behaviour::Honest);
    let ana = user("ana");
    know(&stand_in, &ana);
    let asked = signed(&ana.credentials, HOST, REGION, "dev");
    assert!(matches!(client.get_caller_identity(asked.call()).await, Ok(StsAnswer::Verified(_))));
}

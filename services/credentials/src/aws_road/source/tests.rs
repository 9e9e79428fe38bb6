//! The source against an STS of the tests'.

use std::collections::BTreeMap;

use lanyard_api::{
    ClusterUid, HubId,
    credentials::{PodIdentityAssociation, PodIdentityAssociationId},
    mapping::{AuthenticationMode, AuthorizerMode, Cluster},
};
use lanyard_aws::{
    AwsClient, AwsOptions, CallOptions, CredentialSource as HubCredentials, Quota,
    stand_in::{Behaviour, StandIn, StandInRole, StandInTrust},
};
use lanyard_iam::{AccessKeyId, Credentials, Partition, Region, SecretAccessKey, SessionToken};
use lanyard_kit::SystemClock;
use secrecy::ExposeSecret as _;

use super::*;
use crate::{
    aws_road::external_id,
    vend::{PodIdentity, TargetHop},
};

const ROLE: &str = "arn:aws:iam::444455556666:role/team/app";
const TARGET: &str = "arn:aws:iam::777788889999:role/data";
const SUBJECT: &str = "system:serviceaccount:team-a:bot";
const HOUR: u32 = 3_600;

/// Signs nothing: the tests' STS knows no keys.
#[derive(Clone, Default)]
struct Unsigned;

impl IssuerTokens for Unsigned {
    async fn issuer_of(&self, _: ClusterUid) -> Result<String, CallError> {
        Ok("https://hub.example/id/7".to_owned())
    }

    async fn token(&self, _: ClusterUid, asked: TokenAsked) -> Result<SecretString, CallError> {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let mut claims = asked.claims;
        claims.insert("sub".to_owned(), asked.subject.into());
        claims.insert("aud".to_owned(), asked.audience.into());
        claims.insert("exp".to_owned(), i64::MAX.into());
        let payload = URL_SAFE_NO_PAD.encode(serde_json::Value::Object(claims).to_string());
        Ok(SecretString::from(format!("e30.{payload}.e30")))
    }
}

struct Stage {
    sts: StandIn,
    source: AwsSource<Unsigned>,
    hub: HubId,
    cluster: Arc<Cluster>,
}

fn keys(id: &str) -> Credentials {
    Credentials {
        access_key_id: AccessKeyId::parse(id).unwrap(),
        secret_access_key: SecretAccessKey::new(format!("secret of {id}")),
        session_token: Some(SessionToken::new(format!("token of {id}"))),
    }
}

fn pod_keys() -> Credentials {
    keys("ASIAPODPODPODPODPODP")
}

impl Stage {
    /// A hub whose own credentials are those of a user, or a session of a role.
    async fn new(hub_arn: &str) -> Self {
        let sts = StandIn::start(&["sts.eu-west-1.amazonaws.com", "iam.amazonaws.com"]).await;
        let own = keys("ASIAHUBHUBHUBHUBHUBH");
        let id = if hub_arn.contains(":user/") { "AIDAHUB" } else { "AROAHUB:i-1" };
        sts.add(&own, "444455556666", hub_arn, id);
        let calls = CallOptions {
            backoff_milliseconds: 1,
            attempt_milliseconds: 400,
            deadline_milliseconds: 1_500,
            role: Quota { per_second: 1_000, burst: 1_000 },
            ..CallOptions::default()
        };
        let options = AwsOptions { calls, ..AwsOptions::default() };
        let region = Region::parse("eu-west-1").unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let source = HubCredentials::fixed(&own);
        let aws = AwsClient::new(&options, &region, source, sts.http_options(), Arc::clone(&clock)).unwrap();
        let hub: HubId = "b3e0c0de-0000-4000-8000-000000000001".parse().unwrap();
        let source = AwsSource::new(Road::new(aws, hub), Unsigned, clock);
        Self { sts, source, hub, cluster: Arc::new(cluster()) }
    }

    async fn of_session() -> Self {
        Self::new("arn:aws:sts::444455556666:assumed-role/hub/i-1").await
    }

    async fn of_user() -> Self {
        Self::new("arn:aws:iam::444455556666:user/hub").await
    }

    fn external_id(&self) -> String {
        external_id(self.hub, self.cluster.uid, "team-a", "bot")
    }

    /// A role that lets the hub in as it should.
    fn role(&self) -> StandInRole {
        StandInRole {
            seconds_max: 12 * HOUR,
            ..StandInRole::new(&pod_keys()).trusting(StandInTrust::ExternalId(self.external_id()))
        }
    }

    fn decided(&self, aws_road: Option<AwsRoad>) -> Decided {
        Decided {
            cluster: Arc::clone(&self.cluster),
            association: Arc::new(association(&self.cluster, aws_road)),
            pod: PodIdentity {
                namespace: "team-a".to_owned(),
                service_account: "bot".to_owned(),
                service_account_uid: "1".to_owned(),
                pod: "bot-0".to_owned(),
                pod_uid: "2".to_owned(),
                node: "n".to_owned(),
                node_uid: "3".to_owned(),
            },
            session_name: "eks-dev-bot-0-1".to_owned(),
            tags: BTreeMap::from([("kubernetes-namespace".to_owned(), "team-a".to_owned())]),
            session_policy: None,
            target: None,
            seconds_max: 6 * HOUR,
            ancestors: Vec::new(),
        }
    }

    /// A parameter of the last question about a role.
    fn last(&self, name: &str) -> Option<String> {
        self.sts.assumed().last().and_then(|asked| asked.get(name).cloned())
    }
}

fn cluster() -> Cluster {
    Cluster {
        uid: ClusterUid::random(),
        id: "dev".parse().unwrap(),
        name: "dev".to_owned(),
        partition: Partition::Aws,
        account: "444455556666".parse().unwrap(),
        region: "eu-central-1".to_owned(),
        endpoint: None,
        certificate_authority: None,
        authentication_mode: AuthenticationMode::Api,
        authorizer_mode: AuthorizerMode::WebhookFirst,
        trusted_accounts: Vec::new(),
        audiences: Vec::new(),
        token_cache_seconds: 10,
        created_by: "test".to_owned(),
        tags: BTreeMap::new(),
        created_at: time::OffsetDateTime::UNIX_EPOCH,
    }
}

fn association(cluster: &Cluster, aws_road: Option<AwsRoad>) -> PodIdentityAssociation {
    PodIdentityAssociation {
        id: PodIdentityAssociationId::random(),
        cluster: cluster.uid,
        namespace: "team-a".to_owned(),
        service_account: "bot".to_owned(),
        role_arn: ROLE.parse().unwrap(),
        target_role_arn: None,
        disable_session_tags: false,
        policy: None,
        aws_road,
        unprobed: false,
        tags: BTreeMap::new(),
        created_at: time::OffsetDateTime::UNIX_EPOCH,
        modified_at: time::OffsetDateTime::UNIX_EPOCH,
    }
}

fn code(answer: Result<Sourced, SourceError>) -> String {
    match answer {
        Err(SourceError::Refused { code, text }) => {
            assert!(!text.contains("secret of") && !text.contains("token of"), "{text}");
            code.into_owned()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pod_gets_a_session_of_the_role_by_the_hubs_principal() {
    let stage = Stage::of_session().await;
    stage.sts.add_role(ROLE, stage.role());
    let sourced = stage.source.credentials(&stage.decided(Some(AwsRoad::HubPrincipal))).await.unwrap();
    assert_eq!(sourced.user.arn, "arn:aws:sts::444455556666:assumed-role/app/eks-dev-bot-0-1");
    assert_eq!(sourced.role_arn.to_string(), ROLE);
    assert_eq!(sourced.credentials.access_key_id.as_str(), "ASIAPODPODPODPODPODP");
    assert_eq!(sourced.credentials.secret_access_key.expose_secret(), "secret of ASIAPODPODPODPODPODP");
    assert!(!format!("{sourced:?}").contains("secret of"), "{sourced:?}");
    let expected = [
        ("ExternalId", stage.external_id()),
        ("Tags.member.1.Key", "kubernetes-namespace".to_owned()),
        ("TransitiveTagKeys.member.1", "kubernetes-namespace".to_owned()),
        // A session assumes it: an hour, whatever the role allows.
        ("DurationSeconds", HOUR.to_string()),
    ];
    for (name, value) in expected {
        assert_eq!(stage.last(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_pod_gets_a_session_of_the_role_by_the_clusters_issuer_with_its_tags() {
    let stage = Stage::of_session().await;
    let identity = (SUBJECT.to_owned(), AUDIENCE.to_owned());
    let role =
        StandInRole { web_identity: Some(identity), seconds_max: 12 * HOUR, ..StandInRole::new(&pod_keys()) };
    stage.sts.add_role(ROLE, role);
    stage.sts.add_principal(ROLE, "AROAAPP");
    stage.source.credentials(&stage.decided(Some(AwsRoad::Issuer))).await.unwrap();
    // Nobody's session assumes it: six hours.
    assert_eq!(stage.last("DurationSeconds"), Some((6 * HOUR).to_string()));
    assert_eq!(
        (stage.last("ExternalId"), stage.last("Tags.member.1.Key")),
        (None, None),
        "they are in the token"
    );
    let token = stage.last("WebIdentityToken").unwrap();
    let payload = token.split('.').nth(1).unwrap().to_owned();
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let tags = &claims["https://aws.amazon.com/tags"];
    assert_eq!(tags["principal_tags"]["kubernetes-namespace"], serde_json::json!(["team-a"]));
    assert_eq!(tags["transitive_tag_keys"], serde_json::json!(["kubernetes-namespace"]));
}

#[tokio::test]
async fn a_session_is_as_long_as_the_role_allows_whether_iam_tells_it_or_not() {
    let stage = Stage::of_user().await;
    stage.sts.add_role(ROLE, StandInRole { seconds_max: 2 * HOUR, ..stage.role() });
    let decided = stage.decided(Some(AwsRoad::HubPrincipal));
    // IAM does not know it: six hours are refused, and an hour is what every role allows.
    for expected_calls in [2, 1] {
        let before = stage.sts.assumed().len();
        stage.source.credentials(&decided).await.unwrap();
        assert_eq!(stage.last("DurationSeconds"), Some(HOUR.to_string()));
        assert_eq!(stage.sts.assumed().len() - before, expected_calls, "what was learned is remembered");
    }
    let stage = Stage::of_user().await;
    stage.sts.add_role(ROLE, StandInRole { seconds_max: 2 * HOUR, ..stage.role() });
    stage.sts.add_principal(ROLE, "AROAAPP");
    stage.source.credentials(&stage.decided(Some(AwsRoad::HubPrincipal))).await.unwrap();
    assert_eq!(stage.last("DurationSeconds"), Some((2 * HOUR).to_string()));
    assert_eq!(stage.sts.assumed().len(), 1);
}

#[tokio::test]
async fn a_target_role_is_assumed_with_the_first_roles_session() {
    let stage = Stage::of_user().await;
    stage.sts.add_role(ROLE, stage.role());
    let data = keys("ASIADATADATADATADATA");
    let role = StandInRole::new(&data).trusting(StandInTrust::ExternalId("eu/1/dev/team-a/bot".to_owned()));
    stage.sts.add_role(TARGET, StandInRole { tag_session: false, ..role });
    let hop =
        TargetHop { role_arn: TARGET.parse().unwrap(), external_id: Some("eu/1/dev/team-a/bot".to_owned()) };
    let decided = Decided {
        target: Some(hop),
        session_policy: Some("{}".to_owned()),
        seconds_max: 59 * 60,
        ..stage.decided(Some(AwsRoad::HubPrincipal))
    };
    let sourced = stage.source.credentials(&decided).await.unwrap();
    assert_eq!(sourced.credentials.access_key_id, data.access_key_id);
    assert_eq!(sourced.role_arn.to_string(), TARGET);
    let asked = stage.sts.assumed();
    let of = |at: usize, name: &str| asked[at].get(name).map(String::as_str);
    assert_eq!((of(0, "Policy"), of(0, "DurationSeconds")), (None, Some("900")), "it is used once");
    assert_eq!((of(1, "Policy"), of(1, "DurationSeconds")), (Some("{}"), Some("3540")));
    assert_eq!(of(1, "ExternalId"), Some("eu/1/dev/team-a/bot"));
    let other = TargetHop { role_arn: TARGET.parse().unwrap(), external_id: None };
    let refused = stage.source.credentials(&Decided { target: Some(other), ..decided }).await;
    assert_eq!(code(refused), "target_trust");
}

#[tokio::test]
async fn immunity_50_a_role_of_another_tenant_is_of_no_use_here() {
    let stage = Stage::of_session().await;
    // It trusts the hub with the id of another cluster's ServiceAccount.
    let theirs = external_id(stage.hub, ClusterUid::random(), "team-a", "bot");
    stage.sts.add_role(ROLE, StandInRole::new(&pod_keys()).trusting(StandInTrust::ExternalId(theirs)));
    let decided = stage.decided(Some(AwsRoad::HubPrincipal));
    assert_eq!(code(stage.source.credentials(&decided).await), "role_trust");
}

#[tokio::test]
async fn immunity_50_a_role_that_was_not_tried_when_written_is_before_its_first_use() {
    let stage = Stage::of_session().await;
    let mut decided = stage.decided(Some(AwsRoad::HubPrincipal));
    Arc::make_mut(&mut decided.association).unprobed = true;
    let trusting = |trust| StandInRole::new(&pod_keys()).trusting(trust);
    let cases = [
        (StandInTrust::Anyone, "aws_external_id_missing"),
        (StandInTrust::ExternalIdLike("lanyard-".to_owned()), "aws_external_id_any"),
        (StandInTrust::ExternalId("hub-7".to_owned()), "aws_role_closed"),
    ];
    for (trust, expected) in cases {
        stage.sts.add_role(ROLE, trusting(trust.clone()));
        assert_eq!(code(stage.source.credentials(&decided).await), expected, "{trust:?}");
    }
    stage.sts.add_role(ROLE, stage.role());
    stage.source.credentials(&decided).await.unwrap();
    let asked = stage.sts.assumed().len();
    stage.source.credentials(&decided).await.unwrap();
    assert_eq!(stage.sts.assumed().len(), asked + 1, "one try counts for good");
    let probes = stage.sts.assumed().into_iter().filter(|asked| asked["RoleSessionName"] == "lanyard-probe");
    for probe in probes {
        assert!(probe["Policy"].contains("\"Deny\""), "a try can do nothing: {probe:?}");
    }
}

#[tokio::test]
async fn immunity_14_a_silent_sts_is_a_fault_and_a_busy_one_says_so() {
    let stage = Stage::of_session().await;
    stage.sts.add_role(ROLE, stage.role());
    let decided = stage.decided(Some(AwsRoad::HubPrincipal));
    stage.source.credentials(&decided).await.unwrap();
    for behaviour in
        [Behaviour::ServerError, Behaviour::Hang, Behaviour::BadJson, Behaviour::AnotherPrincipal]
    {
        stage.sts.behave_at("sts", behaviour);
        let answer = stage.source.credentials(&decided).await;
        assert!(matches!(answer, Err(SourceError::Fault(_))), "{behaviour:?}: {answer:?}");
    }
    for behaviour in [Behaviour::Throttled400, Behaviour::Throttled429] {
        stage.sts.behave_at("sts", behaviour);
        let answer = stage.source.credentials(&decided).await;
        assert!(matches!(answer, Err(SourceError::Throttled { .. })), "{behaviour:?}: {answer:?}");
    }
    stage.sts.behave_at("sts", Behaviour::RegionDisabled);
    assert_eq!(code(stage.source.credentials(&decided).await), "region_disabled");
    stage.sts.behave_at("sts", Behaviour::Denied);
    assert_eq!(code(stage.source.credentials(&decided).await), "role_trust");
}

#[tokio::test]
async fn a_role_that_the_hub_keeps_never_reaches_aws() {
    let stage = Stage::of_session().await;
    stage.sts.add_role(ROLE, stage.role());
    assert_eq!(code(stage.source.credentials(&stage.decided(None)).await), "aws_road");
    assert_eq!(stage.sts.calls(), 0);
}

//! A hub in AWS mode, and AWS as it stands before it: whom its roles trust, and what its STS was asked.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lanyard_api::{
    Authority, HubId,
    credentials::{AwsRoad, Issuers as _, PodIdentityAssociation, SessionCredentials},
    mapping::Cluster,
    suite,
};
use lanyard_aws::{
    AwsClient, AwsOptions, CallOptions, CredentialSource,
    stand_in::{StandIn, StandInKeys, StandInProvider, StandInRole, StandInSubject, StandInTrust},
};
use lanyard_credentials::{AwsSource, ClusterToken, ClusterTokens as _, Credentials, Exchange, external_id};
use lanyard_iam::{AccessKeyId, Credentials as Keys, Region, SecretAccessKey, SessionToken};
use lanyard_kit::{TestClock, limits::Quota};
use lanyard_oidc::{Algorithm, Expected, Jwks, Jwt, verify};
use lanyard_store::test_support::TestDatabase;
use serde_json::{Map, Value};

use crate::{
    bench::*,
    sources::{OF_TARGET, Stage},
    vending::TARGET,
};

const REGION: &str = "eu-central-1";
pub(crate) const HOUR: u32 = 3_600;
/// For whom AWS takes tokens by convention.
const AUDIENCE: &str = "sts.amazonaws.com";

pub(crate) fn keys(id: &str) -> Keys {
    Keys {
        access_key_id: AccessKeyId::parse(id).unwrap(),
        secret_access_key: SecretAccessKey::new(format!("secret of {id}")),
        session_token: Some(SessionToken::new(format!("token of {id}"))),
    }
}

pub(crate) fn role_arn() -> String {
    format!("arn:aws:iam::{HOME}:role/team/app")
}

/// A hub in AWS mode, whose first account is AWS's.
pub(crate) struct Road {
    pub(crate) bench: Bench,
    pub(crate) sts: StandIn,
    pub(crate) hub: HubId,
}

impl Road {
    /// The hub is a session of a role.
    pub(crate) async fn new(database: &TestDatabase) -> Self {
        Self::of(database, Authority::Aws).await
    }

    pub(crate) async fn of(database: &TestDatabase, home: Authority) -> Self {
        Self::as_whom(database, home, &format!("arn:aws:sts::{HOME}:assumed-role/hub/i-1"), "AROAHUB:i-1")
            .await
    }

    /// The hub is a user.
    pub(crate) async fn of_user(database: &TestDatabase) -> Self {
        Self::as_whom(database, Authority::Aws, &format!("arn:aws:iam::{HOME}:user/hub"), "AIDAHUB").await
    }

    async fn as_whom(database: &TestDatabase, home: Authority, hub_arn: &str, hub_user_id: &str) -> Self {
        let clock = TestClock::new(NOON);
        let hosts = ["sts.eu-central-1.amazonaws.com", "iam.amazonaws.com"];
        let sts = StandIn::start_with_clock(&hosts, Arc::new(clock.clone())).await;
        let own = keys("ASIAHUBHUBHUBHUBHUBH");
        sts.add(&own, HOME, hub_arn, hub_user_id);
        sts.add_principal(&format!("arn:aws:iam::{HOME}:role/lanyard/hub"), "AROAHUB");
        let calls = CallOptions {
            backoff_milliseconds: 1,
            attempt_milliseconds: 400,
            deadline_milliseconds: 1_500,
            role: Quota { per_second: 1_000, burst: 1_000 },
            ..CallOptions::default()
        };
        let options = AwsOptions { calls, ..AwsOptions::default() };
        let (region, source) = (Region::parse(REGION).unwrap(), CredentialSource::fixed(&own));
        let aws =
            AwsClient::new(&options, &region, source, sts.http_options(), Arc::new(clock.clone())).unwrap();
        let hub: HubId = "b3e0c0de-0000-4000-8000-000000000001".parse().unwrap();
        let bench = Bench::of(database, clock, home, |store, config| {
            let exchange = Exchange::new(hub, region, &config.exchange).unwrap();
            Credentials::in_aws_mode(store, config, exchange, aws).unwrap()
        })
        .await;
        Self { bench, sts, hub }
    }

    pub(crate) fn source(&self) -> AwsSource<Credentials> {
        self.bench.engine.aws_source().unwrap()
    }

    pub(crate) fn external_id(&self, service_account: &str) -> String {
        external_id(self.hub, self.bench.cluster.uid, "team-a", service_account)
    }

    /// A role that lets the hub in for `team-a/bot` as it should, by either road, for an hour.
    pub(crate) fn role(&self) -> StandInRole {
        let subject = StandInSubject::Is("system:serviceaccount:team-a:bot".to_owned());
        StandInRole {
            anew: true,
            web_identity: Some(subject),
            ..StandInRole::new(&keys("ASIAPODPODPODPODPODP"))
                .trusting(StandInTrust::ExternalId(self.external_id("bot")))
        }
    }

    /// The role trusts the hub so, and nobody else.
    pub(crate) fn trusts(&self, people: Option<StandInTrust>) {
        self.sts.add_role(&role_arn(), StandInRole { people, web_identity: None, ..self.role() });
    }

    pub(crate) fn trusts_as_it_should(&self, service_account: &str) {
        self.trusts(Some(StandInTrust::ExternalId(self.external_id(service_account))));
    }

    /// The role trusts these of the cluster's issuer, and nobody else.
    pub(crate) fn trusts_subject(&self, web_identity: Option<StandInSubject>) {
        self.sts.add_role(&role_arn(), StandInRole { people: None, web_identity, ..self.role() });
    }

    /// The OIDC provider of the role's account for the issuer of `dev`, with the keys that the hub publishes.
    pub(crate) async fn provider(&self) -> StandInProvider {
        self.provider_of(&self.bench.cluster).await
    }

    pub(crate) async fn provider_of(&self, cluster: &Cluster) -> StandInProvider {
        let any = ClusterToken {
            subject: "nobody".to_owned(),
            audience: AUDIENCE.to_owned(),
            lifetime: time::Duration::MINUTE,
            claims: Map::new(),
        };
        // The first token makes the issuer and its key.
        self.bench.engine.mint(cluster.uid, any).await.unwrap();
        let documents = self.bench.engine.find_issuer(cluster.uid).await.unwrap().documents.unwrap();
        let configuration: Value = serde_json::from_str(&documents.configuration).unwrap();
        let issuer_url = configuration["issuer"].as_str().unwrap().to_owned();
        let (jwks, clock) = (Jwks::parse(documents.jwks.as_bytes()).unwrap(), self.bench.clock.clone());
        let issuer = issuer_url.clone();
        let verifies = move |token: &str| {
            let expected = Expected {
                issuer: &issuer,
                audiences: &[AUDIENCE],
                algorithms: Algorithm::ALL.into_iter().collect(),
            };
            let now = lanyard_kit::Clock::now(&clock);
            Jwt::parse(token).is_ok_and(|jwt| verify(jwt, &jwks, &expected, now).is_ok())
        };
        StandInProvider {
            account: HOME.to_owned(),
            issuer_url,
            client_id: AUDIENCE.to_owned(),
            keys: StandInKeys::Verifying(Arc::new(verifies)),
        }
    }

    /// The association of `team-a/bot` with the role, as it is after a good try.
    pub(crate) fn association(&self, aws_road: Option<AwsRoad>) -> PodIdentityAssociation {
        PodIdentityAssociation { aws_road, ..suite::association(&self.bench.cluster, &role_arn()) }
    }

    /// A parameter of the last question about a role.
    pub(crate) fn last(&self, name: &str) -> Option<String> {
        self.sts.assumed().last().and_then(|asked| asked.get(name).cloned())
    }

    /// The claims of the last token that STS was shown.
    pub(crate) fn last_claims(&self) -> Value {
        let token = self.last("WebIdentityToken").unwrap();
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice(&payload).unwrap()
    }

    /// Roles by the names that the promises of sources know, by one road.
    async fn with_roles(self) -> Self {
        self.sts.add_provider(self.provider().await);
        self.sts.add_role(&role_arn(), self.role());
        let data = StandInRole::new(&keys("ASIADATADATADATADATA"));
        let data = data.trusting(StandInTrust::ExternalId(OF_TARGET.to_owned()));
        self.sts.add_role(TARGET, StandInRole { anew: true, ..data });
        let others = [
            ("untagged", StandInRole { tag_session: false, ..self.role() }),
            (
                "theirs",
                StandInRole {
                    people: Some(StandInTrust::ExternalId(self.external_id("theirs"))),
                    web_identity: Some(StandInSubject::Is("system:serviceaccount:team-a:theirs".to_owned())),
                    ..self.role()
                },
            ),
        ];
        for (name, role) in others {
            self.sts.add_role(&format!("arn:aws:iam::{HOME}:role/{name}"), role);
        }
        self
    }

    fn roles_that_refuse(&self, road: AwsRoad) -> Vec<(&'static str, PodIdentityAssociation, &'static str)> {
        let of = |role: &str| PodIdentityAssociation {
            role_arn: format!("arn:aws:iam::{HOME}:role/{role}").parse().unwrap(),
            ..self.association(Some(road))
        };
        // STS does not tell these apart.
        let cases = [
            ("a role that is not there", "none"),
            ("a role that does not let it be tagged", "untagged"),
            ("another tenant's role", "theirs"),
        ];
        cases.into_iter().map(|(what, role)| (what, of(role), "role_trust")).collect()
    }
}

/// AWS STS, by one road: roles trust the hub's principal, or the cluster's issuer, whose keys AWS takes from where the hub publishes them.
pub(crate) struct By<const ISSUER: bool>(Road);

pub(crate) type ByPrincipal = By<false>;
pub(crate) type ByIssuer = By<true>;

impl<const ISSUER: bool> By<ISSUER> {
    const ROAD: AwsRoad = if ISSUER { AwsRoad::Issuer } else { AwsRoad::HubPrincipal };
}

impl<const ISSUER: bool> Stage for By<ISSUER> {
    type Source = AwsSource<Credentials>;

    async fn new(database: &TestDatabase) -> Self {
        Self(Road::of_user(database).await.with_roles().await)
    }

    fn source(&self) -> Self::Source {
        self.0.source()
    }

    fn association(&self) -> PodIdentityAssociation {
        self.0.association(Some(Self::ROAD))
    }

    fn cluster(&self) -> &Cluster {
        &self.0.bench.cluster
    }

    fn refused(&self) -> Vec<(&'static str, PodIdentityAssociation, &'static str)> {
        self.0.roles_that_refuse(Self::ROAD)
    }

    fn elsewhere(&self) -> (PodIdentityAssociation, &'static str) {
        (self.0.association(None), "aws_road")
    }

    fn tags(&self, _: &SessionCredentials) -> BTreeMap<String, String> {
        if ISSUER { tags_in(&self.0.last_claims()) } else { tags_of(&self.0.sts.assumed().pop().unwrap()) }
    }
}

/// The tags of a request, all of them transitive.
fn tags_of(asked: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let of = |number: usize| {
        let key = asked.get(&format!("Tags.member.{number}.Key"))?;
        assert_eq!(Some(key), asked.get(&format!("TransitiveTagKeys.member.{number}")));
        Some((key.clone(), asked[&format!("Tags.member.{number}.Value")].clone()))
    };
    (1..).map_while(of).collect()
}

/// Those of a token.
fn tags_in(claims: &Value) -> BTreeMap<String, String> {
    let Some(tags) = claims.get("https://aws.amazon.com/tags") else { return BTreeMap::new() };
    let principal = tags["principal_tags"].as_object().unwrap();
    let transitive = tags["transitive_tag_keys"].as_array().unwrap();
    assert!(principal.keys().eq(transitive.iter().map(|key| key.as_str().unwrap())), "all of them");
    let one = |value: &Value| value[0].as_str().unwrap().to_owned();
    principal.iter().map(|(key, value)| (key.clone(), one(value))).collect()
}

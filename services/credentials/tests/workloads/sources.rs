//! What every source of credentials promises, whosever STS it asks: a function for each promise, of Lanyard's own STS and of AWS's by
//! either road.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use lanyard_api::{
    credentials::{PodIdentityAssociation, SessionCredentials},
    mapping::Cluster,
};
use lanyard_credentials::{CredentialSource, Decided, LocalSource, PodIdentity, SourceError, TargetHop};
use lanyard_iam::{PrincipalArn, PrincipalKind};
use lanyard_store::test_support::TestDatabase;
use secrecy::ExposeSecret as _;
use serde_json::json;
use time::Duration;

use crate::{bearers::*, bench::*, vending::TARGET};

/// What the target role asks for.
pub(crate) const OF_TARGET: &str = "eu-central-1/111122223333/dev/team-a/bot";
const SIX_HOURS: u32 = 6 * 3_600;

/// A source, and the roles behind it: one that lets pods of `team-a/bot` have an hour at most, and a target role that lets that one.
pub(crate) trait Stage: Sized {
    /// What is under test.
    type Source: CredentialSource;
    async fn new(database: &TestDatabase) -> Self;
    fn source(&self) -> Self::Source;
    /// The association with the first role.
    fn association(&self) -> PodIdentityAssociation;
    fn cluster(&self) -> &Cluster;
    /// What the first role's owner might have left out, and what is said of it: each is another association.
    fn refused(&self) -> Vec<(&'static str, PodIdentityAssociation, &'static str)>;
    /// An association with a role that another source gives, and what is said of it.
    fn elsewhere(&self) -> (PodIdentityAssociation, &'static str);
    /// The tags of a session, as its STS has them.
    fn tags(&self, session: &SessionCredentials) -> BTreeMap<String, String>;
}

/// What is decided of a pod by an association.
pub(crate) fn decided(
    cluster: &Cluster,
    association: PodIdentityAssociation,
    target: Option<TargetHop>,
) -> Decided {
    Decided {
        cluster: Arc::new(cluster.clone()),
        association: Arc::new(association),
        pod: PodIdentity {
            namespace: "team-a".to_owned(),
            service_account: "bot".to_owned(),
            service_account_uid: "s".to_owned(),
            pod: "web-1".to_owned(),
            pod_uid: "p".to_owned(),
            node: NODE.to_owned(),
            node_uid: "n".to_owned(),
        },
        session_name: "eks-dev-web-1-2f0b".to_owned(),
        tags: [("kubernetes-namespace".to_owned(), "team-a".to_owned())].into(),
        session_policy: None,
        seconds_max: if target.is_some() { 3_540 } else { SIX_HOURS },
        target,
        ancestors: Vec::new(),
    }
}

pub(crate) fn hop(external_id: Option<&str>) -> TargetHop {
    TargetHop { role_arn: TARGET.parse().unwrap(), external_id: external_id.map(str::to_owned) }
}

fn one(stage: &impl Stage) -> Decided {
    decided(stage.cluster(), stage.association(), None)
}

fn two(stage: &impl Stage) -> Decided {
    decided(stage.cluster(), stage.association(), Some(hop(Some(OF_TARGET))))
}

/// The role that a pod gets credentials of.
fn role_of(decided: &Decided) -> &PrincipalArn {
    decided.target.as_ref().map_or(&decided.association.role_arn, |hop| &hop.role_arn)
}

/// Instantiates promises for each source.
macro_rules! sources {
    ($($source:ident: $stage:ty),* => $promises:tt) => { $(sources! { @of $source: $stage => $promises })* };
    (@of $source:ident: $stage:ty => { $($promise:ident),* $(,)? }) => {
        mod $source {
            $(lanyard_store::on_each_store!($promise: database => {
                let stage = <$stage as crate::sources::Stage>::new(&database).await;
                crate::sources::$promise(&stage).await;
            });)*
        }
    };
}

sources! {
    local: crate::sources::Local, by_principal: crate::road::ByPrincipal, by_issuer: crate::road::ByIssuer => {
        a_session_is_of_the_role_and_named_as_decided,
        a_session_lives_as_long_as_decided_and_as_its_role_allows,
        each_session_is_one_of_its_own,
        a_session_has_the_tags_that_were_decided_and_no_others,
        secrets_do_not_print,
        what_a_role_does_not_let_is_refused_and_the_role_is_named,
        a_role_of_another_source_is_refused,
    }
}

async fn a_session_is_of_the_role_and_named_as_decided(stage: &impl Stage) {
    for decided in [one(stage), two(stage)] {
        let given = stage.source().credentials(&decided).await.unwrap();
        let role = role_of(&decided);
        let PrincipalKind::Role { name, .. } = &role.kind else { panic!("{role}") };
        let session = &decided.session_name;
        let arn = format!("arn:{}:sts::{}:assumed-role/{name}/{session}", role.partition, role.account);
        assert_eq!((&given.user.arn, &given.role_arn), (&arn, role));
        assert!(given.user.id.ends_with(&format!(":{session}")), "{}", given.user.id);
    }
}

async fn a_session_lives_as_long_as_decided_and_as_its_role_allows(stage: &impl Stage) {
    let cases = [(one(stage), SIX_HOURS, 3_600), (one(stage), 900, 900), (two(stage), 3_540, 3_540)];
    for (asked, seconds_max, expected) in cases {
        let asked = Decided { seconds_max, ..asked };
        let given = stage.source().credentials(&asked).await.unwrap();
        assert_eq!(given.credentials.expires_at, NOON + Duration::seconds(expected), "{seconds_max}");
    }
}

async fn each_session_is_one_of_its_own(stage: &impl Stage) {
    for decided in [one(stage), two(stage)] {
        let [first, second] = [
            stage.source().credentials(&decided).await.unwrap().credentials,
            stage.source().credentials(&decided).await.unwrap().credentials,
        ];
        assert_ne!(first.access_key_id, second.access_key_id);
        let secrets = |of: &SessionCredentials| {
            [&of.secret_access_key, &of.session_token].map(|secret| secret.expose_secret().to_owned())
        };
        for (first, second) in secrets(&first).into_iter().zip(secrets(&second)) {
            assert!(!first.is_empty() && first != second);
        }
    }
}

async fn a_session_has_the_tags_that_were_decided_and_no_others(stage: &impl Stage) {
    for tags in [one(stage).tags, BTreeMap::new()] {
        let asked = Decided { tags: tags.clone(), ..one(stage) };
        let given = stage.source().credentials(&asked).await.unwrap();
        assert_eq!(stage.tags(&given.credentials), tags);
    }
}

async fn secrets_do_not_print(stage: &impl Stage) {
    let given = stage.source().credentials(&one(stage)).await.unwrap();
    let printed = format!("{given:?}");
    for secret in [&given.credentials.secret_access_key, &given.credentials.session_token] {
        assert!(!secret.expose_secret().is_empty() && !printed.contains(secret.expose_secret()));
    }
}

async fn what_a_role_does_not_let_is_refused_and_the_role_is_named(stage: &impl Stage) {
    let (own, cluster) = (stage.association(), stage.cluster());
    let by_target = [("another external id", Some("another")), ("no external id", None)];
    let by_target =
        by_target.map(|(what, id)| (what, decided(cluster, own.clone(), Some(hop(id))), "target_trust"));
    let by_role =
        stage.refused().into_iter().map(|(what, of, code)| (what, decided(cluster, of, None), code));
    for (what, asked, expected) in by_role.chain(by_target) {
        let (code, text) = refusal(stage.source().credentials(&asked)).await;
        assert_eq!(code, expected, "{what}: {text}");
        // Its owner has to be found.
        assert!(text.contains(&role_of(&asked).to_string()), "{what}: {text}");
    }
}

async fn a_role_of_another_source_is_refused(stage: &impl Stage) {
    let (association, expected) = stage.elsewhere();
    let asked = decided(stage.cluster(), association, None);
    assert_eq!(refusal(stage.source().credentials(&asked)).await.0, expected);
}

/// The code and the text of a refusal.
pub(crate) async fn refusal<T: std::fmt::Debug>(
    answer: impl Future<Output = Result<T, SourceError>>,
) -> (String, String) {
    match answer.await {
        Err(SourceError::Refused { code, text }) => (code.into_owned(), text),
        other => panic!("{other:?}"),
    }
}

/// Lanyard's own STS.
struct Local {
    bench: Bench,
    association: PodIdentityAssociation,
}

impl Stage for Local {
    type Source = LocalSource;

    async fn new(database: &TestDatabase) -> Self {
        let bench = Bench::new(database).await;
        bench.knows(&[&own_key()]).await;
        bench.role("app", PODS_OF_DEV).await;
        bench.role("untagged", UNTAGGED).await;
        let demands = json!({ "StringEquals": { "sts:ExternalId": OF_TARGET } });
        bench.role_of(ABROAD, "data", &trusting("app", demands)).await;
        bench.lets_assume("app", TARGET).await;
        let association = bench.associate(|_| {}).await;
        Self { bench, association }
    }

    fn source(&self) -> LocalSource {
        self.bench.engine.local_source()
    }

    fn association(&self) -> PodIdentityAssociation {
        self.association.clone()
    }

    fn cluster(&self) -> &Cluster {
        &self.bench.cluster
    }

    fn refused(&self) -> Vec<(&'static str, PodIdentityAssociation, &'static str)> {
        let of = |role: &str| PodIdentityAssociation {
            role_arn: format!("arn:aws:iam::{HOME}:role/{role}").parse().unwrap(),
            ..self.association()
        };
        vec![
            ("a role that is not there", of("none"), "role_missing"),
            ("a role that does not let it be tagged", of("untagged"), "role_trust"),
        ]
    }

    fn elsewhere(&self) -> (PodIdentityAssociation, &'static str) {
        let role_arn = "arn:aws:iam::999988887777:role/app".parse().unwrap();
        (PodIdentityAssociation { role_arn, ..self.association() }, "account_elsewhere")
    }

    fn tags(&self, session: &SessionCredentials) -> BTreeMap<String, String> {
        let claims = self.bench.opened(session);
        assert!(claims.tags.keys().eq(&claims.transitive_keys), "all of them are transitive");
        claims.tags
    }
}

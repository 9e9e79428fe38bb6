//! What every source of credentials promises, whosever STS it asks.

use std::sync::Arc;

use lanyard_api::credentials::{PodIdentityAssociation, Vend};
use lanyard_credentials::{CredentialSource, Decided, PodIdentity, SourceError, TargetHop};
use lanyard_iam::PrincipalKind;
use secrecy::ExposeSecret as _;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::{bearers::*, bench::*};

const TARGET: &str = "arn:aws:iam::444455556666:role/data";

/// What a source is asked, and how it stands with the roles behind that.
pub(crate) struct SourceCases {
    /// Of a role that lets it.
    pub(crate) one: Decided,
    /// Of two roles that let it, one after the other.
    pub(crate) hop: Decided,
    /// Each refused by a role, with what is about it.
    pub(crate) refused: Vec<(&'static str, Decided)>,
    /// The time of day there.
    pub(crate) now: OffsetDateTime,
}

/// Runs a source through its promises.
pub(crate) async fn credential_source_suite(source: &impl CredentialSource, cases: &SourceCases) {
    for decided in [&cases.one, &cases.hop] {
        let given = source.credentials(decided).await.unwrap();
        let target = decided.target.as_ref().map(|hop| &hop.role_arn);
        let role = target.unwrap_or(&decided.association.role_arn);
        let PrincipalKind::Role { name, .. } = &role.kind else { panic!("{role}") };
        let session = &decided.session_name;
        let arn = format!("arn:{}:sts::{}:assumed-role/{name}/{session}", role.partition, role.account);
        assert_eq!((&given.user.arn, &given.role_arn), (&arn, role));
        assert!(given.user.id.ends_with(&format!(":{session}")), "{}", given.user.id);
        let life = given.credentials.expires_at - cases.now;
        let longest = Duration::seconds(i64::from(decided.seconds_max));
        assert!(life > Duration::ZERO && life <= longest, "{life}");
        for secret in [&given.credentials.secret_access_key, &given.credentials.session_token] {
            assert!(!secret.expose_secret().is_empty());
            assert!(!format!("{given:?}").contains(secret.expose_secret()), "secrets do not print");
        }
        let again = source.credentials(decided).await.unwrap();
        assert_ne!(
            again.credentials.access_key_id, given.credentials.access_key_id,
            "each is a session of its own"
        );
    }
    for (what, decided) in &cases.refused {
        match source.credentials(decided).await {
            Err(SourceError::Refused { code, text }) => {
                assert!(!code.is_empty() && text.contains(&*role_text(decided)), "{what}: {text}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// The role that a refusal names: its owner has to be found.
fn role_text(decided: &Decided) -> String {
    decided.association.role_arn.to_string()
}

fn decided(bench: &Bench, association: &PodIdentityAssociation, target: Option<TargetHop>) -> Decided {
    Decided {
        cluster: Arc::new(bench.cluster.clone()),
        association: Arc::new(association.clone()),
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
        seconds_max: if target.is_some() { 3_540 } else { 21_600 },
        target,
        ancestors: Vec::new(),
    }
}

pub(crate) async fn the_hubs_own_sts_is_a_source(bench: &Bench, _: &impl Vend) {
    bench.knows(&[&own_key()]).await;
    bench.role("app", PODS_OF_DEV).await;
    bench.role("untagged", UNTAGGED).await;
    let demands = |id: &str| json!({ "StringEquals": { "sts:ExternalId": id } });
    bench.role_of(ABROAD, "data", &trusting("app", demands("own"))).await;
    bench.lets_assume("app", TARGET).await;
    let own = bench.associate(|_| {}).await;
    let of = |role: &str| PodIdentityAssociation {
        role_arn: format!("arn:aws:iam::{HOME}:role/{role}").parse().unwrap(),
        ..own.clone()
    };
    let hop = |id: Option<&str>| {
        Some(TargetHop { role_arn: TARGET.parse().unwrap(), external_id: id.map(str::to_owned) })
    };
    let cases = SourceCases {
        one: decided(bench, &own, None),
        hop: decided(bench, &own, hop(Some("own"))),
        refused: vec![
            ("a role that is not there", decided(bench, &of("none"), None)),
            ("a role that does not trust", decided(bench, &of("untagged"), None)),
            ("another external id", decided(bench, &own, hop(Some("another")))),
            ("no external id", decided(bench, &own, hop(None))),
        ],
        now: NOON,
    };
    credential_source_suite(&bench.engine.local_source(), &cases).await;
}

//! A hub with two accounts and a cluster of the first, on a store of its own.

use std::{collections::BTreeMap, sync::Arc};

use lanyard_api::{
    Actor, ActorKind, Authority, CallError, ClusterId, ClusterUid, Lineage, Mutation, Scope, SignatureUse,
    Vouched,
    authn::accounts::{Account, IamRole},
    credentials::{
        Associations, CreatePodIdentityAssociation, Issuers, Pods, ServiceAccount, ServiceAccountBatch,
        ServiceAccountName, Sessions, Vend, Workloads, server,
    },
    grpc::{Door, Remote, Served},
    mapping::Cluster,
    suite::{self, admitting, serve_in_process},
    tags::{self, Tags},
    voucher::{Audience, Vouchers},
};
use lanyard_credentials::{Credentials, CredentialsConfig};
use lanyard_iam::{AccountId, Partition};
use lanyard_kit::TestClock;
use lanyard_store::{Record, Store, test_support::TestDatabase};
use time::{OffsetDateTime, macros::datetime};
use tonic::service::Routes;

pub(crate) const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
pub(crate) const HOME: &str = "111122223333";
pub(crate) const ABROAD: &str = "444455556666";
/// Most ServiceAccounts of a cluster here, so that the limit is met.
pub(crate) const MOST: usize = 250;
/// The same of associations.
pub(crate) const ASSOCIATIONS_MOST: u64 = 6;

/// Trust policies: for Pod Identity in any cluster, in `dev` alone, without tags, and for somebody else.
pub(crate) const PODS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}"#;
pub(crate) const PODS_OF_DEV: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"],
    "Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:eks:eu-central-1:111122223333:cluster/dev"}}}]}"#;
pub(crate) const UNTAGGED: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Principal":{"Service":"pods.eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
pub(crate) const EC2: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Principal":{"Service":"ec2.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}"#;

/// A hub under test.
pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) clock: TestClock,
    pub(crate) engine: Credentials,
    /// `dev`.
    pub(crate) cluster: Cluster,
}

impl Bench {
    pub(crate) async fn new(database: &TestDatabase) -> Self {
        let clock = TestClock::new(NOON);
        Self::of(database, clock, Authority::Local, |store, config| Credentials::new(store, config).unwrap())
            .await
    }

    /// A hub whose first account is of this authority.
    pub(crate) async fn of(
        database: &TestDatabase,
        clock: TestClock,
        home: Authority,
        engine: impl FnOnce(&Store, CredentialsConfig) -> Credentials,
    ) -> Self {
        let store = database.open(Arc::new(clock.clone())).await;
        for (number, authority) in [(HOME, home), (ABROAD, Authority::Local)] {
            let account = Account {
                id: account(number),
                partition: Partition::Aws,
                authority,
                name: String::new(),
                created_at: NOON,
            };
            put(&store, &account).await;
        }
        let config = CredentialsConfig {
            service_accounts_max: MOST,
            associations_per_cluster: ASSOCIATIONS_MOST,
            external_url: Some("https://hub.example".to_owned()),
            ..CredentialsConfig::default()
        };
        let engine = engine(&store, config);
        let cluster = cluster("dev");
        put(&store, &cluster).await;
        Self { store, clock, engine, cluster }
    }

    /// A client of the engine behind gRPC, whose actors arrive as the hub's front door would let them in.
    pub(crate) fn grpc(
        &self,
    ) -> impl Workloads + Issuers + Pods + Associations + Vend + Tags + Sessions + use<> {
        let vouchers = Vouchers::new([9; 32], Arc::new(|| NOON));
        let door = Door::vouched(vouchers.key(Audience::Credentials), Arc::new(|| NOON));
        let served = Served::new(Arc::new(self.engine.clone()), door);
        let routes = Routes::new(server::workloads(served.clone()))
            .add_service(server::issuers(served.clone()))
            .add_service(server::pods(served.clone()))
            .add_service(server::associations(served.clone()))
            .add_service(server::vend(served.clone()))
            .add_service(server::sessions(served.clone()))
            .add_service(tags::of_credentials(served));
        Remote::new(admitting(serve_in_process(routes), vouchers))
    }

    /// A role of the first account.
    pub(crate) async fn role(&self, name: &str, trust_policy: &str) {
        self.tagged_role(name, trust_policy, &[]).await;
    }

    pub(crate) async fn tagged_role(&self, name: &str, trust_policy: &str, tags: &[(&str, &str)]) {
        self.put_role(HOME, name, trust_policy, tags).await;
    }

    /// A role of any of the accounts.
    pub(crate) async fn role_of(&self, number: &str, name: &str, trust_policy: &str) {
        self.put_role(number, name, trust_policy, &[]).await;
    }

    async fn put_role(&self, number: &str, name: &str, trust_policy: &str, tags: &[(&str, &str)]) {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let role = IamRole {
            account: account(number),
            path: "/".to_owned(),
            name: name.to_owned(),
            principal_id: format!("AROA{:A>17}", name.to_ascii_uppercase()),
            trust_policy: trust_policy.to_owned(),
            trusted_ids: Default::default(),
            session_seconds_max: 3_600,
            revoked_before: None,
            tags: tags.collect(),
            description: String::new(),
            created_at: NOON,
        };
        put(&self.store, &role).await;
    }

    /// Takes a role away.
    pub(crate) async fn unrole(&self, number: &str, name: &str) {
        let scope = Scope::Account(account(number));
        let mut tx = self.store.begin("test", &Mutation::system("test"), &[scope]).await.unwrap();
        tx.delete::<IamRole>(scope, name).await.unwrap().unwrap();
        tx.commit_unrecorded().await.unwrap();
    }

    /// A record as it is stored.
    pub(crate) async fn stored<R: Record>(&self, scope: Scope, key: &str) -> R {
        let mut tx = self.store.begin("test", &Mutation::system("test"), &[scope]).await.unwrap();
        tx.get(scope, key).await.unwrap().unwrap()
    }

    pub(crate) async fn another_cluster(&self, id: &str) -> Cluster {
        let cluster = cluster(id);
        put(&self.store, &cluster).await;
        cluster
    }

    pub(crate) async fn delete(&self, cluster: &Cluster) {
        let scopes = [Scope::Hub, Scope::Cluster(cluster.uid)];
        let mut tx = self.store.begin("test", &Mutation::system("test"), &scopes).await.unwrap();
        tx.delete::<Cluster>(Scope::Hub, &cluster.key()).await.unwrap().unwrap();
        tx.commit_unrecorded().await.unwrap();
    }

    /// An engine that was not told under which URL the hub is reached.
    pub(crate) fn nameless(&self) -> Credentials {
        Credentials::new(&self.store, CredentialsConfig::default()).unwrap()
    }

    pub(crate) fn clock_now(&self) -> OffsetDateTime {
        lanyard_kit::Clock::now(&self.clock)
    }

    /// The revision of `dev`.
    pub(crate) async fn revision(&self) -> u64 {
        self.store.revision(Scope::Cluster(self.cluster.uid)).await.unwrap().0
    }
}

pub(crate) async fn put<R: Record>(store: &Store, record: &R) {
    let mut tx = store.begin("test", &Mutation::system("test"), &[record.scope()]).await.unwrap();
    tx.put(record).await.unwrap();
    tx.commit_unrecorded().await.unwrap();
}

pub(crate) fn account(number: &str) -> AccountId {
    number.parse().unwrap()
}

fn cluster(id: &str) -> Cluster {
    Cluster { created_at: NOON, ..suite::cluster(id, HOME) }
}

pub(crate) fn dev() -> ClusterId {
    "dev".parse().unwrap()
}

/// An association of a ServiceAccount with the role `app` of the first account, as it would be asked for.
pub(crate) fn asked(service_account: &str) -> CreatePodIdentityAssociation {
    CreatePodIdentityAssociation {
        cluster: dev(),
        namespace: "team-a".to_owned(),
        service_account: service_account.to_owned(),
        role_arn: format!("arn:aws:iam::{HOME}:role/app"),
        target_role_arn: None,
        disable_session_tags: None,
        policy: None,
        tags: BTreeMap::from([("team".to_owned(), "a".to_owned())]),
        allow_any_cluster: false,
        aws_road: None,
        unprobed: false,
    }
}

/// A principal of an account, admitted.
pub(crate) fn actor_of(number: &str) -> Vouched<Actor> {
    let kind = ActorKind::Principal {
        authority: Authority::Local,
        arn: format!("arn:aws:iam::{number}:user/operator").parse().unwrap(),
        principal_id: "AIDA00000000OPERATOR".to_owned(),
        lineage: Box::new(Lineage {
            access_key_id: Some("LKIAOPERATOROPERATOR".parse().unwrap()),
            ancestors: Vec::new(),
            transitive_tags: BTreeMap::new(),
            source_identity: None,
            chain_depth: 0,
        }),
        session_policy: None,
    };
    Vouched::in_process(Actor { kind, ..Actor::system("test") })
}

/// A spoke, admitted.
pub(crate) fn spoke(cluster: ClusterUid) -> Vouched<Actor> {
    Vouched::in_process(Actor { kind: ActorKind::Spoke { cluster }, ..Actor::system("test") })
}

pub(crate) fn signed(digest: u8) -> Vouched<Actor> {
    let mut actor = actor_of(HOME);
    let expires_at = NOON + time::Duration::minutes(15);
    actor.value.signature = Some(SignatureUse { digest: [digest; 32], expires_at });
    actor
}

/// A ServiceAccount of the namespace `n`.
pub(crate) fn bot(name: &str, uid: &str) -> ServiceAccount {
    let role = ("eks.amazonaws.com/role-arn".to_owned(), format!("arn:aws:iam::{HOME}:role/{name}"));
    ServiceAccount {
        namespace: "n".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        annotations: BTreeMap::from([role]),
    }
}

pub(crate) fn some(accounts: &[ServiceAccount], removed: &[&str]) -> ServiceAccountBatch {
    let name = |name: &&str| ServiceAccountName { namespace: "n".to_owned(), name: (*name).to_owned() };
    let removed = removed.iter().map(name).collect();
    ServiceAccountBatch { service_accounts: accounts.to_vec(), removed, replace: false }
}

pub(crate) fn whole(accounts: &[ServiceAccount]) -> ServiceAccountBatch {
    ServiceAccountBatch { replace: true, ..some(accounts, &[]) }
}

/// The stable part of a refusal.
pub(crate) fn code_of<T: std::fmt::Debug>(answer: Result<T, CallError>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(CallError::Invalid { rule, .. } | CallError::Precondition { rule, .. }) => rule,
        Err(CallError::NotFound { .. }) => "not_found",
        Err(CallError::AlreadyExists { .. }) => "exists",
        Err(CallError::LimitExceeded { .. }) => "limit",
        Err(CallError::Replayed) => "replayed",
        Err(other) => panic!("{other}"),
    }
}

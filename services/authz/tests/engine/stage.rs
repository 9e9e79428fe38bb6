//! A hub on a store of its own, with a clock that stands still.

use std::{collections::BTreeMap, sync::Arc};

use lanyard_api::{
    Actor, ActorKind, Authority, BlockId, ClusterUid, EntryId, Lineage, Mutation, Revision, Scope,
    TrustedAccount, UserInfo, Vouched,
    authn::accounts::{AccessKey, Account, User},
    authz::{Attributes, ResourceAttributes, Review},
    credentials::PodIdentityAssociation,
    mapping::{
        AccessEntry, AccessScope, AuthenticationMode, AuthorizerMode, Block, BlockTarget, Cluster, EntryType,
        GrantKind, PolicyAssociation,
    },
    proof::{EXTRA_KEY, Handle, Handles, KinHandles, KinKind, Proof, ProofKey},
};
use lanyard_authz::{Authz, AuthzConfig};
use lanyard_iam::{AccountId, Partition};
use lanyard_kit::{Clock, TestClock};
use lanyard_store::{Purpose, Record, Store, test_support::TestDatabase};
use time::{Duration, OffsetDateTime, macros::datetime};

pub(crate) const START: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
pub(crate) const HOME: &str = "111122223333";
pub(crate) const ABROAD: &str = "444455556666";

/// A hub.
pub(crate) struct Stage {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
    pub(crate) authz: Authz,
    pub(crate) clock: TestClock,
}

/// A local user with a key, and an entry in a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) entry: AccessEntry,
    pub(crate) key: AccessKey,
}

impl Stage {
    /// With the two accounts, both local.
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let stage = Self::bare(database, AuthzConfig::default()).await;
        stage.register(HOME, Authority::Local).await;
        stage.register(ABROAD, Authority::Local).await;
        stage
    }

    /// With nothing.
    pub(crate) async fn bare(database: TestDatabase, config: AuthzConfig) -> Self {
        Self::open(database, TestClock::new(START), config).await
    }

    async fn open(database: TestDatabase, clock: TestClock, config: AuthzConfig) -> Self {
        let store = database.open(Arc::new(clock.clone())).await;
        let authz = Authz::start(&store, config).unwrap();
        Self { database, store, authz, clock }
    }

    /// The same hub after a restart.
    pub(crate) async fn restarted(&self) -> Self {
        self.authz.flush().await;
        Self::open(self.database.clone(), self.clock.clone(), AuthzConfig::default()).await
    }

    pub(crate) async fn put<R: Record>(&self, record: &R) -> Revision {
        let mut tx =
            self.store.begin("test_put", &Mutation::system("test"), &[record.scope()]).await.unwrap();
        tx.put(record).await.unwrap();
        tx.commit_unrecorded().await.unwrap().revision
    }

    pub(crate) async fn delete<R: Record>(&self, record: &R) -> Revision {
        let scope = record.scope();
        let mut tx = self.store.begin("test_delete", &Mutation::system("test"), &[scope]).await.unwrap();
        tx.delete::<R>(scope, &record.key()).await.unwrap().unwrap();
        tx.commit_unrecorded().await.unwrap().revision
    }

    /// Deletes a cluster with all that hangs on it.
    pub(crate) async fn delete_cluster(&self, cluster: &Cluster) {
        let scopes = [Scope::Hub, Scope::Cluster(cluster.uid)];
        let mut tx =
            self.store.begin("test_delete_cluster", &Mutation::system("test"), &scopes).await.unwrap();
        tx.delete::<Cluster>(Scope::Hub, &cluster.uid.to_string()).await.unwrap().unwrap();
        tx.commit_unrecorded().await.unwrap();
    }

    pub(crate) async fn register(&self, number: &str, authority: Authority) {
        let (id, name) = (account(number), number.to_owned());
        let account =
            Account { id, partition: Partition::Aws, authority, name, created_at: self.clock.now() };
        self.put(&account).await;
    }

    /// A cluster of account [`HOME`] that evaluates RBAC here.
    pub(crate) async fn cluster(&self, id: &str) -> Cluster {
        let cluster = cluster(id, AuthorizerMode::Full);
        self.put(&cluster).await;
        cluster
    }

    /// A person of account [`HOME`] with a user, a key and an entry.
    pub(crate) async fn person(&self, cluster: &Cluster, name: &str, groups: &[&str]) -> Person {
        let person = person(cluster, name, groups);
        let user = User {
            account: account(HOME),
            path: "/".to_owned(),
            name: name.to_owned(),
            principal_id: person.entry.principal_id.clone().unwrap(),
            tags: BTreeMap::new(),
            created_at: START,
        };
        self.put(&user).await;
        self.put(&person.key).await;
        self.put(&person.entry).await;
        person
    }

    pub(crate) async fn associate(
        &self,
        person: &Person,
        policy: &str,
        scope: AccessScope,
    ) -> PolicyAssociation {
        let association = association(&person.entry, policy, scope, None);
        self.put(&association).await;
        association
    }

    pub(crate) async fn block(&self, scope: Scope, target: BlockTarget) -> Block {
        let block = Block {
            id: BlockId::random(),
            scope,
            target,
            reason: "test".to_owned(),
            created_by: "test".to_owned(),
            created_at: START,
        };
        self.put(&block).await;
        block
    }

    pub(crate) fn clock_now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// The newest key for proofs, as mapping has it.
    pub(crate) fn proof_key(&self) -> ProofKey {
        let keys = self.store.keyring().purpose_keys(Purpose::Proof).unwrap();
        let (version, secret) = &keys[0];
        ProofKey::new(*version, secret)
    }

    /// Mapping's work: the badge of a person, with a proof that is good for an hour.
    pub(crate) fn log_in(&self, person: &Person) -> UserInfo {
        let (key, proof) = self.proof(person);
        bearing(&key, &proof, &person.entry.username, &person.entry.groups)
    }

    /// The same, as if their session were a pod's that got it by this association.
    pub(crate) fn log_in_by(&self, person: &Person, association: &PodIdentityAssociation) -> UserInfo {
        let (key, mut proof) = self.proof(person);
        for (kind, handle) in [
            (KinKind::Cluster, key.cluster(&association.cluster.to_string())),
            (KinKind::PodIdentityAssociation, key.pod_identity_association(&association.id.to_string())),
        ] {
            proof.kin.add(kind, handle).unwrap();
        }
        bearing(&key, &proof, &person.entry.username, &person.entry.groups)
    }

    fn proof(&self, person: &Person) -> (ProofKey, Proof) {
        let AccessEntry { authority, principal_arn, principal_id, .. } = &person.entry;
        let key = self.proof_key();
        let proof = Proof {
            cluster: person.entry.cluster,
            grant_kind: GrantKind::AccessEntry,
            grant: person.entry.id,
            revision: Revision(1),
            handles: Handles {
                account: key.account(authority, principal_arn.account().as_str()),
                principal: key.principal(authority, principal_arn.one().unwrap().canonical().as_str()),
                principal_id: key.principal_id(authority, principal_id.as_deref().unwrap()),
                access_key: key.access_key(person.key.id.as_str()),
                session: Handle::NONE,
            },
            kin: KinHandles::NONE,
            local: true,
            minted_at: self.clock.now(),
            not_after: self.clock.now() + Duration::hours(1),
        };
        (key, proof)
    }
}

/// A badge with its proof, and with the group that the API server adds.
pub(crate) fn bearing(key: &ProofKey, proof: &Proof, username: &str, groups: &[String]) -> UserInfo {
    let value = proof.mint(key, username, groups);
    UserInfo {
        username: username.to_owned(),
        uid: String::new(),
        groups: groups.iter().cloned().chain(["system:authenticated".to_owned()]).collect(),
        extra: BTreeMap::from([(EXTRA_KEY.into(), vec![value])]),
    }
}

pub(crate) fn account(number: &str) -> AccountId {
    number.parse().unwrap()
}

pub(crate) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

/// A cluster of account [`HOME`] that trusts both accounts, not yet registered.
pub(crate) fn cluster(id: &str, authorizer_mode: AuthorizerMode) -> Cluster {
    let trusted = |number| TrustedAccount { authority: Authority::Local, account: account(number) };
    Cluster {
        uid: ClusterUid::random(),
        id: id.parse().unwrap(),
        name: id.to_owned(),
        partition: Partition::Aws,
        account: account(HOME),
        region: "eu-central-1".to_owned(),
        endpoint: None,
        certificate_authority: None,
        authentication_mode: AuthenticationMode::ApiAndConfigMap,
        authorizer_mode,
        trusted_accounts: vec![trusted(HOME), trusted(ABROAD)],
        audiences: vec!["https://kubernetes.default.svc".to_owned()],
        token_cache_seconds: 10,
        created_by: "test".to_owned(),
        tags: BTreeMap::new(),
        created_at: START,
    }
}

/// A person of account [`HOME`], not yet registered.
pub(crate) fn person(cluster: &Cluster, name: &str, groups: &[&str]) -> Person {
    let principal_id = format!("AIDA{:0>17}", name.to_uppercase());
    let key_id = format!("LKIA{:A>16}", name.to_uppercase());
    Person {
        entry: AccessEntry {
            id: EntryId::random(),
            cluster: cluster.uid,
            authority: Authority::Local,
            principal_arn: format!("arn:aws:iam::{HOME}:user/{name}").parse().unwrap(),
            principal_id: Some(principal_id),
            entry_type: EntryType::Standard,
            username: name.to_owned(),
            groups: texts(groups),
            tags: BTreeMap::new(),
            ends_at: None,
            pin_until: None,
            created_at: START,
            modified_at: START,
        },
        key: AccessKey {
            id: key_id.parse().unwrap(),
            account: account(HOME),
            user: name.to_owned(),
            active: true,
            created_at: START,
        },
    }
}

pub(crate) fn association(
    entry: &AccessEntry,
    policy: &str,
    scope: AccessScope,
    ends_at: Option<OffsetDateTime>,
) -> PolicyAssociation {
    PolicyAssociation {
        cluster: entry.cluster,
        entry: entry.id,
        policy_arn: format!("arn:aws:eks::aws:cluster-access-policy/{policy}"),
        scope,
        ends_at,
        associated_at: START,
        modified_at: START,
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

pub(crate) fn review(cluster: ClusterUid, user: UserInfo, attributes: Attributes) -> Review {
    Review {
        cluster,
        user: user.into(),
        attributes: attributes.into(),
        explain: false,
        full: false,
        grant: None,
    }
}

pub(crate) fn resource(verb: &str, group: &str, resource: &str, namespace: &str) -> Attributes {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Attributes::Resource(ResourceAttributes {
        verb: verb.into(),
        group: group.into(),
        resource: resource.into(),
        subresource: subresource.into(),
        namespace: namespace.into(),
        ..ResourceAttributes::default()
    })
}

pub(crate) fn get_pods(namespace: &str) -> Attributes {
    resource("get", "", "pods", namespace)
}

pub(crate) fn bare(username: &str, groups: &[&str]) -> UserInfo {
    UserInfo { username: username.to_owned(), groups: texts(groups), ..UserInfo::default() }
}

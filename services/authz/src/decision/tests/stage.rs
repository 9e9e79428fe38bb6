//! A hub in memory, for tests: rows are put in place, compiled, and asked.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use lanyard_api::{
    Authority, BlockId, ClusterUid, EntryId, OidcProviderId, Revision, Scope, TrustedAccount, UserInfo,
    authn::{
        accounts::{AccessKey, Account, IamRole, User},
        oidc_providers::OidcProvider,
    },
    authz::{Attributes, Decision, ResourceAttributes, Review},
    credentials::{PodIdentityAssociation, PodIdentityAssociationId},
    mapping::{
        AccessEntry, AccessScope, AuthenticationMode, AuthorizerMode, AwsAuthStatus, AwsAuthVersion, Block,
        BlockTarget, Cluster, EntryType, GrantKind, PolicyAssociation,
    },
    proof::{EXTRA_KEY, Handle, Handles, KinHandles, Proof, ProofKey},
    suite::association,
};
use lanyard_iam::{AccountId, Partition};
use time::{Duration, OffsetDateTime, macros::datetime};

use crate::{
    decision::{Lacking, World, decide},
    handles::ProofKeys,
    snapshot::{AccountRows, AccountSnapshot, ClusterRows, ClusterSnapshot, HubRows, HubSnapshot},
};

pub(super) const NOW: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
pub(super) const HOME: &str = "111122223333";
pub(super) const ABROAD: &str = "444455556666";
pub(super) const REVISION: Revision = Revision(42);

/// The hub: one cluster in account [`HOME`], which is local as [`ABROAD`] is, and trusts both.
pub(super) struct Stage {
    pub(super) cluster: Cluster,
    pub(super) keys: ProofKeys,
    pub(super) hub: HubRows,
    pub(super) accounts: BTreeMap<AccountId, AccountRows>,
    pub(super) rows: ClusterRows,
    /// Of another cluster, of which no more is asked than what a session descends from.
    pub(super) others: BTreeMap<ClusterUid, ClusterRows>,
    pub(super) newer_keys: bool,
}

/// What decisions see.
pub(super) struct Compiled {
    hub: Option<Arc<HubSnapshot>>,
    accounts: HashMap<AccountId, Arc<AccountSnapshot>>,
    clusters: HashMap<ClusterUid, Arc<ClusterSnapshot>>,
    keys: ProofKeys,
    newer_keys: bool,
    caught_up: bool,
    /// What was met before it caught up.
    met: Vec<Handle>,
}

/// Somebody with an entry: `ana`, or another name.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) entry: AccessEntry,
    pub(super) access_key: String,
}

pub(super) fn account(text: &str) -> AccountId {
    text.parse().unwrap()
}

pub(super) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

impl Stage {
    pub(super) fn new(authorizer_mode: AuthorizerMode) -> Self {
        Self::with_keys(authorizer_mode, vec![ProofKey::new(1, &[1; 32])])
    }

    pub(super) fn with_keys(authorizer_mode: AuthorizerMode, keys: Vec<ProofKey>) -> Self {
        let keys = ProofKeys::new(keys);
        let trusted = |number| TrustedAccount { authority: Authority::Local, account: account(number) };
        let cluster = Cluster {
            uid: ClusterUid::random(),
            id: "main".parse().unwrap(),
            name: "main".to_owned(),
            partition: Partition::Aws,
            account: account(HOME),
            region: "eu-central-1".to_owned(),
            endpoint: None,
            certificate_authority: None,
            authentication_mode: AuthenticationMode::ApiAndConfigMap,
            authorizer_mode,
            trusted_accounts: vec![trusted(HOME), trusted(ABROAD)],
            audiences: vec![],
            token_cache_seconds: 10,
            created_by: String::new(),
            tags: BTreeMap::new(),
            created_at: NOW,
        };
        let rows = ClusterRows::new(cluster.uid, keys.clone());
        let mut stage = Self {
            cluster,
            keys,
            hub: HubRows::default(),
            accounts: BTreeMap::new(),
            rows,
            others: BTreeMap::new(),
            newer_keys: false,
        };
        for number in [HOME, ABROAD] {
            stage.accounts.insert(account(number), AccountRows::new(stage.keys.clone()));
            stage.register(number, Some(Authority::Local));
        }
        stage.put_cluster(stage.cluster.clone());
        stage
    }

    pub(super) fn put_cluster(&mut self, cluster: Cluster) {
        self.hub.set_cluster(&cluster.uid.to_string(), Some(cluster.clone()));
        self.cluster = cluster;
    }

    /// Another cluster of the hub.
    pub(super) fn other(&mut self) -> ClusterUid {
        let uid = ClusterUid::random();
        let other = Cluster { uid, id: "other".parse().unwrap(), ..self.cluster.clone() };
        self.hub.set_cluster(&uid.to_string(), Some(other));
        self.others.insert(uid, ClusterRows::new(uid, self.keys.clone()));
        uid
    }

    /// A Pod Identity association of this cluster, or its end.
    pub(super) fn pod_identity(
        &mut self,
        cluster: ClusterUid,
        id: &PodIdentityAssociationId,
        is_there: bool,
    ) {
        let of = Cluster { uid: cluster, ..self.cluster.clone() };
        let association = is_there.then(|| PodIdentityAssociation {
            id: id.clone(),
            ..association(&of, &format!("arn:aws:iam::{HOME}:role/last"))
        });
        let rows = self.others.get_mut(&cluster).unwrap_or(&mut self.rows);
        rows.set_pod_identity_association(&id.to_string(), association);
    }

    pub(super) fn register(&mut self, number: &str, authority: Option<Authority>) {
        let registered = authority.map(|authority| Account {
            id: account(number),
            partition: Partition::Aws,
            authority,
            name: String::new(),
            created_at: NOW,
        });
        self.hub.set_account(number, registered);
    }

    /// A local user of that name in [`HOME`], with a key and an entry that gives `username` and groups.
    pub(super) fn person(&mut self, name: &str, username: &str, groups: &[&str]) -> Person {
        let person = Person {
            entry: AccessEntry {
                id: EntryId::random(),
                cluster: self.cluster.uid,
                authority: Authority::Local,
                principal_arn: format!("arn:aws:iam::{HOME}:user/{name}").parse().unwrap(),
                principal_id: Some(format!("AIDA{name}")),
                entry_type: EntryType::Standard,
                username: username.to_owned(),
                groups: texts(groups),
                tags: BTreeMap::new(),
                ends_at: None,
                pin_until: None,
                created_at: NOW,
                modified_at: NOW,
            },
            access_key: format!("LKIA{:0>16}", name.to_uppercase()),
        };
        self.put_entry(&person.entry);
        self.user(HOME, name, true);
        self.access_key(HOME, &person.access_key, Some(true));
        person
    }

    pub(super) fn put_entry(&mut self, entry: &AccessEntry) {
        self.rows.set_entry(&entry.id.to_string(), Some(entry.clone()));
    }

    pub(super) fn user(&mut self, home: &str, name: &str, exists: bool) {
        let user = exists.then(|| User {
            account: account(home),
            path: "/".to_owned(),
            name: name.to_owned(),
            principal_id: format!("AIDA{name}"),
            tags: BTreeMap::new(),
            created_at: NOW,
        });
        self.accounts.get_mut(&account(home)).unwrap().set_user(name, user);
    }

    pub(super) fn role(&mut self, home: &str, name: &str) {
        self.put_role(home, name, None);
    }

    /// The same, its sessions from before a moment revoked.
    pub(super) fn revoked_role(&mut self, home: &str, name: &str, before: OffsetDateTime) {
        self.put_role(home, name, Some(before));
    }

    pub(super) fn oidc_provider(&mut self, home: &str, issuer: &str, id: Option<OidcProviderId>) {
        let provider = id.map(|id| OidcProvider {
            id,
            account: account(home),
            issuer_url: issuer.to_owned(),
            client_ids: Vec::new(),
            thumbprints: Vec::new(),
            ca_bundle_pem: None,
            tags: BTreeMap::new(),
            created_at: NOW,
        });
        self.accounts.get_mut(&account(home)).unwrap().set_oidc_provider(issuer, provider);
    }

    pub(super) fn no_role(&mut self, home: &str, name: &str) {
        self.accounts.get_mut(&account(home)).unwrap().set_role(name, None);
    }

    fn put_role(&mut self, home: &str, name: &str, revoked_before: Option<OffsetDateTime>) {
        let role = IamRole {
            account: account(home),
            path: "/".to_owned(),
            name: name.to_owned(),
            principal_id: format!("AROA{name}"),
            trust_policy: String::new(),
            trusted_ids: Default::default(),
            session_seconds_max: 3600,
            revoked_before,
            tags: BTreeMap::new(),
            description: String::new(),
            created_at: NOW,
        };
        self.accounts.get_mut(&account(home)).unwrap().set_role(name, Some(role));
    }

    pub(super) fn access_key(&mut self, home: &str, id: &str, active: Option<bool>) {
        let key = active.map(|active| AccessKey {
            id: id.parse().unwrap(),
            account: account(home),
            user: String::new(),
            active,
            created_at: NOW,
        });
        self.accounts.get_mut(&account(home)).unwrap().set_access_key(id, key);
    }

    pub(super) fn associate(
        &mut self,
        person: &Person,
        policy: &str,
        scope: AccessScope,
        ends_at: Option<OffsetDateTime>,
    ) {
        let policy_arn = format!("arn:aws:eks::aws:cluster-access-policy/{policy}");
        let association = PolicyAssociation {
            cluster: self.cluster.uid,
            entry: person.entry.id,
            policy_arn: policy_arn.clone(),
            scope,
            ends_at,
            associated_at: NOW,
            modified_at: NOW,
        };
        self.rows.set_association(&format!("{}/{policy_arn}", person.entry.id), Some(association));
    }

    pub(super) fn dissociate(&mut self, person: &Person, policy: &str) {
        let key = format!("{}/arn:aws:eks::aws:cluster-access-policy/{policy}", person.entry.id);
        self.rows.set_association(&key, None);
    }

    pub(super) fn block(&mut self, scope: Scope, target: BlockTarget) {
        let id = BlockId::random();
        let block =
            Block { id, scope, target, reason: String::new(), created_by: String::new(), created_at: NOW };
        match scope {
            Scope::Hub => self.hub.set_block(&id.to_string(), Some(block)),
            Scope::Account(number) => {
                self.accounts.get_mut(&number).unwrap().set_block(&id.to_string(), Some(block))
            }
            Scope::Cluster(_) => self.rows.set_block(&id.to_string(), Some(block)),
        }
    }

    pub(super) fn aws_auth(&mut self, version: u64, content: &str, status: AwsAuthStatus) {
        let pushed = AwsAuthVersion {
            cluster: self.cluster.uid,
            version,
            content: content.to_owned(),
            status,
            findings: vec![],
            pushed_by: String::new(),
            pushed_at: NOW,
        };
        self.rows.set_aws_auth(&format!("{version:020}"), Some(pushed));
    }

    pub(super) fn rbac(&mut self, yaml: &str) {
        for object in lanyard_rbac::parse(yaml.as_bytes()).unwrap().objects {
            self.rows.set_object(&object.key().to_string(), Some(object));
        }
    }

    pub(super) fn compile(&self) -> Compiled {
        let accounts = self.accounts.iter().map(|(number, rows)| (*number, Arc::new(rows.compile())));
        Compiled {
            hub: Some(Arc::new(self.hub.compile(&self.keys))),
            accounts: accounts.collect(),
            clusters: [(&self.cluster.uid, &self.rows)]
                .into_iter()
                .chain(&self.others)
                .map(|(uid, rows)| (*uid, Arc::new(rows.compile())))
                .collect(),
            keys: self.keys.clone(),
            newer_keys: self.newer_keys,
            caught_up: true,
            met: Vec::new(),
        }
    }

    /// Mapping's work: the badge of a person with a proof that stands on their entry.
    pub(super) fn log_in(&self, person: &Person) -> UserInfo {
        let proof = self.proof(person);
        self.bearing(&proof, &person.entry.username, &person.entry.groups)
    }

    pub(super) fn proof(&self, person: &Person) -> Proof {
        let entry = &person.entry;
        Proof {
            cluster: self.cluster.uid,
            grant_kind: GrantKind::AccessEntry,
            grant: entry.id,
            revision: REVISION,
            handles: self.handles(person),
            kin: KinHandles::NONE,
            local: entry.authority == Authority::Local,
            minted_at: NOW,
            not_after: NOW + Duration::minutes(1),
        }
    }

    pub(super) fn handles(&self, person: &Person) -> Handles {
        let AccessEntry { authority, principal_arn, principal_id, .. } = &person.entry;
        let key = &self.keys.all()[0];
        Handles {
            account: key.account(authority, principal_arn.account().as_str()),
            principal: key
                .principal(authority, principal_arn.one().unwrap().without_path().canonical().as_str()),
            principal_id: key.principal_id(authority, principal_id.as_deref().unwrap_or("AIDAunknown")),
            access_key: key.access_key(&person.access_key),
            session: Handle::NONE,
        }
    }

    pub(super) fn bearing(&self, proof: &Proof, username: &str, groups: &[String]) -> UserInfo {
        let value = proof.mint(&self.keys.all()[0], username, groups);
        let groups = groups.iter().cloned().chain(["system:authenticated".to_owned()]).collect();
        let extra = BTreeMap::from([(EXTRA_KEY.into(), vec![value])]);
        UserInfo { username: username.to_owned(), uid: String::new(), groups, extra }
    }

    pub(super) fn review(&self, user: UserInfo, attributes: Attributes) -> Review {
        Review {
            cluster: self.cluster.uid,
            user: user.into(),
            attributes: attributes.into(),
            explain: false,
            full: false,
            grant: None,
        }
    }

    pub(super) fn decide(&self, review: &Review) -> Decision {
        self.decide_at(review, NOW)
    }

    pub(super) fn decide_at(&self, review: &Review, now: OffsetDateTime) -> Decision {
        decide(&self.compile(), review, now).unwrap()
    }

    /// The reason's code for somebody who asks to get pods in namespace `a`.
    pub(super) fn code_for(&self, user: &UserInfo) -> &'static str {
        self.decide(&self.review(user.clone(), get_pods("a"))).reason.code()
    }
}

impl World for Compiled {
    fn hub(&self) -> Option<Arc<HubSnapshot>> {
        self.hub.clone()
    }

    fn account(&self, account: AccountId) -> Option<Arc<AccountSnapshot>> {
        self.accounts.get(&account).cloned()
    }

    fn cluster(&self, cluster: ClusterUid) -> Option<(Arc<ClusterSnapshot>, Revision)> {
        self.clusters.get(&cluster).map(|snapshot| (Arc::clone(snapshot), REVISION))
    }

    fn keys(&self) -> &ProofKeys {
        &self.keys
    }

    fn may_have_newer_keys(&self) -> bool {
        self.newer_keys
    }

    fn is_caught_up_with(&self, named: &Handle) -> bool {
        self.caught_up || self.met.contains(named)
    }
}

impl Compiled {
    /// Takes a scope out of memory.
    pub(super) fn without(mut self, scope: Scope) -> Self {
        match scope {
            Scope::Hub => self.hub = None,
            Scope::Account(number) => drop(self.accounts.remove(&number)),
            Scope::Cluster(uid) => drop(self.clusters.remove(&uid)),
        }
        self
    }

    /// As it is in memory, which may be older than what the store has.
    pub(super) fn behind(self) -> Self {
        Self { caught_up: false, ..self }
    }

    /// The same, but that it caught up since a proof named this.
    pub(super) fn having_met(mut self, named: Handle) -> Self {
        self.met.push(named);
        self
    }

    pub(super) fn lacking(&self, review: &Review) -> Lacking {
        decide(self, review, NOW).unwrap_err()
    }
}

pub(super) fn get_pods(namespace: &str) -> Attributes {
    resource("get", "", "pods", namespace)
}

pub(super) fn resource(verb: &str, group: &str, resource: &str, namespace: &str) -> Attributes {
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

pub(super) fn bare(username: &str, groups: &[&str]) -> UserInfo {
    UserInfo { username: username.to_owned(), groups: texts(groups), ..UserInfo::default() }
}

//! What every promise is held against: a hub with three accounts, some principals and a clock.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
};

use lanyard_api::{
    Actor, ActorKind, Authority, AwsIdentity, CallError, ClusterUid, Fault, Identity, IdentityKind, Kin,
    Lineage, Mutated, Mutation, OidcIdentity, Scope, TrustedAccount, Vouched,
    authn::accounts::{AccessKey, Account, IamRole, User},
    grpc::{Door, Remote, Served},
    mapping::{
        AuthenticationMode, Blocks, Cluster, Clusters, CreateAccessEntry, CreateCluster, Entries,
        EntryDetail, EntryRef, IdentityProviders, Preview, Resolution, Resolve, ResolveQuery, Spokes,
        Updates, server,
    },
    suite::{Admitting, IdentityVouching, admitting, serve_in_process},
    tags::{self, Tags},
    voucher::{Audience, Vouchers},
};
use lanyard_aws::{AwsClient, AwsOptions, CredentialSource, stand_in::StandIn};
use lanyard_iam::{AccountId, CanonicalArn, Credentials, Partition, PrincipalArn, Region, SecretAccessKey};
use lanyard_kit::{TestClock, limits::Quota};
use lanyard_mapping::{Limits, Mapping, MappingConfig};
use lanyard_store::{SpokePushQuota, Store, test_support::TestDatabase};
use time::{OffsetDateTime, macros::datetime};
use tonic::{service::Routes, transport::Channel};

pub(crate) const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
/// The account of most promises, kept by the hub.
pub(crate) const OWN: &str = "111122223333";
/// An account of AWS that clusters here trust.
pub(crate) const AWS: &str = "444455556666";
/// Another tenant's account, kept by the hub too.
pub(crate) const TENANT: &str = "777788889999";

/// Everything but `Resolve`, which only services ask.
pub(crate) trait Calls:
    Preview + Clusters + Entries + IdentityProviders + Blocks + Spokes + Tags + Updates
{
}

impl<T: Preview + Clusters + Entries + IdentityProviders + Blocks + Spokes + Tags + Updates> Calls for T {}

/// A hub under test.
pub(crate) struct Bench<C, R> {
    pub calls: C,
    pub resolver: R,
    pub store: Store,
    pub clock: TestClock,
    pub database: TestDatabase,
    /// Who knocked so far.
    pub known: Known,
}

/// Who knocked: authn answers with one and the same identity when somebody comes again.
#[derive(Default)]
pub(crate) struct Known(Mutex<Vec<Arc<Identity>>>);

impl Known {
    fn again(&self, identity: Identity) -> Arc<Identity> {
        let mut known = self.0.lock().unwrap();
        if let Some(same) = known.iter().find(|one| ***one == identity) {
            return Arc::clone(same);
        }
        known.push(Arc::new(identity));
        Arc::clone(known.last().unwrap())
    }
}

/// So often a spoke may push at once.
pub(crate) const SPOKE_PUSHES: u32 = 5;

/// Small limits, so that they are met.
fn config() -> MappingConfig {
    let limits = Limits {
        clusters_per_region: 4,
        entries_per_cluster: 12,
        entries_for_several_per_cluster: 5,
        watches: 3,
        watches_per_account: 2,
        policies_per_entry: 3,
        groups_per_entry: 3,
        nodes_per_cluster: 3,
        identity_providers_per_cluster: 3,
        blocks_per_scope: 8,
        aws_auth_versions_kept: 3,
        spoke_pushes: SpokePushQuota { per_second: 1, burst: SPOKE_PUSHES, ..SpokePushQuota::default() },
        ..Limits::default()
    };
    MappingConfig { limits, ..MappingConfig::default() }
}

pub(crate) async fn engine(database: TestDatabase) -> Bench<Mapping, Mapping> {
    let (store, clock) = hub(&database).await;
    let engine = Mapping::open(&store, config()).await.unwrap();
    Bench { calls: engine.clone(), resolver: engine, store, clock, database, known: Known::default() }
}

/// An engine in AWS mode, and the AWS that it asks, as somebody of account [`AWS`].
pub(crate) async fn in_aws_mode(database: TestDatabase) -> (Bench<Mapping, Mapping>, StandIn) {
    const HOSTS: [&str; 3] =
        ["sts.us-west-2.amazonaws.com", "iam.amazonaws.com", "ec2.us-west-2.amazonaws.com"];
    let (store, clock) = hub(&database).await;
    let aws = StandIn::start_with_clock(&HOSTS, Arc::new(clock.clone())).await;
    let credentials = Credentials {
        access_key_id: "AKIAHUBHUBHUBHUBHUBH".parse().unwrap(),
        secret_access_key: SecretAccessKey::new(String::from("secret")),
        session_token: None,
    };
    aws.add(&credentials, AWS, &of(AWS, "user/hub"), "AIDAHUB");
    let mut options = AwsOptions::default();
    options.calls.attempt_milliseconds = 500;
    options.calls.deadline_milliseconds = 1_000;
    options.calls.backoff_milliseconds = 1;
    options.calls.endpoint = Quota { per_second: 1_000, burst: 1_000 };
    options.calls.breaker.principals_min = 1_000;
    options.instances.pause_milliseconds = 1;
    let region = Region::parse("us-west-2").unwrap();
    let source = CredentialSource::fixed(&credentials);
    let clock_of_client = Arc::new(clock.clone());
    let client = AwsClient::new(&options, &region, source, aws.http_options(), clock_of_client).unwrap();
    let engine = Mapping::open_in_aws_mode(&store, config(), client, options.instances).await.unwrap();
    (Bench { calls: engine.clone(), resolver: engine, store, clock, database, known: Known::default() }, aws)
}

type Admitted = Remote<lanyard_api::grpc::Prepared<Channel, Admitting>>;

pub(crate) async fn grpc(database: TestDatabase) -> Bench<Admitted, IdentityVouching<Remote<Channel>>> {
    let (store, clock) = hub(&database).await;
    let engine = Arc::new(Mapping::open(&store, config()).await.unwrap());
    let now: lanyard_api::voucher::Now = Arc::new(OffsetDateTime::now_utc);
    let vouchers = Vouchers::new([7; 32], Arc::clone(&now));
    let door = Door::vouched(vouchers.key(Audience::Mapping), now);
    let served = Served::new(engine, door);
    let routes = Routes::default()
        .add_service(server::resolve(served.clone()))
        .add_service(server::preview(served.clone()))
        .add_service(server::clusters(served.clone()))
        .add_service(server::entries(served.clone()))
        .add_service(server::identity_providers(served.clone()))
        .add_service(server::blocks(served.clone()))
        .add_service(server::spokes(served.clone()))
        .add_service(server::updates(served.clone()))
        .add_service(tags::of_mapping(served));
    let channel = serve_in_process(routes);
    let resolver = IdentityVouching::new(Remote::new(channel.clone()), vouchers.clone());
    Bench {
        calls: Remote::new(admitting(channel, vouchers)),
        resolver,
        store,
        clock,
        database,
        known: Known::default(),
    }
}

async fn hub(database: &TestDatabase) -> (Store, TestClock) {
    let clock = TestClock::new(NOON);
    let store = database.open(Arc::new(clock.clone())).await;
    let accounts = [(OWN, Authority::Local), (AWS, Authority::Aws), (TENANT, Authority::Local)];
    let mut scopes = vec![Scope::Hub];
    scopes.extend(accounts.iter().map(|(id, _)| Scope::Account(id.parse().unwrap())));
    let mut tx = store.begin("test", &Mutation::system("test"), &scopes).await.unwrap();
    for (id, authority) in accounts {
        let account = Account {
            id: id.parse().unwrap(),
            partition: Partition::Aws,
            authority,
            name: String::new(),
            created_at: NOON,
        };
        tx.insert(&account).await.unwrap();
    }
    for (account, name, path) in
        [(OWN, "admin", "/"), (OWN, "ana", "/team/"), (OWN, "zoe", "/"), (TENANT, "eve", "/")]
    {
        tx.insert(&user(account, name, path, &format!("AIDA{}", name.to_uppercase()))).await.unwrap();
        tx.insert(&access_key(account, name)).await.unwrap();
    }
    for (account, name, path) in
        [(OWN, "dev", "/team/"), (OWN, "ops", "/"), (OWN, "node", "/"), (TENANT, "dev", "/")]
    {
        let whose = if account == TENANT { "THEIRS" } else { "" };
        tx.insert(&role(account, name, path, &format!("AROA{}{whose}", name.to_uppercase()))).await.unwrap();
    }
    tx.commit_unrecorded().await.unwrap();
    (store, clock)
}

pub(crate) fn user(account: &str, name: &str, path: &str, id: &str) -> User {
    User {
        account: account.parse().unwrap(),
        path: path.to_owned(),
        name: name.to_owned(),
        principal_id: id.to_owned(),
        tags: BTreeMap::new(),
        created_at: NOON,
    }
}

pub(crate) fn role(account: &str, name: &str, path: &str, id: &str) -> IamRole {
    IamRole {
        account: account.parse().unwrap(),
        path: path.to_owned(),
        name: name.to_owned(),
        principal_id: id.to_owned(),
        trust_policy: String::from("{}"),
        trusted_ids: Default::default(),
        session_seconds_max: 3600,
        revoked_before: None,
        tags: BTreeMap::new(),
        description: String::new(),
        created_at: NOON,
    }
}

/// A user's one key.
pub(crate) fn key_of(account: &str, name: &str) -> String {
    format!("LKIA{}{}", name.to_uppercase(), account)
}

fn access_key(account: &str, name: &str) -> AccessKey {
    AccessKey {
        id: key_of(account, name).parse().unwrap(),
        account: account.parse().unwrap(),
        user: name.to_owned(),
        active: true,
        created_at: NOON,
    }
}

pub(crate) fn arn(text: &str) -> PrincipalArn {
    text.parse().unwrap()
}

/// `user/ana` and the like, of the account.
pub(crate) fn of(account: &str, resource: &str) -> String {
    let service = if resource.starts_with("assumed-role") { "sts" } else { "iam" };
    format!("arn:aws:{service}::{account}:{resource}")
}

fn actor(arn: &str, principal_id: &str, resource: &str) -> Actor {
    let arn: PrincipalArn = arn.parse().unwrap();
    let lineage = Lineage {
        access_key_id: Some("LKIAACTORACTORACTORA".parse().unwrap()),
        ancestors: vec![],
        transitive_tags: BTreeMap::new(),
        source_identity: None,
        chain_depth: 0,
    };
    Actor {
        kind: ActorKind::Principal {
            authority: Authority::Local,
            arn,
            principal_id: principal_id.to_owned(),
            lineage: Box::new(lineage),
            session_policy: None,
        },
        action: String::new(),
        resource: resource.to_owned(),
        request_digest: [0; 32],
        signature: None,
        allowed_by: String::from("test"),
    }
}

/// The administrator of the own account.
pub(crate) fn admin() -> Vouched<Actor> {
    Vouched::in_process(actor(&of(OWN, "user/admin"), "AIDAADMIN", "*"))
}

/// The same, admitted for the hub itself.
pub(crate) fn operator() -> Vouched<Actor> {
    Vouched::in_process(actor(&of(OWN, "user/admin"), "AIDAADMIN", "arn:aws:lanyard::111122223333:hub/1"))
}

/// Somebody of the other tenant, who may do everything there.
pub(crate) fn eve() -> Vouched<Actor> {
    Vouched::in_process(actor(&of(TENANT, "user/eve"), "AIDAEVE", "*"))
}

/// A principal of the own account by a session.
pub(crate) fn session_actor(resource: &str, id: &str) -> Vouched<Actor> {
    Vouched::in_process(actor(&of(OWN, resource), id, "*"))
}

pub(crate) fn spoke(cluster: ClusterUid) -> Vouched<Actor> {
    let kind = ActorKind::Spoke { cluster };
    Vouched::in_process(Actor { kind, ..actor(&of(OWN, "user/admin"), "", "*") })
}

pub(crate) fn by(actor: Vouched<Actor>) -> Mutation {
    Mutation::by(actor)
}

/// The administrator, who gives the request a token.
pub(crate) fn once(token: &str) -> Mutation {
    Mutation { client_request_token: Some(token.parse().unwrap()), ..by(admin()) }
}

/// A user, a role or a role's session that a session descends from.
pub(crate) fn kin(text: &str) -> Kin {
    let arn: PrincipalArn = text.parse().unwrap();
    let session_name = arn.session_name().map(str::to_owned);
    Kin { account: arn.account, canonical_arn: CanonicalArn::of(&arn), session_name }
}

/// Whoever is proven under this ARN.
pub(crate) fn identity(text: &str, principal_id: &str) -> AwsIdentity {
    let arn: PrincipalArn = text.parse().unwrap();
    let account = arn.account;
    AwsIdentity {
        authority: if account.as_str() == AWS { Authority::Aws } else { Authority::Local },
        account,
        partition: arn.partition,
        principal_id: principal_id.to_owned(),
        canonical_arn: CanonicalArn::of(&arn),
        principal_arn: None,
        session_name: arn.session_name().map(str::to_owned),
        tags: BTreeMap::new(),
        access_key_id: key_of(account.as_str(), "knock").parse().unwrap(),
        kind: IdentityKind::Ordinary,
        ancestors: vec![],
        kin: vec![],
        arn,
    }
}

pub(crate) fn cluster_named(name: &str) -> CreateCluster {
    CreateCluster {
        account: None,
        name: name.to_owned(),
        id: None,
        region: String::from("us-west-2"),
        endpoint: None,
        certificate_authority: None,
        authentication_mode: None,
        authorizer_mode: None,
        trusted_accounts: vec![TrustedAccount { authority: Authority::Aws, account: AWS.parse().unwrap() }],
        audiences: vec![],
        token_cache_seconds: None,
        bootstrap_creator_admin: true,
        tags: BTreeMap::new(),
    }
}

pub(crate) fn entry_ref(cluster: &Cluster, principal: &str) -> EntryRef {
    EntryRef { cluster: cluster.id.clone(), principal_arn: principal.to_owned() }
}

pub(crate) fn entry(cluster: &Cluster, principal: &str) -> CreateAccessEntry {
    CreateAccessEntry {
        entry: entry_ref(cluster, principal),
        entry_type: None,
        username: None,
        groups: vec![],
        tags: BTreeMap::new(),
        ends_at: None,
        principal_id: None,
        pin_until: None,
    }
}

pub(crate) fn policy(name: &str) -> String {
    format!("arn:aws:eks::aws:cluster-access-policy/{name}")
}

pub(crate) const CLUSTER_ADMIN: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";

impl<C: Calls, R: Resolve> Bench<C, R> {
    /// A cluster of the own account with its creator as administrator.
    pub(crate) async fn cluster(&self) -> Cluster {
        self.cluster_in(AuthenticationMode::ApiAndConfigMap).await
    }

    pub(crate) async fn cluster_in(&self, mode: AuthenticationMode) -> Cluster {
        let asked = CreateCluster { authentication_mode: Some(mode), ..cluster_named("dev") };
        self.calls.create_cluster(by(admin()), asked).await.unwrap().value
    }

    /// A cluster with nobody in it.
    pub(crate) async fn empty_cluster(&self) -> Cluster {
        let asked = CreateCluster { bootstrap_creator_admin: false, ..cluster_named("empty") };
        self.calls.create_cluster(by(admin()), asked).await.unwrap().value
    }

    pub(crate) async fn entry(&self, cluster: &Cluster, principal: &str) -> Mutated<EntryDetail> {
        self.calls.create_entry(by(admin()), entry(cluster, principal)).await.unwrap()
    }

    pub(crate) async fn resolve(
        &self,
        cluster: ClusterUid,
        identity: &AwsIdentity,
    ) -> Result<Resolution, Fault> {
        self.resolve_any(cluster, identity.clone().into()).await
    }

    pub(crate) async fn resolve_any(
        &self,
        cluster: ClusterUid,
        identity: Identity,
    ) -> Result<Resolution, Fault> {
        let identity = Vouched::in_process(self.known.again(identity));
        self.resolver.resolve(ResolveQuery { cluster, identity, explain: false }).await
    }

    /// The username, or the code of the refusal.
    pub(crate) async fn name_of(&self, cluster: &Cluster, identity: &AwsIdentity) -> String {
        name_in(self.resolve(cluster.uid, identity).await.unwrap())
    }

    /// The same of somebody whom an OIDC issuer knows.
    pub(crate) async fn name_of_oidc(&self, cluster: &Cluster, identity: &OidcIdentity) -> String {
        name_in(self.resolve_any(cluster.uid, identity.clone().into()).await.unwrap())
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        lanyard_kit::Clock::now(&self.clock)
    }

    /// Writes past mapping, as another service does.
    pub(crate) async fn write<T: lanyard_store::Record>(&self, record: &T) {
        let mut tx = self.store.begin("test", &Mutation::system("test"), &[record.scope()]).await.unwrap();
        tx.put(record).await.unwrap();
        tx.commit_unrecorded().await.unwrap();
    }

    pub(crate) async fn remove<T: lanyard_store::Record>(&self, scope: Scope, key: &str) {
        let mut tx = self.store.begin("test", &Mutation::system("test"), &[scope]).await.unwrap();
        tx.delete::<T>(scope, key).await.unwrap().unwrap();
        tx.commit_unrecorded().await.unwrap();
    }
}

fn name_in(resolution: Resolution) -> String {
    match resolution {
        Resolution::Mapped(mapped) => mapped.user.username.clone(),
        Resolution::Blocked(_) => String::from("blocked"),
        Resolution::Unmapped(unmapped) => unmapped.denial.code.into_owned(),
    }
}

/// The stable part of a refusal: the rule's code, or the variant's name.
pub(crate) fn code(error: &CallError) -> String {
    match error {
        CallError::NotFound { .. } => String::from("not_found"),
        CallError::AlreadyExists { .. } => String::from("exists"),
        CallError::Invalid { rule, .. } | CallError::Precondition { rule, .. } => (*rule).to_owned(),
        CallError::LimitExceeded { .. } => String::from("limit"),
        CallError::Denied(denial) => format!("denied:{}", denial.code),
        CallError::Replayed => String::from("replayed"),
        CallError::Fault(fault) => format!("fault:{}", fault.code()),
    }
}

pub(crate) fn code_of<T>(result: Result<T, CallError>) -> String {
    result.err().map_or_else(|| String::from("ok"), |error| code(&error))
}

pub(crate) fn account(id: &str) -> AccountId {
    id.parse().unwrap()
}

/// What this process says of errors, all of its tests together.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log of this process, which has one.
pub(crate) fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        let builder = tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_ansi(false);
        builder.with_writer(move || writer.clone()).init();
        log
    })
}

//! What an answer costs, whole: blocks, entry or line, badge, proof. The cost must not grow with the number of entries.

#![expect(clippy::unwrap_used, reason = "a benchmark whose world cannot be made has nothing to measure")]

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use divan::{AllocProfiler, Bencher, black_box};
use lanyard_api::{
    Authority, AwsIdentity, ClusterUid, EntryId, Identity, IdentityKind, Mutation, Scope, TrustedAccount,
    Vouched,
    authn::accounts::Account,
    mapping::{
        AccessEntry, AuthenticationMode, AuthorizerMode, AwsAuthStatus, AwsAuthVersion, Block, BlockTarget,
        Cluster, EntryType, Resolution, Resolve, ResolveQuery,
    },
};
use lanyard_iam::{CanonicalArn, Partition, PrincipalArn};
use lanyard_mapping::{Mapping, MappingConfig};
use lanyard_store::{EnvelopeKey, Keyring, Store, StoreOptions, StoreUrl};
use time::OffsetDateTime;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const ACCOUNT: &str = "111122223333";

fn main() {
    divan::main();
}

struct World {
    runtime: Runtime,
    engine: Mapping,
    cluster: ClusterUid,
    _folder: tempfile::TempDir,
}

impl World {
    fn new(entries: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("hub.db"));
        let cluster = ClusterUid::random();
        let engine = runtime.block_on(async {
            let options = StoreOptions::new(url, Keyring::new(EnvelopeKey::random().unwrap()));
            let store = Store::open(&options).await.unwrap();
            fill(&store, cluster, entries).await;
            Mapping::open(&store, MappingConfig::default()).await.unwrap()
        });
        Self { runtime, engine, cluster, _folder: folder }
    }

    fn resolve(&self, identity: &Arc<Identity>) -> Resolution {
        let identity = Vouched::in_process(Arc::clone(identity));
        let query = ResolveQuery { cluster: self.cluster, identity, explain: false };
        self.runtime.block_on(self.engine.resolve(query)).unwrap()
    }
}

async fn fill(store: &Store, uid: ClusterUid, entries: usize) {
    let account = ACCOUNT.parse().unwrap();
    let now = OffsetDateTime::now_utc();
    let scopes = [Scope::Hub, Scope::Account(account), Scope::Cluster(uid)];
    let mut tx = store.begin("fill", &Mutation::system("bench"), &scopes).await.unwrap();
    let authority = Authority::Aws;
    let partition = Partition::Aws;
    tx.insert(&Account {
        id: account,
        partition,
        authority: authority.clone(),
        name: String::new(),
        created_at: now,
    })
    .await
    .unwrap();
    let cluster = Cluster {
        uid,
        id: "dev".parse().unwrap(),
        name: String::from("dev"),
        partition,
        account,
        region: String::from("us-west-2"),
        endpoint: None,
        certificate_authority: None,
        authentication_mode: AuthenticationMode::ApiAndConfigMap,
        authorizer_mode: AuthorizerMode::WebhookFirst,
        trusted_accounts: vec![TrustedAccount { authority: authority.clone(), account }],
        audiences: vec![],
        token_cache_seconds: 10,
        created_by: String::new(),
        tags: BTreeMap::new(),
        created_at: now,
    };
    tx.insert(&cluster).await.unwrap();
    let mut lines = String::from("mapRoles: |\n");
    for nth in 0..entries {
        let entry = AccessEntry {
            id: EntryId::random(),
            cluster: uid,
            authority: authority.clone(),
            principal_arn: format!("arn:aws:iam::{ACCOUNT}:role/team/entry-{nth}").parse().unwrap(),
            principal_id: None,
            entry_type: EntryType::Standard,
            username: format!("arn:aws:sts::{ACCOUNT}:assumed-role/entry-{nth}/{{{{SessionName}}}}"),
            groups: vec![String::from("developers"), format!("team-{nth}")],
            tags: BTreeMap::new(),
            ends_at: None,
            pin_until: None,
            created_at: now,
            modified_at: now,
        };
        tx.insert(&entry).await.unwrap();
        if nth < 1_000 {
            let _ = writeln!(
                lines,
                "  - rolearn: arn:aws:iam::{ACCOUNT}:role/line-{nth}\n    username: line-{nth}\n    groups: [a]"
            );
        }
        if nth < 1_000 {
            let arn = format!("arn:aws:iam::{ACCOUNT}:role/blocked-{nth}");
            let target =
                BlockTarget::Principal { authority: authority.clone(), canonical_arn: arn.parse().unwrap() };
            let id = lanyard_api::BlockId::random();
            let block = Block {
                id,
                scope: Scope::Cluster(uid),
                target,
                reason: String::new(),
                created_by: String::new(),
                created_at: now,
            };
            tx.insert(&block).await.unwrap();
        }
    }
    let version = AwsAuthVersion {
        cluster: uid,
        version: 1,
        content: lines,
        status: AwsAuthStatus::Accepted,
        findings: vec![],
        pushed_by: String::new(),
        pushed_at: now,
    };
    tx.insert(&version).await.unwrap();
    tx.commit_unrecorded().await.unwrap();
}

fn somebody(role: &str) -> Arc<Identity> {
    let arn: PrincipalArn =
        format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/ana@corp.example").parse().unwrap();
    Arc::new(Identity::Aws(AwsIdentity {
        authority: Authority::Aws,
        account: arn.account,
        partition: arn.partition,
        principal_id: String::from("AROAEXAMPLEEXAMPLE"),
        canonical_arn: CanonicalArn::of(&arn),
        principal_arn: None,
        session_name: arn.session_name().map(str::to_owned),
        tags: BTreeMap::new(),
        access_key_id: "ASIAEXAMPLEEXAMPLE12".parse().unwrap(),
        kind: IdentityKind::Ordinary,
        ancestors: vec![],
        kin: vec![],
        arn,
    }))
}

fn bench(bencher: Bencher<'_, '_>, entries: usize, role: &str, is_mapped: bool) {
    let world = World::new(entries);
    let identity = somebody(role);
    let found = world.resolve(&identity);
    assert_eq!(matches!(found, Resolution::Mapped(_)), is_mapped, "{found:?}");
    bencher.bench_local(|| world.resolve(black_box(&identity)));
}

#[divan::bench(args = [10, 300, 3_000])]
fn by_access_entry(bencher: Bencher<'_, '_>, entries: usize) {
    bench(bencher, entries, "entry-7", true);
}

#[divan::bench(args = [10, 300, 3_000])]
fn by_aws_auth(bencher: Bencher<'_, '_>, entries: usize) {
    bench(bencher, entries, "line-7", true);
}

#[divan::bench(args = [10, 300, 3_000])]
fn blocked(bencher: Bencher<'_, '_>, entries: usize) {
    bench(bencher, entries, "blocked-7", false);
}

#[divan::bench(args = [10, 300, 3_000])]
fn unmapped(bencher: Bencher<'_, '_>, entries: usize) {
    bench(bencher, entries, "nobody", false);
}

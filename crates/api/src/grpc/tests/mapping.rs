use futures::{StreamExt as _, stream};
use lanyard_iam::PrincipalArn;
use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;
use tokio::sync::watch;

use super::{samples::*, *};
use crate::{
    Authority, BlockId, CallError, ClusterId, Fault, Scope,
    mapping::{
        AccessPolicySummary, AccessScope, AssociateIdentityProvider, AuthenticationMode, AuthorizerMode,
        AwsAuthStatus, AwsAuthVersion, Block, Blocks, BreakGlass, BreakGlassQuery, Cluster, ClusterDirectory,
        Clusters, CreateAccessEntry, CreateBlock, CreateCluster, DirectoryEntry, Entries, EntryDetail,
        EntryEvent, EntryEventKind, EntryEvents, EntryMatches, EntryRef, EntryType,
        IdentityProviderConfigDetail, IdentityProviderRef, IdentityProviderSettings, IdentityProviders, Node,
        PolicyAssociation, Preview, PreviewQuery, PrincipalPage, Resolution, Resolve, ResolveQuery,
        RevisionReport, RevisionReports, SpokeCredential, Unmapped, UpdateAccessEntry, UpdateCluster,
        WatchEnd,
    },
    suite::IdentityVouching,
};

fn directory(revision: u64) -> Arc<ClusterDirectory> {
    let entry = DirectoryEntry {
        cluster: Arc::new(cluster()),
        credentials: vec![spoke_credential()],
        kubeconfig_version: Some(3),
    };
    Arc::new(ClusterDirectory { revision: Revision(revision), clusters: vec![entry] })
}

fn reports() -> [RevisionReport; 3] {
    let own = (Scope::Cluster(uid(3)), Revision(7));
    let account = (Scope::Account(ACCOUNT.parse().unwrap()), Revision(2));
    [
        RevisionReport::All(vec![(Scope::Hub, Revision(1)), account, own]),
        RevisionReport::Moved(Vec::new()),
        RevisionReport::Moved(vec![own]),
    ]
}

fake! { Clusters {
    change create_cluster(asked: CreateCluster) -> Mutated<Cluster>, CallError = mutated(cluster());
    ask get_cluster(id: ClusterId) -> Cluster, CallError
        = Cluster { endpoint: None, certificate_authority: None, ..cluster() };
    ask list_clusters(region: Option<String>, query: PageQuery) -> Page<Cluster>, CallError = page(vec![cluster()]);
    change update_cluster(id: ClusterId, asked: UpdateCluster) -> Mutated<Cluster>, CallError = mutated(cluster());
    change delete_cluster(id: ClusterId) -> Mutated<Cluster>, CallError = mutated(cluster());
    change push_aws_auth(id: ClusterId, content: String) -> Mutated<AwsAuthVersion>, CallError = mutated(aws_auth());
    ask get_aws_auth(id: ClusterId) -> Vec<AwsAuthVersion>, CallError
        = vec![aws_auth(), AwsAuthVersion { status: AwsAuthStatus::Accepted, ..aws_auth() }];
    change set_node(id: ClusterId, node: Node) -> Mutated<Node>, CallError = mutated(node);
    ask list_nodes(id: ClusterId, query: PageQuery) -> Page<Node>, CallError = page(vec![node()]);
    change delete_node(id: ClusterId, instance: String) -> Mutated<Node>, CallError = mutated(node());
    change create_spoke_credential(id: ClusterId) -> Mutated<(SpokeCredential, SecretString)>, CallError
        = mutated((spoke_credential(), "hush".into()));
    ask list_spoke_credentials(id: ClusterId) -> Vec<SpokeCredential>, CallError = vec![spoke_credential(); 2];
    change delete_spoke_credential(id: ClusterId, credential: String) -> Mutated<SpokeCredential>, CallError
        = mutated(spoke_credential());
    change arm_break_glass(id: ClusterId) -> Mutated<(BreakGlass, SecretString)>, CallError
        = mutated((break_glass(false), "hush".into()));
    change disarm_break_glass(id: ClusterId) -> Mutated<BreakGlass>, CallError = mutated(break_glass(true));
    ask list_break_glass() -> Vec<BreakGlass>, CallError = vec![break_glass(false), break_glass(true)];
}
    fn revisions(&self) -> RevisionReports {
        self.note("revisions".to_owned());
        stream::iter(reports()).boxed()
    }

    fn directory(&self) -> watch::Receiver<Arc<ClusterDirectory>> {
        let (sender, receiver) = watch::channel(directory(1));
        // As an engine would after a change, and for as long as it lives.
        tokio::spawn(async move {
            sender.send_replace(directory(2));
            sender.closed().await;
        });
        receiver
    }
}

fake! { Entries {
    change create_entry(asked: CreateAccessEntry) -> Mutated<EntryDetail>, CallError = mutated(entry());
    ask get_entry(named: EntryRef) -> EntryDetail, CallError = entry();
    ask list_entries(id: ClusterId, policy: Option<String>, query: PageQuery) -> Page<EntryDetail>, CallError
        = page(vec![entry()]);
    ask list_principals(id: ClusterId, policy: Option<String>, query: PageQuery) -> PrincipalPage, CallError
        = {
            let Page { items, next_token } = page(vec![entry().entry.principal_arn.to_string()]);
            PrincipalPage { principal_arns: items.iter().collect(), next_token }
        };
    ask preview_entry(named: EntryRef) -> EntryMatches, CallError = matches();
    change update_entry(asked: UpdateAccessEntry) -> Mutated<EntryDetail>, CallError = mutated(entry());
    change delete_entry(named: EntryRef) -> Mutated<EntryDetail>, CallError = mutated(entry());
    change associate_policy(
        named: EntryRef, policy: String, scope: AccessScope, ends_at: Option<OffsetDateTime>
    ) -> Mutated<PolicyAssociation>, CallError = mutated(association(scope));
    change disassociate_policy(named: EntryRef, policy: String) -> Mutated<PolicyAssociation>, CallError
        = mutated(association(AccessScope::Cluster));
    ask list_associated_policies(named: EntryRef, query: PageQuery) -> Page<PolicyAssociation>, CallError
        = page(vec![association(AccessScope::Cluster)]);
    ask list_access_policies(query: PageQuery) -> Page<AccessPolicySummary>, CallError
        = page(vec![AccessPolicySummary { name: text("View"), arn: text("arn:aws:eks::aws:cluster-access-policy/View") }]);
}
    async fn watch_entries(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        after: Option<WatchEnd>,
    ) -> Result<EntryEvents, CallError> {
        self.note(format!("watch_entries {:?} {cluster} {after:?}", by.value.kind));
        let (kind, revision) = (EntryEventKind::Added, Revision(3));
        let added = EntryEvent { kind, revision, cluster: Some(uid(3)), entry: Some(entry()) };
        let bookmark = EntryEvent { kind: EntryEventKind::Bookmark, entry: None, ..added.clone() };
        // As a hub of before clusters were told sends it.
        let unnamed = EntryEvent { cluster: None, ..bookmark.clone() };
        let events = vec![Ok(added), Ok(bookmark), Ok(unnamed), Err(CallError::not_found("cluster", "dev"))];
        Ok(stream::iter(events).boxed())
    }
}

fake! { IdentityProviders {
    change associate_identity_provider(asked: AssociateIdentityProvider) -> Mutated<IdentityProviderConfigDetail>, CallError
        = mutated(provider());
    ask get_identity_provider(named: IdentityProviderRef) -> IdentityProviderConfigDetail, CallError = provider();
    ask list_identity_providers(id: ClusterId, query: PageQuery) -> Page<IdentityProviderConfigDetail>, CallError
        = page(vec![provider(); 2]);
    change disassociate_identity_provider(named: IdentityProviderRef) -> Mutated<IdentityProviderConfigDetail>, CallError
        = mutated(provider());
} }

fake! { Blocks {
    change create_block(asked: CreateBlock) -> Mutated<Block>, CallError = mutated(block(asked.target));
    change delete_block(scope: Scope, id: BlockId) -> Mutated<Block>, CallError
        = mutated(block(block_targets()[0].clone()));
    ask list_blocks(scope: Scope, query: PageQuery) -> Page<Block>, CallError
        = page(block_targets().map(block).into());
} }

fake! { Preview {
    ask preview(query: PreviewQuery) -> Resolution, CallError = Resolution::Mapped(Arc::new(mapped()));
} }

impl Resolve for Fake {
    async fn resolve(&self, query: ResolveQuery) -> Result<Resolution, Fault> {
        self.note(format!("{} {:?} {}", query.cluster, query.identity.value, query.explain));
        Ok(match query.explain {
            true => Resolution::Unmapped(Unmapped {
                denial: denial("unmapped"),
                near_misses: vec![text("an entry exists for role X without its path")],
            }),
            false => Resolution::Mapped(Arc::new(mapped())),
        })
    }

    async fn resolve_break_glass(&self, query: BreakGlassQuery) -> Result<Resolution, Fault> {
        self.note(format!("{} {}", query.cluster, query.credential.expose_secret()));
        Ok(Resolution::Blocked(BlockId(uuid::Uuid::from_u128(5))))
    }
}

fn dev() -> ClusterId {
    "dev-1".parse().unwrap()
}

async fn cluster_calls<T: Clusters>(to: &T) -> Vec<String> {
    let least = CreateCluster {
        account: None,
        name: text("dev"),
        id: None,
        region: text("us-west-2"),
        endpoint: None,
        certificate_authority: None,
        authentication_mode: None,
        authorizer_mode: None,
        trusted_accounts: vec![],
        audiences: vec![],
        token_cache_seconds: None,
        bootstrap_creator_admin: false,
        tags: tags(&[]),
    };
    let whole = CreateCluster {
        account: Some(ACCOUNT.parse().unwrap()),
        id: Some(text("dev-1")),
        endpoint: Some(text("https://x")),
        certificate_authority: Some(text("PEM")),
        authentication_mode: Some(AuthenticationMode::ApiAndConfigMap),
        authorizer_mode: Some(AuthorizerMode::WebhookFirst),
        trusted_accounts: cluster().trusted_accounts,
        audiences: vec![text("a"), text("b")],
        token_cache_seconds: Some(0),
        bootstrap_creator_admin: true,
        tags: tags(&["a"]),
        ..least.clone()
    };
    let update = UpdateCluster {
        authentication_mode: Some(AuthenticationMode::Api),
        authorizer_mode: Some(AuthorizerMode::Full),
        trusted_accounts: Some(vec![]),
        audiences: Some(vec![]),
        token_cache_seconds: Some(5),
        endpoint: Some(text("https://y")),
        certificate_authority: Some(text("PEM2")),
        tags: Some(tags(&[])),
    };
    answers![
        to.create_cluster(change(), least),
        to.create_cluster(change(), whole),
        to.get_cluster(actor(), dev()),
        to.list_clusters(actor(), None, some_page()),
        to.list_clusters(actor(), Some(text("eu-west-1")), some_page()),
        to.update_cluster(change(), dev(), update),
        to.update_cluster(silent_change(), dev(), UpdateCluster::default()),
        to.delete_cluster(change(), dev()),
        to.push_aws_auth(change(), dev(), text("mapRoles: |\n  - x")),
        to.get_aws_auth(actor(), dev()),
        to.set_node(change(), dev(), node()),
        to.set_node(change(), dev(), Node { role_arn: None, access_key_id: None, ..node() }),
        to.list_nodes(actor(), dev(), some_page()),
        to.delete_node(change(), dev(), text("i-0123")),
        to.create_spoke_credential(change(), dev()),
        to.list_spoke_credentials(actor(), dev()),
        to.delete_spoke_credential(change(), dev(), text("0123456789ab")),
        to.arm_break_glass(change(), dev()),
        to.disarm_break_glass(change(), dev()),
        to.list_break_glass(actor()),
    ]
}

async fn entry_calls<T: Entries>(to: &T) -> Vec<String> {
    let named = || EntryRef { cluster: dev(), principal_arn: text(ROLE) };
    let least = CreateAccessEntry {
        entry: named(),
        entry_type: None,
        username: None,
        groups: vec![],
        tags: tags(&[]),
        ends_at: None,
        principal_id: None,
        pin_until: None,
    };
    let whole = CreateAccessEntry {
        entry_type: Some(EntryType::Ec2Linux),
        username: Some(text("ana")),
        groups: vec![text("devs")],
        tags: tags(&["a"]),
        ends_at: Some(moment(1)),
        principal_id: Some(text("AROAX")),
        pin_until: Some(moment(4)),
        ..least.clone()
    };
    let update = |username: Option<&str>, groups, ends_at, rebind| UpdateAccessEntry {
        entry: named(),
        username: username.map(text),
        groups,
        ends_at,
        rebind,
        pin_until: rebind.then(|| moment(5)),
    };
    let namespaces = AccessScope::Namespace(vec![text("dev-*"), text("x")]);
    let end = |cluster| WatchEnd { revision: Revision(2), cluster };
    answers![
        to.create_entry(change(), least),
        to.create_entry(change(), whole),
        to.get_entry(actor(), named()),
        to.preview_entry(actor(), named()),
        async { Ok::<_, CallError>(to.watch_entries(actor(), dev(), None).await?.collect::<Vec<_>>().await) },
        async {
            Ok::<_, CallError>(
                to.watch_entries(actor(), dev(), Some(end(None))).await?.collect::<Vec<_>>().await,
            )
        },
        async {
            Ok::<_, CallError>(
                to.watch_entries(actor(), dev(), Some(end(Some(uid(3))))).await?.collect::<Vec<_>>().await,
            )
        },
        to.list_entries(actor(), dev(), None, some_page()),
        to.list_entries(actor(), dev(), Some(text("arn:policy")), PageQuery::default()),
        to.list_principals(actor(), dev(), None, some_page()),
        to.list_principals(actor(), dev(), Some(text("arn:policy")), PageQuery::default()),
        to.update_entry(change(), update(None, None, None, false)),
        to.update_entry(change(), update(Some("bob"), Some(vec![]), Some(None), true)),
        to.update_entry(change(), update(None, Some(vec![text("a")]), Some(Some(moment(2))), false)),
        to.delete_entry(change(), named()),
        to.associate_policy(change(), named(), text("p"), AccessScope::Cluster, None),
        to.associate_policy(change(), named(), text("p"), namespaces, Some(moment(3))),
        to.disassociate_policy(change(), named(), text("p")),
        to.list_associated_policies(actor(), named(), some_page()),
        to.list_access_policies(actor(), some_page()),
    ]
}

async fn identity_provider_calls<T: IdentityProviders>(to: &T) -> Vec<String> {
    let named = || IdentityProviderRef { cluster: dev(), name: text("okta") };
    let whole = provider().config.settings;
    let least = IdentityProviderSettings {
        username_claim: None,
        username_prefix: None,
        groups_claim: None,
        groups_prefix: None,
        required_claims: tags(&[]),
        shared_audience: false,
        ca_bundle_pem: None,
        email_verified_may_be_absent: false,
        tags: tags(&[]),
        ..whole.clone()
    };
    let asked = |settings| AssociateIdentityProvider { cluster: dev(), settings };
    answers![
        to.associate_identity_provider(change(), asked(whole)),
        to.associate_identity_provider(silent_change(), asked(least)),
        to.get_identity_provider(actor(), named()),
        to.list_identity_providers(actor(), dev(), some_page()),
        to.disassociate_identity_provider(change(), named()),
    ]
}

async fn block_calls<T: Blocks>(to: &T) -> Vec<String> {
    let [principal, account, key, session, subject, issuer, certificate] = block_targets();
    let of = |scope, target| CreateBlock { scope, target, reason: text("leaked") };
    let account_scope = Scope::Account(ACCOUNT.parse().unwrap());
    answers![
        to.create_block(change(), of(Scope::Hub, principal)),
        to.create_block(change(), of(account_scope, account)),
        to.create_block(change(), of(Scope::Cluster(uid(1)), key)),
        to.create_block(change(), of(Scope::Hub, session)),
        to.create_block(change(), of(Scope::Hub, subject)),
        to.create_block(change(), of(Scope::Hub, issuer)),
        to.create_block(change(), of(Scope::Hub, certificate)),
        to.delete_block(change(), account_scope, BlockId(uuid::Uuid::from_u128(9))),
        to.list_blocks(actor(), Scope::Cluster(uid(2)), some_page()),
    ]
}

async fn preview_calls<T: Preview>(to: &T) -> Vec<String> {
    let arn: PrincipalArn = ROLE.parse().unwrap();
    let query = |principal_id| PreviewQuery {
        cluster: uid(1),
        authority: Authority::Aws,
        arn: arn.clone(),
        principal_id,
    };
    answers![to.preview(actor(), query(None)), to.preview(actor(), query(Some(text("AROAX"))))]
}

#[tokio::test]
async fn clusters_are_the_same_over_grpc() {
    same_over_grpc!(cluster_calls);
}

#[tokio::test]
async fn entries_are_the_same_over_grpc() {
    same_over_grpc!(entry_calls);
}

#[tokio::test]
async fn identity_providers_are_the_same_over_grpc() {
    same_over_grpc!(identity_provider_calls);
}

#[tokio::test]
async fn blocks_are_the_same_over_grpc() {
    same_over_grpc!(block_calls);
}

#[tokio::test]
async fn previews_are_the_same_over_grpc() {
    same_over_grpc!(preview_calls);
}

#[tokio::test]
async fn credentials_of_spokes_and_of_last_resort_arrive() {
    let client = served(&Arc::default());
    let spoke = client.create_spoke_credential(change(), dev()).await.unwrap();
    let armed = client.arm_break_glass(change(), dev()).await.unwrap();
    assert_eq!([spoke.value.1.expose_secret(), armed.value.1.expose_secret()], ["hush", "hush"]);
}

#[tokio::test]
async fn a_directory_is_heard_at_once_and_after_each_change() {
    let client = served(&Arc::default());
    let mut heard = client.directory();
    let newest = heard.wait_for(|directory| directory.revision == Revision(2)).await.unwrap().clone();
    assert_eq!(newest, directory(2));
    assert_eq!(**client.directory().borrow(), *directory(2), "one task, whoever asks");
}

#[tokio::test(start_paused = true)]
async fn revisions_are_heard_and_a_watch_that_ends_is_lost_and_begun_anew() {
    let heard = served(&Arc::default()).revisions();
    let twice: Vec<_> = reports().into_iter().chain([RevisionReport::Lost]).cycle().take(8).collect();
    assert_eq!(heard.take(8).collect::<Vec<_>>().await, twice);
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_stays_the_same_is_heard_to_be_current() {
    let client = served(&Arc::default());
    let mut heard = client.directory();
    let held = heard.wait_for(|directory| directory.revision == Revision(2)).await.unwrap().clone();
    for _ in 0..2 {
        heard.changed().await.unwrap();
        assert!(Arc::ptr_eq(&heard.borrow_and_update(), &held), "nothing was taken apart again");
    }
}

fn knock(explain: bool) -> ResolveQuery {
    ResolveQuery { cluster: uid(3), identity: Vouched::in_process(Arc::new(identity())), explain }
}

#[tokio::test]
async fn a_vouched_identity_is_resolved_and_every_resolution_arrives() {
    let (here, there) = (Fake::default(), Arc::default());
    let client = IdentityVouching::new(served(&there), vouchers());
    for explain in [true, false] {
        assert_eq!(client.resolve(knock(explain)).await, here.resolve(knock(explain)).await);
    }
    let of_oidc =
        || ResolveQuery { identity: Vouched::in_process(Arc::new(oidc_identity())), ..knock(false) };
    assert_eq!(client.resolve(of_oidc()).await, here.resolve(of_oidc()).await);
    let break_glass = || BreakGlassQuery { cluster: uid(3), credential: "lbg_x".into() };
    assert_eq!(
        client.resolve_break_glass(break_glass()).await,
        here.resolve_break_glass(break_glass()).await
    );
    assert_eq!(*here.asked.lock().unwrap(), *there.asked.lock().unwrap());
}

#[tokio::test]
async fn immunity_41_an_identity_that_authn_did_not_vouch_for_this_cluster_is_nobody() {
    let fake = Arc::default();
    let client = served(&fake);
    let vouched = |audience, cluster| {
        let in_process = Vouched::in_process(Arc::new(identity()));
        vouchers().vouched(in_process, audience, cluster).unwrap()
    };
    let wrong = [
        Vouched::in_process(Arc::new(identity())),
        vouched(Audience::Mapping, Some(uid(4))),
        vouched(Audience::Mapping, None),
        vouched(Audience::Authz, Some(uid(3))),
    ];
    for identity in wrong {
        assert_eq!(client.resolve(ResolveQuery { identity, ..knock(false) }).await, Err(Fault::Internal));
    }
    assert!(fake.asked.lock().unwrap().is_empty());
}

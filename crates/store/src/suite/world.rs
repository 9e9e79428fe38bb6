//! Records to test with.

use lanyard_api::{
    Actor, Authority, BlockId, ClusterUid, EntryId, IdentityProviderConfigId, Mutation, OidcProviderId,
    Scope, SignatureUse, TrustedAccount, Vouched,
    authn::accounts::{AccessKey, Account, IamRole, InlinePolicy, PolicyOwner, User},
    authn::{instance_profiles::InstanceProfile, oidc_providers::OidcProvider},
    credentials::{
        HostedIssuer, HostedKey, IrsaObstacle, IssuerKey, IssuerSigner, PodIdentityAssociation,
        PodIdentityAssociationId, ServiceAccount, WorkloadIssuer,
    },
    mapping::{
        AccessEntry, AccessScope, AuthenticationMode, AuthorizerMode, AwsAuthStatus, AwsAuthVersion, Block,
        BlockTarget, BreakGlass, Cluster, ClusterUpdate, ClusterUpdateType, EntryType,
        IdentityProviderConfig, IdentityProviderSettings, Node, PolicyAssociation, SpokeCredential,
        SpokeCredentialKind, SpokeKubeconfig,
    },
};
use lanyard_iam::{AccessKeyId, AccountId, CanonicalArn, EntryPrincipal, Partition, PrincipalArn};

use super::NOON;
use crate::{
    Administrator, AdministratorSource, ClusterServiceAccount, Committed, RbacObject, Record, Setting,
    StaleEntry, Store, StoreError, Transaction,
};

pub(super) const HOME: &str = "111122223333";
pub(super) const AWAY: &str = "444455556666";
pub(super) const ADMIN_POLICY: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";

pub(super) fn account_id(digits: &str) -> AccountId {
    digits.parse().unwrap()
}

pub(super) fn home() -> Scope {
    Scope::Account(account_id(HOME))
}

pub(super) fn by(purpose: &str) -> Mutation {
    Mutation::system(purpose)
}

/// A mutation whose signature counts once.
pub(super) fn signed(digest: u8) -> Mutation {
    let mut actor = Actor::system("test");
    actor.signature =
        Some(SignatureUse { digest: [digest; 32], expires_at: NOON + time::Duration::minutes(15) });
    Mutation::by(Vouched::in_process(actor))
}

pub(super) fn account(digits: &str, authority: Authority) -> Account {
    let name = format!("account {digits}");
    Account { id: account_id(digits), partition: Partition::Aws, authority, name, created_at: NOON }
}

pub(super) fn user(name: &str) -> User {
    User {
        account: account_id(HOME),
        path: "/".to_owned(),
        name: name.to_owned(),
        principal_id: format!("AIDA{}", name.to_uppercase()),
        tags: Default::default(),
        created_at: NOON,
    }
}

pub(super) fn key(user: &str, number: u32) -> AccessKey {
    AccessKey {
        id: AccessKeyId::parse(&format!("LKIA{:016}", number)).unwrap(),
        account: account_id(HOME),
        user: user.to_owned(),
        active: true,
        created_at: NOON,
    }
}

pub(super) fn role(name: &str) -> IamRole {
    IamRole {
        account: account_id(HOME),
        path: "/".to_owned(),
        name: name.to_owned(),
        principal_id: format!("AROA{}", name.to_uppercase()),
        trust_policy: "{}".to_owned(),
        trusted_ids: Default::default(),
        session_seconds_max: 3600,
        revoked_before: None,
        tags: Default::default(),
        description: String::new(),
        created_at: NOON,
    }
}

pub(super) fn instance_profile(name: &str, role: Option<&str>) -> InstanceProfile {
    InstanceProfile {
        account: account_id(HOME),
        path: "/".to_owned(),
        name: name.to_owned(),
        profile_id: format!("AIPA{}", name.to_uppercase()),
        role: role.map(str::to_owned),
        tags: Default::default(),
        created_at: NOON,
    }
}

pub(super) fn oidc_provider(issuer_url: &str) -> OidcProvider {
    OidcProvider {
        id: OidcProviderId::random(),
        account: account_id(HOME),
        issuer_url: issuer_url.to_owned(),
        client_ids: vec!["sts.amazonaws.com".to_owned()],
        thumbprints: vec!["0f".repeat(20)],
        ca_bundle_pem: None,
        tags: Default::default(),
        created_at: NOON,
    }
}

/// A trust policy that lets these in.
pub(super) fn trusting(principals: &[&str]) -> String {
    let principals: Vec<String> = principals.iter().map(|name| format!("\"{name}\"")).collect();
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":[{}]}},"Action":"sts:AssumeRole"}}]}}"#,
        principals.join(",")
    )
}

/// An identity policy of one statement.
pub(super) fn statement(effect: &str, action: &str, resource: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}"}}]}}"#
    )
}

pub(super) fn policy(owner: PolicyOwner, name: &str) -> InlinePolicy {
    InlinePolicy { account: account_id(HOME), owner, name: name.to_owned(), document: "{}".to_owned() }
}

pub(super) fn cluster(id: &str) -> Cluster {
    Cluster {
        uid: ClusterUid::random(),
        id: id.parse().unwrap(),
        name: id.to_owned(),
        partition: Partition::Aws,
        account: account_id(HOME),
        region: "eu-central-1".to_owned(),
        endpoint: None,
        certificate_authority: None,
        authentication_mode: AuthenticationMode::ApiAndConfigMap,
        authorizer_mode: AuthorizerMode::WebhookFirst,
        trusted_accounts: vec![TrustedAccount { authority: Authority::Local, account: account_id(HOME) }],
        audiences: vec!["https://kubernetes.default.svc".to_owned()],
        token_cache_seconds: 10,
        created_by: "test".to_owned(),
        tags: Default::default(),
        created_at: NOON,
    }
}

pub(super) fn credential(cluster: &Cluster, id: &str) -> SpokeCredential {
    let token_sha256 = format!("sha256 of {}/{id}", cluster.uid);
    SpokeCredential {
        cluster: cluster.uid,
        id: id.to_owned(),
        token_sha256,
        created_at: NOON,
        kind: SpokeCredentialKind::Token,
    }
}

pub(super) fn kubeconfig(cluster: &Cluster) -> SpokeKubeconfig {
    SpokeKubeconfig {
        cluster: cluster.uid,
        version: 1,
        server: "https://10.0.0.1:6443/".to_owned(),
        credential_kind: "token".to_owned(),
        put_by: "test".to_owned(),
        put_at: NOON,
    }
}

pub(super) fn entry(cluster: &Cluster, principal_arn: &str) -> AccessEntry {
    AccessEntry {
        id: EntryId::random(),
        cluster: cluster.uid,
        authority: Authority::Local,
        principal_arn: EntryPrincipal::parse(principal_arn).unwrap(),
        principal_id: None,
        entry_type: EntryType::Standard,
        username: "ana".to_owned(),
        groups: vec!["devs".to_owned()],
        tags: Default::default(),
        ends_at: None,
        pin_until: None,
        created_at: NOON,
        modified_at: NOON,
    }
}

pub(super) fn association(entry: &AccessEntry, policy_arn: &str) -> PolicyAssociation {
    PolicyAssociation {
        cluster: entry.cluster,
        entry: entry.id,
        policy_arn: policy_arn.to_owned(),
        scope: AccessScope::Cluster,
        ends_at: None,
        associated_at: NOON,
        modified_at: NOON,
    }
}

pub(super) fn aws_auth(cluster: &Cluster, version: u64) -> AwsAuthVersion {
    AwsAuthVersion {
        cluster: cluster.uid,
        version,
        content: "mapRoles: []".to_owned(),
        status: AwsAuthStatus::Accepted,
        findings: Vec::new(),
        pushed_by: "test".to_owned(),
        pushed_at: NOON,
    }
}

pub(super) fn node(cluster: &Cluster, instance_id: &str) -> Node {
    Node {
        cluster: cluster.uid,
        instance_id: instance_id.to_owned(),
        private_dns_name: "ip-10-0-0-1.internal".to_owned(),
        role_arn: None,
        access_key_id: None,
    }
}

pub(super) fn break_glass(cluster: &Cluster) -> BreakGlass {
    BreakGlass {
        cluster: cluster.uid,
        token_sha256: format!("sha256 of {}", cluster.uid),
        armed_by: "test".to_owned(),
        armed_at: NOON,
        ends_at: NOON + time::Duration::hours(1),
        used_at: None,
    }
}

pub(super) fn service_account(cluster: &Cluster, name: &str) -> ClusterServiceAccount {
    let service_account = ServiceAccount {
        namespace: "team-a".to_owned(),
        name: name.to_owned(),
        uid: "1".to_owned(),
        annotations: Default::default(),
    };
    ClusterServiceAccount { cluster: cluster.uid, service_account }
}

pub(super) fn issuer(cluster: &Cluster, issuer_url: &str, thumbprints: &[&str]) -> WorkloadIssuer {
    let key = |thumbprint: &&str| IssuerKey {
        kid: None,
        thumbprint: (*thumbprint).to_owned(),
        algorithms: vec!["RS256".to_owned()],
        jwk: "{}".to_owned(),
    };
    WorkloadIssuer {
        cluster: cluster.uid,
        issuer_url: issuer_url.to_owned(),
        keys: thumbprints.iter().map(key).collect(),
        irsa_obstacle: IrsaObstacle::of(issuer_url),
        pushed_by: "test".to_owned(),
        pushed_at: NOON,
    }
}

pub(super) fn hosted_issuer(cluster: &Cluster, issuer_url: &str, thumbprints: &[&str]) -> HostedIssuer {
    let key = |key: IssuerKey| HostedKey {
        key,
        signer: IssuerSigner::ApiServer,
        published_by: "test".to_owned(),
        published_at: NOON,
        signs_from: NOON,
        superseded_at: None,
    };
    let keys = issuer(cluster, issuer_url, thumbprints).keys;
    HostedIssuer {
        cluster: cluster.uid,
        issuer_url: issuer_url.to_owned(),
        keys: keys.into_iter().map(key).collect(),
    }
}

pub(super) fn pod_identity_association(
    cluster: &Cluster,
    namespace: &str,
    service_account: &str,
) -> PodIdentityAssociation {
    PodIdentityAssociation {
        id: PodIdentityAssociationId::random(),
        cluster: cluster.uid,
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
        role_arn: "arn:aws:iam::111122223333:role/team/app".parse().unwrap(),
        target_role_arn: None,
        disable_session_tags: false,
        policy: None,
        aws_road: None,
        unprobed: false,
        tags: Default::default(),
        created_at: NOON,
        modified_at: NOON,
    }
}

pub(super) fn cluster_update(cluster: &Cluster, minute: i64) -> ClusterUpdate {
    ClusterUpdate {
        id: lanyard_api::ClusterUpdateId::random(),
        cluster: cluster.uid,
        kind: ClusterUpdateType::Config,
        params: Vec::new(),
        created_at: NOON + time::Duration::minutes(minute),
    }
}

pub(super) fn identity_provider(cluster: &Cluster, name: &str) -> IdentityProviderConfig {
    let settings = IdentityProviderSettings {
        name: name.to_owned(),
        issuer_url: format!("https://{name}.example"),
        client_id: "kubernetes".to_owned(),
        username_claim: None,
        username_prefix: None,
        groups_claim: Some("groups".to_owned()),
        groups_prefix: None,
        required_claims: Default::default(),
        shared_audience: false,
        ca_bundle_pem: None,
        email_verified_may_be_absent: false,
        tags: Default::default(),
    };
    let id = IdentityProviderConfigId::random();
    IdentityProviderConfig { id, cluster: cluster.uid, settings, created_at: NOON }
}

pub(super) fn object(cluster: &Cluster, name: &str) -> RbacObject {
    let role = lanyard_rbac::ClusterRole { name: name.to_owned(), ..Default::default() };
    RbacObject { cluster: cluster.uid, object: lanyard_rbac::Object::ClusterRole(role) }
}

/// An administrator by an entry.
pub(super) fn administrator(entry: &AccessEntry) -> Administrator {
    Administrator {
        cluster: entry.cluster,
        source: AdministratorSource::Entry(entry.id),
        authority: entry.authority.clone(),
        account: entry.principal_arn.account(),
        canonical_arn: entry.principal_arn.one().unwrap().canonical(),
        principal_id: entry.principal_id.clone(),
        ends_at: entry.ends_at,
    }
}

/// Somebody has knocked under the ARN of an entry who is not whom it is bound to.
pub(super) fn stale_entry(entry: &AccessEntry) -> StaleEntry {
    let principal_ids = vec!["AROANEW".to_owned()];
    StaleEntry { cluster: entry.cluster, entry: entry.id, since: NOON, principal_ids }
}

/// An administrator by a line of aws-auth.
pub(super) fn line(cluster: &Cluster, at: u32, authority: Authority, arn: &str) -> Administrator {
    let canonical_arn = CanonicalArn::parse(arn).unwrap();
    Administrator {
        cluster: cluster.uid,
        source: AdministratorSource::AwsAuth(format!("mapRoles[{at}]")),
        authority,
        account: PrincipalArn::parse(arn).unwrap().account,
        canonical_arn,
        principal_id: None,
        ends_at: None,
    }
}

pub(super) fn block(scope: Scope, target: BlockTarget) -> Block {
    let (reason, created_by) = ("test".to_owned(), "test".to_owned());
    Block { id: BlockId::random(), scope, target, reason, created_by, created_at: NOON }
}

pub(super) fn setting(name: &str, value: &str) -> Setting {
    Setting::new(name, value)
}

/// One record in a mutation of its own.
pub(super) async fn insert<R: Record>(store: &Store, record: &R) -> Result<Committed, StoreError> {
    let mut transaction = store.begin("insert", &by("test"), &[record.scope()]).await?;
    transaction.insert(record).await?;
    transaction.commit_unrecorded().await
}

/// One record in a mutation of its own, new or changed.
pub(super) async fn put<R: Record>(store: &Store, record: &R) -> Result<Committed, StoreError> {
    let mut transaction = store.begin("put", &by("test"), &[record.scope()]).await?;
    transaction.put(record).await?;
    transaction.commit_unrecorded().await
}

/// Deletes one record in a mutation of its own, which begins with these scopes too.
pub(super) async fn delete<R: Record>(
    store: &Store,
    record: &R,
    more: &[Scope],
) -> Result<Committed, StoreError> {
    let scopes: Vec<Scope> = [record.scope()].iter().chain(more).copied().collect();
    let mut transaction = store.begin("delete", &by("test"), &scopes).await?;
    transaction.delete::<R>(record.scope(), &record.key()).await?;
    transaction.commit_unrecorded().await
}

/// A transaction in the hub's scope.
pub(super) async fn begin_hub(store: &Store) -> Transaction {
    store.begin("test", &by("test"), &[Scope::Hub]).await.unwrap()
}

/// A hub with its home account and one cluster there.
pub(super) async fn founded(store: &Store) -> Cluster {
    insert(store, &account(HOME, Authority::Local)).await.unwrap();
    let cluster = cluster("dev");
    insert(store, &cluster).await.unwrap();
    cluster
}

//! Registered clusters, their aws-auth, nodes, spoke credentials and break-glass identity.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use futures::stream::BoxStream;
use lanyard_iam::{AccessKeyId, AccountId, Partition};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    fault::CallError,
    identity::{Actor, TrustedAccount, Vouched},
    ids::{ClusterId, ClusterUid, Revision, Scope},
    mutation::{Mutated, Mutation, Page, PageQuery},
    tags::ClusterPlace,
};

/// Which of access entries and aws-auth counts (EKS authentication mode); one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AuthenticationMode {
    /// aws-auth alone.
    #[serde(rename = "CONFIG_MAP")]
    ConfigMap,
    /// Entries first, then aws-auth.
    #[serde(rename = "API_AND_CONFIG_MAP")]
    ApiAndConfigMap,
    /// Entries alone.
    #[serde(rename = "API")]
    Api,
}

/// Who evaluates RBAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthorizerMode {
    /// We stand before the API server's own RBAC: access policies only.
    WebhookFirst,
    /// RBAC is evaluated here too, for those who ask us alone.
    Full,
}

/// A registered cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Never used again.
    pub uid: ClusterUid,
    /// Unique on the hub; what tokens sign.
    pub id: ClusterId,
    /// Unique in partition, account and region.
    pub name: String,
    /// Its partition.
    pub partition: Partition,
    /// Its account.
    pub account: AccountId,
    /// Its region.
    pub region: String,
    /// The API server's URL, if known.
    pub endpoint: Option<String>,
    /// The API server's CA, PEM.
    pub certificate_authority: Option<String>,
    /// Which mappings count.
    pub authentication_mode: AuthenticationMode,
    /// Who evaluates RBAC.
    pub authorizer_mode: AuthorizerMode,
    /// Whose identities are let in; its own account's pair is in it from birth.
    pub trusted_accounts: Vec<TrustedAccount>,
    /// The audiences that tokens are for here.
    pub audiences: Vec<String>,
    /// How long the API server may cache an answer of ours.
    pub token_cache_seconds: u32,
    /// The creator's ARN, for people; its rights are an ordinary access entry.
    pub created_by: String,
    /// Tags; `lanyard:allow-lockout=true` switches the lockout guard off, [`AGENT_ADDRESS_TAG`] says where pods find the node's agent.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was registered.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl Cluster {
    /// `arn:<partition>:eks:<region>:<account>:cluster/<name>`.
    pub fn arn(&self) -> String {
        format!("arn:{}:eks:{}:{}:cluster/{}", self.partition, self.region, self.account, self.name)
    }

    /// Where it is, as ARNs have it.
    pub fn place(&self) -> ClusterPlace {
        let Self { partition, account, region, name, .. } = self;
        ClusterPlace { partition: *partition, account: *account, region: region.clone(), name: name.clone() }
    }
}

/// What registers a cluster.
#[derive(Debug, Clone)]
pub struct CreateCluster {
    /// The account; none means the actor's own.
    pub account: Option<AccountId>,
    /// Its name.
    pub name: String,
    /// Default: the name, or another that the hub makes where that is taken.
    pub id: Option<String>,
    /// Its region.
    pub region: String,
    /// The API server's URL.
    pub endpoint: Option<String>,
    /// The API server's CA, PEM.
    pub certificate_authority: Option<String>,
    /// Default [`AuthenticationMode::ApiAndConfigMap`].
    pub authentication_mode: Option<AuthenticationMode>,
    /// Default [`AuthorizerMode::WebhookFirst`].
    pub authorizer_mode: Option<AuthorizerMode>,
    /// Beyond its own account.
    pub trusted_accounts: Vec<TrustedAccount>,
    /// Default: [`AUDIENCE_DEFAULT`].
    pub audiences: Vec<String>,
    /// Default [`TOKEN_CACHE_SECONDS_DEFAULT`].
    pub token_cache_seconds: Option<u32>,
    /// Default true: the creator gets an entry with the cluster administrator's policy.
    pub bootstrap_creator_admin: bool,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// How many seconds an API server may cache an answer, where nothing else is said: short, so that an answer at one that cannot reach
/// us is soon out of force.
pub const TOKEN_CACHE_SECONDS_DEFAULT: u32 = 10;

/// The tag of a cluster that says by which of its addresses pods reach the node's agent: `ipv4`, or `ipv6`. Without it: `ipv4`.
pub const AGENT_ADDRESS_TAG: &str = "lanyard:agent-address";

/// By which of its link-local addresses pods reach the node's agent (EKS Pod Identity agent: 169.254.170.23 and fd00:ec2::23).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AgentAddress {
    /// 169.254.170.23.
    #[default]
    Ipv4,
    /// `fd00:ec2::23`, for clusters whose pods have no IPv4.
    Ipv6,
}

impl AgentAddress {
    /// What a value of [`AGENT_ADDRESS_TAG`] says; none where it says neither.
    #[must_use]
    pub fn of_tag(value: &str) -> Option<Self> {
        match value {
            "ipv4" => Some(Self::Ipv4),
            "ipv6" => Some(Self::Ipv6),
            _ => None,
        }
    }
}

impl Cluster {
    /// By which address its pods reach the node's agent.
    #[must_use]
    pub fn agent_address(&self) -> AgentAddress {
        self.tags.get(AGENT_ADDRESS_TAG).and_then(|value| AgentAddress::of_tag(value)).unwrap_or_default()
    }
}

/// The audience of a cluster's tokens where nothing else is said: what Kubernetes gives its own API server.
pub const AUDIENCE_DEFAULT: &str = "https://kubernetes.default.svc";

/// What changes a cluster; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct UpdateCluster {
    /// One way only.
    pub authentication_mode: Option<AuthenticationMode>,
    /// Who evaluates RBAC.
    pub authorizer_mode: Option<AuthorizerMode>,
    /// All of them.
    pub trusted_accounts: Option<Vec<TrustedAccount>>,
    /// All of them.
    pub audiences: Option<Vec<String>>,
    /// How long the API server may cache an answer of ours.
    pub token_cache_seconds: Option<u32>,
    /// The API server's URL; an empty one takes it away.
    pub endpoint: Option<String>,
    /// The API server's CA, PEM; an empty one takes it away.
    pub certificate_authority: Option<String>,
    /// All of them.
    pub tags: Option<BTreeMap<String, String>>,
}

/// One version of a cluster's aws-auth ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsAuthVersion {
    /// The cluster.
    pub cluster: ClusterUid,
    /// Counts up from 1.
    pub version: u64,
    /// Exactly as it came.
    pub content: String,
    /// What became of it.
    pub status: AwsAuthStatus,
    /// What is wrong with it, or with parts of it.
    pub findings: Vec<AwsAuthFinding>,
    /// Who brought it.
    pub pushed_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub pushed_at: OffsetDateTime,
}

/// What became of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AwsAuthStatus {
    /// It counts (the newest accepted one).
    Accepted,
    /// The last good one stays in force.
    Rejected,
}

/// What a fault in an aws-auth document does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AwsAuthEffect {
    /// The whole version is bad.
    Fatal,
    /// What it names is not in the map.
    LeftOut,
    /// What it names stays as it is.
    Kept,
}

impl AwsAuthEffect {
    /// Of a finding of before those that are kept were told apart.
    #[must_use]
    pub const fn of(fatal: bool) -> Self {
        if fatal { Self::Fatal } else { Self::LeftOut }
    }
}

/// A fault in an aws-auth document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenFinding", into = "WrittenFinding")]
pub struct AwsAuthFinding {
    /// What it does.
    pub effect: AwsAuthEffect,
    /// From 1, in the document as pushed; 0 where unknown.
    pub line: u32,
    /// From 1; 0 where unknown.
    pub column: u32,
    /// `mapRoles[3].rolearn`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl AwsAuthFinding {
    /// Whether it makes the whole version bad.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.effect == AwsAuthEffect::Fatal
    }
}

/// A finding as it is kept and shown: `fatal` is of before there were three effects.
#[derive(Serialize, Deserialize)]
struct WrittenFinding {
    fatal: bool,
    #[serde(default)]
    effect: Option<AwsAuthEffect>,
    line: u32,
    column: u32,
    path: String,
    message: String,
}

impl From<AwsAuthFinding> for WrittenFinding {
    fn from(finding: AwsAuthFinding) -> Self {
        let fatal = finding.is_fatal();
        let AwsAuthFinding { effect, line, column, path, message } = finding;
        Self { fatal, effect: Some(effect), line, column, path, message }
    }
}

impl From<WrittenFinding> for AwsAuthFinding {
    fn from(written: WrittenFinding) -> Self {
        let WrittenFinding { fatal, effect, line, column, path, message } = written;
        Self { effect: effect.unwrap_or(AwsAuthEffect::of(fatal)), line, column, path, message }
    }
}

/// A node's own name for an instance (`{{EC2PrivateDNSName}}`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// The cluster.
    pub cluster: ClusterUid,
    /// The session name of the node's role: `i-…`, or the hybrid node's name.
    pub instance_id: String,
    /// The private DNS name, which the node's username ends with.
    pub private_dns_name: String,
    /// The role whose sessions may be this node, without path.
    pub role_arn: Option<String>,
    /// The long-term key whose sessions may be this node, where the hub keeps it (local IAM): a node role is shared, and
    /// a session's name is chosen by whoever makes it.
    #[serde(default)]
    pub access_key_id: Option<AccessKeyId>,
}

/// What a spoke cluster shows at the hub's doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpokeCredentialKind {
    /// A bearer token of its API server: for reviews alone.
    #[default]
    Token,
    /// A client certificate: for reviews, and to push what is seen of the cluster.
    Certificate,
}

/// A spoke cluster at the gateway: a bearer token or a client certificate, known by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpokeCredential {
    /// The cluster that it is confined to.
    pub cluster: ClusterUid,
    /// Names it in lists.
    pub id: String,
    /// SHA-256 of the token, or of the certificate's DER, hex.
    pub token_sha256: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Which of the two.
    #[serde(default)]
    pub kind: SpokeCredentialKind,
}

/// A cluster's sealed way back in: for one use within an hour of arming.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// The cluster.
    pub cluster: ClusterUid,
    /// SHA-256 of the credential, hex.
    pub token_sha256: String,
    /// Who armed it.
    pub armed_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub armed_at: OffsetDateTime,
    /// One hour later.
    #[serde(with = "time::serde::rfc3339")]
    pub ends_at: OffsetDateTime,
    /// When it was used.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub used_at: Option<OffsetDateTime>,
}

/// What a gateway must know of each cluster to confine API servers and answer audiences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterDirectory {
    /// The hub's revision.
    pub revision: Revision,
    /// All clusters.
    pub clusters: Vec<DirectoryEntry>,
}

/// One cluster of a [`ClusterDirectory`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// The API server's credentials.
    pub credentials: Vec<SpokeCredential>,
    /// Of the kubeconfig by which the hub watches it; none where it does not.
    pub kubeconfig_version: Option<u64>,
}

/// The registered clusters.
pub trait Clusters: Send + Sync + 'static {
    /// Registers one.
    fn create_cluster(
        &self,
        by: Mutation,
        cluster: CreateCluster,
    ) -> impl Future<Output = Result<Mutated<Cluster>, CallError>> + Send;
    /// One.
    fn get_cluster(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
    ) -> impl Future<Output = Result<Cluster, CallError>> + Send;
    /// Those that the actor may see, by id; of one region alone if it is given.
    fn list_clusters(
        &self,
        by: Vouched<Actor>,
        region: Option<String>,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<Cluster>, CallError>> + Send;
    /// Changes one.
    fn update_cluster(
        &self,
        by: Mutation,
        id: ClusterId,
        change: UpdateCluster,
    ) -> impl Future<Output = Result<Mutated<Cluster>, CallError>> + Send;
    /// Removes one with all that hangs on it.
    fn delete_cluster(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> impl Future<Output = Result<Mutated<Cluster>, CallError>> + Send;

    /// Stores a version of aws-auth; a bad one is stored as rejected and the last good one stays in force.
    fn push_aws_auth(
        &self,
        by: Mutation,
        id: ClusterId,
        content: String,
    ) -> impl Future<Output = Result<Mutated<AwsAuthVersion>, CallError>> + Send;
    /// The version in force and the newest, which differ after a bad push.
    fn get_aws_auth(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
    ) -> impl Future<Output = Result<Vec<AwsAuthVersion>, CallError>> + Send;

    /// Binds an instance to its node name.
    fn set_node(
        &self,
        by: Mutation,
        id: ClusterId,
        node: Node,
    ) -> impl Future<Output = Result<Mutated<Node>, CallError>> + Send;
    /// The nodes of a cluster.
    fn list_nodes(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
        page: PageQuery,
    ) -> impl Future<Output = Result<Page<Node>, CallError>> + Send;
    /// Takes the binding of an instance away: nobody is that node from the next request.
    fn delete_node(
        &self,
        by: Mutation,
        id: ClusterId,
        instance_id: String,
    ) -> impl Future<Output = Result<Mutated<Node>, CallError>> + Send;

    /// Makes a bearer token for the cluster's API server; shown this once.
    fn create_spoke_credential(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> impl Future<Output = Result<Mutated<(SpokeCredential, SecretString)>, CallError>> + Send;
    /// All of a cluster, the oldest first.
    fn list_spoke_credentials(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
    ) -> impl Future<Output = Result<Vec<SpokeCredential>, CallError>> + Send;
    /// Ends one, named as in lists: its bearer is refused from the next request.
    fn delete_spoke_credential(
        &self,
        by: Mutation,
        id: ClusterId,
        credential: String,
    ) -> impl Future<Output = Result<Mutated<SpokeCredential>, CallError>> + Send;

    /// Arms the break-glass identity; its credential is shown this once.
    fn arm_break_glass(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> impl Future<Output = Result<Mutated<(BreakGlass, SecretString)>, CallError>> + Send;
    /// Puts it away again.
    fn disarm_break_glass(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> impl Future<Output = Result<Mutated<BreakGlass>, CallError>> + Send;
    /// Where it is armed, among the clusters that the actor may see.
    fn list_break_glass(
        &self,
        by: Vouched<Actor>,
    ) -> impl Future<Output = Result<Vec<BreakGlass>, CallError>> + Send;

    /// What the gateway holds of all clusters; a new value after each change.
    fn directory(&self) -> tokio::sync::watch::Receiver<Arc<ClusterDirectory>>;
    /// How far all scopes are where this is answered, for whoever keeps answers. It does not end while the service is there.
    fn revisions(&self) -> RevisionReports;
}

/// What is told of the revisions of scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevisionReport {
    /// All of them; what was told before does not count any more.
    All(Vec<(Scope, Revision)>),
    /// Those that moved. None at all where nothing did for [`REVISIONS_SILENCE_MAX`].
    Moved(Vec<(Scope, Revision)>),
    /// Nobody tells: until [`RevisionReport::All`] comes nothing is known.
    Lost,
}

/// How long a watch on revisions is silent at most.
pub const REVISIONS_SILENCE_MAX: Duration = Duration::from_millis(250);
/// After how long a silence whoever watches revisions turns to another replica. What was heard counts a second (the gateway's rule), so
/// a watch that is only late, on a busy machine, is not begun anew for that.
pub const REVISIONS_HEARD_WITHIN: Duration = REVISIONS_SILENCE_MAX.saturating_mul(8);
/// How long a watch on the directory is silent at most: who listens knows as long that theirs is current.
pub const DIRECTORY_SILENCE_MAX: Duration = Duration::from_secs(5);
/// After how long a silence whoever watches the directory turns to another replica: two words are missing then, and more than late.
pub const DIRECTORY_HEARD_WITHIN: Duration =
    DIRECTORY_SILENCE_MAX.saturating_mul(2).saturating_add(Duration::from_millis(2500));

/// Reports in the order in which things happened.
pub type RevisionReports = BoxStream<'static, RevisionReport>;

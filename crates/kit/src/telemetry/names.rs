//! Every name that a dashboard, an alert or a log search may rely on. Changing one is a change of the interface.
//!
//! Metrics end in their unit or, counting, in `_total`; the part after `lanyard_` is the room they come from.

/// How a metric is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Counts up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

/// One metric, as it is announced to Prometheus.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it is kept.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells, in one line.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $ident:ident = $kind:ident $name:literal $([$($label:ident),*])?, $help:literal;)*) => {
        $(#[doc = $help] $(#[$doc])* pub const $ident: &str = $name;)*

        /// All of them, in the order of this file.
        pub const METRICS: &[Metric] = &[
            $(Metric { name: $name, kind: Kind::$kind, labels: &[$($($label),*)?], help: $help },)*
        ];
    };
}

metrics! {
    /// Labels: [`OUTCOME`] (`verified`, `refused`, `fault`) and [`REASON`] (`none` when verified).
    AUTHN_ANSWERS_TOTAL = Counter "lanyard_authn_answers_total" [OUTCOME, REASON], "Answers about client tokens, by outcome and reason.";
    /// Labels: [`OUTCOME`].
    AUTHN_SECONDS = Histogram "lanyard_authn_seconds" [OUTCOME], "Time to answer about one client token, the cache included.";
    /// Labels: [`LEVEL`] (`memory`, `redis`).
    AUTHN_CACHE_HITS_TOTAL = Counter "lanyard_authn_cache_hits_total" [LEVEL], "Client tokens answered from the token cache, by the level that knew them.";
    AUTHN_CACHE_MISSES_TOTAL = Counter "lanyard_authn_cache_misses_total", "Client tokens that no level of the token cache knew.";
    /// A value that fails to open was moved or forged.
    AUTHN_CACHE_UNSEALED_TOTAL = Counter "lanyard_authn_cache_unsealed_total", "Cached values that did not open, and were verified afresh.";
    AUTHN_CACHE_ENTRIES = Gauge "lanyard_authn_cache_entries", "Identities in the token cache.";
    /// Labels: [`OUTCOME`] (`hit`, `miss`, `garbage`, `timeout`, `fault`, `skipped`: not asked, because it has failed or is busy).
    AUTHN_REDIS_GETS_TOTAL = Counter "lanyard_authn_redis_gets_total" [OUTCOME], "Questions to the Redis behind the token cache, by outcome.";
    /// Labels: [`OUTCOME`] (`stored`, `full`, `timeout`, `fault`, `dropped`: not sent, because it has failed or is slow).
    AUTHN_REDIS_PUTS_TOTAL = Counter "lanyard_authn_redis_puts_total" [OUTCOME], "Answers handed to the Redis behind the token cache, by outcome.";
    AUTHN_REDIS_GET_SECONDS = Histogram "lanyard_authn_redis_get_seconds", "Time of one question to the Redis behind the token cache.";
    AUTHN_REDIS_UP = Gauge "lanyard_authn_redis_up", "1 while the Redis behind the token cache is asked, 0 while it is left alone.";
    /// Labels: [`OUTCOME`] (`admitted`, `refused`, `fault`).
    AUTHN_ADMISSIONS_TOTAL = Counter "lanyard_authn_admissions_total" [OUTCOME], "Management calls admitted and refused.";
    /// Labels: [`OUTCOME`] (`vended`, `refused`, `throttled`, `fault`).
    CREDENTIALS_VENDS_TOTAL = Counter "lanyard_credentials_vends_total" [OUTCOME], "Calls for the credentials of pods, by outcome.";
    /// Labels: [`OUTCOME`] (`lives`, `kept`: it said so a moment ago, `refused`, `busy`: too many asked at once and none were vended to,
    /// and why nobody knows: `unwatched`, `unavailable`, `throttled`, `timed_out`, `resting`: left alone after faults).
    CREDENTIALS_POD_REVIEWS_TOTAL = Counter "lanyard_credentials_pod_reviews_total" [OUTCOME], "Questions to API servers whether a pod is still there, by what came of them.";
    /// Labels: [`SERVICE`] and [`OUTCOME`] (`answered`, `refused`, `throttled`, `fault`).
    AWS_CALLS_TOTAL = Counter "lanyard_aws_calls_total" [SERVICE, OUTCOME], "Calls to AWS, by service and outcome.";
    /// Labels: [`SERVICE`].
    AWS_CALL_SECONDS = Histogram "lanyard_aws_call_seconds" [SERVICE], "Time of one call to AWS, retries included.";
    /// Labels: [`SERVICE`].
    AWS_BREAKER_OPEN = Gauge "lanyard_aws_breaker_open" [SERVICE], "1 while the breaker of an endpoint lets no call through.";
    /// Labels: [`REGION`] and [`OUTCOME`] (`answered`, `refused`, `throttled`, `fault`).
    AWS_STS_CALLS_TOTAL = Counter "lanyard_aws_sts_calls_total" [REGION, OUTCOME], "Questions to STS about others' tokens, by region and outcome.";
    /// Labels: [`REGION`].
    AWS_STS_SECONDS = Histogram "lanyard_aws_sts_seconds" [REGION], "Time of one question to STS about a token, retries included, by region.";
    /// Labels: [`REGION`].
    AWS_STS_BREAKER_OPEN = Gauge "lanyard_aws_sts_breaker_open" [REGION], "1 while the breaker of the STS that was last asked for in the region lets no call through.";
    /// Labels: [`OUTCOME`] (`kept`, `asked`, `fault`).
    AWS_INSTANCES_TOTAL = Counter "lanyard_aws_instances_total" [OUTCOME], "Nodes looked up as EC2 instances: found in memory, asked of EC2, or without an answer.";
    /// Labels: [`OUTCOME`] (`fetched`, `fault`).
    OIDC_FETCHES_TOTAL = Counter "lanyard_oidc_fetches_total" [OUTCOME], "Attempts to fetch the keys of OIDC issuers, by outcome.";
    /// Labels: [`OUTCOME`] (`mapped`, `unmapped`, `blocked`, `fault`).
    MAPPING_RESOLUTIONS_TOTAL = Counter "lanyard_mapping_resolutions_total" [OUTCOME], "Identities resolved to user info, or not.";
    MAPPING_AWS_AUTH_REJECTED_TOTAL = Counter "lanyard_mapping_aws_auth_rejected_total", "Versions of aws-auth kept out of force, because they are broken or would lock everyone out.";
    /// Labels: [`DECISION`] (`allow`, `deny`, `no_opinion`).
    AUTHZ_DECISIONS_TOTAL = Counter "lanyard_authz_decisions_total" [DECISION], "Decisions, by kind.";
    AUTHZ_SECONDS = Histogram "lanyard_authz_seconds", "Time of one decision, in the engine.";
    AUTHZ_FAULTS_TOTAL = Counter "lanyard_authz_faults_total", "Questions that had no answer, and were denied where they bore a proof.";
    /// Labels: [`ROUTE`] and [`CODE`].
    GATEWAY_REQUESTS_TOTAL = Counter "lanyard_gateway_requests_total" [ROUTE, CODE], "HTTP requests of API servers, of kubectl, and for issuers' documents, by route and status.";
    /// Labels: [`ROUTE`].
    GATEWAY_SECONDS = Histogram "lanyard_gateway_seconds" [ROUTE], "Time from a request's head to its answer.";
    /// Labels: [`CLUSTER`], [`ROUTE`] and [`OUTCOME`] (`authenticated`, `refused`, `not_ours`, or `allow`, `deny`, `no_opinion`, or
    /// `mutated`, `unchanged`, `refused`; `fault`: no answer, `malformed`: not to be read, `shed`: one too many at once).
    GATEWAY_REVIEWS_TOTAL = Counter "lanyard_gateway_reviews_total" [CLUSTER, ROUTE, OUTCOME], "Reviews that a cluster's API server asked for, by what came of them.";
    /// Labels: [`CLUSTER`] and [`ROUTE`].
    GATEWAY_REVIEW_SECONDS = Histogram "lanyard_gateway_review_seconds" [CLUSTER, ROUTE], "Time of one review that a cluster's API server asked for.";
    GATEWAY_GIVEN_AGAIN_TOTAL = Counter "lanyard_gateway_given_again_total", "Token reviews answered as a moment ago, because nothing has changed since.";
    GATEWAY_REVISIONS = Gauge "lanyard_gateway_revisions", "Revisions of all scopes that a gateway has heard of from mapping: what it keeps of answers is held against them.";
    GATEWAY_SHED_TOTAL = Counter "lanyard_gateway_shed_total", "Requests answered without work, because too many were open.";
    /// Labels: [`SERVICE`] (`eks`, `sts`, `iam`, or `none`: it was signed for none of these) and [`CODE`].
    AWSAPI_REQUESTS_TOTAL = Counter "lanyard_awsapi_requests_total" [SERVICE, CODE], "Requests of the AWS wire, by service and status.";
    /// Labels: [`SERVICE`].
    AWSAPI_SECONDS = Histogram "lanyard_awsapi_seconds" [SERVICE], "Time from the head of a request of the AWS wire to its answer.";
    AWSAPI_SHED_TOTAL = Counter "lanyard_awsapi_shed_total", "Requests of the AWS wire answered without work, because too many were open.";
    DIRECTORY_REVISION = Gauge "lanyard_directory_revision", "The hub's revision that this process's directory of clusters is of.";
    DIRECTORY_HEARD_AT = Gauge "lanyard_directory_heard_at", "When mapping last said that the directory of clusters is current, in Unix time.";
    /// Labels: [`OUTCOME`] (`taken`, `refused`: what lies there does not do, and the certificate before it stays in use).
    CERTIFICATE_RELOADS_TOTAL = Counter "lanyard_certificate_reloads_total" [OUTCOME], "Changes of this process's certificate files, by outcome.";
    CERTIFICATE_NOT_AFTER = Gauge "lanyard_certificate_not_after", "When the certificate that this process uses ends, in Unix time.";
    /// Labels: [`OUTCOME`] (`exported`, `dropped`: the queue was full, `failed`: the collector did not take them).
    TRACE_SPANS_TOTAL = Counter "lanyard_trace_spans_total" [OUTCOME], "Spans that ended, by what became of them on the way to the collector.";
    SPOKE_CLUSTERS = Gauge "lanyard_spoke_clusters", "Spoke clusters that this process watches: those on which it holds the lease.";
    /// Labels: [`PART`] (`aws_auth`, `cluster_roles`, `roles`, `cluster_role_bindings`, `role_bindings`, `service_accounts`, `issuer`).
    SPOKE_LISTS_TOTAL = Counter "lanyard_spoke_lists_total" [PART], "Things of spoke clusters that were read whole: at the beginning, after a cut, and issuers each minute.";
    /// Labels: [`PART`], and [`REASON`] (`unusable`: the kubeconfig, `unreachable`, `denied`, `answered`: another error of the API server,
    /// `unreadable`, `too_large`, `silent`, `ended`: the API server ended the watch).
    SPOKE_READ_FAULTS_TOTAL = Counter "lanyard_spoke_read_faults_total" [PART, REASON], "Lists and watches of spoke clusters that came to nothing or broke, by why.";
    /// Labels: [`PART`] (`rbac`, `aws_auth`, `service_accounts`, `issuer`) and [`OUTCOME`] (`taken`, `throttled`, `lease_lost`, `refused`,
    /// `fault`).
    SPOKE_PUSHES_TOTAL = Counter "lanyard_spoke_pushes_total" [PART, OUTCOME], "Pushes of what is seen of spoke clusters, by what the hub made of them.";
    SPOKE_LEASE_LOSSES_TOTAL = Counter "lanyard_spoke_lease_losses_total", "Spoke clusters that another process took over, or whose lease ended, while this one watched them.";
    /// Labels: [`ROUTE`] (`container`, `metadata`, `sts`) and [`OUTCOME`] (`kept`, `fetched`, `refused`, `limited`, `fault`).
    AGENT_ANSWERS_TOTAL = Counter "lanyard_agent_answers_total" [ROUTE, OUTCOME], "Requests of pods to the node agent, by road and outcome.";
    /// Labels: [`OUTCOME`] (`vended`, `refused`, `fault`).
    AGENT_VENDS_TOTAL = Counter "lanyard_agent_vends_total" [OUTCOME], "Questions of the node agent for credentials, renewals included, by outcome.";
    AGENT_ENTRIES = Gauge "lanyard_agent_entries", "Tokens whose credentials the node agent keeps.";
    /// Labels: [`OUTCOME`] (`listed`, `fault`).
    AGENT_POD_LISTS_TOTAL = Counter "lanyard_agent_pod_lists_total" [OUTCOME], "Questions of the node agent about the pods of its node, by outcome.";
    AGENT_PODS = Gauge "lanyard_agent_pods", "Pods of the node, as the node agent last heard.";
    /// Labels: [`OUTCOME`] (`listed`, `fault`).
    AGENT_NAMESPACE_LISTS_TOTAL = Counter "lanyard_agent_namespace_lists_total" [OUTCOME], "Questions of the node agent about namespaces that have the instance-metadata road by their label, by outcome.";
    AGENT_NAMESPACES = Gauge "lanyard_agent_namespaces", "Namespaces that have the instance-metadata road by their label, as the node agent last heard.";
    AGENT_KUBELET_CHECK = Gauge "lanyard_agent_kubelet_check", "1 where the node agent holds tokens against the pods of its node, 0 where that is switched off.";
    AGENT_METADATA_RULES = Gauge "lanyard_agent_metadata_rules", "1 while the node agent's packet rules keep pods from the node's metadata service, 0 where it wrote none.";
    AGENT_STS_RELAY = Gauge "lanyard_agent_sts_relay", "1 where the node agent relays pods' calls to the hub's STS, 0 where it was told of none.";
    CONNECTIONS = Gauge "lanyard_connections", "Open connections of all listeners.";
    CONNECTIONS_REFUSED_TOTAL = Counter "lanyard_connections_refused_total", "Connections that were closed at once, because their address had as many as one may have.";
    /// Labels: [`REASON`] (`handshake`: what came is no TLS that is spoken here, `timeout`: it took too long, `certificate`: the
    /// client's does not verify, or has ended, `identity`: it names nobody of this hub).
    CONNECTIONS_FAILED_TOTAL = Counter "lanyard_connections_failed_total" [REASON], "Connections over TLS that ended before any request could be read, by reason.";
    /// One is a fault of the program; the log tells of it.
    PANICS_TOTAL = Counter "lanyard_panics_total", "Panics that were caught: of work on a request, which had no answer, or beside requests.";
    /// Labels: [`METHOD`] and [`CODE`] (the gRPC code's name).
    GRPC_REQUESTS_TOTAL = Counter "lanyard_grpc_requests_total" [METHOD, CODE], "gRPC calls, by method and code.";
    /// Labels: [`METHOD`].
    GRPC_SECONDS = Histogram "lanyard_grpc_seconds" [METHOD], "Time from a gRPC call's head to the last of its answer.";
    /// Labels: [`METHOD`] and [`CODE`] (the gRPC code's name).
    GRPC_CLIENT_REQUESTS_TOTAL = Counter "lanyard_grpc_client_requests_total" [METHOD, CODE], "gRPC calls of this process to other services, by method and code.";
    /// Labels: [`METHOD`].
    GRPC_CLIENT_SECONDS = Histogram "lanyard_grpc_client_seconds" [METHOD], "Time of a gRPC call to another service, its hop included.";
    /// They are among [`GRPC_CLIENT_REQUESTS_TOTAL`] too.
    GRPC_TOGETHER_CALLS_TOTAL = Counter "lanyard_grpc_together_calls_total", "gRPC calls of this process that travelled with others that waited at the same time.";
    GRPC_TOGETHER_WRITES_TOTAL = Counter "lanyard_grpc_together_writes_total", "Pieces that those were written in: calls by pieces is how many travel together.";
    /// Labels: [`NAME`] and [`OUTCOME`] (`committed`, `refused`, `conflict`, `fault`).
    STORE_TRANSACTION_SECONDS = Histogram "lanyard_store_transaction_seconds" [NAME, OUTCOME], "Time of one transaction, its retries included.";
    /// Labels: [`SOURCE`] (`own`: this process committed it; `notification`, `poll`: how another's was found).
    STORE_APPLY_SECONDS = Histogram "lanyard_store_apply_seconds" [SOURCE], "Time from the moment that a change bears (just before its commit) to its being in force in this process.";
    /// Labels: [`SOURCE`] (`own`, `notification`, `poll`).
    STORE_LOOKS_TOTAL = Counter "lanyard_store_looks_total" [SOURCE], "Looks at the store for changes, by what caused them.";
    STORE_CAUGHT_UP_AT = Gauge "lanyard_store_caught_up_at", "When this process last had every change of the store, in Unix time.";
    STORE_REVISIONS = Gauge "lanyard_store_revisions", "Revisions of all scopes that this process has applied: the same number, the same changes.";
    STORE_BEGIN_SECONDS = Histogram "lanyard_store_begin_seconds", "Time to get a connection of the pool and to begin on it.";
    /// Labels: [`OUTCOME`] (`begun`, `timeout`: none was free in time, `fault`).
    STORE_BEGINS_TOTAL = Counter "lanyard_store_begins_total" [OUTCOME], "Connections asked of the pool, by outcome.";
    /// Labels: [`STATE`] (`idle`, `used`).
    STORE_CONNECTIONS = Gauge "lanyard_store_connections" [STATE], "Connections of the pool to the database.";
    STORE_CONNECTIONS_MAX = Gauge "lanyard_store_connections_max", "Most connections that the pool may have.";
    /// Labels: [`PURPOSE`].
    STORE_UNOPENED_TOTAL = Counter "lanyard_store_unopened_total" [PURPOSE], "Sealed values that did not open: moved, altered, or of another purpose.";
    STORE_KEYS_LACKING = Gauge "lanyard_store_keys_lacking", "1 while the store has newer keys of this process's purposes than it can open: start it anew.";
    STORE_REGRESSIONS_TOTAL = Counter "lanyard_store_regressions_total", "Reads of a lower revision than one seen before: an old dump, or a standby that lags.";
    STORE_PUSHES_THROTTLED_TOTAL = Counter "lanyard_store_pushes_throttled_total", "Pushes of spokes that were not taken, because their cluster pushes too often, or too much.";
    SNAPSHOT_COMPILE_SECONDS = Histogram "lanyard_snapshot_compile_seconds", "Time to compile the snapshot of one scope.";
    SNAPSHOT_REVISION_LAG = Gauge "lanyard_snapshot_revision_lag", "Revisions that the store has and no snapshot shows yet.";
    DECISIONS_UNSTORED_TOTAL = Counter "lanyard_decisions_unstored_total", "Finished decisions that are kept in memory alone, because more came in a second than are stored.";
    DECISIONS_DROPPED_TOTAL = Counter "lanyard_decisions_dropped_total", "Finished decisions that were not kept for explain, because the store was slower, or could not be told to authz.";
}

/// Metrics that name clusters. They are shown to operators alone: whoever may knock must not read which clusters there are.
pub const OF_CLUSTERS: &[&str] = &[GATEWAY_REVIEWS_TOTAL, GATEWAY_REVIEW_SECONDS];

/// Buckets of every histogram, in seconds: from a decision in memory (1 µs) to the longest wait anyone is granted.
pub const SECONDS_BUCKETS: &[f64] = &[
    0.000_001,
    0.000_002_5,
    0.000_005,
    0.000_01,
    0.000_025,
    0.000_05,
    0.000_1,
    0.000_25,
    0.000_5,
    0.001,
    0.002_5,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
];

/// Label: how something ended, a closed set for each metric.
pub const OUTCOME: &str = "outcome";
/// Label: the stable reason code of a refusal or fault; `none` where there is none.
pub const REASON: &str = "reason";
/// Label: `allow`, `deny` or `no_opinion`.
pub const DECISION: &str = "decision";
/// Label: which kind of request, such as `tokenreview`; never the path as sent.
pub const ROUTE: &str = "route";
/// Label: the HTTP status or the gRPC code.
pub const CODE: &str = "code";
/// Label: the gRPC method.
pub const METHOD: &str = "method";
/// Label: the name of a transaction, such as `put_access_entry`.
pub const NAME: &str = "name";
/// Label: a cluster's id; the first so many that a process meets (`gateway.metric_clusters_max`), the others are [`OTHER`].
pub const CLUSTER: &str = "cluster";
/// Label: an AWS region that this program knows, `self_hosted`, or [`OTHER`].
pub const REGION: &str = "region";
/// Label: where a cached value was.
pub const LEVEL: &str = "level";
/// Label: how a change came to be known.
pub const SOURCE: &str = "source";
/// Label: what a connection does.
pub const STATE: &str = "state";
/// Label: what of a spoke cluster is read or pushed.
pub const PART: &str = "part";
/// Label: the purpose of a sealed value.
pub const PURPOSE: &str = "purpose";
/// The value of a label that is none of those that are told apart.
pub const OTHER: &str = "other";
/// Label: the AWS service called: `sts` with the tokens of others; `sts_as_hub`, `iam`, `ec2` and `kms` as the hub itself;
/// `sts_for_pods` for the roles of workloads.
pub const SERVICE: &str = "service";

/// Span field: the cluster's id, as in URLs and flags.
pub const CLUSTER_NAME: &str = "cluster.name";
/// Span field: the cluster's uid, as in keys and certificates.
pub const CLUSTER_UID: &str = "cluster.uid";
/// Span field: the canonical ARN of the principal, once it is proved.
pub const PRINCIPAL_ARN: &str = "principal.arn";
/// Span field: the first twelve hex digits of the token's SHA-256; the one way to name a token.
pub const TOKEN_SHA256: &str = "token.sha256";
/// Span field: the id under which `lanyard explain --id` finds a decision.
pub const DECISION_ID: &str = "decision.id";
/// Span field: the stable code of the reason.
pub const REASON_CODE: &str = "reason.code";
/// Span field: the revision answered from, or made.
pub const REVISION: &str = "revision";
/// Field of log lines: the address of the nearest hop.
pub const PEER_ADDRESS: &str = "peer.address";
/// Field of log lines: the number of a request of the AWS wire, which its caller is told (`x-amzn-RequestId`).
pub const REQUEST_ID: &str = "request.id";
/// Field of log lines at `debug`: the canonical request of a signature that does not fit, as AWS documents it.
pub const CANONICAL_REQUEST: &str = "canonical_request";
/// Span field: the kind of request.
pub const ROUTE_FIELD: &str = "route";
/// Span field: how long it took, in seconds.
pub const DURATION_SECONDS: &str = "duration_seconds";

/// What spans are told apart from other libraries' by: their target.
pub const SPAN_TARGET: &str = "lanyard::span";
/// For the layer: how a span is called.
pub const OTEL_NAME: &str = "otel.name";
/// For the layer: `server` or `client`.
pub const OTEL_KIND: &str = "otel.kind";
/// For the layer: `ERROR` where something came to nothing.
pub const OTEL_STATUS: &str = "otel.status_code";

/// A root: what others have changed in the store is fetched.
pub const STORE_FOLLOW_SPAN: &str = "store/follow";
/// A root: what the store keeps no longer is removed.
pub const STORE_SWEEP_SPAN: &str = "store/sweep";
/// A root: an issuer's keys are fetched.
pub const OIDC_KEYS_SPAN: &str = "oidc/keys";
/// A root: EC2 instances are looked up.
pub const AWS_INSTANCES_SPAN: &str = "aws/instances";
/// A root: finished decisions are stored.
pub const AUTHZ_DECISIONS_SPAN: &str = "authz/decisions";
/// A root: the hub is brought what was seen of a cluster.
pub const SPOKE_PUSH_SPAN: &str = "spoke/push";

/// Spans that are told of together.
#[derive(Debug, Clone, Copy)]
pub struct Spans {
    /// How they are called; what stands in `<>` differs.
    pub names: &'static [&'static str],
    /// As OpenTelemetry has it, and whether nothing is above them.
    pub kind: &'static str,
    /// Who makes them, and when.
    pub told: &'static str,
}

macro_rules! spans {
    ($([$($name:expr),*] $kind:literal $told:literal;)*) => {
        /// All that there are.
        pub const SPANS: &[Spans] = &[
            $(Spans { names: &[$($name),*], kind: $kind, told: $told },)*
        ];
    };
}

spans! {
    ["POST /clusters/{id}/tokenreview"] "server" "gateway; from when the cluster's credential is known";
    ["POST /clusters/{id}/subjectaccessreview"] "server" "gateway; likewise";
    ["POST /clusters/{id}/mutate"] "server" "gateway; likewise";
    ["POST /clusters/{id}/mutate/required"] "server" "gateway; likewise";
    ["POST /clusters/{id}/{*rest}"] "server" "gateway; what `kubectl auth` asks";
    ["eks/<Operation>", "sts/<Operation>", "iam/<Operation>", "eks-auth/<Operation>"] "server" "awsapi and `serve`, a call of the AWS wire; `GET`, `POST` and the like while nobody knows what it asks, as where its signature does not do";
    ["lanyard.<service>.v1.<Service>/<Method>"] "server" "each process, a gRPC call as it is answered; of health and reflection `grpc.<service>/<Method>`, and `other` where there is no such method";
    ["lanyard.<service>.v1.<Service>/<Method>"] "client" "gateway, awsapi, spoke and credentials, the same as it is sent, with the wait for a replica";
    ["BEGIN", "COMMIT"] "client" "processes with a store; `BEGIN` with the wait for a connection";
    ["SELECT <table>", "INSERT <table>", "UPDATE <table>", "DELETE <table>"] "client" "likewise; `SELECT` alone where it is about no table";
    ["GETRANGE", "SET"] "client" "authn, the token cache in Redis; `SET` may end after the answer was given";
    ["sts/GetCallerIdentity"] "client" "authn asks who signed a token, credentials whom it makes a session for; with retries";
    ["GET discovery", "GET keys"] "client" "authn and credentials ask an OIDC issuer";
    ["POST tokenreviews"] "client" "spoke and `serve` ask a cluster's API server whether a pod is still there";
    [STORE_FOLLOW_SPAN] "internal, a root" "processes with a store fetch what others have changed";
    [STORE_SWEEP_SPAN] "internal, a root" "likewise, what is kept no longer is removed";
    [OIDC_KEYS_SPAN] "internal, a root" "authn and credentials fetch an issuer's keys, for all who wait for them";
    [AWS_INSTANCES_SPAN] "internal, a root" "mapping and `serve` look up EC2 instances, likewise";
    [AUTHZ_DECISIONS_SPAN] "internal, a root" "authz stores finished decisions";
    [SPOKE_PUSH_SPAN] "internal, a root" "spoke brings the hub what it has seen of a cluster; failed where the hub does not take it";
    ["iam/<Action>", "ec2/<Action>", "kms/<Action>", "sts_as_hub/<Action>"] "client" "mapping, credentials and `serve` in AWS mode, as the hub itself; with retries";
    ["sts_for_pods/<Action>"] "client" "credentials and `serve` in AWS mode, for roles of workloads; with retries";
}

macro_rules! attributes {
    ($($ident:ident $name:literal $doc:literal;)*) => {
        $(#[doc = $doc] pub const $ident: &str = $name;)*

        /// What a span, or the process that it is of, may bear, each with what it tells. There is nothing else in a trace.
        pub const ATTRIBUTES: &[(&str, &str)] = &[
            $(($name, $doc),)*
            (CLUSTER_NAME, "The cluster's id, as in URLs and flags."),
            (OUTCOME, "How it ended, in the words of the metric of the same thing."),
            (REASON_CODE, "The stable code of a decision's reason."),
            (DECISION_ID, "The id under which `lanyard explain --id` finds the decision."),
        ];
    };
}

attributes! {
    SERVICE_NAME "service.name" "The service, such as `lanyard-authn`; of the process.";
    SERVICE_NAMESPACE "service.namespace" "Always `lanyard`; of the process.";
    SERVICE_VERSION "service.version" "Lanyard's version; of the process.";
    SERVICE_INSTANCE_ID "service.instance.id" "A random number, which tells replicas apart; of the process.";
    HTTP_METHOD "http.request.method" "The HTTP method.";
    HTTP_ROUTE "http.route" "The route, not the path as sent.";
    HTTP_STATUS "http.response.status_code" "The HTTP status.";
    RPC_SYSTEM "rpc.system" "`grpc`, or `aws-api`.";
    RPC_SERVICE "rpc.service" "The gRPC service, or AWS's.";
    RPC_METHOD "rpc.method" "The method, or AWS's action.";
    RPC_GRPC_STATUS "rpc.grpc.status_code" "The number of the gRPC code.";
    AWS_REQUEST_ID "aws.request_id" "The number that the caller of the AWS wire was told.";
    DB_SYSTEM "db.system.name" "`postgresql`, `sqlite` or `redis`.";
    DB_OPERATION "db.operation.name" "The kind of statement, or Redis' command.";
    DB_COLLECTION "db.collection.name" "The table.";
    DB_SUMMARY "db.query.summary" "The kind of statement and the table; never a value.";
    CLOUD_REGION "cloud.region" "AWS's region, if this program knows it, else `other` or `self_hosted`.";
}

/// In a line of the log as JSON: the trace that it belongs to.
pub const LOG_TRACE_ID: &str = "trace_id";
/// In a line of the log as JSON: the span that it belongs to.
pub const LOG_SPAN_ID: &str = "span_id";
/// In a line of the log as JSON: the request of the AWS wire that it belongs to, in whatever service; of [`REQUEST_ID`].
pub const LOG_REQUEST_ID: &str = "request_id";
/// In a line of the log as JSON: the decision that it belongs to, for `lanyard explain --id`; of [`DECISION_ID`].
pub const LOG_DECISION_ID: &str = "decision_id";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_are_unique_prefixed_and_end_in_their_unit() {
        for (at, metric) in METRICS.iter().enumerate() {
            let name = metric.name;
            assert!(METRICS[..at].iter().all(|other| other.name != name), "{name} twice");
            assert!(name.starts_with("lanyard_"), "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), metric.kind == Kind::Histogram, "{name}");
            assert!(metric.help.ends_with('.') && metric.help.len() < 120, "{name}");
        }
    }

    #[test]
    fn the_documentation_lists_every_metric_span_and_attribute_and_no_others() {
        let text = include_str!("../../../../docs/telemetry.md");
        let rows =
            |first: &str| -> Vec<&str> { text.lines().filter(|line| line.starts_with(first)).collect() };
        let metrics: Vec<String> = METRICS
            .iter()
            .map(|Metric { name, kind, labels, help }| {
                let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
                let kind = format!("{kind:?}").to_lowercase();
                format!("| `{name}` | {kind} | {} | {help} |", labels.join(", "))
            })
            .collect();
        assert_eq!(rows("| `lanyard_"), metrics, "write it so:\n{}", metrics.join("\n"));
        let spans: Vec<String> = SPANS
            .iter()
            .map(|Spans { names, kind, told }| {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                format!("| {} | {kind} | {told} |", names.join(", "))
            })
            .collect();
        let table = text.split("| span | kind | where |\n|---|---|---|\n").nth(1).unwrap_or_default();
        let shown: Vec<&str> = table.lines().take_while(|line| line.starts_with("| `")).collect();
        assert_eq!(shown, spans, "write it so:\n{}", spans.join("\n"));
        let attributes: Vec<String> =
            ATTRIBUTES.iter().map(|(name, told)| format!("| `{name}` | {told} |")).collect();
        let between = text.split("## Attributes").nth(1).unwrap_or_default();
        let between = between.split("\n## ").next().unwrap_or_default();
        let shown: Vec<&str> = between.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(shown, attributes, "write it so:\n{}", attributes.join("\n"));
    }

    #[test]
    fn buckets_grow() {
        assert!(SECONDS_BUCKETS.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

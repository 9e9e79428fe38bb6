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
    /// What it tells, in one line.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $ident:ident = $kind:ident $name:literal, $help:literal;)*) => {
        $(#[doc = $help] $(#[$doc])* pub const $ident: &str = $name;)*

        /// All of them, in the order of this file.
        pub const METRICS: &[Metric] = &[$(Metric { name: $name, kind: Kind::$kind, help: $help },)*];
    };
}

metrics! {
    /// Labels: [`OUTCOME`] (`verified`, `refused`, `fault`) and [`REASON`] (`none` when verified).
    AUTHN_ANSWERS_TOTAL = Counter "lanyard_authn_answers_total", "Answers about client tokens, by outcome and reason.";
    /// Labels: [`OUTCOME`].
    AUTHN_SECONDS = Histogram "lanyard_authn_seconds", "Time to answer about one client token, the cache included.";
    AUTHN_CACHE_HITS_TOTAL = Counter "lanyard_authn_cache_hits_total", "Client tokens answered from the token cache.";
    AUTHN_CACHE_MISSES_TOTAL = Counter "lanyard_authn_cache_misses_total", "Client tokens that the token cache did not know.";
    /// A value that fails to open was moved or forged.
    AUTHN_CACHE_UNSEALED_TOTAL = Counter "lanyard_authn_cache_unsealed_total", "Cached values that did not open, and were verified afresh.";
    AUTHN_CACHE_ENTRIES = Gauge "lanyard_authn_cache_entries", "Identities in the token cache.";
    /// Labels: [`OUTCOME`] (`hit`, `miss`, `garbage`, `timeout`, `fault`, `skipped`: not asked, because it has failed or is busy).
    AUTHN_REDIS_GETS_TOTAL = Counter "lanyard_authn_redis_gets_total", "Questions to the Redis behind the token cache, by outcome.";
    /// Labels: [`OUTCOME`] (`stored`, `full`, `timeout`, `fault`, `dropped`: not sent, because it has failed or is slow).
    AUTHN_REDIS_PUTS_TOTAL = Counter "lanyard_authn_redis_puts_total", "Answers handed to the Redis behind the token cache, by outcome.";
    AUTHN_REDIS_GET_SECONDS = Histogram "lanyard_authn_redis_get_seconds", "Time of one question to the Redis behind the token cache.";
    AUTHN_REDIS_UP = Gauge "lanyard_authn_redis_up", "1 while the Redis behind the token cache is asked, 0 while it is left alone.";
    /// Labels: [`OUTCOME`] (`admitted`, `refused`, `fault`).
    AUTHN_ADMISSIONS_TOTAL = Counter "lanyard_authn_admissions_total", "Management calls admitted and refused.";
    /// Labels: [`SERVICE`] and [`OUTCOME`] (`answered`, `refused`, `throttled`, `fault`).
    AWS_CALLS_TOTAL = Counter "lanyard_aws_calls_total", "Calls to AWS, by service and outcome.";
    /// Labels: [`SERVICE`].
    AWS_CALL_SECONDS = Histogram "lanyard_aws_call_seconds", "Time of one call to AWS, retries included.";
    /// Labels: [`SERVICE`].
    AWS_BREAKER_OPEN = Gauge "lanyard_aws_breaker_open", "1 while the breaker of an endpoint lets no call through.";
    /// Labels: [`OUTCOME`] (`kept`, `asked`, `fault`).
    AWS_INSTANCES_TOTAL = Counter "lanyard_aws_instances_total", "Nodes looked up as EC2 instances: found in memory, asked of EC2, or without an answer.";
    /// Labels: [`OUTCOME`] (`fetched`, `fault`).
    OIDC_FETCHES_TOTAL = Counter "lanyard_oidc_fetches_total", "Attempts to fetch the keys of OIDC issuers, by outcome.";
    /// Labels: [`OUTCOME`] (`mapped`, `unmapped`, `blocked`, `fault`).
    MAPPING_RESOLUTIONS_TOTAL = Counter "lanyard_mapping_resolutions_total", "Identities resolved to user info, or not.";
    MAPPING_AWS_AUTH_REJECTED_TOTAL = Counter "lanyard_mapping_aws_auth_rejected_total", "Versions of aws-auth kept out of force, because they are broken or would lock everyone out.";
    /// Labels: [`DECISION`] (`allow`, `deny`, `no_opinion`).
    AUTHZ_DECISIONS_TOTAL = Counter "lanyard_authz_decisions_total", "Decisions, by kind.";
    AUTHZ_SECONDS = Histogram "lanyard_authz_seconds", "Time of one decision, in the engine.";
    AUTHZ_FAULTS_TOTAL = Counter "lanyard_authz_faults_total", "Questions that had no answer, and were denied where they bore a proof.";
    /// Labels: [`ROUTE`] and [`CODE`].
    GATEWAY_REQUESTS_TOTAL = Counter "lanyard_gateway_requests_total", "HTTP requests of API servers and kubectl, by route and status.";
    /// Labels: [`ROUTE`].
    GATEWAY_SECONDS = Histogram "lanyard_gateway_seconds", "Time from a whole request to its answer.";
    GATEWAY_SHED_TOTAL = Counter "lanyard_gateway_shed_total", "Requests answered without work, because too many were open.";
    /// Labels: [`OUTCOME`] (`taken`, `refused`: what lies there does not do, and the certificate before it stays in use).
    CERTIFICATE_RELOADS_TOTAL = Counter "lanyard_certificate_reloads_total", "Changes of this process's certificate files, by outcome.";
    CERTIFICATE_NOT_AFTER = Gauge "lanyard_certificate_not_after", "When the certificate that this process uses ends, in Unix time.";
    CONNECTIONS = Gauge "lanyard_connections", "Open connections of all listeners.";
    /// Labels: [`METHOD`] and [`CODE`] (the gRPC code's name).
    GRPC_REQUESTS_TOTAL = Counter "lanyard_grpc_requests_total", "gRPC calls, by method and code.";
    /// Labels: [`NAME`] and [`OUTCOME`] (`committed`, `refused`, `conflict`, `fault`).
    STORE_TRANSACTION_SECONDS = Histogram "lanyard_store_transaction_seconds", "Time of one transaction, its retries included.";
    /// Labels: [`NAME`].
    STORE_RETRIES_TOTAL = Counter "lanyard_store_retries_total", "Transactions begun again after a conflict.";
    SNAPSHOT_COMPILE_SECONDS = Histogram "lanyard_snapshot_compile_seconds", "Time to compile the snapshot of one scope.";
    SNAPSHOT_REVISION_LAG = Gauge "lanyard_snapshot_revision_lag", "Revisions that the store has and no snapshot shows yet.";
    DECISIONS_UNSTORED_TOTAL = Counter "lanyard_decisions_unstored_total", "Finished decisions that are kept in memory alone, because more came in a second than are stored.";
    DECISIONS_DROPPED_TOTAL = Counter "lanyard_decisions_dropped_total", "Finished decisions that were not kept for explain, because the store was slower.";
}

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
/// Label: the AWS service called: `sts` with the tokens of others; `sts_as_hub`, `iam`, `ec2` and `kms` as the hub itself.
pub const SERVICE: &str = "service";

/// Span field: the cluster's id, as in URLs and flags.
pub const CLUSTER_NAME: &str = "cluster.name";
/// Span field: the cluster's uid, as in keys and certificates.
pub const CLUSTER_UID: &str = "cluster.uid";
/// Span field: the canonical ARN of the principal, once it is proved.
pub const PRINCIPAL_ARN: &str = "principal.arn";
/// Span field: the first twelve hex digits of the token's SHA-256; the one way to name a token.
pub const TOKEN_SHA256: &str = "token.sha256";
/// Span field: `allow`, `deny` or `no_opinion`.
pub const DECISION_FIELD: &str = "decision";
/// Span field: the id under which `lanyard explain --id` finds a decision.
pub const DECISION_ID: &str = "decision.id";
/// Span field: the stable code of the reason.
pub const REASON_CODE: &str = "reason.code";
/// Span field: the revision answered from, or made.
pub const REVISION: &str = "revision";
/// Span field: the address of the nearest hop.
pub const PEER_ADDRESS: &str = "peer.address";
/// Span field: whom the peer's certificate names.
pub const PEER_IDENTITY: &str = "peer.identity";
/// Span field: the kind of request.
pub const ROUTE_FIELD: &str = "route";
/// Span field: how long it took, in seconds.
pub const DURATION_SECONDS: &str = "duration_seconds";

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
    fn buckets_grow() {
        assert!(SECONDS_BUCKETS.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

//! Projected ServiceAccount tokens: what kube-apiserver writes into them.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

/// A projected token of a pod, on a node, as kube-apiserver 1.33 writes its claims. Uids are always these.
#[derive(Debug, Clone, Copy)]
pub struct Projected<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// The only one of `aud`.
    pub audience: &'a str,
    /// Namespace of ServiceAccount and pod.
    pub namespace: &'a str,
    /// The ServiceAccount's name.
    pub service_account: &'a str,
    /// The pod's name.
    pub pod: &'a str,
    /// The name of the node that it runs on.
    pub node: &'a str,
    /// `iat` and `nbf`.
    pub issued_at: OffsetDateTime,
    /// From there to `exp`.
    pub lifetime: Duration,
}

impl Projected<'_> {
    /// The claims.
    #[must_use]
    pub fn claims(&self) -> Value {
        let Self { issuer, audience, namespace, service_account, pod, node, issued_at, lifetime } = self;
        let now = issued_at.unix_timestamp();
        json!({
            "aud": [audience], "exp": now + lifetime.whole_seconds(), "iat": now, "iss": issuer, "nbf": now,
            "kubernetes.io": {
                "namespace": namespace,
                "node": { "name": node, "uid": "6f5f0d3a-6f0e-4a3b-9a55-0f3d3b0d6e2c" },
                "pod": { "name": pod, "uid": "2c5b5a0e-5a49-4d9c-8f0c-c1f8a5d0c4b7" },
                "serviceaccount": { "name": service_account, "uid": "0b8e9c2d-1d1f-4a6e-8b3e-5f6a7b8c9d0e" },
            },
            "sub": format!("system:serviceaccount:{namespace}:{service_account}"),
        })
    }
}

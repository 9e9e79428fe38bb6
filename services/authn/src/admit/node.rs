//! Calls of a cluster's node, for its own pods: by the projected token of its agent, which proves the node that the agent runs on.
//!
//! Nothing is signed here, so the token is all: it is of the cluster's own issuer, for this hub's nodes and nobody else, bound to a pod
//! and a node, and of a ServiceAccount that the hub's configuration says agents have. What it opens is vending, to pods of that node.

use std::sync::Arc;

use lanyard_api::authn::{Admission, AdmitQuery, NODE_AUDIENCE, NODE_CLUSTER_HEADER};
use lanyard_api::methods;
use lanyard_api::{Actor, ActorKind, ClusterId, ClusterUid, Denial, Fault, Vouched};
use lanyard_iam::TokenDigest;
use lanyard_oidc::{Jwt, KeptTokens, ServiceAccountRefusal, ServiceAccountToken, unverified_issuer};
use time::{Duration, OffsetDateTime};

use super::denial::denial;
use super::weigh::named_cluster;
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::snapshot::IssuerView;

/// What the token stands behind (RFC 6750); the scheme ignores letter case.
const SCHEME: &str = "bearer ";
/// Where it stands.
const AUTHORIZATION: &str = "authorization";

/// Nodes whose tokens are kept once they are verified, those that called last.
const TOKENS_MAX: usize = 10_000;
/// How long: an agent calls for each of its pods, and by one token for an hour.
const TOKEN_KEPT: Duration = Duration::minutes(5);

/// The tokens of nodes that were verified.
pub(crate) struct NodeTokens(KeptTokens<IssuerView>);

impl Default for NodeTokens {
    fn default() -> Self {
        Self(KeptTokens::new(TOKENS_MAX, TOKEN_KEPT))
    }
}

/// What a node shows.
struct Shown<'a> {
    token: &'a str,
    cluster: &'a str,
}

/// Whether a call shows a bearer token: nobody else does.
pub(super) fn is_callers(query: &AdmitQuery) -> bool {
    query
        .headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case(AUTHORIZATION) && bearer(value).is_some())
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim())
}

impl<S: SharedCache> Engine<S> {
    /// A stranger learns nothing of a cluster whose issuer they cannot name: one that is not there and one that has another issuer are
    /// answered alike.
    pub(super) async fn judge_node(&self, query: &AdmitQuery) -> Result<Admission, Fault> {
        let shown = match shown(query) {
            Ok(shown) => shown,
            Err(denial) => return Ok(Admission::Unauthenticated(denial)),
        };
        let hub = self.directory.hub().await?;
        let id = shown.cluster.parse::<ClusterId>().ok();
        let Some(view) = id.and_then(|id| hub.cluster_by_id(&id)) else { return Ok(unproven()) };
        let snapshot = self.directory.cluster(view.cluster.uid).await?;
        let Some(issuer) = snapshot.workload_issuer() else { return Ok(unproven()) };
        let (now, digest) = (self.clock.now(), TokenDigest::of(shown.token));
        let would_verify = |known: &Arc<IssuerView>| Arc::ptr_eq(known, issuer);
        let token = match self.node_tokens.0.again(digest.as_bytes(), would_verify, now) {
            Some(token) => token,
            None => match self.newly_proven((shown.token, digest), view.cluster.uid, issuer, now)? {
                Ok(token) => token,
                Err(refused) => return Ok(refused),
            },
        };
        let agent = format!("{}/{}", token.namespace, token.service_account.name);
        if !self.config.nodes.agents.contains(&agent) {
            let message = format!(
                "the ServiceAccount `{agent}` is none that agents of nodes have: name it in the hub's configuration (`authn.nodes.agents`)"
            );
            return Ok(Admission::Forbidden(denial("node_agent", message)));
        }
        if query.beside.is_some() || !methods::OF_NODES.contains(&query.method.as_str()) {
            let message = format!("a node vends to its own pods, and may not call `{}`", query.method);
            return Ok(Admission::Forbidden(denial("node_call", message)));
        }
        let call = match methods::read(&query.method, &query.body) {
            Ok(call) => call,
            Err(denial) => return Ok(Admission::Forbidden(denial)),
        };
        if named_cluster(&hub, &call).is_none_or(|named| named.cluster.uid != view.cluster.uid) {
            let message = "there is no such cluster for this token: a node vends to pods of its own alone";
            return Ok(Admission::Forbidden(denial("other_cluster", message)));
        }
        let actor = Actor {
            kind: ActorKind::Node { cluster: view.cluster.uid, name: token.node.name.clone() },
            action: call.action.to_owned(),
            resource: view.cluster.arn(),
            request_digest: call.request_digest,
            signature: None,
            allowed_by: "the token of its agent".to_owned(),
        };
        Ok(Admission::Admitted(Box::new(Vouched::in_process(actor))))
    }

    /// A token that was not verified before, or not by these keys, or too long ago.
    fn newly_proven(
        &self,
        (raw, digest): (&str, TokenDigest),
        cluster: ClusterUid,
        issuer: &Arc<IssuerView>,
        now: OffsetDateTime,
    ) -> Result<Result<Arc<ServiceAccountToken>, Admission>, Fault> {
        let url = issuer.url.as_str();
        let jwt = Jwt::parse(raw);
        let names_issuer = match &jwt {
            Ok(jwt) => jwt.unverified_issuer() == Some(url),
            // One that is out of order is refused by name, if it would be the cluster's.
            Err(_) => unverified_issuer(raw).as_deref() == Some(url),
        };
        if !names_issuer {
            return Ok(Err(unproven()));
        }
        let verify = |jwt| ServiceAccountToken::verify_jwt(jwt, url, &issuer.keys, NODE_AUDIENCE, now);
        match jwt.map_err(ServiceAccountRefusal::from).and_then(verify) {
            Ok(token) => Ok(Ok(self.node_tokens.0.keep(*digest.as_bytes(), token, issuer, now))),
            Err(refusal) if refusal.may_be_of_a_new_key(raw, now) => Err(Fault::Unavailable {
                part: "the keys of the cluster's issuer".into(),
                detail: "the key that signed the node's token is not known yet: try again".into(),
            }),
            Err(refusal) => {
                tracing::info!(
                    cluster.uid = %cluster,
                    token = %digest,
                    reason.code = refusal.code(),
                    "a node's token does not do"
                );
                Ok(Err(Admission::Unauthenticated(denial("node_token", refusal.to_string()))))
            }
        }
    }
}

/// The token and the cluster that it is said to be of, each once.
fn shown(query: &AdmitQuery) -> Result<Shown<'_>, Denial> {
    let one = |name: &str| {
        let mut values = query
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    };
    let token = one(AUTHORIZATION).and_then(bearer).ok_or_else(|| {
        denial("node_token", "a bearer token has to stand once in `authorization`, and nothing beside it")
    })?;
    let cluster = one(NODE_CLUSTER_HEADER).ok_or_else(|| {
        denial(
            "node_cluster",
            format!("`{NODE_CLUSTER_HEADER}` has to stand once, with the id of the node's cluster"),
        )
    })?;
    Ok(Shown { token, cluster })
}

fn unproven() -> Admission {
    Admission::Unauthenticated(denial(
        "node_token",
        "the token is none of that cluster's issuer, as far as the hub knows it: see `lanyard cluster describe`",
    ))
}

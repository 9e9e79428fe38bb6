//! What hangs on a cluster beside its mappings: nodes and its API server's credentials.

use std::fmt::Write as _;

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lanyard_api::{
    Actor, CallError, ClusterId, Fault, Mutated, Mutation, Page, PageQuery, Scope, Vouched,
    mapping::{Cluster, EntryType, Node, SpokeCredential, SpokeCredentialKind},
};
use lanyard_store::{Record as _, Transaction};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::{
    Mapping,
    commit::{commit, fresh},
    sight::Call,
};
use crate::rules::{self, Broken, Rule};

/// How the bearer token of an API server begins.
const SPOKE_TOKEN_PREFIX: &str = "lsp_";

/// Credentials that one cluster's API servers may have at a time. One more makes the oldest end, so that tokens can be
/// changed one after the other.
pub(crate) const SPOKE_CREDENTIALS_MAX: usize = 5;

/// Random bytes of a bearer token.
const TOKEN_BYTES: usize = 32;

impl Mapping {
    pub(super) async fn bind_node(
        &self,
        by: Mutation,
        id: ClusterId,
        node: Node,
    ) -> Result<Mutated<Node>, CallError> {
        let cluster = self.seen(&by.actor.value, &id, Call::Management).await?;
        rules::cluster::node(&node.instance_id, &node.private_dns_name)?;
        let role_arn = match &node.role_arn {
            Some(text) => Ok(rules::cluster::node_role(text)?.to_string()),
            None => self.only_node_role(&cluster).await,
        };
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = fresh!(self.begin("set_node", &by, &[scope]).await?);
        // Only now: a request that is known by its token is answered as then, whatever maps nodes by now.
        let node = Node { cluster: cluster.uid, role_arn: Some(role_arn?), ..node };
        let nodes: Vec<Node> = tx.list(scope).await?;
        let twin = |other: &&Node| {
            other.private_dns_name == node.private_dns_name && other.instance_id != node.instance_id
        };
        if let Some(other) = nodes.iter().find(twin) {
            let message = format!(
                "the name `{}` is that of the node with session `{}`: two nodes cannot share it",
                node.private_dns_name, other.instance_id
            );
            return Err(Broken::new("private_dns_name", Rule::NodeName, message).into());
        }
        let is_new = !nodes.iter().any(|other| other.instance_id == node.instance_id);
        let limit = self.inner.config.limits.nodes_per_cluster;
        if is_new && nodes.len() as u64 >= limit {
            return Err(CallError::LimitExceeded { what: "nodes of one cluster".into(), limit });
        }
        tx.put(&node).await?;
        commit(tx, scope, node, Vec::new()).await
    }

    /// The one role that maps nodes, where there is one.
    async fn only_node_role(&self, cluster: &Cluster) -> Result<String, CallError> {
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let entries =
            snapshot.entries().iter().filter(|entry| entry.record.entry_type != EntryType::Standard);
        let mut roles: Vec<String> =
            entries.filter_map(|entry| entry.canonical.as_ref()).map(ToString::to_string).collect();
        if let Some(in_force) = &snapshot.aws_auth {
            let lines = in_force.auth.lines.iter().filter(|line| line.is_for_nodes());
            roles.extend(lines.map(|line| line.arn.to_string()));
        }
        roles.sort_unstable();
        roles.dedup();
        match <[String; 1]>::try_from(roles) {
            Ok([role]) => Ok(role),
            Err(roles) => {
                let mut message = String::from("name the role whose sessions may be this node");
                match roles.len() {
                    0 => message.push_str(": no entry or line maps nodes yet"),
                    n => drop(write!(message, ": {n} of them map nodes")),
                }
                Err(Broken::new("role_arn", Rule::NodeRole, message).into())
            }
        }
    }

    pub(super) async fn nodes(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
        page: PageQuery,
    ) -> Result<Page<Node>, CallError> {
        let cluster = self.seen(&by.value, &id, Call::Management).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let mut nodes: Vec<&Node> = snapshot.nodes.values().collect();
        nodes.sort_unstable_by(|a, b| a.instance_id.cmp(&b.instance_id));
        Ok(Page::cut(nodes.into_iter().cloned(), &page, |node| node.instance_id.clone()))
    }

    pub(super) async fn unbind_node(
        &self,
        by: Mutation,
        id: ClusterId,
        instance_id: String,
    ) -> Result<Mutated<Node>, CallError> {
        let cluster = self.seen(&by.actor.value, &id, Call::Management).await?;
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = fresh!(self.begin("delete_node", &by, &[scope]).await?);
        let nodes: Vec<Node> = tx.list(scope).await?;
        let node = nodes.into_iter().find(|node| node.instance_id == instance_id);
        let node = node.ok_or_else(|| CallError::not_found("node", &instance_id))?;
        tx.delete::<Node>(scope, &node.key()).await?;
        commit(tx, scope, node, Vec::new()).await
    }

    pub(super) async fn spoke_credentials(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
    ) -> Result<Vec<SpokeCredential>, CallError> {
        let cluster = self.seen(&by.value, &id, Call::Management).await?;
        let hub = self.inner.state.hub().await?;
        let of_cluster = hub.directory.clusters.iter().find(|entry| entry.cluster.uid == cluster.uid);
        let mut own = of_cluster.map(|entry| entry.credentials.clone()).unwrap_or_default();
        oldest_first(&mut own);
        Ok(own)
    }

    pub(super) async fn end_spoke_credential(
        &self,
        by: Mutation,
        id: ClusterId,
        credential: &str,
    ) -> Result<Mutated<SpokeCredential>, CallError> {
        let cluster = self.seen(&by.actor.value, &id, Call::Management).await?;
        let mut tx = fresh!(self.begin("delete_spoke_credential", &by, &[Scope::Hub]).await?);
        let mut own = own_credentials(&mut tx, &cluster).await?;
        let place = own.iter().position(|one| one.id == credential);
        let place = place.ok_or_else(|| CallError::not_found("spoke credential", credential))?;
        let ended = own.remove(place);
        tx.delete::<SpokeCredential>(Scope::Hub, &ended.key()).await?;
        let mut notices = Vec::new();
        if own.is_empty() {
            notices.push(String::from(
                "it was the last one: the cluster's API server is refused from now on, unless it has a certificate",
            ));
        }
        commit(tx, Scope::Hub, ended, notices).await
    }

    pub(super) async fn new_spoke_credential(
        &self,
        by: Mutation,
        id: ClusterId,
    ) -> Result<Mutated<(SpokeCredential, SecretString)>, CallError> {
        let cluster = self.seen(&by.actor.value, &id, Call::Management).await?;
        let mut tx = self.begin_secret("create_spoke_credential", &by, &[Scope::Hub]).await?;
        let notices = make_room(&mut tx, &cluster, SpokeCredentialKind::Token).await?;
        let (secret, token_sha256) = random_token(SPOKE_TOKEN_PREFIX)?;
        let id = token_sha256.get(..12).unwrap_or_default().to_owned();
        let credential = SpokeCredential {
            cluster: cluster.uid,
            id,
            token_sha256,
            created_at: tx.now(),
            kind: SpokeCredentialKind::Token,
        };
        tx.insert(&credential).await?;
        tx.answer_once(Scope::Hub, (credential, secret), notices).await
    }
}

/// Ends the oldest credentials of a kind, so that there is room for one more.
pub(super) async fn make_room(
    tx: &mut Transaction,
    cluster: &Cluster,
    kind: SpokeCredentialKind,
) -> Result<Vec<String>, CallError> {
    let mut own = own_credentials(tx, cluster).await?;
    own.retain(|credential| credential.kind == kind);
    let mut notices = Vec::new();
    let surplus = (own.len() + 1).saturating_sub(SPOKE_CREDENTIALS_MAX);
    for old in own.iter().take(surplus) {
        tx.delete::<SpokeCredential>(Scope::Hub, &old.key()).await?;
        notices.push(format!("credential `{}`, the oldest, does not work any more", old.id));
    }
    Ok(notices)
}

/// A cluster's own, the oldest first.
pub(super) async fn own_credentials(
    tx: &mut Transaction,
    cluster: &Cluster,
) -> Result<Vec<SpokeCredential>, CallError> {
    let mut all: Vec<SpokeCredential> = tx.list(Scope::Hub).await?;
    all.retain(|one| one.cluster == cluster.uid);
    oldest_first(&mut all);
    Ok(all)
}

fn oldest_first(credentials: &mut [SpokeCredential]) {
    credentials.sort_by(|a, b| a.created_at.cmp(&b.created_at).then_with(|| a.id.cmp(&b.id)));
}

/// A bearer token and its SHA-256 in hex.
pub(super) fn random_token(prefix: &str) -> Result<(SecretString, String), CallError> {
    let mut bytes = zeroize::Zeroizing::new([0_u8; TOKEN_BYTES]);
    rand::fill(bytes.as_mut()).map_err(|_| {
        tracing::error!("the machine gives no random numbers");
        Fault::Internal
    })?;
    let token = zeroize::Zeroizing::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice())));
    let digest = token_digest(&token);
    Ok((SecretString::from(token.as_str()), digest))
}

/// How a bearer token is known where it is stored: SHA-256, hex.
pub(super) fn token_digest(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

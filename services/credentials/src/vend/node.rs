//! Which node calls: nobody gets the credentials of a pod but the node that it runs on.
//!
//! A node is known by the projected token of its agent, which authn has verified ([`ActorKind::Node`]). Who signs instead, as the
//! published agent does with its node role, has to be a session that the cluster has bound to a node (`lanyard node set`): the
//! session's name alone is chosen by whoever makes it, so where the hub keeps the role's account the session has to come of the
//! very key that was bound.

use std::{collections::BTreeMap, sync::Arc};

use lanyard_api::{Actor, ActorKind, Authority, Revision, Scope, mapping::Node};
use lanyard_iam::PrincipalArn;
use lanyard_store::{Change, Kind, Model, Row, StoreError};

/// The nodes that are bound in one cluster, by the session names of their roles.
#[derive(Debug, Default)]
pub(crate) struct NodeSnapshot {
    by_session: Arc<BTreeMap<String, Arc<Node>>>,
}

/// Compiles them.
pub(crate) struct NodeModel;

impl Model for NodeModel {
    type Rows = Arc<BTreeMap<String, Arc<Node>>>;
    type Snapshot = NodeSnapshot;
    const KINDS: &'static [Kind] = &[Kind::Node];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<Self::Rows, StoreError> {
        let nodes = rows.into_iter().map(|row| Ok((row.key.clone(), Arc::new(row.decode()?))));
        Ok(Arc::new(nodes.collect::<Result<_, StoreError>>()?))
    }

    fn apply(&self, rows: &mut Self::Rows, change: &Change) -> Result<(), StoreError> {
        let nodes = Arc::make_mut(rows);
        match change.after::<Node>()? {
            Some(node) => nodes.insert(change.key.clone(), Arc::new(node)),
            None => nodes.remove(&change.key),
        };
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &Self::Rows, _: Revision) -> NodeSnapshot {
        NodeSnapshot { by_session: Arc::clone(rows) }
    }
}

/// Why a caller is no node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotANode {
    /// A user, a root, or Lanyard itself.
    #[error(
        "the caller `{0}` is no node: call with the projected token of the node's agent, or with a session of the node's role that is \
         bound by `lanyard node set`"
    )]
    Kind(String),
    /// A session that no node of the cluster has.
    #[error("no node of the cluster is bound to session `{0}`: bind it by `lanyard node set`")]
    Unbound(String),
    /// One of another role.
    #[error("the node of session `{0}` is bound to another role")]
    OtherRole(String),
    /// One that another key made.
    #[error(
        "the node of session `{0}` is bound to another key, or to none: bind it to the node's own (`lanyard node set --access-key`), \
         for a session's name is chosen by whoever makes it"
    )]
    OtherKey(String),
}

impl NodeSnapshot {
    /// The name of the node that an actor is.
    ///
    /// # Errors
    /// [`NotANode`] says why it is none.
    pub(crate) fn name_of(&self, actor: &Actor) -> Result<String, NotANode> {
        let (authority, arn, lineage) = match &actor.kind {
            ActorKind::Node { name, .. } => return Ok(name.clone()),
            ActorKind::Principal { authority, arn, lineage, .. } => (authority, arn, lineage),
            ActorKind::Spoke { .. } | ActorKind::System { .. } => return Err(NotANode::Kind(actor.name())),
        };
        let Some(session) = arn.session_name() else { return Err(NotANode::Kind(actor.name())) };
        let unbound = || NotANode::Unbound(session.to_owned());
        let node = self.by_session.get(session).ok_or_else(unbound)?;
        if !is_of_role(node, arn) {
            return Err(NotANode::OtherRole(session.to_owned()));
        }
        let comes_of = |key: &str| {
            lineage.access_key_id.as_ref().is_some_and(|own| own.as_str() == key)
                || lineage.ancestors.iter().any(|ancestor| ancestor.strip_prefix("key/") == Some(key))
        };
        let key_fits = match &node.access_key_id {
            Some(key) => *authority == Authority::Local && comes_of(key.as_str()),
            // Whom another authority keeps has no key here; the session's name is then as good as its role's trust policy.
            None => *authority != Authority::Local,
        };
        if key_fits { Ok(node.private_dns_name.clone()) } else { Err(NotANode::OtherKey(session.to_owned())) }
    }
}

/// Whether an actor has the role whose sessions may be this node.
fn is_of_role(node: &Node, arn: &PrincipalArn) -> bool {
    node.role_arn.as_deref().is_some_and(|role| role.eq_ignore_ascii_case(arn.canonical().as_str()))
}

#[cfg(test)]
mod tests {
    use lanyard_api::{ClusterUid, Lineage};

    use super::*;

    const KEY: &str = "LKIANODENODENODENODE";
    const ROLE: &str = "arn:aws:iam::111122223333:role/nodes";

    fn nodes(role_arn: Option<&str>, access_key_id: Option<&str>) -> NodeSnapshot {
        let node = Node {
            cluster: ClusterUid::random(),
            instance_id: "i-0123456789abcdef0".to_owned(),
            private_dns_name: "ip-10-0-0-7.ec2.internal".to_owned(),
            role_arn: role_arn.map(str::to_owned),
            access_key_id: access_key_id.map(|key| key.parse().unwrap()),
        };
        NodeSnapshot { by_session: Arc::new([(node.instance_id.clone(), Arc::new(node))].into()) }
    }

    fn actor(authority: Authority, arn: &str, key: &str, ancestors: &[&str]) -> Actor {
        let kind = ActorKind::Principal {
            authority,
            arn: arn.parse().unwrap(),
            principal_id: "AROAX".to_owned(),
            lineage: Box::new(Lineage {
                access_key_id: Some(key.parse().unwrap()),
                ancestors: ancestors.iter().map(ToString::to_string).collect(),
                transitive_tags: BTreeMap::new(),
                source_identity: None,
                chain_depth: 1,
            }),
            session_policy: None,
        };
        Actor { kind, ..Actor::system("test") }
    }

    #[test]
    fn immunity_44_a_session_is_the_node_that_its_key_and_role_are_bound_to_and_no_other() {
        const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/nodes/i-0123456789abcdef0";
        let (local, aws) = (Authority::Local, Authority::Aws);
        let own: &[&str] = &["user/AIDAX", "key/LKIANODENODENODENODE"];
        let bound = || nodes(Some(ROLE), Some(KEY));
        let session_key = "LSIASESSIONSESSION00";
        type Case<'c> = (&'static str, NodeSnapshot, Actor, bool);
        let cases: [Case<'_>; 9] = [
            ("its key made the session", bound(), actor(local.clone(), SESSION, session_key, own), true),
            ("its key signs", bound(), actor(local.clone(), SESSION, KEY, &[]), true),
            (
                "another key chose its name",
                bound(),
                actor(local.clone(), SESSION, session_key, &["key/LKIAOTHEROTHEROTHER0"]),
                false,
            ),
            (
                "no key is bound",
                nodes(Some(ROLE), None),
                actor(local.clone(), SESSION, session_key, own),
                false,
            ),
            (
                "another authority's, by its role",
                nodes(Some(ROLE), None),
                actor(aws.clone(), SESSION, "ASIAEXAMPLE123456789", &[]),
                true,
            ),
            (
                "another authority's of a key that is bound",
                bound(),
                actor(aws, SESSION, "ASIAEXAMPLE123456789", own),
                false,
            ),
            (
                "no role is bound",
                nodes(None, Some(KEY)),
                actor(local.clone(), SESSION, session_key, own),
                false,
            ),
            (
                "another role",
                bound(),
                actor(
                    local.clone(),
                    "arn:aws:sts::111122223333:assumed-role/app/i-0123456789abcdef0",
                    session_key,
                    own,
                ),
                false,
            ),
            (
                "a user",
                bound(),
                actor(local, "arn:aws:iam::111122223333:user/i-0123456789abcdef0", KEY, &[]),
                false,
            ),
        ];
        for (what, nodes, actor, is_node) in cases {
            let named = nodes.name_of(&actor);
            assert_eq!(named.is_ok(), is_node, "{what}: {named:?}");
            assert!(named.is_err() || named == Ok("ip-10-0-0-7.ec2.internal".to_owned()), "{what}");
        }
        let node = ActorKind::Node { cluster: ClusterUid::random(), name: "n".to_owned() };
        let proven = Actor { kind: node, ..Actor::system("test") };
        assert_eq!(NodeSnapshot::default().name_of(&proven), Ok("n".to_owned()), "its token said so");
        assert!(matches!(bound().name_of(&Actor::system("test")), Err(NotANode::Kind(_))));
    }
}

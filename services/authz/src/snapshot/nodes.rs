//! What `lanyard node set` has bound, as proofs of nodes are held against it.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use lanyard_api::{
    Authority,
    mapping::Node,
    proof::{Handle, KinKind, Proof},
};
use lanyard_iam::AccessKeyId;

use crate::handles::{HandleSet, ProofKeys};

/// A name, and the session that it is bound to.
#[derive(Debug)]
pub(crate) struct BoundNode {
    name: Box<str>,
    session: Box<str>,
    role: Option<Box<str>>,
    access_key: Option<AccessKeyId>,
    /// The instance under each key, as a proof by EC2's word names its own.
    instance: Vec<Handle>,
}

/// The bound names of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    /// Two nodes never share one.
    by_name: HashMap<Box<str>, Arc<BoundNode>, RandomState>,
    instances: HandleSet,
}

impl BoundNode {
    pub(crate) fn compile(node: Node, keys: &ProofKeys) -> Self {
        Self {
            instance: keys.each(|key| key.ec2_instance(&node.instance_id)).collect(),
            name: node.private_dns_name.into(),
            session: node.instance_id.into(),
            role: node.role_arn.map(Into::into),
            access_key: node.access_key_id,
        }
    }

    /// Whether a proof is of a session that mapping takes for this node: of this name and role, and come of this key where it is bound
    /// to one.
    fn is_of(&self, proof: &Proof, authority: &Authority, keys: &ProofKeys) -> bool {
        let Some(role) = &self.role else { return false };
        keys.all().iter().any(|key| {
            key.session(authority, role, &self.session) == proof.handles.session
                && self.access_key.as_ref().is_none_or(|own| {
                    let own = key.access_key(own.as_str());
                    let mut long_term = proof.kin.of(KinKind::AccessKey);
                    *authority == Authority::Local
                        && (proof.handles.access_key == own || long_term.any(|kin| *kin == own))
                })
        })
    }
}

impl Nodes {
    pub(crate) fn compile<'a>(nodes: impl IntoIterator<Item = &'a Arc<BoundNode>>) -> Self {
        let mut compiled = Self::default();
        for node in nodes {
            compiled.instances.extend(node.instance.iter().copied());
            compiled.by_name.insert(node.name.clone(), Arc::clone(node));
        }
        compiled
    }

    /// Whether a session is bound to this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Whether mapping would name the session of a proof so by now: as it is bound, or by EC2's word, if that may have been asked, where
    /// neither the name nor the instance is bound. `authority` is that of the proof's account.
    pub(crate) fn names(
        &self,
        name: &str,
        may_be_ec2s: bool,
        proof: &Proof,
        authority: &Authority,
        keys: &ProofKeys,
    ) -> bool {
        match self.by_name.get(name) {
            Some(node) => node.is_of(proof, authority, keys),
            None => {
                let instance = proof.kin.of(KinKind::Ec2Instance).next().filter(|_| may_be_ec2s);
                instance.is_some_and(|instance| !self.instances.contains(instance))
            }
        }
    }
}

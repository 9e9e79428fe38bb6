//! Pods as they come into being: what of a cloud identity is put into them.

use std::{fmt, future::Future};

use bytes::Bytes;

use crate::{fault::Fault, ids::ClusterUid};

/// Says what is put into pods, for the door that API servers ask (admission webhook).
pub trait Pods: Send + Sync + 'static {
    /// What a pod needs for the role of its ServiceAccount. A pod that needs nothing, or has it, gets no patch. One is refused only where
    /// [`MutatePod::required`] asks for that: else the hub never keeps a pod from being made.
    fn mutate_pod(&self, asked: MutatePod) -> impl Future<Output = Result<PodMutation, Fault>> + Send;
}

/// A pod that is about to be made, or changed.
#[derive(Clone, PartialEq, Eq)]
pub struct MutatePod {
    /// The cluster whose API server asks.
    pub cluster: ClusterUid,
    /// Where the pod is to be, as the API server says: a pod need not say so itself.
    pub namespace: String,
    /// The pod as JSON.
    pub pod: Bytes,
    /// The pod as it was, where it is there already and gets ephemeral containers (`pods/ephemeralcontainers`): then the new ones of these
    /// alone may be changed.
    pub before: Option<Bytes>,
    /// Whether no pod is better than one without its role, as its namespace says (label `lanyard.dev/pod-identity`: `required`).
    pub required: bool,
}

/// What is in a pod's variables is nobody's to read in a log.
impl fmt::Debug for MutatePod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, namespace, pod, before, required } = self;
        let (bytes, before) = (pod.len(), before.as_ref().map(Bytes::len));
        write!(
            f,
            "MutatePod({cluster}, {namespace}, {bytes} bytes, before: {before:?}, required: {required})"
        )
    }
}

/// What is done to a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodMutation {
    /// A JSON Patch (RFC 6902); none where nothing is to be changed.
    pub patch: Option<Bytes>,
    /// Shown to whoever makes the pod: one line each, at most 120 characters (Kubernetes, admission warnings).
    pub warnings: Vec<String>,
    /// Why the pod may not be made; none where it may. Only where [`MutatePod::required`] asks for that.
    pub refusal: Option<PodRefusal>,
}

/// Why a pod may not be made whose namespace would rather have none than one without its role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRefusal {
    /// What is missing, and what helps; one line.
    pub message: String,
    /// Whether trying again may help by itself: nobody can say now what the pod should get.
    pub passing: bool,
}

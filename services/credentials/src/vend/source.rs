//! Where a pod's credentials come from, once it is decided which it gets.

use std::{borrow::Cow, collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use lanyard_api::{
    CallError, Fault,
    credentials::{PodIdentityAssociation, SessionCredentials, VendedUser},
    mapping::Cluster,
};
use lanyard_iam::{Ancestor, PrincipalArn};

/// Gives the credentials that were decided on. Whether the pod may have them was judged before; what the roles themselves say of it,
/// their trust policies and limits, is the source's to find out.
pub trait CredentialSource: Send + Sync + 'static {
    /// Credentials of the association's role, or of its target role by a second hop. They live no longer than was decided and no longer
    /// than the role allows, whichever is less.
    fn credentials(&self, decided: &Decided) -> impl Future<Output = Result<Sourced, SourceError>> + Send;
}

/// What was decided of a pod.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The cluster that the pod is of.
    pub cluster: Arc<Cluster>,
    /// The association that it gets credentials by.
    pub association: Arc<PodIdentityAssociation>,
    /// The pod, as its token proves it.
    pub pod: PodIdentity,
    /// `eks-<cluster>-<pod>-<uuid>`, at most 64 characters.
    pub session_name: String,
    /// The session tags, all of them transitive; none where the association has them off.
    pub tags: BTreeMap<String, String>,
    /// Narrows the last session: the JSON of the association.
    pub session_policy: Option<String>,
    /// The second hop, where the association has a target role.
    pub target: Option<TargetHop>,
    /// The longest that the credentials may live, in seconds.
    pub seconds_max: u32,
    /// What the session descends from: when one of them is gone, it counts no more. For sources whose sessions the hub opens.
    pub ancestors: Vec<Ancestor>,
}

/// Assuming the target role with the session of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHop {
    /// Of any account.
    pub role_arn: PrincipalArn,
    /// What its trust policy may ask for; given where session tags are off (EKS).
    pub external_id: Option<String>,
}

/// A pod on its node. Two pods never have the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PodIdentity {
    /// The namespace of pod and ServiceAccount.
    pub namespace: String,
    /// The ServiceAccount's name.
    pub service_account: String,
    /// Its uid.
    pub service_account_uid: String,
    /// The pod's name.
    pub pod: String,
    /// Its uid: one of the same name, made later, has another.
    pub pod_uid: String,
    /// The node that it runs on.
    pub node: String,
    /// The uid of the node's object.
    pub node_uid: String,
}

/// What a source gives.
#[derive(Debug)]
pub struct Sourced {
    /// The credentials.
    pub credentials: SessionCredentials,
    /// The session that they are of.
    pub user: VendedUser,
    /// The role that they are of, of whose account they are.
    pub role_arn: PrincipalArn,
}

/// Why a source gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// A role says no, or its owner's rules do: nothing changes that but a change of the role or of the association.
    #[error("{text}")]
    Refused {
        /// Which rule, in snake case: `role_trust`, `role_missing`, `target_trust`, …
        code: Cow<'static, str>,
        /// The rule and the next step.
        text: String,
    },
    /// Too much was asked at once.
    #[error("too many requests; try again later")]
    Throttled {
        /// When to try again, where that is known.
        retry_after: Option<Duration>,
    },
    /// There is no answer.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<CallError> for SourceError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Fault(Fault::Throttled { retry_after, .. }) => Self::Throttled { retry_after },
            CallError::Fault(fault) => Self::Fault(fault),
            CallError::Invalid { rule, message, .. } | CallError::Precondition { rule, message } => {
                Self::Refused { code: rule.into(), text: message }
            }
            CallError::Denied(denial) => Self::Refused { code: denial.code, text: denial.message },
            other => Self::Refused { code: "source".into(), text: other.to_string() },
        }
    }
}

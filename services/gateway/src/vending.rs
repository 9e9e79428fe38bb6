//! Credentials for pods, as credentials vends them; and each answer as a decision of its cluster, which `explain --id` finds.

use std::sync::Arc;

use lanyard_api::{
    Actor, ActorKind, CallError, ClusterUid, Vouched,
    credentials::{AssumeRoleForPodIdentity, PodCredentials, Vend, VendCall},
};
use lanyard_iam::TokenDigest;
use lanyard_kit::ExposeSecret as _;

use crate::{kubernetes::Gateway, recorder, services::Services};

/// [`Vend`] that records what it answers. The doors of one process share it.
pub struct RecordedVend<S> {
    gateway: Arc<Gateway<S>>,
}

impl<S> std::fmt::Debug for RecordedVend<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordedVend")
    }
}

impl<S: Services> RecordedVend<S> {
    /// Before what a gateway has behind it.
    #[must_use]
    pub fn new(gateway: Arc<Gateway<S>>) -> Self {
        Self { gateway }
    }

    /// The cluster that a caller may vend in; none where there is none of that id.
    fn cluster(&self, by: &Actor, request: &AssumeRoleForPodIdentity) -> Option<ClusterUid> {
        match &by.kind {
            ActorKind::Node { cluster, .. } => Some(*cluster),
            _ => {
                let spoke = self.gateway.parts.directory.by_id(request.cluster.as_str())?;
                // What is another account's is no record of it.
                (by.account() == Some(spoke.cluster.account)).then_some(spoke.cluster.uid)
            }
        }
    }
}

impl<S: Services> Vend for RecordedVend<S> {
    async fn assume_role_for_pod_identity(
        &self,
        by: Vouched<Actor>,
        request: AssumeRoleForPodIdentity,
    ) -> Result<PodCredentials, CallError> {
        let parts = &self.gateway.parts;
        let cluster = self.cluster(&by.value, &request);
        let caller = by.value.name();
        let token = TokenDigest::of(request.token.expose_secret());
        let answer = parts.services.credentials().assume_role_for_pod_identity(by, request).await;
        let Some(cluster) = cluster else { return answer };
        let call = VendCall { cluster, caller, token, at: parts.clock.now(), trace: recorder::trace() };
        let (record, answer) = call.decided(answer);
        parts.recorder.take(record);
        answer
    }
}

//! [`Vend`]: credentials for the pods of clusters.

mod source;

use lanyard_api::{
    Actor, CallError, Fault, Vouched,
    credentials::{AssumeRoleForPodIdentity, PodCredentials, Vend},
};

pub use source::{CredentialSource, Decided, PodIdentity, SourceError, Sourced, TargetHop};

use crate::engine::Credentials;

impl Vend for Credentials {
    async fn assume_role_for_pod_identity(
        &self,
        _: Vouched<Actor>,
        _: AssumeRoleForPodIdentity,
    ) -> Result<PodCredentials, CallError> {
        Err(Fault::Internal.into())
    }
}

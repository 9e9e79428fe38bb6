//! The versions of Kubernetes that there are clusters of.

use lanyard_api::{CallError, Fault, Page, kubernetes::KubernetesRelease};
use serde_json::{Value, json};

use super::page;
use crate::{answer::Answer, backend::Backend, operations::Call};

/// No service is asked: what this version of Lanyard is made for, it knows.
pub(in crate::operations) async fn describe<B: Backend>(call: &Call<'_, B>) -> Result<Answer, CallError> {
    // Authn has read the same, or there was no call.
    let asked_for = call.found.kubernetes_versions().map_err(|_| Fault::Internal)?;
    let Page { items, next_token } = call.cut(asked_for.into_iter(), ToString::to_string)?;
    let versions = items.into_iter().map(shape).collect();
    Ok(Answer::Rest(page("clusterVersions", versions, next_token).into()))
}

/// A version as EKS shows one, without dates: when a release comes and goes is not the hub's to say.
fn shape(release: KubernetesRelease) -> Value {
    json!({
        "clusterVersion": release.to_string(),
        "clusterType": "eks",
        "defaultVersion": release.is_newest(),
        "status": "standard-support",
        "versionStatus": "STANDARD_SUPPORT",
    })
}

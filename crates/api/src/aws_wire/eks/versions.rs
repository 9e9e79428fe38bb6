//! The versions of Kubernetes that there are clusters of: of a hub, those whose API servers can ask it. No service keeps them, and
//! nothing of an account is in them.

use std::collections::BTreeSet;

use lanyard_iam::shown;
use lanyard_proto::mapping::v1 as pb;

use crate::{
    aws_wire::{
        AwsError,
        input::{Asked, Input},
        operation::Service,
        parameters::Parameters,
    },
    kubernetes::KubernetesRelease,
};

/// The one kind of cluster that there is.
const CLUSTER_TYPE: &str = "eks";
/// How well a version is supported, as the model writes it; all that are listed are supported in the first way.
const VERSION_STATUSES: [&str; 3] = ["STANDARD_SUPPORT", "EXTENDED_SUPPORT", "UNSUPPORTED"];
/// The same in the deprecated filter of that name.
const STATUSES: [&str; 3] = ["standard-support", "extended-support", "unsupported"];

/// Weighed as a call of its own, about nothing that anybody has, as the access policies that there are.
pub(super) fn describe(input: &Input<'_>) -> Result<Asked, AwsError> {
    asked_for(input.query())?;
    Ok(input.asks(&pb::ListAccessPoliciesRequest::default()))
}

/// The versions that a request's filters leave, the oldest first.
pub(in crate::aws_wire) fn asked_for(
    parameters: &Parameters<'_>,
) -> Result<Vec<KubernetesRelease>, AwsError> {
    let only_default = flag(parameters, "defaultOnly")?;
    // All that are known are listed anyway.
    flag(parameters, "includeAll")?;
    // eksctl names a kind of no letters, and means any.
    let cluster_type = parameters.one(Service::Eks, "clusterType")?.filter(|kind| !kind.is_empty());
    let of_type = cluster_type.is_none_or(|kind| kind == CLUSTER_TYPE);
    let statuses = [("versionStatus", VERSION_STATUSES), ("status", STATUSES)];
    let mut has_any = of_type;
    for (name, known) in statuses {
        has_any &= leaves_any(parameters, name, known)?;
    }
    let named: BTreeSet<&str> = parameters.all("clusterVersions").collect();
    let is_asked_for = |release: &KubernetesRelease| {
        let is_named = named.is_empty() || named.contains(release.to_string().as_str());
        has_any && is_named && (release.is_newest() || !only_default)
    };
    Ok(KubernetesRelease::all().filter(is_asked_for).collect())
}

fn flag(parameters: &Parameters<'_>, name: &str) -> Result<bool, AwsError> {
    match parameters.one(Service::Eks, name)? {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(invalid(name, &format!("`{}` is neither `true` nor `false`", shown(other)))),
    }
}

/// Whether a filter by support leaves any version.
fn leaves_any(parameters: &Parameters<'_>, name: &str, known: [&str; 3]) -> Result<bool, AwsError> {
    let Some(status) = parameters.one(Service::Eks, name)? else { return Ok(true) };
    match known.iter().position(|one| *one == status) {
        Some(place) => Ok(place == 0),
        None => {
            let rule = format!("`{}` is none of {}", shown(status), known.join(", "));
            Err(invalid(name, &rule))
        }
    }
}

fn invalid(name: &str, rule: &str) -> AwsError {
    AwsError::invalid_parameter(Service::Eks, format!("{name}: {rule}"))
}

//! What a Pod Identity association has to be, as far as its own words go (EKS user guide, "EKS Pod Identity").

use lanyard_api::{CallError, credentials::CreatePodIdentityAssociation, mapping::Cluster, tags};
use lanyard_iam::{PolicyDocument, PrincipalArn, PrincipalKind, shown};

use crate::names::{is_namespace, is_service_account};

/// The ServiceAccount and the tags of a new one.
pub(super) fn created(asked: &CreatePodIdentityAssociation) -> Result<(), CallError> {
    if !is_namespace(&asked.namespace) {
        let rule = "a namespace is 1 to 63 lower-case letters, digits and inner hyphens";
        return Err(invalid("namespace", "namespace", &asked.namespace, rule));
    }
    if !is_service_account(&asked.service_account) {
        let rule =
            "a ServiceAccount's name is 1 to 253 lower-case letters, digits, and inner hyphens and dots";
        return Err(invalid("service_account", "service_account", &asked.service_account, rule));
    }
    tags::refusal(&asked.tags).map_or(Ok(()), |message| Err(CallError::invalid("tags", "tags", message)))
}

/// The role: of the cluster's own account, for it is passed there (EKS).
pub(super) fn role(cluster: &Cluster, arn: &str) -> Result<PrincipalArn, CallError> {
    let role = any_role("role_arn", cluster, arn)?;
    if role.account == cluster.account {
        return Ok(role);
    }
    let message = format!(
        "`{role}` is not of the cluster's account {}: name a role of that account, and this one as target_role_arn",
        cluster.account
    );
    Err(CallError::invalid("role_arn", "role_account", message))
}

/// The target role: of any account of the partition.
pub(super) fn target_role(cluster: &Cluster, arn: &str) -> Result<PrincipalArn, CallError> {
    any_role("target_role_arn", cluster, arn)
}

fn any_role(field: &'static str, cluster: &Cluster, arn: &str) -> Result<PrincipalArn, CallError> {
    let rule = "a role's whole ARN is arn:<partition>:iam::<account>:role/<path><name>";
    let role =
        PrincipalArn::parse(arn).map_err(|error| CallError::invalid(field, "role_arn", error.to_string()))?;
    if !matches!(role.kind, PrincipalKind::Role { .. }) {
        return Err(invalid(field, "role_arn", arn, rule));
    }
    if role.partition != cluster.partition {
        let message = format!("`{role}` is not of the cluster's partition `{}`", cluster.partition);
        return Err(CallError::invalid(field, "role_partition", message));
    }
    Ok(role)
}

/// A session policy, which takes the place of session tags in what a session can carry (EKS).
pub(super) fn policy(json: Option<&str>, disable_session_tags: bool) -> Result<(), CallError> {
    let Some(json) = json else { return Ok(()) };
    if !disable_session_tags {
        let rule = "a policy goes with sessions without the six session tags alone: disable session tags too";
        return Err(CallError::invalid("policy", "policy_with_session_tags", rule));
    }
    let parsed = PolicyDocument::parse_session(json);
    parsed
        .map(drop)
        .map_err(|error| CallError::invalid("policy", "malformed_policy_document", error.to_string()))
}

fn invalid(field: &'static str, rule: &'static str, input: &str, text: &str) -> CallError {
    CallError::invalid(field, rule, format!("`{}`: {text}", shown(input)))
}

#[cfg(test)]
mod tests;

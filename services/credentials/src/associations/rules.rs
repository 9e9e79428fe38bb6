//! What a Pod Identity association has to be, as far as its own words go (EKS user guide, "EKS Pod Identity").

use lanyard_api::{CallError, credentials::CreatePodIdentityAssociation, mapping::Cluster, tags};
use lanyard_iam::{AccountId, PolicyDocument, PrincipalArn, PrincipalKind, shown};

use crate::names::{is_namespace, is_service_account};

/// The ServiceAccount and the tags of a new one.
pub(super) fn created(asked: &CreatePodIdentityAssociation) -> Result<(), CallError> {
    service_account(&asked.namespace, &asked.service_account)?;
    tags::refusal(&asked.tags).map_or(Ok(()), |message| Err(CallError::invalid("tags", "tags", message)))
}

/// The ServiceAccount, as Kubernetes names it.
pub(super) fn service_account(namespace: &str, service_account: &str) -> Result<(), CallError> {
    if !is_namespace(namespace) {
        let rule = "a namespace is 1 to 63 lower-case letters, digits and inner hyphens";
        return Err(invalid("namespace", "namespace", namespace, rule));
    }
    if !is_service_account(service_account) {
        let rule =
            "a ServiceAccount's name is 1 to 253 lower-case letters, digits, and inner hyphens and dots";
        return Err(invalid("service_account", "service_account", service_account, rule));
    }
    Ok(())
}

/// The role: of the cluster's own account, for it is passed there (EKS); or of one that AWS keeps, for it says itself by its trust
/// policy that it is for this ServiceAccount of this cluster.
pub(super) fn role(
    cluster: &Cluster,
    arn: &str,
    is_aws: impl FnOnce(AccountId) -> bool,
) -> Result<PrincipalArn, CallError> {
    let role = any_role("role_arn", cluster, arn)?;
    if role.account == cluster.account || is_aws(role.account) {
        return Ok(role);
    }
    let message = format!(
        "`{role}` is not of the cluster's account {}, nor of one that is registered as AWS's: name such a role, and this one as \
         target_role_arn",
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

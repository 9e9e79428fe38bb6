//! Whether a role does for an association, as it is when that is written.

use std::collections::BTreeMap;

use lanyard_api::{
    Authority, CallError, Scope,
    authn::accounts::{Account, IamRole},
    credentials::{ANY_CLUSTER_TAG, PodIdentityAssociation},
    mapping::Cluster,
};
use lanyard_iam::PrincipalKind;
use lanyard_store::Transaction;

use super::trust::Trust;

/// Looks at the role, where the hub keeps its account: it is there, and lets Pod Identity assume it, in this cluster and not in
/// every other too, unless that is allowed. One of AWS's was tried before. Answers what the caller should know of it. The target role may be another tenant's,
/// of whom nothing is told.
pub(super) async fn judge_role(
    tx: &mut Transaction,
    cluster: &Cluster,
    association: &PodIdentityAssociation,
    allow_any_cluster: bool,
) -> Result<Vec<String>, CallError> {
    let arn = &association.role_arn;
    let account: Option<Account> = tx.get(Scope::Hub, &arn.account.to_string()).await?;
    let authority = account.map(|account| account.authority);
    if (authority == Some(Authority::Aws)) != association.aws_road.is_some() {
        let message = format!("account {} was registered anew meanwhile: try again", arn.account);
        return Err(CallError::precondition("changed_meanwhile", message));
    }
    if association.aws_road.is_some() {
        return Ok(Vec::new());
    }
    if authority != Some(Authority::Local) {
        let notice = "is of an account that the hub does not keep, so that nobody has looked whether it exists and trusts";
        return Ok(vec![format!("role `{arn}` {notice} `pods.eks.amazonaws.com`")]);
    }
    let role: Option<IamRole> = match &arn.kind {
        PrincipalKind::Role { path, name } => {
            let stored: Option<IamRole> = tx.get(Scope::Account(arn.account), name).await?;
            stored.filter(|role| role.path == *path)
        }
        _ => None,
    };
    let Some(role) = role else {
        let message = format!("role `{arn}` does not exist: make it first, or name it with its path");
        return Err(CallError::invalid("role_arn", "role_missing", message));
    };
    match Trust::of(&role, association, cluster) {
        Trust::Lacking(action) => Err(CallError::invalid(
            "role_arn",
            "role_trust",
            format!(
                "the trust policy of `{arn}` does not let the service `pods.eks.amazonaws.com` do `{action}` for this \
                 ServiceAccount: allow it `sts:AssumeRole` and `sts:TagSession`"
            ),
        )),
        Trust::OfCluster => Ok(Vec::new()),
        Trust::OfAccount => {
            let found = format!(
                "role `{arn}` is of use in every cluster of account {}: to keep it to this one, add the condition \
                 {{\"ArnEquals\":{{\"aws:SourceArn\":\"{}\"}}}} to its trust policy",
                cluster.account,
                cluster.arn()
            );
            if allow_any_cluster || allows_any_cluster(&role.tags) {
                return Ok(vec![found]);
            }
            let message = format!(
                "{found}, or allow any by the role's tag `{ANY_CLUSTER_TAG}=true` (over gRPC also by `allow_any_cluster`)"
            );
            Err(CallError::invalid("role_arn", "any_cluster", message))
        }
    }
}

/// Whether the role's tag lets its trust policy name no cluster.
fn allows_any_cluster(tags: &BTreeMap<String, String>) -> bool {
    tags.get(ANY_CLUSTER_TAG).is_some_and(|value| value == "true")
}

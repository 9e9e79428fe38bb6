//! Versions of aws-auth. A bad one is kept as rejected, and the last good one stays in force.

use lanyard_api::{
    Actor, CallError, ClusterId, Mutated, Mutation, Scope, Vouched,
    aws_auth::{AwsAuth, CONTENT_BYTES_MAX, Checked, FINDINGS_MAX},
    mapping::{AwsAuthEffect, AwsAuthFinding, AwsAuthStatus, AwsAuthVersion, Cluster},
};
use lanyard_iam::PrincipalArn;
use lanyard_store::{Record as _, StoreError, Transaction};

use super::{
    Mapping,
    commit::{Begun, commit},
    entries::current,
    sight::Call,
};
use crate::{
    administrators,
    resolution::counts_aws_auth,
    rules::{issuers::Issuers, shown, sure},
};

/// Longest document that is even stored, as rejected: a little above what can be read.
const STORED_BYTES_MAX: usize = CONTENT_BYTES_MAX + CONTENT_BYTES_MAX / 4;

impl Mapping {
    pub(super) async fn push(
        &self,
        by: Mutation,
        id: ClusterId,
        content: String,
    ) -> Result<Mutated<AwsAuthVersion>, CallError> {
        let cluster = self.seen(&by.actor.value, &id, Call::OwnAwsAuth).await?;
        self.inner.pushes.admit(&by.actor.value, "aws-auth")?;
        if content.len() > STORED_BYTES_MAX {
            let limit = STORED_BYTES_MAX as u64;
            return Err(CallError::LimitExceeded { what: "bytes of an aws-auth document".into(), limit });
        }
        let mut checked = AwsAuth::check(&content);
        if checked.is_fatal() {
            return self.keep(&by, &cluster, &content, &checked, AwsAuthStatus::Rejected).await;
        }
        match self.keep(&by, &cluster, &content, &checked, AwsAuthStatus::Accepted).await {
            Err(CallError::Precondition { rule: "lockout", .. }) => {
                checked.findings.push(AwsAuthFinding {
                    effect: AwsAuthEffect::Fatal,
                    line: 0,
                    column: 0,
                    path: String::new(),
                    message: String::from(
                        "this version would leave the cluster without an administrator who can log in: keep a line with \
                         system:masters for one, or allow it by name",
                    ),
                });
                self.keep(&by, &cluster, &content, &checked, AwsAuthStatus::Rejected).await
            }
            other => other,
        }
    }

    /// Stores a version, in force if it is accepted.
    async fn keep(
        &self,
        by: &Mutation,
        cluster: &Cluster,
        content: &str,
        checked: &Checked,
        status: AwsAuthStatus,
    ) -> Result<Mutated<AwsAuthVersion>, CallError> {
        let scope = Scope::Cluster(cluster.uid);
        let mut tx = match self.begin("push_aws_auth", by, &[scope]).await? {
            Begun::Fresh(tx) => *tx,
            Begun::Replayed(answer) => return Ok(answer),
        };
        let cluster = current(&mut tx, cluster).await?;
        let versions: Vec<AwsAuthVersion> = tx.list(scope).await?;
        let mut findings = checked.findings.clone();
        if counts_aws_auth(cluster.authentication_mode) {
            let issuers = administrators::issuers_of(&mut tx, scope).await?;
            findings.extend(beside_issuers(&checked.auth, &issuers, findings.len()));
        }
        let newest = versions.last();
        let version = match newest {
            // A spoke pushes what it sees again and again.
            Some(newest)
                if newest.content == content && newest.status == status && newest.findings == findings =>
            {
                newest.clone()
            }
            _ => {
                let version = AwsAuthVersion {
                    cluster: cluster.uid,
                    version: newest.map_or(0, |newest| newest.version) + 1,
                    content: content.to_owned(),
                    status,
                    findings,
                    pushed_by: by.actor.value.name(),
                    pushed_at: tx.now(),
                };
                tx.insert(&version).await?;
                self.forget_old(&mut tx, scope, &versions, status).await?;
                version
            }
        };
        match status {
            AwsAuthStatus::Accepted => {
                administrators::sync_aws_auth(&mut tx, &cluster, &checked.auth).await?;
            }
            AwsAuthStatus::Rejected => {
                self.inner.aws_auth_rejected.increment(());
                tracing::warn!(cluster.uid = %cluster.uid, version = version.version, "an aws-auth was kept out of force");
            }
        }
        self.inner.pushes.wrote(&by.actor.value, "aws-auth", tx.line_bytes());
        commit(tx, scope, version, Vec::new()).await
    }

    /// Drops the oldest versions, never the one in force.
    async fn forget_old(
        &self,
        tx: &mut Transaction,
        scope: Scope,
        before: &[AwsAuthVersion],
        status: AwsAuthStatus,
    ) -> Result<(), StoreError> {
        let kept = usize::try_from(self.inner.config.limits.aws_auth_versions_kept).unwrap_or(usize::MAX);
        let in_force = match status {
            AwsAuthStatus::Accepted => None,
            AwsAuthStatus::Rejected => {
                before.iter().rfind(|version| version.status == AwsAuthStatus::Accepted)
            }
        };
        let surplus = before.len().saturating_sub(kept);
        for old in before.iter().take(surplus) {
            if in_force.is_none_or(|in_force| in_force.version != old.version) {
                tx.delete::<AwsAuthVersion>(scope, &old.key()).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn aws_auth_versions(
        &self,
        by: Vouched<Actor>,
        id: ClusterId,
    ) -> Result<Vec<AwsAuthVersion>, CallError> {
        let cluster = self.seen(&by.value, &id, Call::OwnAwsAuth).await?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let accepted = snapshot.versions.iter().rfind(|version| version.status == AwsAuthStatus::Accepted);
        let newest = snapshot.versions.last();
        let mut versions: Vec<AwsAuthVersion> =
            accepted.into_iter().map(|version| (**version).clone()).collect();
        if let Some(newest) = newest
            && accepted.is_none_or(|accepted| accepted.version != newest.version)
        {
            versions.push((**newest).clone());
        }
        Ok(versions)
    }
}

/// What is found of lines whose usernames an issuer of the cluster takes, beside so many findings. The lines stay: no principal of one is to
/// be let in as one of its account instead.
fn beside_issuers(auth: &AwsAuth, issuers: &Issuers, found: usize) -> Vec<AwsAuthFinding> {
    let mut findings = Vec::new();
    if issuers.is_empty() {
        return findings;
    }
    for line in &auth.lines {
        if found + findings.len() >= FINDINGS_MAX {
            break;
        }
        let (username, arn) = (line.username.as_str(), line.arn.as_str());
        let Ok(principal) = PrincipalArn::parse(arn) else { continue };
        let Some(issuer) = issuers.taking(&sure::filled(username, principal.account, Some(arn))) else {
            continue;
        };
        let effect = if line.username.is_literal() { "" } else { "; until then the entry maps nobody" };
        findings.push(AwsAuthFinding {
            effect: AwsAuthEffect::Kept,
            line: line.line,
            column: 0,
            path: format!("{}.username", line.path()),
            message: format!("`{}` {}{effect}", shown(username), issuer.why()),
        });
    }
    findings
}

//! Entries that name several principals: what they may not overlap, and whom they mean.

use std::collections::BTreeMap;

use lanyard_api::{
    Actor, Authority, CallError, Scope, Vouched,
    mapping::{AccessEntry, Cluster, EntryMatch, EntryMatches, EntryRef},
};
use lanyard_iam::{EntryPrincipal, PrincipalArn, PrincipalKind};
use lanyard_store::Transaction;

use super::super::{
    Mapping,
    sight::{Call, in_account},
};
use super::left::why_nobody;
use crate::{
    key,
    principals::AccountSnapshot,
    resolution::counts_aws_auth,
    rules::{self, Broken, Rule},
    snapshot::ClusterSnapshot,
};

/// Most principals that a preview shows.
const MATCHES_SHOWN: usize = 1_000;

/// What whoever makes an entry for several should know.
pub(super) fn hints(entry: &AccessEntry) -> Option<String> {
    match &entry.principal_arn {
        EntryPrincipal::One(_) => None,
        EntryPrincipal::PermissionSet(set)
            if set.suffix().is_none() && entry.principal_id.is_none() && entry.pin_until.is_none() =>
        {
            Some(format!(
                "it lets in every role of account {} that is named as those of permission set `{}` are: where others than \
                 IAM Identity Center may make such roles, name the suffix too, or pin it",
                set.account,
                set.name()
            ))
        }
        EntryPrincipal::PermissionSet(_) => None,
        EntryPrincipal::Pattern(pattern) => Some(format!(
            "it lets in every {} of account {} whose name fits, also those made later",
            pattern.kind.name(),
            pattern.account
        )),
    }
}

/// The entries that could mean whom this one means. One that names a principal alone goes before, and is none of them.
fn overlaps<'e>(
    authority: &'e Authority,
    principal: &'e EntryPrincipal,
    entries: impl Iterator<Item = &'e AccessEntry> + 'e,
) -> impl Iterator<Item = &'e AccessEntry> + 'e {
    entries.filter(move |other| {
        other.principal_arn.one().is_none()
            && other.authority == *authority
            && other.principal_arn != *principal
            && other.principal_arn.overlaps(principal)
    })
}

impl Mapping {
    /// An entry for several, beside those that there are: as the transaction sees them, for two may be written at once.
    pub(super) async fn judge_beside_others(
        &self,
        tx: &mut Transaction,
        scope: Scope,
        draft: &AccessEntry,
    ) -> Result<(), CallError> {
        let entries: Vec<AccessEntry> = tx.list(scope).await?;
        let limit = self.inner.config.limits.entries_for_several_per_cluster;
        let standing = entries.iter().filter(|entry| entry.principal_arn.one().is_none()).count() as u64;
        if standing >= limit {
            return Err(CallError::LimitExceeded {
                what: "access entries for several principals of one cluster".into(),
                limit,
            });
        }
        let found = overlaps(&draft.authority, &draft.principal_arn, entries.iter()).next();
        match found {
            None => Ok(()),
            Some(other) => {
                let message = format!(
                    "`{}` could mean somebody whom the entry for `{}` means: which of the two counts must be plain, so narrow \
                     one of them",
                    draft.principal_arn, other.principal_arn
                );
                Err(Broken::new("principal_arn", Rule::Overlap, message).into())
            }
        }
    }

    /// Whom an entry means or would mean.
    pub(super) async fn matches(
        &self,
        by: Vouched<Actor>,
        entry: EntryRef,
    ) -> Result<EntryMatches, CallError> {
        let cluster = self.seen(&by.value, &entry.cluster, Call::Management).await?;
        let principal = rules::entry::principal(&entry.principal_arn)?;
        let authority = rules::entry::trusted(&principal, &cluster)?;
        rules::entry::has_permission_sets(&authority, &principal)?;
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        let records = snapshot.entries().iter().map(|entry| &entry.record);
        let overlaps = match principal.one() {
            Some(_) => Vec::new(),
            None => overlaps(&authority, &principal, records)
                .map(|other| other.principal_arn.to_string())
                .collect(),
        };
        let known = self.known_principals(&by.value, &cluster, &authority, &principal).await?;
        let mut principals: Vec<EntryMatch> = known
            .found
            .into_iter()
            .map(|(principal_arn, principal_id)| EntryMatch {
                mapped_by: mapped_by(&cluster, &snapshot, &authority, &principal, &principal_arn),
                principal_arn,
                principal_id,
            })
            .collect();
        let mut notices = known.notices;
        let more = principals.len().saturating_sub(MATCHES_SHOWN);
        if more > 0 {
            principals.truncate(MATCHES_SHOWN);
            notices.push(format!("{more} more are not shown"));
        }
        Ok(EntryMatches { principals, complete: known.complete && more == 0, overlaps, notices })
    }

    /// The principals of an account that the hub knows, as far as whoever asks may know them: those of their own account, and
    /// those that the cluster's own aws-auth names.
    async fn known_principals(
        &self,
        by: &Actor,
        cluster: &Cluster,
        authority: &Authority,
        principal: &EntryPrincipal,
    ) -> Result<Known, CallError> {
        let account = principal.account();
        let mut found = BTreeMap::new();
        let snapshot = self.inner.state.cluster(cluster.uid).await?;
        if let Some(in_force) = snapshot.aws_auth.as_ref() {
            let lines =
                in_force.auth.lines.iter().filter_map(|line| PrincipalArn::parse(line.arn.as_str()).ok());
            found.extend(lines.filter(|arn| means(principal, arn)).map(|arn| (arn, None)));
        }
        let is_own = in_account(by, account);
        let mut known = Known { found, complete: false, notices: Vec::new() };
        match authority {
            Authority::Local if is_own => {
                let kept = self.inner.state.account(account).await?;
                known.add(local(&kept, principal));
                known.complete = true;
            }
            Authority::Local => {
                let notice = format!(
                    "the users and roles of account {account} are shown to its own administrators alone"
                );
                known.notices.push(notice);
            }
            Authority::Aws | Authority::Sts(_) => self.ask_iam(&mut known, authority, principal).await,
        }
        Ok(known)
    }
}

/// Who is known to fit.
pub(in crate::engine) struct Known {
    found: BTreeMap<PrincipalArn, Option<String>>,
    pub(in crate::engine) complete: bool,
    pub(in crate::engine) notices: Vec<String>,
}

impl Known {
    /// What is known with its path and unique id takes the place of what was known by name.
    pub(in crate::engine) fn add(&mut self, principals: impl IntoIterator<Item = (PrincipalArn, String)>) {
        for (arn, id) in principals {
            self.found.remove(&arn.without_path());
            self.found.insert(arn, Some(id));
        }
    }
}

/// Whether a principal, path and all, is meant.
pub(in crate::engine) fn means(principal: &EntryPrincipal, arn: &PrincipalArn) -> bool {
    matches!(arn.kind, PrincipalKind::User { .. } | PrincipalKind::Role { .. })
        && principal.means(key::known_as(arn).as_str())
}

fn local(account: &AccountSnapshot, principal: &EntryPrincipal) -> Vec<(PrincipalArn, String)> {
    let (partition, id) = (principal.partition(), principal.account());
    let all = account.principals(partition, id);
    all.filter(|(arn, _)| means(principal, arn)).collect()
}

/// What maps a principal now beside the entry that is looked at.
fn mapped_by(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    authority: &Authority,
    asked: &EntryPrincipal,
    arn: &PrincipalArn,
) -> Option<String> {
    let canonical = key::known_as(arn);
    let entry = snapshot
        .entry_of(authority, canonical.as_str())
        .or_else(|| snapshot.entry_of_several(authority, canonical.as_str()))
        .filter(|entry| entry.record.principal_arn != *asked);
    if let Some(entry) = entry {
        return Some(entry.name.to_string());
    }
    let in_force = snapshot.aws_auth.as_ref().filter(|_| counts_aws_auth(cluster.authentication_mode))?;
    let line = in_force.line(canonical.as_str())?;
    why_nobody(line, snapshot.issuers()).is_none().then(|| format!("{} of aws-auth", line.path()))
}

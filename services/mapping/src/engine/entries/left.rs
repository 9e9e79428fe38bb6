//! What whoever changes an entry should know about others: whose username it takes, and what its principal is left with.

use std::sync::Arc;

use lanyard_api::{
    aws_auth::{AwsAuth, AwsAuthLine},
    mapping::{AccessEntry, Cluster, EntryType},
};
use lanyard_iam::CanonicalArn;

use crate::{
    key,
    resolution::counts_aws_auth,
    snapshot::{ClusterSnapshot, Entry, InForce},
};

/// Entries whose usernames are compared with a new one.
const COLLISIONS_SHOWN: usize = 3;

/// Lines that are told of where an entry for several goes.
const LEFT_SHOWN: usize = 3;

/// Whom else a new username would be taken for.
pub(super) fn collisions(snapshot: &ClusterSnapshot, record: &AccessEntry) -> Vec<String> {
    let same = snapshot
        .entries()
        .iter()
        .filter(|other| other.record.id != record.id && other.record.username == record.username)
        .filter(|other| other.record.entry_type == EntryType::Standard)
        .map(|other| {
            format!("the username `{}` is that of `{}` too", record.username, other.record.principal_arn)
        });
    let lines = snapshot
        .aws_auth
        .iter()
        .flat_map(|in_force| &in_force.auth.lines)
        .filter(|line| line.username.as_str() == record.username)
        .map(|line| format!("the username `{}` is that of `{}` in aws-auth too", record.username, line.arn));
    if record.entry_type != EntryType::Standard {
        return Vec::new();
    }
    same.chain(lines).take(COLLISIONS_SHOWN).collect()
}

/// What a principal still resolves to when its entry is gone.
pub(super) fn what_is_left(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    auth: AwsAuth,
    gone: &AccessEntry,
) -> Vec<String> {
    match gone.principal_arn.one() {
        Some(arn) => vec![what_one_is_left(cluster, snapshot, auth, gone, &key::known_as(arn))],
        None => what_several_are_left(cluster, &auth, gone),
    }
}

fn what_one_is_left(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    auth: AwsAuth,
    gone: &AccessEntry,
    canonical: &CanonicalArn,
) -> String {
    // Of before a principal had one entry alone, or of another authority: the last one of the order lets in, as for whoever knocks.
    let lets_in = |entry: &&Arc<Entry>| {
        let record = &entry.record;
        let account = gone.principal_arn.account();
        let mut trusted = cluster.trusted_accounts.iter();
        let own = entry.canonical.as_ref().map(CanonicalArn::as_str);
        record.id != gone.id
            && own.is_some_and(|own| own.eq_ignore_ascii_case(canonical.as_str()))
            && trusted.any(|pair| pair.account == account && pair.authority == record.authority)
    };
    let other = snapshot.entries().iter().rev().find(lets_in);
    let several = || snapshot.entry_of_several(&gone.authority, canonical.as_str());
    if let Some(entry) = other.or_else(several) {
        let record = &entry.record;
        return format!(
            "`{}` still resolves, by the access entry for `{}`: username `{}`, groups {:?}",
            gone.principal_arn, record.principal_arn, record.username, record.groups
        );
    }
    let nothing = format!("`{}` resolves to nothing in this cluster now", gone.principal_arn);
    if !counts_aws_auth(cluster.authentication_mode) {
        return nothing;
    }
    let in_force = InForce::compile(0, auth);
    if let Some(line) = in_force.line(canonical.as_str()) {
        let groups: Vec<&str> = line.groups.iter().map(lanyard_api::template::Template::as_str).collect();
        return format!(
            "`{}` still resolves, by {} of aws-auth: username `{}`, groups {groups:?}",
            gone.principal_arn,
            line.path(),
            line.username
        );
    }
    match in_force.account_line(gone.principal_arn.account()) {
        Some(_) => format!(
            "`{}` still resolves, by mapAccounts of aws-auth: username `{canonical}`, no groups",
            gone.principal_arn
        ),
        None => nothing,
    }
}

/// Whose lines of aws-auth count again; how many more there are who fit, nobody can know.
fn what_several_are_left(cluster: &Cluster, auth: &AwsAuth, gone: &AccessEntry) -> Vec<String> {
    if !counts_aws_auth(cluster.authentication_mode) {
        return vec![format!(
            "whoever `{}` means resolves to nothing in this cluster now",
            gone.principal_arn
        )];
    }
    let freed: Vec<&AwsAuthLine> =
        auth.lines.iter().filter(|line| gone.principal_arn.means(line.arn.as_str())).collect();
    let mut left: Vec<String> = freed
        .iter()
        .take(LEFT_SHOWN)
        .map(|line| {
            format!(
                "`{}` still resolves, by {} of aws-auth: username `{}`",
                line.arn,
                line.path(),
                line.username
            )
        })
        .collect();
    if let Some(more) = freed.len().checked_sub(LEFT_SHOWN).filter(|more| *more > 0) {
        left.push(format!("so do {more} more that `{}` meant", gone.principal_arn));
    }
    if auth.accounts.iter().any(|line| line.account == gone.principal_arn.account()) {
        left.push(format!(
            "whoever `{}` means still resolves, by mapAccounts of aws-auth: their canonical ARN as username, no groups",
            gone.principal_arn
        ));
    }
    if left.is_empty() {
        left.push(format!("whoever `{}` means resolves to nothing in this cluster now", gone.principal_arn));
    }
    left
}

//! What whoever changes an entry should know about others: whose username it takes, and what its principal is left with.

use std::sync::Arc;

use lanyard_api::{
    Authority, BlockId,
    aws_auth::{AwsAuth, AwsAuthLine},
    mapping::{AccessEntry, Cluster, EntryType},
};
use lanyard_iam::{CanonicalArn, PrincipalArn};
use lanyard_kit::clock::moment_text;
use time::OffsetDateTime;

use crate::{
    key,
    resolution::{can_be_named, counts_aws_auth},
    rules::{issuers::Issuers, sure},
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

/// Why a line of aws-auth lets nobody in, whoever its principal logs in as; nothing where it may.
pub(super) fn why_nobody(line: &AwsAuthLine, issuers: &Issuers) -> Option<String> {
    let (path, username) = (line.path(), line.username.as_str());
    if let Some((_, placeholder)) = line.lacks() {
        return Some(format!("{path} of aws-auth holds {{{{{}}}}}, which it never has", placeholder.name()));
    }
    if line.username.is_literal() || line.is_for_nodes() {
        return None;
    }
    let principal = PrincipalArn::parse(line.arn.as_str()).ok()?;
    let whose = |why: &str| format!("the username `{username}` of {path} of aws-auth {why}");
    if !can_be_named(&line.username, &principal) {
        return Some(whose("becomes a reserved name, or the ARN of another principal"));
    }
    let filled = sure::filled(username, principal.account, Some(line.arn.as_str()));
    issuers.taking(&filled).map(|issuer| whose(&issuer.why()))
}

/// Where somebody's entry has gone: what decides what is left to them.
pub(super) struct Left<'a> {
    pub(super) cluster: &'a Cluster,
    /// Of before.
    pub(super) snapshot: &'a ClusterSnapshot,
    /// The aws-auth in force.
    pub(super) auth: AwsAuth,
    pub(super) gone: &'a AccessEntry,
    /// The block that stops the principal, whatever it resolves to.
    pub(super) blocked: Option<BlockId>,
    pub(super) now: OffsetDateTime,
}

impl Left<'_> {
    /// What a principal still resolves to when its entry is gone.
    pub(super) fn told(self) -> Vec<String> {
        let Some(arn) = self.gone.principal_arn.one() else { return self.of_several() };
        let canonical = key::known_as(arn);
        let blocked = self.blocked;
        let left = self.of_one(&canonical);
        vec![match blocked {
            Some(block) => format!("`{arn}` is stopped by block `{block}`; without that: {left}"),
            None => left,
        }]
    }

    fn of_one(self, canonical: &CanonicalArn) -> String {
        let Self { gone, snapshot, now, .. } = self;
        // Of before a principal had one entry alone, or of another authority: the last one of the order lets in, as for whoever knocks.
        let lets_in = |entry: &&Arc<Entry>| {
            let own = entry.canonical.as_ref().map(CanonicalArn::as_str);
            entry.record.id != gone.id
                && own.is_some_and(|own| own.eq_ignore_ascii_case(canonical.as_str()))
                && self.is_trusted(Some(&entry.record.authority))
        };
        let other = snapshot.entries().iter().rev().find(lets_in);
        let several = || {
            let entry = snapshot.entry_of_several(&gone.authority, canonical.as_str());
            entry.filter(|_| self.is_trusted(Some(&gone.authority)))
        };
        if let Some(entry) = other.or_else(several) {
            let record = &entry.record;
            let behind = format!("the access entry for `{}`", record.principal_arn);
            if let Some(end) = record.ends_at.filter(|end| *end <= now) {
                return self.nothing(&format!(": {behind} ended at {}", moment_text(&end)));
            }
            if record.pin_until.is_some() && record.principal_id.is_none() {
                return self.nothing(&format!(": {behind} waits to be pinned to whoever logs in first"));
            }
            return format!(
                "`{}` still resolves, by {behind}: username `{}`, groups {:?}",
                gone.principal_arn, record.username, record.groups
            );
        }
        if let Some(why) = self.why_no_line_counts() {
            return self.nothing(&why);
        }
        let in_force = InForce::compile(0, self.auth.clone());
        if let Some(line) = in_force.line(canonical.as_str()) {
            // It stands before mapAccounts all the same.
            if let Some(why) = why_nobody(line, snapshot.issuers()) {
                return self.nothing(&format!(": {why}"));
            }
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
            None => self.nothing(""),
        }
    }

    /// Whose lines of aws-auth count again; how many more there are who fit, nobody can know.
    fn of_several(self) -> Vec<String> {
        let Self { gone, auth, .. } = &self;
        let nothing = |why: &str| {
            format!("whoever `{}` means resolves to nothing in this cluster now{why}", gone.principal_arn)
        };
        if let Some(why) = self.why_no_line_counts() {
            return vec![nothing(&why)];
        }
        let lets_in = |line: &&AwsAuthLine| {
            gone.principal_arn.means(line.arn.as_str()) && why_nobody(line, self.snapshot.issuers()).is_none()
        };
        let freed: Vec<&AwsAuthLine> = auth.lines.iter().filter(lets_in).collect();
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
            left.push(nothing(""));
        }
        left
    }

    fn nothing(&self, why: &str) -> String {
        format!("`{}` resolves to nothing in this cluster now{why}", self.gone.principal_arn)
    }

    /// Why aws-auth lets nobody of this account in, where it does not: nothing to say where the mode is without it.
    fn why_no_line_counts(&self) -> Option<String> {
        if !counts_aws_auth(self.cluster.authentication_mode) {
            return Some(String::new());
        }
        let account = self.gone.principal_arn.account();
        (!self.is_trusted(None)).then(|| format!(": it does not trust account {account}"))
    }

    /// Whether the cluster trusts the principal's account, under this authority or any.
    fn is_trusted(&self, authority: Option<&Authority>) -> bool {
        let account = self.gone.principal_arn.account();
        let mut trusted = self.cluster.trusted_accounts.iter().filter(|pair| pair.account == account);
        trusted.any(|pair| authority.is_none_or(|authority| pair.authority == *authority))
    }
}

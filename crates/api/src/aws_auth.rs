//! The aws-auth ConfigMap, read: whom its parts map to what, and what is wrong with it.
//!
//! Real ConfigMaps are written by hand, so reading is in two degrees. What makes the whole unreadable (YAML that does not
//! parse, a part that is no list) is *fatal*: such a version must not replace the one in force, or one typo locks everyone
//! out. What is wrong with one line costs that line alone, and is reported with its place in the document as pushed: it is
//! *left out*, or *kept* where it counts all the same.
//!
//! One part that cannot be read is fatal to those beside it too. To take these without it would lock out whom it maps, and to
//! take them beside the same part of the version before would make a map that nobody has written: somebody who was moved from
//! one part to another, or taken from both, would be in neither or in both.
//!
//! So is a part that is misspelt, or stands where none is read: nobody means that. And so is a ConfigMap without data, unless a
//! server has written it (it leaves `data` out where that is empty), for a file that was cut looks the same.
//!
//! And so is a line with which more is made of the document than may be held, for an alias makes much of little. Of a version that
//! was accepted when there was no such bound, that line and those behind it are left out: a hub that reads it has to start.
//!
//! The form may be any that holds the data: the ConfigMap as `kubectl get -o yaml|json` prints it, a list with it inside,
//! its `data` alone; each part as text (as Kubernetes keeps it) or as a native list.

mod budget;
mod document;
mod lines;
mod merge;
mod spelling;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;

use lanyard_iam::{AccountId, CanonicalArn, FoldedArn, PrincipalArn, shown};

use crate::{
    mapping::{AwsAuthEffect, AwsAuthFinding},
    template::{Placeholder, Template},
};

/// Longest document, in bytes: what Kubernetes lets a ConfigMap hold.
pub const CONTENT_BYTES_MAX: usize = 1024 * 1024;

/// Most lines of one part.
pub const LINES_MAX: usize = 5_000;

/// Most groups of one line.
pub const GROUPS_MAX: usize = 100;

/// Most that the lines of one document may take, in bytes of memory: each process of mapping and authz holds them. A ConfigMap that is
/// full, with each group on a line of its own, takes about six MiB, and one that repeats lists of groups by an alias could take
/// thousands.
pub const MAP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most findings that are kept; beyond them only their number.
pub const FINDINGS_MAX: usize = 200;

/// The group that makes an administrator of whoever is in it, whatever any authorizer says.
pub const MASTERS_GROUP: &str = "system:masters";

/// The group of nodes, which a mapping by session name must name to be a node's.
pub const NODES_GROUP: &str = "system:nodes";

/// How a node's username begins.
pub const NODE_USERNAME_PREFIX: &str = "system:node:";

/// Prefixes that no mapping may give a username, nodes apart (EKS's, and our own).
pub const RESERVED_USERNAME_PREFIXES: [&str; 6] = ["system:", "eks:", "aws:", "amazon:", "iam:", "lanyard:"];

/// The three parts of aws-auth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AwsAuthPart {
    /// `mapRoles`
    MapRoles,
    /// `mapUsers`
    MapUsers,
    /// `mapAccounts`
    MapAccounts,
}

impl AwsAuthPart {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 3] = [Self::MapRoles, Self::MapUsers, Self::MapAccounts];

    /// Its key in the ConfigMap.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MapRoles => "mapRoles",
            Self::MapUsers => "mapUsers",
            Self::MapAccounts => "mapAccounts",
        }
    }
}

impl fmt::Display for AwsAuthPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an aws-auth maps. Lines that can never match, or that a later one of the same principal overrides, are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsAuth {
    /// Of `mapRoles` and `mapUsers`, in this order and within it as they stand.
    pub lines: Vec<AwsAuthLine>,
    /// Of `mapAccounts`.
    pub accounts: Vec<AwsAuthAccount>,
    /// Lines whose ARN no identity ever has, for near misses.
    pub dead: Vec<DeadLine>,
}

/// One principal's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsAuthLine {
    /// `mapRoles` or `mapUsers`.
    pub part: AwsAuthPart,
    /// Its place in its part, from 0.
    pub index: usize,
    /// Its line in the document, from 1.
    pub line: u32,
    /// Whom it maps; compared ignoring case.
    pub arn: CanonicalArn,
    /// What it maps to.
    pub username: Template,
    /// The groups it gives.
    pub groups: Vec<Template>,
}

impl AwsAuthLine {
    /// The key it is looked up by.
    #[must_use]
    pub fn key(&self) -> FoldedArn {
        self.arn.folded()
    }

    /// `mapRoles[3]`
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}[{}]", self.part, self.index)
    }

    /// Whether it maps nodes: its username is exactly one of the two that nodes have.
    #[must_use]
    pub fn is_for_nodes(&self) -> bool {
        lines::is_node_username(&self.username)
    }

    /// Its username and its groups.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        std::iter::once(&self.username).chain(&self.groups)
    }

    /// Why it never maps anybody, where it never does: one of its templates, and what its principal has nothing for.
    #[must_use]
    pub fn lacks(&self) -> Option<(&Template, Placeholder)> {
        let kind = PrincipalArn::parse(self.arn.as_str()).ok()?.kind;
        self.templates().find_map(|template| template.lacks(&kind).map(|placeholder| (template, placeholder)))
    }

    /// Whether it gives the group of administrators.
    #[must_use]
    pub fn gives_masters(&self) -> bool {
        self.groups.iter().any(|group| group.as_str() == MASTERS_GROUP)
    }
}

/// An account whose principals are all let in, each under its ARN and without groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwsAuthAccount {
    /// Its place in `mapAccounts`, from 0.
    pub index: usize,
    /// Its line in the document, from 1.
    pub line: u32,
    /// The account.
    pub account: AccountId,
}

/// A line that no identity ever matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLine {
    /// `mapRoles[3]`
    pub path: String,
    /// The ARN as written.
    pub written: String,
    /// The one that would match.
    pub canonical: CanonicalArn,
}

/// A document that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What it maps; empty where a finding is fatal, but for a version that was accepted once ([`AwsAuth::of_accepted`]).
    pub auth: AwsAuth,
    /// What is wrong with it, in the order of its lines.
    pub findings: Vec<AwsAuthFinding>,
}

impl Checked {
    /// Whether the version is bad as a whole.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.findings.iter().any(AwsAuthFinding::is_fatal)
    }
}

impl AwsAuth {
    /// Reads a document. Never fails: what is wrong stands in the findings.
    #[must_use]
    pub fn check(content: &str) -> Checked {
        let (auth, findings) = Self::read(content);
        let fatal = findings.iter().any(AwsAuthFinding::is_fatal);
        Checked { auth: if fatal { Self::default() } else { auth }, findings }
    }

    /// What a version maps that was accepted when it came: also where it would be refused by now, for a rule that came later
    /// must not cut off whom it maps. A fatal finding says why it would be. Lines beyond [`MAP_BYTES_MAX`] alone are left out.
    #[must_use]
    pub fn of_accepted(content: &str) -> Checked {
        let (auth, findings) = Self::read(content);
        Checked { auth, findings }
    }

    fn read(content: &str) -> (Self, Vec<AwsAuthFinding>) {
        let mut findings = Findings::default();
        let mut auth = Self::default();
        if content.len() > CONTENT_BYTES_MAX {
            let message =
                format!("the document has {} bytes, a ConfigMap holds {CONTENT_BYTES_MAX}", content.len());
            findings.fatal(None, "", message);
        } else if let Some(parts) = document::parts(content, &mut findings) {
            let mut budget = budget::Budget::whole();
            for (part, node) in parts {
                lines::read(part, &node, content, &mut auth, &mut budget, &mut findings);
            }
        }
        (auth, findings.finish())
    }
}

/// Collects findings within their limit.
#[derive(Default)]
struct Findings {
    list: Vec<AwsAuthFinding>,
    more: usize,
    /// Whether one of those leaves something out.
    more_is_left_out: bool,
    /// Whether one is fatal.
    is_fatal: bool,
}

impl Findings {
    /// A fault of a part, which is left out: the rest counts.
    fn minor(&mut self, at: Option<tree::Position>, path: impl Into<String>, message: impl Into<String>) {
        self.push(AwsAuthEffect::LeftOut, at, path.into(), message.into());
    }

    /// What looks wrong and counts all the same.
    fn kept(&mut self, at: Option<tree::Position>, path: impl Into<String>, message: impl Into<String>) {
        self.push(AwsAuthEffect::Kept, at, path.into(), message.into());
    }

    /// A fault of the whole.
    fn fatal(&mut self, at: Option<tree::Position>, path: impl Into<String>, message: impl Into<String>) {
        self.push(AwsAuthEffect::Fatal, at, path.into(), message.into());
    }

    fn push(&mut self, effect: AwsAuthEffect, at: Option<tree::Position>, path: String, message: String) {
        // The first that is fatal is told however many there are.
        let is_news = effect == AwsAuthEffect::Fatal && !self.is_fatal;
        self.is_fatal |= is_news;
        if self.list.len() >= FINDINGS_MAX && !is_news {
            self.more += 1;
            self.more_is_left_out |= effect == AwsAuthEffect::LeftOut;
            return;
        }
        let at = at.unwrap_or(tree::Position { line: 0, column: 0 });
        let message = on_one_line(message);
        self.list.push(AwsAuthFinding { effect, line: at.line, column: at.column, path, message });
    }

    fn finish(mut self) -> Vec<AwsAuthFinding> {
        self.list.sort_by_key(|finding| (finding.line, finding.column));
        if self.more > 0 {
            let message = format!("{} more findings are not shown", self.more);
            let effect = if self.more_is_left_out { AwsAuthEffect::LeftOut } else { AwsAuthEffect::Kept };
            self.list.push(AwsAuthFinding { effect, line: 0, column: 0, path: String::new(), message });
        }
        self.list
    }
}

/// A message whatever part of the input it repeats: what breaks lines or speaks to terminals is escaped.
fn on_one_line(message: String) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if !message.contains(breaks) {
        return message;
    }
    let mut line = String::with_capacity(message.len() + 16);
    for c in message.chars() {
        if breaks(c) {
            line.extend(c.escape_debug());
        } else {
            line.push(c);
        }
    }
    line
}

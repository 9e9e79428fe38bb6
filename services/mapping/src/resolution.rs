//! Which badge a knock gets: the trusted account, then by the cluster's mode its access entry, then aws-auth.
//!
//! Pure: it answers from a cluster's snapshot and the time, and nothing else.

use std::sync::Arc;

use lanyard_api::{
    Authority,
    aws_auth::AwsAuthPart,
    grants,
    mapping::{AuthenticationMode, Cluster, Grant, GrantKind, MatchedBy, Node},
    template::{Placeholder, Template},
};
use lanyard_iam::{EntryPrincipal, PatternSubject, PrincipalArn, PrincipalKind};
use lanyard_kit::clock::moment_text;
use time::OffsetDateTime;

use crate::{
    key,
    knock::Knock,
    rules::{cluster::is_instance_id, entry::reserved_prefix, issuers::Issuer, sure},
    snapshot::{ClusterSnapshot, Entry, InForce, line_grant},
};

/// What somebody gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Badge {
    pub(crate) username: String,
    pub(crate) groups: Vec<String>,
    pub(crate) grant: Grant,
    pub(crate) matched_by: MatchedBy,
    /// When it would be another one, with nothing changed.
    pub(crate) ends_at: Option<OffsetDateTime>,
    /// Whether EC2's word is what makes the session a node.
    pub(crate) by_ec2: bool,
}

/// Why somebody gets none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// What may be done so that they are not refused after all.
    pub(crate) asks: Option<Asks>,
}

/// What an answer from memory lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// EC2 may know better: the session is an instance's that nobody bound to a name.
    Ec2,
    /// The entry waits for whoever knocks first, and this is somebody it could be for.
    Pin,
}

impl Refused {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), asks: None }
    }
}

/// Nothing maps this principal.
pub(crate) const UNMAPPED: &str = "unmapped";
/// The cluster does not trust the account, or not under this authority.
pub(crate) const UNTRUSTED_ACCOUNT: &str = "untrusted_account";
/// The entry is for another principal that bore the same ARN.
pub(crate) const STALE_ENTRY: &str = "stale_entry";
/// The entry's end has passed.
pub(crate) const ENTRY_ENDED: &str = "entry_ended";
/// The entry waits for whom it will be pinned to.
pub(crate) const UNPINNED_ENTRY: &str = "unpinned_entry";
/// The template has no value for this identity, or becomes somebody else's name.
pub(crate) const TEMPLATE_REFUSED: &str = "template_refused";
/// The template becomes a reserved name.
pub(crate) const RESERVED_USERNAME: &str = "reserved_username";
/// The proof could not name all that the session descends from.
pub(crate) const SESSION_KIN: &str = "session_kin";
/// No node is bound to this session.
pub(crate) const UNKNOWN_NODE: &str = "unknown_node";

/// A cluster at a moment.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) snapshot: &'a ClusterSnapshot,
    pub(crate) now: OffsetDateTime,
    /// The instance that EC2 says the session to be, where it was asked.
    instance: Option<&'a Node>,
}

impl<'a> World<'a> {
    pub(crate) fn new(cluster: &'a Cluster, snapshot: &'a ClusterSnapshot, now: OffsetDateTime) -> Self {
        Self { cluster, snapshot, now, instance: None }
    }

    /// The same, with what EC2 says about the session.
    pub(crate) fn with_instance(self, instance: &'a Node) -> Self {
        Self { instance: Some(instance), ..self }
    }
}

impl World<'_> {
    /// The badge, or why there is none. An entry wins over aws-auth entirely: where it has ended or gone stale, what stands
    /// behind it does not count either, or an end would raise rights.
    pub(crate) fn resolve(&self, knock: &Knock<'_>) -> Result<Badge, Refused> {
        self.trusted(knock)?;
        if counts_entries(self.cluster.authentication_mode)
            && let Some((entry, matched_by)) = self.entry(knock)?
        {
            return self.by_entry(knock, entry, matched_by);
        }
        if let Some(in_force) = self.aws_auth() {
            if let Some(badge) = self.by_line(knock, in_force)? {
                return Ok(badge);
            }
            if let Some(badge) = self.by_account(knock, in_force) {
                return Ok(badge);
            }
        }
        Err(Refused::new(
            UNMAPPED,
            format!(
                "nothing maps `{}` in cluster `{}`: {}",
                knock.canonical,
                self.cluster.id,
                what_would_map(self.cluster.authentication_mode)
            ),
        ))
    }

    /// The aws-auth that counts.
    pub(crate) fn aws_auth(&self) -> Option<&InForce> {
        self.snapshot.aws_auth.as_deref().filter(|_| counts_aws_auth(self.cluster.authentication_mode))
    }

    fn trusted(&self, knock: &Knock<'_>) -> Result<(), Refused> {
        let listed = |pair: &lanyard_api::TrustedAccount| {
            pair.account == knock.account && pair.authority == *knock.authority
        };
        if knock.partition == self.cluster.partition && self.cluster.trusted_accounts.iter().any(listed) {
            return Ok(());
        }
        let message = format!(
            "cluster `{}` does not trust account {} of {}: add the pair to its trusted accounts",
            self.cluster.id, knock.account, knock.authority
        );
        Err(Refused::new(UNTRUSTED_ACCOUNT, message))
    }

    /// By the unique id where it is known on both sides, else by authority, partition, account and name; an entry that names
    /// several comes after one that names the principal alone.
    fn entry(&self, knock: &Knock<'_>) -> Result<Option<(&Entry, MatchedBy)>, Refused> {
        if let Some(entry) = self.snapshot.entry_by_id(knock) {
            return Ok(Some((entry, MatchedBy::PrincipalId)));
        }
        let Some((entry, matched_by)) = self.entry_by_name(knock) else { return Ok(None) };
        match (&entry.record.principal_id, knock.principal_id) {
            (None, _) => Ok(Some((entry, matched_by))),
            (Some(bound), Some(id)) if **bound == *id => Ok(Some((entry, MatchedBy::PrincipalId))),
            // Nobody proved who asks: the question is what the entry's own principal gets.
            (Some(_), None) => Ok(Some((entry, MatchedBy::PrincipalId))),
            (Some(_), Some(_)) => Err(Refused::new(
                STALE_ENTRY,
                format!(
                    "the entry for `{}` was made for another principal that bore this ARN: re-bind it or delete it",
                    entry.record.principal_arn
                ),
            )),
        }
    }

    fn entry_by_name(&self, knock: &Knock<'_>) -> Option<(&Entry, MatchedBy)> {
        let canonical = knock.canonical.as_str();
        if let Some(entry) = self.snapshot.entry_of(knock.authority, canonical) {
            return Some((entry, MatchedBy::Arn));
        }
        let entry = self.snapshot.entry_of_several(knock.authority, canonical)?;
        let matched_by = match entry.record.principal_arn {
            EntryPrincipal::PermissionSet(_) => MatchedBy::PermissionSet,
            _ => MatchedBy::Pattern,
        };
        Some((entry, matched_by))
    }

    /// Whether an entry that waits to be pinned lets this one in: nobody, but who is supposed in a question.
    fn pinned(&self, knock: &Knock<'_>, entry: &Entry) -> Result<(), Refused> {
        let record = &entry.record;
        let Some(until) = record.pin_until.filter(|_| record.principal_id.is_none()) else { return Ok(()) };
        if until <= self.now {
            let message = format!(
                "nobody logged in by the entry for `{}` while it could be pinned, until {}: give it a later moment",
                record.principal_arn,
                moment_text(&until)
            );
            return Err(Refused::new(ENTRY_ENDED, message));
        }
        if knock.principal_id.is_none() {
            return Ok(());
        }
        let message = format!(
            "the entry for `{}` will be pinned to whoever logs in first, until {}: nobody has yet",
            record.principal_arn,
            moment_text(&until)
        );
        Err(Refused { asks: Some(Asks::Pin), ..Refused::new(UNPINNED_ENTRY, message) })
    }

    fn by_entry(&self, knock: &Knock<'_>, entry: &Entry, matched_by: MatchedBy) -> Result<Badge, Refused> {
        if let Some(end) = entry.record.ends_at.filter(|end| *end <= self.now) {
            let (arn, end) = (&entry.record.principal_arn, moment_text(&end));
            let message = format!("the entry for `{arn}` ended at {end}: give it a later end");
            return Err(Refused::new(ENTRY_ENDED, message));
        }
        self.pinned(knock, entry)?;
        let for_nodes = crate::rules::entry::is_node_type(entry.record.entry_type);
        let written_for =
            if entry.means_one { Whose::One(&entry.record.principal_arn) } else { Whose::Several };
        let own = Own { node: for_nodes, default_name: entry.has_default_name, whose: written_for };
        let username = self.username(&entry.username, knock, own)?;
        let grant = Grant {
            kind: GrantKind::AccessEntry,
            id: entry.record.id,
            revision: self.snapshot.revision,
            name: Arc::clone(&entry.name),
        };
        let groups = entry.record.groups.clone();
        Ok(Badge { username, groups, grant, matched_by, ends_at: entry.record.ends_at, by_ec2: false })
    }

    fn by_line(&self, knock: &Knock<'_>, in_force: &InForce) -> Result<Option<Badge>, Refused> {
        let Some(line) = in_force.line(knock.canonical.as_str()) else { return Ok(None) };
        let for_nodes = line.is_for_nodes();
        let own = Own { node: for_nodes, default_name: false, whose: Whose::Knocking };
        let username = self.username(&line.username, knock, own)?;
        let mut groups = Vec::with_capacity(line.groups.len());
        for group in &line.groups {
            let name = self.expand(group, knock, for_nodes)?;
            if !group.is_literal() && reserved_prefix(&name).is_some() {
                let message = format!("the group `{group}` becomes `{name}`, which is reserved");
                return Err(Refused::new(TEMPLATE_REFUSED, message));
            }
            groups.push(name);
        }
        let grant = Grant {
            kind: GrantKind::AwsAuth,
            id: line_grant(self.cluster.uid, line),
            revision: self.snapshot.revision,
            name: format!("aws-auth version {}, {} line {}", in_force.version, line.part, line.line).into(),
        };
        let matched_by = MatchedBy::AwsAuthArn;
        Ok(Some(Badge { username, groups, grant, matched_by, ends_at: None, by_ec2: false }))
    }

    fn by_account(&self, knock: &Knock<'_>, in_force: &InForce) -> Option<Badge> {
        let line = in_force.account_line(knock.account)?;
        let part = AwsAuthPart::MapAccounts;
        let grant = Grant {
            kind: GrantKind::AwsAuth,
            id: grants::aws_auth_grant(self.cluster.uid, part, knock.account.as_str()),
            revision: self.snapshot.revision,
            name: format!("aws-auth version {}, {part} line {line}", in_force.version).into(),
        };
        let username = knock.canonical.to_string();
        let matched_by = MatchedBy::AwsAuthAccount;
        Some(Badge { username, groups: Vec::new(), grant, matched_by, ends_at: None, by_ec2: false })
    }

    /// What a template becomes, refused where it is a reserved name or another principal's.
    fn username(&self, template: &Template, knock: &Knock<'_>, own: Own<'_>) -> Result<String, Refused> {
        let name = self.expand(template, knock, own.node)?;
        if own.node || template.is_literal() {
            return Ok(name);
        }
        if let Some(prefix) = reserved_prefix(&name) {
            let message = format!("the username `{template}` becomes `{name}`: `{prefix}` is reserved");
            return Err(Refused::new(RESERVED_USERNAME, message));
        }
        if let Some(issuer) = self.issuer_of(template, &name, knock, own) {
            let message = format!("the username `{template}` becomes `{name}`, which {}", issuer.why());
            return Err(Refused::new(TEMPLATE_REFUSED, message));
        }
        if self.is_anothers(&name, knock, own.default_name) {
            let message = format!("the username `{template}` becomes `{name}`, which is another principal's");
            return Err(Refused::new(TEMPLATE_REFUSED, message));
        }
        Ok(name)
    }

    /// The OIDC issuer that what a template became is one of, or where it gives usernames without a prefix, may be.
    fn issuer_of(&self, template: &Template, name: &str, knock: &Knock<'_>, own: Own<'_>) -> Option<&Issuer> {
        let issuers = self.snapshot.issuers();
        let is_taken = |issuer: &&Issuer| {
            let canonical = own.whose.is_one(knock).then_some(knock.canonical.as_str());
            issuer.takes(&sure::filled(template.as_str(), knock.account, canonical))
        };
        issuers.of_name(name).or_else(|| issuers.without_prefix().find(is_taken))
    }

    /// Another's literal username in this cluster, or one in the form of another principal's default (its ARN).
    fn is_anothers(&self, name: &str, knock: &Knock<'_>, is_default_name: bool) -> bool {
        if !is_default_name && name.starts_with("arn:") && !is_own_arn(name, knock) {
            return true;
        }
        let (mode, canonical) = (self.cluster.authentication_mode, knock.canonical.as_str());
        (counts_entries(mode) && self.snapshot.is_entry_name_of_another(name, canonical))
            || (counts_aws_auth(mode) && self.snapshot.is_aws_auth_name_of_another(name, canonical))
    }

    fn expand(&self, template: &Template, knock: &Knock<'_>, for_nodes: bool) -> Result<String, Refused> {
        let missing = |what: &str| {
            let message = format!("`{template}` needs {what}, and `{}` has none", knock.canonical);
            Refused::new(TEMPLATE_REFUSED, message)
        };
        template.expand(|placeholder| match placeholder {
            Placeholder::AccountId => Ok(knock.account.as_str()),
            Placeholder::AccessKeyId => knock
                .access_key_id
                .map(lanyard_iam::AccessKeyId::as_str)
                .ok_or_else(|| missing("an access key")),
            Placeholder::PrincipalName => {
                principal_name(knock.canonical.as_str()).ok_or_else(|| missing("a name"))
            }
            Placeholder::Ec2PrivateDnsName => {
                self.node(knock, true).map(|node| node.private_dns_name.as_str())
            }
            Placeholder::SessionName if for_nodes => {
                self.node(knock, false).map(|node| node.private_dns_name.as_str())
            }
            Placeholder::SessionName | Placeholder::SessionNameRaw => {
                knock.session_name.ok_or_else(|| missing("a session name"))
            }
        })
    }

    /// The node that a session is. Its name is chosen by whoever makes the session, so it is believed only as far as the
    /// node was bound to: its role, and where the hub keeps it, its key. Who was bound by name comes before EC2's word.
    fn node(&self, knock: &Knock<'_>, on_ec2: bool) -> Result<&Node, Refused> {
        let session = knock.session_name.unwrap_or_default();
        let of_ec2 = |_: &&Node| !on_ec2 || is_instance_id(session);
        let Some(node) = self.snapshot.nodes.get(session).filter(of_ec2) else {
            return self.instance_node(knock, on_ec2);
        };
        let key_fits = match &node.access_key_id {
            None => true,
            // A key kept by the hub can be told; an ARN that nobody proved has none to tell.
            Some(key) => *knock.authority == Authority::Local && knock.comes_of_key(key),
        };
        let role_fits = is_of_role(node, knock);
        if role_fits && (key_fits || knock.access_key_id.is_none()) {
            return Ok(node);
        }
        let bound_to = if role_fits { "another key" } else { "another role" };
        let message = format!("the node of session `{session}` is bound to {bound_to}");
        Err(Refused::new(UNKNOWN_NODE, message))
    }

    /// The node that EC2 says the session to be.
    fn instance_node(&self, knock: &Knock<'_>, on_ec2: bool) -> Result<&Node, Refused> {
        let session = knock.session_name.unwrap_or_default();
        match self.instance.filter(|_| on_ec2) {
            Some(node) if is_of_role(node, knock) => Ok(node),
            Some(node) => {
                let runs_with = node.role_arn.as_deref().unwrap_or("no role");
                let message =
                    format!("instance `{session}` runs with {runs_with}, and not with `{}`", knock.canonical);
                Err(Refused::new(UNKNOWN_NODE, message))
            }
            None => {
                let message =
                    format!("no node of the cluster is bound to session `{session}`: bind it first");
                let asks = (on_ec2 && is_instance_id(session)).then_some(Asks::Ec2);
                Err(Refused { asks, ..Refused::new(UNKNOWN_NODE, message) })
            }
        }
    }
}

/// The name in the canonical ARN of a user or role.
fn principal_name(canonical: &str) -> Option<&str> {
    PatternSubject::of(canonical).map(|subject| subject.name)
}

/// Whether whoever knocks has the role whose sessions may be this node.
fn is_of_role(node: &Node, knock: &Knock<'_>) -> bool {
    node.role_arn.as_deref().is_some_and(|role| role.eq_ignore_ascii_case(knock.canonical.as_str()))
}

/// What a template is to its principal.
#[derive(Clone, Copy)]
struct Own<'a> {
    /// It names a node, by what the node was bound to.
    node: bool,
    /// It is the default of the principal itself.
    default_name: bool,
    whose: Whose<'a>,
}

/// For whom a template was written.
#[derive(Clone, Copy)]
enum Whose<'a> {
    /// For whoever knocks, by their ARN.
    Knocking,
    /// For one principal, under this name. Found by unique id, they may have another one by now, which nobody kept from others.
    One(&'a EntryPrincipal),
    /// For whoever of several knocks.
    Several,
}

impl Whose<'_> {
    /// Whether it is that of one principal and no other, under the name that was written.
    fn is_one(self, knock: &Knock<'_>) -> bool {
        match self {
            Self::Knocking => true,
            Self::One(principal) => principal.means(knock.canonical.as_str()),
            Self::Several => false,
        }
    }
}

/// Whether a username in the form of an ARN is that of whoever knocks: their principal's, or their own session's.
fn is_own_arn(name: &str, knock: &Knock<'_>) -> bool {
    let Ok(arn) = PrincipalArn::parse(name) else { return false };
    let own_session = match (&arn.kind, knock.session_name) {
        (PrincipalKind::AssumedRole { session, .. }, Some(own)) => {
            *session == own || *session == own.replace('@', "-")
        }
        (PrincipalKind::AssumedRole { .. }, None) => false,
        _ => true,
    };
    own_session && key::known_as(&arn).as_str().eq_ignore_ascii_case(knock.canonical.as_str())
}

/// Whether a username can ever be a name of this principal's, as far as the two alone tell: it has a value for each
/// placeholder, and what comes of them is neither reserved nor in the form of another's ARN.
pub(crate) fn can_be_named(username: &Template, principal: &PrincipalArn) -> bool {
    /// Whatever the session and its key are called.
    const SESSION: &str = "session";
    const KEY: &str = "LKIAANYANYANYANYANYA";
    if username.lacks(&principal.kind).is_some() {
        return false;
    }
    let canonical = key::known_as(principal);
    let name = username.expand(|placeholder| match placeholder {
        Placeholder::AccountId => Ok(principal.account.as_str()),
        Placeholder::AccessKeyId => Ok(KEY),
        Placeholder::PrincipalName => principal_name(canonical.as_str()).ok_or(()),
        Placeholder::SessionName | Placeholder::SessionNameRaw | Placeholder::Ec2PrivateDnsName => {
            Ok(SESSION)
        }
    });
    let Ok(name) = name else { return false };
    let knock = Knock {
        session_name: Some(SESSION),
        ..Knock::supposed(&Authority::Local, principal, &canonical, None)
    };
    let is_anothers_arn = name.starts_with("arn:") && !is_own_arn(&name, &knock);
    username.is_literal() || (reserved_prefix(&name).is_none() && !is_anothers_arn)
}

/// Whether access entries count.
pub(crate) fn counts_entries(mode: AuthenticationMode) -> bool {
    mode != AuthenticationMode::ConfigMap
}

/// Whether aws-auth counts.
pub(crate) fn counts_aws_auth(mode: AuthenticationMode) -> bool {
    mode != AuthenticationMode::Api
}

/// What to do for somebody whom nothing maps: make what counts in the cluster's mode.
fn what_would_map(mode: AuthenticationMode) -> &'static str {
    match mode {
        AuthenticationMode::ConfigMap => "give it a line in aws-auth, which alone counts in mode CONFIG_MAP",
        AuthenticationMode::ApiAndConfigMap => "make an access entry for it, or give it a line in aws-auth",
        AuthenticationMode::Api => "make an access entry for it, which alone counts in mode API",
    }
}

#[cfg(test)]
mod tests;

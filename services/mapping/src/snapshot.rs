//! A cluster's mappings, compiled for lookup: whom each principal is, in one step, however many there are.

mod listed;
mod place;
mod several;
mod templates;

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use lanyard_api::{
    Authority, EntryId, Revision,
    aws_auth::{AwsAuth, AwsAuthLine, AwsAuthPart},
    grants,
    mapping::{
        AccessEntry, AwsAuthVersion, Block, BreakGlass, IdentityProviderConfig, Node, PolicyAssociation,
    },
    template::Template,
};
use lanyard_iam::{AccountId, CanonicalArn, EntryPrincipal, PrincipalArn};
use lanyard_store::StaleEntry;

pub(crate) use self::listed::Listed;
pub(crate) use self::place::Place;
use self::several::Several;
use self::templates::Templates;
pub(crate) use self::templates::{LOOKED_AT_MAX, TooMany};
use crate::{
    blocks::BlockSet,
    key,
    knock::Knock,
    rules::{entry::default_username, issuers::Issuers},
};

/// A cluster at one revision.
#[derive(Debug, Default)]
pub(crate) struct ClusterSnapshot {
    pub(crate) revision: Revision,
    entries: Listed,
    by_id: Map<usize>,
    by_principal: Map<usize>,
    several: Several,
    by_number: HashMap<EntryId, usize, RandomState>,
    /// Those that vouch for some entry's account.
    authorities: Vec<Authority>,
    entry_names: Names,
    entry_templates: Templates,
    pub(crate) associations: AssociationsByEntry,
    stale: HashMap<EntryId, StaleEntry, RandomState>,
    /// Policy's ARN → the entries that have it, in the order of all.
    by_policy: Map<Listed>,
    pub(crate) aws_auth: Option<Arc<InForce>>,
    pub(crate) versions: Vec<Arc<AwsAuthVersion>>,
    pub(crate) nodes: Map<Node>,
    /// Private DNS name → session.
    node_names: Map<Box<str>>,
    pub(crate) blocks: BlockSet,
    pub(crate) block_list: Vec<Block>,
    pub(crate) break_glass: Option<BreakGlass>,
    identity_providers: Vec<Arc<IdentityProviderConfig>>,
    issuers: Issuers,
}

type Map<T> = HashMap<Box<str>, T, RandomState>;

/// The associations of an entry, in the order of their policies' ARNs. Snapshots, and who keeps what was in one, share them: an entry may
/// have forty, each with a hundred namespaces.
pub(crate) type Associations = Arc<Vec<Arc<PolicyAssociation>>>;

/// Those of each entry that has any.
pub(crate) type AssociationsByEntry = HashMap<EntryId, Associations, RandomState>;

/// An entry, its username parsed.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: AccessEntry,
    pub(crate) username: Template,
    /// What its principal is known as when it knocks; nothing where it names several.
    pub(crate) canonical: Option<CanonicalArn>,
    /// It means one principal and no other, whose name is sure.
    pub(crate) means_one: bool,
    /// The username is the default one of its principal, so that what it becomes is never another's ARN.
    pub(crate) has_default_name: bool,
    /// For people: `access entry arn:…`.
    pub(crate) name: Arc<str>,
}

/// What an entry is called by before its principals.
const NAMED: &str = "access entry ";

impl Entry {
    pub(crate) fn compile(record: AccessEntry) -> Result<Self, lanyard_api::template::TemplateError> {
        Ok(Self {
            username: Template::parse(&record.username)?,
            canonical: record.principal_arn.one().map(key::known_as),
            means_one: key::one_of(&record.principal_arn).is_some(),
            has_default_name: record.username == default_username(record.entry_type, &record.principal_arn),
            name: format!("{NAMED}{}", record.principal_arn).into(),
            record,
        })
    }
}

impl Entry {
    /// Whom it names, as it is written. Lists of many are made of these, so that it is kept and not written anew.
    pub(crate) fn principals(&self) -> &str {
        self.name.get(NAMED.len()..).unwrap_or_default()
    }

    /// Where it stands in lists.
    pub(crate) fn place(&self) -> Place<'_> {
        Place::new(self.principals(), &self.record.authority)
    }
}

/// The version of aws-auth that counts.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) version: u64,
    pub(crate) auth: AwsAuth,
    roles: Map<usize>,
    users: Map<usize>,
    accounts: HashMap<AccountId, u32, RandomState>,
    names: Names,
    templates: Templates,
}

impl InForce {
    pub(crate) fn compile(version: u64, auth: AwsAuth) -> Self {
        let (mut roles, mut users) = (Map::default(), Map::default());
        let (mut names, mut templates) = (Names::default(), Templates::default());
        for (at, line) in auth.lines.iter().enumerate() {
            let map = if line.part == AwsAuthPart::MapUsers { &mut users } else { &mut roles };
            map.insert(line.key().as_str().into(), at);
            if line.username.is_literal() {
                names.add(line.username.as_str(), line.key().as_str());
            } else if let Ok(principal) = PrincipalArn::parse(line.arn.as_str()) {
                templates.add(&line.username, principal.account, Some(line.arn.as_str()));
            }
        }
        let accounts = auth.accounts.iter().map(|account| (account.account, account.line)).collect();
        Self { version, auth, roles, users, accounts, names, templates }
    }

    /// The line that maps a principal: roles before users.
    pub(crate) fn line(&self, canonical: &str) -> Option<&AwsAuthLine> {
        let at = key::arn(canonical, |arn| self.roles.get(arn).or_else(|| self.users.get(arn)).copied())?;
        self.auth.lines.get(at)
    }

    /// The line of the document that lets a whole account in.
    pub(crate) fn account_line(&self, account: AccountId) -> Option<u32> {
        self.accounts.get(&account).copied()
    }
}

/// Whose a username is, where somebody bears it literally.
#[derive(Debug, Default)]
struct Names(Map<Owner>);

#[derive(Debug)]
enum Owner {
    /// This principal's, by its canonical ARN in lower case.
    One(Box<str>),
    /// Several share it.
    Several,
}

impl Names {
    fn add(&mut self, name: &str, owner: &str) {
        self.0
            .entry(name.into())
            .and_modify(|known| {
                if !matches!(known, Owner::One(one) if **one == *owner) {
                    *known = Owner::Several;
                }
            })
            .or_insert_with(|| Owner::One(owner.into()));
    }

    fn is_anothers(&self, name: &str, canonical: &str) -> bool {
        match self.0.get(name) {
            None => false,
            Some(Owner::Several) => true,
            Some(Owner::One(owner)) => !owner.eq_ignore_ascii_case(canonical),
        }
    }
}

/// What a snapshot is compiled from.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    pub(crate) revision: Revision,
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) associations: AssociationsByEntry,
    pub(crate) stale: Vec<&'a StaleEntry>,
    /// In the order of their numbers.
    pub(crate) versions: Vec<Arc<AwsAuthVersion>>,
    pub(crate) aws_auth: Option<Arc<InForce>>,
    pub(crate) identity_providers: Vec<Arc<IdentityProviderConfig>>,
    pub(crate) nodes: Vec<&'a Node>,
    pub(crate) blocks: Vec<&'a Block>,
    pub(crate) break_glass: Option<&'a BreakGlass>,
}

impl ClusterSnapshot {
    pub(crate) fn compile(parts: Parts<'_>) -> Self {
        let Parts { revision, entries, associations, versions, aws_auth, .. } = parts;
        let Parts { mut identity_providers, nodes, blocks, break_glass, stale, .. } = parts;
        let entries = Listed::new(entries);
        let break_glass = break_glass.cloned();
        let mut snapshot =
            Self { revision, associations, versions, aws_auth, break_glass, ..Self::default() };
        for (at, entry) in entries.entries().iter().enumerate() {
            snapshot.index(at, entry);
        }
        snapshot.stale = stale.into_iter().map(|stale| (stale.entry, stale.clone())).collect();
        identity_providers.sort_by(|a, b| a.settings.name.cmp(&b.settings.name));
        snapshot.issuers = Issuers::of(identity_providers.iter().map(|config| &config.settings));
        snapshot.identity_providers = identity_providers;
        for entry in entries.entries() {
            let associations = snapshot.associations.get(&entry.record.id).into_iter();
            for association in associations.flat_map(|of_entry| of_entry.iter()) {
                match snapshot.by_policy.get_mut(association.policy_arn.as_str()) {
                    Some(having) => having.push(Arc::clone(entry)),
                    None => {
                        let policy_arn = association.policy_arn.as_str().into();
                        snapshot.by_policy.insert(policy_arn, Listed::new(vec![Arc::clone(entry)]));
                    }
                }
            }
        }
        snapshot.entries = entries;
        snapshot.node_names = nodes
            .iter()
            .map(|node| (node.private_dns_name.as_str().into(), node.instance_id.as_str().into()))
            .collect();
        snapshot.nodes =
            nodes.into_iter().map(|node| (node.instance_id.as_str().into(), node.clone())).collect();
        snapshot.block_list = blocks.into_iter().cloned().collect();
        snapshot.blocks = BlockSet::compile(&snapshot.block_list);
        snapshot
    }

    fn index(&mut self, at: usize, entry: &Entry) {
        self.by_number.insert(entry.record.id, at);
        let AccessEntry { authority, principal_arn, principal_id, .. } = &entry.record;
        if !self.authorities.contains(authority) {
            self.authorities.push(authority.clone());
        }
        if !entry.has_default_name && !entry.username.is_literal() {
            let one = key::one_of(principal_arn);
            let canonical = one.as_ref().map(CanonicalArn::as_str);
            self.entry_templates.add(&entry.username, principal_arn.account(), canonical);
        }
        let Some(canonical) = entry.canonical.as_ref().map(CanonicalArn::as_str) else {
            self.several.add(authority, principal_arn, at);
            if entry.username.is_literal() {
                // Whoever is meant bears it; nobody is called as a rule is.
                self.entry_names.add(entry.username.as_str(), &principal_arn.to_string());
            }
            return;
        };
        if let Some(id) = principal_id {
            key::unique_id(authority, id, |id| self.by_id.insert(id.into(), at));
        }
        self.by_principal.insert(key::principal_owned(authority, canonical), at);
        if entry.username.is_literal() {
            self.entry_names.add(entry.username.as_str(), &canonical.to_ascii_lowercase());
        }
    }

    /// The entry of a number.
    pub(crate) fn entry(&self, id: EntryId) -> Option<&Arc<Entry>> {
        self.entries().get(*self.by_number.get(&id)?)
    }

    /// All entries, in the order of [`Entry::place`].
    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        self.entries.entries()
    }

    /// The list of all, or of those with an access policy; none where no entry has it.
    pub(crate) fn listed(&self, policy_arn: Option<&str>) -> Option<&Listed> {
        match policy_arn {
            None => Some(&self.entries),
            Some(policy_arn) => self.by_policy.get(policy_arn),
        }
    }

    /// The entry that is bound to whoever knocks by their unique id.
    pub(crate) fn entry_by_id(&self, knock: &Knock<'_>) -> Option<&Arc<Entry>> {
        let at = key::unique_id(knock.authority, knock.principal_id?, |id| self.by_id.get(id).copied())?;
        self.entries().get(at)
    }

    /// The entry that names several, and among them a principal of this authority and name.
    pub(crate) fn entry_of_several(&self, authority: &Authority, canonical: &str) -> Option<&Arc<Entry>> {
        self.entries().get(self.several.find(authority, canonical)?)
    }

    /// The entry for a principal of this authority and name alone.
    pub(crate) fn entry_of(&self, authority: &Authority, canonical: &str) -> Option<&Arc<Entry>> {
        let at = key::principal(authority, canonical, |key| self.by_principal.get(key).copied())?;
        self.entries().get(at)
    }

    /// The entries for this principal alone, its path and all, in whatever letter case, whoever vouches for its account. Where there is
    /// one by that name at all, all are looked at: those calls alone come here that write an ARN in other letters than its entry.
    pub(crate) fn entries_in_any_case(&self, principal: &PrincipalArn) -> impl Iterator<Item = &Arc<Entry>> {
        let canonical = key::known_as(principal);
        let is_of = |authority| self.entry_of(authority, canonical.as_str()).is_some();
        let is_there = self.authorities.iter().any(is_of);
        let of_one = self.entries().iter().filter(move |entry| is_there && entry.canonical.is_some());
        let arn = principal.to_string();
        of_one.filter(move |entry| entry.principals().eq_ignore_ascii_case(&arn))
    }

    /// The entries that name their principals by this very rule, whoever vouches for their account.
    pub(crate) fn entries_by_rule(&self, principals: &EntryPrincipal) -> impl Iterator<Item = &Arc<Entry>> {
        let rule = principals.to_string();
        let at = self.entries().partition_point(|entry| entry.principals() < rule.as_str());
        self.entries().iter().skip(at).take_while(move |entry| entry.record.principal_arn == *principals)
    }

    /// Whether an entry gives this username literally to another principal.
    pub(crate) fn is_entry_name_of_another(&self, name: &str, canonical: &str) -> bool {
        self.entry_names.is_anothers(name, canonical)
    }

    /// All identity-provider configurations, by name. There are ten at most.
    pub(crate) fn identity_providers(&self) -> &[Arc<IdentityProviderConfig>] {
        &self.identity_providers
    }

    /// The usernames that their issuers give.
    pub(crate) fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Whether a username is one that an entry's template can become, if that can be said in time.
    pub(crate) fn is_name_of_an_entrys_template(&self, name: &str) -> Result<bool, TooMany> {
        self.entry_templates.admit(name)
    }

    /// Whether it is one that a line of aws-auth can, likewise.
    pub(crate) fn is_name_of_a_lines_template(&self, name: &str) -> Result<bool, TooMany> {
        self.aws_auth.as_ref().map_or(Ok(false), |in_force| in_force.templates.admit(name))
    }

    /// Whether a line of aws-auth does.
    pub(crate) fn is_aws_auth_name_of_another(&self, name: &str, canonical: &str) -> bool {
        self.aws_auth.as_ref().is_some_and(|in_force| in_force.names.is_anothers(name, canonical))
    }

    /// The session of the node that was bound to this private DNS name.
    pub(crate) fn node_named(&self, private_dns_name: &str) -> Option<&str> {
        self.node_names.get(private_dns_name).map(|session| &**session)
    }

    /// Who has knocked under the ARN of an entry that is bound to another.
    pub(crate) fn stale(&self, entry: EntryId) -> Option<&StaleEntry> {
        self.stale.get(&entry)
    }

    /// The associations of an entry, in the order of their policies' ARNs.
    pub(crate) fn associations_of(&self, entry: EntryId) -> Vec<PolicyAssociation> {
        copies_of(self.associations.get(&entry))
    }
}

/// The associations of an entry as they are shown.
pub(crate) fn copies_of(associations: Option<&Associations>) -> Vec<PolicyAssociation> {
    let all = associations.into_iter().flat_map(|of_entry| of_entry.iter());
    all.map(|association| (**association).clone()).collect()
}

/// The number of a line's grant.
pub(crate) fn line_grant(cluster: lanyard_api::ClusterUid, line: &AwsAuthLine) -> EntryId {
    grants::aws_auth_grant(cluster, line.part, line.key().as_str())
}

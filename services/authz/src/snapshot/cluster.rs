//! A cluster's scope: RBAC, grants, blocks.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
};

use foldhash::fast::RandomState;
use lanyard_api::{
    Authority, ClusterUid, EntryId, UserInfo,
    access_policies::{AccessPolicies, CLUSTER_ADMIN_POLICY},
    credentials::PodIdentityAssociation,
    grants::break_glass_grant,
    mapping::{
        AccessEntry, AwsAuthStatus, AwsAuthVersion, Block, BreakGlass, GrantKind, IdentityProviderConfig,
        Node, PolicyAssociation,
    },
    proof::{Handle, Handles},
};
use lanyard_iam::{AccountId, CanonicalArn, EntryPrincipal, PrincipalArn, PrincipalKind};
use lanyard_rbac::{Index, Object};

use super::{
    Table,
    aws_auth::AwsAuthGrants,
    nodes::{BoundNode, Nodes},
    set,
};
use crate::{
    grant::{Association, Badge, Grant},
    handles::{BlockSet, HandleSet, ProofKeys},
};

/// RBAC objects by the text of their key.
pub(crate) type RbacObjects = BTreeMap<String, Arc<Object>>;

/// A cluster's records.
#[derive(Debug)]
pub(crate) struct ClusterRows {
    cluster: ClusterUid,
    keys: ProofKeys,
    entries: Table<AccessEntry>,
    associations: Table<PolicyAssociation>,
    compiled: HashMap<EntryId, Arc<Entry>, RandomState>,
    /// The newest accepted version.
    aws_auth: Option<(u64, Arc<AwsAuthGrants>)>,
    break_glass: Option<Arc<Grant>>,
    identity_providers: Table<Arc<Grant>>,
    /// Of Pod Identity: as proofs name them, under each key.
    pod_identity_associations: Table<Vec<Handle>>,
    nodes: Table<Arc<BoundNode>>,
    blocks: Table<Block>,
    objects: Arc<RbacObjects>,
    index: OnceCell<Arc<Index>>,
}

/// A cluster, compiled.
#[derive(Debug)]
pub(crate) struct ClusterSnapshot {
    entries: HashMap<EntryId, Arc<Entry>, RandomState>,
    /// Under each principal's handles the entry that is for it.
    by_principal: HashMap<Handle, Arc<Entry>, RandomState>,
    /// Those that name several.
    several: Vec<Arc<Entry>>,
    aws_auth: Option<Arc<AwsAuthGrants>>,
    break_glass: Option<Arc<Grant>>,
    /// By the number of the grant.
    identity_providers: HashMap<EntryId, Arc<Grant>, RandomState>,
    pod_identity_associations: HandleSet,
    pub(crate) nodes: Nodes,
    pub(crate) blocks: BlockSet,
    pub(crate) objects: Arc<RbacObjects>,
    pub(crate) index: Arc<Index>,
}

/// An access entry: its grant, and whose it is.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) grant: Arc<Grant>,
    /// Whom it names, as it is written.
    principals: Box<str>,
    pub(crate) authority: Authority,
    pub(crate) account: AccountId,
    /// Under each key; the first is the newest key's.
    pub(crate) account_handles: Vec<Handle>,
    /// Empty where it names several.
    pub(crate) principal_handles: Vec<Handle>,
    /// Empty where the unique id is not known.
    pub(crate) principal_id_handles: Vec<Handle>,
    /// Whom it names, where these are several.
    several: Option<EntryPrincipal>,
    /// Nobody has it before it is pinned.
    waits_for_pin: bool,
}

/// Which entry is for a principal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EntryOf<'a> {
    /// None.
    None,
    /// This one.
    Its(&'a Arc<Entry>),
    /// One that is for another principal that bore the same ARN.
    Stale,
}

impl ClusterRows {
    pub(crate) fn new(cluster: ClusterUid, keys: ProofKeys) -> Self {
        Self {
            cluster,
            keys,
            entries: Table::new(),
            associations: Table::new(),
            compiled: HashMap::default(),
            aws_auth: None,
            break_glass: None,
            identity_providers: Table::new(),
            pod_identity_associations: Table::new(),
            nodes: Table::new(),
            blocks: Table::new(),
            objects: Arc::default(),
            index: OnceCell::new(),
        }
    }

    pub(crate) fn set_entry(&mut self, key: &str, entry: Option<AccessEntry>) {
        if let Some(id) = entry.as_ref().or(self.entries.get(key)).map(|entry| entry.id) {
            set(&mut self.entries, key, entry);
            self.compile_entry(id);
        }
    }

    pub(crate) fn set_association(&mut self, key: &str, association: Option<PolicyAssociation>) {
        if let Some(id) =
            association.as_ref().or(self.associations.get(key)).map(|association| association.entry)
        {
            set(&mut self.associations, key, association);
            self.compile_entry(id);
        }
    }

    /// Only the newest accepted version is kept. Where that one goes, none is in force: versions before it are not known here.
    pub(crate) fn set_aws_auth(&mut self, key: &str, version: Option<AwsAuthVersion>) {
        let newest = self.aws_auth.as_ref().map(|(newest, _)| *newest);
        match version {
            Some(version)
                if version.status == AwsAuthStatus::Accepted
                    && newest.is_none_or(|newest| newest <= version.version) =>
            {
                let grants = AwsAuthGrants::compile(self.cluster, &version.content);
                self.aws_auth = Some((version.version, Arc::new(grants)));
            }
            Some(_) => {}
            None if newest.is_some() && newest == key.parse().ok() => self.aws_auth = None,
            None => {}
        }
    }

    /// The grant of an armed identity gives the cluster administrator's policy until it ends.
    pub(crate) fn set_break_glass(&mut self, break_glass: Option<&BreakGlass>) {
        self.break_glass = break_glass.map(|armed| {
            let policy = AccessPolicies::published().by_name(CLUSTER_ADMIN_POLICY);
            let id = break_glass_grant(self.cluster, &armed.token_sha256);
            let badge = Badge::BreakGlass;
            let policies = policy.map(Association::in_cluster);
            Arc::new(Grant::new(id, GrantKind::BreakGlass, badge, Some(armed.ends_at), policies))
        });
    }

    pub(crate) fn set_identity_provider(&mut self, key: &str, config: Option<IdentityProviderConfig>) {
        let grant = config.map(|config| Arc::new(Grant::of_identity_provider(&config)));
        set(&mut self.identity_providers, key, grant);
    }

    pub(crate) fn set_pod_identity_association(
        &mut self,
        key: &str,
        association: Option<PodIdentityAssociation>,
    ) {
        let handles = association.map(|association| {
            let id = association.id.to_string();
            self.keys.each(|key| key.pod_identity_association(&id)).collect()
        });
        set(&mut self.pod_identity_associations, key, handles);
    }

    pub(crate) fn set_node(&mut self, key: &str, node: Option<Node>) {
        let node = node.map(|node| Arc::new(BoundNode::compile(node, &self.keys)));
        set(&mut self.nodes, key, node);
    }

    pub(crate) fn set_block(&mut self, key: &str, block: Option<Block>) {
        set(&mut self.blocks, key, block);
    }

    pub(crate) fn set_object(&mut self, key: &str, object: Option<Object>) {
        set(Arc::make_mut(&mut self.objects), key, object.map(Arc::new));
        self.index = OnceCell::new();
    }

    pub(crate) fn compile(&self) -> ClusterSnapshot {
        let mut by_principal: HashMap<Handle, Arc<Entry>, RandomState> = HashMap::default();
        let mut several = Vec::new();
        for entry in self.compiled.values() {
            if entry.names_several() {
                several.push(Arc::clone(entry));
                continue;
            }
            let handles = entry.principal_handles.iter().chain(&entry.principal_id_handles);
            for handle in handles {
                let kept = by_principal.entry(*handle).or_insert_with(|| Arc::clone(entry));
                // Of before a principal had one entry alone there may be more: mapping lets in by the last one of its order.
                if kept.principals < entry.principals {
                    *kept = Arc::clone(entry);
                }
            }
        }
        let index = || Arc::new(Index::compile(self.objects.values().map(|object| &**object)));
        ClusterSnapshot {
            entries: self.compiled.clone(),
            by_principal,
            several,
            aws_auth: self.aws_auth.as_ref().map(|(_, grants)| Arc::clone(grants)),
            break_glass: self.break_glass.clone(),
            identity_providers: self
                .identity_providers
                .values()
                .map(|grant| (grant.id, Arc::clone(grant)))
                .collect(),
            pod_identity_associations: self.pod_identity_associations.values().flatten().copied().collect(),
            nodes: Nodes::compile(self.nodes.values()),
            blocks: BlockSet::compile(self.blocks.values(), &self.keys),
            objects: Arc::clone(&self.objects),
            index: Arc::clone(self.index.get_or_init(index)),
        }
    }

    fn compile_entry(&mut self, id: EntryId) {
        let Some(entry) = self.entries.get(&id.to_string()) else {
            self.compiled.remove(&id);
            return;
        };
        // Keys of associations begin with their entry's; `0` is the character after `/`.
        let (from, to) = (format!("{id}/"), format!("{id}0"));
        let range =
            self.associations.range::<str, _>((Bound::Included(from.as_str()), Bound::Excluded(to.as_str())));
        let grant = Grant::of_entry(entry, range.map(|(_, association)| association));
        self.compiled.insert(id, Arc::new(Entry::compile(entry, grant, &self.keys)));
    }
}

impl Entry {
    fn compile(entry: &AccessEntry, grant: Grant, keys: &ProofKeys) -> Self {
        let (authority, account) = (&entry.authority, entry.principal_arn.account());
        let canonical = entry.principal_arn.one().map(lookup_arn);
        let ids = entry.principal_id.iter();
        Self {
            grant: Arc::new(grant),
            principals: entry.principal_arn.to_string().into(),
            authority: authority.clone(),
            account,
            account_handles: keys.each(|key| key.account(authority, account.as_str())).collect(),
            principal_handles: canonical
                .iter()
                .flat_map(|arn| keys.each(|key| key.principal(authority, arn.as_str())))
                .collect(),
            principal_id_handles: ids
                .flat_map(|id| keys.each(|key| key.principal_id(authority, id)))
                .collect(),
            several: entry.principal_arn.one().is_none().then(|| entry.principal_arn.clone()),
            waits_for_pin: entry.pin_until.is_some() && entry.principal_id.is_none(),
        }
    }

    /// Whether a rule picks its principals.
    pub(crate) const fn names_several(&self) -> bool {
        self.several.is_some()
    }

    /// Whether it may be whoever has this unique id: it is bound to it, or to nobody's.
    pub(crate) fn is_bound_to(&self, principal_id: &Handle) -> bool {
        let ids = &self.principal_id_handles;
        !self.waits_for_pin && (ids.is_empty() || ids.contains(principal_id))
    }

    /// Whether it is there for nobody yet.
    pub(crate) const fn waits_for_pin(&self) -> bool {
        self.waits_for_pin
    }

    /// Whether it names several, and among them whoever knocks as this.
    pub(crate) fn means(&self, canonical: &str) -> bool {
        self.several.as_ref().is_some_and(|several| several.means(canonical))
    }
}

/// The ARN by which an identity of the principal knocks: STS leaves the path of roles out, and of nobody else.
fn lookup_arn(principal: &PrincipalArn) -> CanonicalArn {
    match principal.kind {
        PrincipalKind::Role { .. } => principal.without_path().canonical(),
        _ => principal.canonical(),
    }
}

impl ClusterSnapshot {
    /// What a proof of this user stands on; none where it is gone.
    pub(crate) fn grant(&self, kind: GrantKind, id: EntryId, user: &UserInfo) -> Option<&Arc<Grant>> {
        match kind {
            GrantKind::AccessEntry => self.entries.get(&id).map(|entry| &entry.grant),
            GrantKind::AwsAuth => self.aws_auth.as_ref().and_then(|grants| grants.grant(id, user)),
            GrantKind::BreakGlass => self.break_glass.as_ref().filter(|grant| grant.id == id),
            GrantKind::IdentityProvider => self.identity_providers.get(&id),
        }
    }

    /// The entry of a number.
    pub(crate) fn entry(&self, id: EntryId) -> Option<&Arc<Entry>> {
        self.entries.get(&id)
    }

    /// The armed break-glass identity's grant.
    pub(crate) fn break_glass(&self) -> Option<&Arc<Grant>> {
        self.break_glass.as_ref()
    }

    /// All entries, in no order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }

    /// Whether this Pod Identity association is there.
    pub(crate) fn has_pod_identity_association(&self, association: &Handle) -> bool {
        self.pod_identity_associations.contains(association)
    }

    /// The entries that name several principals of an account.
    pub(crate) fn several_of(&self, account: &Handle) -> impl Iterator<Item = &Arc<Entry>> {
        self.several.iter().filter(move |entry| entry.account_handles.contains(account))
    }

    /// Whether whoever an entry names is let in by it: of before a principal had one entry alone there may be more.
    pub(crate) fn counts(&self, entry: &Entry) -> bool {
        let own = entry.principal_id_handles.first().or(entry.principal_handles.first());
        own.and_then(|handle| self.by_principal.get(handle))
            .is_none_or(|first| first.grant.id == entry.grant.id)
    }

    /// The entry that names a principal alone, as mapping would find it: by its unique id, else by its ARN.
    pub(crate) fn entry_of(&self, handles: &Handles) -> EntryOf<'_> {
        if let Some(entry) = self.by_principal.get(&handles.principal_id) {
            return EntryOf::Its(entry);
        }
        match self.by_principal.get(&handles.principal) {
            None => EntryOf::None,
            Some(entry) if entry.principal_id_handles.is_empty() => EntryOf::Its(entry),
            Some(_) => EntryOf::Stale,
        }
    }
}

//! Of a cluster's own scope authn needs the blocks, the OIDC issuers whose tokens it takes, its access entries, for their ARNs
//! hold their numbers and policies are held against what they are, the tags of Pod Identity associations, and the issuer of the
//! ServiceAccount tokens by which nodes prove themselves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lanyard_api::credentials::{PodIdentityAssociation, WorkloadIssuer};
use lanyard_api::mapping::{AccessEntry, Block, BlockIndex, EntryType, IdentityProviderConfig};
use lanyard_api::tags::TaggedPart;
use lanyard_api::{Authority, EntryId, IdentityProviderConfigId, Revision, Scope, TrustedAccount};
use lanyard_iam::EntryPrincipal;
use lanyard_store::{Change, Kind, Model, Row, StoreError};

use super::identity_provider::ProviderView;
use lanyard_oidc::{Jwks, Providers};

/// Compiles a cluster's scope.
#[derive(Debug)]
pub(crate) struct ClusterModel {
    /// The providers that configurations share.
    pub(crate) providers: Providers,
}

/// A cluster's decoded records, by key.
#[derive(Debug, Default)]
pub(crate) struct ClusterRows {
    blocks: BTreeMap<String, Block>,
    entries: BTreeMap<String, (EntryKey, Arc<EntryView>)>,
    identity_providers: BTreeMap<String, Arc<ProviderView>>,
    /// The tags of each, by its id.
    associations: BTreeMap<String, Tags>,
    workload_issuer: Option<Arc<IssuerView>>,
}

/// Who signs the tokens of a cluster's ServiceAccounts, with the keys parsed.
#[derive(Debug)]
pub(crate) struct IssuerView {
    pub(crate) url: String,
    pub(crate) keys: Jwks,
}

impl IssuerView {
    /// None where the store holds keys that were never taken: nothing is verified by them.
    fn of(record: WorkloadIssuer) -> Option<Arc<Self>> {
        let keys = Jwks::of_keys(record.keys.iter().map(|key| key.jwk.as_str())).inspect_err(|error| {
            tracing::error!(cluster.uid = %record.cluster, %error, "the stored keys of a cluster's issuer cannot be read");
        });
        Some(Arc::new(Self { url: record.issuer_url, keys: keys.ok()? }))
    }
}

/// The tags of a record.
type Tags = Arc<BTreeMap<String, String>>;

/// An access entry, as policy documents see it.
#[derive(Debug, Clone)]
pub(crate) struct EntryView {
    pub(crate) id: EntryId,
    pub(crate) authority: Authority,
    pub(crate) principal: EntryPrincipal,
    pub(crate) kind: EntryType,
    pub(crate) username: Box<str>,
    pub(crate) groups: Box<[String]>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// One cluster, for looking up.
#[derive(Debug)]
pub(crate) struct ClusterSnapshot {
    pub(crate) blocks: BlockIndex,
    /// Each with those of the same name of other authorities, in the order of these, and with those of one authority that letter case alone
    /// tells apart, which there were before a principal had one entry alone: the one that counts in the cluster first.
    entries: HashMap<EntryKey, Vec<Arc<EntryView>>>,
    /// The same by their numbers.
    entries_by_id: HashMap<EntryId, Arc<EntryView>>,
    /// By issuer.
    identity_providers: HashMap<String, Arc<ProviderView>>,
    associations: BTreeMap<String, Tags>,
    workload_issuer: Option<Arc<IssuerView>>,
}

impl ClusterSnapshot {
    /// Who signs the tokens of its ServiceAccounts; none where that is not known.
    pub(crate) fn workload_issuer(&self) -> Option<&Arc<IssuerView>> {
        self.workload_issuer.as_ref()
    }

    /// The entry of a principal, by its ARN. Where there are more, the one comes first that is written as the call writes it, then the one
    /// that the cluster trusts, as for mapping, who acts on it.
    pub(crate) fn entry(&self, principal_arn: &str, trusted: &[TrustedAccount]) -> Option<&EntryView> {
        let named = EntryPrincipal::parse(principal_arn).ok();
        let names_several = named.as_ref().is_some_and(|named| named.one().is_none());
        let all = self.entries.get(&EntryKey::of(principal_arn, names_several))?;
        let is_as_written = |entry: &EntryView| named.as_ref() == Some(&entry.principal);
        let is_trusted = |entry: &EntryView| {
            let account = entry.principal.account();
            trusted.iter().any(|pair| pair.account == account && pair.authority == entry.authority)
        };
        let first = all.iter().min_by_key(|entry| (!is_as_written(entry), !is_trusted(entry)));
        first.map(|entry| &**entry)
    }

    /// An entry by its number.
    pub(crate) fn entry_by_id(&self, id: EntryId) -> Option<&EntryView> {
        self.entries_by_id.get(&id).map(|entry| &**entry)
    }

    /// Whether the cluster takes tokens of any OIDC issuer.
    pub(crate) fn has_identity_providers(&self) -> bool {
        !self.identity_providers.is_empty()
    }

    /// What the cluster knows of an OIDC issuer.
    pub(crate) fn identity_provider(&self, issuer: &str) -> Option<&Arc<ProviderView>> {
        self.identity_providers.get(issuer)
    }

    /// The tags of a Pod Identity association.
    pub(crate) fn association_tags(&self, id: &str) -> Option<&BTreeMap<String, String>> {
        self.associations.get(id).map(|tags| &**tags)
    }

    /// The tags of a part of the cluster, by its number: whether the rest of an ARN is its own, the service says that keeps it.
    pub(crate) fn tags_of_part(&self, part: &TaggedPart) -> Option<&BTreeMap<String, String>> {
        match part {
            TaggedPart::Cluster => None,
            TaggedPart::AccessEntry { id, .. } => self.entry_by_id(*id).map(|entry| &entry.tags),
            TaggedPart::IdentityProviderConfig { id, .. } => {
                let mut all = self.identity_providers.values();
                all.find(|view| view.config.id == *id).map(|view| &view.config.settings.tags)
            }
            TaggedPart::PodIdentityAssociation(id) => self.association_tags(id.as_str()),
        }
    }

    /// A configuration by its name, as policy documents see it.
    pub(crate) fn identity_provider_named(
        &self,
        name: &str,
    ) -> Option<(IdentityProviderConfigId, &BTreeMap<String, String>)> {
        let mut all = self.identity_providers.values();
        let found = all.find(|view| view.config.settings.name == name)?;
        Some((found.config.id, &found.config.settings.tags))
    }
}

/// By which an entry is found, as mapping finds it: a principal's ARN whatever its letter case, for names ignore it; of a rule that picks
/// several its own text, for there letter case counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct EntryKey(Box<str>);

impl EntryKey {
    fn of(text: &str, names_several: bool) -> Self {
        Self(if names_several { text.into() } else { text.to_ascii_lowercase().into() })
    }
}

fn entry(entry: AccessEntry) -> (EntryKey, Arc<EntryView>) {
    let key = EntryKey::of(&entry.principal_arn.to_string(), entry.principal_arn.one().is_none());
    let view = EntryView {
        id: entry.id,
        authority: entry.authority,
        principal: entry.principal_arn,
        kind: entry.entry_type,
        username: entry.username.into(),
        groups: entry.groups.into(),
        tags: entry.tags,
    };
    (key, Arc::new(view))
}

fn tags(association: PodIdentityAssociation) -> Tags {
    Arc::new(association.tags)
}

impl Model for ClusterModel {
    type Rows = ClusterRows;
    type Snapshot = ClusterSnapshot;
    const KINDS: &'static [Kind] = &[
        Kind::AccessEntry,
        Kind::IdentityProviderConfig,
        Kind::PodIdentityAssociation,
        Kind::WorkloadIssuer,
        Kind::Block,
    ];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<ClusterRows, StoreError> {
        let mut cluster = ClusterRows::default();
        for row in rows {
            match row.kind {
                Kind::AccessEntry => set(&mut cluster.entries, &row.key, Some(entry(row.decode()?))),
                Kind::IdentityProviderConfig => {
                    set(&mut cluster.identity_providers, &row.key, Some(self.view(row.decode()?)));
                }
                Kind::PodIdentityAssociation => {
                    set(&mut cluster.associations, &row.key, Some(tags(row.decode()?)));
                }
                Kind::WorkloadIssuer => cluster.workload_issuer = IssuerView::of(row.decode()?),
                _ => set(&mut cluster.blocks, &row.key, Some(row.decode()?)),
            }
        }
        Ok(cluster)
    }

    fn apply(&self, rows: &mut ClusterRows, change: &Change) -> Result<(), StoreError> {
        match change.kind {
            Kind::AccessEntry => set(&mut rows.entries, &change.key, change.after()?.map(entry)),
            Kind::IdentityProviderConfig => {
                let now = change.after()?.map(|config| self.view(config));
                set(&mut rows.identity_providers, &change.key, now);
            }
            Kind::PodIdentityAssociation => {
                set(&mut rows.associations, &change.key, change.after()?.map(tags));
            }
            Kind::WorkloadIssuer => rows.workload_issuer = change.after()?.and_then(IssuerView::of),
            Kind::Block => set(&mut rows.blocks, &change.key, change.after()?),
            _ => {}
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &ClusterRows, _: Revision) -> ClusterSnapshot {
        let mut entries: HashMap<EntryKey, Vec<Arc<EntryView>>> = HashMap::new();
        for (key, entry) in rows.entries.values() {
            entries.entry(key.clone()).or_default().push(Arc::clone(entry));
        }
        for of_one in entries.values_mut() {
            of_one
                .sort_by_cached_key(|entry| (entry.authority.clone(), Reverse(entry.principal.to_string())));
        }
        ClusterSnapshot {
            blocks: BlockIndex::compile(rows.blocks.values()),
            entries,
            entries_by_id: rows.entries.values().map(|(_, entry)| (entry.id, Arc::clone(entry))).collect(),
            associations: rows.associations.clone(),
            workload_issuer: rows.workload_issuer.clone(),
            identity_providers: rows
                .identity_providers
                .values()
                .map(|view| (view.config.settings.issuer_url.clone(), Arc::clone(view)))
                .collect(),
        }
    }
}

impl ClusterModel {
    fn view(&self, config: IdentityProviderConfig) -> Arc<ProviderView> {
        let provider =
            self.providers.of(&config.settings.issuer_url, config.settings.ca_bundle_pem.as_deref());
        Arc::new(ProviderView::new(config, provider))
    }
}

/// Puts what a record is now, or takes it away.
pub(super) fn set<T>(rows: &mut BTreeMap<String, T>, key: &str, now: Option<T>) {
    match now {
        Some(record) => rows.insert(key.to_owned(), record),
        None => rows.remove(key),
    };
}

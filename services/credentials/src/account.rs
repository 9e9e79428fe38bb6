//! What is known of an account and of the hub where sessions are made: who may be assumed, which issuers are trusted, and whom
//! blocks stop.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use lanyard_api::{
    Authority, Revision, Scope,
    authn::{
        accounts::{Account, IamRole, InlinePolicy, PolicyOwner},
        oidc_providers::OidcProvider,
    },
    mapping::{Block, BlockIndex},
};
use lanyard_iam::{AccountId, CanonicalArn, Partition, PolicyDocument, TrustPolicy, policy::NamedDocument};
use lanyard_oidc::{KeptProvider, Providers};
use lanyard_store::{Change, Kind, Model, Row, StoreError};
use time::OffsetDateTime;

use crate::issuers::own_cluster;

/// The hub, for looking up.
#[derive(Debug, Default)]
pub(crate) struct HubSnapshot {
    accounts: HashMap<AccountId, Registered>,
    /// The pairs that accounts have whose principals are not kept here, each once.
    pub(crate) elsewhere: Vec<(Authority, Partition)>,
    pub(crate) blocks: BlockIndex,
}

/// An account as it is registered.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) authority: Authority,
    pub(crate) partition: Partition,
    pub(crate) at: OffsetDateTime,
}

impl HubSnapshot {
    /// Whether the account is one of the hub's own, in this partition.
    pub(crate) fn is_local(&self, account: AccountId, partition: Partition) -> bool {
        let known = self.registered(account);
        known.is_some_and(|known| known.authority == Authority::Local && known.partition == partition)
    }

    /// Whether the account is one that AWS keeps.
    pub(crate) fn is_aws(&self, account: AccountId) -> bool {
        self.registered(account).is_some_and(|known| known.authority == Authority::Aws)
    }

    /// An account as it is registered, whoever vouches for it.
    pub(crate) fn registered(&self, account: AccountId) -> Option<&Registered> {
        self.accounts.get(&account)
    }
}

/// Compiles the hub's scope.
pub(crate) struct HubModel;

/// The hub's records, by key.
#[derive(Default)]
pub(crate) struct HubRows {
    accounts: BTreeMap<String, Account>,
    blocks: BTreeMap<String, Block>,
}

impl Model for HubModel {
    type Rows = HubRows;
    type Snapshot = HubSnapshot;
    const KINDS: &'static [Kind] = &[Kind::Account, Kind::Block];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<HubRows, StoreError> {
        let mut hub = HubRows::default();
        for row in rows {
            match row.kind {
                Kind::Account => set(&mut hub.accounts, &row.key, Some(row.decode()?)),
                _ => set(&mut hub.blocks, &row.key, Some(row.decode()?)),
            }
        }
        Ok(hub)
    }

    fn apply(&self, rows: &mut HubRows, change: &Change) -> Result<(), StoreError> {
        match change.kind {
            Kind::Account => set(&mut rows.accounts, &change.key, change.after()?),
            _ => set(&mut rows.blocks, &change.key, change.after()?),
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &HubRows, _: Revision) -> HubSnapshot {
        let known = |account: &Account| {
            let (authority, partition, at) =
                (account.authority.clone(), account.partition, account.created_at);
            (account.id, Registered { authority, partition, at })
        };
        let others = rows.accounts.values().filter(|account| account.authority != Authority::Local);
        let pairs: BTreeSet<(Authority, Partition)> =
            others.map(|account| (account.authority.clone(), account.partition)).collect();
        HubSnapshot {
            accounts: rows.accounts.values().map(known).collect(),
            elsewhere: pairs.into_iter().collect(),
            blocks: BlockIndex::compile(rows.blocks.values()),
        }
    }
}

/// A role, and whom it trusts; none where that cannot be read, and then nobody.
#[derive(Debug, Clone)]
pub(crate) struct RoleView {
    pub(crate) role: IamRole,
    pub(crate) trust: Option<TrustPolicy>,
}

impl RoleView {
    fn of(role: IamRole) -> Self {
        // authn says in the log what is wrong with it.
        let trust = role.trust().ok();
        Self { role, trust }
    }
}

/// An OIDC provider, with who keeps its issuer's keys.
#[derive(Debug)]
pub(crate) struct ProviderView {
    pub(crate) provider: OidcProvider,
    /// None where the issuer cannot be called as it is configured: then its tokens have no answer. None too where it is the hub's own, whose
    /// keys are in memory.
    pub(crate) keys: Option<Arc<KeptProvider>>,
}

/// The inline policies of a role.
#[derive(Debug, Default)]
pub(crate) struct RolePolicies {
    documents: Vec<(String, Arc<PolicyDocument>)>,
    /// One of them cannot be read, and may deny anything.
    pub(crate) unreadable: bool,
}

impl RolePolicies {
    /// As they are weighed.
    pub(crate) fn named(&self) -> Vec<NamedDocument<'_>> {
        self.documents.iter().map(|(name, document)| NamedDocument { name, document }).collect()
    }
}

/// The roles and OIDC providers of one account at a revision.
#[derive(Debug)]
pub(crate) struct AccountSnapshot {
    roles: HashMap<String, Arc<RoleView>>,
    /// By the role's name in lower case; of roles without policies nothing.
    policies: HashMap<String, RolePolicies>,
    providers: HashMap<String, Arc<ProviderView>>,
    /// Principals whom the account's authority keeps elsewhere and who have policies here.
    principals: HashSet<CanonicalArn>,
    pub(crate) blocks: BlockIndex,
    /// The account's revision when this was compiled.
    pub(crate) revision: Revision,
}

impl AccountSnapshot {
    /// A role by its name; role names are unique ignoring letter case (IAM).
    pub(crate) fn role(&self, name: &str) -> Option<&Arc<RoleView>> {
        self.roles.get(&name.to_ascii_lowercase())
    }

    /// The inline policies of a role.
    pub(crate) fn policies_of(&self, role: &str) -> &RolePolicies {
        static NONE: RolePolicies = RolePolicies { documents: Vec::new(), unreadable: false };
        self.policies.get(&role.to_ascii_lowercase()).unwrap_or(&NONE)
    }

    /// Whether a principal whom another authority keeps has policies here. Byte for byte.
    pub(crate) fn has_policies(&self, principal: &CanonicalArn) -> bool {
        self.principals.contains(principal)
    }

    /// The OIDC provider of an issuer, byte for byte.
    pub(crate) fn provider(&self, issuer_url: &str) -> Option<&Arc<ProviderView>> {
        self.providers.get(issuer_url)
    }
}

/// Compiles an account's scope.
pub(crate) struct AccountModel {
    /// The keys of issuers, which accounts share.
    pub(crate) providers: Providers,
    /// Where the hub's own issuers begin.
    pub(crate) external_url: Option<String>,
}

/// An account's records, by key; what is dear to make again is kept with them.
#[derive(Default)]
pub(crate) struct AccountRows {
    roles: BTreeMap<String, Arc<RoleView>>,
    providers: BTreeMap<String, Arc<ProviderView>>,
    /// By the key of each of their policies.
    principals: BTreeMap<String, CanonicalArn>,
    /// Policies of roles, by their keys.
    policies: BTreeMap<String, RolePolicy>,
    blocks: BTreeMap<String, Block>,
}

impl AccountModel {
    fn view(&self, provider: OidcProvider) -> Arc<ProviderView> {
        let OidcProvider { issuer_url, ca_bundle_pem, thumbprints, .. } = &provider;
        // The hub has the keys of its own issuers in memory, and calls itself for none.
        if own_cluster(self.external_url.as_deref(), issuer_url).is_some() {
            return Arc::new(ProviderView { keys: None, provider });
        }
        let keys = self.providers.pinned(issuer_url, ca_bundle_pem.as_deref(), thumbprints).inspect_err(
            |error| tracing::error!(issuer = %issuer_url, %error, "an OIDC provider's issuer cannot be called"),
        );
        Arc::new(ProviderView { keys: keys.ok(), provider })
    }
}

impl Model for AccountModel {
    type Rows = AccountRows;
    type Snapshot = AccountSnapshot;
    const KINDS: &'static [Kind] = &[Kind::IamRole, Kind::OidcProvider, Kind::InlinePolicy, Kind::Block];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<AccountRows, StoreError> {
        let mut account = AccountRows::default();
        for row in rows {
            match row.kind {
                Kind::IamRole => {
                    set(&mut account.roles, &row.key, Some(Arc::new(RoleView::of(row.decode()?))));
                }
                Kind::OidcProvider => set(&mut account.providers, &row.key, Some(self.view(row.decode()?))),
                Kind::InlinePolicy => account.set_policy(&row.key, Some(row.decode()?)),
                _ => set(&mut account.blocks, &row.key, Some(row.decode()?)),
            }
        }
        Ok(account)
    }

    fn apply(&self, rows: &mut AccountRows, change: &Change) -> Result<(), StoreError> {
        match change.kind {
            Kind::IamRole => {
                let now = change.after()?.map(|role| Arc::new(RoleView::of(role)));
                set(&mut rows.roles, &change.key, now);
            }
            Kind::OidcProvider => {
                let now = change.after()?.map(|provider| self.view(provider));
                set(&mut rows.providers, &change.key, now);
            }
            Kind::InlinePolicy => rows.set_policy(&change.key, change.after()?),
            _ => set(&mut rows.blocks, &change.key, change.after()?),
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &AccountRows, revision: Revision) -> AccountSnapshot {
        let by_name = |view: &Arc<RoleView>| (view.role.name.to_ascii_lowercase(), Arc::clone(view));
        let by_issuer = |view: &Arc<ProviderView>| (view.provider.issuer_url.clone(), Arc::clone(view));
        let mut policies: HashMap<String, RolePolicies> = HashMap::new();
        for RolePolicy { role, name, document } in rows.policies.values() {
            let of_role = policies.entry(role.clone()).or_default();
            match document {
                Some(document) => of_role.documents.push((name.clone(), Arc::clone(document))),
                None => of_role.unreadable = true,
            }
        }
        AccountSnapshot {
            policies,
            roles: rows.roles.values().map(by_name).collect(),
            providers: rows.providers.values().map(by_issuer).collect(),
            principals: rows.principals.values().cloned().collect(),
            blocks: BlockIndex::compile(rows.blocks.values()),
            revision,
        }
    }
}

/// A policy of a role of the hub's own.
struct RolePolicy {
    /// The role's name in lower case.
    role: String,
    name: String,
    /// None where it cannot be read.
    document: Option<Arc<PolicyDocument>>,
}

impl AccountRows {
    /// Puts what a policy is now, or takes it away. Those of users are authn's affair.
    fn set_policy(&mut self, key: &str, now: Option<InlinePolicy>) {
        let (principal, policy) = match now {
            Some(InlinePolicy { owner: PolicyOwner::Principal(arn), .. }) => (Some(arn), None),
            Some(InlinePolicy { owner: PolicyOwner::Role(role), name, document, .. }) => {
                let document = PolicyDocument::parse(&document).ok().map(Arc::new);
                (None, Some(RolePolicy { role: role.to_ascii_lowercase(), name, document }))
            }
            Some(InlinePolicy { owner: PolicyOwner::User(_), .. }) | None => (None, None),
        };
        set(&mut self.principals, key, principal);
        set(&mut self.policies, key, policy);
    }
}

/// Puts what a record is now, or takes it away.
fn set<T>(rows: &mut BTreeMap<String, T>, key: &str, now: Option<T>) {
    match now {
        Some(record) => rows.insert(key.to_owned(), record),
        None => rows.remove(key),
    };
}

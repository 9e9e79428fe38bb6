//! What is known of an account and of the hub where sessions are made: who may be assumed, which issuers are trusted, and whom
//! blocks stop.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use lanyard_api::{
    Authority, BlockId, Revision, Scope,
    authn::{
        accounts::{Account, IamRole},
        oidc_providers::OidcProvider,
    },
    mapping::{Block, BlockTarget},
};
use lanyard_iam::{AccountId, Partition, TrustPolicy};
use lanyard_oidc::{KeptProvider, Providers};
use lanyard_store::{Change, Kind, Model, Row, StoreError};

/// The blocks on people of OIDC issuers. Other blocks are looked at wherever a session is used.
#[derive(Debug, Default)]
pub(crate) struct OidcBlocks {
    issuers: HashMap<String, BlockId>,
    subjects: HashMap<(String, String), BlockId>,
}

impl OidcBlocks {
    fn compile<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Self {
        let mut compiled = Self::default();
        for block in blocks {
            match &block.target {
                BlockTarget::OidcIssuer { issuer } => {
                    compiled.issuers.insert(issuer.clone(), block.id);
                }
                BlockTarget::OidcSubject { issuer, subject } => {
                    compiled.subjects.insert((issuer.clone(), subject.clone()), block.id);
                }
                _ => {}
            }
        }
        compiled
    }

    /// The block on all of an issuer's people.
    pub(crate) fn on_issuer(&self, issuer: &str) -> Option<BlockId> {
        self.issuers.get(issuer).copied()
    }

    /// The block on one of them.
    pub(crate) fn on_subject(&self, issuer: &str, subject: &str) -> Option<BlockId> {
        if self.subjects.is_empty() {
            return None;
        }
        self.subjects.get(&(issuer.to_owned(), subject.to_owned())).copied()
    }
}

/// The hub, for looking up.
#[derive(Debug, Default)]
pub(crate) struct HubSnapshot {
    accounts: HashMap<AccountId, (Authority, Partition)>,
    pub(crate) blocks: OidcBlocks,
}

impl HubSnapshot {
    /// Whether the account is one of the hub's own, in this partition.
    pub(crate) fn is_local(&self, account: AccountId, partition: Partition) -> bool {
        self.accounts.get(&account).is_some_and(|known| *known == (Authority::Local, partition))
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
        let known = |account: &Account| (account.id, (account.authority.clone(), account.partition));
        HubSnapshot {
            accounts: rows.accounts.values().map(known).collect(),
            blocks: OidcBlocks::compile(rows.blocks.values()),
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
        let trust = TrustPolicy::parse(&role.trust_policy).ok();
        Self { role, trust }
    }
}

/// An OIDC provider, with who keeps its issuer's keys.
#[derive(Debug)]
pub(crate) struct ProviderView {
    pub(crate) provider: OidcProvider,
    /// None where the issuer cannot be called as it is configured: then its tokens have no answer.
    pub(crate) keys: Option<Arc<KeptProvider>>,
}

/// The roles and OIDC providers of one account at a revision.
#[derive(Debug)]
pub(crate) struct AccountSnapshot {
    roles: HashMap<String, Arc<RoleView>>,
    providers: HashMap<String, Arc<ProviderView>>,
    pub(crate) blocks: OidcBlocks,
    /// The account's revision when this was compiled.
    pub(crate) revision: Revision,
}

impl AccountSnapshot {
    /// A role by its name; role names are unique ignoring letter case (IAM).
    pub(crate) fn role(&self, name: &str) -> Option<&Arc<RoleView>> {
        self.roles.get(&name.to_ascii_lowercase())
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
}

/// An account's records, by key; what is dear to make again is kept with them.
#[derive(Default)]
pub(crate) struct AccountRows {
    roles: BTreeMap<String, Arc<RoleView>>,
    providers: BTreeMap<String, Arc<ProviderView>>,
    blocks: BTreeMap<String, Block>,
}

impl AccountModel {
    fn view(&self, provider: OidcProvider) -> Arc<ProviderView> {
        let OidcProvider { issuer_url, ca_bundle_pem, .. } = &provider;
        let keys = self.providers.of(issuer_url, ca_bundle_pem.as_deref()).inspect_err(
            |error| tracing::error!(issuer = %issuer_url, %error, "an OIDC provider's issuer cannot be called"),
        );
        Arc::new(ProviderView { keys: keys.ok(), provider })
    }
}

impl Model for AccountModel {
    type Rows = AccountRows;
    type Snapshot = AccountSnapshot;
    const KINDS: &'static [Kind] = &[Kind::IamRole, Kind::OidcProvider, Kind::Block];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<AccountRows, StoreError> {
        let mut account = AccountRows::default();
        for row in rows {
            match row.kind {
                Kind::IamRole => {
                    set(&mut account.roles, &row.key, Some(Arc::new(RoleView::of(row.decode()?))));
                }
                Kind::OidcProvider => set(&mut account.providers, &row.key, Some(self.view(row.decode()?))),
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
            _ => set(&mut rows.blocks, &change.key, change.after()?),
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &AccountRows, revision: Revision) -> AccountSnapshot {
        let by_name = |view: &Arc<RoleView>| (view.role.name.to_ascii_lowercase(), Arc::clone(view));
        let by_issuer = |view: &Arc<ProviderView>| (view.provider.issuer_url.clone(), Arc::clone(view));
        AccountSnapshot {
            roles: rows.roles.values().map(by_name).collect(),
            providers: rows.providers.values().map(by_issuer).collect(),
            blocks: OidcBlocks::compile(rows.blocks.values()),
            revision,
        }
    }
}

/// Puts what a record is now, or takes it away.
fn set<T>(rows: &mut BTreeMap<String, T>, key: &str, now: Option<T>) {
    match now {
        Some(record) => rows.insert(key.to_owned(), record),
        None => rows.remove(key),
    };
}

//! An account's scope: users, keys with their opened secrets, roles, inline policies, instance profiles, OIDC providers, blocks.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use lanyard_api::authn::accounts::{AccessKey, IamRole, InlinePolicy, PolicyOwner, User};
use lanyard_api::authn::instance_profiles::InstanceProfile;
use lanyard_api::authn::oidc_providers::OidcProvider;
use lanyard_api::mapping::{Block, BlockIndex};
use lanyard_api::{Authority, AwsIdentity, Identity, IdentityKind, Revision, Scope};
use lanyard_iam::{
    AccessKeyId, CanonicalArn, NamedDocument, Partition, PolicyDocument, PrincipalArn, PrincipalId,
    PrincipalKind, SecretAccessKey, TrustPolicy,
};
use lanyard_store::{Change, Keyring, Kind, Model, Place, Purpose, Row, Sealed, StoreError};

use super::cluster::set;
use crate::key_secret::KeySecret;

/// Compiles an account's scope, and opens the secrets of its keys: once each, when they first come along.
#[derive(Debug)]
pub(crate) struct AccountModel {
    pub(crate) keyring: Keyring,
}

/// An account's decoded records, by key.
#[derive(Debug, Default)]
pub(crate) struct AccountRows {
    users: BTreeMap<String, User>,
    keys: BTreeMap<String, StoredKey>,
    roles: BTreeMap<String, StoredRole>,
    policies: BTreeMap<String, StoredPolicy>,
    instance_profiles: BTreeMap<String, Arc<InstanceProfile>>,
    oidc_providers: BTreeMap<String, Arc<OidcProvider>>,
    blocks: BTreeMap<String, Block>,
}

#[derive(Debug, Clone)]
struct StoredKey {
    key: AccessKey,
    /// None where what is stored does not open: the key then verifies nothing.
    secret: Option<Arc<KeySecret>>,
}

#[derive(Debug, Clone)]
struct StoredRole {
    role: Arc<IamRole>,
    trust: Option<Arc<TrustPolicy>>,
}

#[derive(Debug, Clone)]
struct StoredPolicy {
    policy: InlinePolicy,
    document: Option<Arc<PolicyDocument>>,
}

/// An account, for looking up.
#[derive(Debug)]
pub(crate) struct AccountSnapshot {
    users: HashMap<String, Arc<OwnerView>>,
    roles: HashMap<String, Arc<OwnerView>>,
    by_id: HashMap<PrincipalId, Arc<OwnerView>>,
    keys: HashMap<AccessKeyId, KeyView>,
    /// By name.
    instance_profiles: BTreeMap<String, Arc<InstanceProfile>>,
    /// Of principals whom the account's authority keeps elsewhere, by canonical ARN, byte for byte.
    elsewhere: HashMap<CanonicalArn, Arc<Policies>>,
    /// By the issuer's URL.
    oidc_providers: HashMap<String, Arc<OidcProvider>>,
    pub(crate) blocks: BlockIndex,
}

/// A key, with its owner.
#[derive(Debug, Clone)]
pub(crate) struct KeyView {
    pub(crate) key: AccessKey,
    pub(crate) secret: Option<Arc<KeySecret>>,
    pub(crate) owner: Arc<OwnerView>,
    /// Whom it proves, made when it first proves somebody: the same for as long as this snapshot counts.
    identity: OnceLock<Arc<Identity>>,
}

impl KeyView {
    /// Whom the key proves: its user.
    pub(crate) fn identity(&self, partition: Partition) -> Arc<Identity> {
        let identity = self.identity.get_or_init(|| Arc::new(self.make_identity(partition).into()));
        if identity.aws().is_some_and(|aws| aws.partition == partition) {
            Arc::clone(identity)
        } else {
            // The account was registered anew under another partition, and its own scope knows nothing of that.
            Arc::new(self.make_identity(partition).into())
        }
    }

    fn make_identity(&self, partition: Partition) -> AwsIdentity {
        let arn = self.owner.arn(partition);
        AwsIdentity {
            authority: Authority::Local,
            account: arn.account,
            partition,
            principal_id: self.owner.id.to_string(),
            canonical_arn: arn.canonical(),
            principal_arn: Some(arn.clone()),
            session_name: None,
            tags: BTreeMap::new(),
            access_key_id: self.key.id.clone(),
            kind: IdentityKind::Ordinary,
            ancestors: Vec::new(),
            kin: Vec::new(),
            arn,
        }
    }
}

/// A user or role, with what its policies let it do.
#[derive(Debug)]
pub(crate) struct OwnerView {
    pub(crate) principal: Principal,
    pub(crate) id: PrincipalId,
    pub(crate) policies: Arc<Policies>,
}

/// The kinds of principal that own policies.
#[derive(Debug)]
pub(crate) enum Principal {
    User(User),
    Role {
        role: Arc<IamRole>,
        trust: Option<Arc<TrustPolicy>>,
    },
    /// A user or role whom another authority keeps; a role's path is not known.
    Elsewhere(PrincipalArn),
}

/// Nobody here knows the tags of those.
static NO_TAGS: BTreeMap<String, String> = BTreeMap::new();

/// The inline policies of a principal.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    documents: Vec<(String, Arc<PolicyDocument>)>,
    /// The name of one that cannot be read: it may hold a deny, so nothing is allowed until it is put right.
    pub(crate) unreadable: Option<String>,
}

impl Policies {
    pub(crate) fn named(&self) -> Vec<NamedDocument<'_>> {
        self.documents.iter().map(|(name, document)| NamedDocument { name, document }).collect()
    }
}

impl OwnerView {
    /// How policies name it as their owner.
    pub(crate) fn policy_owner(&self) -> PolicyOwner {
        match &self.principal {
            Principal::User(user) => PolicyOwner::User(user.name.clone()),
            Principal::Role { role, .. } => PolicyOwner::Role(role.name.clone()),
            Principal::Elsewhere(arn) => PolicyOwner::Principal(arn.canonical()),
        }
    }

    /// Its own ARN, path included.
    pub(crate) fn arn(&self, partition: Partition) -> PrincipalArn {
        let (account, kind) = match &self.principal {
            Principal::User(User { account, path, name, .. }) => {
                (*account, PrincipalKind::User { path: path.clone(), name: name.clone() })
            }
            Principal::Role { role, .. } => {
                (role.account, PrincipalKind::Role { path: role.path.clone(), name: role.name.clone() })
            }
            Principal::Elsewhere(arn) => return arn.clone(),
        };
        PrincipalArn { partition, account, kind }
    }

    /// Its name, where it is a user.
    pub(crate) fn user_name(&self) -> Option<&str> {
        match &self.principal {
            Principal::User(user) => Some(&user.name),
            Principal::Role { .. } | Principal::Elsewhere(_) => None,
        }
    }

    /// Whether it is a role.
    pub(crate) fn is_role(&self) -> bool {
        match &self.principal {
            Principal::User(_) => false,
            Principal::Role { .. } => true,
            Principal::Elsewhere(arn) => matches!(arn.kind, PrincipalKind::Role { .. }),
        }
    }

    /// Whether it is one of the hub's own.
    pub(crate) fn is_local(&self) -> bool {
        !matches!(self.principal, Principal::Elsewhere(_))
    }

    /// Its tags.
    pub(crate) fn tags(&self) -> &BTreeMap<String, String> {
        match &self.principal {
            Principal::User(user) => &user.tags,
            Principal::Role { role, .. } => &role.tags,
            Principal::Elsewhere(_) => &NO_TAGS,
        }
    }
}

impl AccountSnapshot {
    pub(crate) fn key(&self, id: &AccessKeyId) -> Option<&KeyView> {
        self.keys.get(id)
    }

    /// A user by its exact name.
    pub(crate) fn user(&self, name: &str) -> Option<&Arc<OwnerView>> {
        self.users.get(name)
    }

    /// A role by its exact name.
    pub(crate) fn role(&self, name: &str) -> Option<&Arc<OwnerView>> {
        self.roles.get(name)
    }

    /// An instance profile by its exact name.
    pub(crate) fn instance_profile(&self, name: &str) -> Option<&InstanceProfile> {
        self.instance_profiles.get(name).map(|profile| &**profile)
    }

    /// An OIDC provider by its issuer's URL.
    pub(crate) fn oidc_provider(&self, issuer_url: &str) -> Option<&Arc<OidcProvider>> {
        self.oidc_providers.get(issuer_url)
    }

    /// The policies of a principal whom the account's authority keeps elsewhere; none where it was given none.
    pub(crate) fn policies_elsewhere(&self, principal: &CanonicalArn) -> Option<&Arc<Policies>> {
        self.elsewhere.get(principal)
    }

    /// A user or role by its unique id.
    pub(crate) fn principal(&self, id: &PrincipalId) -> Option<&Arc<OwnerView>> {
        self.by_id.get(id)
    }
}

impl AccountModel {
    fn stored_key(&self, key: AccessKey, sealed: Option<&Sealed>) -> StoredKey {
        let opened = sealed.and_then(|sealed| {
            let place = Place::of(&key);
            let plain = self.keyring.open(Purpose::AccessKeySecret, &place, sealed).ok()?;
            let text = std::str::from_utf8(&plain).ok()?;
            Some(Arc::new(KeySecret::new(SecretAccessKey::new(text.to_owned()))))
        });
        if opened.is_none() {
            tracing::error!(access_key_id = %key.id, "the secret of an access key does not open: the key verifies nothing");
        }
        StoredKey { key, secret: opened }
    }

    fn put(&self, rows: &mut AccountRows, row: &Row) -> Result<(), StoreError> {
        match row.kind {
            Kind::User => set(&mut rows.users, &row.key, Some(row.decode()?)),
            Kind::AccessKey => {
                let key = self.stored_key(row.decode()?, row.sealed.as_ref());
                set(&mut rows.keys, &row.key, Some(key));
            }
            Kind::IamRole => set(&mut rows.roles, &row.key, Some(stored_role(row.decode()?))),
            Kind::InlinePolicy => set(&mut rows.policies, &row.key, Some(stored_policy(row.decode()?))),
            Kind::InstanceProfile => {
                set(&mut rows.instance_profiles, &row.key, Some(Arc::new(row.decode()?)));
            }
            Kind::OidcProvider => set(&mut rows.oidc_providers, &row.key, Some(Arc::new(row.decode()?))),
            Kind::Block => set(&mut rows.blocks, &row.key, Some(row.decode()?)),
            _ => {}
        }
        Ok(())
    }

    /// A changed key keeps its opened secret: no change of a key record changes the secret.
    fn apply_key(&self, rows: &mut AccountRows, change: &Change) -> Result<(), StoreError> {
        let key: Option<AccessKey> = change.after()?;
        let known = rows.keys.get(&change.key).and_then(|stored| stored.secret.clone());
        let stored = key.map(|key| match known {
            Some(secret) => StoredKey { key, secret: Some(secret) },
            None => self.stored_key(key, change.sealed.as_ref()),
        });
        set(&mut rows.keys, &change.key, stored);
        Ok(())
    }
}

fn stored_role(role: IamRole) -> StoredRole {
    let trust = role.trust().map(Arc::new);
    if let Err(error) = &trust {
        tracing::error!(role = role.name, %error, "a stored trust policy cannot be read: nobody may assume the role");
    }
    StoredRole { role: Arc::new(role), trust: trust.ok() }
}

fn stored_policy(policy: InlinePolicy) -> StoredPolicy {
    let document = PolicyDocument::parse(&policy.document).map(Arc::new);
    if let Err(error) = &document {
        tracing::error!(policy = policy.name, %error, "a stored policy cannot be read: its owner is allowed nothing");
    }
    StoredPolicy { policy, document: document.ok() }
}

impl Model for AccountModel {
    type Rows = AccountRows;
    type Snapshot = AccountSnapshot;
    const KINDS: &'static [Kind] = &[
        Kind::User,
        Kind::AccessKey,
        Kind::IamRole,
        Kind::InlinePolicy,
        Kind::InstanceProfile,
        Kind::OidcProvider,
        Kind::Block,
    ];

    fn build(&self, _: Scope, rows: Vec<Row>) -> Result<AccountRows, StoreError> {
        let mut account = AccountRows::default();
        rows.iter().try_for_each(|row| self.put(&mut account, row))?;
        Ok(account)
    }

    fn apply(&self, rows: &mut AccountRows, change: &Change) -> Result<(), StoreError> {
        match change.kind {
            Kind::User => set(&mut rows.users, &change.key, change.after()?),
            Kind::AccessKey => self.apply_key(rows, change)?,
            Kind::IamRole => set(&mut rows.roles, &change.key, change.after()?.map(stored_role)),
            Kind::InlinePolicy => set(&mut rows.policies, &change.key, change.after()?.map(stored_policy)),
            Kind::InstanceProfile => {
                set(&mut rows.instance_profiles, &change.key, change.after()?.map(Arc::new));
            }
            Kind::OidcProvider => set(&mut rows.oidc_providers, &change.key, change.after()?.map(Arc::new)),
            Kind::Block => set(&mut rows.blocks, &change.key, change.after()?),
            _ => {}
        }
        Ok(())
    }

    fn compile(&self, _: Scope, rows: &AccountRows, _: Revision) -> AccountSnapshot {
        let mut policies = policies_by_owner(rows);
        let mut of = |owner: PolicyOwner| Arc::new(policies.remove(&owner).unwrap_or_default());
        let mut users = HashMap::with_capacity(rows.users.len());
        for user in rows.users.values() {
            let view = owner(Principal::User(user.clone()), of(PolicyOwner::User(user.name.clone())));
            users.extend(view.map(|view| (user.name.clone(), Arc::new(view))));
        }
        let mut roles = HashMap::with_capacity(rows.roles.len());
        for StoredRole { role, trust } in rows.roles.values() {
            let principal = Principal::Role { role: Arc::clone(role), trust: trust.clone() };
            let view = owner(principal, of(PolicyOwner::Role(role.name.clone())));
            roles.extend(view.map(|view| (role.name.clone(), Arc::new(view))));
        }
        let keys = rows.keys.values().filter_map(|StoredKey { key, secret }| {
            let owner = Arc::clone(users.get(&key.user)?);
            let view = KeyView { key: key.clone(), secret: secret.clone(), owner, identity: OnceLock::new() };
            Some((key.id.clone(), view))
        });
        let elsewhere = policies.into_iter().filter_map(|(owner, policies)| match owner {
            PolicyOwner::Principal(arn) => Some((arn, Arc::new(policies))),
            // Of who is no more; none are left, for they go with their owner.
            PolicyOwner::User(_) | PolicyOwner::Role(_) => None,
        });
        AccountSnapshot {
            elsewhere: elsewhere.collect(),
            keys: keys.collect(),
            by_id: users
                .values()
                .chain(roles.values())
                .map(|view| (view.id.clone(), Arc::clone(view)))
                .collect(),
            instance_profiles: rows.instance_profiles.clone(),
            oidc_providers: rows
                .oidc_providers
                .values()
                .map(|provider| (provider.issuer_url.clone(), Arc::clone(provider)))
                .collect(),
            blocks: BlockIndex::compile(rows.blocks.values()),
            users,
            roles,
        }
    }
}

fn policies_by_owner(rows: &AccountRows) -> BTreeMap<PolicyOwner, Policies> {
    let mut owners: BTreeMap<PolicyOwner, Policies> = BTreeMap::new();
    for StoredPolicy { policy, document } in rows.policies.values() {
        let policies = owners.entry(policy.owner.clone()).or_default();
        match document {
            Some(document) => policies.documents.push((policy.name.clone(), Arc::clone(document))),
            None => policies.unreadable = Some(policy.name.clone()),
        }
    }
    owners
}

/// The view of a principal; none, and loud, where its stored id is none.
fn owner(principal: Principal, policies: Arc<Policies>) -> Option<OwnerView> {
    let id = match &principal {
        Principal::User(user) => &user.principal_id,
        Principal::Role { role, .. } => &role.principal_id,
        // These are not stored.
        Principal::Elsewhere(_) => return None,
    };
    match PrincipalId::parse(id) {
        Ok(id) => Some(OwnerView { id, principal, policies }),
        Err(_) => {
            tracing::error!(principal_id = id, "a stored principal has no usable id: it is left out");
            None
        }
    }
}

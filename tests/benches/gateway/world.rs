//! A hub's folder, filled as if its people had used it for years.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use lanyard_api::authn::accounts::Account;
use lanyard_api::mapping::{
    AccessEntry, AccessScope, AuthenticationMode, AuthorizerMode, Cluster, EntryType, PolicyAssociation,
    SpokeCredential,
};
use lanyard_api::{Authority, ClusterUid, EntryId, HubId, Mutation, Scope, TrustedAccount};
use lanyard_iam::{AccountId, Credentials, Partition, PrincipalArn, Region, SecretAccessKey};
use lanyard_kit::ExposeSecret as _;
use lanyard_kit::tls::secure_dir;
use lanyard_rbac::{ClusterRole, Object, PolicyRule, RoleBinding, RoleRef, Subject};
use lanyard_store::{EnvelopeKey, Keyring, RbacObject, Store, StoreOptions, StoreUrl};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::sts;
use crate::turn::is_small;

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Clusters of the hub.
    pub(crate) clusters: usize,
    /// Access entries of each.
    pub(crate) entries: usize,
    /// RoleBindings of each.
    pub(crate) bindings: usize,
    /// Further clusters, each with so many entries.
    pub(crate) more: &'static [usize],
}

impl Size {
    /// A hub of a large company.
    pub(crate) const LARGE: Self = Self { clusters: 100, entries: 1_000, bindings: 1_000, more: &[] };
    /// As little as shows that it works.
    const SMALL: Self = Self { clusters: 2, entries: 50, bindings: 50, more: &[] };

    /// As large as it has to be this time.
    pub(crate) fn usual() -> Self {
        if is_small() { Self::SMALL } else { Self::LARGE }
    }
}

/// Namespaces that the bindings of a cluster are spread over.
const NAMESPACES: usize = 10;
/// ClusterRoles of each.
const ROLES: usize = 20;
/// The region of hub and clusters.
pub(crate) const REGION: &str = "us-east-1";
/// What the administrator's entries give.
const POLICY: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";

/// The key to a hub's secrets, in its folder.
pub(crate) const ENVELOPE_FILE: &str = "envelope.key";

/// What the load has to know.
pub(crate) struct World {
    /// Of the embedded account's administrator.
    pub(crate) administrator: Credentials,
    /// The embedded account.
    pub(crate) account: AccountId,
    /// The hub's number.
    pub(crate) hub: HubId,
    /// The clusters, in the order of their numbers.
    pub(crate) clusters: Vec<ClusterUid>,
    pub(crate) size: Size,
}

/// The id of a cluster.
pub(crate) fn cluster_id(number: usize) -> String {
    format!("cluster-{number}")
}

/// The role of a cluster's entry of this number; those of the first cluster are the lab's, which has as many.
pub(crate) fn role(entry: usize) -> String {
    format!("engineer-{entry}")
}

/// The bearer token of a cluster's API server.
pub(crate) fn bearer(number: usize) -> String {
    format!("bench-api-server-{number}-0123456789abcdef0123456789abcdef")
}

/// The username of the administrator's entries.
pub(crate) const ADMINISTRATOR: &str = "the-administrator";

/// The store of a hub's folder, with all its keys.
pub(crate) fn store_options(folder: &Path) -> Result<StoreOptions> {
    secure_dir(folder)?;
    let keyring = Keyring::new(EnvelopeKey::load_or_create(&folder.join(ENVELOPE_FILE))?);
    Ok(StoreOptions::new(StoreUrl::Sqlite(folder.join("lanyard.db")), keyring))
}

/// Makes the folder as the first start of `lanyard serve` does, and what is in it.
pub(crate) async fn fill(folder: &Path, size: Size) -> Result<World> {
    let begun = Instant::now();
    let store = Store::open(&store_options(folder)?).await?;
    let region = Region::parse(REGION)?;
    let (hub, key) = lanyard_authn::bootstrap(&store, None, region, &()).await?;
    let key = key.context("the folder was filled before")?;
    let administrator = Credentials {
        access_key_id: key.key.id,
        secret_access_key: SecretAccessKey::new(key.secret.expose_secret().to_owned()),
        session_token: None,
    };
    let now = OffsetDateTime::now_utc();
    let filling = Filling { store, account: hub.account, now, size };
    filling.sts_account().await?;
    let mut clusters = Vec::with_capacity(size.clusters);
    let counts = std::iter::repeat_n(size.entries, size.clusters).chain(size.more.iter().copied());
    for (number, entries) in counts.enumerate() {
        clusters.push(filling.cluster(number, entries).await?);
    }
    filling.store.close().await;
    let Size { clusters: count, entries, bindings, .. } = size;
    println!(
        "{count} clusters of {entries} entries and {bindings} bindings filled in {:.1?}",
        begun.elapsed()
    );
    Ok(World { administrator, account: hub.account, hub: hub.id, clusters, size })
}

struct Filling {
    store: Store,
    account: AccountId,
    now: OffsetDateTime,
    size: Size,
}

impl Filling {
    async fn sts_account(&self) -> Result<()> {
        let account = Account {
            id: AccountId::parse(sts::ACCOUNT)?,
            partition: Partition::Aws,
            authority: Authority::Sts(sts::NAME.to_owned()),
            name: "people of the lab".to_owned(),
            created_at: self.now,
        };
        let mut transaction = self.store.begin("bench", &mutation(), &[Scope::Hub]).await?;
        transaction.insert(&account).await?;
        transaction.commit_unrecorded().await?;
        Ok(())
    }

    async fn cluster(&self, number: usize, entries: usize) -> Result<ClusterUid> {
        let cluster = self.registered(number)?;
        let uid = cluster.uid;
        let credential = SpokeCredential {
            kind: lanyard_api::mapping::SpokeCredentialKind::Token,
            cluster: uid,
            id: "bench".to_owned(),
            token_sha256: hex::encode(Sha256::digest(bearer(number))),
            created_at: self.now,
        };
        let scopes = [Scope::Hub, Scope::Cluster(uid)];
        let mut transaction = self.store.begin("bench", &mutation(), &scopes).await?;
        transaction.insert(&cluster).await?;
        transaction.insert(&credential).await?;
        let administrator = format!("arn:aws:iam::{}:user/{}", self.account, lanyard_authn::ADMINISTRATOR);
        let entry = self.entry(uid, Authority::Local, &administrator, ADMINISTRATOR)?;
        transaction.insert(&entry).await?;
        transaction.insert(&self.association(&entry)).await?;
        for name in 1..entries {
            // In the first cluster the lab's roles, which the load comes as; else local ones.
            let (authority, account) = match number {
                0 => (Authority::Sts(sts::NAME.to_owned()), sts::ACCOUNT),
                _ => (Authority::Local, self.account.as_str()),
            };
            let role = role(name);
            let arn = format!("arn:aws:iam::{account}:role/{role}");
            let entry = self.entry(uid, authority, &arn, &format!("{role}:{{{{SessionName}}}}"))?;
            transaction.insert(&entry).await?;
        }
        for object in objects(self.size.bindings) {
            transaction.insert(&RbacObject { cluster: uid, object }).await?;
        }
        transaction.commit_unrecorded().await?;
        Ok(uid)
    }

    fn registered(&self, number: usize) -> Result<Cluster> {
        let trusted = |authority, account| TrustedAccount { authority, account };
        Ok(Cluster {
            uid: ClusterUid::random(),
            id: cluster_id(number).parse()?,
            name: cluster_id(number),
            partition: Partition::Aws,
            account: self.account,
            region: REGION.to_owned(),
            endpoint: None,
            certificate_authority: None,
            authentication_mode: AuthenticationMode::Api,
            authorizer_mode: AuthorizerMode::Full,
            trusted_accounts: vec![
                trusted(Authority::Local, self.account),
                trusted(Authority::Sts(sts::NAME.to_owned()), AccountId::parse(sts::ACCOUNT)?),
            ],
            audiences: vec!["https://kubernetes.default.svc".to_owned()],
            token_cache_seconds: 10,
            created_by: "bench".to_owned(),
            tags: Default::default(),
            created_at: self.now,
        })
    }

    fn entry(
        &self,
        cluster: ClusterUid,
        authority: Authority,
        arn: &str,
        username: &str,
    ) -> Result<AccessEntry> {
        Ok(AccessEntry {
            id: EntryId::random(),
            cluster,
            authority,
            principal_arn: PrincipalArn::parse(arn)?.into(),
            principal_id: None,
            entry_type: EntryType::Standard,
            username: username.to_owned(),
            groups: vec!["engineers".to_owned(), "on-call".to_owned()],
            tags: Default::default(),
            ends_at: None,
            pin_until: None,
            created_at: self.now,
            modified_at: self.now,
        })
    }

    fn association(&self, entry: &AccessEntry) -> PolicyAssociation {
        PolicyAssociation {
            cluster: entry.cluster,
            entry: entry.id,
            policy_arn: POLICY.to_owned(),
            scope: AccessScope::Cluster,
            ends_at: None,
            associated_at: self.now,
            modified_at: self.now,
        }
    }
}

fn mutation() -> Mutation {
    Mutation::system("benchmark")
}

fn objects(bindings: usize) -> impl Iterator<Item = Object> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let roles = (0..ROLES).map(move |number| {
        Object::ClusterRole(ClusterRole {
            name: format!("role-{number}"),
            rules: vec![PolicyRule {
                verbs: words("get list watch update"),
                api_groups: words("apps"),
                resources: words("deployments statefulsets deployments/scale"),
                ..PolicyRule::default()
            }],
            ..ClusterRole::default()
        })
    });
    let bindings = (0..bindings).map(|number| {
        Object::RoleBinding(RoleBinding {
            namespace: format!("team-{}", number % NAMESPACES),
            name: format!("binding-{number}"),
            subjects: vec![
                Subject::User(format!("somebody-{number}")),
                Subject::Group(format!("group-{}", number % 50)),
            ],
            role: RoleRef::ClusterRole(format!("role-{}", number % ROLES)),
        })
    });
    roles.chain(bindings)
}

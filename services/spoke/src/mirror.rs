//! What is seen of a cluster, and what of that the hub has not taken yet.
//!
//! Pure. Changes of one object between two pushes become one, so that however fast a cluster changes, what waits is never more
//! than what is there. Lists and events go the same way in, so that a list after a cut loses nothing, and what it repeats is no
//! change.

mod accounts;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use lanyard_api::credentials::{IssuerDocuments, ServiceAccountBatch};

use self::accounts::Accounts;
use crate::wire::{Content, Resource, Seen};

/// How much of a cluster is held of one sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most objects.
    pub objects_max: usize,
    /// Most bytes of all of them, as they are passed on: one message has to hold them.
    pub bytes_max: usize,
}

impl Bounds {
    fn admit(self, what: Limited, count: usize, bytes: usize) -> Result<(), TooLarge> {
        let fits = count <= self.objects_max && bytes <= self.bytes_max;
        if fits { Ok(()) } else { Err(TooLarge { what, bounds: self }) }
    }
}

/// What has bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// RBAC objects.
    Rbac,
    /// ServiceAccounts.
    ServiceAccounts,
}

/// The cluster is larger than the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// Of what there is too much.
    pub what: Limited,
    /// How much there may be.
    pub bounds: Bounds,
}

impl std::error::Error for TooLarge {}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { objects_max, bytes_max } = self.bounds;
        let (name, count, bytes) = match self.what {
            Limited::Rbac => ("RBAC objects", "objects_max", "rbac_bytes_max"),
            Limited::ServiceAccounts => {
                ("ServiceAccounts", "service_accounts_max", "service_account_bytes_max")
            }
        };
        let flag = |key: &str| key.replace('_', "-");
        write!(
            f,
            "the cluster has more than {objects_max} {name} or {bytes_max} bytes of them: raise spoke.{count} or \
             spoke.{bytes}, for `lanyard spoke push` its --{} or --{}; what was taken before stays in force",
            flag(count),
            flag(bytes)
        )
    }
}

/// What is pushed by itself: one part that the hub does not take holds up no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Push {
    /// RBAC.
    Rbac,
    /// aws-auth.
    AwsAuth,
    /// ServiceAccounts.
    ServiceAccounts,
    /// The issuer and its keys.
    Issuer,
}

impl Push {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rbac, Self::AwsAuth, Self::ServiceAccounts, Self::Issuer];

    /// How messages name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rbac => "RBAC",
            Self::AwsAuth => "aws-auth",
            Self::ServiceAccounts => "ServiceAccounts",
            Self::Issuer => "the issuer of ServiceAccount tokens",
        }
    }
}

/// RBAC for the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RbacBatch {
    /// All that there is, in place of all that there was.
    Whole(String),
    /// These, beside what there is.
    Some(String),
    /// There is nothing any more.
    Nothing,
}

/// What the hub has not taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Batch {
    /// What changed of RBAC.
    Rbac(RbacBatch),
    /// aws-auth, which is there.
    AwsAuth(Arc<str>),
    /// What changed of ServiceAccounts.
    ServiceAccounts(ServiceAccountBatch),
    /// The issuer with all its keys.
    Issuer(Arc<IssuerDocuments>),
}

/// An object, and the role that it gives if it is a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    document: Arc<str>,
    role: Option<String>,
}

/// What is known of the ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum AwsAuth {
    #[default]
    Unseen,
    Missing,
    Present(Arc<str>),
}

/// A cluster as it is seen.
#[derive(Debug)]
pub struct Mirror {
    bounds: Bounds,
    rbac: BTreeMap<(Resource, String), Kept>,
    bytes: usize,
    listed: BTreeSet<Resource>,
    /// Objects that are new or others than those the hub has.
    changed: BTreeSet<(Resource, String)>,
    /// Only all at once says it: something is gone, or a binding gives another role, or the hub's part is not known.
    whole: bool,
    /// What is due goes with all the others.
    whole_if_due: bool,
    aws_auth: AwsAuth,
    aws_auth_changed: bool,
    accounts: Accounts,
    issuer: Option<Arc<IssuerDocuments>>,
    issuer_changed: bool,
}

impl Mirror {
    /// Nothing is known yet, on either side.
    #[must_use]
    pub fn new(rbac: Bounds, service_accounts: Bounds) -> Self {
        Self {
            bounds: rbac,
            rbac: BTreeMap::new(),
            bytes: 0,
            listed: BTreeSet::new(),
            changed: BTreeSet::new(),
            whole: true,
            whole_if_due: false,
            aws_auth: AwsAuth::default(),
            aws_auth_changed: false,
            accounts: Accounts::new(service_accounts),
            issuer: None,
            issuer_changed: false,
        }
    }

    /// A whole list: what is not in it is gone.
    ///
    /// # Errors
    /// [`TooLarge`]; then nothing of it is taken.
    pub fn listed(&mut self, resource: Resource, objects: Vec<Seen>) -> Result<(), TooLarge> {
        match resource {
            Resource::AwsAuth => {
                let found = objects.into_iter().next().and_then(|seen| aws_auth_of(seen.content));
                self.see_aws_auth(found.map_or(AwsAuth::Missing, AwsAuth::Present));
            }
            Resource::ServiceAccounts => self.accounts.listed(objects)?,
            _ => self.rbac_listed(resource, objects)?,
        }
        self.listed.insert(resource);
        Ok(())
    }

    fn rbac_listed(&mut self, resource: Resource, objects: Vec<Seen>) -> Result<(), TooLarge> {
        let others = self.rbac.iter().filter(|((of, _), _)| *of != resource);
        let (count, bytes) =
            others.fold((0, 0), |(n, bytes), (_, kept)| (n + 1, bytes + kept.document.len()));
        let more: usize = objects.iter().map(|seen| seen.content.bytes()).sum();
        self.admit(count + objects.len(), bytes + more)?;
        let there: BTreeSet<String> = objects.iter().map(|seen| seen.key.clone()).collect();
        let gone: Vec<String> = self
            .rbac
            .keys()
            .filter(|(of, key)| *of == resource && !there.contains(key))
            .map(|(_, key)| key.clone())
            .collect();
        for key in gone {
            self.forget(resource, key);
        }
        for seen in objects {
            self.keep(resource, seen);
        }
        Ok(())
    }

    /// An object is new, or another one than before.
    ///
    /// # Errors
    /// [`TooLarge`]; then it is not taken.
    pub fn put(&mut self, resource: Resource, seen: Seen) -> Result<(), TooLarge> {
        match resource {
            Resource::AwsAuth => {
                let found = aws_auth_of(seen.content);
                self.see_aws_auth(found.map_or(AwsAuth::Missing, AwsAuth::Present));
                return Ok(());
            }
            Resource::ServiceAccounts => return self.accounts.put(seen),
            _ => {}
        }
        let before = self.rbac.get(&(resource, seen.key.clone()));
        let (count, bytes) = before.map_or((self.rbac.len() + 1, self.bytes), |before| {
            (self.rbac.len(), self.bytes.saturating_sub(before.document.len()))
        });
        self.admit(count, bytes + seen.content.bytes())?;
        self.keep(resource, seen);
        Ok(())
    }

    /// The issuer and its keys were read.
    pub fn see_issuer(&mut self, now: IssuerDocuments) {
        if self.issuer.as_deref() != Some(&now) {
            self.issuer_changed = true;
            self.issuer = Some(Arc::new(now));
        }
    }

    /// An object is gone.
    pub fn gone(&mut self, resource: Resource, key: &str) {
        match resource {
            Resource::AwsAuth => self.see_aws_auth(AwsAuth::Missing),
            Resource::ServiceAccounts => self.accounts.forget(key),
            _ => self.forget(resource, key.to_owned()),
        }
    }

    /// Whether all has been listed at least once: before that nothing is known whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.listed.len() == Resource::ALL.len()
    }

    /// Whether the ConfigMap is there; none while nobody has looked.
    #[must_use]
    pub fn has_aws_auth(&self) -> Option<bool> {
        match self.aws_auth {
            AwsAuth::Unseen => None,
            AwsAuth::Missing => Some(false),
            AwsAuth::Present(_) => Some(true),
        }
    }

    /// How many RBAC objects there are.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.rbac.len()
    }

    /// How many ServiceAccounts there are.
    #[must_use]
    pub fn service_accounts(&self) -> usize {
        self.accounts.len()
    }

    /// The name of the issuer, once it was read.
    #[must_use]
    pub fn issuer_url(&self) -> Option<&str> {
        self.issuer.as_ref().map(|issuer| issuer.issuer_url.as_str())
    }

    /// What of a part the hub has not taken yet; it counts as taken from here on.
    pub fn take(&mut self, push: Push) -> Option<Batch> {
        match push {
            Push::Rbac => self.take_rbac().map(Batch::Rbac),
            Push::AwsAuth => {
                let is_due = std::mem::take(&mut self.aws_auth_changed);
                match &self.aws_auth {
                    AwsAuth::Present(document) if is_due => Some(Batch::AwsAuth(Arc::clone(document))),
                    _ => None,
                }
            }
            Push::ServiceAccounts => self.accounts.take().map(Batch::ServiceAccounts),
            Push::Issuer => {
                let is_due = std::mem::take(&mut self.issuer_changed);
                self.issuer.as_ref().filter(|_| is_due).map(|issuer| Batch::Issuer(Arc::clone(issuer)))
            }
        }
    }

    fn take_rbac(&mut self) -> Option<RbacBatch> {
        let has_rbac = Resource::RBAC.iter().all(|resource| self.listed.contains(resource));
        let is_due = self.whole || !self.changed.is_empty();
        if !(has_rbac && is_due) {
            return None;
        }
        let is_whole = self.whole || self.whole_if_due;
        let batch = if is_whole && self.rbac.is_empty() {
            RbacBatch::Nothing
        } else if is_whole {
            RbacBatch::Whole(list(self.rbac.values()))
        } else {
            RbacBatch::Some(list(self.changed.iter().filter_map(|key| self.rbac.get(key))))
        };
        (self.whole, self.whole_if_due) = (false, false);
        self.changed.clear();
        Some(batch)
    }

    /// The hub has not taken a part, or may not have it any more: all of it goes with the next batch.
    pub fn untaken(&mut self, push: Push) {
        match push {
            Push::Rbac => self.whole = true,
            Push::AwsAuth => self.aws_auth_changed = true,
            Push::ServiceAccounts => self.accounts.untaken(),
            Push::Issuer => self.issuer_changed = true,
        }
    }

    /// What changes next of a part goes with all of it: the hub has left something out, and only all of it tells what it still
    /// leaves out.
    pub fn whole_if_due(&mut self, push: Push) {
        match push {
            Push::Rbac => self.whole_if_due = true,
            Push::ServiceAccounts => self.accounts.whole_if_due(),
            Push::AwsAuth | Push::Issuer => {}
        }
    }

    fn admit(&self, count: usize, bytes: usize) -> Result<(), TooLarge> {
        self.bounds.admit(Limited::Rbac, count, bytes)
    }

    fn see_aws_auth(&mut self, now: AwsAuth) {
        self.aws_auth_changed |= now != self.aws_auth;
        self.aws_auth = now;
    }

    fn keep(&mut self, resource: Resource, Seen { key, content }: Seen) {
        // Of another resource there is none here.
        let Content::Rbac { document, role } = content else { return };
        let place = (resource, key);
        let now = Kept { document, role };
        match self.rbac.get(&place) {
            Some(before) if *before == now => return,
            Some(before) => {
                self.bytes = self.bytes.saturating_sub(before.document.len());
                self.whole |= before.role != now.role;
            }
            None => {}
        }
        self.bytes += now.document.len();
        self.rbac.insert(place.clone(), now);
        self.changed.insert(place);
    }

    fn forget(&mut self, resource: Resource, key: String) {
        let place = (resource, key);
        if let Some(before) = self.rbac.remove(&place) {
            self.bytes = self.bytes.saturating_sub(before.document.len());
            self.changed.remove(&place);
            self.whole = true;
        }
    }
}

fn aws_auth_of(content: Content) -> Option<Arc<str>> {
    match content {
        Content::AwsAuth(document) => Some(document),
        Content::Rbac { .. } | Content::ServiceAccount(_) => None,
    }
}

/// A List as kubectl prints it.
fn list<'a>(objects: impl Iterator<Item = &'a Kept>) -> String {
    let documents: Vec<&str> = objects.map(|kept| &*kept.document).collect();
    format!(r#"{{"apiVersion":"v1","kind":"List","items":[{}]}}"#, documents.join(","))
}

#[cfg(test)]
mod tests;

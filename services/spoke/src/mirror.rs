//! What is seen of a cluster, and what of that the hub has not taken yet.
//!
//! Pure. Changes of one object between two pushes become one, so that however fast a cluster changes, what waits is never more
//! than what is there. Lists and events go the same way in, so that a list after a cut loses nothing, and what it repeats is no
//! change.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::wire::{Resource, Seen};

/// How much of a cluster is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most RBAC objects.
    pub objects_max: usize,
    /// Most bytes of all of them, as they are passed on: one message has to hold them.
    pub bytes_max: usize,
}

/// The cluster is larger than the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cluster has more than {} RBAC objects or {} bytes of them: raise spoke.objects_max or spoke.rbac_bytes_max; what was \
     taken before stays in force", .0.objects_max, .0.bytes_max
)]
pub struct TooLarge(Bounds);

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// RBAC, if anything of it changed.
    pub rbac: Option<RbacBatch>,
    /// aws-auth, if it changed and is there.
    pub aws_auth: Option<Arc<str>>,
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
    aws_auth: AwsAuth,
    aws_auth_changed: bool,
}

impl Mirror {
    /// Nothing is known yet, on either side.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            rbac: BTreeMap::new(),
            bytes: 0,
            listed: BTreeSet::new(),
            changed: BTreeSet::new(),
            whole: true,
            aws_auth: AwsAuth::default(),
            aws_auth_changed: false,
        }
    }

    /// A whole list: what is not in it is gone.
    ///
    /// # Errors
    /// [`TooLarge`]; then nothing of it is taken.
    pub fn listed(&mut self, resource: Resource, objects: Vec<Seen>) -> Result<(), TooLarge> {
        if resource == Resource::AwsAuth {
            let found = objects.into_iter().next().map(|seen| seen.document);
            self.see_aws_auth(found.map_or(AwsAuth::Missing, AwsAuth::Present));
            self.listed.insert(resource);
            return Ok(());
        }
        let others = self.rbac.iter().filter(|((of, _), _)| *of != resource);
        let (count, bytes) =
            others.fold((0, 0), |(n, bytes), (_, kept)| (n + 1, bytes + kept.document.len()));
        let more: usize = objects.iter().map(|seen| seen.document.len()).sum();
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
        self.listed.insert(resource);
        Ok(())
    }

    /// An object is new, or another one than before.
    ///
    /// # Errors
    /// [`TooLarge`]; then it is not taken.
    pub fn put(&mut self, resource: Resource, seen: Seen) -> Result<(), TooLarge> {
        if resource == Resource::AwsAuth {
            self.see_aws_auth(AwsAuth::Present(seen.document));
            return Ok(());
        }
        let before = self.rbac.get(&(resource, seen.key.clone()));
        let (count, bytes) = before.map_or((self.rbac.len() + 1, self.bytes), |before| {
            (self.rbac.len(), self.bytes.saturating_sub(before.document.len()))
        });
        self.admit(count, bytes + seen.document.len())?;
        self.keep(resource, seen);
        Ok(())
    }

    /// An object is gone.
    pub fn gone(&mut self, resource: Resource, key: &str) {
        match resource {
            Resource::AwsAuth => self.see_aws_auth(AwsAuth::Missing),
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

    /// What the hub has not taken yet; it counts as taken from here on.
    pub fn take(&mut self) -> Batch {
        let has_rbac = Resource::RBAC.iter().all(|resource| self.listed.contains(resource));
        let is_due = self.whole || !self.changed.is_empty();
        let rbac = if !(has_rbac && is_due) {
            None
        } else if self.whole && self.rbac.is_empty() {
            Some(RbacBatch::Nothing)
        } else if self.whole {
            Some(RbacBatch::Whole(list(self.rbac.values())))
        } else {
            Some(RbacBatch::Some(list(self.changed.iter().filter_map(|key| self.rbac.get(key)))))
        };
        if rbac.is_some() {
            self.whole = false;
            self.changed.clear();
        }
        let aws_auth = match &self.aws_auth {
            AwsAuth::Present(document) if self.aws_auth_changed => Some(Arc::clone(document)),
            _ => None,
        };
        self.aws_auth_changed = false;
        Batch { rbac, aws_auth }
    }

    /// The hub has not taken RBAC, or may not have it any more: all of it goes with the next batch.
    pub fn rbac_untaken(&mut self) {
        self.whole = true;
    }

    /// The same of aws-auth.
    pub fn aws_auth_untaken(&mut self) {
        self.aws_auth_changed = true;
    }

    fn admit(&self, count: usize, bytes: usize) -> Result<(), TooLarge> {
        let fits = count <= self.bounds.objects_max && bytes <= self.bounds.bytes_max;
        if fits { Ok(()) } else { Err(TooLarge(self.bounds)) }
    }

    fn see_aws_auth(&mut self, now: AwsAuth) {
        self.aws_auth_changed |= now != self.aws_auth;
        self.aws_auth = now;
    }

    fn keep(&mut self, resource: Resource, Seen { key, document, role }: Seen) {
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

/// A List as kubectl prints it.
fn list<'a>(objects: impl Iterator<Item = &'a Kept>) -> String {
    let documents: Vec<&str> = objects.map(|kept| &*kept.document).collect();
    format!(r#"{{"apiVersion":"v1","kind":"List","items":[{}]}}"#, documents.join(","))
}

#[cfg(test)]
mod tests;

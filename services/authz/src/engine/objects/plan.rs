//! What an apply does, worked out before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_api::{CallError, authz::ApplySummary};
use lanyard_rbac::{Index, Object, ObjectKey, RoleRef};

use super::given::LeftOut;

/// The writes of an apply.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// New and changed ones.
    pub(super) put: Vec<Object>,
    /// Those that are to go.
    pub(super) remove: Vec<ObjectKey>,
    /// How many of each.
    pub(super) summary: ApplySummary,
    /// What then grants nothing, though somebody may expect it to.
    pub(super) problems: Vec<String>,
}

impl Plan {
    /// Holds what is given against what is there.
    pub(super) fn make(
        stored: impl IntoIterator<Item = Object>,
        given: Vec<Object>,
        left_out: &[LeftOut],
        replace: bool,
        objects_max: usize,
    ) -> Result<Self, CallError> {
        if given.is_empty() && left_out.is_empty() && replace {
            let message = "the input holds no RBAC object, so that all would be removed: delete them by name if that is meant";
            return Err(CallError::invalid("documents", "replace_with_nothing", message));
        }
        let mut stored: BTreeMap<ObjectKey, Object> =
            stored.into_iter().map(|object| (object.key(), object)).collect();
        let mut plan = Self::default();
        let mut seen = BTreeSet::new();
        for object in given {
            let key = object.key();
            if !seen.insert(key.clone()) {
                let message = format!("`{key}` is in the input twice: leave one out");
                return Err(CallError::invalid("documents", "duplicate_object", message));
            }
            plan.add(&mut stored, key, object, replace)?;
        }
        plan.remove = if replace {
            stored.keys().filter(|key| !seen.contains(*key)).cloned().collect()
        } else {
            // What it is now cannot be read, and so grants nothing; what it was before it is no more.
            let keys: BTreeSet<&ObjectKey> = left_out.iter().filter_map(|one| one.key.as_ref()).collect();
            keys.into_iter().filter(|key| stored.contains_key(key) && !seen.contains(*key)).cloned().collect()
        };
        plan.remove.iter().for_each(|key| drop(stored.remove(key)));
        plan.summary.removed = count(plan.remove.len());
        if stored.len() > objects_max {
            return Err(CallError::LimitExceeded {
                what: "RBAC objects of one cluster".into(),
                limit: objects_max as u64,
            });
        }
        if !plan.put.is_empty() || !plan.remove.is_empty() {
            plan.problems =
                Index::compile(stored.values()).problems().iter().map(ToString::to_string).collect();
        }
        Ok(plan)
    }

    fn add(
        &mut self,
        stored: &mut BTreeMap<ObjectKey, Object>,
        key: ObjectKey,
        object: Object,
        replace: bool,
    ) -> Result<(), CallError> {
        match stored.get(&key) {
            Some(known) if *known == object => {
                self.summary.unchanged += 1;
                return Ok(());
            }
            Some(known) => {
                if let (Some(was), Some(is)) = (role_of(known), role_of(&object))
                    && was != is
                    && !replace
                {
                    let message = format!(
                        "`{key}` gives `{was}`, and a binding's role does not change: delete it first to give `{is}`"
                    );
                    return Err(CallError::invalid("documents", "role_ref_immutable", message));
                }
                self.summary.changed += 1;
            }
            None => self.summary.created += 1,
        }
        self.put.push(object.clone());
        stored.insert(key, object);
        Ok(())
    }
}

/// The role that a binding gives.
fn role_of(object: &Object) -> Option<ObjectKey> {
    match object {
        Object::Role(_) | Object::ClusterRole(_) => None,
        Object::RoleBinding(binding) => Some(match &binding.role {
            RoleRef::Role(name) => ObjectKey::role(&binding.namespace, name),
            RoleRef::ClusterRole(name) => ObjectKey::cluster_role(name),
        }),
        Object::ClusterRoleBinding(binding) => Some(ObjectKey::cluster_role(&binding.cluster_role)),
    }
}

fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

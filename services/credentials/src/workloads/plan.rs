//! What an apply of ServiceAccounts does, worked out before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_api::{
    CallError,
    credentials::{ServiceAccount, ServiceAccountBatch, ServiceAccountSummary},
    named,
};
use lanyard_iam::shown_within;

use super::rules;

/// Most characters of a name in a message.
const NAME_CHARS_MAX: usize = 200;

/// The writes of an apply.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// New and changed ones.
    pub(super) put: Vec<ServiceAccount>,
    /// Keys of those that are to go.
    pub(super) remove: Vec<String>,
    /// How many of each.
    pub(super) summary: ServiceAccountSummary,
}

impl Plan {
    /// Holds what is given against what is there.
    pub(super) fn make(
        stored: &BTreeMap<String, ServiceAccount>,
        batch: ServiceAccountBatch,
        service_accounts_max: usize,
    ) -> Result<Self, CallError> {
        let ServiceAccountBatch { service_accounts, removed, replace } = batch;
        if replace && !removed.is_empty() {
            let message = "what is not among those of a whole list is removed by that: leave `removed` out";
            return Err(CallError::invalid("removed", "replace_with_removed", message));
        }
        let mut plan = Self::default();
        let mut refused = Vec::new();
        let mut seen = BTreeSet::new();
        let mut gone: BTreeSet<String> = removed.iter().map(ToString::to_string).collect();
        for given in service_accounts {
            let key = given.key().to_string();
            if !seen.insert(key.clone()) || gone.contains(&key) {
                let message =
                    format!("`{}` is in the batch twice: leave one out", shown_within(&key, NAME_CHARS_MAX));
                return Err(CallError::invalid("service_accounts", "duplicate_service_account", message));
            }
            if let Err(broken) = rules::service_account(&given) {
                refused.push(format!("ServiceAccount/{}: {broken}", shown_within(&key, NAME_CHARS_MAX)));
                // What it is now cannot be read; what it was before it is no more.
                seen.remove(&key);
                gone.insert(key);
                continue;
            }
            match stored.get(&key) {
                Some(known) if *known == given => {
                    plan.summary.unchanged += 1;
                    continue;
                }
                Some(_) => plan.summary.changed += 1,
                None => plan.summary.created += 1,
            }
            plan.put.push(given);
        }
        let goes = |key: &&String| if replace { !seen.contains(*key) } else { gone.contains(*key) };
        plan.remove = stored.keys().filter(goes).cloned().collect();
        plan.summary.removed = u32::try_from(plan.remove.len()).unwrap_or(u32::MAX);
        plan.summary.refused = named(refused.into_iter());
        let left = stored.len() + plan.summary.created as usize - plan.remove.len();
        if left > service_accounts_max {
            let limit = service_accounts_max as u64;
            return Err(CallError::LimitExceeded { what: "ServiceAccounts of one cluster".into(), limit });
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::credentials::ServiceAccountName;
    use proptest::prelude::*;

    use super::*;

    fn account(name: &str, uid: &str) -> ServiceAccount {
        ServiceAccount {
            namespace: "n".to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            annotations: BTreeMap::new(),
        }
    }

    fn stored(accounts: &[ServiceAccount]) -> BTreeMap<String, ServiceAccount> {
        accounts.iter().map(|account| (account.key().to_string(), account.clone())).collect()
    }

    fn some(accounts: &[ServiceAccount], removed: &[&str]) -> ServiceAccountBatch {
        let name = |name: &&str| ServiceAccountName { namespace: "n".to_owned(), name: (*name).to_owned() };
        let removed = removed.iter().map(name).collect();
        ServiceAccountBatch { service_accounts: accounts.to_vec(), removed, replace: false }
    }

    fn whole(accounts: &[ServiceAccount]) -> ServiceAccountBatch {
        ServiceAccountBatch { replace: true, ..some(accounts, &[]) }
    }

    fn counts(plan: &Plan) -> [u32; 4] {
        let ServiceAccountSummary { created, changed, unchanged, removed, .. } = plan.summary;
        [created, changed, unchanged, removed]
    }

    #[test]
    fn a_batch_creates_changes_and_removes_and_the_same_again_does_nothing() {
        let there = stored(&[account("a", "1"), account("b", "2")]);
        let cases = [
            (some(&[account("c", "3"), account("a", "9")], &["b"]), [1, 1, 0, 1]),
            (some(&[account("a", "1")], &["never-there"]), [0, 0, 1, 0]),
            (whole(&[account("a", "1")]), [0, 0, 1, 1]),
            (whole(&[account("a", "1"), account("b", "2")]), [0, 0, 2, 0]),
            (whole(&[]), [0, 0, 0, 2]),
            (some(&[], &[]), [0, 0, 0, 0]),
        ];
        for (batch, expected) in cases {
            assert_eq!(counts(&Plan::make(&there, batch.clone(), 9).unwrap()), expected, "{batch:?}");
        }
    }

    #[test]
    fn one_that_is_out_of_form_is_named_and_gone_and_holds_nothing_back() {
        let there = stored(&[account("a", "1")]);
        let plan = Plan::make(&there, some(&[account("a", ""), account("b", "2")], &[]), 9).unwrap();
        assert_eq!((plan.put.len(), plan.remove.as_slice()), (1, ["n/a".to_owned()].as_slice()));
        assert!(plan.summary.refused[0].starts_with("ServiceAccount/n/a: its uid"), "{plan:?}");
        let many: Vec<_> = (0..60).map(|n| account(&n.to_string(), "")).collect();
        let plan = Plan::make(&there, some(&many, &[]), 9).unwrap();
        assert_eq!((plan.summary.refused.len(), plan.summary.refused[50].as_str()), (51, "and 10 more"));
    }

    #[test]
    fn what_says_two_things_and_what_is_too_much_is_refused() {
        let there = stored(&[account("a", "1")]);
        let rule = |batch| match Plan::make(&there, batch, 2) {
            Err(CallError::Invalid { rule, .. }) => rule,
            Err(CallError::LimitExceeded { .. }) => "limit",
            other => panic!("{other:?}"),
        };
        assert_eq!(rule(some(&[account("b", "1"), account("b", "2")], &[])), "duplicate_service_account");
        assert_eq!(rule(some(&[account("b", "1")], &["b"])), "duplicate_service_account");
        assert_eq!(rule(ServiceAccountBatch { replace: true, ..some(&[], &["a"]) }), "replace_with_removed");
        assert_eq!(rule(some(&[account("b", "1"), account("c", "2")], &[])), "limit");
        let made_room = some(&[account("b", "1"), account("c", "2")], &["a"]);
        assert!(Plan::make(&there, made_room, 2).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_leaves_what_was_given(
            before in prop::collection::btree_map("[a-d]", "[12]", 0..4),
            given in prop::collection::btree_map("[a-d]", "[12]", 0..4),
            replace: bool,
        ) {
            let of = |map: &BTreeMap<String, String>| -> Vec<ServiceAccount> {
                map.iter().map(|(name, uid)| account(name, uid)).collect()
            };
            let mut after = stored(&of(&before));
            let batch = ServiceAccountBatch { replace, ..some(&of(&given), &[]) };
            let plan = Plan::make(&after, batch, 9).unwrap();
            for key in &plan.remove {
                prop_assert!(after.remove(key).is_some());
            }
            for put in plan.put {
                let key = put.key().to_string();
                prop_assert!(after.insert(key, put.clone()).as_ref() != Some(&put));
            }
            let mut expected = if replace { BTreeMap::new() } else { stored(&of(&before)) };
            expected.extend(stored(&of(&given)));
            prop_assert_eq!(after, expected);
        }
    }
}

//! The newest decisions, found by number.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use foldhash::fast::RandomState;
use lanyard_api::{DecisionId, authz::DecisionRecord};

/// Keeps so many records, the oldest going first.
#[derive(Debug)]
pub(super) struct Ring {
    records_max: usize,
    order: VecDeque<DecisionId>,
    records: HashMap<DecisionId, Arc<DecisionRecord>, RandomState>,
}

impl Ring {
    pub(super) fn new(records_max: usize) -> Self {
        Self { records_max, order: VecDeque::new(), records: HashMap::default() }
    }

    /// A number that is there already keeps its record: numbers are random, so that a second one is a second arrival.
    pub(super) fn push(&mut self, record: Arc<DecisionRecord>) {
        let id = record.id;
        if self.records_max == 0 || self.records.contains_key(&id) {
            return;
        }
        if self.order.len() >= self.records_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.records.remove(&oldest);
        }
        self.order.push_back(id);
        self.records.insert(id, record);
    }

    pub(super) fn find(&self, id: DecisionId) -> Option<Arc<DecisionRecord>> {
        self.records.get(&id).map(Arc::clone)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use lanyard_api::{
        ClusterUid,
        authz::{DecisionKind, DecisionOutcome},
    };
    use time::OffsetDateTime;

    use super::*;

    pub(in super::super) fn record(outcome: DecisionOutcome) -> Arc<DecisionRecord> {
        Arc::new(DecisionRecord {
            id: DecisionId::random(),
            at: OffsetDateTime::UNIX_EPOCH,
            cluster: ClusterUid::random(),
            kind: DecisionKind::SubjectAccessReview,
            outcome,
            reason: "rbac".into(),
            who: "ana".into(),
            what: "get pods".into(),
            detail: "".into(),
            trace: None,
            question: None,
        })
    }

    #[test]
    fn the_newest_are_kept_and_no_more_than_asked_for() {
        for records_max in [0, 1, 3] {
            let mut ring = Ring::new(records_max);
            let records: Vec<_> = (0..5).map(|_| record(DecisionOutcome::Allow)).collect();
            records.iter().for_each(|record| ring.push(Arc::clone(record)));
            ring.push(Arc::clone(&records[4]));
            for (at, record) in records.iter().enumerate() {
                let expected = (at + records_max >= 5).then(|| Arc::clone(record));
                assert_eq!(ring.find(record.id), expected, "{at} of {records_max}");
            }
            assert_eq!((ring.order.len(), ring.records.len()), (records_max, records_max));
        }
    }
}

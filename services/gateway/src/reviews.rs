//! What API servers ask for, counted by cluster.
//!
//! The first so many clusters that this process meets have a name among the metrics, the others share one: whoever registers
//! clusters by the thousand does not make metrics by the thousand. A cluster's counters lie with the cluster, so that a review
//! looks nothing up.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use http::Response;
use lanyard_api::{ClusterId, DecisionId};
use lanyard_kit::telemetry::{Counters, Histograms, Label, Labels, names};

/// A review's answer, and what there is to tell of it.
pub(crate) struct Answered {
    /// What came of it.
    pub review: Review,
    /// Under which `explain` finds it; none where nothing was decided.
    pub decision: Option<DecisionId>,
    /// The stable code of the reason.
    pub reason: Cow<'static, str>,
    /// What is sent.
    pub response: Response<Body>,
}

impl Answered {
    /// Not looked into: `review` says whether it is out of form, or one too many.
    pub(crate) fn unread(review: Review, response: Response<Body>) -> Self {
        Self { review, decision: None, reason: review.outcome().into(), response }
    }
}

/// Which kind of review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Token,
    Access,
    Pod,
}

impl Label for Kind {
    const KEY: &'static str = names::ROUTE;
    const ALL: &'static [Self] = &[Self::Token, Self::Access, Self::Pod];

    fn value(self) -> &'static str {
        match self {
            Self::Token => "tokenreview",
            Self::Access => "subjectaccessreview",
            Self::Pod => "mutate",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// What comes of a review, of either kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Review {
    Authenticated,
    Refused,
    NotOurs,
    TokenFault,
    TokenMalformed,
    TokenShed,
    Allow,
    Deny,
    NoOpinion,
    /// No answer; where it bore a proof, it was denied.
    AccessFault,
    /// Not to be read; where it may have borne a proof, it was denied.
    AccessMalformed,
    /// One too many; where it bore a proof, it was denied.
    AccessShed,
    /// Something was put into a pod.
    Mutated,
    Unchanged,
    /// A pod may not be made without the role that it cannot get.
    PodRefused,
    PodFault,
    PodMalformed,
    PodShed,
}

impl Review {
    const ALL: [Self; 18] = [
        Self::Authenticated,
        Self::Refused,
        Self::NotOurs,
        Self::TokenFault,
        Self::TokenMalformed,
        Self::TokenShed,
        Self::Allow,
        Self::Deny,
        Self::NoOpinion,
        Self::AccessFault,
        Self::AccessMalformed,
        Self::AccessShed,
        Self::Mutated,
        Self::Unchanged,
        Self::PodRefused,
        Self::PodFault,
        Self::PodMalformed,
        Self::PodShed,
    ];

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Authenticated
            | Self::Refused
            | Self::NotOurs
            | Self::TokenFault
            | Self::TokenMalformed
            | Self::TokenShed => Kind::Token,
            Self::Allow
            | Self::Deny
            | Self::NoOpinion
            | Self::AccessFault
            | Self::AccessMalformed
            | Self::AccessShed => Kind::Access,
            Self::Mutated
            | Self::Unchanged
            | Self::PodRefused
            | Self::PodFault
            | Self::PodMalformed
            | Self::PodShed => Kind::Pod,
        }
    }

    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Self::Authenticated => "authenticated",
            Self::Refused | Self::PodRefused => "refused",
            Self::NotOurs => "not_ours",
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::NoOpinion => "no_opinion",
            Self::Mutated => "mutated",
            Self::Unchanged => "unchanged",
            Self::TokenFault | Self::AccessFault | Self::PodFault => "fault",
            Self::TokenMalformed | Self::AccessMalformed | Self::PodMalformed => "malformed",
            Self::TokenShed | Self::AccessShed | Self::PodShed => "shed",
        }
    }
}

impl Labels for Review {
    fn all() -> Vec<Self> {
        Self::ALL.to_vec()
    }

    fn place(self) -> usize {
        self as usize
    }

    fn pairs(self) -> Vec<(&'static str, &'static str)> {
        vec![(names::ROUTE, self.kind().value()), (names::OUTCOME, self.outcome())]
    }
}

/// The counters of one cluster.
pub(crate) struct OfCluster {
    counts: Counters<Review>,
    seconds: Histograms<Kind>,
}

impl OfCluster {
    fn new(cluster: String) -> Arc<Self> {
        let label = || (names::CLUSTER, cluster.clone().into());
        Arc::new(Self {
            counts: Counters::of(names::GATEWAY_REVIEWS_TOTAL, label()),
            seconds: Histograms::of(names::GATEWAY_REVIEW_SECONDS, label()),
        })
    }

    pub(crate) fn count(&self, review: Review, took: Duration) {
        self.counts.increment(review);
        self.seconds.record(review.kind(), took);
    }
}

impl std::fmt::Debug for OfCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OfCluster")
    }
}

/// The counters of all clusters that were met. A cluster that goes leaves its own behind, under its name.
pub(crate) struct Reviews {
    named_max: usize,
    named: Mutex<HashMap<ClusterId, Arc<OfCluster>>>,
    others: Arc<OfCluster>,
}

impl Reviews {
    pub(crate) fn new(named_max: usize) -> Self {
        Self { named_max, named: Mutex::default(), others: OfCluster::new(names::OTHER.to_owned()) }
    }

    /// A cluster's, its own or the shared ones. Asked for when the directory changes, not on the way of a review.
    pub(crate) fn of(&self, cluster: &ClusterId) -> Arc<OfCluster> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = named.get(cluster) {
            return Arc::clone(own);
        }
        if named.len() >= self.named_max {
            return Arc::clone(&self.others);
        }
        let own = OfCluster::new(cluster.to_string());
        named.insert(cluster.clone(), Arc::clone(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_clusters_have_a_name_and_keep_it_and_the_others_share_one() {
        let reviews = Reviews::new(2);
        let of = |id: &str| reviews.of(&id.parse().unwrap());
        let (first, second) = (of("first"), of("second"));
        assert!(!Arc::ptr_eq(&first, &second));
        let others: Vec<_> = (0..1000).map(|number| of(&format!("cluster-{number}"))).collect();
        assert!(others.iter().all(|other| Arc::ptr_eq(other, &reviews.others)));
        assert!(Arc::ptr_eq(&of("first"), &first) && Arc::ptr_eq(&of("second"), &second));
    }

    #[test]
    fn every_review_stands_in_its_place_under_labels_of_its_own() {
        let mut seen = Vec::new();
        for (place, review) in Review::ALL.into_iter().enumerate() {
            assert_eq!(review.place(), place);
            assert!(!seen.contains(&review.pairs()), "{review:?}");
            seen.push(review.pairs());
        }
    }
}

//! The decision, pure: a review, what is in memory, a moment → allow, deny or no opinion.
//!
//! The order is the rule: impersonating the proof is denied first, whoever asks; then a proof must verify, its grant must
//! still give what the review claims, and whom it is for must be trusted, unblocked and alive; then access policies of the
//! grant as it is now; then, where RBAC is ours to evaluate, RBAC. What nothing allows is no opinion.

mod alive;
mod asked;
mod bearing;
mod hints;
mod impersonation;
mod list;
mod standing;
mod world;

use std::sync::Arc;

use lanyard_api::{
    Revision,
    authz::{Decision, Reason, Review, Verdict},
};
use lanyard_rbac::{Grant as RbacGrant, Subject, User};
use time::OffsetDateTime;

pub(crate) use asked::{Asked, Selected};
pub(crate) use bearing::{Bearing, proof_in};
pub(crate) use list::{rules_for, who_can};
pub(crate) use world::{Lacking, Sight, World};

use self::{
    hints::Budget,
    impersonation::impersonates_the_proof,
    standing::{Standing, standing},
};

/// Most groups of one review. mapping gives far fewer, and each costs a look-up.
pub(crate) const REVIEW_GROUPS_MAX: usize = 4096;

/// Reviews of a batch that are decided before others have a turn; some milliseconds of work.
const PART_REVIEWS: usize = 1_000;

/// So many groups are as much work as a review.
const GROUPS_A_REVIEW: usize = 32;

/// Rules that a batch's explanations look at before others have a turn; about a millisecond of work.
const PART_RULES: usize = 20_000;

/// What a review that cannot be weighed says of itself.
const TOO_MANY_GROUPS: &str = "the review has more groups than are weighed";

/// Decides a review from what is in memory. Somebody whose proof is verified, and whom nothing lets in, is told the first of what
/// would have.
///
/// # Errors
/// What has to be brought into memory first.
pub(crate) fn decide<W: World>(world: &W, review: &Review, now: OffsetDateTime) -> Result<Decision, Lacking> {
    if let Some(decision) = out_of_hand(review) {
        return Ok(decision);
    }
    let Some(sight) = Sight::open(world, review.cluster, now)? else {
        return Ok(of_no_cluster(review));
    };
    let standing = standing(&sight, &review.user, review.grant)?;
    let mut decision = judge(&sight, review, &standing, &mut Budget::of_one());
    if decision.verdict == Verdict::NoOpinion && !review.explain {
        decision.hints = hints::first(&sight, review, &standing);
    }
    Ok(decision)
}

/// Reviews that are decided in their order, a part at a time: between two parts everybody else has a turn. There are hints for those
/// alone that ask for an explanation. What those who want in stand on is looked at once for all reviews in a row of one part that share
/// their user.
pub(crate) struct Batch<'r> {
    reviews: &'r [Review],
    decisions: Vec<Decision>,
    explaining: Budget,
}

impl<'r> Batch<'r> {
    pub(crate) fn of(reviews: &'r [Review]) -> Self {
        Self { reviews, decisions: Vec::with_capacity(reviews.len()), explaining: Budget::of_batch() }
    }

    /// Whether all are decided.
    pub(crate) fn is_done(&self) -> bool {
        self.decisions.len() == self.reviews.len()
    }

    /// What was decided.
    pub(crate) fn into_decisions(self) -> Vec<Decision> {
        self.decisions
    }

    /// Decides the next part.
    ///
    /// # Errors
    /// As [`decide`].
    pub(crate) fn go_on<W: World>(&mut self, world: &W, now: OffsetDateTime) -> Result<(), Lacking> {
        let is_same = |one: &Review, next: &Review| {
            one.cluster == next.cluster && one.grant == next.grant && Arc::ptr_eq(&one.user, &next.user)
        };
        let mut part = Part { work: 0, rules_before: self.explaining.rules() };
        let reviews = self.reviews;
        let left = reviews.get(self.decisions.len()..).unwrap_or_default();
        for of_one in left.chunk_by(is_same) {
            self.decide_those_of_one(world, of_one, now, &mut part)?;
            if part.is_over(&self.explaining) {
                break;
            }
        }
        Ok(())
    }

    fn decide_those_of_one<W: World>(
        &mut self,
        world: &W,
        reviews: &[Review],
        now: OffsetDateTime,
        part: &mut Part,
    ) -> Result<(), Lacking> {
        // As for one review: whoever is answered out of hand has nothing brought into memory.
        let first = reviews.iter().find(|review| out_of_hand(review).is_none());
        let sight = match first {
            Some(first) => Sight::open(world, first.cluster, now)?,
            None => None,
        };
        let standing = match (&sight, first) {
            (Some(sight), Some(first)) => Some((sight, standing(sight, &first.user, first.grant)?)),
            _ => None,
        };
        for review in reviews {
            self.decisions.push(out_of_hand(review).unwrap_or_else(|| match &standing {
                Some((sight, standing)) => judge(sight, review, standing, &mut self.explaining),
                None => of_no_cluster(review),
            }));
            part.work += 1 + review.user.groups.len() / GROUPS_A_REVIEW;
            if part.is_over(&self.explaining) {
                break;
            }
        }
        Ok(())
    }
}

/// What was done of a part of a batch.
struct Part {
    /// In reviews of a few groups.
    work: usize,
    rules_before: usize,
}

impl Part {
    fn is_over(&self, explaining: &Budget) -> bool {
        self.work >= PART_REVIEWS || self.rules_before.saturating_sub(explaining.rules()) >= PART_RULES
    }
}

/// The answer where nothing has to be known for it.
fn out_of_hand(review: &Review) -> Option<Decision> {
    if impersonates_the_proof(&review.attributes) {
        return Some(decided(Verdict::Deny, Reason::ProofImpersonation, Revision::default()));
    }
    (review.user.groups.len() > REVIEW_GROUPS_MAX)
        .then(|| unanswerable(proof_in(&review.user.extra) != Bearing::Nothing, TOO_MANY_GROUPS))
}

fn judge<W: World>(
    sight: &Sight<'_, W>,
    review: &Review,
    standing: &Standing<'_>,
    explaining: &mut Budget,
) -> Decision {
    let mut decision = weigh(sight, review, standing);
    if review.explain && decision.verdict != Verdict::Allow {
        decision.hints = hints::of(sight, review, standing, explaining);
    }
    decision
}

fn weigh<W: World>(sight: &Sight<'_, W>, review: &Review, standing: &Standing<'_>) -> Decision {
    let grant = match standing {
        Standing::Refused(refusal) => return decided(Verdict::Deny, refusal.reason(), sight.revision),
        Standing::Granted(grant) => Some(grant),
        Standing::Bare => None,
    };
    let selected = Selected::of(&review.attributes);
    let asked = Asked::of(&review.attributes, &selected);
    let by_policy = grant.and_then(|grant| grant.allows(&asked.0, sight.now)).map(|found| found.reason());
    let by_rbac = || {
        let user = User { name: &review.user.username, groups: &review.user.groups };
        let is_ours = review.full || sight.spoke.is_full();
        is_ours.then(|| sight.cluster.index.authorize(user, &asked.0)).flatten().map(reason_of)
    };
    let reason = by_policy.or_else(by_rbac);
    let verdict = if reason.is_some() { Verdict::Allow } else { Verdict::NoOpinion };
    let mut decision = decided(verdict, reason.unwrap_or(Reason::NothingMatched), sight.revision);
    decision.evaluation_error = selected.fault;
    decision
}

fn reason_of(grant: RbacGrant<'_>) -> Reason {
    match grant {
        RbacGrant::SystemMasters => Reason::SystemMasters,
        RbacGrant::Rule(grant) => Reason::Rbac {
            subject: Subject::from(grant.subject()),
            binding: grant.binding().to_key(),
            role: grant.role().clone(),
            rule: u32::try_from(grant.rule_index()).unwrap_or(u32::MAX),
        },
    }
}

/// The answer where there is no such cluster: a proof for it proves nothing, and nothing else is known of it.
fn of_no_cluster(review: &Review) -> Decision {
    if proof_in(&review.user.extra) != Bearing::Nothing {
        return decided(Verdict::Deny, Reason::ProofInvalid, Revision::default());
    }
    unanswerable(false, "the cluster does not exist")
}

/// The answer to a review that cannot be decided. One that bears a proof is denied: on anything else the API server would
/// let RBAC decide, by groups that may be gone.
pub(crate) fn unanswerable(bears_proof: bool, why: &str) -> Decision {
    let (verdict, reason) = if bears_proof {
        (Verdict::Deny, Reason::Unanswerable)
    } else {
        (Verdict::NoOpinion, Reason::NothingMatched)
    };
    Decision { evaluation_error: Some(why.to_owned()), ..decided(verdict, reason, Revision::default()) }
}

fn decided(verdict: Verdict, reason: Reason, revision: Revision) -> Decision {
    Decision { verdict, reason, evaluation_error: None, hints: Vec::new(), revision }
}

#[cfg(test)]
mod tests;

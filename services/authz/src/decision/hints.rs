//! For a refusal: what would have allowed it. All of it for people who ask for an explanation; the first of it for whoever a
//! proof knows, for it stands in what kubectl shows them.

use lanyard_api::{
    access_policies::{AccessPolicies, AccessPolicy},
    authz::Review,
    mapping::GrantKind,
};
use lanyard_iam::shown_within;
use lanyard_rbac::{Attributes, EXPLAINED_RULES_MAX, Target, User};

use super::{Asked, Selected, Sight, World, standing::Standing};
use crate::grant::{Association, Grant};

/// Most hints of one explanation.
const HINTS_MAX: usize = 12;

/// Most hints of a refusal that nobody asked to explain: they share one line with what decided.
const FIRST_MAX: usize = 2;

/// Most characters of a namespace in a hint: a review's may have any.
const NAMESPACE_CHARS_MAX: usize = 80;

/// Rules of RBAC that are looked at for these at the most; some microseconds of work, for it is on the path of the refused.
const FIRST_RULES_MAX: usize = 1_000;

/// Rules that all explanations of one batch look at at the most; some hundred milliseconds of work.
const BATCH_RULES_MAX: usize = 5_000_000;

/// What an explanation in a batch takes of these at the least: it goes through the published access policies, and its text has to fit into
/// the answer with all others.
const EXPLANATION_RULES: usize = 2_000;

/// Most published access policies that are proposed.
const PROPOSED_MAX: usize = 3;

/// How much broader a word that means all is taken to be than a word that means one.
const ALL_BREADTH: usize = 1_000;

/// What explanations may look at still.
#[derive(Debug)]
pub(super) struct Budget {
    rules: usize,
    /// Whether those of a batch share it.
    is_shared: bool,
}

impl Budget {
    /// Of the explanation of one review.
    pub(super) const fn of_one() -> Self {
        Self { rules: EXPLAINED_RULES_MAX + EXPLANATION_RULES, is_shared: false }
    }

    /// Of all explanations of a batch.
    pub(super) const fn of_batch() -> Self {
        Self { rules: BATCH_RULES_MAX, is_shared: true }
    }

    /// Rules that may be looked at still, and stand for the work of doing so.
    pub(super) fn rules(&self) -> usize {
        self.rules
    }

    fn spend(&mut self, rules: usize) {
        self.rules = self.rules.saturating_sub(rules);
    }

    /// What a batch's explanation says that there was no time for.
    fn cut(&self) -> Option<String> {
        (self.is_shared && self.rules == 0).then(|| {
            "there may be more: the explanations of one batch look at so many rules, and these are used up; ask for this review in a \
             smaller batch"
                .to_owned()
        })
    }
}

/// What would have allowed it; one line each, the nearest first.
pub(super) fn of<W: World>(
    sight: &Sight<'_, W>,
    review: &Review,
    standing: &Standing<'_>,
    budget: &mut Budget,
) -> Vec<String> {
    let grant = match standing {
        Standing::Refused(refusal) => return vec![refusal.to_string()],
        Standing::Granted(grant) => Some(grant),
        Standing::Bare => None,
    };
    if let Some(cut) = budget.cut() {
        return vec![cut];
    }
    budget.spend(EXPLANATION_RULES);
    let selected = Selected::of(&review.attributes);
    let asked = Asked::of(&review.attributes, &selected).0;
    let mut hints = grant.map(|grant| of_policies(sight, grant, &asked)).unwrap_or_default();
    hints.extend(of_rbac(sight, review, &asked, budget));
    hints.truncate(HINTS_MAX);
    hints.extend(budget.cut());
    hints
}

/// The first of them, where a proof was verified: whoever it knows may ask for all of them, and nobody else is told any.
/// Somebody who is denied is told the reason's code alone, for it may lie in their account and not in this cluster.
pub(super) fn first<W: World>(sight: &Sight<'_, W>, review: &Review, standing: &Standing<'_>) -> Vec<String> {
    let Standing::Granted(grant) = standing else { return Vec::new() };
    // An entry that is asked about is no proof.
    if review.grant.is_some() {
        return Vec::new();
    }
    let selected = Selected::of(&review.attributes);
    let asked = Asked::of(&review.attributes, &selected).0;
    // By far the most of those whom no access policy lets in are let in by this, and nobody reads why.
    if let Some(hint) = of_the_clusters_own(sight, review, &asked) {
        return vec![hint];
    }
    let mut hints = of_policies(sight, grant, &asked);
    if hints.len() < FIRST_MAX {
        let mut budget = Budget { rules: FIRST_RULES_MAX, is_shared: false };
        hints.extend(of_rbac(sight, review, &asked, &mut budget));
    }
    hints.truncate(FIRST_MAX);
    hints
}

fn of_policies<W: World>(sight: &Sight<'_, W>, grant: &Grant, asked: &Attributes<'_>) -> Vec<String> {
    if grant.kind != GrantKind::AccessEntry {
        return vec![
            "only access entries have access policies, and this user was mapped by something else".to_owned(),
        ];
    }
    let near = grant.policies().iter().filter(|association| association.would_allow(asked));
    let mut hints: Vec<String> = near.map(|association| near_miss(association, sight.now)).collect();
    if grant.policies().is_empty() {
        hints.push("the access entry has no access policies".to_owned());
    }
    let has = |policy: &AccessPolicy| grant.policies().iter().any(|known| known.policy().name == policy.name);
    let mut others: Vec<&AccessPolicy> = AccessPolicies::published()
        .iter()
        .filter(|policy| {
            !policy.service_linked_only && !has(policy) && policy.rules.first_match(asked).is_some()
        })
        .collect();
    // Once for each: this is on the path of whoever is refused with a proof, and some policies are hundreds of words.
    others.sort_by_cached_key(|policy| breadth(policy));
    let place = place_needed(asked);
    let proposed = others.into_iter().take(PROPOSED_MAX);
    hints.extend(
        proposed
            .map(|policy| format!("access policy {} would allow it, associated for {place}", policy.name)),
    );
    hints
}

fn near_miss(association: &Association, now: time::OffsetDateTime) -> String {
    let name = &association.policy().name;
    if association.has_ended(now) {
        return format!("access policy {name} allowed it until its association ended");
    }
    format!("access policy {name} allows it in {} only", association.place())
}

fn place_needed(asked: &Attributes<'_>) -> String {
    match asked.target {
        Target::Resource(resource) if !resource.namespace.is_empty() => {
            format!("namespace {} or the cluster", shown_within(resource.namespace, NAMESPACE_CHARS_MAX))
        }
        Target::Resource(_) | Target::NonResource(_) => "the cluster".to_owned(),
    }
}

fn breadth(policy: &AccessPolicy) -> usize {
    let words =
        |words: &[String]| words.iter().map(|word| if word == "*" { ALL_BREADTH } else { 1 }).sum::<usize>();
    let rules = policy.rules.rules().iter();
    rules.map(|rule| words(&rule.verbs) * (words(&rule.resources) + words(&rule.non_resource_urls))).sum()
}

/// What RBAC that is left to the cluster would say, where it would allow it.
fn of_the_clusters_own<W: World>(
    sight: &Sight<'_, W>,
    review: &Review,
    asked: &Attributes<'_>,
) -> Option<String> {
    if is_ours(sight, review) {
        return None;
    }
    let grant = sight.cluster.index.authorize(user_of(review), asked)?;
    Some(format!("the cluster's own RBAC, as last seen here, allows it: {grant}"))
}

/// The nearest rules of RBAC, of so many as are looked at.
fn of_rbac<W: World>(
    sight: &Sight<'_, W>,
    review: &Review,
    asked: &Attributes<'_>,
    budget: &mut Budget,
) -> Vec<String> {
    let index = &sight.cluster.index;
    if let Some(hint) = of_the_clusters_own(sight, review, asked) {
        return vec![hint];
    }
    if !is_ours(sight, review) && index.roles() + index.bindings() == 0 {
        return vec!["RBAC is left to the cluster, and none of it is known here".to_owned()];
    }
    let rules_max = budget.rules.min(EXPLAINED_RULES_MAX);
    let explanation = index.explain_within(user_of(review), asked, rules_max);
    budget.spend(explanation.rules);
    explanation.near_misses.iter().map(|near_miss| format!("RBAC: {near_miss}")).collect()
}

/// Whether RBAC was weighed here.
fn is_ours<W: World>(sight: &Sight<'_, W>, review: &Review) -> bool {
    review.full || sight.spoke.is_full()
}

fn user_of(review: &Review) -> User<'_, String> {
    User { name: &review.user.username, groups: &review.user.groups }
}

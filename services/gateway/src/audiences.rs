//! The audiences that a token review names, and those that its cluster has: what is told where they have none in common.

use lanyard_api::authz::DecisionRecord;
use lanyard_iam::shown;

/// The code of that refusal.
pub(crate) const CODE: &str = "audience";

/// How what is told of it begins.
const ASKED: &str = "audiences asked for: ";
/// Most audiences that are told of each: an API server has a few.
const TOLD_MAX: usize = 8;

/// What whoever looks into the refusal has to go by.
pub(crate) fn told(asked: &[String], own: &[String]) -> String {
    format!("{ASKED}{}\naudiences of the cluster: {}", listed(asked), listed(own))
}

/// Whether a refusal is for the audiences that a review named, and not for those in a token.
pub(crate) fn are_told(record: &DecisionRecord) -> bool {
    record.reason == CODE && record.detail.starts_with(ASKED)
}

fn listed(audiences: &[String]) -> String {
    let mut listed: Vec<String> =
        audiences.iter().take(TOLD_MAX).map(|audience| format!("`{}`", shown(audience))).collect();
    if let Some(more) = audiences.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
        listed.push(format!("and {more} more"));
    }
    listed.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_and_what_the_cluster_has_stand_beside_each_other_and_have_an_end() {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            told(&list(&["https://issuer", "a\nb"]), &list(&["https://kubernetes.default.svc"])),
            "audiences asked for: `https://issuer`, `a\\nb`\naudiences of the cluster: `https://kubernetes.default.svc`"
        );
        let many = listed(&vec!["x".repeat(1000); TOLD_MAX + 2]);
        assert!(many.ends_with(", and 2 more") && many.len() < TOLD_MAX * 200, "{many}");
        assert!(!listed(&list(&["x"; TOLD_MAX])).contains("more"));
    }
}

//! Where RBAC is weighed, that no input is left out, and what refusals hint at.

use std::sync::Arc;

use lanyard_api::{
    UserInfo,
    authz::{Attributes, Decision, Review, SelectorRequirement, Selectors, Verdict},
    mapping::{AccessScope, AuthorizerMode},
};
use proptest::prelude::*;

use super::stage::{NOW, Stage, bare, get_pods, resource, texts};
use crate::decision::{Batch, Lacking, PART_REVIEWS};

const ONE_RULE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: one, namespace: team-a}
rules: [{verbs: [get], apiGroups: [apps], resources: [deployments/scale], resourceNames: [web]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: one, namespace: team-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: one}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: devs}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: paths}
rules: [{verbs: [get], nonResourceURLs: [/metrics]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: paths}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: paths}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: ana}
";

fn scale() -> Attributes {
    let mut attributes = resource("get", "apps", "deployments/scale", "team-a");
    let Attributes::Resource(asked) = &mut attributes else { panic!() };
    asked.name = "web".into();
    attributes
}

#[test]
fn rbac_is_weighed_in_full_mode_and_for_those_who_ask_us_alone() {
    let cases = [
        (AuthorizerMode::Full, false, Verdict::Allow),
        (AuthorizerMode::Full, true, Verdict::Allow),
        (AuthorizerMode::WebhookFirst, true, Verdict::Allow),
        (AuthorizerMode::WebhookFirst, false, Verdict::NoOpinion),
    ];
    for (mode, full, expected) in cases {
        let mut stage = Stage::new(mode);
        stage.rbac(ONE_RULE);
        for (user, asked) in [(bare("x", &["devs"]), scale()), (bare("root", &["system:masters"]), scale())] {
            let review = Review { full, ..stage.review(user, asked) };
            assert_eq!(stage.decide(&review).verdict, expected, "{mode:?} {full}");
        }
    }
}

/// Changes one of the inputs.
fn change(review: &mut Review, which: usize, to: &str) -> bool {
    let before = (review.user.clone(), review.attributes.clone());
    match (which, Arc::make_mut(&mut review.attributes)) {
        (0, _) => Arc::make_mut(&mut review.user).groups = texts(&[to]),
        (1, Attributes::NonResource { path, .. }) => *path = to.into(),
        (2, Attributes::NonResource { verb, .. }) => *verb = to.into(),
        (3, Attributes::NonResource { .. }) => Arc::make_mut(&mut review.user).username = to.to_owned(),
        (1, Attributes::Resource(asked)) => asked.verb = to.into(),
        (2, Attributes::Resource(asked)) => asked.group = to.into(),
        (3, Attributes::Resource(asked)) => asked.resource = to.into(),
        (4, Attributes::Resource(asked)) => asked.subresource = to.into(),
        (5, Attributes::Resource(asked)) => asked.namespace = to.into(),
        (6, Attributes::Resource(asked)) => asked.name = to.into(),
        _ => return false,
    }
    let is_path = matches!(*review.attributes, Attributes::NonResource { .. });
    !(is_path && which == 0) && before != (review.user.clone(), review.attributes.clone())
}

proptest! {
    #[test]
    fn immunity_13_every_input_of_a_review_counts(
        is_path in any::<bool>(),
        which in 0..7usize,
        to in prop_oneof![
            Just(String::new()),
            "[a-z./]{1,8}",
            Just("/metrics/".to_owned()),
            Just("/../metrics".to_owned()),
            Just("team-a ".to_owned()),
            Just("WEB".to_owned()),
        ],
    ) {
        let mut stage = Stage::new(AuthorizerMode::Full);
        stage.rbac(ONE_RULE);
        let path = Attributes::NonResource { path: "/metrics".into(), verb: "get".into() };
        let mut review = if is_path {
            stage.review(bare("ana", &[]), path)
        } else {
            stage.review(bare("x", &["devs"]), scale())
        };
        prop_assert_eq!(stage.decide(&review).verdict, Verdict::Allow);
        if change(&mut review, which, &to) {
            prop_assert_eq!(stage.decide(&review).verdict, Verdict::NoOpinion, "{:?}", review);
        }
    }
}

#[test]
fn immunity_30_an_unreadable_selector_changes_no_decision_and_is_said() {
    let mut stage = Stage::new(AuthorizerMode::Full);
    stage.rbac(ONE_RULE);
    let bad =
        SelectorRequirement { key: "app".to_owned(), operator: "Like".to_owned(), values: texts(&["web"]) };
    for (user, expected) in [(bare("x", &["devs"]), Verdict::Allow), (bare("x", &[]), Verdict::NoOpinion)] {
        let mut review = stage.review(user, scale());
        let Attributes::Resource(asked) = Arc::make_mut(&mut review.attributes) else { panic!() };
        asked.selectors = Some(Box::new(Selectors { field: vec![], label: vec![bad.clone()] }));
        let decision = stage.decide(&review);
        assert_eq!(decision.verdict, expected);
        let said = decision.evaluation_error.unwrap();
        assert_eq!(said, "`Like` is not an operator of a label selector: the request counts as unscoped");
    }
}

#[test]
fn an_explanation_names_what_would_have_allowed_it_and_a_proven_refusal_the_first_of_it() {
    let mut stage = Stage::new(AuthorizerMode::Full);
    stage.rbac(ONE_RULE);
    let ana = stage.person("ana", "ana", &["devs"]);
    let mut asked = stage.review(stage.log_in(&ana), get_pods("prod"));
    let first = stage.decide(&asked).hints;
    asked.explain = true;
    let none = stage.decide(&asked);
    assert!(none.hints.len() > 2 && first == none.hints[..2], "{first:?} of {none:?}");
    assert_eq!(none.hints[0], "the access entry has no access policies");
    assert_eq!(
        none.hints[1],
        "access policy AmazonEKSViewPolicy would allow it, associated for namespace prod or the cluster"
    );
    stage.associate(&ana, "AmazonEKSViewPolicy", AccessScope::Namespace(texts(&["dev-*", "a"])), None);
    stage.associate(&ana, "AmazonEKSEditPolicy", AccessScope::Cluster, Some(NOW));
    let near = stage.decide(&asked);
    assert_eq!(near.verdict, Verdict::NoOpinion);
    assert!(
        near.hints
            .contains(&"access policy AmazonEKSViewPolicy allows it in namespaces dev-*, a only".to_owned()),
        "{near:?}"
    );
    assert!(
        near.hints
            .contains(&"access policy AmazonEKSEditPolicy allowed it until its association ended".to_owned()),
        "{near:?}"
    );
    let mut other_name = stage.review(bare("x", &["devs"]), scale());
    let Attributes::Resource(attributes) = Arc::make_mut(&mut other_name.attributes) else { panic!() };
    attributes.name = "db".into();
    other_name.explain = true;
    let hints = stage.decide(&other_name).hints;
    assert!(hints[0].starts_with("RBAC: rule 1 of `Role/team-a/one`"), "{hints:?}");
}

/// The decisions of a batch, and in how many parts they were made.
fn in_parts(stage: &Stage, reviews: &[Review]) -> Result<(Vec<Decision>, usize), Lacking> {
    let (world, mut batch, mut parts) = (stage.compile(), Batch::of(reviews), 0);
    while !batch.is_done() {
        batch.go_on(&world, NOW)?;
        parts += 1;
    }
    Ok((batch.into_decisions(), parts))
}

/// A role of so many rules that allow something else.
fn unlike(rules: usize) -> String {
    let rule = |n| format!("- {{verbs: [get], apiGroups: [example.com], resources: [things{n}]}}\n");
    let rules: String = (0..rules).map(rule).collect();
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: unlike}}\nrules:\n{rules}"
    )
}

#[test]
fn a_long_batch_is_decided_in_parts_as_a_short_one_is() {
    let mut stage = Stage::new(AuthorizerMode::Full);
    stage.rbac(ONE_RULE);
    let user = Arc::new(bare("x", &["devs"]));
    let asked = |user: &Arc<UserInfo>, n: usize| {
        let attributes = if n.is_multiple_of(3) { scale() } else { get_pods("team-a") };
        Review { user: Arc::clone(user), ..stage.review(UserInfo::default(), attributes) }
    };
    let (few, many) = (PART_REVIEWS, 3 * PART_REVIEWS);
    let reviews: Vec<Review> = (0..many).map(|n| asked(&user, n)).collect();
    let (decisions, parts) = in_parts(&stage, &reviews).unwrap();
    assert_eq!((parts, in_parts(&stage, &reviews[..few]).unwrap().1), (3, 1));
    for (n, decision) in decisions.iter().enumerate() {
        let expected = if n.is_multiple_of(3) { Verdict::Allow } else { Verdict::NoOpinion };
        assert_eq!(decision.verdict, expected, "{n}");
    }
    let groups: Vec<String> = (0..4000).map(|n| format!("g{n}")).collect();
    let of_many_groups = Arc::new(UserInfo { groups, ..UserInfo::default() });
    let reviews: Vec<Review> = (0..100).map(|n| asked(&of_many_groups, n)).collect();
    assert!(in_parts(&stage, &reviews).unwrap().1 > 10, "a review of many groups is more work");
}

#[test]
fn the_explanations_of_a_batch_share_what_they_may_look_at() {
    let mut stage = Stage::new(AuthorizerMode::Full);
    stage.rbac(ONE_RULE);
    stage.rbac(&unlike(9_000));
    let mut review = stage.review(bare("x", &["devs"]), get_pods("a"));
    review.explain = true;
    let is_cut = |decision: &Decision| decision.hints.iter().any(|hint| hint.contains("smaller batch"));
    let reviews = vec![review; 700];
    let (decisions, parts) = in_parts(&stage, &reviews).unwrap();
    assert!(!is_cut(&decisions[0]) && !is_cut(&decisions[400]), "{:?}", decisions[400]);
    let last = decisions.last().unwrap();
    assert!(is_cut(last) && last.hints.len() == 1, "{last:?}");
    assert_eq!(last.verdict, Verdict::NoOpinion, "decided it is all the same");
    assert!(parts > 200, "{parts} parts: an explanation is more work than a decision");
    // Who asks for one review alone has all of it.
    assert!(!is_cut(&stage.decide(&reviews[0])));
}

#[test]
fn immunity_58_only_a_verified_proof_that_is_not_denied_is_told_without_asking() {
    let mut stage = Stage::new(AuthorizerMode::Full);
    stage.rbac(ONE_RULE);
    let ana = stage.person("ana", "ana", &["devs"]);
    let user = stage.log_in(&ana);
    let hints = |stage: &Stage, review: &Review| stage.decide(review).hints;
    let asked = stage.review(user.clone(), get_pods("prod"));
    assert_eq!(hints(&stage, &asked).len(), 2);
    // Nor is more than asked for in a batch: nobody reads its reasons one by one.
    assert_eq!(in_parts(&stage, &[asked]).unwrap().0[0].hints, [""; 0]);
    let bare_one = stage.review(bare("ana", &["devs"]), get_pods("prod"));
    assert_eq!(hints(&stage, &bare_one), [""; 0], "without a proof");
    let assumed = Review { grant: Some(ana.entry.id), ..bare_one };
    assert_eq!(hints(&stage, &assumed), [""; 0], "an entry asked about is no proof");
    let forged = UserInfo { username: "bob".to_owned(), ..user.clone() };
    assert_eq!(hints(&stage, &stage.review(forged, get_pods("prod"))), [""; 0], "a proof of somebody else");
    let allowed = stage.review(user.clone(), scale());
    assert_eq!(stage.decide(&allowed).verdict, Verdict::Allow);
    assert_eq!(hints(&stage, &allowed), [""; 0], "allowed");
    let mut changed = ana.entry.clone();
    changed.groups.clear();
    stage.put_entry(&changed);
    let denied = stage.review(user, get_pods("prod"));
    assert_eq!(stage.decide(&denied).verdict, Verdict::Deny);
    assert_eq!(hints(&stage, &denied), [""; 0], "denied");
}

#[test]
fn a_proven_person_whom_the_clusters_own_rbac_lets_in_is_told_of_that_alone() {
    let mut stage = Stage::new(AuthorizerMode::WebhookFirst);
    stage.rbac(ONE_RULE);
    let ana = stage.person("ana", "ana", &["devs"]);
    let decision = stage.decide(&stage.review(stage.log_in(&ana), scale()));
    assert_eq!(decision.verdict, Verdict::NoOpinion);
    let [hint] = decision.hints.as_slice() else { panic!("{decision:?}") };
    assert!(hint.starts_with("the cluster's own RBAC, as last seen here, allows it: rule 1 of"), "{hint}");
}

#[test]
fn where_rbac_is_the_clusters_own_an_explanation_says_what_it_would_say() {
    let mut stage = Stage::new(AuthorizerMode::WebhookFirst);
    let mut review = stage.review(bare("x", &["devs"]), scale());
    review.explain = true;
    assert_eq!(stage.decide(&review).hints, ["RBAC is left to the cluster, and none of it is known here"]);
    stage.rbac(ONE_RULE);
    let hints = stage.decide(&review).hints;
    assert_eq!(hints.len(), 1);
    assert!(
        hints[0].starts_with("the cluster's own RBAC, as last seen here, allows it: rule 1 of"),
        "{hints:?}"
    );
}

#[test]
fn a_refusal_is_explained_by_what_is_lost() {
    let mut stage = Stage::new(AuthorizerMode::Full);
    let ana = stage.person("ana", "ana", &["devs"]);
    let mut review = stage.review(stage.log_in(&ana), get_pods("a"));
    review.explain = true;
    let mut changed = ana.entry.clone();
    changed.groups.clear();
    stage.put_entry(&changed);
    let decision = stage.decide(&review);
    let lost = format!("the access entry {} no longer gives the group `devs`", ana.entry.id);
    assert_eq!((decision.verdict, decision.hints), (Verdict::Deny, vec![lost]));
}

//! The index against the model, on random worlds.

use lanyard_rbac::{
    Grant, Index, NearMiss, NonResourceRule, Object, ObjectKey, PolicyRule, Problem, ResourceRule, RuleSet,
    Subject, SubjectName, User,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::model::{Asker, Model, rule_allows};
use crate::random::{Question, asker, question, rule, user, world};

fn is_master(asker: &Asker) -> bool {
    asker.groups.iter().any(|group| group == "system:masters")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn immunity_13_every_decision_is_the_models_on_all_of_its_inputs(
        objects in world(),
        asked in vec((asker(), question()), 40),
    ) {
        let (index, model) = (Index::compile(&objects), Model::of(&objects));
        for (asker, question) in &asked {
            let attributes = question.attributes();
            let grant = index.authorize(user(asker), &attributes);
            prop_assert_eq!(grant.is_some(), model.allows(asker, &attributes), "{:?} {:?} {:?}", asker, question, grant);
        }
    }

    #[test]
    fn a_grant_names_what_really_allows_it(objects in world(), asked in vec((asker(), question()), 40)) {
        let (index, model) = (Index::compile(&objects), Model::of(&objects));
        for (asker, question) in &asked {
            let attributes = question.attributes();
            let Some(Grant::Rule(grant)) = index.authorize(user(asker), &attributes) else { continue };
            let binding = model.object(&grant.binding().to_key()).unwrap();
            prop_assert!(model.binding_allows(binding, asker, &attributes));
            let (role, subjects) = match binding {
                Object::RoleBinding(binding) => (binding.role.key(&binding.namespace), &binding.subjects),
                Object::ClusterRoleBinding(binding) => {
                    (ObjectKey::cluster_role(&binding.cluster_role), &binding.subjects)
                }
                other => panic!("{} is no binding", other.key()),
            };
            prop_assert_eq!(grant.role(), &role);
            prop_assert!(rule_allows(grant.rule(), &attributes));
            prop_assert!(model.rules(&role).contains(grant.rule()));
            let origin = model.rules(grant.origin());
            prop_assert!(origin.contains(grant.rule()), "{} has no such rule", grant.origin());
            if grant.origin() == grant.role() {
                prop_assert_eq!(&model.rules(&role)[grant.rule_index()], grant.rule());
            }
            match grant.subject() {
                SubjectName::User(name) => prop_assert_eq!(name, &asker.name),
                SubjectName::Group(name) => {
                    prop_assert!(asker.groups.iter().any(|group| group == name));
                    prop_assert!(subjects.contains(&Subject::Group(name.to_owned())));
                }
            }
        }
    }

    #[test]
    fn immunity_18_who_can_names_exactly_those_whom_the_check_allows(
        objects in world(),
        questions in vec(question(), 10),
        askers in vec(asker(), 10),
    ) {
        let index = Index::compile(&objects);
        for question in &questions {
            let attributes = question.attributes();
            let holders = index.who_can(&attributes);
            for asker in &askers {
                let is_holder = holders.iter().any(|holder| match holder.subject {
                    SubjectName::User(name) => name == asker.name,
                    SubjectName::Group(name) => asker.groups.iter().any(|group| group == name),
                });
                let grant = index.authorize(user(asker), &attributes);
                prop_assert_eq!(grant.is_some(), is_holder, "{:?} {:?}", asker, question);
            }
            // Asked as only themselves, holders get the very grant that the list names.
            for holder in &holders {
                let (name, groups) = match holder.subject {
                    SubjectName::User(name) => (name, vec![]),
                    SubjectName::Group(name) => ("nobody at all", vec![name]),
                };
                let grant = index.authorize(User { name, groups: &groups }, &attributes);
                prop_assert_eq!(grant, Some(holder.via));
            }
            let mut subjects: Vec<_> = holders.iter().map(|holder| holder.subject).collect();
            subjects.sort();
            subjects.dedup();
            prop_assert_eq!(subjects.len(), holders.len());
        }
    }

    #[test]
    fn the_rules_of_a_user_allow_exactly_what_the_check_allows(
        objects in world(),
        askers in vec(asker(), 6),
        questions in vec(question(), 30),
    ) {
        let (index, model) = (Index::compile(&objects), Model::of(&objects));
        for asker in &askers {
            for namespace in ["a", "b", "c", ""] {
                let rules = index.rules_for(user(asker), namespace);
                prop_assert_eq!(rules.incomplete, model.lacks_role(asker, namespace));
                let listed = rules.resource.into_iter().map(of_resource);
                let set = RuleSet::compile(listed.chain(rules.non_resource.into_iter().map(of_paths)));
                for question in questions.iter().filter(|question| counts_in(question, namespace)) {
                    let attributes = question.attributes();
                    let allowed = index.authorize(user(asker), &attributes).is_some();
                    prop_assert_eq!(set.first_match(&attributes).is_some(), allowed, "{:?} {:?}", asker, question);
                }
            }
        }
    }

    #[test]
    fn a_rule_set_matches_first_what_the_model_matches_first(
        rules in vec(rule(), 0..40),
        questions in vec(question(), 40),
    ) {
        let set = RuleSet::compile(rules.clone());
        for question in &questions {
            let attributes = question.attributes();
            let expected = rules.iter().position(|rule| rule_allows(rule, &attributes));
            prop_assert_eq!(set.first_match(&attributes), expected, "{:?}", question);
            let is_namespaced = !attributes.namespace().is_empty();
            prop_assert_eq!(set.first_match_in_namespace(&attributes), expected.filter(|_| is_namespaced));
        }
    }

    #[test]
    fn near_misses_are_true_and_few(objects in world(), asked in vec((asker(), question()), 20)) {
        let (index, model) = (Index::compile(&objects), Model::of(&objects));
        for (asker, question) in &asked {
            let attributes = question.attributes();
            if model.allows(asker, &attributes) {
                continue;
            }
            let explanation = index.explain(user(asker), &attributes);
            prop_assert!(explanation.near_misses.len() <= 7 * lanyard_rbac::NEAR_MISSES_PER_SORT_MAX);
            for near_miss in explanation.near_misses {
                prop_assert!(!near_miss.to_string().contains('\n'));
                match near_miss {
                    NearMiss::MissingRole { binding, role, .. } => {
                        prop_assert!(model.object(&binding.to_key()).is_some() && model.object(role).is_none());
                    }
                    NearMiss::UnboundRole { role } => {
                        prop_assert!(model.rules(role).iter().any(|rule| rule_allows(rule, &attributes)));
                    }
                    NearMiss::OtherNamespace { grant, namespace } => {
                        prop_assert_ne!(namespace, attributes.namespace());
                        prop_assert_eq!(grant.binding().namespace(), Some(namespace));
                        prop_assert!(rule_allows(grant.rule(), &attributes));
                    }
                    NearMiss::OtherName(grant)
                    | NearMiss::OtherVerb(grant)
                    | NearMiss::OtherApiGroup(grant)
                    | NearMiss::OtherSubresource(grant) => {
                        prop_assert!(!rule_allows(grant.rule(), &attributes));
                    }
                }
            }
        }
    }

    #[test]
    fn the_order_of_objects_changes_nothing(objects in world(), asked in vec((asker(), question()), 20)) {
        let model = Model::of(&objects);
        let once: Vec<Object> = objects.iter().filter(|object| model.object(&object.key()) == Some(object)).cloned().collect();
        let reversed: Vec<Object> = once.iter().rev().cloned().collect();
        let (index, turned) = (Index::compile(&once), Index::compile(&reversed));
        prop_assert_eq!(index.problems(), turned.problems());
        for (asker, question) in &asked {
            let attributes = question.attributes();
            prop_assert_eq!(index.authorize(user(asker), &attributes), turned.authorize(user(asker), &attributes));
        }
    }

    #[test]
    fn a_binding_to_a_role_that_is_not_there_is_a_problem(objects in world()) {
        let (index, model) = (Index::compile(&objects), Model::of(&objects));
        for problem in index.problems() {
            let Problem::MissingRole { binding, role } = problem else { continue };
            prop_assert!(model.object(binding).is_some() && model.object(role).is_none(), "{}", problem);
        }
        let lacking = objects.iter().filter(|object| model.object(&object.key()) == Some(object));
        for object in lacking {
            let role = match object {
                Object::RoleBinding(binding) => binding.role.key(&binding.namespace),
                Object::ClusterRoleBinding(binding) => ObjectKey::cluster_role(&binding.cluster_role),
                _ => continue,
            };
            let problem = Problem::MissingRole { binding: object.key(), role: role.clone() };
            prop_assert_eq!(index.problems().contains(&problem), model.object(&role).is_none());
        }
    }

    #[test]
    fn objects_read_back_as_they_are_written(objects in world()) {
        for object in &objects {
            let text = serde_json::to_string(object).unwrap();
            // What no cluster holds (rules without verbs, …) is refused; whatever is read is the same.
            if let Ok(read) = serde_json::from_str::<Object>(&text) {
                prop_assert_eq!(&read, object);
            }
        }
    }
}

fn counts_in(question: &Question, namespace: &str) -> bool {
    match question {
        // Cluster-scoped questions are answered by the rules of any namespace only if those are of the cluster.
        Question::Resource { namespace: asked, .. } => asked == namespace,
        Question::Path { .. } => true,
    }
}

fn of_resource(rule: ResourceRule) -> PolicyRule {
    let ResourceRule { verbs, api_groups, resources, resource_names } = rule;
    PolicyRule { verbs, api_groups, resources, resource_names, non_resource_urls: vec![] }
}

fn of_paths(rule: NonResourceRule) -> PolicyRule {
    let NonResourceRule { verbs, non_resource_urls } = rule;
    PolicyRule { verbs, non_resource_urls, ..PolicyRule::default() }
}

#[test]
fn the_worlds_meet_what_they_are_made_for() {
    let mut runner = TestRunner::deterministic();
    let (mut decisions, mut allowed, mut masters) = (0, 0, 0);
    for _ in 0..60 {
        let objects = world().new_tree(&mut runner).unwrap().current();
        let model = Model::of(&objects);
        for _ in 0..50 {
            let asker = asker().new_tree(&mut runner).unwrap().current();
            let question = question().new_tree(&mut runner).unwrap().current();
            decisions += 1;
            allowed += usize::from(model.allows(&asker, &question.attributes()));
            masters += usize::from(is_master(&asker));
        }
    }
    assert!(allowed - masters > decisions / 10, "{allowed} of {decisions} allowed, {masters} as masters");
    assert!(allowed < decisions * 8 / 10, "{allowed} of {decisions} allowed");
}

use proptest::prelude::*;

use super::*;
use crate::key::ObjectKey;
use crate::object::{
    AggregationRule, ClusterRole, ClusterRoleBinding, LabelSelector, PolicyRule, Role, RoleBinding, RoleRef,
    Subject,
};

/// Objects as a cluster may hold them.
fn valid_object() -> impl Strategy<Value = Object> {
    let name = || "[a-z]([a-z0-9:.-]{0,8}[a-z0-9])?";
    let label = || "[a-z]([a-z0-9-]{0,6}[a-z0-9])?";
    let some = |of: &'static str| prop::collection::vec(of, 1..3);
    let resource_rule = (
        some("\\PC{1,5}"),
        some("\\PC{0,5}"),
        some("[a-z*]{1,4}(/[a-z*]{1,4})?"),
        prop::collection::vec("\\PC{0,6}", 0..2),
    )
        .prop_map(|(verbs, api_groups, resources, resource_names)| PolicyRule {
            verbs,
            api_groups,
            resources,
            resource_names,
            non_resource_urls: vec![],
        });
    let url_rule = (some("[a-z]{1,4}"), some("/[a-z*/]{0,5}")).prop_map(|(verbs, non_resource_urls)| {
        PolicyRule { verbs, non_resource_urls, ..PolicyRule::default() }
    });
    let rules = prop::collection::vec(prop_oneof![3 => resource_rule.clone(), 1 => url_rule], 0..3);
    let subject = || {
        prop_oneof![
            "\\PC{1,8}".prop_map(Subject::User),
            "[a-z:]{1,8}|true|12|null|~|1e3|0x1".prop_map(Subject::Group),
            (label(), label())
                .prop_map(|(namespace, name)| Subject::ServiceAccount { namespace: Some(namespace), name }),
        ]
    };
    let subjects = || prop::collection::vec(subject(), 0..3);
    let labels = || prop::collection::btree_map("[a-zA-Z./]{1,6}", "[a-zA-Z0-9]{0,4}|true|3", 0..3);
    let selector =
        labels().prop_map(|match_labels| LabelSelector { match_labels, match_expressions: vec![] });
    let aggregation = prop::option::of(
        prop::collection::vec(selector, 1..3).prop_map(|selectors| AggregationRule { selectors }),
    );
    let role_ref = prop_oneof![name().prop_map(RoleRef::Role), name().prop_map(RoleRef::ClusterRole)];
    prop_oneof![
        (label(), name(), prop::collection::vec(resource_rule, 0..3))
            .prop_map(|(namespace, name, rules)| Object::Role(Role { namespace, name, rules })),
        (name(), labels(), rules, aggregation).prop_map(|(name, labels, rules, aggregation)| {
            Object::ClusterRole(ClusterRole { name, labels, rules, aggregation })
        }),
        (label(), name(), subjects(), role_ref).prop_map(|(namespace, name, subjects, role)| {
            Object::RoleBinding(RoleBinding { namespace, name, subjects, role })
        }),
        (name(), subjects(), name()).prop_map(|(name, subjects, cluster_role)| {
            Object::ClusterRoleBinding(ClusterRoleBinding { name, subjects, cluster_role })
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_back_as_json_and_as_yaml(objects in prop::collection::vec(valid_object(), 1..4)) {
        let expected = Parsed { objects: objects.clone(), ..Parsed::default() };
        let lines: Vec<String> = objects.iter().map(|object| serde_json::to_string(object).unwrap()).collect();
        prop_assert_eq!(parse(lines.join("\n").as_bytes()), Ok(expected.clone()));
        let list = format!(r#"{{"apiVersion":"v1","kind":"List","items":[{}]}}"#, lines.join(","));
        prop_assert_eq!(parse(list.as_bytes()), Ok(expected.clone()));
        let documents: Vec<String> = objects.iter().map(|object| serde_saphyr::to_string(object).unwrap()).collect();
        let yaml = documents.join("\n---\n");
        prop_assert_eq!(parse(yaml.as_bytes()), Ok(expected.clone()), "{}", yaml);
        for object in &objects {
            let value = serde_json::to_value(object).unwrap();
            prop_assert_eq!(&serde_json::from_value::<Object>(value).unwrap(), object);
            prop_assert_eq!(object.key().to_string().parse::<ObjectKey>().unwrap(), object.key());
        }
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_text_made_of_yaml_gets_an_answer(text in "([-a\\[\\]{}:,&*!|>'\"%@# \n?~\t]|apiVersion|kind|items|rules|<<|!!str|\\.\\.\\.|---){0,40}") {
        let _ = parse(text.as_bytes());
    }

    #[test]
    fn an_object_with_some_bytes_changed_gets_an_answer(
        object in valid_object(),
        yaml in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let text = if yaml { serde_saphyr::to_string(&object).unwrap() } else { serde_json::to_string(&object).unwrap() };
        let mut bytes = text.into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Err(error) = parse(&bytes) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}

use crate::{Object, PolicyRule, Role, RoleRef, Subject};

const ROLE: &str = r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"r","namespace":"n"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]}"#;

#[test]
fn objects_are_written_as_kubectl_prints_them() {
    let role: Role = serde_json::from_str(ROLE).unwrap();
    assert_eq!(serde_json::to_string(&role).unwrap(), ROLE);
    let binding = r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"b","namespace":"n"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"devs"},{"kind":"ServiceAccount","name":"bot","namespace":"n"}],"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"}}"#;
    let object: Object = serde_json::from_str(binding).unwrap();
    assert_eq!(serde_json::to_string(&object).unwrap(), binding);
    let aggregated = r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"a","labels":{"x":"y"}},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"to":"a"},"matchExpressions":[{"key":"k","operator":"NotIn","values":["v"]},{"key":"e","operator":"Exists"}]}]},"rules":[]}"#;
    let object: Object = serde_json::from_str(aggregated).unwrap();
    assert_eq!(serde_json::to_string(&object).unwrap(), aggregated);
}

#[test]
fn a_document_of_another_kind_than_asked_for_is_refused() {
    let binding = r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"b"},"roleRef":{"kind":"ClusterRole","name":"r"}}"#;
    let error = serde_json::from_str::<Role>(binding).unwrap_err().to_string();
    assert!(error.starts_with("`ClusterRoleBinding/b` is no Role"), "{error}");
    let error =
        serde_json::from_str::<Object>(r#"{"apiVersion":"v1","kind":"Pod"}"#).unwrap_err().to_string();
    assert!(error.starts_with("`Pod` is no RBAC object"), "{error}");
    let error =
        serde_json::from_str::<Object>(r#"{"apiVersion":"v1","kind":"List"}"#).unwrap_err().to_string();
    assert!(error.starts_with("a list is no object: read its items"), "{error}");
    let error = serde_json::from_str::<Object>(&ROLE.replace("[\"get\"]", "[]")).unwrap_err().to_string();
    assert!(error.starts_with("`rules[0].verbs` is missing: write at least one verb"), "{error}");
}

#[test]
fn parts_of_objects_are_read_by_themselves_from_any_format() {
    let rule: PolicyRule =
        serde_saphyr::from_str("{apiGroups: ['*'], resources: ['*'], verbs: ['*'], unknown: 1}").unwrap();
    assert_eq!((rule.verbs.len(), rule.api_groups.len(), rule.resources.len()), (1, 1, 1));
    let error = serde_json::from_str::<PolicyRule>(r#"{"verbs":["get"]}"#).unwrap_err().to_string();
    assert!(error.starts_with("`apiGroups` is missing"), "{error}");
    let subject: Subject = serde_json::from_str(r#"{"kind":"User","name":"ana"}"#).unwrap();
    assert_eq!(subject, Subject::User("ana".to_owned()));
    let role: RoleRef = serde_json::from_str(r#"{"kind":"Role","name":"r"}"#).unwrap();
    assert_eq!(role, RoleRef::Role("r".to_owned()));
    let error = serde_json::from_str::<RoleRef>(r#"[1]"#).unwrap_err().to_string();
    assert!(error.starts_with("`.` has to be a map, not a list"), "{error}");
}

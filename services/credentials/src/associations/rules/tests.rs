use std::collections::BTreeMap;

use lanyard_api::suite;

use super::*;

const ALLOW: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

/// The broken rule, with its field.
fn rule<T>(outcome: Result<T, CallError>) -> Option<(String, &'static str)> {
    match outcome {
        Ok(_) => None,
        Err(CallError::Invalid { field, rule, .. }) => Some((field.into_owned(), rule)),
        Err(other) => panic!("{other}"),
    }
}

fn broken(field: &str, rule: &'static str) -> Option<(String, &'static str)> {
    Some((field.to_owned(), rule))
}

#[test]
fn the_service_account_is_named_as_kubernetes_names_it() {
    let asked = |namespace: &str, service_account: &str, tag: &str| CreatePodIdentityAssociation {
        cluster: "dev".parse().unwrap(),
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
        role_arn: String::new(),
        target_role_arn: None,
        disable_session_tags: None,
        policy: None,
        tags: BTreeMap::from([(tag.to_owned(), String::new())]),
        allow_any_cluster: false,
        aws_road: None,
        unprobed: false,
    };
    let cases = [
        (asked("team-a", "bot.v2", "team"), None),
        (asked("Team", "bot", "team"), broken("namespace", "namespace")),
        (asked("", "bot", "team"), broken("namespace", "namespace")),
        (asked("team-a", "bot/x", "team"), broken("service_account", "service_account")),
        (asked("team-a", "*", "team"), broken("service_account", "service_account")),
        (asked("team-a", "bot", "AWS:team"), broken("tags", "tags")),
    ];
    for (asked, expected) in cases {
        assert_eq!(rule(created(&asked)), expected, "{asked:?}");
    }
}

#[test]
fn a_role_is_of_the_clusters_account_and_its_target_of_the_partition() {
    let dev = suite::cluster("dev", "111122223333");
    let cases = [
        ("arn:aws:iam::111122223333:role/team/app", None, None),
        ("arn:aws:iam::444455556666:role/app", broken("role_arn", "role_account"), None),
        (
            "arn:aws-cn:iam::111122223333:role/app",
            broken("role_arn", "role_partition"),
            broken("target_role_arn", "role_partition"),
        ),
        (
            "arn:aws:iam::111122223333:user/app",
            broken("role_arn", "role_arn"),
            broken("target_role_arn", "role_arn"),
        ),
        (
            "arn:aws:sts::111122223333:assumed-role/app/x",
            broken("role_arn", "role_arn"),
            broken("target_role_arn", "role_arn"),
        ),
        ("app", broken("role_arn", "role_arn"), broken("target_role_arn", "role_arn")),
    ];
    for (arn, as_role, as_target) in cases {
        assert_eq!(rule(role(&dev, arn, |_| false)), as_role, "{arn}");
        // An account that AWS keeps need not be the cluster's.
        let of_aws = as_role.filter(|(_, rule)| *rule != "role_account");
        assert_eq!(rule(role(&dev, arn, |_| true)), of_aws, "{arn}");
        assert_eq!(rule(target_role(&dev, arn)), as_target, "{arn}");
    }
}

#[test]
fn a_policy_goes_without_session_tags_alone_and_is_bounded() {
    let long = ALLOW.replace("s3:GetObject", &"s3:GetObject*".repeat(200));
    let cases = [
        (None, false, None),
        (None, true, None),
        (Some(ALLOW), true, None),
        (Some(ALLOW), false, broken("policy", "policy_with_session_tags")),
        (Some("{"), true, broken("policy", "malformed_policy_document")),
        (Some("{}"), true, broken("policy", "malformed_policy_document")),
        (Some(long.as_str()), true, broken("policy", "malformed_policy_document")),
    ];
    for (json, disabled, expected) in cases {
        assert_eq!(rule(policy(json, disabled)), expected, "{json:?} {disabled}");
    }
}

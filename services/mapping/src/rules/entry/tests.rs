use lanyard_api::{
    ClusterUid, TrustedAccount,
    mapping::AuthorizerMode,
    tags::{TAG_VALUE_CHARS_MAX, TAGS_MAX},
};
use lanyard_iam::Partition;
use proptest::prelude::*;

use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/team/dev";

fn rule<T>(result: Result<T, Broken>) -> Option<Rule> {
    result.err().map(|broken| broken.rule)
}

fn cluster() -> Cluster {
    let trusted =
        |authority: Authority, account: &str| TrustedAccount { authority, account: account.parse().unwrap() };
    Cluster {
        uid: ClusterUid::random(),
        id: "dev".parse().unwrap(),
        name: String::from("dev"),
        partition: Partition::Aws,
        account: "111122223333".parse().unwrap(),
        region: String::from("us-west-2"),
        endpoint: None,
        certificate_authority: None,
        authentication_mode: AuthenticationMode::ApiAndConfigMap,
        authorizer_mode: AuthorizerMode::WebhookFirst,
        trusted_accounts: vec![
            trusted(Authority::Local, "111122223333"),
            trusted(Authority::Aws, "444455556666"),
        ],
        audiences: vec![],
        token_cache_seconds: 10,
        created_by: String::new(),
        tags: BTreeMap::new(),
        created_at: OffsetDateTime::UNIX_EPOCH,
    }
}

fn named(text: &str) -> EntryPrincipal {
    text.parse().unwrap()
}

#[test]
fn an_entry_is_for_a_user_or_role_by_its_whole_arn() {
    for good in [
        ROLE,
        "arn:aws:iam::111122223333:user/ana",
        "arn:aws-cn:iam::111122223333:role/x",
        "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Dev_0123456789abcdef",
        "arn:aws:iam::111122223333:role/*",
        "arn:aws:sso::111122223333:permission-set/Dev",
    ] {
        assert_eq!(principal(good).unwrap().to_string(), good);
    }
    for bad in [
        "",
        "ana",
        "arn:aws:iam::111122223333:root",
        "arn:aws:sts::111122223333:assumed-role/dev/ana",
        "arn:aws:sts::111122223333:federated-user/ana",
        "arn:aws:iam::111122223333:role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS",
        "arn:aws:iam::111122223333:group/devs",
        "arn:aws:iam::1111:role/dev",
        "arn:aws:s3:::bucket",
        "arn:aws:iam::111122223333:role/team/*",
        "arn:aws:iam::*:role/dev",
        "arn:aws:sso::111122223333:permission-set/D*",
    ] {
        assert_eq!(rule(principal(bad)), Some(Rule::PrincipalInvalid), "{bad}");
    }
    let text = Rule::PrincipalInvalid.eks_text();
    assert_eq!(text, Some("The specified principalArn is invalid: invalid principal."));
}

#[test]
fn immunity_31_an_entrys_authority_is_the_one_that_the_cluster_trusts_for_its_account() {
    let cases = [
        (ROLE, Ok(Authority::Local)),
        ("arn:aws:iam::444455556666:role/dev", Ok(Authority::Aws)),
        ("arn:aws:iam::777788889999:role/dev", Err(Rule::UntrustedAccount)),
        ("arn:aws-cn:iam::444455556666:role/dev", Err(Rule::PrincipalInvalid)),
    ];
    for (text, wanted) in cases {
        assert_eq!(trusted(&named(text), &cluster()).map_err(|broken| broken.rule), wanted, "{text}");
    }
}

#[test]
fn who_names_an_account_that_is_not_trusted_is_told_by_which_command_it_would_be() {
    let broken = trusted(&named("arn:aws:iam::777788889999:role/dev"), &cluster()).unwrap_err();
    let command = "`lanyard cluster update dev --trust AUTHORITY/777788889999`";
    assert!(broken.message.contains(command), "{}", broken.message);
}

#[test]
fn a_unique_id_is_of_its_principals_kind() {
    let user = "arn:aws:iam::111122223333:user/ana";
    let cases = [
        ("AROAEXAMPLE", ROLE, None),
        ("AIDAEXAMPLE", user, None),
        ("AIDAEXAMPLE", ROLE, Some(Rule::PrincipalId)),
        ("AROAEXAMPLE", user, Some(Rule::PrincipalId)),
        ("", ROLE, Some(Rule::PrincipalId)),
        ("AROA EXAMPLE", ROLE, Some(Rule::PrincipalId)),
    ];
    for (id, principal, broken) in cases {
        assert_eq!(rule(principal_id(id, &named(principal))), broken, "{id} {principal}");
    }
}

#[test]
fn nodes_are_roles_of_the_clusters_own_account() {
    let cases = [
        (EntryType::Standard, "arn:aws:iam::444455556666:user/x", None),
        (EntryType::Ec2Linux, ROLE, None),
        (EntryType::FargateLinux, ROLE, None),
        (EntryType::Ec2Linux, "arn:aws:iam::444455556666:role/x", Some(Rule::NodePrincipal)),
        (EntryType::HybridLinux, "arn:aws:iam::111122223333:user/x", Some(Rule::NodePrincipal)),
    ];
    for (entry_type, principal, broken) in cases {
        assert_eq!(
            rule(node_principal(entry_type, &named(principal), &cluster())),
            broken,
            "{entry_type:?} {principal}"
        );
    }
}

#[test]
fn only_standard_entries_have_a_badge_of_their_own() {
    assert_eq!(rule(custom_badge(EntryType::Standard, "username")), None);
    for entry_type in [EntryType::Ec2Linux, EntryType::Ec2Windows, EntryType::FargateLinux, EntryType::Ec2] {
        assert_eq!(rule(custom_badge(entry_type, "groups")), Some(Rule::NotStandard), "{entry_type:?}");
    }
    let text = Rule::NotStandard.eks_text();
    assert_eq!(
        text,
        Some("This operation can only be performed on Access Entries with a type of \"STANDARD\".")
    );
}

#[test]
fn a_username_is_by_type_and_principal_unless_it_is_given() {
    let cases = [
        (EntryType::Standard, ROLE, "arn:aws:sts::111122223333:assumed-role/dev/{{SessionName}}"),
        (
            EntryType::Standard,
            "arn:aws:iam::111122223333:user/team/ana",
            "arn:aws:iam::111122223333:user/team/ana",
        ),
        (EntryType::Ec2Linux, ROLE, "system:node:{{EC2PrivateDNSName}}"),
        (EntryType::Ec2Windows, ROLE, "system:node:{{EC2PrivateDNSName}}"),
        (EntryType::Ec2, ROLE, "system:node:{{EC2PrivateDNSName}}"),
        (EntryType::FargateLinux, ROLE, "system:node:{{SessionName}}"),
        (EntryType::HybridLinux, ROLE, "system:node:{{SessionName}}"),
        (EntryType::HyperpodLinux, ROLE, "system:node:{{SessionName}}"),
        (
            EntryType::Standard,
            "arn:aws:iam::111122223333:role/dev-*",
            "arn:aws:sts::111122223333:assumed-role/{{PrincipalName}}/{{SessionName}}",
        ),
        (
            EntryType::Standard,
            "arn:aws:sso::111122223333:permission-set/Dev",
            "arn:aws:sts::111122223333:assumed-role/{{PrincipalName}}/{{SessionName}}",
        ),
        (
            EntryType::Standard,
            "arn:aws:iam::111122223333:user/dev-*",
            "arn:aws:iam::111122223333:user/{{PrincipalName}}",
        ),
    ];
    for (entry_type, principal, wanted) in cases {
        let username = default_username(entry_type, &named(principal));
        assert_eq!(username, wanted, "{entry_type:?} {principal}");
        assert!(Template::parse(&username).is_ok(), "{username}");
    }
}

#[test]
fn immunity_09_a_username_leaves_no_beginning_to_the_caller() {
    let cases = [
        ("ana", None),
        ("ana@corp.example", None),
        ("ops:{{SessionName}}", None),
        ("a:b:{{SessionNameRaw}}:c", None),
        ("{{AccountID}}:{{SessionName}}", None),
        ("{{AccountID}}", None),
        ("{{SessionName}}", Some(Rule::UsernameSession)),
        ("ops-{{SessionName}}", Some(Rule::UsernameSession)),
        ("{{SessionNameRaw}}:ops", Some(Rule::UsernameSession)),
        ("{{AccessKeyID}}{{SessionName}}", Some(Rule::UsernameSession)),
        ("system:admin", Some(Rule::UsernameReserved)),
        ("system:{{SessionName}}", Some(Rule::UsernameReserved)),
        ("eks:x", Some(Rule::UsernameReserved)),
        ("aws:x", Some(Rule::UsernameReserved)),
        ("amazon:x", Some(Rule::UsernameReserved)),
        ("iam:x", Some(Rule::UsernameReserved)),
        ("lanyard:break-glass:dev", Some(Rule::UsernameReserved)),
        ("x:{{EC2PrivateDNSName}}", Some(Rule::UsernameNode)),
        ("x:{{Unknown}}", Some(Rule::UsernameInvalid)),
        ("", Some(Rule::UsernameInvalid)),
        (" system:admin", Some(Rule::UsernameInvalid)),
        ("ana\n", Some(Rule::UsernameInvalid)),
    ];
    for (text, broken) in cases {
        assert_eq!(rule(username(text, &named(ROLE))), broken, "{text}");
    }
}

#[test]
fn a_username_holds_nothing_that_its_principal_never_has() {
    let (user, users) = ("arn:aws:iam::111122223333:user/ana", "arn:aws:iam::111122223333:user/dev-*");
    let (roles, set) =
        ("arn:aws:iam::111122223333:role/dev-*", "arn:aws:sso::111122223333:permission-set/Dev");
    let cases = [
        (user, "ops:{{SessionName}}", Some(Rule::UsernameUser)),
        (user, "ops:{{PrincipalName}}:{{SessionNameRaw}}", Some(Rule::UsernameUser)),
        (user, "{{SessionName}}", Some(Rule::UsernameSession)),
        (user, "x:{{EC2PrivateDNSName}}", Some(Rule::UsernameNode)),
        (user, "{{AccountID}}:{{PrincipalName}}:{{AccessKeyID}}", None),
        (users, "ops:{{SessionName}}", Some(Rule::UsernameUser)),
        (users, "ops:{{PrincipalName}}", None),
        (ROLE, "ops:{{SessionName}}", None),
        (roles, "ops:{{PrincipalName}}:{{SessionName}}", None),
        (set, "ops:{{SessionNameRaw}}", None),
    ];
    for (principal, text, broken) in cases {
        assert_eq!(rule(username(text, &named(principal))), broken, "{principal} {text}");
    }
    let message = username("ops:{{SessionName}}", &named(user)).unwrap_err().message;
    assert!(
        message.contains("{{SessionName}}, which a user never has") && message.contains(user),
        "{message}"
    );
}

#[test]
fn a_group_is_a_name_that_kubernetes_does_not_keep_for_itself() {
    let cases = [
        ("devs", None),
        ("team:a", None),
        ("eks:devs", None),
        ("system:masters", Some(Rule::GroupReserved)),
        ("system:nodes", Some(Rule::GroupReserved)),
        ("system:", Some(Rule::GroupReserved)),
        ("lanyard:break-glass", Some(Rule::GroupReserved)),
        ("", Some(Rule::GroupInvalid)),
        (" system:masters", Some(Rule::GroupInvalid)),
        ("a\tb", Some(Rule::GroupInvalid)),
        ("{{SessionName}}", Some(Rule::GroupInvalid)),
    ];
    for (group, broken) in cases {
        assert_eq!(rule(groups(&[String::from("first"), group.to_owned()], 3)), broken, "{group}");
    }
    let many: Vec<String> = (0..4).map(|n| n.to_string()).collect();
    assert_eq!(rule(groups(&many, 3)), Some(Rule::GroupInvalid));
    let message = groups(&[String::from("system:masters")], 3).unwrap_err().message;
    assert_eq!(message, "the kubernetes group name system:masters is invalid, it cannot start with system:");
}

#[test]
fn tags_have_bounds_and_are_never_awss_own() {
    let cases = [
        ("team", "a", None),
        ("", "a", Some(Rule::Tags)),
        ("aws:x", "a", Some(Rule::Tags)),
        ("AWS:x", "a", Some(Rule::Tags)),
        ("x", "aWs:y", Some(Rule::Tags)),
        ("x\n", "y", Some(Rule::Tags)),
        ("lanyard:allow-lockout", "true", None),
    ];
    for (key, value, broken) in cases {
        let one = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(rule(tags(&one)), broken, "{key}={value}");
    }
    let pair = |n: usize| (format!("k{n}"), "é".repeat(TAG_VALUE_CHARS_MAX));
    assert_eq!(rule(tags(&(0..TAGS_MAX).map(pair).collect())), None);
    assert_eq!(rule(tags(&(0..=TAGS_MAX).map(pair).collect())), Some(Rule::Tags));
    assert_eq!(rule(tags(&BTreeMap::from([("k".repeat(129), String::new())]))), Some(Rule::Tags));
    assert_eq!(rule(tags(&BTreeMap::from([(String::from("k"), "v".repeat(257))]))), Some(Rule::Tags));
}

#[test]
fn an_end_lies_in_the_future() {
    let now = OffsetDateTime::UNIX_EPOCH;
    assert_eq!(rule(end(None, now)), None);
    assert_eq!(rule(end(Some(now + time::Duration::SECOND), now)), None);
    assert_eq!(rule(end(Some(now), now)), Some(Rule::End));
    assert_eq!(rule(end(Some(now - time::Duration::SECOND), now)), Some(Rule::End));
}

#[test]
fn entries_are_worked_on_in_the_modes_in_which_they_count() {
    assert_eq!(rule(mode(AuthenticationMode::Api)), None);
    assert_eq!(rule(mode(AuthenticationMode::ApiAndConfigMap)), None);
    assert_eq!(rule(mode(AuthenticationMode::ConfigMap)), Some(Rule::AuthenticationMode));
}

proptest! {
    #[test]
    fn no_text_makes_a_rule_panic(text in "\\PC{0,80}") {
        let _ = principal(&text);
        let _ = username(&text, &named(ROLE));
        let _ = groups(std::slice::from_ref(&text), 1);
        let _ = tags(&BTreeMap::from([(text.clone(), text.clone())]));
        let _ = principal_id(&text, &named(ROLE));
    }
}

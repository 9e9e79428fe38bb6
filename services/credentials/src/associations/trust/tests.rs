use std::collections::BTreeMap;

use lanyard_api::suite;
use time::OffsetDateTime;

use super::*;

fn cluster() -> Cluster {
    suite::cluster("dev", "111122223333")
}

fn association(disable_session_tags: bool) -> PodIdentityAssociation {
    let association = suite::association(&cluster(), "arn:aws:iam::111122223333:role/app");
    PodIdentityAssociation { disable_session_tags, ..association }
}

fn role(trust_policy: String) -> IamRole {
    IamRole {
        account: "111122223333".parse().unwrap(),
        path: "/".to_owned(),
        name: "app".to_owned(),
        principal_id: "AROAAAAAAAAAAAAAAAAAA".to_owned(),
        trust_policy,
        trusted_ids: Default::default(),
        session_seconds_max: 3_600,
        revoked_before: None,
        tags: BTreeMap::from([("for".to_owned(), "team-a".to_owned())]),
        description: String::new(),
        created_at: OffsetDateTime::UNIX_EPOCH,
    }
}

/// A trust policy of one statement.
fn trusts(principal: &str, actions: &str, condition: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":{actions}{condition}}}]}}"#
    )
}

const PODS: &str = r#"{"Service":"pods.eks.amazonaws.com"}"#;
const BOTH: &str = r#"["sts:AssumeRole","sts:TagSession"]"#;

#[test]
fn a_role_has_to_let_pod_identity_assume_it_and_tag_the_session() {
    let assume = Trust::Lacking("sts:AssumeRole");
    let condition = |test: &str| format!(r#","Condition":{test}"#);
    let cases = [
        (trusts(PODS, BOTH, ""), Trust::OfAccount),
        (trusts(PODS, r#""sts:*""#, ""), Trust::OfAccount),
        (trusts(PODS, r#""sts:AssumeRole""#, ""), Trust::Lacking("sts:TagSession")),
        (trusts(PODS, r#""sts:TagSession""#, ""), assume),
        (trusts(r#"{"Service":"ec2.amazonaws.com"}"#, BOTH, ""), assume),
        (trusts(r#""*""#, BOTH, ""), assume),
        (trusts(r#"{"AWS":"arn:aws:iam::111122223333:root"}"#, BOTH, ""), assume),
        ("{}".to_owned(), assume),
        (
            trusts(PODS, BOTH, &condition(r#"{"StringEquals":{"aws:SourceAccount":"111122223333"}}"#)),
            Trust::OfAccount,
        ),
        (trusts(PODS, BOTH, &condition(r#"{"StringEquals":{"aws:SourceAccount":"444455556666"}}"#)), assume),
        (
            trusts(
                PODS,
                BOTH,
                &condition(r#"{"StringEquals":{"aws:RequestTag/kubernetes-namespace":"team-b"}}"#),
            ),
            assume,
        ),
        (
            trusts(
                PODS,
                BOTH,
                &condition(r#"{"StringEquals":{"aws:RequestTag/kubernetes-pod-name":"only-this"}}"#),
            ),
            Trust::OfAccount,
        ),
        (trusts(PODS, BOTH, &condition(r#"{"StringEquals":{"aws:ResourceTag/for":"team-b"}}"#)), assume),
    ];
    for (policy, expected) in cases {
        assert_eq!(Trust::of(&role(policy.clone()), &association(false), &cluster()), expected, "{policy}");
    }
}

#[test]
fn immunity_11_a_role_that_any_cluster_of_the_account_may_use_is_told_from_one_that_is_kept_to_this() {
    let own = [
        r#"{"ArnEquals":{"aws:SourceArn":"arn:aws:eks:eu-central-1:111122223333:cluster/dev"}}"#,
        r#"{"StringEquals":{"aws:RequestTag/eks-cluster-name":"dev"}}"#,
        r#"{"StringEquals":{"aws:RequestTag/eks-cluster-arn":"arn:aws:eks:eu-central-1:111122223333:cluster/dev"}}"#,
    ];
    for condition in own {
        let policy = trusts(PODS, BOTH, &format!(r#","Condition":{condition}"#));
        assert_eq!(
            Trust::of(&role(policy), &association(false), &cluster()),
            Trust::OfCluster,
            "{condition}"
        );
    }
    let any = r#"{"ArnLike":{"aws:SourceArn":"arn:aws:eks:*:111122223333:cluster/*"}}"#;
    let policy = trusts(PODS, BOTH, &format!(r#","Condition":{any}"#));
    assert_eq!(Trust::of(&role(policy), &association(false), &cluster()), Trust::OfAccount);
    // Without session tags there are none that a condition could be held against.
    let by_tag = trusts(PODS, BOTH, &format!(r#","Condition":{}"#, own[1]));
    let lacking = Trust::Lacking("sts:AssumeRole");
    assert_eq!(Trust::of(&role(by_tag), &association(true), &cluster()), lacking);
}

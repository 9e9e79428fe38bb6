use lanyard_api::{
    CallError, Fault,
    mapping::{AuthenticationMode, AwsAuthStatus, AwsAuthVersion, Cluster, Resolve, UpdateCluster},
};

use crate::bench::*;

/// A map that gives this role this name, and the administrator the masters' group.
pub(crate) fn map(role: &str, username: &str) -> String {
    format!(
        "mapRoles: |\n  - rolearn: arn:aws:iam::{OWN}:role/{role}\n    username: {username}\n    groups: [devs]\nmapUsers: |\n  \
         - userarn: arn:aws:iam::{OWN}:user/zoe\n    username: zoe\n    groups: [system:masters]\n"
    )
}

async fn push<C: Calls, R: Resolve>(bench: &Bench<C, R>, cluster: &Cluster, content: &str) -> AwsAuthVersion {
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), content.to_owned()).await.unwrap().value
}

pub(crate) async fn a_bad_version_is_kept_as_rejected_and_the_last_good_one_stays_in_force<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let ops = identity(&of(OWN, "assumed-role/ops/s"), "AROAOPS");
    let good = push(&bench, &cluster, &map("ops", "first")).await;
    assert_eq!((good.version, good.status, good.findings.len()), (1, AwsAuthStatus::Accepted, 0));
    assert_eq!(bench.name_of(&cluster, &ops).await, "first");
    let slip = map("ops", "second").replace("    groups: [devs]", "   groups: [devs]");
    let bad = push(&bench, &cluster, &slip).await;
    assert_eq!((bad.version, bad.status, bad.content.as_str()), (2, AwsAuthStatus::Rejected, slip.as_str()));
    let fatal = bad.findings.iter().find(|finding| finding.is_fatal()).unwrap();
    assert_eq!((fatal.line, fatal.column > 0), (4, true), "{fatal:?}");
    assert_eq!(bench.name_of(&cluster, &ops).await, "first");
    let versions = bench.calls.get_aws_auth(admin(), cluster.id.clone()).await.unwrap();
    assert_eq!(versions, [good, bad]);
    let third = push(&bench, &cluster, &map("ops", "third")).await;
    assert_eq!(bench.name_of(&cluster, &ops).await, "third");
    assert_eq!(bench.calls.get_aws_auth(admin(), cluster.id.clone()).await.unwrap(), [third]);
}

pub(crate) async fn a_part_that_is_bad_costs_nothing_else<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let content =
        map("ops", "ops").replace("mapUsers: |\n", "mapUsers: |\n  - userarn: arn:aws:iam::1:user/x\n");
    let version = push(&bench, &cluster, &content).await;
    assert_eq!(version.status, AwsAuthStatus::Accepted);
    let [finding] = version.findings.as_slice() else { panic!("{:?}", version.findings) };
    assert_eq!((finding.is_fatal(), finding.line, finding.path.as_str()), (false, 6, "mapUsers[0].userarn"));
    assert_eq!(bench.name_of(&cluster, &identity(&of(OWN, "user/zoe"), "AIDAZOE")).await, "zoe");
    assert_eq!(bench.name_of(&cluster, &identity(&of(OWN, "assumed-role/ops/s"), "AROAOPS")).await, "ops");
}

pub(crate) async fn a_part_that_is_no_yaml_holds_back_the_parts_beside_it<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let (ops, zoe) =
        (identity(&of(OWN, "assumed-role/ops/s"), "AROAOPS"), identity(&of(OWN, "user/zoe"), "AIDAZOE"));
    let slipped = |username: &str| {
        map("ops", username).replace("    groups: [system:masters]", "   groups: [system:masters]")
    };
    push(&bench, &cluster, &map("ops", "first")).await;
    let bad = push(&bench, &cluster, &slipped("second")).await;
    let fatal: Vec<_> = bad.findings.iter().filter(|finding| finding.is_fatal()).collect();
    let [fatal] = fatal.as_slice() else { panic!("{:?}", bad.findings) };
    assert_eq!((bad.status, fatal.line, fatal.path.as_str()), (AwsAuthStatus::Rejected, 8, "mapUsers"));
    // Neither the new roles beside the old users, nor the new roles alone: nobody has written either.
    assert_eq!(bench.name_of(&cluster, &ops).await, "first");
    assert_eq!(bench.name_of(&cluster, &zoe).await, "zoe");
    // Where none was good yet, none is in force.
    let new = bench.empty_cluster().await;
    assert_eq!(push(&bench, &new, &slipped("ops")).await.status, AwsAuthStatus::Rejected);
    assert_eq!(bench.name_of(&new, &ops).await, "unmapped");
}

pub(crate) async fn a_slip_around_the_parts_cuts_nobody_off<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let ops = identity(&of(OWN, "assumed-role/ops/s"), "AROAOPS");
    push(&bench, &cluster, &map("ops", "ops")).await;
    for slip in [
        format!("kind: ConfigMap\ndata:\n{}", map("ops", "x")),
        format!("data:\n{}", map("ops", "x")),
        map("ops", "x").replace("mapRoles", "maproles"),
        String::from("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: aws-auth\n"),
    ] {
        let pushed = push(&bench, &cluster, &slip).await;
        assert_eq!(pushed.status, AwsAuthStatus::Rejected, "{slip}");
        assert!(pushed.findings.iter().any(|finding| finding.is_fatal() && finding.line > 0), "{pushed:?}");
        assert_eq!(bench.name_of(&cluster, &ops).await, "ops", "{slip}");
    }
    // A spoke says by name that the ConfigMap has become empty, a server leaves its data out.
    let emptied = "kind: ConfigMap\nmetadata: {name: aws-auth, resourceVersion: '7'}\n";
    for (empty, findings) in [("data: {}\n", 0), (emptied, 1)] {
        push(&bench, &cluster, &map("ops", "ops")).await;
        assert_eq!(bench.name_of(&cluster, &ops).await, "ops");
        let pushed = push(&bench, &cluster, empty).await;
        assert_eq!((pushed.status, pushed.findings.len()), (AwsAuthStatus::Accepted, findings), "{empty}");
        assert_eq!(bench.name_of(&cluster, &ops).await, "unmapped");
    }
}

pub(crate) async fn a_version_that_a_later_rule_would_refuse_stays_in_force<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let first = push(&bench, &cluster, &map("ops", "first")).await;
    let content = format!("{}maproles: ''\n", map("ops", "second"));
    assert_eq!(push(&bench, &cluster, &content).await.status, AwsAuthStatus::Rejected);
    // As a hub has taken it that did not know the rule.
    bench.write(&AwsAuthVersion { version: 9, content, ..first }).await;
    let ops = identity(&of(OWN, "assumed-role/ops/s"), "AROAOPS");
    assert_eq!(bench.name_of(&cluster, &ops).await, "second");
}

pub(crate) async fn the_same_version_again_is_no_new_one<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let first = push(&bench, &cluster, &map("ops", "a")).await;
    assert_eq!(push(&bench, &cluster, &map("ops", "a")).await, first);
    let bad = push(&bench, &cluster, "mapRoles: x").await;
    assert_eq!(push(&bench, &cluster, "mapRoles: x").await, bad);
    assert_eq!((first.version, bad.version), (1, 2));
    assert_eq!(push(&bench, &cluster, &map("ops", "a")).await.version, 3);
}

pub(crate) async fn old_versions_go_and_the_one_in_force_stays<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let good = push(&bench, &cluster, &map("ops", "good")).await;
    for nth in 0..6 {
        push(&bench, &cluster, &format!("mapRoles: bad{nth}")).await;
    }
    let versions = bench.calls.get_aws_auth(admin(), cluster.id.clone()).await.unwrap();
    assert_eq!((versions[0].version, versions[1].version), (good.version, 7));
    let ops = identity(&of(OWN, "assumed-role/ops/s"), "AROAOPS");
    assert_eq!(bench.name_of(&cluster, &ops).await, "good");
    let scope = lanyard_api::Scope::Cluster(cluster.uid);
    let (_, kept) = bench.store.load::<AwsAuthVersion>(scope).await.unwrap();
    let kept: Vec<u64> = kept.iter().map(|version| version.version).collect();
    assert_eq!(kept, [1, 4, 5, 6, 7]);
}

pub(crate) async fn a_spoke_pushes_its_own_and_nothing_else<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let other = bench.calls.create_cluster(by(admin()), cluster_named("other")).await.unwrap().value;
    let content = || map("ops", "a");
    let own =
        bench.calls.push_aws_auth(by(spoke(cluster.uid)), cluster.id.clone(), content()).await.unwrap().value;
    assert_eq!(own.pushed_by, format!("spoke:{}", cluster.uid));
    let pushed = bench.calls.push_aws_auth(by(spoke(cluster.uid)), other.id.clone(), content()).await;
    assert_eq!(code_of(pushed), "not_found");
    assert_eq!(code_of(bench.calls.get_aws_auth(spoke(cluster.uid), other.id.clone()).await), "not_found");
    let asked = entry(&cluster, &of(OWN, "user/zoe"));
    assert_eq!(code_of(bench.calls.create_entry(by(spoke(cluster.uid)), asked).await), "denied:spoke_call");
    let armed = bench.calls.arm_break_glass(by(spoke(cluster.uid)), cluster.id.clone()).await;
    assert_eq!(code_of(armed), "denied:spoke_call");
}

pub(crate) async fn immunity_28_a_spoke_that_floods_changes_is_told_to_come_again_and_an_operator_is_not<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let other = bench.calls.create_cluster(by(admin()), cluster_named("other")).await.unwrap().value;
    let push = async |actor, cluster: &Cluster, number: u32| {
        let content = map("ops", &format!("version-{number}"));
        bench.calls.push_aws_auth(by(actor), cluster.id.clone(), content).await
    };
    let (mut taken, mut refused) = (0, 0);
    for number in 0..60 {
        match push(spoke(cluster.uid), &cluster, number).await {
            Ok(_) => taken += 1,
            Err(CallError::Fault(Fault::Throttled { part, retry_after: Some(_) })) => {
                assert!(part.contains("aws-auth"), "{part}");
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    // One more falls due with each second that this takes.
    assert!(taken >= SPOKE_PUSHES && refused >= 10, "{taken} taken, {refused} refused");
    push(spoke(other.uid), &other, 0).await.unwrap();
    for number in 100..110 {
        push(admin(), &cluster, number).await.unwrap();
    }
    let ops = identity(&of(OWN, "assumed-role/ops/s"), "AROAOPS");
    assert_eq!(bench.name_of(&cluster, &ops).await, "version-109");
}

pub(crate) async fn it_counts_by_mode<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    use AuthenticationMode::{Api, ApiAndConfigMap, ConfigMap};
    let cluster = bench.cluster_in(ConfigMap).await;
    push(&bench, &cluster, &map("ops", "mapped")).await;
    let ops = identity(&of(OWN, "assumed-role/ops/s"), "AROAOPS");
    assert_eq!(bench.name_of(&cluster, &ops).await, "mapped");
    for (mode, wanted) in [(ApiAndConfigMap, "mapped"), (Api, "unmapped")] {
        let change = UpdateCluster { authentication_mode: Some(mode), ..UpdateCluster::default() };
        bench.calls.update_cluster(by(admin()), cluster.id.clone(), change).await.unwrap();
        assert_eq!(bench.name_of(&cluster, &ops).await, wanted, "{mode:?}");
    }
}

//! In AWS mode: whom IAM says an entry means, and what EC2 says a node is called.

use std::sync::Arc;

use lanyard_api::{
    Authority, AwsIdentity, ClusterUid, Fault, Revision, Scope, UserInfo, Vouched,
    authz::{Attributes, Authorize, ResourceAttributes, Review, Verdict},
    mapping::{
        Cluster, Clusters, CreateAccessEntry, Entries, EntryMatches, EntryState, Node, Preview, PreviewQuery,
        Resolution, Resolve, ResolveQuery, UpdateAccessEntry,
    },
};
use lanyard_authz::{Authz, AuthzConfig};
use lanyard_aws::stand_in::{Behaviour, StandIn};
use lanyard_mapping::{Mapping, MappingConfig};
use lanyard_store::{StaleEntry, test_support::TestDatabase};

use crate::bench::*;
use crate::entries::change;

lanyard_store::on_each_store!(
    a_principal_of_aws_has_to_exist_and_its_id_is_kept,
    where_iam_does_not_tell_the_entry_is_by_name_and_says_so,
    a_role_made_anew_in_aws_is_bound_again_as_iam_says,
    that_a_role_was_made_anew_is_known_to_every_replica_and_after_a_restart,
    immunity_43_a_role_that_is_named_as_a_permission_sets_is_one_under_its_path_alone,
    a_preview_shows_whom_iam_tells_of,
    nobody_who_knocks_makes_the_hub_ask_iam,
    a_node_has_the_name_that_ec2_gives_it_and_is_asked_about_once,
    immunity_44_a_session_is_no_node_that_its_role_does_not_run,
    who_was_bound_by_name_comes_before_ec2s_word,
    the_proof_of_a_node_that_ec2_names_passes_at_an_access_review,
    immunity_14_where_ec2_does_not_tell_there_is_no_answer,
);

type AwsBench = Bench<Mapping, Mapping>;

const ROLE: &str = "role/team/x";
const INSTANCE: &str = "i-0123456789abcdef0";
const NAME: &str = "ip-10-0-0-1.us-west-2.compute.internal";
const NODES: &str = "role/workers";
const REGION: &str = "us-west-2";

fn rebind(cluster: &Cluster, principal: &str) -> UpdateAccessEntry {
    UpdateAccessEntry { rebind: true, ..change(cluster, principal) }
}

fn given(cluster: &Cluster, principal: &str, id: &str) -> CreateAccessEntry {
    CreateAccessEntry { principal_id: Some(id.to_owned()), ..entry(cluster, principal) }
}

async fn a_principal_of_aws_has_to_exist_and_its_id_is_kept(database: TestDatabase) {
    let (bench, aws) = in_aws_mode(database).await;
    let cluster = bench.empty_cluster().await;
    aws.add_principal(&of(AWS, ROLE), "AROAX");
    aws.add_principal(&of(AWS, "user/ana"), "AIDAANA");
    for (principal, id) in [(of(AWS, ROLE), "AROAX"), (of(AWS, "user/ana"), "AIDAANA")] {
        let made = bench.entry(&cluster, &principal).await;
        assert_eq!(made.value.entry.principal_id.as_deref(), Some(id), "{principal}");
        assert!(made.notices.is_empty(), "{:?}", made.notices);
    }
    let create = async |asked| bench.calls.create_entry(by(admin()), asked).await;
    for absent in ["role/y", "user/x", "role/ana"] {
        let refused = create(entry(&cluster, &of(AWS, absent))).await.unwrap_err();
        assert_eq!(code(&refused), "invalid_principal", "{absent}");
        assert!(refused.to_string().contains("says IAM"), "{refused}");
    }
    let elsewhere = create(entry(&cluster, &of(AWS, "role/other/x"))).await.unwrap_err();
    assert_eq!(code(&elsewhere), "invalid_principal");
    assert!(elsewhere.to_string().contains(&of(AWS, ROLE)), "{elsewhere}");
    // IAM tells names ignoring letter case; policies do not, and one that denies an entry for this user is not walked around.
    let shouted = create(entry(&cluster, &of(AWS, "user/ANA"))).await.unwrap_err();
    assert_eq!(code(&shouted), "invalid_principal");
    assert!(
        shouted.to_string().contains(&format!("`{}` does: name it so", of(AWS, "user/ana"))),
        "{shouted}"
    );
    let asked = aws.calls_of("iam");
    let forced = create(given(&cluster, &of(AWS, "role/y"), "AROAGIVEN")).await.unwrap().value;
    assert_eq!(forced.entry.principal_id.as_deref(), Some("AROAGIVEN"));
    bench.entry(&cluster, &of(OWN, "role/ops")).await;
    assert_eq!(aws.calls_of("iam"), asked, "whom the operator or the hub knows, IAM is not asked about");
}

async fn where_iam_does_not_tell_the_entry_is_by_name_and_says_so(database: TestDatabase) {
    let (bench, aws) = in_aws_mode(database).await;
    let cluster = bench.empty_cluster().await;
    let cases = [
        ("role/denied", Behaviour::Denied, "AccessDenied"),
        ("role/down", Behaviour::ServerError, "in trouble"),
        ("role/slow", Behaviour::Hang, "did not answer"),
        ("role/throttled", Behaviour::Throttled400, "throttles"),
        ("role/bad", Behaviour::BadJson, "unusable"),
        ("role/mallory", Behaviour::AnotherPrincipal, "unusable"),
    ];
    for (principal, behaviour, words) in cases {
        let principal = of(AWS, principal);
        aws.behave_at("iam", behaviour);
        let made = bench.entry(&cluster, &principal).await;
        assert_eq!(made.value.entry.principal_id, None, "{behaviour:?}");
        let told = made.notices.iter().any(|notice| notice.contains(words) && notice.contains("rebind"));
        assert!(told, "{behaviour:?}: {:?}", made.notices);
        let described = bench.calls.get_entry(admin(), entry_ref(&cluster, &principal)).await.unwrap();
        assert_eq!((described.entry.principal_id, described.state), (None, EntryState::Active));
    }
    let denied = of(AWS, "role/denied");
    aws.behave_at("iam", Behaviour::Denied);
    let again = bench.calls.update_entry(by(admin()), rebind(&cluster, &denied)).await.unwrap();
    assert_eq!(again.value.entry.principal_id, None);
    assert!(again.notices.iter().any(|notice| notice.contains("AccessDenied")), "{:?}", again.notices);
    aws.behave(Behaviour::Honest);
    aws.add_principal(&denied, "AROADENIED");
    let bound = bench.calls.update_entry(by(admin()), rebind(&cluster, &denied)).await.unwrap();
    assert_eq!(bound.value.entry.principal_id.as_deref(), Some("AROADENIED"));
    assert!(bound.notices.is_empty(), "{:?}", bound.notices);
}

async fn a_role_made_anew_in_aws_is_bound_again_as_iam_says(database: TestDatabase) {
    let (bench, aws) = in_aws_mode(database).await;
    let cluster = bench.empty_cluster().await;
    let principal = of(AWS, ROLE);
    aws.add_principal(&principal, "AROAOLD");
    bench.entry(&cluster, &principal).await;
    let new = identity(&of(AWS, "assumed-role/x/s"), "AROANEW");
    assert_eq!(bench.name_of(&cluster, &new).await, "stale_entry");
    aws.add_principal(&principal, "AROANEW");
    let answer = bench.calls.update_entry(once("rebind"), rebind(&cluster, &principal)).await.unwrap();
    let bound = &answer.value;
    assert_eq!((bound.entry.principal_id.as_deref(), bound.state), (Some("AROANEW"), EntryState::Active));
    assert!(bench.name_of(&cluster, &new).await.ends_with("/s"));

    aws.remove_principal(&principal);
    let gone = bench.calls.update_entry(by(admin()), rebind(&cluster, &principal)).await;
    assert_eq!(code_of(gone), "invalid_principal");
    let again = bench.calls.update_entry(once("rebind"), rebind(&cluster, &principal)).await;
    assert_eq!(again.unwrap(), answer, "it has its first answer, though the principal is gone");
    aws.behave_at("iam", Behaviour::ServerError);
    let unknown = bench.calls.update_entry(by(admin()), rebind(&cluster, &principal)).await.unwrap_err();
    assert_eq!(code(&unknown), "rebind_unknown");
    assert!(unknown.to_string().contains("in trouble"), "{unknown}");
    // Somebody has proved it at the door: that is as good as IAM's word.
    let newest = identity(&of(AWS, "assumed-role/x/s"), "AROANEWEST");
    assert_eq!(bench.name_of(&cluster, &newest).await, "stale_entry");
    let bound = bench.calls.update_entry(by(admin()), rebind(&cluster, &principal)).await.unwrap().value;
    assert_eq!(bound.entry.principal_id.as_deref(), Some("AROANEWEST"));
}

async fn that_a_role_was_made_anew_is_known_to_every_replica_and_after_a_restart(database: TestDatabase) {
    let (bench, _aws) = in_aws_mode(database).await;
    let cluster = bench.empty_cluster().await;
    let principal = of(AWS, "role/x");
    let made = bench.calls.create_entry(by(admin()), given(&cluster, &principal, "AROAOLD")).await.unwrap();
    let replica = Mapping::open(&bench.store, MappingConfig::default()).await.unwrap();
    let state = async |engine: &Mapping| {
        engine.get_entry(admin(), entry_ref(&cluster, &principal)).await.unwrap().state
    };
    let supposed = async |engine: &Mapping| {
        let query = PreviewQuery {
            cluster: cluster.uid,
            authority: Authority::Aws,
            arn: arn(&of(AWS, "assumed-role/x/s")),
            principal_id: None,
        };
        match engine.preview(admin(), query).await.unwrap() {
            Resolution::Mapped(_) => String::from("mapped"),
            Resolution::Unmapped(unmapped) => unmapped.denial.code.into_owned(),
            Resolution::Blocked(_) => String::from("blocked"),
        }
    };
    let scope = Scope::Cluster(cluster.uid);
    let lines = async || bench.store.changes_since(scope, Revision(0), 100).await.unwrap().len();
    let before = lines().await;
    let new = |n: usize| identity(&of(AWS, "assumed-role/x/s"), &format!("AROANEW{n}"));
    // An explanation changes nothing.
    let asked = Vouched::in_process(Arc::new(new(0).into()));
    let query = ResolveQuery { cluster: cluster.uid, identity: asked, explain: true };
    let Resolution::Unmapped(unmapped) = bench.resolver.resolve(query).await.unwrap() else { panic!() };
    assert_eq!((&*unmapped.denial.code, lines().await), ("stale_entry", before));
    assert_eq!((state(&replica).await, supposed(&replica).await.as_str()), (EntryState::Active, "mapped"));

    for _ in 0..3 {
        assert_eq!(bench.name_of(&cluster, &new(0)).await, "stale_entry");
    }
    assert_eq!(lines().await, before + 1, "who knocks again is written down already");
    let restarted = Mapping::open(&bench.store, MappingConfig::default()).await.unwrap();
    for engine in [&bench.calls, &replica, &restarted] {
        assert_eq!(
            (state(engine).await, supposed(engine).await.as_str()),
            (EntryState::Stale, "stale_entry")
        );
    }
    for n in 0..2 * StaleEntry::IDS_MAX {
        assert_eq!(bench.name_of(&cluster, &new(n)).await, "stale_entry");
        assert_eq!(bench.name_of(&cluster, &new(0)).await, "stale_entry");
    }
    assert_eq!(lines().await, before + StaleEntry::IDS_MAX, "nobody who knocks writes without end");

    // Bound again, elsewhere and to the newest, it counts everywhere.
    let bound = replica.update_entry(by(admin()), rebind(&cluster, &principal)).await.unwrap().value;
    let newest = format!("AROANEW{}", StaleEntry::IDS_MAX - 1);
    assert_eq!((bound.entry.principal_id, bound.state), (Some(newest), EntryState::Active));
    for engine in [&bench.calls, &replica, &restarted] {
        assert_eq!((state(engine).await, supposed(engine).await.as_str()), (EntryState::Active, "mapped"));
    }
    let left: Option<StaleEntry> = bench.store.get(scope, &made.value.entry.id.to_string()).await.unwrap();
    assert_eq!(left, None);
}

async fn immunity_43_a_role_that_is_named_as_a_permission_sets_is_one_under_its_path_alone(
    database: TestDatabase,
) {
    let (bench, aws) = in_aws_mode(database).await;
    let cluster = bench.empty_cluster().await;
    let set = |suffix: &str| format!("arn:aws:sso::{AWS}:permission-set/Dev/{suffix}");
    let role = |path: &str, suffix: &str| of(AWS, &format!("role/{path}AWSReservedSSO_Dev_{suffix}"));
    let (made, own, absent) = ("0123456789abcdef", "1123456789abcdef", "2123456789abcdef");
    aws.add_principal(&role("aws-reserved/sso.amazonaws.com/eu-west-1/", made), "AROAMADE");
    aws.add_principal(&role("", own), "AROAOWN");
    let bound = bench.entry(&cluster, &set(made)).await.value;
    assert_eq!(bound.entry.principal_id.as_deref(), Some("AROAMADE"));
    let other_case = format!("arn:aws:sso::{AWS}:permission-set/DEV/{made}");
    assert_eq!(
        code_of(bench.calls.create_entry(by(admin()), entry(&cluster, &other_case)).await),
        "invalid_principal"
    );
    // One that is there already is bound again, however it is spelled.
    let elsewhere = bench.cluster().await;
    bench.calls.create_entry(by(admin()), given(&elsewhere, &other_case, "AROAOLD")).await.unwrap();
    let again = bench.calls.update_entry(by(admin()), rebind(&elsewhere, &other_case)).await.unwrap().value;
    assert_eq!(again.entry.principal_id.as_deref(), Some("AROAMADE"));
    for (suffix, words) in [(own, "its path is not"), (absent, "says IAM")] {
        let refused = bench.calls.create_entry(by(admin()), entry(&cluster, &set(suffix))).await.unwrap_err();
        assert_eq!(code(&refused), "invalid_principal", "{suffix}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
    let session = |id: &str| identity(&of(AWS, &format!("assumed-role/AWSReservedSSO_Dev_{made}/ana")), id);
    assert!(bench.name_of(&cluster, &session("AROAMADE")).await.ends_with("/ana"));
    assert_eq!(bench.name_of(&cluster, &session("AROAANEW")).await, "stale_entry");
}

async fn a_preview_shows_whom_iam_tells_of(database: TestDatabase) {
    let (bench, aws) = in_aws_mode(database).await;
    let cluster = bench.empty_cluster().await;
    for n in 1..=5 {
        aws.add_principal(&of(AWS, &format!("role/team/dev-{n}")), &format!("AROADEV{n}"));
    }
    aws.add_principal(&of(AWS, "role/ops"), "AROAOPS");
    aws.add_principal(&of(AWS, "user/dev-1"), "AIDADEV1");
    let sso = of(AWS, "role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_0123456789abcdef");
    aws.add_principal(&sso, "AROASSO");
    let preview = async |principal: &str| {
        bench.calls.preview_entry(admin(), entry_ref(&cluster, principal)).await.unwrap()
    };
    let names = |matches: &EntryMatches| -> Vec<String> {
        matches.principals.iter().map(|one| one.principal_arn.to_string()).collect()
    };
    let roles = preview(&of(AWS, "role/dev-*")).await;
    let wanted: Vec<String> = (1..=5).map(|n| of(AWS, &format!("role/team/dev-{n}"))).collect();
    assert_eq!((names(&roles), roles.complete), (wanted, true), "on three pages");
    assert_eq!(roles.principals[0].principal_id.as_deref(), Some("AROADEV1"));
    assert_eq!(names(&preview(&of(AWS, "user/*")).await), [of(AWS, "user/dev-1")]);
    assert_eq!(names(&preview(&format!("arn:aws:sso::{AWS}:permission-set/Dev")).await), [sso]);
    aws.behave_at("iam", Behaviour::Denied);
    let untold = preview(&of(AWS, "role/dev-*")).await;
    assert!(!untold.complete && untold.principals.is_empty());
    assert!(untold.notices[0].contains("AccessDenied"), "{:?}", untold.notices);
}

async fn nobody_who_knocks_makes_the_hub_ask_iam(database: TestDatabase) {
    let (bench, aws) = in_aws_mode(database).await;
    let cluster = bench.empty_cluster().await;
    aws.add_principal(&of(AWS, ROLE), "AROAX");
    bench.entry(&cluster, &of(AWS, ROLE)).await;
    let calls = aws.calls();
    aws.behave(Behaviour::Hang);
    for (who, id) in
        [("assumed-role/x/s", "AROAX"), ("assumed-role/x/s", "AROANEW"), ("user/nobody", "AIDANOBODY")]
    {
        bench.name_of(&cluster, &identity(&of(AWS, who), id)).await;
    }
    assert_eq!(aws.calls(), calls);
}

/// A cluster whose aws-auth maps the nodes of a role of AWS, one of which runs.
async fn with_nodes(database: TestDatabase) -> (AwsBench, StandIn, Cluster) {
    let (bench, aws) = in_aws_mode(database).await;
    let cluster = bench.cluster().await;
    let map = format!(
        "mapRoles: |\n  - rolearn: {}\n    username: system:node:{{{{EC2PrivateDNSName}}}}\n    groups: [system:nodes]\n",
        of(AWS, NODES)
    );
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), map).await.unwrap();
    let profile = of(AWS, "instance-profile/workers-profile");
    aws.add_profile(&profile, Some(&of(AWS, NODES)));
    aws.add_instance(AWS, REGION, INSTANCE, NAME, Some(&profile));
    (bench, aws, cluster)
}

fn session(name: &str) -> AwsIdentity {
    identity(&of(AWS, &format!("assumed-role/workers/{name}")), "AROAWORKERS")
}

async fn refusal(bench: &AwsBench, cluster: ClusterUid, who: &AwsIdentity) -> String {
    match bench.resolve(cluster, who).await.unwrap() {
        Resolution::Unmapped(unmapped) => format!("{}: {}", unmapped.denial.code, unmapped.denial.message),
        other => panic!("{other:?}"),
    }
}

async fn a_node_has_the_name_that_ec2_gives_it_and_is_asked_about_once(database: TestDatabase) {
    let (bench, aws, cluster) = with_nodes(database).await;
    for _ in 0..3 {
        match bench.resolve(cluster.uid, &session(INSTANCE)).await.unwrap() {
            Resolution::Mapped(mapped) => {
                assert_eq!(mapped.user.username, format!("system:node:{NAME}"));
                assert_eq!(mapped.user.groups, ["system:nodes"]);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(aws.calls_of("ec2"), 1);
    let query = PreviewQuery {
        cluster: cluster.uid,
        authority: Authority::Aws,
        arn: arn(&of(AWS, &format!("assumed-role/workers/{INSTANCE}"))),
        principal_id: None,
    };
    let supposed = bench.calls.preview(admin(), query).await.unwrap();
    assert!(
        matches!(&supposed, Resolution::Mapped(mapped) if mapped.user.username.ends_with(NAME)),
        "{supposed:?}"
    );
}

async fn immunity_44_a_session_is_no_node_that_its_role_does_not_run(database: TestDatabase) {
    let (bench, aws, cluster) = with_nodes(database).await;
    let others = of(AWS, "instance-profile/others");
    aws.add_profile(&others, Some(&of(AWS, "role/others")));
    let cases = [
        ("i-00000000000000001", Some(others.as_str()), "runs with arn:aws:iam::444455556666:role/others"),
        ("i-00000000000000002", None, "runs with no role"),
    ];
    for (id, profile, words) in cases {
        aws.add_instance(AWS, REGION, id, &format!("{id}.internal"), profile);
        let refused = refusal(&bench, cluster.uid, &session(id)).await;
        assert!(refused.starts_with("unknown_node: ") && refused.contains(words), "{refused}");
    }
    let profile = of(AWS, "instance-profile/workers-profile");
    aws.add_instance(AWS, "eu-west-1", "i-00000000000000003", "far.internal", Some(&profile));
    aws.add_instance(AWS, REGION, "i-00000000000000004", "gone.internal", Some(&profile));
    aws.terminate_instance("i-00000000000000004");
    aws.add_instance(AWS, REGION, "i-00000000000000005", "UPPER", Some(&profile));
    for (id, words) in [
        ("i-00000000000000003", "EC2 has no instance"),
        ("i-00000000000000004", "EC2 has no instance"),
        ("i-00000000000000005", "none for a node"),
        ("i-0000000000000000f", "EC2 has no instance"),
    ] {
        let refused = refusal(&bench, cluster.uid, &session(id)).await;
        assert!(refused.starts_with("unknown_node: ") && refused.contains(words), "{id}: {refused}");
    }
    let calls = aws.calls_of("ec2");
    for id in ["i-0123456", "i-0123456789abcdef", "ip-10-0-0-1", "I-0123456789abcdef0"] {
        assert_eq!(bench.name_of(&cluster, &session(id)).await, "unknown_node", "{id}");
    }
    assert_eq!(aws.calls_of("ec2"), calls, "what is no instance's id is not asked about");
}

async fn who_was_bound_by_name_comes_before_ec2s_word(database: TestDatabase) {
    let (bench, aws, cluster) = with_nodes(database).await;
    let set = async |id: &str, name: &str, role: &str| {
        let node = Node {
            cluster: cluster.uid,
            instance_id: id.to_owned(),
            private_dns_name: name.to_owned(),
            role_arn: Some(of(AWS, role)),
            access_key_id: None,
        };
        bench.calls.set_node(by(admin()), cluster.id.clone(), node).await.unwrap()
    };
    set(INSTANCE, "bound.internal", NODES).await;
    assert_eq!(bench.name_of(&cluster, &session(INSTANCE)).await, "system:node:bound.internal");
    set(INSTANCE, "bound.internal", "role/others").await;
    assert_eq!(bench.name_of(&cluster, &session(INSTANCE)).await, "unknown_node");
    assert_eq!(aws.calls_of("ec2"), 0);
    // The name of a bound node is not another instance's.
    let profile = of(AWS, "instance-profile/workers-profile");
    aws.add_instance(AWS, REGION, "i-00000000000000007", "bound.internal", Some(&profile));
    let refused = refusal(&bench, cluster.uid, &session("i-00000000000000007")).await;
    assert!(refused.contains(&format!("of the node with session `{INSTANCE}`")), "{refused}");
}

async fn the_proof_of_a_node_that_ec2_names_passes_at_an_access_review(database: TestDatabase) {
    let (bench, aws, cluster) = with_nodes(database).await;
    let authz = Authz::start(&bench.store, AuthzConfig::default()).unwrap();
    let log_in = async |instance: &str| match bench.resolve(cluster.uid, &session(instance)).await.unwrap() {
        Resolution::Mapped(mapped) => Arc::new(mapped.user.clone().into_info()),
        other => panic!("{other:?}"),
    };
    let asked = ResourceAttributes {
        verb: "get".into(),
        resource: "nodes".into(),
        name: NAME.into(),
        ..ResourceAttributes::default()
    };
    let attributes = Arc::new(Attributes::Resource(asked));
    let decide = async |user: &Arc<UserInfo>| {
        let review = Review {
            cluster: cluster.uid,
            user: Arc::clone(user),
            attributes: Arc::clone(&attributes),
            explain: false,
            full: false,
            grant: None,
        };
        let decision = authz.authorize(review).await.unwrap();
        (decision.verdict, decision.reason.code())
    };
    let (none, denied) = ((Verdict::NoOpinion, "nothing_matched"), (Verdict::Deny, "grant_revoked"));
    let by_ec2 = log_in(INSTANCE).await;
    assert_eq!(decide(&by_ec2).await, none, "the cluster's own Node authorizer decides");

    // Another instance that is bound to the name takes it from this one, and has a proof without EC2's word.
    let other = "i-00000000000000007";
    let node = |id: &str| Node {
        cluster: cluster.uid,
        instance_id: id.to_owned(),
        private_dns_name: NAME.to_owned(),
        role_arn: Some(of(AWS, NODES)),
        access_key_id: None,
    };
    bench.calls.set_node(by(admin()), cluster.id.clone(), node(other)).await.unwrap();
    let bound = log_in(other).await;
    assert_eq!((bound.username.as_str(), decide(&bound).await), (by_ec2.username.as_str(), none));
    assert_eq!(decide(&by_ec2).await, denied);

    // And back: the name is the first one's now, by whichever word, and the second has lost it.
    bench.calls.delete_node(by(admin()), cluster.id.clone(), other.to_owned()).await.unwrap();
    assert_eq!(decide(&bound).await, denied);
    assert_eq!(decide(&by_ec2).await, none);
    bench.calls.set_node(by(admin()), cluster.id.clone(), node(INSTANCE)).await.unwrap();
    assert_eq!((decide(&by_ec2).await, decide(&bound).await), (none, denied));
    assert_eq!(aws.calls_of("ec2"), 1);
}

async fn immunity_14_where_ec2_does_not_tell_there_is_no_answer(database: TestDatabase) {
    let (bench, aws, cluster) = with_nodes(database).await;
    type Kind = fn(&Fault) -> bool;
    let cases: [(Behaviour, Kind); 5] = [
        (Behaviour::Denied, |fault| matches!(fault, Fault::Unavailable { .. })),
        (Behaviour::ServerError, |fault| matches!(fault, Fault::Unavailable { .. })),
        (Behaviour::AnotherPrincipal, |fault| matches!(fault, Fault::Unavailable { .. })),
        (Behaviour::Throttled429, |fault| matches!(fault, Fault::Throttled { .. })),
        (Behaviour::Hang, |fault| matches!(fault, Fault::TimedOut { .. })),
    ];
    for (behaviour, is_expected) in cases {
        aws.behave_at("ec2", behaviour);
        let fault = bench.resolve(cluster.uid, &session(INSTANCE)).await.unwrap_err();
        assert!(is_expected(&fault), "{behaviour:?}: {fault:?}");
    }
    aws.behave(Behaviour::Honest);
    assert_eq!(bench.name_of(&cluster, &session(INSTANCE)).await, format!("system:node:{NAME}"));
}

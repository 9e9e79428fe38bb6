use std::collections::BTreeMap;

use lanyard_api::{
    Authority, CallError, EntryId, PageQuery, Scope, TrustedAccount,
    authn::accounts::{AccessKey, IamRole, User},
    mapping::{
        AccessEntry, AccessScope, AuthenticationMode, Clusters, CreateAccessEntry, CreateCluster, Entries,
        EntryState, EntryType, Resolution, Resolve, UpdateAccessEntry,
    },
};
use time::Duration;

use crate::bench::*;

pub(crate) fn change(cluster: &lanyard_api::mapping::Cluster, principal: &str) -> UpdateAccessEntry {
    let entry = entry_ref(cluster, principal);
    UpdateAccessEntry { entry, username: None, groups: None, ends_at: None, rebind: false, pin_until: None }
}

pub(crate) async fn an_entry_is_made_read_listed_changed_and_deleted<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let dev = of(OWN, "role/team/dev");
    let asked = CreateAccessEntry {
        groups: vec![String::from("devs")],
        tags: BTreeMap::from([(String::from("team"), String::from("a"))]),
        ends_at: Some(NOON + Duration::HOUR),
        ..entry(&cluster, &dev)
    };
    let made = bench.calls.create_entry(by(admin()), asked.clone()).await.unwrap().value;
    assert_eq!(made.entry.username, "arn:aws:sts::111122223333:assumed-role/dev/{{SessionName}}");
    let prefix = "arn:aws:eks:us-west-2:111122223333:access-entry/empty/role/111122223333/dev/";
    assert_eq!(made.arn, format!("{prefix}{}", made.entry.id));
    assert_eq!((made.entry.created_at, made.entry.modified_at, made.state), (NOON, NOON, EntryState::Active));
    assert_eq!(code_of(bench.calls.create_entry(by(admin()), asked).await), "exists");
    assert_eq!(bench.calls.get_entry(admin(), entry_ref(&cluster, &dev)).await.unwrap(), made);

    bench.clock.advance(Duration::MINUTE);
    let update =
        UpdateAccessEntry { username: Some(String::from("dev:{{SessionName}}")), ..change(&cluster, &dev) };
    let updated = bench.calls.update_entry(by(admin()), update).await.unwrap().value.entry;
    assert_eq!((updated.username.as_str(), updated.groups.len()), ("dev:{{SessionName}}", 1));
    assert_eq!((updated.created_at, updated.modified_at), (NOON, NOON + Duration::MINUTE));
    assert_eq!((updated.id, updated.ends_at), (made.entry.id, made.entry.ends_at));
    let update = UpdateAccessEntry { groups: Some(vec![]), ends_at: Some(None), ..change(&cluster, &dev) };
    let updated = bench.calls.update_entry(by(admin()), update).await.unwrap().value.entry;
    assert_eq!(
        (updated.groups.len(), updated.ends_at, updated.username.as_str()),
        (0, None, "dev:{{SessionName}}")
    );
    let revision = bench.store.revision(Scope::Cluster(cluster.uid)).await.unwrap();
    let same = bench.calls.update_entry(by(admin()), change(&cluster, &dev)).await.unwrap();
    assert_eq!((same.revision, same.value.entry.modified_at), (revision, updated.modified_at));

    let listed =
        bench.calls.list_entries(admin(), cluster.id.clone(), None, PageQuery::default()).await.unwrap();
    assert_eq!(listed.items.iter().map(|detail| detail.entry.id).collect::<Vec<_>>(), [made.entry.id]);
    let gone = bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &dev)).await.unwrap().value;
    assert_eq!(gone.entry.id, made.entry.id);
    assert_eq!(code_of(bench.calls.get_entry(admin(), entry_ref(&cluster, &dev)).await), "not_found");
    assert_eq!(code_of(bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &dev)).await), "not_found");
    let anew = bench.entry(&cluster, &dev).await.value;
    assert_ne!(anew.entry.id, made.entry.id);
}

pub(crate) async fn each_rule_refuses_with_its_own_code<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.empty_cluster().await;
    let base = || entry(&cluster, &of(OWN, "role/ops"));
    let at = |principal: &str| entry(&cluster, principal);
    let node = |entry_type| CreateAccessEntry { entry_type: Some(entry_type), ..base() };
    let groups = |names: &[&str]| CreateAccessEntry {
        groups: names.iter().map(ToString::to_string).collect(),
        ..base()
    };
    let username = |name: &str| CreateAccessEntry { username: Some(name.to_owned()), ..base() };
    let of_session = |principal: &str| CreateAccessEntry {
        username: Some(String::from("ops:{{SessionName}}")),
        ..at(principal)
    };
    let refused = [
        (at("x"), "invalid_principal"),
        (at(&of(OWN, "assumed-role/ops/ana")), "invalid_principal"),
        (at(&of(OWN, "root")), "invalid_principal"),
        (at("arn:aws-cn:iam::111122223333:role/ops"), "invalid_principal"),
        (at(&of(OWN, "role/aws-service-role/x/y")), "invalid_principal"),
        (at(&of(TENANT, "role/dev")), "untrusted_account"),
        (at("arn:aws:iam::999988887777:role/x"), "untrusted_account"),
        (username("system:admin"), "reserved_username"),
        (username("{{SessionName}}"), "session_name_without_prefix"),
        (username("x:{{EC2PrivateDNSName}}"), "node_placeholder"),
        (username("{{Nope}}"), "invalid_username"),
        (of_session(&of(OWN, "user/zoe")), "session_name_of_a_user"),
        (of_session(&of(OWN, "user/z*")), "session_name_of_a_user"),
        (groups(&["system:masters"]), "reserved_group"),
        (groups(&["a", "b", "c", "d"]), "invalid_group"),
        (groups(&["{{SessionName}}"]), "invalid_group"),
        (
            CreateAccessEntry { username: Some(String::from("x")), ..node(EntryType::Ec2Linux) },
            "not_standard",
        ),
        (
            CreateAccessEntry { groups: vec![String::from("x")], ..node(EntryType::FargateLinux) },
            "not_standard",
        ),
        (
            CreateAccessEntry { entry_type: Some(EntryType::Ec2Linux), ..at(&of(AWS, "role/x")) },
            "node_principal",
        ),
        (CreateAccessEntry { ends_at: Some(NOON), ..base() }, "end_in_the_past"),
        (
            CreateAccessEntry { tags: BTreeMap::from([(String::from("aws:a"), String::new())]), ..base() },
            "tags",
        ),
        (CreateAccessEntry { principal_id: Some(String::from("AIDAX")), ..base() }, "principal_id"),
        (CreateAccessEntry { principal_id: Some(String::from("AROAELSE")), ..base() }, "principal_id"),
    ];
    for (asked, rule) in refused {
        let shown = format!("{asked:?}");
        assert_eq!(code_of(bench.calls.create_entry(by(admin()), asked).await), rule, "{shown}");
    }
    let listed =
        bench.calls.list_entries(admin(), cluster.id.clone(), None, PageQuery::default()).await.unwrap();
    assert!(listed.items.is_empty());

    bench.entry(&cluster, &of(OWN, "role/ops")).await;
    let ops = of(OWN, "role/ops");
    let refused = [
        (
            UpdateAccessEntry { username: Some(String::from("eks:x")), ..change(&cluster, &ops) },
            "reserved_username",
        ),
        (
            UpdateAccessEntry { groups: Some(vec![String::from("system:x")]), ..change(&cluster, &ops) },
            "reserved_group",
        ),
        (UpdateAccessEntry { ends_at: Some(Some(NOON)), ..change(&cluster, &ops) }, "end_in_the_past"),
        (change(&cluster, &of(OWN, "role/absent")), "not_found"),
    ];
    for (asked, rule) in refused {
        assert_eq!(code_of(bench.calls.update_entry(by(admin()), asked).await), rule);
    }
    let nodes =
        CreateAccessEntry { entry_type: Some(EntryType::Ec2Linux), ..entry(&cluster, &of(OWN, "role/node")) };
    bench.calls.create_entry(by(admin()), nodes).await.unwrap();
    let update =
        UpdateAccessEntry { username: Some(String::from("x")), ..change(&cluster, &of(OWN, "role/node")) };
    assert_eq!(code_of(bench.calls.update_entry(by(admin()), update).await), "not_standard");
    let old = bench.cluster_in(AuthenticationMode::ConfigMap).await;
    assert_eq!(
        code_of(bench.calls.create_entry(by(admin()), entry(&old, &ops)).await),
        "authentication_mode"
    );
}

pub(crate) async fn entries_are_limited<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.empty_cluster().await;
    for nth in 0..12 {
        bench.entry(&cluster, &of(AWS, &format!("role/r{nth}"))).await;
    }
    let one_more = bench.calls.create_entry(by(admin()), entry(&cluster, &of(AWS, "role/more"))).await;
    assert_eq!(code_of(one_more), "limit");
}

pub(crate) async fn a_local_principal_has_to_exist_and_its_id_is_kept<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    for absent in ["user/nobody", "role/dev", "role/other/dev", "user/ana", "role/admin"] {
        let made = bench.calls.create_entry(by(admin()), entry(&cluster, &of(OWN, absent))).await;
        assert_eq!(code_of(made), "invalid_principal", "{absent}");
    }
    let ana = bench.entry(&cluster, &of(OWN, "user/team/ana")).await.value.entry;
    assert_eq!(ana.principal_id.as_deref(), Some("AIDAANA"));
    let of_aws = bench.entry(&cluster, &of(AWS, "role/x")).await.value.entry;
    assert_eq!(of_aws.principal_id, None);
    let given = CreateAccessEntry {
        principal_id: Some(String::from("AROAGIVEN")),
        ..entry(&cluster, &of(AWS, "role/y"))
    };
    let given = bench.calls.create_entry(by(admin()), given).await.unwrap().value.entry;
    assert_eq!(given.principal_id.as_deref(), Some("AROAGIVEN"));
}

pub(crate) async fn a_local_principal_in_another_spelling_is_named_as_it_is<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let theirs = TrustedAccount { authority: Authority::Local, account: account(TENANT) };
    let asked = CreateCluster { trusted_accounts: vec![theirs], ..cluster_named("shared") };
    let cluster = bench.calls.create_cluster(by(admin()), asked).await.unwrap().value;
    // In the cluster's own account the right one is named; whom another account has is not told.
    for (given, there) in [
        (of(OWN, "user/team/ANA"), Some(of(OWN, "user/team/ana"))),
        (of(OWN, "user/ana"), Some(of(OWN, "user/team/ana"))),
        (of(OWN, "role/Dev"), Some(of(OWN, "role/team/dev"))),
        (of(OWN, "role/ana"), None),
        (of(TENANT, "user/EVE"), None),
        (of(TENANT, "role/team/dev"), None),
    ] {
        let made = bench.calls.create_entry(by(admin()), entry(&cluster, &given)).await;
        let Err(CallError::Invalid { message, .. }) = made else { panic!("{given}: {made:?}") };
        let begins = match there {
            Some(there) => format!("`{given}` does not exist, `{there}` does: "),
            None => format!("`{given}` does not exist: make it first, or "),
        };
        assert!(message.starts_with(&begins), "{message}");
    }
}

pub(crate) async fn a_principal_made_anew_leaves_its_entry_stale_until_it_is_bound_again<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let dev = of(OWN, "role/team/dev");
    bench.entry(&cluster, &dev).await;
    let old = identity(&of(OWN, "assumed-role/dev/ana"), "AROADEV");
    let new = identity(&of(OWN, "assumed-role/dev/ana"), "AROANEW");
    assert!(bench.name_of(&cluster, &old).await.ends_with("/ana"));
    let state = async || bench.calls.get_entry(admin(), entry_ref(&cluster, &dev)).await.unwrap().state;
    bench.remove::<IamRole>(Scope::Account(account(OWN)), "dev").await;
    assert_eq!(state().await, EntryState::Stale);
    let rebind = || UpdateAccessEntry { rebind: true, ..change(&cluster, &dev) };
    assert_eq!(code_of(bench.calls.update_entry(by(admin()), rebind()).await), "invalid_principal");
    bench.write(&role(OWN, "dev", "/team/", "AROANEW")).await;
    assert_eq!(state().await, EntryState::Stale);
    assert_eq!(bench.name_of(&cluster, &new).await, "stale_entry");
    let bound = bench.calls.update_entry(by(admin()), rebind()).await.unwrap().value;
    assert_eq!((bound.entry.principal_id.as_deref(), bound.state), (Some("AROANEW"), EntryState::Active));
    assert!(bench.name_of(&cluster, &new).await.ends_with("/ana"));
    assert_eq!(bench.name_of(&cluster, &old).await, "stale_entry");
}

pub(crate) async fn a_principal_of_aws_is_bound_again_to_whom_its_authority_proved<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let principal = of(AWS, "role/x");
    let asked =
        CreateAccessEntry { principal_id: Some(String::from("AROAOLD")), ..entry(&cluster, &principal) };
    bench.calls.create_entry(by(admin()), asked).await.unwrap();
    let rebind = || UpdateAccessEntry { rebind: true, ..change(&cluster, &principal) };
    assert_eq!(code_of(bench.calls.update_entry(by(admin()), rebind()).await), "rebind_unknown");
    let new = identity(&of(AWS, "assumed-role/x/s"), "AROANEW");
    assert_eq!(bench.name_of(&cluster, &new).await, "stale_entry");
    let seen = bench.calls.get_entry(admin(), entry_ref(&cluster, &principal)).await.unwrap();
    assert_eq!(seen.state, EntryState::Stale);
    let bound = bench.calls.update_entry(by(admin()), rebind()).await.unwrap().value;
    assert_eq!((bound.entry.principal_id.as_deref(), bound.state), (Some("AROANEW"), EntryState::Active));
    assert!(bench.name_of(&cluster, &new).await.ends_with("/s"));
}

pub(crate) async fn a_policy_is_associated_once_and_its_scope_is_replaced<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let ops = of(OWN, "role/ops");
    bench.entry(&cluster, &ops).await;
    let view = policy("AmazonEKSViewPolicy");
    let associate = async |scope| {
        let entry = entry_ref(&cluster, &ops);
        bench.calls.associate_policy(by(admin()), entry, view.clone(), scope, None).await
    };
    let first = associate(AccessScope::Namespace(vec![String::from("dev-*")])).await.unwrap().value;
    assert_eq!((first.associated_at, first.modified_at), (NOON, NOON));
    bench.clock.advance(Duration::MINUTE);
    let same = associate(AccessScope::Namespace(vec![String::from("dev-*")])).await.unwrap().value;
    assert_eq!(same, first);
    let moved = associate(AccessScope::Cluster).await.unwrap().value;
    assert_eq!((moved.associated_at, moved.modified_at), (NOON, NOON + Duration::MINUTE));
    let detail = bench.calls.get_entry(admin(), entry_ref(&cluster, &ops)).await.unwrap();
    assert_eq!(detail.associations, [moved]);
    let of_policy = async |arn: &str| {
        let page = bench
            .calls
            .list_entries(admin(), cluster.id.clone(), Some(arn.to_owned()), PageQuery::default())
            .await;
        page.unwrap().items.len()
    };
    assert_eq!((of_policy(&view).await, of_policy(CLUSTER_ADMIN).await), (1, 0));
    let entry = || entry_ref(&cluster, &ops);
    bench.calls.disassociate_policy(by(admin()), entry(), view.clone()).await.unwrap();
    assert_eq!(
        code_of(bench.calls.disassociate_policy(by(admin()), entry(), view.clone()).await),
        "not_found"
    );
    assert_eq!(of_policy(&view).await, 0);
    associate(AccessScope::Cluster).await.unwrap();
    bench.calls.delete_entry(by(admin()), entry()).await.unwrap();
    bench.entry(&cluster, &ops).await;
    let anew = bench.calls.get_entry(admin(), entry()).await.unwrap();
    assert!(anew.associations.is_empty());
}

pub(crate) async fn the_limit_of_an_entrys_policies_holds_for_those_added_at_once<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let ops = of(OWN, "role/ops");
    bench.entry(&cluster, &ops).await;
    let associate = async |name: &str| {
        let entry = entry_ref(&cluster, &ops);
        let made =
            bench.calls.associate_policy(by(admin()), entry, policy(name), AccessScope::Cluster, None).await;
        code_of(made)
    };
    // The limit is three here.
    for name in ["AmazonEKSViewPolicy", "AmazonEKSEditPolicy"] {
        assert_eq!(associate(name).await, "ok");
    }
    let (one, other) = tokio::join!(associate("AmazonEKSAdminPolicy"), associate("AmazonEKSAdminViewPolicy"));
    let mut answers = [one, other];
    answers.sort_unstable();
    assert_eq!(answers, ["limit", "ok"]);
    let detail = bench.calls.get_entry(admin(), entry_ref(&cluster, &ops)).await.unwrap();
    assert_eq!(detail.associations.len(), 3);
}

pub(crate) async fn a_policy_is_held_against_every_rule<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.empty_cluster().await;
    let ops = of(OWN, "role/ops");
    bench.entry(&cluster, &ops).await;
    let nodes =
        CreateAccessEntry { entry_type: Some(EntryType::Ec2Linux), ..entry(&cluster, &of(OWN, "role/node")) };
    bench.calls.create_entry(by(admin()), nodes).await.unwrap();
    let associate = async |principal: &str, name: &str, scope, end| {
        let entry = entry_ref(&cluster, principal);
        code_of(bench.calls.associate_policy(by(admin()), entry, policy(name), scope, end).await)
    };
    let namespaces = |names: &[&str]| AccessScope::Namespace(names.iter().map(ToString::to_string).collect());
    let (view, whole) = ("AmazonEKSViewPolicy", AccessScope::Cluster);
    assert_eq!(associate(&ops, "Nope", whole.clone(), None).await, "not_found");
    assert_eq!(associate(&ops, "AmazonEKSHybridPolicy", whole.clone(), None).await, "service_linked_policy");
    assert_eq!(associate(&ops, view, namespaces(&[]), None).await, "namespaces_missing");
    assert_eq!(associate(&ops, view, namespaces(&["A"]), None).await, "invalid_namespace");
    assert_eq!(associate(&ops, view, whole.clone(), Some(NOON)).await, "end_in_the_past");
    assert_eq!(associate(&of(OWN, "role/node"), view, whole.clone(), None).await, "not_standard");
    assert_eq!(associate(&of(OWN, "role/absent"), view, whole.clone(), None).await, "not_found");
    for name in [view, "AmazonEKSEditPolicy", "AmazonEKSAdminPolicy"] {
        assert_eq!(associate(&ops, name, whole.clone(), None).await, "ok");
    }
    assert_eq!(associate(&ops, "AmazonEKSAdminViewPolicy", whole.clone(), None).await, "limit");
    assert_eq!(associate(&ops, view, namespaces(&["a"]), Some(NOON + Duration::HOUR)).await, "ok");
}

pub(crate) async fn immunity_15_names_are_compared_byte_by_byte<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.empty_cluster().await;
    bench.write::<User>(&user(OWN, "admin2", "/", "AIDATWO")).await;
    let ops = of(OWN, "role/ops");
    bench.entry(&cluster, &ops).await;
    for other in [
        "role/ops ",
        " role/ops",
        "role/ops\u{200b}",
        "role/óps",
        "role/o\u{301}ps",
        "role/ops\0",
        "role/ops\t",
    ] {
        let arn = of(OWN, other);
        assert_eq!(
            code_of(bench.calls.get_entry(admin(), entry_ref(&cluster, &arn)).await),
            "not_found",
            "{arn:?}"
        );
        let made = bench.calls.create_entry(by(admin()), entry(&cluster, &arn)).await;
        assert_eq!(code_of(made), "invalid_principal", "{arn:?}");
    }
    let groups = ["devs", "Devs", "dévs"].map(str::to_owned).to_vec();
    let update = UpdateAccessEntry { groups: Some(groups.clone()), ..change(&cluster, &ops) };
    let kept = bench.calls.update_entry(by(admin()), update).await.unwrap().value.entry;
    assert_eq!(kept.groups, groups);
    for id in ["empty ", "EMPTY", "empt\u{443}"] {
        if let Ok(id) = id.parse() {
            assert_eq!(code_of(bench.calls.get_cluster(admin(), id).await), "not_found");
        }
    }
}

pub(crate) async fn immunity_43_a_principal_has_one_entry_however_it_is_spelled<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let dev = CreateAccessEntry {
        groups: vec![String::from("viewers")],
        ..entry(&cluster, &of(AWS, "role/team/Dev"))
    };
    bench.calls.create_entry(by(admin()), dev).await.unwrap();
    let before = bench.store.revision(Scope::Cluster(cluster.uid)).await.unwrap();
    for spelled in ["role/team/Dev", "role/team/DEV", "role/dev", "role/other/dEv"] {
        let asked =
            CreateAccessEntry { groups: vec![String::from("masters")], ..entry(&cluster, &of(AWS, spelled)) };
        assert_eq!(code_of(bench.calls.create_entry(by(admin()), asked).await), "exists", "{spelled}");
    }
    assert_eq!(bench.store.revision(Scope::Cluster(cluster.uid)).await.unwrap(), before);
    let session = identity(&of(AWS, "assumed-role/Dev/ana"), "AROADEV");
    let resolved = bench.resolve(cluster.uid, &session).await.unwrap();
    let Resolution::Mapped(mapped) = resolved else { panic!("{resolved:?}") };
    assert_eq!(mapped.user.groups, ["viewers"], "what was there counts");
    // A user of that name is somebody else, and so is a role of another account.
    bench.entry(&cluster, &of(AWS, "user/dev")).await;
    bench.entry(&cluster, &of(OWN, "role/ops")).await;
    // Once it is gone, another may be written in its place.
    bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &of(AWS, "role/team/Dev"))).await.unwrap();
    bench.entry(&cluster, &of(AWS, "role/DEV")).await;
}

pub(crate) async fn immunity_31_of_entries_for_the_same_the_one_that_counts_is_meant<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    // The list of authorities begins with AWS: being the first there is not what makes an entry count.
    for named in ["role/ops", "role/ops-*"] {
        let principal = of(OWN, named);
        let counts = bench.entry(&cluster, &principal).await.value.entry;
        assert_eq!(counts.authority, Authority::Local, "{named}");
        // Left from when somebody else vouched for the account: one that the list begins with, and one that it ends with.
        for authority in [Authority::Aws, Authority::Sts(String::from("lab"))] {
            bench.write(&AccessEntry { id: EntryId::random(), authority, ..counts.clone() }).await;
        }
        let mut deleted = Vec::new();
        for _ in 0..3 {
            let found = bench.calls.get_entry(admin(), entry_ref(&cluster, &principal)).await.unwrap();
            let gone = bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &principal)).await.unwrap();
            assert_eq!(gone.value.entry.id, found.entry.id, "{named}: what is shown is what is deleted");
            deleted.push(found.entry.authority);
        }
        assert_eq!(deleted[0], Authority::Local, "{named}: what the cluster trusts comes first");
        assert!(deleted.contains(&Authority::Aws) && deleted.len() == 3, "{named}: {deleted:?}");
        let gone = bench.calls.get_entry(admin(), entry_ref(&cluster, &principal)).await;
        assert_eq!(code_of(gone), "not_found", "{named}");
    }
}

pub(crate) async fn immunity_43_of_entries_from_before_for_one_principal_each_is_reached_as_it_is_written<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let spelled = ["role/Dev", "role/DEV", "role/team/dev"];
    // They are from before a principal had one entry alone.
    let first = bench.entry(&cluster, &of(AWS, spelled[0])).await.value.entry;
    for named in &spelled[1..] {
        let principal_arn = of(AWS, named).parse().unwrap();
        bench.write(&AccessEntry { id: EntryId::random(), principal_arn, ..first.clone() }).await;
    }
    // One of another authority as well, which the cluster does not trust.
    let (authority, principal_arn) = (Authority::Local, of(AWS, "role/dev").parse().unwrap());
    let untrusted = AccessEntry { id: EntryId::random(), authority, principal_arn, ..first.clone() };
    bench.write(&untrusted).await;
    let get = async |named: &str| {
        let found = bench.calls.get_entry(admin(), entry_ref(&cluster, &of(AWS, named))).await;
        found.map(|found| (found.entry.principal_arn.to_string(), found.entry.authority))
    };
    for named in spelled {
        assert_eq!(get(named).await.unwrap(), (of(AWS, named), Authority::Aws));
    }
    assert_eq!(get("role/dev").await.unwrap(), (of(AWS, "role/dev"), Authority::Local), "as it is written");
    // In letters that none is written in: of those that the cluster trusts the last one in the order of lists.
    assert_eq!(get("role/dEv").await.unwrap(), (of(AWS, "role/Dev"), Authority::Aws));
    assert_eq!(get("role/team/dEv").await.unwrap(), (of(AWS, "role/team/dev"), Authority::Aws));
    assert_eq!(code_of(get("role/other/Dev").await), "not_found");
    for (named, told) in [
        ("role/DEV", "still resolves, by the access entry for"),
        ("role/Dev", "still resolves, by the access entry for"),
        ("role/dev", "still resolves, by the access entry for"),
        ("role/team/dev", "resolves to nothing"),
    ] {
        let gone = bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &of(AWS, named))).await.unwrap();
        assert_eq!(gone.value.entry.principal_arn.to_string(), of(AWS, named));
        assert!(gone.notices[0].contains(told), "{named}: {:?}", gone.notices);
    }
    let left =
        bench.calls.list_entries(admin(), cluster.id.clone(), None, PageQuery::default()).await.unwrap();
    assert!(left.items.is_empty(), "{:?}", left.items);
}

pub(crate) async fn lists_page_without_gap_or_repetition<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.empty_cluster().await;
    for nth in 0..9 {
        bench.entry(&cluster, &of(AWS, &format!("role/r{nth}"))).await;
    }
    let mut seen = Vec::new();
    let mut page = PageQuery { items_max: 4, token: String::new() };
    let mut page_of_names = page.clone();
    loop {
        let cut = bench.calls.list_entries(admin(), cluster.id.clone(), None, page.clone()).await.unwrap();
        let names: Vec<_> = cut.items.iter().map(|detail| detail.entry.principal_arn.to_string()).collect();
        let alone = bench
            .calls
            .list_principals(admin(), cluster.id.clone(), None, page_of_names.clone())
            .await
            .unwrap();
        assert!(alone.principal_arns.iter().eq(&names), "{alone:?}");
        seen.extend(names);
        match (cut.next_token, alone.next_token) {
            (Some(token), Some(of_names)) => (page.token, page_of_names.token) = (token, of_names),
            (None, None) => break,
            other => panic!("{other:?}"),
        }
    }
    let wanted: Vec<String> = (0..9).map(|nth| of(AWS, &format!("role/r{nth}"))).collect();
    assert_eq!(seen, wanted);
}

pub(crate) async fn lists_of_one_policy_page_without_gap_or_repetition<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let view = policy("AmazonEKSViewPolicy");
    let mut wanted = Vec::new();
    for nth in 0..9 {
        let role = of(AWS, &format!("role/r{nth}"));
        bench.entry(&cluster, &role).await;
        if nth % 2 == 1 {
            let entry = entry_ref(&cluster, &role);
            let associated =
                bench.calls.associate_policy(by(admin()), entry, view.clone(), AccessScope::Cluster, None);
            associated.await.unwrap();
            wanted.push(role);
        }
    }
    let (mut pages, mut page) = (Vec::new(), PageQuery { items_max: 2, token: String::new() });
    loop {
        let (id, having) = (cluster.id.clone(), Some(view.clone()));
        let cut = bench.calls.list_principals(admin(), id, having, page.clone()).await.unwrap();
        pages.push(cut.principal_arns);
        match cut.next_token {
            Some(token) => page.token = token,
            None => break,
        }
    }
    assert_eq!(pages.len(), 2);
    assert!(pages[0].iter().eq(&wanted[..2]) && pages[1].iter().eq(&wanted[2..]), "{pages:?}");
    // What is gone is listed no more, and a page goes on behind where it was.
    bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &wanted[1])).await.unwrap();
    let rest = bench.calls.list_principals(admin(), cluster.id.clone(), Some(view), page).await.unwrap();
    assert!(rest.principal_arns.iter().eq(&wanted[2..]), "{rest:?}");
    assert_eq!(rest.next_token, None);
}

pub(crate) async fn immunity_16_an_end_is_kept_to_the_moment<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let zoe = identity(&of(OWN, "user/zoe"), "AIDAZOE");
    let map = "mapUsers: |\n  - userarn: arn:aws:iam::111122223333:user/zoe\n    username: behind\n";
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), map.to_owned()).await.unwrap();
    let asked =
        CreateAccessEntry { ends_at: Some(NOON + Duration::HOUR), ..entry(&cluster, &of(OWN, "user/zoe")) };
    bench.calls.create_entry(by(admin()), asked).await.unwrap();
    let state = async || {
        bench.calls.get_entry(admin(), entry_ref(&cluster, &of(OWN, "user/zoe"))).await.unwrap().state
    };
    bench.clock.advance(Duration::HOUR - Duration::MILLISECOND);
    assert_eq!(
        (bench.name_of(&cluster, &zoe).await, state().await),
        (of(OWN, "user/zoe"), EntryState::Active)
    );
    bench.clock.advance(Duration::MILLISECOND);
    assert_eq!(
        (bench.name_of(&cluster, &zoe).await.as_str(), state().await),
        ("entry_ended", EntryState::Ended)
    );
    let later = UpdateAccessEntry { ends_at: Some(None), ..change(&cluster, &of(OWN, "user/zoe")) };
    bench.calls.update_entry(by(admin()), later).await.unwrap();
    assert_eq!(bench.name_of(&cluster, &zoe).await, of(OWN, "user/zoe"));
}

pub(crate) async fn a_fresh_start_answers_what_the_changes_left<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let principals = ["role/ops", "role/team/dev", "user/zoe", "user/team/ana"].map(|name| of(OWN, name));
    for round in 0..3 {
        for (nth, principal) in principals.iter().enumerate() {
            let entry = entry_ref(&cluster, principal);
            match (round + nth) % 3 {
                0 => drop(bench.calls.create_entry(by(admin()), self::entry(&cluster, principal)).await),
                1 => drop(bench.calls.delete_entry(by(admin()), entry).await),
                _ => {
                    let policy = policy("AmazonEKSViewPolicy");
                    drop(
                        bench
                            .calls
                            .associate_policy(by(admin()), entry, policy, AccessScope::Cluster, None)
                            .await,
                    );
                }
            }
        }
        let content = crate::aws_auth::map("ops", &format!("round{round}"));
        bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), content).await.unwrap();
    }
    let fresh = lanyard_mapping::Mapping::open(&bench.store, lanyard_mapping::MappingConfig::default())
        .await
        .unwrap();
    let id = cluster.id.clone();
    let before = bench.calls.list_entries(admin(), id.clone(), None, PageQuery::default()).await.unwrap();
    assert!(before.items.len() > 1);
    assert_eq!(fresh.list_entries(admin(), id.clone(), None, PageQuery::default()).await.unwrap(), before);
    assert_eq!(
        fresh.get_aws_auth(admin(), id.clone()).await.unwrap(),
        bench.calls.get_aws_auth(admin(), id).await.unwrap()
    );
    for who in
        [identity(&of(OWN, "assumed-role/ops/ss"), "AROAOPS"), identity(&of(OWN, "user/zoe"), "AIDAZOE")]
    {
        let query = || lanyard_api::mapping::ResolveQuery {
            cluster: cluster.uid,
            identity: lanyard_api::Vouched::in_process(std::sync::Arc::new(who.clone().into())),
            explain: false,
        };
        assert_eq!(fresh.resolve(query()).await.unwrap(), bench.resolver.resolve(query()).await.unwrap());
    }
}

pub(crate) async fn a_token_has_its_first_answer_whatever_the_rules_say_by_now<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let (zoe, view) = (of(OWN, "user/zoe"), policy("AmazonEKSViewPolicy"));
    let end = Some(NOON + Duration::HOUR);
    let ask = || CreateAccessEntry { ends_at: end, ..entry(&cluster, &zoe) };
    let associate = async |token: &str| {
        let (entry, scope) = (entry_ref(&cluster, &zoe), AccessScope::Cluster);
        bench.calls.associate_policy(once(token), entry, view.clone(), scope, end).await
    };
    let disassociate = async |token: &str| {
        bench.calls.disassociate_policy(once(token), entry_ref(&cluster, &zoe), view.clone()).await
    };
    let made = bench.calls.create_entry(once("create"), ask()).await.unwrap();
    assert_eq!(bench.calls.create_entry(once("create"), ask()).await.unwrap(), made, "there is one by now");
    assert_eq!(code_of(bench.calls.create_entry(once("create-too"), ask()).await), "exists");
    let associated = associate("associate").await.unwrap();
    let gone = disassociate("disassociate").await.unwrap();
    assert_eq!(disassociate("disassociate").await.unwrap(), gone);
    bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &zoe)).await.unwrap();
    // Neither entry nor principal is there by now, and the end has passed.
    bench.remove::<AccessKey>(Scope::Account(account(OWN)), &key_of(OWN, "zoe")).await;
    bench.remove::<User>(Scope::Account(account(OWN)), "zoe").await;
    bench.clock.advance(Duration::hours(2));
    assert_eq!(bench.calls.create_entry(once("create"), ask()).await.unwrap(), made);
    assert_eq!(associate("associate").await.unwrap(), associated);
    assert_eq!(disassociate("disassociate").await.unwrap(), gone);
    assert_eq!(code_of(associate("associate-too").await), "not_found");
    assert_eq!(code_of(disassociate("disassociate-too").await), "not_found");
    assert_ne!(code_of(bench.calls.create_entry(once("create-too"), ask()).await), "ok");
}

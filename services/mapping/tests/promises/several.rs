//! Entries that name several principals, and entries that are pinned to whoever comes first.

use lanyard_api::{
    BlockId, Scope,
    mapping::{
        AccessEntry, AccessScope, AwsAuthStatus, Block, BlockTarget, Cluster, CreateAccessEntry,
        EntryMatches, EntryState, MatchedBy, PreviewQuery, Resolution, Resolve, ResolveQuery,
        UpdateAccessEntry,
    },
};
use lanyard_store::{Change, Kind};
use time::Duration;

use crate::{
    bench::*,
    blocks::{block, principal},
    entries::change,
};

const SUFFIX: &str = "0123456789abcdef";

fn set(name: &str) -> String {
    format!("arn:aws:sso::{AWS}:permission-set/{name}")
}

/// A session of the role that IAM Identity Center made of a set.
fn sso(name: &str, suffix: &str) -> String {
    of(AWS, &format!("assumed-role/AWSReservedSSO_{name}_{suffix}/ana"))
}

fn later<C, R>(bench: &Bench<C, R>) -> Option<time::OffsetDateTime> {
    Some(lanyard_kit::Clock::now(&bench.clock) + Duration::HOUR)
}

pub(crate) async fn immunity_06_an_entry_for_a_permission_set_lets_in_its_roles_alone<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let asked = CreateAccessEntry { groups: vec![String::from("devs")], ..entry(&cluster, &set("Dev")) };
    let made = bench.calls.create_entry(by(admin()), asked).await.unwrap();
    assert!(made.notices.iter().any(|notice| notice.contains("name the suffix too")), "{:?}", made.notices);
    assert!(
        made.value.arn.contains(&format!(":access-entry/empty/permission-set/{AWS}/Dev/")),
        "{}",
        made.value.arn
    );
    let resolved = bench.resolve(cluster.uid, &identity(&sso("Dev", SUFFIX), "AROADEV")).await.unwrap();
    let Resolution::Mapped(mapped) = resolved else { panic!("{resolved:?}") };
    assert_eq!(mapped.user.username, sso("Dev", SUFFIX));
    assert_eq!(
        (mapped.user.groups.as_slice(), mapped.matched_by),
        (&[String::from("devs")][..], MatchedBy::PermissionSet)
    );
    for (other, id) in [
        (sso("Dev_Admin", SUFFIX), "AROAADMIN"),
        (sso("dev", SUFFIX), "AROADEV2"),
        (of(AWS, &format!("user/AWSReservedSSO_Dev_{SUFFIX}")), "AIDADEV"),
        (of(AWS, "assumed-role/AWSReservedSSO_Dev/ana"), "AROADEV3"),
    ] {
        assert_eq!(bench.name_of(&cluster, &identity(&other, id)).await, "unmapped", "{other}");
    }
    // Of another authority it is another account's role, whatever it is called; and the name is not at fault.
    let query = PreviewQuery {
        cluster: cluster.uid,
        authority: lanyard_api::Authority::Local,
        arn: arn(&sso("Dev", SUFFIX)),
        principal_id: None,
    };
    let Resolution::Unmapped(elsewhere) = bench.calls.preview(admin(), query).await.unwrap() else {
        panic!()
    };
    assert!(elsewhere.near_misses[0].contains("for the account of authority aws"), "{elsewhere:?}");
    let listed = bench.calls.get_entry(admin(), entry_ref(&cluster, &set("Dev"))).await.unwrap();
    assert_eq!(listed.state, EntryState::Active);
    bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &set("Dev"))).await.unwrap();
    assert_eq!(bench.name_of(&cluster, &identity(&sso("Dev", SUFFIX), "AROADEV")).await, "unmapped");
}

pub(crate) async fn what_could_mean_the_same_principal_is_refused_when_written<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let create = async |principal: &str| {
        code_of(bench.calls.create_entry(by(admin()), entry(&cluster, principal)).await)
    };
    assert_eq!(create(&of(AWS, "role/dev-*")).await, "ok");
    assert_eq!(create(&set("Dev")).await, "ok");
    for (principal, answer) in [
        (of(AWS, "role/dev-*"), "exists"),
        (of(AWS, "role/*-1"), "overlapping_entries"),
        (of(AWS, "role/AWSReservedSSO_*"), "overlapping_entries"),
        (format!("{}/{SUFFIX}", set("Dev")), "overlapping_entries"),
        (of(AWS, "user/dev-*"), "ok"),
        (set("Dev_Admin"), "ok"),
        (of(AWS, "role/dev-1"), "ok"),
        (of(AWS, "role/team/dev-*"), "invalid_principal"),
        (of(AWS, "*/dev"), "invalid_principal"),
        (String::from("arn:aws:iam::*:role/dev"), "invalid_principal"),
        (format!("arn:aws:sso::{OWN}:permission-set/Dev"), "invalid_principal"),
        (set("D*"), "invalid_principal"),
        (of(TENANT, "role/dev-*"), "untrusted_account"),
        (format!("arn:aws-cn:iam::{AWS}:role/dev-*"), "invalid_principal"),
    ] {
        assert_eq!(create(&principal).await, answer, "{principal}");
    }
    let node = CreateAccessEntry {
        entry_type: Some(lanyard_api::mapping::EntryType::Ec2Linux),
        ..entry(&cluster, &of(OWN, "role/node-*"))
    };
    assert_eq!(code_of(bench.calls.create_entry(by(admin()), node).await), "node_principal");
    // The small limit of entries for several is met before that of entries.
    assert_eq!(create(&of(AWS, "role/x-*")).await, "ok");
    assert_eq!(create(&of(AWS, "role/y-*")).await, "limit");
    assert_eq!(create(&of(AWS, "role/y")).await, "ok");
}

pub(crate) async fn immunity_43_two_patterns_written_at_once_do_not_overlap<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let (a, b) = tokio::join!(
        bench.calls.create_entry(by(admin()), entry(&cluster, &of(AWS, "role/dev-*"))),
        bench.calls.create_entry(by(admin()), entry(&cluster, &of(AWS, "role/*-1"))),
    );
    let mut answers = [code_of(a), code_of(b)];
    answers.sort();
    assert_eq!(answers, ["ok", "overlapping_entries"]);
}

pub(crate) async fn an_entry_for_one_goes_before_a_pattern_and_its_end_does_not_raise_rights<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let named = |principal: &str, name: &str| CreateAccessEntry {
        username: Some(name.to_owned()),
        ..entry(&cluster, principal)
    };
    let one = CreateAccessEntry { ends_at: later(&bench), ..named(&of(AWS, "role/dev-1"), "one") };
    bench.calls.create_entry(by(admin()), named(&of(AWS, "role/dev-*"), "all")).await.unwrap();
    bench.calls.create_entry(by(admin()), one).await.unwrap();
    let who = |role: &str| identity(&of(AWS, &format!("assumed-role/{role}/ana")), &format!("AROA{role}"));
    assert_eq!(bench.name_of(&cluster, &who("dev-1")).await, "one");
    assert_eq!(bench.name_of(&cluster, &who("dev-2")).await, "all");
    bench.clock.advance(Duration::HOUR);
    assert_eq!(bench.name_of(&cluster, &who("dev-1")).await, "entry_ended");
    let deleted =
        bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &of(AWS, "role/dev-1"))).await.unwrap();
    assert!(deleted.notices[0].contains("still resolves, by the access entry for"), "{:?}", deleted.notices);
    assert_eq!(bench.name_of(&cluster, &who("dev-1")).await, "all");
    // A block beats patterns too.
    let target = principal(&of(AWS, "role/dev-1"));
    let target = match target {
        BlockTarget::Principal { canonical_arn, .. } => {
            BlockTarget::Principal { authority: lanyard_api::Authority::Aws, canonical_arn }
        }
        other => other,
    };
    bench.calls.create_block(by(admin()), block(Scope::Cluster(cluster.uid), target)).await.unwrap();
    assert_eq!(bench.name_of(&cluster, &who("dev-1")).await, "blocked");
    assert_eq!(bench.name_of(&cluster, &who("dev-2")).await, "all");
}

pub(crate) async fn immunity_42_deleting_a_pattern_says_whom_aws_auth_lets_in_again<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let lines: String = (1..=5)
        .map(|n| format!("      - rolearn: arn:aws:iam::{AWS}:role/dev-{n}\n        username: old-{n}\n"))
        .collect();
    let map = format!(
        "data:\n  mapRoles: |\n{}",
        lines.replace("      -", "    -").replace("        username", "      username")
    );
    let pushed = bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), map).await.unwrap().value;
    assert_eq!(pushed.status, AwsAuthStatus::Accepted, "{:?}", pushed.findings);
    bench.entry(&cluster, &of(AWS, "role/dev-*")).await;
    let preview =
        bench.calls.preview_entry(admin(), entry_ref(&cluster, &of(AWS, "role/dev-?"))).await.unwrap();
    assert_eq!(preview.overlaps, [of(AWS, "role/dev-*")]);
    assert_eq!(preview.principals.len(), 5);
    let deleted =
        bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &of(AWS, "role/dev-*"))).await.unwrap();
    assert_eq!(deleted.notices.len(), 4, "{:?}", deleted.notices);
    assert!(deleted.notices[0].contains("role/dev-1` still resolves, by mapRoles"), "{:?}", deleted.notices);
    assert!(deleted.notices[3].contains("2 more"), "{:?}", deleted.notices);
}

fn shown(matches: &EntryMatches) -> Vec<(String, Option<&str>)> {
    let one = |one: &lanyard_api::mapping::EntryMatch| one.principal_arn.to_string();
    matches.principals.iter().map(|found| (one(found), found.mapped_by.as_deref())).collect()
}

pub(crate) async fn a_preview_shows_whom_an_entry_would_mean<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.empty_cluster().await;
    let ops = of(OWN, "role/ops");
    bench.entry(&cluster, &ops).await;
    let preview =
        async |principal: &str| bench.calls.preview_entry(admin(), entry_ref(&cluster, principal)).await;
    let roles = preview(&of(OWN, "role/?*")).await.unwrap();
    let by_entry = format!("access entry {ops}");
    assert_eq!(
        shown(&roles),
        [(of(OWN, "role/node"), None), (ops.clone(), Some(&*by_entry)), (of(OWN, "role/team/dev"), None),]
    );
    assert!(roles.complete && roles.overlaps.is_empty());
    assert_eq!(roles.principals[2].principal_id.as_deref(), Some("AROADEV"));
    let users = preview(&of(OWN, "user/*a*")).await.unwrap();
    assert_eq!(shown(&users), [(of(OWN, "user/admin"), None), (of(OWN, "user/team/ana"), None)]);
    let abroad = preview(&set("Dev")).await.unwrap();
    assert!(!abroad.complete && abroad.principals.is_empty());
    assert!(abroad.notices[0].contains("does not know who there is"), "{:?}", abroad.notices);
    assert_eq!(code_of(preview("role/x*").await), "invalid_principal");
    assert_eq!(code_of(preview(&of(TENANT, "role/*")).await), "untrusted_account");
    // Nothing was written.
    assert_eq!(
        bench.name_of(&cluster, &identity(&of(OWN, "assumed-role/dev/ana"), "AROADEV")).await,
        "unmapped"
    );
}

async fn pinned_later<C: Calls, R: Resolve>(
    bench: &Bench<C, R>,
    cluster: &Cluster,
    principal: &str,
) -> AccessEntry {
    let asked = CreateAccessEntry { pin_until: later(bench), ..entry(cluster, principal) };
    let made = bench.calls.create_entry(by(admin()), asked).await.unwrap().value;
    assert_eq!((made.state, &made.entry.principal_id), (EntryState::Unpinned, &None));
    made.entry
}

pub(crate) async fn immunity_43_an_entry_is_pinned_to_whoever_knocks_first<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let role = of(AWS, "role/team/admin");
    pinned_later(&bench, &cluster, &role).await;
    let knock = |id: &str| identity(&of(AWS, "assumed-role/admin/ana"), id);
    // An explanation of a login is none.
    let query = ResolveQuery {
        cluster: cluster.uid,
        identity: lanyard_api::Vouched::in_process(std::sync::Arc::new(knock("AROAASKED").into())),
        explain: true,
    };
    let Resolution::Unmapped(unmapped) = bench.resolver.resolve(query).await.unwrap() else { panic!() };
    assert_eq!(unmapped.denial.code, "unpinned_entry");

    let name = bench.name_of(&cluster, &knock("AROAFIRST")).await;
    assert_eq!(name, of(AWS, "assumed-role/admin/ana"));
    assert_eq!(bench.name_of(&cluster, &knock("AROASECOND")).await, "stale_entry", "the name was made anew");
    let detail = bench.calls.get_entry(admin(), entry_ref(&cluster, &role)).await.unwrap();
    assert_eq!((detail.entry.principal_id.as_deref(), detail.entry.pin_until), (Some("AROAFIRST"), None));

    // It is in the history, as the hub's own doing.
    let changes: Vec<Change> =
        bench.store.changes_since(Scope::Cluster(cluster.uid), lanyard_api::Revision(0), 100).await.unwrap();
    let by_the_hub: Vec<_> = changes.iter().map(|change| (change.kind, change.actor.as_str())).collect();
    let last = by_the_hub.iter().rev().find(|(kind, _)| *kind == Kind::AccessEntry).unwrap();
    assert!(last.1.contains("pin"), "{by_the_hub:?}");

    // It can be opened again, and then counts for nobody until somebody comes.
    let again = UpdateAccessEntry { pin_until: later(&bench), ..change(&cluster, &role) };
    let opened = bench.calls.update_entry(by(admin()), again).await.unwrap().value;
    assert_eq!(opened.state, EntryState::Unpinned);
    assert_eq!(bench.name_of(&cluster, &knock("AROASECOND")).await, name);
    assert_eq!(bench.name_of(&cluster, &knock("AROAFIRST")).await, "stale_entry");
}

pub(crate) async fn immunity_43_of_two_who_race_for_a_pin_one_gets_it<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    pinned_later(&bench, &cluster, &set("Admin")).await;
    let knock = |n: usize| identity(&sso("Admin", &format!("{n}123456789abcdef")), &format!("AROA{n}"));
    let knocks = [knock(0), knock(1), knock(2), knock(3)];
    let [first, second, third, fourth] = &knocks;
    let (a, b, c, d) = tokio::join!(
        bench.name_of(&cluster, first),
        bench.name_of(&cluster, second),
        bench.name_of(&cluster, third),
        bench.name_of(&cluster, fourth),
    );
    let answers = [a, b, c, d];
    let inside: Vec<usize> =
        answers.iter().enumerate().filter(|(_, name)| name.starts_with("arn:")).map(|(at, _)| at).collect();
    assert_eq!(inside.len(), 1, "{answers:?}");
    assert!(
        answers.iter().enumerate().all(|(at, name)| at == inside[0] || name == "stale_entry"),
        "{answers:?}"
    );
    for (at, knock) in knocks.iter().enumerate() {
        let name = bench.name_of(&cluster, knock).await;
        assert_eq!(name.starts_with("arn:"), at == inside[0], "{name}");
    }
}

/// The store cannot be written: somebody else has the scope, and does not let go.
pub(crate) async fn immunity_43_nobody_is_let_in_by_a_pin_that_cannot_be_written<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    pinned_later(&bench, &cluster, &of(AWS, "role/admin")).await;
    bench.entry(&cluster, &of(AWS, "role/dev")).await;
    let scope = Scope::Cluster(cluster.uid);
    let held = bench.store.begin("test", &lanyard_api::Mutation::system("test"), &[scope]).await.unwrap();
    let first = identity(&of(AWS, "assumed-role/admin/ana"), "AROAFIRST");
    // Nobody is answered before it is written: it waits, and where it must not wait longer, there is no answer.
    let wait = std::time::Duration::from_millis(500);
    let answer = tokio::time::timeout(wait, bench.resolve(cluster.uid, &first)).await;
    assert!(!matches!(answer, Ok(Ok(_))), "{answer:?}");
    // Whoever needs no pin is let in as ever.
    let dev = identity(&of(AWS, "assumed-role/dev/ana"), "AROADEV");
    assert!(bench.name_of(&cluster, &dev).await.starts_with("arn:"));
    drop(held);
    assert!(bench.name_of(&cluster, &first).await.starts_with("arn:"));
}

pub(crate) async fn immunity_42_a_block_that_is_made_while_a_pin_waits_holds<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    let admin_role = of(AWS, "role/admin");
    pinned_later(&bench, &cluster, &admin_role).await;
    let scope = Scope::Cluster(cluster.uid);
    let first = identity(&of(AWS, "assumed-role/admin/ana"), "AROAFIRST");
    // Another process, of whose writes the one that is asked hears when it may.
    let other = bench.database.open(std::sync::Arc::new(bench.clock.clone())).await;
    let mut held = other.begin("test", &lanyard_api::Mutation::system("test"), &[scope]).await.unwrap();
    {
        let mut knocking = std::pin::pin!(bench.resolve(cluster.uid, &first));
        // Until the pin waits for the scope, or nearly.
        let wait = std::time::Duration::from_millis(500);
        assert!(tokio::time::timeout(wait, &mut knocking).await.is_err(), "it has to wait");
        let block = Block {
            id: BlockId::random(),
            scope,
            target: BlockTarget::Principal {
                authority: lanyard_api::Authority::Aws,
                canonical_arn: admin_role.parse().unwrap(),
            },
            reason: String::from("seen on a stick"),
            created_by: String::from("test"),
            created_at: NOON,
        };
        held.insert(&block).await.unwrap();
        held.commit_unrecorded().await.unwrap();
        assert_eq!(knocking.await.unwrap(), Resolution::Blocked(block.id));
    }
    let left = bench.calls.get_entry(admin(), entry_ref(&cluster, &admin_role)).await.unwrap();
    assert_eq!(
        (left.state, left.entry.principal_id),
        (EntryState::Unpinned, None),
        "the entry is nobody's yet"
    );
}

pub(crate) async fn nobody_is_pinned_after_the_end_and_what_cannot_be_pinned_is_refused<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.empty_cluster().await;
    pinned_later(&bench, &cluster, &of(AWS, "role/late")).await;
    let until = later(&bench);
    bench.clock.advance(Duration::HOUR);
    let late = identity(&of(AWS, "assumed-role/late/ana"), "AROALATE");
    assert_eq!(bench.name_of(&cluster, &late).await, "entry_ended");
    let detail = bench.calls.get_entry(admin(), entry_ref(&cluster, &of(AWS, "role/late"))).await.unwrap();
    assert_eq!((detail.state, detail.entry.principal_id), (EntryState::Ended, None));
    let create = async |principal: &str, pin_until| {
        let asked = CreateAccessEntry { pin_until, ..entry(&cluster, principal) };
        code_of(bench.calls.create_entry(by(admin()), asked).await)
    };
    assert_eq!(create(&of(AWS, "role/x"), until).await, "pin", "the moment has passed");
    assert_eq!(create(&of(AWS, "role/x-*"), later(&bench)).await, "pin", "there is no one principal");
    assert_eq!(create(&of(OWN, "role/ops"), later(&bench)).await, "pin", "the hub knows the id");
    let bound = CreateAccessEntry {
        principal_id: Some(String::from("AROAJQMBGRDVXV2OGF4SM")),
        ..entry(&cluster, &of(AWS, "role/x-*"))
    };
    assert_eq!(code_of(bench.calls.create_entry(by(admin()), bound).await), "principal_id");
}

pub(crate) async fn immunity_56_who_may_not_exist_is_no_administrator<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let pinned = format!("{}/{SUFFIX}", set("Admin"));
    for several in [of(AWS, "role/admin-*"), set("Ops"), pinned.clone()] {
        bench.entry(&cluster, &several).await;
        let entry = entry_ref(&cluster, &several);
        let admin_policy = CLUSTER_ADMIN.to_owned();
        bench
            .calls
            .associate_policy(by(admin()), entry, admin_policy, AccessScope::Cluster, None)
            .await
            .unwrap();
    }
    let creator = entry_ref(&cluster, &of(OWN, "user/admin"));
    // The set whose suffix is given means one role, so that it counts; without it nobody does.
    let gone = bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &pinned)).await;
    assert_eq!(code_of(gone), "ok");
    assert_eq!(code_of(bench.calls.delete_entry(by(admin()), creator.clone()).await), "lockout");
    bench.entry(&cluster, &pinned).await;
    let entry = entry_ref(&cluster, &pinned);
    bench
        .calls
        .associate_policy(by(admin()), entry, CLUSTER_ADMIN.to_owned(), AccessScope::Cluster, None)
        .await
        .unwrap();
    assert_eq!(code_of(bench.calls.delete_entry(by(admin()), creator).await), "ok");
    let waiting = UpdateAccessEntry { pin_until: later(&bench), ..change(&cluster, &pinned) };
    assert_eq!(code_of(bench.calls.update_entry(by(admin()), waiting).await), "lockout");
}

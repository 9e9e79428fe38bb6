use std::sync::Arc;

use lanyard_api::{
    Authority, AwsIdentity, Basis, Denial, Holds, Identity, IdentityKind, Scope, Vouched,
    authn::accounts::{AccessKey, Account, User},
    mapping::{
        AuthenticationMode, BlockTarget, CreateAccessEntry, CreateBlock, CreateCluster, GrantKind, MatchedBy,
        PreviewQuery, Resolution, Resolve, ResolveQuery, UpdateAccessEntry,
    },
    proof::{EXTRA_KEY, Proof},
};
use lanyard_kit::Clock as _;
use lanyard_mapping::{Mapping, MappingConfig};
use time::Duration;

use crate::{bench::*, clusters::proof_keys, entries::change};

pub(crate) async fn a_badge_has_uid_extra_and_a_proof_that_verifies<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let dev = of(OWN, "role/team/dev");
    let made = bench.entry(&cluster, &dev).await;
    let who = identity(&of(OWN, "assumed-role/dev/ana@corp"), "AROADEV");
    let Resolution::Mapped(mapped) = bench.resolve(cluster.uid, &who).await.unwrap() else { panic!() };
    let user = &mapped.user;
    assert_eq!(user.username, "arn:aws:sts::111122223333:assumed-role/dev/ana-corp");
    assert_eq!(user.uid, "aws-iam-authenticator:111122223333:AROADEV");
    let extra = |key: &str| user.extra[key].as_slice();
    assert_eq!(extra("arn"), ["arn:aws:sts::111122223333:assumed-role/dev/ana@corp"]);
    assert_eq!(extra("canonicalarn"), ["arn:aws:iam::111122223333:role/dev"]);
    assert_eq!(extra("sessionname"), ["ana@corp"]);
    assert_eq!(extra("accesskeyid"), [who.access_key_id.as_str()]);
    assert_eq!(extra("principalid"), ["AROADEV"]);
    assert_eq!(extra("sigs.k8s.io/aws-iam-authenticator/principalid"), ["AROADEV"]);
    assert!(user.extra.keys().all(|key| *key == key.to_lowercase()));
    assert_eq!((mapped.grant.kind, mapped.grant.id), (GrantKind::AccessEntry, made.value.entry.id));
    assert_eq!((mapped.grant.revision, mapped.matched_by), (made.revision, MatchedBy::PrincipalId));

    let keys = proof_keys(&bench);
    let value = &user.extra[EXTRA_KEY][0];
    let proof = Proof::verify(value, &keys, cluster.uid, &user.username, &user.groups, NOON).unwrap();
    assert_eq!((proof.grant, proof.revision, proof.local), (mapped.grant.id, mapped.grant.revision, true));
    assert_eq!(proof.handles, keys[0].handles(&who));
    assert_eq!(proof.not_after, NOON + Duration::seconds(10 + 60));
    let later = NOON + Duration::seconds(71);
    assert!(Proof::verify(value, &keys, cluster.uid, &user.username, &user.groups, later).is_err());
}

pub(crate) async fn a_sessions_proof_names_all_that_it_descends_from<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    bench.entry(&cluster, &of(OWN, "role/team/dev")).await;
    let mut who = identity(&of(OWN, "assumed-role/dev/ana"), "AROADEV");
    who.ancestors = vec![String::from("user/AIDAANA"), format!("key/{}", key_of(OWN, "ana"))];
    who.kin = vec![kin(&of(OWN, "user/team/ana"))];
    let Resolution::Mapped(mapped) = bench.resolve(cluster.uid, &who).await.unwrap() else { panic!() };
    let keys = proof_keys(&bench);
    let (user, value) = (&mapped.user, &mapped.user.extra[EXTRA_KEY][0]);
    let proof = Proof::verify(value, &keys, cluster.uid, &user.username, &user.groups, NOON).unwrap();
    assert_eq!(proof.kin, keys[0].kin(&who).unwrap());
    assert_eq!(proof.kin.as_slice().len(), 3);

    // What a proof could not name must not get one.
    who.ancestors.push(String::from("provider"));
    let Resolution::Unmapped(refused) = bench.resolve(cluster.uid, &who).await.unwrap() else { panic!() };
    assert_eq!(refused.denial.code, "session_kin");
    assert!(refused.denial.message.contains("`provider`"), "{}", refused.denial.message);
}

pub(crate) async fn immunity_17_a_new_entry_counts_at_once<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let zoe = identity(&of(OWN, "user/zoe"), "AIDAZOE");
    for _ in 0..3 {
        assert_eq!(bench.name_of(&cluster, &zoe).await, "unmapped");
    }
    bench.entry(&cluster, &of(OWN, "user/zoe")).await;
    assert_eq!(bench.name_of(&cluster, &zoe).await, of(OWN, "user/zoe"));
}

pub(crate) async fn immunity_25_a_revocation_that_has_returned_has_happened<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let zoe = identity(&of(OWN, "user/zoe"), "AIDAZOE");
    for _ in 0..3 {
        bench.entry(&cluster, &of(OWN, "user/zoe")).await;
        let before = bench.store.revision(Scope::Cluster(cluster.uid)).await.unwrap();
        assert_eq!(bench.name_of(&cluster, &zoe).await, of(OWN, "user/zoe"));
        let gone =
            bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &of(OWN, "user/zoe"))).await.unwrap();
        assert_eq!((gone.revision.0, gone.confirmed), (before.0 + 1, true));
        assert_eq!(bench.name_of(&cluster, &zoe).await, "unmapped");
    }
}

pub(crate) async fn who_comes_again_gets_the_same_badge_for_seconds_and_a_new_one_with_any_change<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let role = of(OWN, "role/team/dev");
    let ends_at = Some(NOON + Duration::seconds(45));
    bench
        .calls
        .create_entry(by(admin()), CreateAccessEntry { ends_at, ..entry(&cluster, &role) })
        .await
        .unwrap();
    bench.entry(&cluster, &of(OWN, "user/zoe")).await;
    let zoe = identity(&of(OWN, "user/zoe"), "AIDAZOE");
    let dev = identity(&of(OWN, "assumed-role/dev/ana"), "AROADEV");
    let keys = proof_keys(&bench);
    let minted_at = async |who| {
        let Resolution::Mapped(mapped) = bench.resolve(cluster.uid, who).await.unwrap() else { panic!() };
        let (user, now) = (&mapped.user, bench.clock.now());
        let value = &user.extra[EXTRA_KEY][0];
        Proof::verify(value, &keys, cluster.uid, &user.username, &user.groups, now).unwrap().minted_at
    };
    // Over the wire nobody comes again, and the identity of a session of the hub's own is made anew each time: their proofs are of
    // the moment. Whichever it is, none is older than thirty seconds.
    for who in [&zoe, &dev] {
        for seconds in [0, 1, 29, 30, 31] {
            bench.clock.set(NOON + Duration::seconds(seconds));
            let age = bench.clock.now() - minted_at(who).await;
            assert!((Duration::ZERO..Duration::seconds(30)).contains(&age), "{seconds}: {age}");
        }
    }
    bench.clock.set(NOON + Duration::seconds(32));
    let groups =
        UpdateAccessEntry { groups: Some(vec![String::from("a")]), ..change(&cluster, &of(OWN, "user/zoe")) };
    bench.calls.update_entry(by(admin()), groups).await.unwrap();
    assert_eq!(minted_at(&zoe).await, bench.clock.now(), "the entry was changed");
    bench.clock.set(NOON + Duration::seconds(5));
    assert_eq!(minted_at(&zoe).await, bench.clock.now(), "the clock went back");
    bench.clock.set(NOON + Duration::seconds(44));
    assert_eq!(bench.name_of(&cluster, &dev).await, dev.arn.to_string());
    bench.clock.set(NOON + Duration::seconds(45));
    assert_eq!(bench.name_of(&cluster, &dev).await, "entry_ended");
}

pub(crate) async fn what_others_vouch_for_may_be_kept_for_seconds_and_while_its_three_scopes_stay<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let ends_at = Some(NOON + Duration::seconds(12));
    let of_aws = of(AWS, "role/x");
    bench
        .calls
        .create_entry(by(admin()), CreateAccessEntry { ends_at, ..entry(&cluster, &of_aws) })
        .await
        .unwrap();
    bench.entry(&cluster, &of(AWS, "role/y")).await;
    bench.entry(&cluster, &of(OWN, "user/zoe")).await;
    let holds = async |who: &AwsIdentity| {
        let Resolution::Mapped(mapped) = bench.resolve(cluster.uid, who).await.unwrap() else { panic!() };
        mapped.holds
    };
    let at = async |scope| bench.store.revision(scope).await.unwrap();
    let ending = identity(&of(AWS, "assumed-role/x/s"), "AROAX");
    let lasting = identity(&of(AWS, "assumed-role/y/s"), "AROAY");
    let now = async || Basis {
        hub: at(Scope::Hub).await,
        account: at(Scope::Account(cluster.account)).await,
        cluster: at(Scope::Cluster(cluster.uid)).await,
    };
    let basis = now().await;
    assert_eq!(holds(&ending).await, Some(Holds { until: NOON + Duration::seconds(12), basis }));
    assert_eq!(holds(&lasting).await, Some(Holds { until: NOON + Duration::seconds(30), basis }));
    assert_eq!(
        holds(&identity(&of(OWN, "user/zoe"), "AIDAZOE")).await,
        None,
        "one of ours is looked at anew"
    );
    bench.entry(&cluster, &of(AWS, "role/z")).await;
    let later = now().await;
    assert!(!basis.covers(&later) && later.covers(&basis));
    assert_eq!(holds(&lasting).await.unwrap().basis, later);
}

async fn whom_authn_knows_gets_the_very_badge_and_no_equal_takes_it(bench: Bench<Mapping, Mapping>) {
    let cluster = bench.cluster().await;
    bench.entry(&cluster, &of(OWN, "user/zoe")).await;
    let zoe: Arc<Identity> = Arc::new(identity(&of(OWN, "user/zoe"), "AIDAZOE").into());
    let badge = async |who: &Arc<Identity>| {
        let identity = Vouched::in_process(Arc::clone(who));
        let ask = ResolveQuery { cluster: cluster.uid, identity, explain: false };
        let Resolution::Mapped(mapped) = bench.resolver.resolve(ask).await.unwrap() else { panic!() };
        mapped
    };
    let first = badge(&zoe).await;
    assert!(Arc::ptr_eq(&first, &badge(&zoe).await));
    let equal = Arc::new(Identity::clone(&zoe));
    assert!(!Arc::ptr_eq(&first, &badge(&equal).await), "an equal identity is not the same");
    // A change of the cluster, here of somebody else's entry, makes it anew.
    bench.entry(&cluster, &of(OWN, "user/team/ana")).await;
    assert!(!Arc::ptr_eq(&first, &badge(&zoe).await));
}

/// Of the engine alone: over the wire nobody is the same.
mod in_process {
    lanyard_store::on_each_store!(whom_authn_knows_gets_the_very_badge: database => {
        let bench = crate::bench::engine(database).await;
        crate::resolve::whom_authn_knows_gets_the_very_badge_and_no_equal_takes_it(bench).await;
    });
}

pub(crate) async fn immunity_60_a_group_that_was_taken_is_in_no_later_badge<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let zoe = identity(&of(OWN, "user/zoe"), "AIDAZOE");
    bench.entry(&cluster, &of(OWN, "user/zoe")).await;
    let groups = |names: &[&str]| UpdateAccessEntry {
        groups: Some(names.iter().map(ToString::to_string).collect()),
        ..change(&cluster, &of(OWN, "user/zoe"))
    };
    bench.calls.update_entry(by(admin()), groups(&["a", "b"])).await.unwrap();
    let Resolution::Mapped(before) = bench.resolve(cluster.uid, &zoe).await.unwrap() else { panic!() };
    let changed = bench.calls.update_entry(by(admin()), groups(&["b"])).await.unwrap();
    let Resolution::Mapped(after) = bench.resolve(cluster.uid, &zoe).await.unwrap() else { panic!() };
    assert_eq!((before.user.groups.len(), after.user.groups.as_slice()), (2, &[String::from("b")][..]));
    assert_eq!((after.grant.id, after.grant.revision), (before.grant.id, changed.revision));
    assert!(after.grant.revision > before.grant.revision);
    // What was proven with both groups is no proof for one.
    let keys = proof_keys(&bench);
    let old = &before.user.extra[EXTRA_KEY][0];
    assert!(Proof::verify(old, &keys, cluster.uid, &after.user.username, &after.user.groups, NOON).is_err());
}

pub(crate) async fn immunity_31_an_account_is_of_one_authority_whatever_a_cluster_says<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    bench.entry(&cluster, &of(AWS, "role/x")).await;
    let known = identity(&of(AWS, "assumed-role/x/s"), "AROAX");
    assert!(bench.name_of(&cluster, &known).await.ends_with("/s"));
    for authority in [Authority::Local, Authority::Sts(String::from("lab"))] {
        let posing = AwsIdentity { authority, ..known.clone() };
        assert_eq!(bench.name_of(&cluster, &posing).await, "untrusted_account");
    }
    let unregistered = identity("arn:aws:sts::999988887777:assumed-role/x/s", "AROAX");
    assert_eq!(bench.name_of(&cluster, &unregistered).await, "untrusted_account");
    bench.remove::<Account>(Scope::Hub, AWS).await;
    assert_eq!(bench.name_of(&cluster, &known).await, "untrusted_account");
}

pub(crate) async fn a_preview_has_no_proof<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    bench.entry(&cluster, &of(OWN, "role/team/dev")).await;
    let preview = async |text: &str| {
        let query = PreviewQuery {
            cluster: cluster.uid,
            authority: Authority::Local,
            arn: arn(text),
            principal_id: None,
        };
        bench.calls.preview(admin(), query).await.unwrap()
    };
    let Resolution::Mapped(mapped) = preview(&of(OWN, "assumed-role/dev/ana")).await else { panic!() };
    assert_eq!(mapped.user.username, "arn:aws:sts::111122223333:assumed-role/dev/ana");
    assert_eq!(mapped.user.uid, "aws-iam-authenticator:111122223333:AROADEV");
    assert!(!mapped.user.extra.contains_key(EXTRA_KEY) && !mapped.user.extra.contains_key("accesskeyid"));
    let Resolution::Unmapped(unmapped) = preview(&of(OWN, "role/team/dev")).await else { panic!() };
    assert_eq!(unmapped.denial.code, "template_refused");
    let Resolution::Unmapped(unmapped) = preview(&of(OWN, "user/zoe")).await else { panic!() };
    assert_eq!(unmapped.denial.code, "unmapped");
}

pub(crate) async fn a_preview_of_a_local_principal_is_of_the_one_that_is_there<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    bench.entry(&cluster, &of(OWN, "user/team/ana")).await;
    bench.entry(&cluster, &of(OWN, "user/zoe")).await;
    let preview = async |text: &str| {
        let (authority, arn) = (Authority::Local, arn(&of(OWN, text)));
        let query = PreviewQuery { cluster: cluster.uid, authority, arn, principal_id: None };
        bench.calls.preview(admin(), query).await.unwrap()
    };
    for ana in ["user/team/ana", "user/team/ANA"] {
        assert!(matches!(preview(ana).await, Resolution::Mapped(_)), "{ana}");
    }
    // Without its path nobody knocks, and a block or a line of aws-auth for the one with it says nothing of this one.
    let Resolution::Unmapped(unmapped) = preview("user/ana").await else { panic!() };
    assert_eq!(unmapped.denial.code, "unmapped");
    assert!(unmapped.near_misses.iter().any(|miss| miss.contains("its path is `/team/`")), "{unmapped:?}");
    let target = BlockTarget::Principal {
        authority: Authority::Local,
        canonical_arn: of(OWN, "user/team/ana").parse().unwrap(),
    };
    let block = CreateBlock { scope: Scope::Cluster(cluster.uid), target, reason: String::from("left") };
    bench.calls.create_block(by(admin()), block).await.unwrap();
    assert!(matches!(preview("user/team/ana").await, Resolution::Blocked(_)));
    // Nobody can knock as somebody who is gone, though the entry is there yet.
    bench.remove::<AccessKey>(Scope::Account(account(OWN)), &key_of(OWN, "zoe")).await;
    bench.remove::<User>(Scope::Account(account(OWN)), "zoe").await;
    let Resolution::Unmapped(unmapped) = preview("user/zoe").await else { panic!() };
    assert_eq!(unmapped.denial.code, "stale_entry");
}

pub(crate) async fn near_misses_are_named_when_asked_for<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    bench.entry(&cluster, &of(AWS, "user/team/bob")).await;
    bench.entry(&cluster, &of(AWS, "role/developers")).await;
    let map = "mapRoles: |\n  - rolearn: arn:aws:iam::444455556666:role/path/ops\n    username: x\n\
               mapUsers: |\n  - userarn: arn:aws:iam::444455556666:user/lia\n    username: lia\n";
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), map.to_owned()).await.unwrap();
    let other = bench.calls.create_cluster(by(admin()), cluster_named("other")).await.unwrap().value;
    bench.entry(&other, &of(OWN, "user/zoe")).await;
    let cases = [
        (identity(&of(AWS, "user/bob"), "AIDAB"), "its path is `/team/`"),
        (
            identity(
                &of(AWS, "role/x").replace("iam", "sts").replace("role/x", "assumed-role/bob/s"),
                "AROAB",
            ),
            "another kind of principal",
        ),
        (identity(&of(AWS, "assumed-role/developer/s"), "AROAD"), "nearly the same"),
        (
            identity(&of(AWS, "assumed-role/ops/s"), "AROAO"),
            "the canonical ARN is `arn:aws:iam::444455556666:role/ops`",
        ),
        (identity(&of(OWN, "assumed-role/developers/s"), "AROAD"), "it is in account 444455556666"),
        (
            identity(&of(AWS, "user/team/lia"), "AIDAL"),
            "mapUsers[0] of aws-auth maps `arn:aws:iam::444455556666:user/lia`: its path is `/`",
        ),
        (identity(&of(OWN, "user/zoe"), "AIDAZOE"), "it is mapped in cluster `other`"),
    ];
    for (who, miss) in cases {
        for explain in [true, false] {
            let identity = Vouched::in_process(Arc::new(who.clone().into()));
            let query = ResolveQuery { cluster: cluster.uid, identity, explain };
            let Resolution::Unmapped(unmapped) = bench.resolver.resolve(query).await.unwrap() else {
                panic!("{who:?}")
            };
            assert_eq!(unmapped.denial.code, "unmapped", "{who:?}");
            let named = unmapped.near_misses.iter().any(|text| text.contains(miss));
            assert_eq!(named, explain, "{miss}: {:?}", unmapped.near_misses);
        }
    }
    // The entry of its creator, which nearly names this one, would not count here either.
    let config_map = Some(AuthenticationMode::ConfigMap);
    let old = CreateCluster { authentication_mode: config_map, ..cluster_named("old") };
    let old = bench.calls.create_cluster(by(admin()), old).await.unwrap().value;
    let identity = Vouched::in_process(Arc::new(identity(&of(AWS, "user/admin"), "AIDAX").into()));
    let query = ResolveQuery { cluster: old.uid, identity, explain: true };
    let Resolution::Unmapped(unmapped) = bench.resolver.resolve(query).await.unwrap() else { panic!() };
    let told = unmapped.near_misses.iter().any(|text| text.contains("access entry"));
    assert!(!told && unmapped.denial.message.contains("aws-auth"), "{unmapped:?}");
}

/// What names them and lets them in by nothing is no near miss: the refusal says what is in the way.
pub(crate) async fn what_names_somebody_who_is_refused_for_another_reason_is_no_near_miss<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    bench.entry(&cluster, &of(OWN, "role/team/dev")).await;
    let map = format!("mapRoles: |\n  - rolearn: {}\n    username: x\n", of(OWN, "role/dev"));
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), map).await.unwrap();
    let anew = identity(&of(OWN, "assumed-role/dev/ana"), "AROAANEW");
    let identity = Vouched::in_process(Arc::new(anew.into()));
    let query = ResolveQuery { cluster: cluster.uid, identity, explain: true };
    let Resolution::Unmapped(unmapped) = bench.resolver.resolve(query).await.unwrap() else { panic!() };
    assert_eq!(unmapped.denial.code, "stale_entry");
    assert!(unmapped.near_misses.is_empty(), "{:?}", unmapped.near_misses);
}

/// A hub that has just started has no cluster in memory, and its explanations are the same.
pub(crate) async fn another_cluster_that_maps_somebody_is_named_though_nobody_asked_it_yet<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let asked = bench.cluster().await;
    let by_entry = bench.calls.create_cluster(by(admin()), cluster_named("by-entry")).await.unwrap().value;
    bench.entry(&by_entry, &of(OWN, "user/zoe")).await;
    let by_aws_auth =
        bench.calls.create_cluster(by(admin()), cluster_named("by-aws-auth")).await.unwrap().value;
    let map = format!("mapUsers: |\n  - userarn: {}\n    username: x\n", of(OWN, "user/zoe"));
    bench.calls.push_aws_auth(by(admin()), by_aws_auth.id.clone(), map).await.unwrap();
    let started = Mapping::open(&bench.store, MappingConfig::default()).await.unwrap();
    let identity = Vouched::in_process(Arc::new(identity(&of(OWN, "user/zoe"), "AIDAZOE").into()));
    let query = ResolveQuery { cluster: asked.uid, identity, explain: true };
    let Resolution::Unmapped(unmapped) = started.resolve(query).await.unwrap() else { panic!() };
    for named in ["by-entry", "by-aws-auth"] {
        let miss = format!("it is mapped in cluster `{named}`");
        assert!(unmapped.near_misses.iter().any(|text| text.contains(&miss)), "{miss}: {unmapped:?}");
    }
}

pub(crate) async fn a_break_glass_identity_from_anywhere_else_is_refused<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let posing =
        AwsIdentity { kind: IdentityKind::BreakGlass, ..identity(&of(OWN, "user/admin"), "AIDAADMIN") };
    let Resolution::Unmapped(unmapped) = bench.resolve(cluster.uid, &posing).await.unwrap() else { panic!() };
    let Denial { code, .. } = unmapped.denial;
    assert_eq!(code, "break_glass_refused");
}

//! What is left for the principal of a deleted entry.

use lanyard_api::{
    Authority, EntryId, Scope,
    mapping::{AccessEntry, BlockTarget, Resolve},
};
use time::Duration;

use crate::{bench::*, blocks::block, identity_providers::issuer};

const MAP: &str = "
mapRoles: |
  - rolearn: arn:aws:iam::111122223333:role/ops
    username: behind
    groups: [system:masters]
";

pub(crate) async fn immunity_42_deleting_an_entry_says_what_its_principal_still_resolves_to<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let (ops, zoe) = (of(OWN, "role/ops"), of(OWN, "user/zoe"));
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), MAP.to_owned()).await.unwrap();
    bench.entry(&cluster, &ops).await;
    bench.entry(&cluster, &zoe).await;
    let knock = identity(&of(OWN, "assumed-role/ops/s"), "AROAOPS");
    assert!(bench.name_of(&cluster, &knock).await.ends_with("assumed-role/ops/s"));
    let gone = bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &ops)).await.unwrap();
    assert!(gone.notices[0].contains("still resolves, by mapRoles[0]"), "{:?}", gone.notices);
    assert!(
        gone.notices[0].contains("behind") && gone.notices[0].contains("system:masters"),
        "{:?}",
        gone.notices
    );
    assert_eq!(bench.name_of(&cluster, &knock).await, "behind");
    let gone = bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &zoe)).await.unwrap();
    assert!(gone.notices[0].contains("resolves to nothing"), "{:?}", gone.notices);
}

pub(crate) async fn immunity_42_what_is_left_is_what_whoever_knocks_gets<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let stranger = "999988887777";
    let map = format!("{MAP}  - rolearn: arn:aws:iam::{stranger}:role/ops\n    username: of-elsewhere\n");
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), map).await.unwrap();
    let (ops, zoe) = (of(OWN, "role/ops"), of(OWN, "user/zoe"));
    let made = bench.entry(&cluster, &ops).await.value.entry;
    bench.entry(&cluster, &zoe).await;
    let gone = async |principal: &str| {
        let gone = bench.calls.delete_entry(by(admin()), entry_ref(&cluster, principal)).await.unwrap();
        gone.notices[0].clone()
    };
    // A block stops them whatever maps them.
    let target = BlockTarget::Principal {
        authority: Authority::Local,
        canonical_arn: lanyard_iam::CanonicalArn::parse(&ops).unwrap(),
    };
    let put =
        bench.calls.create_block(by(admin()), block(Scope::Cluster(cluster.uid), target)).await.unwrap();
    let told = gone(&ops).await;
    let stopped = format!("is stopped by block `{}`; without that: ", put.value.id);
    assert!(told.contains(&stopped) && told.contains("still resolves, by mapRoles[0]"), "{told}");
    // An entry for several that has ended lets nobody in.
    let ended = AccessEntry {
        id: EntryId::random(),
        principal_arn: of(OWN, "user/z*").parse().unwrap(),
        principal_id: None,
        ends_at: Some(NOON - Duration::HOUR),
        ..made.clone()
    };
    bench.write(&ended).await;
    let told = gone(&zoe).await;
    assert!(told.contains("resolves to nothing") && told.contains("user/z*` ended at "), "{told}");
    // A line for an account that the cluster does not trust maps nobody.
    let principal_arn = of(stranger, "role/ops").parse().unwrap();
    bench.write(&AccessEntry { id: EntryId::random(), principal_arn, principal_id: None, ..made }).await;
    let told = gone(&of(stranger, "role/ops")).await;
    assert!(told.ends_with(&format!("now: it does not trust account {stranger}")), "{told}");
}

pub(crate) async fn immunity_42_a_line_that_lets_nobody_in_is_not_what_is_left<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    let lines =
        [("ops", "okta:{{SessionName}}"), ("node", "lan{{SessionName}}:x"), ("team", "arn:{{SessionName}}")];
    let roles: String = lines
        .iter()
        .map(|(role, username)| {
            format!("  - rolearn: arn:aws:iam::{OWN}:role/{role}\n    username: '{username}'\n")
        })
        .collect();
    let users =
        format!("  - userarn: arn:aws:iam::{OWN}:user/zoe\n    username: 'ops:{{{{SessionName}}}}'\n");
    let map = format!("mapRoles: |\n{roles}mapUsers: |\n{users}");
    bench.calls.push_aws_auth(by(admin()), cluster.id.clone(), map).await.unwrap();
    let mapped = async |principal: &str| {
        let found = bench.calls.preview_entry(admin(), entry_ref(&cluster, principal)).await.unwrap();
        found.principals[0].mapped_by.clone()
    };
    for (principal, session, why) in [
        ("user/zoe", "user/zoe", Some("mapUsers[0] of aws-auth holds {{SessionName}}, which it never has")),
        ("role/ops", "assumed-role/ops/s", Some("under the prefix `okta:`")),
        ("role/node", "assumed-role/node/s", None),
    ] {
        let arn = of(OWN, principal);
        bench.entry(&cluster, &arn).await;
        let gone = bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &arn)).await.unwrap();
        let told = &gone.notices[0];
        let name = bench.name_of(&cluster, &identity(&of(OWN, session), "X")).await;
        match why {
            Some(why) => {
                assert!(told.contains("resolves to nothing") && told.contains(why), "{told}");
                assert_eq!((name.as_str(), mapped(&arn).await), ("template_refused", None), "{principal}");
            }
            None => {
                assert!(told.contains("still resolves, by mapRoles[1] of aws-auth"), "{told}");
                assert_eq!(name, "lans:x");
                assert_eq!(mapped(&arn).await.as_deref(), Some("mapRoles[1] of aws-auth"));
            }
        }
    }
    // Of a pattern those of its lines are told that let somebody in.
    let all = of(OWN, "role/*");
    bench.entry(&cluster, &all).await;
    let gone = bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &all)).await.unwrap();
    let [told] = gone.notices.as_slice() else { panic!("{:?}", gone.notices) };
    assert!(told.contains("role/node` still resolves, by mapRoles[1]"), "{told}");
}

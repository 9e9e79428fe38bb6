use std::sync::Arc;

use lanyard_api::{
    Fault, Scope,
    mapping::{
        AuthenticationMode, BreakGlass, BreakGlassQuery, Cluster, GrantKind, MatchedBy, Resolution, Resolve,
    },
    proof::{EXTRA_KEY, Handle, Proof},
};
use lanyard_store::Kind;
use secrecy::{ExposeSecret, SecretString};
use time::Duration;

use crate::{bench::*, clusters::proof_keys};

async fn arm<C: Calls, R: Resolve>(bench: &Bench<C, R>, cluster: &Cluster) -> SecretString {
    bench.calls.arm_break_glass(by(admin()), cluster.id.clone()).await.unwrap().value.1
}

async fn knock<C, R: Resolve>(
    bench: &Bench<C, R>,
    cluster: &Cluster,
    credential: &SecretString,
) -> Result<Resolution, Fault> {
    let query = BreakGlassQuery { cluster: cluster.uid, credential: credential.clone() };
    bench.resolver.resolve_break_glass(query).await
}

async fn gets_in<C, R: Resolve>(bench: &Bench<C, R>, cluster: &Cluster, credential: &SecretString) -> bool {
    match knock(bench, cluster, credential).await.unwrap() {
        Resolution::Mapped(_) => true,
        Resolution::Unmapped(unmapped) => {
            assert_eq!(unmapped.denial.code, "break_glass_refused");
            false
        }
        Resolution::Blocked(_) => panic!("blocked"),
    }
}

pub(crate) async fn it_lets_one_in_once_within_the_hour<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster_in(AuthenticationMode::ConfigMap).await;
    let other = bench.empty_cluster().await;
    let credential = arm(&bench, &cluster).await;
    assert!(credential.expose_secret().starts_with("lbg_"));
    assert!(!gets_in(&bench, &cluster, &SecretString::from("lbg_guess")).await);
    assert!(!gets_in(&bench, &other, &credential).await);
    assert!(gets_in(&bench, &cluster, &credential).await);
    assert!(!gets_in(&bench, &cluster, &credential).await);
    let used = bench.calls.list_break_glass(admin()).await.unwrap();
    assert_eq!((used.len(), used[0].used_at), (1, Some(NOON)));
    let late = arm(&bench, &cluster).await;
    bench.clock.advance(Duration::HOUR - Duration::SECOND);
    let kept = arm(&bench, &other).await;
    bench.clock.advance(Duration::SECOND);
    assert!(!gets_in(&bench, &cluster, &late).await);
    assert!(gets_in(&bench, &other, &kept).await);
}

/// Audited before it answers: the change line is there by then.
pub(crate) async fn its_use_is_a_line_of_the_chain_once_it_has_answered<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let credential = arm(&bench, &cluster).await;
    let scope = Scope::Cluster(cluster.uid);
    let armed: BreakGlass = bench.store.get(scope, Kind::ONLY_KEY).await.unwrap().unwrap();
    let before = bench.store.revision(scope).await.unwrap();
    bench.clock.advance(Duration::MINUTE);
    assert!(!gets_in(&bench, &cluster, &SecretString::from("lbg_guess")).await);
    assert_eq!(bench.store.revision(scope).await.unwrap(), before, "a guess is no use");
    assert!(gets_in(&bench, &cluster, &credential).await);
    let lines = bench.store.changes_since(scope, before, u32::MAX).await.unwrap();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let now = NOON + Duration::MINUTE;
    assert_eq!((line.kind, line.actor.as_str(), line.at), (Kind::BreakGlass, "system:break-glass", now));
    assert_eq!(line.before::<BreakGlass>().unwrap(), Some(armed.clone()));
    assert_eq!(line.after::<BreakGlass>().unwrap(), Some(BreakGlass { used_at: Some(now), ..armed }));
    assert_eq!(bench.store.verify_chain(scope).await.unwrap().fault, None);
}

/// The store cannot be written any more; what is in memory is.
pub(crate) async fn it_lets_nobody_in_whose_use_cannot_be_written<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let credential = arm(&bench, &cluster).await;
    let guess = SecretString::from("lbg_guess");
    assert!(!gets_in(&bench, &cluster, &guess).await);
    bench.store.close().await;
    assert!(!gets_in(&bench, &cluster, &guess).await, "who is refused needs no store");
    let answer = knock(&bench, &cluster, &credential).await;
    assert!(answer.is_err(), "{answer:?}");
    // It was no use, so that another process may still take it for one.
    let store = bench.database.open(Arc::new(bench.clock.clone())).await;
    let armed: BreakGlass = store.get(Scope::Cluster(cluster.uid), Kind::ONLY_KEY).await.unwrap().unwrap();
    assert_eq!(armed.used_at, None);
}

pub(crate) async fn of_two_who_come_at_once_one_gets_in<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    for _ in 0..4 {
        let credential = arm(&bench, &cluster).await;
        let (a, b, c) = tokio::join!(
            gets_in(&bench, &cluster, &credential),
            gets_in(&bench, &cluster, &credential),
            gets_in(&bench, &cluster, &credential)
        );
        assert_eq!([a, b, c].iter().filter(|got_in| **got_in).count(), 1);
    }
}

pub(crate) async fn it_is_outside_system_masters_and_its_proof_verifies<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let credential = arm(&bench, &cluster).await;
    let Resolution::Mapped(mapped) = knock(&bench, &cluster, &credential).await.unwrap() else { panic!() };
    let user = &mapped.user;
    assert_eq!(
        (user.username.as_str(), user.groups.as_slice()),
        ("lanyard:break-glass:dev", &[String::from("lanyard:break-glass")][..])
    );
    assert_eq!((mapped.grant.kind, mapped.matched_by), (GrantKind::BreakGlass, MatchedBy::BreakGlass));
    let armed = &bench.calls.list_break_glass(admin()).await.unwrap()[0];
    assert_eq!(mapped.grant.id, lanyard_api::grants::break_glass_grant(cluster.uid, &armed.token_sha256));
    let keys = proof_keys(&bench);
    let proof =
        Proof::verify(&user.extra[EXTRA_KEY][0], &keys, cluster.uid, &user.username, &user.groups, NOON)
            .unwrap();
    assert_eq!((proof.grant_kind, proof.grant, proof.local), (GrantKind::BreakGlass, mapped.grant.id, false));
    assert_eq!((proof.handles.account, proof.handles.session), (Handle::NONE, Handle::NONE));
    assert_eq!(proof.revision, mapped.grant.revision);
    assert_eq!(proof.not_after, NOON + Duration::seconds(70));
}

pub(crate) async fn immunity_57_its_credential_lies_nowhere_in_the_clear<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let made = bench.calls.arm_break_glass(by(admin()), cluster.id.clone()).await.unwrap();
    let (_, bearer) =
        bench.calls.create_spoke_credential(by(admin()), cluster.id.clone()).await.unwrap().value;
    let secret = made.value.1.expose_secret();
    assert!(secret.len() >= 4 + 43 && !format!("{made:?}").contains(secret));
    for secret in [secret, bearer.expose_secret()] {
        assert!(!bench.database.holds(secret).await, "a credential stands in the store");
    }
    assert!(bench.database.holds(&made.value.0.token_sha256).await, "what stands there is found");
}

pub(crate) async fn it_is_visible_replaced_and_put_away<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    assert!(bench.calls.list_break_glass(admin()).await.unwrap().is_empty());
    assert_eq!(code_of(bench.calls.disarm_break_glass(by(admin()), cluster.id.clone()).await), "not_found");
    let first = arm(&bench, &cluster).await;
    let armed = bench.calls.list_break_glass(admin()).await.unwrap();
    assert_eq!(
        (armed[0].armed_by.as_str(), armed[0].ends_at),
        ("arn:aws:iam::111122223333:user/admin", NOON + Duration::HOUR)
    );
    let again = bench.calls.arm_break_glass(by(admin()), cluster.id.clone()).await.unwrap();
    assert_eq!(again.notices.len(), 1);
    assert!(!gets_in(&bench, &cluster, &first).await);
    bench.calls.disarm_break_glass(by(admin()), cluster.id.clone()).await.unwrap();
    assert!(!gets_in(&bench, &cluster, &again.value.1).await);
    assert!(bench.calls.list_break_glass(admin()).await.unwrap().is_empty());
}

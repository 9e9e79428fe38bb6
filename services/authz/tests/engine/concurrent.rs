//! What only the engine does: faults, restarts, new keys, and many at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use lanyard_api::{
    Authority, CallError, DecisionId, Fault, Mutation,
    authz::{Authorize, DecisionKind, DecisionOutcome, DecisionRecord, Decisions, Review, Verdict},
    mapping::{AccessScope, AuthorizerMode, Cluster},
    proof::{KinKind, ProofKey},
    suite::association,
};
use lanyard_authz::AuthzConfig;
use lanyard_store::{Purpose, on_each_store, test_support::TestDatabase};
use time::Duration;

use crate::stage::{ABROAD, HOME, START, Stage, account, actor_of, bare, cluster, get_pods, review};

const VIEW: &str = "AmazonEKSViewPolicy";

on_each_store!(
    immunity_59_where_there_is_no_answer_a_proof_is_denied_and_others_get_the_fault,
    a_store_that_cannot_be_read_is_a_fault_and_never_an_answer,
    a_proof_of_no_known_key_is_refused_though_the_store_does_not_answer,
    what_was_looked_for_once_is_gone_though_the_store_does_not_answer,
    proofs_of_a_new_key_and_of_the_old_one_both_verify,
    immunity_16_no_reader_sees_a_grant_after_its_end_or_its_deletion,
    many_first_questions_at_once_all_get_the_answer,
    decisions_outlive_a_restart_and_their_place_in_memory,
    an_account_has_its_share_of_the_places_for_watches_and_no_more,
);

async fn immunity_59_where_there_is_no_answer_a_proof_is_denied_and_others_get_the_fault(
    database: TestDatabase,
) {
    // Memory for one account, where a session descends from somebody in another: they push each other out for ever.
    let stage = Stage::bare(database, AuthzConfig { accounts_max: 1, ..AuthzConfig::default() }).await;
    stage.register(HOME, Authority::Local).await;
    stage.register(ABROAD, Authority::Local).await;
    let cluster = stage.cluster("main").await;
    let ana = stage.person(&cluster, "ana", &[]).await;
    stage.associate(&ana, VIEW, AccessScope::Cluster).await;
    let asked = review(cluster.uid, stage.log_in(&ana), get_pods("a"));
    assert_eq!(stage.authz.authorize(asked).await.unwrap().verdict, Verdict::Allow);
    let (key, mut proof) = (stage.proof_key(), some_proof(&stage, &ana));
    proof.kin.add(KinKind::Account, key.account(&Authority::Local, ABROAD)).unwrap();
    let user = crate::stage::bearing(&key, &proof, "ana", &[]);
    let asked = review(cluster.uid, user, get_pods("a"));
    let decision = stage.authz.authorize(asked.clone()).await.unwrap();
    assert_eq!((decision.verdict, decision.reason.code()), (Verdict::Deny, "unanswerable"));
    let why = decision.evaluation_error.unwrap();
    assert_eq!(why, "the snapshot is not available: it was dropped from memory as often as it was loaded");

    let other = review(cluster.uid, bare("bob", &[]), get_pods("a"));
    let both = stage.authz.authorize_batch(vec![asked, other.clone()]).await.unwrap();
    let answers: Vec<_> = both.iter().map(|d| (d.verdict, d.evaluation_error.is_some())).collect();
    assert_eq!(answers, [(Verdict::Deny, true), (Verdict::NoOpinion, true)]);
    assert_eq!(stage.authz.authorize(other).await.unwrap().verdict, Verdict::NoOpinion);
}

async fn a_store_that_cannot_be_read_is_a_fault_and_never_an_answer(database: TestDatabase) {
    let stage = Stage::new(database).await;
    let cluster = stage.cluster("main").await;
    let ana = stage.person(&cluster, "ana", &[]).await;
    let restarted = stage.restarted().await;
    restarted.database.destroy().await;
    let with_proof = review(cluster.uid, stage.log_in(&ana), get_pods("a"));
    let decision = restarted.authz.authorize(with_proof).await.unwrap();
    assert_eq!((decision.verdict, decision.reason.code()), (Verdict::Deny, "unanswerable"));
    let without = review(cluster.uid, bare("ana", &[]), get_pods("a"));
    let answer = restarted.authz.authorize(without).await;
    assert!(matches!(answer, Err(Fault::Internal | Fault::Unavailable { .. })), "{answer:?}");
}

async fn a_proof_of_no_known_key_is_refused_though_the_store_does_not_answer(database: TestDatabase) {
    let stage = Stage::new(database).await;
    let cluster = stage.cluster("main").await;
    let ana = stage.person(&cluster, "ana", &[]).await;
    stage.associate(&ana, VIEW, AccessScope::Cluster).await;
    let asked = review(cluster.uid, stage.log_in(&ana), get_pods("a"));
    assert_eq!(stage.authz.authorize(asked.clone()).await.unwrap().verdict, Verdict::Allow);
    let unknown = ProofKey::new(99, &[9; 32]);
    let made_up = crate::stage::bearing(&unknown, &some_proof(&stage, &ana), "ana", &[]);
    stage.store.close().await;
    let decision = stage.authz.authorize(review(cluster.uid, made_up, get_pods("a"))).await.unwrap();
    assert_eq!((decision.verdict, decision.reason.code()), (Verdict::Deny, "proof_invalid"));
    assert_eq!(stage.authz.authorize(asked).await.unwrap().verdict, Verdict::Allow, "it answers from memory");
}

async fn what_was_looked_for_once_is_gone_though_the_store_does_not_answer(database: TestDatabase) {
    let stage = Stage::new(database).await;
    let cluster = stage.cluster("main").await;
    let ana = stage.person(&cluster, "ana", &[]).await;
    stage.associate(&ana, VIEW, AccessScope::Cluster).await;
    let of_none = || association(&cluster, &format!("arn:aws:iam::{HOME}:role/app"));
    let [known, unknown] = [of_none(), of_none()]
        .map(|association| review(cluster.uid, stage.log_in_by(&ana, &association), get_pods("a")));
    let code = async |asked: &Review| stage.authz.authorize(asked.clone()).await.unwrap().reason.code();
    assert_eq!(code(&known).await, "gone");
    stage.store.close().await;
    assert_eq!(code(&known).await, "gone", "nobody is asked again");
    assert_eq!(code(&unknown).await, "unanswerable");
}

async fn proofs_of_a_new_key_and_of_the_old_one_both_verify(database: TestDatabase) {
    let stage = Stage::new(database).await;
    let cluster = stage.cluster("main").await;
    let ana = stage.person(&cluster, "ana", &[]).await;
    let association = stage.associate(&ana, VIEW, AccessScope::Cluster).await;
    let by_old = stage.log_in(&ana);
    let old = stage.proof_key();
    stage
        .store
        .rotate(&Mutation::system("test"), &[Purpose::Proof], std::time::Duration::ZERO, &[])
        .await
        .unwrap();
    assert_ne!(old.id(), stage.proof_key().id());
    let by_new = stage.log_in(&ana);
    let code = |user| {
        let asked = review(cluster.uid, user, get_pods("a"));
        async { stage.authz.authorize(asked).await.unwrap().reason.code() }
    };
    for user in [&by_old, &by_new, &by_old] {
        assert_eq!(code(user.clone()).await, "access_policy");
    }
    stage.delete(&association).await;
    for user in [&by_old, &by_new] {
        assert_eq!(code(user.clone()).await, "nothing_matched", "both follow the store");
    }
    let mut key = ana.key.clone();
    key.active = false;
    stage.put(&key).await;
    for user in [&by_old, &by_new] {
        assert_eq!(code(user.clone()).await, "gone", "handles of both keys are known");
    }
    drop(old);
    let unknown = ProofKey::new(99, &[9; 32]);
    let proof_bytes = crate::stage::bearing(&unknown, &some_proof(&stage, &ana), "ana", &[]);
    assert_eq!(code(proof_bytes).await, "proof_invalid");
}

fn some_proof(stage: &Stage, person: &crate::stage::Person) -> lanyard_api::proof::Proof {
    let user = stage.log_in(person);
    let value = &user.extra[lanyard_api::proof::EXTRA_KEY][0];
    let keys = [stage.proof_key()];
    lanyard_api::proof::Proof::verify(value, &keys, person.entry.cluster, &user.username, &user.groups, START)
        .unwrap()
}

async fn immunity_16_no_reader_sees_a_grant_after_its_end_or_its_deletion(database: TestDatabase) {
    let stage = Arc::new(Stage::new(database).await);
    let cluster = stage.cluster("main").await;
    let ana = stage.person(&cluster, "ana", &[]).await;
    let mut association = stage.associate(&ana, VIEW, AccessScope::Cluster).await;
    let user = stage.log_in(&ana);
    for round in 0..20 {
        let gone = Arc::new(AtomicBool::new(false));
        let stop = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (stage, gone, stop) = (Arc::clone(&stage), Arc::clone(&gone), Arc::clone(&stop));
                let asked = review(cluster.uid, user.clone(), get_pods("a"));
                tokio::spawn(async move {
                    let mut seen = 0_u32;
                    while !stop.load(Ordering::SeqCst) || seen == 0 {
                        let was_gone = gone.load(Ordering::SeqCst);
                        let verdict = stage.authz.authorize(asked.clone()).await.unwrap().verdict;
                        assert!(!(was_gone && verdict == Verdict::Allow), "allowed after its end");
                        seen += 1;
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        if round % 2 == 0 {
            stage.delete(&association).await;
        } else {
            association.ends_at = Some(stage.clock_now() + Duration::seconds(1));
            stage.put(&association).await;
            stage.clock.advance(Duration::seconds(1));
        }
        gone.store(true, Ordering::SeqCst);
        let asked = review(cluster.uid, user.clone(), get_pods("a"));
        assert_eq!(stage.authz.authorize(asked).await.unwrap().verdict, Verdict::NoOpinion);
        stop.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.await.unwrap();
        }
        association.ends_at = None;
        stage.put(&association).await;
    }
}

async fn many_first_questions_at_once_all_get_the_answer(database: TestDatabase) {
    let stage = Arc::new(Stage::new(database).await);
    let cluster = stage.cluster("main").await;
    let ana = stage.person(&cluster, "ana", &[]).await;
    stage.associate(&ana, VIEW, AccessScope::Cluster).await;
    let asked = review(cluster.uid, stage.log_in(&ana), get_pods("a"));
    let restarted = Arc::new(stage.restarted().await);
    let askers: Vec<_> = (0..32)
        .map(|_| {
            let (stage, asked) = (Arc::clone(&restarted), asked.clone());
            tokio::spawn(async move { stage.authz.authorize(asked).await.unwrap().verdict })
        })
        .collect();
    for asker in askers {
        assert_eq!(asker.await.unwrap(), Verdict::Allow);
    }
}

async fn decisions_outlive_a_restart_and_their_place_in_memory(database: TestDatabase) {
    let config = AuthzConfig {
        decisions_in_memory_max: 10,
        let_in_stored_per_second_max: 1000,
        ..AuthzConfig::default()
    };
    let stage = Stage::bare(database, config).await;
    stage.register(HOME, Authority::Local).await;
    stage.register(ABROAD, Authority::Local).await;
    let cluster = cluster("main", AuthorizerMode::Full);
    stage.put(&cluster).await;
    let records: Vec<_> = (0..1000)
        .map(|n| DecisionRecord {
            id: DecisionId::random(),
            at: START,
            cluster: cluster.uid,
            kind: DecisionKind::TokenReview,
            outcome: DecisionOutcome::Verified,
            reason: "none".into(),
            who: format!("person {n}").into(),
            what: "token 0123456789ab".into(),
            detail: "".into(),
            trace: None,
            question: None,
        })
        .collect();
    for batch in records.chunks(100) {
        stage.authz.record(batch.to_vec()).await.unwrap();
    }
    stage.authz.flush().await;
    let restarted = stage.restarted().await;
    for authz in [&stage.authz, &restarted.authz] {
        for expected in [&records[0], &records[500], &records[999]] {
            assert_eq!(authz.find(actor_of(HOME), expected.id).await.as_ref(), Ok(expected));
        }
    }
}

async fn an_account_has_its_share_of_the_places_for_watches_and_no_more(database: TestDatabase) {
    let config = AuthzConfig { watches_max: 3, watches_per_account_max: 2, ..AuthzConfig::default() };
    let stage = Stage::bare(database, config).await;
    stage.register(HOME, Authority::Local).await;
    stage.register(ABROAD, Authority::Local).await;
    let home = stage.cluster("main").await;
    let abroad = Cluster { account: account(ABROAD), ..cluster("abroad", AuthorizerMode::Full) };
    stage.put(&abroad).await;
    let watch =
        async |by: &str, cluster: &Cluster| stage.authz.watch_inputs(actor_of(by), cluster.id.clone()).await;
    let full = |what: &'static str, limit| Some(CallError::LimitExceeded { what: what.into(), limit });
    let (first, second) = (watch(HOME, &home).await.unwrap(), watch(HOME, &home).await.unwrap());
    let of_account = full("watches at one time on the clusters of one account", 2);
    assert_eq!(watch(HOME, &home).await.err(), of_account);
    let third = watch(ABROAD, &abroad).await.unwrap();
    assert_eq!(watch(ABROAD, &abroad).await.err(), full("watches at one time", 3));
    drop((first, third));
    let again = watch(HOME, &home).await.unwrap();
    assert_eq!(watch(HOME, &home).await.err(), of_account);
    drop((second, again));
}

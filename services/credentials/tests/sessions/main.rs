//! What [`lanyard_api::credentials::Sessions`] promises, on each store: sessions are made against a real one, and opened again as
//! authn would. What a role session and a user's own one are is held against the engine and against the engine behind gRPC.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends where it fails")]

mod behind_grpc;
mod cluster_tokens;
mod exchange;
mod issuer_world;
#[path = "../workloads/opener.rs"]
mod opener;
mod web_identity;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use self::opener::session_opener;
use lanyard_api::{
    Actor, ActorKind, Authority, BlockId, CallError, Fault, Lineage, Mutation, Scope, SignatureUse, Vouched,
    authn::accounts::{Account, IamRole},
    credentials::{AssumeRole, Sessions},
    mapping::{Block, BlockTarget},
};
use lanyard_credentials::{Credentials, CredentialsConfig, minting_keys};
use lanyard_iam::{AccessKeyId, AccountId, Ancestor, Partition, PrincipalArn};
use lanyard_kit::SystemClock;
use lanyard_store::{Purpose, Store, on_each_store, test_support::TestDatabase};
use secrecy::ExposeSecret;
use time::OffsetDateTime;

const ACCOUNT: &str = "111122223333";
const ROLE_ARN: &str = "arn:aws:iam::111122223333:role/team/dev";

/// A hub under test.
struct Hub<S> {
    store: Store,
    sessions: S,
}

async fn hub(database: &TestDatabase) -> Hub<Credentials> {
    let store = database.open(Arc::new(SystemClock)).await;
    let now = OffsetDateTime::now_utc();
    let account: AccountId = ACCOUNT.parse().unwrap();
    let mutation = Mutation::system("test");
    let mut tx = store.begin("test", &mutation, &[Scope::Hub, Scope::Account(account)]).await.unwrap();
    tx.insert(&Account {
        id: account,
        partition: Partition::Aws,
        authority: Authority::Local,
        name: String::new(),
        created_at: now,
    })
    .await
    .unwrap();
    tx.insert(&role(None)).await.unwrap();
    tx.commit_unrecorded().await.unwrap();
    let sessions = Credentials::new(&store, CredentialsConfig::default()).unwrap();
    Hub { store, sessions }
}

fn role(revoked_before: Option<OffsetDateTime>) -> IamRole {
    IamRole {
        account: ACCOUNT.parse().unwrap(),
        path: "/team/".to_owned(),
        name: "dev".to_owned(),
        principal_id: "AROAAAAAAAAAAAAAAAAAA".to_owned(),
        trust_policy: "{}".to_owned(),
        trusted_ids: Default::default(),
        session_seconds_max: 7_200,
        revoked_before,
        tags: BTreeMap::new(),
        description: String::new(),
        created_at: OffsetDateTime::now_utc(),
    }
}

fn actor(resource: &str, key: &str, chain_depth: u8) -> Vouched<Actor> {
    let mut actor = Actor::system("test");
    actor.action = "sts:AssumeRole".to_owned();
    actor.resource = resource.to_owned();
    actor.kind = ActorKind::Principal {
        authority: Authority::Local,
        arn: PrincipalArn::parse("arn:aws:iam::111122223333:user/ana").unwrap(),
        principal_id: "AIDAAAAAAAAAAAAAAAAAA".to_owned(),
        lineage: Box::new(Lineage {
            access_key_id: Some(AccessKeyId::parse(key).unwrap()),
            ancestors: Vec::new(),
            transitive_tags: BTreeMap::new(),
            source_identity: None,
            chain_depth,
        }),
        session_policy: None,
    };
    Vouched::in_process(actor)
}

fn query(role_arn: &str) -> AssumeRole {
    AssumeRole { role_arn: role_arn.to_owned(), session_name: "ana".to_owned(), ..AssumeRole::default() }
}

const KEY: &str = "LKIAAAAAAAAAAAAAAAAA";

/// Instantiates promises for the engine and for the engine behind gRPC.
macro_rules! suite {
    ($($promise:ident),* $(,)?) => {
        mod engine { $(
            lanyard_store::on_each_store!($promise: database => {
                crate::$promise(crate::hub(&database).await).await;
            });
        )* }

        mod grpc { $(
            lanyard_store::on_each_store!($promise: database => {
                crate::$promise(crate::behind_grpc::hub(&database).await).await;
            });
        )* }
    };
}

suite! {
    a_session_opens_to_the_role_and_names_all_that_it_descends_from,
    a_role_that_is_not_there_and_one_not_admitted_answer_alike,
    a_chained_session_lives_an_hour_at_most,
    immunity_32_a_signature_makes_one_session,
    a_session_minted_before_a_rotation_lives_on_and_half_a_rotation_changes_nothing,
    a_chained_session_names_the_key_of_the_session_before,
    immunity_20_a_chained_session_names_every_session_before,
    a_source_identity_goes_down_the_chain_and_is_told_of_each_session,
    immunity_20_a_block_on_the_role_its_account_or_the_session_stops_assume_role,
    immunity_20_no_session_is_made_that_a_revocation_of_this_second_has_ended,
    a_users_session_is_its_users_and_assumes_a_role_for_as_long_as_the_user,
    immunity_32_a_signature_makes_one_users_session,
}

// Behind gRPC an actor was admitted for the very method that is called.
on_each_store!(a_users_session_is_not_had_by_being_admitted_for_something_else);

async fn a_session_opens_to_the_role_and_names_all_that_it_descends_from<S: Sessions>(hub: Hub<S>) {
    let session = hub.sessions.assume_role(actor(ROLE_ARN, KEY, 0), query(ROLE_ARN)).await.unwrap();
    assert_eq!(session.arn, "arn:aws:sts::111122223333:assumed-role/dev/ana");
    assert_eq!(session.assumed_role_id, "AROAAAAAAAAAAAAAAAAAA:ana");
    let opener = session_opener(hub.store.keyring());
    let opened = opener
        .open(&session.access_key_id, session.session_token.expose_secret(), OffsetDateTime::now_utc())
        .unwrap();
    assert_eq!(opened.secret_access_key.expose(), session.secret_access_key.expose_secret());
    let ancestors = opened.claims.ancestors;
    assert!(ancestors.contains(&Ancestor::AccessKey(AccessKeyId::parse(KEY).unwrap())), "{ancestors:?}");
    assert!(ancestors.iter().any(|ancestor| matches!(ancestor, Ancestor::User(_))), "{ancestors:?}");
}

async fn a_role_that_is_not_there_and_one_not_admitted_answer_alike<S: Sessions>(hub: Hub<S>) {
    let absent = "arn:aws:iam::111122223333:role/team/none";
    let other_path = "arn:aws:iam::111122223333:role/dev";
    let mut texts = Vec::new();
    for (admitted, asked) in [(absent, absent), (other_path, other_path), (absent, ROLE_ARN)] {
        let refused = hub.sessions.assume_role(actor(admitted, KEY, 0), query(asked)).await.unwrap_err();
        assert!(matches!(refused, CallError::Denied(_)), "{refused:?}");
        texts.push(refused.to_string());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1);
}

async fn a_chained_session_lives_an_hour_at_most<S: Sessions>(hub: Hub<S>) {
    let ask = |seconds| AssumeRole { duration_seconds: seconds, ..query(ROLE_ARN) };
    let by_user = hub.sessions.assume_role(actor(ROLE_ARN, KEY, 0), ask(7_200)).await;
    assert!(by_user.is_ok());
    let by_session = hub.sessions.assume_role(actor(ROLE_ARN, "LSIAAAAAAAAAAAAAAAAA", 1), ask(7_200)).await;
    assert!(matches!(by_session, Err(CallError::Invalid { rule: "duration", .. })));
}

async fn immunity_32_a_signature_makes_one_session<S: Sessions>(hub: Hub<S>) {
    let mut by = actor(ROLE_ARN, KEY, 0);
    let expires_at = OffsetDateTime::now_utc() + time::Duration::minutes(10);
    by.value.signature = Some(SignatureUse { digest: [1; 32], expires_at });
    let refused =
        hub.sessions.assume_role(by.clone(), AssumeRole { duration_seconds: 1, ..query(ROLE_ARN) }).await;
    assert!(matches!(refused, Err(CallError::Invalid { .. })), "a call that makes nothing uses nothing up");
    hub.sessions.assume_role(by.clone(), query(ROLE_ARN)).await.unwrap();
    let again = hub.sessions.assume_role(by, query(ROLE_ARN)).await;
    assert!(matches!(again, Err(CallError::Replayed)), "{again:?}");
}

async fn a_session_minted_before_a_rotation_lives_on_and_half_a_rotation_changes_nothing<S: Sessions>(
    hub: Hub<S>,
) {
    let before = hub.sessions.assume_role(actor(ROLE_ARN, KEY, 0), query(ROLE_ARN)).await.unwrap();
    let (opener_before, now) = (session_opener(hub.store.keyring()), OffsetDateTime::now_utc());
    let mutation = Mutation::system("test");
    hub.store.rotate(&mutation, &[Purpose::SessionOpening], Duration::ZERO, &[]).await.unwrap();
    let half = minting_keys(hub.store.keyring()).unwrap().key_id;
    hub.store.rotate(&mutation, &[Purpose::SessionSigning], Duration::ZERO, &[]).await.unwrap();
    hub.store.rotate(&mutation, &[Purpose::SessionSecret], Duration::ZERO, &[]).await.unwrap();
    assert_eq!(minting_keys(hub.store.keyring()).unwrap().key_id, half + 1);
    // The engine follows: nobody has started it anew.
    let after = hub.sessions.assume_role(actor(ROLE_ARN, KEY, 0), query(ROLE_ARN)).await.unwrap();
    let opener = session_opener(hub.store.keyring());
    for (session, is_old) in [(before, true), (after, false)] {
        let token = session.session_token.expose_secret();
        opener.open(&session.access_key_id, token, now).unwrap();
        assert_eq!(opener_before.open(&session.access_key_id, token, now).is_ok(), is_old);
    }
}

async fn a_chained_session_names_the_key_of_the_session_before<S: Sessions>(hub: Hub<S>) {
    let session = "LSIAAAAAAAAAAAAAAAAA";
    let made = hub.sessions.assume_role(actor(ROLE_ARN, session, 1), query(ROLE_ARN)).await.unwrap();
    let opener = session_opener(hub.store.keyring());
    let token = made.session_token.expose_secret();
    let opened = opener.open(&made.access_key_id, token, OffsetDateTime::now_utc()).unwrap();
    assert!(opened.claims.ancestors.contains(&Ancestor::AccessKey(AccessKeyId::parse(session).unwrap())));
    assert_eq!(opened.claims.chain_depth, 1);
}

async fn immunity_20_a_chained_session_names_every_session_before<S: Sessions>(hub: Hub<S>) {
    let mut by = actor(ROLE_ARN, "LSIAAAAAAAAAAAAAAAAA", 2);
    if let ActorKind::Principal { arn, principal_id, lineage, .. } = &mut by.value.kind {
        *arn = PrincipalArn::parse("arn:aws:sts::111122223333:assumed-role/ci/run-17").unwrap();
        *principal_id = "AROACICICICICICICICIC".to_owned();
        lineage.ancestors = ["role/AROASTARTSTARTSTARTS", "certificate/:start", "key/LSIAAAAAAAAAAAAAAAAB"]
            .map(str::to_owned)
            .into();
    }
    let made = hub.sessions.assume_role(by, query(ROLE_ARN)).await.unwrap();
    let opener = session_opener(hub.store.keyring());
    let token = made.session_token.expose_secret();
    let opened = opener.open(&made.access_key_id, token, OffsetDateTime::now_utc()).unwrap();
    let named: Vec<String> = opened.claims.ancestors.iter().map(Ancestor::to_string).collect();
    let expected = [
        "role/AROACICICICICICICICIC:run-17",
        "key/LSIAAAAAAAAAAAAAAAAA",
        "role/AROASTARTSTARTSTARTS:start",
        "key/LSIAAAAAAAAAAAAAAAAB",
    ];
    assert_eq!(named, expected);
}

async fn a_source_identity_goes_down_the_chain_and_is_told_of_each_session<S: Sessions>(hub: Hub<S>) {
    let first = AssumeRole { source_identity: Some("ana".to_owned()), ..query(ROLE_ARN) };
    let first = hub.sessions.assume_role(actor(ROLE_ARN, KEY, 0), first).await.unwrap();
    assert_eq!(first.source_identity.as_deref(), Some("ana"));
    let mut by = actor(ROLE_ARN, "LSIAAAAAAAAAAAAAAAAA", 1);
    if let ActorKind::Principal { lineage, .. } = &mut by.value.kind {
        lineage.source_identity = first.source_identity;
    }
    let second = hub.sessions.assume_role(by, query(ROLE_ARN)).await.unwrap();
    assert_eq!(second.source_identity.as_deref(), Some("ana"), "it was not given again");
    let third = hub.sessions.assume_role(actor(ROLE_ARN, KEY, 0), query(ROLE_ARN)).await.unwrap();
    assert_eq!(third.source_identity, None);
}

/// Blocks, and whether they stop a session of the role by this name.
fn blocks_on_the_role(session_name: &str) -> [(BlockTarget, bool); 5] {
    let canonical_arn = || "arn:aws:iam::111122223333:role/dev".parse().unwrap();
    let principal = |authority| BlockTarget::Principal { authority, canonical_arn: canonical_arn() };
    let session = |session_name: String| BlockTarget::Session {
        authority: Authority::Local,
        canonical_arn: canonical_arn(),
        session_name,
    };
    [
        (principal(Authority::Local), true),
        (principal(Authority::Aws), false),
        (BlockTarget::Account { authority: Authority::Local, account: ACCOUNT.parse().unwrap() }, true),
        (session(session_name.to_owned()), true),
        (session(format!("{session_name}-other")), false),
    ]
}

/// A block that is put up for a test.
fn block(scope: Scope, target: &BlockTarget, created_at: OffsetDateTime) -> Block {
    Block {
        id: BlockId::random(),
        scope,
        target: target.clone(),
        reason: "test".to_owned(),
        created_by: "test".to_owned(),
        created_at,
    }
}

async fn immunity_20_a_block_on_the_role_its_account_or_the_session_stops_assume_role<S: Sessions>(
    hub: Hub<S>,
) {
    for (target, stops) in blocks_on_the_role("ana") {
        for scope in [Scope::Hub, Scope::Account(ACCOUNT.parse().unwrap())] {
            let block = block(scope, &target, OffsetDateTime::now_utc());
            let mutation = Mutation { allow_lockout: true, ..Mutation::system("test") };
            let mut tx = hub.store.begin("test", &mutation, &[scope]).await.unwrap();
            tx.put(&block).await.unwrap();
            tx.commit_unrecorded().await.unwrap();
            let answer = hub.sessions.assume_role(actor(ROLE_ARN, KEY, 0), query(ROLE_ARN)).await;
            let is_blocked = matches!(&answer, Err(CallError::Denied(denial)) if denial.code == "blocked");
            assert_eq!((is_blocked, answer.is_ok()), (stops, !stops), "{scope} {target:?}: {answer:?}");
            let mut tx = hub.store.begin("test", &mutation, &[scope]).await.unwrap();
            tx.delete::<Block>(scope, &block.id.to_string()).await.unwrap().unwrap();
            tx.commit_unrecorded().await.unwrap();
        }
    }
}

async fn immunity_20_no_session_is_made_that_a_revocation_of_this_second_has_ended<S: Sessions>(hub: Hub<S>) {
    let (now, minute) = (OffsetDateTime::now_utc(), time::Duration::MINUTE);
    for (revoked_before, is_made) in [(now + minute, false), (now - minute, true)] {
        let scope = Scope::Account(ACCOUNT.parse().unwrap());
        let mut tx = hub.store.begin("test", &Mutation::system("test"), &[scope]).await.unwrap();
        tx.put(&role(Some(revoked_before))).await.unwrap();
        tx.commit_unrecorded().await.unwrap();
        let answer = hub.sessions.assume_role(actor(ROLE_ARN, KEY, 0), query(ROLE_ARN)).await;
        let has_to_wait =
            matches!(&answer, Err(CallError::Fault(Fault::Throttled { retry_after: Some(_), .. })));
        assert_eq!((has_to_wait, answer.is_ok()), (!is_made, is_made), "{answer:?}");
    }
}

fn user_actor() -> Vouched<Actor> {
    let mut by = actor("arn:aws:iam::111122223333:user/ana", KEY, 0);
    by.value.action = "sts:GetSessionToken".to_owned();
    by
}

async fn a_users_session_is_its_users_and_assumes_a_role_for_as_long_as_the_user<S: Sessions>(hub: Hub<S>) {
    let made = hub.sessions.get_session_token(user_actor(), 129_600).await.unwrap();
    let opener = session_opener(hub.store.keyring());
    let token = made.session_token.expose_secret();
    let opened = opener.open(&made.access_key_id, token, OffsetDateTime::now_utc()).unwrap();
    assert_eq!(opened.claims.session_arn().to_string(), "arn:aws:iam::111122223333:user/ana");
    assert_eq!(made.expires_at - opened.claims.issued_at, time::Duration::hours(36));
    let key = Ancestor::AccessKey(AccessKeyId::parse(KEY).unwrap());
    assert!(opened.claims.ancestors.contains(&key), "{:?}", opened.claims.ancestors);

    // It is no role session, so what it assumes is not chained.
    let longest = AssumeRole { duration_seconds: 7_200, ..query(ROLE_ARN) };
    hub.sessions.assume_role(actor(ROLE_ARN, "LSIAAAAAAAAAAAAAAAAA", 0), longest).await.unwrap();
    for seconds in [899, 129_601] {
        let refused = hub.sessions.get_session_token(user_actor(), seconds).await;
        assert!(matches!(refused, Err(CallError::Invalid { rule: "duration", .. })), "{seconds}");
    }
    let mut of_role = user_actor();
    if let ActorKind::Principal { arn, .. } = &mut of_role.value.kind {
        *arn = PrincipalArn::parse("arn:aws:sts::111122223333:assumed-role/dev/ana").unwrap();
    }
    assert!(matches!(hub.sessions.get_session_token(of_role, 0).await, Err(CallError::Denied(_))));
}

async fn a_users_session_is_not_had_by_being_admitted_for_something_else(database: TestDatabase) {
    let hub = hub(&database).await;
    let other_action = actor(ROLE_ARN, KEY, 0);
    assert!(matches!(hub.sessions.get_session_token(other_action, 0).await, Err(CallError::Denied(_))));
}

async fn immunity_32_a_signature_makes_one_users_session<S: Sessions>(hub: Hub<S>) {
    let mut by = user_actor();
    let expires_at = OffsetDateTime::now_utc() + time::Duration::minutes(10);
    by.value.signature = Some(SignatureUse { digest: [2; 32], expires_at });
    hub.sessions.get_session_token(by.clone(), 0).await.unwrap();
    assert!(matches!(hub.sessions.get_session_token(by, 0).await, Err(CallError::Replayed)));
}

//! Whom a block stops, pods are given nothing of: neither what is kept for them nor anything new, whoever keeps the role.

use lanyard_api::{
    Authority, BlockId, CallError, Mutation, Scope,
    credentials::{AwsRoad, PodCredentials, PodIdentityAssociation, Vend, WebIdentityRefusal},
    mapping::{Block, BlockTarget},
};
use lanyard_store::{Store, test_support::TestDatabase};
use serde_json::Value;

use crate::{
    bearers::*,
    bench::*,
    irsa::{Irsa, SUBJECT},
    road::{Road, role_arn},
    vending::{TARGET, with_target},
};

const REASON: &str = "a word to nobody but its readers";

lanyard_store::on_each_store!(
    immunity_20_a_block_stops_vends_of_a_role_that_aws_keeps_by_either_road,
    immunity_20_a_block_in_a_cluster_stops_irsa_by_the_issuer_that_the_hub_serves_for_it,
);

async fn block(store: &Store, scope: Scope, target: BlockTarget) -> Block {
    let block = Block {
        id: BlockId::random(),
        scope,
        target,
        reason: REASON.to_owned(),
        created_by: "test".to_owned(),
        created_at: NOON,
    };
    let mutation = Mutation { allow_lockout: true, ..Mutation::system("test") };
    let mut transaction = store.begin("test", &mutation, &[scope]).await.unwrap();
    transaction.put(&block).await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
    block
}

async fn lift(store: &Store, block: &Block) {
    let mut transaction = store.begin("test", &Mutation::system("test"), &[block.scope]).await.unwrap();
    transaction.delete::<Block>(block.scope, &block.id.to_string()).await.unwrap().unwrap();
    transaction.commit_unrecorded().await.unwrap();
}

fn principal(authority: Authority, role: &str) -> BlockTarget {
    BlockTarget::Principal { authority, canonical_arn: role.parse().unwrap() }
}

fn everyone(authority: Authority, number: &str) -> BlockTarget {
    BlockTarget::Account { authority, account: account(number) }
}

fn key_of(vended: &PodCredentials) -> String {
    vended.credentials.access_key_id.to_string()
}

/// The pod has credentials, loses them to the block, and gets others when it is lifted.
async fn stops(bench: &Bench, calls: &impl Vend, scope: Scope, target: BlockTarget) {
    let what = format!("{scope} {target:?}");
    let before = key_of(&bench.vend(calls, &token()).await.unwrap());
    let block = block(&bench.store, scope, target).await;
    for _ in 0..2 {
        let answer = bench.vend(calls, &token()).await;
        assert_eq!(why(&answer), "pod_identity_denied", "{what}");
        let Err(CallError::Denied(denial)) = answer else { panic!("{what}") };
        let names = denial.message.contains(&block.id.to_string()) && denial.message.contains("(blocked)");
        assert!(names && !denial.message.contains(REASON), "{what}: {}", denial.message);
    }
    lift(&bench.store, &block).await;
    assert_ne!(key_of(&bench.vend(calls, &token()).await.unwrap()), before, "{what}: what was kept is over");
}

pub(crate) async fn immunity_20_a_block_on_a_role_or_its_account_stops_vends_and_ends_what_is_kept(
    bench: &Bench,
    calls: &impl Vend,
) {
    bench.ready().await;
    let role = format!("arn:aws:iam::{HOME}:role/APP");
    for scope in [Scope::Hub, Scope::Account(account(HOME)), Scope::Cluster(bench.cluster.uid)] {
        stops(bench, calls, scope, principal(Authority::Local, &role)).await;
        stops(bench, calls, scope, everyone(Authority::Local, HOME)).await;
    }
    for target in [
        principal(Authority::Aws, &role),
        principal(Authority::Local, &format!("arn:aws:iam::{HOME}:role/app2")),
        everyone(Authority::Local, ABROAD),
    ] {
        let block = block(&bench.store, Scope::Hub, target.clone()).await;
        assert_eq!(why(&bench.vend(calls, &token()).await), "vended", "{target:?}");
        lift(&bench.store, &block).await;
    }
}

pub(crate) async fn immunity_20_a_block_on_the_target_role_or_its_account_stops_vends(
    bench: &Bench,
    calls: &impl Vend,
) {
    with_target(bench, &trusting("app", Value::Null), false).await;
    bench.lets_assume("app", TARGET).await;
    let first = format!("arn:aws:iam::{HOME}:role/app");
    for scope in [Scope::Hub, Scope::Account(account(ABROAD))] {
        stops(bench, calls, scope, principal(Authority::Local, TARGET)).await;
        stops(bench, calls, scope, everyone(Authority::Local, ABROAD)).await;
        stops(bench, calls, scope, principal(Authority::Local, &first)).await;
    }
}

pub(crate) async fn immunity_20_a_session_or_a_key_that_is_blocked_is_given_to_nobody_again(
    bench: &Bench,
    calls: &impl Vend,
) {
    bench.ready().await;
    let vended = bench.vend(calls, &token()).await.unwrap();
    let session = BlockTarget::Session {
        authority: Authority::Local,
        canonical_arn: format!("arn:aws:iam::{HOME}:role/app").parse().unwrap(),
        session_name: vended.user.arn.rsplit('/').next().unwrap().to_owned(),
    };
    block(&bench.store, Scope::Hub, session).await;
    let next = bench.vend(calls, &token()).await.unwrap();
    assert_ne!(key_of(&next), key_of(&vended));
    let key = BlockTarget::AccessKey { access_key_id: next.credentials.access_key_id.clone() };
    block(&bench.store, Scope::Hub, key).await;
    let last = bench.vend(calls, &token()).await.unwrap();
    assert_ne!(key_of(&last), key_of(&next));
    assert_eq!(key_of(&bench.vend(calls, &token()).await.unwrap()), key_of(&last), "that one is kept");
}

async fn immunity_20_a_block_stops_vends_of_a_role_that_aws_keeps_by_either_road(database: TestDatabase) {
    let road = Road::new(&database).await;
    let (bench, engine) = (&road.bench, &road.bench.engine);
    bench.knows(&[&own_key()]).await;
    road.sts.add_role(&role_arn(), road.role());
    road.sts.add_provider(road.provider().await);
    let association = road.association(None);
    // Blocks name roles without their path.
    let role = format!("arn:aws:iam::{HOME}:role/app");
    for aws_road in [AwsRoad::HubPrincipal, AwsRoad::Issuer] {
        let association = PodIdentityAssociation { aws_road: Some(aws_road), ..association.clone() };
        put(&bench.store, &association).await;
        for scope in [Scope::Hub, Scope::Account(account(HOME)), Scope::Cluster(bench.cluster.uid)] {
            stops(bench, engine, scope, principal(Authority::Aws, &role)).await;
            stops(bench, engine, scope, everyone(Authority::Aws, HOME)).await;
        }
        let block = block(&bench.store, Scope::Hub, principal(Authority::Aws, &role)).await;
        let before = road.sts.assumed().len();
        assert_eq!(why(&bench.vend(engine, &token()).await), "pod_identity_denied", "{aws_road:?}");
        assert_eq!(road.sts.assumed().len(), before, "AWS is not asked for what nobody may have");
        lift(&bench.store, &block).await;
    }
}

async fn immunity_20_a_block_in_a_cluster_stops_irsa_by_the_issuer_that_the_hub_serves_for_it(
    database: TestDatabase,
) {
    let irsa = Irsa::new(&database).await;
    let bench = &irsa.bench;
    irsa.ask().await.unwrap();
    let role = principal(Authority::Local, &format!("arn:aws:iam::{HOME}:role/web"));
    let issuer = format!("https://hub.example/id/{}", bench.cluster.uid);
    let subject =
        |subject: &str| BlockTarget::OidcSubject { issuer: issuer.clone(), subject: subject.to_owned() };
    for (target, refused) in [
        (role, Some(WebIdentityRefusal::AccessDenied)),
        (subject(SUBJECT), Some(WebIdentityRefusal::RejectedClaim)),
        (subject("system:serviceaccount:team-a:bot2"), None),
        (BlockTarget::OidcIssuer { issuer: issuer.clone() }, Some(WebIdentityRefusal::RejectedClaim)),
    ] {
        let block = block(&bench.store, Scope::Cluster(bench.cluster.uid), target.clone()).await;
        match (irsa.ask().await, refused) {
            (Ok(_), None) => {}
            (Err(CallError::Denied(denial)), Some(refused)) => {
                assert_eq!(denial.code, refused.code(), "{target:?}");
                // Who has blocked the bearer is told to nobody, as at the hub's own blocks.
                let is_told = denial.message.contains(&block.id.to_string());
                assert_eq!(is_told, refused == WebIdentityRefusal::AccessDenied, "{}", denial.message);
            }
            (answer, _) => panic!("{target:?}: {answer:?}"),
        }
        lift(&bench.store, &block).await;
        irsa.ask().await.unwrap();
    }
}

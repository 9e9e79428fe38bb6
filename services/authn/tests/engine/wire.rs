//! What is of the wire alone: vouchers on what authn answers, and that yes, no and no answer arrive as the engine gave them. Their
//! promises hold in both forms (`world::form`).

use crate::world::call::{DESCRIBE, Signing, describe, sign};
use crate::world::form::{behind_grpc, vouchers};
use crate::world::{World, world};
use lanyard_api::authn::{Admission, Admit, AdmitQuery, Authenticate, AuthenticateQuery, Authentication};
use lanyard_api::voucher::Audience;
use lanyard_api::{Actor, HubId, Identity};
use lanyard_aws::stand_in::Behaviour;
use lanyard_iam::Credentials;
use lanyard_store::{on_each_store, test_support::TestDatabase};
use prost::Message;

on_each_store!(
    an_identity_arrives_whole_with_a_voucher_for_the_cluster_that_asked,
    a_refusal_a_foreign_token_and_a_fault_stay_what_they_are,
    an_actor_arrives_whole_with_a_voucher_for_the_service_addressed,
    not_proven_and_not_allowed_stay_two_things,
);

async fn an_identity_arrives_whole_with_a_voucher_for_the_cluster_that_asked(database: TestDatabase) {
    let world = world(database).await;
    let remote = behind_grpc(&world.engine, &world.clock);
    let token = world.token(&world.administrator, "dev");
    let here = crate::world::verified(world.ask(token.expose(), &world.cluster).await);
    let there =
        crate::world::verified(remote.authenticate(world.query(token.expose(), &world.cluster)).await);
    assert_eq!(
        (&there.identity.value, there.not_after, &there.verifier),
        (&here.identity.value, here.not_after, &here.verifier)
    );
    let (vouchers, _) = vouchers(&world.clock);
    let key = vouchers.key(Audience::Mapping);
    let opened: Identity = key.open(&there.identity.voucher, Some(world.cluster.uid), world.now()).unwrap();
    assert_eq!(opened, *here.identity.value);
    let other = lanyard_api::ClusterUid::random();
    assert!(key.open::<Identity>(&there.identity.voucher, Some(other), world.now()).is_err());
}

async fn a_refusal_a_foreign_token_and_a_fault_stay_what_they_are(database: TestDatabase) {
    let world = world(database).await;
    let remote = behind_grpc(&world.engine, &world.clock);
    let ask = async |query: AuthenticateQuery| {
        (world.engine.authenticate(query.clone()).await, remote.authenticate(query).await)
    };
    let (here, there) = ask(world.query("not ours", &world.cluster)).await;
    assert_eq!((&here, &there), (&Ok(Authentication::NotOurs), &Ok(Authentication::NotOurs)));
    let wrong = world.token(&world.administrator, "prod");
    let query = AuthenticateQuery { explain: true, ..world.query(wrong.expose(), &world.cluster) };
    let (here, there) = ask(query).await;
    let refusal = crate::world::refused(here);
    assert!(!refusal.hints.is_empty());
    assert_eq!(refusal, crate::world::refused(there));
    for behaviour in [Behaviour::Throttled429, Behaviour::ServerError, Behaviour::Hang] {
        world.sts.behave(behaviour);
        let token = world.token(&world.aws_user("ana"), "dev");
        let (here, there) = ask(world.query(token.expose(), &world.cluster)).await;
        assert_eq!(here.unwrap_err(), there.unwrap_err(), "{behaviour:?}");
    }
}

fn call(world: &World, by: &Credentials, hub: HubId) -> AdmitQuery {
    sign(by, DESCRIBE, &describe("dev").encode_to_vec(), &Signing { hub, ..world.signing() })
}

async fn an_actor_arrives_whole_with_a_voucher_for_the_service_addressed(database: TestDatabase) {
    let world = world(database).await;
    let remote = behind_grpc(&world.engine, &world.clock);
    let query = call(&world, &world.administrator, world.hub.id);
    let Admission::Admitted(here) = world.engine.admit(query.clone()).await.unwrap() else { panic!() };
    let Admission::Admitted(there) = remote.admit(query).await.unwrap() else { panic!() };
    assert_eq!(here.value, there.value);
    let (vouchers, _) = vouchers(&world.clock);
    let opened = vouchers.key(Audience::Mapping).open::<Actor>(&there.voucher, None, world.now()).unwrap();
    assert_eq!(opened, here.value);
    assert!(vouchers.key(Audience::Authz).open::<Actor>(&there.voucher, None, world.now()).is_err());
}

async fn not_proven_and_not_allowed_stay_two_things(database: TestDatabase) {
    let world = world(database).await;
    let remote = behind_grpc(&world.engine, &world.clock);
    let (_, key) = world.user(world.hub.account, "/", "ana").await;
    let hub = world.hub.id;
    let other_hub = HubId::random();
    for query in [call(&world, &key, hub), call(&world, &world.administrator, other_hub)] {
        let here = world.engine.admit(query.clone()).await.unwrap();
        assert!(!matches!(here, Admission::Admitted(_)));
        assert_eq!(remote.admit(query).await.unwrap(), here);
    }
}

use std::sync::Arc;

use lanyard_proto::mapping::v1 as mapping;
use time::{Duration, OffsetDateTime};
use tonic::metadata::MetadataValue;

use super::*;
use crate::{
    methods::request_digest,
    voucher::{Audience, VOUCHER_LIFETIME},
};

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn key(audience: Audience) -> VouchKey {
    VouchKey::derive(&[1; 32], audience)
}

fn message() -> mapping::DeleteClusterRequest {
    let mutation =
        Some(pb::Mutation { reason: "old".to_owned(), allow_lockout: true, ..pb::Mutation::default() });
    mapping::DeleteClusterRequest { mutation, cluster: "dev".to_owned() }
}

/// Admitted for [`message`].
fn actor() -> Actor {
    Actor {
        action: "eks:DeleteCluster".to_owned(),
        request_digest: request_digest(&message()),
        ..Actor::system("test")
    }
}

fn in_extensions(actor: Actor) -> Request<mapping::DeleteClusterRequest> {
    let mut request = Request::new(message());
    request.extensions_mut().insert(Vouched::in_process(actor));
    request
}

fn in_metadata(actor: Actor, key: &VouchKey) -> Request<mapping::DeleteClusterRequest> {
    let voucher = key.vouch(&actor, None, now() + VOUCHER_LIFETIME).unwrap();
    let mut request = Request::new(message());
    request.metadata_mut().insert_bin(ACTOR_METADATA, MetadataValue::from_bytes(&voucher));
    request
}

fn vouched_door(at: OffsetDateTime) -> Door {
    Door::vouched(key(Audience::Mapping), Arc::new(move || at))
}

#[tokio::test]
async fn each_door_takes_actors_from_its_own_side_alone() {
    let vouched = || in_metadata(actor(), &key(Audience::Mapping));
    assert_eq!(Door::behind_door().actor(&in_extensions(actor())).await.unwrap().value, actor());
    assert_eq!(vouched_door(now()).actor(&vouched()).await.unwrap().value, actor());
    assert!(Door::behind_door().actor(&vouched()).await.is_err());
    assert!(vouched_door(now()).actor(&in_extensions(actor())).await.is_err());
    assert!(Door::behind_door().actor(&Request::new(message())).await.is_err());
    assert!(vouched_door(now()).actor(&Request::new(message())).await.is_err());
}

#[tokio::test]
async fn immunity_32_an_admission_fits_one_message_and_what_it_does() {
    let other_digest = Actor { request_digest: [0; 32], ..actor() };
    let other_action = Actor { action: "eks:DescribeCluster".to_owned(), ..actor() };
    for wrong in [other_digest, other_action] {
        let status = Door::behind_door().actor(&in_extensions(wrong.clone())).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
        assert!(vouched_door(now()).actor(&in_metadata(wrong, &key(Audience::Mapping))).await.is_err());
    }
    let mut more = in_extensions(actor());
    more.get_mut().cluster = "prod".to_owned();
    assert!(Door::behind_door().actor(&more).await.is_err(), "another cluster");
    let mut silent = in_extensions(actor());
    silent.get_mut().mutation = None;
    assert!(Door::behind_door().actor(&silent).await.is_err(), "another lockout permit");
}

#[tokio::test]
async fn immunity_41_a_voucher_of_another_service_key_or_minute_is_none() {
    for wrong in [key(Audience::Authz), VouchKey::derive(&[2; 32], Audience::Mapping)] {
        assert!(vouched_door(now()).actor(&in_metadata(actor(), &wrong)).await.is_err());
    }
    let late = vouched_door(now() + VOUCHER_LIFETIME + Duration::seconds(1));
    assert!(late.actor(&in_metadata(actor(), &key(Audience::Mapping))).await.is_err());
}

/// A service that has not heard of the newest version of its key yet.
struct Behind {
    asked: std::sync::atomic::AtomicUsize,
}

#[tonic::async_trait]
impl VouchKeys for Behind {
    fn known(&self) -> Arc<VouchKey> {
        Arc::new(key(Audience::Mapping))
    }

    async fn asked_for(&self) -> Arc<VouchKey> {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Arc::new(VouchKey::derive(&[2; 32], Audience::Mapping).opening([&[1; 32]]))
    }
}

#[tokio::test]
async fn a_voucher_of_a_version_that_was_not_heard_of_is_no_forgery_before_its_keeper_was_asked() {
    let keys = Arc::new(Behind { asked: 0.into() });
    let door = Door::following(Arc::clone(&keys) as Arc<dyn VouchKeys>, Arc::new(now));
    let asked = || keys.asked.load(std::sync::atomic::Ordering::Relaxed);
    let newer = VouchKey::derive(&[2; 32], Audience::Mapping);
    assert!(door.actor(&in_metadata(actor(), &key(Audience::Mapping))).await.is_ok());
    assert_eq!(asked(), 0, "a voucher that opens needs nobody's help");
    assert!(door.actor(&in_metadata(actor(), &newer)).await.is_ok());
    let cluster = ClusterUid(uuid::Uuid::nil());
    let identity = newer.vouch(&actor(), Some(cluster), now() + VOUCHER_LIFETIME).unwrap();
    assert!(door.identity(identity, cluster).await.is_err(), "an actor is no identity");
    assert_eq!(asked(), 2);
    assert!(door.actor(&in_metadata(actor(), &VouchKey::derive(&[3; 32], Audience::Mapping))).await.is_err());
    let mut damaged = in_metadata(actor(), &newer);
    damaged.metadata_mut().insert_bin(ACTOR_METADATA, MetadataValue::from_bytes(b"short"));
    assert!(door.actor(&damaged).await.is_err());
    assert_eq!(asked(), 3, "what is no voucher at all makes nobody ask");
}

#[tokio::test]
async fn a_change_comes_with_its_reason_and_lockout_permit() {
    let change = Door::behind_door().mutation(&in_extensions(actor())).await.unwrap();
    assert_eq!((change.reason.as_deref(), change.allow_lockout), (Some("old"), true));
    let bare = mapping::DeleteClusterRequest { mutation: None, cluster: "dev".to_owned() };
    let mut request = Request::new(bare.clone());
    let actor = Actor { request_digest: request_digest(&bare), ..actor() };
    request.extensions_mut().insert(Vouched::in_process(actor));
    let change = Door::behind_door().mutation(&request).await.unwrap();
    assert_eq!((change.reason, change.allow_lockout), (None, false));
}

#[tokio::test]
async fn a_question_of_people_needs_an_actor_at_a_front_door_and_a_service_asks_freely() {
    let question = || {
        Request::new(lanyard_proto::authz::v1::WhoCanRequest {
            cluster_uid: uuid::Uuid::nil().to_string(),
            attributes: None,
        })
    };
    assert!(Door::behind_door().question(&question()).await.is_err());
    assert!(vouched_door(now()).question(&question()).await.is_ok());
    let call = question().get_ref().call().unwrap();
    let mut admitted = question();
    let actor = Actor { action: call.action.to_owned(), request_digest: call.request_digest, ..actor() };
    admitted.extensions_mut().insert(Vouched::in_process(actor));
    assert!(Door::behind_door().question(&admitted).await.is_ok());
}

//! Calls by the certificate of a principal: who it is, and everything that makes it nobody.

use std::sync::Arc;

use bytes::Bytes;
use lanyard_api::authn::accounts::{Accounts as _, Named, PolicyOwner, User};
use lanyard_api::authn::{Admission, Admit as _, AdmitQuery};
use lanyard_api::mapping::BlockTarget;
use lanyard_api::{ActorKind, Authority, HubId, Scope};
use lanyard_authn::{Engine, NotShared};
use lanyard_iam::{Ancestor, PrincipalId};
use lanyard_kit::tls::{self, Names};
use lanyard_store::{on_each_store, test_support::TestDatabase};
use prost::Message as _;
use time::Duration;

use crate::world::call::{
    ASSUME_ROLE, CREATE_ENTRY, DESCRIBE, Signing, admitted, allow, assume, describe, forbidden, unproven,
};
use crate::world::certificate::{shown, sign_by, signer};
use crate::world::{World, account, refused, system, verified, world};

on_each_store!(
    a_call_by_a_certificate_is_its_principals_and_weighed_by_their_policies,
    a_change_by_a_certificate_counts_once_however_often_it_is_signed,
    a_session_that_a_certificate_assumes_descends_from_the_user_and_the_certificate,
    a_root_that_is_replaced_counts_from_the_next_call,
    immunity_39_a_blocked_certificate_admits_nothing_on_any_replica_and_ends_its_sessions,
    immunity_39_a_certificate_of_a_principal_who_is_gone_or_made_anew_admits_nothing_on_any_replica,
    immunity_39_a_certificate_of_a_removed_account_or_a_blocked_principal_admits_nothing,
    immunity_39_a_certificate_past_its_end_admits_nothing,
    immunity_41_a_door_that_knows_a_certificate_makes_up_no_call_of_its_principal,
    immunity_41_no_certificate_but_of_a_principal_of_this_hub_signs_calls,
);

/// A user who may look at clusters.
async fn ana(world: &World) -> User {
    let (user, _) = world.user(world.hub.account, "/", "ana").await;
    may_describe(world, &user).await;
    user
}

async fn may_describe(world: &World, user: &User) {
    let owner = PolicyOwner::User(user.name.clone());
    world.policy(user.account, owner, "p", &allow("eks:DescribeCluster", "*")).await;
}

/// An honest call.
fn asked(world: &World, by: &tls::KeyedCertificate, method: &str, body: &[u8]) -> AdmitQuery {
    sign_by(&signer(by), shown(by), method, body, &world.signing())
}

fn body() -> Vec<u8> {
    describe("dev").encode_to_vec()
}

/// What the engine and a replica of it say of an honest call.
async fn ask_both(world: &World, replica: &Engine, by: &tls::KeyedCertificate) -> [Admission; 2] {
    let query = asked(world, by, DESCRIBE, &body());
    [world.engine.admit(query.clone()).await.unwrap(), replica.admit(query).await.unwrap()]
}

async fn a_call_by_a_certificate_is_its_principals_and_weighed_by_their_policies(database: TestDatabase) {
    let world = world(database).await;
    let user = ana(&world).await;
    let certificate = world.certificate(&user);
    let ask = async |method: &str, body: &[u8]| {
        world.engine.admit(asked(&world, &certificate, method, body)).await.unwrap()
    };
    let actor = admitted(ask(DESCRIBE, &body()).await);
    let ActorKind::Principal { authority, arn, principal_id, lineage, .. } = actor.kind else { panic!() };
    assert_eq!((authority, principal_id), (Authority::Local, user.principal_id));
    assert_eq!(arn.to_string(), format!("arn:aws:iam::{}:user/ana", world.hub.account));
    let shown = vec![named(&certificate)];
    assert_eq!((lineage.access_key_id, lineage.ancestors, lineage.chain_depth), (None, shown, 0));
    assert_eq!(actor.allowed_by, "statement `Ok` of policy `p`");
    let entry = lanyard_proto::mapping::v1::CreateAccessEntryRequest {
        cluster: "dev".to_owned(),
        principal_arn: format!("arn:aws:iam::{}:user/ana", world.hub.account),
        ..Default::default()
    };
    assert_eq!(forbidden(ask(CREATE_ENTRY, &entry.encode_to_vec()).await).code, "implicit_deny");
    assert_eq!(forbidden(ask("/lanyard.authn.v1.Admit/Admit", &[]).await).code, "unknown_method");
}

async fn a_change_by_a_certificate_counts_once_however_often_it_is_signed(database: TestDatabase) {
    let world = world(database).await;
    let (user, _) = world.user(world.hub.account, "/", "ana").await;
    let owner = PolicyOwner::User(user.name.clone());
    world.policy(user.account, owner, "p", &allow("*", "*")).await;
    let (certificate, other) = (world.certificate(&user), world.certificate(&user));
    let used = async |certificate: &tls::KeyedCertificate, nonce: &str| {
        let message = lanyard_proto::mapping::v1::CreateAccessEntryRequest {
            cluster: "dev".to_owned(),
            principal_arn: format!("arn:aws:iam::{}:user/ana", world.hub.account),
            ..Default::default()
        };
        let how = Signing { nonce, ..world.signing() };
        let signer = signer(certificate);
        let query = sign_by(&signer, shown(certificate), CREATE_ENTRY, &message.encode_to_vec(), &how);
        admitted(world.engine.admit(query).await.unwrap()).signature.unwrap()
    };
    let first = used(&certificate, "0123456789abcdef").await;
    // ECDSA makes another signature each time; it is the same call.
    assert_eq!(used(&certificate, "0123456789abcdef").await, first);
    assert_ne!(used(&certificate, "another-0123456789").await.digest, first.digest);
    assert_ne!(used(&other, "0123456789abcdef").await.digest, first.digest);
    assert!(first.expires_at >= world.now() + Duration::minutes(5));
}

async fn a_session_that_a_certificate_assumes_descends_from_the_user_and_the_certificate(
    database: TestDatabase,
) {
    let world = world(database).await;
    let (user, _) = world.user(world.hub.account, "/", "ana").await;
    let owner = PolicyOwner::User(user.name.clone());
    world.policy(user.account, owner, "p", &allow("sts:AssumeRole", "*")).await;
    let trusted = format!("arn:aws:iam::{}:user/ana", world.hub.account);
    let role = world.role(world.hub.account, "/", "r", &trusted).await;
    let certificate = world.certificate(&user);
    let query = asked(&world, &certificate, ASSUME_ROLE, &assume(&world, &role).encode_to_vec());
    let actor = admitted(world.engine.admit(query).await.unwrap());
    assert!(actor.signature.is_some(), "a session is made once");
    let ActorKind::Principal { lineage, .. } = actor.kind else { panic!() };
    assert_eq!((lineage.access_key_id, lineage.ancestors), (None, vec![named(&certificate)]));
}

/// As ancestors name a certificate.
fn named(certificate: &tls::KeyedCertificate) -> String {
    format!("certificate/{}", shown(certificate).1.unwrap())
}

async fn immunity_39_a_blocked_certificate_admits_nothing_on_any_replica_and_ends_its_sessions(
    database: TestDatabase,
) {
    let world = world(database).await;
    let user = ana(&world).await;
    let role = world.role(user.account, "/", "r", "*").await;
    let (stolen, other) = (world.certificate(&user), world.certificate(&user));
    let sha256 = shown(&stolen).1.unwrap();
    let ancestors = vec![
        Ancestor::User(PrincipalId::parse(&user.principal_id).unwrap()),
        Ancestor::Certificate(sha256.clone()),
    ];
    let (session, _) = world.session_of(&role, ancestors, 0).await;
    let owner = PolicyOwner::Role(role.name.clone());
    world.policy(user.account, owner, "p", &allow("eks:DescribeCluster", "*")).await;
    let replica = world.sharing(NotShared);
    let ask = async |certificate: &tls::KeyedCertificate| ask_both(&world, &replica, certificate).await;
    let by_session = async || world.call(&session.credentials, DESCRIBE, &describe("dev")).await;
    let knocks = async || world.knock(&session.credentials, &world.cluster).await;
    let target = || BlockTarget::Certificate { sha256: sha256.parse().unwrap() };
    for scope in [Scope::Hub, Scope::Account(user.account)] {
        assert!(ask(&stolen).await.iter().all(|answer| matches!(answer, Admission::Admitted(_))));
        admitted(by_session().await);
        verified(knocks().await);
        let block = world.block(scope, target()).await;
        assert_eq!(ask(&stolen).await.map(|answer| forbidden(answer).code), ["blocked"; 2]);
        assert!(ask(&other).await.iter().all(|answer| matches!(answer, Admission::Admitted(_))));
        assert_eq!(forbidden(by_session().await).code, "blocked");
        assert_eq!(refused(knocks().await).denial.code, "blocked");
        world.remove(&block).await;
    }
    // In one cluster it stops there whoever comes by it.
    let block = world.block(Scope::Cluster(world.cluster.uid), target()).await;
    assert_eq!(refused(knocks().await).denial.code, "blocked");
    world.remove(&block).await;
    verified(knocks().await);
}

async fn a_root_that_is_replaced_counts_from_the_next_call(database: TestDatabase) {
    let world = world(database).await;
    let user = ana(&world).await;
    let before = world.certificate(&user);
    let scratch = tempfile::tempdir().unwrap();
    let hub = world.hub.id.to_string();
    let next = tls::Authority::create(&scratch.path().join("next"), &hub, world.now()).unwrap();
    let account = user.account.to_string();
    let after =
        next.issue_principal("local", &account, &user.principal_id, Duration::DAY, world.now()).unwrap();
    let ask = async |certificate: &tls::KeyedCertificate| {
        world.engine.admit(asked(&world, certificate, DESCRIBE, &body())).await.unwrap()
    };
    admitted(ask(&before).await);
    assert_eq!(unproven(ask(&after).await), "certificate_untrusted");
    let chains = tls::ChainVerifier::new(&next.roots().unwrap()).unwrap();
    world.chains.send_replace(Arc::new(chains));
    assert_eq!(unproven(ask(&before).await), "certificate_untrusted");
    admitted(ask(&after).await);
}

async fn immunity_39_a_certificate_of_a_principal_who_is_gone_or_made_anew_admits_nothing_on_any_replica(
    database: TestDatabase,
) {
    let world = world(database).await;
    let user = ana(&world).await;
    let certificate = world.certificate(&user);
    let replica = world.sharing(NotShared);
    let ask = async || ask_both(&world, &replica, &certificate).await;
    assert!(ask().await.iter().all(|answer| matches!(answer, Admission::Admitted(_))));
    let named = || Named { account: Some(user.account), name: user.name.clone() };
    for key in world.engine.list_access_keys(in_process(), named()).await.unwrap() {
        world.engine.delete_access_key(system(), named(), key.id).await.unwrap();
    }
    let owner = PolicyOwner::User(user.name.clone());
    world.engine.delete_policy(system(), Some(user.account), owner, "p".to_owned()).await.unwrap();
    world.engine.delete_user(system(), named(), false).await.unwrap();
    assert_eq!(ask().await.map(unproven), ["certificate_principal_gone"; 2]);
    let anew = ana(&world).await;
    assert_ne!(anew.principal_id, user.principal_id);
    assert_eq!(ask().await.map(unproven), ["certificate_principal_gone"; 2], "another of the same name");
    let query = asked(&world, &world.certificate(&anew), DESCRIBE, &body());
    assert!(matches!(replica.admit(query).await.unwrap(), Admission::Admitted(_)));
}

async fn immunity_39_a_certificate_of_a_removed_account_or_a_blocked_principal_admits_nothing(
    database: TestDatabase,
) {
    let world = world(database).await;
    let user = ana(&world).await;
    let certificate = world.certificate(&user);
    let replica = world.sharing(NotShared);
    let ask = async || ask_both(&world, &replica, &certificate).await;
    let arn = format!("arn:aws:iam::{}:user/ana", user.account);
    let on_principal =
        BlockTarget::Principal { authority: Authority::Local, canonical_arn: arn.parse().unwrap() };
    let on_account = BlockTarget::Account { authority: Authority::Local, account: user.account };
    for (scope, target) in [(Scope::Hub, on_principal), (Scope::Account(user.account), on_account)] {
        assert!(ask().await.iter().all(|answer| matches!(answer, Admission::Admitted(_))));
        let block = world.block(scope, target).await;
        assert_eq!(ask().await.map(|answer| forbidden(answer).code), ["blocked"; 2]);
        world.remove(&block).await;
    }
    // Of an account that this hub does not keep, or keeps no more, nobody has a certificate that counts.
    let local = world.register("222233334444", Authority::Local).await;
    let (theirs, _) = world.user(local, "/", "bob").await;
    may_describe(&world, &theirs).await;
    let query = || asked(&world, &world.certificate(&theirs), DESCRIBE, &body());
    assert!(!matches!(world.engine.admit(query()).await.unwrap(), Admission::Unauthenticated(_)));
    world.register("222233334444", Authority::Sts("lab".to_owned())).await;
    for engine in [&*world.engine, &replica] {
        assert_eq!(unproven(engine.admit(query()).await.unwrap()), "certificate_principal_gone");
    }
    let foreign = world.ca.issue_principal(
        "aws",
        crate::world::AWS_ACCOUNT,
        &user.principal_id,
        Duration::DAY,
        world.now(),
    );
    let query = asked(&world, &foreign.unwrap(), DESCRIBE, &body());
    assert_eq!(unproven(world.engine.admit(query).await.unwrap()), "certificate_principal_gone");
}

async fn immunity_39_a_certificate_past_its_end_admits_nothing(database: TestDatabase) {
    let world = world(database).await;
    let certificate = world.certificate(&ana(&world).await);
    let ask = async || {
        let query = asked(&world, &certificate, DESCRIBE, &body());
        world.engine.admit(query).await.unwrap()
    };
    world.clock.advance(Duration::hours(23));
    admitted(ask().await);
    world.clock.advance(Duration::hours(2));
    assert_eq!(unproven(ask().await), "certificate_ended");
}

async fn immunity_41_a_door_that_knows_a_certificate_makes_up_no_call_of_its_principal(
    database: TestDatabase,
) {
    let world = world(database).await;
    let user = ana(&world).await;
    let (certificate, own) = (world.certificate(&user), world.certificate(&user));
    let honest = || asked(&world, &certificate, DESCRIBE, &body());
    let with = |name: &str, value: &str| {
        let mut query = honest();
        query.headers.retain(|(known, _)| known != name);
        query.headers.push((name.to_owned(), value.to_owned()));
        query
    };
    admitted(world.engine.admit(honest()).await.unwrap());
    // The door knows the certificate of every call that passed it, and has keys of its own, not that one.
    let chain: Vec<String> =
        certificate.chain_pem.split_inclusive("-----END CERTIFICATE-----").map(str::to_owned).collect();
    let forger = tls::KeyedCertificate { chain_pem: chain.concat(), key_pem: own.key_pem.clone() };
    let unsigned = AdmitQuery { headers: Vec::new(), ..honest() };
    let unsigned_for_hub = {
        let mut query = honest();
        query.headers.retain(|(name, _)| name.starts_with("x-lanyard-"));
        query
    };
    let how = world.signing();
    let hub = HubId::random();
    let cases = [
        (unsigned, "certificate_unsigned"),
        (unsigned_for_hub, "certificate_unsigned"),
        (asked(&world, &forger, DESCRIBE, &body()), "signature_mismatch"),
        (AdmitQuery { method: CREATE_ENTRY.to_owned(), ..honest() }, "signature_mismatch"),
        (AdmitQuery { body: Bytes::from_static(b"other"), ..honest() }, "payload_hash_mismatch"),
        (AdmitQuery { authority: "other.example".to_owned(), ..honest() }, "signature_mismatch"),
        (with("x-lanyard-nonce", "another-0123456789"), "signature_mismatch"),
        (with("x-lanyard-hub-id", &hub.to_string()), "wrong_hub"),
        (
            sign_by(
                &signer(&certificate),
                shown(&certificate),
                DESCRIBE,
                &body(),
                &Signing { service: "sts", ..world.signing() },
            ),
            "scope_service",
        ),
        (
            sign_by(
                &signer(&certificate),
                shown(&certificate),
                DESCRIBE,
                &body(),
                &Signing { at: how.at - Duration::minutes(6), ..how },
            ),
            "signature_too_old",
        ),
        // Signed by its holder for another connection than the one that shows it.
        (AdmitQuery { certificate_sha256: shown(&own).1, ..honest() }, "certificate_connection"),
        (
            AdmitQuery { certificate_principal: None, certificate_sha256: None, ..honest() },
            "certificate_connection",
        ),
        (with("x-amz-x509", "bm9uZQ=="), "malformed_certificate"),
    ];
    for (query, code) in cases {
        assert_eq!(unproven(world.engine.admit(query).await.unwrap()), code);
    }
    // Captured, it is good for the same call alone, which changes nothing.
    let beside = lanyard_api::authn::Beside { method: CREATE_ENTRY.to_owned(), body: Bytes::new() };
    let refused = world.engine.admit(AdmitQuery { beside: Some(beside), ..honest() }).await.unwrap();
    assert!(!matches!(refused, Admission::Admitted(_)), "{refused:?}");
}

async fn immunity_41_no_certificate_but_of_a_principal_of_this_hub_signs_calls(database: TestDatabase) {
    let world = world(database).await;
    let user = ana(&world).await;
    let now = world.now();
    let scratch = tempfile::tempdir().unwrap();
    let ca = |name: &str, hub: &str| tls::Authority::create(&scratch.path().join(name), hub, now).unwrap();
    let of = |ca: &tls::Authority| {
        let account = user.account.to_string();
        ca.issue_principal("local", &account, &user.principal_id, Duration::DAY, now).unwrap()
    };
    let same_names = ca("same", &world.hub.id.to_string());
    let other_hub = ca("other", &HubId::random().to_string());
    let spoke = world.ca.issue_spoke(&world.cluster.uid.to_string(), Duration::DAY, now).unwrap();
    let service = world.ca.issue_service("gateway", &Names::default(), Duration::DAY, now).unwrap();
    let cases = [
        (of(&same_names), "certificate_untrusted", "certificate_untrusted"),
        (of(&other_hub), "certificate_untrusted", "certificate_untrusted"),
        (spoke, "certificate_principal", "certificate_connection"),
        (service, "certificate_principal", "certificate_principal"),
    ];
    for (certificate, code, code_as_ana) in cases {
        let query = asked(&world, &certificate, DESCRIBE, &body());
        // What the door says of the connection makes no difference.
        let (certificate_principal, certificate_sha256) = shown(&world.certificate(&user));
        let as_ana = AdmitQuery { certificate_principal, ..query.clone() };
        let as_her_own = AdmitQuery { certificate_sha256, ..as_ana.clone() };
        for (query, code) in [(query, code), (as_ana, code_as_ana), (as_her_own, code_as_ana)] {
            assert_eq!(unproven(world.engine.admit(query).await.unwrap()), code);
        }
    }
    // Nor is a principal a spoke, though a door says so.
    let principal = shown(&world.certificate(&user)).0;
    let push =
        lanyard_proto::mapping::v1::PushAwsAuthRequest { cluster: "dev".to_owned(), ..Default::default() };
    let query = AdmitQuery {
        certificate_principal: principal,
        headers: Vec::new(),
        ..asked(
            &world,
            &world.certificate(&user),
            "/lanyard.mapping.v1.Clusters/PushAwsAuth",
            &push.encode_to_vec(),
        )
    };
    assert!(matches!(world.engine.admit(query).await.unwrap(), Admission::Unauthenticated(_)));
    assert_eq!(account(&user.account.to_string()), user.account);
}

fn in_process() -> lanyard_api::Vouched<lanyard_api::Actor> {
    lanyard_api::Vouched::in_process(lanyard_api::Actor::system("test"))
}

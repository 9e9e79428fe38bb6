//! Who may call: signatures by a signer of another make, each part of them attacked.

use crate::promises::in_each_form;
use crate::world::call::{
    ASSUME_ROLE, CREATE_ENTRY, DELETE_ENTRY, DESCRIBE, Signing, admitted, allow, assume, describe, forbidden,
    sign, unproven,
};
use crate::world::certificate::{shown, sign_by, signer};
use crate::world::form::Start;
use crate::world::{REGION, system, world};
use bytes::Bytes;
use lanyard_api::authn::accounts::{Accounts, Named, PolicyOwner};
use lanyard_api::authn::{Admission, AdmitQuery, Beside};
use lanyard_api::mapping::{BlockTarget, Cluster, SpokeCredential, SpokeCredentialKind};
use lanyard_api::{ActorKind, Authority, HubId, Scope};
use lanyard_iam::{Ancestor, CanonicalArn, Credentials, PrincipalId, SecretAccessKey};
use lanyard_kit::tls::KeyedCertificate;
use lanyard_proto::mapping::v1 as mapping;
use lanyard_store::{on_each_store, test_support::TestDatabase};
use prost::Message;
use sha2::{Digest as _, Sha256};
use time::Duration;

in_each_form! {
    a_call_of_another_make_is_admitted_as_its_signer_for_this_very_message,
    immunity_32_a_captured_signature_is_good_for_nothing_else,
    immunity_32_a_clusters_token_proves_no_call_and_a_calls_signature_no_token,
    immunity_32_a_mutations_signature_is_one_use_and_a_session_too,
    keys_that_do_not_count_are_named,
    a_blocked_caller_is_refused_whatever_their_policies_say,
    immunity_20_a_session_that_a_blocked_one_has_made_admits_nothing,
    immunity_36_a_session_whose_ancestor_is_gone_admits_nothing,
    what_cannot_be_read_or_passes_no_door_is_told_after_the_signature_alone,
    what_a_caller_may_see_beside_their_call_is_weighed_by_their_own_policies,
    a_spoke_is_admitted_by_its_certificate_to_push_its_own_cluster_alone,
    immunity_39_a_spokes_certificate_that_is_deleted_admits_nothing,
    immunity_49_the_api_servers_own_credential_pushes_no_keys,
}

// The server behind gRPC lets nobody call themselves a service by a message.
on_each_store!(
    immunity_41_a_door_that_knows_a_spokes_certificate_makes_up_no_push,
    immunity_41_the_spoke_service_acts_for_the_cluster_that_its_call_names,
);

async fn a_call_of_another_make_is_admitted_as_its_signer_for_this_very_message(start: Start) {
    let world = world(start).await;
    let request = describe("dev");
    let actor = admitted(world.call(&world.administrator, DESCRIBE, &request).await);
    let account = world.hub.account;
    assert_eq!(actor.name(), format!("arn:aws:iam::{account}:user/administrator"));
    assert_eq!(actor.action, "eks:DescribeCluster");
    assert_eq!(actor.resource, format!("arn:aws:eks:{REGION}:{account}:cluster/dev"));
    assert_eq!(actor.request_digest, lanyard_api::methods::request_digest(&request));
    assert_eq!(actor.allowed_by, "statement `Administrator` of policy `administrator`");
    assert_eq!(actor.signature, None, "a look may be repeated");
    let ActorKind::Principal { lineage, .. } = actor.kind else { panic!() };
    let key = Some(world.administrator.access_key_id.clone());
    assert_eq!((lineage.access_key_id, lineage.chain_depth), (key, 0));
}

async fn immunity_32_a_captured_signature_is_good_for_nothing_else(start: Start) {
    let world = world(start).await;
    let body = describe("dev").encode_to_vec();
    let honest = || sign(&world.administrator, DESCRIBE, &body, &world.signing());
    let mut cases: Vec<(&str, AdmitQuery, &str)> = Vec::new();
    cases.push((
        "another method",
        AdmitQuery { method: DELETE_ENTRY.to_owned(), ..honest() },
        "signature_mismatch",
    ));
    let other_body = Bytes::from(describe("prod").encode_to_vec());
    cases.push(("another body", AdmitQuery { body: other_body, ..honest() }, "payload_hash_mismatch"));
    cases.push((
        "another host",
        AdmitQuery { authority: "evil.example".to_owned(), ..honest() },
        "signature_mismatch",
    ));
    let how = |change: &dyn Fn(&mut Signing<'_>)| {
        let mut how = world.signing();
        change(&mut how);
        sign(&world.administrator, DESCRIBE, &body, &how)
    };
    cases.push(("another hub", how(&|how| how.hub = HubId::random()), "wrong_hub"));
    cases.push(("another service", how(&|how| how.service = "eks"), "scope_service"));
    cases.push(("STS's service", how(&|how| how.service = "sts"), "scope_service"));
    cases.push(("another region", how(&|how| how.region = "us-east-1"), "scope_region"));
    cases.push(("old", how(&|how| how.at -= Duration::seconds(301)), "signature_too_old"));
    cases.push(("from the future", how(&|how| how.at += Duration::seconds(301)), "signature_from_future"));
    cases.push(("short nonce", how(&|how| how.nonce = "short"), "nonce"));
    cases.push((
        "a cluster's id signed",
        how(&|how| how.extra = &[("x-k8s-aws-id", "dev")]),
        "cluster_token",
    ));
    let set = |name: &str, value: &str| {
        let mut query = honest();
        query.headers.retain(|(key, _)| key != name);
        query.headers.push((name.to_owned(), value.to_owned()));
        query
    };
    cases.push(("a swapped hub id", set("x-lanyard-hub-id", &HubId::random().to_string()), "wrong_hub"));
    cases.push(("a swapped nonce", set("x-lanyard-nonce", "fedcba9876543210"), "signature_mismatch"));
    cases.push(("another host header", set("host", "evil.example"), "host"));
    let without = |name: &str| {
        let mut query = honest();
        query.headers.retain(|(key, _)| key != name);
        query
    };
    cases.push(("no nonce", without("x-lanyard-nonce"), "nonce"));
    cases.push(("no hub id", without("x-lanyard-hub-id"), "wrong_hub"));
    cases.push(("no date", without("x-amz-date"), "date_missing"));
    cases.push(("no content hash", without("x-amz-content-sha256"), "signed_header_missing"));
    cases.push(("no signature", without("authorization"), "unsigned"));
    let mut doubled = honest();
    doubled.headers.push(("x-lanyard-hub-id".to_owned(), world.hub.id.to_string()));
    cases.push(("two hub ids", doubled, "wrong_hub"));
    let mut certificate = honest();
    certificate.certificate_principal = Some("arn:aws:iam::111122223333:user/ana".to_owned());
    cases.push(("a certificate", certificate, "certificate_unsigned"));
    for (what, query, code) in cases {
        assert_eq!(unproven(world.admit(query).await.unwrap()), code, "{what}");
    }
    admitted(world.admit(honest()).await.unwrap());
}

async fn immunity_32_a_clusters_token_proves_no_call_and_a_calls_signature_no_token(start: Start) {
    let world = world(start).await;
    let token = world.token(&world.administrator, "dev");
    let with_token = AdmitQuery {
        method: format!("{DESCRIBE}?{}", token.expose()),
        ..sign(&world.administrator, DESCRIBE, b"", &world.signing())
    };
    assert_eq!(unproven(world.admit(with_token).await.unwrap()), "signature_mismatch");
    let bearer = AdmitQuery {
        headers: vec![
            ("authorization".to_owned(), format!("Bearer {}", token.expose())),
            ("x-lanyard-hub-id".to_owned(), world.hub.id.to_string()),
            ("x-lanyard-nonce".to_owned(), "0123456789abcdef".to_owned()),
        ],
        ..sign(&world.administrator, DESCRIBE, b"", &world.signing())
    };
    // A bearer is a node, which names its cluster; and then, that cluster's issuer has not signed this.
    assert_eq!(unproven(world.admit(bearer.clone()).await.unwrap()), "node_cluster");
    let mut of_cluster = bearer;
    of_cluster.headers.push(("x-lanyard-cluster".to_owned(), "dev".to_owned()));
    assert_eq!(unproven(world.admit(of_cluster).await.unwrap()), "node_token");
}

async fn immunity_32_a_mutations_signature_is_one_use_and_a_session_too(start: Start) {
    let world = world(start).await;
    let entry = mapping::CreateAccessEntryRequest { cluster: "dev".to_owned(), ..Default::default() };
    let body = entry.encode_to_vec();
    let admit = |nonce: &'static str| {
        let how = Signing { nonce, ..world.signing() };
        world.admit(sign(&world.administrator, CREATE_ENTRY, &body, &how))
    };
    let first = admitted(admit("0123456789abcdef").await.unwrap()).signature.unwrap();
    let again = admitted(admit("0123456789abcdef").await.unwrap()).signature.unwrap();
    let other = admitted(admit("fedcba9876543210").await.unwrap()).signature.unwrap();
    assert_eq!(first, again, "the same call is the same use");
    assert_ne!(first.digest, other.digest);
    assert_eq!(first.expires_at, world.now() + Duration::minutes(10));
    let role = world
        .role(
            world.hub.account,
            "/",
            "Dev",
            &format!("arn:aws:iam::{}:user/administrator", world.hub.account),
        )
        .await;
    let assume = assume(&world, &role);
    assert!(admitted(world.call(&world.administrator, ASSUME_ROLE, &assume).await).signature.is_some());
}

async fn keys_that_do_not_count_are_named(start: Start) {
    let world = world(start).await;
    let key = world.policed("ana", &allow("*", "*")).await;
    let unknown = world.aws_user("ana");
    assert_eq!(unproven(world.call(&unknown, DESCRIBE, &describe("dev")).await), "unknown_key");
    let guess = Credentials { secret_access_key: SecretAccessKey::new("guess".to_owned()), ..key.clone() };
    assert_eq!(unproven(world.call(&guess, DESCRIBE, &describe("dev")).await), "signature_mismatch");
    let named = Named { account: Some(world.hub.account), name: "ana".to_owned() };
    world.engine.set_access_key_active(system(), named, key.access_key_id.clone(), false).await.unwrap();
    assert_eq!(unproven(world.call(&key, DESCRIBE, &describe("dev")).await), "inactive_key");
}

async fn a_blocked_caller_is_refused_whatever_their_policies_say(start: Start) {
    let world = world(start).await;
    let key = world.policed("ana", &allow("*", "*")).await;
    let canonical_arn = CanonicalArn::parse(&format!("arn:aws:iam::{}:user/ana", world.hub.account)).unwrap();
    for scope in [Scope::Hub, Scope::Account(world.hub.account)] {
        let target =
            BlockTarget::Principal { authority: Authority::Local, canonical_arn: canonical_arn.clone() };
        let block = world.block(scope, target).await;
        assert_eq!(forbidden(world.call(&key, DESCRIBE, &describe("dev")).await).code, "blocked", "{scope}");
        world.remove(&block).await;
    }
    admitted(world.call(&key, DESCRIBE, &describe("dev")).await);
}

async fn immunity_20_a_session_that_a_blocked_one_has_made_admits_nothing(start: Start) {
    let world = world(start).await;
    let home = world.hub.account;
    let ci = world.role(home, "/", "ci", "*").await;
    let deployer = world.role(home, "/", "deployer", "*").await;
    let owner = PolicyOwner::Role("deployer".to_owned());
    world.policy(home, owner, "p", &allow("eks:DescribeCluster", "*")).await;
    let role = PrincipalId::parse(&ci.principal_id).unwrap();
    let between = Ancestor::RoleSession { role, name: "run-17".to_owned() };
    let (session, _) = world.session_of(&deployer, vec![between], 1).await;
    let ask = async || world.call(&session.credentials, DESCRIBE, &describe("dev")).await;
    let ActorKind::Principal { lineage, .. } = admitted(ask().await).kind else { panic!() };
    let named = [format!("role/{}", ci.principal_id), "certificate/:run-17".to_owned()];
    assert_eq!(lineage.ancestors, named);
    for (name, stops) in [("run-17", true), ("run-18", false)] {
        for scope in [Scope::Hub, Scope::Account(home)] {
            let target = BlockTarget::Session {
                authority: Authority::Local,
                canonical_arn: CanonicalArn::parse(&format!("arn:aws:iam::{home}:role/ci")).unwrap(),
                session_name: name.to_owned(),
            };
            let block = world.block(scope, target).await;
            match stops {
                true => assert_eq!(forbidden(ask().await).code, "blocked", "{scope} {name}"),
                false => drop(admitted(ask().await)),
            }
            world.remove(&block).await;
        }
    }
}

async fn immunity_36_a_session_whose_ancestor_is_gone_admits_nothing(start: Start) {
    let world = world(start).await;
    let home = world.hub.account;
    let (user, key) = world.user(home, "/", "ana").await;
    let role = world.role(home, "/", "Dev", "*").await;
    world.policy(home, PolicyOwner::Role("Dev".to_owned()), "eks", &allow("eks:*", "*")).await;
    let ancestors = vec![
        Ancestor::User(PrincipalId::parse(&user.principal_id).unwrap()),
        Ancestor::AccessKey(key.access_key_id),
    ];
    let (session, _) = world.session_of(&role, ancestors, 0).await;
    admitted(world.call(&session.credentials, DESCRIBE, &describe("dev")).await);
    world
        .engine
        .delete_user(system(), Named { account: Some(home), name: "ana".to_owned() }, false)
        .await
        .unwrap();
    assert_eq!(
        unproven(world.call(&session.credentials, DESCRIBE, &describe("dev")).await),
        "session_ancestor_gone"
    );
}

async fn what_cannot_be_read_or_passes_no_door_is_told_after_the_signature_alone(start: Start) {
    let world = world(start).await;
    let bad = |method: &str, body: &[u8]| sign(&world.administrator, method, body, &world.signing());
    let garbage = forbidden(world.admit(bad(DESCRIBE, &[0xff; 7])).await.unwrap());
    assert_eq!(garbage.code, "invalid_request");
    let internal = bad("/lanyard.authn.v1.Authenticate/Authenticate", b"");
    assert_eq!(forbidden(world.admit(internal).await.unwrap()).code, "unknown_method");
    let mut unsigned = bad(DESCRIBE, &[0xff; 7]);
    unsigned.headers.retain(|(name, _)| name != "authorization");
    assert_eq!(unproven(world.admit(unsigned).await.unwrap()), "unsigned");
}

async fn what_a_caller_may_see_beside_their_call_is_weighed_by_their_own_policies(start: Start) {
    const LIST: &str = "/lanyard.mapping.v1.Entries/ListAccessEntries";
    let world = world(start).await;
    let message = mapping::ListAccessEntriesRequest { cluster: "dev".to_owned(), ..Default::default() };
    let beside = |method: &str, message: &[u8]| {
        Some(Beside { method: method.to_owned(), body: Bytes::copy_from_slice(message) })
    };
    let body = describe("dev").encode_to_vec();
    let ask = async |by: &Credentials, beside: Option<Beside>| {
        let signed = sign(by, DESCRIBE, &body, &world.signing());
        world.admit(AdmitQuery { beside, ..signed }).await.unwrap()
    };
    let both = world.policed("both", &allow("eks:*", "*")).await;
    let one = world.policed("one", &allow("eks:DescribeCluster", "*")).await;
    let actor = admitted(ask(&both, beside(LIST, &message.encode_to_vec())).await);
    assert_eq!(actor.action, "eks:ListAccessEntries");
    assert_eq!(actor.request_digest, lanyard_api::methods::request_digest(&message));
    assert_eq!(actor.signature, None);
    admitted(ask(&one, None).await);
    assert_eq!(forbidden(ask(&one, beside(LIST, &message.encode_to_vec())).await).code, "implicit_deny");
    // Nobody changes anything that they did not sign, and no signature that does not hold lets see anything.
    let delete = mapping::DeleteAccessEntryRequest {
        cluster: "dev".to_owned(),
        principal_arn: format!("arn:aws:iam::{}:user/both", world.hub.account),
        ..Default::default()
    };
    let deleting = beside(DELETE_ENTRY, &delete.encode_to_vec());
    assert_eq!(forbidden(ask(&both, deleting).await).code, "not_signed");
    let mut forged = sign(&both, DESCRIBE, &body, &world.signing());
    forged.body = Bytes::from_static(b"x");
    forged.beside = beside(LIST, &message.encode_to_vec());
    assert!(matches!(world.admit(forged).await.unwrap(), Admission::Unauthenticated(_)));
}

const PUSH: &str = "/lanyard.mapping.v1.Clusters/PushAwsAuth";

/// A client certificate that counts for a cluster, and what registers it.
async fn certificate(world: &crate::world::World, cluster: &Cluster) -> (KeyedCertificate, SpokeCredential) {
    let issued = world.ca.issue_spoke(&cluster.uid.to_string(), Duration::DAY, world.now()).unwrap();
    let credential = SpokeCredential {
        cluster: cluster.uid,
        id: "c".to_owned(),
        token_sha256: shown(&issued).1.unwrap(),
        created_at: world.now(),
        kind: SpokeCredentialKind::Certificate,
    };
    world.put(&credential).await;
    (issued, credential)
}

/// A call to push aws-auth of a cluster, signed by a spoke.
fn push(world: &crate::world::World, cluster: &str, by: &KeyedCertificate) -> AdmitQuery {
    let message = mapping::PushAwsAuthRequest { cluster: cluster.to_owned(), ..Default::default() };
    sign_by(&signer(by), shown(by), PUSH, &message.encode_to_vec(), &world.signing())
}

async fn a_spoke_is_admitted_by_its_certificate_to_push_its_own_cluster_alone(start: Start) {
    let world = world(start).await;
    let other = crate::world::cluster_of(&world.hub, "other", world.hub.account, world.now());
    world.put(&other).await;
    let ((own, _), (theirs, _)) =
        (certificate(&world, &world.cluster).await, certificate(&world, &other).await);
    let uid = world.cluster.uid;
    let honest = || push(&world, "dev", &own);
    let actor = admitted(world.admit(honest()).await.unwrap());
    assert_eq!(actor.kind, ActorKind::Spoke { cluster: uid });
    assert_eq!(actor.action, "lanyard:PushAwsAuth");
    assert!(actor.signature.is_some(), "a captured push is none");

    let ask = async |query: AdmitQuery| world.admit(query).await.unwrap();
    for cluster in ["other", "none"] {
        assert_eq!(forbidden(ask(push(&world, cluster, &own)).await).code, "other_cluster", "{cluster}");
    }
    let call =
        |method: &str, body: &[u8]| sign_by(&signer(&own), shown(&own), method, body, &world.signing());
    for method in [CREATE_ENTRY, DELETE_ENTRY, ASSUME_ROLE, "/lanyard.mapping.v1.Spokes/PutSpokeKubeconfig"] {
        assert_eq!(forbidden(ask(call(method, &[])).await).code, "spoke_call", "{method}");
    }
    let beside = Some(Beside { method: DESCRIBE.to_owned(), body: Bytes::new() });
    assert_eq!(forbidden(ask(AdmitQuery { beside, ..honest() }).await).code, "spoke_call");
    assert_eq!(forbidden(ask(call(PUSH, &[0xff])).await).code, "invalid_request");
    let anew = world.ca.issue_spoke(&uid.to_string(), Duration::DAY, world.now()).unwrap();
    assert_eq!(
        unproven(ask(push(&world, "dev", &anew)).await),
        "certificate_principal",
        "it is not registered"
    );
    let read = call(DESCRIBE, &describe("dev").encode_to_vec());
    assert_eq!(admitted(ask(read).await).signature, None, "what changes nothing may come again");
    admitted(ask(push(&world, "other", &theirs)).await);
}

async fn immunity_41_a_door_that_knows_a_spokes_certificate_makes_up_no_push(database: TestDatabase) {
    let world = world(database).await;
    let other = crate::world::cluster_of(&world.hub, "other", world.hub.account, world.now());
    world.put(&other).await;
    let ((own, credential), (theirs, _)) =
        (certificate(&world, &world.cluster).await, certificate(&world, &other).await);
    let honest = || push(&world, "dev", &own);
    let ask = async |query: AdmitQuery| world.admit(query).await.unwrap();
    let (hub, uid) = (world.hub.id, world.cluster.uid);
    let forger = KeyedCertificate { key_pem: theirs.key_pem.clone(), ..own.clone() };
    let cases = [
        (AdmitQuery { headers: Vec::new(), ..honest() }, "certificate_unsigned"),
        (push(&world, "dev", &forger), "signature_mismatch"),
        (AdmitQuery { body: push(&world, "other", &own).body, ..honest() }, "payload_hash_mismatch"),
        (AdmitQuery { method: DESCRIBE.to_owned(), ..honest() }, "signature_mismatch"),
        (AdmitQuery { certificate_sha256: None, ..honest() }, "certificate_connection"),
        (AdmitQuery { certificate_sha256: shown(&theirs).1, ..honest() }, "certificate_connection"),
        (
            AdmitQuery {
                certificate_principal: Some(format!("lanyard://hub/{hub}/spoke/{}", other.uid)),
                ..honest()
            },
            "certificate_connection",
        ),
        (
            AdmitQuery {
                headers: Vec::new(),
                certificate_principal: Some(format!("lanyard://hub/{hub}/service/gateway")),
                ..honest()
            },
            "certificate_principal",
        ),
        (
            AdmitQuery {
                headers: Vec::new(),
                certificate_principal: Some(format!("lanyard://hub/{}/spoke/{uid}", HubId::random())),
                certificate_sha256: Some(credential.token_sha256.clone()),
                ..honest()
            },
            "certificate_unsigned",
        ),
        (
            AdmitQuery { headers: Vec::new(), certificate_principal: Some(String::new()), ..honest() },
            "certificate_unsigned",
        ),
    ];
    for (query, code) in cases {
        let who = format!("{:?} {:?}", query.certificate_principal, query.certificate_sha256);
        assert_eq!(unproven(ask(query).await), code, "{who}");
    }
}

async fn immunity_39_a_spokes_certificate_that_is_deleted_admits_nothing(start: Start) {
    let world = world(start).await;
    let (issued, own) = certificate(&world, &world.cluster).await;
    let ask = async || world.admit(push(&world, "dev", &issued)).await.unwrap();
    admitted(ask().await);
    world.remove(&own).await;
    assert_eq!(unproven(ask().await), "certificate_principal", "from the next call");
    // A bearer token of the API server that has the same number is none.
    world.put(&SpokeCredential { kind: SpokeCredentialKind::Token, ..own.clone() }).await;
    assert_eq!(unproven(ask().await), "certificate_principal");
    world.remove(&SpokeCredential { kind: SpokeCredentialKind::Token, ..own.clone() }).await;
    world.put(&own).await;
    admitted(ask().await);
    world.clock.advance(Duration::hours(25));
    assert_eq!(unproven(ask().await), "certificate_ended");
}

/// A call to push aws-auth of a cluster, by the connection of a service.
fn by_service(cluster: &str, principal: String) -> AdmitQuery {
    let message = mapping::PushAwsAuthRequest { cluster: cluster.to_owned(), ..Default::default() };
    AdmitQuery {
        method: PUSH.to_owned(),
        authority: "hub.example".to_owned(),
        headers: Vec::new(),
        body: message.encode_to_vec().into(),
        source_ip: None,
        certificate_principal: Some(principal),
        certificate_sha256: None,
        beside: None,
    }
}

async fn immunity_41_the_spoke_service_acts_for_the_cluster_that_its_call_names(database: TestDatabase) {
    let world = world(database).await;
    let service = || format!("lanyard://hub/{}/service/spoke", world.hub.id);
    let actor = admitted(world.admit(by_service("dev", service())).await.unwrap());
    assert_eq!(actor.kind, ActorKind::Spoke { cluster: world.cluster.uid }, "never more than that spoke");
    assert_eq!(forbidden(world.admit(by_service("none", service())).await.unwrap()).code, "other_cluster");
    let entry = AdmitQuery { method: CREATE_ENTRY.to_owned(), ..by_service("dev", service()) };
    assert_eq!(forbidden(world.admit(entry).await.unwrap()).code, "spoke_call");
}

async fn immunity_49_the_api_servers_own_credential_pushes_no_keys(start: Start) {
    let world = world(start).await;
    let push = "/lanyard.credentials.v1.Workloads/PushIssuer";
    let message = lanyard_proto::credentials::v1::PushIssuerRequest {
        cluster: "dev".to_owned(),
        issuer_url: "https://issuer.example".to_owned(),
        jwks: "{}".to_owned(),
        ..Default::default()
    };
    let body = message.encode_to_vec();
    let token = "the bearer token by which reviews are asked";
    let known = SpokeCredential {
        cluster: world.cluster.uid,
        id: "t".to_owned(),
        token_sha256: Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect(),
        created_at: world.now(),
        kind: SpokeCredentialKind::Token,
    };
    world.put(&known).await;
    let signed = sign(&world.administrator, push, &body, &world.signing());
    let headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
    let bearing = world.admit(AdmitQuery { headers, ..signed.clone() }).await.unwrap();
    assert!(matches!(bearing, Admission::Unauthenticated(_)), "{bearing:?}");
    let (own, _) = certificate(&world, &world.cluster).await;
    let query = sign_by(&signer(&own), shown(&own), push, &body, &world.signing());
    assert_eq!(admitted(world.admit(query).await.unwrap()).action, "lanyard:PushIssuer");
    let other = crate::world::cluster_of(&world.hub, "other", world.hub.account, world.now());
    world.put(&other).await;
    let (theirs, _) = certificate(&world, &other).await;
    let query = sign_by(&signer(&theirs), shown(&theirs), push, &body, &world.signing());
    assert_eq!(forbidden(world.admit(query).await.unwrap()).code, "other_cluster");
    admitted(world.admit(signed).await.unwrap());
}

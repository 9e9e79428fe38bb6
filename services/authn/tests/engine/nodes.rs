//! Nodes at the front door, by the projected tokens of their agents; and the sessions of the pods that these vend to.

use std::sync::LazyLock;

use bytes::Bytes;
use lanyard_api::authn::oidc_providers::OidcProvider;
use lanyard_api::authn::{Admission, Admit, AdmitQuery, Beside};
use lanyard_api::credentials::{IssuerKey, PodIdentityAssociation, WorkloadIssuer};
use lanyard_api::mapping::Cluster;
use lanyard_api::{ActorKind, Fault, OidcProviderId, Scope, suite};
use lanyard_iam::{Ancestor, Credentials};
use lanyard_oidc::{
    Algorithm,
    stand_in::{Projected, SigningKey},
};
use lanyard_proto::credentials::v1 as pb;
use lanyard_store::Record as _;
use prost::Message as _;
use serde_json::{Value, json};
use time::Duration;

use crate::promises::in_each_form;
use crate::world::call::{
    AUTHORITY, CREATE_ENTRY, DESCRIBE, admitted, allow, describe, forbidden, sign, unproven,
};
use crate::world::form::Start;
use crate::world::{World, cluster_of, code, lockout, verified, world};

const VEND: &str = "/lanyard.credentials.v1.Vend/AssumeRoleForPodIdentity";
const ISSUER: &str = "https://issuer.example/dev";
const NODE: &str = "ip-10-0-0-7.ec2.internal";

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Es256, "own"));

in_each_form! {
    immunity_48_a_node_is_admitted_by_its_agents_token_to_vend_and_for_nothing_else,
    immunity_48_a_token_that_proves_no_node_of_the_cluster_is_refused,
    immunity_48_a_nodes_token_that_was_verified_is_good_no_longer_than_its_key_and_its_time,
    immunity_58_a_stranger_learns_nothing_of_a_cluster_whose_issuer_they_cannot_name,
    a_token_by_a_key_that_is_not_known_yet_has_no_answer,
    immunity_36_a_pods_session_ends_with_its_association_and_its_cluster,
    immunity_37_a_session_of_a_clusters_token_ends_with_the_cluster,
    a_pods_session_that_is_newer_than_what_is_known_has_no_answer,
}

fn claims(world: &World) -> Value {
    let projected = Projected {
        issuer: ISSUER,
        audience: "lanyard:node",
        namespace: "kube-system",
        service_account: "lanyard-agent",
        pod: "lanyard-agent-x2x5p",
        node: NODE,
        issued_at: world.now(),
        lifetime: Duration::HOUR,
    };
    projected.claims()
}

/// Tells the hub who signs the tokens of a cluster.
async fn knows(world: &World, cluster: &Cluster, issuer_url: &str, key: &SigningKey) {
    let issuer = WorkloadIssuer {
        cluster: cluster.uid,
        issuer_url: issuer_url.to_owned(),
        keys: vec![IssuerKey {
            kid: Some(key.kid().to_owned()),
            thumbprint: format!("{issuer_url} {}", key.kid()),
            algorithms: vec!["ES256".to_owned()],
            jwk: key.jwk().to_string(),
        }],
        irsa_obstacle: None,
        pushed_by: "test".to_owned(),
        pushed_at: world.now(),
    };
    world.put(&issuer).await;
}

fn vend(cluster: &str) -> Vec<u8> {
    let request = pb::AssumeRoleForPodIdentityRequest { cluster: cluster.to_owned(), ..Default::default() };
    request.encode_to_vec()
}

fn query(token: &str, cluster: &str) -> AdmitQuery {
    let header = |name: &str, value: String| (name.to_owned(), value);
    AdmitQuery {
        method: VEND.to_owned(),
        authority: AUTHORITY.to_owned(),
        headers: vec![
            header("authorization", format!("Bearer {token}")),
            header("x-lanyard-cluster", cluster.to_owned()),
        ],
        body: Bytes::from(vend(cluster)),
        source_ip: None,
        certificate_principal: None,
        certificate_sha256: None,
        beside: None,
    }
}

async fn ask(world: &World, query: AdmitQuery) -> Admission {
    world.admit(query).await.unwrap()
}

async fn immunity_48_a_node_is_admitted_by_its_agents_token_to_vend_and_for_nothing_else(start: Start) {
    let world = world(start).await;
    knows(&world, &world.cluster, ISSUER, &KEY).await;
    let other = cluster_of(&world.hub, "other", world.hub.account, world.now());
    world.put(&other).await;
    let token = KEY.mint(&claims(&world));
    let honest = || query(&token, "dev");
    let actor = admitted(ask(&world, honest()).await);
    assert_eq!(actor.kind, ActorKind::Node { cluster: world.cluster.uid, name: NODE.to_owned() });
    assert_eq!((&*actor.action, actor.resource), ("eks-auth:AssumeRoleForPodIdentity", world.cluster.arn()));
    assert_eq!(actor.signature, None, "a pod that asks again gets what it has");

    for cluster in ["other", "none"] {
        let of_other = AdmitQuery { body: vend(cluster).into(), ..honest() };
        assert_eq!(forbidden(ask(&world, of_other).await).code, "other_cluster", "{cluster}");
    }
    for method in [DESCRIBE, CREATE_ENTRY, "/lanyard.credentials.v1.Workloads/PushIssuer"] {
        let other = AdmitQuery { method: method.to_owned(), ..honest() };
        assert_eq!(forbidden(ask(&world, other).await).code, "node_call", "{method}");
    }
    let beside = Some(Beside { method: DESCRIBE.to_owned(), body: describe("dev").encode_to_vec().into() });
    assert_eq!(forbidden(ask(&world, AdmitQuery { beside, ..honest() }).await).code, "node_call");
    let unreadable = AdmitQuery { body: Bytes::from_static(&[0xff]), ..honest() };
    assert_eq!(forbidden(ask(&world, unreadable).await).code, "invalid_request");
    // Who signs is weighed by policies as for any other call.
    let allowed = world.policed("agent", &allow("eks-auth:AssumeRoleForPodIdentity", "*")).await;
    let signed = |by: &Credentials| sign(by, VEND, &vend("dev"), &world.signing());
    let actor = admitted(ask(&world, signed(&allowed)).await);
    assert!(matches!(actor.kind, ActorKind::Principal { .. }) && actor.signature.is_none());
    let not = world.policed("other", &allow("eks:DescribeCluster", "*")).await;
    assert_eq!(forbidden(ask(&world, signed(&not)).await).code, "implicit_deny");
}

async fn immunity_48_a_token_that_proves_no_node_of_the_cluster_is_refused(start: Start) {
    let world = world(start).await;
    knows(&world, &world.cluster, ISSUER, &KEY).await;
    let other = cluster_of(&world.hub, "other", world.hub.account, world.now());
    world.put(&other).await;
    let theirs = SigningKey::generate(Algorithm::Es256, "theirs");
    knows(&world, &other, "https://issuer.example/other", &theirs).await;
    let now = world.now().unix_timestamp();
    let with = |pointer: &str, value: Value| {
        let mut claims = claims(&world);
        *claims.pointer_mut(pointer).unwrap() = value;
        KEY.mint(&claims)
    };
    let unbound = {
        let mut claims = claims(&world);
        claims["kubernetes.io"].as_object_mut().unwrap().remove("node");
        KEY.mint(&claims)
    };
    let forged = SigningKey::generate(Algorithm::Es256, "own").mint(&claims(&world));
    let cases = [
        ("a pod's token", with("/aud", json!(["pods.eks.amazonaws.com"])), "dev"),
        ("for others too", with("/aud", json!(["lanyard:node", "vault"])), "dev"),
        ("expired", with("/exp", json!(now - 1)), "dev"),
        ("of time to come", with("/nbf", json!(now + 3_600)), "dev"),
        ("bound to no node", unbound, "dev"),
        ("another key of that name", forged, "dev"),
        ("of another cluster", KEY.mint(&claims(&world)), "other"),
        ("not a token", "x".to_owned(), "dev"),
    ];
    for (what, token, cluster) in cases {
        assert_eq!(unproven(ask(&world, query(&token, cluster)).await), "node_token", "{what}");
    }
    let of_an_app = {
        let mut claims = claims(&world);
        claims["kubernetes.io"]["serviceaccount"]["name"] = "app".into();
        claims["sub"] = "system:serviceaccount:kube-system:app".into();
        KEY.mint(&claims)
    };
    assert_eq!(forbidden(ask(&world, query(&of_an_app, "dev")).await).code, "node_agent");
    let honest = query(&KEY.mint(&claims(&world)), "dev");
    let twice = |index: usize| {
        let mut query = honest.clone();
        query.headers.push(query.headers[index].clone());
        query
    };
    assert_eq!(unproven(ask(&world, twice(0)).await), "node_token");
    assert_eq!(unproven(ask(&world, twice(1)).await), "node_cluster");
    let mut nowhere = honest.clone();
    nowhere.headers.truncate(1);
    assert_eq!(unproven(ask(&world, nowhere).await), "node_cluster");
    // A block of configuration: who may be an agent is the operator's to say.
    let configured = world.calling_with(json!({ "nodes": { "agents": ["team-a/agent"] } })).await;
    assert_eq!(forbidden(configured.admit(honest).await.unwrap()).code, "node_agent");
}

async fn immunity_48_a_nodes_token_that_was_verified_is_good_no_longer_than_its_key_and_its_time(
    start: Start,
) {
    let world = world(start).await;
    knows(&world, &world.cluster, ISSUER, &KEY).await;
    let other = cluster_of(&world.hub, "other", world.hub.account, world.now());
    world.put(&other).await;
    knows(&world, &other, "https://issuer.example/other", &KEY).await;
    let token = KEY.mint(&claims(&world));
    let again = async || ask(&world, query(&token, "dev")).await;
    let first = admitted(again().await);
    // By now the key of a token like this one is either known or none of the issuer's.
    world.clock.advance(Duration::minutes(4));
    assert_eq!(admitted(again().await).kind, first.kind);
    assert_eq!(unproven(ask(&world, query(&token, "other")).await), "node_token", "another cluster");
    knows(&world, &world.cluster, ISSUER, &SigningKey::generate(Algorithm::Es256, "next")).await;
    assert_eq!(unproven(again().await), "node_token", "the key was withdrawn");
    knows(&world, &world.cluster, ISSUER, &KEY).await;
    assert_eq!(admitted(again().await).kind, first.kind);
    world.clock.advance(Duration::minutes(56));
    assert_eq!(unproven(again().await), "node_token", "it has ended");
}

async fn immunity_58_a_stranger_learns_nothing_of_a_cluster_whose_issuer_they_cannot_name(start: Start) {
    let world = world(start).await;
    knows(&world, &world.cluster, ISSUER, &KEY).await;
    let mut guess = claims(&world);
    guess["iss"] = "https://issuer.example/guess".into();
    let guess = SigningKey::generate(Algorithm::Es256, "own").mint(&guess);
    let answers =
        [query(&guess, "dev"), query(&guess, "none"), query("x", "dev"), query("x", "not a cluster/")];
    let mut told = Vec::new();
    for query in answers {
        let Admission::Unauthenticated(denial) = ask(&world, query).await else { panic!() };
        told.push(denial);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
}

async fn a_token_by_a_key_that_is_not_known_yet_has_no_answer(start: Start) {
    let world = world(start).await;
    knows(&world, &world.cluster, ISSUER, &KEY).await;
    let next = SigningKey::generate(Algorithm::Es256, "next");
    let token = next.mint(&claims(&world));
    let early = world.admit(query(&token, "dev")).await;
    assert!(matches!(early, Err(Fault::Unavailable { .. })), "{early:?}");
    world.clock.advance(Duration::minutes(4));
    assert_eq!(unproven(ask(&world, query(&token, "dev")).await), "node_token");
    knows(&world, &world.cluster, ISSUER, &next).await;
    admitted(ask(&world, query(&token, "dev")).await);
}

fn association(world: &World) -> PodIdentityAssociation {
    let role = format!("arn:aws:iam::{}:role/app", world.hub.account);
    PodIdentityAssociation {
        id: "a-0123456789abcdefg".parse().unwrap(),
        ..suite::association(&world.cluster, &role)
    }
}

/// A session of a pod of `dev`, made when its association was of this revision.
async fn pods_session(world: &World, revision: u64) -> Credentials {
    let home = world.hub.account;
    let role = world.role(home, "/", "app", &format!("arn:aws:iam::{home}:root")).await;
    let ancestors = vec![
        Ancestor::Cluster(world.cluster.uid.to_string()),
        Ancestor::Association { id: association(world).id.to_string(), revision },
    ];
    world.session_of(&role, ancestors, 0).await.0.credentials
}

async fn immunity_36_a_pods_session_ends_with_its_association_and_its_cluster(start: Start) {
    let world = world(start).await;
    let own = association(&world);
    world.put(&own).await;
    let revision = world.store.revision(Scope::Cluster(world.cluster.uid)).await.unwrap().0;
    let session = pods_session(&world, revision).await;
    let other = cluster_of(&world.hub, "other", world.hub.account, world.now());
    world.put(&other).await;
    let identity = verified(world.knock(&session, &other).await).identity.value.clone();
    let ancestors = &identity.aws().unwrap().ancestors;
    assert_eq!(
        *ancestors,
        [format!("cluster/{}", world.cluster.uid), format!("association/{}/{revision}", own.id)]
    );
    // Its role says otherwise; the session's name and tags change nothing of that.
    let narrowed = PodIdentityAssociation { policy: Some("{}".to_owned()), ..own.clone() };
    world.put(&narrowed).await;
    verified(world.knock(&session, &other).await);
    world.remove(&narrowed).await;
    assert_eq!(code(world.knock(&session, &other).await), "session_ancestor_gone");
    let anew = PodIdentityAssociation { id: "a-abcdefghijklmnopq".parse().unwrap(), ..own.clone() };
    world.put(&anew).await;
    assert_eq!(
        code(world.knock(&session, &other).await),
        "session_ancestor_gone",
        "one made anew is another"
    );
    world.remove(&anew).await;
    world.put(&own).await;
    verified(world.knock(&session, &other).await);
    delete_cluster(&world).await;
    assert_eq!(code(world.knock(&session, &other).await), "session_ancestor_gone");
}

async fn delete_cluster(world: &World) {
    let scopes = [Scope::Hub, Scope::Cluster(world.cluster.uid)];
    let mut transaction = world.store.begin("test", &lockout(), &scopes).await.unwrap();
    transaction.delete::<Cluster>(Scope::Hub, &world.cluster.key()).await.unwrap().unwrap();
    transaction.commit_unrecorded().await.unwrap();
}

async fn immunity_37_a_session_of_a_clusters_token_ends_with_the_cluster(start: Start) {
    let world = world(start).await;
    let home = world.hub.account;
    let provider = OidcProvider {
        id: OidcProviderId::random(),
        account: home,
        issuer_url: ISSUER.to_owned(),
        client_ids: Vec::new(),
        thumbprints: Vec::new(),
        ca_bundle_pem: None,
        tags: Default::default(),
        created_at: world.now(),
    };
    world.put(&provider).await;
    let role = world.role(home, "/", "web", &format!("arn:aws:iam::{home}:root")).await;
    let vouched = Ancestor::Provider {
        account: home,
        id: provider.id.to_string(),
        issuer: ISSUER.to_owned(),
        subject: "system:serviceaccount:team-a:bot".to_owned(),
    };
    let ancestors = vec![vouched, Ancestor::Cluster(world.cluster.uid.to_string())];
    let session = world.session_of(&role, ancestors, 0).await.0.credentials;
    let other = cluster_of(&world.hub, "other", home, world.now());
    world.put(&other).await;
    verified(world.knock(&session, &other).await);
    delete_cluster(&world).await;
    assert_eq!(code(world.knock(&session, &other).await), "session_ancestor_gone");
}

async fn a_pods_session_that_is_newer_than_what_is_known_has_no_answer(start: Start) {
    let world = world(start).await;
    let revision = world.store.revision(Scope::Cluster(world.cluster.uid)).await.unwrap().0;
    let session = pods_session(&world, revision + 1).await;
    let answer = world.knock(&session, &world.cluster).await;
    assert!(matches!(answer, Err(Fault::Unavailable { .. })), "{answer:?}");
    world.put(&association(&world)).await;
    verified(world.knock(&session, &world.cluster).await);
}

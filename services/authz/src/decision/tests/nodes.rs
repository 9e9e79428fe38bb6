//! By whose word somebody is a node.

use lanyard_api::{
    Authority, TrustedAccount,
    authz::Verdict,
    mapping::{AuthorizerMode, EntryType, Node},
    proof::{KinKind, Proof},
};

use super::stage::{HOME, Person, Stage, account, get_pods, texts};

const AWS: &str = "555566667777";
const ROLE: &str = "arn:aws:iam::555566667777:role/workers";
const INSTANCE: &str = "i-0123456789abcdef0";
const OTHER: &str = "i-0aaaaaaaaaaaaaaaa";
const NAME: &str = "ip-10-0-0-1.ec2.internal";
const NODE: &str = "system:node:{{EC2PrivateDNSName}}";
const KEY: &str = "LKIA00000000000NODES";

/// A cluster that lets an account of AWS in, and an entry that makes nodes of a role's sessions.
fn stage() -> (Stage, Person) {
    let mut stage = Stage::new(AuthorizerMode::WebhookFirst);
    stage.register(AWS, Some(Authority::Aws));
    let mut cluster = stage.cluster.clone();
    cluster.trusted_accounts.push(TrustedAccount { authority: Authority::Aws, account: account(AWS) });
    stage.put_cluster(cluster);
    let mut nodes = stage.person("workers", NODE, &["system:nodes"]);
    nodes.entry.authority = Authority::Aws;
    nodes.entry.principal_arn = ROLE.parse().unwrap();
    nodes.entry.principal_id = Some("AROAWORKERS".to_owned());
    nodes.entry.entry_type = EntryType::Ec2Linux;
    stage.put_entry(&nodes.entry);
    (stage, nodes)
}

/// Of a session, as mapping makes it for who is bound by name.
fn proof_of(stage: &Stage, nodes: &Person, session: &str) -> Proof {
    let arn = nodes.entry.principal_arn.one().unwrap().canonical();
    let mut proof = stage.proof(nodes);
    proof.handles.session = stage.keys.all()[0].session(&nodes.entry.authority, arn.as_str(), session);
    proof
}

/// The same by EC2's word.
fn by_ec2(stage: &Stage, nodes: &Person, session: &str) -> Proof {
    let mut proof = proof_of(stage, nodes, session);
    proof.kin.add(KinKind::Ec2Instance, stage.keys.all()[0].ec2_instance(session)).unwrap();
    proof
}

fn code(stage: &Stage, proof: &Proof) -> &'static str {
    stage.code_for(&stage.bearing(proof, &format!("system:node:{NAME}"), &texts(&["system:nodes"])))
}

fn node(stage: &Stage, session: &str, name: &str, role: &str) -> Node {
    Node {
        cluster: stage.cluster.uid,
        instance_id: session.to_owned(),
        private_dns_name: name.to_owned(),
        role_arn: Some(role.to_owned()),
        access_key_id: None,
    }
}

fn bind(stage: &mut Stage, node: &Node) {
    stage.rows.set_node(&node.instance_id, Some(node.clone()));
}

#[test]
fn ec2s_word_makes_a_node_until_its_name_or_instance_is_bound() {
    let (mut stage, mut nodes) = stage();
    let by_ec2 = by_ec2(&stage, &nodes, INSTANCE);
    let bound = proof_of(&stage, &nodes, INSTANCE);
    assert_eq!(code(&stage, &by_ec2), "nothing_matched");
    assert_eq!(code(&stage, &bound), "grant_revoked", "nobody bound it, and EC2 was not asked");

    for against in [node(&stage, OTHER, NAME, ROLE), node(&stage, INSTANCE, "other.internal", ROLE)] {
        bind(&mut stage, &against);
        assert_eq!(code(&stage, &by_ec2), "grant_revoked", "{against:?}");
        stage.rows.set_node(&against.instance_id, None);
        assert_eq!(code(&stage, &by_ec2), "nothing_matched");
    }
    let same = node(&stage, INSTANCE, NAME, ROLE);
    bind(&mut stage, &same);
    assert_eq!(code(&stage, &by_ec2), "nothing_matched", "bound to what EC2 says it is nothing else");
    stage.rows.set_node(INSTANCE, None);

    nodes.entry.username = "system:node:{{SessionName}}".to_owned();
    stage.put_entry(&nodes.entry);
    assert_eq!(code(&stage, &by_ec2), "grant_revoked", "EC2 is not asked for what this template wants");
}

#[test]
fn a_bound_name_is_that_of_its_session_and_role_alone() {
    let (mut stage, nodes) = stage();
    let (own, other) = (proof_of(&stage, &nodes, INSTANCE), proof_of(&stage, &nodes, OTHER));
    let row = node(&stage, INSTANCE, NAME, &ROLE.to_uppercase());
    bind(&mut stage, &row);
    assert_eq!((code(&stage, &own), code(&stage, &other)), ("nothing_matched", "grant_revoked"));
    let roleless = Node { role_arn: None, ..row.clone() };
    let keyed = Node { access_key_id: Some(KEY.parse().unwrap()), ..row.clone() };
    let others = node(&stage, INSTANCE, NAME, "arn:aws:iam::555566667777:role/others");
    for row in [roleless, keyed, others] {
        bind(&mut stage, &row);
        assert_eq!(code(&stage, &own), "grant_revoked", "{row:?}");
    }
    stage.rows.set_node(INSTANCE, None);
    let others = node(&stage, OTHER, NAME, ROLE);
    bind(&mut stage, &others);
    assert_eq!((code(&stage, &own), code(&stage, &other)), ("grant_revoked", "nothing_matched"));
}

#[test]
fn a_name_that_is_bound_to_a_key_is_for_what_comes_of_it() {
    let (mut stage, mut nodes) = stage();
    let role = format!("arn:aws:iam::{HOME}:role/workers");
    stage.role(HOME, "workers");
    nodes.entry.authority = Authority::Local;
    nodes.entry.principal_arn = role.parse().unwrap();
    nodes.entry.principal_id = Some("AROAworkers".to_owned());
    stage.put_entry(&nodes.entry);
    let row = Node { access_key_id: Some(KEY.parse().unwrap()), ..node(&stage, INSTANCE, NAME, &role) };
    bind(&mut stage, &row);
    for (key, expected) in [(KEY, "nothing_matched"), ("LKIA0000000000OTHERS", "grant_revoked")] {
        stage.access_key(HOME, key, Some(true));
        let mut proof = proof_of(&stage, &nodes, INSTANCE);
        proof.kin.add(KinKind::AccessKey, stage.keys.all()[0].access_key(key)).unwrap();
        assert_eq!(code(&stage, &proof), expected, "{key}");
    }
}

/// Whoever asks what an entry gives has the name from mapping, which asked EC2.
#[test]
fn an_explanation_believes_a_name_that_only_ec2_can_have_given() {
    let (stage, nodes) = stage();
    for (name, expected) in [(NAME, Verdict::NoOpinion), ("UPPER", Verdict::Deny)] {
        let user = super::stage::bare(&format!("system:node:{name}"), &["system:nodes"]);
        let mut review = stage.review(user, get_pods("a"));
        review.grant = Some(nodes.entry.id);
        assert_eq!(stage.decide(&review).verdict, expected, "{name}");
    }
}

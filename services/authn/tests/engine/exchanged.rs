//! Principals whom AWS keeps: the policies that are kept for them here, and the sessions that they were exchanged for.

use crate::accounts::{by, operator, rule};
use crate::world::call::{
    ASSUME_ROLE, CREATE_ENTRY, CREATE_USER, DESCRIBE, admitted, allow, assume, describe, forbidden, unproven,
};
use crate::world::{AWS_ACCOUNT, HOST, LAB_ACCOUNT, World, account, cluster_of, code, verified, world};
use aws_lc_rs::rand::SystemRandom;
use lanyard_api::authn::accounts::{Account, Accounts, InlinePolicy, PolicyOwner};
use lanyard_api::authn::{Admission, Admit as _};
use lanyard_api::mapping::{BlockTarget, Cluster};
use lanyard_api::{ActorKind, Authority, CallError, Mutation, Scope, TrustedAccount, Vouched};
use lanyard_iam::token::mint_hub_proof;
use lanyard_iam::{
    AccessKeyId, Ancestor, Credentials, Partition, PrincipalArn, PrincipalId, Region, SessionClaims,
};
use lanyard_kit::ExposeSecret as _;
use lanyard_proto::{authn::v1 as authn, mapping::v1 as mapping};
use lanyard_store::{Record as _, on_each_store, test_support::TestDatabase};
use prost::Message as _;
use time::Duration;

const GET_CALLER_POLICIES: &str = "/lanyard.authn.v1.Accounts/GetCallerPolicies";
const GET_CALLER_IDENTITY: &str = "/lanyard.credentials.v1.Sessions/GetCallerIdentity";
const PUT_POLICY: &str = "/lanyard.authn.v1.Accounts/PutPolicy";
const AWS_KEY: &str = "ASIAEXAMPLE123456789";

on_each_store!(
    an_operator_attaches_policies_to_a_principal_by_its_canonical_arn,
    what_a_principal_cannot_be_is_named,
    a_principals_policies_are_bounded,
    immunity_31_the_number_of_another_authority_is_registered_once,
    an_exchanged_session_is_weighed_by_its_principals_policies_and_no_others,
    an_exchanged_session_reaches_its_own_account_alone,
    an_exchanged_session_with_the_permission_keeps_its_accounts_policies,
    immunity_36_an_exchanged_session_ends_with_the_account_and_the_policies,
    immunity_20_a_block_on_the_principal_the_key_or_the_account_stops_an_exchanged_session,
    immunity_32_the_proof_of_an_exchange_is_no_call_and_no_token,
    immunity_32_an_exchanged_session_opens_no_cluster,
    immunity_31_a_session_that_claims_another_authority_is_none,
);

fn role() -> PolicyOwner {
    PolicyOwner::Principal(format!("arn:aws:iam::{AWS_ACCOUNT}:role/Dev").parse().unwrap())
}

fn user() -> PolicyOwner {
    PolicyOwner::Principal(format!("arn:aws:iam::{AWS_ACCOUNT}:user/team/ana").parse().unwrap())
}

async fn put(
    world: &World,
    owner: PolicyOwner,
    name: &str,
    document: &str,
) -> Result<InlinePolicy, CallError> {
    let put = world.engine.put_policy(operator(world), None, owner, name.to_owned(), document.to_owned());
    Ok(put.await?.value)
}

/// A session as the exchange would make it.
async fn exchanged(world: &World, arn: &str, authority: &str) -> Credentials {
    let arn = PrincipalArn::parse(arn).unwrap();
    let registered = world.store.get::<Account>(Scope::Hub, arn.account.as_str()).await.unwrap().unwrap();
    let registered_nanoseconds = i64::try_from(registered.created_at.unix_timestamp_nanos()).unwrap();
    let claims = SessionClaims {
        authority: authority.to_owned(),
        principal_id: PrincipalId::parse("AROAEXAMPLE1234567890").unwrap(),
        session_name: "ana".to_owned(),
        tags: Default::default(),
        transitive_keys: Default::default(),
        source_identity: None,
        session_policy: None,
        issued_at: world.now(),
        expires_at: world.now() + Duration::HOUR,
        revision: world.store.revision(Scope::Account(arn.account)).await.unwrap().0,
        chain_depth: 0,
        ancestors: vec![
            Ancestor::AccessKey(AccessKeyId::parse(AWS_KEY).unwrap()),
            Ancestor::Account { account: arn.account, registered_nanoseconds },
        ],
        principal: arn,
    };
    world.minter.mint(&claims, &SystemRandom::new()).unwrap().credentials
}

async fn of_role(world: &World) -> Credentials {
    exchanged(world, &format!("arn:aws:iam::{AWS_ACCOUNT}:role/Dev"), "aws").await
}

/// A cluster of AWS's account.
async fn cluster_at_aws(world: &World) -> Cluster {
    let cluster = Cluster {
        trusted_accounts: vec![TrustedAccount { authority: Authority::Aws, account: account(AWS_ACCOUNT) }],
        ..cluster_of(&world.hub, "abroad", account(AWS_ACCOUNT), world.now())
    };
    world.put(&cluster).await;
    cluster
}

async fn an_operator_attaches_policies_to_a_principal_by_its_canonical_arn(database: TestDatabase) {
    let world = world(database).await;
    let document = allow("eks:*", "*");
    let policy = put(&world, role(), "eks", &document).await.unwrap();
    assert_eq!(
        (policy.account, policy.key()),
        (account(AWS_ACCOUNT), format!("principal/{}/eks", role().name()))
    );
    put(&world, user(), "eks", &document).await.unwrap();
    let list = world.engine.list_policies(operator(&world).actor, None, role()).await.unwrap();
    assert_eq!(list, std::slice::from_ref(&policy));
    let get = |account| world.engine.get_policy(operator(&world).actor, account, role(), "eks".to_owned());
    assert_eq!(get(None).await.unwrap(), policy);
    assert_eq!(get(Some(account(AWS_ACCOUNT))).await.unwrap(), policy);
    assert_eq!(rule(get(Some(world.hub.account)).await), "other_account");
    let delete = |by: Mutation| world.engine.delete_policy(by, None, role(), "eks".to_owned());
    assert_eq!(
        rule(delete(by(&world)).await),
        "not_found",
        "for who is no operator there is no such account"
    );
    delete(operator(&world)).await.unwrap();
    assert_eq!(rule(delete(operator(&world)).await), "not_found");
    assert_eq!(world.engine.list_policies(operator(&world).actor, None, user()).await.unwrap().len(), 1);
}

async fn what_a_principal_cannot_be_is_named(database: TestDatabase) {
    let world = world(database).await;
    let sso = "aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Dev_0123456789abcdef";
    let cases = [
        (format!("arn:aws:iam::{AWS_ACCOUNT}:role/team/Dev"), "role_path"),
        (format!("arn:aws:iam::{AWS_ACCOUNT}:role/{sso}"), "role_path"),
        (format!("arn:aws:iam::{AWS_ACCOUNT}:root"), "principal_kind"),
        (format!("arn:aws:sts::{AWS_ACCOUNT}:federated-user/ana"), "principal_kind"),
        (format!("arn:aws-cn:iam::{AWS_ACCOUNT}:role/Dev"), "partition"),
        (format!("arn:aws:iam::{}:role/Dev", world.hub.account), "local_account"),
        ("arn:aws:iam::999988887777:role/Dev".to_owned(), "not_found"),
    ];
    for (arn, expected) in cases {
        let owner = PolicyOwner::Principal(arn.parse().unwrap());
        assert_eq!(rule(put(&world, owner, "p", &allow("*", "*")).await), expected, "{arn}");
    }
    assert_eq!(rule(put(&world, role(), "p", "{}").await), "malformed_policy_document");
    let by_name = PolicyOwner::Role("Dev".to_owned());
    let put = world.engine.put_policy(
        operator(&world),
        Some(account(AWS_ACCOUNT)),
        by_name,
        "p".into(),
        "{}".into(),
    );
    assert_eq!(rule(put.await), "not_local");
}

async fn a_principals_policies_are_bounded(database: TestDatabase) {
    let world = world(database).await;
    let long = |bytes| allow("eks:*", &format!("arn:aws:eks:*:*:cluster/{}", "x".repeat(bytes)));
    put(&world, role(), "a", &long(9_000)).await.unwrap();
    assert_eq!(rule(put(&world, role(), "b", &long(2_000)).await), "limit");
    assert_eq!(rule(put(&world, user(), "a", &long(2_100)).await), "limit");
    let few = world.calling_with(serde_json::json!({ "limits": { "principals_max": 1 } })).await;
    let put_few = |owner| few.put_policy(operator(&world), None, owner, "c".to_owned(), allow("eks:*", "*"));
    assert_eq!(rule(put_few(user()).await), "limit");
    put_few(role()).await.unwrap();
}

async fn immunity_31_the_number_of_another_authority_is_registered_once(database: TestDatabase) {
    let world = world(database).await;
    for authority in [Authority::Aws, Authority::Local, Authority::Sts("lab".to_owned())] {
        let again = lanyard_api::authn::accounts::CreateAccount {
            id: account(AWS_ACCOUNT),
            partition: Partition::Aws,
            authority,
            name: "again".to_owned(),
        };
        assert_eq!(rule(world.engine.create_account(operator(&world), again).await), "exists");
    }
}

async fn an_exchanged_session_is_weighed_by_its_principals_policies_and_no_others(database: TestDatabase) {
    let world = world(database).await;
    cluster_at_aws(&world).await;
    put(&world, role(), "eks", &allow("eks:DescribeCluster", "*")).await.unwrap();
    put(&world, user(), "all", &allow("*", "*")).await.unwrap();
    let dev = of_role(&world).await;
    let actor = admitted(world.call(&dev, DESCRIBE, &describe("abroad")).await);
    let ActorKind::Principal { authority, arn, principal_id, lineage, .. } = actor.kind else { panic!() };
    assert_eq!(authority, Authority::Aws);
    assert_eq!(arn.to_string(), format!("arn:aws:sts::{AWS_ACCOUNT}:assumed-role/Dev/ana"));
    assert_eq!(principal_id, "AROAEXAMPLE1234567890");
    assert!(lineage.ancestors.contains(&format!("key/{AWS_KEY}")), "{lineage:?}");
    let entry = mapping::CreateAccessEntryRequest { cluster: "abroad".to_owned(), ..Default::default() };
    assert_eq!(forbidden(world.call(&dev, CREATE_ENTRY, &entry).await).code, "implicit_deny");
    put(&world, role(), "no", &allow("eks:DescribeCluster", "*").replace("Allow", "Deny")).await.unwrap();
    assert_eq!(forbidden(world.call(&dev, DESCRIBE, &describe("abroad")).await).code, "explicit_deny");

    // A role's policies are all its sessions', and a condition tells one of them apart.
    let of_one = |name: &str| {
        let condition = format!(r#","Condition":{{"StringLike":{{"aws:userid":"*:{name}"}}}}}}]}}"#);
        allow("eks:DescribeCluster", "*").replace("}]}", &condition)
    };
    for (name, is_allowed) in [("ana", true), ("bob", false)] {
        put(&world, role(), "no", &of_one(name)).await.unwrap();
        put(&world, role(), "eks", &allow("eks:ListClusters", "*")).await.unwrap();
        let answer = world.call(&dev, DESCRIBE, &describe("abroad")).await;
        assert_eq!(matches!(answer, Admission::Admitted(_)), is_allowed, "{name}");
    }

    // The name in another letter case is another principal to the hub, and has nothing.
    let other = exchanged(&world, &format!("arn:aws:iam::{AWS_ACCOUNT}:role/DEV"), "aws").await;
    assert_eq!(unproven(world.call(&other, DESCRIBE, &describe("abroad")).await), "session_policies_gone");
    let ana = exchanged(&world, &format!("arn:aws:iam::{AWS_ACCOUNT}:user/team/ana"), "aws").await;
    let actor = admitted(world.call(&ana, CREATE_ENTRY, &entry).await);
    assert_eq!(actor.name(), format!("arn:aws:iam::{AWS_ACCOUNT}:user/team/ana"));
    let who = lanyard_proto::credentials::v1::GetCallerIdentityRequest {};
    admitted(world.call(&dev, GET_CALLER_IDENTITY, &who).await);

    let own = authn::GetCallerPoliciesRequest {};
    let actor = admitted(world.call(&dev, GET_CALLER_POLICIES, &own).await);
    let told = world.engine.get_caller_policies(Vouched::in_process(actor)).await.unwrap();
    assert_eq!((told.owner, told.policies.len(), told.session_policy), (role(), 2, None));
    put(&world, role(), "no", &allow("lanyard:*", "*").replace("Allow", "Deny")).await.unwrap();
    assert_eq!(forbidden(world.call(&dev, GET_CALLER_POLICIES, &own).await).code, "explicit_deny");
}

async fn an_exchanged_session_reaches_its_own_account_alone(database: TestDatabase) {
    let world = world(database).await;
    put(&world, role(), "all", &allow("*", "*")).await.unwrap();
    let dev = of_role(&world).await;
    // A name means what it means in the caller's account, where there is no such cluster.
    let actor = admitted(world.call(&dev, DESCRIBE, &describe("dev")).await);
    assert!(actor.resource.ends_with(&format!(":{AWS_ACCOUNT}:cluster/dev")), "{}", actor.resource);
    let user = authn::CreateUserRequest {
        account: Some(world.hub.account.to_string()),
        name: "mallory".to_owned(),
        ..Default::default()
    };
    assert_eq!(forbidden(world.call(&dev, CREATE_USER, &user).await).code, "other_account");
    let trusting = format!("arn:aws:iam::{AWS_ACCOUNT}:role/Dev");
    let local = world.role(world.hub.account, "/", "Local", &trusting).await;
    let denial = forbidden(world.call(&dev, ASSUME_ROLE, &assume(&world, &local)).await);
    assert_eq!(denial.code, "exchanged_session");
}

async fn an_exchanged_session_with_the_permission_keeps_its_accounts_policies(database: TestDatabase) {
    let world = world(database).await;
    let own = format!("arn:aws:iam::{AWS_ACCOUNT}:role/Dev*");
    put(&world, role(), "iam", &allow("iam:PutRolePolicy", &own)).await.unwrap();
    let dev = of_role(&world).await;
    let asked = |arn: &str| authn::PutPolicyRequest {
        owner: Some(authn::PolicyOwner {
            owner: Some(authn::policy_owner::Owner::PrincipalArn(arn.to_owned())),
        }),
        name: "p".to_owned(),
        document: allow("eks:*", "*"),
        ..Default::default()
    };
    let actor = admitted(
        world.call(&dev, PUT_POLICY, &asked(&format!("arn:aws:iam::{AWS_ACCOUNT}:role/Dev2"))).await,
    );
    assert_eq!(actor.resource, format!("arn:aws:iam::{AWS_ACCOUNT}:role/Dev2"));
    let (action, denied) = ("iam:PutRolePolicy", asked(&format!("arn:aws:iam::{AWS_ACCOUNT}:role/Admin")));
    let denial = forbidden(world.call(&dev, PUT_POLICY, &denied).await);
    assert!(denial.message.contains(action) && denial.code == "implicit_deny", "{denial}");
    let abroad = asked(&format!("arn:aws:iam::{LAB_ACCOUNT}:role/Dev"));
    assert_eq!(forbidden(world.call(&dev, PUT_POLICY, &abroad).await).code, "other_account");
}

async fn immunity_36_an_exchanged_session_ends_with_the_account_and_the_policies(database: TestDatabase) {
    let world = world(database).await;
    cluster_at_aws(&world).await;
    let ask = async |by: &Credentials| world.call(by, DESCRIBE, &describe("abroad")).await;
    put(&world, role(), "eks", &allow("eks:*", "*")).await.unwrap();
    let dev = of_role(&world).await;
    admitted(ask(&dev).await);
    let gone = world.engine.delete_policy(operator(&world), None, role(), "eks".to_owned());
    gone.await.unwrap();
    assert_eq!(unproven(ask(&dev).await), "session_policies_gone");
    put(&world, role(), "eks", &allow("eks:*", "*")).await.unwrap();
    admitted(ask(&dev).await);

    let lab = exchanged(&world, &format!("arn:aws:iam::{LAB_ACCOUNT}:role/Dev"), "sts:lab").await;
    let of_lab = || PolicyOwner::Principal(format!("arn:aws:iam::{LAB_ACCOUNT}:role/Dev").parse().unwrap());
    put(&world, of_lab(), "all", &allow("*", "*")).await.unwrap();
    let who = lanyard_proto::credentials::v1::GetCallerIdentityRequest {};
    admitted(world.call(&lab, GET_CALLER_IDENTITY, &who).await);
    world.engine.delete_account(operator(&world), account(LAB_ACCOUNT)).await.unwrap();
    assert_eq!(unproven(world.call(&lab, GET_CALLER_IDENTITY, &who).await), "session_account_gone");
    // Registered anew, with the same policies: another registration.
    world.clock.advance(Duration::milliseconds(1));
    world.register(LAB_ACCOUNT, Authority::Sts("lab".to_owned())).await;
    assert_eq!(world.engine.list_policies(operator(&world).actor, None, of_lab()).await.unwrap(), []);
    put(&world, of_lab(), "all", &allow("*", "*")).await.unwrap();
    assert_eq!(unproven(world.call(&lab, GET_CALLER_IDENTITY, &who).await), "session_account_gone");
    world.clock.advance(Duration::HOUR);
    assert_eq!(unproven(ask(&dev).await), "session_expired");
}

async fn immunity_20_a_block_on_the_principal_the_key_or_the_account_stops_an_exchanged_session(
    database: TestDatabase,
) {
    let world = world(database).await;
    cluster_at_aws(&world).await;
    put(&world, role(), "eks", &allow("eks:*", "*")).await.unwrap();
    let dev = of_role(&world).await;
    let canonical_arn = || format!("arn:aws:iam::{AWS_ACCOUNT}:role/Dev").parse().unwrap();
    let aws = || Authority::Aws;
    let targets = [
        BlockTarget::Principal { authority: aws(), canonical_arn: canonical_arn() },
        BlockTarget::Session {
            authority: aws(),
            canonical_arn: canonical_arn(),
            session_name: "ana".to_owned(),
        },
        BlockTarget::Account { authority: aws(), account: account(AWS_ACCOUNT) },
        BlockTarget::AccessKey { access_key_id: AccessKeyId::parse(AWS_KEY).unwrap() },
        BlockTarget::AccessKey { access_key_id: dev.access_key_id.clone() },
    ];
    for target in targets {
        let block = world.block(Scope::Hub, target.clone()).await;
        let denial = forbidden(world.call(&dev, DESCRIBE, &describe("abroad")).await);
        assert_eq!(denial.code, "blocked", "{target:?}");
        world.remove(&block).await;
    }
    let of_another = BlockTarget::Principal { authority: Authority::Local, canonical_arn: canonical_arn() };
    world.block(Scope::Hub, of_another).await;
    admitted(world.call(&dev, DESCRIBE, &describe("abroad")).await);
}

async fn immunity_32_the_proof_of_an_exchange_is_no_call_and_no_token(database: TestDatabase) {
    use base64::Engine as _;
    let world = world(database).await;
    let ana = world.aws_user("ana");
    let region = Region::parse(crate::world::REGION).unwrap();
    let proof = mint_hub_proof(&ana, HOST, &region, &world.hub.id.to_string(), world.now()).unwrap();
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(proof.expose_secret());
    assert_eq!(code(world.ask(&format!("k8s-aws-v1.{text}"), &world.cluster).await), "cluster_id_not_signed");
    assert_eq!(world.sts.calls(), 0, "nobody was asked");

    let query = proof.expose_secret().split_once('?').unwrap().1.to_owned();
    let as_call = lanyard_api::authn::AdmitQuery {
        method: format!("{DESCRIBE}?{query}"),
        ..crate::world::call::sign(&ana, DESCRIBE, &describe("dev").encode_to_vec(), &world.signing())
    };
    assert!(matches!(world.engine.admit(as_call).await.unwrap(), Admission::Unauthenticated(_)));
}

async fn immunity_32_an_exchanged_session_opens_no_cluster(database: TestDatabase) {
    let world = world(database).await;
    let cluster = cluster_at_aws(&world).await;
    put(&world, role(), "all", &allow("*", "*")).await.unwrap();
    put(&world, user(), "all", &allow("*", "*")).await.unwrap();
    let dev = of_role(&world).await;
    let ana = exchanged(&world, &format!("arn:aws:iam::{AWS_ACCOUNT}:user/team/ana"), "aws").await;
    let who = lanyard_proto::credentials::v1::GetCallerIdentityRequest {};
    let alone = Cluster {
        trusted_accounts: vec![TrustedAccount { authority: Authority::Local, account: world.hub.account }],
        ..cluster_of(&world.hub, "alone", world.hub.account, world.now())
    };
    world.put(&alone).await;
    for by in [&dev, &ana] {
        admitted(world.call(by, GET_CALLER_IDENTITY, &who).await);
        for cluster in [&cluster, &alone] {
            assert_eq!(code(world.knock(by, cluster).await), "exchanged_session");
        }
    }
    // A key that is not the session's is told nothing of it, nor is a session that counts no more.
    let forged = Credentials { secret_access_key: ana.secret_access_key.clone(), ..dev.clone() };
    assert_eq!(code(world.knock(&forged, &cluster).await), "signature_or_cluster");
    world.engine.delete_policy(operator(&world), None, role(), "all".to_owned()).await.unwrap();
    assert_eq!(code(world.knock(&dev, &cluster).await), "session_policies_gone");
    // Who shows the credentials of AWS comes in, once AWS has vouched for them.
    let own = world.aws_user("ana");
    verified(world.knock(&own, &cluster).await);
}

async fn immunity_31_a_session_that_claims_another_authority_is_none(database: TestDatabase) {
    let world = world(database).await;
    put(&world, role(), "all", &allow("*", "*")).await.unwrap();
    let arn = format!("arn:aws:iam::{AWS_ACCOUNT}:role/Dev");
    for authority in ["sts:lab", "local", "nobody"] {
        let session = exchanged(&world, &arn, authority).await;
        let code = unproven(world.call(&session, DESCRIBE, &describe("abroad")).await);
        let expected = if authority == "local" { "session_role_gone" } else { "session_account_gone" };
        assert_eq!(code, expected, "{authority}");
    }
    let home = format!("arn:aws:iam::{}:user/administrator", world.hub.account);
    let posing = exchanged(&world, &home, "aws").await;
    assert_eq!(unproven(world.call(&posing, DESCRIBE, &describe("dev")).await), "session_account_gone");
}

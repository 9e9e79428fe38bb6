//! Asking by which policies one is weighed: everybody may, of themselves, unless one of these denies just that.

use crate::promises::in_each_form;
use crate::world::call::{DESCRIBE, admitted, allow, describe, forbidden};
use crate::world::form::Start;
use crate::world::world;
use aws_lc_rs::rand::SystemRandom;
use lanyard_api::ActorKind;
use lanyard_api::authn::accounts::{InlinePolicy, PolicyOwner};
use lanyard_iam::PolicyDocument;
use lanyard_proto::authn::v1 as authn;

const GET_CALLER_POLICIES: &str = "/lanyard.authn.v1.Accounts/GetCallerPolicies";
const ASKED: authn::GetCallerPoliciesRequest = authn::GetCallerPoliciesRequest {};

in_each_form! {
    everybody_may_ask_unless_a_statement_of_their_policies_denies_it,
    who_has_a_policy_that_cannot_be_read_hears_that_alone,
    a_session_may_ask_unless_its_own_policy_denies_it_and_brings_that_policy_along,
}

fn deny(action: &str, resource: &str) -> String {
    allow(action, resource).replace("Allow", "Deny")
}

async fn everybody_may_ask_unless_a_statement_of_their_policies_denies_it(start: Start) {
    let world = world(start).await;
    let nobody = "nobody needs permission to ask which policies they have";
    let (_, bare) = world.user(world.hub.account, "/", "bare").await;
    let actor = admitted(world.call(&bare, GET_CALLER_POLICIES, &ASKED).await);
    assert_eq!((actor.action.as_str(), actor.allowed_by.as_str()), ("lanyard:GetCallerPolicies", nobody));
    assert!(actor.signature.is_none(), "it changes nothing");
    let by_statement = "statement `Ok` of policy `p`";
    let cases = [
        ("other", allow("eks:ListClusters", "*"), Ok(nobody)),
        ("allowed", allow("lanyard:GetCallerPolicies", "*"), Ok(by_statement)),
        ("elsewhere", deny("lanyard:GetCallerPolicies", "arn:aws:eks:*:*:cluster/*"), Ok(nobody)),
        ("identity", deny("sts:GetCallerIdentity", "*"), Ok(nobody)),
        ("denied", deny("lanyard:GetCallerPolicies", "*"), Err(by_statement)),
        ("pattern", deny("lanyard:Get*", "*"), Err(by_statement)),
        ("all", deny("*", "*"), Err(by_statement)),
    ];
    for (name, document, expected) in cases {
        let key = world.policed(name, &document).await;
        let answer = world.call(&key, GET_CALLER_POLICIES, &ASKED).await;
        match expected {
            Ok(by) => assert_eq!(admitted(answer).allowed_by, by, "{name}"),
            Err(by) => {
                let denial = forbidden(answer);
                assert_eq!(denial.code, "explicit_deny", "{name}: {denial}");
                assert!(denial.message.contains(by), "{name}: {denial}");
            }
        }
        // Whatever else is asked still needs a statement that allows it.
        let code = forbidden(world.call(&key, DESCRIBE, &describe("dev")).await).code;
        assert_eq!(code, if name == "all" { "explicit_deny" } else { "implicit_deny" }, "{name}");
    }
}

async fn who_has_a_policy_that_cannot_be_read_hears_that_alone(start: Start) {
    let world = world(start).await;
    let key = world.policed("ana", &allow("*", "*")).await;
    admitted(world.call(&key, GET_CALLER_POLICIES, &ASKED).await);
    let owner = PolicyOwner::User("ana".to_owned());
    let (account, name) = (world.hub.account, "broken".to_owned());
    world.put(&InlinePolicy { account, owner, name, document: "{".to_owned() }).await;
    let denial = forbidden(world.call(&key, GET_CALLER_POLICIES, &ASKED).await);
    assert_eq!(denial.code, "policy_unreadable", "{denial}");
    assert!(denial.message.contains("`broken`"), "{denial}");
}

async fn a_session_may_ask_unless_its_own_policy_denies_it_and_brings_that_policy_along(start: Start) {
    let world = world(start).await;
    let home = world.hub.account;
    let (user, key) = world.user(home, "/", "ana").await;
    let role = world.role(home, "/", "Dev", "*").await;
    world.policy(home, PolicyOwner::Role("Dev".to_owned()), "eks", &allow("eks:*", "*")).await;
    let (_, mut claims) = world.session(&role, &user, &key.access_key_id).await;
    let narrowing = allow("eks:DescribeCluster", "*");
    let denying = deny("lanyard:GetCallerPolicies", "*");
    for (policy, is_denied) in [(None, false), (Some(narrowing), false), (Some(denying), true)] {
        claims.session_policy = policy.as_deref().map(|text| PolicyDocument::parse_session(text).unwrap());
        let session = world.minter.mint(&claims, &SystemRandom::new()).unwrap().credentials;
        let answer = world.call(&session, GET_CALLER_POLICIES, &ASKED).await;
        if is_denied {
            let denial = forbidden(answer);
            assert_eq!(denial.code, "explicit_deny", "{denial}");
            assert!(denial.message.contains("the session policy"), "{denial}");
            continue;
        }
        let ActorKind::Principal { session_policy, .. } = admitted(answer).kind else { panic!() };
        assert_eq!(session_policy, policy);
        let actor = admitted(world.call(&session, DESCRIBE, &describe("dev")).await);
        let ActorKind::Principal { session_policy, .. } = actor.kind else { panic!() };
        assert_eq!(session_policy, None, "no other call carries it");
    }
}

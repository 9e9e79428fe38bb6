//! A user's own session (AWS STS `GetSessionToken`): it is its user, may less, and ends with its user or the key that made it.

use crate::promises::in_each_form;
use crate::world::call::{ASSUME_ROLE, DESCRIBE, GET_USER, admitted, allow, assume, describe, forbidden};
use crate::world::form::Start;
use crate::world::{World, code, system, verified, world};
use aws_lc_rs::rand::SystemRandom;
use lanyard_api::authn::accounts::{Accounts, Named, PolicyOwner, User};
use lanyard_api::{ActorKind, Scope};
use lanyard_iam::{AccessKeyId, Ancestor, Credentials, PrincipalArn, PrincipalId, SessionClaims};
use lanyard_proto::{authn::v1 as authn, credentials::v1 as credentials};
use time::Duration;

const GET_SESSION_TOKEN: &str = "/lanyard.credentials.v1.Sessions/GetSessionToken";
const GET_ACCESS_KEY_INFO: &str = "/lanyard.authn.v1.Accounts/GetAccessKeyInfo";
const GET_CALLER_POLICIES: &str = "/lanyard.authn.v1.Accounts/GetCallerPolicies";

in_each_form! {
    every_user_may_ask_for_a_session_and_no_session_may,
    a_users_session_is_its_user_and_may_neither_iam_nor_sts,
    immunity_36_a_users_session_ends_with_the_key_and_the_user,
}

async fn session(world: &World, user: &User, key: &AccessKeyId) -> Credentials {
    let arn = format!("arn:{}:iam::{}:user{}{}", world.hub.partition, user.account, user.path, user.name);
    let id = PrincipalId::parse(&user.principal_id).unwrap();
    let claims = SessionClaims {
        authority: "local".to_owned(),
        principal: PrincipalArn::parse(&arn).unwrap(),
        principal_id: id.clone(),
        session_name: "GetSessionToken".to_owned(),
        tags: Default::default(),
        transitive_keys: Default::default(),
        source_identity: None,
        session_policy: None,
        issued_at: world.now(),
        expires_at: world.now() + Duration::hours(36),
        revision: world.store.revision(Scope::Account(user.account)).await.unwrap().0,
        chain_depth: 0,
        ancestors: vec![Ancestor::User(id), Ancestor::AccessKey(key.clone())],
    };
    world.minter.mint(&claims, &SystemRandom::new()).unwrap().credentials
}

async fn every_user_may_ask_for_a_session_and_no_session_may(start: Start) {
    let world = world(start).await;
    let (user, key) = world.user(world.hub.account, "/team/", "ana").await;
    let asked = credentials::GetSessionTokenRequest { duration_seconds: 900 };
    let actor = admitted(world.call(&key, GET_SESSION_TOKEN, &asked).await);
    assert_eq!(actor.action, "sts:GetSessionToken");
    assert!(actor.signature.is_some(), "it makes a session, so its signature counts once");
    // AWS: no policy allows or denies it.
    let owner = PolicyOwner::User("ana".to_owned());
    let deny = allow("*", "*").replace("Allow", "Deny");
    world.policy(user.account, owner, "deny", &deny).await;
    admitted(world.call(&key, GET_SESSION_TOKEN, &asked).await);

    let own = session(&world, &user, &key.access_key_id).await;
    let denial = forbidden(world.call(&own, GET_SESSION_TOKEN, &asked).await);
    assert_eq!(denial.code, "beyond_session", "{denial}");
    let role = world.role(user.account, "/", "Dev", &format!("arn:aws:iam::{}:root", user.account)).await;
    let (of_role, _) = world.session(&role, &user, &key.access_key_id).await;
    let denial = forbidden(world.call(&of_role.credentials, GET_SESSION_TOKEN, &asked).await);
    assert_eq!(denial.code, "session_of_session", "{denial}");
}

async fn a_users_session_is_its_user_and_may_neither_iam_nor_sts(start: Start) {
    let world = world(start).await;
    let (user, key) = world.user(world.hub.account, "/team/", "ana").await;
    world.policy(user.account, PolicyOwner::User("ana".to_owned()), "all", &allow("*", "*")).await;
    let own = session(&world, &user, &key.access_key_id).await;
    let identity = verified(world.knock(&own, &world.cluster).await).identity.value.clone();
    let aws = identity.aws().unwrap();
    assert_eq!(aws.arn.to_string(), format!("arn:aws:iam::{}:user/team/ana", user.account));
    assert_eq!((aws.session_name.as_deref(), aws.ancestors.len()), (None, 2));

    let actor = admitted(world.call(&own, DESCRIBE, &describe("dev")).await);
    let ActorKind::Principal { lineage, .. } = actor.kind else { panic!("{actor:?}") };
    assert_eq!((lineage.chain_depth, lineage.ancestors.len()), (0, 2));
    let get_user = authn::GetUserRequest { account: None, name: "ana".to_owned() };
    let info = authn::GetAccessKeyInfoRequest { access_key_id: key.access_key_id.to_string() };
    for denial in [
        forbidden(world.call(&own, GET_USER, &get_user).await),
        forbidden(world.call(&own, GET_ACCESS_KEY_INFO, &info).await),
    ] {
        assert_eq!(denial.code, "beyond_session", "{denial}");
    }
    admitted(world.call(&key, GET_USER, &get_user).await);
    admitted(world.call(&key, GET_ACCESS_KEY_INFO, &info).await);
    admitted(world.call(&own, GET_CALLER_POLICIES, &authn::GetCallerPoliciesRequest {}).await);
    let role =
        world.role(user.account, "/", "Dev", &format!("arn:aws:iam::{}:user/team/ana", user.account)).await;
    admitted(world.call(&own, ASSUME_ROLE, &assume(&world, &role)).await);
}

async fn immunity_36_a_users_session_ends_with_the_key_and_the_user(start: Start) {
    let world = world(start).await;
    let home = world.hub.account;
    let (user, key) = world.user(home, "/", "ana").await;
    let spare = world.key(home, "ana").await;
    let named = Named { account: Some(home), name: "ana".to_owned() };
    let own = session(&world, &user, &key.access_key_id).await;
    let by_spare = session(&world, &user, &spare.access_key_id).await;
    verified(world.knock(&own, &world.cluster).await);
    let engine = &world.engine;
    engine.set_access_key_active(system(), named.clone(), key.access_key_id.clone(), false).await.unwrap();
    assert_eq!(code(world.knock(&own, &world.cluster).await), "session_ancestor_gone");
    verified(world.knock(&by_spare, &world.cluster).await);
    engine.delete_user(system(), named, false).await.unwrap();
    world.user(home, "/", "ana").await;
    assert_eq!(code(world.knock(&by_spare, &world.cluster).await), "session_role_gone");
}

//! What `Accounts` promises of a caller's own policies, on the engine and on the engine behind gRPC.

use crate::accounts::{ALLOW, actor_of, by, operator, role, rule, user};
use crate::promises::promises;
use crate::world::{AWS_ACCOUNT, World, account};
use lanyard_api::authn::accounts::{Accounts, CallerPolicies, PolicyOwner};
use lanyard_api::{Actor, ActorKind, Authority, CallError, Vouched};

promises! {
    own_policies:
    a_caller_is_told_the_policies_that_they_are_weighed_by_and_nobody_elses,
}

/// An actor as Admit finds one out.
fn somebody(authority: Authority, of_arn: &str, id: &str, policy: Option<&str>) -> Vouched<Actor> {
    let mut actor = actor_of(account(AWS_ACCOUNT));
    if let ActorKind::Principal { authority: of, arn, principal_id, session_policy, .. } =
        &mut actor.value.kind
    {
        *of = authority;
        *arn = of_arn.parse().unwrap();
        *principal_id = id.to_owned();
        *session_policy = policy.map(str::to_owned);
    }
    actor
}

async fn a_caller_is_told_the_policies_that_they_are_weighed_by_and_nobody_elses(
    world: &World,
    accounts: &impl Accounts,
) {
    let home = world.hub.account;
    let ana = accounts.create_user(by(world), user("ana")).await.unwrap().value;
    let dev = accounts.create_role(by(world), role("Dev")).await.unwrap().value;
    let put = async |owner: PolicyOwner, name: &str| {
        let put = accounts.put_policy(operator(world), None, owner, name.to_owned(), ALLOW.to_owned());
        put.await.unwrap().value
    };
    let of_ana = || PolicyOwner::User("ana".to_owned());
    let abroad = || PolicyOwner::Principal(format!("arn:aws:iam::{AWS_ACCOUNT}:role/Dev").parse().unwrap());
    let (second, first) = (put(of_ana(), "b").await, put(of_ana(), "a").await);
    let of_abroad = put(abroad(), "eks").await;
    let told = |owner, policies, session_policy: Option<&str>| -> Result<CallerPolicies, CallError> {
        Ok(CallerPolicies { owner, policies, session_policy: session_policy.map(str::to_owned) })
    };
    let ask = async |authority, arn: String, id: &str, policy: Option<&str>| {
        accounts.get_caller_policies(somebody(authority, &arn, id, policy)).await
    };
    let user_arn = format!("arn:aws:iam::{home}:user/ana");
    assert_eq!(
        ask(Authority::Local, user_arn.clone(), &ana.principal_id, None).await,
        told(of_ana(), vec![first, second], None)
    );
    let session_arn = |account: &str| format!("arn:aws:sts::{account}:assumed-role/Dev/s");
    assert_eq!(
        ask(Authority::Local, session_arn(home.as_str()), &dev.principal_id, Some(ALLOW)).await,
        told(PolicyOwner::Role("Dev".to_owned()), vec![], Some(ALLOW))
    );
    let id = "AROAEXAMPLE1234567890";
    assert_eq!(
        ask(Authority::Aws, session_arn(AWS_ACCOUNT), id, None).await,
        told(abroad(), vec![of_abroad], None)
    );
    // Somebody who bears the name of another, or whom another authority keeps, has nothing of theirs; and no call is the account's own.
    for (authority, arn) in [
        (Authority::Local, format!("arn:aws:iam::{home}:root")),
        (Authority::Local, user_arn),
        (Authority::Local, session_arn(AWS_ACCOUNT)),
        (Authority::Aws, session_arn(home.as_str())),
        (Authority::Sts("lab".to_owned()), session_arn(AWS_ACCOUNT)),
    ] {
        assert_eq!(rule(ask(authority, arn.clone(), id, None).await), "not_found", "{arn}");
    }
    let spoke = ActorKind::Spoke { cluster: world.cluster.uid };
    for kind in [spoke, ActorKind::System { purpose: "test".to_owned() }] {
        let by = Vouched::in_process(Actor { kind, ..Actor::system("test") });
        assert_eq!(rule(accounts.get_caller_policies(by).await), "denied");
    }
}

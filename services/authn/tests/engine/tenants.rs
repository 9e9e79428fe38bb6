//! What is one account's does not exist for another one, whatever the policies there say: every managed method of authn, on the engine
//! and on the engine behind gRPC.
//!
//! Admit weighs a call for the caller's own resource of that name, and lets it pass; so it is the services who find nothing by it.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::accounts::{actor_of, by, rule};
use crate::methods::of_accounts;
use crate::promises::{Calls, promises};
use crate::world::{AWS_ACCOUNT, World, account};
use lanyard_api::authn::accounts::{
    CreateAccount, CreateRole, CreateUser, Named, OfAccount, PolicyOwner, UpdateRole,
};
use lanyard_api::authn::instance_profiles::{CreateInstanceProfile, UpdateInstanceProfile as ProfileUpdate};
use lanyard_api::authn::oidc_providers::{
    CreateOidcProvider, OidcProviderRef, UpdateOidcProvider as ProviderUpdate,
};
use lanyard_api::{Authority, CallError, Mutation, Page, PageQuery, Scope};
use lanyard_iam::{AccessKeyId, AccountId, Partition};

const TENANT: &str = "222233334444";
const NOWHERE: &str = "999988887777";
const GITHUB: &str = "https://token.actions.githubusercontent.com";
const ALLOW: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"}}]}"#;

promises! {
    tenants:
    immunity_33_what_is_another_accounts_does_not_exist_for_any_method,
    immunity_33_what_is_the_hubs_is_no_tenants,
}

fn eve() -> AccountId {
    account(TENANT)
}

/// The hub's account has one of each: a user with a key and a policy, a role in a profile, and a provider.
async fn furnish(world: &World, calls: &impl Calls) -> AccessKeyId {
    world.register(TENANT, Authority::Local).await;
    calls.create_user(by(world), user(None, "ana")).await.unwrap();
    let ana = PolicyOwner::User("ana".to_owned());
    calls.put_policy(by(world), None, ana, "p".to_owned(), ALLOW.to_owned()).await.unwrap();
    calls.create_role(by(world), role(None, "Dev")).await.unwrap();
    calls.create_oidc_provider(by(world), provider(None)).await.unwrap();
    calls.create_instance_profile(by(world), profile(None, "p")).await.unwrap();
    let own = |name: &str| Named { account: None, name: name.to_owned() };
    let put = ProfileUpdate::AddRole("Dev".to_owned());
    calls.update_instance_profile(by(world), own("p"), put).await.unwrap();
    calls.create_access_key(by(world), own("ana")).await.unwrap().value.key.id
}

fn user(account: Option<AccountId>, name: &str) -> CreateUser {
    CreateUser { account, path: String::new(), name: name.to_owned(), tags: BTreeMap::new() }
}

fn role(account: Option<AccountId>, name: &str) -> CreateRole {
    CreateRole {
        account,
        path: String::new(),
        name: name.to_owned(),
        trust_policy: TRUST.to_owned(),
        session_seconds_max: 0,
        tags: BTreeMap::new(),
        description: String::new(),
        allow_any_subject: false,
    }
}

fn provider(account: Option<AccountId>) -> CreateOidcProvider {
    CreateOidcProvider {
        account,
        issuer_url: GITHUB.to_owned(),
        client_ids: vec!["sts.amazonaws.com".to_owned()],
        ..CreateOidcProvider::default()
    }
}

fn profile(account: Option<AccountId>, name: &str) -> CreateInstanceProfile {
    CreateInstanceProfile { account, name: name.to_owned(), ..CreateInstanceProfile::default() }
}

/// What eve is answered, who names the account or leaves it out. Where she leaves it out a list is her own account's, which has nothing.
async fn asked_by_eve(
    world: &World,
    calls: &impl Calls,
    key: &AccessKeyId,
    account: Option<AccountId>,
    method: &str,
) -> &'static str {
    let actor = || actor_of(eve());
    let by = || Mutation::by(actor());
    let page = PageQuery::default;
    let all = || OfAccount::from(account);
    // What she makes she makes there.
    let there = account.or(Some(world.hub.account));
    let named = |name: &str| Named { account, name: name.to_owned() };
    let known = || OidcProviderRef { account, issuer_url: GITHUB.to_owned() };
    let ana = || PolicyOwner::User("ana".to_owned());
    let tags = || BTreeMap::from([("team".to_owned(), "eve".to_owned())]);
    let team = || vec!["team".to_owned()];
    match method {
        "CreateUser" => rule(calls.create_user(by(), user(there, "eve")).await),
        "GetUser" => rule(calls.get_user(actor(), named("ana")).await),
        "ListUsers" => listed(account, calls.list_users(actor(), all(), page()).await),
        "TagUser" => rule(calls.tag_user(by(), named("ana"), tags()).await),
        "UntagUser" => rule(calls.untag_user(by(), named("ana"), team()).await),
        "DeleteUser" => rule(calls.delete_user(by(), named("ana"), false).await),
        "CreateAccessKey" => rule(calls.create_access_key(by(), named("ana")).await),
        "ListAccessKeys" => rule(calls.list_access_keys(actor(), named("ana")).await),
        "UpdateAccessKey" => rule(calls.set_access_key_active(by(), named("ana"), key.clone(), false).await),
        "DeleteAccessKey" => rule(calls.delete_access_key(by(), named("ana"), key.clone()).await),
        "CreateRole" => rule(calls.create_role(by(), role(there, "eve")).await),
        "GetRole" => rule(calls.get_role(actor(), named("Dev")).await),
        "ListRoles" => listed(account, calls.list_roles(actor(), all(), page()).await),
        "UpdateRole" => {
            let update = UpdateRole { description: Some("eve's".to_owned()), session_seconds_max: None };
            rule(calls.update_role(by(), named("Dev"), update).await)
        }
        "TagRole" => rule(calls.tag_role(by(), named("Dev"), tags()).await),
        "UntagRole" => rule(calls.untag_role(by(), named("Dev"), team()).await),
        "UpdateAssumeRolePolicy" => {
            rule(calls.update_trust_policy(by(), named("Dev"), TRUST.to_owned(), false).await)
        }
        "RevokeSessions" => rule(calls.revoke_sessions(by(), named("Dev")).await),
        "DeleteRole" => rule(calls.delete_role(by(), named("Dev"), false).await),
        "PutPolicy" | "GetPolicy" | "ListPolicies" | "DeletePolicy" => {
            // A principal whom AWS keeps is named by its ARN, and so with its account.
            let arn = format!("arn:aws:iam::{AWS_ACCOUNT}:user/ana").parse().unwrap();
            let elsewhere = policy_asked_by_eve(calls, None, PolicyOwner::Principal(arn), method).await;
            assert_eq!(elsewhere, "not_found", "{method}");
            policy_asked_by_eve(calls, account, ana(), method).await
        }
        // She can name nobody: it is her own that are asked for, and there is no record of her.
        "GetCallerPolicies" => rule(calls.get_caller_policies(actor()).await),
        "CreateOidcProvider" => rule(calls.create_oidc_provider(by(), provider(there)).await),
        "GetOidcProvider" => rule(calls.get_oidc_provider(actor(), known()).await),
        "ListOidcProviders" => listed(account, calls.list_oidc_providers(actor(), account, page()).await),
        "DeleteOidcProvider" => rule(calls.delete_oidc_provider(by(), known()).await),
        "AddOidcClientId"
        | "RemoveOidcClientId"
        | "UpdateOidcProviderThumbprints"
        | "UpdateOidcProviderCaBundle"
        | "TagOidcProvider"
        | "UntagOidcProvider" => {
            let update = match method {
                "AddOidcClientId" => ProviderUpdate::AddClientId("eve".to_owned()),
                "RemoveOidcClientId" => ProviderUpdate::RemoveClientId("sts.amazonaws.com".to_owned()),
                "UpdateOidcProviderThumbprints" => ProviderUpdate::Thumbprints(vec!["0f".repeat(20)]),
                "UpdateOidcProviderCaBundle" => ProviderUpdate::CaBundle(None),
                "TagOidcProvider" => ProviderUpdate::Tag(tags()),
                _ => ProviderUpdate::Untag(team()),
            };
            rule(calls.update_oidc_provider(by(), known(), update).await)
        }
        "CreateInstanceProfile" => rule(calls.create_instance_profile(by(), profile(there, "eve")).await),
        "GetInstanceProfile" => rule(calls.get_instance_profile(actor(), named("p")).await),
        "ListInstanceProfiles" => listed(account, calls.list_instance_profiles(actor(), all(), page()).await),
        "ListInstanceProfilesForRole" => {
            rule(calls.list_instance_profiles_for_role(actor(), named("Dev"), page()).await)
        }
        "AddRoleToInstanceProfile"
        | "RemoveRoleFromInstanceProfile"
        | "TagInstanceProfile"
        | "UntagInstanceProfile" => {
            let update = match method {
                "AddRoleToInstanceProfile" => ProfileUpdate::AddRole("Dev".to_owned()),
                "RemoveRoleFromInstanceProfile" => ProfileUpdate::RemoveRole("Dev".to_owned()),
                "TagInstanceProfile" => ProfileUpdate::Tag(tags()),
                _ => ProfileUpdate::Untag(team()),
            };
            rule(calls.update_instance_profile(by(), named("p"), update).await)
        }
        "DeleteInstanceProfile" => rule(calls.delete_instance_profile(by(), named("p")).await),
        other => panic!("{other} is not asked"),
    }
}

/// The same about an inline policy of somebody.
async fn policy_asked_by_eve(
    calls: &impl Calls,
    account: Option<AccountId>,
    owner: PolicyOwner,
    method: &str,
) -> &'static str {
    let actor = || actor_of(eve());
    let (by, name) = (Mutation::by(actor()), "p".to_owned());
    match method {
        "PutPolicy" => rule(calls.put_policy(by, account, owner, name, ALLOW.to_owned()).await),
        "GetPolicy" => rule(calls.get_policy(actor(), account, owner, name).await),
        "ListPolicies" => rule(calls.list_policies(actor(), account, owner).await),
        _ => rule(calls.delete_policy(by, account, owner, name).await),
    }
}

/// Of an account that was named a list is no more there than the account; of one's own it is empty.
fn listed<T: Debug>(account: Option<AccountId>, page: Result<Page<T>, CallError>) -> &'static str {
    match page {
        Ok(page) if account.is_none() && page.items.is_empty() => "not_found",
        other => rule(other),
    }
}

async fn immunity_33_what_is_another_accounts_does_not_exist_for_any_method(
    world: &World,
    calls: &impl Calls,
) {
    let key = furnish(world, calls).await;
    let home = Scope::Account(world.hub.account);
    let before = world.store.revision(home).await.unwrap();
    // Left out, named, and named where there is none: the same answer.
    for named in [None, Some(world.hub.account), Some(account(NOWHERE))] {
        for method in of_accounts() {
            let answer = asked_by_eve(world, calls, &key, named, method).await;
            assert_eq!(answer, "not_found", "{method} of {named:?}");
        }
    }
    assert_eq!(world.store.revision(home).await.unwrap(), before, "nothing came of any of it");
}

async fn immunity_33_what_is_the_hubs_is_no_tenants(world: &World, calls: &impl Calls) {
    let key = furnish(world, calls).await;
    let hub = world.store.revision(Scope::Hub).await.unwrap();
    let made = CreateAccount {
        id: account(NOWHERE),
        partition: Partition::Aws,
        authority: Authority::Local,
        name: "eve's".to_owned(),
    };
    let by = || Mutation::by(actor_of(eve()));
    assert_eq!(rule(calls.create_account(by(), made).await), "denied");
    for id in [world.hub.account, eve(), account(NOWHERE)] {
        assert_eq!(rule(calls.delete_account(by(), id).await), "denied", "{id}");
    }
    assert_eq!(world.store.revision(Scope::Hub).await.unwrap(), hub);
    let seen = calls.list_accounts(actor_of(eve()), PageQuery::default()).await.unwrap().items;
    assert_eq!(seen.iter().map(|account| account.id).collect::<Vec<_>>(), [eve()]);
    // As at AWS, whose number is in the key; a key that was deleted, or never made, tells no less.
    assert_eq!(calls.get_access_key_info(actor_of(eve()), key.clone()).await, Ok(world.hub.account));
    let owner = Named { account: None, name: "ana".to_owned() };
    calls.delete_access_key(crate::accounts::by(world), owner, key.clone()).await.unwrap();
    assert_eq!(calls.get_access_key_info(actor_of(eve()), key).await, Ok(world.hub.account));
}

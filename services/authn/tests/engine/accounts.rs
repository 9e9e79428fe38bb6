//! What `Accounts` promises: a function for each, run on the engine and on the engine behind gRPC.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::promises::promises;
use crate::world::{World, account, verified};
use lanyard_api::authn::accounts::{
    Accounts, CreateAccount, CreateRole, CreateUser, Named, OfAccount, PolicyOwner, UpdateRole, User,
};
use lanyard_api::{
    Actor, ActorKind, Authority, CallError, Lineage, Mutation, PageQuery, Scope, SignatureUse, Vouched,
};
use lanyard_iam::{AccessKeyId, AccountId, Partition, PrincipalArn};
use lanyard_kit::ExposeSecret as _;
use time::Duration;

pub(crate) const ALLOW: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"eks:*","Resource":"*"}]}"#;
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"}}]}"#;

promises! {
    accounts:
    what_was_made_is_found_and_listed_in_pages,
    names_follow_iams_rules_and_are_unique_whatever_their_letter_case,
    immunity_15_names_are_compared_byte_by_byte,
    a_keys_secret_is_in_one_answer_alone_and_signs,
    a_user_has_two_keys_at_most_and_owns_no_other_users,
    policies_are_judged_when_written_and_limited_together,
    a_role_keeps_its_trust_policy_and_its_revocation,
    a_role_is_described_and_its_sessions_limited_as_iam_has_it,
    a_trust_policy_means_those_who_were_there_when_it_was_written,
    a_trust_policy_may_name_the_id_of_somebody_made_a_moment_ago_elsewhere,
    tags_are_put_on_users_and_roles_and_taken_away,
    immunity_11_a_role_trusts_an_issuer_without_a_subject_only_by_force,
    a_key_tells_its_account_whether_or_not_it_is_there,
    who_still_has_something_is_not_deleted_where_only_the_bare_are,
    deleting_takes_all_that_hangs_on_it_and_a_name_made_anew_is_another,
    immunity_33_names_resolve_in_the_actors_own_account,
    immunity_31_an_account_number_has_one_authority,
    a_second_arrival_of_a_signature_gets_the_recorded_answer,
    a_second_arrival_of_a_signature_that_made_a_secret_has_to_be_signed_anew,
}

/// An actor of an account, admitted for its own resources alone.
pub(crate) fn actor_of(account: AccountId) -> Vouched<Actor> {
    let arn = PrincipalArn::parse(&format!("arn:aws:iam::{account}:user/test")).unwrap();
    let lineage = Lineage {
        access_key_id: Some("LKIAAAAAAAAAAAAAAAAA".parse().unwrap()),
        ancestors: Vec::new(),
        transitive_tags: BTreeMap::new(),
        source_identity: None,
        chain_depth: 0,
    };
    let kind = ActorKind::Principal {
        authority: Authority::Local,
        arn,
        principal_id: "AIDATEST".to_owned(),
        lineage: Box::new(lineage),
        session_policy: None,
    };
    Vouched::in_process(Actor { kind, resource: "arn:aws:iam::own".to_owned(), ..Actor::system("test") })
}

pub(crate) fn by(world: &World) -> Mutation {
    Mutation::by(actor_of(world.hub.account))
}

/// The same with a signature that counts once.
fn signed(world: &World, digest: u8) -> Mutation {
    let mut by = by(world);
    by.actor.value.signature =
        Some(SignatureUse { digest: [digest; 32], expires_at: world.now() + Duration::minutes(10) });
    by
}

/// A hub operator, as Admit lets them act on the hub itself.
pub(crate) fn operator(world: &World) -> Mutation {
    let mut by = by(world);
    by.actor.value.resource = world.hub.arn();
    by
}

pub(crate) fn user(name: &str) -> CreateUser {
    CreateUser { account: None, path: String::new(), name: name.to_owned(), tags: BTreeMap::new() }
}

pub(crate) fn role(name: &str) -> CreateRole {
    CreateRole {
        account: None,
        path: String::new(),
        name: name.to_owned(),
        trust_policy: TRUST.to_owned(),
        session_seconds_max: 0,
        tags: BTreeMap::new(),
        description: String::new(),
        allow_any_subject: false,
    }
}

fn named(name: &str) -> Named {
    Named { account: None, name: name.to_owned() }
}

pub(crate) fn rule<T: std::fmt::Debug>(result: Result<T, CallError>) -> &'static str {
    match result {
        Err(CallError::Invalid { rule, .. } | CallError::Precondition { rule, .. }) => rule,
        Err(CallError::NotFound { .. }) => "not_found",
        Err(CallError::AlreadyExists { .. }) => "exists",
        Err(CallError::LimitExceeded { .. }) => "limit",
        Err(CallError::Denied(_)) => "denied",
        Err(CallError::Replayed) => "replayed",
        other => panic!("{other:?}"),
    }
}

async fn what_was_made_is_found_and_listed_in_pages(world: &World, accounts: &impl Accounts) {
    let actor = || actor_of(world.hub.account);
    let mut made = Vec::new();
    for number in 0..5 {
        let path = if number % 2 == 0 { "" } else { "/team/" };
        let tags = [("team".to_owned(), "blue".to_owned())].into();
        let user = CreateUser { path: path.to_owned(), tags, ..user(&format!("user-{number}")) };
        let answer = accounts.create_user(by(world), user).await.unwrap();
        assert!(answer.confirmed && answer.pending.is_empty());
        assert_eq!(answer.revision, world.store.revision(Scope::Account(world.hub.account)).await.unwrap());
        assert_eq!(accounts.get_user(actor(), named(&answer.value.name)).await.unwrap(), answer.value);
        made.push(answer.value);
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = accounts
            .list_users(actor(), OfAccount::default(), PageQuery { items_max: 2, token })
            .await
            .unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items);
        let Some(next) = page.next_token else { break };
        token = next;
    }
    seen.retain(|user| user.name != "administrator");
    assert_eq!(seen, made);
    assert_eq!((made[0].path.as_str(), made[1].path.as_str()), ("/", "/team/"));
    let team = OfAccount { account: None, path_prefix: "/te".to_owned() };
    let under = accounts.list_users(actor(), team.clone(), PageQuery::default()).await.unwrap().items;
    assert!(!under.is_empty() && under.iter().all(|user| user.path == "/team/"), "{under:?}");
    assert_eq!(accounts.list_roles(actor(), team, PageQuery::default()).await.unwrap().items, []);
    let made = accounts.create_role(by(world), role("Dev")).await.unwrap().value;
    assert_eq!(accounts.get_role(actor(), named("Dev")).await.unwrap(), made);
    assert_eq!(
        accounts.list_roles(actor(), OfAccount::default(), PageQuery::default()).await.unwrap().items,
        [made]
    );
    for missing in [
        accounts.get_user(actor(), named("nobody")).await.map(|_| ()),
        accounts.get_role(actor(), named("nobody")).await.map(|_| ()),
    ] {
        assert_eq!(rule(missing), "not_found");
    }
}

async fn names_follow_iams_rules_and_are_unique_whatever_their_letter_case(
    world: &World,
    accounts: &impl Accounts,
) {
    for bad in ["", "a b", "a/b", "ä", &"a".repeat(65)] {
        assert_eq!(rule(accounts.create_user(by(world), user(bad)).await), "name", "{bad}");
        assert_eq!(rule(accounts.create_role(by(world), role(bad)).await), "name", "{bad}");
    }
    let bad_path = CreateUser { path: "team".to_owned(), ..user("x") };
    assert_eq!(rule(accounts.create_user(by(world), bad_path).await), "path");
    let bad_tag = CreateUser { tags: [("aws:x".to_owned(), String::new())].into(), ..user("x") };
    assert_eq!(rule(accounts.create_user(by(world), bad_tag).await), "reserved_tag");
    accounts.create_user(by(world), user("Ana")).await.unwrap();
    accounts.create_role(by(world), role("Ana")).await.unwrap();
    for again in ["Ana", "ana", "ANA"] {
        assert_eq!(rule(accounts.create_user(by(world), user(again)).await), "exists", "{again}");
        assert_eq!(rule(accounts.create_role(by(world), role(again)).await), "exists", "{again}");
    }
    let elsewhere = CreateUser { path: "/other/".to_owned(), ..user("ana") };
    assert_eq!(rule(accounts.create_user(by(world), elsewhere).await), "exists", "whatever the path");
}

async fn immunity_15_names_are_compared_byte_by_byte(world: &World, accounts: &impl Accounts) {
    accounts.create_user(by(world), user("ana")).await.unwrap();
    for other in ["ana ", " ana", "ana\u{0}", "an\u{e1}", "\u{ff41}na", "ana\u{200b}", "anа"] {
        assert_eq!(rule(accounts.create_user(by(world), user(other)).await), "name", "{other:?}");
        let found = accounts.get_user(actor_of(world.hub.account), named(other)).await;
        assert_eq!(rule(found), "not_found", "{other:?}");
    }
}

async fn a_keys_secret_is_in_one_answer_alone_and_signs(world: &World, accounts: &impl Accounts) {
    accounts.create_user(by(world), user("ana")).await.unwrap();
    let made = accounts.create_access_key(by(world), named("ana")).await.unwrap().value;
    assert!(made.key.active && made.key.id.as_str().starts_with("LKIA"));
    assert!(!format!("{made:?}").contains(made.secret.expose_secret()));
    let listed = accounts.list_access_keys(actor_of(world.hub.account), named("ana")).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&made.key));
    let credentials = crate::world::credentials_of(&made);
    verified(world.knock(&credentials, &world.cluster).await);
    let changes =
        world.store.changes_since(Scope::Account(world.hub.account), Default::default(), 100).await.unwrap();
    for change in changes {
        let bytes = [change.before.unwrap_or_default(), change.after.unwrap_or_default()].concat();
        assert!(!String::from_utf8_lossy(&bytes).contains(made.secret.expose_secret()));
    }
}

async fn a_user_has_two_keys_at_most_and_owns_no_other_users(world: &World, accounts: &impl Accounts) {
    for name in ["ana", "bo"] {
        accounts.create_user(by(world), user(name)).await.unwrap();
    }
    let first = accounts.create_access_key(by(world), named("ana")).await.unwrap().value.key;
    accounts.create_access_key(by(world), named("ana")).await.unwrap();
    assert_eq!(rule(accounts.create_access_key(by(world), named("ana")).await), "limit");
    assert_eq!(rule(accounts.create_access_key(by(world), named("nobody")).await), "not_found");
    let id = || first.id.clone();
    assert_eq!(rule(accounts.set_access_key_active(by(world), named("bo"), id(), false).await), "not_found");
    assert_eq!(rule(accounts.delete_access_key(by(world), named("bo"), id()).await), "not_found");
    let off = accounts.set_access_key_active(by(world), named("ana"), id(), false).await.unwrap().value;
    assert!(!off.active);
    accounts.delete_access_key(by(world), named("ana"), id()).await.unwrap();
    assert_eq!(rule(accounts.delete_access_key(by(world), named("ana"), id()).await), "not_found");
    accounts.create_access_key(by(world), named("ana")).await.unwrap();
}

async fn policies_are_judged_when_written_and_limited_together(world: &World, accounts: &impl Accounts) {
    accounts.create_user(by(world), user("ana")).await.unwrap();
    accounts.create_role(by(world), role("ana")).await.unwrap();
    let (of_user, of_role) = (|| PolicyOwner::User("ana".to_owned()), || PolicyOwner::Role("ana".to_owned()));
    let put = async |owner: PolicyOwner, name: &str, document: &str| {
        accounts.put_policy(by(world), None, owner, name.to_owned(), document.to_owned()).await
    };
    assert_eq!(rule(put(of_user(), "p", "{}").await), "malformed_policy_document");
    assert_eq!(rule(put(of_user(), "a b", ALLOW).await), "name");
    assert_eq!(rule(put(PolicyOwner::User("nobody".to_owned()), "p", ALLOW).await), "not_found");
    put(of_user(), "p", ALLOW).await.unwrap();
    put(of_role(), "p", ALLOW).await.unwrap();
    let other = ALLOW.replace("eks:*", "iam:*");
    put(of_user(), "p", &other).await.unwrap();
    let actor = || actor_of(world.hub.account);
    let one = |owner, name: &str| accounts.get_policy(actor(), None, owner, name.to_owned());
    assert_eq!(one(of_user(), "p").await.unwrap().document, other);
    assert_eq!(rule(one(of_user(), "nothing").await), "not_found");
    assert_eq!(rule(one(PolicyOwner::Role("nobody".to_owned()), "p").await), "not_found");
    let listed = accounts.list_policies(actor(), None, of_user()).await.unwrap();
    assert_eq!(listed.iter().map(|policy| policy.document.as_str()).collect::<Vec<_>>(), [other.as_str()]);
    // 2 048 characters for a user together, blanks aside; a role has more room.
    let actions: Vec<String> = (0..60).map(|number| format!("\"eks:Action{number:018}\"")).collect();
    let long = ALLOW.replace("\"eks:*\"", &format!("[{}]", actions.join(",")));
    put(of_user(), "long", &format!("{}{long}", " ".repeat(4_000))).await.unwrap();
    assert_eq!(rule(put(of_user(), "one-more", ALLOW).await), "limit");
    put(of_role(), "long", &long).await.unwrap();
    put(of_role(), "one-more", ALLOW).await.unwrap();
    let delete = async |name: &str| accounts.delete_policy(by(world), None, of_user(), name.to_owned()).await;
    delete("long").await.unwrap();
    assert_eq!(rule(delete("long").await), "not_found");
    assert_eq!(
        rule(accounts.list_policies(actor(), None, PolicyOwner::Role("nobody".to_owned())).await),
        "not_found"
    );
}

async fn a_role_keeps_its_trust_policy_and_its_revocation(world: &World, accounts: &impl Accounts) {
    let bad = CreateRole { trust_policy: ALLOW.to_owned(), ..role("Dev") };
    assert_eq!(rule(accounts.create_role(by(world), bad).await), "malformed_policy_document");
    let long = CreateRole { session_seconds_max: 43_201, ..role("Dev") };
    assert_eq!(rule(accounts.create_role(by(world), long).await), "session_seconds_max");
    let made = accounts.create_role(by(world), role("Dev")).await.unwrap().value;
    assert_eq!((made.session_seconds_max, made.revoked_before), (3_600, None));
    let other = TRUST.replace('*', "111122223333");
    let changed =
        accounts.update_trust_policy(by(world), named("Dev"), other.clone(), false).await.unwrap().value;
    assert_eq!(changed.trust_policy, other);
    assert_eq!(
        rule(accounts.update_trust_policy(by(world), named("Dev"), ALLOW.to_owned(), false).await),
        "malformed_policy_document"
    );
    let revoked = accounts.revoke_sessions(by(world), named("Dev")).await.unwrap().value;
    assert_eq!(revoked.revoked_before, Some(world.now()));
    for missing in [
        accounts.revoke_sessions(by(world), named("nobody")).await,
        accounts.delete_role(by(world), named("nobody"), false).await,
        accounts.update_trust_policy(by(world), named("nobody"), other, false).await,
    ] {
        assert_eq!(rule(missing), "not_found");
    }
}

async fn a_trust_policy_means_those_who_were_there_when_it_was_written(
    world: &World,
    accounts: &impl Accounts,
) {
    let account = world.hub.account;
    let trusting = |whom: &str| TRUST.replace('*', whom);
    let arn = |path: &str| format!("arn:aws:iam::{account}:{path}");
    let update = |policy: String| accounts.update_trust_policy(by(world), named("Dev"), policy, false);
    let vic = accounts.create_user(by(world), user("vic")).await.unwrap().value;
    let ci = accounts.create_role(by(world), role("ci")).await.unwrap().value;
    accounts.create_role(by(world), role("Dev")).await.unwrap();
    // Nobody is there by these names, one of them by another path or letter case, one only in another partition.
    let gone = lanyard_iam::PrincipalId::parse(&vic.principal_id.replacen("AIDA", "AROA", 1)).unwrap();
    let absent = [
        arn("user/nobody"),
        arn("role/nobody"),
        arn("user/team/vic"),
        arn("user/Vic"),
        arn("role/vic"),
        arn("user/vic").replace("aws", "aws-cn"),
        gone.to_string(),
    ];
    for absent in absent {
        let refused = CreateRole { trust_policy: trusting(&absent), ..role("New") };
        assert_eq!(rule(accounts.create_role(by(world), refused).await), "absent_principal", "{absent}");
        assert_eq!(rule(update(trusting(&absent)).await), "absent_principal", "{absent}");
    }
    // Whom this hub does not keep it cannot look up.
    for elsewhere in ["arn:aws:iam::999999999999:user/theirs", "999999999999", "*"] {
        let made = update(trusting(elsewhere)).await.unwrap().value;
        assert_eq!(made.trusted_ids, BTreeMap::new(), "{elsewhere}");
    }
    update(trusting(&vic.principal_id)).await.unwrap();
    let both = trusting(&format!("{}\",\"{}", arn("user/vic"), arn("role/ci")));
    let both = both.replace(r#"{"AWS":"#, r#"{"AWS":["#).replace(r#""}}]"#, r#""]}}]"#);
    let made = update(both.clone()).await.unwrap().value;
    let ids = [(arn("user/vic"), vic.principal_id.clone()), (arn("role/ci"), ci.principal_id.clone())];
    assert_eq!(made.trusted_ids, BTreeMap::from(ids.clone()));
    let shown = async || {
        let actor = || actor_of(account);
        let got = accounts.get_role(actor(), named("Dev")).await.unwrap();
        let listed = accounts.list_roles(actor(), None.into(), PageQuery::default()).await.unwrap();
        assert!(listed.items.contains(&got), "{listed:?}");
        got
    };
    assert_eq!(shown().await, made);
    // A name made anew is another: the policy goes on to mean who is gone, and says so.
    accounts.delete_user(by(world), named("vic"), false).await.unwrap();
    let without = both.replace(&arn("user/vic"), &vic.principal_id);
    for _ in 0..2 {
        let role = shown().await;
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parsed(&role.trust_policy), parsed(&without));
        assert_eq!(role.trusted_ids, BTreeMap::from([ids[1].clone()]));
        let _ = accounts.create_user(by(world), user("vic")).await;
    }
    assert_eq!(
        rule(update(without).await),
        "absent_principal",
        "as it is shown it names somebody who is gone"
    );
    let anew = update(both).await.unwrap().value;
    assert_ne!(anew.trusted_ids, made.trusted_ids);
}

async fn a_trust_policy_may_name_the_id_of_somebody_made_a_moment_ago_elsewhere(
    world: &World,
    accounts: &impl Accounts,
) {
    let account = world.hub.account;
    let trusting =
        |whom: &str| accounts.update_trust_policy(by(world), named("Dev"), TRUST.replace('*', whom), false);
    accounts.create_role(by(world), role("Dev")).await.unwrap();
    let vic = accounts.create_user(by(world), user("vic")).await.unwrap().value;
    trusting(&vic.principal_id).await.unwrap();
    let last = if vic.principal_id.ends_with('A') { "B" } else { "A" };
    let mut new = User { name: "new".to_owned(), ..vic };
    new.principal_id.replace_range(new.principal_id.len() - 1.., last);
    assert_eq!(rule(trusting(&new.principal_id).await), "absent_principal");
    // Another process with the store, of which this one's snapshots hear later.
    let other = world.database.open(Arc::new(world.clock.clone())).await;
    let scope = Scope::Account(account);
    let mut transaction = other.begin("test", &Mutation::system("test"), &[scope]).await.unwrap();
    transaction.put(&new).await.unwrap();
    transaction.commit_unrecorded().await.unwrap();
    trusting(&new.principal_id).await.unwrap();
}

async fn who_still_has_something_is_not_deleted_where_only_the_bare_are(
    world: &World,
    accounts: &impl Accounts,
) {
    accounts.create_user(by(world), user("bare")).await.unwrap();
    accounts.create_role(by(world), role("Bare")).await.unwrap();
    let key = accounts.create_access_key(by(world), named("bare")).await.unwrap().value.key;
    let owners = || [PolicyOwner::User("bare".to_owned()), PolicyOwner::Role("Bare".to_owned())];
    assert_eq!(rule(accounts.delete_user(by(world), named("bare"), true).await), "still_has");
    accounts.delete_access_key(by(world), named("bare"), key.id).await.unwrap();
    for owner in owners() {
        accounts.put_policy(by(world), None, owner, "p".to_owned(), ALLOW.to_owned()).await.unwrap();
    }
    assert_eq!(rule(accounts.delete_user(by(world), named("bare"), true).await), "still_has");
    assert_eq!(rule(accounts.delete_role(by(world), named("Bare"), true).await), "still_has");
    for owner in owners() {
        accounts.delete_policy(by(world), None, owner, "p".to_owned()).await.unwrap();
    }
    accounts.delete_user(by(world), named("bare"), true).await.unwrap();
    accounts.delete_role(by(world), named("Bare"), true).await.unwrap();
    assert_eq!(rule(accounts.delete_role(by(world), named("Bare"), true).await), "not_found");
}

async fn deleting_takes_all_that_hangs_on_it_and_a_name_made_anew_is_another(
    world: &World,
    accounts: &impl Accounts,
) {
    let first = accounts.create_user(by(world), user("ana")).await.unwrap().value;
    let key = accounts.create_access_key(by(world), named("ana")).await.unwrap().value;
    let owner = || PolicyOwner::User("ana".to_owned());
    accounts.put_policy(by(world), None, owner(), "p".to_owned(), ALLOW.to_owned()).await.unwrap();
    assert_eq!(rule(accounts.delete_user(by(world), named("ana"), true).await), "still_has");
    assert_eq!(accounts.delete_user(by(world), named("ana"), false).await.unwrap().value, first);
    assert_eq!(rule(accounts.delete_user(by(world), named("ana"), false).await), "not_found");
    let again = accounts.create_user(by(world), user("ana")).await.unwrap().value;
    assert_ne!(first.principal_id, again.principal_id);
    let actor = || actor_of(world.hub.account);
    assert_eq!(accounts.list_access_keys(actor(), named("ana")).await.unwrap(), []);
    assert_eq!(accounts.list_policies(actor(), None, owner()).await.unwrap(), []);
    let answer = world.knock(&crate::world::credentials_of(&key), &world.cluster).await;
    assert_eq!(crate::world::code(answer), "unknown_key");
}

async fn immunity_33_names_resolve_in_the_actors_own_account(world: &World, accounts: &impl Accounts) {
    let tenant = world.register("222233334444", Authority::Local).await;
    let theirs = || Mutation::by(actor_of(tenant));
    accounts.create_user(by(world), user("ana")).await.unwrap();
    accounts.create_role(by(world), role("Dev")).await.unwrap();
    let key = accounts.create_access_key(by(world), named("ana")).await.unwrap().value.key.id;
    let owner = || PolicyOwner::User("ana".to_owned());
    let home = Some(world.hub.account);
    for account in [None, home, Some(account("999988887777"))] {
        let named = |name: &str| Named { account, name: name.to_owned() };
        let actor = || actor_of(tenant);
        let outcomes = [
            accounts.get_user(actor(), named("ana")).await.map(drop),
            accounts.delete_user(theirs(), named("ana"), false).await.map(drop),
            accounts.create_access_key(theirs(), named("ana")).await.map(drop),
            accounts.list_access_keys(actor(), named("ana")).await.map(drop),
            accounts.set_access_key_active(theirs(), named("ana"), key.clone(), false).await.map(drop),
            accounts.delete_access_key(theirs(), named("ana"), key.clone()).await.map(drop),
            accounts.get_role(actor(), named("Dev")).await.map(drop),
            accounts.update_trust_policy(theirs(), named("Dev"), TRUST.to_owned(), false).await.map(drop),
            accounts.revoke_sessions(theirs(), named("Dev")).await.map(drop),
            accounts.delete_role(theirs(), named("Dev"), false).await.map(drop),
            accounts.put_policy(theirs(), account, owner(), "p".to_owned(), ALLOW.to_owned()).await.map(drop),
            accounts.list_policies(actor(), account, owner()).await.map(drop),
            accounts.get_policy(actor(), account, owner(), "p".to_owned()).await.map(drop),
            accounts.delete_policy(theirs(), account, owner(), "p".to_owned()).await.map(drop),
        ];
        for (place, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(rule(outcome), "not_found", "call {place} for {account:?}");
        }
        if account.is_some() {
            let users = accounts.list_users(actor(), account.into(), PageQuery::default()).await;
            assert_eq!(rule(users), "not_found", "{account:?}");
            let roles = accounts.list_roles(actor(), account.into(), PageQuery::default()).await;
            assert_eq!(rule(roles), "not_found", "{account:?}");
            let made = accounts.create_user(theirs(), CreateUser { account, ..user("mallory") }).await;
            assert_eq!(rule(made), "not_found", "{account:?}");
        }
    }
    let own =
        accounts.list_users(actor_of(tenant), OfAccount::default(), PageQuery::default()).await.unwrap();
    assert_eq!(own.items, []);
    let seen = accounts.list_accounts(actor_of(tenant), PageQuery::default()).await.unwrap();
    assert_eq!(seen.items.iter().map(|account| account.id).collect::<Vec<_>>(), [tenant]);
    let make = CreateUser { account: Some(tenant), ..user("first") };
    accounts.create_user(operator(world), make).await.unwrap();
    assert_eq!(accounts.get_user(actor_of(tenant), named("first")).await.unwrap().account, tenant);
}

async fn immunity_31_an_account_number_has_one_authority(world: &World, accounts: &impl Accounts) {
    let make = |id: &str, authority| CreateAccount {
        id: account(id),
        partition: Partition::Aws,
        authority,
        name: "test".to_owned(),
    };
    let sts = |name: &str| Authority::Sts(name.to_owned());
    assert_eq!(
        rule(accounts.create_account(by(world), make("999988887777", Authority::Local)).await),
        "denied"
    );
    accounts.create_account(operator(world), make("999988887777", Authority::Local)).await.unwrap();
    for authority in [Authority::Local, Authority::Aws, sts("lab")] {
        assert_eq!(
            rule(accounts.create_account(operator(world), make("999988887777", authority)).await),
            "exists"
        );
    }
    assert_eq!(
        rule(accounts.create_account(operator(world), make("888877776666", sts("nowhere"))).await),
        "unknown_sts"
    );
    accounts.create_account(operator(world), make("888877776666", sts("lab"))).await.unwrap();
    let in_lab = CreateUser { account: Some(account("888877776666")), ..user("ana") };
    assert_eq!(rule(accounts.create_user(operator(world), in_lab).await), "not_local");
    assert_eq!(rule(accounts.delete_account(operator(world), world.hub.account).await), "hub_account");
    assert_eq!(rule(accounts.delete_account(by(world), account("999988887777")).await), "denied");
    accounts.delete_account(operator(world), account("999988887777")).await.unwrap();
    assert_eq!(rule(accounts.delete_account(operator(world), account("999988887777")).await), "not_found");
}

async fn a_second_arrival_of_a_signature_gets_the_recorded_answer(world: &World, accounts: &impl Accounts) {
    let first = accounts.create_user(signed(world, 1), user("ana")).await.unwrap();
    let second = accounts.create_user(signed(world, 1), user("ana")).await.unwrap();
    assert_eq!(first, second);
    accounts.create_user(by(world), user("bo")).await.unwrap();
    assert_eq!(
        rule(accounts.create_user(signed(world, 1), user("ana")).await),
        "replayed",
        "the account has moved on"
    );
    assert_eq!(
        rule(accounts.create_user(signed(world, 2), user("ana")).await),
        "exists",
        "another signature is another call"
    );
}

async fn a_second_arrival_of_a_signature_that_made_a_secret_has_to_be_signed_anew(
    world: &World,
    accounts: &impl Accounts,
) {
    accounts.create_user(by(world), user("ana")).await.unwrap();
    accounts.create_access_key(signed(world, 1), named("ana")).await.unwrap();
    assert_eq!(rule(accounts.create_access_key(signed(world, 1), named("ana")).await), "replayed");
    assert_eq!(accounts.list_access_keys(actor_of(world.hub.account), named("ana")).await.unwrap().len(), 1);
}

async fn a_role_is_described_and_its_sessions_limited_as_iam_has_it(world: &World, accounts: &impl Accounts) {
    let described = CreateRole { description: "Deploys".to_owned(), ..role("Dev") };
    let made = accounts.create_role(by(world), described).await.unwrap().value;
    assert_eq!((made.description.as_str(), made.session_seconds_max), ("Deploys", 3_600));
    let update = |description: Option<&str>, session_seconds_max| UpdateRole {
        description: description.map(str::to_owned),
        session_seconds_max,
    };
    let longer =
        accounts.update_role(by(world), named("Dev"), update(None, Some(43_200))).await.unwrap().value;
    assert_eq!((longer.description.as_str(), longer.session_seconds_max), ("Deploys", 43_200));
    let bare = accounts.update_role(by(world), named("Dev"), update(Some(""), None)).await.unwrap().value;
    assert_eq!((bare.description.as_str(), bare.session_seconds_max), ("", 43_200));
    assert_eq!(accounts.get_role(actor_of(world.hub.account), named("Dev")).await.unwrap(), bare);
    let long = "x".repeat(1_001);
    for (bad, expected) in [
        (update(Some(&long), None), "description"),
        (update(Some("\u{0}"), None), "description"),
        (update(None, Some(3_599)), "session_seconds_max"),
        (update(None, Some(43_201)), "session_seconds_max"),
    ] {
        assert_eq!(rule(accounts.update_role(by(world), named("Dev"), bad).await), expected);
    }
    let described = CreateRole { description: long, ..role("Other") };
    assert_eq!(rule(accounts.create_role(by(world), described).await), "description");
    assert_eq!(rule(accounts.update_role(by(world), named("nobody"), update(None, None)).await), "not_found");
}

async fn tags_are_put_on_users_and_roles_and_taken_away(world: &World, accounts: &impl Accounts) {
    accounts.create_user(by(world), user("ana")).await.unwrap();
    accounts.create_role(by(world), role("Dev")).await.unwrap();
    let tag =
        |key: &str, value: &str| -> BTreeMap<String, String> { [(key.to_owned(), value.to_owned())].into() };
    accounts.tag_user(by(world), named("ana"), tag("Team", "a")).await.unwrap();
    accounts.tag_role(by(world), named("Dev"), tag("Team", "a")).await.unwrap();
    let of_user = accounts.tag_user(by(world), named("ana"), tag("team", "b")).await.unwrap().value.tags;
    let of_role = accounts.tag_role(by(world), named("Dev"), tag("cost", "1")).await.unwrap().value.tags;
    assert_eq!((of_user, of_role.len()), (tag("team", "b"), 2));
    assert_eq!(rule(accounts.tag_user(by(world), named("ana"), tag("aws:x", "")).await), "reserved_tag");
    assert_eq!(rule(accounts.tag_role(by(world), named("Dev"), BTreeMap::new()).await), "required");
    let many: BTreeMap<_, _> = (0..50).map(|n| (format!("k{n}"), String::new())).collect();
    assert_eq!(rule(accounts.tag_user(by(world), named("ana"), many).await), "limit", "with the one there");
    let keys = || vec!["TEAM".to_owned(), "none".to_owned()];
    assert_eq!(
        accounts.untag_user(by(world), named("ana"), keys()).await.unwrap().value.tags,
        BTreeMap::new()
    );
    assert_eq!(
        accounts.untag_role(by(world), named("Dev"), keys()).await.unwrap().value.tags,
        tag("cost", "1")
    );
    for missing in [
        accounts.tag_user(by(world), named("nobody"), tag("a", "")).await.map(drop),
        accounts.untag_user(by(world), named("nobody"), keys()).await.map(drop),
        accounts.tag_role(by(world), named("nobody"), tag("a", "")).await.map(drop),
        accounts.untag_role(by(world), named("nobody"), keys()).await.map(drop),
    ] {
        assert_eq!(rule(missing), "not_found");
    }
}

async fn immunity_11_a_role_trusts_an_issuer_without_a_subject_only_by_force(
    world: &World,
    accounts: &impl Accounts,
) {
    let trusting = |condition: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity",
                "Principal":{{"Federated":"arn:aws:iam::111122223333:oidc-provider/gitlab.com"}},"Condition":{condition}}}]}}"#
        )
    };
    let narrow = trusting(r#"{"StringLike":{"gitlab.com:sub":"project_path:group/*"}}"#);
    let open = trusting(r#"{"StringEquals":{"gitlab.com:aud":"sts"}}"#);
    let refused = CreateRole { trust_policy: open.clone(), ..role("Open") };
    assert_eq!(rule(accounts.create_role(by(world), refused.clone()).await), "any_subject");
    let forced = CreateRole { allow_any_subject: true, ..refused.clone() };
    let notices = accounts.create_role(by(world), forced).await.unwrap().notices;
    assert!(notices.iter().any(|notice| notice.contains("`gitlab.com:sub`")), "{notices:?}");
    let tagged = CreateRole {
        name: "Tagged".to_owned(),
        tags: [("lanyard:any-subject".to_owned(), "true".to_owned())].into(),
        ..refused
    };
    accounts.create_role(by(world), tagged).await.unwrap();

    let plain = CreateRole { trust_policy: narrow.clone(), ..role("Plain") };
    let notices = accounts.create_role(by(world), plain).await.unwrap().notices;
    assert!(notices.is_empty(), "{notices:?}");
    let update = |name, any| accounts.update_trust_policy(by(world), named(name), open.clone(), any);
    assert_eq!(rule(update("Plain", false).await), "any_subject");
    let kept = accounts.get_role(actor_of(world.hub.account), named("Plain")).await.unwrap();
    assert_eq!(kept.trust_policy, narrow);
    assert_eq!(update("Plain", true).await.unwrap().value.trust_policy, open);
    assert_eq!(update("Tagged", false).await.unwrap().value.trust_policy, open, "by its tag");
}

async fn a_key_tells_its_account_whether_or_not_it_is_there(world: &World, accounts: &impl Accounts) {
    let actor = || actor_of(world.hub.account);
    accounts.create_user(by(world), user("ana")).await.unwrap();
    let key = accounts.create_access_key(by(world), named("ana")).await.unwrap().value.key;
    assert_eq!(accounts.get_access_key_info(actor(), key.id.clone()).await.unwrap(), world.hub.account);
    accounts.delete_access_key(by(world), named("ana"), key.id.clone()).await.unwrap();
    assert_eq!(accounts.get_access_key_info(actor(), key.id).await.unwrap(), world.hub.account);
    // A session's too, of whatever account: no row tells of sessions.
    for account in [world.hub.account, AccountId::parse("444455556666").unwrap()] {
        let session = AccessKeyId::generate_local_session(account, [7; 16]);
        assert_eq!(accounts.get_access_key_info(actor(), session).await.unwrap(), account);
    }
    for other in ["AKIAAAAAAAAAAAAAAAAA", "ASIAAAAAAAAAAAAAAAAA", "LSIAAAAAAAAAAAAAAAAA"] {
        let asked = accounts.get_access_key_info(actor(), other.parse().unwrap()).await;
        assert_eq!(rule(asked), "access_key_id", "{other}");
    }
}

//! What belongs to one user, role or principal is found without what belongs to others.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_api::{Authority, Scope, authn::accounts::*};
use lanyard_iam::{CanonicalArn, PrincipalArn};

use super::{Bench, tamper, world::*};
use crate::{
    sql::{Access, Connection, Value},
    tables::accounts::of_one,
};

pub(super) async fn the_access_keys_of_a_user_are_found(bench: Bench) {
    let store = bench.open().await;
    insert(&store, &account(HOME, Authority::Local)).await.unwrap();
    for user in [user("ana"), user("bob")] {
        insert(&store, &user).await.unwrap();
    }
    for key in [key("ana", 2), key("bob", 3), key("ana", 1)] {
        insert(&store, &key).await.unwrap();
    }
    let expected = vec![key("ana", 1), key("ana", 2)];
    assert_eq!(store.access_keys_of(account_id(HOME), "ana").await.unwrap(), expected);
    assert_eq!(store.access_keys_of(account_id(HOME), "an").await.unwrap(), []);
    assert_eq!(store.access_keys_of(account_id(AWAY), "ana").await.unwrap(), []);
    let mut transaction = store.begin("test", &by("test"), &[home()]).await.unwrap();
    assert_eq!(transaction.access_keys_of(account_id(HOME), "ana").await.unwrap(), expected);
}

pub(super) async fn the_access_policies_of_an_entry_are_counted(bench: Bench) {
    let store = bench.open().await;
    insert(&store, &account(HOME, Authority::Local)).await.unwrap();
    let (dev, other) = (cluster("dev"), cluster("other"));
    let at = |cluster, name: &str| entry(cluster, &format!("arn:aws:iam::{HOME}:user/{name}"));
    let (ana, bob, there) = (at(&dev, "ana"), at(&dev, "bob"), at(&other, "ana"));
    for cluster in [&dev, &other] {
        insert(&store, cluster).await.unwrap();
    }
    for entry in [&ana, &bob, &there] {
        insert(&store, entry).await.unwrap();
    }
    let view = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";
    for association in [association(&ana, ADMIN_POLICY), association(&ana, view), association(&there, view)] {
        insert(&store, &association).await.unwrap();
    }
    let scope = Scope::Cluster(dev.uid);
    let mut transaction = store.begin("test", &by("test"), &[scope]).await.unwrap();
    for (cluster, entry, expected) in
        [(&dev, &ana, 2), (&dev, &bob, 0), (&dev, &there, 0), (&other, &there, 1)]
    {
        assert_eq!(transaction.policies_of_entry(cluster.uid, entry.id).await.unwrap(), expected);
    }
    transaction.put(&association(&bob, view)).await.unwrap();
    assert_eq!(transaction.policies_of_entry(dev.uid, bob.id).await.unwrap(), 1, "its own writes count");
}

pub(super) async fn the_policies_of_an_owner_and_the_profile_of_a_role_are_found(bench: Bench) {
    let store = bench.open().await;
    for account in [account(HOME, Authority::Local), account(AWAY, Authority::Aws)] {
        insert(&store, &account).await.unwrap();
    }
    insert(&store, &user("Dev")).await.unwrap();
    for name in ["Dev", "Dev2"] {
        insert(&store, &role(name)).await.unwrap();
    }
    let of_user = || PolicyOwner::User("Dev".to_owned());
    let of_role = |name: &str| PolicyOwner::Role(name.to_owned());
    let of_principal = |name: &str| {
        PolicyOwner::Principal(CanonicalArn::parse(&format!("arn:aws:iam::{AWAY}:role/{name}")).unwrap())
    };
    let elsewhere = |owner| InlinePolicy { account: account_id(AWAY), ..policy(owner, "look") };
    let policies = [
        policy(of_user(), "look"),
        policy(of_role("Dev"), "look"),
        policy(of_role("Dev"), "change"),
        policy(of_role("Dev2"), "look"),
        elsewhere(of_principal("Dev")),
        elsewhere(of_principal("Dev/look")),
    ];
    for policy in &policies {
        insert(&store, policy).await.unwrap();
    }
    for (name, role) in [("d", Some("Dev")), ("b", Some("Dev")), ("c", Some("Dev2")), ("a", None)] {
        insert(&store, &instance_profile(name, role)).await.unwrap();
    }
    let [user, look, change, other, there, longer] = &policies;
    let cases = [
        (HOME, of_user(), vec![user]),
        (HOME, of_role("Dev"), vec![change, look]),
        (HOME, of_role("Dev2"), vec![other]),
        (HOME, of_role("dev"), vec![]),
        (HOME, of_role("Dev\0"), vec![]),
        (AWAY, of_role("Dev"), vec![]),
        (AWAY, of_principal("Dev"), vec![there]),
        (AWAY, of_principal("Dev/look"), vec![longer]),
        (HOME, of_principal("Dev"), vec![]),
    ];
    let mut transaction = store.begin("test", &by("test"), &[home()]).await.unwrap();
    for (account, owner, expected) in cases {
        let found = transaction.policies_of(account_id(account), &owner).await.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{owner:?}");
        assert_eq!(store.policies_of(account_id(account), &owner).await.unwrap(), found, "{owner:?}");
    }
    for (account, most, expected) in [(HOME, 9, 0), (AWAY, 9, 2), (AWAY, 2, 2), (AWAY, 1, 1), (AWAY, 0, 0)] {
        let count = transaction.principals_with_policies(account_id(account), most).await.unwrap();
        assert_eq!(count, expected, "{account}, {most}");
    }
    for (account, role, expected) in [(HOME, "Dev", Some("b")), (HOME, "none", None), (AWAY, "Dev", None)] {
        let found = transaction.profile_with(account_id(account), role).await.unwrap();
        assert_eq!(found.map(|profile| profile.name).as_deref(), expected, "{account}, {role}");
    }
    drop(transaction);
    let cases: [(&str, &str, &str, u32, &[&str]); 9] = [
        (HOME, "Dev", "", 9, &["b", "d"]),
        (HOME, "Dev", "", 1, &["b"]),
        (HOME, "Dev", "b", 9, &["d"]),
        (HOME, "Dev", "b\0x", 9, &["d"]),
        (HOME, "Dev", "d", 9, &[]),
        (HOME, "Dev2", "", 9, &["c"]),
        (HOME, "dev", "", 9, &[]),
        (HOME, "Dev\0", "", 9, &[]),
        (AWAY, "Dev", "", 9, &[]),
    ];
    for (account, role, after, most, expected) in cases {
        let found = store.profiles_with(account_id(account), role, after, most).await.unwrap();
        let names: Vec<&str> = found.iter().map(|profile| profile.name.as_str()).collect();
        assert_eq!(names, expected, "{account}, {role:?} after {after:?}");
    }
}

pub(super) async fn who_bears_an_arn_or_a_unique_id_is_found(bench: Bench) {
    let store = bench.open().await;
    for number in [HOME, AWAY] {
        insert(&store, &account(number, Authority::Local)).await.unwrap();
    }
    insert(&store, &user("ana")).await.unwrap();
    for n in 0..40 {
        insert(&store, &role(&format!("r{n}"))).await.unwrap();
    }
    let arn =
        |account: &str, path: &str| PrincipalArn::parse(&format!("arn:aws:iam::{account}:{path}")).unwrap();
    let role_arn = |n: u32| arn(HOME, &format!("role/r{n}"));
    let mut asked: BTreeSet<PrincipalArn> = (0..50).map(role_arn).collect();
    let others = ["user/ana", "user/team/ana", "user/Ana", "role/ana", "user/r1", "root"];
    asked.extend(others.map(|path| arn(HOME, path)));
    asked.insert(arn(AWAY, "user/ana"));
    let mut expected: BTreeMap<_, _> = (0..40).map(|n| (role_arn(n), format!("AROAR{n}"))).collect();
    expected.extend(["user/ana", "user/team/ana"].map(|path| (arn(HOME, path), "AIDAANA".to_owned())));
    assert_eq!(store.bearers(&asked).await.unwrap(), expected);
    assert_eq!(store.bearers(&BTreeSet::new()).await.unwrap(), BTreeMap::new());
    let mut transaction = store.begin("test", &by("test"), &[home()]).await.unwrap();
    for (of, id, is_there) in [
        (HOME, "AIDAANA", true),
        (HOME, "AROAR7", true),
        (HOME, "AROAR77", false),
        (HOME, "aidaana", false),
        (AWAY, "AIDAANA", false),
    ] {
        let found = transaction.has_principal(account_id(of), id).await.unwrap();
        assert_eq!(found, is_there, "{of}, {id}");
    }
}

/// Copies of a record of each sort, past Lanyard: so many that a database that has counted them reads no table through for one.
const MANY: [&str; 5] = [
    "INSERT INTO users (account, name, body, name_folded, path, principal_id)
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
     SELECT account, name || i, body, name_folded || i, path, principal_id || i FROM users, n WHERE name = 'ana'",
    "INSERT INTO iam_roles (account, name, body, name_folded, principal_id)
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
     SELECT account, name || i, body, name_folded || i, principal_id || i FROM iam_roles, n WHERE name = 'Dev'",
    "INSERT INTO access_keys (account, id, body, user_name, active)
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
     SELECT account, id || i, body, user_name || i, active FROM access_keys, n WHERE user_name = 'ana'",
    "INSERT INTO inline_policies (account, key, body, user_name, role_name, principal_arn)
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
     SELECT account, key || i, body, user_name || i, role_name || i, principal_arn || i FROM inline_policies, n
     WHERE user_name = 'ana' OR role_name = 'Dev' OR principal_arn IS NOT NULL",
    "INSERT INTO instance_profiles (account, name, body, name_folded, profile_id, role_name)
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
     SELECT account, name || i, body, name_folded || i, profile_id || i, role_name || i FROM instance_profiles, n
     WHERE role_name = 'Dev'",
];

pub(super) async fn what_belongs_to_one_is_found_by_an_index(bench: Bench) {
    let store = bench.open().await;
    insert(&store, &account(HOME, Authority::Local)).await.unwrap();
    insert(&store, &user("ana")).await.unwrap();
    insert(&store, &role("Dev")).await.unwrap();
    insert(&store, &key("ana", 1)).await.unwrap();
    insert(&store, &instance_profile("nodes", Some("Dev"))).await.unwrap();
    let principal = CanonicalArn::parse(&format!("arn:aws:iam::{HOME}:role/x")).unwrap();
    for owner in
        [PolicyOwner::User("ana".into()), PolicyOwner::Role("Dev".into()), PolicyOwner::Principal(principal)]
    {
        insert(&store, &policy(owner, "look")).await.unwrap();
    }
    for sql in MANY.into_iter().chain(["ANALYZE"]) {
        tamper(&store, sql).await;
    }
    let (mut connection, _permit) = store.open_connection(Access::Read).await.unwrap();
    let questions = [
        (of_one::KEYS, "access_keys_by_user"),
        (of_one::POLICIES_OF_USER, "inline_policies_by_user"),
        (of_one::POLICIES_OF_ROLE, "inline_policies_by_role"),
        (of_one::POLICIES_OF_PRINCIPAL, "inline_policies_by_principal"),
    ];
    for (sql, index) in questions {
        answered_by(&mut connection, sql, [HOME.into(), "one".into()], index).await;
    }
    let values = [HOME.into(), "one".into(), "".into(), Value::number(100)];
    answered_by(&mut connection, of_one::PROFILES_WITH_ROLE, values, "instance_profiles_by_role").await;
}

/// Asks the database how it would answer: by this index.
async fn answered_by<const N: usize>(
    connection: &mut Connection,
    sql: &str,
    values: [Value; N],
    index: &str,
) {
    let (explain, column) = match connection {
        Connection::Sqlite(_) => ("EXPLAIN QUERY PLAN", 3),
        Connection::Postgres(..) => ("EXPLAIN", 0),
    };
    let sql: &'static str = format!("{explain} {sql}").leak();
    let lines = connection.fetch(sql, values).await.unwrap();
    let plan: Vec<String> = lines.iter().map(|line| line.text(column).unwrap()).collect();
    assert!(plan.iter().any(|step| step.contains(index)), "{sql}: {plan:#?}");
}

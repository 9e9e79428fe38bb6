//! No call takes a cluster's last administrator away, whatever of the way in it changes.

use std::collections::BTreeSet;
use std::fmt::Debug;

use crate::methods::dangerous;
use crate::world::{AWS_ACCOUNT, World, account, cluster_of, system, world};
use lanyard_api::authn::accounts::{Accounts, CreateUser, Named, PolicyOwner};
use lanyard_api::mapping::Cluster;
use lanyard_api::{Authority, CallError, methods::MANAGED};
use lanyard_iam::{AccountId, CanonicalArn, PrincipalArn};
use lanyard_store::{Administrator, AdministratorSource, on_each_store, test_support::TestDatabase};

const TENANT: &str = "222233334444";
const ALLOW: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}"#;
const DENY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"sts:*","Resource":"*"}]}"#;

/// RBAC makes nobody an administrator in the guard's sense: that are access policies and `system:masters`.
const HARMLESS_OF_AUTHZ: [&str; 2] = ["ApplyObjects", "DeleteObject"];

/// Workloads are nobody's administrators.
const HARMLESS_OF_CREDENTIALS: [&str; 10] = [
    "TagResource",
    "UntagResource",
    "ApplyServiceAccounts",
    "PushIssuer",
    "PublishIssuerKey",
    "RetireIssuerKey",
    "RotateHubIssuerKey",
    "CreatePodIdentityAssociation",
    "UpdatePodIdentityAssociation",
    "DeletePodIdentityAssociation",
];

#[test]
fn immunity_56_every_mutating_method_is_looked_at() {
    let mutating = |package: &'static str| -> BTreeSet<&str> {
        let ours = MANAGED.iter().filter(|method| method.mutates && method.path.starts_with(package));
        ours.filter_map(|method| method.path.rsplit('/').next()).collect()
    };
    assert_eq!(mutating("/lanyard.authz."), HARMLESS_OF_AUTHZ.into_iter().collect());
    assert_eq!(mutating("/lanyard.credentials."), HARMLESS_OF_CREDENTIALS.into_iter().collect());
    // authn's have their table; mapping's are looked at beside its engine; nobody else changes anything.
    let packages = ["/lanyard.authn.", "/lanyard.authz.", "/lanyard.credentials.", "/lanyard.mapping."];
    assert_eq!(mutating("/"), packages.into_iter().flat_map(mutating).collect());
}

/// Makes a principal an administrator of the cluster.
async fn administrator(world: &World, cluster: &Cluster, authority: Authority, arn: &str) {
    let principal: PrincipalArn = arn.parse().unwrap();
    let administrator = Administrator {
        cluster: cluster.uid,
        source: AdministratorSource::AwsAuth("mapRoles[0]".to_owned()),
        authority,
        account: principal.account,
        canonical_arn: CanonicalArn::of(&principal),
        principal_id: None,
        ends_at: None,
    };
    world.put(&administrator).await;
}

/// The methods that a test has seen refused.
#[derive(Default)]
struct Refused(BTreeSet<&'static str>);

impl Refused {
    fn see<T: Debug>(&mut self, method: &'static str, result: Result<T, CallError>) {
        match result {
            Err(CallError::Precondition { rule: "lockout", .. }) => self.0.insert(method),
            other => panic!("{method}: {other:?}"),
        };
    }
}

/// Whether a method changes tags.
fn tags(method: &str) -> bool {
    method.starts_with("Tag") || method.starts_with("Untag")
}

fn named(account: AccountId, name: &str) -> Named {
    Named { account: Some(account), name: name.to_owned() }
}

on_each_store!(
    immunity_56_no_call_takes_the_last_administrator,
    immunity_56_no_tag_takes_the_last_administrator
);

/// Who may assume the role is told by a tag of theirs, and the role that is assumed on the way by one of its own.
async fn immunity_56_no_tag_takes_the_last_administrator(database: TestDatabase) {
    let world = world(database).await;
    let mut refused = Refused::default();
    let home = world.register(TENANT, Authority::Local).await;
    let cluster = cluster_of(&world.hub, "tenant", home, world.now());
    world.put(&cluster).await;
    world.user(home, "/", "ana").await;
    let (ana, ops) = (named(home, "ana"), named(home, "ops"));
    world.policy(home, PolicyOwner::User("ana".to_owned()), "assume", ALLOW).await;
    world.role(home, "/", "ops", &format!("arn:aws:iam::{home}:root")).await;
    administrator(&world, &cluster, Authority::Local, &format!("arn:aws:iam::{home}:role/ops")).await;
    let engine = &world.engine;
    let tag = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    engine.tag_user(system(), ana.clone(), tag("team", "a")).await.unwrap();
    engine.tag_role(system(), ops.clone(), tag("open", "yes")).await.unwrap();
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{home}:root"}},
            "Action":"sts:AssumeRole","Condition":{{"StringEquals":{{"aws:PrincipalTag/team":"a","aws:ResourceTag/open":"yes"}}}}}}]}}"#
    );
    engine.update_trust_policy(system(), ops.clone(), trust, false).await.unwrap();
    refused.see("TagUser", engine.tag_user(system(), ana.clone(), tag("Team", "b")).await);
    refused.see("UntagUser", engine.untag_user(system(), ana.clone(), vec!["team".to_owned()]).await);
    refused.see("TagRole", engine.tag_role(system(), ops.clone(), tag("open", "no")).await);
    refused.see("UntagRole", engine.untag_role(system(), ops, vec!["open".to_owned()]).await);
    engine.tag_user(system(), ana, tag("other", "b")).await.unwrap();
    assert_eq!(refused.0, dangerous().into_iter().filter(|method| tags(method)).collect());
}

async fn immunity_56_no_call_takes_the_last_administrator(database: TestDatabase) {
    let world = world(database).await;
    let mut refused = Refused::default();
    let home = world.register(TENANT, Authority::Local).await;
    let cluster = cluster_of(&world.hub, "tenant", home, world.now());
    world.put(&cluster).await;
    let (_, key) = world.user(home, "/", "ana").await;
    let (ana, ana_owns) = (named(home, "ana"), || PolicyOwner::User("ana".to_owned()));
    world.policy(home, ana_owns(), "assume", ALLOW).await;
    world.role(home, "/", "ops", &format!("arn:aws:iam::{home}:root")).await;
    administrator(&world, &cluster, Authority::Local, &format!("arn:aws:iam::{home}:role/ops")).await;

    let engine = &world.engine;
    let key = key.access_key_id;
    refused.see(
        "UpdateAccessKey",
        engine.set_access_key_active(system(), ana.clone(), key.clone(), false).await,
    );
    refused.see("DeleteAccessKey", engine.delete_access_key(system(), ana.clone(), key).await);
    refused.see("DeleteUser", engine.delete_user(system(), ana.clone(), false).await);
    refused.see("DeleteRole", engine.delete_role(system(), named(home, "ops"), false).await);
    let keyless = CreateUser {
        account: Some(home),
        path: String::new(),
        name: "keyless".to_owned(),
        tags: Default::default(),
    };
    engine.create_user(system(), keyless).await.unwrap();
    let keyless = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{home}:user/keyless"}},"Action":"sts:AssumeRole"}}]}}"#
    );
    let trusted = engine.update_trust_policy(system(), named(home, "ops"), keyless, false).await;
    refused.see("UpdateAssumeRolePolicy", trusted);
    let deleted = engine.delete_policy(system(), Some(home), ana_owns(), "assume".to_owned()).await;
    refused.see("DeletePolicy", deleted);
    for (name, document) in [("assume", DENY), ("another", DENY)] {
        let put =
            engine.put_policy(system(), Some(home), ana_owns(), name.to_owned(), document.to_owned()).await;
        refused.see("PutPolicy", put);
    }

    // The same goes on where somebody else can assume the role.
    let (_, _) = world.user(home, "/", "bob").await;
    world.policy(home, PolicyOwner::User("bob".to_owned()), "assume", ALLOW).await;
    engine.delete_policy(system(), Some(home), ana_owns(), "assume".to_owned()).await.unwrap();
    engine.delete_user(system(), ana, false).await.unwrap();

    let of_aws = cluster_of(&world.hub, "aws", home, world.now());
    world.put(&of_aws).await;
    administrator(&world, &of_aws, Authority::Aws, &format!("arn:aws:iam::{AWS_ACCOUNT}:role/ops")).await;
    refused.see("DeleteAccount", engine.delete_account(system(), account(AWS_ACCOUNT)).await);
    assert_eq!(refused.0, dangerous().into_iter().filter(|method| !tags(method)).collect());
}

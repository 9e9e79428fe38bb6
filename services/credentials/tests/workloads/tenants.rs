use std::collections::{BTreeMap, BTreeSet};

use lanyard_api::{
    CallError, ClusterId, Mutation, PageQuery,
    credentials::{
        Associations, AssumeRole, AssumeRoleForPodIdentity, CreatePodIdentityAssociation, Issuers,
        PodIdentityAssociationFilter, PodIdentityAssociationId, PodIdentityAssociationRef, ProposeTrust,
        PublishIssuerKey, Sessions, UpdatePodIdentityAssociation, Vend, Workloads,
    },
    methods::MANAGED,
    tags::{TagEdit, TaggedArn, Tags},
};
use lanyard_oidc::{Algorithm, stand_in::SigningKey};
use secrecy::SecretString;

use crate::bench::*;

const ASKED: [&str; 19] = [
    "ApplyServiceAccounts",
    "ListServiceAccounts",
    "PushIssuer",
    "GetIssuer",
    "PublishIssuerKey",
    "RetireIssuerKey",
    "RotateHubIssuerKey",
    "DescribeIssuer",
    "CreatePodIdentityAssociation",
    "DescribePodIdentityAssociation",
    "ListPodIdentityAssociations",
    "UpdatePodIdentityAssociation",
    "DeletePodIdentityAssociation",
    "ProposeTrust",
    "AssumeRoleForPodIdentity",
    "TagResource",
    "UntagResource",
    "ListTagsForResource",
    "AssumeRole",
];

/// About whoever asks, and nobody else.
const OF_ONESELF: [&str; 2] = ["GetSessionToken", "GetCallerIdentity"];

/// All that credentials lets principals manage.
pub(crate) trait Calls: Workloads + Issuers + Associations + Vend + Tags + Sessions {}

impl<T: Workloads + Issuers + Associations + Vend + Tags + Sessions> Calls for T {}

#[test]
fn immunity_33_every_method_is_looked_at() {
    let managed = MANAGED.iter().filter(|method| method.path.starts_with("/lanyard.credentials."));
    let all: BTreeSet<&str> = managed.filter_map(|method| method.path.rsplit('/').next()).collect();
    let known: BTreeSet<&str> = ASKED.into_iter().chain(OF_ONESELF).collect();
    assert_eq!(all, known);
}

fn key(kid: &str) -> PublishIssuerKey {
    let key = SigningKey::generate(Algorithm::Es256, kid);
    PublishIssuerKey { jwk: key.jwk().to_string(), issuer_url: None }
}

/// What somebody of an account is answered about a cluster, an association in it, and a role.
async fn asked_by(
    number: &str,
    calls: &impl Calls,
    cluster: &ClusterId,
    association: &PodIdentityAssociationId,
    method: &str,
) -> Result<(), CallError> {
    let actor = || actor_of(number);
    let by = || Mutation::by(actor());
    let id = || cluster.clone();
    let named = || PodIdentityAssociationRef { cluster: id(), id: association.clone() };
    let arn = || -> TaggedArn {
        let text = format!("arn:aws:eks:eu-central-1:{HOME}:podidentityassociation/{cluster}/{association}");
        text.parse().unwrap()
    };
    match method {
        "ApplyServiceAccounts" => calls.apply_service_accounts(by(), id(), whole(&[])).await.map(drop),
        "ListServiceAccounts" => {
            calls.list_service_accounts(actor(), id(), PageQuery::default()).await.map(drop)
        }
        "PushIssuer" => {
            let pushed = crate::issuers::documents("https://issuer.example", &[]);
            calls.push_issuer(by(), id(), pushed).await.map(drop)
        }
        "GetIssuer" => calls.get_issuer(actor(), id()).await.map(drop),
        "PublishIssuerKey" => calls.publish_issuer_key(by(), id(), key("eve")).await.map(drop),
        "RetireIssuerKey" => calls.retire_issuer_key(by(), id(), "own".to_owned(), true).await.map(drop),
        "RotateHubIssuerKey" => calls.rotate_hub_issuer_key(by(), id()).await.map(drop),
        "DescribeIssuer" => calls.describe_issuer(actor(), id()).await.map(drop),
        "CreatePodIdentityAssociation" => {
            let asked = CreatePodIdentityAssociation { cluster: id(), ..asked("eve") };
            calls.create_pod_identity_association(by(), asked).await.map(drop)
        }
        "DescribePodIdentityAssociation" => {
            calls.get_pod_identity_association(actor(), named()).await.map(drop)
        }
        "ListPodIdentityAssociations" => {
            let filter = PodIdentityAssociationFilter::default();
            let page = PageQuery::default();
            calls.list_pod_identity_associations(actor(), id(), filter, page).await.map(drop)
        }
        "UpdatePodIdentityAssociation" => {
            let change =
                UpdatePodIdentityAssociation { disable_session_tags: Some(true), ..Default::default() };
            calls.update_pod_identity_association(by(), named(), change).await.map(drop)
        }
        "DeletePodIdentityAssociation" => {
            calls.delete_pod_identity_association(by(), named()).await.map(drop)
        }
        "ProposeTrust" => {
            let asked = ProposeTrust {
                cluster: id(),
                namespace: "team-a".to_owned(),
                service_account: "bot".to_owned(),
                role_arn: format!("arn:aws:iam::{HOME}:role/app"),
                aws_road: None,
            };
            calls.propose_trust(actor(), asked).await.map(drop)
        }
        "AssumeRoleForPodIdentity" => {
            let token = SecretString::from("a.b.c");
            let request = AssumeRoleForPodIdentity { cluster: id(), token, node_name: None };
            calls.assume_role_for_pod_identity(actor(), request).await.map(drop)
        }
        "TagResource" => {
            let put = TagEdit::Put(BTreeMap::from([("team".to_owned(), "eve".to_owned())]));
            calls.edit_tags(by(), arn(), put).await.map(drop)
        }
        "UntagResource" => {
            let remove = TagEdit::Remove(vec!["team".to_owned()]);
            calls.edit_tags(by(), arn(), remove).await.map(drop)
        }
        "ListTagsForResource" => calls.list_tags(actor(), arn()).await.map(drop),
        "AssumeRole" => {
            // Admitted for the role of that name in the account that they are of: which of another account's roles anybody may assume,
            // Admit weighs with the role's trust policy.
            let mut by = actor();
            by.value.action = "sts:AssumeRole".to_owned();
            by.value.resource = format!("arn:aws:iam::{ABROAD}:role/{cluster}");
            let role_arn = format!("arn:aws:iam::{HOME}:role/{cluster}");
            let session_name = "eve".to_owned();
            calls.assume_role(by, AssumeRole { role_arn, session_name, ..Default::default() }).await.map(drop)
        }
        other => panic!("{other} is not asked"),
    }
}

pub(crate) async fn immunity_33_another_accounts_cluster_does_not_exist_for_any_method(
    bench: &Bench,
    calls: &impl Calls,
) {
    bench.role("app", PODS_OF_DEV).await;
    // The role that is asked for is called as the cluster is.
    bench.role("dev", EC2).await;
    let by = || Mutation::by(actor_of(HOME));
    let made = calls.create_pod_identity_association(by(), asked("bot")).await.unwrap().value;
    calls.publish_issuer_key(by(), dev(), key("own")).await.unwrap();
    let id = &made.association.id;
    let before = bench.revision().await;
    let nowhere: ClusterId = "none".parse().unwrap();
    for method in ASKED {
        let there = asked_by(ABROAD, calls, &dev(), id, method).await.unwrap_err().to_string();
        // In its own account, what is nowhere is answered for in the same words.
        let none = asked_by(HOME, calls, &nowhere, id, method).await.unwrap_err().to_string();
        assert_eq!(there, none.replace("none", "dev"), "{method}");
        if method != "AssumeRole" {
            assert!(there.ends_with("does not exist"), "{method}: {there}");
        }
    }
    assert_eq!(bench.revision().await, before, "nothing came of any of it");
    let own = calls.get_pod_identity_association(
        actor_of(HOME),
        PodIdentityAssociationRef { cluster: dev(), id: id.clone() },
    );
    assert_eq!(own.await.unwrap(), made);
    let caller = calls.get_caller_identity(actor_of(ABROAD)).await.unwrap();
    assert_eq!(caller.account, account(ABROAD), "of oneself there is one's own account alone");
}

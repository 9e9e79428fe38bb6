use std::collections::BTreeSet;

use lanyard_api::{
    Authority, BlockId, ClusterUpdateId, PageQuery, Scope, Vouched,
    mapping::{
        AccessScope, Cluster, CreateCluster, Node, PreviewQuery, Resolution, Resolve, ResolveQuery,
        SpokeCredential, UpdateCluster,
    },
    methods::MANAGED,
    tags::TagEdit,
};

use crate::{
    bench::*,
    blocks::{block, principal},
    entries::change,
    identity_providers::{issuer, provider},
    spokes::kubeconfig,
    tags::put,
};

const ASKED: [&str; 43] = [
    "DescribeUpdate",
    "ListUpdates",
    "TagResource",
    "UntagResource",
    "ListTagsForResource",
    "Preview",
    "CreateCluster",
    "DescribeCluster",
    "ListClusters",
    "UpdateClusterConfig",
    "DeleteCluster",
    "PushAwsAuth",
    "GetAwsAuth",
    "SetNode",
    "ListNodes",
    "DeleteNode",
    "CreateSpokeCredential",
    "ListSpokeCredentials",
    "DeleteSpokeCredential",
    "PutSpokeKubeconfig",
    "DeleteSpokeKubeconfig",
    "RegisterSpokeCertificate",
    "DescribeSpoke",
    "ReportSpoke",
    "ArmBreakGlass",
    "DisarmBreakGlass",
    "ListBreakGlass",
    "CreateAccessEntry",
    "DescribeAccessEntry",
    "ListAccessEntries",
    "ListAssociatedAccessPolicies",
    "PreviewAccessEntry",
    "WatchAccessEntries",
    "UpdateAccessEntry",
    "DeleteAccessEntry",
    "AssociateAccessPolicy",
    "DisassociateAccessPolicy",
    "AssociateIdentityProviderConfig",
    "DescribeIdentityProviderConfig",
    "ListIdentityProviderConfigs",
    "DisassociateIdentityProviderConfig",
    "CreateBlock",
    "DeleteBlock",
];

pub(crate) async fn immunity_33_every_method_is_looked_at<C: Calls, R: Resolve>(_: Bench<C, R>) {
    let managed = MANAGED.iter().filter(|method| method.path.starts_with("/lanyard.mapping."));
    let all: BTreeSet<&str> = managed.filter_map(|method| method.path.rsplit('/').next()).collect();
    // What AWS publishes is the same for everybody.
    let known: BTreeSet<&str> = ASKED.into_iter().chain(["ListBlocks", "ListAccessPolicies"]).collect();
    assert_eq!(all, known);
}

/// What somebody with every right in another account is answered about a cluster.
async fn asked_by_eve<C: Calls, R: Resolve>(bench: &Bench<C, R>, cluster: &Cluster, method: &str) -> String {
    let calls = &bench.calls;
    let id = || cluster.id.clone();
    let creator = of(OWN, "user/admin");
    let known = || entry_ref(cluster, &creator);
    let page = PageQuery::default;
    let scope = Scope::Cluster(cluster.uid);
    match method {
        "Preview" => {
            let arn = arn(&creator);
            let query =
                PreviewQuery { cluster: cluster.uid, authority: Authority::Local, arn, principal_id: None };
            code_of(calls.preview(eve(), query).await)
        }
        "CreateCluster" => {
            let asked = CreateCluster { account: Some(account(OWN)), ..cluster_named("x") };
            code_of(calls.create_cluster(by(eve()), asked).await)
        }
        "DescribeCluster" => code_of(calls.get_cluster(eve(), id()).await),
        "ListClusters" => {
            let listed = calls.list_clusters(eve(), None, page()).await.unwrap().items;
            if listed.is_empty() { String::from("not_found") } else { format!("{listed:?}") }
        }
        "UpdateClusterConfig" => {
            code_of(calls.update_cluster(by(eve()), id(), UpdateCluster::default()).await)
        }
        "DeleteCluster" => code_of(calls.delete_cluster(by(eve()), id()).await),
        "PushAwsAuth" => code_of(calls.push_aws_auth(by(eve()), id(), String::from("data: {}")).await),
        "GetAwsAuth" => code_of(calls.get_aws_auth(eve(), id()).await),
        "SetNode" => {
            let node = Node {
                cluster: cluster.uid,
                instance_id: String::from("i-01234567"),
                private_dns_name: String::from("a"),
                role_arn: Some(of(OWN, "role/node")),
                access_key_id: None,
            };
            code_of(calls.set_node(by(eve()), id(), node).await)
        }
        "ListNodes" => code_of(calls.list_nodes(eve(), id(), page()).await),
        "DeleteNode" => code_of(calls.delete_node(by(eve()), id(), String::from("i-01234567")).await),
        "ListSpokeCredentials" => code_of(calls.list_spoke_credentials(eve(), id()).await),
        "DeleteSpokeCredential" => {
            let known = bench.store.load::<SpokeCredential>(Scope::Hub).await.unwrap().1;
            let one = known.first().map_or_else(String::new, |one| one.id.clone());
            code_of(calls.delete_spoke_credential(by(eve()), id(), one).await)
        }
        "CreateSpokeCredential" => code_of(calls.create_spoke_credential(by(eve()), id()).await),
        "PutSpokeKubeconfig" => {
            code_of(calls.put_spoke_kubeconfig(by(eve()), id(), kubeconfig("t"), None).await)
        }
        "DeleteSpokeKubeconfig" => code_of(calls.delete_spoke_kubeconfig(by(eve()), id()).await),
        "RegisterSpokeCertificate" => {
            code_of(calls.register_spoke_certificate(by(eve()), id(), "ab".repeat(32)).await)
        }
        "ListAssociatedAccessPolicies" => {
            code_of(calls.list_associated_policies(eve(), known(), page()).await)
        }
        "DescribeSpoke" => code_of(calls.get_spoke(eve(), id()).await),
        "ReportSpoke" => code_of(calls.report_spoke(eve(), id(), crate::spokes::watch()).await),
        "ArmBreakGlass" => code_of(calls.arm_break_glass(by(eve()), id()).await),
        "DisarmBreakGlass" => code_of(calls.disarm_break_glass(by(eve()), id()).await),
        "ListBreakGlass" => {
            let listed = calls.list_break_glass(eve()).await.unwrap();
            if listed.is_empty() { String::from("not_found") } else { format!("{listed:?}") }
        }
        "CreateAccessEntry" => {
            code_of(calls.create_entry(by(eve()), entry(cluster, &of(TENANT, "user/eve"))).await)
        }
        "DescribeAccessEntry" => code_of(calls.get_entry(eve(), known()).await),
        "ListAccessEntries" => code_of(calls.list_entries(eve(), id(), None, page()).await),
        "WatchAccessEntries" => code_of(calls.watch_entries(eve(), id(), None).await.map(drop)),
        "PreviewAccessEntry" => code_of(calls.preview_entry(eve(), known()).await),
        "UpdateAccessEntry" => code_of(calls.update_entry(by(eve()), change(cluster, &creator)).await),
        "DeleteAccessEntry" => code_of(calls.delete_entry(by(eve()), known()).await),
        "AssociateAccessPolicy" => {
            let policy = policy("AmazonEKSViewPolicy");
            code_of(calls.associate_policy(by(eve()), known(), policy, AccessScope::Cluster, None).await)
        }
        "DisassociateAccessPolicy" => {
            code_of(calls.disassociate_policy(by(eve()), known(), CLUSTER_ADMIN.to_owned()).await)
        }
        "AssociateIdentityProviderConfig" => {
            code_of(calls.associate_identity_provider(by(eve()), issuer(cluster, "eve")).await)
        }
        "DescribeIdentityProviderConfig" => {
            code_of(calls.get_identity_provider(eve(), provider(cluster, "okta")).await)
        }
        "ListIdentityProviderConfigs" => code_of(calls.list_identity_providers(eve(), id(), page()).await),
        "DisassociateIdentityProviderConfig" => {
            code_of(calls.disassociate_identity_provider(by(eve()), provider(cluster, "okta")).await)
        }
        "CreateBlock" => {
            let own = Scope::Account(account(OWN));
            assert_eq!(
                code_of(calls.create_block(by(eve()), block(own, principal(&creator))).await),
                "not_found"
            );
            code_of(calls.create_block(by(eve()), block(scope, principal(&creator))).await)
        }
        "TagResource" | "UntagResource" => {
            let edit = match method {
                "TagResource" => put(&[("team", "a")]),
                _ => TagEdit::Remove(vec![String::from("team")]),
            };
            code_of(calls.edit_tags(by(eve()), cluster.arn().parse().unwrap(), edit).await)
        }
        "ListTagsForResource" => code_of(calls.list_tags(eve(), cluster.arn().parse().unwrap()).await),
        "DescribeUpdate" => code_of(calls.get_update(eve(), id(), ClusterUpdateId::random()).await),
        "ListUpdates" => code_of(calls.list_updates(eve(), id(), page()).await),
        "DeleteBlock" => code_of(calls.delete_block(by(eve()), scope, BlockId::random()).await),
        "ListBlocks" => {
            let own = Scope::Account(account(OWN));
            assert_eq!(code_of(calls.list_blocks(eve(), own, page()).await), "not_found");
            code_of(calls.list_blocks(eve(), scope, page()).await)
        }
        other => panic!("{other} is not asked"),
    }
}

pub(crate) async fn immunity_33_another_accounts_cluster_does_not_exist_for_any_method<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    bench.calls.arm_break_glass(by(admin()), cluster.id.clone()).await.unwrap();
    bench.calls.create_spoke_credential(by(admin()), cluster.id.clone()).await.unwrap();
    bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await.unwrap();
    bench.calls.put_spoke_kubeconfig(by(admin()), cluster.id.clone(), kubeconfig("t"), None).await.unwrap();
    let scope = Scope::Cluster(cluster.uid);
    let before = bench.store.revision(scope).await.unwrap();
    for method in ASKED.into_iter().chain(["ListBlocks"]) {
        assert_eq!(asked_by_eve(&bench, &cluster, method).await, "not_found", "{method}");
    }
    assert_eq!(bench.store.revision(scope).await.unwrap(), before);
    // The same answer as for a cluster that is nowhere.
    let nowhere = Cluster { id: "nowhere".parse().unwrap(), ..cluster.clone() };
    for method in ["DescribeCluster", "DescribeAccessEntry", "ListNodes", "PushAwsAuth"] {
        assert_eq!(asked_by_eve(&bench, &nowhere, method).await, "not_found", "{method}");
    }
}

pub(crate) async fn immunity_58_lists_and_near_misses_tell_nothing_of_other_accounts<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let own = bench.cluster().await;
    bench.entry(&own, &of(OWN, "user/zoe")).await;
    let zoe = identity(&of(OWN, "user/zoe"), "AIDAZOE");
    assert_eq!(bench.name_of(&own, &zoe).await, of(OWN, "user/zoe"));
    // The tenant trusts the other account, whose principal knocks at the tenant's cluster.
    let trusted = lanyard_api::TrustedAccount { authority: Authority::Local, account: account(OWN) };
    let asked = CreateCluster { trusted_accounts: vec![trusted], ..cluster_named("theirs") };
    let theirs = bench.calls.create_cluster(by(eve()), asked).await.unwrap().value;
    let query = ResolveQuery {
        cluster: theirs.uid,
        identity: Vouched::in_process(std::sync::Arc::new(zoe.clone().into())),
        explain: true,
    };
    let Resolution::Unmapped(unmapped) = bench.resolver.resolve(query).await.unwrap() else { panic!() };
    assert_eq!((unmapped.denial.code.as_ref(), unmapped.near_misses.len()), ("unmapped", 0), "{unmapped:?}");
    let query = PreviewQuery {
        cluster: theirs.uid,
        authority: Authority::Local,
        arn: arn(&of(OWN, "user/zoe")),
        principal_id: None,
    };
    let Resolution::Unmapped(unmapped) = bench.calls.preview(eve(), query).await.unwrap() else { panic!() };
    assert!(unmapped.near_misses.is_empty(), "{unmapped:?}");
    let listed = bench.calls.list_clusters(eve(), None, PageQuery::default()).await.unwrap().items;
    assert_eq!(listed.iter().map(|cluster| cluster.uid).collect::<Vec<_>>(), [theirs.uid]);
    let listed = bench.calls.list_clusters(admin(), None, PageQuery::default()).await.unwrap().items;
    assert_eq!(listed.iter().map(|cluster| cluster.uid).collect::<Vec<_>>(), [own.uid]);
    let id = own.id.clone();
    let error = bench.calls.get_cluster(eve(), id).await.unwrap_err().to_string();
    assert_eq!(error, "cluster `dev` does not exist");
}

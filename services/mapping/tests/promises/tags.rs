use std::collections::BTreeMap;

use lanyard_api::{
    CallError,
    mapping::{AgentAddress, Cluster, CreateCluster, Resolve, UpdateCluster},
    tags::{TagEdit, TaggedArn},
};

use crate::{bench::*, identity_providers::issuer};

type TagMap = BTreeMap<String, String>;

pub(crate) fn tags(pairs: &[(&str, &str)]) -> TagMap {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn put(pairs: &[(&str, &str)]) -> TagEdit {
    TagEdit::Put(tags(pairs))
}

fn remove(keys: &[&str]) -> TagEdit {
    TagEdit::Remove(keys.iter().map(|key| (*key).to_owned()).collect())
}

async fn edit<C: Calls, R: Resolve>(
    bench: &Bench<C, R>,
    arn: &str,
    edit: TagEdit,
) -> Result<TagMap, CallError> {
    bench.calls.edit_tags(by(admin()), arn.parse().unwrap(), edit).await.map(|edited| edited.value)
}

async fn listed<C: Calls, R: Resolve>(bench: &Bench<C, R>, arn: &str) -> Result<TagMap, CallError> {
    bench.calls.list_tags(admin(), arn.parse().unwrap()).await
}

/// A cluster, an entry and a configuration, each by its ARN.
async fn arns<C: Calls, R: Resolve>(bench: &Bench<C, R>) -> (Cluster, [String; 3]) {
    let cluster = bench.cluster().await;
    let entry = bench.entry(&cluster, &of(OWN, "role/team/dev")).await.value.arn;
    let config = bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await;
    let arns = [cluster.arn(), entry, config.unwrap().value.arn];
    (cluster, arns)
}

pub(crate) async fn tags_are_put_on_listed_and_taken_off_by_arn<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let (cluster, arns) = arns(&bench).await;
    for arn in &arns {
        assert_eq!(listed(&bench, arn).await.unwrap(), tags(&[]), "{arn}");
        let put_on = edit(&bench, arn, put(&[("team", "a"), ("stage", "live")])).await.unwrap();
        assert_eq!(put_on, tags(&[("stage", "live"), ("team", "a")]), "{arn}");
        edit(&bench, arn, put(&[("team", "b")])).await.unwrap();
        let left = edit(&bench, arn, remove(&["stage", "none"])).await.unwrap();
        assert_eq!((&left, listed(&bench, arn).await.unwrap()), (&tags(&[("team", "b")]), left.clone()));
    }
    let described = bench.calls.get_cluster(admin(), cluster.id.clone()).await.unwrap();
    assert_eq!(described, Cluster { tags: tags(&[("team", "b")]), ..cluster });
}

pub(crate) async fn a_resource_has_fifty_tags_and_none_of_awss<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let (_, arns) = arns(&bench).await;
    for arn in &arns {
        let numbered = |from: usize, to: usize| (from..to).map(|n| (n.to_string(), String::new())).collect();
        edit(&bench, arn, TagEdit::Put(numbered(0, 50))).await.unwrap();
        let refused = [
            TagEdit::Put(numbered(50, 51)),
            put(&[]),
            put(&[("AWS:x", "")]),
            put(&[("x", "aws:")]),
            remove(&[]),
            remove(&["aws:x"]),
        ];
        for change in refused {
            assert_eq!(code_of(edit(&bench, arn, change.clone()).await), "tags", "{arn} {change:?}");
        }
        assert_eq!(listed(&bench, arn).await.unwrap().len(), 50);
    }
}

pub(crate) async fn a_clusters_agent_has_one_of_two_addresses<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let (cluster, [arn, entry, _]) = arns(&bench).await;
    const TAG: &str = "lanyard:agent-address";
    let other = [(TAG, "both")];
    assert_eq!(code_of(edit(&bench, &arn, put(&other)).await), "tags");
    let change = UpdateCluster { tags: Some(tags(&other)), ..UpdateCluster::default() };
    assert_eq!(code_of(bench.calls.update_cluster(by(admin()), cluster.id.clone(), change).await), "tags");
    let asked = CreateCluster { tags: tags(&other), ..cluster_named("tagged") };
    assert_eq!(code_of(bench.calls.create_cluster(by(admin()), asked).await), "tags");
    assert_eq!(edit(&bench, &entry, put(&other)).await.unwrap(), tags(&other), "it means nothing there");
    edit(&bench, &arn, put(&[(TAG, "ipv6")])).await.unwrap();
    let described = bench.calls.get_cluster(admin(), cluster.id.clone()).await.unwrap();
    assert_eq!(
        (cluster.agent_address(), described.agent_address()),
        (AgentAddress::Ipv4, AgentAddress::Ipv6)
    );
}

pub(crate) async fn what_has_another_arn_is_not_what_was_meant<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let (_, [cluster, entry, config]) = arns(&bench).await;
    let number = uuid(&entry);
    let others = [
        cluster.replace("cluster/dev", "cluster/none"),
        cluster.replace("us-west-2", "us-east-1"),
        cluster.replace("arn:aws:", "arn:aws-cn:"),
        entry.replace("/dev/", "/DEV/"),
        entry.replace("role/", "user/"),
        entry.replace(number, uuid(&config)),
        config.replace("/okta/", "/dex/"),
    ];
    for arn in others {
        assert_eq!(code_of(listed(&bench, &arn).await), "not_found", "{arn}");
        assert_eq!(code_of(edit(&bench, &arn, put(&[("team", "a")])).await), "not_found", "{arn}");
    }
}

fn uuid(arn: &str) -> &str {
    arn.rsplit_once('/').unwrap().1
}

pub(crate) async fn a_cluster_may_be_tagged_from_birth_and_anew<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let asked = CreateCluster { tags: tags(&[("team", "a")]), ..cluster_named("born") };
    let cluster = bench.calls.create_cluster(by(admin()), asked).await.unwrap().value;
    let arn: TaggedArn = cluster.arn().parse().unwrap();
    assert_eq!(bench.calls.list_tags(admin(), arn.clone()).await.unwrap(), tags(&[("team", "a")]));
    bench.calls.delete_cluster(by(admin()), cluster.id).await.unwrap();
    assert_eq!(code_of(bench.calls.list_tags(admin(), arn.clone()).await), "not_found");
    let anew = CreateCluster { ..cluster_named("born") };
    bench.calls.create_cluster(by(admin()), anew).await.unwrap();
    assert_eq!(
        bench.calls.list_tags(admin(), arn).await.unwrap(),
        tags(&[]),
        "the old ones do not come back"
    );
}

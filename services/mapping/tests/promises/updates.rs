use lanyard_api::{
    ClusterUpdateId, PageQuery,
    mapping::{AuthenticationMode, ClusterUpdate, ClusterUpdateType, Resolve, UpdateCluster},
};

use crate::{
    bench::*,
    identity_providers::{issuer, provider},
    tags::put,
};

/// What an update says, in one line.
fn told(update: &ClusterUpdate) -> String {
    let params = update.params.iter().map(|param| format!(" {}={}", param.kind, param.value));
    format!("{:?}{}", update.kind, params.collect::<String>())
}

pub(crate) async fn a_change_of_a_cluster_is_answered_with_an_update_that_is_found_again<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let id = || cluster.id.clone();
    let nothing = bench.calls.update_cluster(by(admin()), id(), UpdateCluster::default()).await.unwrap();
    assert_eq!(nothing.update, None, "what changes nothing is no update");
    let mut made = Vec::new();
    let seconds = UpdateCluster { token_cache_seconds: Some(11), ..UpdateCluster::default() };
    let api =
        UpdateCluster { authentication_mode: Some(AuthenticationMode::Api), ..UpdateCluster::default() };
    for change in [seconds, api] {
        bench.clock.advance(time::Duration::seconds(1));
        let changed = bench.calls.update_cluster(by(admin()), id(), change).await.unwrap();
        made.push(changed.update.unwrap());
    }
    bench.clock.advance(time::Duration::seconds(1));
    let associated = bench.calls.associate_identity_provider(by(admin()), issuer(&cluster, "okta")).await;
    made.push(associated.unwrap().update.unwrap());
    bench.clock.advance(time::Duration::seconds(1));
    let gone = bench.calls.disassociate_identity_provider(by(admin()), provider(&cluster, "okta")).await;
    made.push(gone.unwrap().update.unwrap());
    let config = r#"IdentityProviderConfig=[{"name":"okta","type":"oidc"}]"#;
    let expected = [
        format!("{:?}", ClusterUpdateType::Config),
        format!("{:?} AuthenticationMode=API", ClusterUpdateType::AccessConfig),
        format!("{:?} {config}", ClusterUpdateType::AssociateIdentityProvider),
        format!("{:?} {config}", ClusterUpdateType::DisassociateIdentityProvider),
    ];
    assert_eq!(made.iter().map(told).collect::<Vec<_>>(), expected);
    for update in &made {
        assert_eq!(bench.calls.get_update(admin(), id(), update.id).await.unwrap(), *update);
    }
    let (mut listed, mut page) = (Vec::new(), PageQuery { items_max: 3, token: String::new() });
    loop {
        let got = bench.calls.list_updates(admin(), id(), page).await.unwrap();
        listed.extend(got.items);
        match got.next_token {
            Some(token) => page = PageQuery { items_max: 3, token },
            None => break,
        }
    }
    assert_eq!(listed, made, "the oldest first");
    let tagged = bench.calls.edit_tags(by(admin()), cluster.arn().parse().unwrap(), put(&[("a", "b")])).await;
    assert_eq!(tagged.unwrap().update, None, "EKS has none for tags");
    let none = bench.calls.get_update(admin(), id(), ClusterUpdateId::random()).await;
    assert_eq!(code_of(none), "not_found");
}

pub(crate) async fn immunity_37_a_cluster_made_anew_has_no_updates_of_the_one_before<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let change = UpdateCluster { token_cache_seconds: Some(11), ..UpdateCluster::default() };
    let changed = bench.calls.update_cluster(by(admin()), cluster.id.clone(), change).await.unwrap();
    bench.calls.delete_cluster(by(admin()), cluster.id.clone()).await.unwrap();
    let anew = bench.cluster().await;
    let found = bench.calls.get_update(admin(), anew.id.clone(), changed.update.unwrap().id).await;
    assert_eq!(code_of(found), "not_found");
    assert_eq!(bench.calls.list_updates(admin(), anew.id, PageQuery::default()).await.unwrap().items, []);
}

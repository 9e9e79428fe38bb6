use std::collections::BTreeMap;

use lanyard_api::{
    Authority, Mutation, PageQuery, Revision, Scope, SignatureUse, TrustedAccount,
    mapping::{
        AccessScope, AuthenticationMode, AuthorizerMode, Cluster, ClusterDirectory, Clusters, CreateCluster,
        EntryState, Node, Resolution, Resolve, SpokeCredential, UpdateCluster,
    },
    proof::{EXTRA_KEY, Proof, ProofError, ProofKey},
};
use lanyard_mapping::{Limits, Mapping, MappingConfig};
use lanyard_store::{Kind, Purpose};
use secrecy::ExposeSecret;

use crate::bench::*;

pub(crate) async fn a_cluster_is_born_with_its_creator_as_a_visible_administrator<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let made = bench.calls.create_cluster(by(admin()), cluster_named("dev")).await.unwrap();
    assert!(made.confirmed && made.pending.is_empty());
    let cluster = made.value;
    assert_eq!(cluster.arn(), "arn:aws:eks:us-west-2:111122223333:cluster/dev");
    assert_eq!(
        (cluster.id.as_str(), cluster.created_by.as_str()),
        ("dev", "arn:aws:iam::111122223333:user/admin")
    );
    assert_eq!(
        cluster.trusted_accounts[0],
        TrustedAccount { authority: Authority::Local, account: account(OWN) }
    );
    assert_eq!(cluster.authorizer_mode, AuthorizerMode::WebhookFirst);
    assert_eq!((cluster.token_cache_seconds, cluster.audiences.len()), (10, 1));
    let page =
        bench.calls.list_entries(admin(), cluster.id.clone(), None, PageQuery::default()).await.unwrap();
    let [entry] = page.items.as_slice() else { panic!("{page:?}") };
    assert_eq!(entry.entry.principal_arn.to_string(), of(OWN, "user/admin"));
    assert_eq!((entry.entry.principal_id.as_deref(), entry.state), (Some("AIDAADMIN"), EntryState::Active));
    assert_eq!(entry.associations[0].policy_arn, CLUSTER_ADMIN);
    assert_eq!(entry.associations[0].scope, AccessScope::Cluster);
    let known = identity(&of(OWN, "user/admin"), "AIDAADMIN");
    assert_eq!(bench.name_of(&cluster, &known).await, of(OWN, "user/admin"));
    let without = CreateCluster { bootstrap_creator_admin: false, ..cluster_named("bare") };
    let bare = bench.calls.create_cluster(by(admin()), without).await.unwrap().value;
    assert_eq!(bench.name_of(&bare, &known).await, "unmapped");
}

pub(crate) async fn a_creator_who_is_a_session_is_known_by_its_whole_role<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let session = session_actor("assumed-role/dev/ana", "AROADEV");
    let cluster = bench.calls.create_cluster(by(session), cluster_named("dev")).await.unwrap().value;
    let entry = bench.calls.get_entry(admin(), entry_ref(&cluster, &of(OWN, "role/team/dev"))).await.unwrap();
    assert_eq!(entry.entry.username, "arn:aws:sts::111122223333:assumed-role/dev/{{SessionName}}");
    let name = bench.name_of(&cluster, &identity(&of(OWN, "assumed-role/dev/bob"), "AROADEV")).await;
    assert_eq!(name, "arn:aws:sts::111122223333:assumed-role/dev/bob");
}

pub(crate) async fn the_creators_entry_is_removed_like_any_other<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let creator = of(OWN, "user/admin");
    let other = of(OWN, "user/zoe");
    bench.entry(&cluster, &other).await;
    let zoe = entry_ref(&cluster, &other);
    bench
        .calls
        .associate_policy(by(admin()), zoe, CLUSTER_ADMIN.to_owned(), AccessScope::Cluster, None)
        .await
        .unwrap();
    bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &creator)).await.unwrap();
    assert_eq!(bench.name_of(&cluster, &identity(&creator, "AIDAADMIN")).await, "unmapped");
    // Never derived again from whoever happens to call.
    bench.calls.get_cluster(admin(), cluster.id.clone()).await.unwrap();
    assert_eq!(bench.name_of(&cluster, &identity(&creator, "AIDAADMIN")).await, "unmapped");
}

pub(crate) async fn a_taken_id_gets_another_end_and_a_taken_name_is_refused<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let first = bench.cluster().await;
    assert_eq!(code_of(bench.calls.create_cluster(by(admin()), cluster_named("dev")).await), "exists");
    let elsewhere = CreateCluster { region: String::from("eu-west-1"), ..cluster_named("dev") };
    let second = bench.calls.create_cluster(by(admin()), elsewhere).await.unwrap();
    assert!(
        second.value.id.as_str().starts_with("dev-") && second.value.id.as_str().len() == "dev-".len() + 6
    );
    assert!(second.notices.iter().any(|notice| notice.contains("is taken")), "{:?}", second.notices);
    assert_ne!(second.value.uid, first.uid);
    let of_tenant = CreateCluster { trusted_accounts: vec![], ..cluster_named("dev") };
    let third = bench.calls.create_cluster(by(eve()), of_tenant).await.unwrap().value;
    assert!(third.id.as_str().starts_with("dev-"));
    let asked = CreateCluster { id: Some(String::from("dev")), ..cluster_named("other") };
    assert_eq!(code_of(bench.calls.create_cluster(by(admin()), asked).await), "exists");
    let asked = CreateCluster { id: Some(String::from("chosen")), ..cluster_named("other") };
    assert_eq!(bench.calls.create_cluster(by(admin()), asked).await.unwrap().value.id.as_str(), "chosen");
    let dotted = "my-dev-cluster.example.com";
    let asked = CreateCluster { id: Some(String::from(dotted)), ..cluster_named("three") };
    let made = bench.calls.create_cluster(by(admin()), asked).await.unwrap().value;
    assert_eq!((made.id.as_str(), made.name.as_str()), (dotted, "three"));
    assert!(made.arn().ends_with(":cluster/three"), "{}", made.arn());
    assert!(bench.calls.create_cluster(by(admin()), cluster_named("four")).await.is_ok());
    assert_eq!(code_of(bench.calls.create_cluster(by(admin()), cluster_named("five")).await), "limit");
}

pub(crate) async fn a_change_of_a_cluster_is_held_against_every_rule<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let base = || cluster_named("new");
    let pair = |authority, id: &str| TrustedAccount { authority, account: account(id) };
    let refused = [
        (CreateCluster { name: String::from("a.b"), ..base() }, "cluster_name"),
        (CreateCluster { id: Some(String::from("-")), ..base() }, "cluster_id"),
        (CreateCluster { id: Some(String::from("a.b.")), ..base() }, "cluster_id"),
        (CreateCluster { region: String::from("cn-north-1"), ..base() }, "region"),
        (CreateCluster { endpoint: Some(String::from("http://a")), ..base() }, "endpoint"),
        (CreateCluster { certificate_authority: Some(String::from("x")), ..base() }, "certificate_authority"),
        (CreateCluster { audiences: vec![String::from("a b")], ..base() }, "audiences"),
        (CreateCluster { token_cache_seconds: Some(100_000), ..base() }, "token_cache_seconds"),
        (CreateCluster { trusted_accounts: vec![pair(Authority::Aws, OWN)], ..base() }, "trusted_accounts"),
        (CreateCluster { tags: BTreeMap::from([(String::from("aws:x"), String::new())]), ..base() }, "tags"),
        (
            CreateCluster {
                authentication_mode: Some(AuthenticationMode::ConfigMap),
                bootstrap_creator_admin: false,
                ..base()
            },
            "bootstrap_required",
        ),
        (CreateCluster { account: Some(account(TENANT)), ..base() }, "not_found"),
    ];
    for (asked, rule) in refused {
        assert_eq!(code_of(bench.calls.create_cluster(by(admin()), asked).await), rule);
    }
    let cluster = bench.cluster().await;
    let nothing = UpdateCluster::default;
    let refused = [
        (UpdateCluster { endpoint: Some(String::from("a")), ..nothing() }, "endpoint"),
        (UpdateCluster { audiences: Some(vec![]), ..nothing() }, "audiences"),
        (UpdateCluster { token_cache_seconds: Some(3_601), ..nothing() }, "token_cache_seconds"),
        (
            UpdateCluster { trusted_accounts: Some(vec![pair(Authority::Aws, AWS)]), ..nothing() },
            "trusted_accounts",
        ),
        (UpdateCluster { tags: Some(BTreeMap::from([(String::new(), String::new())])), ..nothing() }, "tags"),
    ];
    for (change, rule) in refused {
        assert_eq!(code_of(bench.calls.update_cluster(by(admin()), cluster.id.clone(), change).await), rule);
    }
    let change = UpdateCluster {
        endpoint: Some(String::from("https://10.0.0.1:6443")),
        token_cache_seconds: Some(30),
        authorizer_mode: Some(AuthorizerMode::Full),
        audiences: Some(vec![String::from("a")]),
        tags: Some(BTreeMap::from([(String::from("team"), String::from("a"))])),
        ..nothing()
    };
    let changed = bench.calls.update_cluster(by(admin()), cluster.id.clone(), change).await.unwrap();
    assert_eq!(changed.value.token_cache_seconds, 30);
    let read = bench.calls.get_cluster(admin(), cluster.id.clone()).await.unwrap();
    assert_eq!(read, changed.value);
    assert_eq!((read.uid, read.trusted_accounts.len()), (cluster.uid, 2));
    let taken_away = UpdateCluster { endpoint: Some(String::new()), ..nothing() };
    let changed = bench.calls.update_cluster(by(admin()), cluster.id.clone(), taken_away).await.unwrap();
    assert_eq!((changed.value.endpoint, changed.value.token_cache_seconds), (None, 30));
}

pub(crate) async fn modes_go_one_way<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    use AuthenticationMode::{Api, ApiAndConfigMap, ConfigMap};
    let cluster = bench.cluster_in(ConfigMap).await;
    let change = |mode| UpdateCluster { authentication_mode: Some(mode), ..UpdateCluster::default() };
    let set =
        async |mode| code_of(bench.calls.update_cluster(by(admin()), cluster.id.clone(), change(mode)).await);
    assert_eq!(set(Api).await, "mode_transition");
    assert_eq!(set(ConfigMap).await, "mode_transition");
    let admin_user = identity(&of(OWN, "user/admin"), "AIDAADMIN");
    assert_eq!(bench.name_of(&cluster, &admin_user).await, "unmapped");
    assert_eq!(set(ApiAndConfigMap).await, "ok");
    assert_eq!(bench.name_of(&cluster, &admin_user).await, of(OWN, "user/admin"));
    assert_eq!(set(ConfigMap).await, "mode_transition");
    assert_eq!(set(Api).await, "ok");
    for back in [ConfigMap, ApiAndConfigMap, Api] {
        assert_eq!(set(back).await, "mode_transition");
    }
}

pub(crate) async fn immunity_37_a_cluster_made_anew_under_a_name_shares_nothing_with_the_one_before<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let old = bench.cluster().await;
    let admin_user = identity(&of(OWN, "user/admin"), "AIDAADMIN");
    let Resolution::Mapped(before) = bench.resolve(old.uid, &admin_user).await.unwrap() else { panic!() };
    bench.calls.create_spoke_credential(by(admin()), old.id.clone()).await.unwrap();
    bench.calls.delete_cluster(by(admin()), old.id.clone()).await.unwrap();
    assert_eq!(bench.name_of(&old, &admin_user).await, "unknown_cluster");
    let new = bench.cluster().await;
    assert_eq!(new.id, old.id);
    assert_ne!(new.uid, old.uid);
    assert_eq!(bench.name_of(&old, &admin_user).await, "unknown_cluster");
    let directory = bench.calls.directory();
    let mut directory = directory;
    let now =
        directory.wait_for(|d| d.clusters.iter().any(|c| c.cluster.uid == new.uid)).await.unwrap().clone();
    assert!(now.clusters.iter().all(|entry| entry.credentials.is_empty() && entry.cluster.uid != old.uid));
    let keys = proof_keys(&bench);
    let value = &before.user.extra[EXTRA_KEY][0];
    let verified = Proof::verify(value, &keys, new.uid, &before.user.username, &before.user.groups, NOON);
    assert_eq!(verified, Err(ProofError::Mismatch));
}

pub(crate) fn proof_keys<C, R>(bench: &Bench<C, R>) -> Vec<ProofKey> {
    let keys = bench.store.keyring().purpose_keys(Purpose::Proof).unwrap();
    keys.iter().map(|(id, secret)| ProofKey::new(*id, secret)).collect()
}

pub(crate) async fn clusters_page_without_gap_or_repetition<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    for nth in [3, 0, 8, 5, 1, 7, 2, 6, 4] {
        // An account may have four clusters in a region.
        let region = String::from(match nth {
            4 => "eu-central-1",
            odd if odd % 2 == 1 => "eu-west-1",
            _ => "us-west-2",
        });
        let asked = CreateCluster { region, ..cluster_named(&format!("c{nth}")) };
        bench.calls.create_cluster(by(admin()), asked).await.unwrap();
    }
    bench.calls.create_cluster(by(eve()), cluster_named("c45")).await.unwrap();
    let listed = async |region: Option<&str>, page: &PageQuery| {
        let region = region.map(str::to_owned);
        let cut = bench.calls.list_clusters(admin(), region, page.clone()).await.unwrap();
        let names: Vec<String> = cut.items.into_iter().map(|cluster| cluster.name).collect();
        (names, cut.next_token.unwrap_or_default())
    };
    let mut page = PageQuery { items_max: 4, token: String::new() };
    let (names, token) = listed(None, &page).await;
    assert_eq!(
        (names.as_slice(), token.is_empty()),
        (&["c0", "c1", "c2", "c3"].map(str::to_owned)[..], false)
    );
    // What ended the page before is gone, and the next one goes on behind where it was.
    bench.calls.delete_cluster(by(admin()), "c3".parse().unwrap()).await.unwrap();
    page.token = token;
    let (names, token) = listed(None, &page).await;
    assert_eq!(
        (names.as_slice(), token.is_empty()),
        (&["c4", "c5", "c6", "c7"].map(str::to_owned)[..], false)
    );
    page.token = token;
    assert_eq!(listed(None, &page).await, (vec![String::from("c8")], String::new()));

    let mut page = PageQuery { items_max: 2, token: String::new() };
    for (wanted, is_last) in [(vec!["c0", "c2"], false), (vec!["c6", "c8"], true)] {
        let (names, token) = listed(Some("us-west-2"), &page).await;
        assert_eq!((names, token.is_empty()), (wanted.into_iter().map(str::to_owned).collect(), is_last));
        page.token = token;
    }
}

pub(crate) async fn the_directory_has_every_change_before_the_call_returns<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let mut directory = bench.calls.directory();
    let cluster = bench.cluster().await;
    let (credential, _) =
        bench.calls.create_spoke_credential(by(admin()), cluster.id.clone()).await.unwrap().value;
    let seen = directory
        .wait_for(|d| {
            d.clusters.iter().any(|c| c.cluster.uid == cluster.uid && c.credentials == [credential.clone()])
        })
        .await
        .unwrap()
        .clone();
    assert!(seen.revision.0 > 0);
    bench.calls.delete_cluster(by(admin()), cluster.id.clone()).await.unwrap();
    directory.wait_for(|d| d.clusters.is_empty()).await.unwrap();
}

pub(crate) async fn a_spokes_bearer_token_is_shown_once_and_kept_as_a_hash<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    use sha2::Digest as _;
    let cluster = bench.cluster().await;
    let mut made = Vec::new();
    for _ in 0..6 {
        made.push(bench.calls.create_spoke_credential(by(admin()), cluster.id.clone()).await.unwrap());
        bench.clock.advance(time::Duration::SECOND);
    }
    let (credential, secret) = &made[0].value;
    let token = secret.expose_secret();
    assert!(token.starts_with("lsp_") && token.len() == 4 + 43, "{}", token.len());
    assert_eq!(credential.token_sha256, hex::encode(sha2::Sha256::digest(token.as_bytes())));
    assert!(!format!("{:?}", made[0]).contains(token));
    assert_eq!(made[5].notices.len(), 1, "{:?}", made[5].notices);
    let mut directory = bench.calls.directory();
    let last = made[5].value.0.clone();
    let now = directory
        .wait_for(|d| d.clusters.iter().any(|c| c.credentials.contains(&last)))
        .await
        .unwrap()
        .clone();
    let kept: Vec<&str> = now.clusters[0].credentials.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(kept.len(), 5);
    assert!(!kept.contains(&credential.id.as_str()));
}

pub(crate) async fn immunity_39_a_deleted_spoke_credential_is_out_of_the_directory_before_the_call_returns<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let (cluster, other) = (bench.cluster().await, bench.empty_cluster().await);
    let create = async |cluster: &Cluster| {
        bench.clock.advance(time::Duration::SECOND);
        bench.calls.create_spoke_credential(by(admin()), cluster.id.clone()).await.unwrap().value.0
    };
    let delete = async |cluster: &Cluster, id: &str| {
        bench.calls.delete_spoke_credential(by(admin()), cluster.id.clone(), id.to_owned()).await
    };
    let list = async |cluster: &Cluster| {
        bench.calls.list_spoke_credentials(admin(), cluster.id.clone()).await.unwrap()
    };
    let (first, second, theirs) = (create(&cluster).await, create(&cluster).await, create(&other).await);
    assert_eq!(list(&cluster).await, [first.clone(), second.clone()], "the oldest first");

    assert_eq!(code_of(delete(&other, &first.id).await), "not_found", "another cluster's");
    assert_eq!(code_of(delete(&cluster, "0123456789ab").await), "not_found");
    assert_eq!(code_of(delete(&cluster, "\0").await), "not_found");
    let spokes_own = by(spoke(cluster.uid));
    let refused = bench.calls.delete_spoke_credential(spokes_own, cluster.id.clone(), first.id.clone()).await;
    assert_eq!(code_of(refused), "denied:spoke_call");
    let refused = bench.calls.list_spoke_credentials(spoke(cluster.uid), cluster.id.clone()).await;
    assert_eq!(code_of(refused), "denied:spoke_call");

    let mut directory = bench.calls.directory();
    let gone = delete(&cluster, &first.id).await.unwrap();
    assert_eq!((&gone.value, gone.notices.len()), (&first, 0));
    let held = |directory: &ClusterDirectory| -> Vec<SpokeCredential> {
        directory.clusters.iter().flat_map(|entry| entry.credentials.clone()).collect()
    };
    let seen = directory.wait_for(|now| now.revision >= gone.revision).await.unwrap().clone();
    assert!(!held(&seen).contains(&first) && held(&seen).contains(&second) && held(&seen).contains(&theirs));
    assert_eq!(code_of(delete(&cluster, &first.id).await), "not_found", "once");
    let line = bench.store.changes_since(Scope::Hub, Revision(gone.revision.0 - 1), 1).await.unwrap();
    assert_eq!(
        (line.len(), line[0].kind, line[0].actor.as_str()),
        (1, Kind::SpokeCredential, "arn:aws:iam::111122223333:user/admin")
    );
    assert!(line[0].before.is_some() && line[0].after.is_none(), "audited as what it is");

    let last = delete(&cluster, &second.id).await.unwrap();
    assert!(last.notices[0].contains("the last one"), "{:?}", last.notices);
    assert_eq!(list(&cluster).await, []);
    assert_eq!(list(&other).await, [theirs]);
}

pub(crate) async fn a_deleted_node_is_nobody_at_the_next_login<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let mut nodes = entry(&cluster, &of(OWN, "role/node"));
    nodes.entry_type = Some(lanyard_api::mapping::EntryType::Ec2Linux);
    bench.calls.create_entry(by(admin()), nodes).await.unwrap();
    let set = async |instance: &str, name: &str| {
        bench.calls.set_node(by(admin()), cluster.id.clone(), node(instance, name, None)).await.unwrap().value
    };
    let delete = async |by: Mutation, instance: &str| {
        bench.calls.delete_node(by, cluster.id.clone(), instance.to_owned()).await
    };
    let (first, second) = (set("i-01234567", "a.internal").await, set("i-89abcdef", "b.internal").await);
    let knock = |instance: &str| identity(&of(OWN, &format!("assumed-role/node/{instance}")), "AROANODE");
    assert_eq!(bench.name_of(&cluster, &knock("i-01234567")).await, "system:node:a.internal");

    assert_eq!(code_of(delete(by(admin()), "i-00000000").await), "not_found");
    assert_eq!(code_of(delete(by(admin()), "\0").await), "not_found");
    assert_eq!(code_of(delete(by(spoke(cluster.uid)), "i-01234567").await), "denied:spoke_call");
    let mut signed = admin();
    signed.value.signature =
        Some(SignatureUse { digest: [9; 32], expires_at: NOON + time::Duration::MINUTE });
    let gone = delete(by(signed.clone()), "i-01234567").await.unwrap();
    assert_eq!(gone.value, first);
    assert_eq!(delete(by(signed), "i-01234567").await.unwrap(), gone, "the same request, sent again");
    assert_eq!(bench.name_of(&cluster, &knock("i-01234567")).await, "unknown_node");
    assert_eq!(bench.name_of(&cluster, &knock("i-89abcdef")).await, "system:node:b.internal");
    assert_eq!(code_of(delete(by(admin()), "i-01234567").await), "not_found", "once");
    let listed = bench.calls.list_nodes(admin(), cluster.id.clone(), PageQuery::default()).await.unwrap();
    assert_eq!(listed.items, [second]);
    let scope = Scope::Cluster(cluster.uid);
    let line = bench.store.changes_since(scope, Revision(gone.revision.0 - 1), 1).await.unwrap();
    assert_eq!((line[0].kind, line[0].key.as_str()), (Kind::Node, "i-01234567"));
    // The name is free again.
    set("i-00000003", "a.internal").await;
}

fn node(instance: &str, name: &str, role: Option<&str>) -> Node {
    Node {
        cluster: lanyard_api::ClusterUid::random(),
        instance_id: instance.to_owned(),
        private_dns_name: name.to_owned(),
        role_arn: role.map(str::to_owned),
        access_key_id: None,
    }
}

pub(crate) async fn nodes_are_bound_by_session_role_and_name<C: Calls, R: Resolve>(bench: Bench<C, R>) {
    let cluster = bench.cluster().await;
    let set = async |node| code_of(bench.calls.set_node(by(admin()), cluster.id.clone(), node).await);
    assert_eq!(set(node("i-01234567", "a.internal", None)).await, "node_role");
    let mut nodes = entry(&cluster, &of(OWN, "role/node"));
    nodes.entry_type = Some(lanyard_api::mapping::EntryType::Ec2Linux);
    let made = bench.calls.create_entry(by(admin()), nodes).await.unwrap().value.entry;
    assert_eq!(
        (made.username.as_str(), made.groups.as_slice()),
        ("system:node:{{EC2PrivateDNSName}}", &[String::from("system:nodes")][..])
    );
    let knock = identity(&of(OWN, "assumed-role/node/i-01234567"), "AROANODE");
    assert_eq!(bench.name_of(&cluster, &knock).await, "unknown_node");
    assert_eq!(set(node("i-01234567", "a.internal", None)).await, "ok");
    assert_eq!(bench.name_of(&cluster, &knock).await, "system:node:a.internal");
    assert_eq!(set(node("i-89abcdef", "a.internal", None)).await, "node_name");
    assert_eq!(set(node("i-89abcdef", "B", None)).await, "node_name");
    assert_eq!(set(node("i", "b", None)).await, "node_instance");
    assert_eq!(set(node("i-89abcdef", "b", Some("arn:aws:iam::111122223333:user/x"))).await, "node_role");
    assert_eq!(set(node("i-89abcdef", "b", Some("arn:aws:iam::111122223333:role/path/other"))).await, "ok");
    let stolen = identity(&of(OWN, "assumed-role/node/i-89abcdef"), "AROANODE");
    assert_eq!(bench.name_of(&cluster, &stolen).await, "unknown_node");
    assert_eq!(set(node("i-01234567", "a2.internal", None)).await, "ok");
    assert_eq!(bench.name_of(&cluster, &knock).await, "system:node:a2.internal");
    let asked = node("i-00000003", "c", None);
    let third = async || bench.calls.set_node(once("third"), cluster.id.clone(), asked.clone()).await;
    let bound = third().await.unwrap();
    assert_eq!(set(node("i-00000004", "d", None)).await, "limit");
    let listed =
        bench.calls.list_nodes(admin(), cluster.id.clone(), PageQuery::default()).await.unwrap().items;
    let names: Vec<&str> = listed.iter().map(|node| node.instance_id.as_str()).collect();
    assert_eq!(names, ["i-00000003", "i-01234567", "i-89abcdef"]);
    assert_eq!(listed[2].role_arn.as_deref(), Some("arn:aws:iam::111122223333:role/other"));
    assert!(listed.iter().all(|node| node.cluster == cluster.uid));
    // There are two roles of nodes by now; the same call once more is answered as it was.
    let mut others = entry(&cluster, &of(OWN, "role/ops"));
    others.entry_type = Some(lanyard_api::mapping::EntryType::Ec2Linux);
    bench.calls.create_entry(by(admin()), others).await.unwrap();
    assert_eq!(set(node("i-00000003", "c", None)).await, "node_role");
    assert_eq!(third().await.unwrap(), bound);
}

pub(crate) async fn the_same_signed_request_is_answered_once_and_then_repeated<C: Calls, R: Resolve>(
    bench: Bench<C, R>,
) {
    let cluster = bench.cluster().await;
    let mut signed = admin();
    signed.value.signature =
        Some(SignatureUse { digest: [9; 32], expires_at: NOON + time::Duration::MINUTE });
    let ask = || entry(&cluster, &of(OWN, "user/zoe"));
    let first = bench.calls.create_entry(by(signed.clone()), ask()).await.unwrap();
    let again = bench.calls.create_entry(by(signed.clone()), ask()).await.unwrap();
    assert_eq!(first, again);
    bench.calls.delete_entry(by(admin()), entry_ref(&cluster, &of(OWN, "user/zoe"))).await.unwrap();
    assert_eq!(code_of(bench.calls.create_entry(by(signed), ask()).await), "replayed");
    let left = bench.calls.get_entry(admin(), entry_ref(&cluster, &of(OWN, "user/zoe"))).await;
    assert_eq!(code_of(left), "not_found");
    let revision = bench.store.revision(Scope::Cluster(cluster.uid)).await.unwrap();
    assert!(revision > first.revision);
}

pub(crate) async fn a_token_of_a_cluster_has_its_first_answer_whatever_the_rules_say_by_now<
    C: Calls,
    R: Resolve,
>(
    bench: Bench<C, R>,
) {
    let started = async |trusted_accounts_per_cluster: usize| {
        let limits = Limits { trusted_accounts_per_cluster, ..Limits::default() };
        Mapping::open(&bench.store, MappingConfig { limits, ..MappingConfig::default() }).await.unwrap()
    };
    let before = started(2).await;
    let made = before.create_cluster(once("create"), cluster_named("dev")).await.unwrap();
    let stricter = started(1).await;
    let again = stricter.create_cluster(once("create"), cluster_named("dev")).await.unwrap();
    assert_eq!(again, made);
    let judged = stricter.create_cluster(once("create-too"), cluster_named("dev")).await;
    assert_eq!(code_of(judged), "trusted_accounts");
}

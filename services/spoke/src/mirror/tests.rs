use std::collections::BTreeMap;

use lanyard_api::credentials::ServiceAccount;
use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds { objects_max: 8, bytes_max: 400 };
const TOO_LARGE: TooLarge = TooLarge { what: Limited::Rbac, bounds: BOUNDS };

fn seen(name: &str, document: &str) -> Seen {
    bound(name, document, None)
}

fn bound(name: &str, document: &str, role: Option<&str>) -> Seen {
    let (document, role) = (format!("\"{document}\"").into(), role.map(str::to_owned));
    Seen { key: format!("/{name}"), content: Content::Rbac { document, role } }
}

fn aws_auth(document: &str) -> Seen {
    Seen { key: "/aws-auth".to_owned(), content: Content::AwsAuth(document.into()) }
}

/// All that the hub has not taken yet.
fn taken(mirror: &mut Mirror) -> Vec<Batch> {
    Push::ALL.into_iter().filter_map(|push| mirror.take(push)).collect()
}

fn rbac(mirror: &mut Mirror) -> Option<RbacBatch> {
    match mirror.take(Push::Rbac) {
        Some(Batch::Rbac(batch)) => Some(batch),
        _ => None,
    }
}

fn pushed_aws_auth(mirror: &mut Mirror) -> Option<String> {
    match mirror.take(Push::AwsAuth) {
        Some(Batch::AwsAuth(document)) => Some(document.to_string()),
        _ => None,
    }
}

/// A mirror of a cluster with one role, all of which the hub has.
fn settled() -> Mirror {
    let mut mirror = Mirror::new(BOUNDS, BOUNDS);
    for resource in Resource::ALL {
        let objects = if resource == Resource::Roles { vec![seen("a", "1")] } else { Vec::new() };
        mirror.listed(resource, objects).unwrap();
    }
    assert_eq!(rbac(&mut mirror), Some(whole(&["1"])));
    taken(&mut mirror);
    mirror
}

fn items(documents: &[&str]) -> String {
    let quoted: Vec<String> = documents.iter().map(|document| format!("\"{document}\"")).collect();
    format!(r#"{{"apiVersion":"v1","kind":"List","items":[{}]}}"#, quoted.join(","))
}

fn whole(documents: &[&str]) -> RbacBatch {
    RbacBatch::Whole(items(documents))
}

#[test]
fn first_lists_go_as_one_batch_once_all_are_there() {
    let mut mirror = Mirror::new(BOUNDS, BOUNDS);
    for resource in Resource::RBAC {
        assert_eq!(rbac(&mut mirror), None, "{resource:?} is not known yet");
        mirror.listed(resource, vec![seen("a", resource.name())]).unwrap();
    }
    assert!(!mirror.is_whole());
    let names: Vec<&str> = Resource::RBAC.iter().map(|resource| resource.name()).collect();
    assert_eq!(rbac(&mut mirror), Some(whole(&names)));
    assert_eq!(taken(&mut mirror), []);
    mirror.listed(Resource::AwsAuth, Vec::new()).unwrap();
    mirror.listed(Resource::ServiceAccounts, Vec::new()).unwrap();
    assert!(mirror.is_whole() && mirror.has_aws_auth() == Some(false));
}

#[test]
fn a_list_after_a_cut_repeats_nothing_and_loses_nothing() {
    let mut mirror = settled();
    mirror.listed(Resource::Roles, vec![seen("a", "1")]).unwrap();
    assert_eq!(taken(&mut mirror), [], "nothing changed meanwhile");
    mirror.listed(Resource::Roles, vec![seen("a", "1"), seen("b", "2")]).unwrap();
    assert_eq!(rbac(&mut mirror), Some(RbacBatch::Some(items(&["2"]))), "the new one alone");
    mirror.listed(Resource::Roles, vec![seen("b", "2")]).unwrap();
    assert_eq!(rbac(&mut mirror), Some(whole(&["2"])), "one is gone");
    mirror.listed(Resource::Roles, Vec::new()).unwrap();
    assert_eq!(rbac(&mut mirror), Some(RbacBatch::Nothing));
}

#[test]
fn changes_of_one_object_become_one() {
    let mut mirror = settled();
    for n in 0..1_000 {
        mirror.put(Resource::Roles, seen("a", &n.to_string())).unwrap();
    }
    assert_eq!(rbac(&mut mirror), Some(RbacBatch::Some(items(&["999"]))));
    mirror.put(Resource::Roles, seen("b", "2")).unwrap();
    mirror.gone(Resource::Roles, "/b");
    assert_eq!(rbac(&mut mirror), Some(whole(&["999"])), "the hub may have seen it");
}

#[test]
fn a_binding_that_gives_another_role_replaces_all() {
    let mut mirror = settled();
    let bound = |role: &str| bound("x", role, Some(role));
    mirror.put(Resource::RoleBindings, bound("r")).unwrap();
    assert_eq!(rbac(&mut mirror), Some(RbacBatch::Some(items(&["r"]))));
    mirror.put(Resource::RoleBindings, bound("s")).unwrap();
    assert_eq!(rbac(&mut mirror), Some(whole(&["1", "s"])));
}

#[test]
fn a_cluster_over_the_bounds_is_not_taken_and_what_was_seen_stays() {
    let mut mirror = settled();
    let many: Vec<Seen> = (0..9).map(|n| seen(&n.to_string(), "x")).collect();
    assert_eq!(mirror.listed(Resource::ClusterRoles, many), Err(TOO_LARGE));
    assert_eq!(mirror.put(Resource::Roles, seen("a", &"x".repeat(400))), Err(TOO_LARGE));
    assert_eq!((mirror.objects(), taken(&mut mirror)), (1, Vec::new()));
    for n in 1..8 {
        mirror.put(Resource::ClusterRoles, seen(&n.to_string(), "x")).unwrap();
    }
    assert_eq!(mirror.put(Resource::ClusterRoles, seen("9", "x")), Err(TOO_LARGE));
    // One in place of another needs no more room.
    mirror.put(Resource::ClusterRoles, seen("1", "y")).unwrap();
}

#[test]
fn what_is_to_be_raised_is_named_for_the_service_and_for_who_pushes_from_inside() {
    let told = |what| TooLarge { what, bounds: BOUNDS }.to_string();
    let cases = [
        (Limited::Rbac, ["spoke.objects_max", "spoke.rbac_bytes_max", "--objects-max", "--rbac-bytes-max"]),
        (
            Limited::ServiceAccounts,
            [
                "spoke.service_accounts_max",
                "spoke.service_account_bytes_max",
                "--service-accounts-max",
                "--service-account-bytes-max",
            ],
        ),
    ];
    for (what, names) in cases {
        for name in names {
            assert!(told(what).contains(name), "`{name}` is not in: {}", told(what));
        }
    }
}

#[test]
fn a_config_map_that_is_deleted_is_told_of_and_takes_nothing_away() {
    let mut mirror = settled();
    assert_eq!(mirror.has_aws_auth(), Some(false));
    mirror.put(Resource::AwsAuth, aws_auth("x")).unwrap();
    assert_eq!(pushed_aws_auth(&mut mirror).as_deref(), Some("x"));
    mirror.put(Resource::AwsAuth, aws_auth("x")).unwrap();
    assert_eq!(taken(&mut mirror), [], "the same again");
    mirror.gone(Resource::AwsAuth, "/aws-auth");
    assert_eq!((mirror.has_aws_auth(), taken(&mut mirror)), (Some(false), Vec::new()));
    // It comes back as it was: the hub looks whether that is what it has.
    mirror.listed(Resource::AwsAuth, vec![aws_auth("x")]).unwrap();
    assert_eq!(pushed_aws_auth(&mut mirror).as_deref(), Some("x"));
}

#[test]
fn what_the_hub_has_not_taken_goes_again() {
    let mut mirror = settled();
    mirror.put(Resource::AwsAuth, aws_auth("x")).unwrap();
    mirror.put(Resource::Roles, seen("b", "2")).unwrap();
    mirror.see_issuer(issuer("i", "1"));
    let batches = taken(&mut mirror);
    assert_eq!(batches.len(), 3);
    Push::ALL.into_iter().for_each(|push| mirror.untaken(push));
    let again = taken(&mut mirror);
    assert_eq!(again[0], Batch::Rbac(whole(&["1", "2"])));
    assert_eq!((&again[1], &again[3]), (&batches[1], &batches[2]));
}

fn issuer(issuer_url: &str, jwks: &str) -> IssuerDocuments {
    IssuerDocuments { issuer_url: issuer_url.to_owned(), jwks: jwks.to_owned() }
}

#[test]
fn an_issuer_is_pushed_where_it_or_its_keys_are_others_than_before() {
    let mut mirror = settled();
    let cases = [("i", "1", true), ("i", "1", false), ("i", "2", true), ("j", "2", true), ("j", "2", false)];
    for (issuer_url, jwks, is_due) in cases {
        mirror.see_issuer(issuer(issuer_url, jwks));
        let expected = is_due.then(|| Batch::Issuer(Arc::new(issuer(issuer_url, jwks))));
        assert_eq!(mirror.take(Push::Issuer), expected, "{issuer_url} {jwks}");
    }
    assert_eq!(mirror.issuer_url(), Some("j"));
}

#[test]
fn what_the_hub_leaves_out_makes_the_next_change_go_with_all_the_others() {
    let mut mirror = settled();
    mirror.whole_if_due(Push::Rbac);
    assert_eq!(rbac(&mut mirror), None, "and nothing before there is a change");
    mirror.put(Resource::Roles, seen("b", "2")).unwrap();
    assert_eq!(rbac(&mut mirror), Some(whole(&["1", "2"])));
    mirror.put(Resource::Roles, seen("b", "3")).unwrap();
    assert_eq!(rbac(&mut mirror), Some(RbacBatch::Some(items(&["3"]))));
}

/// A ServiceAccount, whose uid is its document.
fn account(name: &str, uid: &str) -> Seen {
    let content = Content::ServiceAccount(ServiceAccount {
        namespace: "n".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        annotations: BTreeMap::new(),
    });
    Seen { key: format!("n/{name}"), content }
}

fn accounts(mirror: &mut Mirror) -> Option<(Vec<String>, Vec<String>, bool)> {
    let Some(Batch::ServiceAccounts(batch)) = mirror.take(Push::ServiceAccounts) else { return None };
    let put = batch.service_accounts.iter().map(|account| format!("{}={}", account.name, account.uid));
    Some((put.collect(), batch.removed.iter().map(ToString::to_string).collect(), batch.replace))
}

#[test]
fn service_accounts_go_whole_at_first_then_what_changed_and_a_relist_repeats_nothing() {
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut mirror = Mirror::new(BOUNDS, BOUNDS);
    mirror.put(Resource::ServiceAccounts, account("z", "0")).unwrap();
    assert_eq!(accounts(&mut mirror), None, "not all is known yet");
    let list = |mirror: &mut Mirror, all: &[(&str, &str)]| {
        let all = all.iter().map(|(name, uid)| account(name, uid)).collect();
        mirror.listed(Resource::ServiceAccounts, all).unwrap();
    };
    list(&mut mirror, &[("a", "1"), ("b", "2")]);
    assert_eq!(accounts(&mut mirror), Some((texts(&["a=1", "b=2"]), vec![], true)));
    list(&mut mirror, &[("a", "1"), ("b", "2")]);
    assert_eq!(accounts(&mut mirror), None);
    list(&mut mirror, &[("b", "3"), ("c", "4")]);
    assert_eq!(accounts(&mut mirror), Some((texts(&["b=3", "c=4"]), texts(&["n/a"]), false)));
    mirror.gone(Resource::ServiceAccounts, "n/b");
    mirror.put(Resource::ServiceAccounts, account("b", "5")).unwrap();
    assert_eq!(accounts(&mut mirror), Some((texts(&["b=5"]), vec![], false)), "made anew at once");
    let many: Vec<Seen> = (0..9).map(|n| account(&n.to_string(), "1")).collect();
    let refused = mirror.listed(Resource::ServiceAccounts, many).unwrap_err();
    assert!(refused.to_string().contains("spoke.service_accounts_max"), "{refused}");
    assert_eq!((mirror.service_accounts(), accounts(&mut mirror)), (2, None));
    list(&mut mirror, &[]);
    mirror.untaken(Push::ServiceAccounts);
    assert_eq!(accounts(&mut mirror), Some((vec![], vec![], true)), "a cluster without any");
}

/// What happens in a cluster, or on the way to it.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Gone(u8),
    /// The watch is cut: what happens next is seen with the list alone.
    Cut,
    List,
    Take,
    Untaken,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..4, 0_u8..4).prop_map(|(name, document)| Step::Put(name, document)),
        2 => (0_u8..4).prop_map(Step::Gone),
        1 => Just(Step::Cut),
        1 => Just(Step::List),
        3 => Just(Step::Take),
        1 => Just(Step::Untaken),
    ]
}

/// What a hub holds that takes a batch.
fn apply(hub: &mut BTreeMap<String, String>, batch: &RbacBatch) {
    let (documents, replaces) = match batch {
        RbacBatch::Whole(documents) => (documents.as_str(), true),
        RbacBatch::Some(documents) => (documents.as_str(), false),
        RbacBatch::Nothing => (r#"{"items":[]}"#, true),
    };
    if replaces {
        hub.clear();
    }
    let list: serde_json::Value = serde_json::from_str(documents).unwrap();
    for item in list["items"].as_array().unwrap() {
        let (name, document) = item.as_str().unwrap().split_once('=').unwrap();
        hub.insert(name.to_owned(), document.to_owned());
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_hub_ends_with_the_service_accounts_that_are_there(
        steps in prop::collection::vec(step(), 0..60)
    ) {
        let mut mirror = Mirror::new(BOUNDS, BOUNDS);
        let resource = Resource::ServiceAccounts;
        mirror.listed(resource, Vec::new()).unwrap();
        let (mut cluster, mut hub) = (BTreeMap::new(), BTreeMap::new());
        let object = |name: &str, uid: &str| account(name, uid);
        let mut is_cut = false;
        for step in steps.into_iter().chain([Step::List, Step::Take]) {
            match step {
                Step::Put(name, uid) => {
                    let (name, uid) = (name.to_string(), uid.to_string());
                    if !is_cut {
                        mirror.put(resource, object(&name, &uid)).unwrap();
                    }
                    cluster.insert(name, uid);
                }
                Step::Gone(name) => {
                    cluster.remove(&name.to_string());
                    if !is_cut {
                        mirror.gone(resource, &format!("n/{name}"));
                    }
                }
                Step::Cut => is_cut = true,
                Step::List => {
                    let all = cluster.iter().map(|(name, uid)| object(name, uid)).collect();
                    mirror.listed(resource, all).unwrap();
                    is_cut = false;
                }
                Step::Take => {
                    if let Some(Batch::ServiceAccounts(batch)) = mirror.take(Push::ServiceAccounts) {
                        if batch.replace {
                            hub.clear();
                        }
                        hub.extend(batch.service_accounts.into_iter().map(|one| (one.name, one.uid)));
                        batch.removed.iter().for_each(|one| drop(hub.remove(&one.name)));
                    }
                    prop_assert_eq!(mirror.take(Push::ServiceAccounts), None);
                }
                Step::Untaken => mirror.untaken(Push::ServiceAccounts),
            }
        }
        prop_assert_eq!(hub, cluster);
    }

    #[test]
    fn whatever_happens_the_hub_ends_with_what_is_there(steps in prop::collection::vec(step(), 0..60)) {
        let mut mirror = Mirror::new(BOUNDS, BOUNDS);
        for resource in Resource::ALL {
            mirror.listed(resource, Vec::new()).unwrap();
        }
        let (mut cluster, mut hub) = (BTreeMap::new(), BTreeMap::new());
        let object = |name: u8, document: u8| seen(&name.to_string(), &format!("{name}={document}"));
        let list = |cluster: &BTreeMap<u8, u8>| cluster.iter().map(|(name, document)| object(*name, *document)).collect();
        let mut is_cut = false;
        for step in steps.into_iter().chain([Step::List, Step::Take]) {
            match step {
                Step::Put(name, document) => {
                    cluster.insert(name, document);
                    if !is_cut {
                        mirror.put(Resource::Roles, object(name, document)).unwrap();
                    }
                }
                Step::Gone(name) => {
                    cluster.remove(&name);
                    if !is_cut {
                        mirror.gone(Resource::Roles, &format!("/{name}"));
                    }
                }
                Step::Cut => is_cut = true,
                Step::List => {
                    mirror.listed(Resource::Roles, list(&cluster)).unwrap();
                    is_cut = false;
                }
                Step::Take => {
                    if let Some(batch) = rbac(&mut mirror) {
                        apply(&mut hub, &batch);
                    }
                    // Taken means that nothing is left to say.
                    prop_assert_eq!(mirror.take(Push::Rbac), None);
                }
                Step::Untaken => mirror.untaken(Push::Rbac),
            }
        }
        let expected: BTreeMap<String, String> =
            cluster.iter().map(|(name, document)| (name.to_string(), document.to_string())).collect();
        prop_assert_eq!(hub, expected);
    }
}

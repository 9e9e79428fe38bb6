use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds { objects_max: 8, bytes_max: 400 };

fn seen(name: &str, document: &str) -> Seen {
    Seen { key: format!("/{name}"), document: format!("\"{document}\"").into(), role: None }
}

/// A mirror of a cluster with one role, all of which the hub has.
fn settled() -> Mirror {
    let mut mirror = Mirror::new(BOUNDS);
    for resource in Resource::ALL {
        let objects = if resource == Resource::Roles { vec![seen("a", "1")] } else { Vec::new() };
        mirror.listed(resource, objects).unwrap();
    }
    assert_eq!(mirror.take().rbac, Some(whole(&["1"])));
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
    let mut mirror = Mirror::new(BOUNDS);
    for resource in Resource::RBAC {
        assert_eq!(mirror.take().rbac, None, "{resource:?} is not known yet");
        mirror.listed(resource, vec![seen("a", resource.name())]).unwrap();
    }
    assert!(!mirror.is_whole());
    let names: Vec<&str> = Resource::RBAC.iter().map(|resource| resource.name()).collect();
    assert_eq!(mirror.take().rbac, Some(whole(&names)));
    assert_eq!(mirror.take(), Batch::default());
    mirror.listed(Resource::AwsAuth, Vec::new()).unwrap();
    assert!(mirror.is_whole() && mirror.has_aws_auth() == Some(false));
}

#[test]
fn a_list_after_a_cut_repeats_nothing_and_loses_nothing() {
    let mut mirror = settled();
    mirror.listed(Resource::Roles, vec![seen("a", "1")]).unwrap();
    assert_eq!(mirror.take(), Batch::default(), "nothing changed meanwhile");
    mirror.listed(Resource::Roles, vec![seen("a", "1"), seen("b", "2")]).unwrap();
    assert_eq!(mirror.take().rbac, Some(RbacBatch::Some(items(&["2"]))), "the new one alone");
    mirror.listed(Resource::Roles, vec![seen("b", "2")]).unwrap();
    assert_eq!(mirror.take().rbac, Some(whole(&["2"])), "one is gone");
    mirror.listed(Resource::Roles, Vec::new()).unwrap();
    assert_eq!(mirror.take().rbac, Some(RbacBatch::Nothing));
}

#[test]
fn changes_of_one_object_become_one() {
    let mut mirror = settled();
    for n in 0..1_000 {
        mirror.put(Resource::Roles, seen("a", &n.to_string())).unwrap();
    }
    assert_eq!(mirror.take().rbac, Some(RbacBatch::Some(items(&["999"]))));
    mirror.put(Resource::Roles, seen("b", "2")).unwrap();
    mirror.gone(Resource::Roles, "/b");
    assert_eq!(mirror.take().rbac, Some(whole(&["999"])), "the hub may have seen it");
}

#[test]
fn a_binding_that_gives_another_role_replaces_all() {
    let mut mirror = settled();
    let bound = |role: &str| Seen { role: Some(role.to_owned()), ..seen("x", role) };
    mirror.put(Resource::RoleBindings, bound("r")).unwrap();
    assert_eq!(mirror.take().rbac, Some(RbacBatch::Some(items(&["r"]))));
    mirror.put(Resource::RoleBindings, bound("s")).unwrap();
    assert_eq!(mirror.take().rbac, Some(whole(&["1", "s"])));
}

#[test]
fn a_cluster_over_the_bounds_is_not_taken_and_what_was_seen_stays() {
    let mut mirror = settled();
    let many: Vec<Seen> = (0..9).map(|n| seen(&n.to_string(), "x")).collect();
    assert_eq!(mirror.listed(Resource::ClusterRoles, many), Err(TooLarge(BOUNDS)));
    assert_eq!(mirror.put(Resource::Roles, seen("a", &"x".repeat(400))), Err(TooLarge(BOUNDS)));
    assert_eq!((mirror.objects(), mirror.take()), (1, Batch::default()));
    for n in 1..8 {
        mirror.put(Resource::ClusterRoles, seen(&n.to_string(), "x")).unwrap();
    }
    assert_eq!(mirror.put(Resource::ClusterRoles, seen("9", "x")), Err(TooLarge(BOUNDS)));
    // One in place of another needs no more room.
    mirror.put(Resource::ClusterRoles, seen("1", "y")).unwrap();
}

#[test]
fn a_config_map_that_is_deleted_is_told_of_and_takes_nothing_away() {
    let mut mirror = settled();
    assert_eq!(mirror.has_aws_auth(), Some(false));
    mirror.put(Resource::AwsAuth, seen("aws-auth", "x")).unwrap();
    assert_eq!(mirror.take().aws_auth.as_deref(), Some("\"x\""));
    mirror.put(Resource::AwsAuth, seen("aws-auth", "x")).unwrap();
    assert_eq!(mirror.take(), Batch::default(), "the same again");
    mirror.gone(Resource::AwsAuth, "/aws-auth");
    assert_eq!((mirror.has_aws_auth(), mirror.take()), (Some(false), Batch::default()));
    // It comes back as it was: the hub looks whether that is what it has.
    mirror.listed(Resource::AwsAuth, vec![seen("aws-auth", "x")]).unwrap();
    assert_eq!(mirror.take().aws_auth.as_deref(), Some("\"x\""));
}

#[test]
fn what_the_hub_has_not_taken_goes_again() {
    let mut mirror = settled();
    mirror.put(Resource::AwsAuth, seen("aws-auth", "x")).unwrap();
    mirror.put(Resource::Roles, seen("b", "2")).unwrap();
    let batch = mirror.take();
    mirror.rbac_untaken();
    mirror.aws_auth_untaken();
    let again = mirror.take();
    assert_eq!(again.rbac, Some(whole(&["1", "2"])));
    assert_eq!(again.aws_auth, batch.aws_auth);
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
    fn whatever_happens_the_hub_ends_with_what_is_there(steps in prop::collection::vec(step(), 0..60)) {
        let mut mirror = Mirror::new(BOUNDS);
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
                    if let Some(batch) = mirror.take().rbac {
                        apply(&mut hub, &batch);
                    }
                    // Taken means that nothing is left to say.
                    prop_assert_eq!(mirror.take(), Batch::default());
                }
                Step::Untaken => mirror.rbac_untaken(),
            }
        }
        let expected: BTreeMap<String, String> =
            cluster.iter().map(|(name, document)| (name.to_string(), document.to_string())).collect();
        prop_assert_eq!(hub, expected);
    }
}

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use lanyard_proto::{authn::v1 as authn, mapping::v1 as mapping};
use proptest::prelude::*;
use prost_types::{DescriptorProto, FileDescriptorSet, MethodDescriptorProto};

use super::*;

/// Read once: there are many questions about them.
static DESCRIPTORS: LazyLock<FileDescriptorSet> =
    LazyLock::new(|| FileDescriptorSet::decode(lanyard_proto::DESCRIPTORS).unwrap());

/// Every method of the protos, by path.
pub(super) fn wire_methods() -> BTreeMap<String, MethodDescriptorProto> {
    let mut methods = BTreeMap::new();
    for file in &DESCRIPTORS.file {
        for service in &file.service {
            for method in &service.method {
                methods.insert(
                    format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                    method.clone(),
                );
            }
        }
    }
    methods
}

pub(super) fn wire_message(name: &str) -> &'static DescriptorProto {
    let full = |file: &prost_types::FileDescriptorProto, message: &DescriptorProto| {
        format!("{}.{}", file.package(), message.name()) == name
    };
    let find = |file: &'static prost_types::FileDescriptorProto| {
        file.message_type.iter().find(|message| full(file, message))
    };
    DESCRIPTORS.file.iter().find_map(find).unwrap()
}

#[test]
fn every_method_of_the_protos_is_managed_internal_unsigned_or_open_and_just_one_of_them() {
    let methods = wire_methods();
    assert!(methods.len() > 50);
    for path in methods.keys() {
        let lists = [find(path).is_some(), INTERNAL.contains(&&**path), is_unsigned(path), is_open(path)];
        assert_eq!(lists.into_iter().filter(|listed| *listed).count(), 1, "{path}");
    }
    let listed = MANAGED.iter().map(|method| method.path).chain(INTERNAL.iter().copied());
    let listed = listed.chain(UNSIGNED.iter().copied());
    let ours = listed.chain(OPEN.iter().copied().filter(|path| path.starts_with("/lanyard.")));
    let ours: Vec<&str> = ours.collect();
    for path in &ours {
        assert!(methods.contains_key(*path), "{path} is not in the protos");
    }
    assert_eq!(ours.iter().collect::<BTreeSet<_>>().len(), methods.len());
}

#[test]
fn immunity_28_a_message_that_nests_without_end_is_refused_for_every_method() {
    // Groups of field 15, which no message has: what a decoder walks through to pass it over.
    let (begin, end) = (vec![0x7b; 100_000], vec![0x7c; 100_000]);
    for nested in [begin.clone(), [begin, end].concat()] {
        for method in MANAGED {
            let denial = read(method.path, &nested).unwrap_err();
            assert_eq!(denial.code, INVALID_REQUEST, "{}", method.path);
        }
    }
}

#[test]
fn what_is_sent_once_more_changes_nothing_and_makes_nothing() {
    let repeatable: Vec<String> = wire_methods().into_keys().filter(|path| is_repeatable(path)).collect();
    for path in &repeatable {
        let name = path.rsplit_once('/').unwrap().1;
        let reads = [
            "Get",
            "List",
            "Describe",
            "Find",
            "Explain",
            "Preview",
            "Propose",
            "Authorize",
            "WhoCan",
            "RulesFor",
        ];
        // A pod that asks again gets the credentials that it has; and what it needs is worked out and not kept.
        let asked = ["Authenticate", "Admit", "AdmitAws", "Resolve", "AssumeRoleForPodIdentity", "MutatePod"];
        assert!(reads.iter().any(|begin| name.starts_with(begin)) || asked.contains(&name), "{path}");
    }
    assert!(repeatable.len() > 25 && READS.iter().all(|path| INTERNAL.contains(path)), "{repeatable:?}");
    assert!(!is_repeatable("/lanyard.mapping.v1.Resolve/ResolveBreakGlass"), "its one use is written down");
}

#[test]
fn the_table_reads_the_request_of_the_protos_and_knows_whether_it_changes_anything() {
    let methods = wire_methods();
    for method in MANAGED {
        let wire = &methods[method.path];
        assert_eq!(wire.input_type().trim_start_matches('.'), method.request, "{}", method.path);
        let has_mutation = wire_message(method.request).field.iter().any(|field| field.name() == "mutation");
        assert_eq!(method.mutates, has_mutation, "{}", method.path);
    }
}

#[test]
fn no_method_takes_a_stream_for_what_is_signed_is_one_message() {
    for (path, method) in wire_methods() {
        assert!(!method.client_streaming(), "{path}");
    }
}

#[test]
fn what_answers_with_a_stream_is_a_watch_by_its_name() {
    for (path, method) in wire_methods().iter().filter(|(path, _)| path.starts_with("/lanyard.")) {
        assert_eq!(method.server_streaming(), is_watch(path), "{path}");
    }
}

#[test]
fn what_travels_together_only_reads_and_is_answered_by_one_message() {
    let methods = wire_methods();
    for path in TOGETHER {
        assert!(!methods[*path].server_streaming(), "{path}");
        assert!(is_repeatable(path), "{path}");
        assert!(callers(path).include(GATEWAY), "{path}");
    }
}

/// AWS's actions for which two services have methods, each for what it keeps.
const TAGGING: [&str; 3] = ["eks:TagResource", "eks:UntagResource", "eks:ListTagsForResource"];

#[test]
fn an_action_is_of_one_method_and_ours_bear_its_name() {
    let mut seen = BTreeSet::new();
    for method in MANAGED {
        let actions = match method.action {
            Action::Always(action) => vec![action],
            Action::ByOwner { user, role } => vec![user, role],
        };
        for action in actions {
            // What has tags is kept by two services.
            let of_tags = TAGGING.contains(&action);
            assert!(seen.insert(action) || of_tags, "{action} stands for two methods");
            let (service, name) = action.split_once(':').unwrap();
            match service {
                "lanyard" => assert_eq!(method.path.rsplit('/').next(), Some(name)),
                "eks" | "eks-auth" | "iam" | "sts" => {}
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn what_stands_in_no_table_passes_no_door() {
    for path in ["/lanyard.authn.v1.Admit/Admit", "/lanyard.mapping.v1.Clusters/WatchDirectory", "/x.Y/Z", ""]
    {
        assert_eq!(read(path, b"").unwrap_err().code, UNKNOWN_METHOD, "{path}");
        assert!(!is_open(path));
    }
    assert!(is_open("/lanyard.gateway.v1.Explain/Hub"));
    assert!(!is_open("/lanyard.gateway.v1.Explain/Explain"));
}

#[test]
fn what_would_help_with_a_kept_decision_is_weighed_by_the_permission_to_explain() {
    let signed = "/lanyard.gateway.v1.Explain/ExplainDecision";
    let cases = [
        ("/lanyard.authz.v1.Decisions/FindDecision", Some("lanyard:ExplainDecision")),
        ("/lanyard.mapping.v1.Preview/Preview", Some("lanyard:Explain")),
        ("/lanyard.mapping.v1.Clusters/DescribeCluster", None),
    ];
    for (inner, action) in cases {
        assert_eq!(covering(signed, inner), action, "{inner}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_by_every_method(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for method in MANAGED {
            if let Err(denial) = read(method.path, &bytes) {
                prop_assert_eq!(denial.code, INVALID_REQUEST);
                prop_assert_eq!(unreadable(method.path, &bytes).map(|error| error.to_string()), Some(denial.message));
            }
        }
    }

    #[test]
    fn a_digest_is_of_what_was_understood_not_of_how_it_was_written(cluster in "[a-z]{1,9}", arn in "[a-z]{1,9}") {
        let request = mapping::DescribeAccessEntryRequest { cluster: cluster.clone(), principal_arn: arn.clone() };
        let first = mapping::DescribeAccessEntryRequest { cluster, ..Default::default() }.encode_to_vec();
        let second = mapping::DescribeAccessEntryRequest { principal_arn: arn, ..Default::default() }.encode_to_vec();
        let swapped = [second, first].concat();
        let path = "/lanyard.mapping.v1.Entries/DescribeAccessEntry";
        let (here, there) = (read(path, &request.encode_to_vec()).unwrap(), read(path, &swapped).unwrap());
        prop_assert_eq!(here.request_digest, request_digest(&request));
        prop_assert_eq!(here, there);
    }
}

#[test]
fn what_cannot_be_read_is_told_by_its_field() {
    let request = mapping::DescribeClusterRequest { cluster: "no/cluster".to_owned() }.encode_to_vec();
    let error = unreadable("/lanyard.mapping.v1.Clusters/DescribeCluster", &request);
    assert!(matches!(&error, Some(CallError::Invalid { field, .. }) if field == "cluster"), "{error:?}");
    assert_eq!(unreadable("/x.Y/Z", &request), None);
    let good = mapping::DescribeClusterRequest { cluster: "dev".to_owned() }.encode_to_vec();
    assert_eq!(unreadable("/lanyard.mapping.v1.Clusters/DescribeCluster", &good), None);
}

#[test]
fn two_messages_have_two_digests() {
    let digest = |name: &str| request_digest(&authn::GetUserRequest { account: None, name: name.to_owned() });
    assert_ne!(digest("ana"), digest("bob"));
}

#[test]
fn a_policy_of_a_user_and_one_of_a_role_are_two_actions() {
    let action = |owner| {
        let owner = Some(authn::PolicyOwner { owner: Some(owner) });
        authn::PutPolicyRequest { owner, ..Default::default() }.call().unwrap().action
    };
    assert_eq!(action(authn::policy_owner::Owner::User("a".to_owned())), "iam:PutUserPolicy");
    assert_eq!(action(authn::policy_owner::Owner::Role("a".to_owned())), "iam:PutRolePolicy");
    let arn = |text: &str| authn::policy_owner::Owner::PrincipalArn(text.to_owned());
    assert_eq!(action(arn("arn:aws:iam::111122223333:user/team/ana")), "iam:PutUserPolicy");
    assert_eq!(action(arn("arn:aws:iam::111122223333:role/Dev")), "iam:PutRolePolicy");
    assert!(authn::PutPolicyRequest::default().call().is_err());
}

#[test]
fn immunity_34_a_kubeconfig_is_lent_to_the_spoke_service_and_to_no_door() {
    for method in ["LendSpoke", "ReturnSpoke"] {
        let callers = callers(&format!("/lanyard.mapping.v1.Spokes/{method}"));
        assert!(callers.include(SPOKE_SERVICE) && !callers.include("gateway") && !callers.include("authz"));
    }
}

#[test]
fn immunity_41_who_vends_has_pods_reviewed_and_asks_nothing_else_of_another_service() {
    let may_ask = |service: &str| {
        let these =
            |path: &String| matches!(callers(path), Callers::These(_)) && callers(path).include(service);
        wire_methods().into_keys().filter(these).collect::<Vec<_>>()
    };
    assert_eq!(may_ask(CREDENTIALS), [REVIEW_POD]);
    for other in [GATEWAY, AWSAPI, SPOKE_SERVICE, "authn", "mapping", "authz"] {
        assert!(!callers(REVIEW_POD).include(other), "{other}");
    }
}

#[test]
fn immunity_41_the_door_of_the_aws_wire_carries_management_calls_and_makes_none_up() {
    for path in wire_methods().into_keys() {
        let Callers::These(_) = callers(&path) else { continue };
        let may = callers(&path).include(AWSAPI);
        let open = [ADMIT_AWS, FIND_ISSUER, RECORD_DECISIONS].contains(&&*path);
        let passes = open || is_unsigned(&path) || find(&path).is_some();
        assert_eq!(may, passes, "{path}");
        assert!(path != ADMIT_AWS || !callers(&path).include("gateway"));
    }
}

#[test]
fn immunity_41_the_spoke_service_may_push_and_nothing_else() {
    let may: BTreeSet<String> =
        wire_methods().into_keys().filter(|path| matches!(callers(path), Callers::These(_))).collect();
    let of_spoke: BTreeSet<&str> =
        may.iter().map(String::as_str).filter(|path| callers(path).include(SPOKE_SERVICE)).collect();
    let expected: BTreeSet<&str> = OF_SPOKE_SERVICE.iter().chain(OF_SPOKES).copied().collect();
    assert_eq!(of_spoke, expected);
    let managed = OF_SPOKES.iter().filter(|path| find(path).is_some()).count();
    assert_eq!(managed, OF_SPOKES.len(), "a spoke is admitted to managed methods alone");
    assert!(!callers("/lanyard.mapping.v1.Entries/CreateAccessEntry").include(SPOKE_SERVICE));
    assert!(!callers("/lanyard.mapping.v1.Spokes/DescribeSpoke").include(SPOKE_SERVICE));
}

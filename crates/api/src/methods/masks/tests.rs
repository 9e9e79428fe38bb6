use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use prost_types::{FieldDescriptorProto, FieldMask, Timestamp};

use super::*;
use crate::{
    CallError,
    grpc::mask::Masked,
    methods::{Managed, tests},
};

/// What of an update's request no mask names: which object it is about, what permits something, and the mask.
const BESIDE: [&str; 13] = [
    "mutation",
    "update_mask",
    "account",
    "cluster",
    "user",
    "name",
    "access_key_id",
    "issuer_url",
    "principal_arn",
    "association_id",
    "allow_any_subject",
    "allow_any_cluster",
    "unprobed",
];

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

/// What is refused: the field, the rule and what is said.
fn refusal<M: Managed + std::fmt::Debug>(request: M) -> (String, &'static str, String) {
    match request.masked() {
        Err(CallError::Invalid { field, rule, message }) => (field.into_owned(), rule, message),
        other => panic!("{other:?}"),
    }
}

/// An update's request with a mask, as the table has it.
trait Update: Managed + Masked + std::fmt::Debug {
    fn with_mask(paths: &[&str]) -> Self;

    /// The names that its table has, and the fields that the protos have.
    fn names() -> (&'static str, Vec<&'static str>) {
        (Self::METHOD.path, Self::FIELDS.iter().flat_map(|field| field.names).copied().collect())
    }

    /// What each way to name what cannot be written is told.
    fn refusals() -> Vec<(String, (String, &'static str, String))> {
        let first = *Self::names().1.first().unwrap();
        let deeper = format!("{first}.values");
        let both: &[&str] = &[first, "*"];
        let cases: [&[&str]; 8] =
            [&[], &["colour"], &[""], &["cluster"], &["mutation"], &["update_mask"], &[&deeper], both];
        let told = |paths: &&[&str]| (format!("{paths:?}"), refusal(Self::with_mask(paths)));
        let long = vec![first; 65];
        cases.iter().map(told).chain([("long".to_owned(), refusal(Self::with_mask(&long)))]).collect()
    }
}

macro_rules! updates {
    ($($request:ty),+ $(,)?) => {
        $(impl Update for $request {
            fn with_mask(paths: &[&str]) -> Self {
                Self { update_mask: mask(paths), ..Default::default() }
            }
        })+

        fn all_names() -> BTreeMap<&'static str, Vec<&'static str>> {
            [$(<$request>::names()),+].into()
        }

        fn all_refusals() -> Vec<(String, (String, &'static str, String))> {
            [$(<$request>::refusals()),+].concat()
        }
    };
}

updates! {
    authn::UpdateAccessKeyRequest,
    authn::UpdateAssumeRolePolicyRequest,
    authn::UpdateRoleRequest,
    authn::UpdateOidcProviderThumbprintsRequest,
    authn::UpdateOidcProviderCaBundleRequest,
    mapping::UpdateAccessEntryRequest,
    mapping::UpdateClusterConfigRequest,
    credentials::UpdatePodIdentityAssociationRequest,
}

#[test]
fn every_update_of_the_protos_has_a_mask_that_names_all_that_it_writes() {
    let all = all_names();
    let mut updates = 0;
    for (path, method) in tests::wire_methods() {
        let name = method.input_type().trim_start_matches('.').to_owned();
        let fields = &tests::wire_message(&name).field;
        let is_mask = |field: &&FieldDescriptorProto| field.type_name() == ".google.protobuf.FieldMask";
        let mask = fields.iter().find(is_mask);
        if !method.name().starts_with("Update") {
            assert!(mask.is_none(), "{path} is no update by its name, and has a mask");
            continue;
        }
        updates += 1;
        assert_eq!(mask.map(FieldDescriptorProto::name), Some("update_mask"), "{path} needs an update mask");
        let written: BTreeSet<&str> =
            fields.iter().map(FieldDescriptorProto::name).filter(|name| !BESIDE.contains(name)).collect();
        let named: BTreeSet<&str> =
            all.get(&*path).unwrap_or_else(|| panic!("{path}")).iter().copied().collect();
        assert_eq!(named, written, "{path}");
    }
    assert!(updates >= 8 && updates == all.len());
}

#[test]
fn what_a_mask_cannot_name_is_told_with_the_path_and_what_it_can_name() {
    let all = all_refusals();
    assert!(all.len() >= 8 * 9);
    for (paths, (field, rule, message)) in all {
        assert_eq!(field, "update_mask", "{paths}");
        let expected = match &*paths {
            "[]" => "empty_mask",
            "long" => "long_mask",
            _ => "unknown_path",
        };
        assert_eq!(rule, expected, "{paths}");
        assert!(message.contains("name some of `"), "{message}");
        let told = paths.trim_matches(['[', ']']).split(", ").map(|path| path.trim_matches('"'));
        let is_told = |path: &str| message.starts_with(&format!("`{path}` is no field"));
        assert!(expected != "unknown_path" || told.into_iter().any(is_told), "{paths}: {message}");
    }
    let loud = "é".repeat(10_000);
    let (.., message) = refusal(authn::UpdateRoleRequest::with_mask(&[&loud]));
    assert!(message.len() < 1024, "{message}");
}

fn entry() -> mapping::UpdateAccessEntryRequest {
    mapping::UpdateAccessEntryRequest {
        mutation: Some(call::Mutation { reason: "why".to_owned(), ..Default::default() }),
        cluster: "dev".to_owned(),
        principal_arn: "arn".to_owned(),
        username: Some("ana".to_owned()),
        groups: Some(call::Strings { values: vec!["devs".to_owned()] }),
        end: Some(End::EndsAt(Timestamp { seconds: 1, nanos: 0 })),
        rebind: true,
        pin_until: Some(Timestamp { seconds: 2, nanos: 0 }),
        update_mask: None,
    }
}

/// One that says which entry it is and no more.
fn bare_entry() -> mapping::UpdateAccessEntryRequest {
    let mapping::UpdateAccessEntryRequest { mutation, cluster, principal_arn, .. } = entry();
    mapping::UpdateAccessEntryRequest { mutation, cluster, principal_arn, ..Default::default() }
}

#[test]
fn an_entry_is_written_as_the_mask_names_it() {
    let given = |paths: &[&str]| mapping::UpdateAccessEntryRequest { update_mask: mask(paths), ..entry() };
    let bare =
        |paths: &[&str]| mapping::UpdateAccessEntryRequest { update_mask: mask(paths), ..bare_entry() };
    let emptied = mapping::UpdateAccessEntryRequest {
        username: Some(String::new()),
        groups: Some(call::Strings::default()),
        end: Some(End::Endless(())),
        ..bare_entry()
    };
    let cases = [
        // Without a mask it is what it was, given or not.
        (entry(), entry()),
        (bare_entry(), bare_entry()),
        // Named and given is written, given and not named is not.
        (given(&["*"]), entry()),
        (
            given(&["username"]),
            mapping::UpdateAccessEntryRequest { username: entry().username, ..bare_entry() },
        ),
        (
            given(&["groups", "groups"]),
            mapping::UpdateAccessEntryRequest { groups: entry().groups, ..bare_entry() },
        ),
        (given(&["ends_at"]), mapping::UpdateAccessEntryRequest { end: entry().end, ..bare_entry() }),
        (given(&["endless"]), mapping::UpdateAccessEntryRequest { end: entry().end, ..bare_entry() }),
        (
            given(&["pin_until", "rebind"]),
            mapping::UpdateAccessEntryRequest { pin_until: entry().pin_until, rebind: true, ..bare_entry() },
        ),
        // Named and not given is emptied.
        (bare(&["*"]), emptied.clone()),
        (bare(&["username", "groups", "ends_at"]), emptied),
        (
            bare(&["username"]),
            mapping::UpdateAccessEntryRequest { username: Some(String::new()), ..bare_entry() },
        ),
        (bare(&["rebind"]), bare_entry()),
    ];
    for (request, expected) in cases {
        assert_eq!(request.clone().masked(), Ok(expected), "{request:?}");
    }
    let (field, rule, _) = refusal(bare(&["groups", "pin_until"]));
    assert_eq!((&*field, rule), ("pin_until", "required"));
}

#[test]
fn a_cluster_is_set_back_to_what_a_new_one_has_and_keeps_a_mode() {
    let of = |paths: &[&str]| mapping::UpdateClusterConfigRequest {
        cluster: "dev".to_owned(),
        update_mask: mask(paths),
        ..Default::default()
    };
    for paths in [&["*"][..], &["tags", "authentication_mode"]] {
        let (field, rule, _) = refusal(of(paths));
        assert_eq!((&*field, rule), ("authentication_mode", "required"), "{paths:?}");
    }
    let mode = mapping::AuthenticationMode::Api.into();
    let all = mapping::UpdateClusterConfigRequest { authentication_mode: mode, ..of(&["*"]) }.masked();
    let expected = mapping::UpdateClusterConfigRequest {
        cluster: "dev".to_owned(),
        authentication_mode: mode,
        authorizer_mode: mapping::AuthorizerMode::WebhookFirst.into(),
        trusted_accounts: Some(mapping::TrustedAccounts::default()),
        audiences: Some(call::Strings { values: vec!["https://kubernetes.default.svc".to_owned()] }),
        token_cache_seconds: Some(10),
        endpoint: Some(String::new()),
        certificate_authority: Some(String::new()),
        tags: Some(call::Tags::default()),
        ..Default::default()
    };
    assert_eq!(all, Ok(expected));
    // A number that is given and nought is given.
    let nought =
        mapping::UpdateClusterConfigRequest { token_cache_seconds: Some(0), ..of(&["token_cache_seconds"]) };
    assert_eq!(nought.masked().unwrap().token_cache_seconds, Some(0));
    // Tags that a mask takes off are weighed as such, and those that it leaves are not.
    let beside = |request: mapping::UpdateClusterConfigRequest| request.call().unwrap().target.beside;
    assert_eq!(beside(of(&["tags"])), ["eks:UntagResource"]);
    let left = mapping::UpdateClusterConfigRequest { tags: Some(call::Tags::default()), ..of(&["endpoint"]) };
    assert_eq!(beside(left), Vec::<&str>::new());
}

#[test]
fn an_association_keeps_its_role_and_its_road_and_permits_are_not_masked() {
    let of = |paths: &[&str], role_arn: Option<&str>| credentials::UpdatePodIdentityAssociationRequest {
        role_arn: role_arn.map(str::to_owned),
        allow_any_cluster: true,
        unprobed: true,
        update_mask: mask(paths),
        ..Default::default()
    };
    for (paths, missing) in
        [(&["*"][..], "role_arn"), (&["role_arn"], "role_arn"), (&["aws_road"], "aws_road")]
    {
        let (field, rule, _) = refusal(of(paths, None));
        assert_eq!((&*field, rule), (missing, "required"), "{paths:?}");
    }
    let emptied = credentials::UpdatePodIdentityAssociationRequest {
        role_arn: Some("role".to_owned()),
        target_role_arn: Some(String::new()),
        disable_session_tags: Some(false),
        policy: Some(String::new()),
        allow_any_cluster: true,
        unprobed: true,
        ..Default::default()
    };
    assert_eq!(of(&["*"], Some("role")).masked(), Ok(emptied));
    // The role is not handed on where it is not written.
    let kept = of(&["policy"], Some("role")).masked().unwrap();
    assert_eq!((kept.role_arn, kept.policy.as_deref()), (None, Some("")));
}

#[test]
fn what_is_about_one_field_takes_its_name_and_its_empty_value() {
    let key = authn::UpdateAccessKeyRequest {
        active: true,
        ..authn::UpdateAccessKeyRequest::with_mask(&["active"])
    };
    assert!(key.masked().unwrap().active);
    assert!(!authn::UpdateAccessKeyRequest::with_mask(&["*"]).masked().unwrap().active);
    let role = authn::UpdateRoleRequest {
        description: Some("kept".to_owned()),
        ..authn::UpdateRoleRequest::with_mask(&["session_seconds_max"])
    };
    let role = role.masked().unwrap();
    assert_eq!((role.description, role.session_seconds_max), (None, Some(0)));
    let pem = authn::UpdateOidcProviderCaBundleRequest::with_mask(&["ca_bundle_pem"]).masked().unwrap();
    assert_eq!(pem.ca_bundle_pem, None);
}

#[test]
fn policies_see_what_will_be_written_and_the_digest_is_of_what_was_sent() {
    let keys = |request: &mapping::UpdateAccessEntryRequest| request.call().unwrap().target.keys;
    let of = |paths: &[&str]| mapping::UpdateAccessEntryRequest { update_mask: mask(paths), ..entry() };
    let has = |keys: &[(String, Vec<String>)], name: &str| keys.iter().any(|(key, _)| key == name);
    let groups = keys(&of(&["groups"]));
    assert!(has(&groups, "eks:kubernetesGroups") && !has(&groups, "eks:username"), "{groups:?}");
    let name = keys(&of(&["username"]));
    assert!(!has(&name, "eks:kubernetesGroups") && has(&name, "eks:username"), "{name:?}");
    assert_ne!(of(&["groups"]).call().unwrap().request_digest, entry().call().unwrap().request_digest);
    assert!(of(&["colour"]).call().is_err());
    // A role that is not written needs no permission to be passed.
    let association = |paths: &[&str]| credentials::UpdatePodIdentityAssociationRequest {
        cluster: "dev".to_owned(),
        association_id: "a-abcdefghijklmnop1".to_owned(),
        role_arn: Some("arn:aws:iam::111122223333:role/Pods".to_owned()),
        update_mask: mask(paths),
        ..Default::default()
    };
    assert!(association(&["role_arn"]).call().unwrap().target.passes.is_some());
    assert!(association(&["policy"]).call().unwrap().target.passes.is_none());
}

/// The rule in its own words, field by field, for entries.
fn model(
    request: &mapping::UpdateAccessEntryRequest,
    paths: &BTreeSet<&str>,
) -> Option<mapping::UpdateAccessEntryRequest> {
    let every = paths.contains("*");
    let named = |names: &[&str]| every || names.iter().any(|name| paths.contains(name));
    if paths.contains("pin_until") && request.pin_until.is_none() {
        return None;
    }
    let mut expected = bare_entry();
    if named(&["username"]) {
        expected.username = Some(request.username.clone().unwrap_or_default());
    }
    if named(&["groups"]) {
        expected.groups = Some(request.groups.clone().unwrap_or_default());
    }
    if named(&["ends_at", "endless"]) {
        expected.end = Some(request.end.unwrap_or(End::Endless(())));
    }
    if named(&["rebind"]) {
        expected.rebind = request.rebind;
    }
    if named(&["pin_until"]) {
        expected.pin_until = request.pin_until;
    }
    Some(expected)
}

proptest! {
    #[test]
    fn any_mask_over_any_request_is_as_the_rule_says(
        given in prop::array::uniform5(any::<bool>()),
        paths in prop::collection::btree_set(
            prop::sample::select(vec!["username", "groups", "ends_at", "endless", "rebind", "pin_until"]), 1..6),
        every in prop::bool::weighted(0.2),
    ) {
        let paths = if every { BTreeSet::from(["*"]) } else { paths };
        let [username, groups, end, rebind, pin] = given;
        let whole = entry();
        let request = mapping::UpdateAccessEntryRequest {
            username: whole.username.filter(|_| username),
            groups: whole.groups.filter(|_| groups),
            end: whole.end.filter(|_| end),
            rebind,
            pin_until: whole.pin_until.filter(|_| pin),
            update_mask: mask(&paths.iter().copied().collect::<Vec<_>>()),
            ..bare_entry()
        };
        prop_assert_eq!(request.clone().masked().ok(), model(&request, &paths));
    }

    #[test]
    fn any_paths_are_read_or_refused_and_a_mask_is_gone_afterwards(
        paths in prop::collection::vec(".{0,12}|username|groups|\\*", 0..5),
    ) {
        let request = mapping::UpdateAccessEntryRequest { update_mask: Some(FieldMask { paths }), ..entry() };
        match request.masked() {
            Ok(masked) => prop_assert_eq!(masked.update_mask, None),
            Err(error) => prop_assert!(matches!(&error, CallError::Invalid { field, .. } if field == "update_mask"), "{error}"),
        }
    }
}

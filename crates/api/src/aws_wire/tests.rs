mod following;

use lanyard_proto::mapping::v1 as pb;
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::{mapping::AuthenticationMode, methods};

const ROLE: &str = "arn:aws:iam::111122223333:role/team/Dev";
const ROLE_SEGMENT: &str = "arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fteam%2FDev";
const POLICY: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";
const POLICY_SEGMENT: &str = "arn:aws:eks::aws:cluster-access-policy%2FAmazonEKSViewPolicy";

fn read(service: Service, method: &str, path: &str, query: &str, body: &[u8]) -> Result<Asked, AwsError> {
    let call = HttpCall { method, path, query, body };
    let known = |mode| KnownCluster { id: "dev-7".parse().unwrap(), mode };
    let cluster = |name: &str| match name {
        "dev" => Some(known(AuthenticationMode::Api)),
        "map" => Some(known(AuthenticationMode::ConfigMap)),
        _ => None,
    };
    let caller = Caller {
        principal: "1/AIDA",
        user_name: Some("ana"),
        region: "eu-west-1",
        cluster: &cluster,
        page_secrets: &[Zeroizing::new([7; 32])],
    };
    find(service, &call)?.read(&caller)
}

fn eks(method: &str, path: &str, query: &str, body: &str) -> Result<Asked, AwsError> {
    read(Service::Eks, method, path, query, body.as_bytes())
}

fn message<M: methods::Managed>(asked: Result<Asked, AwsError>) -> M {
    let asked = asked.unwrap();
    assert_eq!(asked.method.path, M::METHOD.path);
    M::decode(asked.message).unwrap()
}

fn refused(asked: Result<Asked, AwsError>) -> (String, u16, String) {
    let AwsError { code, status, message } = asked.unwrap_err();
    (code.into_owned(), status, message)
}

#[test]
fn each_operation_is_told_by_verb_and_path() {
    let entry = format!("/clusters/dev/access-entries/{ROLE_SEGMENT}");
    let policies = format!("{entry}/access-policies");
    let policy = format!("{policies}/{POLICY_SEGMENT}");
    let cases = [
        ("POST", "/clusters", "CreateCluster"),
        ("GET", "/clusters", "ListClusters"),
        ("GET", "/clusters/dev", "DescribeCluster"),
        ("DELETE", "/clusters/dev", "DeleteCluster"),
        ("POST", "/clusters/dev/access-entries", "CreateAccessEntry"),
        ("GET", "/clusters/dev/access-entries", "ListAccessEntries"),
        ("GET", &entry, "DescribeAccessEntry"),
        ("POST", &entry, "UpdateAccessEntry"),
        ("DELETE", &entry, "DeleteAccessEntry"),
        ("POST", &policies, "AssociateAccessPolicy"),
        ("GET", &policies, "ListAssociatedAccessPolicies"),
        ("DELETE", &policy, "DisassociateAccessPolicy"),
        ("GET", "/access-policies", "ListAccessPolicies"),
        ("POST", "/clusters/dev/identity-provider-configs/describe", "DescribeIdentityProviderConfig"),
        ("GET", "/clusters/dev/identity-provider-configs", "ListIdentityProviderConfigs"),
    ];
    for (method, path, name) in cases {
        let found = find(Service::Eks, &HttpCall { method, path, query: "", body: b"" }).unwrap();
        assert_eq!(found.operation.name, name, "{method} {path}");
    }
    let unknown = [
        ("GET", "/"),
        ("GET", ""),
        ("PUT", "/clusters"),
        ("get", "/clusters"),
        ("GET", "/clusters/"),
        ("GET", "//clusters"),
        ("GET", "/Clusters"),
        ("GET", "/clusters/dev/"),
        ("GET", "/clusters/dev/x"),
        ("GET", "/clusters/dev/access-entries/arn:aws:iam::111122223333:role/Dev"),
        ("HEAD", "/clusters/dev"),
    ];
    for (method, path) in unknown {
        let error = refused(eks(method, path, "", ""));
        assert_eq!((error.0.as_str(), error.1), ("UnknownOperationException", 404), "{method} {path}");
    }
}

#[test]
fn what_is_no_operation_is_shown_in_part_whatever_was_sent() {
    for (method, path) in [("A".repeat(60_000), "/".to_owned()), ("GET".to_owned(), "/a".repeat(30_000))] {
        let (code, _, message) = refused(eks(&method, &path, "", ""));
        assert_eq!(code, "UnknownOperationException");
        assert!(message.len() < 500, "{}", message.len());
    }
}

#[test]
fn immunity_45_what_is_routed_is_what_was_signed() {
    // A signer takes these segments out of the path; a router that did so after the signature, or did not, would differ from it.
    for path in ["/clusters/../clusters", "/clusters/.", "/clusters/..", "/./clusters", "/clusters/dev/../x"]
    {
        assert_eq!(refused(eks("GET", path, "", "")).0, "UnknownOperationException", "{path}");
    }
    // Escaped they are text, and stay in their segment.
    let asked = eks("GET", "/clusters/dev/access-entries/%2E%2E%2F%2E%2E", "", "");
    assert_eq!(message::<pb::DescribeAccessEntryRequest>(asked).principal_arn, "../..");
    for path in ["/clusters/%", "/clusters/%zz", "/clusters/%ff"] {
        assert_eq!(refused(eks("GET", path, "", "")).0, "SerializationException", "{path}");
    }
}

#[test]
fn a_clusters_name_becomes_its_id_and_one_that_is_not_there_no_other_ones() {
    let asked = eks("GET", "/clusters/dev", "", "").unwrap();
    assert_eq!(asked.unknown_cluster, None);
    assert_eq!(message::<pb::DescribeClusterRequest>(Ok(asked)).cluster, "dev-7");
    let asked = eks("GET", "/clusters/dev-7", "", "").unwrap();
    assert_eq!(asked.unknown_cluster.as_deref(), Some("dev-7"), "an id is no name");
    for name in ["a%2Fb", "-a", "a.b", &"a".repeat(101)] {
        for (path, parameter) in [("", "name"), ("/updates", "name"), ("/access-entries", "clusterName")] {
            let (code, _, message) = refused(eks("GET", &format!("/clusters/{name}{path}"), "", ""));
            assert_eq!(code, "InvalidParameterException", "{name}");
            assert!(message.starts_with(&format!("{parameter}: `")), "{message}");
        }
    }
}

#[test]
fn an_entry_is_read_from_its_body_and_path() {
    let body = format!(
        r#"{{"principalArn":"{ROLE}","kubernetesGroups":["a","b"],"tags":{{"k":"v"}},"username":"u","type":"STANDARD",
            "clientRequestToken":"x","unknown":[{{}}]}}"#
    );
    let made: pb::CreateAccessEntryRequest = message(eks("POST", "/clusters/dev/access-entries", "", &body));
    assert_eq!((made.cluster.as_str(), made.principal_arn.as_str()), ("dev-7", ROLE));
    assert_eq!((made.groups, made.username), (vec!["a".to_owned(), "b".to_owned()], Some("u".to_owned())));
    assert_eq!(made.tags.get("k").map(String::as_str), Some("v"));
    assert_eq!(made.entry_type, pb::EntryType::Standard as i32);

    let entry = format!("/clusters/dev/access-entries/{ROLE_SEGMENT}");
    let groups = |body: &str| message::<pb::UpdateAccessEntryRequest>(eks("POST", &entry, "", body)).groups;
    assert_eq!(groups("{}"), None, "what is absent stays");
    assert_eq!(groups(""), None);
    assert_eq!(groups(r#"{"kubernetesGroups":null}"#), None);
    assert_eq!(groups(r#"{"kubernetesGroups":[]}"#), Some(Default::default()), "an empty list clears");

    let listed = eks("GET", "/clusters/dev/access-entries", "associatedPolicyArn=arn%3Ax&maxResults=100", "");
    let listed: pb::ListAccessEntriesRequest = message(listed);
    assert_eq!((listed.policy_arn.as_deref(), listed.page.unwrap().items_max), (Some("arn:x"), 100));
    let taken: pb::DisassociateAccessPolicyRequest =
        message(eks("DELETE", &format!("{entry}/access-policies/{POLICY_SEGMENT}"), "", ""));
    assert_eq!((taken.principal_arn.as_str(), taken.policy_arn.as_str()), (ROLE, POLICY));
}

#[test]
fn what_a_model_does_not_allow_is_refused_by_its_parameter() {
    let create = |body: &str| eks("POST", "/clusters/dev/access-entries", "", body);
    let associate = |body: &str| {
        eks("POST", &format!("/clusters/dev/access-entries/{ROLE_SEGMENT}/access-policies"), "", body)
    };
    let list = |query: &str| eks("GET", "/clusters/dev/access-entries", query, "");
    let cluster = |body: &str| eks("POST", "/clusters", "", body);
    let describe = |body: &str| eks("POST", "/clusters/dev/identity-provider-configs/describe", "", body);
    let invalid = [
        (create("{}"), "principalArn"),
        (create(&format!(r#"{{"principalArn":"{ROLE}","type":"standard"}}"#)), "type"),
        (
            create(r#"{"principalArn":"arn:aws:iam::111122223333:role/dev-*"}"#),
            "The specified principalArn is invalid",
        ),
        (associate(r#"{"accessScope":{"type":"cluster"}}"#), "policyArn"),
        (associate(r#"{"policyArn":"x"}"#), "accessScope"),
        (associate(r#"{"policyArn":"x","accessScope":{}}"#), "accessScope.type"),
        (associate(r#"{"policyArn":"x","accessScope":{"type":"Cluster"}}"#), "accessScope.type"),
        (
            associate(r#"{"policyArn":"x","accessScope":{"type":"cluster","namespaces":["a"]}}"#),
            "accessScope.namespaces",
        ),
        (list("maxResults=0"), "maxResults"),
        (list("maxResults=101"), "maxResults"),
        (list("maxResults=x"), "maxResults"),
        (list("maxResults=1&maxResults=2"), "maxResults"),
        (list("nextToken=AAAA"), "nextToken"),
        (eks("GET", "/clusters", "include=some", ""), "include"),
        (cluster("{}"), "name"),
        (cluster(r#"{"name":"a"}"#), "roleArn"),
        (cluster(r#"{"name":"a","roleArn":"x","resourcesVpcConfig":{}}"#), "roleArn"),
        (cluster(&format!(r#"{{"name":"a","roleArn":"{ROLE}"}}"#)), "resourcesVpcConfig"),
        (
            cluster(&format!(
                r#"{{"name":"a","roleArn":"{ROLE}","resourcesVpcConfig":{{}},"accessConfig":{{"authenticationMode":"api"}}}}"#
            )),
            "accessConfig.authenticationMode",
        ),
        (describe("{}"), "identityProviderConfig"),
        (describe(r#"{"identityProviderConfig":{"type":"saml","name":"a"}}"#), "identityProviderConfig.type"),
        (describe(r#"{"identityProviderConfig":{"type":"oidc"}}"#), "identityProviderConfig.name"),
    ];
    for (asked, begin) in invalid {
        let (code, status, message) = refused(asked);
        assert_eq!((code.as_str(), status), ("InvalidParameterException", 400), "{begin}: {message}");
        assert!(message.starts_with(begin), "{begin}: {message}");
    }
    let malformed = [
        create("["),
        create("[]"),
        create(r#"{"principalArn":1}"#),
        create(r#"{"principalArn":"a","principalArn":"b"}"#),
        create(r#"{"principalArn":"a","tags":{"k":"1","k":"2"}}"#),
        create(r#"{"kubernetesGroups":"a"}"#),
        cluster(r#"{"resourcesVpcConfig":[]}"#),
        list("maxResults=%zz"),
        eks("GET", "/clusters/dev", "", "{}"),
        eks("DELETE", "/clusters/dev", "", "x"),
    ];
    for include in ["include=", "include=all", "include=all&include=all"] {
        assert!(eks("GET", "/clusters", include, "").is_ok(), "{include}");
    }
    for (at, asked) in malformed.into_iter().enumerate() {
        let (code, status, _) = refused(asked);
        assert_eq!((code.as_str(), status), ("SerializationException", 400), "{at}");
    }
}

#[test]
fn a_cluster_is_made_in_the_region_that_was_signed_for_and_in_the_mode_that_eks_has_as_default() {
    let body = format!(r#"{{"name":"a","roleArn":"{ROLE}","resourcesVpcConfig":{{"subnetIds":["x"]}}}}"#);
    let made: pb::CreateClusterRequest = message(eks("POST", "/clusters", "", &body));
    assert_eq!((made.name.as_str(), made.region.as_str()), ("a", "eu-west-1"));
    assert_eq!(made.authentication_mode, pb::AuthenticationMode::ConfigMap as i32);
    assert_eq!(made.bootstrap_creator_admin, None);
}

#[test]
fn a_cluster_is_not_made_with_what_would_be_dropped_of_it() {
    let create = |members: &str| {
        let body = format!(r#"{{"name":"a","roleArn":"{ROLE}","resourcesVpcConfig":{{}},{members}}}"#);
        eks("POST", "/clusters", "", &body)
    };
    let dropped = [
        ("deletionProtection", "true"),
        ("encryptionConfig", r#"[{"resources":["secrets"],"provider":{"keyArn":"x"}}]"#),
        ("logging", r#"{"clusterLogging":[{"types":["audit"],"enabled":true}]}"#),
        ("kubernetesNetworkConfig", r#"{"ipFamily":"ipv6"}"#),
        ("upgradePolicy", r#"{"supportType":"STANDARD"}"#),
        ("zonalShiftConfig", r#"{"enabled":true}"#),
        ("computeConfig", r#"{"enabled":true,"nodePools":["system"]}"#),
        ("storageConfig", r#"{"blockStorage":{"enabled":true}}"#),
        ("remoteNetworkConfig", r#"{"remoteNodeNetworks":[{"cidrs":["10.0.0.0/8"]}]}"#),
        ("outpostConfig", r#"{"outpostArns":["x"]}"#),
        ("controlPlaneScalingConfig", r#"{"tier":"tier-xl"}"#),
        ("kubeApiServerConfig", r#"{"serviceNodePortRange":{"minPort":1}}"#),
        ("kubeSchedulerConfig", r#"{"a":{"b":"c"}}"#),
        ("kubeControllerManagerConfig", r#"{"a":1}"#),
        ("deletionProtection", r#"true,"deletionProtection":false"#),
    ];
    for (name, value) in dropped {
        let (code, _, message) = refused(create(&format!(r#""{name}":{value}"#)));
        assert_eq!(code, "InvalidParameterException", "{name}");
        assert!(message.starts_with(&format!("{name}: ")), "{message}");
    }
    let of_nothing = [
        r#""deletionProtection":false"#,
        r#""deletionProtection":null"#,
        r#""encryptionConfig":[]"#,
        r#""logging":{"clusterLogging":[{"types":[],"enabled":true},{"types":["audit"],"enabled":false}]}"#,
        r#""computeConfig":{"enabled":false,"nodePools":["system"]},"storageConfig":{"blockStorage":{"enabled":false}}"#,
        r#""version":"1.33","bootstrapSelfManagedAddons":true,"unknown":{"a":1}"#,
    ];
    for members in of_nothing {
        assert!(create(members).is_ok(), "{members}");
    }
    assert_eq!(refused(create(r#""name":"b""#)).0, "SerializationException", "a member stands once");
}

#[test]
fn entries_are_none_in_the_mode_in_which_they_do_not_count() {
    let entry = format!("/clusters/map/access-entries/{ROLE_SEGMENT}");
    let associate = r#"{"policyArn":"x","accessScope":{"type":"cluster"}}"#;
    let create = format!(r#"{{"principalArn":"{ROLE}"}}"#);
    let calls = [
        ("POST", "/clusters/map/access-entries".to_owned(), create.as_str()),
        ("GET", "/clusters/map/access-entries".to_owned(), ""),
        ("GET", entry.clone(), ""),
        ("POST", entry.clone(), "{}"),
        ("DELETE", entry.clone(), ""),
        ("POST", format!("{entry}/access-policies"), associate),
        ("GET", format!("{entry}/access-policies"), ""),
        ("DELETE", format!("{entry}/access-policies/x"), ""),
    ];
    for (method, path, body) in calls {
        let error = eks(method, &path, "", body).unwrap().in_the_way.unwrap();
        assert_eq!((&*error.code, error.status), ("InvalidRequestException", 400), "{method} {path}");
        assert!(error.message.starts_with("The cluster's authentication mode must be set"), "{error}");
        let elsewhere = eks(method, &path.replace("/map/", "/dev/"), "", body).unwrap();
        assert_eq!(elsewhere.in_the_way, None, "{method} {path}");
    }
    assert_eq!(eks("GET", "/clusters/map", "", "").unwrap().in_the_way, None);
}

#[test]
fn a_session_has_fifty_tags_at_most_and_as_many_keys_of_them_go_on() {
    for (list, item) in [
        ("Tags", "&Tags.member.#.Key=k#&Tags.member.#.Value="),
        ("TransitiveTagKeys", "&TransitiveTagKeys.member.#=k"),
    ] {
        let with = |count: usize| {
            let items: String = (1..=count).map(|number| item.replace('#', &number.to_string())).collect();
            let body = format!("Action=AssumeRole&Version=2011-06-15&RoleArn=x&RoleSessionName=night{items}");
            read(Service::Sts, "POST", "/", "", body.as_bytes())
        };
        assert!(with(50).is_ok(), "{list}");
        let (code, status, message) = refused(with(51));
        assert_eq!((&*code, status), ("ValidationError", 400), "{message}");
        assert!(message.starts_with(&format!("{list}: at most 50 ")), "{message}");
    }
}

#[test]
fn the_query_protocol_names_action_and_version_in_one_place() {
    let good = "Action=GetCallerIdentity&Version=2011-06-15";
    let ask = |method: &str, query: &str, body: &str| read(Service::Sts, method, "/", query, body.as_bytes());
    for (method, query, body) in [("GET", good, ""), ("POST", "", good), ("POST", good, "")] {
        let asked = ask(method, query, body).unwrap();
        assert_eq!(asked.method.action, methods::Action::Always("sts:GetCallerIdentity"));
    }
    let signed = format!("{good}&X-Amz-Credential=x&X-Amz-Signature=y");
    assert!(ask("GET", &signed, "").is_ok(), "the parts of a signature are no parameters");
    let cases = [
        ("POST", good, "A=b", "InvalidParameterCombination"),
        ("POST", good, good, "InvalidParameterCombination"),
        ("GET", "Version=2011-06-15", "", "MissingAction"),
        ("GET", "Action=&Version=2011-06-15", "", "MissingAction"),
        ("GET", "Action=GetCallerIdentity", "", "InvalidAction"),
        ("GET", "Action=getCallerIdentity&Version=2011-06-15", "", "InvalidAction"),
        ("GET", "Action=DescribeCluster&Version=2011-06-15", "", "InvalidAction"),
        ("DELETE", good, "", "InvalidAction"),
    ];
    for (method, query, body, code) in cases {
        assert_eq!(refused(ask(method, query, body)).0, code, "{method} {query} {body}");
    }
    assert_eq!(refused(read(Service::Sts, "GET", "/x", good, b"")).0, "InvalidAction");
    let assume = "Action=AssumeRole&Version=2011-06-15&RoleArn=x&RoleSessionName=night&Policy=";
    assert!(ask("POST", "", &format!("{assume}%7B%7D")).is_ok());
    for policy in ["", "%C4%80", "%7B%0B%7D", &"+".repeat(2_049)] {
        let (code, status, message) = refused(ask("POST", "", &format!("{assume}{policy}")));
        assert_eq!((&*code, status), ("ValidationError", 400), "{message}");
        assert!(message.starts_with("Policy: "), "{message}");
    }
    for (name, value) in [
        ("RoleSessionName", "a"),
        ("RoleSessionName", "a%20b"),
        ("ExternalId", "x"),
        ("SourceIdentity", "aws%3Aana"),
        ("TransitiveTagKeys.member.1", "te%23am"),
    ] {
        let asked = format!("{}%7B%7D&{name}={value}", assume.replace(&format!("&{name}=night"), ""));
        let (code, status, message) = refused(ask("POST", "", &asked));
        assert_eq!((&*code, status), ("ValidationError", 400), "{message}");
        assert!(message.starts_with(&format!("{name}: ")), "{message}");
    }
    assert_eq!(refused(read(Service::Iam, "GET", "/", good, b"")).0, "InvalidAction");
    let signed = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15";
    let (code, _, message) = refused(ask("POST", "", signed));
    assert_eq!(code, "InvalidAction");
    assert!(message.ends_with("send it without a signature"), "{message}");
    assert_eq!(refused(read(Service::Sts, "POST", "/", "", b"Action=\xff")).0, "MalformedQueryString");
}

#[test]
fn who_has_not_signed_asks_the_service_whose_version_they_name_or_whose_operation() {
    let asked =
        |query: &str, body: &[u8]| asked_by_query(&HttpCall { method: "POST", path: "/", query, body });
    let cases = [
        ("Action=GetCallerIdentity&Version=2011-06-15", Some(Service::Sts)),
        ("Action=ListUsers&Version=2010-05-08", Some(Service::Iam)),
        ("Action=AssumeRoleWithWebIdentity&Version=2011-06-15", Some(Service::Sts)),
        ("Action=Unknown&Version=2010-05-08", Some(Service::Iam)),
        ("Action=GetCallerIdentity&Version=2010-05-08", Some(Service::Iam)),
        ("Version=2010-05-08", Some(Service::Iam)),
        ("Action=ListUsers", Some(Service::Iam)),
        ("Action=AssumeRole", Some(Service::Sts)),
        ("Action=ListUsers&Version=1999-01-01", Some(Service::Iam)),
        ("Action=ListClusters&Version=2017-11-01", None),
        ("Action=Unknown", None),
        ("", None),
        ("Action=ListUsers&action=AssumeRole", None),
        ("Action=%zz&Version=2010-05-08", None),
    ];
    for (text, service) in cases {
        assert_eq!(asked(text, b""), service, "{text}");
        assert_eq!(asked("", text.as_bytes()), service, "{text}");
    }
    assert_eq!(asked("Version=2010-05-08", b"Action=ListUsers"), None, "in both places");
    assert_eq!(asked("", b"Version=2010-05-08&Note=\xff"), None);
}

#[test]
fn immunity_45_an_operation_is_of_one_service_and_has_a_method_of_its_own() {
    let mut seen = std::collections::BTreeSet::new();
    for operation in OPERATIONS.into_iter().flatten() {
        assert!(seen.insert((operation.service, operation.name)), "{} twice", operation.name);
        assert_eq!(operation.may_be_presigned, operation.name == "GetCallerIdentity");
        let is_query = operation.service.protocol() == Protocol::Query;
        assert_eq!(is_query, operation.route == Route::Action, "{}", operation.name);
    }
}

#[test]
fn the_operations_of_our_own_are_named_and_weighed_by_actions_of_our_own() {
    let operations: Vec<&Operation> = OPERATIONS.into_iter().flatten().collect();
    for (service, name) in OWN_OPERATIONS {
        let own = operations.iter().find(|operation| (operation.service, operation.name) == (service, name));
        assert_eq!(own.map(|operation| operation.may_be_presigned), Some(false), "{name}");
        assert_eq!(own.map(|operation| operation.named_action()), Some(format!("lanyard:{name}")));
        let form = format!("Action={name}&Version={}", service.version());
        let asked = read(service, "POST", "/", "", form.as_bytes()).unwrap();
        let methods::Action::Always(action) = asked.method.action else { panic!("{name}") };
        assert_eq!(action, format!("lanyard:{name}"));
        for version in ["", "&Version=2010-05-08"] {
            let form = format!("Action={name}{version}");
            assert_eq!(refused(read(service, "POST", "/", "", form.as_bytes())).0, "InvalidAction", "{form}");
        }
    }
    // Of STS all others are AWS's.
    let theirs = operations.iter().find(|operation| operation.name == "GetAccessKeyInfo");
    assert_eq!(theirs.map(|operation| operation.named_action()).as_deref(), Some("sts:GetAccessKeyInfo"));
    let of_sts = operations.iter().filter(|operation| operation.service == Service::Sts);
    let names: Vec<&str> = of_sts.map(|operation| operation.name).collect();
    assert_eq!(
        names,
        ["GetCallerIdentity", "AssumeRole", "GetSessionToken", "GetAccessKeyInfo", "GetCallerPolicies"]
    );
}

#[test]
fn the_message_is_the_one_encoding_that_its_digest_is_of() {
    let entry = format!("/clusters/dev/access-entries/{ROLE_SEGMENT}");
    for asked in [eks("GET", &entry, "", "").unwrap(), eks("GET", "/clusters", "maxResults=3", "").unwrap()] {
        let call = methods::read(asked.method.path, &asked.message).unwrap();
        let digest: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(&asked.message).into();
        assert_eq!(call.request_digest, digest);
    }
}

proptest! {
    #[test]
    fn any_request_is_read_or_refused_without_a_fault(
        method in "GET|POST|DELETE|PUT|\\PC{0,5}",
        path in "/(clusters|access-policies|cluster-versions)?(/[a-z%0-9.-]{0,9}){0,6}|\\PC{0,60}",
        query in "(maxResults|nextToken|versionStatus|defaultOnly|Action|Version)?=?[a-zA-Z0-9&=%.-]{0,60}",
        body in "\\{\"[a-zA-Z]{0,16}\":[\\[\\]\\{\\}\"a-z0-9:,]{0,40}\\}|\\PC{0,60}",
    ) {
        for service in Service::ALL {
            match read(service, &method, &path, &query, body.as_bytes()) {
                Ok(asked) => prop_assert!(methods::find(asked.method.path).is_some()),
                Err(error) => prop_assert!((400..500).contains(&error.status), "{error}"),
            }
        }
    }
}

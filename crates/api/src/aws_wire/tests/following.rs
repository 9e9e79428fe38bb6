//! What EKS's clients do beside entries: modes and their updates, identity providers, Pod Identity associations, tags; and the
//! tokens by which they send a change again.

use lanyard_proto::credentials::v1 as credentials;

use super::*;

const CLUSTER_ARN: &str = "arn:aws:eks:eu-west-1:111122223333:cluster/dev";
const ASSOCIATION_ID: &str = "a-0123456789abcdefg";
const UPDATE_ID: &str = "00000000-0000-0000-0000-000000000003";

/// An ARN as one segment of a path, as SDKs write it.
fn segment(arn: &str) -> String {
    arn.replace(':', "%3A").replace('/', "%2F")
}

fn tagged(arn: &str) -> String {
    format!("/tags/{}", segment(arn))
}

fn association_arn() -> String {
    format!("arn:aws:eks:eu-west-1:111122223333:podidentityassociation/dev/{ASSOCIATION_ID}")
}

#[test]
fn each_of_these_operations_is_told_by_verb_and_path() {
    let association = format!("/clusters/dev/pod-identity-associations/{ASSOCIATION_ID}");
    let (update, tags) = (format!("/clusters/dev/updates/{UPDATE_ID}"), tagged(CLUSTER_ARN));
    let cases = [
        ("POST", "/clusters/dev/update-config", "UpdateClusterConfig"),
        ("GET", &update, "DescribeUpdate"),
        ("GET", "/clusters/dev/updates", "ListUpdates"),
        ("POST", "/clusters/dev/identity-provider-configs/associate", "AssociateIdentityProviderConfig"),
        (
            "POST",
            "/clusters/dev/identity-provider-configs/disassociate",
            "DisassociateIdentityProviderConfig",
        ),
        ("POST", "/clusters/dev/pod-identity-associations", "CreatePodIdentityAssociation"),
        ("GET", "/clusters/dev/pod-identity-associations", "ListPodIdentityAssociations"),
        ("GET", &association, "DescribePodIdentityAssociation"),
        ("POST", &association, "UpdatePodIdentityAssociation"),
        ("DELETE", &association, "DeletePodIdentityAssociation"),
        ("POST", &tags, "TagResource"),
        ("DELETE", &tags, "UntagResource"),
        ("GET", &tags, "ListTagsForResource"),
        ("GET", "/cluster-versions", "DescribeClusterVersions"),
    ];
    for (method, path, name) in cases {
        let found = find(Service::Eks, &HttpCall { method, path, query: "", body: b"" }).unwrap();
        assert_eq!(found.operation.name, name, "{method} {path}");
    }
    // The slashes of an ARN are escaped: what is routed has as many segments as the path.
    let bare = format!("/tags/{CLUSTER_ARN}");
    assert_eq!(refused(eks("GET", &bare, "", "")).0, "UnknownOperationException");
}

#[test]
fn tags_of_what_is_made_are_left_out_or_are_one_at_least() {
    let (made, role) = (format!(r#""principalArn":"{ROLE}""#), format!(r#""roleArn":"{ROLE}""#));
    let cluster = format!(r#""name":"a",{role},"resourcesVpcConfig":{{}}"#);
    let associated = format!(r#""namespace":"a","serviceAccount":"b",{role}"#);
    let oidc =
        r#""oidc":{"identityProviderConfigName":"okta","issuerUrl":"https://okta.example","clientId":"x"}"#;
    let calls = [
        ("/clusters", cluster.as_str()),
        ("/clusters/dev/access-entries", &made),
        ("/clusters/dev/identity-provider-configs/associate", oidc),
        ("/clusters/dev/pod-identity-associations", &associated),
    ];
    for (path, members) in calls {
        for good in ["", r#","tags":null"#, r#","tags":{"a":""}"#] {
            assert!(eks("POST", path, "", &format!("{{{members}{good}}}")).is_ok(), "{path} {good}");
        }
        let (code, status, message) =
            refused(eks("POST", path, "", &format!(r#"{{{members},"tags":{{}}}}"#)));
        assert_eq!((code.as_str(), status), ("InvalidParameterException", 400), "{path}");
        assert!(message.starts_with("tags: "), "{path}: {message}");
    }
}

#[test]
fn the_token_of_a_change_goes_into_its_message_and_is_held_to_its_rule() {
    let association = format!("/clusters/dev/pod-identity-associations/{ASSOCIATION_ID}");
    let entry = format!("/clusters/dev/access-entries/{ROLE_SEGMENT}");
    let cluster = format!(r#""name":"a","roleArn":"{ROLE}","resourcesVpcConfig":{{}}"#);
    let (made, role) = (format!(r#""principalArn":"{ROLE}""#), format!(r#""roleArn":"{ROLE}""#));
    let associated = format!(r#""namespace":"a","serviceAccount":"b",{role}"#);
    let oidc =
        r#""oidc":{"identityProviderConfigName":"okta","issuerUrl":"https://okta.example","clientId":"x"}"#;
    let calls = [
        ("/clusters", cluster.as_str()),
        ("/clusters/dev/update-config", r#""accessConfig":{"authenticationMode":"API"}"#),
        ("/clusters/dev/access-entries", &made),
        (&entry, r#""username":"u""#),
        ("/clusters/dev/identity-provider-configs/associate", oidc),
        (
            "/clusters/dev/identity-provider-configs/disassociate",
            r#""identityProviderConfig":{"type":"oidc","name":"okta"}"#,
        ),
        ("/clusters/dev/pod-identity-associations", &associated),
        (&association, &role),
    ];
    // In each message `mutation` is the first field, and the token the fourth of that.
    let token_of = |asked: &Asked| {
        #[derive(Clone, PartialEq, prost::Message)]
        struct Change {
            #[prost(message, optional, tag = "1")]
            mutation: Option<lanyard_proto::call::v1::Mutation>,
        }
        let change = <Change as prost::Message>::decode(asked.message.clone()).unwrap();
        change.mutation.map(|mutation| mutation.client_request_token)
    };
    for (path, members) in calls {
        let asked = eks("POST", path, "", &format!(r#"{{{members},"clientRequestToken":"t-1"}}"#)).unwrap();
        assert_eq!(token_of(&asked).as_deref(), Some("t-1"), "{path}");
        assert!(asked.method.mutates, "{path}");
        assert_eq!(token_of(&eks("POST", path, "", &format!("{{{members}}}")).unwrap()), None, "{path}");
        for bad in ["", "a b", "ä", &"t".repeat(257)] {
            let body = format!(r#"{{{members},"clientRequestToken":"{bad}"}}"#);
            let (code, status, message) = refused(eks("POST", path, "", &body));
            assert_eq!((code.as_str(), status), ("InvalidParameterException", 400), "{path}");
            assert!(message.starts_with("clientRequestToken: "), "{path}: {message}");
        }
    }
}

fn versions(query: &str) -> Result<Vec<String>, AwsError> {
    let call = HttpCall { method: "GET", path: "/cluster-versions", query, body: b"" };
    let listed = find(Service::Eks, &call)?.kubernetes_versions()?;
    Ok(listed.iter().map(ToString::to_string).collect())
}

#[test]
fn the_versions_of_kubernetes_are_filtered_and_are_nothing_of_anybodys() {
    let (newest, all) = (["1.35".to_owned()], versions("").unwrap());
    assert_eq!((all.first().map(String::as_str), all.last()), (Some("1.17"), newest.first()));
    for query in [
        "includeAll=true",
        "versionStatus=STANDARD_SUPPORT",
        "status=standard-support",
        "clusterType=eks",
        "clusterType=",
    ] {
        assert_eq!(versions(query).unwrap(), all, "{query}");
    }
    assert_eq!(versions("defaultOnly=true").unwrap(), newest);
    assert_eq!(
        versions("clusterVersions=1.34&clusterVersions=1.33&clusterVersions=2.0").unwrap(),
        ["1.33", "1.34"]
    );
    for query in
        ["versionStatus=UNSUPPORTED", "status=extended-support", "clusterType=local", "clusterVersions=1.16"]
    {
        assert_eq!(versions(query).unwrap(), [""; 0], "{query}");
    }
    let asked = eks("GET", "/cluster-versions", "maxResults=2&nextToken=", "").unwrap();
    assert_eq!(asked.page.map(|page| page.items_max), Some(2));
    assert!(asked.method.path.ends_with("/ListAccessPolicies") && asked.unknown_cluster.is_none());
    let call = HttpCall { method: "GET", path: "/cluster-versions", query: "", body: b"" };
    let operation = find(Service::Eks, &call).unwrap().operation;
    assert_eq!(operation.action, Some("eks:DescribeClusterVersions"));
    for query in [
        "defaultOnly=yes",
        "includeAll=",
        "versionStatus=standard-support",
        "status=none",
        "maxResults=101",
        "nextToken=AAAA",
    ] {
        let (code, status, message) = refused(eks("GET", "/cluster-versions", query, ""));
        assert_eq!((code.as_str(), status), ("InvalidParameterException", 400), "{query}");
        let name = query.split('=').next().unwrap_or_default();
        assert!(message.starts_with(&format!("{name}: ")), "{query}: {message}");
    }
}

#[test]
fn of_a_cluster_the_mode_can_be_changed_and_its_updates_are_read() {
    let change = |body: &str| eks("POST", "/clusters/dev/update-config", "", body);
    let asked: pb::UpdateClusterConfigRequest =
        message(change(r#"{"accessConfig":{"authenticationMode":"API"},"logging":null}"#));
    assert_eq!(
        (asked.cluster.as_str(), asked.authentication_mode),
        ("dev-7", pb::AuthenticationMode::Api as i32)
    );
    assert_eq!((asked.tags, asked.authorizer_mode, asked.audiences), (None, 0, None), "the rest stays");
    let invalid = [
        (r#"{}"#, "accessConfig:"),
        (r#"{"accessConfig":{}}"#, "accessConfig.authenticationMode:"),
        (r#"{"accessConfig":{"authenticationMode":"MAP"}}"#, "accessConfig.authenticationMode:"),
        (r#"{"logging":{}}"#, "logging:"),
        (r#"{"accessConfig":{"authenticationMode":"API"},"resourcesVpcConfig":{}}"#, "resourcesVpcConfig:"),
        (
            r#"{"accessConfig":{"bootstrapClusterCreatorAdminPermissions":true,"authenticationMode":"API"}}"#,
            "accessConfig.bootstrapClusterCreatorAdminPermissions:",
        ),
    ];
    for (body, begin) in invalid {
        let (code, _, message) = refused(change(body));
        assert_eq!(code, "InvalidParameterException", "{body}");
        assert!(message.starts_with(begin), "{body}: {message}");
    }
    assert_eq!(refused(change(r#"{"accessConfig":["API"]}"#)).0, "SerializationException");

    let path = format!("/clusters/dev/updates/{UPDATE_ID}");
    let one: pb::DescribeUpdateRequest = message(eks("GET", &path, "", ""));
    assert_eq!((one.cluster.as_str(), one.update_id.as_str()), ("dev-7", UPDATE_ID));
    assert_eq!(refused(eks("GET", "/clusters/dev/updates/1", "", "")).0, "InvalidParameterException");
    let all: pb::ListUpdatesRequest = message(eks("GET", "/clusters/dev/updates", "maxResults=2", ""));
    assert_eq!((all.cluster.as_str(), all.page.unwrap().items_max), ("dev-7", 2));
    for elsewhere in ["nodegroupName=a", "addonName=a", "capabilityName=a"] {
        for path in [&path, "/clusters/dev/updates"] {
            let (code, status, _) = refused(eks("GET", path, elsewhere, ""));
            assert_eq!((code.as_str(), status), ("ResourceNotFoundException", 404), "{path} {elsewhere}");
        }
    }
}

#[test]
fn an_identity_provider_is_read_with_all_its_settings() {
    let associate = |body: &str| eks("POST", "/clusters/dev/identity-provider-configs/associate", "", body);
    let body = r#"{"oidc":{"identityProviderConfigName":"okta","issuerUrl":"https://okta.example","clientId":"kubernetes",
        "usernameClaim":"email","usernamePrefix":"-","groupsClaim":"groups","groupsPrefix":"okta:","requiredClaims":{"team":"a"}},
        "tags":{"k":"v"}}"#;
    let asked: pb::AssociateIdentityProviderConfigRequest = message(associate(body));
    let text = |text: &str| Some(text.to_owned());
    let expected = pb::IdentityProviderSettings {
        name: "okta".to_owned(),
        issuer_url: "https://okta.example".to_owned(),
        client_id: "kubernetes".to_owned(),
        username_claim: text("email"),
        username_prefix: text("-"),
        groups_claim: text("groups"),
        groups_prefix: text("okta:"),
        required_claims: [("team".to_owned(), "a".to_owned())].into(),
        tags: [("k".to_owned(), "v".to_owned())].into(),
        ..Default::default()
    };
    assert_eq!((asked.cluster.as_str(), asked.settings), ("dev-7", Some(expected)));
    let invalid = [
        (r#"{}"#, "oidc:"),
        (r#"{"oidc":{}}"#, "oidc.identityProviderConfigName:"),
        (r#"{"oidc":{"identityProviderConfigName":"a"}}"#, "oidc.issuerUrl:"),
        (r#"{"oidc":{"identityProviderConfigName":"a","issuerUrl":"b"}}"#, "oidc.clientId:"),
    ];
    for (body, begin) in invalid {
        let (code, _, message) = refused(associate(body));
        assert_eq!(code, "InvalidParameterException", "{body}");
        assert!(message.starts_with(begin), "{body}: {message}");
    }
    let twice = r#"{"oidc":{"requiredClaims":{"a":"1","a":"2"}}}"#;
    assert_eq!(refused(associate(twice)).0, "SerializationException");
    let gone: pb::DisassociateIdentityProviderConfigRequest = message(eks(
        "POST",
        "/clusters/dev/identity-provider-configs/disassociate",
        "",
        r#"{"identityProviderConfig":{"type":"oidc","name":"okta"}}"#,
    ));
    assert_eq!((gone.cluster.as_str(), gone.name.as_str()), ("dev-7", "okta"));
}

#[test]
fn an_association_is_read_from_body_and_path_and_what_is_absent_stays() {
    let all = "/clusters/dev/pod-identity-associations";
    let one = format!("{all}/{ASSOCIATION_ID}");
    let body = format!(
        r#"{{"namespace":"team-a","serviceAccount":"bot","roleArn":"{ROLE}","targetRoleArn":"{ROLE}2","disableSessionTags":true,
            "policy":"{{}}","tags":{{"k":"v"}}}}"#
    );
    let made: credentials::CreatePodIdentityAssociationRequest = message(eks("POST", all, "", &body));
    assert_eq!((made.cluster.as_str(), made.namespace.as_str()), ("dev-7", "team-a"));
    assert_eq!((made.service_account.as_str(), made.role_arn.as_str()), ("bot", ROLE));
    assert_eq!(made.target_role_arn, Some(format!("{ROLE}2")));
    assert_eq!((made.disable_session_tags, made.policy.as_deref()), (Some(true), Some("{}")));
    assert_eq!(made.tags.get("k").map(String::as_str), Some("v"));
    for (body, begin) in [
        (r#"{}"#, "namespace:"),
        (r#"{"namespace":"a"}"#, "serviceAccount:"),
        (r#"{"namespace":"a","serviceAccount":"b"}"#, "roleArn:"),
    ] {
        let (code, _, message) = refused(eks("POST", all, "", body));
        assert_eq!(code, "InvalidParameterException", "{body}");
        assert!(message.starts_with(begin), "{body}: {message}");
    }

    let untouched: credentials::UpdatePodIdentityAssociationRequest = message(eks("POST", &one, "", "{}"));
    let expected = credentials::UpdatePodIdentityAssociationRequest {
        cluster: "dev-7".to_owned(),
        association_id: ASSOCIATION_ID.to_owned(),
        ..Default::default()
    };
    assert_eq!(untouched, expected, "what is absent stays");
    let narrowed = r#"{"targetRoleArn":"","disableSessionTags":false,"policy":""}"#;
    let narrowed: credentials::UpdatePodIdentityAssociationRequest = message(eks("POST", &one, "", narrowed));
    assert_eq!((narrowed.target_role_arn.as_deref(), narrowed.policy.as_deref()), (Some(""), Some("")));
    assert_eq!((narrowed.disable_session_tags, narrowed.role_arn), (Some(false), None));

    let listed = eks("GET", all, "namespace=team-a&serviceAccount=bot&maxResults=7", "");
    let listed: credentials::ListPodIdentityAssociationsRequest = message(listed);
    assert_eq!(
        (listed.namespace.as_deref(), listed.service_account.as_deref()),
        (Some("team-a"), Some("bot"))
    );
    assert_eq!(listed.page.unwrap().items_max, 7);
    let gone: credentials::DeletePodIdentityAssociationRequest = message(eks("DELETE", &one, "", ""));
    assert_eq!((gone.cluster.as_str(), gone.association_id.as_str()), ("dev-7", ASSOCIATION_ID));
    for method in ["GET", "POST", "DELETE"] {
        let (code, _, message) = refused(eks(method, &format!("{all}/a-1"), "", ""));
        assert_eq!(code, "InvalidParameterException", "{method}");
        assert!(message.starts_with("associationId: "), "{method}: {message}");
    }
}

#[test]
fn tags_go_to_the_service_that_keeps_what_the_arn_names_and_have_errors_of_their_own() {
    let tags = r#"{"tags":{"team":"a"}}"#;
    let put: pb::TagResourceRequest = message(eks("POST", &tagged(CLUSTER_ARN), "", tags));
    assert_eq!(
        (put.resource_arn.as_str(), put.tags.get("team").map(String::as_str)),
        (CLUSTER_ARN, Some("a"))
    );
    let arn = association_arn();
    let put: credentials::TagResourceRequest = message(eks("POST", &tagged(&arn), "", tags));
    assert_eq!(put.resource_arn, arn);
    let off: pb::UntagResourceRequest =
        message(eks("DELETE", &tagged(CLUSTER_ARN), "tagKeys=a&tagKeys=b%20c", ""));
    assert_eq!(off.tag_keys, ["a", "b c"]);
    let off: credentials::UntagResourceRequest = message(eks("DELETE", &tagged(&arn), "tagKeys=a", ""));
    assert_eq!((off.resource_arn, off.tag_keys), (arn.clone(), vec!["a".to_owned()]));
    let listed: pb::ListTagsForResourceRequest = message(eks("GET", &tagged(CLUSTER_ARN), "", ""));
    assert_eq!(listed.resource_arn, CLUSTER_ARN);
    let listed: credentials::ListTagsForResourceRequest = message(eks("GET", &tagged(&arn), "", ""));
    assert_eq!(listed.resource_arn, arn);

    // Policies weigh the region that was signed for, and the tag would lift a guard of the cluster in another one.
    let elsewhere = CLUSTER_ARN.replace("eu-west-1", "us-east-1");
    let asked = [
        eks("POST", &tagged(&elsewhere), "", tags),
        eks("DELETE", &tagged(&elsewhere), "tagKeys=a", ""),
        eks("GET", &tagged(&elsewhere), "", ""),
        eks("GET", &tagged(&association_arn().replace("eu-west-1", "us-east-1")), "", ""),
    ];
    for asked in asked {
        let (code, status, message) = refused(asked);
        assert_eq!((code.as_str(), status), ("BadRequestException", 400), "{message}");
        assert!(message.contains("`us-east-1`") && message.contains("`eu-west-1`"), "{message}");
    }

    let bad = [
        eks("POST", &tagged("dev"), "", tags),
        eks("POST", &tagged(ROLE), "", tags),
        eks("POST", &tagged(CLUSTER_ARN), "", "{}"),
        eks("POST", &tagged(CLUSTER_ARN), "", r#"{"tags":{}}"#),
        eks("DELETE", &tagged(CLUSTER_ARN), "", ""),
        eks("DELETE", &tagged("dev"), "tagKeys=a", ""),
        eks("GET", &tagged("arn:aws:eks:eu-west-1:111122223333:nodegroup/dev/a/b"), "", ""),
    ];
    for (at, asked) in bad.into_iter().enumerate() {
        let (code, status, message) = refused(asked);
        assert_eq!((code.as_str(), status), ("BadRequestException", 400), "{at}: {message}");
    }
}

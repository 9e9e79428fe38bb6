use proptest::prelude::*;

use super::*;

fn binding(version: &str, role: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {
            "name": "b", "namespace": "n", "resourceVersion": version, "uid": version, "managedFields": [{ "a": version }],
            "annotations": { "a": version }, "creationTimestamp": version,
        },
        "subjects": [{ "kind": "User", "name": "ana" }],
        "roleRef": { "kind": "Role", "name": role, "apiGroup": "rbac.authorization.k8s.io" },
    })
}

fn line(kind: &str, object: &Value) -> Vec<u8> {
    json!({ "type": kind, "object": object }).to_string().into_bytes()
}

#[test]
fn what_an_api_server_adds_with_every_write_is_no_change() {
    let put = |version, role| match event(Resource::RoleBindings, &line("ADDED", &binding(version, role)))
        .unwrap()
    {
        Event::Put(seen, at) => {
            assert_eq!(at, version);
            seen
        }
        other => panic!("{other:?}"),
    };
    let (first, again, other) = (put("1", "r"), put("2", "r"), put("3", "s"));
    assert_eq!(first, again);
    assert_ne!(first, other);
    let role = |seen: &Seen| match &seen.content {
        Content::Rbac { role, .. } => role.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    assert_ne!(role(&first), role(&other));
    assert_eq!(first.key, "n/b");
}

#[test]
fn of_a_service_account_its_uid_and_the_annotations_that_matter_are_kept() {
    let object = |version: &str, deployed: &str| {
        json!({
            "metadata": {
                "name": "bot", "namespace": "n", "uid": "0b8e", "resourceVersion": version, "labels": { "a": version },
                "annotations": {
                    "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/bot", "deployed": deployed,
                    "eks.amazonaws.com/odd": 7,
                },
            },
            "secrets": [{ "name": "bot-token" }],
        })
    };
    let seen = |object: &Value| match event(Resource::ServiceAccounts, &line("MODIFIED", object)).unwrap() {
        Event::Put(seen, _) => seen,
        other => panic!("{other:?}"),
    };
    let first = seen(&object("1", "today"));
    assert_eq!(first, seen(&object("2", "tomorrow")), "what does not matter is no change");
    let role = ("eks.amazonaws.com/role-arn".to_owned(), "arn:aws:iam::111122223333:role/bot".to_owned());
    let expected = ServiceAccount {
        namespace: "n".to_owned(),
        name: "bot".to_owned(),
        uid: "0b8e".to_owned(),
        annotations: BTreeMap::from([role]),
    };
    assert_eq!(first, Seen { key: "n/bot".to_owned(), content: Content::ServiceAccount(expected) });
    assert!(first.content.bytes() > 70);
}

#[test]
fn an_issuer_is_the_name_in_the_configuration_and_the_keys_as_they_are_served() {
    let configuration = br#"{"issuer":"https://issuer.example","jwks_uri":"https://evil.example/keys"}"#;
    let read = issuer(configuration, br#"{"keys":[]}"#).unwrap();
    assert_eq!((read.issuer_url.as_str(), read.jwks.as_str()), ("https://issuer.example", r#"{"keys":[]}"#));
    for (configuration, jwks) in [(&b"{}"[..], &b"{}"[..]), (b"<html>", b"{}"), (configuration, b"\xff")] {
        assert!(issuer(configuration, jwks).is_err(), "{configuration:?}");
    }
}

#[test]
fn a_release_is_what_the_api_server_calls_itself_in_one_line() {
    for (document, read) in [
        (&br#"{"major":"1","minor":"35","gitVersion":"v1.35.0"}"#[..], Some("1.35")),
        (br#"{"major":"1","minor":"31+"}"#, Some("1.31+")),
        (br#"{"major":"","minor":""}"#, Some(".")),
        (br#"{"major":"1","minor":"3\n5"}"#, Some("1.3 5")),
        (br#"{"gitVersion":"v1.35.0"}"#, None),
        (b"<html>", None),
    ] {
        assert_eq!(release(document).ok().as_deref(), read, "{document:?}");
    }
}

#[test]
fn each_kind_of_event_is_read() {
    let bare = |version: &str| json!({ "kind": "Role", "metadata": { "resourceVersion": version } });
    let read = |kind, object: &Value| event(Resource::RoleBindings, &line(kind, object));
    assert_eq!(read("DELETED", &binding("7", "r")), Ok(Event::Gone("n/b".to_owned(), "7".to_owned())));
    assert_eq!(read("BOOKMARK", &bare("8")), Ok(Event::Bookmark("8".to_owned())));
    assert_eq!(read("ERROR", &json!({ "code": 410, "message": "too old" })), Ok(Event::Expired));
    let ended = read("ERROR", &json!({ "code": 500, "message": "a\nb" }));
    assert_eq!(ended, Ok(Event::Ended("a b".to_owned())));
    for bad in [read("OTHER", &bare("1")), read("ADDED", &bare("1")), event(Resource::Roles, b"{")] {
        assert!(bad.is_err(), "{bad:?}");
    }
}

#[test]
fn a_list_comes_in_parts_with_what_a_watch_goes_on_from() {
    let body =
        json!({ "metadata": { "resourceVersion": "9", "continue": "x" }, "items": [binding("1", "r")] });
    let body = body.to_string();
    let first = page(Resource::RoleBindings, body.as_bytes()).unwrap();
    assert_eq!((first.objects.len(), first.version.as_str(), first.next.as_deref()), (1, "9", Some("x")));
    assert_eq!(first.bytes, body.len(), "with annotations and managers");
    // Go writes no items as null.
    let last =
        page(Resource::Roles, br#"{"metadata":{"resourceVersion":"9","continue":""},"items":null}"#).unwrap();
    assert_eq!((last.objects.len(), last.next), (0, None));
    assert!(page(Resource::Roles, b"{}").is_err());
}

#[test]
fn aws_auth_is_written_as_a_person_would() {
    let object =
        |data: Value| json!({ "metadata": { "name": "aws-auth", "namespace": "kube-system" }, "data": data });
    let cases = [
        (
            json!({ "mapRoles": "- rolearn: x\n  username: y\n" }),
            "mapRoles: |2\n  - rolearn: x\n    username: y\n",
        ),
        (json!({ "mapUsers": "[]", "mapRoles": "a\nb" }), "mapRoles: |2-\n  a\n  b\nmapUsers: \"[]\"\n"),
        (json!({}), "data: {}\n"),
        (Value::Null, "data: {}\n"),
    ];
    for (data, expected) in cases {
        assert_eq!(aws_auth(&object(data.clone())), expected, "{data}");
    }
}

proptest! {
    #[test]
    fn aws_auth_reads_back_as_the_data_it_was(
        data in prop::collection::btree_map("[a-zA-Z0-9._-]{1,10}|mapRoles|mapUsers", "[ -~\\n\\t]{0,40}|.{0,20}", 1..4)
    ) {
        let text = aws_auth(&json!({ "data": data }));
        let read: BTreeMap<String, String> = serde_saphyr::from_str(&text).unwrap();
        prop_assert_eq!(read, data, "{}", text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        for resource in Resource::ALL {
            let _ = (page(resource, &bytes).is_ok(), event(resource, &bytes).is_ok(), status_message(&bytes));
            let _ = issuer(&bytes, &bytes).is_ok();
        }
    }
}

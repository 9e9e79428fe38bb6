use proptest::prelude::*;

use super::*;

const AGENT_STS_URL: &str = "http://169.254.170.23";
const ARN: &str = "arn:aws:iam::111122223333:role/app";
const IRSA_FILE: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
const POD_IDENTITY_FILE: &str =
    "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token";

fn irsa() -> Identity {
    Identity {
        road: Road::Irsa { role_arn: ARN.to_owned() },
        audience: "sts.amazonaws.com".to_owned(),
        expiration_seconds: 86_400,
        regional_sts: false,
    }
}

fn pod_identity() -> Identity {
    let (road, audience) = (Road::PodIdentity, "pods.eks.amazonaws.com".to_owned());
    Identity { road, audience, expiration_seconds: 80_000, regional_sts: false }
}

fn around(region: Option<&str>, sts_url: Option<&'static str>) -> Surroundings {
    Surroundings { region: region.map(str::to_owned), sts_url, ..Surroundings::default() }
}

fn nowhere() -> Surroundings {
    Surroundings::default()
}

/// The pod as the API server would have it: `add` as RFC 6902 section 4.1 has it, by pointers as serde_json reads them.
fn applied(pod: &Value, patch: &Patch) -> Value {
    let mut pod = pod.clone();
    let steps = patch.written().map(|written| serde_json::from_slice::<Vec<Value>>(&written).unwrap());
    for step in steps.into_iter().flatten() {
        assert_eq!((step["op"].as_str(), step.as_object().unwrap().len()), (Some("add"), 3), "{step}");
        let (parent, last) = step["path"].as_str().unwrap().rsplit_once('/').unwrap();
        match pod.pointer_mut(parent).unwrap() {
            Value::Array(items) => {
                assert_eq!(last, "-");
                items.push(step["value"].clone());
            }
            Value::Object(members) => {
                let name = last.replace("~1", "/").replace("~0", "~");
                // On a member that is there it is a replacement: of nothing but null.
                let before = members.insert(name, step["value"].clone());
                assert!(before.is_none_or(|before| before.is_null()), "{step}");
            }
            other => panic!("{step} on {other}"),
        }
    }
    pod
}

fn made(pod: &Value, identity: &Identity, around: &Surroundings) -> Value {
    applied(pod, &into_new(pod, identity, around).0)
}

fn pod(spec: Value) -> Value {
    json!({ "metadata": { "name": "app", "namespace": "n" }, "spec": spec })
}

fn one(container: Value) -> Value {
    pod(json!({ "containers": [container] }))
}

/// The variables of a container as `NAME=value`.
fn env(pod: &Value, place: &str) -> Vec<String> {
    let variables = list(pod.pointer(place).unwrap(), "env").iter();
    let text = |variable: &Value, name: &str| variable[name].as_str().unwrap_or("?").to_owned();
    variables.map(|variable| format!("{}={}", text(variable, "name"), text(variable, "value"))).collect()
}

/// Those of the first container.
fn variables_of(pod: &Value) -> Vec<String> {
    env(pod, "/spec/containers/0")
}

#[test]
fn irsa_puts_in_what_the_contract_says() {
    let before = pod(json!({
        "containers": [{ "name": "app" }, { "name": "side", "env": [{ "name": "A", "value": "1" }] }],
        "initContainers": [{ "name": "init", "volumeMounts": [{ "name": "data", "mountPath": "/data" }] }],
    }));
    let identity = Identity { regional_sts: true, ..irsa() };
    let after = made(&before, &identity, &around(Some("eu-central-1"), None));
    let token = json!({ "audience": "sts.amazonaws.com", "expirationSeconds": 86_400, "path": "token" });
    let volume =
        json!({ "name": "aws-iam-token", "projected": { "sources": [{ "serviceAccountToken": token }] } });
    assert_eq!(after["spec"]["volumes"], json!([volume]));
    let mount = json!({ "name": "aws-iam-token", "readOnly": true,
        "mountPath": "/var/run/secrets/eks.amazonaws.com/serviceaccount" });
    let added = [
        "AWS_STS_REGIONAL_ENDPOINTS=regional".to_owned(),
        "AWS_DEFAULT_REGION=eu-central-1".to_owned(),
        "AWS_REGION=eu-central-1".to_owned(),
        format!("AWS_ROLE_ARN={ARN}"),
        format!("AWS_WEB_IDENTITY_TOKEN_FILE={IRSA_FILE}"),
    ];
    for place in ["/spec/containers/0", "/spec/containers/1", "/spec/initContainers/0"] {
        let variables = env(&after, place);
        assert!(variables.ends_with(&added), "{place} {variables:?}");
        assert!(list(after.pointer(place).unwrap(), "volumeMounts").contains(&mount), "{place}");
    }
    assert_eq!(env(&after, "/spec/containers/1")[0], "A=1");
    assert_eq!(after["spec"]["initContainers"][0]["volumeMounts"][0]["name"], "data");
    assert_eq!(after["metadata"], before["metadata"], "no label");
}

#[test]
fn pod_identity_puts_in_what_the_contract_says() {
    let before = one(json!({ "name": "app" }));
    let after = made(&before, &pod_identity(), &nowhere());
    let token = json!({ "audience": "pods.eks.amazonaws.com", "expirationSeconds": 80_000, "path": "eks-pod-identity-token" });
    let volume = json!({ "name": "eks-pod-identity-token", "projected": { "sources": [{ "serviceAccountToken": token }] } });
    assert_eq!(after["spec"]["volumes"], json!([volume]));
    let expected = [
        "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials".to_owned(),
        format!("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE={POD_IDENTITY_FILE}"),
    ];
    assert_eq!(env(&after, "/spec/containers/0"), expected);
    assert_eq!(after["metadata"]["labels"], json!({ "eks.amazonaws.com/pod-identity": "enabled" }));
}

#[test]
fn variables_that_are_there_stay_and_each_rule_looks_at_its_own() {
    let set = |names: &[&str]| {
        let variables: Vec<Value> =
            names.iter().map(|name| json!({ "name": name, "value": "mine" })).collect();
        json!({ "name": "app", "env": variables })
    };
    let region = around(Some("r"), None);
    let regional = Identity { regional_sts: true, ..irsa() };
    const STS: &str = "AWS_STS_REGIONAL_ENDPOINTS=regional";
    const REGION: [&str; 2] = ["AWS_DEFAULT_REGION=r", "AWS_REGION=r"];
    let pair = [format!("AWS_ROLE_ARN={ARN}"), format!("AWS_WEB_IDENTITY_TOKEN_FILE={IRSA_FILE}")];
    let pair = [pair[0].as_str(), pair[1].as_str()];
    // What is set, what comes after it, and whether the token is mounted.
    let cases: [(&[&str], Vec<&str>, bool); 7] = [
        (&[], [&[STS][..], &REGION, &pair].concat(), true),
        (&["AWS_ROLE_ARN"], [&[STS][..], &REGION].concat(), true),
        (&["AWS_WEB_IDENTITY_TOKEN_FILE"], [&[STS][..], &REGION].concat(), true),
        (&["AWS_REGION"], [&[STS][..], &pair].concat(), true),
        (&["AWS_DEFAULT_REGION"], [&[STS][..], &pair].concat(), true),
        (&["AWS_STS_REGIONAL_ENDPOINTS"], [&REGION[..], &pair].concat(), true),
        (&["AWS_ROLE_ARN", "AWS_REGION", "AWS_STS_REGIONAL_ENDPOINTS"], vec![], false),
    ];
    for (given, added, is_mounted) in cases {
        let after = made(&one(set(given)), &regional, &region);
        let kept = given.iter().map(|name| format!("{name}=mine"));
        let expected: Vec<String> = kept.chain(added.iter().map(ToString::to_string)).collect();
        assert_eq!(env(&after, "/spec/containers/0"), expected);
        assert_eq!(after["spec"]["containers"][0].get("volumeMounts").is_some(), is_mounted, "{given:?}");
        assert_eq!(after["spec"].get("volumes").is_some(), is_mounted, "{given:?}");
    }
    for given in ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] {
        let after = made(&one(set(&[given])), &pod_identity(), &nowhere());
        assert_eq!(env(&after, "/spec/containers/0"), [format!("{given}=mine")]);
    }
}

#[test]
fn a_mount_and_a_volume_of_that_name_stay_and_a_path_is_mounted_once() {
    let mounted = |name: &str, path: &str| json!({ "name": "app", "volumeMounts": [{ "name": name, "mountPath": path }] });
    let own = mounted("aws-iam-token", "/elsewhere");
    let after = made(&one(own.clone()), &irsa(), &nowhere());
    assert_eq!(after["spec"]["containers"][0]["volumeMounts"], own["volumeMounts"]);
    assert_eq!(after["spec"]["volumes"][0]["name"], "aws-iam-token", "which it lacks");
    for path in [
        "/var/run/secrets/eks.amazonaws.com/serviceaccount",
        "/var/run/secrets/eks.amazonaws.com/serviceaccount/",
    ] {
        let taken = mounted("mine", path);
        let after = made(&one(taken.clone()), &irsa(), &nowhere());
        assert_eq!(after["spec"]["containers"][0]["volumeMounts"], taken["volumeMounts"]);
        assert_eq!(after["spec"].get("volumes"), None, "nothing mounts it");
    }
    let volumes = json!([{ "name": "aws-iam-token", "emptyDir": {} }]);
    let before = pod(json!({ "containers": [{ "name": "app" }], "volumes": volumes }));
    assert_eq!(made(&before, &irsa(), &nowhere())["spec"]["volumes"], volumes);
}

#[test]
fn containers_are_skipped_by_one_line_of_names_and_by_no_other_text() {
    let cases = [
        ("side", vec!["app"]),
        ("side,app", vec![]),
        (" side , other ", vec!["app"]),
        ("\"side\",\"app\"", vec![]),
        ("", vec!["app", "side"]),
        ("si\"de,app", vec!["app", "side"]),
        ("side\napp", vec!["app", "side"]),
        ("sid", vec!["app", "side"]),
    ];
    for (line, expected) in cases {
        let mut before = pod(json!({ "containers": [{ "name": "app" }, { "name": "side" }] }));
        before["metadata"]["annotations"] = json!({ "eks.amazonaws.com/skip-containers": line });
        let after = made(&before, &irsa(), &nowhere());
        let containers = list(&after["spec"], "containers").iter();
        let found: Vec<_> = containers
            .filter(|one| one.get("env").is_some())
            .filter_map(|one| one["name"].as_str())
            .collect();
        assert_eq!(found, expected, "{line:?}");
        assert_eq!(after["spec"].get("volumes").is_some(), !expected.is_empty(), "{line:?}");
    }
}

#[test]
fn on_windows_programs_find_the_token_on_a_drive() {
    let specs = [
        (json!({ "nodeSelector": { "kubernetes.io/os": "windows" } }), true),
        (json!({ "nodeSelector": { "beta.kubernetes.io/os": "windows" } }), true),
        (json!({ "os": { "name": "windows" } }), true),
        (json!({ "nodeSelector": { "kubernetes.io/os": "linux" } }), false),
        (json!({ "nodeSelector": null }), false),
    ];
    for (mut spec, is_windows) in specs {
        spec["containers"] = json!([{ "name": "app" }]);
        for (identity, name, file) in [
            (irsa(), "AWS_WEB_IDENTITY_TOKEN_FILE", IRSA_FILE),
            (pod_identity(), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", POD_IDENTITY_FILE),
        ] {
            let after = made(&pod(spec.clone()), &identity, &nowhere());
            let file = if is_windows { format!("C:{}", file.replace('/', "\\")) } else { file.to_owned() };
            assert!(env(&after, "/spec/containers/0").contains(&format!("{name}={file}")), "{after}");
            let path = after["spec"]["containers"][0]["volumeMounts"][0]["mountPath"].as_str().unwrap();
            assert!(path.starts_with("/var/run/secrets/"), "{path}");
        }
    }
}

#[test]
fn with_the_hubs_own_sts_it_is_asked_by_way_of_the_agent_unless_somebody_says_where_it_is() {
    let here = around(None, Some(AGENT_STS_URL));
    let asked = |name: &str| {
        made(&one(json!({ "name": "app", "env": [{ "name": name, "value": "mine" }] })), &irsa(), &here)
    };
    let url = format!("AWS_ENDPOINT_URL_STS={AGENT_STS_URL}");
    assert!(env(&asked("OTHER"), "/spec/containers/0").contains(&url));
    for name in ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL", "AWS_ROLE_ARN"] {
        assert!(!env(&asked(name), "/spec/containers/0").contains(&url), "{name}");
    }
}

#[test]
fn what_is_for_the_agent_goes_past_a_proxy() {
    let direct = ["NO_PROXY=169.254.170.23,[fd00:ec2::23]", "no_proxy=169.254.170.23,[fd00:ec2::23]"];
    let with = |env: Value, identity: &Identity, around: &Surroundings, from: Value| {
        let before = one(json!({ "name": "app", "env": env, "envFrom": from }));
        let (patch, warnings) = into_new(&before, identity, around);
        let added = variables_of(&applied(&before, &patch));
        (direct.iter().all(|line| added.contains(&line.to_string())), warnings.len())
    };
    let proxy = |more: &[(&str, &str)]| {
        let mut variables = vec![json!({ "name": "https_proxy", "value": "http://proxy:3128" })];
        variables.extend(more.iter().map(|(name, value)| json!({ "name": name, "value": value })));
        Value::from(variables)
    };
    let (nowhere, here) = (nowhere(), around(None, Some(AGENT_STS_URL)));
    let cases = [
        ("no proxy", json!([]), pod_identity(), &nowhere, json!(null), (false, 0)),
        ("a proxy", proxy(&[]), pod_identity(), &nowhere, json!(null), (true, 0)),
        ("a proxy, by IRSA at AWS", proxy(&[]), irsa(), &nowhere, json!(null), (false, 0)),
        ("a proxy, by IRSA at the hub", proxy(&[]), irsa(), &here, json!(null), (true, 0)),
        (
            "a list without it",
            proxy(&[("NO_PROXY", ".corp")]),
            pod_identity(),
            &nowhere,
            json!(null),
            (false, 1),
        ),
        (
            "a list with it",
            proxy(&[("no_proxy", "10.0.0.0/8,169.254.170.23")]),
            pod_identity(),
            &nowhere,
            json!(null),
            (false, 0),
        ),
        ("everything", proxy(&[("no_proxy", "*")]), pod_identity(), &nowhere, json!(null), (false, 0)),
        (
            "what nobody sees",
            proxy(&[]),
            pod_identity(),
            &nowhere,
            json!([{ "configMapRef": { "name": "x" } }]),
            (false, 0),
        ),
    ];
    for (name, env, identity, around, from, expected) in cases {
        assert_eq!(with(env, &identity, around, from), expected, "{name}");
    }
}

#[test]
fn where_pods_have_no_ipv4_the_agent_is_asked_at_its_other_address() {
    let url = agent_sts_url(AgentAddress::Ipv6);
    assert_eq!((agent_sts_url(AgentAddress::Ipv4), url), (AGENT_STS_URL, "http://[fd00:ec2::23]"));
    let around = Surroundings { agent: AgentAddress::Ipv6, ..around(None, Some(url)) };
    let with = |identity: &Identity, env: Value| {
        let before = one(json!({ "name": "app", "env": env }));
        let (patch, warnings) = into_new(&before, identity, &around);
        (variables_of(&applied(&before, &patch)), warnings)
    };
    let (added, _) = with(&pod_identity(), json!([]));
    assert!(
        added.contains(&"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://[fd00:ec2::23]/v1/credentials".to_owned())
    );
    for identity in [pod_identity(), irsa()] {
        let (added, _) = with(&identity, json!([{ "name": "https_proxy", "value": "http://proxy:3128" }]));
        assert!(added.contains(&"AWS_ENDPOINT_URL_STS=http://[fd00:ec2::23]".to_owned()), "{added:?}");
        assert!(added.contains(&"NO_PROXY=169.254.170.23,[fd00:ec2::23]".to_owned()), "{added:?}");
        assert_eq!(added.iter().filter(|line| line.contains("=http://169.254")).count(), 0, "{added:?}");
    }
    for (list, warned) in
        [("169.254.170.23", 1), ("[fd00:ec2::23]", 0), ("fd00:ec2::23,.corp", 0), (".corp", 1)]
    {
        let proxied = json!([
            { "name": "https_proxy", "value": "http://proxy:3128" },
            { "name": "NO_PROXY", "value": list },
        ]);
        let (_, warnings) = with(&pod_identity(), proxied);
        assert_eq!(warnings.len(), warned, "{list}");
        assert!(warnings.iter().all(|warning| warning.contains("add fd00:ec2::23 to NO_PROXY")));
    }
}

#[test]
fn ephemeral_containers_that_are_new_get_variables_and_a_mount_where_the_pod_has_the_volume() {
    let before = made(&one(json!({ "name": "app" })), &irsa(), &nowhere());
    let with = |names: &[&str], to: &Value| {
        let mut pod = to.clone();
        pod["spec"]["ephemeralContainers"] = names.iter().map(|name| json!({ "name": name })).collect();
        pod
    };
    let old = with(&["old"], &before);
    let now = with(&["old", "new"], &before);
    let (patch, _) = into_ephemeral(&now, &old, &irsa(), &nowhere());
    let after = applied(&now, &patch);
    assert_eq!(after["spec"]["ephemeralContainers"][0], json!({ "name": "old" }));
    assert_eq!(env(&after, "/spec/ephemeralContainers/1").len(), 2);
    assert_eq!(after["spec"]["ephemeralContainers"][1]["volumeMounts"][0]["name"], "aws-iam-token");
    for member in ["containers", "volumes"] {
        assert_eq!(after["spec"][member], now["spec"][member]);
    }
    assert_eq!(after["metadata"], now["metadata"]);
    // One that was made without it never gets it.
    let bare = with(&["new"], &one(json!({ "name": "app" })));
    assert_eq!(into_ephemeral(&bare, &one(json!({})), &irsa(), &nowhere()).0, Patch::default());
}

#[test]
fn a_pod_that_the_kubelet_runs_by_itself_is_left_alone() {
    let mut before = one(json!({ "name": "app" }));
    before["metadata"]["annotations"] = json!({ "kubernetes.io/config.mirror": "hash" });
    assert_eq!(into_new(&before, &irsa(), &nowhere()).0, Patch::default());
    assert!(gets_nothing(&before, false), "whatever is known of its ServiceAccount");
}

#[test]
fn a_pod_that_was_made_without_a_token_gets_none_whatever_is_known_now() {
    let with = |name: &str| pod(json!({ "containers": [], "volumes": [{ "name": name }] }));
    let cases = [
        (one(json!({})), true),
        (with("data"), true),
        (with("aws-iam-token"), false),
        (with("eks-pod-identity-token"), false),
    ];
    for (pod, expected) in cases {
        assert_eq!(gets_nothing(&pod, true), expected, "{pod}");
        assert!(!gets_nothing(&pod, false), "{pod}");
    }
}

#[test]
fn what_is_no_pod_is_left_to_the_api_server() {
    for odd in
        [json!(null), json!([]), json!({}), json!({ "spec": [] }), json!({ "spec": { "containers": {} } })]
    {
        assert_eq!(into_new(&odd, &irsa(), &nowhere()).0, Patch::default(), "{odd}");
    }
    let odd = one(json!({ "name": "app", "env": {} }));
    assert_eq!(into_new(&odd, &irsa(), &nowhere()).0, Patch::default());
}

/// Values that mean something somewhere, and others.
fn text() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_ENDPOINT_URL",
        "HTTP_PROXY",
        "NO_PROXY",
        "no_proxy",
        "aws-iam-token",
        "eks-pod-identity-token",
        "/var/run/secrets/eks.amazonaws.com/serviceaccount",
        "app",
        "side",
        "windows",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => "[a-z/~\"é,]{0,6}"]
}

fn item() -> impl Strategy<Value = Value> {
    (text(), text(), any::<bool>()).prop_map(|(name, value, is_mount)| match is_mount {
        true => json!({ "name": name, "mountPath": value }),
        false => json!({ "name": name, "value": value }),
    })
}

fn list_or_none(of: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        4 => prop::collection::vec(of, 0..4).prop_map(Value::from),
    ]
}

fn container() -> impl Strategy<Value = Value> {
    (text(), list_or_none(item()), list_or_none(item()), any::<[bool; 2]>()).prop_map(
        |(name, env, mounts, has)| {
            let mut container = json!({ "name": name, "image": "x" });
            if has[0] {
                container["env"] = env;
            }
            if has[1] {
                container["volumeMounts"] = mounts;
            }
            container
        },
    )
}

fn any_pod() -> impl Strategy<Value = Value> {
    let lists = (list_or_none(container()), list_or_none(container()), list_or_none(item()));
    (lists, text(), text(), any::<[bool; 4]>()).prop_map(|((containers, init, volumes), skip, label, has)| {
        let mut pod = pod(json!({ "containers": containers, "nodeSelector": { "kubernetes.io/os": label } }));
        let mut put = |has: bool, place: &str, member: &str, value: Value| {
            if has {
                pod[place][member] = value;
            }
        };
        put(has[0], "spec", "initContainers", init);
        put(has[1], "spec", "volumes", volumes);
        put(has[2], "metadata", "annotations", json!({ "eks.amazonaws.com/skip-containers": skip }));
        put(has[3], "metadata", "labels", json!({ "eks.amazonaws.com/pod-identity": label }));
        pod
    })
}

fn any_identity() -> impl Strategy<Value = (Identity, Surroundings)> {
    any::<[bool; 4]>().prop_map(|[is_irsa, regional_sts, has_region, has_sts]| {
        let identity = Identity { regional_sts, ..if is_irsa { irsa() } else { pod_identity() } };
        (identity, around(has_region.then_some("r"), has_sts.then_some(AGENT_STS_URL)))
    })
}

/// Whether everything of a value is in another, in its order; null is as good as nothing.
fn holds(after: &Value, before: &Value) -> bool {
    match (after, before) {
        (_, Value::Null) => true,
        (Value::Object(after), Value::Object(before)) => {
            before.iter().all(|(key, value)| after.get(key).is_some_and(|now| holds(now, value)))
        }
        (Value::Array(after), Value::Array(before)) => {
            after.len() >= before.len() && after.iter().zip(before).all(|(now, value)| holds(now, value))
        }
        (after, before) => after == before,
    }
}

fn names_of(list: &[Value]) -> Vec<&str> {
    list.iter().filter_map(name_of).collect()
}

proptest! {
    #[test]
    fn a_patch_applies_takes_nothing_away_and_leaves_nothing_for_a_second_look(
        pod in any_pod(),
        (identity, around) in any_identity(),
    ) {
        let after = made(&pod, &identity, &around);
        prop_assert!(holds(&after, &pod), "{pod} {after}");
        prop_assert_eq!(into_new(&after, &identity, &around).0, Patch::default(), "{}", after);
        let volume = if identity.road == Road::PodIdentity { POD_IDENTITY.volume } else { IRSA.volume };
        for member in ["containers", "initContainers"] {
            for (before, now) in list(&pod["spec"], member).iter().zip(list(&after["spec"], member)) {
                // No name that was there before is added, and whatever is mounted anew is there.
                let added = names_of(&list(now, "env")[list(before, "env").len()..]);
                prop_assert!(added.iter().all(|name| !names_of(list(before, "env")).contains(name)), "{now}");
                let mounts = list(now, "volumeMounts");
                if mounts.len() > list(before, "volumeMounts").len() {
                    prop_assert_eq!(mounts.len(), list(before, "volumeMounts").len() + 1);
                    prop_assert!(names_of(list(&after["spec"], "volumes")).contains(&volume));
                }
            }
        }
    }

    #[test]
    fn whatever_it_is_it_is_no_trouble(pod in json(), (identity, around) in any_identity()) {
        let after = made(&pod, &identity, &around);
        prop_assert!(holds(&after, &pod));
        prop_assert_eq!(into_new(&after, &identity, &around).0, Patch::default());
        let (patch, _) = into_ephemeral(&pod, &pod, &identity, &around);
        prop_assert!(holds(&applied(&pod, &patch), &pod));
    }
}

/// Any JSON that has the members of a pod in places where they are not expected.
fn json() -> impl Strategy<Value = Value> {
    let member = prop::sample::select(vec![
        "metadata",
        "spec",
        "containers",
        "initContainers",
        "ephemeralContainers",
        "env",
        "volumeMounts",
        "volumes",
        "name",
        "labels",
        "annotations",
        "os",
    ]);
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), text().prop_map(Value::from)];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((member.clone(), inner), 0..5).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

//! Commands that need no hub, run as people run them: what they say, and the code that they end with.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may stop at what it did not expect"
)]

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const YES: i32 = 0;
const NO: i32 = 1;
const USAGE: i32 = 2;
const CONFIGURATION: i32 = 64;
const NO_ANSWER: i32 = 69;

const KEY: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "LKIAAAAAAAAAAAAAAAAA"),
    ("AWS_SECRET_ACCESS_KEY", "s3cret-half-of-the-key"),
    ("AWS_REGION", "us-east-1"),
];

const RBAC: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: view}
rules: [{verbs: [get, list], apiGroups: [''], resources: [pods]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: devs, namespace: team-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: devs}]
";

struct Said {
    code: i32,
    out: String,
    err: String,
}

/// A home of its own, so that nobody's settings decide.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn command(&self, words: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_lanyard")));
        command.args(words).env_clear().env("HOME", self.0.path()).envs(variables.iter().copied());
        command
    }

    fn run(&self, words: &[&str], stdin: &str, variables: &[(&str, &str)]) -> Said {
        let mut child = self
            .command(words, variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that is wrong ends without reading.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

#[test]
fn a_token_is_made_and_looked_at_without_any_server() {
    let home = Home::new();
    let raw = home.run(&["token", "--cluster-name", "dev", "--raw"], "", &KEY);
    assert_eq!(raw.code, YES, "{}", raw.err);
    assert!(raw.out.starts_with("k8s-aws-v1."), "{}", raw.out.len());
    let words = ["token", "inspect", "-", "--cluster", "dev", "--output", "json"];
    let own = home.run(&words, &raw.out, &KEY);
    assert_eq!(own.code, YES, "{}", own.err);
    let shown: serde_json::Value = serde_json::from_str(&own.out).unwrap();
    let cluster = shown["parts"].as_array().unwrap().iter().find(|part| part["part"] == "cluster").unwrap();
    assert_eq!(cluster["state"], "verified", "the key that signed is at hand");
    let other = home.run(&["token", "inspect", "-", "--cluster", "prod"], &raw.out, &KEY);
    assert_eq!(other.code, NO, "{}", other.out);
    let stranger = home.run(&words, &raw.out, &[]);
    assert_eq!(stranger.code, YES, "whoever lacks the key cannot tell");
    assert!(!stranger.out.contains(raw.out.trim()) && !stranger.out.contains(KEY[1].1));
}

#[test]
fn the_exec_plugin_speaks_the_version_it_is_asked_for() {
    let home = Home::new();
    let said = home.run(&["token", "--cluster-name", "dev"], "", &KEY);
    let credential: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(credential["apiVersion"], "client.authentication.k8s.io/v1beta1");
    assert_eq!(credential["kind"], "ExecCredential");
    let inspected = home.run(&["token", "inspect"], &said.out, &[]);
    assert_eq!(inspected.code, YES, "an ExecCredential holds a token: {}", inspected.err);
    let info = r#"{"apiVersion":"client.authentication.k8s.io/v1alpha1","kind":"ExecCredential"}"#;
    let old = home.run(
        &["token", "--cluster-name", "dev"],
        "",
        &[KEY.as_slice(), &[("KUBERNETES_EXEC_INFO", info)]].concat(),
    );
    assert_eq!(old.code, USAGE);
    assert!(old.err.contains("v1alpha1"), "{}", old.err);
}

#[test]
fn without_credentials_or_region_the_next_step_is_named() {
    let home = Home::new();
    let nobody = home.run(&["token", "--cluster-name", "dev", "--region", "us-east-1"], "", &[]);
    assert_eq!(nobody.code, USAGE);
    for place in ["AWS_ACCESS_KEY_ID", "profile `default`", "/.aws/credentials` or `", "/.aws/config`"] {
        assert!(nobody.err.contains(place), "{}", nobody.err);
    }
    let nowhere = home.run(&["token", "--cluster-name", "dev"], "", &KEY[..2]);
    assert_eq!(nowhere.code, USAGE);
    assert!(nowhere.err.contains("--region"), "{}", nowhere.err);
}

#[test]
fn whoever_has_no_credentials_hears_of_the_profile_or_the_place_and_not_of_a_hub() {
    let home = Home::new();
    let named = [KEY.as_slice(), &[("AWS_PROFILE", "nope")]].concat();
    for said in [home.run(&["whoami", "--profile", "nope"], "", &KEY), home.run(&["whoami"], "", &named)] {
        assert_eq!(said.code, USAGE, "{}", said.out);
        assert!(
            said.err.contains("profile `nope` is not in `") && said.err.contains("AWS_PROFILE"),
            "{}",
            said.err
        );
    }
    // Nobody listens there.
    let places = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "instance-metadata"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "container"),
    ];
    for (variable, place) in places {
        let said = home.run(&["whoami"], "", &[(variable, "http://127.0.0.1:1/")]);
        assert_eq!(said.code, NO_ANSWER, "{}", said.out);
        assert!(said.err.contains(&format!("`{place}` gives no credentials")), "{}", said.err);
        assert!(said.err.contains("association") && !said.err.contains("hub"), "{}", said.err);
    }
}

#[test]
fn a_bad_token_is_refused_and_never_repeated() {
    let home = Home::new();
    for bad in ["nonsense", "k8s-aws-v1.%", "k8s-aws-v1.aHR0cHM6Ly9ldmlsLmV4YW1wbGUv"] {
        let said = home.run(&["token", "inspect", "-"], bad, &[]);
        assert_eq!(said.code, NO, "{bad}: {}", said.err);
        assert!(!format!("{}{}", said.out, said.err).contains(bad), "{bad}");
    }
    let empty = home.run(&["token", "inspect", "-"], "\n", &[]);
    assert_eq!(empty.code, USAGE, "{}", empty.out);
    let spilled = home.run(&["token", "inspect", "k8s-aws-v1.abc"], "", &[]);
    assert_eq!(spilled.code, USAGE);
    assert!(
        spilled.err.contains("standard input") && !spilled.err.contains("k8s-aws-v1.abc"),
        "{}",
        spilled.err
    );
}

#[test]
fn a_break_glass_credential_is_known_as_one_and_never_repeated() {
    let home = Home::new();
    let credential = "lbg_c2VjcmV0LW9mLXRoZS1jbHVzdGVy";
    for output in ["table", "json", "yaml"] {
        let said = home.run(&["token", "inspect", "-", "--output", output], credential, &[]);
        assert_eq!(said.code, YES, "{}", said.err);
        assert!(said.out.contains("break-glass") && !said.out.contains(credential), "{}", said.out);
    }
    let spilled = home.run(&["token", "inspect", credential], "", &[]);
    assert_eq!(spilled.code, USAGE);
    assert!(spilled.err.contains("a token itself") && !spilled.err.contains(credential), "{}", spilled.err);
}

#[test]
fn aws_auth_is_checked_as_a_hub_would_read_it() {
    let home = Home::new();
    let good = "mapUsers: |\n  - userarn: arn:aws:iam::111122223333:user/ana\n    username: ana\n    groups: [devs]\n";
    let minor = format!("{good}  - username: nobody\n");
    let fatal = "mapRoles: |\n  - rolearn: [\n";
    let nameless = good.replace("    username: ana\n", "");
    let cut = "kind: ConfigMap\nmetadata: {name: aws-auth}\n";
    let emptied = "kind: ConfigMap\nmetadata: {name: aws-auth, uid: c5b2}\n";
    // Its aliases make of a hundred kilobytes more than may be held.
    let swollen = format!(
        "mapRoles:\n- &line\n  rolearn: arn:aws:iam::111122223333:role/dev\n  username: dev\n  groups: [{}]\n{}",
        vec!["g".repeat(1000); 100].join(", "),
        "- *line\n".repeat(60),
    );
    for (text, code, strict) in [
        (good, YES, YES),
        (swollen.as_str(), NO, NO),
        (minor.as_str(), YES, NO),
        (nameless.as_str(), YES, NO),
        (emptied, YES, NO),
        (fatal, NO, NO),
        (cut, NO, NO),
    ] {
        assert_eq!(home.run(&["aws-auth", "check", "-"], text, &[]).code, code, "{text}");
        assert_eq!(home.run(&["aws-auth", "check", "--strict", "-"], text, &[]).code, strict, "{text}");
    }
    let path = home.file("aws-auth.yaml", &minor);
    insta::assert_snapshot!(home.run(&["aws-auth", "check", &path], "", &[]).out);
    insta::assert_snapshot!(home.run(&["aws-auth", "check", "-", "--output", "json"], fatal, &[]).out);
    for (text, word, verdict) in [
        (good, "", "accepted, nothing is wrong with it"),
        (minor.as_str(), "left out: line 5,", "accepted, without what is left out above"),
        (nameless.as_str(), "kept, but: line 2,", "accepted: see what is said above"),
        (emptied, "kept, but: line 1,", "it maps nobody: nobody would get in by it"),
        ("data: {}", "nothing is wrong", "it maps nobody: nobody would get in by it"),
        (
            swollen.as_str(),
            "count each time, or make access entries of some",
            "rejected: the last good version would stay in force",
        ),
        (cut, "fatal: line 1,", "rejected: the last good version would stay in force"),
    ] {
        let said = home.run(&["aws-auth", "check", "-"], text, &[]).out;
        assert!(said.contains(word) && said.trim_end().ends_with(verdict), "{text}: {said}");
    }
    for (text, effect) in [(minor.as_str(), "left_out"), (nameless.as_str(), "kept")] {
        let said = home.run(&["aws-auth", "check", "-", "--output", "json"], text, &[]).out;
        let json: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(json["findings"][0]["effect"], effect, "{said}");
        assert_eq!(json["findings"][0]["fatal"], false, "{said}");
    }
}

#[test]
fn a_byte_order_mark_in_front_of_a_file_changes_nothing() {
    let home = Home::new();
    let token = home.run(&["token", "--cluster-name", "dev", "--raw"], "", &KEY).out;
    let token = home.file("token", &format!("\u{feff}{token}"));
    let words = ["token", "inspect", &token, "--cluster", "dev"];
    let said = home.run(&words, "", &KEY);
    assert_eq!(said.code, YES, "{}{}", said.out, said.err);
    let objects = home.file("rbac.yaml", &format!("\u{feff}{RBAC}"));
    for review in [
        r#"{"user":"ana","groups":["devs"],"resourceAttributes":{"verb":"get","resource":"pods","namespace":"team-a"}}"#,
        "user: ana\ngroups: [devs]\nresourceAttributes: {verb: get, resource: pods, namespace: team-a}\n",
    ] {
        let reviews = home.file("reviews", &format!("\u{feff}{review}"));
        let said =
            home.run(&["rbac", "check", "-f", &objects, "--reviews", &reviews, "--all-allowed"], "", &[]);
        assert_eq!(said.code, YES, "{review}: {}{}", said.out, said.err);
    }
}

#[test]
fn reviews_are_decided_in_order_a_line_each() {
    let home = Home::new();
    let objects = home.file("rbac.yaml", RBAC);
    let ask = |user: &str, groups: &str, verb: &str, namespace: &str| {
        format!(
            r#"{{"user":"{user}","groups":[{groups}],"resourceAttributes":{{"verb":"{verb}","resource":"pods","namespace":"{namespace}"}}}}"#
        )
    };
    let reviews = [
        ask("ana", r#""devs""#, "get", "team-a"),
        ask("ana", r#""devs""#, "get", "team-b"),
        ask("ana", r#""devs""#, "delete", "team-a"),
        ask("root", r#""system:masters""#, "delete", "team-a"),
    ]
    .join("\n");
    let words = ["rbac", "check", "-f", &objects, "--reviews", "-"];
    let json = home.run(&[&words[..], &["--output", "json"]].concat(), &reviews, &[]);
    assert_eq!(json.code, YES, "all were decided: {}", json.err);
    let allowed: Vec<bool> = json
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["allowed"].as_bool().unwrap())
        .collect();
    assert_eq!(allowed, [true, false, false, true]);
    insta::assert_snapshot!(json.out);
    insta::assert_snapshot!(home.run(&words, &reviews, &[]).out);
    assert_eq!(home.run(&[&words[..], &["--all-allowed"]].concat(), &reviews, &[]).code, NO);
}

#[test]
fn one_object_a_list_and_lines_get_the_same_answers() {
    let home = Home::new();
    let objects = home.file("rbac.yaml", RBAC);
    let spec = |verb: &str| {
        format!(
            r#"{{"user":"ana","groups":["devs"],"resourceAttributes":{{"verb":"{verb}","resource":"pods","namespace":"team-a"}}}}"#
        )
    };
    let whole = |verb: &str| {
        let spec = spec(verb);
        format!(
            "{{\n  \"apiVersion\": \"authorization.k8s.io/v1\",\n  \"kind\": \"SubjectAccessReview\",\n  \"spec\": {spec}\n}}\n"
        )
    };
    let yes = concat!(
        r#"{"allowed":true,"reason":"rule 1 of `ClusterRole/view`, bound to group `devs` by `RoleBinding/team-a/devs`","#,
        r#""rule":{"subject":"Group devs","binding":"RoleBinding/team-a/devs","role":"ClusterRole/view","index":0}}"#,
        "\n"
    );
    let no = concat!(
        r#"{"allowed":false,"reason":"no rule allows it; rule 1 of `ClusterRole/view`, bound to group `devs` by "#,
        r#"`RoleBinding/team-a/devs`, allows `get`, `list` only","rule":null}"#,
        "\n"
    );
    for (reviews, expected) in [
        (spec("get"), yes.to_owned()),
        (whole("get"), yes.to_owned()),
        (whole("delete"), no.to_owned()),
        (format!("[{}, {}]", spec("delete"), whole("get")), format!("{no}{yes}")),
        (format!(r#"{{"kind":"List","items":[{}]}}"#, whole("get")), yes.to_owned()),
        (format!("{}\n{}\n{}", spec("get"), spec("delete"), spec("get")), format!("{yes}{no}{yes}")),
    ] {
        let file = home.file("reviews.json", &reviews);
        for (from, stdin) in [(file.as_str(), ""), ("-", reviews.as_str())] {
            let words = ["rbac", "check", "-f", &objects, "--reviews", from, "--output", "json"];
            let said = home.run(&words, stdin, &[]);
            assert_eq!((said.code, said.out), (YES, expected.clone()), "{from}: {reviews}: {}", said.err);
        }
    }
}

#[test]
fn reviews_that_say_their_answer_are_a_test() {
    let home = Home::new();
    let objects = home.file("rbac.yaml", RBAC);
    let review = |verb: &str, allowed: bool| {
        format!(
            r#"{{"spec":{{"groups":["devs"],"resourceAttributes":{{"verb":"{verb}","resource":"pods","namespace":"team-a"}}}},"status":{{"allowed":{allowed}}}}}"#
        )
    };
    let run = |reviews: &str| {
        home.run(&["rbac", "check", "-f", &objects, "--reviews", "-", "--expect"], reviews, &[])
    };
    assert_eq!(run(&format!("[{},{}]", review("get", true), review("delete", false))).code, YES);
    let wrong = run(&format!("[{},{}]", review("get", true), review("delete", true)));
    assert_eq!(wrong.code, NO);
    assert!(wrong.err.contains("review 2"), "{}", wrong.err);
    let silent = run(r#"{"user":"ana","nonResourceAttributes":{"path":"/x","verb":"get"}}"#);
    assert_eq!(silent.code, USAGE, "{}", silent.err);
}

#[test]
fn bad_objects_and_reviews_are_named_by_place() {
    let home = Home::new();
    let objects = home.file("rbac.yaml", RBAC);
    let broken = home.file("broken.yaml", "kind: ClusterRole\nmetadata: {name: [\n");
    let good = r#"{"user":"ana","nonResourceAttributes":{"path":"/x","verb":"get"}}"#;
    for (file, reviews, named) in [
        (&broken, good, "broken.yaml"),
        (&objects, r#"{"user":"ana"}"#, "review 1"),
        (&objects, "", "no reviews"),
        (&objects, "{", "neither JSON nor YAML"),
    ] {
        let said = home.run(&["rbac", "check", "-f", file, "--reviews", "-"], reviews, &[]);
        assert_eq!(said.code, USAGE, "{reviews}");
        assert!(said.err.contains(named), "{}", said.err);
        assert!(said.out.is_empty(), "nothing is decided in part: {}", said.out);
    }
    let twice = home.run(&["rbac", "check", "-f", "-", "--reviews", "-"], good, &[]);
    assert_eq!(twice.code, USAGE);
}

#[test]
fn objects_that_a_hub_would_refuse_or_that_are_none_decide_nothing() {
    let home = Home::new();
    let objects = home.file("rbac.yaml", RBAC);
    let again = home.file("again.yaml", RBAC.split_once("---").unwrap().0);
    let review =
        r#"{"groups":["devs"],"resourceAttributes":{"verb":"get","resource":"pods","namespace":"team-a"}}"#;
    let check = |files: &[&str]| {
        let files = files.iter().flat_map(|&file| ["-f", file]);
        let words: Vec<&str> = ["rbac", "check", "--reviews", "-"].into_iter().chain(files).collect();
        home.run(&words, review, &[])
    };
    let twice = check(&[&objects, &again]);
    assert_eq!((twice.code, twice.out.as_str()), (USAGE, ""), "{}", twice.err);
    for part in ["again.yaml`: `ClusterRole/view` is in the input twice", "rbac.yaml`: leave one out"] {
        assert!(twice.err.contains(part), "{}", twice.err);
    }
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n";
    for (name, text) in [("empty.yaml", ""), ("null.yaml", "null\n"), ("other.yaml", deployment)] {
        let file = home.file(name, text);
        let warning = format!("{name}` holds no RBAC object");
        let beside = check(&[&objects, &file]);
        assert_eq!(beside.code, YES, "{}", beside.err);
        assert!(beside.err.contains(&warning) && beside.out.contains("yes"), "{}", beside.err);
        let alone = check(&[&file]);
        assert_eq!((alone.code, alone.out.as_str()), (USAGE, ""), "{}", alone.err);
        assert!(
            alone.err.contains(&warning) && alone.err.contains("every answer would be no"),
            "{}",
            alone.err
        );
    }
}

#[test]
fn a_key_of_awss_needs_no_ready_file_and_a_named_profile_goes_before_the_environment() {
    let home = Home::new();
    let of_aws = [
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        KEY[1],
        KEY[2],
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("LANYARD_READY_FILE", "/nowhere/ready.json"),
    ];
    let said = home.run(&["whoami"], "", &of_aws);
    assert_eq!(said.code, NO_ANSWER, "{}", said.err);
    assert!(!said.err.contains("ready.json"), "{}", said.err);
    let config = home.file("config", "[profile bare]\nregion = us-east-1\n");
    let named = [KEY[0], KEY[1], KEY[2], ("AWS_CONFIG_FILE", config.as_str())];
    let said = home.run(&["token", "--cluster-name", "dev", "--profile", "bare"], "", &named);
    assert_eq!(said.code, USAGE, "{}", said.err);
    assert!(
        said.err.contains("`bare`") && said.err.contains("does not count beside --profile"),
        "{}",
        said.err
    );
}

#[test]
fn a_hubs_administrator_stands_in_for_nobody_who_was_named() {
    let home = Home::new();
    let administrator =
        "[default]\naws_access_key_id = LKIAADMINISTRATORAAA\naws_secret_access_key = s3cret\n";
    let ready = serde_json::json!({
        "gateway": "https://127.0.0.1:1",
        "grpc": "https://127.0.0.1:1",
        "ca": home.file("root.crt", "PEM"),
        "credentials": home.file("administrator", administrator),
        "account": "111122223333",
        "region": "us-east-1",
        "hub_id": "8c0c9f3a-0000-4000-8000-000000000000",
    });
    let ready = home.file("ready.json", &ready.to_string());
    let token = |more: &[&str], variables: &[(&str, &str)]| {
        let words = ["token", "--cluster-name", "dev", "--raw", "--ready-file", ready.as_str()];
        home.run(&[&words[..], more].concat(), "", variables)
    };
    std::fs::create_dir(home.0.path().join(".aws")).unwrap();
    let role = "role_arn = arn:aws:iam::111122223333:role/readonly\nsource_profile = base\n";
    let config = home.file(
        ".aws/config",
        &format!(
            "[default]\nregion = us-east-1\n[profile bare]\naws_acess_key_id = x\n[profile readonly]\n{role}"
        ),
    );
    let nobody = token(&[], &[]);
    assert_eq!(nobody.code, YES, "nobody chose a default profile without keys: {}", nobody.err);
    let missing = home.0.path().join("typo").display().to_string();
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 6] = [
        (&["--profile", "bare"], &[], "profile `bare` has none"),
        (&["--profile", "readonly"], &KEY, "`role_arn` is not read here"),
        (&[], &[("AWS_PROFILE", "readonly")], "export-credentials --profile readonly"),
        (&[], &[("AWS_PROFILE", "default")], "profile `default` has none"),
        (&[], &[("AWS_CONFIG_FILE", config.as_str())], "profile `default` has none"),
        (&[], &[("AWS_SHARED_CREDENTIALS_FILE", missing.as_str())], "/typo`"),
    ];
    for (more, variables, named) in cases {
        let said = token(more, variables);
        assert_eq!((said.code, said.out.as_str()), (USAGE, ""), "{more:?} {variables:?}: {}", said.err);
        assert!(said.err.contains(named) && said.err.contains("--profile"), "{}", said.err);
    }
}

#[test]
fn a_secret_that_an_indented_line_puts_into_another_setting_is_never_repeated() {
    let home = Home::new();
    let keys = format!("aws_access_key_id = AKIAIOSFODNN7EXAMPLE\n  aws_secret_access_key = {}\n", KEY[1].1);
    std::fs::create_dir(home.0.path().join(".aws")).unwrap();
    let credentials = format!("[default]\n{}", keys.replace("  ", ""));
    home.file(".aws/credentials", &credentials);
    let config = home.file(".aws/config", &format!("[default]\nregion = eu-west-1\n  {keys}"));
    let ca = home.file("root.crt", "PEM");
    for words in [
        &["token", "--cluster-name", "dev"][..],
        &["whoami", "--no-call"],
        &["credential-process", "--hub", "https://127.0.0.1:1", "--ca", ca.as_str()],
    ] {
        let said = home.run(words, "", &[]);
        assert_eq!((said.code, said.out.as_str()), (USAGE, ""), "{words:?}: {}", said.err);
        let place = format!("`{config}` line 2: the value of `region`");
        assert!(said.err.contains(&place) && !said.err.contains(KEY[1].1), "{words:?}: {}", said.err);
    }
}

#[test]
fn without_a_hub_there_is_no_answer_and_the_next_step_is_named() {
    let home = Home::new();
    for words in [&["cluster", "list"][..], &["entry", "list", "dev"], &["iam", "user", "list"]] {
        let said = home.run(words, "", &KEY);
        assert_eq!(said.code, NO_ANSWER, "{words:?}: {}", said.err);
        assert!(said.err.contains("lanyard serve"), "{}", said.err);
    }
    let plain = home.run(&["cluster", "list", "--hub", "http://127.0.0.1:1"], "", &KEY);
    assert_eq!(plain.code, USAGE);
    assert!(plain.err.contains("https"), "{}", plain.err);
    let untrusted = home.run(&["cluster", "list", "--hub", "https://127.0.0.1:1"], "", &KEY);
    assert_eq!(untrusted.code, USAGE);
    assert!(untrusted.err.contains("--ca"), "{}", untrusted.err);
}

#[test]
fn what_seems_a_slip_in_a_question_is_warned_of_and_asked_all_the_same() {
    let home = Home::new();
    let who_can = home.run(&["who-can", "gett", "podz", "--cluster", "dev"], "", &KEY);
    let ana = "arn:aws:iam::111122223333:user/ana";
    let explain = home.run(&["explain", "--as", ana, "--cluster", "dev", "gett", "podz"], "", &KEY);
    for said in [who_can, explain] {
        assert_eq!(said.code, NO_ANSWER, "{}", said.err);
        for part in ["warning: `gett` is no verb", "warning: a plain Kubernetes has no resource `podz`"] {
            assert!(said.err.contains(part), "{}", said.err);
        }
    }
}

#[test]
fn a_wrong_line_ends_as_one_whoever_finds_it() {
    let home = Home::new();
    let unnamed = home.run(&["demo", "--stack"], "", &[]);
    assert_eq!(unnamed.code, USAGE, "{}", unnamed.err);
    assert!(unnamed.err.contains("--ready-file"), "{}", unnamed.err);
    assert_eq!(home.run(&["cluster", "lost"], "", &[]).code, USAGE);
    assert_eq!(home.run(&["serve", "--lost"], "", &[]).code, USAGE);
    // What is wrong in a configuration has the code that service managers know.
    let region = home.run(&["serve", "--region", "NOWHERE"], "", &[]);
    assert_eq!(region.code, i32::from(lanyard_kit::life::EXIT_CONFIGURATION), "{}", region.err);
}

#[test]
fn the_variables_of_who_calls_a_hub_stop_no_service_and_say_nothing_where_they_are_empty() {
    let home = Home::new();
    let services: [&[&str]; 4] = [
        &["serve", "--print-config"],
        &["run", "authn", "--print-config"],
        &["run", "gateway", "--print-config"],
        &["run", "agent", "server", "-c", "dev", "--region", "eu-west-1", "--print-config"],
    ];
    let names = [
        "LANYARD_HUB",
        "LANYARD_CA",
        "LANYARD_READY_FILE",
        "LANYARD_CLIENT_CERT",
        "LANYARD_CLIENT_KEY",
        "LANYARD_PROFILE",
    ];
    let all = |value: &'static str| names.map(|name| (name, value));
    for words in services {
        for name in names {
            let said = home.run(words, "", &[(name, "/x")]);
            assert_eq!(said.code, YES, "{name}: {words:?}: {}", said.err);
        }
        let empty = [all("").as_slice(), &[("LANYARD_CONFIG", ""), ("LANYARD_STORE", "")]].concat();
        for variables in [all("/x").as_slice(), &empty] {
            let said = home.run(words, "", variables);
            assert_eq!(said.code, YES, "{variables:?}: {words:?}: {}", said.err);
        }
        assert_eq!(home.run(words, "", &empty).out, home.run(words, "", &[]).out, "{words:?}");
    }
    // Commands without a hub neither; and a flag goes before the variable of another that says who calls.
    for value in ["/x", ""] {
        let said = home.run(&["access-policies"], "", &all(value));
        assert_eq!(said.code, YES, "{value}: {}", said.err);
    }
    let ca = home.file("ca.pem", "PEM");
    let hub = ["--hub", "https://127.0.0.1:1", "--ca", &ca, "cluster", "list"];
    let by_certificate = ["--client-cert", "/nope.crt", "--client-key", "/nope.key"];
    let said = home.run(&[&by_certificate[..], &hub].concat(), "", &[("LANYARD_PROFILE", "ana")]);
    assert!(said.code == USAGE && said.err.contains("/nope."), "{}", said.err);
    let both = [
        ("LANYARD_PROFILE", "ana"),
        ("LANYARD_CLIENT_CERT", "/nope.crt"),
        ("LANYARD_CLIENT_KEY", "/nope.key"),
    ];
    let said = home.run(&hub, "", &both);
    assert!(said.code == USAGE && said.err.contains("LANYARD_PROFILE both say who calls"), "{}", said.err);
}

#[test]
fn a_reader_of_standard_error_that_went_away_changes_no_exit_code() {
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32);
    let home = Home::new();
    let cases: [Case<'_>; 5] = [
        (&["token", "inspect", "/nope"], &[], USAGE),
        (&["serve"], &[("LANYARD_X", "1")], CONFIGURATION),
        (&["run", "agent", "server"], &[("LANYARD_X", "1")], CONFIGURATION),
        (&["demo", "--stack"], &[], USAGE),
        (&["cluster", "list"], &KEY, NO_ANSWER),
    ];
    for (words, variables, code) in cases {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = home.command(words, variables);
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).status().unwrap();
        assert_eq!(ended.code(), Some(code), "{words:?}");
    }
}

#[test]
fn what_cannot_be_signed_is_told_before_a_hub_is_asked() {
    let home = Home::new();
    let method = "lanyard.mapping.v1.Clusters/DescribeCluster";
    let cases: [(&[&str], i32, &str); 4] = [
        (&["sign", "lanyard.authn.v1.Admit/Admit"], USAGE, "not a method"),
        (&["sign", "lanyard.gateway.v1.Explain/Hub"], USAGE, "without a signature"),
        (
            &["sign", method, "--data", r#"{"name": "dev"}"#],
            USAGE,
            "lanyard.mapping.v1.DescribeClusterRequest",
        ),
        (&["sign", method, "--data", r#"{"cluster": "dev"}"#], NO_ANSWER, "lanyard serve"),
    ];
    for (words, code, named) in cases {
        let said = home.run(words, "", &KEY);
        assert_eq!(said.code, code, "{words:?}: {}", said.err);
        assert!(said.err.contains(named) && said.out.is_empty(), "{words:?}: {}", said.err);
    }
    let piped = home.run(&["sign", method, "--data", "-"], r#"{"cluster": "dev"}"#, &KEY);
    assert_eq!(piped.code, NO_ANSWER, "{}", piped.err);
}

#[test]
fn access_policies_are_listed_offline() {
    let home = Home::new();
    let said = home.run(&["access-policies", "--output", "json", "--partition", "aws-cn"], "", &[]);
    let policies: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let arns: Vec<&str> =
        policies.as_array().unwrap().iter().map(|policy| policy["arn"].as_str().unwrap()).collect();
    assert!(arns.contains(&"arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"), "{arns:?}");
    assert_eq!(home.run(&["access-policies", "--partition", "moon"], "", &[]).code, USAGE);
}

#[test]
fn the_stores_tables_are_made_once_and_asked_about_without_a_change() {
    let home = Home::new();
    let folder = home.0.path().join("hub");
    let data = folder.to_str().unwrap();
    let json = |said: &Said| serde_json::from_str::<serde_json::Value>(&said.out).unwrap();
    let migrate = |more: &[&str]| {
        home.run(&[&["db", "migrate", "--output", "json", "--data-dir", data][..], more].concat(), "", &[])
    };
    let asked = migrate(&["--check"]);
    assert_eq!(asked.code, NO, "{}", asked.err);
    assert_eq!(json(&asked)["missing"][0], "0001 changes");
    assert!(!folder.exists(), "nothing was made");
    let made = migrate(&[]);
    assert_eq!(made.code, YES, "{}", made.err);
    assert_eq!(json(&made)["applied"], json(&asked)["missing"]);
    assert_eq!(json(&migrate(&[]))["applied"], serde_json::json!([]));
    assert_eq!(migrate(&["--check"]).code, YES);
}

#[test]
fn a_database_that_does_not_answer_is_named_without_its_password() {
    let home = Home::new();
    let url = "postgres://hub:s3cret-half@127.0.0.1:1/suite";
    let data = home.0.path().join("hub");
    let data = data.to_str().unwrap();
    let away = home.run(&["db", "migrate"], "", &[("LANYARD_STORE", url)]);
    assert_eq!(away.code, NO_ANSWER);
    let served = home.run(&["serve", "--data-dir", data], "", &[("LANYARD_STORE", url)]);
    assert!(served.err.contains("store: PostgreSQL"), "{}", served.err);
    for said in [&away, &served] {
        assert!(said.err.contains("database `suite` at `127.0.0.1:1`"), "{}", said.err);
        assert!(!said.err.contains("s3cret"), "{}", said.err);
    }
    let unread = home.run(&["db", "migrate"], "", &[("LANYARD_STORE", "postgres://hub:s3cret@h:port/suite")]);
    assert_eq!(unread.code, USAGE);
    assert!(unread.err.contains("store: ") && !unread.err.contains("s3cret"), "{}", unread.err);
}

#[test]
fn a_copy_makes_nothing_where_there_is_no_hub() {
    let home = Home::new();
    let (from, to) = (home.0.path().join("hub"), "postgres://hub@127.0.0.1:1/suite");
    let words = ["db", "copy", "--to", to, "--from", from.to_str().unwrap()];
    let nothing = home.run(&words, "", &[]);
    assert_eq!(nothing.code, USAGE);
    assert!(nothing.err.contains("lanyard.db` is missing"), "{}", nothing.err);
    assert!(!from.exists());
    let made = home.run(&["db", "migrate", "--data-dir", from.to_str().unwrap()], "", &[]);
    assert_eq!(made.code, YES, "{}", made.err);
    let keyless = home.run(&words, "", &[]);
    assert_eq!(keyless.code, USAGE);
    assert!(keyless.err.contains("envelope.key` is missing"), "{}", keyless.err);
    assert!(!from.join("envelope.key").exists());
}

#[test]
fn help_teaches_and_completion_completes() {
    let home = Home::new();
    for words in [
        &["--help"][..],
        &["token", "--help"],
        &["token", "inspect", "--help"],
        &["explain", "--help"],
        &["credential-process", "--help"],
        &["associate", "--help"],
        &["whoami", "--help"],
        &["cluster", "--help"],
        &["cluster", "add", "--help"],
        &["cluster", "admission-config", "--help"],
        &["cluster", "issuer", "--help"],
        &["cluster", "issuer", "generate", "--help"],
        &["cluster", "issuer", "rotate", "--help"],
        &["cluster", "spoke-credential", "delete", "--help"],
        &["spoke", "push", "--help"],
        &["workload", "issuer", "--help"],
        &["keys", "rotate", "--help"],
        &["keys", "reseal", "--help"],
        &["keys", "retire", "--help"],
        &["pki", "issue", "--help"],
        &["pki", "renew", "--help"],
        &["node", "--help"],
        &["entry", "create", "--help"],
        &["identity-provider", "associate", "--help"],
        &["rbac", "check", "--help"],
        &["block", "create", "--help"],
        &["db", "migrate", "--help"],
        &["db", "copy", "--help"],
        &["pki", "show", "--help"],
        &["health", "--help"],
        &["sign", "--help"],
    ] {
        let said = home.run(words, "", &[]);
        assert_eq!(said.code, YES, "{words:?}");
        insta::assert_snapshot!(words.join(" "), said.out);
    }
    for shell in ["bash", "zsh", "fish"] {
        let said = home.run(&["completion", shell], "", &[]);
        assert_eq!(said.code, YES, "{shell}");
        assert!(said.out.contains("break-glass"), "{shell}");
    }
}

use super::*;
use crate::{ConfigSecret, ExposeSecret};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct House {
    listen: String,
    account: Option<String>,
    workers: u16,
    sans: Vec<String>,
    log: Log,
    password: Option<ConfigSecret>,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Log {
    filter: String,
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Text,
    Json,
}

impl Default for House {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            account: None,
            workers: 2,
            sans: Vec::new(),
            log: Log::default(),
            password: None,
            labels: BTreeMap::new(),
        }
    }
}

fn variables(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lanyard.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn from_environment(pairs: &[(&str, &str)]) -> Result<House, ConfigError> {
    load(&Sources::none().environment(variables(pairs)))
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_the_defaults() {
    let (_dir, path) = file("listen = 'file'\nworkers = 3\n[log]\nfilter = 'file'\n");
    let environment = variables(&[("LANYARD_WORKERS", "4"), ("LANYARD_LOG__FILTER", "environment")]);
    let flags = json!({"log": {"filter": "flag", "format": null}, "account": null});
    let house: House = load(&Sources::none().file(path).environment(environment).flags(flags)).unwrap();
    assert_eq!((house.listen.as_str(), house.workers), ("file", 4));
    assert_eq!((house.log.filter.as_str(), house.log.format), ("flag", Format::Text));
    assert_eq!(house.account, None);
}

#[test]
fn no_source_at_all_gives_the_defaults() {
    assert_eq!(load::<House>(&Sources::none()).unwrap().listen, "127.0.0.1:0");
}

#[test]
fn a_variable_is_read_as_the_type_that_the_key_has() {
    let house = from_environment(&[
        ("LANYARD_ACCOUNT", "012345678901"),
        ("LANYARD_LISTEN", "true"),
        ("LANYARD_WORKERS", "8"),
        ("LANYARD_LOG__FILTER", "[info]"),
        ("LANYARD_SANS", "[\"a\", \"b\"]"),
    ])
    .unwrap();
    assert_eq!(house.account.as_deref(), Some("012345678901"));
    assert_eq!((house.listen.as_str(), house.workers), ("true", 8));
    assert_eq!((house.log.filter.as_str(), house.sans), ("[info]", vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn variables_that_are_no_configuration_are_left_alone() {
    let house = from_environment(&[
        ("LANYARD_TEST_POSTGRES_URL", "postgres://x"),
        ("LANYARD_CONFIG", "x.toml"),
        ("LANYARD_BIN", "x"),
        ("PATH", "/bin"),
        ("lanyard_workers", "9"),
    ]);
    assert_eq!(house.unwrap().workers, 2);
}

#[test]
fn a_variable_of_the_command_line_is_a_key_where_there_is_one_and_left_alone_elsewhere() {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Hut {
        store: Option<String>,
    }
    let environment = variables(&[
        ("LANYARD_STORE", "x"),
        ("LANYARD_READY_FILE", "/x"),
        ("LANYARD_CLIENT_CERT", "/x"),
        ("LANYARD_CLIENT_KEY", "/x"),
        ("LANYARD_WORKERS", "5"),
    ]);
    assert_eq!(load::<House>(&Sources::none().environment(environment.clone())).unwrap().workers, 5);
    let hut: Hut =
        load(&Sources::none().environment(environment.clone().without(&["LANYARD_WORKERS"]))).unwrap();
    assert_eq!(hut.store.as_deref(), Some("x"));
    let empty = variables(&[("LANYARD_STORE", ""), ("LANYARD_READY_FILE", "")]);
    let hut: Hut = load(&Sources::none().environment(empty)).unwrap();
    assert_eq!(hut.store, None);
    // The same key in a file is a mistake still.
    let (_dir, path) = file("ready_file = '/x'\n");
    let refused =
        load::<House>(&Sources::none().file(&path).environment(environment)).unwrap_err().to_string();
    assert!(refused.contains(&path.display().to_string()) && refused.contains("`ready_file`"), "{refused}");
}

#[test]
fn what_kubernetes_says_of_a_service_with_our_name_is_no_configuration() {
    let mut all = vec![("LANYARD_WORKERS".to_owned(), "5".to_owned())];
    for service in ["LANYARD", "LANYARD_AGENT", "LANYARD__HUB"] {
        for (name, value) in [
            ("SERVICE_HOST", "10.0.0.1"),
            ("SERVICE_PORT", "8443"),
            ("SERVICE_PORT_HTTPS", "8443"),
            ("PORT", "tcp://10.0.0.1:8443"),
            ("PORT_8443_TCP", "tcp://10.0.0.1:8443"),
            ("PORT_8443_TCP_PROTO", "tcp"),
            ("PORT_8443_TCP_PORT", "8443"),
            ("PORT_8443_TCP_ADDR", "10.0.0.1"),
        ] {
            all.push((format!("{service}_{name}"), value.to_owned()));
        }
    }
    let house: House = load(&Sources::none().environment(all.into_iter().collect())).unwrap();
    assert_eq!(house.workers, 5);
    // A key is a key still, and a slip is one.
    for name in ["LANYARD_PORT", "LANYARD_SERVICE", "LANYARD_PORT_8443", "LANYARD_PORT_X_TCP"] {
        assert!(from_environment(&[(name, "8443")]).is_err(), "{name}");
    }
}

#[test]
fn a_program_can_keep_variables_of_its_own() {
    let environment = variables(&[("LANYARD_ENDPOINT", "x"), ("LANYARD_WORKERS", "5")]);
    assert!(load::<House>(&Sources::none().environment(environment.clone())).is_err());
    let house: House =
        load(&Sources::none().environment(environment.without(&["LANYARD_ENDPOINT"]))).unwrap();
    assert_eq!(house.workers, 5);
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_right_one() {
    let (_dir, path) = file("[log]\nfromat = 'json'\n");
    let shown = path.display().to_string();
    let cases = [
        (Sources::none().file(&path), format!("the configuration file `{shown}` has the unknown key `log.fromat`; did you mean `log.format`?")),
        (
            Sources::none().environment(variables(&[("LANYARD_LISEN", "x")])),
            "the environment variable `LANYARD_LISEN` has the unknown key `lisen`; did you mean `listen`?".to_owned(),
        ),
        (
            Sources::none().environment(variables(&[("LANYARD_LOG__FITLER", "1")])),
            "the environment variable `LANYARD_LOG__FITLER` has the unknown key `log.fitler`; did you mean `log.filter`?"
                .to_owned(),
        ),
        (
            Sources::none().flags(json!({"frobnicate": 1})),
            "the command line has the unknown key `frobnicate`; known there: `listen`, `account`, `workers`, `sans`, `log`, \
             `password`, `labels`"
                .to_owned(),
        ),
    ];
    for (sources, expected) in cases {
        let refused = load::<House>(&sources).unwrap_err();
        assert_eq!(refused.to_string(), expected);
        assert!(matches!(refused, ConfigError::UnknownKey { .. }));
    }
}

#[test]
fn a_key_with_dots_in_it_is_refused_with_its_place() {
    for (text, key) in
        [("'log.filter' = 'debug'\n", "`log.filter`"), ("[log]\n'a.b' = 'json'\n", "`log.a.b`")]
    {
        let (_dir, path) = file(text);
        // It stands beside, and is right.
        let variables = variables(&[("LANYARD_LOG__FORMAT", "json")]);
        let refused =
            load::<House>(&Sources::none().file(&path).environment(variables)).unwrap_err().to_string();
        assert!(refused.contains(&path.display().to_string()) && refused.contains(key), "{refused}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_its_place_and_what_was_expected() {
    let (_dir, path) = file("workers = 'many'\n");
    let cases = [
        (Sources::none().file(&path), "`workers`", "u16"),
        (Sources::none().environment(variables(&[("LANYARD_WORKERS", "70000")])), "`LANYARD_WORKERS`", "u16"),
        (Sources::none().environment(variables(&[("LANYARD_LOG", "3")])), "`LANYARD_LOG`", "it is a table"),
        (
            Sources::none().environment(variables(&[("LANYARD_LOG__FORMAT", "jsn")])),
            "`LANYARD_LOG__FORMAT`",
            "`jsn` is not known; did you mean `json`?",
        ),
        (Sources::none().flags(json!({"sans": "one"})), "the command line", "sequence"),
        // What is within a list stands where the list does.
        (Sources::none().flags(json!({"sans": [[1]]})), "the command line", "string"),
    ];
    for (sources, place, expected) in cases {
        let refused = load::<House>(&sources).unwrap_err();
        assert!(matches!(refused, ConfigError::Value { .. }), "{refused:?}");
        let text = refused.to_string();
        assert!(text.contains(place) && text.contains(expected) && !text.contains('\n'), "{text}");
    }
}

#[test]
fn a_refused_value_is_named_with_what_would_be_right() {
    #[derive(Debug, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Door {
        listen: SocketAddr,
        names: Vec<IpAddr>,
        house: House,
    }
    impl Default for Door {
        fn default() -> Self {
            Self { listen: ([127, 0, 0, 1], 0).into(), names: Vec::new(), house: House::default() }
        }
    }
    let refused = |name: &str, value: &str| {
        let sources = Sources::none().environment(variables(&[(name, value)]));
        load::<Door>(&sources).unwrap_err().to_string()
    };
    let wrong = |name: &str, key: &str, reason: &str| {
        format!("the environment variable `{name}` has a wrong value for `{key}`: {reason}")
    };
    let table =
        "it is a table: write its keys below `[house]` in a file, or LANYARD_HOUSE__KEY in the environment";
    let inner = "it is a table: write its keys below `[house.log]` in a file, or LANYARD_HOUSE__LOG__KEY in the environment";
    let labels = "it is a table: write its keys below `[house.labels]` in a file, or LANYARD_HOUSE__LABELS__KEY in the environment";
    for (name, value, key, reason) in [
        (
            "LANYARD_LISTEN",
            "localhost:0",
            "listen",
            "`localhost:0` is no address: write IP:PORT, such as 127.0.0.1:0",
        ),
        ("LANYARD_LISTEN", "8443", "listen", "found unsigned int `8443`: write IP:PORT, such as 127.0.0.1:0"),
        ("LANYARD_NAMES", "[\"me\"]", "names.0", "`me` is none: write an IP address, such as 127.0.0.1"),
        ("LANYARD_HOUSE", "5", "house", table),
        ("LANYARD_HOUSE", "correct-horse", "house", table),
        ("LANYARD_HOUSE__LOG", "correct-horse", "house.log", inner),
        ("LANYARD_HOUSE__LABELS", "correct-horse", "house.labels", labels),
    ] {
        assert_eq!(refused(name, value), wrong(name, key, reason), "{value}");
    }
    for name in ["LANYARD_", "LANYARD_HOUSE__", "LANYARD___LOG"] {
        let said = refused(name, "1");
        assert!(said.starts_with(&format!("the environment variable `{name}` names no key")), "{said}");
    }
    let long = refused("LANYARD_LISTEN", &"x".repeat(1000));
    assert!(long.len() < 300, "{long}");
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named() {
    let (_dir, path) = file("listen = \n");
    let refused = load::<House>(&Sources::none().file(&path)).unwrap_err();
    assert!(matches!(refused, ConfigError::Syntax { .. }), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains("lanyard.toml") && text.contains("line 1") && !text.contains('\n'), "{text}");
    let missing = load::<House>(&Sources::none().file("no/such.toml")).unwrap_err();
    assert!(matches!(missing, ConfigError::File { .. }) && missing.to_string().contains("no/such.toml"));
}

#[test]
fn what_is_printed_can_be_put_into_a_file_and_shows_no_secret() {
    let mut house = House {
        account: Some("012345678901".to_owned()),
        sans: vec!["a\"b".to_owned(), "tab\there\u{7f}".to_owned()],
        password: Some(ConfigSecret::from("correct-horse".to_owned())),
        ..House::default()
    };
    house.labels.insert("team a/b".to_owned(), "ä\n#".to_owned());
    house.log = Log { filter: "info".to_owned(), format: Format::Json };
    let text = print_config(&house).unwrap();
    assert!(!text.contains("correct-horse") && text.contains("password = \"[redacted]\""), "{text}");
    let (_dir, path) = file(&text);
    // What was a secret is told from one by its name,
    let refused = load::<House>(&Sources::none().file(&path)).unwrap_err().to_string();
    assert!(
        refused.contains("wrong value for `password`: `[redacted]` is what --print-config shows"),
        "{refused}"
    );
    // and comes from elsewhere.
    let environment = variables(&[("LANYARD_PASSWORD", "correct-horse")]);
    let again: House = load(&Sources::none().file(path).environment(environment)).unwrap();
    assert_eq!(print_config(&again).unwrap(), text);
    assert_eq!((again.sans, again.labels), (house.sans, house.labels));
    assert_eq!(again.log.format, Format::Json);
}

#[test]
fn a_password_in_a_url_reaches_neither_an_error_nor_what_is_printed() {
    let house = House { listen: "redis://:correct-horse@h".to_owned(), ..House::default() };
    let text = print_config(&house).unwrap();
    assert!(!text.contains("correct-horse") && text.contains("redis://:[redacted]@h"), "{text}");
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Hut {
        collector: Option<url::Url>,
    }
    for password in ["correct-horse", "correct/horse", "correct#horse", "correct?horse", "correct horse"] {
        let url = format!("https://u:{password}@h:99999");
        let environment = variables(&[("LANYARD_COLLECTOR", url.as_str())]);
        let refused = load::<Hut>(&Sources::none().environment(environment)).unwrap_err().to_string();
        assert!(!refused.contains("horse") && refused.contains("https://u:[redacted]@h:99999"), "{refused}");
    }
}

#[test]
fn a_secret_is_read_from_any_place_and_does_not_reach_an_error() {
    let house = from_environment(&[("LANYARD_PASSWORD", "12345")]).unwrap();
    assert_eq!(house.password.unwrap().expose_secret(), "12345");
    for wrong in [json!(["correct-horse"]), json!({"correct-horse": 1}), json!(4711), json!(true)] {
        let refused =
            load::<House>(&Sources::none().flags(json!({"password": wrong}))).unwrap_err().to_string();
        assert!(refused.contains("`password`: it is a secret"), "{refused}");
        for secret in ["correct-horse", "4711", "true"] {
            assert!(!refused.contains(secret), "{refused}");
        }
    }
    // Without its quotes it is no TOML.
    for text in ["workers = 3\npassword = correct-horse\n", "workers = 3\npassword = 'correct-horse\n"] {
        let (_dir, path) = file(text);
        let refused = load::<House>(&Sources::none().file(&path)).unwrap_err().to_string();
        assert!(!refused.contains("correct-horse") && refused.contains("line 2, column "), "{refused}");
    }
}

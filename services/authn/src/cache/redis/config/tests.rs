use super::*;

fn with(members: serde_json::Value) -> Result<Options, String> {
    let mut all = serde_json::json!({ "url": "redis://localhost" });
    all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let config: RedisConfig = serde_json::from_value(all).unwrap();
    config.options().map_err(|error| error.to_string())
}

#[test]
fn what_breaks_its_rule_is_named_with_the_rule_and_the_next_step() {
    let cases = [
        (serde_json::json!({ "url": "" }), ".url ", "write redis://"),
        (serde_json::json!({ "get_milliseconds": 0 }), ".get_milliseconds: `0`", "use 1 to 1000"),
        (serde_json::json!({ "get_milliseconds": 1001 }), ".get_milliseconds: `1001`", "use 1 to 1000"),
        (serde_json::json!({ "put_milliseconds": 0 }), ".put_milliseconds: `0`", "use 1 to 10000"),
        (serde_json::json!({ "connect_milliseconds": 9 }), ".connect_milliseconds: `9`", "use 10 to"),
        (serde_json::json!({ "in_flight_max": 0 }), ".in_flight_max: `0`", "use 1 to"),
        (serde_json::json!({ "puts_waiting_max": 0 }), ".puts_waiting_max: `0`", "use 1 to"),
        (serde_json::json!({ "failures_max": 0 }), ".failures_max: `0`", "use 1 to"),
        (serde_json::json!({ "pause_milliseconds": 1 }), ".pause_milliseconds: `1`", "use 10 to"),
        (
            serde_json::json!({ "username": "lanyard" }),
            ".username: a user needs a password",
            "give `password`",
        ),
        (
            serde_json::json!({ "password": "x", "password_file": "/x" }),
            ".password: give `password` or `password_file`",
            "one place",
        ),
        (
            serde_json::json!({ "password_file": "/nowhere/password" }),
            ".password_file: `/nowhere/password` cannot be read",
            "give a file",
        ),
        (serde_json::json!({ "ca_file": "/nowhere" }), ".ca_file: the url is one without TLS", "rediss"),
        (
            serde_json::json!({ "url": "rediss://localhost", "ca_file": "/nowhere" }),
            ".ca_file: `/nowhere` cannot be read",
            "give a PEM file",
        ),
        (
            serde_json::json!({ "sentinel": { "password": "x" } }),
            ".sentinel: the url names no Sentinels",
            "redis-sentinel",
        ),
    ];
    for (members, start, words) in cases {
        let error = with(members.clone()).err().unwrap_or_else(|| panic!("{members}"));
        let start = format!("authn.token_cache.redis{start}");
        assert!(error.starts_with(&start) && error.contains(words), "{members}: {error}");
    }
    assert!(serde_json::from_str::<RedisConfig>(r#"{"urll":"redis://localhost"}"#).is_err());
    assert!(serde_json::from_str::<RedisConfig>(r#"{"sentinel":{"user":"x"}}"#).is_err());
}

#[test]
fn the_password_comes_from_the_key_or_the_file_and_is_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let of_file = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let options = with(serde_json::json!({ "username": "lanyard", "password_file": path }))?;
        Ok::<_, String>(options.login.password.unwrap().expose_secret().to_owned())
    };
    for text in ["correct-horse", "correct-horse\n", "correct-horse\r\n"] {
        assert_eq!(of_file(text).as_deref(), Ok("correct-horse"), "{text:?}");
    }
    assert_eq!(of_file("two\nlines\n").as_deref(), Ok("two\nlines"));
    assert!(of_file("\n").unwrap_err().contains("is empty"));
    assert!(of_file(&"x".repeat(5_000)).unwrap_err().contains("is longer than 4096 bytes"));
    let config: RedisConfig = serde_json::from_value(serde_json::json!({
        "url": "redis-sentinel://localhost/main", "password": "correct-horse", "sentinel": { "password": "battery" },
    }))
    .unwrap();
    let options = config.options().unwrap();
    assert_eq!(options.login.password.unwrap().expose_secret(), "correct-horse");
    assert_eq!(options.sentinel_login.password.unwrap().expose_secret(), "battery");
    for printed in [format!("{config:?}"), serde_json::to_string(&config).unwrap()] {
        assert!(!printed.contains("horse") && !printed.contains("battery"), "{printed}");
    }
}

#[test]
fn a_password_in_the_url_is_refused_and_not_repeated() {
    let error = with(serde_json::json!({ "url": "redis://lanyard:correct-horse@localhost" })).err().unwrap();
    assert!(error.contains("`username`") && error.contains("`password`"), "{error}");
    assert!(!error.contains("horse"), "{error}");
}

#[test]
fn the_ca_file_is_taken_whole() {
    let folder = tempfile::tempdir().unwrap();
    let pki = folder.path().join("pki");
    let ca = lanyard_kit::tls::Authority::create(&pki, "test", time::OffsetDateTime::now_utc()).unwrap();
    let options =
        with(serde_json::json!({ "url": "rediss://localhost", "ca_file": ca.root_path() })).unwrap();
    assert_eq!(options.ca_pem.as_deref(), Some(ca.root_pem()));
}

use super::*;

fn issuer(url: &str) -> Result<Issuer, IssuerError> {
    Issuer::new(IssuerOptions::new(url))
}

#[test]
fn an_issuer_is_an_https_url_without_query_fragment_or_user() {
    let long = format!("https://issuer.example/{}", "a".repeat(ISSUER_BYTES_MAX));
    let cases = [
        ("https://issuer.example", Some("https://issuer.example/.well-known/openid-configuration")),
        ("https://issuer.example/", Some("https://issuer.example/.well-known/openid-configuration")),
        (
            "https://keycloak.example/realms/main",
            Some("https://keycloak.example/realms/main/.well-known/openid-configuration"),
        ),
        (
            "https://tenant.auth.example/",
            Some("https://tenant.auth.example/.well-known/openid-configuration"),
        ),
        ("https://127.0.0.1:8443/a/", Some("https://127.0.0.1:8443/a/.well-known/openid-configuration")),
        ("https://issuer.example//", Some("https://issuer.example//.well-known/openid-configuration")),
        ("http://issuer.example", None),
        ("ftp://issuer.example", None),
        ("issuer.example", None),
        ("https://", None),
        ("", None),
        ("https://issuer.example/?tenant=a", None),
        ("https://issuer.example?", None),
        ("https://issuer.example/#a", None),
        ("https://issuer.example#", None),
        ("https://ana@issuer.example", None),
        ("https://ana:secret@issuer.example", None),
        ("https://@issuer.example", None),
        ("https://issuer.example/a b", None),
        (" https://issuer.example", None),
        ("https://issuer.example\n", None),
        ("https:\\\\issuer.example", None),
        ("https://issuer.example\\@evil.example", None),
        ("https://bücher.example", None),
        ("https://issuer.example:99999", None),
        (&long, None),
    ];
    for (url, expected) in cases {
        let found = issuer(url).ok().map(|issuer| issuer.discovery_url().to_string());
        assert_eq!(found.as_deref(), expected, "{url}");
    }
}

#[test]
fn the_issuer_stays_as_it_is_written() {
    for url in ["https://issuer.example/", "https://Issuer.example/%61/../b", "HTTPS://issuer.example:443"] {
        assert_eq!(issuer(url).unwrap().as_str(), url);
    }
}

#[test]
fn a_part_out_of_its_rule_is_named() {
    let good = IssuerOptions::new("https://issuer.example");
    let keys = |change: fn(&mut KeyOptions)| {
        let mut keys = KeyOptions::default();
        change(&mut keys);
        IssuerOptions { keys, ..good.clone() }
    };
    let hosts = |host: &str| IssuerOptions { private_hosts: vec![host.to_owned()], ..good.clone() };
    let bundle = |pem: &str| IssuerOptions { ca_bundle_pem: Some(pem.to_owned()), ..good.clone() };
    let cases = [
        (good.clone(), None),
        (IssuerOptions { algorithms: vec![], ..good.clone() }, Some("no algorithms")),
        (bundle(""), Some("CA bundle")),
        (bundle("-----BEGIN CERTIFICATE-----\nAA"), Some("CA bundle")),
        (hosts("Dex.internal"), None),
        (hosts("10.0.0.1"), None),
        (hosts("[fd00::1]"), None),
        (hosts("dex.internal:5556"), Some("not a host")),
        (hosts("https://dex.internal"), Some("not a host")),
        (hosts("dex.internal/"), Some("not a host")),
        (hosts("ana@dex.internal"), Some("not a host")),
        (hosts("0x7f.1"), Some("not a host")),
        (hosts(""), Some("not a host")),
        (keys(|keys| keys.timeout_milliseconds = 0), Some("timeout_milliseconds")),
        (keys(|keys| keys.refetch_seconds_min = 0), Some("refetch_seconds_min")),
        (keys(|keys| keys.lifetime_seconds_min = 9), Some("lifetime_seconds_min")),
        (keys(|keys| keys.lifetime_seconds = 299), Some("lifetime_seconds ")),
        (keys(|keys| keys.lifetime_seconds_max = 3599), Some("lifetime_seconds ")),
        (keys(|keys| keys.stale_seconds_max = 0), None),
    ];
    for (options, expected) in cases {
        let shown = format!("{options:?}");
        match (Issuer::new(options), expected) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{shown}: {error}"),
            (found, _) => panic!("{shown}: {found:?}"),
        }
    }
}

#[test]
fn a_configuration_is_read_with_defaults_and_without_unknown_keys() {
    let read = |text: &str| serde_json::from_str::<IssuerOptions>(text);
    let url = "https://issuer.example";
    assert_eq!(read(r#"{"issuer_url":"https://issuer.example"}"#).unwrap(), IssuerOptions::new(url));
    let narrow = read(r#"{"issuer_url":"https://issuer.example","algorithms":["ES256"]}"#).unwrap();
    let algorithms = Issuer::new(narrow).unwrap().algorithms();
    assert!(algorithms.contains(Algorithm::Es256) && !algorithms.contains(Algorithm::Rs256));
    for text in [
        "{}",
        r#"{"issuer_url":"https://issuer.example","algoritms":[]}"#,
        r#"{"issuer_url":"https://issuer.example","algorithms":["HS256"]}"#,
        r#"{"issuer_url":"https://issuer.example","algorithms":["none"]}"#,
        r#"{"issuer_url":"https://issuer.example","keys":{"lifetime":1}}"#,
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

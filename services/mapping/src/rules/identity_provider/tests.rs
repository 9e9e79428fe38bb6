use lanyard_api::{ClusterUid, IdentityProviderConfigId};
use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn okta() -> IdentityProviderSettings {
    IdentityProviderSettings {
        name: "okta".to_owned(),
        issuer_url: "https://okta.example".to_owned(),
        client_id: "kubernetes".to_owned(),
        username_claim: None,
        username_prefix: None,
        groups_claim: text("groups"),
        groups_prefix: text("okta:"),
        required_claims: BTreeMap::new(),
        shared_audience: false,
        ca_bundle_pem: None,
        email_verified_may_be_absent: false,
        tags: BTreeMap::new(),
    }
}

#[test]
fn each_rule_of_a_configuration_refuses_with_its_own_code() {
    let with = |change: &dyn Fn(&mut IdentityProviderSettings)| {
        let mut changed = okta();
        change(&mut changed);
        settings(&changed).err().map(|broken| broken.rule)
    };
    let claims = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let (name, issuer) = (Some(Rule::ProviderName), Some(Rule::IssuerUrl));
    let (claim, prefix) = (Some(Rule::ClaimName), Some(Rule::ProviderPrefix));
    let required = Some(Rule::RequiredClaims);
    let cases = [
        (with(&|_| ()), None),
        (with(&|s| s.name = String::new()), name),
        (with(&|s| s.name = "-a".to_owned()), name),
        (with(&|s| s.name = "a/b".to_owned()), name),
        (with(&|s| s.name = "a".repeat(101)), name),
        (with(&|s| s.name = "a".repeat(100)), None),
        (with(&|s| s.issuer_url = "http://okta.example".to_owned()), issuer),
        (with(&|s| s.issuer_url = "https://okta.example?a=b".to_owned()), issuer),
        (with(&|s| s.issuer_url = "https://okta.example#a".to_owned()), issuer),
        (with(&|s| s.issuer_url = "https://ana@okta.example".to_owned()), issuer),
        (with(&|s| s.issuer_url = "okta".to_owned()), issuer),
        (with(&|s| s.ca_bundle_pem = text("no PEM")), Some(Rule::CaBundle)),
        (with(&|s| s.ca_bundle_pem = Some("x".repeat(CA_BUNDLE_BYTES_MAX + 1))), Some(Rule::CaBundle)),
        (with(&|s| s.client_id = String::new()), Some(Rule::ClientId)),
        (with(&|s| s.client_id = "a b".to_owned()), Some(Rule::ClientId)),
        (with(&|s| s.username_claim = text("")), claim),
        (with(&|s| s.username_claim = text("a b")), claim),
        (with(&|s| s.groups_claim = Some("a".repeat(64))), claim),
        (with(&|s| s.groups_claim = text("https://okta.example/groups")), None),
        (with(&|s| s.email_verified_may_be_absent = true), claim),
        (with(&|s| (s.username_claim, s.email_verified_may_be_absent) = (text("email"), true)), None),
        (with(&|s| s.required_claims = claims("hd", "example.com")), None),
        (with(&|s| s.required_claims = claims("hd", "")), required),
        (with(&|s| s.required_claims = claims("", "x")), required),
        (with(&|s| s.required_claims = claims(&"a".repeat(64), "x")), required),
        (with(&|s| s.required_claims = claims("hd", &"x".repeat(254))), required),
        (with(&|s| s.required_claims = (0..21).map(|n| (n.to_string(), "x".to_owned())).collect()), required),
        (with(&|s| s.tags = claims("aws:x", "y")), Some(Rule::Tags)),
        (with(&|s| s.username_prefix = text("-")), None),
        (with(&|s| s.username_prefix = text("okta:")), None),
        (with(&|s| s.groups_prefix = text("")), None),
        (with(&|s| s.groups_prefix = Some("x".repeat(1_026))), prefix),
    ];
    for (nth, (found, expected)) in cases.into_iter().enumerate() {
        assert_eq!(found, expected, "case {nth}");
    }
}

#[test]
fn immunity_10_no_prefix_holds_what_is_reserved() {
    let reserved = ["system:", "oidc:system:", "system:x", "sys", "arn:", "arn:aws:", "a", " x", "x\n"];
    for text in reserved.into_iter().chain(["eks:", "aws:x", "amazon:", "iam:", "lanyard:", "lan"]) {
        let settings = IdentityProviderSettings { username_prefix: Some(text.to_owned()), ..okta() };
        assert_eq!(super::settings(&settings).err().map(|b| b.rule), Some(Rule::ProviderPrefix), "{text:?}");
    }
    for text in ["system:", "x:system:y", "lanyard:", "arn:aws:"] {
        let settings = IdentityProviderSettings { groups_prefix: Some(text.to_owned()), ..okta() };
        assert_eq!(super::settings(&settings).err().map(|b| b.rule), Some(Rule::ProviderPrefix), "{text:?}");
    }
}

fn config(issuer: &str, claim: Option<&str>, prefix: Option<&str>) -> IdentityProviderConfig {
    let settings = IdentityProviderSettings {
        issuer_url: issuer.to_owned(),
        username_claim: claim.map(str::to_owned),
        username_prefix: prefix.map(str::to_owned),
        groups_claim: None,
        ..okta()
    };
    let (id, cluster) = (IdentityProviderConfigId::random(), ClusterUid::random());
    IdentityProviderConfig { id, cluster, settings, created_at: OffsetDateTime::UNIX_EPOCH }
}

#[test]
fn no_two_issuers_of_a_cluster_share_usernames() {
    let cases = [
        (config("https://a.example", None, None), config("https://b.example", None, None), true),
        (config("https://a.example", None, None), config("https://a.example/b", None, None), true),
        (config("https://a.example", None, Some("a:")), config("https://b.example", None, Some("a:")), false),
        (
            config("https://a.example", None, Some("a:")),
            config("https://b.example", None, Some("a:b:")),
            false,
        ),
        (
            config("https://a.example", None, Some("a:b:")),
            config("https://b.example", None, Some("a:")),
            false,
        ),
        (config("https://a.example", Some("email"), None), config("https://b.example", None, None), true),
        (
            config("https://a.example", Some("email"), None),
            config("https://b.example", Some("email"), None),
            false,
        ),
        (
            config("https://a.example", Some("email"), None),
            config("https://b.example", None, Some("-")),
            false,
        ),
    ];
    for (one, other, allowed) in cases {
        let found = beside(&other.settings, [&one]);
        assert_eq!(found.is_ok(), allowed, "{:?} {:?}", one.settings, other.settings);
    }
}

#[test]
fn no_two_issuers_of_a_cluster_share_groups() {
    let giving = |issuer: &str, groups: Option<Option<&str>>| {
        let mut config = config(issuer, None, None);
        config.settings.groups_claim = groups.map(|_| "groups".to_owned());
        config.settings.groups_prefix = groups.flatten().map(str::to_owned);
        config
    };
    let cases = [
        (Some(Some("a:")), Some(Some("b:")), true),
        // Whom the groups of the one without fall to is looked at in each login.
        (Some(Some("a:")), Some(None), true),
        (Some(None), Some(Some("a:")), true),
        // Who gives no groups gives nobody another's.
        (Some(None), None, true),
        (None, Some(None), true),
        (None, None, true),
        (Some(None), Some(None), false),
        (Some(Some("")), Some(Some("-")), false),
        (Some(Some("a:")), Some(Some("a:")), false),
        (Some(Some("a:")), Some(Some("a:b:")), false),
        (Some(Some("a:b:")), Some(Some("a:")), false),
    ];
    for (one, other, allowed) in cases {
        let (one, other) = (giving("https://a.example", one), giving("https://b.example", other));
        let found = beside(&other.settings, [&one]);
        assert_eq!(found.is_ok(), allowed, "{:?} {:?}", one.settings, other.settings);
        if let Err(broken) = found {
            assert_eq!((broken.field, broken.rule), ("groups_prefix", Rule::ProviderPrefix));
            assert!(broken.message.contains("configuration `okta`"), "{}", broken.message);
        }
    }
}

proptest! {
    /// Whatever was allowed side by side: no username of the one is a username of the other, unless one has no prefix.
    #[test]
    fn prefixes_that_stand_side_by_side_keep_usernames_apart(
        one in "[a-c:]{1,4}", other in "[a-c:]{1,4}", name in "[a-c:]{0,4}"
    ) {
        let (one, other) = (config("https://a.example", None, Some(&one)), config("https://b.example", None, Some(&other)));
        let whole = format!("{}{name}", one.settings.username_prefix());
        if beside(&other.settings, [&one]).is_ok() {
            prop_assert!(!whole.starts_with(&*other.settings.username_prefix()));
        }
    }

    #[test]
    fn any_settings_are_judged(name: String, issuer_url: String, client_id: String, prefix: String, claim: String) {
        let settings = IdentityProviderSettings {
            name, issuer_url, client_id,
            username_prefix: Some(prefix.clone()),
            groups_prefix: Some(prefix.clone()),
            username_claim: Some(claim),
            ..okta()
        };
        if super::settings(&settings).is_ok() {
            prop_assert!(!prefix.contains("system:"));
        }
    }
}

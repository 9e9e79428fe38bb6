use std::{collections::BTreeMap, sync::Arc};

use lanyard_api::{
    Authority, ClusterUid, EntryId, IdentityProviderConfigId,
    aws_auth::AwsAuth,
    mapping::{AccessEntry, EntryType, IdentityProviderConfig},
};
use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::snapshot::{Entry, InForce, Parts};

const ISSUER: &str = "https://okta.example";
const BOTH: AuthenticationMode = AuthenticationMode::ApiAndConfigMap;

fn text(text: &str) -> ClaimValue {
    ClaimValue::Text(text.to_owned())
}

fn texts(texts: &[&str]) -> ClaimValue {
    ClaimValue::Texts(texts.iter().map(ToString::to_string).collect())
}

fn config(issuer: &str) -> IdentityProviderConfig {
    let settings = IdentityProviderSettings {
        name: "okta".to_owned(),
        issuer_url: issuer.to_owned(),
        client_id: "kubernetes".to_owned(),
        username_claim: None,
        username_prefix: None,
        groups_claim: Some("groups".to_owned()),
        groups_prefix: Some("okta:".to_owned()),
        required_claims: BTreeMap::new(),
        shared_audience: false,
        ca_bundle_pem: None,
        email_verified_may_be_absent: false,
        tags: BTreeMap::new(),
    };
    let (id, cluster) = (IdentityProviderConfigId(uuid::Uuid::nil()), ClusterUid::random());
    IdentityProviderConfig { id, cluster, settings, created_at: OffsetDateTime::UNIX_EPOCH }
}

fn entry(username: &str) -> AccessEntry {
    AccessEntry {
        id: EntryId::random(),
        cluster: ClusterUid::random(),
        authority: Authority::Local,
        principal_arn: "arn:aws:iam::111122223333:user/root".parse().unwrap(),
        principal_id: None,
        entry_type: EntryType::Standard,
        username: username.to_owned(),
        groups: Vec::new(),
        tags: BTreeMap::new(),
        ends_at: None,
        pin_until: None,
        created_at: OffsetDateTime::UNIX_EPOCH,
        modified_at: OffsetDateTime::UNIX_EPOCH,
    }
}

fn snapshot(configs: Vec<IdentityProviderConfig>) -> ClusterSnapshot {
    beside("cluster-root", None, configs)
}

/// The configurations beside an entry and a line of aws-auth, which give these usernames.
fn beside(by_entry: &str, by_line: Option<&str>, configs: Vec<IdentityProviderConfig>) -> ClusterSnapshot {
    let in_force = |username: &str| {
        let role = "arn:aws:iam::111122223333:role/dev";
        let map = format!("mapRoles: |\n  - rolearn: {role}\n    username: '{username}'\n");
        Arc::new(InForce::compile(1, AwsAuth::check(&map).auth))
    };
    ClusterSnapshot::compile(Parts {
        entries: vec![Arc::new(Entry::compile(entry(by_entry)).unwrap())],
        aws_auth: by_line.map(in_force),
        identity_providers: configs.into_iter().map(Arc::new).collect(),
        ..Parts::default()
    })
}

fn ana(claims: &[(&str, ClaimValue)]) -> OidcIdentity {
    OidcIdentity {
        config: IdentityProviderConfigId(uuid::Uuid::nil()),
        issuer: ISSUER.to_owned(),
        subject: "ana".to_owned(),
        claims: claims.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    }
}

/// `username groups`, or the code.
fn come_to(change: &dyn Fn(&mut IdentityProviderSettings), claims: &[(&str, ClaimValue)]) -> String {
    let mut own = config(ISSUER);
    change(&mut own.settings);
    let mut other = config("https://dex.example");
    other.id = IdentityProviderConfigId::random();
    other.settings.name = "dex".to_owned();
    other.settings.username_prefix = Some("dex:".to_owned());
    other.settings.groups_prefix = Some("dex:".to_owned());
    match badge(BOTH, &snapshot(vec![own, other]), &ana(claims)) {
        Ok(badge) => format!("{} [{}]", badge.username, badge.groups.join(",")),
        Err(refused) => refused.code.to_owned(),
    }
}

#[test]
fn claims_become_username_and_groups_as_kubernetes_has_it() {
    let some = |text: &str| Some(text.to_owned());
    let sub = |value: &str| ("sub", text(value));
    let email = |s: &mut IdentityProviderSettings| s.username_claim = some("email");
    let bare = |s: &mut IdentityProviderSettings| {
        s.username_prefix = some("-");
        s.groups_prefix = None;
    };
    let verified = ("email_verified", ClaimValue::Flag(true));
    let ana_at = ("email", text("ana@example.com"));
    let (names, has) =
        (|claim: &str| ("_claim_names", texts(&[claim])), ("hasgroups", ClaimValue::Flag(true)));
    let roles = |s: &mut IdentityProviderSettings| s.groups_claim = some("roles");
    let cases = [
        (come_to(&|_| (), &[sub("ana")]), "https://okta.example#ana []"),
        // Who is in too many groups is not let in with none of them.
        (come_to(&|_| (), &[sub("ana"), names("groups")]), "claim_distributed"),
        (come_to(&|_| (), &[sub("ana"), has.clone()]), "claim_distributed"),
        (come_to(&|_| (), &[sub("ana"), ("hasgroups", text("true"))]), "https://okta.example#ana []"),
        (come_to(&|_| (), &[sub("ana"), names("sub")]), "https://okta.example#ana []"),
        (come_to(&roles, &[sub("ana"), names("groups"), has.clone()]), "https://okta.example#ana []"),
        (
            come_to(&|_| (), &[sub("ana"), names("groups"), has, ("groups", texts(&["a"]))]),
            "https://okta.example#ana [okta:a]",
        ),
        (
            come_to(&|_| (), &[sub("ana"), ("groups", texts(&["a", "b"]))]),
            "https://okta.example#ana [okta:a,okta:b]",
        ),
        (come_to(&|_| (), &[sub("ana"), ("groups", text("a"))]), "https://okta.example#ana [okta:a]"),
        (
            come_to(&|s| s.groups_claim = None, &[sub("ana"), ("groups", text("a"))]),
            "https://okta.example#ana []",
        ),
        (come_to(&|s| s.username_prefix = some("okta:"), &[sub("ana")]), "okta:ana []"),
        (come_to(&bare, &[sub("ana"), ("groups", texts(&["a"]))]), "ana [a]"),
        (come_to(&email, &[ana_at.clone(), verified.clone()]), "ana@example.com []"),
        (come_to(&|_| (), &[]), "claim_missing"),
        (come_to(&|_| (), &[sub("")]), "claim_missing"),
        (come_to(&|_| (), &[("sub", ClaimValue::Other)]), "claim_type"),
        (come_to(&|_| (), &[("sub", texts(&["ana"]))]), "claim_type"),
        (come_to(&|_| (), &[sub("ana"), ("groups", ClaimValue::Other)]), "claim_type"),
        (come_to(&|_| (), &[sub("ana"), ("groups", texts(&[""]))]), "claim_invalid"),
        (come_to(&|_| (), &[sub("ana"), ("groups", texts(&["a\nb"]))]), "claim_invalid"),
        (come_to(&|_| (), &[sub("ana"), ("groups", texts(&[&"g".repeat(300)]))]), "claim_invalid"),
        (come_to(&bare, &[sub(" ana")]), "claim_invalid"),
        (come_to(&bare, &[sub("a\u{0}b")]), "claim_invalid"),
        // Somebody else's: an access entry's, another issuer's.
        (come_to(&bare, &[sub("cluster-root")]), "template_refused"),
        (come_to(&bare, &[sub("dex:ana")]), "reserved_username"),
        (come_to(&bare, &[sub("ana"), ("groups", texts(&["dex:admins"]))]), "reserved_group"),
    ];
    for (nth, (found, expected)) in cases.iter().enumerate() {
        assert_eq!(found, expected, "case {nth}");
    }
}

#[test]
fn a_username_is_anothers_only_where_what_gives_it_counts() {
    use AuthenticationMode::{Api, ConfigMap};
    let mut own = config(ISSUER);
    own.settings.username_prefix = Some("-".to_owned());
    let snapshot = beside("of-entry", Some("of-line"), vec![own]);
    for (sub, refused_in) in
        [("of-entry", vec![BOTH, Api]), ("of-line", vec![BOTH, ConfigMap]), ("of-nobody", vec![])]
    {
        for mode in [ConfigMap, BOTH, Api] {
            let found = badge(mode, &snapshot, &ana(&[("sub", text(sub))]));
            match refused_in.contains(&mode) {
                true => assert_eq!(found.unwrap_err().code, TEMPLATE_REFUSED, "{sub} {mode:?}"),
                false => assert_eq!(found.unwrap().username, sub, "{mode:?}"),
            }
        }
    }
}

#[test]
fn immunity_44_without_a_prefix_nobody_is_called_as_a_principals_template_can_be() {
    use AuthenticationMode::{Api, ConfigMap};
    let with = |prefix: &str, by_entry: &str, by_line: &str| {
        let mut own = config(ISSUER);
        own.settings.username_prefix = Some(prefix.to_owned());
        beside(by_entry, Some(by_line), vec![own])
    };
    let code = |mode: AuthenticationMode, snapshot: &ClusterSnapshot, sub: &str| {
        badge(mode, snapshot, &ana(&[("sub", text(sub))])).map_or_else(|refused| refused.code, |_| "")
    };
    let apart = with("-", "ops:{{SessionName}}", "dev:{{SessionNameRaw}}");
    for (sub, refused_in) in [
        ("ops:ana", vec![BOTH, Api]),
        ("dev:ana@corp.example", vec![BOTH, ConfigMap]),
        ("ops:ana@corp.example", vec![]),
        ("ops:", vec![]),
        ("ana@corp.example", vec![]),
    ] {
        for mode in [ConfigMap, BOTH, Api] {
            let wanted = if refused_in.contains(&mode) { TEMPLATE_REFUSED } else { "" };
            assert_eq!(code(mode, &apart, sub), wanted, "{sub} {mode:?}");
        }
    }
    // Of one user all is sure, but for the letters that IAM has for what a line writes in others.
    assert_eq!(code(BOTH, &with("-", "{{PrincipalName}}", "x"), "root"), TEMPLATE_REFUSED);
    assert_eq!(code(BOTH, &with("-", "{{PrincipalName}}", "x"), "Root"), TEMPLATE_REFUSED);
    assert_eq!(code(BOTH, &with("-", "x", "{{PrincipalName}}:{{SessionName}}"), "Dev:ana"), TEMPLATE_REFUSED);
    // By a template that could become anybody's no principal logs in meanwhile, so that it keeps out nobody here.
    assert_eq!(code(BOTH, &with("-", "x", "{{SessionNameRaw}}"), "ana@corp.example"), "");
    // Nor does any under a prefix.
    assert_eq!(code(BOTH, &with("ops:", "ops:{{SessionName}}", "x"), "ana"), "");
}

#[test]
fn where_too_many_templates_begin_as_a_name_does_its_login_is_refused() {
    use AuthenticationMode::Api;
    let line = |number: usize| {
        let role = format!("arn:aws:iam::111122223333:role/r{number}");
        format!("  - rolearn: {role}\n    username: 'x:{{{{EC2PrivateDNSName}}}}{number}'\n")
    };
    let lines: String = (0..=LOOKED_AT_MAX).map(line).collect();
    let auth = AwsAuth::check(&format!("mapRoles: |\n{lines}")).auth;
    assert_eq!(auth.lines.len(), LOOKED_AT_MAX + 1);
    let mut own = config(ISSUER);
    own.settings.username_prefix = Some("-".to_owned());
    let snapshot = ClusterSnapshot::compile(Parts {
        aws_auth: Some(Arc::new(InForce::compile(1, auth))),
        identity_providers: vec![Arc::new(own)],
        ..Parts::default()
    });
    let badge_of = |mode: AuthenticationMode, sub: &str| badge(mode, &snapshot, &ana(&[("sub", text(sub))]));
    let refused = badge_of(BOTH, "x:ana").unwrap_err();
    assert_eq!(refused.code, TEMPLATE_REFUSED);
    for part in ["`x:ana`", "more than 64 templates", "use a prefix"] {
        assert!(refused.message.contains(part), "{}", refused.message);
    }
    assert_eq!(badge_of(BOTH, "y:ana").unwrap().username, "y:ana");
    assert_eq!(badge_of(Api, "x:ana").unwrap().username, "x:ana");
}

#[test]
fn immunity_10_what_an_issuer_does_not_stand_by_and_what_is_reserved_is_refused() {
    let some = |text: &str| Some(text.to_owned());
    let bare = |s: &mut IdentityProviderSettings| {
        s.username_prefix = some("-");
        s.groups_prefix = None;
    };
    let email = |may_be_absent: bool| {
        move |s: &mut IdentityProviderSettings| {
            s.username_claim = Some("email".to_owned());
            s.email_verified_may_be_absent = may_be_absent;
        }
    };
    let ana_at = ("email", text("ana@example.com"));
    let verified = |value: ClaimValue| ("email_verified", value);
    let groups = |group: &str| [("sub", text("ana")), ("groups", texts(&["devs", group]))];
    let cases = [
        (come_to(&email(false), std::slice::from_ref(&ana_at)), "email_verified_missing"),
        (come_to(&email(false), &[ana_at.clone(), verified(ClaimValue::Flag(false))]), "email_not_verified"),
        (come_to(&email(true), &[ana_at.clone(), verified(ClaimValue::Flag(false))]), "email_not_verified"),
        (come_to(&email(true), &[ana_at.clone(), verified(text("true"))]), "claim_type"),
        (come_to(&email(true), &[ana_at]), "ana@example.com []"),
        (come_to(&email(true), &[("email", text("ana"))]), "claim_invalid"),
        (come_to(&bare, &groups("system:masters")), "reserved_group"),
        (come_to(&bare, &groups("system:nodes")), "reserved_group"),
        (come_to(&bare, &groups("lanyard:break-glass")), "reserved_group"),
        (come_to(&bare, &[("sub", text("system:admin"))]), "reserved_username"),
        (come_to(&bare, &[("sub", text("lanyard:break-glass:dev"))]), "reserved_username"),
        (
            come_to(&|_| (), &groups("system:masters")),
            "https://okta.example#ana [okta:devs,okta:system:masters]",
        ),
    ];
    for (nth, (found, expected)) in cases.iter().enumerate() {
        assert_eq!(found, expected, "case {nth}");
    }
}

#[test]
fn immunity_31_a_username_never_looks_like_an_arn() {
    let bare = |s: &mut IdentityProviderSettings| s.username_prefix = Some("-".to_owned());
    for name in
        ["arn:aws:iam::111122223333:user/root", "arn:aws:sts::111122223333:assumed-role/dev/ana", "arn:x"]
    {
        assert_eq!(come_to(&bare, &[("sub", text(name))]), "reserved_username", "{name}");
    }
}

#[test]
fn required_claims_are_text_and_equal() {
    let required = |s: &mut IdentityProviderSettings| {
        s.required_claims = BTreeMap::from([("hd".to_owned(), "example.com".to_owned())]);
    };
    let with = |value: Option<ClaimValue>| {
        let mut claims = vec![("sub", text("ana"))];
        claims.extend(value.map(|value| ("hd", value)));
        come_to(&required, &claims)
    };
    assert_eq!(with(Some(text("example.com"))), "https://okta.example#ana []");
    assert_eq!(with(Some(text("Example.com"))), "required_claim");
    assert_eq!(with(Some(texts(&["example.com"]))), "claim_type");
    assert_eq!(with(None), "claim_missing");
}

#[test]
fn immunity_39_another_configuration_than_the_one_that_proved_it_is_none() {
    let claims = [("sub", text("ana"))];
    let mut made_anew = config(ISSUER);
    made_anew.id = IdentityProviderConfigId::random();
    for configs in [vec![], vec![config("https://dex.example")], vec![made_anew]] {
        let refused = badge(BOTH, &snapshot(configs), &ana(&claims)).unwrap_err();
        assert_eq!(refused.code, PROVIDER_GONE);
    }
}

proptest! {
    /// Whatever claims say, nobody gets a reserved name or group, nor one of another issuer.
    #[test]
    fn no_claims_become_what_is_reserved(
        sub in "(system:|arn:|dex:|lanyard:|a|)[a-z:]{0,6}",
        groups in proptest::collection::vec("(system:|lanyard:|dex:|a|)[a-z:]{0,6}", 0..4),
        prefix in proptest::option::of("[a-z:-]{0,3}"),
    ) {
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let claims = [("sub", text(&sub)), ("groups", texts(&groups))];
        let bare = |s: &mut IdentityProviderSettings| {
            s.username_prefix = prefix.clone().or(Some("-".to_owned()));
            s.groups_prefix = prefix.clone();
        };
        let found = come_to(&bare, &claims);
        if let Some((name, groups)) = found.split_once(" [") {
            for reserved in ["system:", "arn:", "lanyard:"] {
                prop_assert!(!name.starts_with(reserved), "{}", found);
            }
            prop_assert!(name != "cluster-root");
            for group in groups.trim_end_matches(']').split(',') {
                prop_assert!(!group.starts_with("system:") && !group.starts_with("lanyard:"), "{}", found);
            }
        }
    }
}

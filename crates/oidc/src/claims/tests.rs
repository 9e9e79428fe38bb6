use super::*;
use proptest::prelude::*;
use serde_json::json;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
const ISSUER: &str = "https://issuer.example/a";

fn now_seconds() -> i64 {
    NOW.unix_timestamp()
}

/// Claims that are in order, with these in place of or beside them; `null` takes one away.
fn members(changes: Value) -> Map<String, Value> {
    let mut members = json!({
        "iss": ISSUER, "sub": "ana", "aud": "kubernetes", "exp": now_seconds() + 600, "iat": now_seconds(),
    });
    let all = members.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    std::mem::take(all)
}

fn judge(changes: Value) -> Result<Claims, JwtRefusal> {
    Claims::judge(members(changes), ISSUER, &["kubernetes", "sts.example"], NOW)
}

fn code(changes: &Value) -> &'static str {
    judge(changes.clone()).map_or_else(|refusal| refusal.code(), |_| "ok")
}

#[test]
fn the_claims_of_every_id_token_are_held_to_their_rules() {
    let now = now_seconds();
    let cases = [
        (json!({}), "ok"),
        (json!({"iss": null}), "claim_missing"),
        (json!({"iss": ["https://issuer.example/a"]}), "claim_type"),
        (json!({"iss": "https://issuer.example/a/"}), "issuer"),
        (json!({"iss": "https://ISSUER.example/a"}), "issuer"),
        (json!({"iss": "https://issuer.example/%61"}), "issuer"),
        (json!({"iss": ""}), "issuer"),
        (json!({"aud": "sts.example"}), "ok"),
        (json!({"aud": ["other", "kubernetes"]}), "ok"),
        (json!({"aud": 7}), "claim_type"),
        (json!({"aud": {"kubernetes": true}}), "claim_type"),
        (json!({"aud": ["kubernetes", 7]}), "claim_type"),
        (json!({"aud": ["other"]}), "audience"),
        (json!({"aud": "kubernetes "}), "audience"),
        (json!({"aud": "Kubernetes"}), "audience"),
        (json!({"aud": ["kubernetes"], "azp": "android"}), "ok"),
        (json!({"aud": ["kubernetes", "other"], "azp": "kubernetes"}), "ok"),
        (json!({"aud": ["kubernetes", "other"], "azp": "sts.example"}), "ok"),
        (json!({"aud": ["kubernetes", "other"], "azp": "other"}), "authorized_party"),
        (json!({"aud": ["kubernetes", "other"], "azp": ["kubernetes"]}), "claim_type"),
        (json!({"exp": null}), "claim_missing"),
        (json!({"exp": now + 1}), "ok"),
        (json!({"exp": now}), "token_expired"),
        (json!({"exp": now - 1}), "token_expired"),
        (json!({"exp": 0}), "token_expired"),
        (json!({"exp": now as f64 + 1.5}), "ok"),
        (json!({"exp": now as f64 + 0.5}), "token_expired"),
        (json!({"exp": (now + 600).to_string()}), "claim_date"),
        (json!({"exp": -1}), "claim_date"),
        (json!({"exp": -1.5}), "claim_date"),
        (json!({"exp": true}), "claim_date"),
        (json!({"exp": 253_402_300_799_i64}), "ok"),
        (json!({"exp": 253_402_300_800_i64}), "claim_date"),
        (json!({"exp": 253_402_300_800.0}), "claim_date"),
        (json!({"exp": u64::MAX}), "claim_date"),
        (json!({"exp": 1e300}), "claim_date"),
        (json!({"nbf": now + 60}), "ok"),
        (json!({"nbf": now + 61}), "token_not_yet_valid"),
        (json!({"nbf": now - 86_400}), "ok"),
        (json!({"nbf": "soon"}), "claim_date"),
        (json!({"iat": null}), "ok"),
        (json!({"iat": now + 60}), "ok"),
        (json!({"iat": now + 61}), "token_from_future"),
        (json!({"iat": -5}), "claim_date"),
        (json!({"sub": null}), "claim_missing"),
        (json!({"sub": 7}), "claim_type"),
        (json!({"sub": ""}), "subject"),
        (json!({"sub": "a".repeat(255)}), "ok"),
        (json!({"sub": "a".repeat(256)}), "subject"),
        (json!({"sub": "repo:octo-org/octo-repo:environment:Blue Sky"}), "ok"),
        (json!({"sub": "José"}), "subject"),
        (json!({"sub": "ana\n"}), "subject"),
        (json!({"sub": "ana\u{7f}"}), "subject"),
    ];
    for (changes, expected) in cases {
        assert_eq!(code(&changes), expected, "{changes}");
    }
}

#[test]
fn immunity_10_a_token_that_is_for_nobody_here_is_refused() {
    let cases = [
        (json!({"aud": null}), "claim_missing"),
        (json!({"aud": []}), "audience"),
        (json!({"aud": ""}), "audience"),
        (json!({"aud": ["", "*"]}), "audience"),
    ];
    for (changes, expected) in cases {
        assert_eq!(code(&changes), expected, "{changes}");
    }
    let expected_by_nobody: [&str; 0] = [];
    let refusal = Claims::judge(members(json!({})), ISSUER, &expected_by_nobody, NOW).unwrap_err();
    assert_eq!(refusal.code(), "audience", "where nothing is expected, everything is refused");
    let refusal = Claims::judge(members(json!({"aud": ""})), ISSUER, &[""], NOW).unwrap_err();
    assert_eq!(refusal.code(), "audience", "an empty audience is nobody's, even if it is expected");
}

#[test]
fn null_is_no_claim() {
    let mut nulls = members(json!({}));
    nulls.insert("nbf".to_owned(), Value::Null);
    nulls.insert("groups".to_owned(), Value::Null);
    let claims = Claims::judge(nulls.clone(), ISSUER, &["kubernetes"], NOW).unwrap();
    assert_eq!((claims.not_before(), claims.texts("groups")), (None, Ok(None)));
    nulls.insert("exp".to_owned(), Value::Null);
    let refusal = Claims::judge(nulls, ISSUER, &["kubernetes"], NOW).unwrap_err();
    assert_eq!(refusal, JwtRefusal::ClaimMissing("exp".to_owned()));
}

#[test]
fn so_many_audiences_and_no_more() {
    let list = |count: usize| json!({"aud": vec!["kubernetes"; count]});
    assert_eq!(code(&list(AUDIENCES_MAX)), "ok");
    assert_eq!(code(&list(AUDIENCES_MAX + 1)), "too_many_audiences");
}

#[test]
fn what_is_told_is_what_the_token_says() {
    let now = now_seconds();
    let claims =
        judge(json!({"aud": ["kubernetes", "other"], "nbf": now, "exp": now as f64 + 9.9, "iat": now - 3}))
            .unwrap();
    assert_eq!((claims.issuer(), claims.subject()), (ISSUER, "ana"));
    assert_eq!(claims.audiences(), ["kubernetes", "other"]);
    assert_eq!(claims.expires_at(), NOW + Duration::seconds(9));
    assert_eq!(claims.not_before(), Some(NOW));
    assert_eq!(claims.issued_at(), Some(NOW - Duration::seconds(3)));
}

#[test]
fn claims_do_not_print_what_they_say_about_a_person() {
    let claims = judge(json!({"email": "ana@example.com"})).unwrap();
    let shown = format!("{claims:?}");
    assert!(shown.contains("email") && !shown.contains("ana@example.com"), "{shown}");
}

#[test]
fn a_claim_is_read_as_its_own_type_alone() {
    let long = "a".repeat(CLAIM_BYTES_MAX + 1);
    let claims = judge(json!({
        "name": "Ana", "groups": ["a", "b"], "none": [], "mixed": ["a", 1], "yes": true, "yes_text": "true",
        "number": 7, "long": long, "longs": [long], "fits": "a".repeat(CLAIM_BYTES_MAX),
        "realm_access": {"roles": ["admin"]}, "https://issuer.example/groups": "one",
    }))
    .unwrap();
    let code = |result: Result<(), JwtRefusal>| result.map_or_else(|refusal| refusal.code(), |()| "ok");
    assert_eq!(claims.text("name"), Ok(Some("Ana")));
    assert_eq!(claims.text("absent"), Ok(None));
    assert_eq!(claims.text("realm_access.roles"), Ok(None), "names are names, not paths");
    assert_eq!(claims.texts("groups"), Ok(Some(vec!["a", "b"])));
    assert_eq!(claims.texts("name"), Ok(Some(vec!["Ana"])));
    assert_eq!(claims.texts("none"), Ok(Some(vec![])));
    assert_eq!(claims.texts("https://issuer.example/groups"), Ok(Some(vec!["one"])));
    assert_eq!(claims.flag("yes"), Ok(Some(true)));
    assert_eq!(claims.flag("absent"), Ok(None));
    assert!(claims.text("fits").is_ok());
    for name in ["number", "yes", "groups", "realm_access"] {
        assert_eq!(code(claims.text(name).map(drop)), "claim_type", "{name}");
    }
    for name in ["number", "yes", "mixed", "realm_access"] {
        assert_eq!(code(claims.texts(name).map(drop)), "claim_type", "{name}");
    }
    for name in ["yes_text", "number", "groups"] {
        assert_eq!(code(claims.flag(name).map(drop)), "claim_type", "{name}");
    }
    assert_eq!(code(claims.text("long").map(drop)), "claim_too_long");
    assert_eq!(code(claims.texts("longs").map(drop)), "claim_too_long");
}

#[test]
fn immunity_10_an_email_counts_only_as_far_as_the_issuer_stands_by_it() {
    use EmailVerified::{MayBeAbsent, Required};
    let ana = "ana@example.com";
    let cases = [
        (json!({"email": ana, "email_verified": true}), Required, "ok"),
        (json!({"email": ana, "email_verified": true}), MayBeAbsent, "ok"),
        (json!({"email": ana, "email_verified": false}), Required, "email_not_verified"),
        (json!({"email": ana, "email_verified": false}), MayBeAbsent, "email_not_verified"),
        (json!({"email": ana}), Required, "email_verified_missing"),
        (json!({"email": ana}), MayBeAbsent, "ok"),
        (json!({"email": ana, "email_verified": "true"}), Required, "claim_type"),
        (json!({"email": ana, "email_verified": "false"}), MayBeAbsent, "claim_type"),
        (json!({"email": ana, "email_verified": 1}), MayBeAbsent, "claim_type"),
        (json!({"email_verified": true}), Required, "claim_missing"),
        (json!({"email": "", "email_verified": true}), Required, "claim_missing"),
        (json!({"email": [ana], "email_verified": true}), Required, "claim_type"),
    ];
    for (changes, rule, expected) in cases {
        let claims = judge(changes.clone()).unwrap();
        let found = claims.email(rule).map_or_else(|refusal| refusal.code(), |_| "ok");
        assert_eq!(found, expected, "{changes} {rule:?}");
    }
}

#[test]
fn a_required_claim_is_text_and_equal() {
    let claims = judge(json!({"hd": "example.com", "tenant": 7, "roles": ["admin"], "nothing": ""})).unwrap();
    let cases = [
        ("hd", "example.com", "ok"),
        ("nothing", "", "ok"),
        ("hd", "example.com.evil", "required_claim"),
        ("hd", "Example.com", "required_claim"),
        ("hd", "", "required_claim"),
        ("absent", "", "claim_missing"),
        ("tenant", "7", "claim_type"),
        ("roles", "admin", "claim_type"),
    ];
    for (name, value, expected) in cases {
        let found = claims.require(name, value).map_or_else(|refusal| refusal.code(), |()| "ok");
        assert_eq!(found, expected, "{name} {value}");
    }
}

proptest! {
    #[test]
    fn a_token_is_good_from_its_beginning_to_its_end_and_never_else(nbf in -200_i64..200, life in -200_i64..200) {
        let now = now_seconds();
        let claims = json!({"nbf": now + nbf, "exp": now + life});
        let expected = nbf <= CLOCK_LEEWAY.whole_seconds() && life > 0;
        prop_assert_eq!(judge(claims).is_ok(), expected);
    }

    #[test]
    fn any_number_is_a_date_or_refused(number in any::<f64>()) {
        let refused = judge(json!({"exp": number})).map_or_else(|refusal| refusal.code(), |_| "ok");
        let finite = number.is_finite();
        let date = finite && (0.0..253_402_300_800.0).contains(&number);
        // What is not finite is `null` in JSON, and so no claim.
        let expected: &[&str] = match (finite, date) {
            (false, _) => &["claim_missing"],
            (_, false) => &["claim_date"],
            _ => &["ok", "token_expired"],
        };
        prop_assert!(expected.contains(&refused), "{} {}", number, refused);
    }
}

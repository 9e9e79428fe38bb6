use super::*;
use crate::stand_in::encode;
use proptest::prelude::*;
use serde_json::json;

fn token(header: &str, payload: &str) -> String {
    format!("{}.{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()), encode(b"signature"))
}

fn code(raw: &str) -> &'static str {
    Jwt::parse(raw).map_or_else(|refusal| refusal.code(), |_| "ok")
}

#[test]
fn a_header_is_held_to_its_rules() {
    let kid = |length: usize| format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(length));
    let (longest, too_long) = (kid(KID_BYTES_MAX), kid(KID_BYTES_MAX + 1));
    let cases = [
        (r#"{"alg":"RS256"}"#, "ok"),
        (r#"{"alg":"EdDSA","kid":"a","typ":"JWT","x5t":"b","unknown":{"a":[1]}}"#, "ok"),
        (r#"{"alg":"ES512","typ":"jwt"}"#, "ok"),
        (r#"{"alg":"PS384","typ":"application/JWT"}"#, "ok"),
        (r#"{"typ":"JWT"}"#, "jwt_algorithm_missing"),
        (r#"{"alg":null}"#, "jwt_algorithm_missing"),
        (r#"{"alg":["RS256"]}"#, "jwt_algorithm_missing"),
        (r#"{"alg":"rs256"}"#, "jwt_algorithm_unknown"),
        (r#"{"alg":""}"#, "jwt_algorithm_unknown"),
        (r#"{"alg":"ES256K"}"#, "jwt_algorithm_unknown"),
        (r#"{"alg":"RSA-OAEP"}"#, "jwt_algorithm_unknown"),
        (r#"{"alg":"RS256","crit":["exp"],"exp":1}"#, "jwt_critical"),
        (r#"{"alg":"RS256","crit":[]}"#, "jwt_critical"),
        (r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, "jwt_critical"),
        (r#"{"alg":"RS256","typ":"at+jwt"}"#, "jwt_type"),
        (r#"{"alg":"RS256","typ":"logout+jwt"}"#, "jwt_type"),
        (r#"{"alg":"RS256","typ":""}"#, "jwt_type"),
        (r#"{"alg":"RS256","typ":7}"#, "jwt_type"),
        (r#"{"alg":"RS256","kid":7}"#, "jwt_key_id"),
        (r#"{"alg":"RS256","kid":null}"#, "jwt_key_id"),
        (r#"{"alg":"RS256","kid":""}"#, "jwt_key_id"),
        (&longest, "ok"),
        (&too_long, "jwt_key_id"),
        (r#"{"alg":"none","alg":"RS256"}"#, "jwt_duplicate_member"),
        (r#"{"alg":"RS256","\u0061lg":"none"}"#, "jwt_duplicate_member"),
        (r#"{"alg":"RS256","jwk":{"kty":"RSA","kty":"oct"}}"#, "jwt_duplicate_member"),
        (r#"{"alg":"RS256","a":[[[[]]]]}"#, "jwt_too_much"),
        (r#"["RS256"]"#, "jwt_json"),
        (r#"{"alg":"RS256"}{}"#, "jwt_json"),
        (r#"{"alg":"RS256""#, "jwt_json"),
        ("", "jwt_json"),
    ];
    for (header, expected) in cases {
        assert_eq!(code(&token(header, "{}")), expected, "{header}");
    }
}

#[test]
fn immunity_10_what_others_than_the_issuer_can_sign_is_refused_by_its_own_name() {
    let cases = [
        ("none", "jwt_unsigned"),
        ("None", "jwt_unsigned"),
        ("NONE", "jwt_unsigned"),
        ("nOnE", "jwt_unsigned"),
        ("HS256", "jwt_symmetric"),
        ("HS384", "jwt_symmetric"),
        ("HS512", "jwt_symmetric"),
    ];
    for (name, expected) in cases {
        let header = json!({ "alg": name }).to_string();
        assert_eq!(code(&token(&header, "{}")), expected, "{name}");
        let unsigned = format!("{}.{}.", encode(header.as_bytes()), encode(b"{}"));
        assert_eq!(code(&unsigned), expected, "{name} with nothing after the last dot");
    }
}

#[test]
fn a_token_is_three_parts_of_strict_base64url() {
    let good = token(r#"{"alg":"RS256"}"#, r#"{"sub":"a"}"#);
    assert_eq!(code(&good), "ok");
    let (header, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let cases = [
        (String::new(), "jwt_parts"),
        (".".to_owned(), "jwt_parts"),
        ("..".to_owned(), "jwt_json"),
        (format!("{header}.{payload}"), "jwt_parts"),
        (format!("{good}.{signature}"), "jwt_parts"),
        (format!("{good}.{signature}.{signature}"), "jwt_parts"),
        (format!("{header}=.{payload}.{signature}"), "jwt_encoding"),
        (format!("{header}.{payload}==.{signature}"), "jwt_encoding"),
        (format!("{good}="), "jwt_encoding"),
        (format!("{good}\n"), "jwt_encoding"),
        (format!(" {good}"), "jwt_encoding"),
        (format!("{header}.{payload}.a+/a"), "jwt_encoding"),
        (format!("{header}.{payload}.é"), "jwt_encoding"),
        // The last character of two has four bits that mean nothing, and have to be zero: one token, one spelling.
        (format!("{header}.{payload}.AA"), "ok"),
        (format!("{header}.{payload}.AB"), "jwt_encoding"),
        (format!("{header}.{payload}."), "ok"),
    ];
    for (raw, expected) in cases {
        assert_eq!(code(&raw), expected, "{raw}");
    }
}

#[test]
fn a_payload_is_one_object_without_doubles_or_depth() {
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let (fits, deep) = (nested(8), nested(9));
    let list = |length: usize| format!(r#"{{"groups":[{}]}}"#, vec!["1"; length].join(","));
    let (long, too_long) = (list(1_000), list(1_001));
    let cases = [
        ("{}", "ok"),
        (r#"{"sub":"a","sub":"b"}"#, "jwt_duplicate_member"),
        (r#"{"a":{"sub":1,"sub":2}}"#, "jwt_duplicate_member"),
        (&fits, "ok"),
        (&deep, "jwt_too_much"),
        (&long, "ok"),
        (&too_long, "jwt_too_much"),
        ("[]", "jwt_json"),
        ("null", "jwt_json"),
        (r#""text""#, "jwt_json"),
    ];
    for (payload, expected) in cases {
        assert_eq!(code(&token(r#"{"alg":"RS256"}"#, payload)), expected, "{payload}");
    }
}

#[test]
fn lengths_have_a_limit() {
    let with = |length: usize| "a".repeat(length);
    assert_eq!(code(&with(TOKEN_BYTES_MAX + 1)), "jwt_too_long");
    assert_eq!(code(&with(TOKEN_BYTES_MAX)), "jwt_parts");
    assert_eq!(code(&format!("{}..", with(HEADER_BYTES_MAX + 1))), "jwt_header_too_long");
    assert_eq!(code(&format!("{}..", with(HEADER_BYTES_MAX))), "jwt_json");
}

#[test]
fn a_token_can_be_told_from_other_kinds() {
    let cases = [
        (token(r#"{"alg":"RS256"}"#, "{}"), true),
        (token("{ \"alg\":1}", "{}"), true),
        (token("{\n\"alg\":1}", "{}"), true),
        ("k8s-aws-v1.aHR0cHM".to_owned(), false),
        ("abcdef.0123456789abcdef".to_owned(), false),
        ("eyJ.a".to_owned(), false),
        ("eyJ.a.b.c.d".to_owned(), false),
        (String::new(), false),
    ];
    for (raw, expected) in cases {
        assert_eq!(looks_like_jwt(&raw), expected, "{raw}");
    }
}

#[test]
fn what_is_told_before_verifying_is_the_header_and_whom_to_ask() {
    let raw = token(r#"{"alg":"ES256","kid":"k1"}"#, r#"{"iss":"https://issuer.example","sub":"ana"}"#);
    let jwt = Jwt::parse(&raw).unwrap();
    assert_eq!(jwt.header(), &JwtHeader { algorithm: Algorithm::Es256, kid: Some("k1".to_owned()) });
    assert_eq!(jwt.unverified_issuer(), Some("https://issuer.example"));
    let nobody = token(r#"{"alg":"ES256"}"#, r#"{"iss":7}"#);
    assert_eq!(Jwt::parse(&nobody).unwrap().unverified_issuer(), None);
    let shown = format!("{jwt:?}");
    let secret = raw.split('.').nth(1).unwrap();
    assert!(!shown.contains("ana") && !shown.contains(secret), "{shown}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_in_one_bounded_line(raw in "\\PC{0,64}|[A-Za-z0-9_.-]{0,256}") {
        if let Err(refusal) = Jwt::parse(&raw) {
            let message = refusal.to_string();
            prop_assert!(message.len() < 512 && !message.contains(char::is_control), "{}", message);
        }
    }

    #[test]
    fn any_header_is_read_or_refused_without_showing_more_than_its_beginning(
        alg in "\\PC{0,200}", kid in "\\PC{0,300}", typ in prop::option::of("\\PC{0,200}"),
    ) {
        let header = json!({"alg": alg, "kid": kid, "typ": typ});
        let raw = token(&header.to_string(), "{}");
        match Jwt::parse(&raw) {
            Ok(jwt) => prop_assert_eq!(jwt.header().kid.as_deref(), Some(kid.as_str())),
            Err(refusal) => {
                let message = refusal.to_string();
                prop_assert!(message.chars().count() < 1024 && !message.contains(char::is_control), "{}", message);
                prop_assert!(!message.contains(&raw));
            }
        }
    }

    #[test]
    fn a_good_token_reads_as_it_was_written(kid in "[ -~]{1,64}", sub in "\\PC{0,64}") {
        let kid = kid.replace(['"', '\\'], "_");
        let raw = token(&json!({"alg": "PS256", "kid": kid}).to_string(), &json!({"sub": sub}).to_string());
        let jwt = Jwt::parse(&raw).unwrap();
        prop_assert_eq!(jwt.header().kid.as_deref(), Some(kid.as_str()));
        prop_assert_eq!(jwt.members.get("sub"), Some(&json!(sub)));
        prop_assert_eq!(jwt.signed.input, raw.rsplit_once('.').unwrap().0);
        prop_assert_eq!(jwt.signed.signature.as_slice(), b"signature");
    }
}

#[test]
fn the_issuer_of_a_token_that_is_out_of_order_is_found_to_refuse_it_by_name() {
    let part = |text: &str| encode(text.as_bytes());
    let of = |header: &str, payload: &str| format!("{}.{}.", part(header), part(payload));
    let payload = r#"{"iss":"https://issuer.example"}"#;
    let found = |raw: &str| unverified_issuer(raw);
    let issuer = Some("https://issuer.example".to_owned());
    assert_eq!(found(&of(r#"{"alg":"none"}"#, payload)), issuer);
    assert_eq!(found(&of("no JSON", payload)), issuer);
    assert_eq!(found(&of("{}", r#"{"iss":7}"#)), None);
    assert_eq!(found(&of("{}", r#"{"iss":"a","iss":"b"}"#)), None, "two readers would see two issuers");
    for none in
        ["", ".", "..", "a.b", "ey.ey.ey", &format!("{}{}", of("{}", payload), "x".repeat(PEEKED_BYTES_MAX))]
    {
        assert_eq!(found(none), None);
    }
}

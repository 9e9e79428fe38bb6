use super::*;
use crate::jwt::JwtHeader;
use crate::stand_in::{SigningKey, encode};
use crate::test_keys::key;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::json;

fn set(keys: &[Value]) -> Jwks {
    Jwks::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

/// The key with these members in place of, or beside, its own; `null` takes one away.
fn changed(key: &SigningKey, changes: &Value) -> Value {
    let mut jwk = key.jwk();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            jwk.as_object_mut().unwrap().remove(name);
        } else {
            jwk[name] = value.clone();
        }
    }
    jwk
}

fn signed<'t>(algorithm: Algorithm, kid: Option<&str>, input: &'t str, signature: Vec<u8>) -> Signed<'t> {
    let header = JwtHeader { algorithm, kid: kid.map(str::to_owned) };
    Signed { header, input, signature }
}

fn code(keys: &Jwks, signed: &Signed<'_>) -> &'static str {
    keys.verify(signed).map_or_else(|refusal| refusal.code(), |()| "ok")
}

#[test]
fn a_document_is_a_key_set_or_refused_with_the_reason() {
    let list = |count: usize| format!(r#"{{"keys":[{}]}}"#, vec!["{}"; count].join(","));
    let cases = [
        (r#"{"keys":[]}"#.to_owned(), None),
        (r#"{"keys":[],"more":{"a":1}}"#.to_owned(), None),
        (list(KEYS_MAX), None),
        (list(KEYS_MAX + 1), Some(JwksError::TooManyKeys)),
        (list(80_000), Some(JwksError::TooManyKeys)),
        (list(100_000), Some(JwksError::TooLong(300_010))),
        ("{}".to_owned(), Some(JwksError::NoKeys)),
        (r#"{"keys":{}}"#.to_owned(), Some(JwksError::NoKeys)),
        (r#"{"keys":null}"#.to_owned(), Some(JwksError::NoKeys)),
        (r#"{"keys":[],"keys":[]}"#.to_owned(), Some(JwksError::DuplicateMember("keys".to_owned()))),
        (r#"{"keys":[{"kid":1,"kid":2}]}"#.to_owned(), Some(JwksError::DuplicateMember("kid".to_owned()))),
        (r#"{"keys":[[[[[[[]]]]]]]}"#.to_owned(), Some(JwksError::Json)),
        (r#"{"keys":["#.to_owned(), Some(JwksError::Json)),
        ("[]".to_owned(), Some(JwksError::Json)),
        ("<html>".to_owned(), Some(JwksError::Json)),
        (String::new(), Some(JwksError::Json)),
    ];
    for (document, expected) in cases {
        let shown = document.get(..40).unwrap_or(&document);
        assert_eq!(Jwks::parse(document.as_bytes()).err(), expected, "{shown}");
    }
}

#[test]
fn a_key_that_cannot_verify_is_left_out_and_the_rest_is_used() {
    let (rsa, ec, ed) = (key(Algorithm::Rs256, "r"), key(Algorithm::Es256, "e"), key(Algorithm::EdDsa, "d"));
    let modulus = |bytes: usize| {
        let mut modulus = vec![0x01; bytes];
        modulus[0] = 0x80;
        json!({ "n": encode(&modulus) })
    };
    let n = URL_SAFE_NO_PAD.decode(rsa.jwk()["n"].as_str().unwrap()).unwrap();
    let padded = encode(&[&[0], n.as_slice()].concat());
    let zeros = |count: usize| encode(&vec![0; count]);
    let cases = [
        (changed(&rsa, &json!({})), None),
        (changed(&rsa, &json!({"alg": null, "use": null, "kid": null})), None),
        (changed(&rsa, &json!({"n": padded})), None),
        (changed(&rsa, &json!({"key_ops": ["verify", "sign"]})), None),
        (changed(&rsa, &json!({"x5c": ["MIIB"], "x5t": "a", "issuer": "b"})), None),
        (changed(&rsa, &json!({"kty": null})), Some(SkipReason::KeyType)),
        (changed(&rsa, &json!({"kty": "rsa"})), Some(SkipReason::KeyType)),
        (changed(&rsa, &json!({"kty": "AKP"})), Some(SkipReason::KeyType)),
        (json!("key"), Some(SkipReason::KeyType)),
        (json!({"kty": "oct", "k": "c2VjcmV0"}), Some(SkipReason::Private)),
        (changed(&rsa, &json!({"d": "AQAB"})), Some(SkipReason::Private)),
        (changed(&rsa, &json!({"p": "AQAB"})), Some(SkipReason::Private)),
        (changed(&ec, &json!({"d": "AQAB"})), Some(SkipReason::Private)),
        (changed(&rsa, &json!({"use": "enc"})), Some(SkipReason::Use)),
        (changed(&rsa, &json!({"use": 7})), Some(SkipReason::Use)),
        (changed(&rsa, &json!({"key_ops": ["encrypt"]})), Some(SkipReason::KeyOps)),
        (changed(&rsa, &json!({"key_ops": []})), Some(SkipReason::KeyOps)),
        (changed(&rsa, &json!({"key_ops": "verify"})), Some(SkipReason::KeyOps)),
        (changed(&rsa, &json!({"alg": "RSA-OAEP"})), Some(SkipReason::Algorithm)),
        (changed(&rsa, &json!({"alg": "HS256"})), Some(SkipReason::Algorithm)),
        (changed(&rsa, &json!({"alg": 7})), Some(SkipReason::Algorithm)),
        (changed(&rsa, &json!({"alg": "ES256"})), Some(SkipReason::AlgorithmOfOtherType)),
        (changed(&ec, &json!({"alg": "RS256"})), Some(SkipReason::AlgorithmOfOtherType)),
        (changed(&ec, &json!({"alg": "ES384"})), Some(SkipReason::AlgorithmOfOtherType)),
        (changed(&ed, &json!({"alg": "ES256"})), Some(SkipReason::AlgorithmOfOtherType)),
        (changed(&rsa, &json!({"kid": 7})), Some(SkipReason::KeyId)),
        (changed(&rsa, &json!({"kid": ""})), Some(SkipReason::KeyId)),
        (changed(&rsa, &modulus(255)), Some(SkipReason::TooShort)),
        (changed(&rsa, &modulus(128)), Some(SkipReason::TooShort)),
        (changed(&rsa, &json!({"n": ""})), Some(SkipReason::TooShort)),
        (changed(&rsa, &modulus(1025)), Some(SkipReason::TooLong)),
        (changed(&rsa, &json!({"n": null})), Some(SkipReason::Malformed)),
        (changed(&rsa, &json!({"n": "a+b="})), Some(SkipReason::Malformed)),
        (changed(&rsa, &json!({"e": null})), Some(SkipReason::Malformed)),
        (changed(&rsa, &json!({"e": "AQ"})), Some(SkipReason::Malformed)), // 1
        (changed(&rsa, &json!({"e": "Ag"})), Some(SkipReason::Malformed)), // 2
        (changed(&rsa, &json!({"e": "AA"})), Some(SkipReason::Malformed)), // 0
        (changed(&rsa, &json!({"e": "AQAAAAE"})), Some(SkipReason::Malformed)), // 2^32 + 1
        (changed(&ec, &json!({})), None),
        (changed(&ec, &json!({"crv": "secp256k1"})), Some(SkipReason::Curve)),
        (changed(&ec, &json!({"crv": null})), Some(SkipReason::Curve)),
        (changed(&ec, &json!({"crv": "P-384", "alg": null})), Some(SkipReason::Malformed)),
        (changed(&ec, &json!({"y": ec.jwk()["x"]})), Some(SkipReason::Malformed)), // on no curve
        (changed(&ec, &json!({"x": zeros(32), "y": zeros(32)})), Some(SkipReason::Malformed)),
        (changed(&ec, &json!({"x": "AQ"})), Some(SkipReason::Malformed)),
        (changed(&ed, &json!({})), None),
        (changed(&ed, &json!({"crv": "X25519"})), Some(SkipReason::Curve)),
        (changed(&ed, &json!({"crv": "Ed448"})), Some(SkipReason::Curve)),
        (changed(&ed, &json!({"x": zeros(31)})), Some(SkipReason::Malformed)),
    ];
    for (jwk, expected) in cases {
        let keys = set(&[jwk.clone(), ec.jwk()]);
        assert_eq!(keys.skipped().first().map(|skipped| skipped.reason), expected, "{jwk}");
        assert_eq!(keys.len(), 1 + usize::from(expected.is_none()), "{jwk}");
    }
}

#[test]
fn each_algorithm_verifies_with_its_own_key_and_with_no_other() {
    let input = "header.payload";
    for algorithm in Algorithm::ALL {
        let own = key(algorithm, "k");
        let keys = set(&[own.jwk()]);
        let signature = own.sign(input.as_bytes());
        let as_signed = |input, signature| signed(algorithm, Some("k"), input, signature);
        assert_eq!(code(&keys, &as_signed(input, signature.clone())), "ok", "{algorithm}");
        assert_eq!(
            code(&keys, &as_signed("header.payloae", signature.clone())),
            "jwt_signature",
            "{algorithm}"
        );
        let mut forged = signature.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(code(&keys, &as_signed(input, forged)), "jwt_signature", "{algorithm}");
        for wrong in [vec![], vec![0; signature.len()], [signature.as_slice(), &[0]].concat()] {
            assert_eq!(code(&keys, &as_signed(input, wrong)), "jwt_signature", "{algorithm}");
        }
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            let claimed = signed(other, Some("k"), input, signature.clone());
            assert_eq!(code(&keys, &claimed), "key_algorithm", "{algorithm} as {other}");
        }
    }
}

#[test]
fn an_rsa_key_without_alg_verifies_each_rsa_algorithm_and_no_other() {
    let rsa = key(Algorithm::Rs256, "r");
    let keys = set(&[changed(&rsa, &json!({"alg": null}))]);
    for algorithm in Algorithm::ALL {
        let signature = rsa.again(algorithm, "r").sign(b"a.b");
        let is_rsa = algorithm.as_str().contains('S') && !algorithm.as_str().starts_with('E');
        let expected = if is_rsa { "ok" } else { "key_algorithm" };
        assert_eq!(code(&keys, &signed(algorithm, Some("r"), "a.b", signature)), expected, "{algorithm}");
    }
}

#[test]
fn a_signature_of_ecdsa_in_der_is_none() {
    let ec = key(Algorithm::Es256, "e");
    let fixed = ec.sign(b"a.b");
    let der = |half: &[u8]| [&[2, 33, 0], half].concat();
    let body = [der(&fixed[..32]), der(&fixed[32..])].concat();
    let der = [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat();
    assert_eq!(code(&set(&[ec.jwk()]), &signed(Algorithm::Es256, None, "a.b", der)), "jwt_signature");
    assert_eq!(code(&set(&[ec.jwk()]), &signed(Algorithm::Es256, None, "a.b", fixed)), "ok");
}

#[test]
fn the_key_that_a_token_names_is_the_only_one_tried() {
    let (one, two) = (key(Algorithm::Es256, "one"), key(Algorithm::Es256, "two"));
    let short = changed(&key(Algorithm::Rs256, "short"), &json!({"n": encode(&[0x81; 128])}));
    let keys = set(&[one.jwk(), two.jwk(), short]);
    let by_one = one.sign(b"a.b");
    let cases = [
        (Some("one"), Algorithm::Es256, "ok"),
        (Some("two"), Algorithm::Es256, "jwt_signature"),
        (Some("One"), Algorithm::Es256, "unknown_key"),
        (Some("three"), Algorithm::Es256, "unknown_key"),
        (Some("one"), Algorithm::Rs256, "key_algorithm"),
        (Some("short"), Algorithm::Rs256, "unusable_key"),
        (None, Algorithm::Es256, "ok"),
        (None, Algorithm::Rs256, "no_key_for_algorithm"),
    ];
    for (kid, algorithm, expected) in cases {
        let token = signed(algorithm, kid, "a.b", by_one.clone());
        assert_eq!(code(&keys, &token), expected, "{kid:?} {algorithm}");
    }
}

#[test]
fn a_key_without_id_is_meant_by_tokens_without_id_alone() {
    let ec = key(Algorithm::Es256, "e");
    let keys = set(&[changed(&ec, &json!({"kid": null}))]);
    let signature = ec.sign(b"a.b");
    let with = |kid| code(&keys, &signed(Algorithm::Es256, kid, "a.b", signature.clone()));
    assert_eq!((with(None), with(Some("e"))), ("ok", "unknown_key"));
}

#[test]
fn keys_of_one_id_are_all_tried_up_to_a_limit() {
    let same: Vec<_> = (0..=CANDIDATES_MAX).map(|_| key(Algorithm::Es256, "same")).collect();
    let jwks: Vec<Value> = same.iter().map(|key| key.jwk()).collect();
    let of_other_type = key(Algorithm::EdDsa, "same");
    let last = same[CANDIDATES_MAX - 1].sign(b"a.b");
    let fits = set(&[&jwks[..CANDIDATES_MAX], &[of_other_type.jwk()]].concat());
    for kid in [Some("same"), None] {
        let token = signed(Algorithm::Es256, kid, "a.b", last.clone());
        assert_eq!(code(&fits, &token), "ok", "{kid:?}");
        assert_eq!(code(&set(&jwks), &token), "ambiguous_key", "{kid:?}");
    }
    let edwards = signed(Algorithm::EdDsa, Some("same"), "a.b", of_other_type.sign(b"a.b"));
    assert_eq!(code(&fits, &edwards), "ok", "the algorithm tells them apart");
}

#[test]
fn the_examples_of_the_standards_verify() {
    // RFC 7515, appendix A.3: ES256.
    let p256 = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    // RFC 8037, appendix A.2 and A.4: Ed25519.
    let ed25519 = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let cases = [
        (
            Algorithm::Es256,
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290\
             Ijp0cnVlfQ",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            Algorithm::EdDsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];
    let keys = set(&[p256, ed25519]);
    for (algorithm, input, signature) in cases {
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(code(&keys, &signed(algorithm, None, input, signature)), "ok", "{algorithm}");
    }
}

proptest! {
    #[test]
    fn any_document_is_read_or_refused(text in "\\PC{0,128}|\\{\"keys\":\\[[\\[\\]{}\",:a-z0-9]{0,64}\\]\\}") {
        if let Ok(keys) = Jwks::parse(text.as_bytes()) {
            prop_assert!(keys.is_empty(), "a key of nothing: {}", text);
        }
    }

    #[test]
    fn any_members_make_a_key_or_a_reason(
        kty in "RSA|EC|OKP|oct|[a-z]{0,3}", crv in "P-256|P-384|P-521|Ed25519|[a-z]{0,3}",
        numbers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 4),
    ) {
        let [n, e, x, y] = [0, 1, 2, 3].map(|at: usize| encode(&numbers[at]));
        let keys = set(&[json!({"kty": kty, "crv": crv, "n": n, "e": e, "x": x, "y": y})]);
        prop_assert_eq!(keys.len() + keys.skipped().len(), 1);
        for algorithm in Algorithm::ALL {
            let forged = signed(algorithm, None, "a.b", numbers[0].clone());
            prop_assert!(keys.verify(&forged).is_err(), "{}", algorithm);
        }
    }
}

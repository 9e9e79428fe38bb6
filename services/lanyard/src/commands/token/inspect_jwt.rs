//! `lanyard token inspect` of an OIDC token: what it says of itself, believed in nothing. Only a hub can ask its issuer.

use lanyard_iam::{Token, shown_within, token::TokenDigest};
use lanyard_kit::{Clock, SystemClock};
use lanyard_oidc::{JwtRefusal, inspect};
use serde_json::Value;
use time::OffsetDateTime;

use super::inspected::{Inspected, Part, State, VALUE_CHARS_MAX};
use crate::{cli::Context, exit::Ending, failure::Failure, input::moment_text};

/// Shows it; ends as a no where every verifier refuses it.
pub(super) fn show(context: &Context, token: &Token) -> Result<Ending, Failure> {
    let shown = look(token, SystemClock.now());
    context.show(&shown)?;
    Ok(shown.reason.is_none().into())
}

fn look(token: &Token, now: OffsetDateTime) -> Inspected {
    let inspected = match inspect(token.expose(), now) {
        Ok(inspected) => inspected,
        Err(refusal) => {
            return verdict_of(token, Some(&refusal), vec![refused(&refusal, String::new())]);
        }
    };
    let header = |part: &str, value: String, note: &str| Part::new(part, value, State::NeedsIssuer, note);
    let mut parts = vec![
        header("alg", inspected.header.algorithm.to_string(), "the key decides whether that is so"),
        header("kid", inspected.header.kid.unwrap_or_else(|| "none".to_owned()), "which key of the issuer"),
        header("signature", "not shown".to_owned(), "only the issuer's keys tell"),
    ];
    for (name, value) in &inspected.claims {
        let value = claim_text(name, value);
        parts.push(match &inspected.refusal {
            Some(refusal) if refusal.part().as_str() == name => refused(refusal, value),
            _ => header(name, value, note_of(name)),
        });
    }
    if let Some(refusal) = &inspected.refusal
        && !parts.iter().any(|part| part.state == State::Refused)
    {
        parts.push(refused(refusal, String::new()));
    }
    verdict_of(token, inspected.refusal.as_ref(), parts)
}

fn verdict_of(token: &Token, refusal: Option<&JwtRefusal>, parts: Vec<Part>) -> Inspected {
    let verdict = match refusal {
        None => {
            "an OIDC token; nothing of it is proven here: `lanyard explain --token` asks a hub".to_owned()
        }
        Some(refusal) => format!("refused by every verifier ({})", refusal.code()),
    };
    Inspected {
        token: TokenDigest::of(token.expose()).to_string(),
        well_formed: refusal.is_none(),
        reason: refusal.map(JwtRefusal::code),
        parts,
        verdict,
    }
}

fn refused(refusal: &JwtRefusal, value: String) -> Part {
    Part::new(refusal.part().as_str(), value, State::Refused, refusal.to_string())
}

fn note_of(claim: &str) -> &'static str {
    match claim {
        "iss" => "which identity-provider configuration is asked",
        "sub" => "the username, unless a configuration names another claim",
        "aud" => "has to be the configuration's client id",
        _ => "",
    }
}

/// A claim in words, on one line and bounded; dates as dates.
fn claim_text(name: &str, value: &Value) -> String {
    let date = matches!(name, "exp" | "nbf" | "iat" | "auth_time").then(|| value.as_i64()).flatten();
    let date = date.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let text = match (date, value) {
        (Some(date), _) => moment_text(date),
        (None, Value::String(text)) => text.clone(),
        (None, other) => other.to_string(),
    };
    shown_within(&text, VALUE_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2030-01-31 12:00:00 UTC);
    const SIGNATURE: &str = "c2lnbmF0dXJlLXRoYXQtbm9ib2R5LXNlZXM";

    fn jwt(header: &Value, claims: &Value) -> Token {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        Token::new(format!("{}.{}.{SIGNATURE}", encode(header), encode(claims)))
    }

    fn claims(exp: i64) -> Value {
        json!({
            "iss": "https://okta.example", "sub": "ana", "aud": ["kubernetes", "other"], "azp": "kubernetes",
            "exp": NOW.unix_timestamp() + exp, "groups": ["devs"], "x": "a\nb",
        })
    }

    #[test]
    fn claims_are_shown_and_none_is_believed() {
        let shown = look(&jwt(&json!({"alg": "ES256", "kid": "one"}), &claims(60)), NOW);
        assert_eq!((shown.well_formed, shown.reason), (true, None));
        assert!(shown.parts.iter().all(|part| part.state == State::NeedsIssuer), "{shown:?}");
        let value = |name: &str| shown.parts.iter().find(|part| part.part == name).unwrap().value.clone();
        assert_eq!(
            (value("iss"), value("groups")),
            ("https://okta.example".to_owned(), "[\"devs\"]".to_owned())
        );
        assert_eq!(
            (value("x"), value("exp")),
            ("a\\nb".to_owned(), moment_text(NOW + time::Duration::MINUTE))
        );
    }

    #[test]
    fn no_name_or_key_id_writes_a_line_of_the_table_and_none_is_endless() {
        let mut claims = claims(60);
        claims["a\u{1b}[31m"] = json!("b");
        claims["n".repeat(1_000)] = json!("c");
        let kid = "k\u{1b}]0;x\u{7}\u{1b}[2K\nsub   root   verified";
        let shown = look(&jwt(&json!({"alg": "ES256", "kid": kid}), &claims), NOW);
        let text = crate::output::table(&shown);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("sub   root")), "{text}");
        assert!(text.contains(r"k\u{1b}]0;x\u{7}\u{1b}[2K\nsub   root   verified"), "{text}");
        assert!(text.contains(r"a\u{1b}[31m") && !text.contains(&"n".repeat(VALUE_CHARS_MAX + 1)), "{text}");
        // For programs they are what they are.
        assert!(shown.parts.iter().any(|part| part.value == kid), "{shown:?}");
    }

    #[test]
    fn what_every_verifier_refuses_is_named() {
        let alg = |alg: &str| json!({ "alg": alg });
        let cases = [
            (jwt(&alg("ES256"), &claims(-60)), "token_expired", "exp"),
            (jwt(&alg("none"), &claims(60)), "jwt_unsigned", "alg"),
            (jwt(&alg("HS256"), &claims(60)), "jwt_symmetric", "alg"),
            (
                jwt(&alg("ES256"), &json!({"iss": "a", "aud": "b", "exp": 4_000_000_000_i64})),
                "claim_missing",
                "sub",
            ),
            (Token::new("ey.ey.ey".to_owned()), "jwt_encoding", "header"),
        ];
        for (token, reason, part) in cases {
            let shown = look(&token, NOW);
            assert_eq!(shown.reason, Some(reason));
            let refused: Vec<&Part> =
                shown.parts.iter().filter(|part| part.state == State::Refused).collect();
            assert_eq!(
                refused.iter().map(|part| part.part.as_str()).collect::<Vec<_>>(),
                [part],
                "{shown:?}"
            );
        }
    }

    #[test]
    fn immunity_27_an_inspection_of_a_jwt_shows_nothing_that_could_be_presented() {
        for exp in [60, -60] {
            let token = jwt(&json!({"alg": "ES256"}), &claims(exp));
            let shown = look(&token, NOW);
            let text = format!("{}{}", crate::output::table(&shown), serde_json::to_string(&shown).unwrap());
            assert!(!text.contains(SIGNATURE) && !text.contains(token.expose()), "{text}");
        }
    }
}

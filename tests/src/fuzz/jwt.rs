use std::sync::LazyLock;

use lanyard_oidc::{
    Algorithms, Expected, Jwks, Jwt, TOKEN_BYTES_MAX, inspect, looks_like_jwt, unverified_issuer, verify,
};

use super::{NOW, promise};

/// The public halves of the keys that the kept tokens are signed with.
static KEYS: LazyLock<Option<Jwks>> = LazyLock::new(|| Jwks::parse(include_bytes!("jwks.json")).ok());

const ISSUER: &str = "https://issuer.example";

/// An OIDC token, held against an issuer's keys.
pub fn jwt(input: &[u8]) -> bool {
    let Some(keys) = &*KEYS else { panic!("the keys of the kept tokens cannot be read") };
    let Ok(raw) = std::str::from_utf8(input) else { return false };
    let issuer = unverified_issuer(raw);
    let jwt = match Jwt::parse(raw) {
        Ok(jwt) => jwt,
        Err(refusal) => return refused(&refusal, raw),
    };
    assert!(raw.len() <= TOKEN_BYTES_MAX && raw.split('.').count() == 3, "not three parts within the limit");
    assert_eq!(jwt.unverified_issuer(), issuer.as_deref(), "two readers see two issuers");
    promise::gives_nothing_away(&format!("{jwt:?}"), raw);
    assert!(inspect(raw, NOW).is_ok(), "what is parsed is shown");
    let expected = Expected { issuer: ISSUER, audiences: &["kubernetes"], algorithms: Algorithms::all() };
    let claims = match verify(jwt, keys, &expected, NOW) {
        Ok(claims) => claims,
        Err(refusal) => return refused(&refusal, raw),
    };
    assert!(looks_like_jwt(raw), "a token that nobody would have looked at");
    assert!(claims.issuer() == ISSUER && claims.expires_at() > NOW && !claims.subject().is_empty());
    assert!(claims.audiences().iter().any(|audience| audience == "kubernetes"));
    true
}

fn refused(refusal: &lanyard_oidc::JwtRefusal, raw: &str) -> bool {
    let message = refusal.to_string();
    promise::is_one_bounded_line(&message);
    promise::is_reason_code(refusal.code());
    promise::gives_nothing_away(&message, raw);
    assert!(!refusal.part().as_str().is_empty());
    false
}

//! A configured OIDC issuer: the token is verified here, with keys that the issuer published. Never cached: it costs
//! microseconds, and what it looks at changes.

use std::collections::BTreeMap;

use lanyard_api::{ClaimValue, Denial, Fault, OidcIdentity, authn::Refusal, mapping::CLAIM_NAMES};
use lanyard_oidc::{Claims, Jwt, JwtAnswer, JwtRefusal, OidcFault};
use time::OffsetDateTime;

use crate::snapshot::ProviderView;

/// Somebody whom an issuer knows, and until when it says so.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) identity: OidcIdentity,
    pub(crate) not_after: OffsetDateTime,
}

/// Verified or refused; `Err` where the issuer's keys are not to be had.
pub(crate) async fn verify(view: &ProviderView, jwt: Jwt<'_>) -> Result<Result<Known, Refusal>, Fault> {
    let settings = &view.config.settings;
    let Some(kept) = &view.provider else {
        return Err(unavailable(view, "it cannot be called as it is configured, see the log"));
    };
    let answer = kept.provider().verify(jwt, &[settings.client_id.as_str()]).await;
    let claims = match answer.map_err(|error| fault(view, &error))? {
        JwtAnswer::Verified(claims) => claims,
        JwtAnswer::Refused(refused) => return Ok(Err(refusal(view, &refused))),
    };
    let mut named = BTreeMap::new();
    for name in &view.claims {
        match value(&claims, name) {
            Ok(Some(value)) => drop(named.insert(name.to_string(), value)),
            Ok(None) => {}
            Err(refused) => return Ok(Err(refusal(view, &refused))),
        }
    }
    let elsewhere = view.claims.iter().filter(|name| claims.has_member(CLAIM_NAMES, name));
    let elsewhere: Vec<String> = elsewhere.map(ToString::to_string).collect();
    if !elsewhere.is_empty() {
        named.insert(CLAIM_NAMES.to_owned(), ClaimValue::Texts(elsewhere));
    }
    let identity = OidcIdentity {
        config: view.config.id,
        issuer: claims.issuer().to_owned(),
        subject: claims.subject().to_owned(),
        claims: named,
    };
    Ok(Ok(Known { identity, not_after: claims.expires_at() }))
}

/// A claim as it goes on, if it is there. One that is longer than can be of use is refused; what nothing can be made of is not
/// yet: only mapping knows whether it matters.
fn value(claims: &Claims, name: &str) -> Result<Option<ClaimValue>, JwtRefusal> {
    match claims.text(name) {
        Err(JwtRefusal::ClaimType { .. }) => {}
        text => return Ok(text?.map(|text| ClaimValue::Text(text.to_owned()))),
    }
    match claims.texts(name) {
        Err(JwtRefusal::ClaimType { .. }) => {}
        texts => {
            let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
            return Ok(texts?.map(|texts| ClaimValue::Texts(owned(texts))));
        }
    }
    Ok(Some(claims.flag(name).ok().flatten().map_or(ClaimValue::Other, ClaimValue::Flag)))
}

/// The refusal of a token of a configured issuer.
pub(crate) fn refusal(view: &ProviderView, refused: &JwtRefusal) -> Refusal {
    let settings = &view.config.settings;
    let mut hints = vec![format!("issuer {}, by configuration `{}`", settings.issuer_url, settings.name)];
    if matches!(refused, JwtRefusal::Audience(_) | JwtRefusal::AuthorizedParty(_)) {
        hints.push(format!("the configuration's client id is `{}`", settings.client_id));
    }
    Refusal {
        denial: Denial { code: refused.code().into(), message: refused.to_string() },
        part: refused.part().as_str().to_owned(),
        authority: None,
        access_key_id: None,
        hints,
    }
}

/// What a caller is told of a fault. Its cause is in the log.
fn fault(view: &ProviderView, error: &OidcFault) -> Fault {
    let issuer = &view.config.settings.issuer_url;
    match error {
        OidcFault::Stale { age, limit, .. } => Fault::Stale {
            part: format!("the keys of OIDC issuer {issuer}").into(),
            age: *age,
            limit: *limit,
        },
        error => unavailable(view, error.for_callers()),
    }
}

fn unavailable(view: &ProviderView, detail: &'static str) -> Fault {
    Fault::Unavailable {
        part: format!("OIDC issuer {}", view.config.settings.issuer_url).into(),
        detail: detail.into(),
    }
}

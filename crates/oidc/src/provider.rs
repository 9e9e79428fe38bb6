//! One issuer, with its keys: fetched, kept, renewed, and what that means for a token.
//!
//! Keys are good as long as the issuer's `Cache-Control` says, within configured bounds. In the last fifth of that time new
//! ones are fetched beside the answers. While the issuer does not answer, the old ones count for a configured time more;
//! after that its tokens have no answer, which is a fault and no refusal.
//!
//! A token with a key that is not known makes the issuer be asked, for it may have a new one: at most once in
//! `refetch_seconds_min`, once at a time, and not again for a key that it did not have just before. Whoever sends made-up
//! keys brings about no more than that. If the issuer cannot be asked, such a token has no answer either.

mod fetch;
mod keep;

use std::sync::Arc;
use std::time::Duration;

use lanyard_kit::Clock;
use lanyard_kit::http_client::{self, HttpClient};
use time::OffsetDateTime;

use crate::claims::Claims;
use crate::fault::OidcFault;
use crate::issuer::{Issuer, IssuerError};
use crate::jwks::SkippedKey;
use crate::jwt::Jwt;
use crate::refusal::JwtRefusal;
use crate::verify::{Expected, Judged};
use keep::{Asking, Keep, Kept, Outcome};

/// How often [`Provider::keep_fresh`] looks whether keys are due. Nothing is asked that often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The answer about a token.
#[derive(Clone, Debug, PartialEq)]
pub enum JwtAnswer {
    /// The issuer has said this.
    Verified(Box<Claims>),
    /// It has not, or not to anybody here, or it does not hold any more.
    Refused(JwtRefusal),
}

/// What is known of an issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderStatus {
    /// When the keys were asked for that are in use; none when there are none yet.
    pub fetched_at: Option<OffsetDateTime>,
    /// Until when they are good.
    pub fresh_until: Option<OffsetDateTime>,
    /// Until when they count if the issuer does not answer.
    pub serve_until: Option<OffsetDateTime>,
    /// How many keys there are to verify with.
    pub keys: usize,
    /// The keys that are not used.
    pub skipped: Vec<SkippedKey>,
    /// Why the last attempt to fetch keys gave none.
    pub fault: Option<OidcFault>,
}

/// A configured issuer that tokens are verified against. Clones share its keys.
#[derive(Clone)]
pub struct Provider {
    keep: Arc<Keep>,
}

impl Provider {
    /// Knows no keys yet: they are fetched when first needed, or by [`Self::refresh`].
    ///
    /// # Errors
    /// [`IssuerError::Client`] when a trusted certificate cannot be used, or the system has none and none was configured.
    pub fn new(issuer: Issuer, clock: Arc<dyn Clock>) -> Result<Self, IssuerError> {
        let options = issuer.http_options();
        Self::with_http(issuer, options, clock)
    }

    /// As [`Self::new`], with another way to call the issuer than [`Issuer::http_options`]: tests put a stand-in under a real
    /// host name.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_http(
        issuer: Issuer,
        options: http_client::Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IssuerError> {
        let client = HttpClient::new(options).map_err(|error| IssuerError::Client(error.to_string()))?;
        Ok(Self { keep: Arc::new(Keep::new(issuer, client, clock)) })
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.keep.issuer
    }

    /// Proves that the issuer has issued the token, for one of the audiences, and that it holds now. The log tells of what had no answer
    /// once a minute for each fault, with how many there were.
    ///
    /// # Errors
    /// [`OidcFault`]: there is no answer, for the issuer's keys are not to be had. Never to be read as a refusal.
    pub async fn verify<A: AsRef<str>>(&self, jwt: Jwt<'_>, audiences: &[A]) -> Result<JwtAnswer, OidcFault> {
        let (issuer, now) = (&self.keep.issuer, self.keep.clock.now());
        let expected = Expected { issuer: issuer.as_str(), audiences, algorithms: issuer.algorithms() };
        match Judged::new(jwt, &expected, now) {
            Err(refusal) => Ok(JwtAnswer::Refused(refusal)),
            Ok(judged) => {
                let answer = self.verify_judged(judged, now).await;
                answer.inspect_err(|fault| self.keep.tell_unanswered(fault, now))
            }
        }
    }

    async fn verify_judged(&self, judged: Judged<'_>, now: OffsetDateTime) -> Result<JwtAnswer, OidcFault> {
        let kept = self.keys(now).await?;
        let Err(mut refusal) = judged.verify(&kept.jwks) else {
            return Ok(JwtAnswer::Verified(Box::new(judged.into_claims())));
        };
        if may_be_of_a_new_key(&refusal, judged.kid())
            && let Some(newer) = self.newer_keys(&kept, judged.kid(), now).await?
        {
            match judged.verify(&newer.jwks) {
                Ok(()) => return Ok(JwtAnswer::Verified(Box::new(judged.into_claims()))),
                Err(still) => refusal = still,
            }
            if let (JwtRefusal::UnknownKey(_), Some(kid)) = (&refusal, judged.kid()) {
                self.keep.set_absent(kid, now);
            }
        }
        Ok(JwtAnswer::Refused(refusal))
    }

    /// The keys to go by now. Waits for the issuer only where there are none, or where they are past their time and the
    /// issuer may well answer: who answers slowly or not at all does not slow down everybody.
    async fn keys(&self, now: OffsetDateTime) -> Outcome {
        let Some(kept) = self.keep.kept() else { return self.fetched(now).await };
        if !kept.is_due(now) {
            return Ok(kept);
        }
        let has_failed = self.keep.last_fault().is_some();
        let asking = self.keep.ask(now);
        let waits = now >= kept.serve_until || (now >= kept.fresh_until && !has_failed);
        let cause = match asking {
            Asking::Now(answer) if waits => match told(answer).await {
                Ok(newer) => return Ok(newer),
                Err(fault) => fault,
            },
            Asking::Lately(Err(fault)) => fault,
            Asking::Now(_) | Asking::Lately(Ok(())) => OidcFault::Interrupted,
        };
        if now < kept.serve_until {
            return Ok(kept);
        }
        let span = |from: OffsetDateTime, to: OffsetDateTime| (to - from).try_into().unwrap_or_default();
        let (age, limit) = (span(kept.fetched_at, now), span(kept.fetched_at, kept.serve_until));
        Err(OidcFault::Stale { age, limit, cause: Box::new(cause) })
    }

    /// Keys from the issuer, or from the attempt just before.
    async fn fetched(&self, now: OffsetDateTime) -> Outcome {
        match self.keep.ask(now) {
            Asking::Now(answer) => told(answer).await,
            Asking::Lately(Err(fault)) => Err(fault),
            Asking::Lately(Ok(())) => self.keep.kept().ok_or(OidcFault::Interrupted),
        }
    }

    /// Keys that are newer than these, where the issuer may be asked for them.
    async fn newer_keys(
        &self,
        seen: &Kept,
        kid: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Option<Arc<Kept>>, OidcFault> {
        // Somebody else may have asked while this token was looked at.
        if let Some(kept) = self.keep.kept().filter(|kept| kept.generation > seen.generation) {
            return Ok(Some(kept));
        }
        if kid.is_some_and(|kid| self.keep.is_absent(kid, now)) {
            return Ok(None);
        }
        match self.keep.ask(now) {
            Asking::Now(answer) => told(answer).await.map(Some),
            Asking::Lately(Ok(())) => Ok(None),
            Asking::Lately(Err(fault)) => Err(fault),
        }
    }

    /// Fetches the keys now, or says how the attempt just before has ended: for whoever configures an issuer.
    ///
    /// # Errors
    /// [`OidcFault`]: what is wrong with the issuer, or with its configuration.
    pub async fn refresh(&self) -> Result<(), OidcFault> {
        self.fetched(self.keep.clock.now()).await.map(drop)
    }

    /// Fetches the keys if that is due. What goes wrong is logged, and in the status.
    pub async fn refresh_if_due(&self) {
        let now = self.keep.clock.now();
        if self.keep.kept().is_none_or(|kept| kept.is_due(now))
            && let Asking::Now(answer) = self.keep.ask(now)
        {
            let _logged = told(answer).await;
        }
    }

    /// Keeps the keys fresh, whether or not tokens come. Never ends; drop it to stop.
    pub async fn keep_fresh(self) {
        loop {
            self.refresh_if_due().await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What is known of the issuer's keys.
    #[must_use]
    pub fn status(&self) -> ProviderStatus {
        let kept = self.keep.kept();
        let kept = kept.as_deref();
        ProviderStatus {
            fetched_at: kept.map(|kept| kept.fetched_at),
            fresh_until: kept.map(|kept| kept.fresh_until),
            serve_until: kept.map(|kept| kept.serve_until),
            keys: kept.map_or(0, |kept| kept.jwks.len()),
            skipped: kept.map(|kept| kept.jwks.skipped().to_vec()).unwrap_or_default(),
            fault: self.keep.last_fault(),
        }
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.keep.issuer.as_str()).finish_non_exhaustive()
    }
}

/// Whether keys that are not here yet could make it good. A token that names no key fits whichever is there, so that a wrong
/// signature may be that of a new one.
fn may_be_of_a_new_key(refusal: &JwtRefusal, kid: Option<&str>) -> bool {
    match refusal {
        JwtRefusal::UnknownKey(_) | JwtRefusal::NoKeyFor(_) => true,
        JwtRefusal::Signature => kid.is_none(),
        _ => false,
    }
}

/// Waits for the end of an attempt.
async fn told(mut answer: tokio::sync::watch::Receiver<Option<Outcome>>) -> Outcome {
    match answer.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Err(OidcFault::Interrupted)),
        Err(_) => Err(OidcFault::Interrupted),
    }
}

#[cfg(test)]
mod tests;

//! The hub's own credentials, and those of the roles that it assumes, each kept until shortly before its end.

use std::sync::Arc;
use std::time::{Duration as StdDuration, Instant};

use lanyard_iam::{AccountId, CallerIdentity, Credentials};
use lanyard_kit::Clock as _;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use super::call::Whose;
use super::source::CredentialSource;
use super::{AssumedAccount, AwsClient, AwsFault, sts};
use crate::codes::is_about_credentials;

/// How long none are looked for after none were found, so that nobody waits for the same search again and again.
const SEARCH_PAUSE: StdDuration = StdDuration::from_secs(5);
/// Credentials are renewed so long before their end.
const RENEWED_BEFORE: Duration = Duration::minutes(5);
/// Credentials without an end (a file's) are read anew after this, for the file may have changed.
const REREAD_AFTER: Duration = Duration::minutes(5);
/// How long an assumed role's session lasts.
pub(super) const SESSION_SECONDS: u32 = 3_600;

/// Credentials with their times, and whose they are once that was asked.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) credentials: Arc<Credentials>,
    renew_at: OffsetDateTime,
    pub(super) ends_at: Option<OffsetDateTime>,
    caller: Option<CallerIdentity>,
}

impl Kept {
    pub(super) fn new(
        credentials: Credentials,
        ends_at: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Self {
        let renew_at = ends_at
            .map_or_else(|| now.saturating_add(REREAD_AFTER), |end| end.saturating_sub(RENEWED_BEFORE));
        Self { credentials: Arc::new(credentials), renew_at, ends_at, caller: None }
    }

    fn is_good(&self, now: OffsetDateTime) -> bool {
        self.ends_at.is_none_or(|end| end > now)
    }
}

/// Credentials that are looked for by one caller at a time, the others waiting for what it finds.
#[derive(Default)]
struct Slot {
    kept: Option<Kept>,
    /// Nothing was found, and until when that is not tried again.
    failed: Option<(Instant, AwsFault)>,
}

impl Slot {
    /// What is kept, if it need not be renewed yet.
    fn fresh(&self, now: OffsetDateTime) -> Option<Kept> {
        self.kept.clone().filter(|kept| kept.renew_at > now)
    }

    /// What a search came to. Where it failed, credentials that are still good stay in use.
    fn settle(&mut self, found: Result<Kept, AwsFault>, now: OffsetDateTime) -> Result<Kept, AwsFault> {
        match found {
            Ok(kept) => {
                self.failed = None;
                self.kept = Some(kept.clone());
                Ok(kept)
            }
            Err(fault) => {
                self.failed = Some((Instant::now() + SEARCH_PAUSE, fault.clone()));
                self.kept.clone().filter(|kept| kept.is_good(now)).ok_or(fault)
            }
        }
    }

    /// The fault of a search just now.
    fn pause(&self, now: OffsetDateTime) -> Option<Result<Kept, AwsFault>> {
        let (_, fault) = self.failed.as_ref().filter(|(until, _)| *until > Instant::now())?;
        Some(self.kept.clone().filter(|kept| kept.is_good(now)).ok_or_else(|| fault.clone()))
    }

    /// AWS does not take these any more.
    fn forget(&mut self, credentials: &Credentials) {
        if self.kept.as_ref().is_some_and(|kept| kept.credentials.access_key_id == credentials.access_key_id)
        {
            self.kept = None;
        }
    }
}

/// The hub's own credentials.
pub(super) struct Own {
    source: CredentialSource,
    slot: Mutex<Slot>,
}

impl Own {
    pub(super) fn new(source: CredentialSource) -> Self {
        Self { source, slot: Mutex::default() }
    }
}

impl AwsClient {
    /// The hub's own credentials.
    pub(super) async fn own_credentials(&self) -> Result<Arc<Credentials>, AwsFault> {
        let mut slot = self.inner.own.slot.lock().await;
        self.own_kept(&mut slot).await.map(|kept| kept.credentials)
    }

    /// The same, and whose they are.
    pub(super) async fn own_credentials_and_account(
        &self,
    ) -> Result<(Arc<Credentials>, AccountId), AwsFault> {
        self.own_credentials_and_caller().await.map(|(credentials, caller)| (credentials, caller.account))
    }

    /// The same, and who that is.
    pub(super) async fn own_credentials_and_caller(
        &self,
    ) -> Result<(Arc<Credentials>, CallerIdentity), AwsFault> {
        let mut slot = self.inner.own.slot.lock().await;
        let kept = self.own_kept(&mut slot).await?;
        if let Some(caller) = kept.caller {
            return Ok((kept.credentials, caller));
        }
        let caller = match self.caller_of(&kept.credentials).await {
            Err(AwsFault::Refused(refusal)) if is_about_credentials(&refusal.code) => {
                slot.kept = None;
                return Err(refusal.into());
            }
            other => other?,
        };
        if let Some(kept) = &mut slot.kept {
            kept.caller = Some(caller.clone());
        }
        Ok((kept.credentials, caller))
    }

    async fn own_kept(&self, slot: &mut Slot) -> Result<Kept, AwsFault> {
        let now = self.inner.clock.now();
        if let Some(kept) = slot.fresh(now) {
            return Ok(kept);
        }
        if let Some(paused) = slot.pause(now) {
            return paused;
        }
        let mut found = self.inner.own.source.search(now).await;
        if let (Ok(found), Some(before)) = (&mut found, &slot.kept)
            && found.credentials.access_key_id == before.credentials.access_key_id
        {
            found.caller.clone_from(&before.caller);
        }
        slot.settle(found, now)
    }

    /// AWS has said that these credentials are none: they are looked for anew with the next call.
    pub(super) async fn forget(&self, whose: Whose, credentials: &Credentials) {
        let assumed = match whose {
            Whose::Hub => None,
            Whose::Account(_, account) => self.inner.assumed.get(&account),
        };
        let slot = assumed.map_or(&self.inner.own.slot, |assumed| &assumed.slot);
        slot.lock().await.forget(credentials);
    }
}

/// A role that the hub assumes in another account.
pub(super) struct Assumed {
    role: AssumedAccount,
    slot: Mutex<Slot>,
}

impl Assumed {
    pub(super) fn new(role: &AssumedAccount) -> Self {
        Self { role: role.clone(), slot: Mutex::default() }
    }

    pub(super) async fn credentials(&self, client: &AwsClient) -> Result<Arc<Credentials>, AwsFault> {
        let mut slot = self.slot.lock().await;
        let now = client.inner.clock.now();
        if let Some(kept) = slot.fresh(now) {
            return Ok(kept.credentials);
        }
        if let Some(paused) = slot.pause(now) {
            return paused.map(|kept| kept.credentials);
        }
        let assumed = sts::assume(client, &self.role).await;
        slot.settle(assumed, now).map(|kept| kept.credentials)
    }
}

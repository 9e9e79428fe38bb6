//! The hub's own credentials, and those of the roles that it assumes, each kept until shortly before its end.
//!
//! Where the hub's own come from is AWS's own affair: `aws-config` looks where all of AWS's tools look, in their order
//! (environment, shared profile with its roles and `credential_process`, web identity, container, instance metadata). A
//! chain of one's own would be some thousand lines to keep true to that; this one adds 14 packages and half a minute to a
//! cold build. It has HTTP of its own, because a container's and an instance's address is a plain one on the link; the
//! calls themselves go out by kit's client. Single sign-on is left out: a server logs in nowhere.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration as StdDuration, Instant};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use lanyard_iam::{
    AccessKeyId, AccountId, CallerIdentity, Credentials, Region, SecretAccessKey, SessionToken,
};
use lanyard_kit::Clock as _;
use time::{Duration, OffsetDateTime};
use tokio::sync::{Mutex, OnceCell};

use super::call::Whose;
use super::{AssumedAccount, AwsClient, AwsFault, sts};
use crate::codes::is_about_credentials;

/// How long looking for credentials may take: an instance's metadata service is not there at once.
const SEARCH_MAX: StdDuration = StdDuration::from_secs(6);
/// How long none are looked for after none were found, so that nobody waits for the same search again and again.
const SEARCH_PAUSE: StdDuration = StdDuration::from_secs(5);
/// Credentials are renewed so long before their end.
const RENEWED_BEFORE: Duration = Duration::minutes(5);
/// Credentials without an end (a file's) are read again after this, for the file may have changed.
const REREAD_AFTER: Duration = Duration::minutes(5);
/// How long an assumed role's session lasts.
pub(super) const SESSION_SECONDS: u32 = 3_600;

/// Where the hub's own credentials come from.
pub struct CredentialSource {
    chain: Option<(Option<String>, Region)>,
    provider: OnceCell<SharedCredentialsProvider>,
}

/// One of the places where AWS's tools look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialPlace {
    /// A profile of the shared files, with its roles.
    Profile,
    /// A token in a file, by the environment.
    WebIdentity,
    /// A container's endpoint.
    Container,
    /// The instance's metadata service.
    InstanceMetadata,
}

impl CredentialSource {
    /// One of the places where AWS's tools look, and no other.
    #[must_use]
    pub fn at(place: CredentialPlace, profile: Option<&str>, region: &Region) -> Self {
        let region = aws_config::Region::new(region.to_string());
        let config = ProviderConfig::default().with_region(Some(region));
        Self::of(match place {
            CredentialPlace::Profile => {
                let mut builder = ProfileFileCredentialsProvider::builder().configure(&config);
                if let Some(profile) = profile {
                    builder = builder.profile_name(profile);
                }
                SharedCredentialsProvider::new(builder.build())
            }
            CredentialPlace::WebIdentity => SharedCredentialsProvider::new(
                WebIdentityTokenCredentialsProvider::builder().configure(&config).build(),
            ),
            CredentialPlace::Container => {
                SharedCredentialsProvider::new(EcsCredentialsProvider::builder().configure(&config).build())
            }
            CredentialPlace::InstanceMetadata => {
                SharedCredentialsProvider::new(ImdsCredentialsProvider::builder().configure(&config).build())
            }
        })
    }

    /// The places where AWS's tools look. `profile` is one of the shared files, in place of `AWS_PROFILE`.
    #[must_use]
    pub fn chain(profile: Option<&str>, region: &Region) -> Self {
        Self { chain: Some((profile.map(str::to_owned), region.clone())), provider: OnceCell::new() }
    }

    /// Some other provider of AWS's kind.
    #[must_use]
    pub fn of(provider: SharedCredentialsProvider) -> Self {
        Self { chain: None, provider: OnceCell::from(provider) }
    }

    /// These and no others.
    #[must_use]
    pub fn fixed(credentials: &Credentials) -> Self {
        let token = credentials.session_token.as_ref().map(|token| token.expose().to_owned());
        let (id, secret) = (credentials.access_key_id.as_str(), credentials.secret_access_key.expose());
        let fixed = aws_credential_types::Credentials::new(id, secret, token, None, "fixed");
        Self::of(SharedCredentialsProvider::new(fixed))
    }

    async fn provider(&self) -> &SharedCredentialsProvider {
        let build = || async {
            let mut builder = DefaultCredentialsChain::builder();
            if let Some((profile, region)) = &self.chain {
                builder = builder.region(aws_config::Region::new(region.to_string()));
                if let Some(profile) = profile {
                    builder = builder.profile_name(profile);
                }
            }
            SharedCredentialsProvider::new(builder.build().await)
        };
        self.provider.get_or_init(build).await
    }

    /// What is found there now.
    ///
    /// # Errors
    /// [`AwsFault::NoCredentials`] where nothing is.
    pub async fn credentials(&self, now: OffsetDateTime) -> Result<Credentials, AwsFault> {
        Ok(Credentials::clone(&self.search(now).await?.credentials))
    }

    /// What is found there now, with its end where that is told.
    ///
    /// # Errors
    /// As [`Self::credentials`].
    pub async fn found(
        &self,
        now: OffsetDateTime,
    ) -> Result<(Credentials, Option<OffsetDateTime>), AwsFault> {
        let kept = self.search(now).await?;
        Ok((Credentials::clone(&kept.credentials), kept.ends_at))
    }

    async fn search(&self, now: OffsetDateTime) -> Result<Kept, AwsFault> {
        let none = |reason: &str| AwsFault::NoCredentials { reason: reason.to_owned() };
        let provider = self.provider().await;
        let found = match tokio::time::timeout(SEARCH_MAX, provider.provide_credentials()).await {
            Err(_) => return Err(none("looking for them took too long")),
            Ok(Err(error)) => {
                tracing::warn!(error = %chain_of(&error), "no credentials for AWS were found");
                return Err(none(match error {
                    CredentialsError::CredentialsNotLoaded(_) => "there are none in any of the usual places",
                    CredentialsError::ProviderTimedOut(_) => "looking for them took too long",
                    CredentialsError::InvalidConfiguration(_) => {
                        "what says where they are is wrong, see the log"
                    }
                    _ => "the place that has them gives none, see the log",
                }));
            }
            Ok(Ok(found)) => found,
        };
        let access_key_id =
            AccessKeyId::parse(found.access_key_id()).map_err(|_| none("the access key's id is not one"))?;
        let credentials = Credentials {
            access_key_id,
            secret_access_key: SecretAccessKey::new(found.secret_access_key().to_owned()),
            session_token: found.session_token().map(|token| SessionToken::new(token.to_owned())),
        };
        Ok(Kept::new(credentials, found.expiry().map(OffsetDateTime::from), now))
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialSource")
    }
}

/// An error with its causes, for the log. AWS's own errors hold no secrets.
fn chain_of(error: &CredentialsError) -> String {
    let mut words = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Credentials with their times, and whose they are once that was asked.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) credentials: Arc<Credentials>,
    renew_at: OffsetDateTime,
    ends_at: Option<OffsetDateTime>,
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

//! Where the hub's own credentials come from.
//!
//! That is AWS's own affair: `aws-config` looks where all of AWS's tools look, in their order (environment, shared profile with its
//! roles and `credential_process`, web identity, container, instance metadata). A chain of one's own would be some thousand lines to
//! keep true to that; this one adds 13 packages and half a minute to a cold build. Its calls go out by kit's client, as all others do
//! ([`ChainClients`]). Single sign-on is left out: a server logs in nowhere.
//!
//! **Files are read anew.** A chain of `aws-config` parses the shared files once and keeps what they say, so a key that is rotated in
//! a file would never be seen. Here a chain is made anew where what it gave has no end (a key of a file), where it gave an error, and
//! where one of the files is another one; else it is kept, for those that renew themselves (an instance's, a container's) remember what
//! they had, for the time that their service is away.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use lanyard_iam::{AccessKeyId, Credentials, Region, SecretAccessKey, SessionToken};
use lanyard_kit::http_client::{HttpClient, Options};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::AwsFault;
use super::connector::ChainClients;
use super::credentials::Kept;

/// How long looking for credentials may take: an instance's metadata service is not there at once.
pub(super) const SEARCH_MAX: Duration = Duration::from_secs(6);
/// The shared files: the variable that says where each is, and where it is without that, in the home folder (AWS SDKs and Tools
/// Reference Guide, "Location of the shared config and credentials files").
const SHARED_FILES: [(&str, &str); 2] =
    [("AWS_CONFIG_FILE", ".aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")];

/// Where the hub's own credentials come from.
pub struct CredentialSource {
    origin: Origin,
    built: Mutex<Option<Built>>,
}

enum Origin {
    /// The places where AWS's tools look, in their order, or one of them.
    Places { place: Option<CredentialPlace>, profile: Option<String>, region: Region },
    /// Somebody's own.
    Given(SharedCredentialsProvider),
}

/// What looks there, and the shared files as they were when it was made.
struct Built {
    provider: SharedCredentialsProvider,
    files: [Option<Stamp>; 2],
}

/// By what a file is told from what it was: it is replaced, or written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds. Unlike the time of its content, nobody sets it back.
    changed_at: (i64, i64),
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
        Self::looking(Some(place), profile, region)
    }

    /// The places where AWS's tools look. `profile` is one of the shared files, in place of `AWS_PROFILE`.
    #[must_use]
    pub fn chain(profile: Option<&str>, region: &Region) -> Self {
        Self::looking(None, profile, region)
    }

    fn looking(place: Option<CredentialPlace>, profile: Option<&str>, region: &Region) -> Self {
        let (profile, region) = (profile.map(str::to_owned), region.clone());
        Self { origin: Origin::Places { place, profile, region }, built: Mutex::default() }
    }

    /// Some other provider of AWS's kind.
    #[must_use]
    pub fn of(provider: SharedCredentialsProvider) -> Self {
        Self { origin: Origin::Given(provider), built: Mutex::default() }
    }

    /// These and no others.
    #[must_use]
    pub fn fixed(credentials: &Credentials) -> Self {
        let token = credentials.session_token.as_ref().map(|token| token.expose().to_owned());
        let (id, secret) = (credentials.access_key_id.as_str(), credentials.secret_access_key.expose());
        let fixed = aws_credential_types::Credentials::new(id, secret, token, None, "fixed");
        Self::of(SharedCredentialsProvider::new(fixed))
    }

    async fn provider(&self) -> SharedCredentialsProvider {
        let (place, profile, region) = match &self.origin {
            Origin::Given(provider) => return provider.clone(),
            Origin::Places { place, profile, region } => (*place, profile.as_deref(), region),
        };
        let mut built = self.built.lock().await;
        // Before it reads them: what is written meanwhile is seen with the next search.
        let files = stamps().await;
        if let Some(built) = built.as_ref().filter(|built| built.files == files) {
            return built.provider.clone();
        }
        let provider = match place {
            None => whole_chain(profile, region).await,
            Some(place) => provider_at(place, profile, region),
        };
        *built = Some(Built { provider: provider.clone(), files });
        provider
    }

    /// What is found there now.
    ///
    /// # Errors
    /// [`AwsFault::NoCredentials`] where nothing is.
    pub async fn credentials(&self, now: OffsetDateTime) -> Result<Credentials, AwsFault> {
        Ok(self.found(now).await?.0)
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

    pub(super) async fn search(&self, now: OffsetDateTime) -> Result<Kept, AwsFault> {
        let none = |reason: &str| {
            let reason =
                if lacks_authorities() { format!("{reason}; {NO_AUTHORITIES}") } else { reason.to_owned() };
            AwsFault::NoCredentials { reason }
        };
        let provider = self.provider().await;
        let found = match tokio::time::timeout(SEARCH_MAX, provider.provide_credentials()).await {
            Err(_) => return Err(none("looking for them took too long")),
            Ok(Err(error)) => {
                self.built.lock().await.take();
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
        if found.expiry().is_none() {
            self.built.lock().await.take();
        }
        let not_one = |_| AwsFault::NoCredentials { reason: "the access key's id is not one".to_owned() };
        let credentials = Credentials {
            access_key_id: AccessKeyId::parse(found.access_key_id()).map_err(not_one)?,
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

async fn whole_chain(profile: Option<&str>, region: &Region) -> SharedCredentialsProvider {
    // The chain's first place. For who has them there the others are not even made.
    let environment = EnvironmentVariableCredentialsProvider::new();
    if environment.provide_credentials().await.is_ok() {
        return SharedCredentialsProvider::new(environment);
    }
    let builder = DefaultCredentialsChain::builder().configure(config_for(region));
    let mut builder = builder.region(aws_config::Region::new(region.to_string()));
    if let Some(profile) = profile {
        builder = builder.profile_name(profile);
    }
    SharedCredentialsProvider::new(builder.build().await)
}

fn provider_at(place: CredentialPlace, profile: Option<&str>, region: &Region) -> SharedCredentialsProvider {
    let config = config_for(region);
    match place {
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
    }
}

fn config_for(region: &Region) -> ProviderConfig {
    let region = aws_config::Region::new(region.to_string());
    ProviderConfig::default().with_region(Some(region)).with_http_client(ChainClients::of_environment())
}

/// The shared files as they are now; nothing for one that is not there.
async fn stamps() -> [Option<Stamp>; 2] {
    let [config, credentials] = SHARED_FILES.map(|(variable, usual)| stamp(shared_file(variable, usual)));
    [config.await, credentials.await]
}

async fn stamp(path: PathBuf) -> Option<Stamp> {
    let found = tokio::fs::metadata(path).await.ok()?;
    let changed_at = (found.ctime(), found.ctime_nsec());
    Some(Stamp { inode: found.ino(), bytes: found.len(), changed_at })
}

fn shared_file(variable: &str, usual: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let Some(path) = std::env::var_os(variable).map(PathBuf::from) else { return home().join(usual) };
    if let Ok(rest) = path.strip_prefix("~") {
        return home().join(rest);
    }
    path
}

/// What is said where the system has no certificate authorities: places behind HTTPS (STS, for a profile's role or a web identity)
/// prove nothing then.
const NO_AUTHORITIES: &str = "the system has no certificate authorities, so that no place behind HTTPS can be asked: set \
                              SSL_CERT_FILE to a PEM file that has them";

/// Whether the system vouches for nobody. It is looked for as the calls themselves do, and only where something has failed.
fn lacks_authorities() -> bool {
    HttpClient::new(Options::default()).is_err()
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

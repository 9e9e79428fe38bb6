//! Where the envelope key comes from: a file, the environment, or KMS; and the one before it, while it is replaced.
//!
//! A key is replaced in one start. The old one is given as the previous: its file renamed (`envelope.key.previous`,
//! `envelope.kms.previous`), or `envelope.previous_key`. The store then seals its keys under the new one too, and the next
//! start does without the old. So one kind of place is changed for another, and so a key is changed for a new one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lanyard_api::HubId;
use lanyard_aws::{AwsClient, KmsKey};
use lanyard_kit::ConfigSecret;
use lanyard_store::{EnvelopeKey, Keyring, KmsEnvelope, Store, StoreOptions, StoreUrl};
use serde::{Deserialize, Serialize};

/// The service whose envelope key it is: all of them, in this process.
const SERVICE: &str = "serve";
/// The key itself, where neither configuration nor KMS has it.
const KEY_FILE: &str = "envelope.key";
/// What KMS has wrapped.
const KMS_FILE: &str = "envelope.kms";
/// The end of the name of a file with the key before.
const PREVIOUS: &str = "previous";

/// Where the envelope key comes from. Without either it lies in the data folder, in a file of its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnvelopeConfig {
    /// The key: 64 hex digits. For the environment (`LANYARD_ENVELOPE__KEY`), so that it is on no disk.
    pub key: Option<ConfigSecret>,
    /// The key before it, for the one start in which it is replaced.
    pub previous_key: Option<ConfigSecret>,
    /// The ARN of a KMS key, or of an alias, that wraps it.
    pub kms_key: Option<String>,
}

/// A value that breaks a rule.
#[derive(Debug, thiserror::Error)]
pub enum InvalidEnvelope {
    /// Two places at once.
    #[error("envelope: give `key` or `kms_key`, the envelope key comes from one place")]
    Both,
    /// Not a key.
    #[error("envelope.{0} is not 64 hex digits: make one with `openssl rand -hex 32`")]
    Key(&'static str),
    /// Not a KMS key.
    #[error("envelope.kms_key: {0}")]
    KmsKey(#[from] lanyard_aws::InvalidKmsKey),
}

impl EnvelopeConfig {
    /// Looks at what the shapes cannot say.
    ///
    /// # Errors
    /// [`InvalidEnvelope`] names the key and the rule.
    pub fn validate(&self) -> Result<(), InvalidEnvelope> {
        if self.key.is_some() && self.kms_key.is_some() {
            return Err(InvalidEnvelope::Both);
        }
        for (name, key) in [("key", &self.key), ("previous_key", &self.previous_key)] {
            if key.clone().is_some_and(|key| EnvelopeKey::parse(&key.into_inner()).is_err()) {
                return Err(InvalidEnvelope::Key(name));
            }
        }
        self.kms_key.as_deref().map(KmsKey::parse).transpose()?;
        Ok(())
    }

    /// Whether KMS has to be asked.
    pub fn needs_kms(&self, data_dir: &Path) -> bool {
        self.kms_key.is_some() || previous(data_dir, KMS_FILE).exists()
    }
}

/// The envelope keys of a data folder.
pub struct Envelopes {
    /// With the key that seals, and those before it.
    pub keyring: Keyring,
    /// The id that the hub has to have, where its envelope key is bound to one.
    pub hub: Option<HubId>,
}

/// Finds the envelope keys of a hub that has been made: none is made here.
///
/// # Errors
/// As [`open`], and where there is no key.
pub async fn open_made(
    config: &EnvelopeConfig,
    data_dir: &Path,
    url: &StoreUrl,
    aws: Option<&AwsClient>,
) -> anyhow::Result<Envelopes> {
    let path = data_dir.join(KEY_FILE);
    let is_there = config.key.is_some() || config.needs_kms(data_dir) || path.exists();
    anyhow::ensure!(
        is_there,
        "`{}` is missing, and the configuration has neither envelope.key nor envelope.kms_key: give the envelope key that \
         this hub was made with",
        path.display()
    );
    open(config, data_dir, url, aws).await
}

/// Finds the envelope keys, and makes the first at the first start.
///
/// # Errors
/// Where a file must not hold a key, or KMS gives none.
pub async fn open(
    config: &EnvelopeConfig,
    data_dir: &Path,
    url: &StoreUrl,
    aws: Option<&AwsClient>,
) -> anyhow::Result<Envelopes> {
    let (own, before) = (data_dir.join(KMS_FILE), previous(data_dir, KMS_FILE));
    let of_kms = |path| aws.map(|client| KmsEnvelope { path, client, service: SERVICE });
    let known = match config.needs_kms(data_dir) {
        true => hub_of(url).await?,
        false => None,
    };
    let mut hub = None;
    let key = match (&config.key, &config.kms_key, of_kms(own.as_path())) {
        (Some(key), _, _) => EnvelopeKey::parse(&key.clone().into_inner())?,
        (None, Some(kms_key), Some(envelope)) => {
            let (key, of) = envelope.load_or_create(&KmsKey::parse(kms_key)?, known).await?;
            hub = Some(of);
            key
        }
        (None, Some(_), None) => anyhow::bail!("envelope.kms_key: the hub has no way to call AWS"),
        (None, None, _) => {
            refuse_to_forget_kms(data_dir)?;
            EnvelopeKey::load_or_create(&data_dir.join(KEY_FILE))?
        }
    };
    let mut earlier = Vec::new();
    if let Some(previous) = &config.previous_key {
        earlier.push(EnvelopeKey::parse(&previous.clone().into_inner())?);
    }
    earlier.extend(EnvelopeKey::load(&previous(data_dir, KEY_FILE))?);
    if let Some(envelope) = of_kms(before.as_path()) {
        earlier.extend(envelope.load(known).await?);
    }
    Ok(Envelopes { keyring: Keyring::with_previous(key, earlier), hub })
}

/// A new key beside one that KMS has wrapped would open nothing, and be in the way afterwards.
fn refuse_to_forget_kms(data_dir: &Path) -> anyhow::Result<()> {
    let path = data_dir.join(KMS_FILE);
    let forgotten = path.exists() && !data_dir.join(KEY_FILE).exists();
    anyhow::ensure!(
        !forgotten,
        "`{}` holds the envelope key, wrapped by KMS, and the configuration has no envelope.kms_key: name that key, or rename \
         the file to {}.{PREVIOUS} to go on with a key of another place",
        path.display(),
        path.display()
    );
    Ok(())
}

fn previous(data_dir: &Path, file: &str) -> PathBuf {
    data_dir.join(format!("{file}.{PREVIOUS}"))
}

/// The id of the hub whose store it is, before the store can be opened.
async fn hub_of(url: &StoreUrl) -> anyhow::Result<Option<HubId>> {
    let nothing = Keyring::new(EnvelopeKey::random()?);
    let options = StoreOptions::new(url.clone(), nothing);
    Store::hub_id_in(&options).await.context("the store does not tell which hub it is of")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use lanyard_aws::stand_in::StandIn;
    use lanyard_aws::{AwsOptions, CredentialSource};
    use lanyard_iam::Region;
    use lanyard_kit::SystemClock;
    use lanyard_store::{KeyringError, Purpose, StoreError};

    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    struct Stage {
        folder: tempfile::TempDir,
        kms: StandIn,
        aws: AwsClient,
    }

    impl Stage {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
            let (kms, credentials) = StandIn::start_kms(KEY, None).await;
            let (region, source) =
                (Region::parse("eu-west-1").unwrap(), CredentialSource::fixed(&credentials));
            let (options, http) = (AwsOptions::default(), kms.http_options());
            let aws = AwsClient::new(&options, &region, source, http, Arc::new(SystemClock)).unwrap();
            Self { folder, kms, aws }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn rename(&self, from: &str, to: &str) {
            std::fs::rename(self.path(from), self.path(to)).unwrap();
        }

        /// A start of the hub: its id, and the key that everything hangs on.
        async fn start(&self, config: &EnvelopeConfig) -> anyhow::Result<(HubId, Vec<u8>)> {
            config.validate()?;
            let url = StoreUrl::Sqlite(self.path("lanyard.db"));
            let envelopes = open(config, self.folder.path(), &url, Some(&self.aws)).await?;
            let store = Store::open(&StoreOptions::new(url, envelopes.keyring)).await?;
            let region = Region::parse("eu-west-1")?;
            let id = envelopes.hub.unwrap_or_else(HubId::random);
            let (hub, _) = lanyard_authn::bootstrap_as(id, &store, None, region, &()).await?;
            let key = store.keyring().purpose_key(Purpose::Chain)?.to_vec();
            store.close().await;
            Ok((hub.id, key))
        }
    }

    fn in_kms() -> EnvelopeConfig {
        EnvelopeConfig { kms_key: Some(KEY.to_owned()), ..EnvelopeConfig::default() }
    }

    fn hex_key(digit: char) -> ConfigSecret {
        ConfigSecret::from(digit.to_string().repeat(64))
    }

    fn given(digit: char, previous: Option<char>) -> EnvelopeConfig {
        EnvelopeConfig {
            key: Some(hex_key(digit)),
            previous_key: previous.map(hex_key),
            ..EnvelopeConfig::default()
        }
    }

    #[tokio::test]
    async fn kms_unwraps_the_key_of_this_hub_at_every_start() {
        let stage = Stage::new().await;
        let first = stage.start(&in_kms()).await.unwrap();
        assert!(!stage.path("envelope.key").exists());
        assert_eq!(stage.start(&in_kms()).await.unwrap(), first);
        stage.kms.deny("kms:Decrypt");
        let error = format!("{:#}", stage.start(&in_kms()).await.unwrap_err());
        assert!(error.contains("kms:Decrypt"), "{error}");
        stage.kms.permit("kms:Decrypt");
        // Without its configuration no key is made in a file beside it.
        let error = stage.start(&EnvelopeConfig::default()).await.unwrap_err().to_string();
        assert!(error.contains("envelope.kms_key") && !stage.path("envelope.key").exists(), "{error}");
        assert_eq!(stage.start(&in_kms()).await.unwrap(), first);
    }

    #[tokio::test]
    async fn a_first_start_that_was_cut_off_goes_on_as_the_same_hub() {
        let stage = Stage::new().await;
        let url = StoreUrl::Sqlite(stage.path("lanyard.db"));
        let cut_off = open(&in_kms(), stage.folder.path(), &url, Some(&stage.aws)).await.unwrap();
        assert_eq!(Some(stage.start(&in_kms()).await.unwrap().0), cut_off.hub);
    }

    #[tokio::test]
    async fn the_key_moves_from_any_place_to_any_other_and_to_a_new_one() {
        let stage = Stage::new().await;
        let file = EnvelopeConfig::default();
        let first = stage.start(&file).await.unwrap();
        /// The file that the old key is moved to first, from and to.
        type Moved = Option<(&'static str, &'static str)>;
        let steps: [(&str, Moved, EnvelopeConfig, EnvelopeConfig); 5] = [
            ("file to KMS", Some(("envelope.key", "envelope.key.previous")), in_kms(), in_kms()),
            ("KMS to a new key", Some(("envelope.kms", "envelope.kms.previous")), in_kms(), in_kms()),
            (
                "KMS to environment",
                Some(("envelope.kms", "envelope.kms.previous")),
                given('a', None),
                given('a', None),
            ),
            ("environment to a new key", None, given('b', Some('a')), given('b', None)),
            (
                "environment to file",
                None,
                EnvelopeConfig { previous_key: Some(hex_key('b')), ..EnvelopeConfig::default() },
                file,
            ),
        ];
        for (step, rename, during, after) in steps {
            if let Some((from, to)) = rename {
                stage.rename(from, to);
            }
            assert_eq!(stage.start(&during).await.unwrap(), first, "{step}");
            for name in ["envelope.key.previous", "envelope.kms.previous"] {
                let _ = std::fs::remove_file(stage.path(name));
            }
            assert_eq!(stage.start(&after).await.unwrap(), first, "after {step}");
        }
        // A key that the store was never sealed under opens nothing.
        let error = stage.start(&given('c', None)).await.unwrap_err();
        let foreign = error.downcast_ref::<StoreError>();
        assert!(
            matches!(foreign, Some(StoreError::Keyring(KeyringError::ForeignEnvelope { .. }))),
            "{error:#}"
        );
    }

    #[test]
    fn a_value_that_breaks_a_rule_is_named_and_not_repeated() {
        let key = |text: &str| Some(ConfigSecret::from(text.to_owned()));
        let cases = [
            (EnvelopeConfig { key: key("abc"), ..EnvelopeConfig::default() }, "envelope.key is not"),
            (
                EnvelopeConfig { previous_key: key("abc"), ..EnvelopeConfig::default() },
                "envelope.previous_key",
            ),
            (EnvelopeConfig { kms_key: Some("alias/x".to_owned()), ..EnvelopeConfig::default() }, "kms_key"),
            (EnvelopeConfig { key: Some(hex_key('a')), ..in_kms() }, "one place"),
        ];
        for (config, words) in cases {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("abc"), "{error}");
        }
        for good in [EnvelopeConfig::default(), in_kms(), given('a', Some('b'))] {
            assert!(good.validate().is_ok());
        }
    }
}

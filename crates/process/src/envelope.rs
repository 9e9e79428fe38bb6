//! The envelope key of a service: from the environment, from a file, or unwrapped by KMS at each start.

use lanyard_api::HubId;
use lanyard_aws::{AwsClient, AwsClientError, KmsKey};
use lanyard_store::{EnvelopeKey, Holder, KmsEnvelope};

use crate::{
    config::{KmsOptions, ProcessConfig},
    opened::OpenError,
};

/// The file with the key, beside the certificate.
const KEY_FILE: &str = "envelope.key";
/// The file with the key as KMS has wrapped it, beside the certificate.
const KMS_FILE: &str = "envelope.kms";

/// The envelope key of a service, from the one place that has it: the configuration, the file that it names, or the folder of the
/// certificate. There a key that KMS has wrapped goes before one in the clear, which it has replaced. `hub` is the one that the
/// certificate names; `client` makes what asks KMS for a key.
///
/// # Errors
/// [`OpenError`] names the file that is missing or no good, or says why KMS gives no key.
pub(crate) async fn of_service(
    holder: Holder,
    config: &ProcessConfig,
    hub: Option<HubId>,
    client: impl FnOnce(&KmsOptions, &KmsKey) -> Result<AwsClient, AwsClientError>,
) -> Result<EnvelopeKey, OpenError> {
    let envelope = &config.envelope;
    if let Some(key) = &envelope.key {
        return Ok(EnvelopeKey::parse(&key.clone().into_inner())?);
    }
    let wrapped_at = config.tls.dir.join(KMS_FILE);
    let wrapped = match &envelope.key_file {
        Some(_) => None,
        None => KmsEnvelope::wrapped_in(&wrapped_at)?,
    };
    let key = match wrapped {
        Some(wrapped) => {
            let client = client(&envelope.kms, &wrapped.kms_key)?;
            let file = KmsEnvelope { path: &wrapped_at, client: &client, service: holder.as_str() };
            file.load(hub).await?
        }
        None => None,
    };
    if let Some(key) = key {
        return Ok(key);
    }
    let path = envelope.key_file.clone().unwrap_or_else(|| config.tls.dir.join(KEY_FILE));
    EnvelopeKey::load(&path)?.ok_or(OpenError::NoEnvelope(path))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

    use lanyard_aws::{CredentialSource, stand_in::StandIn};
    use lanyard_iam::Credentials;
    use lanyard_kit::{ConfigSecret, SystemClock};
    use lanyard_store::KeyringError;

    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    struct Stage {
        kms: StandIn,
        credentials: Credentials,
        folder: tempfile::TempDir,
        hub: HubId,
    }

    impl Stage {
        async fn new() -> Self {
            let (kms, credentials) = StandIn::start_kms(KEY, None).await;
            let folder = tempfile::tempdir().unwrap();
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
            Self { kms, credentials, folder, hub: HubId::random() }
        }

        fn client(&self, options: &KmsOptions, key: &KmsKey) -> Result<AwsClient, AwsClientError> {
            let source = CredentialSource::fixed(&self.credentials);
            let (http, clock) = (self.kms.http_options(), Arc::new(SystemClock));
            AwsClient::new(&options.for_client(), key.region(), source, http, clock)
        }

        /// As `lanyard pki issue --kms-key` does.
        async fn wrap(&self, service: &str) -> EnvelopeKey {
            let key = KmsKey::parse(KEY).unwrap();
            let client = self.client(&KmsOptions::default(), &key).unwrap();
            let path = self.folder.path().join(KMS_FILE);
            let file = KmsEnvelope { path: &path, client: &client, service };
            file.load_or_create(&key, Some(self.hub)).await.unwrap().0
        }

        fn config(&self) -> ProcessConfig {
            let mut config = ProcessConfig::default();
            config.tls.dir = self.folder.path().to_owned();
            config
        }

        async fn open(&self, holder: Holder, config: &ProcessConfig) -> Result<EnvelopeKey, OpenError> {
            of_service(holder, config, Some(self.hub), |options, key| self.client(options, key)).await
        }
    }

    #[tokio::test]
    async fn kms_unwraps_the_key_of_this_service_and_hub_at_each_start() {
        let stage = Stage::new().await;
        let made = stage.wrap("authz").await;
        let config = stage.config();
        assert_eq!(stage.open(Holder::Authz, &config).await.unwrap().id(), made.id());
        assert!(!stage.folder.path().join(KEY_FILE).exists());
        // Another service's file, and another hub's, are refused before KMS is asked.
        let others = stage.open(Holder::Authn, &config).await.unwrap_err().to_string();
        assert!(others.contains("it is of service `authz`, not `authn`"), "{others}");
        let client = |options: &KmsOptions, key: &KmsKey| stage.client(options, key);
        let other = of_service(Holder::Authz, &config, Some(HubId::random()), client).await.unwrap_err();
        assert!(matches!(other, OpenError::Keyring(KeyringError::WrappedKey { .. })), "{other}");
        // Who may not ask KMS any more does not start.
        stage.kms.deny("kms:Decrypt");
        let denied = stage.open(Holder::Authz, &config).await.unwrap_err().to_string();
        assert!(denied.contains("kms:Decrypt"), "{denied}");
    }

    #[tokio::test]
    async fn the_key_comes_from_one_place_and_the_nearest_word_counts() {
        let stage = Stage::new().await;
        let mut config = stage.config();
        let missing = stage.open(Holder::Authz, &config).await.unwrap_err();
        assert!(matches!(&missing, OpenError::NoEnvelope(path) if path.ends_with(KEY_FILE)), "{missing}");
        let in_file = EnvelopeKey::load_or_create(&stage.folder.path().join(KEY_FILE)).unwrap();
        assert_eq!(stage.open(Holder::Authz, &config).await.unwrap().id(), in_file.id());
        let wrapped = stage.wrap("authz").await;
        assert_eq!(stage.open(Holder::Authz, &config).await.unwrap().id(), wrapped.id());
        let named = stage.folder.path().join("named.key");
        let by_name = EnvelopeKey::load_or_create(&named).unwrap();
        config.envelope.key_file = Some(named);
        assert_eq!(stage.open(Holder::Authz, &config).await.unwrap().id(), by_name.id());
        config.envelope.key_file = None;
        config.envelope.key = Some(ConfigSecret::from("ab".repeat(32)));
        let given = stage.open(Holder::Authz, &config).await.unwrap();
        assert!([in_file, wrapped, by_name].iter().all(|other| other.id() != given.id()));
    }
}

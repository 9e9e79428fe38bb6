//! An envelope key that only KMS can unwrap.
//!
//! KMS makes it (`GenerateDataKey`) and gives it twice: in the clear, which stays in memory, and wrapped, which is kept in a
//! file beside the database's other keys and is worth nothing without KMS. The encryption context names the hub and the
//! service, so that what one hub's role may unwrap is no other's, and CloudTrail says whose key was unwrapped.

use std::path::{Path, PathBuf};

use lanyard_api::HubId;
use lanyard_aws::{AwsClient, DATA_KEY_BYTES, KmsKey};
use lanyard_kit::{
    ExposeSecret, SecretBytes,
    tls::{read_secret_file, write_secret_file},
};
use serde::{Deserialize, Serialize};

use super::{
    envelope::{EnvelopeKey, KEY_BYTES},
    ring::KeyringError,
};

/// The one layout of the file so far.
const LAYOUT: u8 = 1;
/// Names of what the encryption context says.
const CONTEXT: [&str; 2] = ["lanyard:hub", "lanyard:service"];

const _: () = assert!(DATA_KEY_BYTES == KEY_BYTES, "KMS makes keys of the envelope key's length");

/// What is kept of an envelope key that KMS has wrapped. Nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrappedKey {
    layout: u8,
    /// The key that unwraps it, by its ARN.
    kms_key: String,
    hub: HubId,
    service: String,
    /// Hex.
    wrapped: String,
}

/// What a file with a wrapped envelope key says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedEnvelope {
    /// The key of KMS that unwraps it.
    pub kms_key: KmsKey,
    /// The service whose envelope key it is.
    pub service: String,
}

/// A file with an envelope key that KMS has wrapped.
#[derive(Debug)]
pub struct KmsEnvelope<'a> {
    /// The file, in a folder of its owner alone.
    pub path: &'a Path,
    /// KMS.
    pub client: &'a AwsClient,
    /// The service whose envelope key it is.
    pub service: &'a str,
}

impl KmsEnvelope<'_> {
    /// What the file says, if there is one: enough to know whom to ask.
    ///
    /// # Errors
    /// [`KeyringError`] where it is no such file, or others may read it.
    pub fn wrapped_in(path: &Path) -> Result<Option<WrappedEnvelope>, KeyringError> {
        let Some(stored) = read(path)? else { return Ok(None) };
        let kms_key = KmsKey::parse(&stored.kms_key).map_err(|error| broken(path, error.to_string()))?;
        Ok(Some(WrappedEnvelope { kms_key, service: stored.service }))
    }

    /// Has KMS unwrap the key in the file, and at the first start make it. `hub` is the id that the store has, if it has one:
    /// the file has to be of that hub. Answers the key and the hub that it is of, which is to be the store's own.
    ///
    /// # Errors
    /// [`KeyringError`]: what the file lacks, or why KMS gives no key.
    pub async fn load_or_create(
        &self,
        kms_key: &KmsKey,
        hub: Option<HubId>,
    ) -> Result<(EnvelopeKey, HubId), KeyringError> {
        let Some(stored) = read(self.path)? else { return self.create(kms_key, hub).await };
        // An alias may have been turned to a newer key since: the file says which one it needs.
        if !kms_key.is_alias() && stored.kms_key != kms_key.as_str() {
            return Err(KeyringError::OtherKmsKey {
                path: self.path.to_owned(),
                stored: stored.kms_key,
                given: kms_key.as_str().to_owned(),
            });
        }
        self.unwrap(&stored, hub).await
    }

    /// Has KMS unwrap the key in the file, if there is one.
    ///
    /// # Errors
    /// As [`Self::load_or_create`].
    pub async fn load(&self, hub: Option<HubId>) -> Result<Option<EnvelopeKey>, KeyringError> {
        match read(self.path)? {
            Some(stored) => Ok(Some(self.unwrap(&stored, hub).await?.0)),
            None => Ok(None),
        }
    }

    async fn unwrap(
        &self,
        stored: &WrappedKey,
        hub: Option<HubId>,
    ) -> Result<(EnvelopeKey, HubId), KeyringError> {
        if let Some(own) = hub.filter(|own| *own != stored.hub) {
            return Err(self.broken(format!("it is of hub {}, and the store of hub {own}", stored.hub)));
        }
        if stored.service != self.service {
            return Err(self.broken(format!("it is of service `{}`, not `{}`", stored.service, self.service)));
        }
        let key = KmsKey::parse(&stored.kms_key).map_err(|error| self.broken(error.to_string()))?;
        let wrapped =
            hex::decode(&stored.wrapped).map_err(|_| self.broken("its key is not hex".to_owned()))?;
        let (hub, service) = (stored.hub.to_string(), self.service);
        let [hub_name, service_name] = CONTEXT;
        let context = [(hub_name, hub.as_str()), (service_name, service)];
        let secret = self.client.unwrap_data_key(&key, &wrapped, &context).await?;
        Ok((EnvelopeKey::from_secret(secret), stored.hub))
    }

    async fn create(
        &self,
        kms_key: &KmsKey,
        hub: Option<HubId>,
    ) -> Result<(EnvelopeKey, HubId), KeyringError> {
        let hub = hub.unwrap_or_else(HubId::random);
        let [hub_name, service_name] = CONTEXT;
        let (name, service) = (hub.to_string(), self.service);
        let context = [(hub_name, name.as_str()), (service_name, service)];
        let made = self.client.generate_data_key(kms_key, &context).await?;
        let stored = WrappedKey {
            layout: LAYOUT,
            kms_key: made.key.as_str().to_owned(),
            hub,
            service: service.to_owned(),
            wrapped: hex::encode(&made.wrapped),
        };
        let mut text = serde_json::to_vec_pretty(&stored).map_err(|error| self.broken(error.to_string()))?;
        text.push(b'\n');
        write_secret_file(self.path, &SecretBytes::from(text))?;
        Ok((EnvelopeKey::from_secret(made.plaintext), hub))
    }

    fn broken(&self, reason: String) -> KeyringError {
        broken(self.path, reason)
    }
}

fn read(path: &Path) -> Result<Option<WrappedKey>, KeyringError> {
    let bytes = match read_secret_file(path) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stored: WrappedKey = serde_json::from_slice(bytes.expose_secret())
        .map_err(|error| broken(path, format!("line {}, column {}", error.line(), error.column())))?;
    if stored.layout != LAYOUT {
        return Err(broken(path, format!("its layout is {}, not {LAYOUT}", stored.layout)));
    }
    Ok(Some(stored))
}

fn broken(path: &Path, reason: String) -> KeyringError {
    KeyringError::WrappedKey { path: PathBuf::from(path), reason }
}

#[cfg(test)]
mod tests;

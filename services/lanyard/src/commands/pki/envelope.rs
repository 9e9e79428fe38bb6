//! The envelope key in a service's folder: in a file, or as KMS has wrapped it.

use std::path::Path;

use anyhow::Context as _;
use lanyard_api::HubId;
use lanyard_aws::{AwsClient, KmsKey};
use lanyard_store::{EnvelopeKey, Holder, KmsEnvelope};

/// The file with a service's envelope key, beside its certificate.
const KEY_FILE: &str = "envelope.key";
/// The file with it as KMS has wrapped it.
const KMS_FILE: &str = "envelope.kms";

/// The envelope key of a service's folder, with what asks KMS where that has wrapped it.
///
/// # Errors
/// Where the folder has none, or KMS does not unwrap it.
pub(in crate::commands) async fn load(
    folder: &Path,
    client: impl FnOnce() -> anyhow::Result<AwsClient>,
) -> anyhow::Result<EnvelopeKey> {
    let wrapped_at = folder.join(KMS_FILE);
    if let Some(wrapped) = KmsEnvelope::wrapped_in(&wrapped_at)? {
        let file = KmsEnvelope { path: &wrapped_at, client: &client()?, service: &wrapped.service };
        return file.load(None).await?.with_context(|| missing(&wrapped_at));
    }
    let path = folder.join(KEY_FILE);
    EnvelopeKey::load(&path)?.with_context(|| missing(&path))
}

fn missing(path: &Path) -> String {
    format!("`{}` is missing: name a folder of a service", path.display())
}

/// The envelope key of a service's folder; made there, wrapped by `kms_key` where one is named, if the folder has none of that
/// kind. One that KMS has wrapped stays so without a word.
///
/// # Errors
/// Where a file must not hold a key, or KMS gives none.
pub(super) async fn load_or_create(
    folder: &Path,
    holder: Holder,
    (kms_key, hub): (Option<&KmsKey>, HubId),
    client: impl FnOnce() -> anyhow::Result<AwsClient>,
) -> anyhow::Result<EnvelopeKey> {
    let wrapped_at = folder.join(KMS_FILE);
    let before = KmsEnvelope::wrapped_in(&wrapped_at)?.map(|wrapped| wrapped.kms_key);
    let Some(kms_key) = kms_key.or(before.as_ref()) else {
        return Ok(EnvelopeKey::load_or_create(&folder.join(KEY_FILE))?);
    };
    let file = KmsEnvelope { path: &wrapped_at, client: &client()?, service: holder.as_str() };
    Ok(file.load_or_create(kms_key, Some(hub)).await?.0)
}

/// Removes a key in the clear that one under KMS has replaced: it opens nothing any more.
///
/// # Errors
/// Where the file cannot be removed.
pub(super) fn forget_replaced(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(KEY_FILE);
    if !folder.join(KMS_FILE).exists() || !path.exists() {
        return Ok(());
    }
    std::fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

    use lanyard_aws::{AwsOptions, CredentialSource, stand_in::StandIn};
    use lanyard_kit::{SystemClock, http_client};

    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[tokio::test]
    async fn a_key_moves_under_kms_and_stays_there() {
        let (kms, credentials) = StandIn::start_kms(KEY, None).await;
        let key = KmsKey::parse(KEY).unwrap();
        let client = || -> anyhow::Result<AwsClient> {
            let http: http_client::Options = kms.http_options();
            let source = CredentialSource::fixed(&credentials);
            let options = AwsOptions::default();
            Ok(AwsClient::new(&options, key.region(), source, http, Arc::new(SystemClock))?)
        };
        let never = || -> anyhow::Result<AwsClient> { anyhow::bail!("KMS is asked for nothing") };
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let (at, hub) = (folder.path(), HubId::random());
        assert!(load(at, never).await.unwrap_err().to_string().contains(KEY_FILE));
        let plain = load_or_create(at, Holder::Authz, (None, hub), never).await.unwrap();
        forget_replaced(at).unwrap();
        assert_eq!(load(at, never).await.unwrap().id(), plain.id());
        let wrapped = load_or_create(at, Holder::Authz, (Some(&key), hub), client).await.unwrap();
        assert_ne!(wrapped.id(), plain.id());
        forget_replaced(at).unwrap();
        assert!(!at.join(KEY_FILE).exists());
        // Issued again without a word of KMS it is the same; and what rotates keys finds it.
        let again = load_or_create(at, Holder::Authz, (None, hub), client).await.unwrap();
        assert_eq!(again.id(), wrapped.id());
        assert_eq!(load(at, client).await.unwrap().id(), wrapped.id());
        let other = load_or_create(at, Holder::Authn, (None, hub), client).await.unwrap_err().to_string();
        assert!(other.contains("it is of service `authz`"), "{other}");
    }
}

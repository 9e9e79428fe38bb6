use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use lanyard_aws::stand_in::{Behaviour, StandIn};
use lanyard_aws::{AwsFault, AwsOptions, CredentialSource};
use lanyard_iam::Region;
use lanyard_kit::SystemClock;

use super::*;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER_KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/ffffffff-12ab-34cd-56ef-1234567890ab";
const ALIAS: &str = "arn:aws:kms:eu-west-1:111122223333:alias/lanyard";

struct Stage {
    kms: StandIn,
    client: AwsClient,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let (kms, hub) = StandIn::start_kms(KEY, Some(ALIAS)).await;
        let region = Region::parse("eu-west-1").unwrap();
        let source = CredentialSource::fixed(&hub);
        let options = AwsOptions::default();
        let client =
            AwsClient::new(&options, &region, source, kms.http_options(), Arc::new(SystemClock)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { kms, client, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("envelope.kms")
    }

    async fn load(&self, kms_key: &str, hub: Option<HubId>) -> Result<(EnvelopeKey, HubId), KeyringError> {
        self.load_for(kms_key, hub, "serve").await
    }

    async fn load_for(
        &self,
        kms_key: &str,
        hub: Option<HubId>,
        service: &str,
    ) -> Result<(EnvelopeKey, HubId), KeyringError> {
        let path = self.path();
        let envelope = KmsEnvelope { path: &path, client: &self.client, service };
        envelope.load_or_create(&KmsKey::parse(kms_key).unwrap(), hub).await
    }
}

#[tokio::test]
async fn a_key_is_made_once_and_then_unwrapped_and_the_file_holds_nothing_secret() {
    let stage = Stage::new().await;
    let (made, hub) = stage.load(ALIAS, None).await.unwrap();
    let text = std::fs::read_to_string(stage.path()).unwrap();
    assert_eq!(std::fs::metadata(stage.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(text.contains(KEY) && text.contains(&hub.to_string()), "{text}");
    assert!(!text.contains(&hex::encode(made.secret())), "{text}");
    for (kms_key, known) in [(ALIAS, None), (KEY, Some(hub)), (ALIAS, Some(hub))] {
        let (again, of) = stage.load(kms_key, known).await.unwrap();
        assert_eq!((again.id(), of), (made.id(), hub));
    }
    // The alias is turned to another key: what was wrapped before still opens.
    stage.kms.add_kms_key(OTHER_KEY, Some(ALIAS));
    assert_eq!(stage.load(ALIAS, Some(hub)).await.unwrap().0.id(), made.id());
}

#[tokio::test]
async fn a_file_of_another_hub_service_or_key_is_refused_by_name() {
    let stage = Stage::new().await;
    let (_, hub) = stage.load(KEY, None).await.unwrap();
    stage.kms.add_kms_key(OTHER_KEY, None);
    let other = stage.load(KEY, Some(HubId::random())).await.unwrap_err().to_string();
    assert!(other.contains(&format!("of hub {hub}")), "{other}");
    let other = stage.load_for(KEY, Some(hub), "authn").await.unwrap_err().to_string();
    assert!(other.contains("`serve`, not `authn`"), "{other}");
    let other = stage.load(OTHER_KEY, Some(hub)).await.unwrap_err();
    assert!(matches!(other, KeyringError::OtherKmsKey { .. }), "{other:?}");
    assert!(other.to_string().contains("envelope.kms.previous"), "{other}");
}

#[tokio::test]
async fn immunity_38_what_was_changed_in_the_file_does_not_unwrap() {
    let stage = Stage::new().await;
    let (_, hub) = stage.load(KEY, None).await.unwrap();
    let good = std::fs::read_to_string(stage.path()).unwrap();
    let elsewhere = HubId::random();
    let moved = good.replace(&hub.to_string(), &elsewhere.to_string());
    std::fs::write(stage.path(), moved).unwrap();
    match stage.load(KEY, Some(elsewhere)).await {
        Err(KeyringError::Kms(AwsFault::Refused(refusal))) => {
            assert_eq!(refusal.code, "InvalidCiphertextException");
        }
        other => panic!("{other:?}"),
    }
    for bad in [
        "",
        "{}",
        &good.replace("\"layout\": 1", "\"layout\": 2"),
        &good.replace("wrapped\": \"", "wrapped\": \"x"),
    ] {
        std::fs::write(stage.path(), bad).unwrap();
        let refused = stage.load(KEY, Some(hub)).await.unwrap_err();
        assert!(matches!(refused, KeyringError::WrappedKey { .. }), "{bad}: {refused:?}");
    }
    std::fs::write(stage.path(), &good).unwrap();
    std::fs::set_permissions(stage.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(stage.load(KEY, Some(hub)).await, Err(KeyringError::File(_))));
}

#[tokio::test]
async fn without_kms_there_is_no_key_and_no_file_and_the_error_says_what_to_do() {
    let stage = Stage::new().await;
    for behaviour in [Behaviour::Denied, Behaviour::ServerError, Behaviour::BadJson] {
        stage.kms.behave(behaviour);
        let error = stage.load(KEY, None).await.unwrap_err();
        assert!(matches!(error, KeyringError::Kms(_)), "{behaviour:?}: {error:?}");
        assert!(!stage.path().exists(), "{behaviour:?}");
    }
    stage.kms.behave(Behaviour::Honest);
    stage.kms.deny("kms:GenerateDataKey");
    let error = stage.load(KEY, None).await.unwrap_err().to_string();
    assert!(error.contains("kms:GenerateDataKey") && error.contains("AccessDenied"), "{error}");
    stage.kms.permit("kms:GenerateDataKey");
    let (made, hub) = stage.load(KEY, None).await.unwrap();
    stage.kms.deny("kms:Decrypt");
    assert!(stage.load(KEY, Some(hub)).await.is_err());
    stage.kms.permit("kms:Decrypt");
    assert_eq!(stage.load(KEY, Some(hub)).await.unwrap().0.id(), made.id());
}

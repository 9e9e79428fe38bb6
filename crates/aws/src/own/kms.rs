//! KMS as the hub: keys that only it can unwrap.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lanyard_iam::{Arn, Partition, Region, shown_within};
use lanyard_kit::http_client::Answer;
use serde::Deserialize;
use serde_json::json;
use zeroize::{Zeroize as _, Zeroizing};

use super::call::{Api, Call, Whose, regional};
use super::wire::{Unreadable, Wire};
use super::{AwsClient, AwsFault};
use crate::metered::Service;

/// Length of a data key: AES-256.
pub const DATA_KEY_BYTES: usize = 32;
/// Longest wrapped key; KMS takes 6 144 bytes of ciphertext at most.
const WRAPPED_BYTES_MAX: usize = 6_144;
/// Most characters of what is no key that a message repeats.
const SHOWN_CHARS_MAX: usize = 256;

const KMS: Api = Api { service: Service::Kms, name: "kms", version: "TrentService", wire: Wire::Json };

/// A key of KMS, or an alias of one, by its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsKey {
    arn: Arn,
    partition: Partition,
    region: Region,
}

/// The text is no KMS key's ARN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a KMS key: write arn:aws:kms:REGION:ACCOUNT:key/ID, or alias/NAME in its place")]
pub struct InvalidKmsKey(pub String);

impl KmsKey {
    /// Reads the ARN of a key or an alias.
    ///
    /// # Errors
    /// [`InvalidKmsKey`] for anything else: an id alone does not say in which region to ask.
    pub fn parse(text: &str) -> Result<Self, InvalidKmsKey> {
        let invalid = || InvalidKmsKey(shown_within(text, SHOWN_CHARS_MAX));
        let arn = Arn::parse(text).map_err(|_| invalid())?;
        let (kind, name) = arn.resource().split_once('/').unwrap_or_default();
        let named = matches!(kind, "key" | "alias") && !name.is_empty();
        let account = lanyard_iam::AccountId::parse(arn.account()).is_ok();
        let (Some(partition), Ok(region), "kms", true, true) = (
            Partition::from_name(arn.partition()),
            Region::parse(arn.region()),
            arn.service(),
            named,
            account,
        ) else {
            return Err(invalid());
        };
        Ok(Self { arn, partition, region })
    }

    /// Whether it names a key by an alias, which may be turned to another key.
    #[must_use]
    pub fn is_alias(&self) -> bool {
        self.arn.resource().starts_with("alias/")
    }

    /// The region in which it is asked.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.arn.as_str()
    }
}

/// A new key, in the clear and wrapped.
pub struct DataKey {
    /// In the clear; wiped when dropped.
    pub plaintext: Zeroizing<[u8; DATA_KEY_BYTES]>,
    /// Wrapped by KMS: worth nothing without it.
    pub wrapped: Vec<u8>,
    /// The key that wrapped it, where an alias was asked for.
    pub key: KmsKey,
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKey").field("key", &self.key).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KmsAnswer {
    key_id: String,
    plaintext: String,
    #[serde(default)]
    ciphertext_blob: Option<String>,
}

impl AwsClient {
    /// Has KMS make a key (`GenerateDataKey`). Who unwraps it has to name the same context, which CloudTrail shows.
    ///
    /// # Errors
    /// [`AwsFault`]: there is no key.
    pub async fn generate_data_key(
        &self,
        key: &KmsKey,
        context: &[(&str, &str)],
    ) -> Result<DataKey, AwsFault> {
        let body = json!({
            "KeyId": key.as_str(),
            "KeySpec": "AES_256",
            "EncryptionContext": context_of(context),
        });
        self.ask_kms(key, "kms:GenerateDataKey", &body, |answer| {
            let KmsAnswer { key_id, plaintext, ciphertext_blob } = answer;
            let plaintext = data_key(plaintext)?;
            let wrapped = STANDARD.decode(ciphertext_blob.unwrap_or_default());
            let wrapped = wrapped.ok().filter(|wrapped| (1..=WRAPPED_BYTES_MAX).contains(&wrapped.len()));
            let wrapped = wrapped.ok_or_else(|| Unreadable::new("it has no wrapped key"))?;
            let key = KmsKey::parse(&key_id).map_err(|error| Unreadable::new(error.to_string()))?;
            Ok(DataKey { plaintext, wrapped, key })
        })
        .await
    }

    /// Has KMS unwrap a key (`Decrypt`).
    ///
    /// # Errors
    /// [`AwsFault`]: there is no key. [`AwsFault::Refused`] also where it was wrapped by another key, or for another context.
    pub async fn unwrap_data_key(
        &self,
        key: &KmsKey,
        wrapped: &[u8],
        context: &[(&str, &str)],
    ) -> Result<Zeroizing<[u8; DATA_KEY_BYTES]>, AwsFault> {
        let body = json!({
            "KeyId": key.as_str(),
            "CiphertextBlob": STANDARD.encode(wrapped),
            "EncryptionContext": context_of(context),
        });
        self.ask_kms(key, "kms:Decrypt", &body, |answer| {
            if !key.is_alias() && answer.key_id != key.as_str() {
                return Err(Unreadable::new("another key has unwrapped it"));
            }
            data_key(answer.plaintext)
        })
        .await
    }

    async fn ask_kms<T>(
        &self,
        key: &KmsKey,
        action: &'static str,
        body: &serde_json::Value,
        done: impl Fn(KmsAnswer) -> Result<T, Unreadable>,
    ) -> Result<T, AwsFault> {
        let call = Call::json(KMS, regional(KMS, key.partition, &key.region), action, body);
        self.call(Whose::Hub, &call, |answer| done(read(answer)?)).await
    }
}

fn context_of(pairs: &[(&str, &str)]) -> serde_json::Map<String, serde_json::Value> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
}

/// Reads an answer that holds a key, and wipes it as far as it is ours.
fn read(answer: Answer) -> Result<KmsAnswer, Unreadable> {
    let read =
        serde_json::from_slice(&answer.body).map_err(|_| Unreadable::new("it is not the JSON of a key"));
    if let Ok(mut body) = answer.body.try_into_mut() {
        body.as_mut().zeroize();
    }
    read
}

fn data_key(plaintext: String) -> Result<Zeroizing<[u8; DATA_KEY_BYTES]>, Unreadable> {
    let plaintext = Zeroizing::new(plaintext);
    let bytes = STANDARD.decode(plaintext.as_str()).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| Unreadable::new("its key is not base64"))?;
    let key = <[u8; DATA_KEY_BYTES]>::try_from(bytes.as_slice()).map(Zeroizing::new);
    key.map_err(|_| Unreadable::new("its key is not 32 bytes long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_whole_arn() {
        let key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let multi = "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
        let alias = "arn:aws:kms:eu-west-1:111122223333:alias/lanyard";
        for text in [key, multi, alias] {
            assert_eq!(KmsKey::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/lanyard",
            "arn:aws:kms::111122223333:key/x",
            "arn:aws:kms:eu-west-1:x:key/x",
            "arn:aws:kms:eu-west-1:111122223333:key/",
            "arn:aws:kms:eu-west-1:111122223333:grant/x",
            "arn:aws:s3:eu-west-1:111122223333:key/x",
            "arn:moon:kms:eu-west-1:111122223333:key/x",
        ] {
            assert_eq!(KmsKey::parse(text), Err(InvalidKmsKey(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn an_answer_without_a_whole_key_is_none_and_no_error_repeats_it() {
        let answer = |body: &str| Answer {
            status: http::StatusCode::OK,
            headers: http::HeaderMap::new(),
            body: body.to_owned().into(),
        };
        let good = format!(r#"{{"KeyId":"k","Plaintext":"{}"}}"#, STANDARD.encode([7; 32]));
        let read_key = |body: &str| read(answer(body)).and_then(|answer| data_key(answer.plaintext));
        assert_eq!(*read_key(&good).unwrap(), [7; 32]);
        let cases = [
            good.replace("Plaintext", "Other"),
            good[..good.len() - 1].to_owned(),
            format!(r#"{{"KeyId":"k","Plaintext":"{}"}}"#, STANDARD.encode([7; 16])),
            r#"{"KeyId":"k","Plaintext":"s3cret!"}"#.to_owned(),
            "<KeyId/>".to_owned(),
        ];
        for body in cases {
            let error = read_key(&body).unwrap_err().to_string();
            assert!(!error.contains("s3cret") && !error.contains("BwcH"), "{body}: {error}");
        }
    }
}

//! Credentials of a role session, and how the two roads write them down.

use std::borrow::Cow;

use bytes::Bytes;
use lanyard_kit::clock::moment_text;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// What was vended for one pod identity.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The public half of the key.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: SecretString,
    /// The session's token.
    pub session_token: SecretString,
    /// Until when they count.
    pub expires_at: OffsetDateTime,
    /// The ARN of the role session: `arn:<partition>:sts::<account>:assumed-role/<role>/<session>`.
    pub assumed_role_arn: String,
}

impl Credentials {
    /// The account of the role: the fifth part of the ARN; empty where it is no ARN.
    #[must_use]
    pub fn account(&self) -> &str {
        self.assumed_role_arn.split(':').nth(4).unwrap_or_default()
    }

    /// The role's name without its path, as an ARN of a session has it.
    #[must_use]
    pub fn role_name(&self) -> &str {
        self.assumed_role_arn.split('/').nth(1).unwrap_or_default()
    }

    /// The body of the container-credentials road (AWS SDKs and Tools Reference Guide, "Container credential provider").
    #[must_use]
    pub fn container_body(&self) -> Bytes {
        body(&ContainerBody {
            access_key_id: self.access_key_id.as_str().into(),
            secret_access_key: self.secret_access_key.expose_secret().into(),
            token: self.session_token.expose_secret().into(),
            account_id: self.account().into(),
            expiration: shown(self.expires_at).into(),
        })
    }
}

/// The body of the instance-metadata road (Amazon EC2 User Guide, "Retrieve security credentials from instance metadata"), by that of the
/// container-credentials road; empty where that is none.
#[must_use]
pub fn metadata_body(container: &[u8], updated_at: OffsetDateTime) -> Bytes {
    let Ok(written) = serde_json::from_slice::<ContainerBody<'_>>(container) else { return Bytes::new() };
    body(&MetadataBody {
        code: "Success",
        last_updated: shown(updated_at),
        kind: "AWS-HMAC",
        access_key_id: &written.access_key_id,
        secret_access_key: &written.secret_access_key,
        token: &written.token,
        expiration: &written.expiration,
    })
}

/// Whole seconds: of the published SDKs, some read no fraction on the instance-metadata road.
fn shown(moment: OffsetDateTime) -> String {
    moment_text(&moment)
}

fn body<T: Serialize>(value: &T) -> Bytes {
    // Strings always become JSON. It is kept for hours, and so without the room that it grew in.
    serde_json::to_vec(value).map(|text| Bytes::from(text.into_boxed_slice())).unwrap_or_default()
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerBody<'a> {
    #[serde(borrow)]
    access_key_id: Cow<'a, str>,
    #[serde(borrow)]
    secret_access_key: Cow<'a, str>,
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    account_id: Cow<'a, str>,
    #[serde(borrow)]
    expiration: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetadataBody<'a> {
    code: &'static str,
    last_updated: String,
    #[serde(rename = "Type")]
    kind: &'static str,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: &'a str,
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;

    pub(crate) fn credentials(expires_at: OffsetDateTime) -> Credentials {
        Credentials {
            access_key_id: "ASIAEXAMPLEEXAMPLE01".to_owned(),
            secret_access_key: "hush".into(),
            session_token: "quiet".into(),
            expires_at,
            assumed_role_arn: "arn:aws:sts::111122223333:assumed-role/cart/eks-dev-cart-0-x".to_owned(),
        }
    }

    #[test]
    fn each_road_has_its_own_body() {
        let credentials = credentials(datetime!(2026-11-24 18:00:00.75 UTC));
        let read = |body: Bytes| serde_json::from_slice::<Value>(&body).unwrap();
        assert_eq!(
            read(credentials.container_body()),
            json!({
                "AccessKeyId": "ASIAEXAMPLEEXAMPLE01", "SecretAccessKey": "hush", "Token": "quiet",
                "AccountId": "111122223333", "Expiration": "2026-11-24T18:00:00Z",
            })
        );
        assert_eq!(
            read(metadata_body(&credentials.container_body(), datetime!(2026-11-24 12:00 UTC))),
            json!({
                "Code": "Success", "LastUpdated": "2026-11-24T12:00:00Z", "Type": "AWS-HMAC",
                "AccessKeyId": "ASIAEXAMPLEEXAMPLE01", "SecretAccessKey": "hush", "Token": "quiet",
                "Expiration": "2026-11-24T18:00:00Z",
            })
        );
        assert_eq!(credentials.role_name(), "cart");
        assert!(!format!("{credentials:?}").contains("hush"));
    }

    #[test]
    fn what_is_no_arn_has_no_account() {
        let mut odd = credentials(datetime!(2026-11-24 18:00 UTC));
        odd.assumed_role_arn = "nothing".to_owned();
        assert_eq!((odd.account(), odd.role_name()), ("", ""));
    }
}

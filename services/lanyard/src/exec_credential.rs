//! client-go's exec plugin protocol: what `kubectl` reads from `lanyard token`.

use lanyard_iam::Token;
use serde::Deserialize;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// A minute less than a token lives, as the stock clients say.
const EXPIRY: Duration = Duration::minutes(14);
/// What clients that say nothing expect.
const OLDEST: &str = "client.authentication.k8s.io/v1beta1";
/// The versions spoken here.
const SPOKEN: [&str; 2] = ["client.authentication.k8s.io/v1", OLDEST];

/// The client speaks none of our versions.
#[derive(Debug, thiserror::Error)]
pub enum ExecInfoError {
    /// Not the JSON that kubectl sets.
    #[error("KUBERNETES_EXEC_INFO is not an ExecCredential: {0}")]
    NotJson(serde_json::Error),
    /// Another version.
    #[error(
        "KUBERNETES_EXEC_INFO asks for `{0}`: use client.authentication.k8s.io/v1 or v1beta1 in the kubeconfig"
    )]
    Version(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecInfo {
    api_version: String,
}

/// The version that the client asks for in `KUBERNETES_EXEC_INFO`.
///
/// # Errors
/// [`ExecInfoError`] where it is none of ours.
pub fn version(exec_info: Option<&str>) -> Result<&'static str, ExecInfoError> {
    let Some(text) = exec_info.filter(|text| !text.is_empty()) else { return Ok(OLDEST) };
    let info: ExecInfo = serde_json::from_str(text).map_err(ExecInfoError::NotJson)?;
    SPOKEN
        .into_iter()
        .find(|version| *version == info.api_version)
        .ok_or(ExecInfoError::Version(info.api_version))
}

/// The answer, which holds the token: for standard output alone.
pub fn render(version: &str, token: &Token, now: OffsetDateTime) -> Value {
    let expires = (now + EXPIRY).replace_nanosecond(0).unwrap_or(now);
    json!({
        "kind": "ExecCredential",
        "apiVersion": version,
        "spec": {},
        "status": {
            // Formatting a UTC time as RFC 3339 fails only beyond the year 9999.
            "expirationTimestamp": expires.format(&Rfc3339).unwrap_or_default(),
            "token": token.expose(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_gets_the_version_it_asked_for_or_a_refusal() {
        let info =
            |version: &str| format!(r#"{{"kind":"ExecCredential","apiVersion":"{version}","spec":{{}}}}"#);
        assert_eq!(version(None).unwrap(), OLDEST);
        assert_eq!(version(Some("")).unwrap(), OLDEST);
        for spoken in SPOKEN {
            assert_eq!(version(Some(&info(spoken))).unwrap(), spoken);
        }
        assert!(version(Some(&info("client.authentication.k8s.io/v1alpha1"))).is_err());
        assert!(version(Some("nonsense")).is_err());
    }
}

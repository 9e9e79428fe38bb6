//! Which release of Kubernetes an API server is of, for which its files are written: as the flag says, or as it says of itself.

use lanyard_api::kubeconfig::Kubeconfig;
use lanyard_spoke::{ApiFault, ApiServer, SpokeConfig};
use serde::Serialize;

use crate::{
    failure::Failure,
    kubefiles::{KubernetesVersion, VersionError},
};

/// How long an API server is waited for, in seconds: one that the hub reaches need not be reached from here.
const ANSWER_SECONDS: u64 = 5;

/// The release, and who says so.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "said_by", rename_all = "snake_case")]
pub(super) enum Release {
    /// `--kubernetes-version`.
    Flag {
        /// It.
        version: KubernetesVersion,
    },
    /// The API server itself.
    ApiServer {
        /// It.
        version: KubernetesVersion,
    },
    /// Nobody: the newest is taken, unless there are files already.
    Nobody {
        /// What is taken.
        version: KubernetesVersion,
        /// Why the API server does not say it.
        why: String,
    },
}

impl Release {
    /// What is told, else what the API server says.
    ///
    /// # Errors
    /// [`Failure::Usage`] where it is of a release that cannot ask a hub.
    pub(super) async fn of(told: Option<KubernetesVersion>, spoke: &Kubeconfig) -> Result<Self, Failure> {
        match told {
            Some(version) => Ok(Self::Flag { version }),
            None => Self::from_said(said(spoke).await.map_err(|fault| fault.to_string())),
        }
    }

    fn from_said(said: Result<String, String>) -> Result<Self, Failure> {
        let nobody = |why| Self::Nobody { version: KubernetesVersion::CURRENT, why };
        let text = match said {
            Ok(text) => text,
            Err(why) => return Ok(nobody(why)),
        };
        match text.parse::<KubernetesVersion>() {
            Ok(version) => Ok(Self::ApiServer { version }),
            Err(error @ VersionError::TooOld(_)) => Err(Failure::usage(error)),
            // Built without its number, or by somebody who counts otherwise.
            Err(error @ VersionError::Malformed(_)) => Ok(nobody(error.to_string())),
        }
    }

    /// For which the files are.
    pub(super) fn version(&self) -> KubernetesVersion {
        match self {
            Self::Flag { version } | Self::ApiServer { version } | Self::Nobody { version, .. } => *version,
        }
    }

    /// Whether anybody has said so.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self, Self::Nobody { .. })
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Flag { version } => format!("{version}, as --kubernetes-version says"),
            Self::ApiServer { version } => format!("{version}, as its API server says"),
            Self::Nobody { version, .. } => {
                format!("not known: files that are kept stay as they are, others are for {version}")
            }
        }
    }

    /// What to look at, where nobody has said it.
    pub(super) fn doubt(&self) -> Option<String> {
        let Self::Nobody { version, why } = self else { return None };
        Some(format!(
            "the API server does not say here which release it is of ({why}): new files are for {version}, and an older one does not \
             start with them; add --kubernetes-version 1.NN, as `kubectl version` shows it"
        ))
    }
}

/// What the API server says of itself.
async fn said(spoke: &Kubeconfig) -> Result<String, ApiFault> {
    let config = SpokeConfig { request_seconds: ANSWER_SECONDS, ..SpokeConfig::default() };
    ApiServer::new(spoke, &config)?.release().await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_release_is_what_the_api_server_says_and_the_newest_with_a_doubt_where_it_does_not() {
        let current = KubernetesVersion::CURRENT.to_string();
        for (said, version, said_by) in [
            (Ok("1.35"), "1.35", "api_server"),
            (Ok("1.31+"), "1.31", "api_server"),
            (Ok("1.28"), "1.28", "api_server"),
            (Ok("1.99"), "1.99", "api_server"),
            (Ok("."), current.as_str(), "nobody"),
            (Ok("2.1"), current.as_str(), "nobody"),
            (Err("`kube` did not answer within 5s"), current.as_str(), "nobody"),
        ] {
            let release = Release::from_said(said.map(str::to_owned).map_err(str::to_owned)).unwrap();
            let shown = serde_json::to_value(&release).unwrap();
            assert_eq!(
                (&shown["version"], &shown["said_by"]),
                (&json!(version), &json!(said_by)),
                "{said:?}"
            );
            assert!(release.words().contains(version), "{}", release.words());
            assert_eq!(release.doubt().is_none(), release.is_known(), "{said:?}");
        }
        let doubt = Release::from_said(Err("no way there".to_owned())).unwrap().doubt().unwrap();
        assert!(
            doubt.contains("(no way there)") && doubt.contains("add --kubernetes-version 1.NN"),
            "{doubt}"
        );
    }

    #[test]
    fn an_api_server_that_cannot_ask_a_hub_is_refused() {
        let refused = Release::from_said(Ok("1.16".to_owned())).unwrap_err();
        assert!(
            matches!(&refused, Failure::Usage(words) if words.contains("1.16 cannot ask this hub")),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn the_flag_counts_without_a_question() {
        let spoke: Kubeconfig = Kubeconfig::reduce(
            "{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: c, user: u}}], \
             clusters: [{name: c, cluster: {server: 'https://kube.invalid'}}], users: [{name: u, user: {token: x}}]}",
            None,
        )
        .unwrap();
        let release = Release::of(Some("1.28".parse().unwrap()), &spoke).await.unwrap();
        assert_eq!(release, Release::Flag { version: "1.28".parse().unwrap() });
        assert_eq!(release.words(), "1.28, as --kubernetes-version says");
    }
}

//! The way to the API server from inside of its cluster: a pod's service account.

use std::{fs, path::Path};

use lanyard_api::kubeconfig::{KubeCredential, Kubeconfig};
use secrecy::SecretString;
use url::Url;

/// Where Kubernetes puts a pod's service account.
const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Why this is no pod, or one without a service account.
#[derive(Debug, thiserror::Error)]
pub enum InClusterError {
    /// The variables of a pod are not there.
    #[error(
        "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not name an API server: outside of a pod, give --kubeconfig FILE"
    )]
    NoPod,
    /// A file of the service account cannot be read.
    #[error(
        "`{path}` cannot be read ({reason}): the pod needs a service account's token (automountServiceAccountToken)"
    )]
    File {
        /// Which.
        path: String,
        /// The system's own words.
        reason: std::io::Error,
    },
}

/// The API server of the pod that this runs in. The token is read anew at each call: Kubernetes replaces it within the hour.
///
/// # Errors
/// [`InClusterError`] says what is missing.
pub fn in_cluster() -> Result<Kubeconfig, InClusterError> {
    let variable = |name: &str| std::env::var(name).ok();
    of_pod(variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"), Path::new(FOLDER))
}

fn of_pod(host: Option<String>, port: Option<String>, folder: &Path) -> Result<Kubeconfig, InClusterError> {
    let (host, port) = host.zip(port).ok_or(InClusterError::NoPod)?;
    // An IPv6 address stands in brackets.
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let server = Url::parse(&format!("https://{host}:{port}")).map_err(|_| InClusterError::NoPod)?;
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path)
            .map_err(|reason| InClusterError::File { path: path.display().to_string(), reason })
    };
    let token = SecretString::from(read("token")?.trim());
    Ok(Kubeconfig {
        server,
        certificate_authority: Some(read("ca.crt")?),
        credential: KubeCredential::Token(token),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_told_by_its_variables_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let of = |host: &str| of_pod(Some(host.to_owned()), Some("443".to_owned()), folder.path());
        assert!(matches!(of_pod(None, Some("443".to_owned()), folder.path()), Err(InClusterError::NoPod)));
        let missing = of("10.0.0.1").unwrap_err().to_string();
        assert!(missing.contains("token"), "{missing}");
        fs::write(folder.path().join("token"), "hush\n").unwrap();
        fs::write(folder.path().join("ca.crt"), "PEM").unwrap();
        assert_eq!(of("10.0.0.1").unwrap().server.as_str(), "https://10.0.0.1/");
        assert_eq!(of("fd00::1").unwrap().server.as_str(), "https://[fd00::1]/");
        assert_eq!(of("10.0.0.1").unwrap().credential, KubeCredential::Token("hush".into()));
    }
}

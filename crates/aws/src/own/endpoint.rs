//! An STS that is asked at a host of one's own choice.

use std::path::PathBuf;

use lanyard_kit::http_client::Options;
use lanyard_kit::tls::read_ca_file;
use serde::{Deserialize, Serialize};
use url::Url;

use super::options::AwsOptionsError;

/// Where STS is asked in place of the region's own host: an interface endpoint under another name, or an STS of another make that
/// speaks for the hub's accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StsEndpoint {
    /// The host, with a port where it is not 443.
    pub host: String,
    /// It may have a private address.
    #[serde(default)]
    pub private_address: bool,
    /// A PEM file with the authorities that its certificate is verified by: these alone, and at this host alone. Without one those of
    /// the system count.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl StsEndpoint {
    /// The options of a client that may call it.
    ///
    /// # Errors
    /// [`AwsOptionsError`] for a host that is none, or a file that cannot be used.
    pub(super) fn added_to(&self, http: Options) -> Result<Options, AwsOptionsError> {
        let no_host = || AwsOptionsError::StsHost(self.host.clone());
        let url = Url::parse(&format!("https://{}/", self.host)).map_err(|_| no_host())?;
        let name = url.host_str().ok_or_else(no_host)?;
        let is_plain = url.path() == "/" && url.username().is_empty() && url.query().is_none();
        let authority = match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        // What is called is what was written: no path, no user, nothing that a URL would have made another of.
        if !is_plain || authority != self.host {
            return Err(no_host());
        }
        let mut http = http;
        if self.private_address {
            http.addresses = http.addresses.allow_private(name);
        }
        if let Some(path) = &self.ca_file {
            let (roots, _) = read_ca_file(path)
                .map_err(|reason| AwsOptionsError::StsCaFile { path: path.clone(), reason })?;
            http.roots_of_hosts.insert(self.host.clone(), roots);
        }
        Ok(http)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_host_and_nothing_else() {
        let of = |host: &str| StsEndpoint { host: host.to_owned(), private_address: true, ca_file: None };
        for host in ["sts.lab.example", "localhost:8443", "127.0.0.1:8443"] {
            assert!(of(host).added_to(Options::default()).is_ok(), "{host}");
        }
        for host in
            ["", "https://sts.lab", "sts.lab/path", "a@sts.lab", "STS.lab", "sts.lab:443", "sts lab", "a?b"]
        {
            let error = of(host).added_to(Options::default()).unwrap_err().to_string();
            assert!(error.contains("aws.sts.host"), "{host}: {error}");
        }
        let missing = StsEndpoint { ca_file: Some("/nowhere/ca.pem".into()), ..of("sts.lab.example") };
        assert!(missing.added_to(Options::default()).unwrap_err().to_string().contains("/nowhere/ca.pem"));
    }
}

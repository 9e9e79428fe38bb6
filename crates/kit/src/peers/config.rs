//! Where a door finds the services, as its configuration says it.

use serde::{Deserialize, Serialize};
use url::Url;

/// Where the replicas of each service are that the doors call, all of them needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeersConfig {
    /// `https://host:port` of each replica of authn.
    pub authn: Vec<Url>,
    /// Of mapping.
    pub mapping: Vec<Url>,
    /// Of authz.
    pub authz: Vec<Url>,
    /// Of credentials.
    pub credentials: Vec<Url>,
}

impl PeersConfig {
    /// Whether each service has an address, for a configuration that has this as its `peers`.
    ///
    /// # Errors
    /// The key that has none, and what to write there.
    pub fn validate(&self) -> Result<(), String> {
        let Self { authn, mapping, authz, credentials } = self;
        let services =
            [("authn", authn), ("mapping", mapping), ("authz", authz), ("credentials", credentials)];
        match services.into_iter().find(|(_, urls)| urls.is_empty()) {
            None => Ok(()),
            Some((service, _)) => Err(format!(
                "peers.{service}: no address is given, name at least one replica as https://host:port"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_service_without_an_address_is_named() {
        let url: Url = "https://one.example:1".parse().unwrap();
        let one = || vec![url.clone()];
        let all = PeersConfig { authn: one(), mapping: one(), authz: one(), credentials: one() };
        assert_eq!(all.validate(), Ok(()));
        for (lacks, service) in [
            (PeersConfig::default(), "authn"),
            (PeersConfig { mapping: Vec::new(), ..all.clone() }, "mapping"),
            (PeersConfig { authz: Vec::new(), ..all.clone() }, "authz"),
            (PeersConfig { credentials: Vec::new(), ..all.clone() }, "credentials"),
        ] {
            let error = lacks.validate().unwrap_err();
            assert!(error.starts_with(&format!("peers.{service}: no address")), "{error}");
        }
    }
}

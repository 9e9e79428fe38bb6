//! What every service with a store is told.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use lanyard_aws::{AwsOptions, AwsOptionsError, CallOptions};
use lanyard_kit::{
    ConfigSecret, ExposeSecret as _,
    telemetry::{LogConfig, MetricsConfig, TelemetryConfig},
    tls::ServiceFiles,
};
use lanyard_store::{EnvelopeKey, StoreUrl};
use serde::{Deserialize, Serialize};

/// What a service process needs to be one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessConfig {
    /// Where gRPC listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// `postgres://…`: the one database of all services.
    pub store: Option<ConfigSecret>,
    /// Brings the database's tables up to date at start; safe for any number of replicas at once. Without it, a database that
    /// lacks something is refused: for who runs `lanyard db migrate` first, with a database user that may make tables.
    pub migrate: bool,
    /// The service's certificate.
    pub tls: ServiceFiles,
    /// The key under which the service's keys lie in the store.
    pub envelope: EnvelopeConfig,
    /// Written once everything answers: one JSON object for scripts.
    pub ready_file: Option<PathBuf>,
    /// The log on standard error.
    pub log: LogConfig,
    /// The listener for operators.
    pub metrics: MetricsConfig,
    /// Traces.
    pub telemetry: TelemetryConfig,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            store: None,
            migrate: true,
            tls: ServiceFiles::default(),
            envelope: EnvelopeConfig::default(),
            ready_file: None,
            log: LogConfig::default(),
            metrics: MetricsConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

/// Where a service's envelope key comes from. Without a word: from the folder of its certificate, where `lanyard pki issue` put it
/// in a file (`envelope.key`), or as KMS has wrapped it (`envelope.kms`).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnvelopeConfig {
    /// The key: 64 hex digits. For the environment, so that it is on no disk.
    pub key: Option<ConfigSecret>,
    /// The file that holds it; `envelope.key` beside the certificate by default.
    pub key_file: Option<PathBuf>,
    /// How KMS is asked to unwrap it.
    pub kms: KmsOptions,
}

/// How KMS is asked for the envelope key. Which key of which region it is, the file with the wrapped key says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KmsOptions {
    /// The profile of the shared files whose credentials are used, where it is not that of the environment.
    pub profile: Option<String>,
    /// Hosts of AWS that may have a private address: interface endpoints in the service's network.
    pub private_hosts: Vec<String>,
    /// Times and limits.
    pub calls: CallOptions,
}

impl KmsOptions {
    pub(crate) fn for_client(&self) -> AwsOptions {
        AwsOptions {
            private_hosts: self.private_hosts.clone(),
            calls: self.calls.clone(),
            ..AwsOptions::default()
        }
    }
}

/// A value that breaks a rule.
#[derive(Debug, thiserror::Error)]
pub enum InvalidProcess {
    /// No database.
    #[error("process.store is missing: give the suite's database, postgres://<user>@<host>/<database>")]
    NoStore,
    /// No database's URL, or a file that one process alone may have.
    #[error(
        "process.store: services of several processes share a PostgreSQL database, write postgres://<user>@<host>/<database>"
    )]
    Store,
    /// Two places at once.
    #[error("process.envelope: give `key` or `key_file`, the envelope key comes from one place")]
    BothEnvelopes,
    /// A value for the calls of KMS.
    #[error("process.envelope.kms: {0}")]
    Kms(#[from] AwsOptionsError),
    /// Not a key.
    #[error("process.envelope.key is not 64 hex digits: give the one that `lanyard pki issue` made")]
    EnvelopeKey,
}

impl ProcessConfig {
    /// Looks at what the shapes cannot say.
    ///
    /// # Errors
    /// [`InvalidProcess`] names the key and the rule.
    pub fn validate(&self) -> Result<(), InvalidProcess> {
        self.store_url()?;
        let EnvelopeConfig { key, key_file, kms } = &self.envelope;
        kms.for_client().validate()?;
        match key {
            Some(_) if key_file.is_some() => Err(InvalidProcess::BothEnvelopes),
            Some(key) if EnvelopeKey::parse(&key.clone().into_inner()).is_err() => {
                Err(InvalidProcess::EnvelopeKey)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn store_url(&self) -> Result<StoreUrl, InvalidProcess> {
        let text = self.store.clone().ok_or(InvalidProcess::NoStore)?.into_inner();
        match text.expose_secret().parse() {
            Ok(url @ StoreUrl::Postgres(_)) => Ok(url),
            Ok(StoreUrl::Sqlite(_)) | Err(_) => Err(InvalidProcess::Store),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ProcessConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_value_out_of_its_rule_is_named() {
        let good =
            r#"{"store":"postgres://u@h/d","envelope":{"key":"KEY"}}"#.replace("KEY", &"ab".repeat(32));
        assert!(read(&good).validate().is_ok());
        for (text, words) in [
            ("{}", "process.store is missing"),
            (r#"{"store":"sqlite:/x"}"#, "PostgreSQL"),
            (r#"{"store":"mysql://h/d"}"#, "PostgreSQL"),
            (r#"{"store":"postgres://h/d","envelope":{"key":"abc"}}"#, "64 hex digits"),
            (r#"{"store":"postgres://h/d","envelope":{"key":"abc","key_file":"/x"}}"#, "one place"),
        ] {
            let error = read(text).validate().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}

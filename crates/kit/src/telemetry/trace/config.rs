//! Where traces go, and how many.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use url::{Host, Url};

use crate::config::{COUNT_MAX, OutOfRange, in_range, without_passwords};
use crate::tls::{FileError, read_public_file, read_secret_file};
use crate::{ConfigSecret, ExposeSecret as _};

/// How a collector may take to be connected to.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What a process shows beside logs and metrics.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Traces.
    pub traces: TracesConfig,
}

/// Where traces go, and how many.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TracesConfig {
    /// `http://host:port` or `https://host:port` of a collector that takes OTLP over gRPC. No traces are made without it.
    pub endpoint: Option<Url>,
    /// The certificates, PEM, by which the collector is known; needed with https. `/etc/ssl/certs/ca-certificates.crt` or the
    /// like where a public authority vouches for it.
    pub ca_file: Option<PathBuf>,
    /// The certificate with its chain, PEM, that is shown to a collector which asks for one; read at the start.
    pub certificate_file: Option<PathBuf>,
    /// Its key, PEM, for this process's user alone.
    pub key_file: Option<PathBuf>,
    /// Headers that the collector wants, such as `authorization`. They are sent over TLS or on loopback alone.
    pub headers: BTreeMap<String, ConfigSecret>,
    /// The part of requests whose trace is recorded, from 0 to 1.
    pub sample_ratio: f64,
    /// How many more a second, because the caller says that it records the trace itself.
    pub honoured_per_second_max: u32,
    /// Ended spans that wait to be sent; one more is dropped and counted.
    pub queue_max: usize,
    /// Most spans of one message.
    pub batch_max: usize,
    /// How long a span waits for company, in milliseconds.
    pub batch_wait_ms: u64,
    /// How long the collector may take for one message, in milliseconds; then its spans are dropped and counted.
    pub export_timeout_ms: u64,
    /// How long the end of the process waits for the last spans, in milliseconds.
    pub flush_timeout_ms: u64,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            headers: BTreeMap::new(),
            sample_ratio: 0.01,
            honoured_per_second_max: 10,
            queue_max: 8192,
            batch_max: 512,
            batch_wait_ms: 1000,
            export_timeout_ms: 5000,
            flush_timeout_ms: 2000,
        }
    }
}

/// A value that breaks a rule.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTraces {
    /// Not the address of a collector.
    #[error(
        "telemetry.traces.endpoint `{}`: write http://host:port or https://host:port, without user, path or query",
        without_passwords(.0.as_str())
    )]
    Endpoint(Url),
    /// Nothing says whom to trust.
    #[error(
        "telemetry.traces.ca_file is missing: with https give the certificates by which the collector is known"
    )]
    NoCa,
    /// They are not there.
    #[error("telemetry.traces.ca_file `{}` cannot be read: {reason}", path.display())]
    Ca {
        /// Which.
        path: PathBuf,
        /// The system's own words.
        reason: std::io::Error,
    },
    /// They are none, or TLS has another reason.
    #[error("telemetry.traces: TLS cannot be set up: {0}; give certificates and key in PEM")]
    Tls(tonic::transport::Error),
    /// One of two that go together.
    #[error("telemetry.traces.{0} is missing: a client certificate is given with its key, or not at all")]
    Half(&'static str),
    /// Nobody would see it.
    #[error(
        "telemetry.traces.certificate_file is shown over TLS alone: write https in telemetry.traces.endpoint"
    )]
    NotShown,
    /// The client certificate or its key.
    #[error("telemetry.traces.{key}: {reason}")]
    File {
        /// Which of the two.
        key: &'static str,
        /// What is wrong with it.
        reason: FileError,
    },
    /// Not a header. Its value is not shown.
    #[error(
        "telemetry.traces.headers: `{0}` is no header that can be sent: give a name and a value in ASCII"
    )]
    Header(String),
    /// A secret would be read on the way.
    #[error(
        "telemetry.traces.headers go over TLS or on loopback alone: write https in telemetry.traces.endpoint"
    )]
    Readable,
    /// Not a part of anything.
    #[error("telemetry.traces.sample_ratio is {0}: it is between 0 and 1")]
    Ratio(f64),
    /// Nothing would ever be sent.
    #[error("telemetry.traces.{0} is 0: give at least 1")]
    Zero(&'static str),
    /// No queue is that long.
    #[error("telemetry.traces.{0}")]
    OutOfRange(#[from] OutOfRange),
}

/// A collector, ready to be connected to.
pub(super) struct Collector {
    pub(super) endpoint: Endpoint,
    pub(super) headers: MetadataMap,
}

impl TracesConfig {
    /// Looks at what the shapes cannot say; none where there is no endpoint.
    ///
    /// # Errors
    /// [`InvalidTraces`] names the key and the rule.
    pub(super) fn collector(&self) -> Result<Option<Collector>, InvalidTraces> {
        let numbers = [
            ("queue_max", self.queue_max as u64),
            ("batch_max", self.batch_max as u64),
            ("export_timeout_ms", self.export_timeout_ms),
        ];
        if let Some((name, _)) = numbers.into_iter().find(|(_, number)| *number == 0) {
            return Err(InvalidTraces::Zero(name));
        }
        let counts = [("queue_max", self.queue_max as u64), ("batch_max", self.batch_max as u64)];
        in_range(1..=COUNT_MAX, &counts)?;
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return Err(InvalidTraces::Ratio(self.sample_ratio));
        }
        let Some(url) = &self.endpoint else { return Ok(None) };
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let not_one = || InvalidTraces::Endpoint(url.clone());
        if !is_plain {
            return Err(not_one());
        }
        let is_https = url.scheme() == "https";
        if !is_https && !self.headers.is_empty() && !is_loopback(url) {
            return Err(InvalidTraces::Readable);
        }
        let endpoint = Endpoint::from_shared(url.to_string()).map_err(|_| not_one())?;
        let mut endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT);
        if is_https {
            let path = self.ca_file.clone().ok_or(InvalidTraces::NoCa)?;
            let pem = std::fs::read(&path).map_err(|reason| InvalidTraces::Ca { path, reason })?;
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            let tls = self.identity()?.into_iter().fold(tls, ClientTlsConfig::identity);
            endpoint = endpoint.tls_config(tls).map_err(InvalidTraces::Tls)?;
        } else if self.identity()?.is_some() {
            return Err(InvalidTraces::NotShown);
        }
        Ok(Some(Collector { endpoint, headers: self.metadata()? }))
    }

    /// What this process shows to a collector that asks.
    fn identity(&self) -> Result<Option<Identity>, InvalidTraces> {
        let (certificate, key) = match (&self.certificate_file, &self.key_file) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(InvalidTraces::Half("key_file")),
            (None, Some(_)) => return Err(InvalidTraces::Half("certificate_file")),
            (Some(certificate), Some(key)) => (certificate, key),
        };
        let bad = |key| move |reason| InvalidTraces::File { key, reason };
        let certificate = read_public_file(certificate).map_err(bad("certificate_file"))?;
        let key = read_secret_file(key).map_err(bad("key_file"))?;
        Ok(Some(Identity::from_pem(certificate, key.expose_secret())))
    }

    fn metadata(&self) -> Result<MetadataMap, InvalidTraces> {
        let mut headers = http::HeaderMap::new();
        for (name, value) in &self.headers {
            let bad = || InvalidTraces::Header(name.clone());
            let key: HeaderName = name.parse().map_err(|_| bad())?;
            let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| bad())?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        Ok(MetadataMap::from_headers(headers))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<bool, String> {
        crate::tls::install_provider();
        let config: TracesConfig = serde_json::from_str(text).unwrap();
        config.collector().map(|collector| collector.is_some()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_collector_is_an_address_and_nothing_that_would_be_read_on_the_way() {
        assert_eq!(read("{}"), Ok(false));
        for good in [
            r#"{"endpoint":"http://collector:4317"}"#,
            r#"{"endpoint":"http://127.0.0.1:4317","headers":{"authorization":"Bearer x"}}"#,
            r#"{"endpoint":"http://[::1]:4317/","headers":{"a":"b"}}"#,
        ] {
            assert_eq!(read(good), Ok(true), "{good}");
        }
        for (bad, words) in [
            (r#"{"endpoint":"ftp://collector"}"#, "http://host:port"),
            (r#"{"endpoint":"http://collector:4317/v1/traces"}"#, "without user, path or query"),
            (r#"{"endpoint":"http://u:p@collector:4317"}"#, "without user, path or query"),
            (r#"{"endpoint":"https://collector:4317"}"#, "ca_file is missing"),
            (r#"{"endpoint":"https://collector:4317","ca_file":"/nowhere"}"#, "`/nowhere` cannot be read"),
            (r#"{"endpoint":"http://[::1]:1","certificate_file":"/nowhere"}"#, "key_file is missing"),
            (r#"{"endpoint":"http://[::1]:1","key_file":"/nowhere"}"#, "certificate_file is missing"),
            (
                r#"{"endpoint":"http://[::1]:1","certificate_file":"/nowhere","key_file":"/nowhere"}"#,
                "certificate_file: cannot",
            ),
            (r#"{"endpoint":"http://collector:4317","headers":{"a":"b"}}"#, "over TLS or on loopback"),
            (r#"{"endpoint":"http://[::1]:1","headers":{"a b":"secret-value"}}"#, "`a b` is no header"),
            (r#"{"endpoint":"http://[::1]:1","headers":{"a":"secret-\n"}}"#, "`a` is no header"),
            (r#"{"sample_ratio":1.5}"#, "between 0 and 1"),
            (r#"{"sample_ratio":-0.5}"#, "between 0 and 1"),
            (r#"{"queue_max":0}"#, "queue_max is 0"),
            (
                r#"{"queue_max":4611686018427387904}"#,
                "telemetry.traces.queue_max: `4611686018427387904` is out",
            ),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.contains(words) && !error.contains("secret-"), "{bad}: {error}");
        }
    }

    #[test]
    fn what_a_header_holds_is_not_shown() {
        let config: TracesConfig =
            serde_json::from_str(r#"{"headers":{"authorization":"Bearer correct-horse"}}"#).unwrap();
        for text in [format!("{config:?}"), serde_json::to_string(&config).unwrap()] {
            assert!(text.contains("authorization") && !text.contains("correct-horse"), "{text}");
        }
    }
}

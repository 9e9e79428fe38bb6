//! Connections, counted: those that are open, and those that came to nothing.

use crate::telemetry::{Label, names};

/// One open connection, for as long as this is there: also where a panic ends it.
pub(super) struct Counted(metrics::Gauge);

impl Counted {
    /// One more.
    pub(super) fn new(open: metrics::Gauge) -> Self {
        open.increment(1);
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Why a connection ended before any request could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// What came is no TLS that is spoken here, or broke off.
    Handshake,
    /// The handshake took too long.
    Timeout,
    /// The client's certificate does not verify, or has ended; or there is none where one is needed.
    Certificate,
    /// The certificate verifies and names nobody of this hub.
    Identity,
}

impl Failed {
    /// Why a handshake failed.
    pub(super) fn of(error: &std::io::Error) -> Self {
        let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        match error {
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                Self::Certificate
            }
            _ => Self::Handshake,
        }
    }
}

impl Label for Failed {
    const KEY: &'static str = names::REASON;
    const ALL: &'static [Self] = &[Self::Handshake, Self::Timeout, Self::Certificate, Self::Identity];

    fn value(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Timeout => "timeout",
            Self::Certificate => "certificate",
            Self::Identity => "identity",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn a_connection_that_ends_by_a_panic_is_no_longer_open() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let open = metrics::gauge!(names::CONNECTIONS);
            let first = Counted::new(open.clone());
            let ended = catch_unwind(AssertUnwindSafe(|| {
                let _second = Counted::new(open.clone());
                panic!("as a handler might");
            }));
            assert!(ended.is_err());
            let shown = recorder.handle().render();
            assert!(shown.contains("lanyard_connections 1\n"), "{shown}");
            drop(first);
            let shown = recorder.handle().render();
            assert!(shown.contains("lanyard_connections 0\n"), "{shown}");
        });
    }
}

//! A service's certificate that follows its files.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::sync::watch;

use super::following::{Following, Fresh, Source};
use super::{Live, fixed};
use crate::clock::Clock;
use crate::tls::chain::ChainVerifier;
use crate::tls::config::{ClientCertificates, TlsError, client_config, server_config};
use crate::tls::service::{ServiceFiles, ServiceIdentity, ServiceIdentityError};

/// The certificate of a service, as it is now.
pub type LiveIdentity = Following<Files, ServiceIdentity>;

/// Whether a listener of the service asks its clients for certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Clients without one may still speak, as nobody.
    Optional,
    /// Nobody speaks without one of the hub's.
    Required,
}

/// Why a certificate is not put to use.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The files are not those of the service.
    #[error(transparent)]
    Identity(#[from] ServiceIdentityError),
    /// They do not fit together.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// They are those of another hub, which would need another start.
    #[error(
        "the certificate is of hub `{found}`, and this process serves hub `{expected}`: restart it to change hubs"
    )]
    OtherHub {
        /// Whose it is.
        found: String,
        /// Whose it was at the start.
        expected: String,
    },
}

/// The files of a service, whose hub and name stay what they were at the start.
pub struct Files {
    files: ServiceFiles,
    clock: Arc<dyn Clock>,
    first: ServiceIdentity,
    clients: Clients,
    client: watch::Sender<Arc<ClientConfig>>,
}

impl LiveIdentity {
    /// Reads the files of a service, which have to do.
    ///
    /// # Errors
    /// [`LiveError`] names the file, the rule it breaks and the next step.
    pub fn load(
        files: &ServiceFiles,
        service: &str,
        clients: Clients,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LiveError> {
        let found = files.load(service, clock.now())?;
        let source = Files {
            files: files.clone(),
            clock,
            first: found.clone(),
            clients,
            client: watch::Sender::new(Arc::new(peer_config(&found)?)),
        };
        let first = source.fresh(found)?;
        Ok(Self::begin(source, first))
    }

    /// The certificate of the start, with hub and name, which stay.
    #[must_use]
    pub fn first(&self) -> &ServiceIdentity {
        &self.source.first
    }

    /// For calls to other services.
    #[must_use]
    pub fn client(&self) -> Live<ClientConfig> {
        self.source.client.subscribe()
    }
}

impl Files {
    fn fresh(&self, found: ServiceIdentity) -> Result<Fresh<ServiceIdentity>, LiveError> {
        let trusted = match self.clients {
            Clients::Optional => ClientCertificates::Optional(&found.roots),
            Clients::Required => ClientCertificates::Required(&found.roots),
        };
        Ok(Fresh {
            server: server_config(&found.certificate, trusted)?,
            chains: Arc::new(ChainVerifier::new(&found.roots)?),
            root_pem: found.root_pem.as_str().into(),
            not_after: found.not_after,
            found,
        })
    }
}

impl Source for Files {
    type Found = ServiceIdentity;
    type Error = LiveError;

    fn service(&self) -> &str {
        &self.first.service
    }

    fn look(&self, in_use: &ServiceIdentity) -> Result<Option<Fresh<ServiceIdentity>>, LiveError> {
        let found = self.files.load(&self.first.service, self.clock.now())?;
        if found.is_same_as(in_use) {
            return Ok(None);
        }
        if found.hub != self.first.hub {
            return Err(LiveError::OtherHub { found: found.hub, expected: self.first.hub.clone() });
        }
        // That it can be used for calls as well is known before anything of it is.
        peer_config(&found)?;
        self.fresh(found).map(Some)
    }

    fn taken(&self, found: &ServiceIdentity) {
        if let Ok(client) = peer_config(found) {
            self.client.send_replace(Arc::new(client));
        }
    }
}

/// Services speak HTTP/2 with one another.
fn peer_config(identity: &ServiceIdentity) -> Result<ClientConfig, TlsError> {
    let mut client = client_config(&identity.roots, Some(&identity.certificate))?;
    client.alpn_protocols = vec![b"h2".to_vec()];
    Ok(client)
}

impl ServiceIdentity {
    /// For calls to other services by who ends before any certificate is renewed.
    ///
    /// # Errors
    /// Where the certificate cannot be used.
    pub fn client(&self) -> Result<Live<ClientConfig>, TlsError> {
        Ok(fixed(peer_config(self)?))
    }
}

#[cfg(test)]
mod tests;

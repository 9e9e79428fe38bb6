//! The listeners of a process that has the hub's authority beside it, and makes its own certificate.
//!
//! It follows the authority's folder as a service follows its files: a renewed issuing key or another root counts for new
//! connections. And it makes its certificate anew long before that ends, so that no hub has to be started for it.

use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::ServerName;
use time::{Duration, OffsetDateTime};

use super::following::{Following, Fresh, Source};
use crate::clock::Clock;
use crate::tls::authority::{Authority, AuthorityError, BACKDATE};
use crate::tls::chain::{ChainVerifier, verify_server};
use crate::tls::config::{ClientCertificates, TlsError, server_config};
use crate::tls::leaf::Names;

/// What these certificates are called in the log.
const SERVICE: &str = "serve";
/// How long a listener's certificate is good.
const LIFETIME: Duration = Duration::days(365);
/// When the next one is made: early enough for months of trying.
const RENEWED_AFTER: Duration = Duration::days(243);

/// The certificate of the listeners, as the authority in its folder makes it now. Clients may show certificates of the same
/// authority; nobody has to.
pub type LiveAuthority = Following<Folder, Made>;

/// An authority's folder, of one hub for good.
pub struct Folder {
    hub: String,
    dir: PathBuf,
    names: Names,
    clock: Arc<dyn Clock>,
}

/// Who made the certificate in use, and when the next one is made.
pub struct Made {
    authority: Authority,
    /// When it began: a clock that was ahead then, and has been set right since, has not come to that.
    begins_at: OffsetDateTime,
    renewed_at: OffsetDateTime,
}

impl LiveAuthority {
    /// Makes the first certificate, under these names.
    ///
    /// # Errors
    /// [`AuthorityError`] where the authority is not one, or a name cannot stand in a certificate.
    pub fn new(authority: Authority, names: Names, clock: Arc<dyn Clock>) -> Result<Self, AuthorityError> {
        let (hub, dir, now) = (authority.hub().to_owned(), authority.dir().to_owned(), clock.now());
        let source = Folder { hub, dir, names, clock };
        let first = source.fresh(authority, now)?;
        Ok(Self::begin(source, first))
    }
}

impl Folder {
    /// A certificate of the authority, put to use: it has to come from the root that is given to clients.
    fn fresh(&self, authority: Authority, now: OffsetDateTime) -> Result<Fresh<Made>, AuthorityError> {
        let certificate = authority.issue_server(&self.names, LIFETIME, now)?;
        let roots = authority.roots()?;
        verify_server(&roots, &certificate.chain()?, &one_of(&self.names)?, now)?;
        Ok(Fresh {
            server: server_config(&certificate, ClientCertificates::Optional(&roots))?,
            chains: Arc::new(ChainVerifier::new(&roots)?),
            root_pem: authority.root_pem().into(),
            not_after: now + LIFETIME,
            found: Made { authority, begins_at: now - BACKDATE, renewed_at: now + RENEWED_AFTER },
        })
    }
}

impl Source for Folder {
    type Found = Made;
    type Error = AuthorityError;

    fn service(&self) -> &str {
        SERVICE
    }

    fn look(&self, in_use: &Made) -> Result<Option<Fresh<Made>>, AuthorityError> {
        let (authority, now) = (Authority::load(&self.dir, &self.hub)?, self.clock.now());
        if authority.serves_as(&in_use.authority) && (in_use.begins_at..in_use.renewed_at).contains(&now) {
            return Ok(None);
        }
        self.fresh(authority, now).map(Some)
    }
}

fn one_of(names: &Names) -> Result<ServerName<'static>, TlsError> {
    let address = || names.ip.first().map(|address| ServerName::IpAddress((*address).into()));
    let name = names.dns.iter().find_map(|name| ServerName::try_from(name.clone()).ok());
    name.or_else(address).ok_or_else(|| TlsError::Certificate("it has no name".to_owned()))
}

#[cfg(test)]
mod tests;

//! The listeners of `serve`: Kubernetes' HTTP, gRPC, and the AWS wire.

use std::sync::Arc;

use lanyard_kit::{
    serve::{Options, ServeError, Server},
    tls::{Authority, AuthorityError, ClientCertificates, Names, TlsError, server_config},
};
use time::{Duration, OffsetDateTime};

use super::config::ServeConfig;

/// How long a listener's certificate is good. A new one is made at every start.
const CERTIFICATE_LIFETIME: Duration = Duration::days(365);
/// Most bytes of a request's head: an API server passes on up to 1 MiB of its client's headers as a body, none as a head.
const HEAD_BYTES_MAX: u32 = 64 * 1024;

/// Bound, not yet serving.
pub struct Listeners {
    /// Kubernetes' HTTP.
    pub gateway: Server,
    /// gRPC.
    pub grpc: Server,
    /// The AWS wire.
    pub aws: Server,
}

/// Why there are no listeners.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// An address is taken.
    #[error(transparent)]
    Bind(#[from] ServeError),
    /// The CA gives no certificate for these names.
    #[error(transparent)]
    Certificate(#[from] AuthorityError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Binds all. API servers may show a spoke's certificate; nobody has to show one.
///
/// # Errors
/// [`ListenError`] names the address or the certificate.
pub async fn bind(
    config: &ServeConfig,
    ca: &Authority,
    now: OffsetDateTime,
) -> Result<Listeners, ListenError> {
    let mut names = Names::loopback().and(config.tls_san.iter().cloned());
    let external = config.external_url.as_deref().and_then(|url| url::Url::parse(url).ok());
    names = names.and(external.and_then(|url| url.host_str().map(str::to_owned)));
    let certificate = ca.issue_server(&names, CERTIFICATE_LIFETIME, now)?;
    let roots = ca.roots()?;
    let tls = server_config(&certificate, ClientCertificates::Optional(&roots))?;
    let listen = |address| {
        let mut options = Options::loopback(0).with_tls(Arc::clone(&tls));
        options.address = address;
        options.limits.head_bytes_max = HEAD_BYTES_MAX;
        Server::bind(options)
    };
    Ok(Listeners {
        gateway: listen(config.listen).await?,
        grpc: listen(config.grpc_listen).await?,
        aws: listen(config.aws_listen).await?,
    })
}

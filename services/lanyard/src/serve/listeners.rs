//! The listeners of `serve`: Kubernetes' HTTP, gRPC, and the AWS wire.

use lanyard_kit::{
    serve::{Options, ServeError, Server},
    tls::{LiveAuthority, Names},
};

use super::config::ServeConfig;

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

/// Under which names they are reached: loopback's, and those that were configured.
pub fn names(config: &ServeConfig) -> Names {
    let external = config.external_url.as_deref().and_then(|url| url::Url::parse(url).ok());
    let external = external.and_then(|url| url.host_str().map(str::to_owned));
    Names::loopback().and(config.tls_san.iter().cloned()).and(external)
}

/// Binds all. API servers may show a spoke's certificate; nobody has to show one.
///
/// # Errors
/// [`ServeError`] names the address.
pub async fn bind(config: &ServeConfig, certificate: &LiveAuthority) -> Result<Listeners, ServeError> {
    let listen = |address| {
        let mut options = Options::loopback(0).with_live_tls(certificate.server());
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

//! For tests: a service behind real gRPC, without a socket.
//!
//! The same suite runs against an engine and against the engine behind gRPC: [`serve_in_process`] gives the channel,
//! [`admitting`] stands in for the front door, so that the actors of a suite (made in process, without voucher or digest)
//! arrive as if Admit had let them in, and [`IdentityVouching`] does the like for identities.

mod sample;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tonic::{
    Status,
    body::Body,
    codegen::http::{Request, Uri},
    metadata::{BinaryMetadataValue, MetadataMap},
    service::Routes,
    transport::{Channel, Endpoint, Server},
};

use crate::{
    fault::Fault,
    grpc::{ACTOR_METADATA, MESSAGE_BYTES_MAX, Prepare, Prepared, Wire, frame},
    identity::{Actor, Vouched},
    mapping::{BreakGlassQuery, Resolution, Resolve, ResolveQuery},
    methods,
    voucher::{Audience, Vouchers},
};

pub use sample::{association, cluster};

/// Bytes that a connection in process holds.
const DUPLEX_BYTES: usize = 64 * 1024;

/// Serves over HTTP/2 in memory; each connection of the channel is one pipe. It ends with its channel.
pub fn serve_in_process(routes: Routes) -> Channel {
    let connector = tower_connector(move |_: Uri| {
        let (client, server) = tokio::io::duplex(DUPLEX_BYTES);
        let serving = Server::builder().add_routes(routes.clone());
        let incoming = futures::stream::iter([Ok::<_, std::io::Error>(server)]);
        tokio::spawn(async move {
            if let Err(error) = serving.serve_with_incoming(incoming).await {
                tracing::error!(%error, "the service in process ended");
            }
        });
        client
    });
    Endpoint::from_static("http://in-process.invalid").connect_with_connector_lazy(connector)
}

fn tower_connector(
    connect: impl Fn(Uri) -> DuplexStream + Send + Sync + 'static,
) -> Connector<impl Fn(Uri) -> DuplexStream + Send + Sync + 'static> {
    Connector(connect)
}

struct Connector<F>(F);

impl<F: Fn(Uri) -> DuplexStream> tonic::codegen::Service<Uri> for Connector<F> {
    type Response = TokioIo<DuplexStream>;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        std::future::ready(Ok(TokioIo::new((self.0)(uri))))
    }
}

/// A channel that admits every actor that its caller claims, as Admit would: for this message, with a voucher.
pub fn admitting<C: Wire>(channel: C, vouchers: Vouchers) -> Prepared<C, Admitting> {
    Prepared::new(channel, Admitting(vouchers))
}

/// See [`admitting`].
#[derive(Debug, Clone)]
pub struct Admitting(Vouchers);

impl Admitting {
    fn voucher(&self, path: &str, actor: Actor, message: &[u8]) -> Result<Bytes, Status> {
        let call = methods::read(path, message).map_err(|denial| crate::grpc::forbidden(&denial))?;
        let actor = Actor { action: call.action.to_owned(), request_digest: call.request_digest, ..actor };
        let audience =
            Audience::of_method(path).ok_or_else(|| Status::unimplemented("not a method of a service"))?;
        let vouched = self.0.vouched(Vouched::in_process(actor), audience, None);
        vouched.map(|vouched| vouched.voucher).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Prepare for Admitting {
    async fn prepare(&self, mut request: Request<Body>) -> Result<Request<Body>, Status> {
        let claimed = request.extensions_mut().remove::<Vouched<Actor>>();
        let Some(actor) = claimed.filter(|actor| actor.voucher.is_empty()) else { return Ok(request) };
        let (mut parts, body) = request.into_parts();
        let (framed, message) = frame::one_message(body, MESSAGE_BYTES_MAX).await?;
        let voucher = self.voucher(parts.uri.path(), actor.value, &message)?;
        let mut metadata = MetadataMap::from_headers(parts.headers);
        metadata.insert_bin(ACTOR_METADATA, BinaryMetadataValue::from_bytes(&voucher));
        parts.headers = metadata.into_headers();
        Ok(Request::from_parts(parts, Body::new(Full::new(framed))))
    }
}

/// A [`Resolve`] that puts authn's voucher on identities that have none.
#[derive(Debug)]
pub struct IdentityVouching<R> {
    inner: R,
    vouchers: Vouchers,
}

impl<R> IdentityVouching<R> {
    /// Around a client of mapping.
    pub fn new(inner: R, vouchers: Vouchers) -> Self {
        Self { inner, vouchers }
    }
}

impl<R: Resolve> Resolve for IdentityVouching<R> {
    async fn resolve(&self, query: ResolveQuery) -> Result<Resolution, Fault> {
        let vouched = self.vouchers.vouched(query.identity, Audience::Mapping, Some(query.cluster));
        let identity = vouched.map_err(|_| Fault::Internal)?;
        self.inner.resolve(ResolveQuery { identity, ..query }).await
    }

    async fn resolve_break_glass(&self, query: BreakGlassQuery) -> Result<Resolution, Fault> {
        self.inner.resolve_break_glass(query).await
    }
}

//! The services in other processes.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Collected, Full};
use lanyard_api::{
    Actor, Vouched,
    grpc::{ACTOR_METADATA, Remote},
    methods,
};
use lanyard_kit::{
    peers::{Options, PeerFault, Peers, PeersConfig, PeersError},
    telemetry::Calls,
    tls::LiveIdentity,
};
use tonic::body::Body;
use tower::Service;
use url::Url;

use crate::{
    again,
    door::{FRAME_BYTES, admitted},
    services::Services,
};

/// The way to one service.
#[derive(Debug, Clone)]
pub struct Way {
    peers: Peers<again::Asked>,
}

impl Way {
    /// Begins to connect to the replicas of a service, as the service whose certificate this is; `calls` counts what is asked of
    /// it. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`PeersError`] where there is no address, or one that is none.
    pub fn connect(
        identity: &LiveIdentity,
        service: &str,
        urls: &[Url],
        calls: &Arc<Calls>,
    ) -> Result<Self, PeersError> {
        let hub = &identity.first().hub;
        let options = Options {
            together: methods::TOGETHER,
            ..Options::new(hub, service, urls.to_vec(), identity.client(), calls)
        };
        Ok(Self { peers: Peers::connect(&options)? })
    }
}

impl Service<Request<Body>> for Way {
    type Response = Response<Body>;
    type Error = PeerFault;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, PeerFault>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), PeerFault>> {
        self.peers.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(again::send(self.peers.clone(), request))
    }
}

/// An actor's voucher as metadata.
pub(crate) fn metadata(actor: &Vouched<Actor>) -> Option<HeaderValue> {
    HeaderValue::from_str(&STANDARD_NO_PAD.encode(&actor.voucher)).ok()
}

/// The ways to all services.
#[derive(Debug)]
pub struct Ways {
    pub(crate) authn: Way,
    pub(crate) mapping: Way,
    pub(crate) authz: Way,
    pub(crate) credentials: Way,
}

/// The way to one service as the generated clients take it: what they ask in a caller's name is admitted for it.
#[derive(Debug, Clone)]
pub struct AdmittedWay {
    way: Way,
    authn: Way,
}

impl Service<Request<Body>> for AdmittedWay {
    type Response = Response<Body>;
    type Error = PeerFault;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, PeerFault>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), PeerFault>> {
        self.way.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(actor) = request.extensions().get::<Vouched<Actor>>().cloned() else {
            return self.way.call(request);
        };
        let (mut way, authn) = (self.way.clone(), Remote::new(self.authn.clone()));
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            // A message of our own making: it is whole, and in memory.
            let framed = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
            let message = framed.slice(FRAME_BYTES.min(framed.len())..);
            let fitting = admitted::fitting(&authn, &actor, parts.uri.path(), message).await;
            if let Some(value) = fitting.and_then(|actor| metadata(&actor)) {
                parts.headers.insert(ACTOR_METADATA, value);
            }
            way.call(Request::from_parts(parts, Body::new(Full::new(framed)))).await
        })
    }
}

/// All four services, each behind its own connections.
#[derive(Debug)]
pub struct RemoteServices {
    authn: Arc<Remote<AdmittedWay>>,
    mapping: Arc<Remote<AdmittedWay>>,
    authz: Arc<Remote<AdmittedWay>>,
    credentials: Arc<Remote<AdmittedWay>>,
    ways: Ways,
}

impl RemoteServices {
    /// Begins to connect to all of them. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`PeersError`] names a service without an address, or an address that is none.
    pub fn connect(
        identity: &LiveIdentity,
        peers: &PeersConfig,
        call_timeout: Duration,
    ) -> Result<Self, PeersError> {
        let calls = Calls::sent(methods::paths());
        let way = |service: &str, urls: &[Url]| Way::connect(identity, service, urls, &calls);
        let ways = Ways {
            authn: way("authn", &peers.authn)?,
            mapping: way("mapping", &peers.mapping)?,
            authz: way("authz", &peers.authz)?,
            credentials: way("credentials", &peers.credentials)?,
        };
        let remote = |way: &Way| {
            let admitted = AdmittedWay { way: way.clone(), authn: ways.authn.clone() };
            Arc::new(Remote::new(admitted).with_timeout(call_timeout))
        };
        Ok(Self {
            authn: remote(&ways.authn),
            mapping: remote(&ways.mapping),
            authz: remote(&ways.authz),
            credentials: remote(&ways.credentials),
            ways,
        })
    }

    /// Waits until each service has a replica that is connected.
    pub async fn connected(&self) {
        let Ways { authn, mapping, authz, credentials } = &self.ways;
        for way in [authn, mapping, authz, credentials] {
            // An error says that the connections are being taken down.
            let _ = way.peers.connected().wait_for(|count| *count > 0).await;
        }
    }
}

impl Services for RemoteServices {
    type Authn = Remote<AdmittedWay>;
    type Mapping = Remote<AdmittedWay>;
    type Authz = Remote<AdmittedWay>;
    type Credentials = Remote<AdmittedWay>;

    fn authn(&self) -> &Arc<Remote<AdmittedWay>> {
        &self.authn
    }

    fn mapping(&self) -> &Arc<Remote<AdmittedWay>> {
        &self.mapping
    }

    fn authz(&self) -> &Arc<Remote<AdmittedWay>> {
        &self.authz
    }

    fn credentials(&self) -> &Arc<Remote<AdmittedWay>> {
        &self.credentials
    }

    fn ways(&self) -> Option<&Ways> {
        Some(&self.ways)
    }
}

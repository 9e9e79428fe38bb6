//! gRPC's door: nothing passes to a management method that authn has not admitted for that very message.

pub(crate) mod admitted;
mod authorize;
mod deadline;
mod forward;
mod refusals;
mod trailers;
mod watching;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use bytes::{Buf, Bytes};
use http::header;
use lanyard_api::{
    CallError, Denial,
    authn::{self, Admission, Admit, AdmitQuery},
    authz::{self, DecisionOutcome},
    credentials,
    grpc::{
        Door, ReflectionError, SOURCE_IP_METADATA, Served, SourceIp, forbidden, unauthenticated, unsupported,
        with_health_and_reflection,
    },
    mapping, methods, tags,
};
use lanyard_iam::sigv4::CertificateSignedRequest;
use lanyard_kit::{
    Readiness,
    serve::{self, Bodies, BodyError, Counted, Held},
    telemetry::{Calls, ServedLayer},
    tls::PeerIdentity,
};
use tonic::{Status, service::Routes};

use crate::{
    explain::ExplainServer,
    known::{self, Known},
    kubernetes::Gateway,
    names::Signed,
    services::Services,
    strangers::{self, Strangers},
    vending::RecordedVend,
};

/// Bytes before each gRPC message: a flag for compression, and the length.
pub(crate) const FRAME_BYTES: usize = 5;

/// Every management method, behind authn's admission; health and reflection before it.
///
/// # Errors
/// Where reflection cannot read its own descriptors.
pub async fn routes<S: Services>(
    gateway: &Arc<Gateway<S>>,
    readiness: Readiness,
) -> Result<Router, ReflectionError> {
    let services = &gateway.parts.services;
    let door = Door::behind_door();
    let authn = Served::new(Arc::clone(services.authn()), door.clone());
    let mapping = Served::new(Arc::clone(services.mapping()), door.clone());
    let authz = Served::new(Arc::clone(services.authz()), door.clone());
    let credentials = Served::new(Arc::clone(services.credentials()), door);
    let ready = async move { readiness.wait().await };
    let mut own = Routes::builder();
    own.add_service(authorize::AuthorizeServer::service(Arc::clone(gateway), Door::behind_door()))
        .add_service(ExplainServer::service(Arc::clone(gateway)))
        .add_service(credentials::server::vend(Served::new(
            Arc::new(RecordedVend::new(Arc::clone(gateway))),
            Door::behind_door(),
        )));
    let own = with_health_and_reflection(own.routes(), ready).await?;
    if let Some(ways) = services.ways() {
        // Their messages go on as they came: what was signed is the caller's bytes.
        return Ok(guard(Arc::clone(gateway), forward::add(own.into_axum_router(), ways)));
    }
    let routes = own
        .add_service(authn::server::accounts(authn.clone()))
        .add_service(authn::server::instance_profiles(authn.clone()))
        .add_service(authn::server::oidc_providers(authn))
        .add_service(mapping::server::preview(mapping.clone()))
        .add_service(mapping::server::clusters(mapping.clone()))
        .add_service(mapping::server::entries(mapping.clone()))
        .add_service(mapping::server::identity_providers(mapping.clone()))
        .add_service(mapping::server::blocks(mapping.clone()))
        .add_service(mapping::server::spokes(mapping.clone()))
        .add_service(mapping::server::updates(mapping.clone()))
        .add_service(tags::of_mapping(mapping))
        .add_service(authz::server::objects(authz.clone()))
        .add_service(authz::server::decisions(authz))
        .add_service(credentials::server::sessions(credentials.clone()))
        .add_service(credentials::server::workloads(credentials.clone()))
        .add_service(credentials::server::issuers(credentials.clone()))
        .add_service(credentials::server::associations(credentials.clone()))
        .add_service(tags::of_credentials(credentials));
    Ok(guard(Arc::clone(gateway), routes.into_axum_router()))
}

/// Puts authn's admission before every method of `routes` that is not open to all, and the caller's deadline around both.
pub fn guard<S: Services>(gateway: Arc<Gateway<S>>, routes: Router) -> Router {
    routes
        .layer(middleware::from_fn_with_state(gateway, admit::<S>))
        .layer(middleware::from_fn(deadline::honour))
        .layer(ServedLayer::new(Calls::served(methods::paths())))
}

async fn admit<S: Services>(
    State(gateway): State<Arc<Gateway<S>>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    // What the others that are open to all read of a message is bounded where they are.
    if methods::is_open(path) && path != methods::HUB {
        return next.run(request).await;
    }
    if methods::is_unsigned(path) || path == methods::HUB {
        return match unsigned_request(&gateway.strangers.unsigned, request).await {
            Ok((request, _held)) => next.run(request).await,
            Err(status) => status.into_http(),
        };
    }
    match admitted_request(&gateway, request).await {
        Ok(request) => {
            let signed = request.extensions().get::<Signed>().cloned();
            let watched = signed.clone().filter(|_| methods::is_watch(request.uri().path()));
            let response = admitted::within(signed, next.run(request)).await;
            match watched {
                Some(Signed(call)) => watching::admitted_throughout(gateway, call, response),
                None => response,
            }
        }
        Err(status) => status.into_http(),
    }
}

/// A request whose message needs no signature, whole and bounded, with where it came from in the extensions. What its sender says
/// of that themselves is dropped.
async fn unsigned_request(bodies: &Bodies, request: Request) -> Result<(Request, Held<'_>), Status> {
    let (mut parts, body) = request.into_parts();
    let held = strangers::read(bodies, source_ip(&parts).into(), body).await.map_err(unread)?;
    let framed = held.bytes().clone();
    message(framed.clone())?;
    parts.headers.remove(SOURCE_IP_METADATA);
    if let Some(ip) = source_ip(&parts) {
        parts.extensions.insert(SourceIp(ip));
    }
    Ok((Request::from_parts(parts, Body::from(framed)), held))
}

/// The address of the connection.
fn source_ip(parts: &http::request::Parts) -> Option<IpAddr> {
    parts.extensions.get::<serve::Peer>().map(|peer| peer.address.ip())
}

/// A message as it came, and what counts of it until it is admitted.
struct Taken<'a> {
    framed: Bytes,
    message: Bytes,
    _counted: Option<Counted<'a>>,
}

/// Takes the message of a management call; nothing of it where its head shows no credential at all.
async fn taken<'a>(
    (strangers, known): (&'a Strangers, &'a Known),
    bytes_max: usize,
    parts: &http::request::Parts,
    body: Body,
) -> Result<Taken<'a>, Status> {
    let peer = parts.extensions.get::<serve::Peer>();
    let of_sender = match peer.and_then(|peer| peer.identity.as_deref()) {
        // The hub's own processes.
        Some(PeerIdentity::Service { .. }) => None,
        // It may have been blocked, or what it names deleted: authn says so, behind the message.
        Some(identity @ (PeerIdentity::Spoke { .. } | PeerIdentity::Principal { .. })) => {
            Some((&known.messages, known::bearer(identity)))
        }
        None if parts.headers.contains_key(header::AUTHORIZATION) => {
            Some((&strangers.messages, source_ip(parts).into()))
        }
        // authn refuses it whatever it says, and has the words for that.
        None => return Ok(Taken { framed: Bytes::new(), message: Bytes::new(), _counted: None }),
    };
    let (framed, counted) = match of_sender {
        Some((bodies, sender)) => strangers::read(bodies, sender, body).await.map_err(unread)?.into_parts(),
        None => (serve::read_body(body, bytes_max).await.map_err(unread)?, None),
    };
    let message = message(framed.clone())?;
    Ok(Taken { framed, message, _counted: counted })
}

/// The same request with its actor in the extensions.
async fn admitted_request<S: Services>(gateway: &Gateway<S>, request: Request) -> Result<Request, Status> {
    let (mut parts, body) = request.into_parts();
    let bytes_max = gateway.parts.config.message_bytes_max.saturating_add(FRAME_BYTES);
    let of_senders = (&gateway.strangers, &gateway.known);
    let Taken { framed, message, _counted } = taken(of_senders, bytes_max, &parts, body).await?;
    let shown = shown(&parts);
    let query = AdmitQuery {
        method: parts.uri.path().to_owned(),
        authority: authority(&parts).to_owned(),
        headers: headers(&parts)?,
        body: message.clone(),
        source_ip: source_ip(&parts),
        certificate_principal: shown.as_ref().map(|(principal, _)| principal.clone()),
        certificate_sha256: shown.map(|(_, sha256)| sha256),
        beside: None,
    };
    let signed = Signed(query.clone());
    match gateway.parts.services.authn().admit(query).await? {
        Admission::Admitted(actor) => {
            parts.extensions.insert(*actor);
            parts.extensions.insert(signed);
            Ok(Request::from_parts(parts, Body::from(framed)))
        }
        Admission::Unauthenticated(denial) => {
            let outcome = DecisionOutcome::Refused;
            Err(unauthenticated(&refusals::recorded(gateway, &parts, &message, outcome, denial)))
        }
        Admission::Forbidden(denial) => {
            let denial = refusals::recorded(gateway, &parts, &message, DecisionOutcome::Deny, denial);
            // The caller is proven. What is wrong with their message they get with its field, as the service would tell it.
            let unreadable = || methods::unreadable(parts.uri.path(), &message);
            let wrong = if denial.code == methods::INVALID_REQUEST { unreadable() } else { None };
            Err(wrong.map_or_else(|| forbidden(&denial), Status::from))
        }
    }
}

/// The spoke or principal that the connection's certificate names, and which certificate it is. The signature of an access key
/// is weighed as one, whoever sends it on; that of a certificate's key goes with its certificate.
fn shown(parts: &http::request::Parts) -> Option<(String, String)> {
    let peer = parts.extensions.get::<serve::Peer>()?;
    let identity = peer.identity.as_deref()?;
    let authorization = parts.headers.get(header::AUTHORIZATION);
    let is_callers = !matches!(identity, PeerIdentity::Service { .. });
    let is_its_own =
        authorization.is_none_or(|value| value.to_str().is_ok_and(CertificateSignedRequest::is_claimed_by));
    let sha256 = peer.certificate_sha256.filter(|_| is_callers && is_its_own)?;
    Some((identity.to_string(), hex::encode(sha256)))
}

fn unread(error: BodyError) -> Status {
    match error {
        BodyError::TooLong { bytes_max } => {
            let limit = bytes_max.saturating_sub(FRAME_BYTES) as u64;
            CallError::LimitExceeded { what: CallError::MESSAGE_BYTES.into(), limit }.into()
        }
        BodyError::Incomplete => Status::cancelled(error.to_string()),
        BodyError::TooSlow { .. } => Status::deadline_exceeded(error.to_string()),
        BodyError::NoRoom | BodyError::Crowded => Status::resource_exhausted(error.to_string()),
    }
}

fn authority(parts: &http::request::Parts) -> &str {
    let host = || parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    parts.uri.authority().map(http::uri::Authority::as_str).or_else(host).unwrap_or_default()
}

fn headers(parts: &http::request::Parts) -> Result<Vec<(String, String)>, Status> {
    let text = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        let value = value.to_str().map_err(|_| {
            let message = format!("header `{name}` is not ASCII text: it cannot be signed");
            CallError::invalid("headers", "not_ascii", message)
        })?;
        Ok((name.as_str().to_owned(), value.to_owned()))
    };
    parts.headers.iter().map(text).collect()
}

/// The one message of a frame: what is signed is its bytes as sent, uncompressed.
fn message(mut framed: Bytes) -> Result<Bytes, Status> {
    let not_one = |text: &'static str| Err(CallError::invalid("request", "exactly_one_message", text).into());
    if framed.len() < FRAME_BYTES {
        return not_one("the call has no message: management calls send exactly one");
    }
    if framed.get_u8() != 0 {
        return Err(unsupported(&Denial {
            code: "compressed_message".into(),
            message: "compressed messages cannot be admitted: send them uncompressed".to_owned(),
        }));
    }
    if framed.get_u32() as usize != framed.len() {
        return not_one("the frame does not hold exactly one message");
    }
    Ok(framed)
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, net::SocketAddr};

    use futures::{StreamExt as _, stream};
    use tonic::Code;

    use super::*;
    use crate::{GatewayConfig, strangers::UNSIGNED_BYTES_MAX};

    fn strangers() -> Strangers {
        Strangers::new(&GatewayConfig::default())
    }

    fn known() -> Known {
        Known::new(&GatewayConfig::default())
    }

    fn service() -> PeerIdentity {
        PeerIdentity::Service { hub: "h".to_owned(), name: "spoke".to_owned() }
    }

    fn spoke(cluster_uid: &str) -> PeerIdentity {
        PeerIdentity::Spoke { hub: "h".to_owned(), cluster_uid: cluster_uid.to_owned() }
    }

    fn principal() -> PeerIdentity {
        let [hub, authority, account, principal_id] =
            ["h", "local", "111122223333", "AIDA"].map(str::to_owned);
        PeerIdentity::Principal { hub, authority, account, principal_id }
    }

    #[test]
    fn a_frame_holds_exactly_one_uncompressed_message() {
        let ok = |bytes: &'static [u8]| message(Bytes::from_static(bytes));
        assert_eq!(ok(&[0, 0, 0, 0, 2, 7, 8]).unwrap(), Bytes::from_static(&[7, 8]));
        assert_eq!(ok(&[0, 0, 0, 0, 0]).unwrap(), Bytes::new());
        for bad in
            [&[][..], &[0, 0, 0, 0], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 2, 7], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert!(ok(bad).is_err(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_call_that_is_its_own_proof_is_bounded_and_the_door_says_where_it_came_from() {
        let request = |bytes: Vec<u8>| {
            let request = http::Request::builder().header(SOURCE_IP_METADATA, "10.0.0.1");
            request.body(Body::from(bytes)).unwrap()
        };
        let bodies = strangers().unsigned;
        let (passed, _held) = unsigned_request(&bodies, request(vec![0, 0, 0, 0, 0])).await.unwrap();
        assert_eq!(passed.headers().get(SOURCE_IP_METADATA), None, "nobody says that of themselves");
        assert_eq!(passed.extensions().get::<SourceIp>(), None, "no connection, no address");
        let long = request(vec![0; UNSIGNED_BYTES_MAX + FRAME_BYTES + 1]);
        assert_eq!(unsigned_request(&bodies, long).await.unwrap_err().code(), Code::ResourceExhausted);
        let empty = request(Vec::new());
        assert_eq!(unsigned_request(&bodies, empty).await.unwrap_err().code(), Code::InvalidArgument);
    }

    /// A body of which nothing comes.
    fn stalled() -> Body {
        Body::from_stream(stream::pending::<Result<Bytes, Infallible>>())
    }

    fn head(authorization: Option<&str>, identity: Option<PeerIdentity>) -> http::request::Parts {
        let mut request = http::Request::new(());
        let address = SocketAddr::from(([192, 0, 2, 1], 1));
        let identity = identity.map(Arc::new);
        request.extensions_mut().insert(serve::Peer { address, identity, certificate_sha256: None });
        if let Some(value) = authorization {
            request.headers_mut().insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        request.into_parts().0
    }

    #[tokio::test(start_paused = true)]
    async fn immunity_28_of_a_stranger_nothing_is_read_and_of_who_claims_to_be_none_not_for_ever() {
        let (strangers, known) = (strangers(), known());
        let of_senders = (&strangers, &known);
        let of_nobody = taken(of_senders, 1024, &head(None, None), stalled()).await.ok().unwrap();
        assert!(of_nobody.framed.is_empty() && of_nobody.message.is_empty());
        let claimed = taken(of_senders, 1024, &head(Some("x"), None), stalled()).await.err().unwrap();
        assert_eq!(claimed.code(), Code::DeadlineExceeded);
        let unsigned = unsigned_request(&strangers.unsigned, Request::new(stalled())).await.unwrap_err();
        assert_eq!(unsigned.code(), Code::DeadlineExceeded);
    }

    #[tokio::test(start_paused = true)]
    async fn immunity_28_of_a_certificate_that_may_be_a_strangers_by_now_nothing_is_waited_for_for_ever() {
        let (strangers, known) = (strangers(), known());
        for identity in [spoke("a"), principal()] {
            let head = head(None, Some(identity));
            let refused = taken((&strangers, &known), 1024, &head, stalled()).await.err().unwrap();
            assert_eq!(refused.code(), Code::DeadlineExceeded);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn immunity_28_one_certificate_has_a_part_of_the_room_and_leaves_others_theirs() {
        const MEGABYTE: usize = 1 << 20;
        let config = GatewayConfig::default();
        let (strangers, known) = (strangers(), known());
        let of = |identity, body| {
            let (strangers, known) = (&strangers, &known);
            async move { taken((strangers, known), 1024, &head(None, Some(identity)), body).await.map(|_| ()) }
        };
        let stalls = || {
            let piece: Result<_, Infallible> = Ok(Bytes::from(vec![0; config.message_bytes_max]));
            Body::from_stream(stream::iter([piece]).chain(stream::pending()))
        };
        let part = config.bodies.known_messages_bytes_max / known::PARTS;
        let all: Vec<_> =
            (0..part / config.message_bytes_max + 2).map(|_| of(spoke("a"), stalls())).collect();
        let other = async {
            tokio::task::yield_now().await;
            let length = u32::try_from(MEGABYTE).unwrap();
            let mut framed = vec![0; FRAME_BYTES + MEGABYTE];
            framed[1..FRAME_BYTES].copy_from_slice(&length.to_be_bytes());
            of(spoke("b"), Body::from(framed)).await
        };
        let (ended, other) = tokio::join!(futures::future::join_all(all), other);
        assert!(other.is_ok(), "{other:?}");
        let mut refused = ended.iter().filter_map(|ended| ended.as_ref().err());
        assert!(refused.any(|status| status.code() == Code::ResourceExhausted), "its own gave way");
    }

    #[tokio::test]
    async fn a_message_is_whole_whether_its_sender_is_known_or_only_claims_to_be() {
        let (strangers, known) = (strangers(), known());
        let certified = [service(), spoke("a"), principal()].map(|identity| head(None, Some(identity)));
        for head in certified.into_iter().chain([head(Some("x"), None)]) {
            let body = Body::from(Bytes::from_static(&[0, 0, 0, 0, 2, 7, 8]));
            let whole = taken((&strangers, &known), 1024, &head, body).await.ok().unwrap();
            assert_eq!((whole.framed.len(), &*whole.message), (7, &[7, 8][..]));
        }
    }

    #[test]
    fn what_the_door_itself_refuses_has_details_too() {
        let refused = [
            message(Bytes::new()).unwrap_err(),
            message(Bytes::from_static(&[1, 0, 0, 0, 0])).unwrap_err(),
            unread(BodyError::TooLong { bytes_max: 1024 }),
        ];
        let told = refused.map(|status| (status.code(), CallError::from(status)));
        assert!(
            matches!(&told, [
                (Code::InvalidArgument, CallError::Invalid { field, rule: "exactly_one_message", .. }),
                (Code::Unimplemented, CallError::Denied(denial)),
                (Code::ResourceExhausted, CallError::LimitExceeded { limit: 1019, .. }),
            ] if field == "request" && denial.code == "compressed_message"),
            "{told:?}"
        );
    }
}

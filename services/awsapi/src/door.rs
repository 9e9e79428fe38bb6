//! The door: one request, from its head to its answer.

mod request;
mod told;

use std::{
    convert::Infallible,
    future::Future,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use lanyard_api::{
    ActorKind, Fault,
    authn::{AdmitAwsQuery, AwsAdmission, AwsAdmitted},
    aws_wire::{self, AwsError, Found, HttpCall, Service},
};
use lanyard_kit::{
    Panicked, Readiness, caught,
    serve::{self, Bodies, BodyError},
    telemetry::{RequestId, names, request_id, trace::span},
    tls::LiveText,
};
use lanyard_proto::credentials::v1::AssumeRoleWithWebIdentityRequest;
use tokio::sync::Semaphore;
use tower::BoxError;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    answer::Answer,
    backend::Backend,
    config::AwsApiConfig,
    errors,
    operations::{self, Call},
    wire::{Body, Style, head_alone},
};
use told::{Ledger, Told};

/// What people are told who look at the door without a signature.
const FOR_PEOPLE: &str = "This is the AWS endpoint of a Lanyard hub: EKS access entries, EKS Auth, STS and IAM, for AWS clients that sign their \
                          requests.\n\nTry:\n  aws sts get-caller-identity --endpoint-url <this URL>\n  aws eks list-clusters \
                          --endpoint-url <this URL>\n\nAccess keys come from `lanyard iam access-key create`, the hub's CA \
                          (AWS_CA_BUNDLE) from its ready-file.\n";

/// What the log says of who is told that.
const UNSIGNED: &str = "unsigned";

/// What a request's time leaves for what comes behind a service's answer, or the lack of one.
const ANSWERED_WITHIN: Duration = Duration::from_millis(50);

/// What the door tells of the hub.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Where the hub stands in for API servers that it does not know, without a slash at the end; none where that is not told.
    pub gateway_url: Option<String>,
    /// The CA of that as it is now, PEM.
    pub certificate_authority: LiveText,
}

/// What the door is put together from.
pub struct Parts<B> {
    /// What stands behind it.
    pub backend: B,
    /// Its limits.
    pub config: AwsApiConfig,
    /// What it tells of the hub.
    pub hub: Hub,
    /// For `/readyz`.
    pub readiness: Readiness,
}

/// The door of the AWS wire, for a listener.
pub struct AwsDoor<B> {
    inner: Arc<Inner<B>>,
}

impl<B> Clone for AwsDoor<B> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<B> std::fmt::Debug for AwsDoor<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AwsDoor")
    }
}

struct Inner<B> {
    parts: Parts<B>,
    bodies: Bodies,
    in_flight: Semaphore,
    ledger: Ledger,
}

impl<B: Backend> AwsDoor<B> {
    /// Puts it together.
    pub fn new(parts: Parts<B>) -> Self {
        let in_flight = Semaphore::new(parts.config.requests_in_flight_max);
        let bodies = Bodies::new(parts.config.body_limits());
        Self { inner: Arc::new(Inner { parts, bodies, in_flight, ledger: Ledger::default() }) }
    }
}

impl<B, R> tower::Service<Request<R>> for AwsDoor<B>
where
    B: Backend,
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let (inner, id) = (Arc::clone(&self.inner), Uuid::new_v4());
        let is_head = request.method() == Method::HEAD;
        let answer = async move {
            let response = inner.answer(id, request).await;
            Ok(if is_head { head_alone(response) } else { response })
        };
        Box::pin(request_id::within(Some(RequestId::new(id)), answer))
    }
}

/// A request that has no answer, with what is known of how to say so.
struct Failure {
    error: AwsError,
    /// The cluster that it names.
    cluster: Option<String>,
    /// Whether people look at it, and no program.
    is_of_people: bool,
}

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        Self { error, cluster: None, is_of_people: false }
    }
}

impl Failure {
    /// Of a call that asks a known operation.
    fn of(found: &Found<'_>, error: AwsError) -> Self {
        let cluster = Some(found.label("name")).filter(|name| !name.is_empty()).map(str::to_owned);
        Self { error, cluster, is_of_people: false }
    }
}

impl<B: Backend> Inner<B> {
    async fn answer<R>(&self, id: Uuid, request: Request<R>) -> Response<Body>
    where
        R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
    {
        let begun = Instant::now();
        let (parts, body) = request.into_parts();
        let claimed = request::claimed_service(&parts);
        let own = self.parts.config.hosts.service_of(request::authority(&parts));
        let mut style = Style {
            service: own.or(claimed),
            is_query: request::is_query(&parts),
            accepts_json: request::accepts_json(&parts.headers),
            id,
        };
        let is_signed = request::is_signed(&parts);
        if let Some(response) = self.probed(&style, &parts).filter(|_| !is_signed) {
            self.bodies.discard(body).await;
            return response;
        }
        let mut told = Told::default();
        if !is_signed && !request::is_of_client(&parts) {
            self.bodies.discard(body).await;
            let response = style.plain(StatusCode::FORBIDDEN, FOR_PEOPLE);
            self.ledger.tell(&style, &told, response.status(), UNSIGNED, begun.elapsed());
            return response;
        }
        let peer = parts.extensions.get::<serve::Peer>();
        let span = span::aws_call(&parts.method, RequestId::new(id), &parts.headers, peer);
        let answered = async {
            // A panic is answered in the words of the service that was asked, and told in the ledger as any other answer.
            let received =
                caught("call of the AWS wire", self.receive(&mut style, claimed, &parts, body, &mut told))
                    .await;
            let result = received
                .unwrap_or_else(|Panicked| Err(errors::no_answer(style.words(), &Fault::Internal).into()));
            let (response, code) = match &result {
                Ok((operation, answer)) => (style.answer(operation, answer), "ok"),
                Err(Failure { error, is_of_people: true, .. }) => {
                    (style.plain(StatusCode::FORBIDDEN, FOR_PEOPLE), &*error.code)
                }
                Err(Failure { error, cluster, .. }) => (style.error(error, cluster.as_deref()), &*error.code),
            };
            // Within the span, so that the line has its trace's id.
            self.ledger.tell(&style, &told, response.status(), code, begun.elapsed());
            let service = style.service.map(Service::as_str);
            span::aws_call_answered(&span, service, told.operation, response.status(), code);
            response
        };
        pin!(answered).instrument(span.clone()).await
    }

    /// What a probe is answered.
    fn probed(&self, style: &Style, parts: &http::request::Parts) -> Option<Response<Body>> {
        let (status, text) = match parts.uri.path() {
            "/livez" => (StatusCode::OK, "ok\n"),
            "/readyz" if self.parts.readiness.report().ready => (StatusCode::OK, "ready\n"),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            _ => return None,
        };
        Some(style.plain(status, text))
    }

    /// Takes a call with its body, and works on it if that is no more than may be in work; all of it within the request's time. A body
    /// that does not come takes no place in work: strangers can send the heads of as many as they like.
    async fn receive<R>(
        &self,
        style: &mut Style,
        claimed: Option<Service>,
        parts: &http::request::Parts,
        body: R,
        told: &mut Told,
    ) -> Result<(&'static str, Answer), Failure>
    where
        R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
    {
        let begun = Instant::now();
        let held = self.bodies.read(request::source_ip(parts).into(), body).await.map_err(|error| {
            if matches!(error, BodyError::NoRoom | BodyError::Crowded) {
                metrics::counter!(names::AWSAPI_SHED_TOTAL).increment(1);
            }
            errors::unread(style.words(), &error)
        })?;
        let Ok(_permit) = self.in_flight.try_acquire() else {
            metrics::counter!(names::AWSAPI_SHED_TOTAL).increment(1);
            let message = "too many requests are open: try again".to_owned();
            return Err(errors::throttled(style.words(), message).into());
        };
        let limit = self.parts.config.request_timeout();
        let left = limit.saturating_sub(begun.elapsed());
        let work = self.work(style, claimed, (parts, held.bytes().clone()), left, told);
        let worked = tokio::time::timeout(left, work).await;
        worked.unwrap_or_else(|_| {
            let fault = Fault::TimedOut { part: "the call".into(), limit };
            Err(errors::no_answer(style.words(), &fault).into())
        })
    }

    async fn work(
        &self,
        style: &mut Style,
        claimed: Option<Service>,
        (parts, body): (&http::request::Parts, Bytes),
        left: Duration,
        told: &mut Told,
    ) -> Result<(&'static str, Answer), Failure> {
        let until = Instant::now() + left.saturating_sub(ANSWERED_WITHIN);
        let is_signed = request::is_signed(parts);
        let may_be_exchange = !is_signed && style.service.is_none_or(|service| service == Service::Sts);
        let own = self.parts.config.hosts.service_of(request::authority(parts));
        // Neither a host nor a signature says whose it is: what it asks does, wherever that stands.
        if !is_signed && own.is_none() && style.service == Some(Service::Sts) {
            style.service = request::asked_service(parts, &body).or(style.service);
        }
        let query =
            request::query(parts, body).map_err(|denial| errors::unauthenticated(style.words(), &denial))?;
        let (method, path, line, body) =
            (query.method.clone(), query.path.clone(), query.query.clone(), query.body.clone());
        let from = query.source_ip;
        if let Some(own) =
            style.service.filter(|own| is_signed && claimed.is_some_and(|claimed| claimed != *own))
        {
            return Err(errors::of_other_service(own).into());
        }
        if may_be_exchange
            && let Some(asked) =
                aws_wire::unsigned(&HttpCall { method: &method, path: &path, query: &line, body: &body })
        {
            told.operation = Some(aws_wire::ASSUME_ROLE_WITH_WEB_IDENTITY);
            return self.exchange(from, asked?, until.saturating_duration_since(Instant::now())).await;
        }
        let is_of_people = !is_signed && request::is_of_people(parts);
        let admitted = self.admit(style, query).await;
        // Only of a call that may go on, or whose caller is known, anything is said beyond its signature.
        let call = HttpCall { method: &method, path: &path, query: &line, body: &body };
        let found = |service: Option<Service>| {
            service
                .ok_or(Fault::Internal)
                .map_err(|fault| errors::no_answer(None, &fault))
                .and_then(|service| aws_wire::find(service, &call))
        };
        match admitted? {
            AwsAdmission::Admitted(admitted) => {
                let found = found(style.service)?;
                told.operation = Some(found.operation.name);
                told.caller = arn_of(&admitted);
                self.ask(&found, &admitted, until.saturating_duration_since(Instant::now())).await
            }
            AwsAdmission::Unauthenticated(denial) => {
                tracing::debug!({ names::REQUEST_ID } = %style.id, { names::REASON_CODE } = %denial.code, "a signature does not do");
                let error = errors::unauthenticated(style.words(), &denial);
                Err(Failure { error, cluster: None, is_of_people })
            }
            AwsAdmission::Forbidden(denial) => {
                let found = found(style.service)?;
                told.operation = Some(found.operation.name);
                Err(Failure::of(&found, errors::forbidden(&found, &denial)))
            }
            AwsAdmission::Wrong(error) => match found(style.service) {
                Ok(found) => {
                    told.operation = Some(found.operation.name);
                    Err(Failure::of(&found, error))
                }
                Err(_) => Err(error.into()),
            },
        }
    }

    /// A web identity's token for a session.
    async fn exchange(
        &self,
        from: Option<IpAddr>,
        asked: AssumeRoleWithWebIdentityRequest,
        timeout: Duration,
    ) -> Result<(&'static str, Answer), Failure> {
        let answer = operations::with_web_identity(&self.parts.backend, from, asked, timeout).await;
        let answer = answer.map_err(|error| errors::web_identity(&error))?;
        Ok((aws_wire::ASSUME_ROLE_WITH_WEB_IDENTITY, answer))
    }

    async fn admit(&self, style: &Style, query: AdmitAwsQuery) -> Result<AwsAdmission, Failure> {
        let admission = self.parts.backend.admit(query).await;
        admission.map_err(|fault| {
            tracing::warn!({ names::REQUEST_ID } = %style.id, %fault, "a call of the AWS wire could not be admitted");
            errors::no_answer(style.words(), &fault).into()
        })
    }

    async fn ask(
        &self,
        found: &Found<'_>,
        admitted: &AwsAdmitted,
        timeout: Duration,
    ) -> Result<(&'static str, Answer), Failure> {
        let Parts { backend, hub, .. } = &self.parts;
        let call = Call { backend, found, admitted, hub, timeout };
        let answer = operations::answer(&call).await;
        let answer = answer.map_err(|error| Failure::of(found, errors::failed(found, &error)))?;
        Ok((found.operation.name, answer))
    }
}

/// Who an admission is of: the ARN of a principal.
fn arn_of(admitted: &AwsAdmitted) -> Option<String> {
    match &admitted.actor.value.kind {
        ActorKind::Principal { arn, .. } => Some(arn.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

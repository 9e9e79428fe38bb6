//! The door: one request, from its head to its answer.

mod request;

use std::{
    convert::Infallible,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use lanyard_api::{
    Fault,
    authn::{AdmitAwsQuery, AwsAdmission, AwsAdmitted},
    aws_wire::{self, AwsError, Found, HttpCall, Service},
};
use lanyard_kit::{
    Readiness,
    telemetry::{Counters, Histograms, Label, RequestId, StatusClass, names, request_id},
    tls::LiveText,
};
use lanyard_proto::credentials::v1::AssumeRoleWithWebIdentityRequest;
use tokio::sync::Semaphore;
use tower::BoxError;
use uuid::Uuid;

use crate::{
    answer::Answer,
    backend::Backend,
    config::AwsApiConfig,
    errors,
    operations::{self, Call},
    wire::{Body, Style},
};

/// What people are told who look at the door without a signature.
const FOR_PEOPLE: &str = "This is the AWS endpoint of a Lanyard hub: EKS access entries, EKS Auth, STS and IAM, for AWS clients that sign their \
                          requests.\n\nTry:\n  aws sts get-caller-identity --endpoint-url <this URL>\n  aws eks list-clusters \
                          --endpoint-url <this URL>\n\nAccess keys come from `lanyard iam access-key create`, the hub's CA \
                          (AWS_CA_BUNDLE) from its ready-file.\n";

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
    in_flight: Semaphore,
    requests: Counters<(Of, StatusClass)>,
    seconds: Histograms<Of>,
}

impl<B: Backend> AwsDoor<B> {
    /// Puts it together.
    pub fn new(parts: Parts<B>) -> Self {
        let in_flight = Semaphore::new(parts.config.requests_in_flight_max);
        let requests = Counters::new(names::AWSAPI_REQUESTS_TOTAL);
        let seconds = Histograms::new(names::AWSAPI_SECONDS);
        Self { inner: Arc::new(Inner { parts, in_flight, requests, seconds }) }
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
        let answer = async move { Ok(inner.answer(id, request).await) };
        Box::pin(request_id::within(Some(RequestId::new(id)), answer))
    }
}

/// A request that has no answer, with what is known of how to say so.
struct Failure {
    error: AwsError,
    /// The cluster that it names.
    cluster: Option<String>,
}

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        Self { error, cluster: None }
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
        let style =
            Style { service: own.or(claimed), accepts_json: request::accepts_json(&parts.headers), id };
        if let Some(response) = self.unsigned(&style, &parts) {
            let _ = request::drain(body).await;
            return response;
        }
        let worked = tokio::time::timeout(
            self.parts.config.request_timeout(),
            self.work(&style, claimed, &parts, body),
        );
        let result = worked.await.unwrap_or_else(|_| {
            let fault =
                Fault::TimedOut { part: "the call".into(), limit: self.parts.config.request_timeout() };
            Err(errors::no_answer(style.service, &fault).into())
        });
        let (response, code) = match &result {
            Ok((operation, answer)) => (style.answer(operation, answer), "ok"),
            Err(Failure { error, cluster }) => (style.error(error, cluster.as_deref()), &*error.code),
        };
        self.tell(&style, &response, code, begun.elapsed());
        response
    }

    /// Probes; and people, who get a text and no XML.
    fn unsigned(&self, style: &Style, parts: &http::request::Parts) -> Option<Response<Body>> {
        if request::is_signed(parts) {
            return None;
        }
        match parts.uri.path() {
            "/livez" => return Some(style.plain(StatusCode::OK, "ok\n")),
            "/readyz" => {
                let is_ready = self.parts.readiness.report().ready;
                let (status, text) = match is_ready {
                    true => (StatusCode::OK, "ready\n"),
                    false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
                };
                return Some(style.plain(status, text));
            }
            _ => {}
        }
        (!request::is_of_client(parts)).then(|| style.plain(StatusCode::FORBIDDEN, FOR_PEOPLE))
    }

    async fn work<R>(
        &self,
        style: &Style,
        claimed: Option<Service>,
        parts: &http::request::Parts,
        body: R,
    ) -> Result<(&'static str, Answer), Failure>
    where
        R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin,
    {
        let Ok(_permit) = self.in_flight.try_acquire() else {
            metrics::counter!(names::AWSAPI_SHED_TOTAL).increment(1);
            let _ = request::drain(body).await;
            return Err(
                errors::throttled(style.service, "too many requests are open: try again".to_owned()).into()
            );
        };
        let body = request::body(style.service, body, self.parts.config.body_bytes_max).await?;
        let query = request::query(parts, body)?;
        let (method, path, line, body) =
            (query.method.clone(), query.path.clone(), query.query.clone(), query.body.clone());
        let from = query.source_ip;
        let is_signed = request::is_signed(parts);
        if let Some(own) =
            style.service.filter(|own| is_signed && claimed.is_some_and(|claimed| claimed != *own))
        {
            return Err(errors::of_other_service(own).into());
        }
        if !is_signed
            && style.service.is_none_or(|service| service == Service::Sts)
            && let Some(asked) =
                aws_wire::unsigned(&HttpCall { method: &method, path: &path, query: &line, body: &body })
        {
            return self.exchange(from, asked?).await;
        }
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
            AwsAdmission::Admitted(admitted) => self.ask(&found(style.service)?, &admitted).await,
            AwsAdmission::Unauthenticated(denial) => {
                tracing::debug!({ names::REQUEST_ID } = %style.id, { names::REASON_CODE } = %denial.code, "a signature does not do");
                Err(errors::unauthenticated(style.service, &denial).into())
            }
            AwsAdmission::Forbidden(denial) => {
                let found = found(style.service)?;
                Err(Failure { error: errors::forbidden(&found, &denial), cluster: cluster(&found) })
            }
            AwsAdmission::Wrong(error) => {
                let cluster = found(style.service).ok().and_then(|found| cluster(&found));
                Err(Failure { error, cluster })
            }
        }
    }

    /// A web identity's token for a session.
    async fn exchange(
        &self,
        from: Option<IpAddr>,
        asked: AssumeRoleWithWebIdentityRequest,
    ) -> Result<(&'static str, Answer), Failure> {
        let Parts { backend, config, .. } = &self.parts;
        let answer = operations::with_web_identity(backend, from, asked, config.request_timeout()).await;
        let answer = answer.map_err(|error| errors::web_identity(&error))?;
        Ok((aws_wire::ASSUME_ROLE_WITH_WEB_IDENTITY, answer))
    }

    async fn admit(&self, style: &Style, query: AdmitAwsQuery) -> Result<AwsAdmission, Failure> {
        let admission = self.parts.backend.admit(query).await;
        admission.map_err(|fault| {
            tracing::warn!({ names::REQUEST_ID } = %style.id, %fault, "a call of the AWS wire could not be admitted");
            errors::no_answer(style.service, &fault).into()
        })
    }

    async fn ask(
        &self,
        found: &Found<'_>,
        admitted: &AwsAdmitted,
    ) -> Result<(&'static str, Answer), Failure> {
        let Parts { backend, hub, config, .. } = &self.parts;
        let call = Call { backend, found, admitted, hub, timeout: config.request_timeout() };
        let answer = operations::answer(&call).await;
        let answer = answer
            .map_err(|error| Failure { error: errors::failed(found, &error), cluster: cluster(found) })?;
        Ok((found.operation.name, answer))
    }

    fn tell(&self, style: &Style, response: &Response<Body>, code: &str, took: Duration) {
        let (of, status) = (Of(style.service), response.status());
        self.requests.increment((of, StatusClass::from(status)));
        self.seconds.record(of, took);
        let (service, seconds) = (of.value(), took.as_secs_f64());
        if status.is_server_error() {
            tracing::warn!(
                { names::REQUEST_ID } = %style.id,
                { names::SERVICE } = service,
                { names::REASON_CODE } = code,
                { names::DURATION_SECONDS } = seconds,
                "a request of the AWS wire has no answer"
            );
        } else {
            tracing::debug!(
                { names::REQUEST_ID } = %style.id,
                { names::SERVICE } = service,
                { names::REASON_CODE } = code,
                { names::DURATION_SECONDS } = seconds,
                "a request of the AWS wire is answered"
            );
        }
    }
}

fn cluster(found: &Found<'_>) -> Option<String> {
    Some(found.label("name")).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The service of a request, as it is counted.
#[derive(Clone, Copy)]
struct Of(Option<Service>);

impl Label for Of {
    const KEY: &'static str = names::SERVICE;
    const ALL: &'static [Self] = &[
        Self(Some(Service::Eks)),
        Self(Some(Service::Sts)),
        Self(Some(Service::Iam)),
        Self(None),
        Self(Some(Service::EksAuth)),
    ];

    fn value(self) -> &'static str {
        self.0.map_or("none", Service::as_str)
    }

    fn index(self) -> usize {
        match self.0 {
            Some(Service::Eks) => 0,
            Some(Service::Sts) => 1,
            Some(Service::Iam) => 2,
            None => 3,
            Some(Service::EksAuth) => 4,
        }
    }
}

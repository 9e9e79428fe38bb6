//! Kit's client for AWS's own chain of credentials.
//!
//! The chain takes any client that speaks its traits. That it takes this one leaves one client in the program, of which each kilobyte
//! counts on a node. What it calls stands in the machine's own configuration: metadata services on the link, by plain HTTP, and STS. So
//! no address is refused, and the environment's proxies are heeded, as AWS's own client does from the behavior version of August 2025 on.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient as SmithyClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Headers;
use bytes::Bytes;
use lanyard_kit::http_client::{
    AddressRules, Answer, HttpClient, HttpClientError, HttpFault, Options, Request,
};
use url::Url;

use super::source::SEARCH_MAX;

/// The clients of one chain: who asks with the same limits shares connections.
#[derive(Debug, Default)]
pub(super) struct ChainClients {
    environment_proxies: bool,
    made: Mutex<Vec<(Limits, SharedHttpConnector)>>,
}

impl ChainClients {
    /// By the proxies that the environment names.
    pub(super) fn of_environment() -> Self {
        Self { environment_proxies: true, ..Self::default() }
    }

    fn connector(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        let limits = Limits::of(settings);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = made.iter().find(|(of, _)| *of == limits) {
            return connector.clone();
        }
        let connector = SharedHttpConnector::new(Connector {
            limits,
            environment_proxies: self.environment_proxies,
            plain: OnceLock::new(),
            secure: OnceLock::new(),
        });
        made.push((limits, connector.clone()));
        connector
    }
}

impl SmithyClient for ChainClients {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.connector(settings)
    }
}

/// How long is waited; where the chain does not say, as long as it may look at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    connect: Duration,
    answer: Duration,
}

impl Limits {
    fn of(settings: &HttpConnectorSettings) -> Self {
        Self {
            connect: settings.connect_timeout().unwrap_or(SEARCH_MAX),
            answer: settings.read_timeout().unwrap_or(SEARCH_MAX),
        }
    }
}

/// Each of its clients is made for its first call: a machine without certificate authorities has metadata services all the same.
#[derive(Debug)]
struct Connector {
    limits: Limits,
    environment_proxies: bool,
    plain: OnceLock<HttpClient>,
    secure: OnceLock<HttpClient>,
}

impl Connector {
    fn client(&self, plain: bool) -> Result<HttpClient, HttpClientError> {
        let made = if plain { &self.plain } else { &self.secure };
        if let Some(client) = made.get() {
            return Ok(client.clone());
        }
        let client = HttpClient::new(Options {
            timeout: self.limits.answer,
            connect_timeout: self.limits.connect,
            addresses: AddressRules::everywhere(),
            plain,
            environment_proxies: self.environment_proxies,
            ..Options::default()
        })?;
        Ok(made.get_or_init(|| client).clone())
    }

    fn prepare(&self, request: HttpRequest) -> Result<(HttpClient, Request), ConnectorError> {
        let request = request_of(request).map_err(ConnectorError::user)?;
        let client = self.client(request.url.scheme() == "http");
        // Not to be tried again: the system has no certificate authorities a moment later either.
        let client = client.map_err(|error| ConnectorError::other(error.into(), None))?;
        Ok((client, request))
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.prepare(request) {
            Err(error) => HttpConnectorFuture::ready(Err(error)),
            Ok((client, request)) => HttpConnectorFuture::new(async move {
                let answer = client.send(request).await.map_err(error_of)?;
                response_of(answer).map_err(|error| ConnectorError::other(error, None))
            }),
        }
    }
}

fn request_of(request: HttpRequest) -> Result<Request, BoxError> {
    let (parts, body) = request.try_into_http1x()?.into_parts();
    let Some(body) = body.bytes() else {
        return Err("its body is a stream, and what asks for credentials is sent whole: give bytes".into());
    };
    let body = Bytes::copy_from_slice(body);
    let url = Url::parse(&parts.uri.to_string())?;
    let mut headers = parts.headers;
    // Tokens and signatures are among them.
    headers.values_mut().for_each(|value| value.set_sensitive(true));
    Ok(Request { method: parts.method, url, headers, body })
}

fn response_of(answer: Answer) -> Result<HttpResponse, BoxError> {
    let mut response = HttpResponse::new(answer.status.into(), answer.body.into());
    *response.headers_mut() = Headers::try_from(answer.headers)?;
    Ok(response)
}

/// By its kind the chain tells whether to ask again: after a timeout and where no connection held.
fn error_of(fault: HttpFault) -> ConnectorError {
    let of_kind: fn(BoxError) -> ConnectorError = match fault {
        HttpFault::Timeout { .. } => ConnectorError::timeout,
        HttpFault::Resolve { .. }
        | HttpFault::Connect { .. }
        | HttpFault::Tls { .. }
        | HttpFault::Broken { .. } => ConnectorError::io,
        HttpFault::Refused { .. } | HttpFault::NotPublic { .. } => ConnectorError::user,
        HttpFault::TooLarge { .. } | HttpFault::Redirect { .. } => {
            |error: BoxError| ConnectorError::other(error, None)
        }
    };
    of_kind(fault.into())
}

#[cfg(test)]
mod tests;

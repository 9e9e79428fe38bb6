//! The container-credentials address: `/v1/credentials` with the pod's token in `Authorization`, as the published agent answers it,
//! and the relay to the hub's STS.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, StatusCode, header};
use hyper::body::Incoming;

use super::relay::no_relay;
use super::{Answered, Hosts, JSON, Relay, not_found, peer, refused, text, written};
use crate::agent::{Agent, Outcome, Refusal, Road};
use crate::pods::Peer;
use crate::token::TokenError;
use crate::upstream::Upstream;

/// Where credentials are.
const CREDENTIALS_PATH: &str = "/v1/credentials";
/// Where STS is relayed for signed calls as for others: SDKs sign the path, and this is STS' own.
const STS_PATH: &str = "/";
/// Where it is for calls that nobody signs.
const STS_UNSIGNED_PATHS: [&str; 2] = ["/sts", "/sts/"];

/// Who names another host than the agent's addresses is told this.
const NO_HOST: &str = "the host is none of this agent's addresses";

/// One listener of that address.
pub struct ContainerDoor<U> {
    agent: Arc<Agent<U>>,
    relay: Option<Arc<Relay>>,
    hosts: Hosts,
    own: IpAddr,
}

impl<U: Upstream> ContainerDoor<U> {
    /// A listener at the address `own`.
    #[must_use]
    pub fn new(agent: Arc<Agent<U>>, relay: Option<Arc<Relay>>, hosts: Hosts, own: IpAddr) -> Self {
        Self { agent, relay, hosts, own }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>) -> Answered {
        let path = request.uri().path();
        if path == CREDENTIALS_PATH {
            return self.credentials(&request).await;
        }
        let signed_too = path == STS_PATH;
        let is_sts = request.method() == Method::POST && (signed_too || STS_UNSIGNED_PATHS.contains(&path));
        match &self.relay {
            // Apart: each request has room for the largest of its answers, and most only ever ask for credentials.
            Some(relay) if is_sts => Box::pin(self.relayed(relay, request, signed_too)).await,
            None if is_sts => self.unrelayed(&request),
            _ => not_found(),
        }
    }

    async fn credentials(&self, request: &Request<Incoming>) -> Answered {
        let Some(peer) = self.admitted(request) else { return text(StatusCode::FORBIDDEN, NO_HOST) };
        let token = match authorization(request.headers()) {
            Ok(token) => token,
            Err(error) => {
                self.agent.audit_door(peer, error.reason_code(), error);
                return refused(&Refusal::Token(error));
            }
        };
        match self.agent.credentials(token, peer, Road::Container).await {
            Ok(answer) => written(StatusCode::OK, JSON, answer.body.clone()),
            Err(refusal) => refused(&refusal),
        }
    }

    /// Who asks, if they mean this agent. Whoever means another host is a browser that was led here by a name, or worse: the log says so.
    fn admitted<B>(&self, request: &Request<B>) -> Option<Peer> {
        let peer = peer(request, self.own)?;
        if self.hosts.admit(request.uri(), request.headers()) {
            return Some(peer);
        }
        self.agent.audit_door(peer, "other_host", NO_HOST);
        None
    }

    /// Pods are told to find STS here by the hub's webhook, which does not know this agent's flags: who comes is told what is missing.
    fn unrelayed<B>(&self, request: &Request<B>) -> Answered {
        if self.admitted(request).is_none() {
            return text(StatusCode::FORBIDDEN, NO_HOST);
        }
        self.agent.count(Road::Sts, Outcome::Fault);
        no_relay()
    }

    async fn relayed(&self, relay: &Relay, request: Request<Incoming>, signed_too: bool) -> Answered {
        let Some(peer) = self.admitted(&request) else { return text(StatusCode::FORBIDDEN, NO_HOST) };
        if !self.agent.is_within_share(peer) {
            return refused(&Refusal::Limited);
        }
        let (answered, outcome) = relay.pass(request, signed_too).await;
        self.agent.count(Road::Sts, outcome);
        if outcome == Outcome::Refused {
            let status = answered.status();
            self.agent.audit_door(
                peer,
                "not_relayed",
                format_args!("a call that is not passed on to STS, {status}"),
            );
        }
        answered
    }
}

/// The token, as it stands in the header.
fn authorization(headers: &HeaderMap) -> Result<&str, TokenError> {
    let value = headers.get(header::AUTHORIZATION).ok_or(TokenError::Empty)?;
    value.to_str().map_err(|_| TokenError::Form)
}

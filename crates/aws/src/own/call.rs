//! One call as the hub: limits, breaker, tries, each signed anew.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use lanyard_iam::{
    AccountId, Credentials, HttpRequest, Partition, PayloadHash, PrincipalArn, Region, Signer,
};
use lanyard_kit::Clock as _;
use lanyard_kit::http_client::{Answer, HttpFault, Request};
use lanyard_kit::telemetry::{Label as _, trace::span};
use time::OffsetDateTime;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::wire::{Reading, Unreadable, Wire, read};
use super::{AwsClient, AwsFault, AwsRefusal};
use crate::breaker::Breaker;
use crate::codes::is_about_credentials;
use crate::metered::{Outcome, Service};
use crate::patience::{GaveUp, Tried};

/// The longest answer that is read: 50 instances have some 400 KiB.
pub(crate) const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How a Query service is asked.
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// How a JSON service is.
const JSON: &str = "application/x-amz-json-1.1";

/// One of AWS's interfaces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Api {
    pub(super) service: Service,
    /// As hosts and signatures name it.
    pub(super) name: &'static str,
    /// Of a Query service, the version that its parameters are of; of a JSON service, what its targets begin with.
    pub(super) version: &'static str,
    pub(super) wire: Wire,
}

/// Where it is asked: a host, and the region that the signature names.
pub(super) type Place = (String, String);

/// In whose name it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    /// The hub's own.
    Hub,
    /// Somebody's in an account: the hub's own if it is of that account, else those of the role assumed there.
    Account(Partition, AccountId),
}

/// A question to AWS.
pub(super) struct Call {
    api: Api,
    /// As policies name it.
    action: &'static str,
    host: String,
    region: String,
    headers: Vec<(&'static str, String)>,
    body: Zeroizing<String>,
    /// The role that is asked for, where one is: it has a limit of its own, and is one caller to the breaker.
    role: Option<String>,
}

impl Call {
    /// A question to a Query service.
    pub(super) fn query(
        api: Api,
        (host, region): Place,
        action: &'static str,
        parameters: &[(&str, &str)],
    ) -> Self {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("Action", bare(action)), ("Version", api.version)])
            .extend_pairs(parameters)
            .finish();
        let mut headers = vec![("content-type", FORM.to_owned())];
        if api.wire == Wire::QueryAsJson {
            headers.push(("accept", "application/json".to_owned()));
        }
        Self { api, action, host, region, headers, body: Zeroizing::new(body), role: None }
    }

    /// The same, about a role.
    pub(super) fn for_role(self, role: &PrincipalArn) -> Self {
        Self { role: Some(role.to_string()), ..self }
    }

    /// A question to a JSON service.
    pub(super) fn json(
        api: Api,
        (host, region): Place,
        action: &'static str,
        body: &serde_json::Value,
    ) -> Self {
        let target = format!("{}.{}", api.version, bare(action));
        let headers = vec![("content-type", JSON.to_owned()), ("x-amz-target", target)];
        let body = Zeroizing::new(body.to_string());
        Self { api, action, host, region, headers, body, role: None }
    }

    /// The request, signed now, unless it is one that nobody signs.
    fn request(&self, by: Option<&Credentials>, now: OffsetDateTime) -> Result<Request, AwsFault> {
        let bad = |reason: &str| AwsFault::BadAnswer { host: self.host.clone(), reason: reason.to_owned() };
        let mut plain = vec![("host", self.host.as_str())];
        plain.extend(self.headers.iter().map(|(name, value)| (*name, value.as_str())));
        let asked = HttpRequest { method: "POST", path: "/", query: "", headers: &plain };
        let sign = |by| {
            Signer::new(by, &self.region, self.api.name)
                .sign_headers(&asked, &PayloadHash::of(self.body.as_bytes()), now)
                .map_err(|error| bad(&format!("it cannot be asked: {error}")))
        };
        let signed = by.map(sign).transpose()?;
        let signature = signed.iter().flat_map(|signed| signed.iter());
        let mut headers = HeaderMap::new();
        for (name, value) in plain.into_iter().filter(|(name, _)| *name != "host").chain(signature) {
            let mut value =
                HeaderValue::from_str(value).map_err(|_| bad("the hub's credentials fit in no header"))?;
            value.set_sensitive(name == "authorization" || name == "x-amz-security-token");
            headers.insert(HeaderName::from_static(name), value);
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        let url = Url::parse(&format!("https://{}/", self.host)).map_err(|_| bad("its name is no host"))?;
        Ok(Request { method: Method::POST, url, headers, body: Bytes::copy_from_slice(self.body.as_bytes()) })
    }

    fn fault_of(&self, fault: HttpFault) -> AwsFault {
        let host = self.host.clone();
        match fault {
            HttpFault::Timeout { limit, .. } => AwsFault::TimedOut { host, limit },
            HttpFault::Refused { .. }
            | HttpFault::Resolve { .. }
            | HttpFault::NotPublic { .. }
            | HttpFault::Connect { .. }
            | HttpFault::Tls { .. } => AwsFault::Unreachable { host, reason: fault.to_string() },
            HttpFault::TooLarge { .. } | HttpFault::Redirect { .. } | HttpFault::Broken { .. } => {
                AwsFault::BadAnswer { host, reason: fault.to_string() }
            }
        }
    }
}

/// An action without its service: `GetRole`.
fn bare(action: &'static str) -> &'static str {
    action.split_once(':').map_or(action, |(_, name)| name)
}

impl AwsClient {
    /// Asks, and reads what comes back with status 200 by `done`. Where AWS takes the credentials for none, it is asked once
    /// more with new ones: they may have been changed since they were read.
    pub(super) async fn call<T>(
        &self,
        whose: Whose,
        call: &Call,
        done: impl Fn(Answer) -> Result<T, Unreadable>,
    ) -> Result<T, AwsFault> {
        let credentials = self.credentials(whose).await?;
        match self.call_once(call, Some(&*credentials), &done).await {
            Err(AwsFault::Refused(refusal)) if is_about_credentials(&refusal.code) => {
                self.forget(whose, &credentials).await;
                let anew = self.credentials(whose).await?;
                match anew.access_key_id == credentials.access_key_id && anew.session_token.is_none() {
                    true => Err(refusal.into()),
                    false => self.call_once(call, Some(&*anew), &done).await,
                }
            }
            other => other,
        }
    }

    /// Asks in the name of these credentials, or in nobody's.
    pub(super) async fn call_once<T>(
        &self,
        call: &Call,
        by: Option<&Credentials>,
        done: &impl Fn(Answer) -> Result<T, Unreadable>,
    ) -> Result<T, AwsFault> {
        let started = Instant::now();
        let span = span::aws(call.api.service.value(), bare(call.action), &call.region);
        let result = match self.hold_back(call, started) {
            Some(fault) => Err(fault),
            None => self.ask(call, by, done).await,
        };
        let outcome = self.learn(call, result.as_ref().err(), started);
        span::ended(&span, outcome.value(), matches!(outcome, Outcome::Throttled | Outcome::Fault));
        result
    }

    async fn ask<T>(
        &self,
        call: &Call,
        by: Option<&Credentials>,
        done: &impl Fn(Answer) -> Result<T, Unreadable>,
    ) -> Result<T, AwsFault> {
        let host = || call.host.clone();
        match self.inner.patience.ask(|| self.try_once(call, by, done)).await {
            Ok(result) => result,
            Err(GaveUp::Late(limit)) => Err(AwsFault::TimedOut { host: host(), limit }),
            Err(GaveUp::Throttled) => Err(AwsFault::Throttled { host: host() }),
        }
    }

    async fn try_once<T>(
        &self,
        call: &Call,
        by: Option<&Credentials>,
        done: &impl Fn(Answer) -> Result<T, Unreadable>,
    ) -> Tried<Result<T, AwsFault>> {
        let request = match call.request(by, self.inner.clock.now()) {
            Ok(request) => request,
            Err(fault) => return Tried::Over(Err(fault)),
        };
        let answer = match self.inner.http.send(request).await {
            Ok(answer) => answer,
            Err(fault) => return Tried::Over(Err(call.fault_of(fault))),
        };
        let (status, host) = (answer.status.as_u16(), call.host.clone());
        Tried::Over(match read(answer, call.api.wire, done) {
            Reading::Done(value) => Ok(value),
            Reading::Refused(code) => Err(AwsRefusal { action: call.action, code, status }.into()),
            Reading::Throttled => return Tried::Throttled,
            Reading::Trouble => Err(AwsFault::ServerError { host, status }),
            Reading::Bad(reason) => Err(AwsFault::BadAnswer { host, reason: reason.to_string() }),
        })
    }

    fn breaker(&self, service: Service) -> Option<&Breaker> {
        self.inner.breakers.iter().find(|(of, _)| *of == service).map(|(_, breaker)| breaker)
    }

    /// Why the call does not go out, if it does not.
    fn hold_back(&self, call: &Call, now: Instant) -> Option<AwsFault> {
        let host = || call.host.clone();
        if let Some(Err(retry_after)) =
            self.breaker(call.api.service).map(|breaker| breaker.admit(&call.host, now))
        {
            return Some(AwsFault::BreakerOpen { host: host(), retry_after });
        }
        let taken = match &call.role {
            None => self.inner.buckets.take((call.api.service, host()), now),
            // The role's share first: what it is refused is not counted against all, nor is what it has for itself.
            Some(role) => {
                let roles = &self.inner.roles;
                let of_all = |_| roles.all.take(host(), now);
                let taken = roles.each.take(role.clone(), now);
                taken.and_then(|()| roles.own.take(role.clone(), now).or_else(of_all))
            }
        };
        taken.err().map(|retry_after| AwsFault::Limited { host: host(), retry_after })
    }

    /// Counts what came of a call, and has the breaker know it.
    fn learn(&self, call: &Call, fault: Option<&AwsFault>, started: Instant) -> Outcome {
        let now = Instant::now();
        let outcome = match fault {
            None => Outcome::Answered,
            Some(AwsFault::Refused(_)) => Outcome::Refused,
            Some(AwsFault::Throttled { .. } | AwsFault::Limited { .. }) => Outcome::Throttled,
            Some(_) => Outcome::Fault,
        };
        self.inner.meter.record(call.api.service, outcome, now - started);
        let Some(breaker) = self.breaker(call.api.service) else { return outcome };
        let (host, action) = (call.host.as_str(), call.action);
        match fault {
            Some(AwsFault::Refused(refusal)) => {
                breaker.answered(host);
                // That there is no such thing is an answer; what a role refuses is told to whoever asked for it.
                if refusal.status != 404 && call.role.is_none() {
                    tracing::warn!(host, action, code = refusal.code, "AWS refuses the hub");
                }
            }
            None | Some(AwsFault::Throttled { .. }) => breaker.answered(host),
            Some(fault) if fault.is_outage() => {
                tracing::warn!(host, action, %fault, "AWS has not answered the hub");
                // Roles are callers of their own. Else there is one, the hub: each of its calls that fails counts as another.
                let caller = call.role.clone().unwrap_or_else(|| format!("{started:?}"));
                breaker.faulted(host, &caller, now, || {});
            }
            Some(_) => {}
        }
        outcome
    }
}

/// Where a service is asked that has a host in each region.
pub(super) fn regional(api: Api, partition: Partition, region: &Region) -> Place {
    (partition.regional_host(api.name, region), region.to_string())
}

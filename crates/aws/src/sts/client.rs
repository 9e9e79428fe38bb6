//! The client: limits, breaker, tries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use lanyard_iam::AccessKeyId;
use lanyard_kit::ExposeSecret as _;
use lanyard_kit::http_client::{HttpClient, HttpClientError, HttpFault, Options, Request};
use lanyard_kit::limits::Buckets;
use lanyard_kit::telemetry::{Label as _, Place, trace::span};

use super::answer::{Reading, read};
use super::{GetCallerIdentity, Limited, StsAnswer, StsFault, StsOptions, StsRefusal, StsRefusalReason};
use crate::breaker::Breaker;
use crate::limits::{Holder, Proven};
use crate::metered::{Meter, Outcome, Regions, Service};
use crate::patience::{GaveUp, Patience, Tried};

/// The longest answer that is read: a caller's identity has under 1 KiB.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The parameter of a presigned URL that bears a session token.
const SECURITY_TOKEN_PARAMETER: &str = "X-Amz-Security-Token=";
/// Access keys at spokes that are remembered, each in about 200 bytes, and half a KiB more where it shows many tokens.
const KEYS_MAX: usize = 65_536;
/// Spokes and regions that are remembered.
const PLACES_MAX: usize = 8_192;

/// Executes presigned `GetCallerIdentity` calls. Share one: the limits are its own.
pub struct StsClient {
    http: HttpClient,
    options: StsOptions,
    spokes: Buckets<(String, Standing)>,
    keys: Buckets<(KeyAtSpoke, Standing)>,
    regions: Buckets<(String, Standing)>,
    unknown_regions: Buckets<Standing>,
    proven: Proven<KeyAtSpoke>,
    breaker: Breaker,
    patience: Patience,
    meter: Meter,
    by_region: Arc<Regions>,
}

/// What a call shows before STS is asked. No two share a bucket, be it of a key, a spoke or a region: who makes up keys uses up the share
/// of unproven ones alone, and who knows the id of a verified person's key, which is no secret, takes nothing from tokens that STS has
/// verified before, nor from any of the same session.
///
/// What remains possible: a long-term key has no session, and nobody but STS can tell its new tokens from forged ones. Who names its
/// id more often than [`StsOptions::access_key`] lets through holds new tokens of that key back at that spoke, and who knows enough ids
/// to use up [`StsOptions::spoke`] those of all such keys there; each token that got through once is good until it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Standing {
    /// It bears evidence by which STS has verified the key lately.
    Proven,
    /// It names a key that STS has verified lately, by other evidence.
    Named,
    /// It names any other key.
    Unproven,
}

impl Standing {
    const ALL: [Self; 3] = [Self::Proven, Self::Named, Self::Unproven];

    fn of(holder: Option<&Holder>) -> Self {
        match holder {
            Some(Holder { has_shown: true, .. }) => Self::Proven,
            Some(_) => Self::Named,
            None => Self::Unproven,
        }
    }
}

/// A key counts at one spoke at a time: what another cluster's callers do with its id is not held against it here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct KeyAtSpoke {
    spoke: String,
    key: AccessKeyId,
}

impl StsClient {
    /// A client with connections and limits of its own. Of `http` the address rules, the resolver's overrides and all
    /// roots are taken; times and size come from here.
    ///
    /// # Errors
    /// When outgoing HTTPS cannot be set up.
    pub fn new(options: StsOptions, http: Options) -> Result<Self, HttpClientError> {
        let http = HttpClient::new(Options {
            timeout: Duration::from_millis(options.attempt_milliseconds),
            connect_timeout: Duration::from_millis(options.connect_milliseconds),
            body_bytes_max: ANSWER_BYTES_MAX,
            ..http
        })?;
        Ok(Self {
            http,
            spokes: Buckets::new(options.spoke, PLACES_MAX),
            keys: Buckets::new(options.access_key, KEYS_MAX),
            regions: Buckets::new(options.region, PLACES_MAX),
            unknown_regions: Buckets::new(options.unknown_regions, Standing::ALL.len()),
            proven: Proven::new(Duration::from_secs(options.proven_seconds), KEYS_MAX),
            breaker: Breaker::new(Service::Sts, options.breaker),
            patience: Patience {
                deadline: Duration::from_millis(options.deadline_milliseconds),
                attempts_max: options.attempts_max,
                backoff: Duration::from_millis(options.backoff_milliseconds),
            },
            meter: Meter::default(),
            by_region: Arc::default(),
            options,
        })
    }

    /// Asks STS who signed.
    ///
    /// # Errors
    /// [`StsFault`]: there is no answer. It is no refusal.
    pub async fn get_caller_identity(&self, call: GetCallerIdentity<'_>) -> Result<StsAnswer, StsFault> {
        let place = self.by_region.place(call.region, call.self_hosted);
        let span = span::aws(Service::Sts.value(), "GetCallerIdentity", self.by_region.name(place));
        let key = KeyAtSpoke { spoke: call.spoke.to_owned(), key: call.access_key_id.clone() };
        let started = Instant::now();
        let holder = self.proven.holder(&key, evidence(&call), started);
        let result = match self.hold_back(&call, &key, Standing::of(holder.as_ref()), started) {
            Some(fault) => Err(fault),
            None => self.ask_in_time(&call).await,
        };
        let principal = holder.as_ref().map(|holder| holder.principal.as_str());
        self.learn(&call, (key, place), principal, &result);
        let outcome = match &result {
            Ok(StsAnswer::Verified(_)) => Outcome::Answered,
            Ok(StsAnswer::Refused(_)) => Outcome::Refused,
            Err(StsFault::Throttled { .. } | StsFault::Limited { .. }) => Outcome::Throttled,
            Err(_) => Outcome::Fault,
        };
        let took = started.elapsed();
        self.meter.record(Service::Sts, outcome, took);
        let is_open = self.breaker.is_open(call.host, started + took);
        self.by_region.record(place, call.host, outcome, took, is_open);
        span::ended(&span, outcome.value(), matches!(outcome, Outcome::Throttled | Outcome::Fault));
        result
    }

    /// Why the call does not go out, if it does not. The breaker comes first and the region's bucket last, so that a call
    /// which is held back uses up as little as possible of what others share.
    fn hold_back(
        &self,
        call: &GetCallerIdentity<'_>,
        key: &KeyAtSpoke,
        standing: Standing,
        now: Instant,
    ) -> Option<StsFault> {
        let limited = |whose| move |retry_after| StsFault::Limited { whose, retry_after };
        let open = |retry_after| StsFault::BreakerOpen { host: call.host.to_owned(), retry_after };
        let known = is_known(call);
        let breaker = if known { self.breaker.admit(call.host, now) } else { Ok(()) };
        let region = || match known {
            true => self.regions.take((call.host.to_owned(), standing), now),
            false => self.unknown_regions.take(standing, now),
        };
        let admitted = breaker
            .map_err(open)
            .and_then(|()| self.keys.take((key.clone(), standing), now).map_err(limited(Limited::AccessKey)))
            .and_then(|()| {
                let spoke = (call.spoke.to_owned(), standing);
                self.spokes.take(spoke, now).map_err(limited(Limited::Spoke))
            })
            .and_then(|()| region().map_err(limited(Limited::Region)));
        admitted.err()
    }

    async fn ask_in_time(&self, call: &GetCallerIdentity<'_>) -> Result<StsAnswer, StsFault> {
        let host = call.host.to_owned();
        match self.patience.ask(|| self.ask(call)).await {
            Ok(result) => result,
            Err(GaveUp::Late(limit)) => Err(StsFault::TimedOut { host, limit }),
            Err(GaveUp::Throttled) => Err(StsFault::Throttled { host }),
        }
    }

    async fn ask(&self, call: &GetCallerIdentity<'_>) -> Tried<Result<StsAnswer, StsFault>> {
        let host = || call.host.to_owned();
        let request = match request(call) {
            Ok(request) => request,
            Err(fault) => return Tried::Over(Err(fault)),
        };
        let answer = match self.http.send(request).await {
            Ok(answer) => answer,
            Err(fault) => return Tried::Over(Err(fault_of(fault, call.host))),
        };
        let status = answer.status.as_u16();
        Tried::Over(match read(&answer, call) {
            Reading::Verified(identity) => Ok(StsAnswer::Verified(identity)),
            Reading::Refused(reason) => Ok(StsAnswer::Refused(StsRefusal { reason, status })),
            Reading::ServerError => Err(StsFault::ServerError { host: host(), status }),
            Reading::Bad(reason) => Err(StsFault::BadAnswer { host: host(), reason }),
            Reading::Throttled => return Tried::Throttled,
        })
    }

    fn learn(
        &self,
        call: &GetCallerIdentity<'_>,
        (key, place): (KeyAtSpoke, Place),
        principal: Option<&str>,
        result: &Result<StsAnswer, StsFault>,
    ) {
        let now = Instant::now();
        match result {
            Ok(answer) => {
                self.breaker.answered(call.host);
                match answer {
                    StsAnswer::Verified(identity) => {
                        let principal = format!("{}/{}", identity.account, identity.principal_id);
                        self.proven.insert(key, principal, evidence(call), now);
                    }
                    StsAnswer::Refused(StsRefusal { reason: StsRefusalReason::InvalidKey, .. })
                        if is_about_the_key(call) =>
                    {
                        self.proven.remove(&key);
                    }
                    StsAnswer::Refused(_) => {}
                }
            }
            // STS speaks: nothing is down.
            Err(StsFault::Throttled { .. }) => self.breaker.answered(call.host),
            Err(StsFault::Limited { .. } | StsFault::BreakerOpen { .. }) => {}
            Err(fault) => {
                tracing::warn!(host = call.host, %fault, "STS has not answered");
                if let (true, Some(principal)) = (is_known(call), principal) {
                    let (by_region, host) = (Arc::clone(&self.by_region), call.host.to_owned());
                    self.breaker.faulted(call.host, principal, now, move || by_region.closed(place, &host));
                }
            }
        }
    }
}

/// Whether the endpoint is one that exists by configuration or by AWS's own list, rather than by a caller's word.
fn is_known(call: &GetCallerIdentity<'_>) -> bool {
    call.self_hosted || call.partition.has_known_region(call.region)
}

/// What a call bears that nobody has who knows no more than the key's id: the session's token or, without a session, all of the URL
/// with its signature. It says who asks only once STS has verified it.
fn evidence<'a>(call: &GetCallerIdentity<'a>) -> &'a str {
    let url = call.url.expose_secret();
    let session = url.split_once(SECURITY_TOKEN_PARAMETER).and_then(|(_, rest)| rest.split('&').next());
    session.unwrap_or(url)
}

/// Whether the answer that a key does not exist is about the key. STS says the same where a session token is not the key's own, or is
/// missing, before it looks at the signature: anybody who knows a key's id can bring that about.
fn is_about_the_key(call: &GetCallerIdentity<'_>) -> bool {
    !call.access_key_id.is_session() && !call.url.expose_secret().contains(SECURITY_TOKEN_PARAMETER)
}

fn request(call: &GetCallerIdentity<'_>) -> Result<Request, StsFault> {
    let bad = |reason: &str| StsFault::BadAnswer { host: call.host.to_owned(), reason: reason.to_owned() };
    let url = call.url.expose_secret().parse().map_err(|_| bad("the rebuilt URL does not parse"))?;
    let (name, id) = call.bound_to.header();
    let id = HeaderValue::from_str(id).map_err(|_| bad("the id that was signed is no header value"))?;
    let mut request = Request::get(url);
    request.headers.insert(name, id);
    request.headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

fn fault_of(fault: HttpFault, host: &str) -> StsFault {
    let host = host.to_owned();
    match fault {
        HttpFault::Timeout { limit, .. } => StsFault::TimedOut { host, limit },
        HttpFault::Refused { .. }
        | HttpFault::Resolve { .. }
        | HttpFault::NotPublic { .. }
        | HttpFault::Connect { .. }
        | HttpFault::Tls { .. } => StsFault::Unreachable { host, reason: fault.to_string() },
        HttpFault::TooLarge { .. } | HttpFault::Redirect { .. } | HttpFault::Broken { .. } => {
            StsFault::BadAnswer { host, reason: fault.to_string() }
        }
    }
}

impl std::fmt::Debug for StsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StsClient").field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! The client: limits, breaker, tries.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use http::HeaderValue;
use lanyard_iam::AccessKeyId;
use lanyard_kit::ExposeSecret as _;
use lanyard_kit::http_client::{HttpClient, HttpClientError, HttpFault, Options, Request};
use lanyard_kit::telemetry::{Counters, Histograms, Label, names};

use super::answer::{Reading, read};
use super::{GetCallerIdentity, Limited, StsAnswer, StsFault, StsOptions, StsRefusal, StsRefusalReason};
use crate::breaker::Breaker;
use crate::limits::{Buckets, Proven};

/// The longest answer that is read: a caller's identity has under 1 KiB.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Access keys at spokes that are remembered, each in about 150 bytes.
const KEYS_MAX: usize = 65_536;
/// Spokes and regions that are remembered.
const PLACES_MAX: usize = 8_192;

/// Executes presigned `GetCallerIdentity` calls. Share one: the limits are its own.
pub struct StsClient {
    http: HttpClient,
    options: StsOptions,
    spokes: Buckets<(String, Standing)>,
    keys: Buckets<KeyAtSpoke>,
    regions: Buckets<(String, Standing)>,
    unknown_regions: Buckets<Standing>,
    proven: Proven<KeyAtSpoke>,
    breaker: Breaker,
    outcomes: Counters<Outcome>,
    seconds: Histograms<Service>,
}

/// Whether STS has verified the key lately. The two share no bucket: who makes up keys uses up the share of unproven
/// ones alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Standing {
    Proven,
    Unproven,
}

/// A key counts at one spoke at a time: what another cluster's callers do with its id is not held against it here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct KeyAtSpoke {
    spoke: String,
    key: AccessKeyId,
}

#[derive(Clone, Copy)]
enum Outcome {
    Answered,
    Refused,
    Throttled,
    Fault,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Answered, Self::Refused, Self::Throttled, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

#[derive(Clone, Copy)]
enum Service {
    Sts,
}

impl Label for Service {
    const KEY: &'static str = names::SERVICE;
    const ALL: &'static [Self] = &[Self::Sts];

    fn value(self) -> &'static str {
        "sts"
    }

    fn index(self) -> usize {
        self as usize
    }
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
            unknown_regions: Buckets::new(options.unknown_regions, 2),
            proven: Proven::new(Duration::from_secs(options.proven_seconds), KEYS_MAX),
            breaker: Breaker::new(options.breaker),
            outcomes: Counters::new(names::AWS_CALLS_TOTAL),
            seconds: Histograms::new(names::AWS_CALL_SECONDS),
            options,
        })
    }

    /// Asks STS who signed.
    ///
    /// # Errors
    /// [`StsFault`]: there is no answer. It is no refusal.
    pub async fn get_caller_identity(&self, call: GetCallerIdentity<'_>) -> Result<StsAnswer, StsFault> {
        let key = KeyAtSpoke { spoke: call.spoke.to_owned(), key: call.access_key_id.clone() };
        let started = Instant::now();
        let principal = self.proven.principal(&key, started);
        let standing = if principal.is_some() { Standing::Proven } else { Standing::Unproven };
        let result = match self.hold_back(&call, &key, standing, started) {
            Some(fault) => Err(fault),
            None => self.ask_in_time(&call).await,
        };
        self.learn(&call, key, principal.as_deref(), &result);
        self.outcomes.increment(match &result {
            Ok(StsAnswer::Verified(_)) => Outcome::Answered,
            Ok(StsAnswer::Refused(_)) => Outcome::Refused,
            Err(StsFault::Throttled { .. } | StsFault::Limited { .. }) => Outcome::Throttled,
            Err(_) => Outcome::Fault,
        });
        self.seconds.record(Service::Sts, started.elapsed());
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
            .and_then(|()| self.keys.take(key.clone(), now).map_err(limited(Limited::AccessKey)))
            .and_then(|()| {
                let spoke = (call.spoke.to_owned(), standing);
                self.spokes.take(spoke, now).map_err(limited(Limited::Spoke))
            })
            .and_then(|()| region().map_err(limited(Limited::Region)));
        admitted.err()
    }

    async fn ask_in_time(&self, call: &GetCallerIdentity<'_>) -> Result<StsAnswer, StsFault> {
        let limit = Duration::from_millis(self.options.deadline_milliseconds);
        let late = |_| StsFault::TimedOut { host: call.host.to_owned(), limit };
        tokio::time::timeout(limit, self.ask(call)).await.map_err(late)?
    }

    async fn ask(&self, call: &GetCallerIdentity<'_>) -> Result<StsAnswer, StsFault> {
        let host = || call.host.to_owned();
        for attempt in 1.. {
            let answer = self.http.send(request(call)?).await.map_err(|fault| fault_of(fault, call.host))?;
            match read(&answer, call) {
                Reading::Verified(identity) => return Ok(StsAnswer::Verified(identity)),
                Reading::Refused(reason) => {
                    return Ok(StsAnswer::Refused(StsRefusal { reason, status: answer.status.as_u16() }));
                }
                Reading::ServerError => {
                    return Err(StsFault::ServerError { host: host(), status: answer.status.as_u16() });
                }
                Reading::Bad(reason) => return Err(StsFault::BadAnswer { host: host(), reason }),
                Reading::Throttled if attempt >= self.options.attempts_max => break,
                Reading::Throttled => tokio::time::sleep(self.pause_after(attempt)).await,
            }
        }
        Err(StsFault::Throttled { host: host() })
    }

    /// A random part of a span that doubles with each attempt: callers that were throttled together come back apart.
    fn pause_after(&self, attempt: u32) -> Duration {
        let span = self.options.backoff_milliseconds.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        // A fresh `RandomState` is randomly keyed; what is hashed does not matter.
        Duration::from_millis(RandomState::new().hash_one(attempt) % span.max(1))
    }

    fn learn(
        &self,
        call: &GetCallerIdentity<'_>,
        key: KeyAtSpoke,
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
                        self.proven.insert(key, principal, now);
                    }
                    StsAnswer::Refused(StsRefusal { reason: StsRefusalReason::InvalidKey, .. }) => {
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
                    self.breaker.faulted(call.host, principal, now);
                }
            }
        }
    }
}

/// Whether the endpoint is one that exists by configuration or by AWS's own list, rather than by a caller's word.
fn is_known(call: &GetCallerIdentity<'_>) -> bool {
    call.self_hosted || call.partition.has_known_region(call.region)
}

fn request(call: &GetCallerIdentity<'_>) -> Result<Request, StsFault> {
    let bad = |reason: &str| StsFault::BadAnswer { host: call.host.to_owned(), reason: reason.to_owned() };
    let url = call.url.expose_secret().parse().map_err(|_| bad("the rebuilt URL does not parse"))?;
    let cluster_id =
        HeaderValue::from_str(call.cluster_id).map_err(|_| bad("the cluster's id is no header value"))?;
    let mut request = Request::get(url);
    request.headers.insert("x-k8s-aws-id", cluster_id);
    request.headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

fn fault_of(fault: HttpFault, host: &str) -> StsFault {
    let host = host.to_owned();
    match fault {
        HttpFault::Timeout { limit, .. } => StsFault::TimedOut { host, limit },
        HttpFault::Refused { .. }
        | HttpFault::Resolve { .. }
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

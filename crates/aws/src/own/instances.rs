//! Instances by their ids: remembered, asked for together, each once at a time.
//!
//! Who asks waits a bounded time; the question goes on without them, so that the next who asks finds its answer. While one
//! call is under way, and for a pause after it, the ids that come in are gathered for the next one: so a place (an account
//! and region) has at most so many calls a second, however many ask. What could not be told is told to who waits and is not
//! remembered.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lanyard_iam::{AccountId, Partition, PrincipalArn, Region};
use lanyard_kit::Clock as _;
use lanyard_kit::telemetry::{Counters, Label, names, trace::span};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::watch;

use super::call::regional;
use super::ec2::{BATCH_MAX, Described, EC2};
use super::iam::profile_parts;
use super::{AwsClient, AwsFault};
use crate::limits::locked;

/// Ids of one place that may wait at a time. More are turned away: a cluster has not that many new nodes at once.
const WAITING_MAX: usize = 1_000;
/// Instance profiles whose role is remembered.
const PROFILES_MAX: usize = 1_000;
/// How long the role of an instance profile is remembered.
const PROFILE_KEPT: time::Duration = time::Duration::minutes(1);
/// Of what may be kept, the part for ids that there are none of: made-up ones push no node out.
const ABSENT_PART: usize = 10;
/// States of an instance that is no more.
const GONE: [&str; 2] = ["shutting-down", "terminated"];

/// How long nodes are remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceOptions {
    /// An instance that was found. Its name never changes, and its id is never used again; so long may one that is gone
    /// still knock, if somebody has its credentials.
    pub found_seconds: u32,
    /// That there is none of this id. A new instance is not shown at once.
    pub absent_seconds: u32,
    /// Instances, each in about 400 bytes.
    pub kept_max: u64,
    /// How long who knocks waits for EC2; less than the API server waits for us.
    pub wait_milliseconds: u64,
    /// The pause between two calls for one account and region.
    pub pause_milliseconds: u64,
}

impl Default for InstanceOptions {
    fn default() -> Self {
        Self {
            found_seconds: 900,
            absent_seconds: 10,
            kept_max: 20_000,
            wait_milliseconds: 2_000,
            pause_milliseconds: 200,
        }
    }
}

/// An instance that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its private DNS name.
    pub private_dns_name: String,
    /// The role of its instance profile, whose sessions are its own.
    pub role: Option<PrincipalArn>,
}

/// None where there is no such instance.
type Answer = Result<Option<Arc<Instance>>, AwsFault>;

/// An account and region of a partition.
type Place = (Partition, AccountId, Region);

/// Finds instances. Clones share what they remember.
#[derive(Clone)]
pub struct Instances {
    inner: Arc<Inner>,
}

struct Inner {
    aws: AwsClient,
    options: InstanceOptions,
    found: Cache<(Place, String), Kept<Arc<Instance>>>,
    absent: Cache<(Place, String), Kept<()>>,
    profiles: Cache<String, Kept<Option<PrincipalArn>>>,
    queues: Mutex<HashMap<Place, Queue>>,
    looked_up: Counters<Outcome>,
}

#[derive(Clone)]
struct Kept<T> {
    value: T,
    until: OffsetDateTime,
}

/// What is asked about one place. While it stands, a task works on it.
#[derive(Default)]
struct Queue {
    asked: HashMap<String, watch::Sender<Option<Answer>>>,
    next: VecDeque<String>,
}

#[derive(Clone, Copy)]
enum Outcome {
    Kept,
    Asked,
    Fault,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Kept, Self::Asked, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Asked => "asked",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Instances {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(aws: AwsClient, options: InstanceOptions) -> Self {
        let kept_max = usize::try_from(options.kept_max).unwrap_or(usize::MAX);
        let inner = Inner {
            aws,
            options,
            found: Cache::new(kept_max),
            absent: Cache::new((kept_max / ABSENT_PART).max(1)),
            profiles: Cache::new(PROFILES_MAX),
            queues: Mutex::default(),
            looked_up: Counters::new(names::AWS_INSTANCES_TOTAL),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The instance of an id in an account and region, if there is one that still is.
    ///
    /// # Errors
    /// [`AwsFault`]: it could not be told. Never to be read as "there is none".
    pub async fn find(&self, partition: Partition, account: AccountId, region: &Region, id: &str) -> Answer {
        let place = (partition, account, region.clone());
        if let Some(kept) = self.inner.kept(&place, id) {
            self.inner.looked_up.increment(Outcome::Kept);
            return Ok(kept);
        }
        let answer = self.ask(place, id).await;
        self.inner.looked_up.increment(if answer.is_ok() { Outcome::Asked } else { Outcome::Fault });
        answer
    }

    async fn ask(&self, place: Place, id: &str) -> Answer {
        let (host, _) = regional(EC2, place.0, &place.2);
        let Some(mut answer) = self.wait_for(place, id) else {
            let retry_after = Duration::from_millis(self.inner.options.pause_milliseconds);
            return Err(AwsFault::Limited { host, retry_after });
        };
        let limit = Duration::from_millis(self.inner.options.wait_milliseconds);
        let told = tokio::time::timeout(limit, answer.wait_for(Option::is_some)).await;
        match told {
            Ok(Ok(told)) => told.clone().unwrap_or(Ok(None)),
            // Whoever asked EC2 is gone without an answer, or has not come back yet.
            Ok(Err(_)) | Err(_) => Err(AwsFault::TimedOut { host, limit }),
        }
    }

    /// Joins those who wait for an id, and sees to it that somebody asks. None when too many ids wait.
    fn wait_for(&self, place: Place, id: &str) -> Option<watch::Receiver<Option<Answer>>> {
        let mut queues = locked(&self.inner.queues);
        let is_idle = !queues.contains_key(&place);
        let queue = queues.entry(place.clone()).or_default();
        let waiting = queue.asked.len();
        let receiver = match queue.asked.entry(id.to_owned()) {
            Entry::Occupied(asked) => asked.get().subscribe(),
            Entry::Vacant(_) if waiting >= WAITING_MAX => return None,
            Entry::Vacant(vacant) => {
                queue.next.push_back(id.to_owned());
                vacant.insert(watch::Sender::new(None)).subscribe()
            }
        };
        if is_idle {
            tokio::spawn(work(Arc::clone(&self.inner), place));
        }
        Some(receiver)
    }
}

/// Asks about a place until nobody waits.
async fn work(inner: Arc<Inner>, place: Place) {
    while let Some(ids) = inner.next_batch(&place) {
        // For all who wait, and so part of nobody's request.
        let asked = async { Ok::<_, Infallible>(inner.ask(&place, &ids).await) };
        let Ok(answers) = span::own(names::AWS_INSTANCES_SPAN, asked).await;
        inner.tell(&place, ids, answers);
        tokio::time::sleep(Duration::from_millis(inner.options.pause_milliseconds)).await;
    }
}

impl Inner {
    fn now(&self) -> OffsetDateTime {
        self.aws.inner.clock.now()
    }

    fn until(&self, seconds: u32) -> OffsetDateTime {
        self.now().saturating_add(time::Duration::seconds(seconds.into()))
    }

    /// What is remembered of an id, if anything.
    fn kept(&self, place: &Place, id: &str) -> Option<Option<Arc<Instance>>> {
        let (key, now) = ((place.clone(), id.to_owned()), self.now());
        if let Some(kept) = self.found.get(&key).filter(|kept| kept.until > now) {
            return Some(Some(kept.value));
        }
        self.absent.get(&key).filter(|kept| kept.until > now).map(|_| None)
    }

    /// The next ids to ask about; none ends the work on the place.
    fn next_batch(&self, place: &Place) -> Option<Vec<String>> {
        let mut queues = locked(&self.queues);
        let queue = queues.get_mut(place)?;
        let take = queue.next.len().min(BATCH_MAX);
        if take == 0 {
            queues.remove(place);
            return None;
        }
        Some(queue.next.drain(..take).collect())
    }

    fn tell(&self, place: &Place, ids: Vec<String>, mut answers: HashMap<String, Answer>) {
        let mut told = Vec::with_capacity(ids.len());
        for id in ids {
            let answer = answers.remove(&id).unwrap_or(Ok(None));
            let key = (place.clone(), id.clone());
            match &answer {
                Ok(Some(instance)) => {
                    let until = self.until(self.options.found_seconds);
                    self.found.insert(key, Kept { value: Arc::clone(instance), until });
                }
                Ok(None) => {
                    let until = self.until(self.options.absent_seconds);
                    self.absent.insert(key, Kept { value: (), until });
                }
                Err(_) => {}
            }
            told.push((id, answer));
        }
        let mut queues = locked(&self.queues);
        let Some(queue) = queues.get_mut(place) else { return };
        for (id, answer) in told {
            if let Some(sender) = queue.asked.remove(&id) {
                sender.send_replace(Some(answer));
            }
        }
    }

    async fn ask(&self, (partition, account, region): &Place, ids: &[String]) -> HashMap<String, Answer> {
        match self.aws.instances((*partition, *account, region), ids).await {
            Err(fault) => ids.iter().map(|id| (id.clone(), Err(fault.clone()))).collect(),
            Ok(described) => {
                let mut answers = HashMap::with_capacity(described.len());
                for one in described {
                    answers.insert(one.id.clone(), self.instance(*account, one).await);
                }
                answers
            }
        }
    }

    async fn instance(&self, account: AccountId, described: Described) -> Answer {
        let Described { id, private_dns_name, state, profile } = described;
        let Some(private_dns_name) = private_dns_name.filter(|_| !GONE.contains(&state.as_str())) else {
            return Ok(None);
        };
        let role = match &profile {
            // A profile of another account can only be a mistake: its role is none of this account's.
            Some(profile) if profile_parts(profile).is_some_and(|(_, of, _)| of == account) => {
                self.role_of(profile).await?
            }
            _ => None,
        };
        Ok(Some(Arc::new(Instance { id, private_dns_name, role })))
    }

    async fn role_of(&self, profile: &lanyard_iam::Arn) -> Result<Option<PrincipalArn>, AwsFault> {
        let (key, now) = (profile.as_str().to_owned(), self.now());
        if let Some(kept) = self.profiles.get(&key).filter(|kept| kept.until > now) {
            return Ok(kept.value);
        }
        let role = self.aws.role_of_profile(profile).await?;
        let until = now.saturating_add(PROFILE_KEPT);
        self.profiles.insert(key, Kept { value: role.clone(), until });
        Ok(role)
    }
}

impl std::fmt::Debug for Instances {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instances").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

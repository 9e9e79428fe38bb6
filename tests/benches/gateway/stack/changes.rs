//! How long a change takes to be visible on every replica: made through the front door, looked for on each replica by itself.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use lanyard_api::authn::accounts::{Accounts as _, CreateUser, Named};
use lanyard_api::authz::{Authorize as _, ObjectBatch, Objects as _, Verdict};
use lanyard_api::grpc::{Remote, admitted_at_the_door};
use lanyard_api::mapping::{CreateAccessEntry, Entries as _, EntryRef};
use lanyard_api::signing::SignedChannel;
use lanyard_api::{ClusterId, ClusterUid, Mutation};
use lanyard_iam::{Credentials, SecretAccessKey};
use lanyard_kit::ExposeSecret as _;
use lanyard_rbac::ObjectKey;
use serde_json::json;
use tonic::transport::Channel;

use super::running::{Place, Service, Stack, badge, is_proven, prove};
use super::{Scale, rbac_review};
use crate::figure::{say, say_under};
use crate::questions::{Questions, local_token_of};
use crate::sts;
use crate::turn::percentile_microseconds;
use crate::world::{self, World};

/// Replicas of each service.
const REPLICAS: usize = 2;
/// Most of it, in milliseconds.
const MOST_MILLISECONDS: f64 = 100.0;
/// When it is given up: the poll behind a lost notification is long over then.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How long an identity that authn vouched for is used: it counts for a minute.
const IDENTITY_LIFETIME: Duration = Duration::from_secs(20);
/// Whom the RBAC change is about.
const USERNAME: &str = "somebody-who-is-bound-and-unbound";
/// The binding that comes and goes.
const BINDING: &str = "visible";
/// Whose key is switched off and on.
const USER: &str = "switched-off-and-on";
/// A session of the one role of the lab that has no entry.
const SESSION: usize = 0;

/// Measures it.
pub(super) async fn measure(place: &Place<'_>, stack: &Stack, scale: Scale, world: &World) -> Result<()> {
    let bench = Bench {
        door: stack.signed(world)?,
        authn: replicas(stack, "authn")?,
        mapping: replicas(stack, "mapping")?,
        authz: replicas(stack, "authz")?,
        cluster: *world.clusters.first().context("a world without clusters")?,
        id: world::cluster_id(0).parse()?,
        changes: scale.changes,
    };
    let questions = Questions::new(world, &stack.server, place.sts);
    bench.entries(&questions).await?;
    bench.bindings().await?;
    bench.keys().await
}

fn replicas(stack: &Stack, service: &str) -> Result<Vec<Service>> {
    (0..REPLICAS).map(|number| stack.replica(service, number)).collect()
}

struct Bench {
    door: Remote<SignedChannel<Channel>>,
    authn: Vec<Service>,
    mapping: Vec<Service>,
    authz: Vec<Service>,
    cluster: ClusterUid,
    id: ClusterId,
    changes: usize,
}

/// What the changes of one kind took.
#[derive(Default)]
struct Times {
    since_sent: Vec<u32>,
    since_answered: Vec<u32>,
}

impl Bench {
    /// An access entry is made and deleted; mapping gives its principal a badge or none.
    async fn entries(&self, questions: &Questions<'_>) -> Result<()> {
        let mut times = Times::default();
        let entry = EntryRef {
            cluster: self.id.clone(),
            principal_arn: format!("arn:aws:iam::{}:role/{}", sts::ACCOUNT, sts::role(SESSION)),
        };
        let authn = self.authn.first().context("there are no replicas")?;
        let prove = async || prove(authn, self.cluster, &questions.sts_token(SESSION)?).await;
        let (mut identity, mut proved) = (prove().await?, Instant::now());
        for number in 0..self.changes {
            if proved.elapsed() > IDENTITY_LIFETIME {
                (identity, proved) = (prove().await?, Instant::now());
            }
            let makes = number % 2 == 0;
            let change = async {
                let by = Mutation::by(admitted_at_the_door());
                match makes {
                    true => self.door.create_entry(by, visible(entry.clone())).await.map(drop)?,
                    false => self.door.delete_entry(by, entry.clone()).await.map(drop)?,
                }
                Ok(())
            };
            let shows = async |replica: &Service| {
                Ok(badge(replica, self.cluster, &identity).await?.is_some() == makes)
            };
            follow(&mut times, change, &self.mapping, shows).await?;
        }
        times.say("An access entry, made or deleted, on two replicas of mapping")
    }

    /// A role is bound to somebody and taken back; authz allows or has no opinion.
    async fn bindings(&self) -> Result<()> {
        let mut times = Times::default();
        let group = "rbac.authorization.k8s.io";
        let document = json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": BINDING },
            "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": "role-0" },
            "subjects": [{ "apiGroup": group, "kind": "User", "name": USERNAME }],
        })
        .to_string();
        let batch = ObjectBatch::of(document);
        let key: ObjectKey = format!("ClusterRoleBinding/{BINDING}").parse()?;
        for number in 0..self.changes {
            let makes = number % 2 == 0;
            let change = async {
                let (by, cluster) = (Mutation::by(admitted_at_the_door()), self.id.clone());
                match makes {
                    true => self.door.apply_objects(by, cluster, batch.clone()).await.map(drop)?,
                    false => self.door.delete_object(by, cluster, key.clone()).await.map(drop)?,
                }
                Ok(())
            };
            let shows = async |replica: &Service| {
                let decision = replica.authorize(rbac_review(self.cluster, USERNAME, "")).await?;
                Ok((decision.verdict == Verdict::Allow) == makes)
            };
            follow(&mut times, change, &self.authz, shows).await?;
        }
        times.say("An RBAC binding, made or deleted, on two replicas of authz")
    }

    /// A local access key is switched off and on; authn refuses its tokens or verifies them.
    async fn keys(&self) -> Result<()> {
        let by = || Mutation::by(admitted_at_the_door());
        let user = Named { account: None, name: USER.to_owned() };
        let made = CreateUser {
            account: None,
            path: "/".to_owned(),
            name: USER.to_owned(),
            tags: Default::default(),
        };
        self.door.create_user(by(), made).await?;
        let made = self.door.create_access_key(by(), user.clone()).await?.value;
        let key = Credentials {
            access_key_id: made.key.id,
            secret_access_key: SecretAccessKey::new(made.secret.expose_secret().to_owned()),
            session_token: None,
        };
        // One that is not heard of yet is refused too, and would pass for one that is switched off.
        let token = local_token_of(0, &key)?;
        let is_known = async |replica: &Service| is_proven(replica, self.cluster, &token).await;
        follow(&mut Times::default(), async { Ok(()) }, &self.authn, is_known).await?;
        let mut times = Times::default();
        for number in 0..self.changes {
            let is_active = number % 2 == 1;
            let token = local_token_of(0, &key)?;
            let change = async {
                let (user, key) = (user.clone(), key.access_key_id.clone());
                self.door.set_access_key_active(by(), user, key, is_active).await.map(drop)?;
                Ok(())
            };
            let shows =
                async |replica: &Service| Ok(is_proven(replica, self.cluster, &token).await? == is_active);
            follow(&mut times, change, &self.authn, shows).await?;
        }
        times.say("An access key, switched off or on, on two replicas of authn")
    }
}

fn visible(entry: EntryRef) -> CreateAccessEntry {
    CreateAccessEntry {
        entry,
        entry_type: None,
        username: Some("visible".to_owned()),
        groups: Vec::new(),
        tags: Default::default(),
        ends_at: None,
        principal_id: None,
        pin_until: None,
    }
}

/// Makes a change, and asks every replica over and over meanwhile, until each has shown it.
async fn follow(
    times: &mut Times,
    change: impl Future<Output = Result<()>>,
    replicas: &[Service],
    shows: impl AsyncFn(&Service) -> Result<bool>,
) -> Result<()> {
    let begun = Instant::now();
    let answered = Cell::new(None);
    let change = async {
        change.await?;
        answered.set(Some(Instant::now()));
        Ok(())
    };
    let looking = try_join_all(replicas.iter().map(|replica| async {
        while !shows(replica).await? {
            ensure!(begun.elapsed() < WAIT_MAX, "a change is not on every replica after {WAIT_MAX:?}");
        }
        Ok(Instant::now())
    }));
    let ((), seen) = futures::future::try_join(change, looking).await?;
    let last = seen.into_iter().max().context("there are no replicas")?;
    let answered = answered.get().context("the change was answered")?;
    times.since_sent.push(nanoseconds(last - begun));
    // A replica may show it before the caller has the answer: then it took nothing.
    times.since_answered.push(nanoseconds(last.saturating_duration_since(answered)));
    Ok(())
}

fn nanoseconds(took: Duration) -> u32 {
    u32::try_from(took.as_nanos()).unwrap_or(u32::MAX)
}

impl Times {
    fn say(mut self, group: &str) -> Result<()> {
        let milliseconds = |times: &mut [u32], percent| percentile_microseconds(times, percent) / 1e3;
        say(group, "changes", self.since_sent.len() as f64, "", None);
        let p50 = milliseconds(&mut self.since_sent, 50);
        say(group, "p50 from sending it", p50, "ms", None);
        let p99 = milliseconds(&mut self.since_sent, 99);
        say_under(group, "p99 from sending it", p99, "ms", MOST_MILLISECONDS);
        let p50 = milliseconds(&mut self.since_answered, 50);
        say(group, "p50 from its answer", p50, "ms", None);
        let p99 = milliseconds(&mut self.since_answered, 99);
        say_under(group, "p99 from its answer", p99, "ms", MOST_MILLISECONDS);
        Ok(())
    }
}

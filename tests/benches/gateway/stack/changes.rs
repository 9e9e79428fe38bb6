//! How long a change takes to be visible on every replica: made through the front door, looked for on each replica by itself.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use lanyard_api::authn::accounts::{Accounts as _, CreateUser, Named};
use lanyard_api::authz::{Authorize as _, ObjectBatch, Objects as _, Verdict};
use lanyard_api::credentials::{Associations as _, MutatePod, PodIdentityAssociationRef, Pods as _};
use lanyard_api::grpc::{Remote, admitted_at_the_door};
use lanyard_api::mapping::{Clusters as _, CreateAccessEntry, Entries as _, EntryRef};
use lanyard_api::signing::SignedChannel;
use lanyard_api::{ClusterId, ClusterUid, Mutation};
use lanyard_iam::{AccountId, Credentials, SecretAccessKey};
use lanyard_kit::ExposeSecret as _;
use lanyard_rbac::ObjectKey;
use serde_json::json;
use tokio::sync::{Mutex, SetOnce};
use tonic::transport::Channel;

use super::running::{Place, Service, Stack, badge, is_proven, prove};
use super::{Scale, rbac_review};
use crate::client::{Connection, post};
use crate::figure::{say, say_under};
use crate::questions::{Questions, local_token_of};
use crate::roles::{associated, pod_role};
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
/// The role that the pods of a ServiceAccount get and lose.
const ROLE: &str = "given-and-taken-back";
/// Whose pods.
const NAMESPACE: &str = "shop";
const SERVICE_ACCOUNT: &str = "visible";
/// A review that says nothing: whether its bearer is known shows all the same, and no service behind the door is asked.
const NO_REVIEW: &str = "[]";
/// What it gets where its bearer is a cluster's API server.
const UNREADABLE: u16 = 400;
/// What it gets where its bearer is nobody.
const UNKNOWN: u16 = 401;
/// A session of the one role of the lab that has no entry.
const SESSION: usize = 0;

/// Measures it.
pub(super) async fn measure(place: &Place<'_>, stack: &Stack, scale: Scale, world: &World) -> Result<()> {
    let bench = Bench {
        door: stack.signed(world)?,
        authn: replicas(stack, "authn")?,
        mapping: replicas(stack, "mapping")?,
        authz: replicas(stack, "authz")?,
        credentials: replicas(stack, "credentials")?,
        account: world.account,
        cluster: *world.clusters.first().context("a world without clusters")?,
        id: world::cluster_id(0).parse()?,
        changes: scale.changes,
    };
    let questions = Questions::new(world, &stack.server, place.sts);
    bench.entries(&questions).await?;
    bench.bindings().await?;
    bench.keys().await?;
    bench.associations().await?;
    bench.api_servers(&gateways(stack).await?).await
}

fn replicas(stack: &Stack, service: &str) -> Result<Vec<Service>> {
    (0..REPLICAS).map(|number| stack.replica(service, number)).collect()
}

/// A connection to the door of each gateway.
async fn gateways(stack: &Stack) -> Result<Vec<Mutex<Connection>>> {
    let connecting = (0..REPLICAS).map(|number| async move {
        Ok::<_, anyhow::Error>(Mutex::new(stack.gateway(number)?.connect().await?))
    });
    try_join_all(connecting).await
}

struct Bench {
    door: Remote<SignedChannel<Channel>>,
    authn: Vec<Service>,
    mapping: Vec<Service>,
    authz: Vec<Service>,
    credentials: Vec<Service>,
    /// The embedded account.
    account: AccountId,
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

    /// A ServiceAccount gets a role and loses it; credentials puts what that takes into its pods, or nothing.
    async fn associations(&self) -> Result<()> {
        let mut times = Times::default();
        let by = || Mutation::by(admitted_at_the_door());
        self.door.create_role(by(), pod_role(ROLE)).await?;
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "visible" },
            "spec": { "serviceAccountName": SERVICE_ACCOUNT, "containers": [{ "name": "app", "image": "app" }] },
        });
        let asked = MutatePod {
            cluster: self.cluster,
            namespace: NAMESPACE.to_owned(),
            pod: pod.to_string().into(),
            before: None,
            required: false,
        };
        let made = Cell::new(None);
        for number in 0..self.changes {
            let makes = number % 2 == 0;
            let change = async {
                let cluster = self.id.clone();
                if makes {
                    let new = associated(cluster, self.account, ROLE, NAMESPACE, SERVICE_ACCOUNT);
                    let new = self.door.create_pod_identity_association(by(), new).await?.value;
                    made.set(Some(new.association.id));
                } else {
                    let id = made.take().context("one is made before it is deleted")?;
                    let named = PodIdentityAssociationRef { cluster, id };
                    self.door.delete_pod_identity_association(by(), named).await?;
                }
                Ok(())
            };
            let shows = async |replica: &Service| {
                Ok(replica.mutate_pod(asked.clone()).await?.patch.is_some() == makes)
            };
            follow(&mut times, change, &self.credentials, shows).await?;
        }
        times.say("A Pod Identity association, made or deleted, on two replicas of credentials")
    }

    /// A credential of a cluster's API server is issued and ended; the gateways, which hear of it by mapping's watch alone, take it or
    /// refuse it.
    async fn api_servers(&self, gateways: &[Mutex<Connection>]) -> Result<()> {
        let mut times = Times::default();
        let path = format!("/clusters/{}/tokenreview", self.id);
        // The newest: its name, and what its bearer asks. Nobody can ask before the hub has said the token, which it makes.
        let mut issued = SetOnce::new();
        for number in 0..self.changes {
            let makes = number % 2 == 0;
            if makes {
                issued = SetOnce::new();
            }
            let change = async {
                let (by, cluster) = (Mutation::by(admitted_at_the_door()), self.id.clone());
                if makes {
                    let (credential, token) = self.door.create_spoke_credential(by, cluster).await?.value;
                    let review = post(&path, token.expose_secret(), NO_REVIEW);
                    ensure!(issued.set((credential.id, review)).is_ok(), "one is issued at a time");
                } else {
                    let (credential, _) = issued.get().context("one is issued before it is ended")?;
                    self.door.delete_spoke_credential(by, cluster, credential.clone()).await?;
                }
                Ok(())
            };
            let shows = async |gateway: &Mutex<Connection>| {
                let (_, review) = issued.wait().await;
                match gateway.lock().await.status_of(review).await? {
                    UNREADABLE => Ok(makes),
                    UNKNOWN => Ok(!makes),
                    other => anyhow::bail!("the door answers {other}"),
                }
            };
            follow(&mut times, change, gateways, shows).await?;
        }
        times.say("A credential of an API server, issued or ended, on two replicas of gateway")
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
async fn follow<R>(
    times: &mut Times,
    change: impl Future<Output = Result<()>>,
    replicas: &[R],
    shows: impl AsyncFn(&R) -> Result<bool>,
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

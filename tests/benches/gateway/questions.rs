//! What the API servers ask, made beforehand, with what the answers have to begin with.

use anyhow::{Context, Result};
use lanyard_iam::token::TOKEN_EXPIRES;
use lanyard_iam::{Credentials, Region, Token, mint_token};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::client::{Server, post};
use crate::load::{Asked, Scenario};
use crate::sts;
use crate::turn::is_small;
use crate::world::{self, World};

/// The scenarios' names.
pub(crate) const LOCAL_TOKEN_REVIEWS: &str = "TokenReview, local IAM";
pub(crate) const ACCESS_REVIEWS: &str = "SubjectAccessReview, allowed by an access policy";
pub(crate) const CACHED_TOKEN_REVIEWS: &str = "TokenReview, one of 50000 kept answers of STS";

/// All of them.
pub(crate) const ALL: [&str; 3] = [LOCAL_TOKEN_REVIEWS, ACCESS_REVIEWS, CACHED_TOKEN_REVIEWS];

/// Sessions whose answers are kept, where memory is measured too.
const SESSIONS: usize = 50_000;
/// As many as show that it works.
const FEW_SESSIONS: usize = 200;

/// How many it is this time.
pub(crate) fn sessions() -> usize {
    if is_small() { FEW_SESSIONS } else { SESSIONS }
}
/// Tokens of the local administrator; they are never kept, so a few do.
const LOCAL_TOKENS: usize = 16;
/// Different access reviews.
const REVIEWS: usize = 1_000;

/// Makes them.
pub(crate) struct Questions<'a> {
    world: &'a World,
    server: &'a Server,
    sts_host: &'a str,
}

impl<'a> Questions<'a> {
    /// For the hub behind this door.
    pub(crate) fn new(world: &'a World, server: &'a Server, sts: &'a sts::StandIn) -> Self {
        Self { world, server, sts_host: &sts.host }
    }

    /// One TokenReview and one SubjectAccessReview of every cluster, so that all of them are in memory.
    pub(crate) async fn use_every_cluster(&self) -> Result<()> {
        let mut connection = self.server.connect().await?;
        for number in 0..self.world.clusters.len() {
            let asked = self.local_token_review(number)?;
            let answer = connection.ask(&asked.request).await?;
            asked.check(answer)?;
            let user = user_of(answer)?;
            let asked = access_review(number, &user, 0);
            asked.check(connection.ask(&asked.request).await?)?;
        }
        Ok(())
    }

    /// TokenReviews of a local key.
    pub(crate) fn local_token_reviews(&self) -> Result<Scenario> {
        let questions = (0..LOCAL_TOKENS).map(|_| self.local_token_review(0)).collect::<Result<_>>()?;
        Ok(Scenario { name: LOCAL_TOKEN_REVIEWS.to_owned(), questions })
    }

    fn local_token_review(&self, cluster: usize) -> Result<Asked> {
        token_review(cluster, &self.local_token(cluster)?, world::ADMINISTRATOR)
    }

    /// A token of the administrator, for a cluster.
    pub(crate) fn local_token(&self, cluster: usize) -> Result<Token> {
        local_token_of(cluster, &self.world.administrator)
    }

    /// A token of somebody whom STS has to prove, for the first cluster.
    pub(crate) fn sts_token(&self, session: usize) -> Result<Token> {
        token(0, &sts::credentials(session), self.sts_host, sts::REGION)
    }

    /// TokenReviews of so many people whom STS has proved already; asked once here, one after the other.
    pub(crate) async fn cached_token_reviews(&self, name: &str, sessions: usize) -> Result<Scenario> {
        let question = |number| {
            let username = format!("{}:person-{number}", sts::role(number));
            token_review(0, &self.sts_token(number)?, &username)
        };
        // The first role is the administrator's place in the list of entries, so it has none of its own.
        let has_entry = |number: &usize| (1..self.world.size.entries).contains(&(number % sts::ROLES));
        let numbers = (0..).filter(has_entry).take(sessions);
        let questions = numbers.map(question).collect::<Result<Vec<_>>>()?;
        let begun = std::time::Instant::now();
        crate::load::once(&questions, self.server).await?;
        println!("{sessions} answers of STS kept in {:.1?}", begun.elapsed());
        Ok(Scenario { name: name.to_owned(), questions })
    }

    /// SubjectAccessReviews as an API server sends them after a TokenReview: with the proof that it was given.
    pub(crate) async fn access_reviews(&self) -> Result<Scenario> {
        let mut connection = self.server.connect().await?;
        let asked = self.local_token_review(0)?;
        let answer = connection.ask(&asked.request).await?;
        asked.check(answer)?;
        let user = user_of(answer)?;
        let questions = (0..REVIEWS).map(|number| access_review(0, &user, number)).collect();
        Ok(Scenario { name: ACCESS_REVIEWS.to_owned(), questions })
    }
}

/// A token of whoever has this local key, for a cluster.
pub(crate) fn local_token_of(cluster: usize, key: &Credentials) -> Result<Token> {
    let host = format!("sts.{}.amazonaws.com", world::REGION);
    token(cluster, key, &host, world::REGION)
}

fn token(cluster: usize, key: &Credentials, host: &str, region: &str) -> Result<Token> {
    let region = Region::parse(region)?;
    let now = OffsetDateTime::now_utc();
    Ok(mint_token(key, host, &region, &world::cluster_id(cluster), now, TOKEN_EXPIRES)?)
}

fn token_review(cluster: usize, token: &Token, username: &str) -> Result<Asked> {
    let id = world::cluster_id(cluster);
    let body = json!({
        "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": { "creationTimestamp": null },
        "spec": { "token": token.expose(), "audiences": ["https://kubernetes.default.svc"] },
        "status": { "user": {} },
    });
    let begins = format!(
        r#"{{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{{"authenticated":true,"user":{{"username":"{username}","#
    );
    let path = format!("/clusters/{id}/tokenreview");
    Ok(Asked::new(&path, &world::bearer(cluster), &body.to_string(), begins))
}

/// What an API server knows of somebody after a TokenReview.
fn user_of(answer: &[u8]) -> Result<Value> {
    let answer: Value = serde_json::from_slice(answer)?;
    Ok(answer.pointer("/status/user").context("an answer without a user")?.clone())
}

fn access_review(cluster: usize, user: &Value, number: usize) -> Asked {
    let part = |name: &str| user.get(name).cloned().unwrap_or_default();
    let mut groups = part("groups").as_array().cloned().unwrap_or_default();
    groups.push("system:authenticated".into());
    let body = json!({
        "kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": { "creationTimestamp": null },
        "spec": {
            "resourceAttributes": {
                "namespace": format!("team-{}", number % 10), "verb": "get", "version": "v1", "resource": "pods",
                "name": format!("web-{number}"),
            },
            "user": part("username"), "uid": part("uid"), "groups": groups, "extra": part("extra"),
        },
        "status": { "allowed": false },
    });
    let begins =
        r#"{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","status":{"allowed":true,"#;
    let path = format!("/clusters/{}/subjectaccessreview", world::cluster_id(cluster));
    Asked::new(&path, &world::bearer(cluster), &body.to_string(), begins.to_owned())
}

impl Asked {
    fn new(path: &str, bearer: &str, body: &str, begins: String) -> Self {
        Self {
            request: post(path, bearer, body),
            bytes_echoed: post(crate::echo::BYTES_PATH, bearer, body),
            json_echoed: post(crate::echo::JSON_PATH, bearer, body),
            body_bytes: body.len(),
            begins: begins.into_bytes(),
        }
    }
}

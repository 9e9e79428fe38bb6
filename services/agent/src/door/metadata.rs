//! The instance-metadata road: what an SDK tries last. The pod is told by its address alone, so that of each request it has to be
//! certain, and what it gets is what its own projected token is worth.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use lanyard_iam::Region;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::session::SESSION_SECONDS_MAX;
use super::{Answered, Hosts, JSON, Sessions, TEXT, not_found, peer, refused, text, written};
use crate::agent::{Agent, Refusal, Road};
use crate::files;
use crate::namespaces::Namespaces;
use crate::pods::{Peer, Pod};
use crate::upstream::Upstream;
use crate::vault::Answer;

/// Where a session begins.
const TOKEN_PATH: &str = "/latest/api/token";
/// How long it is to last.
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// The session itself.
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
/// Set by proxies: who speaks through one is not who it seems (as AWS's own service, which refuses it where a session begins).
const FORWARDED_HEADER: &str = "x-forwarded-for";
/// Where the role's name is, and below it the credentials.
const ROLE_PATH: &str = "/latest/meta-data/iam/security-credentials/";
/// The region, for SDKs that were told none.
const REGION_PATH: &str = "/latest/meta-data/placement/region";
/// The zone, from which older SDKs make the region.
const ZONE_PATH: &str = "/latest/meta-data/placement/availability-zone";
/// The same for SDKs that read the region of it (for Go and Java); of an instance there is nothing to say.
const IDENTITY_PATH: &str = "/latest/dynamic/instance-identity/document";
/// The folder and file of the projected token below a pod's folder; of the names that the published webhook gives them.
const TOKEN_FILE: &str = "volumes/kubernetes.io~projected/eks-pod-identity-token/eks-pod-identity-token";

/// For whom the road is open, and what it says of the place.
#[derive(Debug, Clone)]
pub struct MetadataOptions {
    /// The namespaces whose pods get credentials here.
    pub namespaces: Namespaces,
    /// Where the kubelet has its pods' volumes: `/var/lib/kubelet/pods`.
    pub pods_folder: PathBuf,
    /// The region.
    pub region: Option<Region>,
    /// The availability zone.
    pub zone: Option<String>,
}

/// What is said to whoever means another host.
const NO_HOST: &str = "the host is none of this agent's addresses";

/// One listener of that road.
pub struct MetadataDoor<U> {
    agent: Arc<Agent<U>>,
    options: Arc<MetadataOptions>,
    sessions: Arc<Sessions>,
    hosts: Hosts,
    own: IpAddr,
}

impl<U: Upstream> MetadataDoor<U> {
    /// A listener at the address `own`.
    #[must_use]
    pub fn new(
        agent: Arc<Agent<U>>,
        options: Arc<MetadataOptions>,
        sessions: Arc<Sessions>,
        hosts: Hosts,
        own: IpAddr,
    ) -> Self {
        Self { agent, options, sessions, hosts, own }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>) -> Answered {
        let (uri, headers) = (request.uri(), request.headers());
        let Some(peer) = peer(&request, self.own) else { return text(StatusCode::FORBIDDEN, NO_HOST) };
        if !self.hosts.admit(uri, headers) {
            return self.turned_away(peer, "other_host", StatusCode::FORBIDDEN, NO_HOST);
        }
        if headers.contains_key(FORWARDED_HEADER) {
            let line = "no requests are answered that came through a proxy";
            return self.turned_away(peer, "forwarded", StatusCode::FORBIDDEN, line);
        }
        match (request.method(), uri.path()) {
            (&Method::PUT, TOKEN_PATH) => self.begin(headers, peer),
            (&Method::GET, path) => self.read(path, headers, peer).await,
            _ => text(StatusCode::METHOD_NOT_ALLOWED, "only GET, and PUT of a session's token, are answered"),
        }
    }

    /// Refuses whoever it is, with a line of the log.
    fn turned_away(&self, peer: Peer, reason: &'static str, status: StatusCode, line: &str) -> Answered {
        self.agent.audit_metadata(peer, None, reason, line);
        text(status, line)
    }

    fn begin(&self, headers: &HeaderMap, peer: Peer) -> Answered {
        let seconds = headers.get(TTL_HEADER).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
        let Some(seconds) = seconds.filter(|seconds| (1..=SESSION_SECONDS_MAX).contains(seconds)) else {
            let line = format!("{TTL_HEADER} has to be a number of seconds from 1 to {SESSION_SECONDS_MAX}");
            return text(StatusCode::BAD_REQUEST, &line);
        };
        let token = self.sessions.begin(peer.address, seconds, self.agent.now());
        let mut answered = written(StatusCode::OK, TEXT, token.into());
        answered.headers_mut().insert(TTL_HEADER, HeaderValue::from(seconds));
        answered
    }

    async fn read(&self, path: &str, headers: &HeaderMap, peer: Peer) -> Answered {
        let session = headers.get(TOKEN_HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
        if !self.sessions.admit(session, peer.address, self.agent.now()) {
            let reason = if session.is_empty() { "no_session" } else { "other_session" };
            let line = "begin a session with a PUT of /latest/api/token first";
            return self.turned_away(peer, reason, StatusCode::UNAUTHORIZED, line);
        }
        let place = |value: Option<&str>| match value {
            Some(value) => written(StatusCode::OK, TEXT, value.to_owned().into()),
            None => not_found(),
        };
        // botocore asks for the zone with a slash at its end.
        match path.trim_end_matches('/') {
            REGION_PATH => return place(self.options.region.as_ref().map(Region::as_str)),
            ZONE_PATH => return place(self.options.zone.as_deref()),
            IDENTITY_PATH => return self.identity(),
            _ => {}
        }
        // The list of roles is asked for with and without the slash at its end.
        let role = match path.strip_prefix(ROLE_PATH) {
            Some(role) => role,
            None if path == ROLE_PATH.trim_end_matches('/') => "",
            None => return not_found(),
        };
        match Box::pin(self.credentials(peer)).await {
            Err(refusal) => refused(&refusal),
            Ok(answer) if role.is_empty() => {
                written(StatusCode::OK, TEXT, answer.role_name.to_string().into())
            }
            Ok(answer) if *role == *answer.role_name => written(StatusCode::OK, JSON, answer.metadata_body()),
            Ok(_) => not_found(),
        }
    }

    /// The region and the zone, as far as they are known.
    fn identity(&self) -> Answered {
        let Some(region) = &self.options.region else { return not_found() };
        let identity = json!({ "region": region.as_str(), "availabilityZone": self.options.zone });
        written(StatusCode::OK, JSON, identity.to_string().into())
    }

    async fn credentials(&self, peer: Peer) -> Result<Arc<Answer>, Refusal> {
        let counted = |refusal: &Refusal| self.agent.count(Road::Metadata, refusal.outcome());
        let pod = self.agent.pod_at(peer).await?;
        let token = self.token_of(&pod, peer).await.inspect_err(counted)?;
        self.agent.credentials(token.expose_secret(), peer, Road::Metadata).await
    }

    /// The pod's own projected token. Without one there is nothing to be had: no role is anybody's by default.
    async fn token_of(&self, pod: &Pod, peer: Peer) -> Result<SecretString, Refusal> {
        let refused = |reason: &'static str, told: &'static str, why: &str| {
            let more = if why.is_empty() { "" } else { ": " };
            self.agent.audit_metadata(peer, Some(pod), reason, format_args!("{told}{more}{why}"));
            Refusal::NotOnThisRoad(told)
        };
        if !self.options.namespaces.include(&pod.namespace).await? {
            return Err(refused("closed_namespace", "it is not open for pods of this namespace", ""));
        }
        // A uid is one part of a path, and the kubelet's own: whatever else it is, it is none.
        let is_name = |uid: &str| uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if pod.uid.is_empty() || !is_name(&pod.uid) {
            return Err(refused("pod_uid", "the pod's uid is none", ""));
        }
        let path = self.options.pods_folder.join(&pod.uid).join(TOKEN_FILE);
        let token = files::token(&path).await;
        token.map_err(|reason| refused("no_token", "this pod has no projected token for it", &reason))
    }
}

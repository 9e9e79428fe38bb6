//! What the agent decides: whether who asks is the pod whose token they show, and what they get.

use std::fmt::Display;
use std::sync::Arc;

use lanyard_iam::TokenDigest;
use lanyard_kit::Clock;
use lanyard_kit::telemetry::{Counters, Label, names};
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::warn;

use crate::limits::{Newcomers, Rate, Share};
use crate::listed::Unlisted;
use crate::pods::{Directory, Mismatch, Nobody, Peer, Pod, PodWatch};
use crate::token::{PodClaims, PodToken, TokenError};
use crate::upstream::{AuthError, Upstream, UpstreamError};
use crate::vault::{Answer, Entry, Vault};

/// What is kept of a pod, and what of it can be handed out at once.
type Kept = (Arc<Entry>, Arc<Answer>);

/// Most lines of audit a second, of either kind: a pod that knocks as fast as it can fills no disk.
const AUDIT_LINES: Rate = match (std::num::NonZeroU32::new(50), std::num::NonZeroU32::new(200)) {
    (Some(per_second), Some(burst)) => Rate { per_second, burst },
    _ => Rate { per_second: std::num::NonZeroU32::MIN, burst: std::num::NonZeroU32::MIN },
};

/// Which road a request came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Road {
    /// The container-credentials address.
    Container,
    /// The instance-metadata address.
    Metadata,
    /// The relay to the hub's STS.
    Sts,
}

impl Label for Road {
    const KEY: &'static str = names::ROUTE;
    const ALL: &'static [Self] = &[Self::Container, Self::Metadata, Self::Sts];

    fn value(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Metadata => "metadata",
            Self::Sts => "sts",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered from what was kept.
    Kept,
    /// Answered with what came for it.
    Fetched,
    /// Refused.
    Refused,
    /// Sent away, for it was one too many.
    Limited,
    /// No answer.
    Fault,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Kept, Self::Fetched, Self::Refused, Self::Limited, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Fetched => "fetched",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Why a pod gets no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What it shows is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It is not the token's pod.
    #[error("access denied: {0}")]
    Pod(#[from] Mismatch),
    /// It is no pod that could be told by its address.
    #[error("access denied: {0}")]
    Nobody(#[from] Nobody),
    /// Its namespace has no credentials on the instance-metadata road, or it has no projected token.
    #[error("no credentials on this road: {0}")]
    NotOnThisRoad(&'static str),
    /// It asks too often.
    #[error("too many requests; ask again in a moment")]
    Limited,
    /// Whether it is the token's pod, or of a namespace that has the road, nobody can say.
    #[error(transparent)]
    Unlisted(#[from] Unlisted),
    /// The other side has none for it.
    #[error("{0}")]
    Upstream(#[from] UpstreamError),
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Token(_) => 400,
            Self::Pod(Mismatch::NoAddressYet) | Self::Nobody(Nobody::Unsettled) | Self::Unlisted(_) => 503,
            Self::Pod(_) | Self::Nobody(_) => 403,
            Self::NotOnThisRoad(_) => 404,
            Self::Limited => 429,
            Self::Upstream(UpstreamError::Answered { status, .. } | UpstreamError::Other { status, .. }) => {
                *status
            }
            Self::Upstream(UpstreamError::Fault { .. }) => 500,
        }
    }

    /// What the pod is told. Why the other side could not be reached is for the log, and so are its words on who the agent is.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Upstream(UpstreamError::Answered { code, message, .. }) => {
                format!("{}: {message}", code.name())
            }
            Self::Upstream(UpstreamError::Other { status, name, .. }) => format!("{name}: status {status}"),
            Self::Upstream(UpstreamError::Fault { whom, .. }) => format!("no answer from {whom}; try again"),
            other => other.to_string(),
        }
    }

    /// A stable name, for logs; of the other side's refusals it is their error's own.
    fn reason_code(&self) -> &str {
        match self {
            Self::Token(error) => error.reason_code(),
            Self::Pod(mismatch) => mismatch.reason_code(),
            Self::Nobody(nobody) => nobody.reason_code(),
            Self::NotOnThisRoad(_) => "not_on_this_road",
            Self::Limited => "limited",
            Self::Unlisted(_) => "unlisted",
            Self::Upstream(error) => error.reason_code(),
        }
    }

    /// As what it is counted.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Token(_) | Self::Pod(_) | Self::Nobody(_) | Self::NotOnThisRoad(_) => Outcome::Refused,
            Self::Limited => Outcome::Limited,
            Self::Upstream(
                UpstreamError::Answered { code: AuthError::Throttling, .. }
                | UpstreamError::Other { status: 429, .. },
            ) => Outcome::Limited,
            Self::Upstream(UpstreamError::Answered { code, .. }) if !code.is_passing() => Outcome::Refused,
            Self::Upstream(_) => Outcome::Fault,
            Self::Unlisted(_) => Outcome::Fault,
        }
    }
}

/// How much is answered.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For one address, with tokens that nobody has vouched for yet.
    pub newcomers: Rate,
    /// For the node as a whole; none: no limit.
    pub node: Option<Rate>,
}

/// The agent of one node.
pub struct Agent<U> {
    vault: Arc<Vault<U>>,
    pods: Option<Arc<PodWatch>>,
    newcomers: Newcomers,
    node: Option<Share>,
    /// Of the lines about tokens that were looked at, of which each address has few a second.
    audit: Share,
    /// Of all other lines, of which somebody may cause as many as they like: theirs are not to keep those from being said.
    door_audit: Share,
    clock: Arc<dyn Clock>,
    answers: Counters<(Road, Outcome)>,
}

impl<U: Upstream> Agent<U> {
    /// Without `pods`, nobody is asked who runs here (`--kubelet-check=off`).
    #[must_use]
    pub fn new(
        vault: Arc<Vault<U>>,
        pods: Option<Arc<PodWatch>>,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            vault,
            pods,
            newcomers: Newcomers::new(limits.newcomers),
            node: limits.node.map(Share::new),
            audit: Share::new(AUDIT_LINES),
            door_audit: Share::new(AUDIT_LINES),
            clock,
            answers: Counters::new(names::AGENT_ANSWERS_TOTAL),
        }
    }

    /// Credentials for who shows this token.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn credentials(&self, token: &str, peer: Peer, road: Road) -> Result<Arc<Answer>, Refusal> {
        let (outcome, found) = match self.found(token, peer).await {
            Ok((answer, outcome)) => (outcome, Ok(answer)),
            Err(refusal) => (refusal.outcome(), Err(refusal)),
        };
        self.answers.increment((road, outcome));
        found
    }

    async fn found(&self, text: &str, peer: Peer) -> Result<(Arc<Answer>, Outcome), Refusal> {
        if self.node.as_ref().is_some_and(|node| !node.take()) {
            return Err(Refusal::Limited);
        }
        let now = self.clock.now();
        let digest = TokenDigest::of(text);
        if let Some((entry, kept)) = self.kept(&digest, peer, now)? {
            if !entry.is_in_doubt(&kept, now) {
                return Ok((kept, Outcome::Kept));
            }
            return Box::pin(self.asked_anew(&entry, kept, peer)).await;
        }
        // On the heap, for most answers need none of it.
        Box::pin(self.asked_for(text, digest, peer, now)).await
    }

    /// What comes for a token of which nothing that could be handed out at once is kept.
    async fn asked_for(
        &self,
        text: &str,
        digest: TokenDigest,
        peer: Peer,
        now: OffsetDateTime,
    ) -> Result<(Arc<Answer>, Outcome), Refusal> {
        if !self.newcomers.take(peer.address) {
            return Err(Refusal::Limited);
        }
        let token = PodToken::parse(text, now)
            .inspect_err(|error| tell_of_token(&self.audit, &digest, *error, peer))?;
        if let Some(pods) = &self.pods {
            let checked = pods.check(token.claims(), peer).await?;
            checked.inspect_err(|mismatch| self.audit_mismatch(&token, *mismatch, peer))?;
        }
        // It was kept all the while, where only the list of pods was not new enough.
        if let Some(entry) = self.vault.find(&digest)
            && let Some(kept) = entry.answer(now)
        {
            if !entry.is_in_doubt(&kept, now) {
                return Ok((kept, Outcome::Kept));
            }
            return self.asked_anew(&entry, kept, peer).await;
        }
        let fetched = self.vault.fetch(&token).await;
        let answer =
            fetched.inspect_err(|error| self.audit_upstream(&digest, token.claims(), error, peer))?;
        Ok((answer, Outcome::Fetched))
    }

    /// What is kept, after the other side was asked about it: what comes is handed out instead, and a refusal counts. Where neither comes in
    /// time, what is kept is good for now.
    async fn asked_anew(
        &self,
        entry: &Entry,
        kept: Arc<Answer>,
        peer: Peer,
    ) -> Result<(Arc<Answer>, Outcome), Refusal> {
        match self.vault.asked_anew(entry).await {
            Some(Ok(answer)) => Ok((answer, Outcome::Fetched)),
            Some(Err(error)) if error.is_final() => {
                self.audit_upstream(&entry.digest(), entry.claims(), &error, peer);
                Err(error.into())
            }
            Some(Err(_)) | None => Ok((kept, Outcome::Kept)),
        }
    }

    /// What is kept for a token, if it is this pod's and good: nothing is asked, and next to nothing done.
    fn kept(&self, digest: &TokenDigest, peer: Peer, now: OffsetDateTime) -> Result<Option<Kept>, Refusal> {
        let Some(entry) = self.vault.find(digest) else { return Ok(None) };
        let life = entry.claims().life.check(now);
        life.inspect_err(|error| tell_of_token(&self.door_audit, digest, *error, peer))?;
        if self.pods.as_ref().is_some_and(|pods| pods.check_kept(entry.claims(), peer).is_err()) {
            return Ok(None);
        }
        // It is the pod's own: whoever else shows its token takes nothing of it.
        if !entry.is_within_share() {
            return Err(Refusal::Limited);
        }
        Ok(entry.answer(now).map(|answer| (entry, answer)))
    }

    /// The one running pod that a request came from, told by its address alone. By a list that was asked for since: an address may have
    /// been given to another pod a moment ago, whose credentials are not those of the one before.
    ///
    /// # Errors
    /// [`Refusal`], which is counted.
    pub async fn pod_at(&self, peer: Peer) -> Result<Pod, Refusal> {
        self.pod_found(peer).await.inspect_err(|refusal| self.tell_of_nobody(peer, refusal))
    }

    async fn pod_found(&self, peer: Peer) -> Result<Pod, Refusal> {
        let pods = self.listed_pods()?;
        // Pods of this node are no strangers; however many ask, they share what the kubelet answers.
        let is_known = pods.current().is_some_and(|listed| listed.list.of_address(peer.address).is_ok());
        if !is_known && !self.newcomers.take(peer.address) {
            return Err(Refusal::Limited);
        }
        let since = Instant::now();
        pods.refresh(since).await;
        let listed = pods.current().filter(|listed| listed.asked_at >= since);
        let listed = listed.ok_or_else(Unlisted::of::<Directory>)?;
        Ok(listed.list.of_address(peer.address)?.clone())
    }

    fn listed_pods(&self) -> Result<&PodWatch, Unlisted> {
        self.pods.as_deref().ok_or_else(Unlisted::of::<Directory>)
    }

    fn tell_of_nobody(&self, peer: Peer, refusal: &Refusal) {
        if self.door_audit.take() {
            warn!(
                peer.address = %peer.address, reason.code = refusal.reason_code(), error = %refusal,
                "the metadata road was refused: no one pod"
            );
        }
        self.answers.increment((Road::Metadata, refusal.outcome()));
    }

    /// The line of a request on the metadata road that is refused before a token is looked at; of a pod's, where its address has told
    /// which that is.
    pub(crate) fn audit_metadata(
        &self,
        peer: Peer,
        pod: Option<&Pod>,
        reason: &'static str,
        why: impl Display,
    ) {
        if self.door_audit.take() {
            warn!(
                peer.address = %peer.address, reason.code = reason,
                pod.uid = pod.map(|pod| &*pod.uid).unwrap_or_default(),
                pod.namespace = pod.map(|pod| &*pod.namespace).unwrap_or_default(),
                "the metadata road was refused: {why}"
            );
        }
    }

    fn audit_mismatch(&self, token: &PodToken, mismatch: Mismatch, peer: Peer) {
        if self.audit.take() {
            let claims = token.claims();
            warn!(
                token.sha256 = %token.digest(), peer.address = %peer.address, reason.code = mismatch.reason_code(),
                pod.uid = claims.pod_uid.as_deref().unwrap_or_default(),
                pod.namespace = claims.namespace,
                pod.service_account = claims.service_account,
                "a token was refused: {mismatch}"
            );
        }
    }

    fn audit_upstream(&self, digest: &TokenDigest, claims: &PodClaims, error: &UpstreamError, peer: Peer) {
        if self.audit.take() {
            warn!(
                token.sha256 = %digest, peer.address = %peer.address, reason.code = error.reason_code(),
                pod.uid = claims.pod_uid.as_deref().unwrap_or_default(),
                pod.namespace = claims.namespace,
                pod.service_account = claims.service_account,
                %error,
                "no credentials for a pod"
            );
        }
    }

    /// The line of a request that is refused at the door of the container-credentials address, where there is no token to name.
    pub(crate) fn audit_door(&self, peer: Peer, reason: &'static str, why: impl Display) {
        if self.door_audit.take() {
            warn!(peer.address = %peer.address, reason.code = reason, "a request was refused: {why}");
        }
    }

    /// Counts what became of a request that has no token.
    pub fn count(&self, road: Road, outcome: Outcome) {
        self.answers.increment((road, outcome));
    }

    /// Whether one more from there is within the share of newcomers.
    #[must_use]
    pub fn is_within_share(&self, peer: Peer) -> bool {
        self.newcomers.take(peer.address)
    }

    /// The time by the agent's clock.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }
}

/// The line of a token that is none, or whose time is not now, if there is a share of lines left.
fn tell_of_token(lines: &Share, digest: &TokenDigest, error: TokenError, peer: Peer) {
    if lines.take() {
        warn!(
            token.sha256 = %digest, peer.address = %peer.address, reason.code = error.reason_code(),
            "a token was refused: {error}"
        );
    }
}

impl<U> std::fmt::Debug for Agent<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Agent({:?}, pods: {})", self.vault, self.pods.is_some())
    }
}

#[cfg(test)]
mod tests;

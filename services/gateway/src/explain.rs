//! One question, every stage's answer: token, identity, mapping, decision.

mod advice;
mod anew;
mod break_glass;
mod grpc;
mod trust;

use std::sync::Arc;

use lanyard_api::{
    Actor, Authority, CallError, ClusterId, Fault, Identity, IdentityPart, OidcIdentity, Standing, UserInfo,
    Vouched,
    authn::{Authenticate, AuthenticateQuery, Authentication, Verified},
    authz::{Attributes, Authorize, Decision, Review, Verdict},
    mapping::{
        AuthenticationMode, AuthorizerMode, BREAK_GLASS_PREFIX, Cluster, Clusters, Grant, GrantKind, Mapped,
        Preview, PreviewQuery, Resolution, Resolve, ResolveQuery,
    },
    proof,
};
use lanyard_iam::{PrincipalArn, looks_like_token};
use lanyard_kit::clock::moment_text;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    kubernetes::Gateway,
    names::{Names, Signed, names_an_entry},
    services::Services,
};

pub use grpc::ExplainServer;

/// What to explain.
#[derive(Debug, Clone)]
pub struct ExplainQuery {
    /// Who knocks.
    pub subject: Subject,
    /// At which cluster.
    pub cluster: ClusterId,
    /// And asks what; none for the handshake alone.
    pub attributes: Option<Attributes>,
}

/// Who knocks.
#[derive(Debug, Clone)]
pub enum Subject {
    /// Whoever bears this token.
    Token(SecretString),
    /// Somebody by name: nobody proved it, so nothing is granted by asking.
    As {
        /// Who would vouch; by default whom the cluster trusts for the account.
        authority: Option<Authority>,
        /// Whom for.
        arn: PrincipalArn,
        /// The unique id, where known.
        principal_id: Option<String>,
    },
}

/// The stages in their order; the last one decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// At least one.
    pub stages: Vec<Stage>,
    /// What kubectl's user would see.
    pub verdict: FinalVerdict,
    /// The next step, where it was a no.
    pub advice: Vec<String>,
}

/// One stage's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// `token`, `identity`, `mapping`, `decision`.
    pub name: &'static str,
    /// How it ended.
    pub outcome: StageOutcome,
    /// The stable reason code.
    pub code: String,
    /// What it found, for people: `name: value`.
    pub lines: Vec<String>,
    /// Of `identity`, its parts one by one; the lines say them too.
    pub parts: Vec<IdentityPart>,
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageOutcome {
    /// On to the next.
    Passed,
    /// No.
    Refused,
    /// There is no answer.
    NoAnswer,
}

/// What the person at kubectl sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalVerdict {
    /// In; with attributes asked, allowed.
    Allowed,
    /// `error: You must be logged in to the server (Unauthorized)`.
    Unauthorized,
    /// `Error from server (Forbidden)`: known, and may not.
    Forbidden,
    /// Lanyard has no opinion; the cluster's own RBAC decides.
    LeftToCluster,
    /// A stage had no answer.
    NoAnswer,
}

impl FinalVerdict {
    /// Stable, in snake case.
    pub fn code(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::LeftToCluster => "left_to_cluster",
            Self::NoAnswer => "no_answer",
        }
    }
}

impl StageOutcome {
    /// Stable, in snake case.
    pub fn code(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::NoAnswer => "no_answer",
        }
    }
}

/// The next step where there is no answer.
const FAULT_ADVICE: &str = "this is a fault, not a refusal: try again, then look at /readyz and the log";

#[derive(Default)]
struct Trace {
    stages: Vec<Stage>,
    advice: Vec<String>,
}

impl Trace {
    fn stage(&mut self, name: &'static str, outcome: StageOutcome, code: &str, lines: Vec<String>) {
        self.stages.push(Stage { name, outcome, code: code.to_owned(), lines, parts: Vec::new() });
    }

    /// Who it is, part by part.
    fn identity(&mut self, code: &str, parts: Vec<IdentityPart>) {
        let lines = parts.iter().map(ToString::to_string).collect();
        let (code, outcome) = (code.to_owned(), StageOutcome::Passed);
        self.stages.push(Stage { name: "identity", outcome, code, lines, parts });
    }

    fn no_answer(mut self, name: &'static str, fault: &Fault) -> Explanation {
        self.stage(name, StageOutcome::NoAnswer, fault.code(), vec![fault.to_string()]);
        self.advice.push(FAULT_ADVICE.to_owned());
        self.end(FinalVerdict::NoAnswer)
    }

    fn end(self, verdict: FinalVerdict) -> Explanation {
        Explanation { stages: self.stages, verdict, advice: self.advice }
    }
}

/// Asks every stage in turn. `signed` is the call that asks, for what else its caller may see.
///
/// # Errors
/// [`CallError`] where the cluster is not one that the actor may describe.
pub(crate) async fn explain<S: Services>(
    gateway: &Gateway<S>,
    by: Vouched<Actor>,
    signed: Option<&Signed>,
    query: ExplainQuery,
) -> Result<Explanation, CallError> {
    let services = &gateway.parts.services;
    let cluster = services.mapping().get_cluster(by.clone(), query.cluster.clone()).await?;
    let mut trace = Trace::default();
    let mut oidc_claims = None;
    let resolution = match query.subject {
        Subject::Token(token) if token.expose_secret().starts_with(BREAK_GLASS_PREFIX) => {
            let asked = query.attributes.as_ref();
            return Ok(Box::pin(break_glass::explained(gateway, signed, &cluster, &token, asked)).await);
        }
        Subject::Token(token) => {
            let kind = match looks_like_token(token.expose_secret()) {
                true => TokenKind::Aws,
                false => TokenKind::Other,
            };
            let ask = AuthenticateQuery {
                token,
                digest: None,
                cluster: cluster.uid,
                audiences: Vec::new(),
                explain: true,
            };
            let verified = match services.authn().authenticate(ask).await {
                Ok(Authentication::Verified(verified)) => *verified,
                Ok(other) => return Ok(refused_by_authn(trace, other, kind, &cluster.id)),
                Err(fault) => return Ok(trace.no_answer("token", &fault)),
            };
            trace.stage("token", StageOutcome::Passed, "verified", token_lines(&verified));
            trace.identity("verified", verified.identity.value.parts());
            if let Identity::Oidc(oidc) = &*verified.identity.value {
                oidc_claims = Some(claims_text(oidc));
            }
            let ask = ResolveQuery { cluster: cluster.uid, identity: verified.identity, explain: true };
            match services.mapping().resolve(ask).await {
                Ok(resolution) => resolution,
                Err(fault) => return Ok(trace.no_answer("mapping", &fault)),
            }
        }
        Subject::As { authority, arn, principal_id } => {
            let authority = match trust::vouching(&cluster, authority, &arn) {
                Ok(authority) => authority,
                Err(untrusted) => {
                    trace.stage("token", StageOutcome::Refused, untrusted.code, untrusted.lines);
                    trace.advice.push(advice::of_name(untrusted.code, &cluster.id));
                    return Ok(trace.end(FinalVerdict::Unauthorized));
                }
            };
            trace.identity("assumed", assumed(&arn, &authority, principal_id.as_deref()));
            let ask = PreviewQuery { cluster: cluster.uid, authority, arn, principal_id };
            services.mapping().preview(by, ask).await?
        }
    };
    let mapped = match let_in(resolution, oidc_claims.is_some(), &cluster) {
        Ok(mapped) => mapped,
        Err(no) => {
            trace.stage("mapping", StageOutcome::Refused, &no.code, no.lines);
            trace.advice.push(no.advice);
            return Ok(trace.end(FinalVerdict::Unauthorized));
        }
    };
    trace.stage("mapping", StageOutcome::Passed, "mapped", mapping_lines(&mapped, oidc_claims.as_deref()));
    let Some(attributes) = query.attributes else {
        return Ok(trace.end(FinalVerdict::Allowed));
    };
    let review = Review {
        cluster: cluster.uid,
        grant: entry_of(&mapped.grant, &mapped.user),
        user: Arc::unwrap_or_clone(mapped).user.into_info().let_in().into(),
        attributes: attributes.into(),
        explain: true,
        full: false,
    };
    Ok(match services.authz().authorize(review.clone()).await {
        Ok(mut decision) => {
            if decision.hints.iter().any(|hint| names_an_entry(hint)) {
                let names = Names::of(gateway, signed, cluster.uid).await?;
                decision.hints.iter_mut().for_each(|hint| *hint = names.in_text(hint).into_owned());
            }
            decided(trace, &review, &decision, &cluster)
        }
        Err(fault) => trace.no_answer("decision", &fault),
    })
}

/// Somebody by name, of whom nothing is proven.
fn assumed(arn: &PrincipalArn, authority: &Authority, principal_id: Option<&str>) -> Vec<IdentityPart> {
    let mut parts = vec![IdentityPart::new("arn", arn, Standing::Assumed)];
    parts.extend(principal_id.map(|id| IdentityPart::new("principal id", id, Standing::Assumed)));
    parts.push(IdentityPart::new("authority", authority, Standing::Assumed));
    parts
}

/// Why somebody is not let in, and what to do.
struct NotLetIn {
    code: String,
    lines: Vec<String>,
    advice: String,
}

/// The badge, or why there is none.
fn let_in(resolution: Resolution, is_of_oidc: bool, cluster: &Cluster) -> Result<Arc<Mapped>, NotLetIn> {
    Err(match resolution {
        Resolution::Mapped(mapped) => return Ok(mapped),
        Resolution::Blocked(block) => NotLetIn {
            code: "blocked".to_owned(),
            lines: vec![format!("block: {block}")],
            advice: advice::of_block(&cluster.id),
        },
        Resolution::Unmapped(unmapped) => {
            let mut lines = vec![unmapped.denial.message];
            lines.extend(unmapped.near_misses.iter().map(|miss| format!("near miss: {miss}")));
            let advice = match is_of_oidc {
                true => advice::of_oidc(&unmapped.denial.code, &cluster.id),
                false => advice::of_principal(&unmapped.denial.code, cluster),
            };
            NotLetIn { code: unmapped.denial.code.to_string(), lines, advice }
        }
    })
}

/// The entry in place of a proof, where nobody proved the person.
fn entry_of(grant: &Grant, user: &UserInfo) -> Option<lanyard_api::EntryId> {
    let by_entry = grant.kind == GrantKind::AccessEntry && !user.extra.contains_key(proof::EXTRA_KEY);
    by_entry.then_some(grant.id)
}

/// What kind of token somebody came with.
#[derive(Clone, Copy)]
enum TokenKind {
    Aws,
    Other,
}

fn refused_by_authn(
    mut trace: Trace,
    answer: Authentication,
    kind: TokenKind,
    cluster: &ClusterId,
) -> Explanation {
    match answer {
        Authentication::Refused(refusal) => {
            let code = refusal.denial.code.to_string();
            let mut lines = vec![refusal.denial.message];
            if !refusal.part.is_empty() {
                lines.push(format!("part: {}", refusal.part));
            }
            lines.extend(refusal.authority.map(|authority| format!("authority: {authority}")));
            lines.extend(refusal.access_key_id.map(|key| format!("access key: {key}")));
            lines.extend(refusal.hints.iter().map(|hint| format!("hint: {hint}")));
            trace.stage("token", StageOutcome::Refused, &code, lines);
            trace.advice.push(match kind {
                TokenKind::Aws => advice::of_token(&code, cluster),
                TokenKind::Other => advice::of_oidc(&code, cluster),
            });
        }
        Authentication::NotOurs | Authentication::Verified(_) => {
            let line = "the token neither begins with `k8s-aws-v1.` nor is a JWT of an issuer that this cluster takes tokens of: \
                        another authenticator has to know it";
            trace.stage("token", StageOutcome::Refused, "not_ours", vec![line.to_owned()]);
            trace.advice.push(
                "`lanyard identity-provider list` has the issuers of a cluster, `lanyard token inspect` the one of a token".to_owned(),
            );
        }
    }
    trace.end(FinalVerdict::Unauthorized)
}

fn token_lines(verified: &Verified) -> Vec<String> {
    vec![
        format!("token: {}", verified.token),
        format!("verified by: {}", verified.verifier),
        format!("from the token cache: {}", if verified.cached { "yes" } else { "no" }),
        format!("good until: {}", moment_text(&verified.not_after)),
    ]
}

/// What of the claims that its configuration names a token has: a claim for groups that is not among them is absent, or below another.
fn claims_text(identity: &OidcIdentity) -> String {
    let names: Vec<String> = identity.claims.keys().map(|name| format!("`{name}`")).collect();
    format!("of the claims that the configuration names, the token has {}", names.join(", "))
}

/// `oidc_claims` is what of them the token of an issuer has.
fn mapping_lines(mapped: &Mapped, oidc_claims: Option<&str>) -> Vec<String> {
    let groups = match (mapped.user.groups.as_slice(), oidc_claims) {
        ([], None) => "none".to_owned(),
        ([], Some(claims)) => format!("none: {claims}"),
        (groups, _) => groups.join(", "),
    };
    let how = serde_json::to_value(mapped.matched_by).ok();
    let how = how.as_ref().and_then(|value| value.as_str()).unwrap_or_default().replace('_', " ");
    vec![
        format!("by: {}", mapped.grant.name),
        format!("matched by: {how}"),
        format!("username: {}", mapped.user.username),
        format!("groups: {groups}"),
        format!("revision: {}", mapped.grant.revision),
    ]
}

/// Whether nobody is asked after Lanyard: then what it has no opinion about is Forbidden.
fn is_decided_here(cluster: &Cluster) -> bool {
    cluster.authorizer_mode == AuthorizerMode::Full
}

/// What to do where nothing allows it.
fn forbidden_advice(cluster: &Cluster) -> &'static str {
    match is_decided_here(cluster) {
        true if cluster.authentication_mode == AuthenticationMode::ConfigMap => {
            "kubectl says Forbidden: no RBAC of the cluster allows it, and access policies do not count in mode CONFIG_MAP; bind a \
             role, as the hints say"
        }
        true => {
            "kubectl says Forbidden: no access policy of the entry and no RBAC of the cluster allows it; associate an access \
             policy with `lanyard entry associate`, or bind a role, as the hints say"
        }
        false => {
            "Lanyard has no opinion: the cluster's own RBAC decides; where it does not allow either, kubectl says Forbidden"
        }
    }
}

fn decided(mut trace: Trace, review: &Review, decision: &Decision, cluster: &Cluster) -> Explanation {
    let mut lines = vec![format!("asked: {}", review.attributes), decision.reason.to_string()];
    lines.extend(decision.evaluation_error.iter().map(|error| format!("evaluation error: {error}")));
    lines.extend(decision.hints.iter().map(|hint| format!("hint: {hint}")));
    let (outcome, verdict) = match decision.verdict {
        Verdict::Allow => (StageOutcome::Passed, FinalVerdict::Allowed),
        Verdict::Deny => (StageOutcome::Refused, FinalVerdict::Forbidden),
        Verdict::NoOpinion if is_decided_here(cluster) => (StageOutcome::Refused, FinalVerdict::Forbidden),
        Verdict::NoOpinion => (StageOutcome::Refused, FinalVerdict::LeftToCluster),
    };
    trace.stage("decision", outcome, decision.reason.code(), lines);
    match decision.verdict {
        Verdict::NoOpinion => trace.advice.push(forbidden_advice(cluster).to_owned()),
        Verdict::Deny => trace.advice.push("kubectl says Forbidden, whatever RBAC gives".to_owned()),
        Verdict::Allow => {}
    }
    trace.end(verdict)
}

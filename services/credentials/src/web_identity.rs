//! A session for whoever bears a token of an OIDC issuer: the issuer has to be an OIDC provider of the role's account, the token
//! good and for one of its client ids, the role's trust policy has to let this identity in, and no block may stop the role.
//!
//! A caller is a stranger until the token is verified, and from then on counts as whom it names (`unsigned`). What they are told is what STS says; which condition of a trust policy did
//! not hold is in the log.

mod said;

use std::{net::IpAddr, sync::Arc, time::Instant};

use lanyard_api::{
    Authority, CallError, Denial, Fault, Scope,
    credentials::{AssumeRoleWithWebIdentity, WebIdentityRefusal, WebIdentitySession},
    mapping::Cluster,
};
use lanyard_iam::{
    Ancestor, ConditionKeys, PrincipalArn, RequestContext, TokenDigest,
    policy::{TrustCaller, TrustEvaluation, evaluate_trust},
    shown_within,
};
use lanyard_oidc::{
    Algorithm, Claims, Expected, Jwt, JwtAnswer, JwtRefusal, OidcFault, ServiceAccountRefusal,
    TOKEN_BYTES_MAX, unverified_issuer, verify,
};
use secrecy::ExposeSecret as _;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use self::said::Said;
use crate::{
    Credentials,
    account::{AccountSnapshot, HubSnapshot, ProviderView, RoleView},
    blocks::{Sought, stopped},
    engine::Making,
    issuers::own_cluster,
    rules,
    sight::fault,
    snapshot::KnownIssuer,
};

/// What is weighed against the trust policy.
const ACTION: &str = "sts:AssumeRoleWithWebIdentity";
/// What a session's tags need beside it.
const TAG_SESSION: &str = "sts:TagSession";
/// What a source identity needs beside it.
const SET_SOURCE_IDENTITY: &str = "sts:SetSourceIdentity";
/// What a token may be signed with (AWS STS `AssumeRoleWithWebIdentity`, `WebIdentityToken`), of all that issuers sign with for logins.
const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
];
/// What bearers are told whose issuer would be served here.
const GONE: &str = "the issuer is a cluster of this hub that has no keys, or is gone";
/// What bearers are told whose token may be by a key that the hub has not seen yet.
const NEW_KEY: &str =
    "the hub does not know the key yet that signed the token: it reads them each minute; try again";
/// Most characters of what a token says of itself that a refusal repeats.
const SHOWN_CHARS_MAX: usize = 256;

/// The circumstances of a call.
struct Asked<'a> {
    role_arn: &'a PrincipalArn,
    session_name: &'a str,
    from: Option<IpAddr>,
    now: OffsetDateTime,
}

impl Credentials {
    /// Lets in whoever bears a token, as a stranger for now. The answer is the token's digest.
    pub(crate) fn admit_bearer(
        &self,
        from: Option<IpAddr>,
        query: &AssumeRoleWithWebIdentity,
    ) -> Result<TokenDigest, CallError> {
        let raw = query.web_identity_token.expose_secret();
        // None of this length was ever verified, so that it need not be hashed before it is let in.
        if raw.len() > TOKEN_BYTES_MAX {
            self.admit_stranger(from)?;
            return Ok(TokenDigest::of(raw));
        }
        let token = TokenDigest::of(raw);
        self.strangers().admit_bearer(from, token, Instant::now())?;
        Ok(token)
    }

    /// The session, with an audit line where there is none; the token is named by its digest.
    pub(crate) async fn told_web_identity_session(
        &self,
        from: Option<IpAddr>,
        token: TokenDigest,
        query: AssumeRoleWithWebIdentity,
    ) -> Result<WebIdentitySession, CallError> {
        let role = shown(&query.role_arn);
        let answer = self.web_identity_session(from, token, query).await;
        if let Err(error) = &answer {
            let code = match error {
                CallError::Denied(denial) => &*denial.code,
                CallError::Fault(fault) => fault.code(),
                _ => "invalid",
            };
            tracing::warn!(token = %token, role, reason.code = code, %error, "a web identity was given no session");
        }
        answer
    }

    async fn web_identity_session(
        &self,
        from: Option<IpAddr>,
        digest: TokenDigest,
        query: AssumeRoleWithWebIdentity,
    ) -> Result<WebIdentitySession, CallError> {
        rules::session_name(&query.session_name)?;
        let (arn, path, name) = rules::role_arn(&query.role_arn)?;
        let session_policy = rules::session_policy(query.session_policy.as_deref())?;
        let hub = self.hub().await?;
        let account = match hub.is_local(arn.account, arn.partition) {
            true => Some(self.account(arn.account).await?),
            false => None,
        };
        let token = query.web_identity_token.expose_secret();
        let verified = self.verified(&hub, account.as_deref(), token).await?;
        let Verified { account, view, said } = &verified;
        let bearer = (view.provider.issuer_url.as_str(), said.subject.as_str());
        self.strangers().verified(from, digest, bearer, Instant::now())?;
        let asked = Asked { role_arn: &arn, session_name: &query.session_name, from, now: self.now() };
        let role = account.role(&name).filter(|view| view.role.path == path && view.role.name == name);
        let Some(role) = role.filter(|role| lets_in(role, &verified, &asked)) else {
            return Err(denied(said));
        };
        let cluster = self.cluster_of_issuer(&view.provider.issuer_url).await?;
        self.unblocked_for(&asked, bearer, cluster.as_deref()).await?;
        self.is_past_revocation(&role.role)?;
        let seconds = rules::duration(query.duration_seconds, role.role.session_seconds_max, false)?;
        let (tags, transitive_keys) =
            rules::tags(&said.tags, &said.transitive_tag_keys, &Default::default()).map_err(in_token)?;
        let mut ancestors = vec![Ancestor::Provider {
            account: arn.account,
            id: view.provider.id.to_string(),
            issuer: said.issuer.clone(),
            subject: said.subject.clone(),
        }];
        ancestors.extend(cluster.map(|cluster| Ancestor::Cluster(cluster.uid.to_string())));
        let making = Making {
            authority: Authority::Local,
            principal_id: role.role.principal_id.clone(),
            session_name: query.session_name,
            seconds,
            tags,
            transitive_keys,
            source_identity: said.source_identity.clone(),
            session_policy,
            revision: account.revision.0,
            chain_depth: 0,
            ancestors,
            principal: arn,
        };
        let session = self.mint_role_session(making)?;
        tracing::info!(
            principal.arn = session.arn,
            issuer = said.issuer,
            subject = said.subject,
            access_key.id = %session.access_key_id,
            "a web identity has assumed a role"
        );
        let Said { issuer, audience, subject, source_identity, .. } = verified.said;
        Ok(WebIdentitySession { session, provider: issuer, audience, subject, source_identity })
    }
}

impl Credentials {
    /// The cluster whose issuer is served here: what its tokens give ends with it. None where the issuer is elsewhere, for such a name
    /// says of no cluster that it is its.
    async fn cluster_of_issuer(&self, issuer_url: &str) -> Result<Option<Arc<Cluster>>, CallError> {
        let Some(uid) = own_cluster(self.config().external_url.as_deref(), issuer_url) else {
            return Ok(None);
        };
        let clusters = self.clusters().get(Scope::Hub).await.map_err(fault)?;
        // It may have gone while the token was verified.
        clusters.by_uid(uid).cloned().map(Some).ok_or_else(|| refused_token(GONE))
    }

    /// Whether no block stops the bearer, the role or this session of it: of the hub, of the role's account, and of the cluster whose token it
    /// is, with its account, where that is known.
    async fn unblocked_for(
        &self,
        asked: &Asked<'_>,
        (issuer, subject): (&str, &str),
        cluster: Option<&Cluster>,
    ) -> Result<(), CallError> {
        let standing = self.standing(&[asked.role_arn.account], cluster).await?;
        if standing.on_web_identity(issuer, subject).is_some() {
            return Err(blocked("issuer or subject"));
        }
        let (role, session_name) = (asked.role_arn, Some(asked.session_name));
        match standing.on_role(&Sought { authority: &Authority::Local, role, session_name }) {
            None => Ok(()),
            Some(block) => Err(refusal(WebIdentityRefusal::AccessDenied, stopped(block, role))),
        }
    }
}

/// A token that is good, and what it says.
struct Verified<'a> {
    account: &'a AccountSnapshot,
    view: &'a ProviderView,
    said: Said,
}

impl Credentials {
    /// Everything about a token but what the role says of it.
    async fn verified<'a>(
        &self,
        hub: &HubSnapshot,
        account: Option<&'a AccountSnapshot>,
        token: &str,
    ) -> Result<Verified<'a>, CallError> {
        let jwt = Jwt::parse(token);
        let issuer = match &jwt {
            Ok(jwt) => jwt.unverified_issuer().map(str::to_owned),
            Err(_) => unverified_issuer(token),
        };
        let found = account
            .zip(issuer.as_deref())
            .and_then(|(account, issuer)| account.provider(issuer).map(|view| (account, &**view)));
        let Some((account, view)) = found else {
            return Err(match (jwt, issuer) {
                (Ok(_), Some(issuer)) => no_provider(&issuer),
                (Ok(_), None) => refused_token("the token names no issuer"),
                (Err(refusal), _) => refused(&refusal),
            });
        };
        let issuer = view.provider.issuer_url.as_str();
        if hub.blocks.on_oidc_issuer(issuer).or_else(|| account.blocks.on_oidc_issuer(issuer)).is_some() {
            return Err(blocked("issuer"));
        }
        let jwt = jwt.map_err(|refusal| refused(&refusal))?;
        let algorithm = jwt.header().algorithm;
        if !ALGORITHMS.contains(&algorithm) {
            let known = ALGORITHMS.map(Algorithm::as_str).join(", ");
            return Err(refused_token(&format!(
                "the token is signed with {algorithm}, sign it with one of {known}"
            )));
        }
        let claims = match self.own_issuer(issuer).await? {
            Some(known) => self.own_claims(known.as_deref(), view, (jwt, token))?,
            None => verified_claims(view, jwt).await?,
        };
        let said = Said::of(&claims, &view.provider.client_ids).map_err(|what| refused_token(&what))?;
        let subject = said.subject.as_str();
        let on_subject = hub.blocks.on_oidc_subject(issuer, subject);
        if on_subject.or_else(|| account.blocks.on_oidc_subject(issuer, subject)).is_some() {
            return Err(blocked("subject"));
        }
        Ok(Verified { account, view, said })
    }

    /// Whether an issuer is one that this hub serves, and its keys where it has any: the hub calls itself for none. Only what is under the
    /// hub's own URL is meant, where a name is one cluster's for good: any other a cluster might claim for itself.
    async fn own_issuer(&self, issuer_url: &str) -> Result<Option<Option<Arc<KnownIssuer>>>, CallError> {
        let external_url = self.config().external_url.as_deref();
        let Some(cluster) = own_cluster(external_url, issuer_url) else {
            return Ok(None);
        };
        let clusters = self.clusters().get(Scope::Hub).await.map_err(fault)?;
        if clusters.by_uid(cluster).is_none() {
            return Ok(Some(None));
        }
        let snapshot = self.workloads(cluster).await?;
        Ok(Some(snapshot.issuer_named(issuer_url).cloned()))
    }

    /// The claims of a token of a cluster, by the keys in memory. Of one that is a moment old and by a key that is not among them nobody can say
    /// that it is not good: an API server that begins to sign by another key is heard of within the minute.
    fn own_claims(
        &self,
        known: Option<&KnownIssuer>,
        view: &ProviderView,
        (jwt, raw): (Jwt<'_>, &str),
    ) -> Result<Claims, CallError> {
        let known = known.ok_or_else(|| refused_token(GONE))?;
        let audiences: Vec<&str> = view.provider.client_ids.iter().map(String::as_str).collect();
        let expected = Expected {
            issuer: &known.record.issuer_url,
            audiences: &audiences,
            algorithms: ALGORITHMS.into_iter().collect(),
        };
        let now = self.now();
        verify(jwt, &known.jwks, &expected, now).map_err(|refusal| {
            match ServiceAccountRefusal::from(refusal.clone()).may_be_of_a_new_key(raw, now) {
                true => unavailable(&known.record.issuer_url, NEW_KEY),
                false => refused(&refusal),
            }
        })
    }
}

async fn verified_claims(view: &ProviderView, jwt: Jwt<'_>) -> Result<Claims, CallError> {
    let issuer = view.provider.issuer_url.as_str();
    let Some(kept) = &view.keys else {
        return Err(unavailable(issuer, "it cannot be called as it is configured, see the log"));
    };
    match kept.provider().verify(jwt, &view.provider.client_ids).await {
        Ok(JwtAnswer::Verified(claims)) => Ok(*claims),
        Ok(JwtAnswer::Refused(refusal)) => Err(refused(&refusal)),
        Err(fault) => Err(unavailable(issuer, OidcFault::for_callers(&fault))),
    }
}

/// Whether the role's trust policy lets a verified identity in, with everything that its token brings along.
fn lets_in(role: &RoleView, verified: &Verified<'_>, asked: &Asked<'_>) -> bool {
    let Some(trust) = &role.trust else { return false };
    let Verified { view, said, .. } = verified;
    let provider = view.provider.arn(asked.role_arn.partition);
    let keys = keys(role, said, view, asked);
    let resource = asked.role_arn.to_string();
    let tags = (!said.tags.is_empty()).then_some(TAG_SESSION);
    let source = said.source_identity.as_ref().map(|_| SET_SOURCE_IDENTITY);
    [Some(ACTION), tags, source].into_iter().flatten().all(|action| {
        let request = RequestContext { action, resource: &resource, keys: &keys };
        let weighed = evaluate_trust(trust, &TrustCaller::Federated(&provider), &request);
        let is_allowed = weighed.decision == lanyard_iam::policy::Decision::Allow;
        if !is_allowed {
            log(&weighed, action, &resource, said);
        }
        is_allowed
    })
}

/// What decided, for whoever wrote the trust policy.
fn log(weighed: &TrustEvaluation, action: &str, role: &str, said: &Said) {
    let TrustEvaluation { decision, deciding, near, .. } = weighed;
    let (issuer, subject) = (&said.issuer, &said.subject);
    tracing::info!(
        action,
        role,
        issuer,
        subject,
        audience = said.audience,
        ?decision,
        ?deciding,
        ?near,
        "a trust policy does not let a web identity in"
    );
}

/// The circumstances as condition keys: those of the token under the issuer's name, and those of every call.
fn keys(role: &RoleView, said: &Said, view: &ProviderView, asked: &Asked<'_>) -> ConditionKeys {
    let mut keys = ConditionKeys::new();
    said.set_keys(&mut keys, view.provider.name());
    keys.set_direct_call(asked.role_arn.account)
        .set("aws:FederatedProvider", view.provider.arn(asked.role_arn.partition))
        .set("sts:RoleSessionName", asked.session_name)
        .set("aws:CurrentTime", asked.now.format(&Rfc3339).unwrap_or_default())
        .set("aws:EpochTime", asked.now.unix_timestamp().to_string());
    if let Some(address) = asked.from {
        keys.set("aws:SourceIp", address.to_canonical().to_string());
    }
    keys.set_iam_resource_tags(&role.role.tags).set_tags("aws:RequestTag/", &said.tags);
    keys.set_all("aws:TagKeys", said.tags.keys().cloned())
        .set_all("sts:TransitiveTagKeys", said.transitive_tag_keys.iter().cloned())
        .set_all("sts:SourceIdentity", said.source_identity.clone());
    keys
}

fn refusal(why: WebIdentityRefusal, message: String) -> CallError {
    CallError::Denied(Denial { code: why.code().into(), message })
}

/// The keys of an issuer are not to be had, which is no refusal of a token.
fn unavailable(issuer: &str, detail: &'static str) -> CallError {
    let part = WebIdentityRefusal::issuer_part(issuer).into();
    CallError::Fault(Fault::Unavailable { part, detail: detail.into() })
}

fn refused_token(what: &str) -> CallError {
    refusal(WebIdentityRefusal::InvalidToken, what.to_owned())
}

fn refused(jwt: &JwtRefusal) -> CallError {
    match jwt {
        JwtRefusal::Expired(_) => refusal(WebIdentityRefusal::ExpiredToken, format!("Token expired: {jwt}")),
        JwtRefusal::Audience(_) | JwtRefusal::AuthorizedParty(_) => {
            refused_token(&format!("Incorrect token audience: {jwt}"))
        }
        _ => refused_token(&jwt.to_string()),
    }
}

/// AWS STS's own words, alike for an account that is not here.
fn no_provider(issuer: &str) -> CallError {
    refused_token(&format!("No OpenIDConnect provider found in your account for {}", shown(issuer)))
}

fn blocked(what: &str) -> CallError {
    let message = format!("the token's {what} is blocked; whoever put the block up can lift it");
    refusal(WebIdentityRefusal::RejectedClaim, message)
}

/// Alike for a role that is not there: what is repeated is what the token says of itself.
fn denied(said: &Said) -> CallError {
    let message = format!(
        "Not authorized to perform {ACTION}: there is no such role, or its trust policy does not let subject `{}` of `{}` with \
         audience `{}` and what else the token brings; the hub's log has the condition",
        shown(&said.subject),
        shown(&said.issuer),
        shown(&said.audience)
    );
    refusal(WebIdentityRefusal::AccessDenied, message)
}

/// A rule that a token's tags break.
fn in_token(error: CallError) -> CallError {
    match error {
        CallError::Invalid { message, .. } => refused_token(&format!("the token's tags: {message}")),
        other => other,
    }
}

fn shown(text: &str) -> String {
    shown_within(text, SHOWN_CHARS_MAX)
}

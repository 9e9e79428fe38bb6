//! May this call go on, and as whom: the signature first, then the policies, own account only.
//!
//! A management call is signed with SigV4 by a local key or role session, for this hub, this method and this very message.
//! Nothing of the message is read before its signature holds. Who has a certificate, a principal or a spoke, signs by its key instead;
//! a node shows a token of its cluster. A client token of a cluster is never a proof here: it signs
//! another service, and whatever signs `x-k8s-aws-id` is refused by name.

mod aws;
mod caller;
mod certificate;
mod context;
mod denial;
mod node;
mod signature;
mod spoke;
mod weigh;

use lanyard_api::authn::{Admission, Admit, AdmitQuery};
use lanyard_api::mapping::Someone;
use lanyard_api::methods::{self, ClusterRef};
use lanyard_api::{Actor, ActorKind, Authority, Denial, Fault, Kin, Lineage, SignatureUse, Vouched};
use lanyard_iam::{AccessKeyId, CanonicalArn};
use lanyard_kit::telemetry::{Counters, Label, names};

use self::context::Circumstances;
use self::denial::Wording;
pub(crate) use self::node::NodeTokens;
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::local_keys::{Holder, certificates};
use crate::snapshot::HubSnapshot;

/// Nobody changes anything that they did not sign.
const NOT_SIGNED: &str = "beside a signed call only what changes nothing can be asked";

/// How an admission ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Admitted,
    Refused,
    Fault,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Admitted, Self::Refused, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Refused => "refused",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// What a caller asks, once it is known who that is.
struct AskedFor<'a> {
    /// The method's path.
    method: &'a str,
    /// The message.
    body: &'a [u8],
    /// The method that was signed, where another one is weighed beside it.
    beside: Option<&'a str>,
    /// The action that is weighed, where it is not the method's: AWS's own for an operation that a method of more answers.
    action: Option<&'static str>,
    /// The cluster that is named, where the caller's account has none of that name.
    missing_cluster: Option<&'a str>,
    circumstances: Circumstances<'a>,
}

/// The metric of admissions.
pub(crate) struct Admissions(Counters<Outcome>);

impl Default for Admissions {
    fn default() -> Self {
        Self(Counters::new(names::AUTHN_ADMISSIONS_TOTAL))
    }
}

impl<S: SharedCache> Admit for Engine<S> {
    async fn admit(&self, query: AdmitQuery) -> Result<Admission, Fault> {
        let answer = self.judge(&query).await;
        self.admissions.0.increment(match &answer {
            Ok(Admission::Admitted(_)) => Outcome::Admitted,
            Ok(Admission::Unauthenticated(_) | Admission::Forbidden(_)) => Outcome::Refused,
            Err(_) => Outcome::Fault,
        });
        answer
    }
}

impl<S: SharedCache> Engine<S> {
    async fn judge(&self, query: &AdmitQuery) -> Result<Admission, Fault> {
        if node::is_callers(query) {
            return self.judge_node(query).await;
        }
        if certificate::is_callers(query) {
            return self.judge_certificate(query).await;
        }
        if query.certificate_principal.is_some() {
            return self.judge_service(query).await;
        }
        let now = self.clock.now();
        let headers = match signature::headers(query, self.hub.id) {
            Ok(headers) => headers,
            Err(denial) => return Ok(Admission::Unauthenticated(denial)),
        };
        let request = signature::request(query, &headers);
        let signed = match signature::parse(&request, self.hub.region.as_str(), now) {
            Ok(signed) => signed,
            Err(denial) => return Ok(Admission::Unauthenticated(denial)),
        };
        let hub = self.directory.hub().await?;
        let token = signed.session_token().map(|token| lanyard_iam::SessionToken::new(token.to_owned()));
        let signer = match self.keys.find(&hub, signed.access_key_id(), token.as_ref(), now).await? {
            Ok(signer) => signer,
            Err(rejection) => return Ok(Admission::Unauthenticated(denial::rejected(&rejection))),
        };
        if let Err(denial) =
            signature::verify(&signer, &signed, &request, self.hub.region.as_str(), &query.body)
        {
            return Ok(Admission::Unauthenticated(denial));
        }
        if let Err(rejection) = &signer.standing {
            return Ok(Admission::Unauthenticated(denial::rejected(rejection)));
        }
        let by = signed.access_key_id().as_str();
        let used = signature::use_of(by, signed.signature().as_bytes(), signed.not_after(), self.hub.id);
        let kin = &signer.aws()?.kin;
        self.admit_holder(&hub, &signer.holder, kin, &self.asked(query), used).await
    }

    /// What a gRPC call asks: for the hub's own region, whose name it signs.
    fn asked<'a>(&'a self, query: &'a AdmitQuery) -> AskedFor<'a> {
        let (method, body) = query.weighed();
        AskedFor {
            method,
            body,
            beside: query.beside.as_ref().map(|_| &*query.method),
            action: None,
            missing_cluster: None,
            circumstances: Circumstances {
                source_ip: query.source_ip,
                region: self.hub.region.as_str(),
                now: self.clock.now(),
                wording: Wording::Own,
            },
        }
    }

    /// Weighs a call for somebody who is proven.
    async fn admit_holder(
        &self,
        hub: &HubSnapshot,
        holder: &Holder,
        kin: &[Kin],
        asked: &AskedFor<'_>,
        used: SignatureUse,
    ) -> Result<Admission, Fault> {
        let ancestors = holder.ancestors();
        if let Some(denial) = blocked(hub, holder, &ancestors, kin) {
            return Ok(Admission::Forbidden(denial));
        }
        let mut call = match methods::read(asked.method, asked.body) {
            Ok(call) => call,
            Err(denial) => return Ok(Admission::Forbidden(denial)),
        };
        if let Some(name) = asked.missing_cluster {
            call.target.cluster = Some(ClusterRef::Missing(name.to_owned()));
        }
        // Weighed by the permission of the call or operation that asks, and admitted as what it is.
        let action = call.action;
        if let Some(covering) = asked.beside.and_then(|signed| methods::covering(signed, asked.method)) {
            call.action = covering;
        }
        if let Some(own) = asked.action {
            call.action = own;
        }
        // A session that is made is not a change of any record, and its signature counts once all the same.
        let once = call.mutates || methods::makes_session(asked.method);
        if once && asked.beside.is_some() {
            return Ok(Admission::Forbidden(denial::denial("not_signed", NOT_SIGNED)));
        }
        let allowed = match self.weigh(hub, holder, &call, &asked.circumstances).await? {
            Ok(allowed) => allowed,
            Err(denial) => return Ok(Admission::Forbidden(denial)),
        };
        // Only who may ask for a cluster of that name hears that there is none.
        if let Some(name) = asked.missing_cluster {
            return Ok(Admission::Forbidden(denial::unknown_cluster(name)));
        }
        let session_policy =
            (action == methods::GET_CALLER_POLICIES).then(|| session_policy(holder)).flatten();
        let actor = Actor {
            kind: kind(holder, ancestors, session_policy),
            action: action.to_owned(),
            resource: allowed.resource,
            request_digest: call.request_digest,
            signature: once.then_some(used),
            allowed_by: allowed.by,
        };
        Ok(Admission::Admitted(Box::new(Vouched::in_process(actor))))
    }
}

/// The block that stops the caller, of the hub or of their own account.
fn blocked(hub: &HubSnapshot, holder: &Holder, ancestors: &[String], kin: &[Kin]) -> Option<Denial> {
    let indexes = [&hub.blocks, &holder.account.snapshot.blocks];
    let keys: Vec<AccessKeyId> =
        ancestors.iter().filter_map(|name| name.strip_prefix("key/")?.parse().ok()).collect();
    let arn = holder.arn();
    let session_name = holder.session.as_ref().map(|claims| claims.session_name.clone());
    let own = Kin { account: arn.account, canonical_arn: CanonicalArn::of(&arn), session_name };
    let block = indexes.iter().find_map(|index| {
        let on = |authority, kin: &Kin| {
            index.on(&Someone {
                authority,
                account: kin.account,
                canonical_arn: &kin.canonical_arn,
                session_name: kin.session_name.as_deref(),
            })
        };
        let key = holder.access_key_id.iter().chain(&keys).find_map(|key| index.on_key(key));
        let certificate = || certificates(ancestors).find_map(|one| index.on_certificate(&one));
        key.or_else(certificate)
            .or_else(|| index.on_web_identities(ancestors))
            .or_else(|| on(&holder.account.account.authority, &own))
            .or_else(|| kin.iter().find_map(|kin| on(&Authority::Local, kin)))
    })?;
    let message = format!("block `{block}` stops this caller; whoever put it up can lift it");
    Some(Denial { code: "blocked".into(), message })
}

/// What narrows the caller's session, which stands in its sealed token alone.
fn session_policy(holder: &Holder) -> Option<String> {
    let policy = holder.session.as_ref()?.session_policy.as_ref()?;
    Some(policy.source().to_owned())
}

fn kind(holder: &Holder, ancestors: Vec<String>, session_policy: Option<String>) -> ActorKind {
    let claims = holder.session.as_deref();
    let transitive = claims.map(|claims| {
        let tags = claims.tags.iter().filter(|(key, _)| claims.transitive_keys.contains(*key));
        tags.map(|(key, value)| (key.clone(), value.clone())).collect()
    });
    ActorKind::Principal {
        authority: holder.account.account.authority.clone(),
        principal_id: holder.owner.id.to_string(),
        lineage: Box::new(Lineage {
            access_key_id: holder.access_key_id.clone(),
            ancestors,
            transitive_tags: transitive.unwrap_or_default(),
            source_identity: claims.and_then(|claims| claims.source_identity.clone()),
            // A user's own session is no role on the way.
            chain_depth: claims
                .map_or(0, |claims| claims.chain_depth.saturating_add(u8::from(holder.owner.is_role()))),
        }),
        arn: holder.arn(),
        session_policy,
    }
}

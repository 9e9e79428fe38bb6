//! Calls of the AWS wire: verified as they were signed, then read as management calls and weighed as those.
//!
//! Such a call signs no hub and no nonce, for stock clients have neither: its signature is good here because the key is this
//! hub's. Nothing of it but the scope that it claims is looked at before the signature holds.
//!
//! A presigned question counts as long as AWS STS has it, by its date alone: client tokens give themselves a minute and are shown for
//! fourteen, to whoever executes them here (aws-iam-authenticator, pkg/token).

use lanyard_api::authn::{Admission, AdmitAws, AdmitAwsQuery, AwsAdmission, AwsAdmitted};
use lanyard_api::aws_wire::{self, Asked, AwsError, Caller, Found, HttpCall, KnownCluster, Service};
use lanyard_api::mapping::Cluster;
use lanyard_api::{Denial, Fault};
use lanyard_iam::sigv4::{ClaimedScope, Expected};
use lanyard_iam::token::{CLUSTER_ID_HEADER, TOKEN_AGE_MAX};
use lanyard_iam::{
    AccountId, HttpRequest, PayloadHash, Region, SessionToken, SignedRequest, partition_of_region,
};
use lanyard_kit::telemetry::{Label as _, names};

use super::context::Circumstances;
use super::denial::{self, Wording, denial, worded_as_aws};
use super::{AskedFor, Outcome, signature};
use crate::cache::SharedCache;
use crate::engine::Engine;
use crate::local_keys::Signer;
use crate::snapshot::HubSnapshot;

/// The header in which clients say what they have hashed.
const PAYLOAD_HEADER: &str = "x-amz-content-sha256";

/// Who has signed a call, with what of it is needed to go on.
struct Proven {
    signer: Signer,
    service: Service,
    region: String,
    is_presigned: bool,
    used: lanyard_api::SignatureUse,
}

impl<S: SharedCache> AdmitAws for Engine<S> {
    async fn admit_aws(&self, query: AdmitAwsQuery) -> Result<AwsAdmission, Fault> {
        let answer = self.judge_aws(&query).await;
        let outcome = match &answer {
            Ok(AwsAdmission::Admitted(_)) => Outcome::Admitted,
            Ok(AwsAdmission::Unauthenticated(_) | AwsAdmission::Forbidden(_) | AwsAdmission::Wrong(_)) => {
                Outcome::Refused
            }
            Err(_) => Outcome::Fault,
        };
        self.admissions.0.increment(outcome);
        tracing::debug!({ names::OUTCOME } = outcome.value(), "a call of the AWS wire is weighed");
        answer
    }
}

/// The code of what keeps a call from going on.
fn refusal_of(admission: &AwsAdmission) -> Option<&str> {
    match admission {
        AwsAdmission::Admitted(_) => None,
        AwsAdmission::Unauthenticated(denial) | AwsAdmission::Forbidden(denial) => Some(&denial.code),
        AwsAdmission::Wrong(error) => Some(&error.code),
    }
}

impl<S: SharedCache> Engine<S> {
    async fn judge_aws(&self, query: &AdmitAwsQuery) -> Result<AwsAdmission, Fault> {
        let hub = self.directory.hub().await?;
        let proven = match self.prove_aws(&hub, query).await? {
            Ok(proven) => proven,
            Err(denial) => return Ok(AwsAdmission::Unauthenticated(denial)),
        };
        let caller = proven.signer.holder.arn().to_string();
        let answer = self.judge_proven(&hub, query, proven).await;
        if let Some(code) = answer.as_ref().ok().and_then(refusal_of) {
            // Of who may go on the door's own line tells.
            tracing::info!(
                { names::PRINCIPAL_ARN } = caller,
                { names::REASON_CODE } = code,
                "a call of the AWS wire is refused to who has signed it"
            );
        }
        answer
    }

    async fn judge_proven(
        &self,
        hub: &HubSnapshot,
        query: &AdmitAwsQuery,
        proven: Proven,
    ) -> Result<AwsAdmission, Fault> {
        let account = proven.signer.holder.account.account.id;
        let call =
            HttpCall { method: &query.method, path: &query.path, query: &query.query, body: &query.body };
        let found = match aws_wire::find(proven.service, &call) {
            Ok(found) => found,
            Err(error) => return Ok(AwsAdmission::Wrong(error)),
        };
        if let Err(denial) = may_be_signed_so(&found, query, proven.is_presigned) {
            return Ok(AwsAdmission::Unauthenticated(denial));
        }
        let asked = match self.read_aws(hub, account, &proven, &found) {
            Ok(asked) => asked,
            Err(error) => return Ok(AwsAdmission::Wrong(error)),
        };
        let asked_for = AskedFor {
            method: asked.method.path,
            body: &asked.message,
            beside: None,
            action: found.operation.action,
            missing_cluster: asked.unknown_cluster.as_deref(),
            circumstances: Circumstances {
                source_ip: query.source_ip,
                region: &proven.region,
                now: self.clock.now(),
                wording: Wording::Aws,
            },
        };
        let kin = &proven.signer.aws()?.kin;
        let admission = self.admit_holder(hub, &proven.signer.holder, kin, &asked_for, proven.used).await?;
        Ok(match admission {
            // Whoever may make the call hears what is in its way, and nobody else.
            Admission::Admitted(_) if asked.in_the_way.is_some() => {
                AwsAdmission::Wrong(asked.in_the_way.ok_or(Fault::Internal)?)
            }
            Admission::Admitted(actor) => AwsAdmission::Admitted(Box::new(AwsAdmitted {
                actor: *actor,
                method: asked.method.path.to_owned(),
                message: asked.message,
                page_key: asked.page_key,
                page: asked.page,
                cluster: hub
                    .cluster_named(account, &proven.region, found.label("name"))
                    .map(|of| of.cluster.uid),
            })),
            Admission::Unauthenticated(denial) => AwsAdmission::Unauthenticated(denial),
            Admission::Forbidden(denial) => {
                let caller = proven.signer.holder.arn().to_string();
                let action = found.operation.named_action();
                AwsAdmission::Forbidden(worded_as_aws(denial, &caller, &action))
            }
        })
    }

    async fn prove_aws(
        &self,
        hub: &HubSnapshot,
        query: &AdmitAwsQuery,
    ) -> Result<Result<Proven, Denial>, Fault> {
        let now = self.clock.now();
        let headers = match signature::with_host(&query.authority, &query.headers) {
            Ok(headers) => headers,
            Err(denial) => return Ok(Err(denial)),
        };
        let request =
            HttpRequest { method: &query.method, path: &query.path, query: &query.query, headers: &headers };
        let parsed = self.scope(&request).and_then(|(service, region)| {
            let expected = Expected {
                presign_age_max: Some(TOKEN_AGE_MAX),
                ..Expected::new(&region, service.as_str(), now)
            };
            let signed = SignedRequest::parse(&request, &expected).map_err(|error| refused(&error))?;
            Ok((service, region, signed))
        });
        let (service, region, signed) = match parsed {
            Ok(parsed) => parsed,
            Err(denial) => return Ok(Err(denial)),
        };
        let token = signed.session_token().map(|token| SessionToken::new(token.to_owned()));
        let signer = match self.keys.find(hub, signed.access_key_id(), token.as_ref(), now).await? {
            Ok(signer) => signer,
            Err(rejection) => return Ok(Err(denial::rejected(&rejection))),
        };
        let payload = PayloadHash::of(&query.body);
        let verify = |key: &_| signed.verify(&request, &payload, key);
        if let Err(mismatch) = signer.secret.verify(signed.date().day(), &region, service.as_str(), verify) {
            signature::tell_mismatch(&signed, &request, &payload);
            let message = format!("{mismatch}; sign the call as it is sent");
            return Ok(Err(denial(mismatch.reason_code(), message)));
        }
        if let Err(rejection) = &signer.standing {
            return Ok(Err(denial::rejected(rejection)));
        }
        if !self.is_region(hub, signer.holder.account.account.id, &region) {
            return Ok(Err(self.other_region(&region)));
        }
        let by = signed.access_key_id().as_str();
        let used = signature::use_of(by, signed.signature().as_bytes(), signed.not_after(), self.hub.id);
        let is_presigned = signed.is_presigned();
        Ok(Ok(Proven { signer, service, region, is_presigned, used }))
    }

    /// The service and region that a request claims to be signed for; whether it is, the signature says.
    fn scope(&self, request: &HttpRequest<'_>) -> Result<(Service, String), Denial> {
        let scope = ClaimedScope::of(request).map_err(|error| refused(&error))?;
        let service = Service::of_scope(&scope.service).ok_or_else(|| {
            let known = Service::ALL.map(Service::as_str).join(", ");
            let found = lanyard_iam::shown(&scope.service).to_string();
            denial(
                "scope_service",
                format!("the credential is scoped to service `{found}`; here there are {known}"),
            )
        })?;
        let is_of_hub = Region::parse(&scope.region).is_ok()
            && partition_of_region(&scope.region).is_none_or(|partition| partition == self.hub.partition);
        if !is_of_hub {
            return Err(self.other_region(&scope.region));
        }
        let mut claimed =
            request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(PAYLOAD_HEADER));
        if claimed.any(|(_, value)| value.starts_with("UNSIGNED") || value.starts_with("STREAMING")) {
            let message =
                "the payload has to be signed whole: no operation here needs it unsigned or in chunks";
            return Err(denial("unsigned_payload", message));
        }
        Ok((service, scope.region))
    }

    fn other_region(&self, region: &str) -> Denial {
        let (region, own) = (lanyard_iam::shown(region), &self.hub.region);
        let message = format!(
            "the credential should be scoped to a valid region, not `{region}`: the hub's own is `{own}`"
        );
        denial("scope_region", message)
    }

    /// The hub's own region, one that AWS has in its partition, or one of the site's own in which the account has a cluster.
    fn is_region(&self, hub: &HubSnapshot, account: AccountId, region: &str) -> bool {
        region == self.hub.region.as_str()
            || self.hub.partition.has_known_region(region)
            || hub.has_clusters_in(account, region)
    }

    fn read_aws(
        &self,
        hub: &HubSnapshot,
        account: AccountId,
        proven: &Proven,
        found: &Found<'_>,
    ) -> Result<Asked, AwsError> {
        let holder = &proven.signer.holder;
        let session = holder.session.as_ref().map(|claims| claims.session_name.as_str());
        let principal = match session {
            Some(session) => format!("{account}/{}:{session}", holder.owner.id),
            None => format!("{account}/{}", holder.owner.id),
        };
        let cluster = |name: &str| {
            let Cluster { id, authentication_mode: mode, .. } =
                &*hub.cluster_named(account, &proven.region, name)?.cluster;
            Some(KnownCluster { id: id.clone(), mode: *mode })
        };
        let page_secrets = self.page_secrets.get();
        found.read(&Caller {
            principal: &principal,
            user_name: holder.owner.user_name(),
            region: &proven.region,
            cluster: &cluster,
            page_secrets: &page_secrets,
        })
    }
}

/// A signature in the query can be handed to somebody else, and what signs a cluster's id is handed to every API server: neither
/// proves more than who its maker is.
fn may_be_signed_so(found: &Found<'_>, query: &AdmitAwsQuery, is_presigned: bool) -> Result<(), Denial> {
    let is_token = query.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(CLUSTER_ID_HEADER));
    match found.operation.may_be_presigned {
        false if is_token => Err(signature::cluster_token()),
        false if is_presigned => {
            let message = format!(
                "`{}` has to be signed in the Authorization header: a presigned request can be handed on",
                found.operation.name
            );
            Err(denial("presigned", message))
        }
        _ => Ok(()),
    }
}

fn refused(error: &lanyard_iam::SigV4Error) -> Denial {
    denial(error.reason_code(), error.to_string())
}

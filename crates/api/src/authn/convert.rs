//! Conversions between authn's domain types and messages.

mod accounts;
mod identity;
mod instance_profiles;
mod oidc_providers;

use std::sync::Arc;

use bytes::Bytes;
use lanyard_iam::TokenDigest;
use lanyard_proto::authn::v1::{self as pb, admit_aws_response, admit_response, authenticate_response};
use secrecy::ExposeSecret as _;

pub(super) use accounts::named;
pub(super) use oidc_providers::provider;

use super::{
    Admission, AdmitAwsQuery, AdmitQuery, AuthenticateQuery, Authentication, AwsAdmission, AwsAdmitted,
    Beside, Refusal, Verified,
};
use crate::{
    aws_wire::{AwsError, PageKey},
    fault::{CallError, Denial},
    grpc::{codec::convert, field, mutation::page_query},
    identity::Vouched,
};

impl From<AuthenticateQuery> for pb::AuthenticateRequest {
    fn from(query: AuthenticateQuery) -> Self {
        // The digest is made anew where the token arrives.
        let AuthenticateQuery { token, digest: _, cluster, audiences, explain } = query;
        let token = token.expose_secret().to_owned();
        Self { token, cluster_uid: cluster.to_string(), audiences, explain }
    }
}

impl TryFrom<pb::AuthenticateRequest> for AuthenticateQuery {
    type Error = CallError;

    fn try_from(request: pb::AuthenticateRequest) -> Result<Self, CallError> {
        let pb::AuthenticateRequest { token, cluster_uid, audiences, explain } = request;
        let cluster = field::parse("cluster_uid", &cluster_uid)?;
        Ok(Self { token: token.into(), digest: None, cluster, audiences, explain })
    }
}

convert! { Refusal = pb::Refusal {
    denial: message, part: plain, authority: optional_text, access_key_id: optional_text, hints: plain,
} }

impl From<Denial> for pb::Denial {
    fn from(denial: Denial) -> Self {
        Self { code: denial.code.into_owned(), message: denial.message }
    }
}

impl TryFrom<pb::Denial> for Denial {
    type Error = CallError;

    fn try_from(denial: pb::Denial) -> Result<Self, CallError> {
        Ok(Self { code: denial.code.into(), message: denial.message })
    }
}

impl From<Verified> for pb::Verified {
    fn from(verified: Verified) -> Self {
        Self {
            identity: Some(Arc::unwrap_or_clone(verified.identity.value).into()),
            voucher: verified.identity.voucher,
            token_sha256: Bytes::copy_from_slice(verified.token.as_bytes()),
            not_after: Some(field::timestamp(verified.not_after)),
            verifier: verified.verifier.to_string(),
            cached: verified.cached,
            holds: verified.holds.map(Into::into),
        }
    }
}

impl From<Authentication> for pb::AuthenticateResponse {
    fn from(answer: Authentication) -> Self {
        use authenticate_response::Answer;
        let answer = match answer {
            Authentication::NotOurs => Answer::NotOurs(()),
            Authentication::Verified(verified) => Answer::Verified((*verified).into()),
            Authentication::Refused(refusal) => Answer::Refused(refusal.into()),
        };
        Self { answer: Some(answer) }
    }
}

/// Reads the answer for a token. Whoever asked knows the token's digest, and takes no answer to another.
pub(crate) fn authentication(
    answer: pb::AuthenticateResponse,
    token: TokenDigest,
) -> Result<Authentication, CallError> {
    use authenticate_response::Answer;
    Ok(match field::required("answer", answer.answer)? {
        Answer::NotOurs(()) => Authentication::NotOurs,
        Answer::Refused(refusal) => Authentication::Refused(refusal.try_into()?),
        Answer::Verified(verified) => {
            if field::digest("token_sha256", &verified.token_sha256)? != *token.as_bytes() {
                return Err(CallError::invalid(
                    "token_sha256",
                    "other_token",
                    "the answer is for another token",
                ));
            }
            let identity = Arc::new(field::required("identity", verified.identity)?.try_into()?);
            Authentication::Verified(Box::new(Verified {
                identity: Vouched { value: identity, voucher: verified.voucher },
                token,
                not_after: field::moment("not_after", verified.not_after)?,
                verifier: verified.verifier.into(),
                cached: verified.cached,
                holds: verified.holds.map(TryInto::try_into).transpose()?,
            }))
        }
    })
}

convert! { Beside = pb::Beside { method: plain, body: plain } }

fn wire_headers(headers: Vec<(String, String)>) -> Vec<pb::Header> {
    headers.into_iter().map(|(name, value)| pb::Header { name, value }).collect()
}

fn headers(wire: Vec<pb::Header>) -> Vec<(String, String)> {
    wire.into_iter().map(|header| (header.name, header.value)).collect()
}

impl From<AdmitQuery> for pb::AdmitRequest {
    fn from(query: AdmitQuery) -> Self {
        Self {
            method: query.method,
            authority: query.authority,
            headers: wire_headers(query.headers),
            body: query.body,
            source_ip: query.source_ip.map(|ip| ip.to_string()),
            certificate_principal: query.certificate_principal,
            certificate_sha256: query.certificate_sha256,
            beside: query.beside.map(Into::into),
        }
    }
}

impl TryFrom<pb::AdmitRequest> for AdmitQuery {
    type Error = CallError;

    fn try_from(request: pb::AdmitRequest) -> Result<Self, CallError> {
        Ok(Self {
            method: request.method,
            authority: request.authority,
            headers: headers(request.headers),
            body: request.body,
            source_ip: field::optional("source_ip", request.source_ip.as_deref())?,
            certificate_principal: request.certificate_principal,
            certificate_sha256: request.certificate_sha256,
            beside: request.beside.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<Admission> for pb::AdmitResponse {
    fn from(admission: Admission) -> Self {
        use admit_response::Answer;
        let answer = match admission {
            Admission::Admitted(actor) => {
                let Vouched { value, voucher } = *actor;
                Answer::Admitted(pb::Admitted { actor: Some(value.into()), voucher })
            }
            Admission::Unauthenticated(denial) => Answer::Unauthenticated(denial.into()),
            Admission::Forbidden(denial) => Answer::Forbidden(denial.into()),
        };
        Self { answer: Some(answer) }
    }
}

impl TryFrom<pb::AdmitResponse> for Admission {
    type Error = CallError;

    fn try_from(response: pb::AdmitResponse) -> Result<Self, CallError> {
        use admit_response::Answer;
        Ok(match field::required("answer", response.answer)? {
            Answer::Admitted(pb::Admitted { actor, voucher }) => {
                let value = field::required("actor", actor)?.try_into()?;
                Self::Admitted(Box::new(Vouched { value, voucher }))
            }
            Answer::Unauthenticated(denial) => Self::Unauthenticated(denial.try_into()?),
            Answer::Forbidden(denial) => Self::Forbidden(denial.try_into()?),
        })
    }
}

impl From<AdmitAwsQuery> for pb::AdmitAwsRequest {
    fn from(query: AdmitAwsQuery) -> Self {
        Self {
            method: query.method,
            path: query.path,
            query: query.query,
            authority: query.authority,
            headers: wire_headers(query.headers),
            body: query.body,
            source_ip: query.source_ip.map(|ip| ip.to_string()),
        }
    }
}

impl TryFrom<pb::AdmitAwsRequest> for AdmitAwsQuery {
    type Error = CallError;

    fn try_from(request: pb::AdmitAwsRequest) -> Result<Self, CallError> {
        Ok(Self {
            method: request.method,
            path: request.path,
            query: request.query,
            authority: request.authority,
            headers: headers(request.headers),
            body: request.body,
            source_ip: field::optional("source_ip", request.source_ip.as_deref())?,
        })
    }
}

impl From<AwsError> for pb::AwsError {
    fn from(error: AwsError) -> Self {
        Self { code: error.code.into_owned(), message: error.message, status: error.status.into() }
    }
}

impl TryFrom<pb::AwsError> for AwsError {
    type Error = CallError;

    fn try_from(error: pb::AwsError) -> Result<Self, CallError> {
        let status = u16::try_from(error.status)
            .map_err(|_| CallError::invalid("status", "malformed", "it is not an HTTP status"))?;
        Ok(Self { code: error.code.into(), status, message: error.message })
    }
}

impl From<AwsAdmission> for pb::AdmitAwsResponse {
    fn from(admission: AwsAdmission) -> Self {
        use admit_aws_response::Answer;
        let answer = match admission {
            AwsAdmission::Admitted(admitted) => {
                let AwsAdmitted { actor, method, message, page_key, page, cluster } = *admitted;
                let Vouched { value, voucher } = actor;
                let page_key = page_key.map(|key| Bytes::copy_from_slice(key.as_bytes())).unwrap_or_default();
                Answer::Admitted(pb::AdmittedAws {
                    actor: Some(value.into()),
                    voucher,
                    method,
                    message,
                    page_key,
                    page: page.map(Into::into),
                    cluster_uid: cluster.map(|uid| uid.to_string()).unwrap_or_default(),
                })
            }
            AwsAdmission::Unauthenticated(denial) => Answer::Unauthenticated(denial.into()),
            AwsAdmission::Forbidden(denial) => Answer::Forbidden(denial.into()),
            AwsAdmission::Wrong(error) => Answer::Wrong(error.into()),
        };
        Self { answer: Some(answer) }
    }
}

impl TryFrom<pb::AdmitAwsResponse> for AwsAdmission {
    type Error = CallError;

    fn try_from(response: pb::AdmitAwsResponse) -> Result<Self, CallError> {
        use admit_aws_response::Answer;
        Ok(match field::required("answer", response.answer)? {
            Answer::Admitted(admitted) => {
                let pb::AdmittedAws { actor, voucher, method, message, page_key, page, cluster_uid } =
                    admitted;
                let value = field::required("actor", actor)?.try_into()?;
                let cluster = match cluster_uid.is_empty() {
                    true => None,
                    false => Some(field::parse("cluster_uid", &cluster_uid)?),
                };
                let page_key = match page_key.is_empty() {
                    true => None,
                    false => Some(PageKey::from_bytes(field::digest("page_key", &page_key)?)),
                };
                let actor = Vouched { value, voucher };
                let page = page.map(|page| page_query(Some(page)));
                Self::Admitted(Box::new(AwsAdmitted { actor, method, message, page_key, page, cluster }))
            }
            Answer::Unauthenticated(denial) => Self::Unauthenticated(denial.try_into()?),
            Answer::Forbidden(denial) => Self::Forbidden(denial.try_into()?),
            Answer::Wrong(error) => Self::Wrong(error.try_into()?),
        })
    }
}

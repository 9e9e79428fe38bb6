//! What is counted and logged of each call for a pod's credentials.

use lanyard_api::{
    Actor, CallError, Fault,
    credentials::{AssumeRoleForPodIdentity, PodCredentials},
};
use lanyard_iam::TokenDigest;
use lanyard_kit::telemetry::{Label, names};

/// How a call for a pod ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Vended,
    Refused,
    Throttled,
    Fault,
}

impl Label for Outcome {
    const KEY: &'static str = names::OUTCOME;
    const ALL: &'static [Self] = &[Self::Vended, Self::Refused, Self::Throttled, Self::Fault];

    fn value(self) -> &'static str {
        match self {
            Self::Vended => "vended",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Fault => "fault",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl Outcome {
    pub(super) fn of<T>(answer: &Result<T, CallError>) -> Self {
        match answer {
            Ok(_) => Self::Vended,
            Err(CallError::Fault(Fault::Throttled { .. })) => Self::Throttled,
            Err(CallError::Fault(_)) => Self::Fault,
            Err(_) => Self::Refused,
        }
    }
}

/// The audit line.
pub(super) fn tell(
    by: &Actor,
    request: &AssumeRoleForPodIdentity,
    token: TokenDigest,
    answer: &Result<PodCredentials, CallError>,
) {
    let (caller, cluster) = (by.name(), request.cluster.as_str());
    let node_name = request.node_name.as_deref().unwrap_or_default();
    match answer {
        Ok(vended) => tracing::info!(
            cluster.id = cluster,
            caller,
            node_name,
            token = %token,
            subject = %vended.subject,
            association = %vended.association.id,
            principal.arn = vended.user.arn,
            access_key.id = %vended.credentials.access_key_id,
            unconfirmed = vended.unconfirmed.as_deref().unwrap_or_default(),
            "a pod was vended credentials"
        ),
        Err(error) => {
            let code = match error {
                CallError::Denied(denial) => &*denial.code,
                CallError::Fault(fault) => fault.code(),
                CallError::NotFound { .. } => "not_found",
                _ => "invalid",
            };
            tracing::warn!(
                cluster.id = cluster,
                caller,
                node_name,
                token = %token,
                reason.code = code,
                %error,
                "a pod was vended nothing"
            );
        }
    }
}

//! Vending: credentials for the pods of clusters (EKS Auth `AssumeRoleForPodIdentity`).

use std::{fmt, future::Future};

use lanyard_iam::AccountId;
use secrecy::SecretString;

use super::{PodIdentityAssociationId, ServiceAccountName, SessionCredentials};
use crate::{
    fault::{CallError, Denial},
    identity::{Actor, Vouched},
    ids::{ClusterId, Revision},
};

/// For whom a pod's token is (EKS, Pod Identity).
pub const POD_IDENTITY_AUDIENCE: &str = "pods.eks.amazonaws.com";

/// Vends credentials to pods.
pub trait Vend: Send + Sync + 'static {
    /// Credentials for the pod that bears a token: those of the role that its ServiceAccount's association names.
    ///
    /// The caller is the node that the token says the pod runs on. A refusal has one of the codes that [`VendRefusal`] lists, and
    /// its message names the rule; a namespace that asks too often is a fault, [`crate::Fault::Throttled`].
    fn assume_role_for_pod_identity(
        &self,
        by: Vouched<Actor>,
        request: AssumeRoleForPodIdentity,
    ) -> impl Future<Output = Result<PodCredentials, CallError>> + Send;
}

/// The pod that asks.
#[derive(Debug, Clone)]
pub struct AssumeRoleForPodIdentity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The pod's projected token.
    pub token: SecretString,
    /// The node that the caller says it is: context, which nothing is decided by.
    pub node_name: Option<String>,
}

/// Credentials of a pod.
#[derive(Debug)]
pub struct PodCredentials {
    /// Whose pod it is.
    pub subject: ServiceAccountName,
    /// The token's audience.
    pub audience: String,
    /// By which association.
    pub association: VendedAssociation,
    /// The session that was made.
    pub user: VendedUser,
    /// The credentials.
    pub credentials: SessionCredentials,
    /// The account of that session.
    pub account: AccountId,
    /// Why it was not confirmed that the pod is still there; none where its cluster's API server has said so.
    pub unconfirmed: Option<String>,
}

/// The association that credentials were vended by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendedAssociation {
    /// Its ARN.
    pub arn: String,
    /// Its id.
    pub id: PodIdentityAssociationId,
    /// The revision of the cluster that it was read at.
    pub revision: Revision,
}

/// A role session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendedUser {
    /// `arn:…:assumed-role/ROLE/SESSION`.
    pub arn: String,
    /// `AROA…:SESSION`.
    pub id: String,
}

/// Why a pod gets no credentials: the [`Denial`]'s code, and the error of EKS Auth that it stands for. A parameter out of form is a
/// [`CallError::Invalid`] (`InvalidParameterException`), and what has no answer is a fault (`ThrottlingException`,
/// `ServiceUnavailableException`, `InternalServerException`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VendRefusal {
    /// `AccessDeniedException`: the caller is not the token's node, or the role does not let the pod.
    AccessDenied,
    /// `ExpiredTokenException`: the token was good.
    ExpiredToken,
    /// `InvalidTokenException`: it never was, or not here.
    InvalidToken,
    /// `InvalidRequestException`: the association cannot be used as it stands.
    InvalidRequest,
    /// `ResourceNotFoundException`: the ServiceAccount has no association.
    ResourceNotFound,
}

impl VendRefusal {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::AccessDenied,
        Self::ExpiredToken,
        Self::InvalidToken,
        Self::InvalidRequest,
        Self::ResourceNotFound,
    ];

    /// The code of the denial.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AccessDenied => "pod_identity_denied",
            Self::ExpiredToken => "pod_token_expired",
            Self::InvalidToken => "pod_token_invalid",
            Self::InvalidRequest => "pod_request_invalid",
            Self::ResourceNotFound => "pod_association_missing",
        }
    }

    /// The refusal of a code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code)
    }

    /// The error's name and its HTTP status on the wire of EKS Auth (service model 2023-11-26: access denied is a 400 there).
    #[must_use]
    pub const fn aws(self) -> (&'static str, u16) {
        match self {
            Self::AccessDenied => ("AccessDeniedException", 400),
            Self::ExpiredToken => ("ExpiredTokenException", 400),
            Self::InvalidToken => ("InvalidTokenException", 400),
            Self::InvalidRequest => ("InvalidRequestException", 400),
            Self::ResourceNotFound => ("ResourceNotFoundException", 404),
        }
    }

    /// The refusal as an error, with the rule that stands behind it.
    #[must_use]
    pub fn because(self, rule: impl fmt::Display) -> CallError {
        CallError::Denied(Denial { code: self.code().into(), message: rule.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_back_by_its_code_and_is_an_error_of_the_wire() {
        for refusal in VendRefusal::ALL {
            assert_eq!(VendRefusal::of_code(refusal.code()), Some(refusal));
            let (code, status) = refusal.aws();
            assert!(code.ends_with("Exception") && (status == 400 || status == 404), "{code}");
            let CallError::Denied(denial) = refusal.because("why") else { panic!() };
            assert_eq!((&*denial.code, &*denial.message), (refusal.code(), "why"));
        }
        assert_eq!(VendRefusal::of_code("web_identity_denied"), None);
    }
}

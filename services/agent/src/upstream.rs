//! Who turns a pod's token into credentials: a hub, or an EKS Auth endpoint.

mod eks_auth;
mod hub;
mod patient;

use std::future::Future;

pub use eks_auth::{EksAuth, EksAuthOptions};
pub use hub::{Hub, HubError, HubOptions};
pub use patient::Patient;

use crate::credentials::Credentials;
use crate::token::PodToken;

/// Verifies a pod's token and vends what its association says.
pub trait Upstream: Send + Sync + 'static {
    /// Credentials for the pod that the token is of.
    ///
    /// # Errors
    /// [`UpstreamError`]: a refusal with its code, or why there is no answer.
    fn assume(&self, token: &PodToken) -> impl Future<Output = Result<Credentials, UpstreamError>> + Send;
}

/// Why there are no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// The other side answered with an error that `AssumeRoleForPodIdentity` has.
    #[error("{message}")]
    Answered {
        /// Which error it was, by its name.
        code: AuthError,
        /// The HTTP status that it came with, or that the model gives it where it came by another way.
        status: u16,
        /// Its own words.
        message: String,
    },
    /// It answered with an error that is none of these: such as AWS has for all services, or that something on the way there made.
    /// It says nothing of the pod, whatever its status: a key of the node that is none any more is a 403 too.
    #[error("{name}: {message}")]
    Other {
        /// The HTTP status, from 400 to 599.
        status: u16,
        /// Its name; who answered, where it has none.
        name: String,
        /// The first line of its own words, for the log; or the status.
        message: String,
    },
    /// Nothing that could be understood came back.
    #[error("no answer from {whom}: {reason}")]
    Fault {
        /// The hub, or the endpoint.
        whom: &'static str,
        /// Why, for the log; pods are told that there was none.
        reason: String,
    },
}

/// The errors of `AssumeRoleForPodIdentity` (service model of EKS Auth, 2023-11-26).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthError {
    /// The role cannot be assumed, or the node may not ask.
    AccessDenied,
    /// The token's time is over.
    ExpiredToken,
    /// The token is not the cluster's, or not for this.
    InvalidToken,
    /// A parameter is none.
    InvalidParameter,
    /// The request is none.
    InvalidRequest,
    /// No association, or no such cluster.
    ResourceNotFound,
    /// Too many at once.
    Throttling,
    /// A fault of the service.
    InternalServer,
    /// The service is away.
    ServiceUnavailable,
}

impl AuthError {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AccessDenied,
        Self::ExpiredToken,
        Self::InvalidToken,
        Self::InvalidParameter,
        Self::InvalidRequest,
        Self::ResourceNotFound,
        Self::Throttling,
        Self::InternalServer,
        Self::ServiceUnavailable,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::InvalidToken => "InvalidTokenException",
            Self::InvalidParameter => "InvalidParameterException",
            Self::InvalidRequest => "InvalidRequestException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::Throttling => "ThrottlingException",
            Self::InternalServer => "InternalServerException",
            Self::ServiceUnavailable => "ServiceUnavailableException",
        }
    }

    /// The error of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.name() == name)
    }

    /// The HTTP status that the model gives it: an access that is denied is a 400 there.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::AccessDenied
            | Self::ExpiredToken
            | Self::InvalidToken
            | Self::InvalidParameter
            | Self::InvalidRequest => 400,
            Self::ResourceNotFound => 404,
            Self::Throttling => 429,
            Self::InternalServer => 500,
            Self::ServiceUnavailable => 503,
        }
    }

    /// Whether credentials that are still good are to be forgotten upon it: the pod has no more right to them. Everything else is a
    /// fault of the moment.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::ResourceNotFound | Self::ExpiredToken | Self::InvalidToken | Self::AccessDenied)
    }

    /// Whether asking once more may help.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Throttling | Self::InternalServer | Self::ServiceUnavailable)
    }
}

impl UpstreamError {
    /// An error of the model with the status that the model gives it.
    #[must_use]
    pub fn answered(code: AuthError, message: String) -> Self {
        Self::Answered { code, status: code.status(), message }
    }

    /// A stable name, for logs: the error's own.
    #[must_use]
    pub fn reason_code(&self) -> &str {
        match self {
            Self::Answered { code, .. } => code.name(),
            Self::Other { name, .. } => name,
            Self::Fault { .. } => "no_answer",
        }
    }

    /// Whether credentials that are still good are to be forgotten.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Answered { code, .. } if code.is_final())
    }

    /// Whether asking once more may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Answered { code, .. } => code.is_passing(),
            Self::Other { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::Fault { .. } => true,
        }
    }
}

/// One of the two, as configured.
#[derive(Debug)]
pub enum Configured {
    /// A Lanyard hub.
    Hub(Hub),
    /// An EKS Auth endpoint.
    EksAuth(EksAuth),
}

impl Upstream for Configured {
    async fn assume(&self, token: &PodToken) -> Result<Credentials, UpstreamError> {
        match self {
            Self::Hub(hub) => hub.assume(token).await,
            Self::EksAuth(endpoint) => endpoint.assume(token).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_the_model_has_its_status_and_what_becomes_of_kept_credentials() {
        let cases = [
            ("AccessDeniedException", 400, true, false),
            ("ExpiredTokenException", 400, true, false),
            ("InvalidTokenException", 400, true, false),
            ("InvalidParameterException", 400, false, false),
            ("InvalidRequestException", 400, false, false),
            ("ResourceNotFoundException", 404, true, false),
            ("ThrottlingException", 429, false, true),
            ("InternalServerException", 500, false, true),
            ("ServiceUnavailableException", 503, false, true),
        ];
        assert_eq!(cases.len(), AuthError::ALL.len());
        for (name, status, is_final, is_passing) in cases {
            let error = AuthError::named(name).unwrap();
            assert_eq!(
                (error.status(), error.is_final(), error.is_passing()),
                (status, is_final, is_passing),
                "{name}"
            );
        }
        assert_eq!(AuthError::named("Other"), None);
    }
}

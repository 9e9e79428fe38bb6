//! Errors as AWS's clients know them.

use std::borrow::Cow;

use super::operation::{Protocol, Service};

/// An error of the AWS wire: what SDKs make a typed exception of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// The code that clients match on.
    pub code: Cow<'static, str>,
    /// The HTTP status that goes with it (service models, error traits).
    pub status: u16,
    /// What is wrong and the next step.
    pub message: String,
}

impl AwsError {
    /// An error.
    pub fn new(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), status, message: message.into() }
    }

    /// A parameter that breaks a rule.
    pub fn invalid_parameter(service: Service, message: impl Into<String>) -> Self {
        let code = match service {
            Service::Eks | Service::EksAuth => "InvalidParameterException",
            Service::Sts | Service::Iam => "ValidationError",
        };
        Self::new(code, 400, message)
    }

    /// A request that cannot be taken apart at all.
    pub(super) fn malformed(protocol: Protocol, message: impl Into<String>) -> Self {
        match protocol {
            Protocol::RestJson => Self::new("SerializationException", 400, message),
            // The codes and statuses that all services of the Query protocol share (IAM reference, common errors).
            Protocol::Query => Self::new("MalformedQueryString", 404, message),
        }
    }

    /// No operation of the service.
    pub(super) fn unknown_operation(message: impl Into<String>) -> Self {
        Self::new("UnknownOperationException", 404, message)
    }
}

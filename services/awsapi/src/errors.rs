//! Which error of AWS's a refusal or a fault becomes.

mod eks;
mod eks_auth;

use lanyard_api::{
    CallError, Denial, Fault,
    aws_wire::{ASSUME_ROLE_WITH_WEB_IDENTITY, AwsError, Found, Service},
    credentials::WebIdentityRefusal,
    methods::{INVALID_REQUEST, UNKNOWN_CLUSTER},
};
use lanyard_kit::serve::BodyError;

/// What who does not sign is told beside AWS's text.
const SIGN_IT: &str =
    "sign the request with an access key of this hub: `lanyard iam access-key create` makes one";
/// What who shows an unknown key is told, whatever is wrong with it.
const BAD_KEY: &str = "The security token included in the request is invalid.";
/// What who shows an old session is told.
const OLD_SESSION: &str = "The security token included in the request is expired";

/// Rules of IAM for which its model has an error of their own, `InvalidInput`; the others are constraints of parameters.
const INVALID_INPUT: &[&str] = &[
    "issuer_url",
    "client_id",
    "thumbprint",
    "tag",
    "reserved_tag",
    "duplicate_tag",
    "required",
    "reserved_role",
    "audience_taken",
];

/// Who did not prove who they are.
pub(crate) fn unauthenticated(service: Option<Service>, denial: &Denial) -> AwsError {
    let message = || denial.message.clone();
    let (rest, query, status, message) = match &*denial.code {
        "unsigned" => {
            let text = format!("Missing Authentication Token ({SIGN_IT})");
            ("MissingAuthenticationTokenException", "MissingAuthenticationToken", 403, text)
        }
        "unknown_key" | "inactive_key" | "sealed_key" => {
            ("UnrecognizedClientException", "InvalidClientTokenId", 403, BAD_KEY.to_owned())
        }
        "session_expired" => ("ExpiredTokenException", "ExpiredToken", 403, OLD_SESSION.to_owned()),
        code if code.starts_with("session_") => (
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            403,
            format!("{BAD_KEY} ({})", denial.message),
        ),
        "malformed_authorization"
        | "malformed_credential"
        | "malformed_signed_headers"
        | "malformed_signature"
        | "missing_parameter"
        | "duplicate_parameter"
        | "duplicate_header"
        | "too_many_parameters"
        | "too_many_signed_headers"
        | "malformed_query"
        | "date_missing"
        | "date_malformed"
        | "expires"
        | "algorithm" => ("IncompleteSignatureException", "IncompleteSignature", 400, message()),
        _ => ("InvalidSignatureException", "SignatureDoesNotMatch", 403, message()),
    };
    let code = match service {
        Some(Service::Sts | Service::Iam) => query,
        Some(Service::Eks | Service::EksAuth) | None => rest,
    };
    AwsError::new(code, status, message)
}

/// Who signed for another service than the one whose host they asked.
pub(crate) fn of_other_service(own: Service) -> AwsError {
    let code = match own {
        Service::Sts | Service::Iam => "SignatureDoesNotMatch",
        Service::Eks | Service::EksAuth => "InvalidSignatureException",
    };
    AwsError::new(code, 403, format!("Credential should be scoped to correct service: '{}'.", own.as_str()))
}

/// Who is known and may not.
pub(crate) fn forbidden(found: &Found<'_>, denial: &Denial) -> AwsError {
    let service = found.operation.service;
    match (&*denial.code, service) {
        (_, Service::EksAuth) => eks_auth::forbidden(found, denial, not_authorized(found, denial)),
        (UNKNOWN_CLUSTER, _) => eks::no_cluster(found, &denial.message),
        (INVALID_REQUEST, Service::Eks) => eks::invalid(found, &denial.message),
        (INVALID_REQUEST, _) => {
            let message =
                with_parameter(&denial.message, |field| parameter(service, found.operation.name, field));
            AwsError::invalid_parameter(service, message)
        }
        (_, Service::Eks) => AwsError::new("AccessDeniedException", 403, not_authorized(found, denial)),
        (_, Service::Sts | Service::Iam) => AwsError::new("AccessDenied", 403, not_authorized(found, denial)),
    }
}

/// What authn refuses is in AWS's words already; a service's own refusal gets them.
fn not_authorized(found: &Found<'_>, denial: &Denial) -> String {
    if denial.message.starts_with("User: ") {
        return denial.message.clone();
    }
    let action = found.operation.named_action();
    format!("User is not authorized to perform: {action}: {}", denial.message)
}

/// How a cluster gets another administrator, and how it is said that it needs none.
const PAST_THE_LOCKOUT_GUARD: &str = " (AssociateAccessPolicy of AmazonEKSClusterAdminPolicy, of the scope `cluster`, makes one; \
                                      TagResource of the cluster with `lanyard:allow-lockout` = `true` allows it)";

/// What came of an admitted call in place of an answer.
pub(crate) fn failed(found: &Found<'_>, error: &CallError) -> AwsError {
    match (error, found.operation.service) {
        (CallError::Fault(fault), service) => no_answer(Some(service), fault),
        (CallError::Denied(denial), _) => forbidden(found, denial),
        // SDKs sign anew and try again: two honest calls of one second can bear one signature.
        (CallError::Replayed, service) => throttled(Some(service), error.to_string()),
        (_, Service::Eks) => with_way_on(eks::failed(found, error), error),
        (_, Service::EksAuth) => eks_auth::failed(found, error),
        (_, service @ (Service::Sts | Service::Iam)) => {
            with_way_on(query_failed(service, found.operation.name, error), error)
        }
    }
}

/// What AWS's calls have for a refusal that the hub can only speak of in general: no parameter of theirs says that a lockout may be.
fn with_way_on(said: AwsError, error: &CallError) -> AwsError {
    match error {
        CallError::Precondition { rule: "lockout", .. } => {
            AwsError { message: format!("{}{PAST_THE_LOCKOUT_GUARD}", said.message), ..said }
        }
        _ => said,
    }
}

/// What came of a web identity's token in place of a session.
pub(crate) fn web_identity(error: &CallError) -> AwsError {
    let refusal = |denial: &Denial| WebIdentityRefusal::of_code(&denial.code);
    match error {
        CallError::Denied(denial) => {
            let (code, status) = match refusal(denial) {
                Some(WebIdentityRefusal::InvalidToken) => ("InvalidIdentityToken", 400),
                Some(WebIdentityRefusal::ExpiredToken) => ("ExpiredTokenException", 400),
                Some(WebIdentityRefusal::RejectedClaim) => ("IDPRejectedClaim", 403),
                Some(WebIdentityRefusal::AccessDenied) | None => ("AccessDenied", 403),
            };
            AwsError::new(code, status, denial.message.clone())
        }
        // SDKs ask again upon this one.
        CallError::Fault(Fault::Unavailable { part, .. })
            if part.starts_with(&WebIdentityRefusal::issuer_part("")) =>
        {
            AwsError::new("IDPCommunicationError", 400, error.to_string())
        }
        CallError::Fault(fault) => no_answer(Some(Service::Sts), fault),
        error => query_failed(Service::Sts, ASSUME_ROLE_WITH_WEB_IDENTITY, error),
    }
}

fn query_failed(service: Service, operation: &str, error: &CallError) -> AwsError {
    let message = match error {
        // IAM's own words.
        CallError::Invalid { rule: "absent_principal", message, .. } => message.clone(),
        CallError::Invalid { field, message, .. } => {
            format!("{}: {message}", parameter(service, operation, field))
        }
        _ => error.to_string(),
    };
    match error {
        CallError::Invalid {
            rule: "malformed_policy_document" | "any_subject" | "absent_principal", ..
        } => AwsError::new("MalformedPolicyDocument", 400, message),
        CallError::Invalid { rule: "packed_policy_too_large", .. } => {
            AwsError::new("PackedPolicyTooLarge", 400, message)
        }
        CallError::Invalid { rule, .. } | CallError::Precondition { rule, .. }
            if service == Service::Iam && INVALID_INPUT.contains(rule) =>
        {
            AwsError::new("InvalidInput", 400, message)
        }
        CallError::NotFound { .. } => AwsError::new("NoSuchEntity", 404, message),
        CallError::AlreadyExists { .. } => AwsError::new("EntityAlreadyExists", 409, message),
        CallError::LimitExceeded { .. } => AwsError::new("LimitExceeded", 409, message),
        CallError::Precondition { .. } => in_the_way(service, operation, message),
        _ => AwsError::invalid_parameter(service, message),
    }
}

/// The state of things has something against it: the error that the operation's model has for that, or else the one of all.
fn in_the_way(service: Service, operation: &str, message: String) -> AwsError {
    match operation {
        "DeleteUser" | "DeleteRole" | "DeleteInstanceProfile" => {
            AwsError::new("DeleteConflict", 409, message)
        }
        "UpdateAssumeRolePolicy" | "PutRolePolicy" | "DeleteRolePolicy" => {
            AwsError::new("UnmodifiableEntity", 400, message)
        }
        _ => AwsError::invalid_parameter(service, message),
    }
}

/// The text of a broken rule, its field called as the parameter that the client wrote.
fn with_parameter(text: &str, parameter: impl Fn(&str) -> String) -> String {
    let is_field = |field: &str| {
        !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(&byte))
    };
    match text.split_once(": ") {
        Some((field, rest)) if is_field(field) => format!("{}: {rest}", parameter(field)),
        _ => text.to_owned(),
    }
}

/// A field as the parameter of the Query protocol is called that it was read from.
fn parameter(service: Service, operation: &str, field: &str) -> String {
    let own = match (service, field) {
        (Service::Iam, "name") if operation.contains("InstanceProfile") => "InstanceProfileName",
        (Service::Iam, "name") if operation.ends_with("Policy") => "PolicyName",
        (Service::Iam, "name") if operation.ends_with("Role") => "RoleName",
        (Service::Iam, "name") => "UserName",
        (Service::Iam, "session_seconds_max") => "MaxSessionDuration",
        (Service::Iam, "thumbprints") => "ThumbprintList",
        (Service::Iam, "trust_policy") if operation == "UpdateAssumeRolePolicy" => "PolicyDocument",
        (Service::Sts, "session_name") => "RoleSessionName",
        (Service::Sts, "web_identity_token") => "WebIdentityToken",
        (Service::Sts, "session_policy") => "Policy",
        (Service::Iam, "trust_policy") => "AssumeRolePolicyDocument",
        (Service::Iam, "document") => "PolicyDocument",
        (Service::Iam, "issuer_url") => "Url",
        (Service::Iam, "client_id") => "ClientID",
        _ => return field.split('_').map(eks::capitalized).collect(),
    };
    own.to_owned()
}

/// There is no answer; trying again may help.
pub(crate) fn no_answer(service: Option<Service>, fault: &Fault) -> AwsError {
    match fault {
        Fault::Throttled { .. } => throttled(service, fault.to_string()),
        Fault::Unavailable { .. } | Fault::Stale { .. } | Fault::TimedOut { .. } => {
            let code = if is_query(service) { "ServiceUnavailable" } else { "ServiceUnavailableException" };
            AwsError::new(code, 503, fault.to_string())
        }
        Fault::Internal => {
            let code = match service {
                Some(Service::EksAuth) => "InternalServerException",
                Some(Service::Sts | Service::Iam) => "InternalFailure",
                Some(Service::Eks) | None => "ServerException",
            };
            AwsError::new(code, 500, "internal fault; the hub's log has it under this request's number")
        }
    }
}

/// There is no body to read a call from: the sender's fault, but for want of room.
pub(crate) fn unread(service: Option<Service>, error: &BodyError) -> AwsError {
    let of = |query, rest| if is_query(service) { query } else { rest };
    match error {
        BodyError::TooLong { .. } => {
            let code = of("RequestEntityTooLarge", "RequestEntityTooLargeException");
            AwsError::new(code, 413, error.to_string())
        }
        BodyError::Incomplete => AwsError::new("IncompleteBody", 400, error.to_string()),
        BodyError::TooSlow { .. } => {
            AwsError::new(of("RequestTimeout", "RequestTimeoutException"), 408, error.to_string())
        }
        BodyError::NoRoom | BodyError::Crowded => throttled(service, error.to_string()),
    }
}

fn is_query(service: Option<Service>) -> bool {
    matches!(service, Some(Service::Sts | Service::Iam))
}

/// Too much at once.
pub(crate) fn throttled(service: Option<Service>, message: String) -> AwsError {
    match service {
        Some(Service::Sts | Service::Iam) => AwsError::new("Throttling", 400, message),
        Some(Service::Eks | Service::EksAuth) | None => AwsError::new("ThrottlingException", 429, message),
    }
}

#[cfg(test)]
mod tests;

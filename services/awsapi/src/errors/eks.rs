//! EKS's errors, with the texts that clients are known to match on.

use lanyard_api::{
    CallError,
    aws_wire::{AwsError, Found},
    mapping::Rule,
};

use super::with_parameter;

/// The operations on tags, which name anything by its ARN and have two errors of their own in place of EKS's others.
const TAGGING: [&str; 3] = ["TagResource", "UntagResource", "ListTagsForResource"];

/// What who disassociates an identity provider that is not there is told; of the other operations they are told that it does not exist.
const NOT_ASSOCIATED: &str = "Identity provider config is not associated with cluster";

/// The operations whose model has an error for a limit; of the others a state that is in the way.
const HAVE_A_LIMIT: [&str; 3] = ["CreateCluster", "CreateAccessEntry", "CreatePodIdentityAssociation"];

/// What of an identity provider's settings stands in the member `oidc`.
const OF_OIDC: [&str; 7] = [
    "issuer_url",
    "client_id",
    "username_claim",
    "username_prefix",
    "groups_claim",
    "groups_prefix",
    "required_claims",
];

/// A field as the parameter is called that it was read from.
fn parameter(found: &Found<'_>, field: &str) -> String {
    let own = match (found.operation.name, field) {
        ("AssociateIdentityProviderConfig", "name") => "oidc.identityProviderConfigName",
        ("AssociateIdentityProviderConfig", field) if OF_OIDC.contains(&field) => {
            return format!("oidc.{}", camel_case(field));
        }
        ("DescribeIdentityProviderConfig" | "DisassociateIdentityProviderConfig", "name") => {
            "identityProviderConfig.name"
        }
        (_, "groups") => "kubernetesGroups",
        (_, "entry_type") => "type",
        (_, "scope") => "accessScope",
        (_, "authentication_mode") => "accessConfig.authenticationMode",
        (_, "bootstrap_creator_admin") => "accessConfig.bootstrapClusterCreatorAdminPermissions",
        (_, "cluster") => found.operation.cluster_parameter(),
        (_, field) => return camel_case(field),
    };
    own.to_owned()
}

/// `role_arn` as `roleArn`.
fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default();
    std::iter::once(first.to_owned()).chain(words.map(capitalized)).collect()
}

fn is_tagging(found: &Found<'_>) -> bool {
    TAGGING.contains(&found.operation.name)
}

/// A request that breaks a rule before its service has seen it.
pub(super) fn invalid(found: &Found<'_>, message: &str) -> AwsError {
    let message = with_parameter(message, |field| parameter(found, field));
    match is_tagging(found) {
        true => AwsError::new("BadRequestException", 400, message),
        false => AwsError::invalid_parameter(found.operation.service, message),
    }
}

/// The cluster of a request does not exist in the caller's account and region; `own` says so where it is named by an ARN.
pub(super) fn no_cluster(found: &Found<'_>, own: &str) -> AwsError {
    if is_tagging(found) {
        return AwsError::new("NotFoundException", 404, own);
    }
    let message = format!("No cluster found for name: {}.", found.label("name"));
    AwsError::new("ResourceNotFoundException", 404, message)
}

pub(super) fn failed(found: &Found<'_>, error: &CallError) -> AwsError {
    let own = with_parameter(&error.to_string(), |field| parameter(found, field));
    match error {
        CallError::NotFound { .. } if is_tagging(found) => AwsError::new("NotFoundException", 404, own),
        _ if is_tagging(found) => AwsError::new("BadRequestException", 400, own),
        CallError::NotFound { kind, name } => match &**kind {
            "cluster" => no_cluster(found, &own),
            "identity-provider configuration"
                if found.operation.name == "DisassociateIdentityProviderConfig" =>
            {
                AwsError::new("InvalidRequestException", 400, format!("{NOT_ASSOCIATED} ({own})"))
            }
            "access entry" => not_found(format!(
                "The specified principalArn could not be found. You can view your available access \
                                   entries with 'list-access-entries'. ({})",
                lanyard_iam::shown(name)
            )),
            "access policy" | "policy association" => {
                not_found("The specified policyArn could not be found.".to_owned())
            }
            _ => not_found(own),
        },
        CallError::AlreadyExists { kind, name } => {
            let message = match &**kind {
                "cluster" => format!("Cluster already exists with name: {name}"),
                "access entry" => {
                    "The specified access entry resource is already in use on this cluster.".to_owned()
                }
                "Pod Identity association" => format!("Association already exists: {name}"),
                _ => own,
            };
            AwsError::new("ResourceInUseException", 409, message)
        }
        CallError::LimitExceeded { .. } if HAVE_A_LIMIT.contains(&found.operation.name) => {
            AwsError::new("ResourceLimitExceededException", 400, own)
        }
        CallError::LimitExceeded { .. } => AwsError::new("InvalidRequestException", 400, own),
        CallError::Invalid { rule, .. } | CallError::Precondition { rule, .. } => broken(rule, error, own),
        CallError::Denied(_) | CallError::Replayed | CallError::Fault(_) => {
            AwsError::new("InvalidRequestException", 400, own)
        }
    }
}

/// A rule was broken: EKS's text where clients look for it, else ours.
fn broken(rule: &str, error: &CallError, own: String) -> AwsError {
    // Of the role of a Pod Identity association, which is looked at when that is written.
    let of_role = match rule {
        "role_missing" => Some("Role provided in the request does not exist"),
        "role_trust"
        | "any_cluster"
        | "aws_role_closed"
        | "aws_role_untagged"
        | "aws_issuer_provider"
        | "aws_external_id_missing"
        | "aws_external_id_any"
        | "aws_any_subject" => Some("Trust policy of the role provided is invalid"),
        _ => None,
    };
    if let Some(text) = of_role {
        return AwsError::new("InvalidParameterException", 400, format!("{text} ({own})"));
    }
    let rule = Rule::from_code(rule);
    let message = match (rule, error) {
        // The mapping's own words are EKS's, with the group or the modes in them.
        (Some(Rule::GroupReserved | Rule::ModeTransition), CallError::Invalid { message, .. }) => {
            capitalized(message)
        }
        _ => rule.and_then(Rule::eks_text).filter(|text| !text.contains('{')).map_or(own, str::to_owned),
    };
    match (rule, error) {
        (Some(Rule::AuthenticationMode), _) => AwsError::new("InvalidRequestException", 400, message),
        (Some(Rule::NotStandard | Rule::ModeTransition), _) => {
            AwsError::new("InvalidParameterException", 400, message)
        }
        (_, CallError::Precondition { .. }) => AwsError::new("InvalidRequestException", 400, message),
        _ => AwsError::new("InvalidParameterException", 400, message),
    }
}

pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn not_found(message: String) -> AwsError {
    AwsError::new("ResourceNotFoundException", 404, message)
}

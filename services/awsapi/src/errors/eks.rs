//! EKS's errors, with the texts that clients are known to match on.

use lanyard_api::{
    CallError,
    aws_wire::{AwsError, Found},
    mapping::Rule,
};

/// The cluster of a request does not exist in the caller's account and region.
pub(super) fn no_cluster(found: &Found<'_>) -> AwsError {
    let message = format!("No cluster found for name: {}.", found.label("name"));
    AwsError::new("ResourceNotFoundException", 404, message)
}

pub(super) fn failed(found: &Found<'_>, error: &CallError) -> AwsError {
    let own = error.to_string();
    match error {
        CallError::NotFound { kind, name } => match &**kind {
            "cluster" => no_cluster(found),
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
                _ => own,
            };
            AwsError::new("ResourceInUseException", 409, message)
        }
        CallError::LimitExceeded { .. } => AwsError::new("ResourceLimitExceededException", 400, own),
        CallError::Invalid { rule, .. } | CallError::Precondition { rule, .. } => broken(rule, error, own),
        CallError::Denied(_) | CallError::Replayed | CallError::Fault(_) => {
            AwsError::new("InvalidRequestException", 400, own)
        }
    }
}

/// A rule was broken: EKS's text where clients look for it, else ours.
fn broken(rule: &str, error: &CallError, own: String) -> AwsError {
    let rule = Rule::from_code(rule);
    let message = match (rule, error) {
        // The mapping's own words are EKS's, with the group in them.
        (Some(Rule::GroupReserved), CallError::Invalid { message, .. }) => capitalized(message),
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

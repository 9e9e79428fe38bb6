//! Why a command did not come to a yes, and how that ends it.

use std::{io, process::ExitCode};

use lanyard_api::{CallError, Fault};
use tonic::Status;

use crate::{
    credentials::CredentialsError,
    exit::{NO, NO_ANSWER, USAGE},
};

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line, or something that it names, cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The hub's answer is no.
    #[error("{}{}", .0, next_step(.0))]
    Refused(CallError),
    /// There is no answer: not to be read as no.
    #[error("{0}")]
    NoAnswer(String),
}

/// What the command line has for a refusal that the hub can only speak of in general.
fn next_step(error: &CallError) -> &'static str {
    match error {
        CallError::Precondition { rule: "lockout", .. } => " (--allow-lockout allows it)",
        CallError::NotFound { kind, .. } => not_there(kind),
        _ => "",
    }
}

/// Where those are listed that there are, or how one is made.
fn not_there(kind: &str) -> &'static str {
    match kind {
        "cluster" => "; `lanyard cluster list` has those that you may see",
        "access entry" => "; `lanyard entry list CLUSTER` has those that there are",
        "policy association" => "; `lanyard entry get CLUSTER ARN` has the policies of an entry",
        "identity-provider configuration" => {
            "; `lanyard identity-provider list CLUSTER` has those that there are"
        }
        "Pod Identity association" => "; `lanyard association list CLUSTER` has those that there are",
        "issuer key" => "; `lanyard cluster issuer show CLUSTER` has those that there are",
        "RBAC object" => "; `lanyard rbac list CLUSTER` has those that there are",
        "block" => {
            "; a block is listed and lifted where it holds: `lanyard block list` with --cluster, with --in-account, or of the whole hub \
             with neither"
        }
        "node" => "; `lanyard node list CLUSTER` has those that are bound",
        "inline policy" => "; `lanyard iam policy list` has those of a user, role or principal",
        "spoke credential" => "; `lanyard cluster spoke-credential list CLUSTER` has those that count",
        "break-glass identity" => "; `lanyard cluster break-glass arm CLUSTER` makes one",
        ISSUER => {
            ": nobody has told the hub; have the cluster watched with `lanyard cluster add CLUSTER --kubeconfig FILE`, or push \
             from inside of it with `lanyard spoke push`"
        }
        "spoke kubeconfig" => {
            ": the hub does not watch the cluster; `lanyard cluster add CLUSTER --kubeconfig FILE` has it watched"
        }
        "decision" => {
            "; decisions are kept for a while, refusals for longer: take the id of a newer one from the API server's log"
        }
        "account" => "; `lanyard iam account list` has those that there are",
        "user" => "; `lanyard iam user list` has those that there are",
        "role" => "; `lanyard iam role list` has those that there are",
        "instance profile" => "; `lanyard iam instance-profile list` has those that there are",
        "access key" => "; `lanyard iam access-key list USER` has those of a user",
        "OIDC provider" => "; `lanyard iam oidc-provider list` has those that there are",
        _ => "",
    }
}

/// What a cluster has that is watched, or pushes.
const ISSUER: &str = "issuer of cluster";

impl Failure {
    /// Something on the command line, or in a file that it names, that breaks a rule.
    pub fn usage(message: impl ToString) -> Self {
        Self::Usage(message.to_string())
    }

    /// A refusal of a field, with the file that the field was read from, if it was.
    pub fn in_file(error: CallError, field: &str, file: Option<&str>) -> Self {
        match (error, file) {
            (CallError::Invalid { field: of, message, .. }, Some(file)) if of == field => {
                Self::Usage(format!("{of} ({file}): {message}"))
            }
            (error, _) => error.into(),
        }
    }

    /// The code that the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => USAGE,
            Self::Refused(_) => NO,
            Self::NoAnswer(_) => NO_ANSWER,
        })
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Fault(fault) => fault.into(),
            // The hub read the command as it was meant, and the command is wrong.
            CallError::Invalid { field, message, .. } => Self::Usage(format!("{field}: {message}")),
            // The signature counts once, and this one is spent although nobody else saw the answer.
            error @ CallError::Replayed => Self::NoAnswer(error.to_string()),
            error => Self::Refused(error),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::NoAnswer(format!("no answer: {fault}; this is no refusal, so try again"))
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        CallError::from(status).into()
    }
}

impl From<CredentialsError> for Failure {
    fn from(error: CredentialsError) -> Self {
        Self::usage(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::NoAnswer(format!("standard output cannot be written: {error}"))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::NoAnswer(format!("the answer cannot be shown: {error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::Denial;

    use super::*;

    #[test]
    fn what_is_not_there_has_a_next_step() {
        let kinds = [
            ("cluster", "lanyard cluster list"),
            (ISSUER, "lanyard cluster add"),
            ("spoke kubeconfig", "lanyard cluster add"),
            ("decision", "newer one"),
            ("block", "with --cluster"),
            ("node", "lanyard node list"),
            ("inline policy", "lanyard iam policy list"),
        ];
        for (kind, step) in kinds {
            let said = Failure::from(CallError::not_found(kind, "dev")).to_string();
            let begin = format!("{kind} `dev` does not exist");
            assert!(said.starts_with(&begin) && said.contains(step), "{said}");
        }
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_name() {
        let said = |field: &'static str, file: Option<&str>| {
            let error = CallError::invalid(field, "malformed_policy_document", "$: not JSON");
            Failure::in_file(error, "document", file).to_string()
        };
        assert_eq!(said("document", Some("`x.json`")), "document (`x.json`): $: not JSON");
        assert_eq!(said("document", None), "document: $: not JSON");
        assert_eq!(said("name", Some("`x.json`")), "name: $: not JSON");
        let other = Failure::in_file(CallError::not_found("user", "ana"), "document", Some("`x.json`"));
        assert!(matches!(other, Failure::Refused(_)), "{other}");
    }

    #[test]
    fn a_refusal_a_fault_and_a_wrong_line_end_differently() {
        let denied = CallError::Denied(Denial {
            code: "no_statement".into(),
            message: "no statement allows it".into(),
        });
        let cases: [(Failure, u8); 7] = [
            (Failure::usage("x"), 2),
            (CallError::invalid("region", "malformed", "x").into(), 2),
            (denied.into(), 1),
            (CallError::not_found("cluster", "dev").into(), 1),
            (CallError::Replayed.into(), 69),
            (CallError::Fault(Fault::Internal).into(), 69),
            (Status::unavailable("away").into(), 69),
        ];
        for (failure, code) in cases {
            let ended = format!("{:?}", failure.exit_code());
            assert_eq!(ended, format!("{:?}", ExitCode::from(code)), "{failure}");
        }
    }
}

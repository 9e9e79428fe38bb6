//! EKS Auth (2023-11-26): what the agents of nodes ask.

use lanyard_proto::credentials::v1 as pb;
use serde::Deserialize;

use super::{
    AwsError,
    input::{Asked, Input},
    operation::{Operation, Service},
};

/// Its one operation.
pub(super) const OPERATIONS: &[Operation] = &[Operation::rest(
    "AssumeRoleForPodIdentity",
    "POST",
    "/clusters/{name}/assume-role-for-pod-identity",
    assume_role_for_pod_identity,
)
.of(Service::EksAuth)];

/// `instanceId` and `zone` say nothing that anything here would be decided by, and are passed over.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Assume {
    token: Option<String>,
    eks_node_name: Option<String>,
}

fn assume_role_for_pod_identity(input: &Input<'_>) -> Result<Asked, AwsError> {
    let Assume { token, eks_node_name } = input.json()?;
    let token = input.required("token", token)?;
    if !is_token(&token) {
        let rule = "it has to be three parts of letters, digits, `-`, `_` and `=`, with dots between them";
        return Err(input.invalid("token", rule));
    }
    Ok(input.asks(&pb::AssumeRoleForPodIdentityRequest {
        cluster: input.cluster()?,
        token,
        node_name: eks_node_name,
    }))
}

/// The pattern of the service model.
fn is_token(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
    };
    text.split('.').count() == 3 && text.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_three_parts_of_its_alphabet() {
        for good in ["a.b.c", "eyJ-_=.A0.z"] {
            assert!(is_token(good), "{good}");
        }
        for bad in ["", "a", "a.b", "a.b.", ".b.c", "a.b.c.d", "a.b.c ", "Bearer a.b.c", "a.b.c\n", "a.ä.c"]
        {
            assert!(!is_token(bad), "{bad}");
        }
    }
}

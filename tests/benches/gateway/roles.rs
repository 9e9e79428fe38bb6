//! Roles of the embedded account, and whose pods get them, as operators make both.

use lanyard_api::ClusterId;
use lanyard_api::authn::accounts::CreateRole;
use lanyard_api::credentials::{CreatePodIdentityAssociation, POD_IDENTITY_SERVICE};
use lanyard_iam::AccountId;
use serde_json::{Value, json};

/// How long a role's sessions may last, in seconds: IAM's default.
const SESSION_SECONDS_MAX: u32 = 3_600;

/// A role that lets somebody do this with it.
pub(crate) fn role(name: &str, principal: &Value, actions: &[&str]) -> CreateRole {
    let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": actions });
    CreateRole {
        account: None,
        path: "/".to_owned(),
        name: name.to_owned(),
        trust_policy: json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string(),
        session_seconds_max: SESSION_SECONDS_MAX,
        tags: Default::default(),
        description: String::new(),
        allow_any_subject: false,
    }
}

/// A role that pods of any cluster may have.
pub(crate) fn pod_role(name: &str) -> CreateRole {
    role(name, &json!({ "Service": POD_IDENTITY_SERVICE }), &["sts:AssumeRole", "sts:TagSession"])
}

/// Gives such a role to the pods of a ServiceAccount.
pub(crate) fn associated(
    cluster: ClusterId,
    account: AccountId,
    role: &str,
    namespace: &str,
    service_account: &str,
) -> CreatePodIdentityAssociation {
    CreatePodIdentityAssociation {
        cluster,
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
        role_arn: format!("arn:aws:iam::{account}:role/{role}"),
        target_role_arn: None,
        disable_session_tags: None,
        policy: None,
        tags: Default::default(),
        allow_any_cluster: true,
        aws_road: None,
        unprobed: false,
    }
}

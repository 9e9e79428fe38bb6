//! Conversions between credentials' domain types and messages.

use lanyard_proto::credentials::v1 as pb;

use super::{AssumeRole, RoleSession};
use crate::grpc::codec::convert;

convert! { AssumeRole = pb::AssumeRoleRequest {
    role_arn: plain, session_name: plain, duration_seconds: plain, tags: plain, transitive_tag_keys: plain,
    external_id: plain, source_identity: plain, session_policy: plain,
} }
convert! { RoleSession = pb::RoleSession {
    access_key_id: text, secret_access_key: secret, session_token: secret, expires_at: moment, arn: plain,
    assumed_role_id: plain, packed_policy_percent: plain,
} }

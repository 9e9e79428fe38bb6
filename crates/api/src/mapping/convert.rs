//! Conversions between mapping's domain types and messages.

mod blocks;
mod clusters;
mod entries;
mod identity_providers;
mod spokes;
mod updates;

use std::sync::Arc;

use lanyard_proto::mapping::v1::{self as pb, mapped, resolution};

use super::{BreakGlassQuery, Grant, GrantKind, Mapped, MatchedBy, PreviewQuery, Resolution, Unmapped};
use crate::{
    fault::CallError,
    grpc::{
        codec::convert,
        field::{self, wire_enum},
    },
    identity::UserInfo,
    written_user::WrittenUser,
};

pub(super) use entries::entry_ref;
pub(super) use identity_providers::identity_provider_ref;

wire_enum! { GrantKind = pb::grant::Kind { AccessEntry, AwsAuth, IdentityProvider, BreakGlass } }
wire_enum! { MatchedBy = mapped::MatchedBy {
    PrincipalId, Arn, PermissionSet, Pattern, AwsAuthArn, AwsAuthAccount, BreakGlass, Issuer,
} }

convert! { Grant = pb::Grant { kind: choice, id: text, revision: revision, name: shared } }
convert! { Mapped = pb::Mapped {
    user: message, grant: message, matched_by: choice, holds: optional_message,
} }
convert! { Unmapped = pb::Unmapped { denial: message, near_misses: plain } }
convert! { PreviewQuery = pb::PreviewRequest {
    authority: text, arn: text, principal_id: plain; cluster = cluster_uid: text,
} }
convert! { BreakGlassQuery = pb::ResolveBreakGlassRequest { credential: secret; cluster = cluster_uid: text } }

impl From<WrittenUser> for pb::UserInfo {
    fn from(user: WrittenUser) -> Self {
        user.into_info().into()
    }
}

impl TryFrom<pb::UserInfo> for WrittenUser {
    type Error = CallError;

    fn try_from(user: pb::UserInfo) -> Result<Self, CallError> {
        UserInfo::try_from(user).map(Self::from)
    }
}

impl From<UserInfo> for pb::UserInfo {
    fn from(user: UserInfo) -> Self {
        let extra = user
            .extra
            .into_iter()
            .map(|(key, values)| (key.into_owned(), pb::ExtraValue { values }))
            .collect();
        Self { username: user.username, uid: user.uid, groups: user.groups, extra }
    }
}

impl TryFrom<pb::UserInfo> for UserInfo {
    type Error = CallError;

    fn try_from(user: pb::UserInfo) -> Result<Self, CallError> {
        let extra = user.extra.into_iter().map(|(key, extra)| (key.into(), extra.values)).collect();
        Ok(Self { username: user.username, uid: user.uid, groups: user.groups, extra })
    }
}

impl From<Resolution> for pb::Resolution {
    fn from(resolution: Resolution) -> Self {
        use resolution::Answer;
        let answer = match resolution {
            Resolution::Mapped(mapped) => Answer::Mapped(Arc::unwrap_or_clone(mapped).into()),
            Resolution::Blocked(block) => {
                Answer::Blocked(resolution::Blocked { block_id: block.to_string() })
            }
            Resolution::Unmapped(unmapped) => Answer::Unmapped(unmapped.into()),
        };
        Self { answer: Some(answer) }
    }
}

impl TryFrom<pb::Resolution> for Resolution {
    type Error = CallError;

    fn try_from(message: pb::Resolution) -> Result<Self, CallError> {
        use resolution::Answer;
        Ok(match field::required("answer", message.answer)? {
            Answer::Mapped(mapped) => Self::Mapped(Arc::new(mapped.try_into()?)),
            Answer::Blocked(blocked) => Self::Blocked(field::parse("block_id", &blocked.block_id)?),
            Answer::Unmapped(unmapped) => Self::Unmapped(unmapped.try_into()?),
        })
    }
}

//! Access entries and policy associations.

use lanyard_proto::{
    AccessEntryPage,
    call::v1 as call,
    mapping::v1::{self as pb, access_scope::Scope, update_access_entry_request::End},
};

use crate::{
    fault::CallError,
    grpc::{
        codec::{convert, optional_choice, optional_moment},
        field::{self, wire_enum},
        mutation::{mutated, pages},
    },
    mapping::{
        AccessEntry, AccessPolicySummary, AccessScope, CreateAccessEntry, EntryDetail, EntryEvent,
        EntryEventKind, EntryMatch, EntryMatches, EntryRef, EntryState, EntryType, EntryView,
        PolicyAssociation, PrincipalPage, UpdateAccessEntry,
    },
};

wire_enum! { EntryType = pb::EntryType {
    Standard, Ec2Linux, Ec2Windows, FargateLinux, HybridLinux, Ec2, HyperpodLinux,
} }
wire_enum! { EntryView = pb::AccessEntryView { Principals, Full } }
wire_enum! { EntryState = pb::access_entry_detail::State { Active, Ended, Stale, Unpinned } }

convert! { AccessEntry = pb::AccessEntry {
    id: text, authority: text, principal_arn: text, principal_id: plain, entry_type: choice, username: plain,
    groups: plain, tags: plain, ends_at: optional_moment, created_at: moment, modified_at: moment,
    pin_until: optional_moment;
    cluster = cluster_uid: text,
} }
convert! { PolicyAssociation = pb::PolicyAssociation {
    policy_arn: plain, scope: message, ends_at: optional_moment, associated_at: moment, modified_at: moment;
    cluster = cluster_uid: text, entry = entry_id: text,
} }
convert! { EntryDetail = pb::AccessEntryDetail { entry: message, arn: plain, state: choice, associations: items } }
wire_enum! { EntryEventKind = pb::access_entry_event::Kind { Added, Changed, Deleted, Bookmark, Reset } }
convert! { EntryEvent = pb::AccessEntryEvent {
    kind: choice, revision: revision, entry: optional_message; cluster = cluster_uid: text_or_none,
} }
convert! { EntryMatch = pb::AccessEntryMatch { principal_arn: text, principal_id: plain, mapped_by: plain } }
convert! { EntryMatches = pb::AccessEntryMatches {
    principals: items, complete: plain, overlaps: plain, notices: plain,
} }

mutated! {
    EntryDetail = pb::AccessEntryMutated { entry: message }
    PolicyAssociation = pb::PolicyAssociationMutated { association: message }
}

convert! { AccessPolicySummary = pb::AccessPolicySummary { name: plain, arn: plain } }

/// The view of principals alone.
impl From<PrincipalPage> for AccessEntryPage {
    fn from(page: PrincipalPage) -> Self {
        let PrincipalPage { principal_arns, next_token } = page;
        Self { items: Vec::new(), next_token, principal_arns }
    }
}

/// They were read when they were written, and are for showing.
impl TryFrom<AccessEntryPage> for PrincipalPage {
    type Error = CallError;

    fn try_from(page: AccessEntryPage) -> Result<Self, CallError> {
        Ok(Self { principal_arns: page.principal_arns, next_token: page.next_token })
    }
}

pages! {
    EntryDetail = AccessEntryPage,
    PolicyAssociation = pb::PolicyAssociationPage,
    AccessPolicySummary = pb::AccessPolicyPage,
}

impl From<AccessScope> for pb::AccessScope {
    fn from(scope: AccessScope) -> Self {
        let scope = match scope {
            AccessScope::Cluster => Scope::Cluster(()),
            AccessScope::Namespace(names) => Scope::Namespaces(pb::access_scope::Namespaces { names }),
        };
        Self { scope: Some(scope) }
    }
}

impl TryFrom<pb::AccessScope> for AccessScope {
    type Error = CallError;

    fn try_from(message: pb::AccessScope) -> Result<Self, CallError> {
        Ok(match field::required("scope", message.scope)? {
            Scope::Cluster(()) => Self::Cluster,
            Scope::Namespaces(namespaces) => Self::Namespace(namespaces.names),
        })
    }
}

/// The entry that a request names.
pub(crate) fn entry_ref(cluster: &str, principal_arn: String) -> Result<EntryRef, CallError> {
    Ok(EntryRef { cluster: field::parse("cluster", cluster)?, principal_arn })
}

impl From<CreateAccessEntry> for pb::CreateAccessEntryRequest {
    fn from(asked: CreateAccessEntry) -> Self {
        Self {
            mutation: None,
            cluster: asked.entry.cluster.into(),
            principal_arn: asked.entry.principal_arn,
            entry_type: optional_choice::write(asked.entry_type),
            username: asked.username,
            groups: asked.groups,
            tags: asked.tags,
            ends_at: optional_moment::write(asked.ends_at),
            principal_id: asked.principal_id,
            pin_until: optional_moment::write(asked.pin_until),
        }
    }
}

impl TryFrom<pb::CreateAccessEntryRequest> for CreateAccessEntry {
    type Error = CallError;

    fn try_from(message: pb::CreateAccessEntryRequest) -> Result<Self, CallError> {
        Ok(Self {
            entry: entry_ref(&message.cluster, message.principal_arn)?,
            entry_type: optional_choice::read("entry_type", message.entry_type)?,
            username: message.username,
            groups: message.groups,
            tags: message.tags,
            ends_at: optional_moment::read("ends_at", message.ends_at)?,
            principal_id: message.principal_id,
            pin_until: optional_moment::read("pin_until", message.pin_until)?,
        })
    }
}

impl From<UpdateAccessEntry> for pb::UpdateAccessEntryRequest {
    fn from(asked: UpdateAccessEntry) -> Self {
        Self {
            mutation: None,
            cluster: asked.entry.cluster.into(),
            principal_arn: asked.entry.principal_arn,
            username: asked.username,
            groups: asked.groups.map(|values| call::Strings { values }),
            end: asked
                .ends_at
                .map(|end| end.map_or(End::Endless(()), |end| End::EndsAt(field::timestamp(end)))),
            rebind: asked.rebind,
            pin_until: optional_moment::write(asked.pin_until),
            update_mask: None,
        }
    }
}

impl TryFrom<pb::UpdateAccessEntryRequest> for UpdateAccessEntry {
    type Error = CallError;

    fn try_from(message: pb::UpdateAccessEntryRequest) -> Result<Self, CallError> {
        let ends_at = match message.end {
            None => None,
            Some(End::Endless(())) => Some(None),
            Some(End::EndsAt(end)) => Some(optional_moment::read("ends_at", Some(end))?),
        };
        Ok(Self {
            entry: entry_ref(&message.cluster, message.principal_arn)?,
            username: message.username,
            groups: message.groups.map(|groups| groups.values),
            ends_at,
            rebind: message.rebind,
            pin_until: optional_moment::read("pin_until", message.pin_until)?,
        })
    }
}

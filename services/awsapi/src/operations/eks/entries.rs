//! Access entries, their access policies, and the policies that there are.

use lanyard_api::{
    CallError, Mutated, Page,
    mapping::{AccessPolicySummary, AccessScope, EntryDetail, PolicyAssociation},
};
use lanyard_proto::mapping::v1 as pb;
use serde_json::{Value, json};

use super::page;
use crate::{
    answer::{Answer, epoch_seconds},
    backend::Backend,
    operations::Call,
};

type Answered = Result<Answer, CallError>;

pub(in crate::operations) async fn create<B: Backend>(call: &Call<'_, B>) -> Answered {
    let made =
        call.ask::<pb::CreateAccessEntryRequest, pb::AccessEntryMutated, Mutated<EntryDetail>>().await?;
    Ok(entry(call, &made.value))
}

pub(in crate::operations) async fn describe<B: Backend>(call: &Call<'_, B>) -> Answered {
    let found = call.ask::<pb::DescribeAccessEntryRequest, pb::AccessEntryDetail, EntryDetail>().await?;
    Ok(entry(call, &found))
}

pub(in crate::operations) async fn update<B: Backend>(call: &Call<'_, B>) -> Answered {
    let changed =
        call.ask::<pb::UpdateAccessEntryRequest, pb::AccessEntryMutated, Mutated<EntryDetail>>().await?;
    Ok(entry(call, &changed.value))
}

pub(in crate::operations) async fn delete<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::DeleteAccessEntryRequest, pb::AccessEntryMutated, Mutated<EntryDetail>>().await?;
    Ok(Answer::Rest(json!({})))
}

/// ARNs alone, as EKS lists entries.
pub(in crate::operations) async fn list<B: Backend>(call: &Call<'_, B>) -> Answered {
    let Page { items, next_token } =
        call.ask::<pb::ListAccessEntriesRequest, pb::AccessEntryPage, Page<String>>().await?;
    let arns = items.into_iter().map(Value::from).collect();
    Ok(Answer::Rest(page("accessEntries", arns, call.next_token(next_token)).into()))
}

pub(in crate::operations) async fn associate<B: Backend>(call: &Call<'_, B>) -> Answered {
    let made = call
        .ask::<pb::AssociateAccessPolicyRequest, pb::PolicyAssociationMutated, Mutated<PolicyAssociation>>()
        .await?;
    Ok(Answer::Rest(json!({
        "clusterName": call.found.label("name"),
        "principalArn": call.found.label("principalArn"),
        "associatedAccessPolicy": association(&made.value),
    })))
}

pub(in crate::operations) async fn disassociate<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::DisassociateAccessPolicyRequest, pb::PolicyAssociationMutated, Mutated<PolicyAssociation>>()
        .await?;
    Ok(Answer::Rest(json!({})))
}

pub(in crate::operations) async fn list_associated<B: Backend>(call: &Call<'_, B>) -> Answered {
    let Page { items, next_token } = call
        .ask::<pb::ListAssociatedAccessPoliciesRequest, pb::PolicyAssociationPage, Page<PolicyAssociation>>()
        .await?;
    let items = items.iter().map(association).collect();
    let mut page = page("associatedAccessPolicies", items, call.next_token(next_token));
    for (name, label) in [("clusterName", "name"), ("principalArn", "principalArn")] {
        page.insert(name.to_owned(), Value::from(call.found.label(label)));
    }
    Ok(Answer::Rest(page.into()))
}

pub(in crate::operations) async fn list_policies<B: Backend>(call: &Call<'_, B>) -> Answered {
    let Page { items, next_token } =
        call.ask::<pb::ListAccessPoliciesRequest, pb::AccessPolicyPage, Page<AccessPolicySummary>>().await?;
    let policies = items.iter().map(|policy| json!({ "name": policy.name, "arn": policy.arn })).collect();
    Ok(Answer::Rest(page("accessPolicies", policies, call.next_token(next_token)).into()))
}

fn entry<B>(call: &Call<'_, B>, detail: &EntryDetail) -> Answer {
    let entry = &detail.entry;
    Answer::Rest(json!({ "accessEntry": {
        "clusterName": call.found.label("name"),
        "principalArn": entry.principal_arn.to_string(),
        "kubernetesGroups": entry.groups,
        "accessEntryArn": detail.arn,
        "createdAt": epoch_seconds(entry.created_at),
        "modifiedAt": epoch_seconds(entry.modified_at),
        "tags": entry.tags,
        "username": entry.username,
        "type": entry.entry_type,
    } }))
}

fn association(association: &PolicyAssociation) -> Value {
    let (kind, namespaces) = match &association.scope {
        AccessScope::Cluster => ("cluster", &[][..]),
        AccessScope::Namespace(namespaces) => ("namespace", namespaces.as_slice()),
    };
    json!({
        "policyArn": association.policy_arn,
        "accessScope": { "type": kind, "namespaces": namespaces },
        "associatedAt": epoch_seconds(association.associated_at),
        "modifiedAt": epoch_seconds(association.modified_at),
    })
}

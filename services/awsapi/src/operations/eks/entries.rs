//! Access entries, their access policies, and the policies that there are.

use std::collections::BTreeMap;

use lanyard_api::{
    CallError, Mutated, Page,
    mapping::{
        AccessPolicySummary, AccessScope, EntryDetail, EntryType, PolicyAssociation, PrincipalArns,
        PrincipalPage,
    },
};
use lanyard_proto::{AccessEntryPage, mapping::v1 as pb};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::page;
use crate::{
    answer::{Answer, epoch_seconds},
    backend::Backend,
    operations::Call,
};

type Answered = Result<Answer, CallError>;

/// About how many bytes an entry has as JSON, and what stands around a list.
const ENTRY_BYTES: usize = 1024;
const AROUND_BYTES: usize = 512;

pub(in crate::operations) async fn create<B: Backend>(call: &Call<'_, B>) -> Answered {
    let made =
        call.ask::<pb::CreateAccessEntryRequest, pb::AccessEntryMutated, Mutated<EntryDetail>>().await?;
    entry(call, &made.value)
}

pub(in crate::operations) async fn describe<B: Backend>(call: &Call<'_, B>) -> Answered {
    let found = call.ask::<pb::DescribeAccessEntryRequest, pb::AccessEntryDetail, EntryDetail>().await?;
    entry(call, &found)
}

pub(in crate::operations) async fn update<B: Backend>(call: &Call<'_, B>) -> Answered {
    let changed =
        call.ask::<pb::UpdateAccessEntryRequest, pb::AccessEntryMutated, Mutated<EntryDetail>>().await?;
    entry(call, &changed.value)
}

pub(in crate::operations) async fn delete<B: Backend>(call: &Call<'_, B>) -> Answered {
    call.ask::<pb::DeleteAccessEntryRequest, pb::AccessEntryMutated, Mutated<EntryDetail>>().await?;
    Ok(Answer::Rest(json!({})))
}

/// ARNs alone, as EKS lists entries.
pub(in crate::operations) async fn list<B: Backend>(call: &Call<'_, B>) -> Answered {
    let PrincipalPage { principal_arns, next_token } =
        call.ask::<pb::ListAccessEntriesRequest, AccessEntryPage, PrincipalPage>().await?;
    listed(principal_arns, call.next_token(next_token))
}

/// What `ListAccessEntries` answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(serialize_with = "each")]
    access_entries: PrincipalArns,
    /// Left out on the last page, for clients take an empty one for a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

fn each<S: Serializer>(arns: &PrincipalArns, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(arns.iter())
}

fn listed(access_entries: PrincipalArns, next_token: Option<String>) -> Answered {
    // Quotes and a comma for each take little more than what goes before it within a page.
    let bytes = access_entries.encoded_bytes() * 5 / 4 + AROUND_BYTES;
    Answer::written(&Listed { access_entries, next_token }, bytes)
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

/// What is answered of one entry.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    access_entry: Shape<'a>,
}

/// The structure `AccessEntry` of the service's model.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shape<'a> {
    access_entry_arn: &'a str,
    cluster_name: &'a str,
    created_at: f64,
    kubernetes_groups: &'a [String],
    modified_at: f64,
    principal_arn: String,
    tags: &'a BTreeMap<String, String>,
    r#type: EntryType,
    username: &'a str,
}

fn entry<B>(call: &Call<'_, B>, detail: &EntryDetail) -> Answered {
    let entry = &detail.entry;
    let access_entry = Shape {
        access_entry_arn: &detail.arn,
        cluster_name: call.found.label("name"),
        created_at: epoch_seconds(entry.created_at),
        kubernetes_groups: &entry.groups,
        modified_at: epoch_seconds(entry.modified_at),
        principal_arn: entry.principal_arn.to_string(),
        tags: &entry.tags,
        r#type: entry.entry_type,
        username: &entry.username,
    };
    Answer::written(&Entry { access_entry }, ENTRY_BYTES)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: Answered) -> String {
        match answer {
            Ok(Answer::Written(body)) => String::from_utf8(body.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_list_is_arns_alone_and_has_a_token_where_there_is_more() {
        assert_eq!(text(listed(PrincipalArns::default(), None)), r#"{"accessEntries":[]}"#);
        let arns = ["arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/\"é\\"];
        let all: Vec<String> = (0..100).map(|nth| format!("arn:aws:iam::111122223333:user/{nth}")).collect();
        for (arns, token) in [(arns.map(str::to_owned).to_vec(), None), (all, Some("dG9rZW4".to_owned()))] {
            let mut wanted = json!({ "accessEntries": arns });
            if let Some(token) = &token {
                wanted["nextToken"] = Value::from(token.as_str());
            }
            assert_eq!(value(&text(listed(arns.iter().collect(), token))), wanted);
        }
    }

    #[test]
    fn an_entry_has_the_members_of_the_model() {
        let (groups, tags) = (["view".to_owned()], BTreeMap::from([("team".to_owned(), "a".to_owned())]));
        let access_entry = Shape {
            access_entry_arn: "arn:entry",
            cluster_name: "dev",
            created_at: 1_700_000_000.5,
            kubernetes_groups: &groups,
            modified_at: 1_700_000_001.0,
            principal_arn: "arn:aws:iam::111122223333:role/a".to_owned(),
            tags: &tags,
            r#type: EntryType::Ec2Linux,
            username: "{{SessionName}}",
        };
        let wanted = json!({ "accessEntry": {
            "clusterName": "dev",
            "principalArn": "arn:aws:iam::111122223333:role/a",
            "kubernetesGroups": ["view"],
            "accessEntryArn": "arn:entry",
            "createdAt": 1_700_000_000.5,
            "modifiedAt": 1_700_000_001.0,
            "tags": { "team": "a" },
            "username": "{{SessionName}}",
            "type": "EC2_LINUX",
        } });
        assert_eq!(value(&text(Answer::written(&Entry { access_entry }, 0))), wanted);
    }
}

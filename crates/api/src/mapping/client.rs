//! Mapping's traits over gRPC.

mod clusters;
mod directory;
mod identity_providers;
mod revisions;
mod spokes;
mod updates;

use lanyard_proto::mapping::v1::{
    self as pb, blocks_client::BlocksClient, entries_client::EntriesClient, preview_client::PreviewClient,
    resolve_client::ResolveClient,
};
use time::OffsetDateTime;

use super::{
    AccessPolicySummary, AccessScope, Block, Blocks, BreakGlassQuery, CreateAccessEntry, CreateBlock,
    Entries, EntryDetail, EntryEvents, EntryMatches, EntryRef, EntryView, PolicyAssociation, Preview,
    PreviewQuery, PrincipalPage, Resolution, Resolve, ResolveQuery, UpdateAccessEntry, WatchEnd,
};
use crate::{
    fault::{CallError, Fault},
    grpc::{Remote, Wire, call, events, field},
    identity::{Actor, Vouched},
    ids::{BlockId, ClusterId, Scope},
    mutation::{Mutated, Mutation, Page, PageQuery},
};

impl<C: Wire> Resolve for Remote<C> {
    async fn resolve(&self, query: ResolveQuery) -> Result<Resolution, Fault> {
        let request = self.internal(pb::ResolveRequest {
            cluster_uid: query.cluster.to_string(),
            identity_voucher: query.identity.voucher,
            explain: query.explain,
        });
        call!(self.ResolveClient::resolve(request))
    }

    async fn resolve_break_glass(&self, query: BreakGlassQuery) -> Result<Resolution, Fault> {
        call!(self.ResolveClient::resolve_break_glass(self.internal(query.into())))
    }
}

impl<C: Wire> Preview for Remote<C> {
    async fn preview(&self, by: Vouched<Actor>, query: PreviewQuery) -> Result<Resolution, CallError> {
        call!(self.PreviewClient::preview(self.actor(by, query.into())))
    }
}

/// The same list, of more or less of each entry.
fn list_request(
    cluster: ClusterId,
    policy_arn: Option<String>,
    page: PageQuery,
    view: EntryView,
) -> pb::ListAccessEntriesRequest {
    let (cluster, view) = (cluster.into(), field::enum_number(view));
    pb::ListAccessEntriesRequest { cluster, policy_arn, page: Some(page.into()), view }
}

impl<C: Wire> Entries for Remote<C> {
    async fn create_entry(
        &self,
        by: Mutation,
        entry: CreateAccessEntry,
    ) -> Result<Mutated<EntryDetail>, CallError> {
        call!(self.EntriesClient::create_access_entry(self.mutation(by, entry.into())))
    }

    async fn get_entry(&self, by: Vouched<Actor>, entry: EntryRef) -> Result<EntryDetail, CallError> {
        let EntryRef { cluster, principal_arn } = entry;
        let message = pb::DescribeAccessEntryRequest { cluster: cluster.into(), principal_arn };
        call!(self.EntriesClient::describe_access_entry(self.actor(by, message)))
    }

    async fn list_entries(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        policy_arn: Option<String>,
        page: PageQuery,
    ) -> Result<Page<EntryDetail>, CallError> {
        let message = list_request(cluster, policy_arn, page, EntryView::Full);
        call!(self.EntriesClient::list_access_entries(self.actor(by, message)))
    }

    async fn list_principals(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        policy_arn: Option<String>,
        page: PageQuery,
    ) -> Result<PrincipalPage, CallError> {
        let message = list_request(cluster, policy_arn, page, EntryView::Principals);
        call!(self.EntriesClient::list_access_entries(self.actor(by, message)))
    }

    async fn watch_entries(
        &self,
        by: Vouched<Actor>,
        cluster: ClusterId,
        after: Option<WatchEnd>,
    ) -> Result<EntryEvents, CallError> {
        let message = pb::WatchAccessEntriesRequest {
            cluster: cluster.into(),
            after_revision: after.map(|end| end.revision.0),
            cluster_uid: after.and_then(|end| end.cluster).map(|uid| uid.to_string()),
        };
        Ok(events(call!(raw self.EntriesClient::watch_access_entries(self.ongoing(by, message)))))
    }

    async fn preview_entry(&self, by: Vouched<Actor>, entry: EntryRef) -> Result<EntryMatches, CallError> {
        let EntryRef { cluster, principal_arn } = entry;
        let message = pb::PreviewAccessEntryRequest { cluster: cluster.into(), principal_arn };
        call!(self.EntriesClient::preview_access_entry(self.actor(by, message)))
    }

    async fn update_entry(
        &self,
        by: Mutation,
        entry: UpdateAccessEntry,
    ) -> Result<Mutated<EntryDetail>, CallError> {
        call!(self.EntriesClient::update_access_entry(self.mutation(by, entry.into())))
    }

    async fn delete_entry(&self, by: Mutation, entry: EntryRef) -> Result<Mutated<EntryDetail>, CallError> {
        let EntryRef { cluster, principal_arn } = entry;
        let message = pb::DeleteAccessEntryRequest { mutation: None, cluster: cluster.into(), principal_arn };
        call!(self.EntriesClient::delete_access_entry(self.mutation(by, message)))
    }

    async fn associate_policy(
        &self,
        by: Mutation,
        entry: EntryRef,
        policy_arn: String,
        scope: AccessScope,
        ends_at: Option<OffsetDateTime>,
    ) -> Result<Mutated<PolicyAssociation>, CallError> {
        let message = pb::AssociateAccessPolicyRequest {
            mutation: None,
            cluster: entry.cluster.into(),
            principal_arn: entry.principal_arn,
            policy_arn,
            scope: Some(scope.into()),
            ends_at: ends_at.map(field::timestamp),
        };
        call!(self.EntriesClient::associate_access_policy(self.mutation(by, message)))
    }

    async fn disassociate_policy(
        &self,
        by: Mutation,
        entry: EntryRef,
        policy_arn: String,
    ) -> Result<Mutated<PolicyAssociation>, CallError> {
        let message = pb::DisassociateAccessPolicyRequest {
            mutation: None,
            cluster: entry.cluster.into(),
            principal_arn: entry.principal_arn,
            policy_arn,
        };
        call!(self.EntriesClient::disassociate_access_policy(self.mutation(by, message)))
    }

    async fn list_associated_policies(
        &self,
        by: Vouched<Actor>,
        entry: EntryRef,
        page: PageQuery,
    ) -> Result<Page<PolicyAssociation>, CallError> {
        let message = pb::ListAssociatedAccessPoliciesRequest {
            cluster: entry.cluster.into(),
            principal_arn: entry.principal_arn,
            page: Some(page.into()),
        };
        call!(self.EntriesClient::list_associated_access_policies(self.actor(by, message)))
    }

    async fn list_access_policies(
        &self,
        by: Vouched<Actor>,
        page: PageQuery,
    ) -> Result<Page<AccessPolicySummary>, CallError> {
        let message = pb::ListAccessPoliciesRequest { page: Some(page.into()) };
        call!(self.EntriesClient::list_access_policies(self.actor(by, message)))
    }
}

impl<C: Wire> Blocks for Remote<C> {
    async fn create_block(&self, by: Mutation, block: CreateBlock) -> Result<Mutated<Block>, CallError> {
        call!(self.BlocksClient::create_block(self.mutation(by, block.into())))
    }

    async fn delete_block(
        &self,
        by: Mutation,
        scope: Scope,
        id: BlockId,
    ) -> Result<Mutated<Block>, CallError> {
        let message = pb::DeleteBlockRequest { mutation: None, scope: scope.to_string(), id: id.to_string() };
        call!(self.BlocksClient::delete_block(self.mutation(by, message)))
    }

    async fn list_blocks(
        &self,
        by: Vouched<Actor>,
        scope: Scope,
        page: PageQuery,
    ) -> Result<Page<Block>, CallError> {
        let message = pb::ListBlocksRequest { scope: scope.to_string(), page: Some(page.into()) };
        call!(self.BlocksClient::list_blocks(self.actor(by, message)))
    }
}

#[cfg(test)]
mod tests;

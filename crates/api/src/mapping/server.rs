//! Mapping's traits, served over gRPC.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _, stream};
use lanyard_proto::{
    AccessEntryPage,
    call::v1 as call,
    mapping::v1::{
        self as pb, blocks_server, clusters_server, entries_server, identity_providers_server,
        preview_server, resolve_server, spokes_server, updates_server,
    },
};
use tokio::{sync::watch, time::timeout};
use tonic::{Request, Response, Status};

use super::{
    Blocks, ClusterDirectory, Clusters, DIRECTORY_SILENCE_MAX, Entries, EntryView, IdentityProviders,
    Preview, Resolve, ResolveQuery, RevisionReport, Spokes, Updates, WatchEnd,
    convert::{entry_ref, identity_provider_ref},
};
use crate::{
    grpc::{codec, field, mutation::page_query, serve},
    identity::{Identity, Vouched},
    ids::{ClusterUid, Revision, Scope},
};

serve! {
    /// Serves [`Resolve`], between services.
    pub fn resolve = Resolve as resolve_server::Resolve in ResolveServer;
    internal resolve_break_glass(pb::ResolveBreakGlassRequest) -> pb::Resolution
        = |engine, (), m| engine.resolve_break_glass(m.try_into()?).await?.into();
    => {
        async fn resolve(&self, request: Request<pb::ResolveRequest>) -> Result<Response<pb::Resolution>, Status> {
            self.door.internal(&request)?;
            let message = request.into_inner();
            let cluster: ClusterUid = field::parse("cluster_uid", &message.cluster_uid)?;
            let identity: Vouched<Arc<Identity>> = self.door.identity(message.identity_voucher, cluster).await?;
            let query = ResolveQuery { cluster, identity, explain: message.explain };
            Ok(Response::new(self.engine.resolve(query).await?.into()))
        }
    }
}

serve! {
    /// Serves [`Preview`].
    pub fn preview = Preview as preview_server::Preview in PreviewServer;
    actor preview(pb::PreviewRequest) -> pb::Resolution
        = |engine, by, m| engine.preview(by, m.try_into()?).await?.into();
}

serve! {
    /// Serves [`Clusters`].
    pub fn clusters = Clusters as clusters_server::Clusters in ClustersServer;
    mutation create_cluster(pb::CreateClusterRequest) -> pb::ClusterMutated
        = |engine, by, m| engine.create_cluster(by, m.try_into()?).await?.into();
    actor describe_cluster(pb::DescribeClusterRequest) -> pb::Cluster
        = |engine, by, m| engine.get_cluster(by, field::parse("cluster", &m.cluster)?).await?.into();
    list list_clusters(pb::ListClustersRequest) -> pb::ClusterPage
        = |engine, by, m| engine.list_clusters(by, m.region, page_query(m.page)).await?.into();
    mutation update_cluster_config(pb::UpdateClusterConfigRequest) -> pb::ClusterMutated = |engine, by, m| {
        let id = field::parse("cluster", &m.cluster)?;
        engine.update_cluster(by, id, m.try_into()?).await?.into()
    };
    mutation delete_cluster(pb::DeleteClusterRequest) -> pb::ClusterMutated
        = |engine, by, m| engine.delete_cluster(by, field::parse("cluster", &m.cluster)?).await?.into();

    mutation push_aws_auth(pb::PushAwsAuthRequest) -> pb::AwsAuthMutated
        = |engine, by, m| engine.push_aws_auth(by, field::parse("cluster", &m.cluster)?, m.content).await?.into();
    actor get_aws_auth(pb::GetAwsAuthRequest) -> pb::GetAwsAuthResponse = |engine, by, m| {
        let versions = engine.get_aws_auth(by, field::parse("cluster", &m.cluster)?).await?;
        pb::GetAwsAuthResponse { versions: field::all(versions) }
    };

    mutation set_node(pb::SetNodeRequest) -> pb::NodeMutated = |engine, by, m| {
        let node = codec::message::read("node", m.node)?;
        engine.set_node(by, field::parse("cluster", &m.cluster)?, node).await?.into()
    };
    list list_nodes(pb::ListNodesRequest) -> pb::NodePage
        = |engine, by, m| engine.list_nodes(by, field::parse("cluster", &m.cluster)?, page_query(m.page)).await?.into();
    mutation delete_node(pb::DeleteNodeRequest) -> pb::NodeMutated
        = |engine, by, m| engine.delete_node(by, field::parse("cluster", &m.cluster)?, m.instance_id).await?.into();

    mutation create_spoke_credential(pb::CreateSpokeCredentialRequest) -> pb::SpokeCredentialCreated
        = |engine, by, m| engine.create_spoke_credential(by, field::parse("cluster", &m.cluster)?).await?.into();
    actor list_spoke_credentials(pb::ListSpokeCredentialsRequest) -> pb::ListSpokeCredentialsResponse = |engine, by, m| {
        let credentials = engine.list_spoke_credentials(by, field::parse("cluster", &m.cluster)?).await?;
        pb::ListSpokeCredentialsResponse { credentials: field::all(credentials) }
    };
    mutation delete_spoke_credential(pb::DeleteSpokeCredentialRequest) -> pb::SpokeCredentialMutated
        = |engine, by, m| engine.delete_spoke_credential(by, field::parse("cluster", &m.cluster)?, m.id).await?.into();

    mutation arm_break_glass(pb::ArmBreakGlassRequest) -> pb::BreakGlassArmed
        = |engine, by, m| engine.arm_break_glass(by, field::parse("cluster", &m.cluster)?).await?.into();
    mutation disarm_break_glass(pb::DisarmBreakGlassRequest) -> pb::BreakGlassMutated
        = |engine, by, m| engine.disarm_break_glass(by, field::parse("cluster", &m.cluster)?).await?.into();
    actor list_break_glass(pb::ListBreakGlassRequest) -> pb::ListBreakGlassResponse = |engine, by, _m| {
        pb::ListBreakGlassResponse { armed: field::all(engine.list_break_glass(by).await?) }
    };

    => {
        type WatchDirectoryStream = Directories;
        type WatchRevisionsStream = Revisions;

        async fn watch_revisions(&self, request: Request<()>) -> Result<Response<Revisions>, Status> {
            self.door.internal(&request)?;
            Ok(Response::new(self.engine.revisions().filter_map(report).map(Ok).boxed()))
        }

        async fn watch_directory(&self, request: Request<()>) -> Result<Response<Directories>, Status> {
            self.door.internal(&request)?;
            Ok(Response::new(directories(self.engine.directory())))
        }
    }
}

/// The directory as it is, and anew after each change; and while nothing changes, that it is the same.
type Directories = Pin<Box<dyn Stream<Item = Result<pb::ClusterDirectory, Status>> + Send>>;

fn directories(mut watched: watch::Receiver<Arc<ClusterDirectory>>) -> Directories {
    watched.mark_changed();
    let next = |mut watched: watch::Receiver<Arc<ClusterDirectory>>| async move {
        let message = match timeout(DIRECTORY_SILENCE_MAX, watched.changed()).await {
            Ok(Ok(())) => pb::ClusterDirectory::from(&**watched.borrow_and_update()),
            // The engine going away ends the stream.
            Ok(Err(_)) => return None,
            Err(_) => {
                let revision = watched.borrow().revision.0;
                pb::ClusterDirectory { revision, is_unchanged: true, ..Default::default() }
            }
        };
        Some((message, watched))
    };
    stream::unfold(watched, next).map(Ok).boxed()
}

/// How far all scopes are.
type Revisions = Pin<Box<dyn Stream<Item = Result<pb::Revisions, Status>> + Send>>;

/// That nothing is known is told by silence.
async fn report(report: RevisionReport) -> Option<pb::Revisions> {
    let (scopes, is_all) = match report {
        RevisionReport::All(scopes) => (scopes, true),
        RevisionReport::Moved(scopes) => (scopes, false),
        RevisionReport::Lost => return None,
    };
    let of = |(scope, revision): (Scope, Revision)| pb::revisions::Of {
        scope: scope.to_string(),
        revision: revision.0,
    };
    Some(pb::Revisions { scopes: scopes.into_iter().map(of).collect(), is_all })
}

serve! {
    /// Serves [`Spokes`].
    pub fn spokes = Spokes as spokes_server::Spokes in SpokesServer;
    mutation put_spoke_kubeconfig(pb::PutSpokeKubeconfigRequest) -> pb::SpokeKubeconfigMutated = |engine, by, m| {
        let id = field::parse("cluster", &m.cluster)?;
        engine.put_spoke_kubeconfig(by, id, m.kubeconfig.into(), m.context).await?.into()
    };
    mutation delete_spoke_kubeconfig(pb::DeleteSpokeKubeconfigRequest) -> pb::SpokeKubeconfigMutated
        = |engine, by, m| engine.delete_spoke_kubeconfig(by, field::parse("cluster", &m.cluster)?).await?.into();
    mutation register_spoke_certificate(pb::RegisterSpokeCertificateRequest) -> pb::SpokeCertificateRegistered
        = |engine, by, m| {
            let id = field::parse("cluster", &m.cluster)?;
            engine.register_spoke_certificate(by, id, m.certificate_sha256).await?.into()
        };
    actor describe_spoke(pb::DescribeSpokeRequest) -> pb::Spoke
        = |engine, by, m| engine.get_spoke(by, field::parse("cluster", &m.cluster)?).await?.into();
    actor report_spoke(pb::ReportSpokeRequest) -> () = |engine, by, m| {
        let watch = codec::message::read("watch", m.watch)?;
        engine.report_spoke(by, field::parse("cluster", &m.cluster)?, watch).await?;
    };
    internal lend_spoke(pb::LendSpokeRequest) -> pb::LendSpokeResponse
        = |engine, (), m| engine.lend_spoke(m.try_into()?).await?.into();
    internal return_spoke(pb::ReturnSpokeRequest) -> ()
        = |engine, (), m| engine.return_spoke(field::parse("cluster_uid", &m.cluster_uid)?, m.holder).await?;
}

serve! {
    /// Serves [`Entries`].
    pub fn entries = Entries as entries_server::Entries in EntriesServer;
    mutation create_access_entry(pb::CreateAccessEntryRequest) -> pb::AccessEntryMutated
        = |engine, by, m| engine.create_entry(by, m.try_into()?).await?.into();
    actor describe_access_entry(pb::DescribeAccessEntryRequest) -> pb::AccessEntryDetail
        = |engine, by, m| engine.get_entry(by, entry_ref(&m.cluster, m.principal_arn)?).await?.into();
    list list_access_entries(pb::ListAccessEntriesRequest) -> AccessEntryPage = |engine, by, m| {
        let cluster = field::parse("cluster", &m.cluster)?;
        let page = page_query(m.page);
        match field::optional_enum("view", m.view)?.unwrap_or(EntryView::Full) {
            EntryView::Full => engine.list_entries(by, cluster, m.policy_arn, page).await?.into(),
            EntryView::Principals => engine.list_principals(by, cluster, m.policy_arn, page).await?.into(),
        }
    };
    actor preview_access_entry(pb::PreviewAccessEntryRequest) -> pb::AccessEntryMatches
        = |engine, by, m| engine.preview_entry(by, entry_ref(&m.cluster, m.principal_arn)?).await?.into();
    mutation update_access_entry(pb::UpdateAccessEntryRequest) -> pb::AccessEntryMutated
        = |engine, by, m| engine.update_entry(by, m.try_into()?).await?.into();
    mutation delete_access_entry(pb::DeleteAccessEntryRequest) -> pb::AccessEntryMutated
        = |engine, by, m| engine.delete_entry(by, entry_ref(&m.cluster, m.principal_arn)?).await?.into();
    mutation associate_access_policy(pb::AssociateAccessPolicyRequest) -> pb::PolicyAssociationMutated
        = |engine, by, m| {
            let scope = codec::message::read("scope", m.scope)?;
            let ends_at = field::optional_moment("ends_at", m.ends_at)?;
            let entry = entry_ref(&m.cluster, m.principal_arn)?;
            engine.associate_policy(by, entry, m.policy_arn, scope, ends_at).await?.into()
        };
    mutation disassociate_access_policy(pb::DisassociateAccessPolicyRequest) -> pb::PolicyAssociationMutated
        = |engine, by, m| {
            let entry = entry_ref(&m.cluster, m.principal_arn)?;
            engine.disassociate_policy(by, entry, m.policy_arn).await?.into()
        };
    list list_associated_access_policies(pb::ListAssociatedAccessPoliciesRequest) -> pb::PolicyAssociationPage
        = |engine, by, m| {
            let entry = entry_ref(&m.cluster, m.principal_arn)?;
            engine.list_associated_policies(by, entry, page_query(m.page)).await?.into()
        };
    list list_access_policies(pb::ListAccessPoliciesRequest) -> pb::AccessPolicyPage
        = |engine, by, m| engine.list_access_policies(by, page_query(m.page)).await?.into();
    => {
        type WatchAccessEntriesStream = crate::grpc::Watched<pb::AccessEntryEvent>;

        async fn watch_access_entries(
            &self,
            request: Request<pb::WatchAccessEntriesRequest>,
        ) -> Result<Response<Self::WatchAccessEntriesStream>, Status> {
            let by = self.door.actor(&request).await?;
            let message = request.into_inner();
            let cluster = field::parse("cluster", &message.cluster)?;
            let of = field::optional("cluster_uid", message.cluster_uid.as_deref())?;
            let after = message.after_revision.map(|at| WatchEnd { revision: Revision(at), cluster: of });
            Ok(Response::new(crate::grpc::watched(self.engine.watch_entries(by, cluster, after).await?)))
        }
    }
}

serve! {
    /// Serves [`IdentityProviders`].
    pub fn identity_providers = IdentityProviders as identity_providers_server::IdentityProviders
        in IdentityProvidersServer;
    mutation associate_identity_provider_config(pb::AssociateIdentityProviderConfigRequest)
        -> pb::IdentityProviderConfigMutated
        = |engine, by, m| engine.associate_identity_provider(by, m.try_into()?).await?.into();
    actor describe_identity_provider_config(pb::DescribeIdentityProviderConfigRequest)
        -> pb::IdentityProviderConfigDetail
        = |engine, by, m| engine.get_identity_provider(by, identity_provider_ref(&m.cluster, m.name)?).await?.into();
    list list_identity_provider_configs(pb::ListIdentityProviderConfigsRequest) -> pb::IdentityProviderConfigPage
        = |engine, by, m| {
            let cluster = field::parse("cluster", &m.cluster)?;
            engine.list_identity_providers(by, cluster, page_query(m.page)).await?.into()
        };
    mutation disassociate_identity_provider_config(pb::DisassociateIdentityProviderConfigRequest)
        -> pb::IdentityProviderConfigMutated
        = |engine, by, m| {
            let named = identity_provider_ref(&m.cluster, m.name)?;
            engine.disassociate_identity_provider(by, named).await?.into()
        };
}

serve! {
    /// Serves [`Blocks`].
    pub fn blocks = Blocks as blocks_server::Blocks in BlocksServer;
    mutation create_block(pb::CreateBlockRequest) -> pb::BlockMutated
        = |engine, by, m| engine.create_block(by, m.try_into()?).await?.into();
    mutation delete_block(pb::DeleteBlockRequest) -> pb::BlockMutated = |engine, by, m| {
        engine.delete_block(by, field::parse("scope", &m.scope)?, field::parse("id", &m.id)?).await?.into()
    };
    list list_blocks(pb::ListBlocksRequest) -> pb::BlockPage
        = |engine, by, m| engine.list_blocks(by, field::parse("scope", &m.scope)?, page_query(m.page)).await?.into();
}

serve! {
    /// Serves [`Updates`].
    pub fn updates = Updates as updates_server::Updates in UpdatesServer;
    actor describe_update(pb::DescribeUpdateRequest) -> call::ClusterUpdate = |engine, by, m| {
        let cluster = field::parse("cluster", &m.cluster)?;
        engine.get_update(by, cluster, field::parse("update_id", &m.update_id)?).await?.into()
    };
    list list_updates(pb::ListUpdatesRequest) -> pb::ClusterUpdatePage = |engine, by, m| {
        engine.list_updates(by, field::parse("cluster", &m.cluster)?, page_query(m.page)).await?.into()
    };
}

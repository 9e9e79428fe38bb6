//! What stands behind the door: authn, which admits, and the services that answer.

use std::{future::Future, sync::Arc};

use lanyard_api::{
    ClusterUid, Fault,
    authn::{self, Accounts, AdmitAws, AdmitAwsQuery, AwsAdmission, InstanceProfiles, OidcProviders},
    credentials::{self, Associations, FoundIssuer, Issuers, Sessions, Vend},
    grpc::{Door, Served, Wire},
    mapping::{self, Clusters, Entries, IdentityProviders, Updates},
    tags::{self, Tags},
    voucher::Audience,
};

use crate::{
    recorder::Recorder,
    servers::{Named, Servers},
};

/// The services, in this process or elsewhere.
pub trait Backend: Send + Sync + 'static {
    /// The way to a service.
    type Way: Wire;

    /// Asks authn who calls, and what.
    fn admit(&self, query: AdmitAwsQuery) -> impl Future<Output = Result<AwsAdmission, Fault>> + Send;

    /// The way to the service of a method; none for a service that no call of this wire goes to.
    fn way(&self, to: Audience) -> Option<Self::Way>;

    /// Where what was vended is recorded; none where what stands behind does so itself.
    fn recorder(&self) -> Option<&Recorder>;

    /// What everybody may see of a cluster's issuer.
    fn issuer(&self, cluster: ClusterUid) -> impl Future<Output = Result<FoundIssuer, Fault>> + Send;
}

/// Services of this process: their messages go to them without a socket, as they were admitted.
pub struct InProcess<A, C> {
    authn: Arc<A>,
    credentials: Arc<C>,
    servers: Servers,
}

impl<A, C> std::fmt::Debug for InProcess<A, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InProcess")
    }
}

/// The engines of this process behind the door; `vend` is credentials', with whatever records its answers.
pub fn in_process<A, M, C, V>(
    authn: Arc<A>,
    mapping: Arc<M>,
    credentials: Arc<C>,
    vend: Arc<V>,
) -> InProcess<A, C>
where
    A: AdmitAws + Accounts + InstanceProfiles + OidcProviders,
    M: Clusters + Entries + IdentityProviders + Updates + Tags,
    C: Sessions + Issuers + Associations + Tags,
    V: Vend,
{
    let door = Door::behind_door();
    let mapping = Served::new(mapping, door.clone());
    let served = Served::new(Arc::clone(&credentials), door.clone());
    let vend = Served::new(vend, door.clone());
    let servers = Servers::from_iter([
        Named::new(authn::server::accounts(Served::new(Arc::clone(&authn), door.clone()))),
        Named::new(authn::server::instance_profiles(Served::new(Arc::clone(&authn), door.clone()))),
        Named::new(authn::server::oidc_providers(Served::new(Arc::clone(&authn), door))),
        Named::new(mapping::server::clusters(mapping.clone())),
        Named::new(mapping::server::entries(mapping.clone())),
        Named::new(mapping::server::identity_providers(mapping.clone())),
        Named::new(mapping::server::updates(mapping.clone())),
        Named::new(tags::of_mapping(mapping)),
        Named::new(credentials::server::sessions(served.clone())),
        Named::new(credentials::server::associations(served.clone())),
        Named::new(credentials::server::vend(vend)),
        Named::new(tags::of_credentials(served)),
    ]);
    InProcess { authn, credentials, servers }
}

impl<A: AdmitAws, C: Issuers> Backend for InProcess<A, C> {
    type Way = Servers;

    async fn admit(&self, query: AdmitAwsQuery) -> Result<AwsAdmission, Fault> {
        self.authn.admit_aws(query).await
    }

    fn way(&self, _: Audience) -> Option<Servers> {
        Some(self.servers.clone())
    }

    /// What vends here records its answers, as [`in_process`] was told.
    fn recorder(&self) -> Option<&Recorder> {
        None
    }

    async fn issuer(&self, cluster: ClusterUid) -> Result<FoundIssuer, Fault> {
        self.credentials.find_issuer(cluster).await
    }
}

use std::sync::Arc;

use crate::remote::Ways;
use lanyard_api::{
    authn::{Accounts, Admit, Authenticate, InstanceProfiles, OidcProviders},
    authz::{Authorize, Decisions, Objects},
    credentials::{Associations, Issuers, Pods, Sessions, Vend, Workloads},
    mapping::{Blocks, Clusters, Entries, IdentityProviders, Preview, Resolve, Spokes, Updates},
    tags::Tags,
};

/// Everything that stands behind the doors, as one parameter.
pub trait Services: Send + Sync + 'static {
    /// authn, for tokens and for management calls.
    type Authn: Authenticate + Admit + Accounts + InstanceProfiles + OidcProviders;
    /// mapping.
    type Mapping: Resolve
        + Preview
        + Clusters
        + Entries
        + IdentityProviders
        + Blocks
        + Spokes
        + Tags
        + Updates;
    /// authz.
    type Authz: Authorize + Objects + Decisions;
    /// credentials.
    type Credentials: Sessions + Workloads + Issuers + Pods + Associations + Vend + Tags;

    /// Who is knocking.
    fn authn(&self) -> &Arc<Self::Authn>;
    /// Which badge.
    fn mapping(&self) -> &Arc<Self::Mapping>;
    /// Which doors.
    fn authz(&self) -> &Arc<Self::Authz>;
    /// The way out.
    fn credentials(&self) -> &Arc<Self::Credentials>;

    /// The ways to services of other processes, where there are any: management calls go on by them as they came.
    fn ways(&self) -> Option<&Ways> {
        None
    }
}

//! AWS, called as the hub itself: what is signed with the hub's own credentials.
//!
//! [`AwsClient`] has the few calls that there are. Where the question cannot be answered, for whatever reason, that is an
//! [`AwsFault`]; a refusal by AWS ([`AwsRefusal`]) is one too, for it does not tell what was asked.

mod call;
mod connector;
mod credentials;
mod ec2;
mod endpoint;
mod fault;
mod iam;
mod iam_list;
mod instances;
mod kms;
mod options;
mod principal;
mod roles;
mod source;
mod sts;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lanyard_iam::{AccountId, Credentials, Partition, Region, partition_of_region};
use lanyard_kit::Clock;
use lanyard_kit::http_client::{HttpClient, HttpClientError, Options};
use lanyard_kit::limits::Buckets;

use crate::breaker::Breaker;
use crate::metered::{Meter, Service};
use crate::patience::Patience;

use credentials::{Assumed, Own};

pub use endpoint::StsEndpoint;
pub use fault::{AwsFault, AwsRefusal};
pub use iam::NamedPrincipal;
pub use iam_list::ListedPrincipals;
pub use instances::{Instance, InstanceOptions, Instances};
pub use kms::{DATA_KEY_BYTES, DataKey, InvalidKmsKey, KmsKey};
pub use options::{AssumedAccount, AwsOptions, AwsOptionsError, CallOptions, ListingOptions};
pub use principal::HubPrincipal;
pub use roles::{AssumeRefusal, AssumeRoleAsked, AssumedBy, AssumedRole, RoleSessionAsked};
pub use source::{CredentialPlace, CredentialSource};
pub use sts::{caller_in, session_in};
pub use wire::Unreadable;

use call::{ANSWER_BYTES_MAX, Api, Place, Whose, regional};
pub(crate) use {
    ec2::instances_in,
    iam::instance_profile_in,
    iam::principal_in,
    roles::assumed_role_in,
    roles::{Asked, Operation},
    wire::error_code_in,
};

/// Calls AWS as the hub. Clones share credentials, connections, limits and breakers.
#[derive(Clone)]
pub struct AwsClient {
    inner: Arc<Inner>,
}

struct Inner {
    http: HttpClient,
    clock: Arc<dyn Clock>,
    /// Where STS is asked, and the partition of every call.
    region: Region,
    partition: Partition,
    /// In place of the region's own STS.
    sts_host: Option<String>,
    own: Own,
    assumed: BTreeMap<AccountId, Assumed>,
    patience: Patience,
    listing: ListingOptions,
    buckets: Buckets<(Service, String)>,
    roles: RoleBuckets,
    breakers: [(Service, Breaker); 5],
    meter: Meter,
}

/// How often roles of workloads are asked for.
struct RoleBuckets {
    /// By role.
    each: Buckets<String>,
    /// By role, what is its own.
    own: Buckets<String>,
    /// By host.
    all: Buckets<String>,
}

/// Services and hosts whose limits are remembered.
const HOSTS_MAX: usize = 512;
/// Roles whose limits are remembered.
const ROLES_MAX: usize = 16_384;
/// Roles that have a part of their own at once: those that were asked for within the last seconds.
const ROLES_GUARANTEED_MAX: usize = 400;

impl AwsClient {
    /// A client for the partition of `region`, whose own STS it asks. Of `http` the resolver's overrides and the roots are
    /// taken, and the address rules, to which `private_hosts` are added.
    ///
    /// # Errors
    /// [`AwsClientError`] when outgoing HTTPS cannot be set up.
    pub fn new(
        options: &AwsOptions,
        region: &Region,
        source: CredentialSource,
        http: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AwsClientError> {
        let calls = &options.calls;
        let http = match &options.sts {
            Some(sts) => sts.added_to(http)?,
            None => http,
        };
        let addresses =
            options.private_hosts.iter().fold(http.addresses, |rules, host| rules.allow_private(host));
        let http = HttpClient::new(Options {
            timeout: Duration::from_millis(calls.attempt_milliseconds),
            connect_timeout: Duration::from_millis(calls.connect_milliseconds),
            body_bytes_max: ANSWER_BYTES_MAX,
            addresses,
            ..http
        })?;
        let breaker = |service| (service, Breaker::new(service, calls.breaker));
        let assumed = options.accounts.iter().map(|account| (account.account, Assumed::new(account)));
        let inner = Inner {
            http,
            clock,
            region: region.clone(),
            partition: partition_of_region(region.as_str()).unwrap_or(Partition::Aws),
            sts_host: options.sts.as_ref().map(|sts| sts.host.clone()),
            own: Own::new(source),
            assumed: assumed.collect(),
            patience: Patience {
                deadline: Duration::from_millis(calls.deadline_milliseconds),
                attempts_max: calls.attempts_max,
                backoff: Duration::from_millis(calls.backoff_milliseconds),
            },
            listing: options.listing,
            buckets: Buckets::new(calls.endpoint, HOSTS_MAX),
            roles: RoleBuckets {
                each: Buckets::new(calls.role, ROLES_MAX),
                own: Buckets::new(calls.role_guaranteed, ROLES_GUARANTEED_MAX),
                all: Buckets::new(calls.roles, HOSTS_MAX),
            },
            breakers: [Service::StsAsHub, Service::StsForPods, Service::Iam, Service::Ec2, Service::Kms]
                .map(breaker),
            meter: Meter::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where STS is asked.
    fn sts_place(&self, api: Api) -> Place {
        let place = regional(api, self.inner.partition, &self.inner.region);
        match &self.inner.sts_host {
            Some(host) => (host.clone(), place.1),
            None => place,
        }
    }

    async fn credentials(&self, whose: Whose) -> Result<Arc<Credentials>, AwsFault> {
        let (partition, account) = match whose {
            Whose::Hub => return self.own_credentials().await,
            Whose::Account(partition, account) => (partition, account),
        };
        if partition != self.inner.partition {
            return Err(AwsFault::OtherPartition { asked: partition, own: self.inner.partition });
        }
        if let Some(assumed) = self.inner.assumed.get(&account) {
            return assumed.credentials(self).await;
        }
        let (credentials, own) = self.own_credentials_and_account().await?;
        if own == account { Ok(credentials) } else { Err(AwsFault::OtherAccount { asked: account, own }) }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum AwsClientError {
    /// Nothing can be called over HTTPS.
    #[error(transparent)]
    Http(#[from] HttpClientError),
    /// An option breaks its rule.
    #[error(transparent)]
    Options(#[from] AwsOptionsError),
}

impl std::fmt::Debug for AwsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsClient").field("region", &self.inner.region).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

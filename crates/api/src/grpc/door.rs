//! Whom a server takes actors from.

use std::{fmt::Display, net::IpAddr, sync::Arc};

use lanyard_proto::call::v1 as pb;
use tonic::{Request, Status};

use super::{field, mutation::Mutating, status::unauthenticated};
use crate::{
    fault::Denial,
    identity::{Actor, Identity, Vouched},
    ids::ClusterUid,
    methods::Managed,
    mutation::Mutation,
    voucher::{Now, VouchKey, Vouchable, VoucherError},
};

/// The metadata in which an actor's voucher goes from a door to a service.
pub const ACTOR_METADATA: &str = "lanyard-actor-bin";

/// The metadata in which a door tells where a call that needs no signature came from.
pub const SOURCE_IP_METADATA: &str = "lanyard-source-ip";

/// Where a call that needs no signature came from; in the request's extensions, put there by the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceIp(pub IpAddr);

/// The service at the other end of the connection that a call came by, as its certificate names it
/// (`lanyard://hub/<hub>/service/<name>`); in the request's extensions. Its text is made by who reads it: few methods do.
#[derive(Clone)]
pub struct CallingService(pub Arc<dyn Display + Send + Sync>);

impl std::fmt::Debug for CallingService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallingService({})", self.0)
    }
}

/// Whom a server takes actors from: either from the door in front of it, in the same process, or from vouchers. What comes
/// the other way is not looked at.
#[derive(Clone)]
pub struct Door(Way);

#[derive(Clone)]
enum Way {
    Behind,
    Vouched { keys: Arc<dyn VouchKeys>, now: Now },
    Between,
}

/// Where the key is that vouchers are opened by.
#[tonic::async_trait]
pub trait VouchKeys: Send + Sync {
    /// As it is known here now.
    fn known(&self) -> Arc<VouchKey>;

    /// As it is known once its keeper was asked for versions that this process has not heard of yet. An implementation bounds how
    /// often it asks: whoever sends a voucher that does not fit causes this.
    async fn asked_for(&self) -> Arc<VouchKey>;
}

/// One that stays as it is.
#[tonic::async_trait]
impl VouchKeys for Arc<VouchKey> {
    fn known(&self) -> Arc<VouchKey> {
        Arc::clone(self)
    }

    async fn asked_for(&self) -> Arc<VouchKey> {
        self.known()
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Way::Behind => "Door(behind)",
            Way::Vouched { .. } => "Door(vouched)",
            Way::Between => "Door(between services)",
        })
    }
}

impl Door {
    /// Behind a front door of this process, which asked Admit and put the `Vouched<Actor>` into the request's extensions.
    /// Methods between services are refused.
    pub fn behind_door() -> Self {
        Self(Way::Behind)
    }

    /// Between services: an actor is what authn vouched for under this service's key.
    pub fn vouched(key: VouchKey, now: Now) -> Self {
        Self::following(Arc::new(Arc::new(key)), now)
    }

    /// The same under a key that is rotated while the door stands. A voucher of a version that this process has not heard of
    /// is no forgery yet: its keeper is asked first.
    pub fn following(keys: Arc<dyn VouchKeys>, now: Now) -> Self {
        Self(Way::Vouched { keys, now })
    }

    /// Between services alone: of a service that takes no actor from anybody.
    pub fn between_services() -> Self {
        Self(Way::Between)
    }

    /// The actor of a request, if it was admitted for this very message and what it does.
    ///
    /// # Errors
    /// UNAUTHENTICATED, with no more than that: who made the actor up should not learn how.
    pub async fn actor<M: Managed>(&self, request: &Request<M>) -> Result<Vouched<Actor>, Status> {
        let actor = match &self.0 {
            Way::Behind => request.extensions().get::<Vouched<Actor>>().cloned(),
            Way::Vouched { keys, now } => match voucher(request) {
                Some(voucher) => opened(&**keys, voucher, None, now).await,
                None => None,
            },
            Way::Between => None,
        };
        let message = request.get_ref();
        let fits = |actor: &Vouched<Actor>| {
            let Actor { action, request_digest, .. } = &actor.value;
            message.call().is_ok_and(|call| call.action == *action && call.request_digest == *request_digest)
        };
        let actor = actor.filter(fits);
        tracing::debug!(
            rpc.method = M::METHOD.path,
            admitted = actor.is_some(),
            "a call has come to its service"
        );
        actor.ok_or_else(not_admitted)
    }

    /// The actor of a request for a page of a list.
    ///
    /// # Errors
    /// As [`Door::actor`] says.
    pub async fn list<M: Managed>(&self, request: &Request<M>) -> Result<Vouched<Actor>, Status> {
        self.actor(request).await
    }

    /// The change that a request asks for, with its actor.
    ///
    /// # Errors
    /// As [`Door::actor`] says; INVALID_ARGUMENT for a token that is none.
    pub async fn mutation<M: Mutating>(&self, request: &Request<M>) -> Result<Mutation, Status> {
        let actor = self.actor(request).await?;
        let pb::Mutation { reason, allow_lockout, lease_term, client_request_token } =
            request.get_ref().mutation().cloned().unwrap_or_default();
        let reason = Some(reason).filter(|reason| !reason.is_empty());
        let token = Some(client_request_token.as_str()).filter(|token| !token.is_empty());
        let client_request_token = field::optional("mutation.client_request_token", token)?;
        Ok(Mutation { actor, reason, allow_lockout, lease_term, client_request_token })
    }

    /// Lets a question of people pass that a service may ask too. Behind a door it has an actor; between services the
    /// certificate is enough, for the service that asks has asked Admit.
    ///
    /// # Errors
    /// As [`Door::actor`] says.
    pub async fn question<M: Managed>(&self, request: &Request<M>) -> Result<(), Status> {
        match self.0 {
            Way::Behind | Way::Between => self.actor(request).await.map(|_| ()),
            Way::Vouched { .. } => Ok(()),
        }
    }

    /// Lets a call between services pass.
    ///
    /// # Errors
    /// PERMISSION_DENIED behind a front door: no admission leads there.
    pub fn internal<M>(&self, _: &Request<M>) -> Result<(), Status> {
        match self.0 {
            Way::Behind => Err(Status::from(&Denial {
                code: "between_services".into(),
                message: "this method is between services: no front door lets it through".to_owned(),
            })),
            Way::Vouched { .. } | Way::Between => Ok(()),
        }
    }

    /// Lets a call that needs no signature pass ([`crate::methods::UNSIGNED`]), with the address that it came from as the door in
    /// front saw it: in the extensions behind one of this process, in metadata between services.
    ///
    /// # Errors
    /// INVALID_ARGUMENT where that is no address.
    pub fn unsigned<M>(&self, request: &Request<M>) -> Result<Option<IpAddr>, Status> {
        match self.0 {
            Way::Behind => Ok(request.extensions().get::<SourceIp>().map(|ip| ip.0)),
            Way::Between => Err(not_admitted()),
            Way::Vouched { .. } => {
                let Some(value) = request.metadata().get(SOURCE_IP_METADATA) else { return Ok(None) };
                let address = value.to_str().ok().and_then(|text| text.parse().ok());
                address.map(Some).ok_or_else(|| {
                    let message = "the address that a call came from is none: the door writes it";
                    crate::fault::CallError::invalid(SOURCE_IP_METADATA, "malformed", message).into()
                })
            }
        }
    }

    /// The identity that authn vouched for, for this cluster.
    ///
    /// # Errors
    /// UNAUTHENTICATED.
    pub async fn identity(
        &self,
        voucher: bytes::Bytes,
        cluster: ClusterUid,
    ) -> Result<Vouched<Arc<Identity>>, Status> {
        let identity = match &self.0 {
            Way::Behind | Way::Between => None,
            Way::Vouched { keys, now } => opened(&**keys, voucher, Some(cluster), now).await,
        };
        identity.ok_or_else(not_admitted)
    }
}

fn voucher<M>(request: &Request<M>) -> Option<bytes::Bytes> {
    request.metadata().get_bin(ACTOR_METADATA)?.to_bytes().ok()
}

async fn opened<T: Vouchable>(
    keys: &dyn VouchKeys,
    voucher: bytes::Bytes,
    cluster: Option<ClusterUid>,
    now: &Now,
) -> Option<Vouched<T>> {
    let value = match keys.known().open(&voucher, cluster, now()) {
        Err(VoucherError::Mismatch) => keys.asked_for().await.open(&voucher, cluster, now()),
        opened => opened,
    };
    value.ok().map(|value| Vouched { value, voucher })
}

fn not_admitted() -> Status {
    unauthenticated(&Denial {
        code: "not_admitted".into(),
        message: "the call bears no admission that fits it: send it through the hub's front door".to_owned(),
    })
}

#[cfg(test)]
mod tests;

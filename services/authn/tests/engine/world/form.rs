//! The two forms in which authn answers: the engine itself, and a client of the engine behind gRPC.

use std::sync::Arc;

use lanyard_api::Fault;
use lanyard_api::authn::{
    Admission, Admit, AdmitAws, AdmitAwsQuery, AdmitQuery, Authenticate, AuthenticateQuery, Authentication,
    AwsAdmission, Vouching, server,
};
use lanyard_api::grpc::{Door, Remote, Served};
use lanyard_api::suite::serve_in_process;
use lanyard_api::voucher::{Audience, Now, Vouchers};
use lanyard_authn::Engine;
use lanyard_kit::{Clock, TestClock};
use lanyard_store::test_support::TestDatabase;
use tonic::service::Routes;
use tonic::transport::Channel;

use super::World;

/// What a world begins with: the database of its store, and whether its promises are asked for over gRPC.
pub(crate) struct Start {
    pub(super) database: TestDatabase,
    pub(super) behind_grpc: bool,
}

impl From<TestDatabase> for Start {
    fn from(database: TestDatabase) -> Self {
        Self { database, behind_grpc: false }
    }
}

impl Start {
    /// A world whose engine is asked behind gRPC.
    pub(crate) fn behind_grpc(database: TestDatabase) -> Self {
        Self { database, behind_grpc: true }
    }

    /// The same on another database.
    pub(crate) async fn another(&self) -> Self {
        Self { database: self.database.another().await, behind_grpc: self.behind_grpc }
    }
}

/// What authn vouches by, at a clock's time.
pub(crate) fn vouchers(clock: &TestClock) -> (Vouchers, Now) {
    let clock = clock.clone();
    let now: Now = Arc::new(move || Clock::now(&clock));
    (Vouchers::new([7; 32], Arc::clone(&now)), now)
}

/// A client of an engine, as the doors of separate processes have it.
pub(crate) fn behind_grpc(engine: &Arc<Engine>, clock: &TestClock) -> Remote<Channel> {
    let (vouchers, now) = vouchers(clock);
    let door = Door::vouched(vouchers.key(Audience::Authn), now);
    let served = Served::new(Arc::new(Vouching::new(Arc::clone(engine), vouchers)), door);
    let routes = Routes::new(server::authenticate(served.clone()))
        .add_service(server::admit(served.clone()))
        .add_service(server::admit_aws(served));
    Remote::new(serve_in_process(routes))
}

// In boxes: the futures of both forms are large, and tests hold several.
impl World {
    pub(crate) async fn authenticate(&self, query: AuthenticateQuery) -> Result<Authentication, Fault> {
        match &self.remote {
            Some(remote) => Box::pin(remote.authenticate(query)).await,
            None => Box::pin(self.engine.authenticate(query)).await,
        }
    }

    pub(crate) async fn admit(&self, query: AdmitQuery) -> Result<Admission, Fault> {
        match &self.remote {
            Some(remote) => Box::pin(remote.admit(query)).await,
            None => Box::pin(self.engine.admit(query)).await,
        }
    }

    pub(crate) async fn admit_aws(&self, query: AdmitAwsQuery) -> Result<AwsAdmission, Fault> {
        match &self.remote {
            Some(remote) => Box::pin(remote.admit_aws(query)).await,
            None => Box::pin(self.engine.admit_aws(query)).await,
        }
    }
}

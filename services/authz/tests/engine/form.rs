//! The forms in which authz's traits come: the engine itself, and the client of the engine behind gRPC.

use std::sync::Arc;

use lanyard_api::{
    authz::{Authorize, Decisions, Objects, server},
    grpc::{Door, Remote, Served},
    suite::{admitting, serve_in_process},
    voucher::{Audience, Vouchers},
};
use lanyard_authz::Authz;
use tonic::service::Routes;

use crate::stage::{START, Stage};

/// All that authz promises.
pub(crate) trait Form: Authorize + Objects + Decisions {}

impl<T: Authorize + Objects + Decisions> Form for T {}

/// The engine.
pub(crate) fn engine(stage: &Stage) -> Authz {
    stage.authz.clone()
}

/// A client of the engine behind gRPC, whose actors arrive as the hub's front door would let them in.
pub(crate) fn grpc(stage: &Stage) -> impl Form + use<> {
    let vouchers = Vouchers::new([9; 32], Arc::new(|| START));
    let door = Door::vouched(vouchers.key(Audience::Authz), Arc::new(|| START));
    let served = Served::new(Arc::new(stage.authz.clone()), door);
    let routes = Routes::new(server::authorize(served.clone()))
        .add_service(server::objects(served.clone()))
        .add_service(server::decisions(served));
    Remote::new(admitting(serve_in_process(routes), vouchers))
}

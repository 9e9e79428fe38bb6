//! The engine behind gRPC, whose actors arrive as the hub's front door would let them in.

use std::sync::Arc;

use lanyard_api::{
    credentials::server,
    grpc::{Door, Prepared, Remote, Served},
    suite::{Admitting, admitting, serve_in_process},
    voucher::{Audience, Now, Vouchers},
};
use lanyard_store::test_support::TestDatabase;
use time::OffsetDateTime;
use tonic::{service::Routes, transport::Channel};

use super::Hub;

pub(super) async fn hub(database: &TestDatabase) -> Hub<Remote<Prepared<Channel, Admitting>>> {
    let Hub { store, sessions } = super::hub(database).await;
    let now: Now = Arc::new(OffsetDateTime::now_utc);
    let vouchers = Vouchers::new([7; 32], Arc::clone(&now));
    let door = Door::vouched(vouchers.key(Audience::Credentials), now);
    let routes = Routes::new(server::sessions(Served::new(Arc::new(sessions), door)));
    Hub { store, sessions: Remote::new(admitting(serve_in_process(routes), vouchers)) }
}

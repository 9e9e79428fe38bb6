//! What a promise of authn is held against: the engine, and the engine behind gRPC.

use std::sync::Arc;

use crate::world::World;
use lanyard_api::authn::{
    accounts::Accounts, instance_profiles::InstanceProfiles, oidc_providers::OidcProviders, server,
};
use lanyard_api::grpc::{Door, Remote, Served};
use lanyard_api::suite::{admitting, serve_in_process};
use lanyard_api::voucher::{Audience, Vouchers};
use tonic::service::Routes;

/// All that authn lets principals manage.
pub(crate) trait Calls: Accounts + OidcProviders + InstanceProfiles {}

impl<T: Accounts + OidcProviders + InstanceProfiles> Calls for T {}

/// The engine of a world behind gRPC.
pub(crate) fn behind_grpc(world: &World) -> impl Calls {
    let clock = world.clock.clone();
    let now: lanyard_api::voucher::Now = Arc::new(move || lanyard_kit::Clock::now(&clock));
    let vouchers = Vouchers::new([7; 32], Arc::clone(&now));
    let door = Door::vouched(vouchers.key(Audience::Authn), now);
    let served = Served::new(Arc::clone(&world.engine), door);
    let routes = Routes::new(server::accounts(served.clone()))
        .add_service(server::oidc_providers(served.clone()))
        .add_service(server::instance_profiles(served));
    Remote::new(admitting(serve_in_process(routes), vouchers))
}

/// Runs a module's promises about managed methods on both forms, each on each store.
macro_rules! promises {
    ($module:ident: $($name:ident,)+) => {
        mod engine {
            $(lanyard_store::on_each_store!($name: database => {
                let world = crate::world::world(database).await;
                crate::$module::$name(&world, &*world.engine).await;
            });)+
        }

        mod grpc {
            $(lanyard_store::on_each_store!($name: database => {
                let world = crate::world::world(database).await;
                let remote = crate::promises::behind_grpc(&world);
                crate::$module::$name(&world, &remote).await;
            });)+
        }
    };
}

/// Runs promises of `Authenticate`, `Admit` and `AdmitAws` in both forms, each on each store.
macro_rules! in_each_form {
    ($($name:ident,)+) => {
        mod engine {
            $(lanyard_store::on_each_store!($name: database => {
                super::super::$name(database.into()).await;
            });)+
        }

        mod grpc {
            $(lanyard_store::on_each_store!($name: database => {
                super::super::$name(crate::world::form::Start::behind_grpc(database)).await;
            });)+
        }
    };
}

pub(crate) use {in_each_form, promises};

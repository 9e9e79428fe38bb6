//! Every call of every trait, made on an implementation and through gRPC: the same questions arrive, the same answers come
//! back.

mod associations;
mod authn;
mod authz;
mod front_door;
mod mapping;
mod masks;
mod pod_reviews;
mod samples;
mod spokes;
mod tags;
mod updates;
mod vend;
mod workloads;

use std::sync::{Arc, Mutex};

use tonic::{service::Routes, transport::Channel};

use crate::{
    Actor, ActorKind, Mutated, Mutation, Page, PageQuery, Revision, Vouched,
    grpc::{Door, Prepared, Remote, Served},
    suite::{Admitting, admitting, serve_in_process},
    voucher::{Audience, Now, Vouchers},
};

/// Answers every call with a sample, and keeps what it was asked.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<String>>,
}

impl Fake {
    fn note(&self, question: String) {
        self.asked.lock().unwrap().push(question);
    }
}

/// Implements a trait for [`Fake`]: `change` takes a `Mutation`, `ask` an actor, `plain` neither.
macro_rules! fake {
    ($trait:ident { $($kind:ident $method:ident($($arg:ident: $type:ty),*) -> $answer:ty, $error:ty = $sample:expr;)+ }
        $($rest:tt)*) => {
        impl $trait for Fake {
            $(fake!(@$kind $method($($arg: $type),*) -> $answer, $error = $sample);)+
            $($rest)*
        }
    };
    (@change $method:ident($($arg:ident: $type:ty),*) -> $answer:ty, $error:ty = $sample:expr) => {
        async fn $method(&self, by: Mutation, $($arg: $type),*) -> Result<$answer, $error> {
            let by = (by.reason, by.allow_lockout, by.lease_term, by.client_request_token, by.actor.value.kind);
            self.note(format!("{} {by:?} {:?}", stringify!($method), ($(&$arg,)*)));
            Ok($sample)
        }
    };
    (@ask $method:ident($($arg:ident: $type:ty),*) -> $answer:ty, $error:ty = $sample:expr) => {
        async fn $method(&self, by: Vouched<Actor>, $($arg: $type),*) -> Result<$answer, $error> {
            self.note(format!("{} {:?} {:?}", stringify!($method), by.value.kind, ($(&$arg,)*)));
            Ok($sample)
        }
    };
    (@plain $method:ident($($arg:ident: $type:ty),*) -> $answer:ty, $error:ty = $sample:expr) => {
        async fn $method(&self, $($arg: $type),*) -> Result<$answer, $error> {
            self.note(format!("{} {:?}", stringify!($method), ($(&$arg,)*)));
            Ok($sample)
        }
    };
}
use fake;

/// The answers to a list of calls, in words.
macro_rules! answers {
    ($($call:expr),+ $(,)?) => {
        vec![$(format!("{:?}", $call.await)),+]
    };
}
use answers;

type Client = Remote<Prepared<Channel, Admitting>>;

fn now() -> Now {
    Arc::new(|| samples::moment(0))
}

fn vouchers() -> Vouchers {
    Vouchers::new([7; 32], now())
}

fn door(audience: Audience) -> Door {
    Door::vouched(vouchers().key(audience), now())
}

/// All services of one implementation, each with its own door.
fn served(fake: &Arc<Fake>) -> Client {
    use crate::{authn, authz, credentials, mapping, spoke};
    let at = |audience| Served::new(Arc::clone(fake), door(audience));
    let vouching = Arc::new(authn::Vouching::new(Arc::clone(fake), vouchers()));
    let proving = Served::new(vouching, door(Audience::Authn));
    let routes = Routes::new(authn::server::accounts(at(Audience::Authn)))
        .add_service(authn::server::oidc_providers(at(Audience::Authn)))
        .add_service(authn::server::instance_profiles(at(Audience::Authn)))
        .add_service(authn::server::authenticate(proving.clone()))
        .add_service(authn::server::admit(proving))
        .add_service(mapping::server::resolve(at(Audience::Mapping)))
        .add_service(mapping::server::preview(at(Audience::Mapping)))
        .add_service(mapping::server::clusters(at(Audience::Mapping)))
        .add_service(mapping::server::entries(at(Audience::Mapping)))
        .add_service(mapping::server::identity_providers(at(Audience::Mapping)))
        .add_service(mapping::server::blocks(at(Audience::Mapping)))
        .add_service(mapping::server::spokes(at(Audience::Mapping)))
        .add_service(mapping::server::updates(at(Audience::Mapping)))
        .add_service(authz::server::authorize(at(Audience::Authz)))
        .add_service(authz::server::objects(at(Audience::Authz)))
        .add_service(authz::server::decisions(at(Audience::Authz)))
        .add_service(credentials::server::sessions(at(Audience::Credentials)))
        .add_service(credentials::server::workloads(at(Audience::Credentials)))
        .add_service(credentials::server::issuers(at(Audience::Credentials)))
        .add_service(credentials::server::pods(at(Audience::Credentials)))
        .add_service(credentials::server::associations(at(Audience::Credentials)))
        .add_service(credentials::server::vend(at(Audience::Credentials)))
        .add_service(spoke::server::pod_reviews(Served::new(Arc::clone(fake), Door::between_services())))
        .add_service(crate::tags::of_mapping(at(Audience::Mapping)))
        .add_service(crate::tags::of_credentials(at(Audience::Credentials)));
    Remote::new(admitting(serve_in_process(routes), vouchers()))
}

/// Makes the calls on a fake and through gRPC, and compares questions and answers.
macro_rules! same_over_grpc {
    ($calls:ident) => {{
        let (here, there) = (Arc::new(Fake::default()), Arc::new(Fake::default()));
        let (answered_here, answered_there) = ($calls(&*here).await, $calls(&served(&there)).await);
        for (here, there) in answered_here.iter().zip(&answered_there) {
            assert_eq!(here, there);
            assert!(here.starts_with("Ok("), "{here}");
        }
        assert_eq!(answered_here.len(), answered_there.len());
        let (asked_here, asked_there) = (here.asked.lock().unwrap(), there.asked.lock().unwrap());
        for (here, there) in asked_here.iter().zip(&*asked_there) {
            assert_eq!(here, there);
        }
        assert_eq!(asked_here.len(), answered_here.len());
        assert_eq!(asked_there.len(), answered_there.len());
    }};
}
use same_over_grpc;

fn actor() -> Vouched<Actor> {
    Vouched::in_process(Actor { kind: samples::principal(), ..Actor::system("test") })
}

fn change() -> Mutation {
    Mutation {
        reason: Some("because".to_owned()),
        allow_lockout: true,
        lease_term: Some(3),
        client_request_token: Some("token-1".parse().unwrap()),
        ..Mutation::by(actor())
    }
}

fn silent_change() -> Mutation {
    let kind = ActorKind::System { purpose: "test".to_owned() };
    Mutation::by(Vouched::in_process(Actor { kind, ..Actor::system("test") }))
}

fn mutated<T>(value: T) -> Mutated<T> {
    let pending = vec!["replica b until 10:00".to_owned()];
    Mutated {
        value,
        revision: Revision(42),
        confirmed: false,
        pending,
        notices: vec!["mind the gap".to_owned()],
        update: Some(samples::update()),
    }
}

/// The last one: a token is another one on the wire.
fn page<T>(items: Vec<T>) -> Page<T> {
    Page { items, next_token: None }
}

fn some_page() -> PageQuery {
    PageQuery { items_max: 7, token: String::new() }
}

fn text(value: &str) -> String {
    value.to_owned()
}

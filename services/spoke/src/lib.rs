//! The watch on spoke clusters: what their API servers hold of aws-auth, RBAC and ServiceAccounts, and the keys that sign the
//! tokens of these, brought to mapping, authz and credentials.
//!
//! [`wire`] reads what API servers write, [`mirror`] is what is seen of a cluster and what of that the hub has not taken yet;
//! both are pure. `api_server` lists and watches, `watcher` joins the two for one cluster, and [`Fleet`] watches all those on
//! which this replica holds the lease. [`Pusher`] does the same from inside a cluster, for a hub that cannot reach in.
//!
//! What else the hub has to ask of API servers goes by the spoke service too, for it alone has credentials for them: [`ApiServers`]
//! answers whether a pod is still there.
//!
//! The service knows the others by their traits alone, in the process of `lanyard serve` and in one of its own ([`process`]).

mod admitted;
mod api_server;
mod config;
mod fleet;
mod in_cluster;
pub mod mirror;
mod part_limit;
pub mod process;
mod pusher;
mod reviews;
#[cfg(test)]
mod stand_in;
mod state;
mod telemetry;
mod watcher;
pub mod wire;

pub use api_server::{ApiFault, ApiServer};
pub use config::{ConfigError, SpokeConfig};
pub use fleet::Fleet;
pub use in_cluster::{InClusterError, in_cluster};
pub use pusher::{PushError, Pusher};
pub use reviews::ApiServers;
pub use watcher::Target;

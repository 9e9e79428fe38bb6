//! What every Lanyard process shares, and nothing that knows what Lanyard decides.
//!
//! A process is put together in this order, and each step is one module here:
//!
//! 1. [`config`]: file, then environment, then flags, into one checked struct; an unknown key is refused with the
//!    nearest right one named. Wrong configuration ends the process with [`life::EXIT_CONFIGURATION`].
//! 2. [`telemetry`]: the log on standard error, the metrics recorder and its listener, traces, and every metric name,
//!    label, span field and attribute of the project as a documented constant.
//! 3. [`tls`]: the embedded certificate authority, files that only their owner may read, server and client
//!    configurations, and who a peer is ([`tls::PeerIdentity`]).
//! 4. [`serve`]: a listener that serves any `tower` service over HTTP/1.1 and HTTP/2, bounded in every direction, and
//!    drained gracefully.
//! 5. [`health`]: whether the process is ready, and why not; [`life`]: signals, the order of stopping, exit codes.
//!
//! Beside these: [`peers`], the connections to other services of the hub; [`together`], by which their calls travel;
//! [`grpc_timeout`], how long these may take; [`clock`], because nothing that decides reads
//! the time on its own; [`http_client`], the one way out to other people's servers; [`batches`], for what nobody waits
//! for; [`limits`], for how often something may be done; [`caught()`], for work that must not end others by a panic;
//! [`complain()`], for what is said where there is no log; [`secret`], values that cannot be printed; [`json`], in
//! which no member stands twice.
//!
//! ```no_run
//! use lanyard_kit::{life, serve, telemetry};
//!
//! fn main() -> std::process::ExitCode {
//!     life::run(life::Options::default(), |life| async move {
//!         let server = serve::Server::bind(serve::Options::loopback(0)).await?;
//!         let service = tower::service_fn(|_: http::Request<hyper::body::Incoming>| async {
//!             Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
//!         });
//!         server.run(service, life.stop()).await;
//!         Ok::<(), serve::ServeError>(())
//!     })
//! }
//! ```

pub mod batches;
mod caught;
pub mod clock;
mod complain;
pub mod config;
pub mod grpc_timeout;
pub mod health;
pub mod http_client;
pub mod json;
pub mod life;
pub mod limits;
pub mod peers;
pub mod secret;
pub mod serve;
pub mod telemetry;
pub mod tls;
pub mod together;
mod within;

pub use caught::{Panicked, caught, caught_now};
pub use clock::{Clock, SystemClock, TestClock};
pub use complain::complain;
pub use health::Readiness;
pub use secret::{ConfigSecret, ExposeSecret, SecretBytes, SecretString};
pub use within::within;

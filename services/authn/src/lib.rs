//! authn: who is knocking, may a management call go on, and the accounts behind both. It proves and maps nothing.
//!
//! [`Engine`] stands behind three traits of `lanyard_api`:
//!
//! - **`Authenticate`** proves client tokens. The token's form is judged whole (`lanyard_iam::ParsedToken`); its key and
//!   host say whose it would be, and that one authority is asked: Lanyard's own IAM for `LKIA…` and `LSIA…` keys, which
//!   never leave for AWS, else AWS's STS or a named self-hosted one, through the token cache. What comes back counts only for
//!   an account that the hub knows as that authority's, that this cluster lets in, and that no block stops. "No" is
//!   an answer with a reason; a fault says that there is none, and is never kept. A JWT is verified here, by the keys of an
//!   OIDC issuer that the cluster takes tokens of (`lanyard_oidc`, `providers`), and its claims go on as claims.
//! - **`Admit`** lets management calls through: SigV4 for this hub, method and message, by a local key or role session;
//!   then the caller's policies, in their own account alone. The answer is an actor, or the statement that refused.
//! - **`Accounts`** keeps accounts, users, keys, roles and inline policies by IAM's rules.
//!
//! Everything on the way of a request is in memory: snapshots of the hub, of accounts (with the opened secrets of their
//! keys) and of clusters, compiled from the store's rows and kept up with its changes (`snapshot`, `directory`). An access
//! key id and a unique id tell their account (`numbers`), so one account is looked in, whatever their number. Role sessions
//! are opened, not looked up, each once (`known_sessions`), and whatever they descend from has to be there still (`local_keys`).
//!
//! [`bootstrap`] makes the hub at its first start, [`renew_administrator`] puts its administrator back. The token cache
//! can have a second level that replicas share: [`SharedCache`], in [`Shared`] as it is configured.

mod accounts;
mod admit;
mod answers;
mod bootstrap;
mod cache;
mod config;
mod directory;
mod engine;
mod key_secret;
mod known_sessions;
mod local_keys;
mod numbers;
pub mod process;
mod session_keys;
mod snapshot;
mod verifier;
mod warnings;

pub use bootstrap::{
    ADMINISTRATOR, BootstrapError, HandOver, Renewed, bootstrap, bootstrap_as, hub_of, renew_administrator,
};
pub use cache::{InvalidRedis, NotShared, RedisCache, RedisConfig, RedisLogin, Shared, SharedCache};
pub use config::{
    AccountLimits, AuthnConfig, ConfigError, OidcConfig, SelfHostedSts, SnapshotConfig, TokenCacheConfig,
};
pub use engine::{Engine, EngineError, Hub, Parts};
pub use numbers::NoRandomness;
pub use session_keys::{SessionKeysError, session_opener};

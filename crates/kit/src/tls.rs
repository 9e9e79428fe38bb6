//! Who is at the other end of a connection: the embedded certificate authority, certificates and keys on disk, rustls
//! configurations, and peer identity.
//!
//! A hub has one root with three issuing keys below it, for services, for spokes and for principals. Which of them signed a
//! certificate decides what its URI may say: the spokes' key cannot make a service, nor a server of any name, and none but the
//! principals' own can make a principal. Trust the root, and [`PeerIdentity::from_chain`] tells the rest.

mod authority;
mod ca_file;
mod chain;
mod config;
mod facts;
mod files;
mod identity;
mod leaf;
mod live;
mod pinned;
mod service;

pub use authority::{Authority, AuthorityError, PRINCIPAL_LIFETIME_MAX};
pub use ca_file::{CA_FILE_BYTES_MAX, read_ca_file};
pub use chain::ChainVerifier;
pub use config::{ClientCertificates, TlsError, client_config, install_provider, provider, server_config};
pub use facts::CertificateFacts;
pub use files::{
    FileError, read_public_file, read_secret_file, secure_dir, write_public_file, write_secret_file,
};
pub use identity::{PeerError, PeerIdentity};
pub use leaf::{KeyedCertificate, Names, certificates_from_pem, fingerprint};
pub use live::{
    Clients, Following, Live, LiveAuthority, LiveError, LiveIdentity, LiveText, Look, RELOAD_INTERVAL, fixed,
};
pub use pinned::{PinnedRoots, pinned_config};
pub use rustls_pki_types::CertificateDer;
pub use service::{
    CERTIFICATE_FILE, KEY_FILE, ROOT_FILE, ServiceFiles, ServiceIdentity, ServiceIdentityError,
};

#[cfg(test)]
mod tests;

use super::*;
use crate::secret::ExposeSecret;
use rustls::HandshakeKind;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const DAY: Duration = Duration::DAY;

fn authority(hub: &str) -> (tempfile::TempDir, Authority) {
    let scratch = tempfile::tempdir().unwrap();
    let authority = Authority::create(&scratch.path().join("pki"), hub, OffsetDateTime::now_utc()).unwrap();
    (scratch, authority)
}

fn server(authority: &Authority) -> KeyedCertificate {
    authority.issue_server(&Names::loopback(), DAY, OffsetDateTime::now_utc()).unwrap()
}

/// Whom a server sees; nobody where no certificate was shown.
type Seen = Option<Result<PeerIdentity, PeerError>>;

/// Handshakes in memory; the answer is whom the server sees, or the first error of either side.
async fn handshake(
    server: Arc<rustls::ServerConfig>,
    client: rustls::ClientConfig,
    name: &str,
) -> Result<Seen, String> {
    meet(server, Arc::new(client), name).await.map(|(seen, _)| seen)
}

/// The same with how it was made, by a client that may have been there before.
async fn meet(
    server: Arc<rustls::ServerConfig>,
    client: Arc<rustls::ClientConfig>,
    name: &str,
) -> Result<(Seen, Option<HandshakeKind>), String> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connect = async {
        let name = rustls_pki_types::ServerName::try_from(name.to_owned()).unwrap();
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        // With TLS 1.3 a client learns only by reading that its certificate was refused.
        stream.write_all(b"?").await?;
        stream.read_u8().await
    };
    let accept = async {
        let mut stream = TlsAcceptor::from(server).accept(far).await?;
        let (_, session) = stream.get_ref();
        let seen = (session.peer_certificates().map(PeerIdentity::from_chain), session.handshake_kind());
        stream.read_u8().await?;
        stream.write_all(b"!").await?;
        Ok::<_, std::io::Error>(seen)
    };
    let (connected, accepted) = tokio::join!(connect, accept);
    match (connected, accepted) {
        (Ok(_), Ok(seen)) => Ok(seen),
        (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn a_peer_is_whom_its_certificate_names() {
    let (_dir, authority) = authority("hub-1");
    let now = OffsetDateTime::now_utc();
    let roots = authority.roots().unwrap();
    let gateway = authority.issue_service("gateway", &Names::default(), DAY, now).unwrap();
    let spoke = authority.issue_spoke("9f0c", DAY, now).unwrap();
    let cases = [
        (Some(&gateway), Some(PeerIdentity::service("hub-1", "gateway").unwrap())),
        (Some(&spoke), Some(PeerIdentity::spoke("hub-1", "9f0c").unwrap())),
        (None, None),
    ];
    let server = server_config(&server(&authority), ClientCertificates::Optional(&roots)).unwrap();
    for (certificate, expected) in cases {
        let client = client_config(&roots, certificate).unwrap();
        let seen = handshake(Arc::clone(&server), client, "localhost").await.unwrap();
        assert_eq!(seen.map(Result::unwrap), expected);
    }
}

#[tokio::test]
async fn nobody_speaks_without_a_certificate_where_one_is_required() {
    let (_dir, authority) = authority("hub-1");
    let roots = authority.roots().unwrap();
    let server = server_config(&server(&authority), ClientCertificates::Required(&roots)).unwrap();
    let refused = handshake(server, client_config(&roots, None).unwrap(), "localhost").await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_certificate_of_another_hub_or_past_its_end_is_refused_though_optional() {
    let (_dir, ours) = authority("hub-1");
    let (_other_dir, other) = authority("hub-1");
    let now = OffsetDateTime::now_utc();
    let roots = ours.roots().unwrap();
    let listening = server_config(&server(&ours), ClientCertificates::Optional(&roots)).unwrap();
    let cases = [
        ("same names, another root", other.issue_spoke("9f0c", DAY, now).unwrap()),
        ("expired", ours.issue_spoke("9f0c", DAY, now - 2 * DAY).unwrap()),
        ("not yet valid", ours.issue_spoke("9f0c", DAY, now + DAY).unwrap()),
        ("a server's, which is for no client", server(&ours)),
    ];
    for (what, certificate) in cases {
        let client = client_config(&roots, Some(&certificate)).unwrap();
        assert!(handshake(Arc::clone(&listening), client, "localhost").await.is_err(), "{what}");
    }
}

/// A client that speaks one version of TLS and keeps its sessions.
fn keeping_sessions(
    version: &'static rustls::SupportedProtocolVersion,
    roots: &[CertificateDer<'static>],
    certificate: &KeyedCertificate,
) -> Arc<rustls::ClientConfig> {
    let client = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(config::root_store(roots).unwrap())
        .with_client_auth_cert(certificate.chain().unwrap(), certificate.key().unwrap())
        .unwrap();
    Arc::new(client)
}

#[tokio::test]
async fn a_session_is_resumed_where_no_certificate_is_asked_for_alone() {
    let (_dir, authority) = authority("hub-1");
    let roots = authority.roots().unwrap();
    let spoke = authority.issue_spoke("9f0c", DAY, OffsetDateTime::now_utc()).unwrap();
    let cases = [
        (ClientCertificates::NotAsked, HandshakeKind::Resumed),
        (ClientCertificates::Optional(&roots), HandshakeKind::Full),
        (ClientCertificates::Required(&roots), HandshakeKind::Full),
    ];
    for (clients, second) in cases {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let server = server_config(&server(&authority), clients).unwrap();
            let client = keeping_sessions(version, &roots, &spoke);
            for expected in [HandshakeKind::Full, second] {
                let met = meet(Arc::clone(&server), Arc::clone(&client), "localhost").await;
                assert_eq!(met.unwrap().1, Some(expected), "{clients:?}, {version:?}");
            }
        }
    }
}

/// A clock that stands.
#[derive(Debug)]
struct At(UnixTime);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

#[tokio::test]
async fn who_came_with_a_certificate_does_not_come_again_after_its_end() {
    let (_dir, authority) = authority("hub-1");
    let now = OffsetDateTime::now_utc();
    let roots = authority.roots().unwrap();
    let spoke = authority.issue_spoke("9f0c", DAY, now).unwrap();
    let after: OffsetDateTime = now + 2 * DAY;
    let after = std::time::Duration::from_secs(after.unix_timestamp().try_into().unwrap());
    let server = server_config(&server(&authority), ClientCertificates::Optional(&roots)).unwrap();
    // What it keeps of sessions is the same server's.
    let mut later = rustls::ServerConfig::clone(&server);
    later.time_provider = Arc::new(At(UnixTime::since_unix_epoch(after)));
    let later = Arc::new(later);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = keeping_sessions(version, &roots, &spoke);
        assert!(meet(Arc::clone(&server), Arc::clone(&client), "localhost").await.is_ok(), "{version:?}");
        let again = meet(Arc::clone(&later), client, "localhost").await;
        assert!(again.is_err(), "{version:?}: {again:?}");
    }
}

#[tokio::test]
async fn a_client_trusts_a_server_of_its_hub_under_the_issued_names_alone() {
    let (_dir, authority) = authority("hub-1");
    let roots = authority.roots().unwrap();
    let names = Names::loopback().and(["gateway.lanyard.svc".to_owned(), "10.1.2.3".to_owned()]);
    let certificate = authority.issue_server(&names, DAY, OffsetDateTime::now_utc()).unwrap();
    let server = server_config(&certificate, ClientCertificates::NotAsked).unwrap();
    let cases = [
        ("localhost", true),
        ("127.0.0.1", true),
        ("::1", true),
        ("gateway.lanyard.svc", true),
        ("10.1.2.3", true),
        ("gateway", false),
        ("127.0.0.2", false),
    ];
    for (name, trusted) in cases {
        let client = client_config(&roots, None).unwrap();
        assert_eq!(handshake(Arc::clone(&server), client, name).await.is_ok(), trusted, "{name}");
    }
}

/// A certificate of the asked kind, signed by one issuing key of the folder as its holder could sign it.
fn forged(dir: &Path, which: &str, uri: &str, server: bool) -> KeyedCertificate {
    let key =
        rcgen::KeyPair::from_pem(&fs::read_to_string(dir.join(format!("{which}.key"))).unwrap()).unwrap();
    let chain = fs::read_to_string(dir.join(format!("{which}.crt"))).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&chain, key).unwrap();
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.subject_alt_names.push(rcgen::SanType::URI(uri.try_into().unwrap()));
    params.extended_key_usages = vec![match server {
        true => rcgen::ExtendedKeyUsagePurpose::ServerAuth,
        false => rcgen::ExtendedKeyUsagePurpose::ClientAuth,
    }];
    let leaf = params.signed_by(&leaf_key, &issuer).unwrap();
    KeyedCertificate { chain_pem: leaf.pem() + &chain, key_pem: leaf_key.serialize_pem().into() }
}

#[tokio::test]
async fn an_issuing_key_makes_its_own_kind_of_peer_and_only_that_of_services_a_server() {
    let (dir, authority) = authority("hub-1");
    let pki = dir.path().join("pki");
    let roots = authority.roots().unwrap();
    let ours = server_config(&server(&authority), ClientCertificates::Optional(&roots)).unwrap();
    let kinds = [
        ("services", "lanyard://hub/hub-1/service/gateway"),
        ("spokes", "lanyard://hub/hub-1/spoke/9f0c"),
        ("principals", "lanyard://hub/hub-1/principal/local/111122223333/AIDAX"),
    ];
    for (own, uri) in kinds {
        for (which, _) in kinds {
            let client = client_config(&roots, Some(&forged(&pki, which, uri, false))).unwrap();
            let seen = handshake(Arc::clone(&ours), client, "localhost").await.unwrap().unwrap();
            match which == own {
                true => assert_eq!(seen.unwrap().to_string(), uri),
                false => assert!(matches!(seen, Err(PeerError::Issuer { .. })), "{which}, {uri}: {seen:?}"),
            }
        }
        let theirs = server_config(&forged(&pki, own, uri, true), ClientCertificates::NotAsked).unwrap();
        let connected = handshake(theirs, client_config(&roots, None).unwrap(), "localhost").await;
        assert_eq!(connected.is_ok(), own == "services", "{own}");
    }
}

#[test]
fn a_principal_has_a_certificate_for_days_and_an_older_authority_makes_what_issues_it() {
    let (dir, authority) = authority("hub-1");
    let (pki, now) = (dir.path().join("pki"), OffsetDateTime::now_utc());
    let issue = |id: &str, lifetime| authority.issue_principal("local", "111122223333", id, lifetime, now);
    let verifier = ChainVerifier::new(&authority.roots().unwrap()).unwrap();
    let named = |certificate: &KeyedCertificate| {
        let chain = certificate.chain().unwrap();
        verifier.verify(&chain, now).unwrap();
        assert!(verifier.verify(&chain, now + 2 * DAY).is_err(), "it has ended");
        PeerIdentity::from_chain(&chain).unwrap()
    };
    let expected = PeerIdentity::principal("hub-1", "local", "111122223333", "AIDAX").unwrap();
    assert_eq!(named(&issue("AIDAX", DAY).unwrap()), expected);
    assert!(matches!(issue("AIDAX", 91 * DAY), Err(AuthorityError::Lifetime)));
    assert!(matches!(issue("a/b", DAY), Err(AuthorityError::Identity(_))));
    for name in ["principals.crt", "principals.key"] {
        fs::remove_file(pki.join(name)).unwrap();
    }
    assert_eq!(named(&issue("AIDAX", DAY).unwrap()), expected);
}

#[test]
fn an_authority_is_loaded_as_it_was_made_and_never_made_twice() {
    let (dir, made) = authority("hub-1");
    let pki = dir.path().join("pki");
    let now = OffsetDateTime::now_utc();
    let loaded = Authority::load_or_create(&pki, "hub-1", now).unwrap();
    assert_eq!(loaded.root_pem(), made.root_pem());
    assert!(matches!(Authority::create(&pki, "hub-1", now), Err(AuthorityError::Exists { .. })));
    assert!(matches!(Authority::load(&pki, "hub-2"), Err(AuthorityError::OtherHub { .. })));
}

#[test]
fn immunity_57_the_authority_refuses_keys_that_others_may_read() {
    let (dir, _made) = authority("hub-1");
    let pki = dir.path().join("pki");
    let names: Vec<PathBuf> = ["services.key", "spokes.key"].iter().map(|name| pki.join(name)).collect();
    for name in &names {
        assert_eq!(fs::metadata(name).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(name, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            Authority::load(&pki, "hub-1"),
            Err(AuthorityError::File(FileError::LooseMode { .. }))
        ));
        fs::set_permissions(name, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert!(Authority::load(&pki, "hub-1").is_ok());
}

#[test]
fn a_damaged_authority_is_named_and_not_replaced() {
    let (dir, _made) = authority("hub-1");
    let pki = dir.path().join("pki");
    let key = fs::read(pki.join("spokes.key")).unwrap();
    fs::write(pki.join("spokes.key"), fs::read(pki.join("services.key")).unwrap()).unwrap();
    let load = || Authority::load_or_create(&pki, "hub-1", OffsetDateTime::now_utc()).unwrap_err();
    assert!(matches!(load(), AuthorityError::Damaged { .. }), "another's key");
    fs::write(pki.join("spokes.key"), "nonsense").unwrap();
    assert!(matches!(load(), AuthorityError::Damaged { .. }), "no key");
    fs::write(pki.join("spokes.key"), key).unwrap();
    fs::write(pki.join("root.crt"), "").unwrap();
    assert!(matches!(load(), AuthorityError::Damaged { .. }), "no root");
}

#[test]
fn names_that_cannot_stand_in_a_certificate_are_refused() {
    let (_dir, authority) = authority("hub-1");
    let now = OffsetDateTime::now_utc();
    for name in ["", "a b", "ä.example", "a/b", "*.*.example", &"a".repeat(300)] {
        let names = Names { dns: vec![name.to_owned()], ip: Vec::new() };
        let issued = authority.issue_server(&names, DAY, now);
        assert!(matches!(issued, Err(AuthorityError::Name(_))), "{name}");
        assert!(matches!(authority.issue_spoke(name, DAY, now), Err(AuthorityError::Identity(_))), "{name}");
    }
    assert!(Authority::create(Path::new("unused"), "a hub", now).is_err());
    assert!(!Path::new("unused").exists());
}

#[test]
fn a_key_is_not_printed() {
    let (_dir, authority) = authority("hub-1");
    let certificate = server(&authority);
    let key = certificate.key_pem.expose_secret().lines().nth(1).unwrap().to_owned();
    assert!(!format!("{certificate:?}{authority:?}").contains(&key));
}

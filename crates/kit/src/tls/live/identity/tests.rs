use std::fs;
use std::path::Path;

use time::{Duration as Span, OffsetDateTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::TestClock;
use crate::secret::{ExposeSecret, SecretBytes};
use crate::serve::{Options, Server};
use crate::tls::live::Look;
use crate::tls::{
    Authority, CERTIFICATE_FILE, CertificateFacts, KEY_FILE, Names, ROOT_FILE, secure_dir, write_public_file,
    write_secret_file,
};

/// A folder of a service, and the authority behind it.
struct House {
    scratch: tempfile::TempDir,
    authority: Authority,
    clock: TestClock,
}

impl House {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        let authority = Authority::create(&scratch.path().join("pki"), "hub-1", now).unwrap();
        let house = Self { scratch, authority, clock: TestClock::new(now) };
        secure_dir(&house.files().dir).unwrap();
        house.issue("first");
        house
    }

    fn files(&self) -> ServiceFiles {
        ServiceFiles { dir: self.scratch.path().join("authn"), ..ServiceFiles::default() }
    }

    /// A certificate that one tells by the name in it.
    fn issue(&self, name: &str) {
        self.issue_by(&self.authority, "authn", name);
    }

    fn issue_by(&self, authority: &Authority, service: &str, name: &str) {
        let names = Names::loopback().and([name.to_owned()]);
        let issued = authority.issue_service(service, &names, Span::DAY, self.clock.now()).unwrap();
        let key = SecretBytes::from(issued.key_pem.expose_secret().as_bytes().to_vec());
        write_secret_file(&self.path(KEY_FILE), &key).unwrap();
        write_public_file(&self.path(CERTIFICATE_FILE), issued.chain_pem.as_bytes()).unwrap();
        write_public_file(&self.path(ROOT_FILE), authority.root_pem().as_bytes()).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.files().dir.join(name)
    }

    fn load(&self) -> LiveIdentity {
        LiveIdentity::load(&self.files(), "authn", Clients::Required, Arc::new(self.clock.clone())).unwrap()
    }
}

/// The name by which one tells the certificate that a server shows to who connects with this configuration.
async fn shown(address: std::net::SocketAddr, client: Arc<ClientConfig>) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(client).connect(name, stream).await.unwrap();
    let leaf = &stream.get_ref().1.peer_certificates().unwrap()[0];
    CertificateFacts::of(leaf).unwrap().names[1].clone()
}

#[tokio::test]
async fn new_connections_have_the_certificate_that_lies_there_and_open_ones_go_on() {
    let house = House::new();
    let live = house.load();
    let server = Server::bind(Options::loopback(0).with_live_tls(live.server())).await.unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "here" }));
    let running = tokio::spawn(server.run(router, stop.clone()));
    let client = || Arc::clone(&live.client().borrow());

    // A connection that stays open, and is used again below.
    let stream = TcpStream::connect(address).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(client()).connect(name, stream).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut open, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let mut ask = async || {
        let request = http::Request::get("https://localhost/").body(String::new()).unwrap();
        open.send_request(request).await.unwrap().status()
    };
    assert_eq!(ask().await, 200);

    assert_eq!(live.look(), Look::Unchanged);
    assert_eq!(shown(address, client()).await, "first");
    house.issue("second");
    assert_eq!(shown(address, client()).await, "first", "nobody has looked yet");
    assert_eq!(live.look(), Look::Taken);
    assert_eq!(shown(address, client()).await, "second");
    assert_eq!(live.look(), Look::Unchanged);
    assert_eq!(ask().await, 200);
    stop.cancel();
    drop(open);
    running.await.unwrap();
}

#[test]
fn what_does_not_do_is_told_once_found_twice_and_the_certificate_before_it_stays() {
    let house = House::new();
    let live = house.load();
    let before = Arc::clone(&live.server().borrow());
    let is_as_before = || Arc::ptr_eq(&before, &live.server().borrow());
    let other_hub =
        Authority::create(&house.scratch.path().join("other"), "hub-2", house.clock.now()).unwrap();
    let same_name =
        Authority::create(&house.scratch.path().join("same"), "hub-1", house.clock.now()).unwrap();
    let write = |name: &str, text: &str| fs::write(house.path(name), text).unwrap();
    let cases: [(&str, &dyn Fn()); 7] = [
        ("no certificate", &|| write(CERTIFICATE_FILE, "x")),
        ("another's key", &|| {
            let key = fs::read(house.path(KEY_FILE)).unwrap();
            house.issue("y");
            fs::write(house.path(KEY_FILE), key).unwrap();
        }),
        ("no file", &|| fs::remove_file(house.path(KEY_FILE)).unwrap()),
        ("another root", &|| write(ROOT_FILE, same_name.root_pem())),
        ("another service", &|| house.issue_by(&house.authority, "authz", "y")),
        ("another hub", &|| house.issue_by(&other_hub, "authn", "y")),
        ("loose modes", &|| loosen(&house.path(KEY_FILE))),
    ];
    for (what, spoil) in cases {
        spoil();
        let looks = [live.look(), live.look(), live.look()];
        assert_eq!(looks, [Look::Doubtful, Look::Refused, Look::Refused], "{what}");
        assert!(is_as_before(), "{what}");
        // What lies there is made good again, and is another one than that in use.
        let _ = fs::remove_file(house.path(KEY_FILE));
        house.issue("good");
        assert_eq!(
            live.source.files.load("authn", house.clock.now()).map(|_| ()).map_err(|e| e.to_string()),
            Ok(()),
            "{what}"
        );
    }
    assert_eq!(live.look(), Look::Taken);
    assert!(!is_as_before());
}

fn loosen(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn chains_are_judged_by_the_root_that_lies_there() {
    let house = House::new();
    let live = house.load();
    let next = Authority::create(&house.scratch.path().join("next"), "hub-1", house.clock.now()).unwrap();
    let now = house.clock.now();
    let chain = |authority: &Authority| {
        authority
            .issue_principal("local", "111122223333", "AIDAANA", Span::DAY, now)
            .unwrap()
            .chain()
            .unwrap()
    };
    let chains = live.chains();
    let counts = |authority: &Authority| chains.borrow().verify(&chain(authority), now).is_ok();
    assert_eq!((counts(&house.authority), counts(&next)), (true, false));
    // While one root takes the other's place, both count.
    let both = format!("{}{}", house.authority.root_pem(), next.root_pem());
    fs::write(house.path(ROOT_FILE), both).unwrap();
    assert_eq!(live.look(), Look::Taken);
    assert_eq!((counts(&house.authority), counts(&next)), (true, true));
    let _ = fs::remove_file(house.path(KEY_FILE));
    house.issue_by(&next, "authn", "second");
    assert_eq!(live.look(), Look::Taken);
    assert_eq!((counts(&house.authority), counts(&next)), (false, true));
}

#[test]
fn a_certificate_that_ends_in_use_is_told_and_a_start_with_it_is_refused() {
    let house = House::new();
    let live = house.load();
    house.clock.advance(Span::days(2));
    assert_eq!([live.look(), live.look()], [Look::Doubtful, Look::Refused]);
    let clock = Arc::new(house.clock.clone());
    let refused = LiveIdentity::load(&house.files(), "authn", Clients::Required, clock).unwrap_err();
    let is_about_time = matches!(refused, LiveError::Identity(ServiceIdentityError::NotNow { .. }));
    assert!(is_about_time, "{refused}");
    house.issue("renewed");
    assert_eq!(live.look(), Look::Taken);
}

//! Redis servers of a test's own: on free ports of the loopback address, in folders that go with them. They end with the
//! test, also when its process is killed: a shell that waits for the process's end kills them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lanyard_kit::ExposeSecret as _;
use lanyard_kit::tls::{Authority, Names};
use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, FromRedisValue, IntoConnectionInfo as _, RedisResult, TlsCertificates};
use tempfile::TempDir;
use time::OffsetDateTime;

/// The program of the server; the project's test command sets it.
const REDIS: &str = "LANYARD_TEST_REDIS";
/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Another process may take a free port before the server does.
const PORT_TRIES: u32 = 5;

const SCRIPT: &str = r#"
log=$1; shift
"$@" >"$log" 2>&1 </dev/null &
echo $!
read -r _
kill -s KILL $! 2>/dev/null
wait
"#;

/// The program; none where it is not given, and a line that says so.
pub(crate) fn program() -> Option<PathBuf> {
    let path = std::env::var_os(REDIS);
    if path.is_none() {
        println!("skipped: {REDIS} is not set");
    }
    path.map(PathBuf::from)
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A CA and a server's certificate for the loopback address, as files.
pub(crate) struct Tls {
    folder: TempDir,
    pub(crate) ca: Authority,
}

impl Tls {
    pub(crate) fn new() -> Self {
        lanyard_kit::tls::install_provider();
        let folder = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        let ca = Authority::create(&folder.path().join("pki"), "test", now).unwrap();
        // In a cluster servers are each other's clients too.
        let server = ca.issue_service("redis", &Names::loopback(), time::Duration::DAY, now).unwrap();
        fs::write(folder.path().join("server.crt"), &server.chain_pem).unwrap();
        fs::write(folder.path().join("server.key"), server.key_pem.expose_secret()).unwrap();
        Self { folder, ca }
    }

    /// The lines of a server's configuration.
    fn options(&self) -> Vec<String> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        vec![
            format!("tls-cert-file {}", path("server.crt")),
            format!("tls-key-file {}", path("server.key")),
            format!("tls-ca-cert-file {}", self.ca.root_path().display()),
            "tls-auth-clients no".to_owned(),
            "tls-replication yes".to_owned(),
        ]
    }
}

/// A running server, killed with this value.
pub(crate) struct Server {
    command: Vec<String>,
    shell: Child,
    pid: u32,
    pub(crate) port: u16,
    tls: Option<String>,
    folder: TempDir,
}

impl Server {
    /// One with these lines in its configuration.
    pub(crate) async fn start(options: &[&str]) -> Option<Self> {
        Self::start_with(options, None).await
    }

    /// One that speaks TLS alone, where a certificate is given.
    pub(crate) async fn start_with(options: &[&str], tls: Option<&Tls>) -> Option<Self> {
        let program = program()?;
        for _ in 0..PORT_TRIES {
            if let Some(server) = Self::at(program.clone(), free_port(), options, tls).await {
                return Some(server);
            }
        }
        panic!("no Redis started on {PORT_TRIES} free ports");
    }

    /// One at this very port.
    pub(crate) async fn start_at(port: u16) -> Option<Self> {
        let program = program()?;
        Some(Self::at(program, port, &[], None).await.unwrap())
    }

    async fn at(program: PathBuf, port: u16, options: &[&str], tls: Option<&Tls>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (conf, number) = (folder.path().join("redis.conf"), port.to_string());
        let [plain, encrypted] = if tls.is_some() { ["0", number.as_str()] } else { [number.as_str(), "0"] };
        // A file rather than arguments: a Sentinel writes what it has learnt into its own.
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("port {plain}"),
            format!("tls-port {encrypted}"),
            format!("dir {}", folder.path().display()),
        ];
        lines.extend(tls.map(Tls::options).unwrap_or_default());
        lines.extend(options.iter().map(|line| (*line).to_owned()));
        let mut command = vec![program.to_str().unwrap().to_owned(), conf.to_str().unwrap().to_owned()];
        if options.iter().any(|line| line.starts_with("sentinel ")) {
            command.push("--sentinel".to_owned());
        } else {
            lines.extend(["save \"\"", "repl-diskless-sync-delay 0"].map(str::to_owned));
        }
        fs::write(conf, lines.join("\n")).unwrap();
        let (shell, pid) = run(&folder, &command);
        let tls = tls.map(|tls| tls.ca.root_pem().to_owned());
        let mut server = Self { command, shell, pid, port, tls, folder };
        server.is_ready().await.then_some(server)
    }

    /// Whether it came up; the port may have been taken.
    async fn is_ready(&mut self) -> bool {
        let start = Instant::now();
        loop {
            let said = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if said.contains("Ready to accept connections") || said.contains("Sentinel ID is") {
                return true;
            }
            if said.contains("Address already in use") {
                return false;
            }
            assert!(start.elapsed() < PATIENCE && !said.contains("FATAL"), "Redis is not ready:\n{said}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().unwrap();
    }

    /// Starts it again after [`Self::kill`], empty, at the same port.
    pub(crate) async fn again(&mut self) {
        // Somebody's outgoing connection may have the port for a moment.
        let mut is_ready = false;
        eventually("the server is back at its port", async || {
            if !is_ready {
                self.kill();
                (self.shell, self.pid) = run(&self.folder, &self.command);
                is_ready = self.is_ready().await;
            }
            is_ready
        })
        .await;
    }

    /// It is there, and does nothing.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args(["-s", signal, &self.pid.to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection of the test's own.
    pub(crate) async fn control(&self) -> MultiplexedConnection {
        self.try_control().await.unwrap()
    }

    async fn try_control(&self) -> RedisResult<MultiplexedConnection> {
        let (host, port) = ("127.0.0.1".to_owned(), self.port);
        let client = match &self.tls {
            None => redis::Client::open(ConnectionAddr::Tcp(host, port)),
            Some(ca) => {
                let address = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
                let roots = TlsCertificates { client_tls: None, root_cert: Some(ca.clone().into_bytes()) };
                redis::Client::build_with_tls(address.into_connection_info().unwrap(), roots)
            }
        };
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        client?.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Its role; none where it hangs up, as a replica does when it becomes the master.
    pub(crate) async fn role(&self) -> Option<String> {
        let mut control = self.try_control().await.ok()?;
        let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut control).await.ok()?;
        redis::from_redis_value_ref(role.first()?).ok()
    }

    /// Sends a command, given as words.
    pub(crate) async fn tell<T: FromRedisValue>(&self, words: &str) -> T {
        tell(&mut self.control().await, words).await
    }
}

/// Sends a command, given as words.
pub(crate) async fn tell<T: FromRedisValue>(control: &mut MultiplexedConnection, words: &str) -> T {
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    command.query_async(control).await.unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the shell with the server in it, and learns the server's number.
fn run(folder: &TempDir, command: &[String]) -> (Child, u32) {
    // What an earlier one has said is not this one's.
    let log = folder.path().join("log");
    let _ = fs::remove_file(&log);
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT, "redis"])
        .arg(log)
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (shell, line.trim().parse().unwrap())
}

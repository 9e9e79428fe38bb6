use std::collections::VecDeque;
use std::process::Command;
use std::sync::Mutex;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use lanyard_kit::TestClock;
use time::Duration;

use super::*;

/// A place that gives what the test says, one after the other, and counts.
#[derive(Debug)]
struct Script {
    answers: Mutex<VecDeque<provider::Result>>,
    searches: Arc<Mutex<u32>>,
}

impl ProvideCredentials for Script {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        *self.searches.lock().unwrap() += 1;
        let next = self.answers.lock().unwrap().pop_front();
        let none = || Err(CredentialsError::not_loaded("the script is over"));
        future::ProvideCredentials::ready(next.unwrap_or_else(none))
    }
}

fn found(key: &str, ends_at: Option<time::OffsetDateTime>) -> provider::Result {
    let secret = format!("secret of {key}");
    let token = Some("hub+token/=".to_owned());
    Ok(aws_credential_types::Credentials::new(key, secret, token, ends_at.map(Into::into), "script"))
}

struct Stage {
    stand_in: StandIn,
    client: AwsClient,
    clock: TestClock,
    searches: Arc<Mutex<u32>>,
}

impl Stage {
    async fn new(answers: impl FnOnce(time::OffsetDateTime) -> Vec<provider::Result>) -> Self {
        let now = SystemClock.now();
        let clock = TestClock::new(now);
        let stand_in = StandIn::start_with_clock(&HOSTS, Arc::new(clock.clone())).await;
        stand_in.add_principal(ROLE, "AROADEV");
        let searches = Arc::new(Mutex::new(0));
        let script = Script { answers: Mutex::new(answers(now).into()), searches: Arc::clone(&searches) };
        let source = CredentialSource::of(SharedCredentialsProvider::new(script));
        let http = stand_in.http_options();
        let client = AwsClient::new(&quick(), &region(), source, http, Arc::new(clock.clone())).unwrap();
        Self { stand_in, client, clock, searches }
    }

    fn know(&self, key: &str) {
        let known = credentials(key, Some("hub+token/="));
        self.stand_in.add(&known, OWN, "arn:aws:iam::111122223333:user/hub", "AIDAHUB");
    }

    fn searches(&self) -> u32 {
        *self.searches.lock().unwrap()
    }
}

const FIRST: &str = "ASIAFIRSTFIRSTFIRSTF";
const SECOND: &str = "ASIASECONDSECONDSECO";

#[tokio::test]
async fn credentials_are_kept_until_shortly_before_their_end_and_then_renewed() {
    let stage = Stage::new(|now| {
        vec![found(FIRST, Some(now + Duration::HOUR)), found(SECOND, Some(now + Duration::hours(2)))]
    })
    .await;
    stage.know(FIRST);
    for _ in 0..3 {
        ask(&stage.client, ROLE).await.unwrap();
    }
    assert_eq!(stage.searches(), 1);
    stage.know(SECOND);
    stage.clock.advance(Duration::minutes(56));
    ask(&stage.client, ROLE).await.unwrap();
    assert_eq!(stage.searches(), 2);
}

#[tokio::test]
async fn good_credentials_stay_in_use_while_none_are_found_and_ended_ones_do_not() {
    let stage = Stage::new(|now| vec![found(FIRST, Some(now + Duration::HOUR))]).await;
    stage.know(FIRST);
    ask(&stage.client, ROLE).await.unwrap();
    stage.clock.advance(Duration::minutes(57));
    ask(&stage.client, ROLE).await.unwrap();
    assert_eq!(stage.searches(), 2);
    stage.clock.advance(Duration::minutes(4));
    let fault = ask(&stage.client, ROLE).await.unwrap_err();
    assert!(matches!(&fault, AwsFault::NoCredentials { .. }), "{fault:?}");
    assert!(fault.to_string().contains("AWS_ACCESS_KEY_ID"), "{fault}");
    assert_eq!(stage.searches(), 2, "a search that failed is not repeated at once");
}

#[tokio::test]
async fn credentials_that_aws_takes_for_none_are_looked_for_anew() {
    let stage = Stage::new(|_| vec![found(FIRST, None), found(SECOND, None)]).await;
    stage.know(FIRST);
    ask(&stage.client, ROLE).await.unwrap();
    // Rotated: the old key is gone, the place has a new one.
    stage.stand_in.remove(&AccessKeyId::parse(FIRST).unwrap());
    stage.know(SECOND);
    assert_eq!(ask(&stage.client, ROLE).await, Ok(format!("AROADEV {ROLE}")));
    assert_eq!(stage.searches(), 2);
}

/// The places where AWS's tools look, each in a process of its own: what they read is a process's environment.
#[test]
fn the_hubs_own_credentials_come_from_where_awss_tools_find_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let key = |id: &str| format!("aws_access_key_id = {id}\naws_secret_access_key = s3cret\n");
    let text = format!("[default]\n{}[hub]\n{}", key("AKIADEFAULTDEFAULTDE"), key("AKIAPROFILEPROFILEPR"));
    std::fs::write(&file, text).unwrap();
    let config = folder.path().join("config");
    let answer = r#"{"Version":1,"AccessKeyId":"AKIAPROCESSPROCESSPR","SecretAccessKey":"s3cret"}"#;
    std::fs::write(folder.path().join("answer"), answer).unwrap();
    let process = format!("cat {}", folder.path().join("answer").display());
    std::fs::write(&config, format!("[profile process]\ncredential_process = {process}\n")).unwrap();
    let (file, config) = (file.to_str().unwrap(), config.to_str().unwrap());
    let files = [("AWS_SHARED_CREDENTIALS_FILE", file), ("AWS_CONFIG_FILE", config)];
    let environment = [("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENTENVIR"), ("AWS_SECRET_ACCESS_KEY", "s3cret")];
    let server = MetadataServer::start();
    let container = format!("http://{}/credentials", server.address);
    let instance = format!("http://{}", server.address);
    type Variables<'a> = Vec<(&'a str, &'a str)>;
    // The token of a web identity is worth something to STS alone, which is asked by HTTPS.
    let token = folder.path().join("web-identity");
    std::fs::write(&token, "a.b.c").unwrap();
    let without_authorities = ("SSL_CERT_FILE", "/there/is/none.pem");
    let cases: [(&str, Variables<'_>, &str); 10] = [
        ("environment", [files.to_vec(), environment.to_vec()].concat(), "AKIAENVIRONMENTENVIR"),
        ("default profile", files.to_vec(), "AKIADEFAULTDEFAULTDE"),
        (
            "profile by the environment",
            [files.to_vec(), vec![("AWS_PROFILE", "hub")]].concat(),
            "AKIAPROFILEPROFILEPR",
        ),
        (
            "credential_process",
            [files.to_vec(), vec![("AWS_PROFILE", "process")]].concat(),
            "AKIAPROCESSPROCESSPR",
        ),
        (
            "container",
            vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str())],
            "ASIACONTAINERCONTAIN",
        ),
        (
            "instance",
            vec![
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.as_str()),
                ("AWS_EC2_METADATA_DISABLED", "false"),
            ],
            "ASIAINSTANCEINSTANCE",
        ),
        (
            "container, by a proxy, where nobody listens at the address itself",
            vec![
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/credentials"),
                ("HTTP_PROXY", instance.as_str()),
            ],
            "ASIACONTAINERCONTAIN",
        ),
        ("nowhere", Vec::new(), "there are none in any of the usual places"),
        (
            "container, on a machine without certificate authorities",
            vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str()), without_authorities],
            "ASIACONTAINERCONTAIN",
        ),
        (
            "web identity, on a machine without certificate authorities",
            vec![
                ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
                ("AWS_ROLE_ARN", ROLE),
                // Nobody listens there: what is told is not how that ends.
                ("AWS_ENDPOINT_URL_STS", "https://127.0.0.1:9"),
                without_authorities,
            ],
            "the system has no certificate authorities, so that no place behind HTTPS can be asked: set SSL_CERT_FILE",
        ),
    ];
    for (place, variables, expected) in cases {
        let said = in_a_process_of_its_own("tell_what_is_found", folder.path(), &variables);
        let found = said.lines().find(|line| line.contains("found: ")).unwrap_or_default();
        assert!(found.contains(expected), "{place}: {said}");
        assert!(!said.contains("s3cret"), "{place}: {said}");
    }
}

/// What another test of this file says, run alone with this environment and no other.
fn in_a_process_of_its_own(test: &str, home: &std::path::Path, variables: &[(&str, &str)]) -> String {
    let child = &format!("own::tests::credentials::{test}");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child.as_str(), "--ignored", "--nocapture", "--test-threads", "1"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
#[ignore = "is run by the test above, in a process of its own"]
async fn tell_what_is_found() {
    let stand_in = StandIn::start(&HOSTS).await;
    let client = client(&stand_in, &quick(), CredentialSource::chain(None, &region()));
    match client.own_credentials().await {
        Ok(credentials) => println!("found: {}", credentials.access_key_id),
        Err(AwsFault::NoCredentials { reason }) => println!("found: {reason}"),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_key_that_is_rotated_in_a_file_is_found_and_a_file_that_breaks_takes_none_away() {
    let folder = tempfile::tempdir().unwrap();
    let (file, config) = (folder.path().join("credentials"), folder.path().join("config"));
    let files = [
        ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
    ];
    for test in ["tell_what_a_replaced_file_gives", "tell_what_a_replaced_process_gives"] {
        let said = in_a_process_of_its_own(test, folder.path(), &files);
        assert!(said.contains("it was read anew"), "{test}: {said}");
    }
}

/// As good writers do it: never is there half of a file.
fn replace(file: &std::path::Path, text: &str) {
    let draft = file.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(&draft, file).unwrap();
}

fn file_of(variable: &str) -> std::path::PathBuf {
    std::env::var_os(variable).unwrap().into()
}

#[tokio::test]
#[ignore = "is run by the test above, in a process of its own"]
async fn tell_what_a_replaced_file_gives() {
    let file = file_of("AWS_SHARED_CREDENTIALS_FILE");
    let text = |key: &str| format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = s3cret\n");
    let clock = TestClock::new(SystemClock.now());
    let stand_in = StandIn::start_with_clock(&HOSTS, Arc::new(clock.clone())).await;
    let source = CredentialSource::chain(None, &region());
    let http = stand_in.http_options();
    let client = AwsClient::new(&quick(), &region(), source, http, Arc::new(clock.clone())).unwrap();
    let found = async || client.own_credentials().await.unwrap().access_key_id.as_str().to_owned();
    replace(&file, &text(FIRST));
    assert_eq!(found().await, FIRST);
    replace(&file, &text(SECOND));
    assert_eq!(found().await, FIRST, "it is not read for each call");
    clock.advance(Duration::minutes(5));
    assert_eq!(found().await, SECOND);
    // Written in place, and the key is taken for none before its time.
    std::fs::write(&file, text(FIRST)).unwrap();
    let second = client.own_credentials().await.unwrap();
    client.forget(crate::own::call::Whose::Hub, &second).await;
    assert_eq!(found().await, FIRST);
    for broken in ["[default]\naws_access_key_id = AKIA\n", "[default\n"] {
        replace(&file, broken);
        clock.advance(Duration::minutes(5));
        assert_eq!(found().await, FIRST, "{broken}");
    }
    println!("it was read anew");
}

/// With an end: what gives them is kept, until the file that names it is another one.
#[tokio::test]
#[ignore = "is run by the test above, in a process of its own"]
async fn tell_what_a_replaced_process_gives() {
    let config = file_of("AWS_CONFIG_FILE");
    let _ = std::fs::remove_file(file_of("AWS_SHARED_CREDENTIALS_FILE"));
    let source = CredentialSource::chain(None, &region());
    for key in [FIRST, SECOND] {
        let answer = config.with_file_name(key);
        let text = format!(
            r#"{{"Version":1,"AccessKeyId":"{key}","SecretAccessKey":"s3cret","SessionToken":"t","Expiration":"2099-01-01T00:00:00Z"}}"#
        );
        std::fs::write(&answer, text).unwrap();
        replace(&config, &format!("[default]\ncredential_process = cat {}\n", answer.display()));
        let (found, ends_at) = source.found(SystemClock.now()).await.unwrap();
        assert_eq!(found.access_key_id.as_str(), key);
        assert!(ends_at.is_some());
    }
    println!("it was read anew");
}

/// A container's and an instance's metadata service, plain HTTP on loopback.
struct MetadataServer {
    address: std::net::SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl MetadataServer {
    fn start() -> Self {
        use axum::routing::{get, put};
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let answer = |id: &str| {
            format!(
                r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z","AccessKeyId":"{id}",
                   "SecretAccessKey":"s3cret","Token":"token","Expiration":"2099-01-01T00:00:00Z"}}"#
            )
        };
        let (container, instance) = (answer("ASIACONTAINERCONTAIN"), answer("ASIAINSTANCEINSTANCE"));
        let roles = "/latest/meta-data/iam/security-credentials";
        let router = axum::Router::new()
            .route("/credentials", get(move || async { container }))
            .route(
                "/latest/api/token",
                put(|| async { ([("x-aws-ec2-metadata-token-ttl-seconds", "21600")], "t") }),
            )
            .route(&format!("{roles}/"), get(|| async { "hub" }))
            .route(&format!("{roles}/hub"), get(move || async { instance }));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async { axum::serve(listener, router).await });
        Self { address, _runtime: runtime }
    }
}

use std::sync::Mutex;

use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use time::OffsetDateTime;
use tonic::service::Routes;
use tonic::{Response, Status};

use super::super::super::metrics::tests::shown;
use super::*;
use crate::serve;
use crate::tls::{
    Authority, ClientCertificates, Names, install_provider, secure_dir, server_config, write_public_file,
    write_secret_file,
};
use crate::{ExposeSecret as _, SecretBytes};

/// What a collector does with a message.
#[derive(Clone, Copy)]
enum Manner {
    Takes,
    Refuses(i64),
    Fails,
    IsSilent,
}

struct Stand {
    manner: Manner,
    taken: Arc<Mutex<Vec<(MetadataMap, ExportTraceServiceRequest)>>>,
}

#[tonic::async_trait]
impl TraceService for Stand {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.taken.lock().unwrap().push((metadata, message));
        let rejected = match self.manner {
            Manner::Takes => None,
            Manner::Refuses(rejected_spans) => Some(rejected_spans),
            Manner::Fails => return Err(Status::resource_exhausted("full of secrets")),
            Manner::IsSilent => return std::future::pending().await,
        };
        let partial_success = rejected
            .map(|rejected_spans| ExportTracePartialSuccess { rejected_spans, error_message: String::new() });
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

type Taken = Arc<Mutex<Vec<(MetadataMap, ExportTraceServiceRequest)>>>;

/// A collector on loopback, for as long as the runtime goes on.
async fn collector(manner: Manner, options: serve::Options) -> (String, Taken) {
    let taken = Taken::default();
    let stand = Stand { manner, taken: Arc::clone(&taken) };
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let server = serve::Server::bind(options).await.unwrap();
    let url = format!("{scheme}://{}", server.address());
    let routes = Routes::new(TraceServiceServer::new(stand)).prepare();
    tokio::spawn(server.run(routes.into_axum_router(), tokio_util::sync::CancellationToken::new()));
    (url, taken)
}

/// The outcomes of so many spans, of which the first `late` end before anybody sends.
fn outcomes(manner: Option<Manner>, spans: usize, late: usize) -> (String, Vec<MetadataMap>, usize) {
    let mut arrived = (Vec::new(), 0);
    let text = shown(|| {
        install_provider();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (url, taken) = match manner {
                Some(manner) => collector(manner, serve::Options::loopback(0)).await,
                // Nobody listens on a port that was just given up.
                None => {
                    let server = serve::Server::bind(serve::Options::loopback(0)).await.unwrap();
                    (format!("http://{}", server.address()), Taken::default())
                }
            };
            let config = TracesConfig {
                endpoint: Some(url.parse().unwrap()),
                headers: [("x-tenant".to_owned(), "lab".to_owned().into())].into(),
                queue_max: 8,
                batch_max: 4,
                batch_wait_ms: 10,
                export_timeout_ms: 100,
                ..TracesConfig::default()
            };
            let exporter = Exporter::new(config.collector().unwrap().unwrap(), "lanyard-test");
            let (queue, worker) = pair(&config, exporter);
            let provider = SdkTracerProvider::builder().with_span_processor(queue.clone()).build();
            let tracer = provider.tracer("test");
            (0..late).for_each(|_| tracer.start("late").end());
            tokio::spawn(worker.run());
            for _ in late..spans {
                tracer.start("span").end();
                tokio::task::yield_now().await;
            }
            let (done, sent) = oneshot::channel();
            assert!(queue.flush(done).await);
            timeout(Duration::from_secs(10), sent).await.unwrap().unwrap();
            let taken = taken.lock().unwrap();
            let count = |message: &ExportTraceServiceRequest| -> usize {
                let scopes = message.resource_spans.iter().flat_map(|of_one| &of_one.scope_spans);
                scopes.map(|scope| scope.spans.len()).sum()
            };
            arrived.0 = taken.iter().map(|(metadata, _)| metadata.clone()).collect();
            arrived.1 = taken.iter().map(|(_, message)| count(message)).sum();
        });
    });
    (text, arrived.0, arrived.1)
}

fn assert_counted(text: &str, counted: [usize; 3]) {
    for (outcome, count) in ["exported", "dropped", "failed"].into_iter().zip(counted) {
        let line = format!(r#"lanyard_trace_spans_total{{outcome="{outcome}"}} {count}"#);
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
    }
}

#[test]
fn spans_arrive_in_batches_with_the_headers_that_the_collector_wants() {
    let (text, metadata, spans) = outcomes(Some(Manner::Takes), 6, 6);
    assert_counted(&text, [6, 0, 0]);
    assert_eq!((metadata.len(), spans), (2, 6));
    assert!(metadata.iter().all(|metadata| metadata.get("x-tenant").unwrap() == "lab"));
}

#[test]
fn what_does_not_fit_into_the_queue_is_dropped_and_counted() {
    assert_counted(&outcomes(Some(Manner::Takes), 20, 20).0, [8, 12, 0]);
}

#[test]
fn a_collector_that_is_gone_fails_refuses_or_is_silent_costs_spans_and_nothing_else() {
    assert_counted(&outcomes(None, 3, 3).0, [0, 0, 3]);
    assert_counted(&outcomes(Some(Manner::Fails), 3, 3).0, [0, 0, 3]);
    assert_counted(&outcomes(Some(Manner::Refuses(2)), 3, 3).0, [1, 0, 2]);
    assert_counted(&outcomes(Some(Manner::Refuses(99)), 3, 3).0, [0, 0, 3]);
    assert_counted(&outcomes(Some(Manner::IsSilent), 3, 3).0, [0, 0, 3]);
}

#[test]
fn a_collector_is_told_which_process_it_is() {
    let collector = TracesConfig { endpoint: Some("http://[::1]:1".parse().unwrap()), ..Default::default() };
    let made = || Exporter::new(collector.collector().unwrap().unwrap(), "lanyard-test");
    let text = |exporter: &Exporter| format!("{:?}", exporter.resource.attributes.0);
    let (one, other) = (text(&made()), text(&made()));
    for words in ["lanyard-test", "service.instance.id", env!("CARGO_PKG_VERSION")] {
        assert!(one.contains(words), "{words} is not in {one}");
    }
    assert_ne!(one, other, "replicas are told apart");
}

/// What becomes of one span that is sent over TLS to a collector with this configuration of a server.
fn outcome_over_tls(tls: &Arc<rustls::ServerConfig>, config: &TracesConfig) -> String {
    shown(|| {
        install_provider();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let options = serve::Options::loopback(0).with_tls(Arc::clone(tls));
            let (url, _) = collector(Manner::Takes, options).await;
            let config = TracesConfig { endpoint: Some(url.parse().unwrap()), ..config.clone() };
            let exporter = Exporter::new(config.collector().unwrap().unwrap(), "lanyard-test");
            let (queue, worker) = pair(&config, exporter);
            let provider = SdkTracerProvider::builder().with_span_processor(queue.clone()).build();
            tokio::spawn(worker.run());
            provider.tracer("test").start("span").end();
            let (done, sent) = oneshot::channel();
            assert!(queue.flush(done).await);
            timeout(Duration::from_secs(10), sent).await.unwrap().unwrap();
        });
    })
}

fn authority(folder: &tempfile::TempDir, name: &str) -> Authority {
    Authority::create(&folder.path().join(name), "hub-1", OffsetDateTime::now_utc()).unwrap()
}

#[test]
fn a_collector_is_known_by_its_certificate_or_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (authority(&folder, "own"), authority(&folder, "other"));
    let now = OffsetDateTime::now_utc();
    let certificate = own.issue_server(&Names::loopback(), time::Duration::DAY, now).unwrap();
    let tls = server_config(&certificate, ClientCertificates::NotAsked).unwrap();
    for (trusted, counted) in [(&own, [1, 0, 0]), (&other, [0, 0, 1])] {
        let config =
            TracesConfig { ca_file: Some(trusted.root_path().to_owned()), ..TracesConfig::default() };
        assert_counted(&outcome_over_tls(&tls, &config), counted);
    }
}

#[test]
fn a_collector_that_asks_for_a_certificate_is_shown_the_configured_one() {
    let folder = tempfile::tempdir().unwrap();
    let (own, clients) = (authority(&folder, "own"), authority(&folder, "clients"));
    let now = OffsetDateTime::now_utc();
    let certificate = own.issue_server(&Names::loopback(), time::Duration::DAY, now).unwrap();
    let roots = clients.roots().unwrap();
    let tls = server_config(&certificate, ClientCertificates::Required(&roots)).unwrap();
    let home = folder.path().join("files");
    secure_dir(&home).unwrap();
    let files = |by: &Authority, name: &str| {
        let issued = by.issue_service("collector", &Names::loopback(), time::Duration::DAY, now).unwrap();
        let path = |end: &str| home.join(format!("{name}.{end}"));
        write_public_file(&path("crt"), issued.chain_pem.as_bytes()).unwrap();
        let key = SecretBytes::from(issued.key_pem.expose_secret().as_bytes().to_vec());
        write_secret_file(&path("key"), &key).unwrap();
        (Some(path("crt")), Some(path("key")))
    };
    let cases = [
        (files(&clients, "known"), [1, 0, 0]),
        (files(&own, "unknown"), [0, 0, 1]),
        ((None, None), [0, 0, 1]),
    ];
    for ((certificate_file, key_file), counted) in cases {
        let ca_file = Some(own.root_path().to_owned());
        let config = TracesConfig { ca_file, certificate_file, key_file, ..TracesConfig::default() };
        assert_counted(&outcome_over_tls(&tls, &config), counted);
    }
}

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
use crate::tls::{Authority, ClientCertificates, Names, install_provider, server_config};

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

#[test]
fn a_collector_is_known_by_its_certificate_or_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let authority = |name: &str| {
        Authority::create(&folder.path().join(name), "hub-1", OffsetDateTime::now_utc()).unwrap()
    };
    let (own, other) = (authority("own"), authority("other"));
    for (trusted, counted) in [(&own, [1, 0, 0]), (&other, [0, 0, 1])] {
        let text = shown(|| {
            install_provider();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let now = OffsetDateTime::now_utc();
                let certificate = own.issue_server(&Names::loopback(), time::Duration::DAY, now).unwrap();
                let tls = server_config(&certificate, ClientCertificates::NotAsked).unwrap();
                let options = serve::Options::loopback(0).with_tls(tls);
                let (url, _) = collector(Manner::Takes, options).await;
                let config = TracesConfig {
                    endpoint: Some(url.parse().unwrap()),
                    ca_file: Some(trusted.root_path().to_owned()),
                    ..TracesConfig::default()
                };
                let exporter = Exporter::new(config.collector().unwrap().unwrap(), "lanyard-test");
                let (queue, worker) = pair(&config, exporter);
                let provider = SdkTracerProvider::builder().with_span_processor(queue.clone()).build();
                tokio::spawn(worker.run());
                provider.tracer("test").start("span").end();
                let (done, sent) = oneshot::channel();
                assert!(queue.flush(done).await);
                timeout(Duration::from_secs(10), sent).await.unwrap().unwrap();
            });
        });
        assert_counted(&text, counted);
    }
}

//! What every gRPC server of the suite tells of itself.

use std::future::Future;

use tonic::service::Routes;
use tonic_health::ServingStatus;
/// Reflection cannot read its own descriptors.
pub use tonic_reflection::server::Error as ReflectionError;

/// Longest question to either of these services, in bytes: a name. Anybody may ask, and room for a message is made by its first bytes.
const QUESTION_BYTES_MAX: usize = 16 << 10;

/// The methods, with gRPC's own health service, which says *serving* once `ready` has come, and reflection, by both of its
/// names: most clients in other languages know the older one alone. Needs a Tokio runtime.
///
/// # Errors
/// Where reflection cannot read its own descriptors.
pub async fn with_health_and_reflection(
    routes: Routes,
    ready: impl Future<Output = ()> + Send + 'static,
) -> Result<Routes, ReflectionError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", ServingStatus::NotServing).await;
    tokio::spawn(async move {
        ready.await;
        reporter.set_service_status("", ServingStatus::Serving).await;
    });
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(lanyard_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // What stands in the details of errors, so that clients by reflection can read those too.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(routes
        .add_service(health.max_decoding_message_size(QUESTION_BYTES_MAX))
        .add_service(reflection().build_v1()?.max_decoding_message_size(QUESTION_BYTES_MAX))
        .add_service(reflection().build_v1alpha()?.max_decoding_message_size(QUESTION_BYTES_MAX)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    use tonic::{
        Code, Status,
        codegen::{Service as _, http},
    };

    use super::*;

    const REFLECTION: [&str; 2] = [
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ];

    /// The status in the head of an answer, if it is there, and how long its messages are, to a question whose one field is so long.
    async fn answer(path: &str, tag: u8, name_bytes: usize) -> (Option<Code>, usize) {
        let mut message = vec![tag];
        prost::encoding::encode_varint(name_bytes as u64, &mut message);
        message.resize(message.len() + name_bytes, b'x');
        let mut framed = vec![0];
        framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
        framed.append(&mut message);
        let routes = with_health_and_reflection(Routes::default(), std::future::pending()).await;
        let request = http::Request::post(path).header("content-type", "application/grpc");
        let request = request.body(Full::new(Bytes::from(framed))).unwrap();
        let answer = routes.unwrap().call(request).await.unwrap();
        let code = Status::from_header_map(answer.headers()).map(|status| status.code());
        (code, answer.into_body().collect().await.unwrap().to_bytes().len())
    }

    #[tokio::test]
    async fn immunity_28_what_anybody_may_ask_is_no_longer_than_a_name() {
        let service = 0x0a;
        assert_eq!(answer("/grpc.health.v1.Health/Check", service, 3).await, (Some(Code::NotFound), 0));
        for path in ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"] {
            assert_eq!(
                answer(path, service, QUESTION_BYTES_MAX).await,
                (Some(Code::OutOfRange), 0),
                "{path}"
            );
        }
        let list_services = 0x3a;
        for path in REFLECTION {
            assert!(answer(path, list_services, 3).await.1 > 0, "{path}");
            assert_eq!(answer(path, list_services, QUESTION_BYTES_MAX).await, (None, 0), "{path}");
        }
    }
}

//! What every gRPC server of the suite tells of itself.

use std::future::Future;

use tonic::service::Routes;
use tonic_health::ServingStatus;
/// Reflection cannot read its own descriptors.
pub use tonic_reflection::server::Error as ReflectionError;

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
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?))
}

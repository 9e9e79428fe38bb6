//! A Lanyard hub: its front door, over gRPC. The agent proves itself by its own projected token, in which the cluster's API server
//! says on which node it runs; that the hub holds against the pod token's node.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use lanyard_proto::credentials::v1::vend_client::VendClient;
use lanyard_proto::credentials::v1::{AssumeRoleForPodIdentityRequest, PodCredentials};
use time::OffsetDateTime;
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use url::Url;

use super::{AuthError, Upstream, UpstreamError};
use crate::credentials::Credentials;
use crate::files;
use crate::token::PodToken;

/// Which cluster the token of the call is of.
const CLUSTER_METADATA: &str = "x-lanyard-cluster";
/// For one connection, as the published agent's dialer has it.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a silent connection is asked whether it is still there: a hub that moved is found before a pod waits for it.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Who it is, in messages.
const WHOM: &str = "the hub";

/// Where the hub is, and as whom it is asked.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// The front door: `https://HOST:PORT`.
    pub url: Url,
    /// Who vouches for it, as PEM.
    pub ca_pem: String,
    /// The agent's own projected token, for the audience `lanyard:node`; read anew for each call, for the kubelet replaces it.
    pub token_file: PathBuf,
    /// The cluster's id at the hub.
    pub cluster: String,
    /// The node's name, for the hub's log.
    pub node: Option<String>,
}

/// Why there is no way to the hub.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The address is none.
    #[error("`{0}` is no address of a hub; write https://HOST:PORT")]
    Url(Url),
    /// Its authority cannot be used.
    #[error("the hub's authority cannot be used: {0}")]
    Tls(tonic::transport::Error),
    /// The cluster's id cannot be sent.
    #[error("`{0}` is no cluster's id")]
    Cluster(String),
}

/// The hub.
pub struct Hub {
    client: VendClient<Channel>,
    cluster: AsciiMetadataValue,
    options: HubOptions,
}

impl Hub {
    /// A connection that is made with the first call, and anew where it breaks.
    ///
    /// # Errors
    /// [`HubError`].
    pub fn new(options: HubOptions) -> Result<Self, HubError> {
        let fault = || HubError::Url(options.url.clone());
        let uri: Uri = options.url.as_str().parse().map_err(|_| fault())?;
        if options.url.scheme() != "https" {
            return Err(fault());
        }
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&options.ca_pem));
        let channel = Endpoint::from(uri)
            .tls_config(tls)
            .map_err(HubError::Tls)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .connect_lazy();
        let cluster = MetadataValue::try_from(&options.cluster)
            .map_err(|_| HubError::Cluster(options.cluster.clone()))?;
        let client = VendClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        Ok(Self { client, cluster, options })
    }

    async fn request(
        &self,
        token: &PodToken,
    ) -> Result<Request<AssumeRoleForPodIdentityRequest>, UpstreamError> {
        let path = &self.options.token_file;
        let bearer = files::bearer(path).await;
        let bearer = bearer
            .map_err(|reason| fault(format!("the agent's own token `{}`: {reason}", path.display())))?;
        let mut request = Request::new(AssumeRoleForPodIdentityRequest {
            cluster: self.options.cluster.clone(),
            token: token.expose().to_owned(),
            node_name: self.options.node.clone(),
        });
        let mut bearer =
            MetadataValue::try_from(bearer.as_bytes()).map_err(|error| fault(error.to_string()))?;
        bearer.set_sensitive(true);
        request.metadata_mut().insert("authorization", bearer);
        request.metadata_mut().insert(CLUSTER_METADATA, self.cluster.clone());
        Ok(request)
    }
}

impl Upstream for Hub {
    async fn assume(&self, token: &PodToken) -> Result<Credentials, UpstreamError> {
        let request = self.request(token).await?;
        match self.client.clone().assume_role_for_pod_identity(request).await {
            Ok(answer) => read(answer.into_inner()),
            Err(status) => Err(refusal(&status)),
        }
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hub({})", self.options.url)
    }
}

fn fault(reason: String) -> UpstreamError {
    UpstreamError::Fault { whom: WHOM, reason }
}

fn read(answer: PodCredentials) -> Result<Credentials, UpstreamError> {
    let missing = |what: &str| fault(format!("its answer has no {what}"));
    let user = answer.user.ok_or_else(|| missing("user"))?;
    let credentials = answer.credentials.ok_or_else(|| missing("credentials"))?;
    let expires_at = credentials.expires_at.ok_or_else(|| missing("end of the credentials"))?;
    let expires_at = OffsetDateTime::from_unix_timestamp(expires_at.seconds)
        .map_err(|_| fault("the end of the credentials is no time".to_owned()))?;
    Ok(Credentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: credentials.secret_access_key.into(),
        session_token: credentials.session_token.into(),
        expires_at,
        assumed_role_arn: user.arn,
    })
}

/// What a status of the hub's is on the wire of EKS Auth. That the hub does not admit the agent itself says nothing about the pod:
/// it is a fault, and kept credentials stay.
fn refusal(status: &Status) -> UpstreamError {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    let code = match (status.code(), reason.as_str()) {
        (_, "pod_identity_denied") => AuthError::AccessDenied,
        (_, "pod_token_expired") => AuthError::ExpiredToken,
        (_, "pod_token_invalid") => AuthError::InvalidToken,
        (_, "pod_request_invalid") => AuthError::InvalidRequest,
        (_, "pod_association_missing") | (Code::NotFound, _) => AuthError::ResourceNotFound,
        (Code::InvalidArgument, _) => AuthError::InvalidParameter,
        (Code::ResourceExhausted, _) => AuthError::Throttling,
        (Code::Internal, _) => AuthError::InternalServer,
        (Code::Unavailable, _) => AuthError::ServiceUnavailable,
        (code, reason) => {
            return fault(format!(
                "{code:?}{}{reason}: {}",
                if reason.is_empty() { "" } else { " " },
                status.message()
            ));
        }
    };
    UpstreamError::answered(code, status.message().to_owned())
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn status(code: Code, reason: &str) -> Status {
        let details = ErrorDetails::with_error_info(reason, "lanyard", std::collections::HashMap::new());
        Status::with_error_details(code, "no", details)
    }

    #[test]
    fn a_status_of_the_hub_is_an_error_of_eks_auth_or_a_fault() {
        let cases = [
            (Code::PermissionDenied, "pod_identity_denied", Some(AuthError::AccessDenied)),
            (Code::PermissionDenied, "pod_token_expired", Some(AuthError::ExpiredToken)),
            (Code::PermissionDenied, "pod_token_invalid", Some(AuthError::InvalidToken)),
            (Code::PermissionDenied, "pod_request_invalid", Some(AuthError::InvalidRequest)),
            (Code::PermissionDenied, "pod_association_missing", Some(AuthError::ResourceNotFound)),
            (Code::PermissionDenied, "node_unknown", None),
            (Code::Unauthenticated, "", None),
            (Code::NotFound, "cluster_not_found", Some(AuthError::ResourceNotFound)),
            (Code::InvalidArgument, "field", Some(AuthError::InvalidParameter)),
            (Code::ResourceExhausted, "", Some(AuthError::Throttling)),
            (Code::Internal, "", Some(AuthError::InternalServer)),
            (Code::Unavailable, "", Some(AuthError::ServiceUnavailable)),
            (Code::DeadlineExceeded, "", None),
        ];
        for (code, reason, expected) in cases {
            let found = match refusal(&status(code, reason)) {
                UpstreamError::Answered { code, .. } => Some(code),
                UpstreamError::Other { .. } | UpstreamError::Fault { .. } => None,
            };
            assert_eq!(found, expected, "{code:?} {reason}");
        }
    }

    #[test]
    fn an_answer_lacks_nothing() {
        assert!(read(PodCredentials::default()).unwrap_err().to_string().contains("user"));
    }
}

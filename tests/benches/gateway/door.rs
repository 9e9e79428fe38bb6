//! The front door of a hub, for somebody who has a key.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use lanyard_api::HubId;
use lanyard_api::grpc::Remote;
use lanyard_api::signing::{Signatory, SignedChannel, Signing};
use lanyard_iam::{Credentials, Region};
use lanyard_kit::{Clock as _, SystemClock};
use serde_json::Value;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::hub::text;
use crate::world;

/// Until a call has to be answered: one may load a large cluster.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The door that a ready-file names.
pub(crate) fn front_door(
    ready: &Value,
    hub: HubId,
    by: &Credentials,
) -> Result<Remote<SignedChannel<Channel>>> {
    let url = text(ready, "grpc")?;
    let root = Certificate::from_pem(std::fs::read(text(ready, "ca")?)?);
    let tls = ClientTlsConfig::new().ca_certificate(root);
    let channel = Endpoint::from_shared(url.to_owned())?.tls_config(tls)?.connect_lazy();
    let signing = Signing {
        by: Signatory::Key(Arc::new(by.clone())),
        region: Region::parse(world::REGION)?,
        hub_id: hub,
        authority: url.trim_start_matches("https://").to_owned(),
        now: Arc::new(|| SystemClock.now()),
    };
    Ok(Remote::new(signing.over(channel)).with_timeout(CALL_TIMEOUT))
}

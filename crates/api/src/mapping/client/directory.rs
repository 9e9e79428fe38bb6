//! The directory of clusters, kept up to date by one task.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lanyard_proto::mapping::v1::{self as pb, clusters_client::ClustersClient};
use tokio::{runtime::Handle, sync::watch};
use tonic::Status;

use crate::{
    grpc::{MESSAGE_BYTES_MAX, Wire, heard},
    mapping::{ClusterDirectory, DIRECTORY_HEARD_WITHIN},
};

/// How long to wait before a watch is begun anew that broke at once.
const WATCH_AGAIN: Duration = Duration::from_secs(1);

/// A directory that follows the service's; empty, at revision 0, until it has been heard for the first time. The task ends
/// when nobody looks any more.
pub(super) fn watched<C: Wire>(channel: C) -> watch::Receiver<Arc<ClusterDirectory>> {
    let (sender, receiver) = watch::channel(Arc::default());
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(follow(channel, sender))),
        Err(error) => tracing::error!(%error, "the directory of clusters cannot be watched"),
    }
    receiver
}

async fn follow<C: Wire>(channel: C, sender: watch::Sender<Arc<ClusterDirectory>>) {
    loop {
        let begun = Instant::now();
        tokio::select! {
            ended = watch_once(channel.clone(), &sender) => {
                if let Err(status) = ended {
                    tracing::info!(code = ?status.code(), "the watch on the directory of clusters broke: beginning anew");
                }
            }
            () = sender.closed() => return,
        }
        // Connections end by their age: one that held is begun anew at once, so that nothing is missed meanwhile.
        if begun.elapsed() > WATCH_AGAIN {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(WATCH_AGAIN) => {}
            () = sender.closed() => return,
        }
    }
}

async fn watch_once<C: Wire>(
    channel: C,
    sender: &watch::Sender<Arc<ClusterDirectory>>,
) -> Result<(), Status> {
    let mut client = ClustersClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut stream = heard(DIRECTORY_HEARD_WITHIN, client.watch_directory(())).await?.into_inner();
    while let Some(message) = heard(DIRECTORY_HEARD_WITHIN, stream.message()).await? {
        publish(message, sender);
    }
    Ok(())
}

/// A lower revision than the one held is the answer of a replica that lags: it is not taken. That the one held is current is a
/// change to those who look on, though the value is the same.
fn publish(message: pb::ClusterDirectory, sender: &watch::Sender<Arc<ClusterDirectory>>) {
    if message.is_unchanged {
        sender.send_if_modified(|held| held.revision.0 == message.revision);
        return;
    }
    let directory = match ClusterDirectory::try_from(message) {
        Ok(directory) => Arc::new(directory),
        Err(error) => return tracing::error!(%error, "a directory of clusters cannot be read"),
    };
    let taken = sender.send_if_modified(|held| {
        let newer = directory.revision >= held.revision;
        if newer {
            *held = Arc::clone(&directory);
        }
        newer
    });
    if !taken {
        tracing::error!(revision = %directory.revision, "a directory of clusters is older than the one held");
    }
}

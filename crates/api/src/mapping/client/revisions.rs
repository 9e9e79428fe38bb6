//! How far all scopes are, heard of a service for as long as somebody listens.

use std::{pin::Pin, time::Duration};

use futures::{StreamExt as _, stream};
use lanyard_proto::mapping::v1::{self as pb, clusters_client::ClustersClient};
use tonic::Streaming;

use crate::{
    fault::CallError,
    grpc::{MESSAGE_BYTES_MAX, Wire, field, heard},
    mapping::{REVISIONS_HEARD_WITHIN, RevisionReport, RevisionReports},
};

/// How long to wait before a watch is begun anew that broke.
const WATCH_AGAIN: Duration = Duration::from_millis(250);

/// Where a watch stands.
enum State {
    /// To be begun, after a while where one broke.
    Begin { pause: Duration },
    /// Under way.
    Open(Pin<Box<Streaming<pb::Revisions>>>),
}

/// What the service tells; a watch that breaks is reported as lost and begun anew.
pub(super) fn watched<C: Wire>(channel: C) -> RevisionReports {
    let begin = State::Begin { pause: Duration::ZERO };
    let next = move |mut state: State| {
        let channel = channel.clone();
        async move {
            loop {
                state = match state {
                    State::Begin { pause } => {
                        tokio::time::sleep(pause).await;
                        let mut client =
                            ClustersClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
                        match heard(REVISIONS_HEARD_WITHIN, client.watch_revisions(())).await {
                            Ok(answer) => State::Open(Box::pin(answer.into_inner())),
                            Err(status) => return Some(lost(&status)),
                        }
                    }
                    State::Open(mut stream) => {
                        return Some(match heard(REVISIONS_HEARD_WITHIN, stream.message()).await {
                            Ok(Some(message)) => match read(message) {
                                Ok(report) => (report, State::Open(stream)),
                                Err(error) => {
                                    tracing::error!(%error, "how far the scopes are cannot be read");
                                    (RevisionReport::Lost, State::Begin { pause: WATCH_AGAIN })
                                }
                            },
                            // Connections end by their age.
                            Ok(None) => (RevisionReport::Lost, State::Begin { pause: Duration::ZERO }),
                            Err(status) => lost(&status),
                        });
                    }
                }
            }
        }
    };
    stream::unfold(begin, next).boxed()
}

fn lost(status: &tonic::Status) -> (RevisionReport, State) {
    tracing::debug!(code = ?status.code(), "nobody tells how far the scopes are: asking anew");
    (RevisionReport::Lost, State::Begin { pause: WATCH_AGAIN })
}

fn read(message: pb::Revisions) -> Result<RevisionReport, CallError> {
    let mut scopes = Vec::with_capacity(message.scopes.len());
    for of in message.scopes {
        scopes.push((field::parse("scope", &of.scope)?, crate::Revision(of.revision)));
    }
    Ok(if message.is_all { RevisionReport::All(scopes) } else { RevisionReport::Moved(scopes) })
}

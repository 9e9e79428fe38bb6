//! `lanyard entry watch`: what happens to the entries of a cluster, as it happens.

use std::time::Duration;

use futures::StreamExt as _;
use lanyard_api::{
    CallError, ClusterId,
    grpc::admitted_at_the_door,
    mapping::{Entries, EntryEvent, EntryEventKind, EntryEvents, WatchEnd},
};

use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    output::{Output, line, on_one_line},
    show::{Row as _, wire_name},
};

/// How long to wait before a watch is begun again that the hub could not go on with.
const AGAIN: Duration = Duration::from_secs(1);

/// How many times in a row it is begun again without an event between.
const AGAIN_MAX: u32 = 30;

/// How long a watch is listened to that says nothing: the hub speaks every twenty seconds, so that two words are missing then.
const SILENT_MAX: Duration = Duration::from_secs(50);

/// The code of a signature whose time has passed: a watch outlives that of its call.
const SIGNATURE_TOO_OLD: &str = "signature_too_old";

/// Shows events until the caller stops it, may no longer look, or the hub is gone for good.
pub(super) async fn run(
    context: &Context,
    entries: &impl Entries,
    cluster: &ClusterId,
) -> Result<Ending, Failure> {
    let mut after: Option<WatchEnd> = None;
    let mut tries = 0;
    loop {
        let ended = match entries.watch_entries(admitted_at_the_door(), cluster.clone(), after).await {
            Ok(mut events) => loop {
                match next_of(&mut events).await {
                    Some(Ok(event)) => {
                        tries = 0;
                        after = Some(WatchEnd { revision: event.revision, cluster: Some(event.cluster) });
                        show(context.output, &event)?;
                    }
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            },
            Err(error) => Some(error),
        };
        match ended {
            Some(CallError::Denied(denial)) if denial.code == SIGNATURE_TOO_OLD => continue,
            Some(CallError::Fault(_)) | None if tries < AGAIN_MAX => tries += 1,
            Some(error) => return Err(error.into()),
            None => {
                return Err(Failure::NoAnswer("the hub ends the watch each time that it begins".to_owned()));
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// What comes next; none where the watch has ended, or its connection leads to nobody any more, which shows as silence alone.
async fn next_of(events: &mut EntryEvents) -> Option<Result<EntryEvent, CallError>> {
    tokio::time::timeout(SILENT_MAX, events.next()).await.unwrap_or(None)
}

fn show(output: Output, event: &EntryEvent) -> Result<(), Failure> {
    let text = match output {
        Output::Json => serde_json::to_string(event).map_err(Failure::usage)?,
        Output::Yaml => {
            format!("---\n{}", serde_saphyr::to_string(event).map_err(Failure::usage)?.trim_end())
        }
        Output::Table => match (&event.entry, event.kind) {
            (Some(detail), kind) => {
                let cells = detail.cells().join("  ").replace('\n', "; ");
                format!("{:<8} {}", wire_name(&kind), on_one_line(&cells))
            }
            (None, EntryEventKind::Bookmark) => return Ok(()),
            (None, kind) => wire_name(&kind),
        },
    };
    line(&text).map_err(|error| Failure::NoAnswer(format!("standard output cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use lanyard_api::{ClusterUid, Revision};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_says_nothing_is_listened_to_for_a_while_alone() {
        let (kind, revision, cluster) = (EntryEventKind::Bookmark, Revision(7), ClusterUid::random());
        let event = move || EntryEvent { kind, revision, cluster, entry: None };
        let late = async move {
            tokio::time::sleep(SILENT_MAX - Duration::from_secs(1)).await;
            Ok(event())
        };
        let mut events: EntryEvents = stream::once(late).chain(stream::pending()).boxed();
        assert_eq!(next_of(&mut events).await, Some(Ok(event())));
        assert_eq!(next_of(&mut events).await, None);
        assert_eq!(next_of(&mut stream::empty().boxed()).await, None);
    }
}

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
                        after = end_of(&event).or(after);
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

/// Where a watch may go on that has told this event. A hub that does not tell the cluster gives all that it tells at once the revision of the
/// last, so that its bookmarks alone say that nothing is missing.
fn end_of(event: &EntryEvent) -> Option<WatchEnd> {
    let is_whole = event.cluster.is_some() || event.kind == EntryEventKind::Bookmark;
    is_whole.then_some(WatchEnd { revision: event.revision, cluster: event.cluster })
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
        let (kind, revision, cluster) = (EntryEventKind::Bookmark, Revision(7), Some(ClusterUid::random()));
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

    #[test]
    fn of_a_hub_that_does_not_tell_the_cluster_a_bookmark_alone_is_gone_on_from() {
        let revision = Revision(7);
        let told = |kind, cluster| end_of(&EntryEvent { kind, revision, cluster, entry: None });
        let named = Some(ClusterUid::random());
        for kind in [EntryEventKind::Added, EntryEventKind::Reset, EntryEventKind::Bookmark] {
            assert_eq!(told(kind, named), Some(WatchEnd { revision, cluster: named }));
        }
        assert_eq!(told(EntryEventKind::Bookmark, None), Some(WatchEnd { revision, cluster: None }));
        assert_eq!(told(EntryEventKind::Added, None), None);
        assert_eq!(told(EntryEventKind::Reset, None), None);
    }
}

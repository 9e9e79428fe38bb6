//! Pages of what an account has, read from the store: records are there as the last write left them, on every replica.

use lanyard_api::{CallError, Page, PageQuery, Scope};
use lanyard_store::Record;

use crate::cache::SharedCache;
use crate::engine::Engine;

/// Most records that are read at once to find those of a page.
pub(super) const RECORDS_READ_MAX: u32 = 1_000;

impl<S: SharedCache> Engine<S> {
    /// A page of what is stored of a kind, in the order of keys: what is before it is not read, and of what follows no more than it
    /// takes to find as many that are meant, a bounded number at a time.
    pub(super) async fn stored_page<R: Record>(
        &self,
        scope: Scope,
        page: &PageQuery,
        is_meant: impl Fn(&R) -> bool,
    ) -> Result<Page<R>, CallError> {
        let most = page.most();
        let (mut found, mut after) = (Vec::new(), page.token.clone());
        // One more than the page has tells whether another one follows.
        let mut step = u32::try_from(most).unwrap_or(RECORDS_READ_MAX).saturating_add(1);
        loop {
            let read: Vec<R> = self.store.list_after(scope, &after, step).await?;
            let was_last = (read.len() as u64) < u64::from(step);
            if let Some(last) = read.last() {
                after = last.key();
            }
            found.extend(read.into_iter().filter(&is_meant));
            if was_last || found.len() > most {
                break;
            }
            step = step.saturating_mul(2).min(RECORDS_READ_MAX);
        }
        let first = PageQuery { token: String::new(), ..page.clone() };
        Ok(Page::cut(found.into_iter(), &first, Record::key))
    }
}

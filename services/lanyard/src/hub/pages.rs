//! Lists, followed to their end.

use lanyard_api::{Fault, Page, PageQuery};

use crate::failure::Failure;

/// Most items that one command lists.
const ITEMS_MAX: usize = 200_000;

/// All items of a list that comes in pages.
///
/// # Errors
/// That of a page; [`Failure::NoAnswer`] where the list does not end.
pub async fn all_pages<T, E: Into<Failure>>(
    mut page: impl AsyncFnMut(PageQuery) -> Result<Page<T>, E>,
) -> Result<Vec<T>, Failure> {
    let mut items = Vec::new();
    let mut token = String::new();
    loop {
        let next = page(PageQuery { items_max: 0, token: token.clone() }).await.map_err(Into::into)?;
        items.extend(next.items);
        match next.next_token {
            None => return Ok(items),
            // A page that leads back to itself would be asked for without end.
            Some(next) if next == token || items.len() > ITEMS_MAX => return Err(Fault::Internal.into()),
            Some(next) => token = next,
        }
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::CallError;

    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn every_page_is_asked_for_once_and_in_order() {
        let numbers: Vec<String> = (0..250).map(|n| format!("{n:03}")).collect();
        let listed = run(all_pages(async |query: PageQuery| {
            Ok::<_, CallError>(Page::cut(numbers.iter().cloned(), &query, Clone::clone))
        }));
        assert_eq!(listed.unwrap(), numbers);
    }

    #[test]
    fn a_list_that_leads_back_to_itself_ends() {
        let listed = run(all_pages(async |_| {
            Ok::<_, CallError>(Page { items: vec![1], next_token: Some("again".to_owned()) })
        }));
        assert!(matches!(listed, Err(Failure::NoAnswer(_))));
    }
}

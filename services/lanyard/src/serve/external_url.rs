//! The URL by which the hub is known: told, else as it was first told.

use lanyard_store::{ExternalUrl, Store, StoreError};

use super::config::ServeConfig;

/// What the hub goes by, if anybody has ever said it. Where what is told now is another one than what is stored, the log says so.
///
/// # Errors
/// [`StoreError`] where the store does not answer.
pub async fn settle(store: &Store, config: &ServeConfig) -> Result<Option<String>, StoreError> {
    let url = store.settle_external_url(config.external_url.as_deref()).await?;
    let of_issuers = config.credentials.external_url.as_deref();
    for doubt in doubts(&url, of_issuers) {
        tracing::warn!("{doubt}");
    }
    Ok(url.used().map(str::to_owned))
}

/// What differs from what is stored. Issuers may be told theirs by a key of their own.
fn doubts(url: &ExternalUrl, of_issuers: Option<&str>) -> Vec<String> {
    let of_issuers = ExternalUrl::of(url.settled(), of_issuers);
    [url.doubt("external_url"), of_issuers.doubt("credentials.external_url")].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_keys_are_held_against_what_is_stored() {
        let keys = |settled, told, of_issuers| -> Vec<String> {
            let doubts = doubts(&ExternalUrl::of(settled, told), of_issuers);
            doubts.iter().filter_map(|doubt| Some(doubt.split_once(" is ")?.0.to_owned())).collect()
        };
        let (a, b) = (Some("https://a.example"), Some("https://b.example"));
        assert!(keys(None, None, a).is_empty());
        assert!(keys(a, None, None).is_empty());
        assert!(keys(a, a, a).is_empty());
        assert_eq!(keys(a, b, a), ["external_url"]);
        assert_eq!(keys(None, a, b), ["credentials.external_url"]);
        assert_eq!(keys(a, b, b), ["external_url", "credentials.external_url"]);
    }
}

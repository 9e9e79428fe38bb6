//! Where the hub serves the issuers of clusters.

use lanyard_api::ClusterUid;

/// What stands between the hub's URL and a cluster's uid (as EKS has it).
const PATH: &str = "/id/";

/// A cluster's issuer at the hub; none where the hub does not know its own URL.
pub(crate) fn own_url(external_url: Option<&str>, cluster: ClusterUid) -> Option<String> {
    external_url.map(|url| format!("{}{PATH}{cluster}", url.trim_end_matches('/')))
}

/// The uid that ends an issuer's URL, where it ends as the hub's do.
pub(crate) fn uid_in(issuer_url: &str) -> Option<ClusterUid> {
    let (_, uid) = issuer_url.rsplit_once(PATH)?;
    uid.parse().ok()
}

/// The cluster whose place at the hub an issuer's URL is: the hub has its keys, and asks nobody for them.
pub(crate) fn own_cluster(external_url: Option<&str>, issuer_url: &str) -> Option<ClusterUid> {
    uid_in(issuer_url).filter(|cluster| own_url(external_url, *cluster).as_deref() == Some(issuer_url))
}

/// Whether it is under the hub's own URL, where each cluster has one place: nobody else can have their issuer there.
pub(crate) fn is_of_another_cluster(
    external_url: Option<&str>,
    issuer_url: &str,
    cluster: ClusterUid,
) -> bool {
    let Some(external_url) = external_url else { return false };
    // Hosts and schemes ignore letter case, and so does who fetches documents there.
    let base = format!("{}{PATH}", external_url.trim_end_matches('/')).to_ascii_lowercase();
    issuer_url.to_ascii_lowercase().starts_with(&base)
        && own_url(Some(external_url), cluster).as_deref() != Some(issuer_url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_has_one_place_under_the_hubs_url_and_no_other() {
        let (own, other) = (ClusterUid::random(), ClusterUid::random());
        let hub = Some("https://hub.example/");
        let url = own_url(hub, own).unwrap();
        assert_eq!(url, format!("https://hub.example/id/{own}"));
        assert_eq!((own_url(None, own), uid_in(&url)), (None, Some(own)));
        assert_eq!((own_cluster(hub, &url), own_cluster(None, &url)), (Some(own), None));
        assert_eq!(own_cluster(hub, &format!("https://other.example/id/{own}")), None);
        let cases = [
            (url.clone(), false),
            ("https://bucket.example/id/x".to_owned(), false),
            ("https://hub.example/other".to_owned(), false),
            (format!("https://hub.example/id/{other}"), true),
            (format!("{url}/"), true),
            (format!("https://HUB.example/id/{own}"), true),
            ("https://hub.example/id/".to_owned(), true),
        ];
        for (asked, expected) in cases {
            assert_eq!(is_of_another_cluster(hub, &asked, own), expected, "{asked}");
        }
        assert!(!is_of_another_cluster(None, "https://hub.example/id/x", own));
        assert_eq!(uid_in("https://hub.example/id/x"), None);
    }
}

//! For which namespaces the instance-metadata road is open: those that the agent was told, and those that bear the label, where it
//! looks for that.
//!
//! The label is on the Namespace object, which who may only make pods in it cannot change (Kubernetes, "Using RBAC Authorization": the
//! roles `admin` and `edit` do not write namespaces). A pod's own labels and annotations, which the kubelet would tell without another
//! right, are whatever who makes the pod writes.

use std::collections::{BTreeSet, HashSet};
use std::io::{BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::RandomState;
use lanyard_kit::telemetry::names;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::listed::{KeepOptions, Kept, List, ListError, Unlisted};

/// What opens the road for a namespace, as a label selector (Kubernetes, "Labels and Selectors").
pub const LABEL_SELECTOR: &str = "lanyard.dev/instance-metadata=enabled";
/// All namespaces, where the agent is told so.
const ALL: &str = "*";
/// Most namespaces that are taken. Kubernetes supports 10,000 in a cluster.
const NAMESPACES_MAX: usize = 10_000;
/// How the list is kept. Every node asks, so it is asked for less often than the pods of the node are; what it says is believed as long
/// as those are, while the API server is away.
pub const KEPT: KeepOptions = KeepOptions {
    interval: Duration::from_secs(30),
    pause: Duration::from_secs(1),
    age_max: Duration::from_secs(5 * 60),
};

/// The namespaces that bear the label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labelled(HashSet<String, RandomState>);

impl Labelled {
    /// Where an API server lists them: those alone that bear the label, as it has them in its memory
    /// (Kubernetes API Concepts, "Resource versions"), for every node asks.
    #[must_use]
    pub fn url(mut api_server: Url) -> Url {
        api_server.set_path("/api/v1/namespaces");
        api_server
            .query_pairs_mut()
            .clear()
            .append_pair("labelSelector", LABEL_SELECTOR)
            .append_pair("resourceVersion", "0");
        api_server
    }

    /// Whether this one does.
    #[must_use]
    pub fn contains(&self, namespace: &str) -> bool {
        self.0.contains(namespace)
    }
}

impl List for Labelled {
    const WHAT: &'static str = "the namespaces that have this road";
    // Their metadata is enough (Kubernetes API concepts, "Metadata-only fetches"); servers that have no such form send all of it.
    const ACCEPT: &'static str =
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json";
    const QUESTIONS: &'static str = names::AGENT_NAMESPACE_LISTS_TOTAL;
    const COUNT: &'static str = names::AGENT_NAMESPACES;

    /// Reads a `NamespaceList`, or a `PartialObjectMetadataList` of namespaces.
    fn read(body: impl Read) -> Result<Self, ListError> {
        let list: wire::List = serde_json::from_reader(BufReader::new(body))?;
        // Go writes a list without elements as null.
        let items = list.items.unwrap_or_default();
        if items.len() > NAMESPACES_MAX {
            return Err(ListError::TooMany { count: items.len(), most: NAMESPACES_MAX });
        }
        // The server selects; what it sends without the label all the same is not taken.
        Ok(Self(items.into_iter().filter_map(wire::Item::labelled).collect()))
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    fn advice(status: u16) -> &'static str {
        match status {
            401 => ": it does not know the agent's token",
            403 => ": let the agent's service account list `namespaces`, or leave --imds-by-label out",
            _ => "",
        }
    }
}

/// The few members that are read (Kubernetes API, `core/v1`, `meta/v1`).
mod wire {
    use super::*;

    #[derive(Deserialize)]
    pub(super) struct List {
        pub(super) items: Option<Vec<Item>>,
    }

    #[derive(Deserialize)]
    pub(super) struct Item {
        metadata: Metadata,
    }

    #[derive(Deserialize)]
    struct Metadata {
        name: String,
        labels: Option<std::collections::HashMap<String, String>>,
    }

    impl Item {
        /// Its name, if it bears the label.
        pub(super) fn labelled(self) -> Option<String> {
            let (key, value) = LABEL_SELECTOR.split_once('=')?;
            let has = self.metadata.labels?.get(key).is_some_and(|found| found == value);
            has.then_some(self.metadata.name).filter(|name| !name.is_empty())
        }
    }
}

/// For whom the road is open.
#[derive(Debug, Clone)]
pub struct Namespaces {
    /// Those that the agent was told; `*` is all.
    pub told: BTreeSet<String>,
    /// Those that bear the label, where it looks for that.
    pub labelled: Option<Arc<Kept<Labelled>>>,
}

impl Namespaces {
    /// Whether it is open for pods of this one.
    ///
    /// # Errors
    /// [`Unlisted`] where only the labels could say so, and they are not known.
    pub async fn include(&self, namespace: &str) -> Result<bool, Unlisted> {
        if self.told.contains(namespace) || self.told.contains(ALL) {
            return Ok(true);
        }
        let Some(labelled) = &self.labelled else { return Ok(false) };
        let look = || labelled.read(|listed| listed.list.contains(namespace));
        if let Some(found) = look() {
            return Ok(found);
        }
        // Only who has no list at all waits for one: those that are not in it ask again and again, on every node.
        labelled.refresh_unless(Instant::now(), || look().is_some()).await;
        look().ok_or_else(Unlisted::of::<Labelled>)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::listed::ListFault;

    fn item(name: &str, labels: Value) -> Value {
        json!({ "metadata": { "name": name, "labels": labels } })
    }

    #[test]
    fn those_with_the_label_are_taken_and_no_others() {
        let items = [
            item("shop", json!({ "lanyard.dev/instance-metadata": "enabled", "x": "y" })),
            item("off", json!({ "lanyard.dev/instance-metadata": "disabled" })),
            item("other", json!({ "instance-metadata": "enabled" })),
            item("bare", Value::Null),
        ];
        let list = Labelled::parse(json!({ "items": items }).to_string().as_bytes()).unwrap();
        assert_eq!(list.count(), 1);
        for (name, expected) in
            [("shop", true), ("off", false), ("other", false), ("bare", false), ("", false)]
        {
            assert_eq!(list.contains(name), expected, "{name}");
        }
        assert_eq!(Labelled::parse(br#"{"items":null}"#).unwrap(), Labelled::default());
        for body in [&b""[..], b"[]", br#"{"items":[{"metadata":{}}]}"#, b"not json"] {
            assert!(matches!(Labelled::parse(body), Err(ListError::Form(_))), "{body:?}");
        }
        let many = json!({ "items": vec![item("x", Value::Null); NAMESPACES_MAX + 1] }).to_string();
        assert!(matches!(Labelled::parse(many.as_bytes()), Err(ListError::TooMany { .. })));
    }

    #[test]
    fn the_api_server_is_asked_for_these_alone() {
        let url = Labelled::url("https://10.0.0.1:443/?x=y".parse().unwrap());
        let expected = "https://10.0.0.1/api/v1/namespaces?labelSelector=lanyard.dev%2Finstance-metadata%3Denabled&resourceVersion=0";
        assert_eq!(url.as_str(), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Labelled::parse(&body);
        }
    }

    /// An API server whose list can be changed; without one it is away.
    fn followed(list: &Arc<Mutex<Option<Vec<Value>>>>, asked: &Arc<AtomicUsize>) -> Namespaces {
        let (list, asked) = (Arc::clone(list), Arc::clone(asked));
        let source = move || {
            asked.fetch_add(1, Ordering::SeqCst);
            let items = list.lock().unwrap().clone();
            let fault = ListFault::Status { host: "api".to_owned(), status: 503, advice: "" };
            let found = items.ok_or(fault);
            let parse = |items| Labelled::parse(json!({ "items": items }).to_string().as_bytes()).unwrap();
            std::future::ready(found.map(parse))
        };
        let told = BTreeSet::from(["told".to_owned()]);
        Namespaces { told, labelled: Some(Arc::new(Kept::of(source, KEPT))) }
    }

    #[tokio::test(start_paused = true)]
    async fn immunity_47_the_road_is_open_for_those_that_were_told_or_bear_the_label() {
        let enabled = || item("shop", json!({ "lanyard.dev/instance-metadata": "enabled" }));
        let (list, asked) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
        let namespaces = followed(&list, &asked);
        assert_eq!(namespaces.include("told").await, Ok(true));
        assert_eq!(asked.load(Ordering::SeqCst), 0, "nobody has to be asked for it");
        assert_eq!(namespaces.include("shop").await, Err(Unlisted::of::<Labelled>()), "which is no refusal");
        *list.lock().unwrap() = Some(vec![enabled()]);
        assert_eq!(namespaces.include("shop").await, Ok(true));
        let before = asked.load(Ordering::SeqCst);
        for _ in 0..100 {
            assert_eq!(namespaces.include("quiet").await, Ok(false));
        }
        assert_eq!(asked.load(Ordering::SeqCst), before, "who is not in the list makes nobody ask");
        // The list is believed while the API server is away, and not for ever.
        *list.lock().unwrap() = None;
        tokio::time::advance(KEPT.age_max).await;
        assert_eq!(namespaces.include("shop").await, Ok(true));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(namespaces.include("shop").await, Err(Unlisted::of::<Labelled>()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_label_that_is_taken_away_closes_the_road_within_the_interval() {
        let enabled = item("shop", json!({ "lanyard.dev/instance-metadata": "enabled" }));
        let (list, asked) = (Arc::new(Mutex::new(Some(vec![enabled]))), Arc::new(AtomicUsize::new(0)));
        let namespaces = followed(&list, &asked);
        let stop = tokio_util::sync::CancellationToken::new();
        let kept = Arc::clone(namespaces.labelled.as_ref().unwrap());
        tokio::spawn({
            let stop = stop.clone();
            async move { kept.run(stop).await }
        });
        assert_eq!(namespaces.include("shop").await, Ok(true));
        *list.lock().unwrap() = Some(Vec::new());
        tokio::time::sleep(KEPT.interval + KEPT.pause).await;
        assert_eq!(namespaces.include("shop").await, Ok(false));
        stop.cancel();
    }

    #[tokio::test]
    async fn without_the_label_being_looked_for_only_what_was_told_counts() {
        let told = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let cases: [(&[&str], &str, bool); 4] = [
            (&["shop"], "shop", true),
            (&["shop"], "quiet", false),
            (&["*"], "quiet", true),
            (&[], "shop", false),
        ];
        for (names, asked, expected) in cases {
            let namespaces = Namespaces { told: told(names), labelled: None };
            assert_eq!(namespaces.include(asked).await, Ok(expected), "{names:?} {asked}");
        }
    }
}

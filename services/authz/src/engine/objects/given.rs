//! What is given to an apply, read and held against what can be stored.

use std::fmt;

use lanyard_api::{CallError, ClusterUid, authz::ObjectBatch};
use lanyard_iam::shown_within;
use lanyard_rbac::{Limits, Object, ObjectKey, Parsed, Refused, Skipped, parse_partially, parse_within};
use lanyard_store::{RbacObject, check_record};

use crate::config::AuthzConfig;

/// Most characters of a name in a message; Kubernetes sets no limit to those of RBAC objects.
const NAME_CHARS_MAX: usize = 200;

/// The objects of a batch.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) objects: Vec<Object>,
    pub(super) skipped: Vec<Skipped>,
    /// Of a partial batch.
    pub(super) refused: Vec<LeftOut>,
}

/// An object that is not taken, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Which one, where that can be read.
    pub(super) key: Option<ObjectKey>,
    place: String,
    why: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Kubernetes lets the names of RBAC objects hold nearly anything.
        let shown = |key: &ObjectKey| shown_within(&key.to_string(), NAME_CHARS_MAX);
        let which = self.key.as_ref().map_or_else(|| self.place.clone(), shown);
        write!(f, "{which}: {}", self.why)
    }
}

impl Given {
    /// Reads a batch. Of a partial one what cannot be taken is left out.
    pub(super) fn read(
        batch: &ObjectBatch,
        config: &AuthzConfig,
        cluster: ClusterUid,
    ) -> Result<Self, CallError> {
        let limits =
            Limits { bytes_max: config.apply_bytes_max, objects_max: config.objects_max, ..Limits::DEFAULT };
        let parse = if batch.partial { parse_partially } else { parse_within };
        let Parsed { objects, skipped, refused } = parse(batch.documents.as_bytes(), limits)
            .map_err(|error| CallError::invalid("documents", "rbac_document", error.to_string()))?;
        let mut given = Self { objects, skipped, refused: refused.into_iter().map(LeftOut::from).collect() };
        if batch.partial {
            given.leave_out_what_no_table_holds(cluster);
        }
        Ok(given)
    }

    fn leave_out_what_no_table_holds(&mut self, cluster: ClusterUid) {
        let refused = &mut self.refused;
        self.objects.retain(|object| {
            let record = RbacObject { cluster, object: object.clone() };
            let Err(error) = check_record(&record) else { return true };
            let why = error.to_string();
            refused.push(LeftOut { key: Some(object.key()), place: String::new(), why });
            false
        });
    }
}

impl From<Refused> for LeftOut {
    fn from(refused: Refused) -> Self {
        let Refused { key, document, item, error } = refused;
        let place = match item {
            Some(item) => format!("document {document}, item {item}"),
            None => format!("document {document}"),
        };
        Self { key, place, why: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(documents: &str, partial: bool) -> Result<Given, CallError> {
        let batch = ObjectBatch { partial, ..ObjectBatch::of(documents) };
        Given::read(&batch, &AuthzConfig::default(), ClusterUid::random())
    }

    fn list(items: &[&str]) -> String {
        format!(r#"{{"apiVersion":"v1","kind":"List","items":[{}]}}"#, items.join(","))
    }

    fn role(name: &str, rules: &str) -> String {
        format!(
            r#"{{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{{"name":"{name}","namespace":"n"}},"rules":{rules}}}"#
        )
    }

    #[test]
    fn of_a_partial_batch_what_cannot_be_taken_is_left_out_by_name() {
        let (good, long) = (role("good", "[]"), role(&"x".repeat(2_000), "[]"));
        let bad = role("bad", r#"[{"verbs":"get"}]"#);
        let bent = role(r"be\nnt\u202e", r#"[{"verbs":"get"}]"#);
        let given = read(&list(&[&bad, &good, &long, "[]", &bent]), true).unwrap();
        assert_eq!(
            given.objects.iter().map(|object| object.key().to_string()).collect::<Vec<_>>(),
            ["Role/n/good"]
        );
        let told: Vec<String> = given.refused.iter().map(ToString::to_string).collect();
        assert!(told[0].starts_with("Role/n/bad: `rules[0].verbs`"), "{told:?}");
        assert!(told[1].starts_with("document 1, item 3: "), "{told:?}");
        assert!(told[2].starts_with(r"Role/n/be\nnt\u{202e}: "), "{told:?}");
        assert!(
            told[3].starts_with("Role/n/xxx") && told[3].len() < 500 && told[3].contains("1024"),
            "{told:?}"
        );
        assert_eq!(given.refused[0].key, Some(ObjectKey::role("n", "bad")));
        assert!(read(&list(&[&bad, &good]), false).is_err(), "all or nothing, unless that is asked for");
        assert!(read("{", true).is_err(), "what is no document at all is none in part");
    }
}

//! `lanyard rbac apply`: of a file's objects what decides anything is sent, which is a part of what kubectl prints of them.

use lanyard_api::{
    CallError,
    authz::{ApplySummary, ObjectBatch},
    grpc::MESSAGE_BYTES_MAX,
    named,
};
use lanyard_rbac::{Limits, Skipped};

use super::KubernetesList;
use crate::{failure::Failure, input::Source};

pub(super) const HELP: &str = "\
All of a file goes with one message, as compact JSON of what decides: annotations, managed fields and the like stay here. A hub takes \
messages of up to gateway.message_bytes_max (4 MiB unless set); for what is longer than that, the command says how much it needs.

Examples:
  kubectl get clusterroles,clusterrolebindings,roles,rolebindings -A -o yaml | lanyard rbac apply dev -f -
  lanyard rbac apply dev -f rbac.yaml --replace     # also removes what is not in it";

/// Most bytes of a file: with managed fields and indented it has several times what is sent of it.
const FILE_BYTES_MAX: u64 = Limits::DEFAULT.bytes_max as u64;
/// What a message has beside the objects.
const BESIDE_BYTES: usize = 64 * 1024;

/// What was read of a file, for messages.
#[derive(Debug)]
pub(super) struct Given {
    name: String,
    objects: usize,
    bytes: usize,
    skipped: Vec<Skipped>,
    replace: bool,
}

impl Given {
    /// Reads a file, and makes of it what is sent.
    pub(super) fn read(file: &Source, replace: bool) -> Result<(Self, ObjectBatch), Failure> {
        let text = file.read_within(FILE_BYTES_MAX, in_parts(replace))?;
        Self::of(file.name(), &text, replace)
    }

    fn of(name: String, text: &str, replace: bool) -> Result<(Self, ObjectBatch), Failure> {
        let parsed = lanyard_rbac::parse(text.as_bytes())
            .map_err(|error| Failure::usage(format!("{name}: {error}")))?;
        let objects = parsed.objects.len();
        let documents =
            serde_json::to_string(&KubernetesList::of(parsed.objects)).map_err(anyhow::Error::from)?;
        let given = Self { name, objects, bytes: documents.len(), skipped: parsed.skipped, replace };
        given.fits()?;
        Ok((given, ObjectBatch { documents, replace, partial: false }))
    }

    /// Whether any hub takes it, however it is set.
    fn fits(&self) -> Result<(), Failure> {
        if self.message_bytes() > MESSAGE_BYTES_MAX {
            return Err(self.too_long(MESSAGE_BYTES_MAX as u64));
        }
        Ok(())
    }

    fn message_bytes(&self) -> usize {
        self.bytes.saturating_add(BESIDE_BYTES)
    }

    /// Why the hub did not take it.
    pub(super) fn refused(&self, error: CallError) -> Failure {
        match error {
            CallError::LimitExceeded { what, limit } if what == CallError::MESSAGE_BYTES => {
                self.too_long(limit)
            }
            error => error.into(),
        }
    }

    fn too_long(&self, limit: u64) -> Failure {
        let Self { name, objects, bytes, .. } = self;
        let wanted = self.message_bytes();
        let raise = match wanted <= MESSAGE_BYTES_MAX {
            true => format!("raise the hub's `gateway.message_bytes_max` to {wanted}, or "),
            false => String::new(),
        };
        Failure::usage(format!(
            "{name}: its {objects} objects are {bytes} bytes as they are sent, and a message has at most {limit}: {raise}{}",
            in_parts(self.replace)
        ))
    }

    /// What the hub did, with what was not sent to it.
    pub(super) fn told(&self, summary: ApplySummary) -> ApplySummary {
        ApplySummary { skipped: named(self.skipped.iter().map(ToString::to_string)), ..summary }
    }
}

/// How more is applied than goes at once. Each message replaces by itself: there is no replacement in parts.
fn in_parts(replace: bool) -> &'static str {
    match replace {
        true => {
            "apply it in parts without --replace, which would remove with each part what the others brought, and then remove what is \
             in none of them by `lanyard rbac delete`"
        }
        false => "apply it in parts",
    }
}

#[cfg(test)]
mod tests {
    use lanyard_rbac::parse;

    use super::*;

    const PRINTED: &str = r#"
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata:
    name: devs
    namespace: team-a
    uid: 0b1c6b5e-1111-4222-8333-444455556666
    annotations: {kubectl.kubernetes.io/last-applied-configuration: "{\"what\":\"a long one\"}"}
    managedFields: [{manager: helm, operation: Update, fieldsType: FieldsV1, fieldsV1: {"f:roleRef": {}}}]
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
  subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: devs}]
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: other}
"#;

    fn given(replace: bool) -> (Given, ObjectBatch) {
        Given::of("`rbac.yaml`".to_owned(), PRINTED, replace).unwrap()
    }

    #[test]
    fn what_decides_is_sent_and_what_was_left_out_is_told() {
        let (given, batch) = given(true);
        assert!(batch.replace && !batch.partial);
        let (sent, printed) =
            (parse(batch.documents.as_bytes()).unwrap(), parse(PRINTED.as_bytes()).unwrap());
        assert_eq!(sent.objects, printed.objects);
        assert_eq!((given.objects, given.bytes), (1, batch.documents.len()));
        for word in ["managedFields", "annotations", "uid", "ConfigMap", "\n"] {
            assert!(!batch.documents.contains(word), "{word}: {}", batch.documents);
        }
        let summary = given.told(ApplySummary { created: 1, ..ApplySummary::default() });
        assert_eq!(
            (summary.created, summary.skipped),
            (1, vec!["document 1: v1 ConfigMap other".to_owned()])
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_file_and_place() {
        let flawed =
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: a, namespace: N_1}\n";
        let said = Given::of("`rbac.yaml`".to_owned(), flawed, false).unwrap_err().to_string();
        assert!(said.starts_with("`rbac.yaml`: document 1, line 3, column "), "{said}");
    }

    #[test]
    fn what_is_too_long_is_told_with_its_size_the_limit_and_a_way_that_loses_nothing() {
        let too_long =
            || CallError::LimitExceeded { what: CallError::MESSAGE_BYTES.into(), limit: 4_194_304 };
        for replace in [false, true] {
            let (mut given, _) = given(replace);
            assert!(given.fits().is_ok());
            given.bytes = 5_000_000;
            let said = given.refused(too_long()).to_string();
            let begins = "`rbac.yaml`: its 1 objects are 5000000 bytes as they are sent, and a message has at most 4194304: raise the \
                          hub's `gateway.message_bytes_max` to 5065536, or apply it in parts";
            assert!(said.starts_with(begins), "{said}");
            assert_eq!(said.contains("without --replace"), replace, "{said}");
            given.bytes = 17 << 20;
            let said = given.fits().unwrap_err().to_string();
            assert!(said.contains("at most 16777216: apply it in parts"), "{said}");
        }
        let other = CallError::LimitExceeded { what: "RBAC objects of one cluster".into(), limit: 2 };
        assert!(matches!(given(true).0.refused(other.clone()), Failure::Refused(error) if error == other));
    }
}

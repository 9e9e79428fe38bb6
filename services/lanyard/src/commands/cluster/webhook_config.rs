//! `lanyard cluster webhook-config ID --out DIR`: the files that a kube-apiserver needs to ask this hub.

use std::path::{Path, PathBuf};

use clap::Args;
use lanyard_api::{
    ClusterId, Mutation,
    grpc::admitted_at_the_door,
    mapping::{Cluster, Clusters, SpokeCredential, SpokeCredentialKind},
};
use lanyard_kit::tls;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::files::{FilesArgs, Folder, flags_noted, tell_of_loopback};
use crate::{
    cli::{Context, complain},
    exit::Ending,
    failure::Failure,
    hub::Hub,
    kubefiles::{self, KubernetesVersion, Way},
    output::Tabular,
};

pub(super) const HELP: &str = "\
Examples:
  lanyard cluster webhook-config dev --out /etc/kubernetes/lanyard
  lanyard cluster webhook-config dev --out ./lanyard --path /etc/kubernetes/lanyard   # copied there afterwards
  lanyard cluster webhook-config dev --out ./lanyard --kubernetes-version 1.31                # of an older API server

Each run makes a new credential for the API server; those before it count until `lanyard cluster spoke-credential delete` ends \
them, and a cluster has five: one more ends the oldest. The folder gets mode 0700, its files 0600.

Put the flags that it prints in the place of those that the API server has: it does not start with --authorization-config beside \
an --authorization-mode, which kubeadm's manifest has. One that runs as a static pod (kubeadm, EKS Anywhere, kops) needs the folder \
mounted: a hostPath volume, read-only.";

const TOKEN_REVIEW: &str = "tokenreview.kubeconfig";
const ACCESS_REVIEW: &str = "subjectaccessreview.kubeconfig";
const AUTHORIZATION: &str = "authorization-config.yaml";
const FLAGS: &str = "flags.txt";

/// The flags of `lanyard cluster webhook-config`.
#[derive(Debug, Args)]
pub struct WebhookConfigArgs {
    #[command(flatten)]
    files: FilesArgs,
    /// The release of the cluster's API server, which reads its files strictly: before 1.34 it knows less of them, before 1.29
    /// flags alone.
    #[arg(long, value_name = "1.NN", default_value_t = KubernetesVersion::CURRENT)]
    kubernetes_version: KubernetesVersion,
}

/// The files, and what they are for.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    pub(super) cluster: String,
    credential: String,
    files: Vec<String>,
    flags: Vec<String>,
    note: String,
    #[serde(skip)]
    folder: PathBuf,
}

impl Written {
    /// Where they are.
    pub(super) fn folder(&self) -> String {
        self.folder.display().to_string()
    }

    /// The token in them.
    ///
    /// # Errors
    /// [`Failure::Usage`] where it is not there.
    pub(super) fn token(&self) -> Result<SecretString, Failure> {
        let missing = || {
            Failure::usage(format!(
                "`{}` holds no token: write it anew",
                self.folder.join(TOKEN_REVIEW).display()
            ))
        };
        token_in(&self.folder)?.ok_or_else(missing)
    }
}

impl Tabular for Written {
    fn columns(&self) -> Vec<&'static str> {
        vec!["WRITTEN"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.files.iter().map(|file| vec![file.clone()]).collect()
    }

    fn notes(&self) -> Vec<String> {
        flags_noted(&self.flags).into_iter().chain(self.note.lines().map(str::to_owned)).collect()
    }
}

/// A file's name, and its content, which may hold the credential.
type File = (&'static str, String);

impl WebhookConfigArgs {
    /// Makes the credential and writes the files.
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let (gateway, folder) = self.files.places(hub)?;
        let cluster = hub.remote().get_cluster(admitted_at_the_door(), self.files.cluster).await?;
        let files = Files::in_folder(folder, &cluster, &gateway, self.kubernetes_version.way());
        let written = files.write(hub, self.files.change.into()).await?;
        let ending = context.show(&written)?;
        // Who may make one need not be allowed to see the others.
        if let Ok(all) = hub.remote().list_spoke_credentials(admitted_at_the_door(), cluster.id.clone()).await
            && let Some(notice) = older(&cluster.id, &written.credential, &all)
        {
            complain(&format!("notice: {notice}"));
        }
        Ok(ending)
    }
}

/// Most of the credentials before that a notice names.
const NAMED_MAX: usize = 3;

/// That the files that were written before still count, and how they are made to count no more.
fn older(cluster: &ClusterId, made: &str, all: &[SpokeCredential]) -> Option<String> {
    let is_older = |credential: &&SpokeCredential| {
        credential.kind == SpokeCredentialKind::Token && credential.id != made
    };
    let older: Vec<&str> = all.iter().filter(is_older).map(|credential| credential.id.as_str()).collect();
    let count = older.len();
    let named = match older.get(..NAMED_MAX).filter(|_| count > NAMED_MAX) {
        Some(some) => format!("{}, …", some.join(", ")),
        None => older.join(", "),
    };
    (count > 0).then(|| {
        format!(
            "cluster `{cluster}` has {count} more, made before, which count until they are deleted ({named}), and a sixth \
             ends the oldest: once no API server uses one, `lanyard cluster spoke-credential delete {cluster} ID`"
        )
    })
}

/// The files of one cluster's API server in one folder.
pub(super) struct Files<'a> {
    folder: Folder,
    cluster: &'a Cluster,
    gateway: &'a str,
    way: Way,
}

impl<'a> Files<'a> {
    /// Of this cluster, which asks this gateway, for an API server that is told in this way.
    pub(super) fn in_folder(folder: Folder, cluster: &'a Cluster, gateway: &'a str, way: Way) -> Self {
        Self { folder, cluster, gateway, way }
    }

    /// The same for the release that the files in the folder are for, if all of them are there: of one that nobody has told, what
    /// somebody has written is the better guess.
    pub(super) fn of_those_there(self) -> Self {
        let mut ways = KubernetesVersion::newest_first().map(KubernetesVersion::way);
        let way = ways.find(|way| self.are_there(*way)).unwrap_or(self.way);
        Self { way, ..self }
    }

    /// Whether all files are there, and tell an API server in this way.
    fn are_there(&self, way: Way) -> bool {
        let text = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).ok();
        names(way).iter().all(|name| self.folder.path().join(name).exists())
            && way.is_of(&text(FLAGS).unwrap_or_default(), text(AUTHORIZATION).as_deref())
    }

    fn flags(&self) -> Vec<String> {
        let authorization = match self.way {
            Way::File(_) => AUTHORIZATION,
            Way::Flags => ACCESS_REVIEW,
        };
        let at = |name| self.folder.at(name);
        kubefiles::api_server_flags(self.cluster, &at(TOKEN_REVIEW), &at(authorization), self.way)
    }

    fn contents(&self, ca_pem: &str, token: &SecretString) -> Vec<File> {
        let door = |name: &str| {
            let url = format!("{}/clusters/{}/{name}", self.gateway, self.cluster.id);
            kubefiles::webhook_kubeconfig(&url, ca_pem, token)
        };
        let mut files =
            vec![(TOKEN_REVIEW, door("tokenreview")), (ACCESS_REVIEW, door("subjectaccessreview"))];
        if let Way::File(structured) = self.way {
            let text = kubefiles::authorization_configuration(&self.folder.at(ACCESS_REVIEW), structured);
            files.push((AUTHORIZATION, text));
        }
        files.push((FLAGS, self.flags().join("\n") + "\n"));
        files
    }

    /// Makes a credential and writes the files with it.
    ///
    /// # Errors
    /// [`Failure`] where the hub makes none, or a file cannot be written.
    pub(super) async fn write(&self, hub: &Hub, by: Mutation) -> Result<Written, Failure> {
        let made = hub.remote().create_spoke_credential(by, self.cluster.id.clone()).await?;
        // The oldest may have ended for it.
        made.notices.iter().for_each(|notice| complain(&format!("notice: {notice}")));
        let (credential, token) = made.value;
        for (name, text) in self.contents(&hub.target.ca_pem, &token) {
            self.folder.write(name, text)?;
        }
        tell_of_loopback(self.gateway);
        Ok(self.written(credential.id))
    }

    /// The files as they lie there, if all of them do, they are for such a release, they ask this gateway about this cluster, and
    /// their credential counts.
    ///
    /// # Errors
    /// [`Failure`] where the hub does not say which credentials count, or a file is not to be trusted.
    pub(super) async fn that_count(&self, hub: &impl Clusters) -> Result<Option<Written>, Failure> {
        let out = self.folder.path();
        if !self.are_there(self.way) {
            return Ok(None);
        }
        let text = read(&out.join(TOKEN_REVIEW))?;
        let url = format!("{}/clusters/{}/tokenreview", self.gateway, self.cluster.id);
        let Some(token) = token_in(out)?.filter(|_| text.expose_secret().contains(&url)) else {
            return Ok(None);
        };
        let digest = hex::encode(Sha256::digest(token.expose_secret()));
        let known = hub.list_spoke_credentials(admitted_at_the_door(), self.cluster.id.clone()).await?;
        let counts = known.into_iter().find(|credential| credential.token_sha256 == digest);
        Ok(counts.map(|credential| self.written(credential.id)))
    }

    fn written(&self, credential: String) -> Written {
        Written {
            cluster: self.cluster.id.to_string(),
            credential,
            files: self.folder.written(names(self.way)),
            flags: self.flags(),
            note: format!(
                "{}\n{}",
                kubefiles::audience_note(self.cluster),
                kubefiles::revocation_note(self.cluster, self.way)
            ),
            folder: self.folder.path().to_owned(),
        }
    }
}

/// What the files are called.
fn names(way: Way) -> &'static [&'static str] {
    match way {
        Way::File(_) => &[TOKEN_REVIEW, ACCESS_REVIEW, AUTHORIZATION, FLAGS],
        Way::Flags => &[TOKEN_REVIEW, ACCESS_REVIEW, FLAGS],
    }
}

fn read(path: &Path) -> Result<SecretString, Failure> {
    let bytes = tls::read_secret_file(path).map_err(Failure::usage)?;
    let text = std::str::from_utf8(bytes.expose_secret());
    text.map(SecretString::from).map_err(|_| Failure::usage(format!("`{}` is not UTF-8", path.display())))
}

/// The token of the kubeconfig in a folder.
fn token_in(folder: &Path) -> Result<Option<SecretString>, Failure> {
    let text = read(&folder.join(TOKEN_REVIEW))?;
    let read: Result<serde_json::Value, _> = serde_saphyr::from_str(text.expose_secret());
    let token =
        read.ok().and_then(|config| config.pointer("/users/0/user/token")?.as_str().map(SecretString::from));
    Ok(token)
}

#[cfg(test)]
mod tests {
    use lanyard_api::ClusterUid;
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::output::table;

    fn way(version: &str) -> Way {
        version.parse::<KubernetesVersion>().unwrap().way()
    }

    fn cluster() -> Cluster {
        serde_json::from_value(json!({
            "uid": "00000000-0000-4000-8000-000000000001", "id": "dev", "name": "dev", "partition": "aws",
            "account": "111122223333", "region": "eu-central-1", "endpoint": null, "certificate_authority": null,
            "authentication_mode": "API", "authorizer_mode": "webhook-first", "trusted_accounts": [],
            "audiences": [], "token_cache_seconds": 10, "created_by": "test", "tags": {},
            "created_at": "2026-11-24T12:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn what_is_to_be_known_of_the_files_stands_below_them_a_line_each() {
        let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
        let out = Folder::make(&folder.path().join("files"), None).unwrap();
        let files = Files::in_folder(out, &cluster, "https://hub.example", way("1.35"));
        let shown = table(&files.written("credential".to_owned()));
        assert!(!shown.contains(r"\n"), "{shown}");
        for begin in ["audiences: ", "revocation: "] {
            assert_eq!(shown.lines().filter(|line| line.starts_with(begin)).count(), 1, "{shown}");
        }
    }

    #[test]
    fn files_are_those_of_the_releases_that_are_told_in_the_same_way_and_of_no_other() {
        let (cluster, folder) = (cluster(), tempfile::tempdir().unwrap());
        let out = folder.path().join("files");
        let files = |version: &str| {
            Files::in_folder(Folder::make(&out, None).unwrap(), &cluster, "https://hub.example", way(version))
        };
        assert!(!files("1.28").are_there(way("1.28")), "of an empty folder");
        for (written, asked, are_kept) in [
            ("1.28", "1.28", true),
            // No AuthorizationConfiguration is missed where there is none to be.
            ("1.28", "1.17", true),
            ("1.28", "1.35", false),
            ("1.31", "1.31", true),
            ("1.31", "1.30", true),
            ("1.31", "1.29", false),
            ("1.31", "1.35", false),
            ("1.33", "1.32", true),
            ("1.33", "1.34", false),
            ("1.35", "1.34", true),
            ("1.35", "1.31", false),
            // The file of before lies there still, and the flags do not name it.
            ("1.35", "1.28", false),
            ("1.28", "1.28", true),
            ("1.28", "1.35", false),
        ] {
            let of = files(written);
            for (name, text) in of.contents("PEM", &"lsp_x".into()) {
                of.folder.write(name, text).unwrap();
            }
            assert_eq!(
                files(asked).are_there(way(asked)),
                are_kept,
                "written for {written}, asked for {asked}"
            );
            // Of a release that nobody knows they stay what they are.
            assert_eq!(files("1.35").of_those_there().way, way(written), "{written}");
        }
        std::fs::remove_file(out.join(FLAGS)).unwrap();
        assert!(!files("1.28").are_there(way("1.28")), "without the flags");
    }

    #[test]
    fn what_an_api_server_takes_to_start_is_noted_below_the_flags_and_the_file_of_flags_is_flags_alone() {
        let cluster = cluster();
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::make(&folder.path().join("files"), None).unwrap();
        let files = Files::in_folder(folder, &cluster, "https://hub.example", way("1.35"));
        let notes = files.written("id".to_owned()).notes();
        let at = |start: &str| notes.iter().position(|note| note.starts_with(start)).unwrap();
        assert!(at("  --authorization-config=") < at("replaced: --authorization-config takes the place of"));
        assert!(notes[at("static pod:")].contains("hostPath"));
        let contents = files.contents("PEM", &"lsp_x".into());
        let (_, flags) = contents.iter().find(|(name, _)| *name == FLAGS).unwrap();
        assert!(flags.lines().all(|line| line.starts_with("--")), "{flags}");
    }

    #[test]
    fn who_makes_another_credential_is_told_of_those_before_it() {
        let credential = |id: &str, kind: SpokeCredentialKind| SpokeCredential {
            cluster: ClusterUid::random(),
            id: id.to_owned(),
            token_sha256: String::new(),
            created_at: datetime!(2026-11-24 12:00 UTC),
            kind,
        };
        let token = |id: &str| credential(id, SpokeCredentialKind::Token);
        let told = |all: &[SpokeCredential]| older(&"dev".parse().unwrap(), "new", all);
        assert_eq!(told(&[token("new"), credential("spoke", SpokeCredentialKind::Certificate)]), None);
        let one = told(&[token("a"), token("new")]).unwrap();
        assert!(one.contains("has 1 more") && one.contains("(a)") && one.contains("delete dev ID"), "{one}");
        let many = told(&["a", "b", "c", "d", "new"].map(token)).unwrap();
        assert!(many.contains("has 4 more") && many.contains("(a, b, c, …)"), "{many}");
    }
}

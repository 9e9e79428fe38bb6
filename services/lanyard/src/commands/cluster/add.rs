//! `lanyard cluster add NAME --kubeconfig FILE`: a cluster that exists, registered whole.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use http::{HeaderMap, HeaderValue, Method, header};
use lanyard_api::{
    CallError,
    grpc::admitted_at_the_door,
    kubeconfig::Kubeconfig,
    mapping::{Cluster, Clusters, SpokeStatus, Spokes},
};
use lanyard_kit::{
    http_client::{AddressRules, HttpClient, Options, Request},
    tls::certificates_from_pem,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::spoke::{review_rule, spoke_rules};
use super::{
    CreateArgs,
    files::{Folder, gateway_url},
    release::Release,
    settings::Again,
    webhook_config::{self, Written},
};
use crate::{
    cli::{Context, complain},
    exit::Ending,
    failure::Failure,
    hub::Hub,
    input::Source,
    kubefiles::KubernetesVersion,
    output::Tabular,
};

pub(super) const HELP: &str = concat!(
    "\
Examples:
  lanyard cluster add dev --kubeconfig dev.yaml --region us-east-1 --out ./dev
  lanyard cluster add dev --kubeconfig ~/.kube/config --context admin@dev --out ./dev --path /etc/kubernetes/lanyard

The kubeconfig is reduced to API server, CA, and token or client certificate, and kept sealed; what would make a hub run a
command, read a file or trust anybody is refused by name. Its credential needs a ClusterRole with these rules:
",
    spoke_rules!(),
    review_rule!(),
    "
Without the last one the hub does not hear of the end of a pod, and vends to it by its token alone while that lasts.

The API server is asked for its release at `/version`, for each release reads other files; of one
that does not answer here, --kubernetes-version says it.

Run again, it changes what is different and nothing else: flags that are given count as the first
time, endpoint and CA are the kubeconfig's where no flag gives them, and files of that release
whose credential counts stay as they are. Of --trust, --audience and --tag it takes nothing away:
`lanyard cluster update` does that. A kubeconfig whose server has a path (a cluster behind Rancher)
leads to a proxy: then endpoint and CA are those of --endpoint and --certificate-authority alone.

Put the flags that it prints in the place of those that the API server has: it does not start with
--authorization-config beside an --authorization-mode, which kubeadm's manifest has. One that runs
as a static pod (kubeadm, EKS Anywhere, kops) needs the folder mounted: a hostPath volume,
read-only."
);

/// How long the first look at a new cluster is waited for.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// How often it is asked whether it was taken.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The flags of `lanyard cluster add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    create: CreateArgs,
    /// The way to its API server, for the hub.
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// The kubeconfig's context; by default its current one.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The folder for the API server's files; made if it is not there [default: ./NAME-lanyard].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where the files will lie on the API server's machine; by default where they are written.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The URL of the hub's gateway, as the API server reaches it; by default the ready-file's.
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// The release of its API server, which reads its files strictly; by default what the API server says.
    #[arg(long, value_name = "1.NN")]
    kubernetes_version: Option<KubernetesVersion>,
}

/// What was done, and what is left to do.
#[derive(Debug, Serialize)]
struct Added {
    uid: String,
    /// `created`, `updated` or `unchanged`.
    registration: &'static str,
    /// Which of its settings were changed.
    changed: Vec<&'static str>,
    /// What of its lists no flag names.
    kept: Vec<String>,
    kubeconfig_version: u64,
    /// Which release the files are for.
    kubernetes: Release,
    /// The API server's files: `written`, or `kept` where their credential counts.
    files_are: &'static str,
    #[serde(flatten)]
    written: Written,
    /// What the gateway said to a review with the credential in the files.
    check: String,
    spoke: SpokeStatus,
}

impl Tabular for Added {
    fn columns(&self) -> Vec<&'static str> {
        vec!["STEP", "RESULT"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |step: &str, result: String| vec![step.to_owned(), result];
        let watch = match &self.spoke.watch {
            Some(watch) => match (&watch.fault, watch.listed_at) {
                (Some(fault), _) => format!("not yet: {fault}"),
                (None, Some(_)) => {
                    format!("{} RBAC objects, {} ServiceAccounts seen", watch.objects, watch.service_accounts)
                }
                (None, None) => "begun".to_owned(),
            },
            None => "no spoke service has taken it yet".to_owned(),
        };
        let settings =
            if self.changed.is_empty() { String::new() } else { format!(": {}", self.changed.join(", ")) };
        let mut rows =
            vec![row("cluster", format!("{} {}{settings}", self.written.cluster, self.registration))];
        if !self.kept.is_empty() {
            let kept = self.kept.join(", ");
            rows.push(row(
                "kept",
                format!("{kept}; beside what the flags name, until `lanyard cluster update` takes it away"),
            ));
        }
        rows.extend([
            row("kubeconfig", format!("version {}", self.kubeconfig_version)),
            row("release", self.kubernetes.words()),
            row("files", format!("{} in {}", self.files_are, self.written.folder())),
            row("check", self.check.clone()),
            row("watch", watch),
            row("pods", self.pods().to_owned()),
        ]);
        rows
    }

    fn notes(&self) -> Vec<String> {
        self.written.notes()
    }
}

impl Added {
    /// Whether the hub can ask the API server about pods.
    fn pods(&self) -> &'static str {
        match self.spoke.watch.as_ref().and_then(|watch| watch.reviews_pods) {
            Some(true) => "the API server tells the hub whether a pod is still there",
            Some(false) => {
                "the credential may not `create` `tokenreviews` of `authentication.k8s.io`: the hub does not hear of the end of a \
                 pod, so let it by a ClusterRole (`lanyard cluster add --help`)"
            }
            None => {
                "it is not known yet whether the credential may have tokens reviewed: see `lanyard cluster describe`"
            }
        }
    }
}

/// The cluster as it is now, and what became of it.
struct Registered {
    cluster: Cluster,
    registration: &'static str,
    changed: Vec<&'static str>,
    kept: Vec<String>,
}

impl AddArgs {
    /// Does what is not done yet.
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let text = SecretString::from(Source::File(self.kubeconfig.clone()).read()?);
        let reduced =
            Kubeconfig::reduce(text.expose_secret(), self.context.as_deref()).map_err(Failure::usage)?;
        let gateway = gateway_url(self.gateway.as_deref(), hub)?;
        let out =
            self.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}-lanyard", self.create.name())));
        // Before anything is made: where the release is refused, there is nothing to take back.
        let kubernetes = Release::of(self.kubernetes_version, &reduced).await?;
        if let Some(doubt) = kubernetes.doubt() {
            complain(&format!("warning: {doubt}"));
        }
        let Registered { cluster, registration, changed, kept } =
            self.register(context, hub, &reduced).await?;
        if cluster.endpoint.is_none() {
            complain(&format!("notice: {}", without_endpoint(&cluster, &reduced)));
        }
        let remote = hub.remote();
        let put = remote.put_spoke_kubeconfig(
            self.create.change(),
            cluster.id.clone(),
            reduced.to_document(),
            None,
        );
        let kubeconfig = put.await?.value;
        let folder = Folder::make(&out, self.path.as_deref())?;
        let files = webhook_config::Files::in_folder(folder, &cluster, &gateway, kubernetes.version().way());
        let files = if kubernetes.is_known() { files } else { files.of_those_there() };
        let (written, is_new) = match files.that_count(&remote).await? {
            Some(kept) => (kept, false),
            None => (files.write(hub, self.create.change()).await?, true),
        };
        let check = check(&gateway, &hub.target.ca_pem, &cluster, &written.token()?).await?;
        let spoke = first_look(&remote, &cluster).await?;
        context.show(&Added {
            uid: cluster.uid.to_string(),
            registration,
            changed,
            kept,
            kubeconfig_version: kubeconfig.version,
            kubernetes,
            files_are: if is_new { "written" } else { "kept" },
            written,
            check,
            spoke,
        })
    }

    /// The cluster, made if it is not there, else changed where it is not as the flags say; endpoint and CA that they do not give are
    /// those of the kubeconfig.
    async fn register(
        &self,
        context: &Context,
        hub: &Hub,
        reduced: &Kubeconfig,
    ) -> Result<Registered, Failure> {
        let remote = hub.remote();
        let known = match self.create.id().parse() {
            Ok(id) => remote.get_cluster(admitted_at_the_door(), id).await,
            Err(error) => return Err(Failure::usage(error)),
        };
        match known {
            Ok(known) => {
                let region = context.hub.region.as_deref();
                let (endpoint, authority) = own_of(reduced, Some(&known));
                let Again { update, changed, kept } =
                    self.create.again(&known, region, endpoint, authority)?;
                if changed.is_empty() {
                    return Ok(Registered { cluster: known, registration: "unchanged", changed, kept });
                }
                let updated = remote.update_cluster(self.create.change(), known.id, update).await?;
                Ok(Registered { cluster: updated.value, registration: "updated", changed, kept })
            }
            Err(CallError::NotFound { .. }) => {
                let (endpoint, authority) = own_of(reduced, None);
                let (change, mut cluster) = self.create.clone().split(context, hub)?;
                cluster.endpoint = cluster.endpoint.or(endpoint);
                cluster.certificate_authority = cluster.certificate_authority.or(authority);
                let created = remote.create_cluster(change.into(), cluster).await?;
                Ok(Registered {
                    cluster: created.value,
                    registration: "created",
                    changed: Vec::new(),
                    kept: Vec::new(),
                })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Endpoint and CA of the API server itself, as a kubeconfig tells them. A way with a path leads to a proxy, which tells of neither, and
/// is sent no token of people's: what is known of them stays.
fn own_of(reduced: &Kubeconfig, known: Option<&Cluster>) -> (Option<String>, Option<String>) {
    if reduced.server.path() == "/" {
        let endpoint = reduced.server.as_str().trim_end_matches('/').to_owned();
        return (Some(endpoint), reduced.certificate_authority.clone());
    }
    known.map_or((None, None), |known| (known.endpoint.clone(), known.certificate_authority.clone()))
}

/// What a cluster has not, that is reached through a proxy.
fn without_endpoint(cluster: &Cluster, reduced: &Kubeconfig) -> String {
    format!(
        "`{}` has a path, so it is a proxy's URL: the hub watches the cluster by it, and registers no endpoint and no CA of it. Once you know \
         how people reach the API server itself: `lanyard cluster update {} --endpoint https://HOST:PORT --certificate-authority FILE`",
        reduced.server, cluster.id
    )
}

/// One review as the API server will send it: of a token that is nobody's, so that the answer is a clean no.
async fn check(
    gateway: &str,
    ca_pem: &str,
    cluster: &Cluster,
    token: &SecretString,
) -> Result<String, Failure> {
    let url: url::Url =
        format!("{gateway}/clusters/{}/tokenreview", cluster.id).parse().map_err(Failure::usage)?;
    let host = url.host_str().unwrap_or_default();
    let options = Options {
        addresses: AddressRules::public_only().allow_private(host),
        roots: certificates_from_pem(ca_pem).map_err(Failure::usage)?,
        ..Options::default()
    };
    let client = HttpClient::new(options).map_err(Failure::usage)?;
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| {
        Failure::usage("the token in the files cannot be sent: write them anew into another folder")
    })?;
    bearer.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, bearer);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": { "token": "check" } });
    let request = Request { method: Method::POST, url, headers, body: review.to_string().into() };
    let answer =
        client.send(request).await.map_err(|fault| Failure::NoAnswer(format!("the gateway: {fault}")))?;
    let answered: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let refused = answered.pointer("/status/authenticated").and_then(Value::as_bool) != Some(true);
    let is_reviewed = answer.status.is_success() && answered.get("status").is_some() && refused;
    if is_reviewed {
        Ok("the gateway takes the API server's credential and reviews tokens".to_owned())
    } else {
        Err(Failure::NoAnswer(format!(
            "the gateway answered {} to a review with the credential in the files, and should have reviewed it",
            answer.status
        )))
    }
}

/// How the watch goes, once it has seen the cluster or something is in its way.
async fn first_look(hub: &impl Spokes, cluster: &Cluster) -> Result<SpokeStatus, Failure> {
    let deadline = tokio::time::Instant::now() + FIRST_LOOK;
    loop {
        let status = hub.get_spoke(admitted_at_the_door(), cluster.id.clone()).await?;
        let has_looked = status.watch.as_ref().is_some_and(|watch| {
            watch.fault.is_some() || (watch.listed_at.is_some() && watch.pushed_at.is_some())
        });
        if has_looked || tokio::time::Instant::now() >= deadline {
            return Ok(status);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use lanyard_api::kubeconfig::KubeCredential;

    use super::*;

    fn kubeconfig(server: &str) -> Kubeconfig {
        Kubeconfig {
            server: server.parse().unwrap(),
            certificate_authority: Some("OF THE KUBECONFIG".to_owned()),
            credential: KubeCredential::Token("token".into()),
        }
    }

    fn cluster() -> Cluster {
        serde_json::from_value(json!({
            "uid": "00000000-0000-4000-8000-000000000001", "id": "dev", "name": "dev", "partition": "aws",
            "account": "111122223333", "region": "us-east-1", "endpoint": "https://api.example", "certificate_authority": "ITS OWN",
            "authentication_mode": "API", "authorizer_mode": "webhook-first", "trusted_accounts": [], "audiences": [],
            "token_cache_seconds": 10, "created_by": "test", "tags": {}, "created_at": "2026-11-24T12:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn endpoint_and_ca_are_the_kubeconfigs_unless_it_leads_to_a_proxy() {
        let pair = |endpoint: &str, authority: &str| (Some(endpoint.to_owned()), Some(authority.to_owned()));
        for server in ["https://10.0.0.1:6443", "https://10.0.0.1:6443/"] {
            for known in [None, Some(&cluster())] {
                let own = own_of(&kubeconfig(server), known);
                assert_eq!(own, pair("https://10.0.0.1:6443", "OF THE KUBECONFIG"), "{server}");
            }
        }
        let proxied = kubeconfig("https://rancher.example/k8s/clusters/c-m-abc");
        assert_eq!(own_of(&proxied, None), (None, None));
        assert_eq!(own_of(&proxied, Some(&cluster())), pair("https://api.example", "ITS OWN"));
        let told = without_endpoint(&cluster(), &proxied);
        assert!(told.contains("`https://rancher.example/k8s/clusters/c-m-abc` has a path"), "{told}");
        assert!(told.contains("`lanyard cluster update dev --endpoint"), "{told}");
    }
}

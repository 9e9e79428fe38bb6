//! `lanyard cluster issuer`: who signs the tokens of a cluster's pods, and where those who verify them find the keys.

mod files;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lanyard_api::{
    ClusterId,
    credentials::{
        HostedIssuer, HostedKey, IssuerDescription, IssuerSigner, Issuers, PublishIssuerKey,
        WORKLOAD_TOKEN_LIFETIME,
    },
    grpc::admitted_at_the_door,
};
use serde::Serialize;

use self::files::{KeyArgs, Made, MadeKey};
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::{ChangeArgs, Hub},
    input::{Source, moment_text},
    output::Tabular,
    show::{Changed, Row, or_dash, standing, wire_name},
};

pub(super) const HELP: &str = "\
An issuer's keys come from one place. Either the API server makes them, and the hub sees them (`lanyard cluster add --kubeconfig`, or \
`lanyard spoke push` inside the cluster): start it with --service-account-issuer=URL, where URL is what `show` says, and the hub \
serves what it sees. Or Lanyard makes them (`generate`, then `rotate`): then the API server is started with the flags that are shown.

The documents are public, at URL/.well-known/openid-configuration and URL/keys. Roles trust the issuer by an OIDC provider of its \
URL: `lanyard iam oidc-provider create URL --client-id sts.amazonaws.com` for roles of this hub, the same in IAM for roles of AWS, \
which has to reach the URL.";

const GENERATE: &str = "\
Examples:
  lanyard cluster issuer generate dev --out /etc/kubernetes/lanyard
  lanyard cluster issuer generate dev --out ./lanyard --path /etc/kubernetes/lanyard   # copied there afterwards
  lanyard cluster issuer generate dev --stdout --output json                           # the private key in the answer, this once
  lanyard cluster issuer generate dev --out ./lanyard --issuer-url https://bucket.s3.eu-central-1.amazonaws.com/dev

The key pair is made here, and the hub gets the public half alone. Whoever has the private one can be any ServiceAccount of the \
cluster: keep it on the API servers. Give each of them the same files, and restart them with the flags that are shown. A second \
--service-account-issuer, after the new one, with the name that the cluster had before keeps the tokens that are out there good.";

const ROTATE: &str = "\
Examples:
  lanyard cluster issuer rotate dev --out /etc/kubernetes/lanyard
  lanyard cluster issuer rotate dev --hub-key       # the key by which the hub itself signs for AWS

The new key is published at once, and the older ones stay. In this order, so that nobody is cut off:
  1. Every API server gets --service-account-key-file with the new public key, beside those that it has.
  2. Five minutes later those who verify have the new key too: every API server gets the new --service-account-signing-key-file.
  3. A day later the last token of the old key has ended: lanyard cluster issuer retire dev KEY

The hub's own key needs none of that: the new one signs after a quarter of an hour, and the old one goes when its tokens have ended.";

const RETIRE: &str = "\
Examples:
  lanyard cluster issuer retire dev 3vQ0…            # as `lanyard cluster issuer show dev` names it
  lanyard cluster issuer retire dev 3vQ0… --early    # its private half was stolen

Tokens that the key signed count no more, here at once and elsewhere within five minutes. Without --early that is refused while such \
tokens may be in use: until the next key was there for a day. The only key that is published counts on where the API server serves it \
itself, and the answer says so: of a stolen one publish the next first.";

const EXPORT: &str = "\
Examples:
  lanyard cluster issuer export dev ./issuer
  aws s3 sync ./issuer s3://bucket/dev --content-type application/json

Writes .well-known/openid-configuration and keys, to be served at the issuer's URL. Export again after each change of keys.";

/// What there is to do with a cluster's issuer.
#[derive(Debug, Subcommand)]
pub enum IssuerCommand {
    /// The issuer, where its keys come from, and which there are.
    #[command(after_help = "Examples:\n  lanyard cluster issuer show dev")]
    Show {
        /// The cluster's id.
        cluster: ClusterId,
    },
    /// Make the first key pair of an issuer that the hub serves, and say with which flags the API server is started.
    #[command(after_help = GENERATE)]
    Generate(GenerateArgs),
    /// Make the next key pair; the ones before it stay until they are retired.
    #[command(after_help = ROTATE)]
    Rotate(RotateArgs),
    /// Publish the public half of a key pair that was made elsewhere.
    #[command(
        after_help = "Examples:\n  lanyard cluster issuer publish dev key.jwk\n\nThe JWK's `kid` is the one that tokens name: \
                            kube-apiserver takes the SHA-256 of the key's DER (SubjectPublicKeyInfo), in base64url without padding."
    )]
    Publish {
        /// The cluster's id.
        cluster: ClusterId,
        /// A file with the public half as a JWK, `-` for standard input.
        #[arg(value_name = "FILE")]
        jwk: Source,
        /// Where the documents are served, if not by the hub.
        #[arg(long, value_name = "URL")]
        issuer_url: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Take a key away, and with it the tokens that it signed.
    #[command(after_help = RETIRE)]
    Retire {
        /// The cluster's id.
        cluster: ClusterId,
        /// The key's id.
        // A hash in base64url, which may begin with `-`.
        #[arg(value_name = "KEY", allow_hyphen_values = true)]
        kid: String,
        /// Also where its tokens may still be in use.
        #[arg(long)]
        early: bool,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Write the documents into a folder, for a place of your own.
    #[command(after_help = EXPORT)]
    Export {
        /// The cluster's id.
        cluster: ClusterId,
        /// The folder; made if it is not there.
        #[arg(value_name = "DIR")]
        out: PathBuf,
    },
}

/// What makes the first key pair.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// The cluster's id.
    cluster: ClusterId,
    #[command(flatten)]
    key: KeyArgs,
    /// Where the documents are served, if not by the hub; it stays that while the issuer has keys.
    #[arg(long, value_name = "URL")]
    issuer_url: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What makes the next one.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The cluster's id.
    cluster: ClusterId,
    #[command(flatten)]
    key: KeyArgs,
    /// The hub's own key, by which it signs for AWS.
    #[arg(long, conflicts_with_all = ["out", "path", "stdout"])]
    hub_key: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Row for HostedKey {
    const COLUMNS: &'static [&'static str] =
        &["KEY", "SIGNER", "PUBLISHED AT", "SUPERSEDED AT", "TOKENS END AT"];

    fn cells(&self) -> Vec<String> {
        let end = self.superseded_at.filter(|_| self.signer == IssuerSigner::ApiServer);
        let end = end.map(|superseded| superseded + WORKLOAD_TOKEN_LIFETIME);
        vec![
            self.kid().to_owned(),
            wire_name(&self.signer),
            moment_text(self.published_at),
            or_dash(self.superseded_at.map(moment_text)),
            or_dash(end.map(moment_text)),
        ]
    }
}

/// An issuer, its keys a line each.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Shown(IssuerDescription);

impl Tabular for Shown {
    fn columns(&self) -> Vec<&'static str> {
        vec!["KEY", "FROM", "ALGORITHMS", "SINCE", "SUPERSEDED AT"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let IssuerDescription { hosted, watched, .. } = &self.0;
        let published = hosted.iter().flat_map(|hosted| &hosted.keys).map(|key| {
            vec![
                key.kid().to_owned(),
                format!("published, signed by {}", wire_name(&key.signer)),
                key.key.algorithms.join(", "),
                moment_text(key.published_at),
                or_dash(key.superseded_at.map(moment_text)),
            ]
        });
        let watched = watched.iter().flat_map(|watched| {
            watched.keys.iter().map(|key| {
                let (from, since) =
                    (format!("seen at {}", watched.issuer_url), moment_text(watched.pushed_at));
                vec![or_dash(key.kid.as_ref()), from, key.algorithms.join(", "), since, "-".to_owned()]
            })
        });
        published.chain(watched).collect()
    }

    fn notes(&self) -> Vec<String> {
        let IssuerDescription { issuer_url, hub_url, hosted, watched, documents } = &self.0;
        let mut notes = vec![format!("issuer of pods' tokens: {}", or_dash(issuer_url.as_ref()))];
        if let Some(hosted) = hosted {
            notes.push(format!("published as {}", hosted.issuer_url));
        }
        let obstacle = watched.as_ref().and_then(|watched| watched.irsa_obstacle);
        if let Some(obstacle) = obstacle.filter(|_| documents.is_none()) {
            notes.push(format!("of no use for IRSA: {obstacle}"));
        }
        match hub_url {
            Some(url) if Some(url) != issuer_url.as_ref() => {
                notes.push(format!("the hub would serve it at {url}: `lanyard cluster issuer generate`, or start the API server with \
                                    --service-account-issuer={url}"));
            }
            Some(_) => {}
            None => notes.push(String::from(
                "the hub does not know its own URL: set external_url in its configuration",
            )),
        }
        notes
    }
}

/// What a change of keys made, a key a line.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Keys(Changed<HostedIssuer>);

impl Tabular for Keys {
    fn columns(&self) -> Vec<&'static str> {
        HostedKey::COLUMNS.to_vec()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.0.0.value.keys.iter().map(Row::cells).collect()
    }

    fn notes(&self) -> Vec<String> {
        standing(&self.0.0)
    }
}

/// Where the documents are.
#[derive(Debug, Serialize)]
struct Exported {
    issuer_url: String,
    files: Vec<String>,
}

impl Tabular for Exported {
    fn columns(&self) -> Vec<&'static str> {
        vec!["WRITTEN"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.files.iter().map(|file| vec![file.clone()]).collect()
    }

    fn notes(&self) -> Vec<String> {
        vec![format!("to be served below {}, as application/json", self.issuer_url)]
    }
}

impl IssuerCommand {
    /// Does it.
    pub(super) async fn run(self, context: &Context, hub: &Hub) -> Result<Ending, Failure> {
        let remote = hub.remote();
        match self {
            Self::Show { cluster } => {
                context.show(&Shown(remote.describe_issuer(admitted_at_the_door(), cluster).await?))
            }
            Self::Generate(GenerateArgs { cluster, key, issuer_url, change }) => {
                let known = remote.describe_issuer(admitted_at_the_door(), cluster.clone()).await?;
                let has_keys = known
                    .hosted
                    .iter()
                    .any(|hosted| hosted.keys_of(IssuerSigner::ApiServer).next().is_some());
                if has_keys {
                    return Err(Failure::usage(format!(
                        "cluster `{cluster}` has keys that Lanyard made: make the next one by `lanyard cluster issuer rotate {cluster}`"
                    )));
                }
                context.show(&made(&remote, (cluster, issuer_url), key, change, Made::First).await?)
            }
            Self::Rotate(RotateArgs { cluster, hub_key: true, change, .. }) => {
                context.show(&Keys(Changed(remote.rotate_hub_issuer_key(change.into(), cluster).await?)))
            }
            Self::Rotate(RotateArgs { cluster, key, change, .. }) => {
                context.show(&made(&remote, (cluster, None), key, change, Made::Next).await?)
            }
            Self::Publish { cluster, jwk, issuer_url, change } => {
                let asked = PublishIssuerKey { jwk: jwk.read()?, issuer_url };
                context.show(&Keys(Changed(remote.publish_issuer_key(change.into(), cluster, asked).await?)))
            }
            Self::Retire { cluster, kid, early, change } => {
                let retired = remote.retire_issuer_key(change.into(), cluster, kid, early).await?;
                context.show(&Keys(Changed(retired)))
            }
            Self::Export { cluster, out } => {
                let known = remote.describe_issuer(admitted_at_the_door(), cluster.clone()).await?;
                let (Some(documents), Some(issuer_url)) = (known.documents, known.issuer_url) else {
                    return Err(Failure::usage(format!(
                        "cluster `{cluster}` has no issuer that could be served anywhere: `lanyard cluster issuer show {cluster}` says why"
                    )));
                };
                let files = files::export(&out, &documents)?;
                context.show(&Exported { issuer_url, files })
            }
        }
    }
}

/// Makes a key pair, keeps its halves where they were asked for, and publishes the public one. Where that is refused, nothing is left.
async fn made(
    remote: &impl Issuers,
    (cluster, issuer_url): (ClusterId, Option<String>),
    key: KeyArgs,
    change: ChangeArgs,
    which: Made,
) -> Result<MadeKey, Failure> {
    let kept = key.make()?;
    let asked = PublishIssuerKey { jwk: kept.jwk(), issuer_url };
    match remote.publish_issuer_key(change.into(), cluster.clone(), asked).await {
        Ok(published) => Ok(kept.published(&cluster, &published, which)),
        Err(error) => {
            kept.take_back();
            Err(error.into())
        }
    }
}

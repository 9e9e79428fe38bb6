//! `lanyard pki …`: the hub's own certificates and keys, from its data folder. No hub has to run for it.

pub(super) mod envelope;
mod principal;
mod renew;
mod show;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, Subcommand};
use lanyard_api::{
    ClusterId, Mutation,
    grpc::admitted_at_the_door,
    mapping::{Clusters as _, Spokes as _},
};
use lanyard_aws::KmsKey;
use lanyard_iam::PrincipalArn;
use lanyard_kit::{
    Clock, ExposeSecret as _, SecretBytes, SystemClock,
    tls::{
        self, Authority, CERTIFICATE_FILE, FileError, KEY_FILE, KeyedCertificate, Names, ROOT_FILE,
        secure_dir, write_public_file, write_secret_file,
    },
};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::spoke;
use crate::{
    cli::Context,
    exit::Ending,
    failure::Failure,
    hub::ChangeArgs,
    input::moment_text,
    place,
    run::ServiceName,
    serve,
    show::{Fields, Row, changed},
};

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum PkiCommand {
    /// Make the folder that a service runs with: its certificate, the hub's root, and the key to its secrets; or a principal's.
    Issue(IssueArgs),
    /// Make the folder that `lanyard spoke push` runs with in a cluster: its certificate, and the hub's root.
    IssueSpoke(IssueSpokeArgs),
    /// Make an issuing key of the hub's authority anew, under the same root.
    Renew(renew::RenewArgs),
    /// What the certificates of a folder say: whom they name, who signed them, until when they are good.
    Show(show::ShowArgs),
}

/// The flags of `lanyard pki issue`.
#[derive(Debug, Args)]
#[command(
    after_help = "The hub is that of the data folder, and is made there if there is none yet; its store is the one of \
                  --config or LANYARD_STORE. A service gets the keys of its own purposes alone, sealed under an envelope key \
                  of its own. Issued again, the certificate is new and that key stays, unless its file is gone: then the \
                  old one opens nothing any more. With --kms-key the folder has it as KMS has wrapped it (envelope.kms), in place of \
                  envelope.key: whoever issues needs kms:GenerateDataKey, and the service kms:Decrypt at each start, which can be tied \
                  to both by the encryption context (lanyard:hub, lanyard:service).\n\nWith --principal it is a user's: whoever has the folder is that user at \
                  the hub's gRPC, by `lanyard --client-cert DIR/principal.crt --client-key DIR/principal.key`, without an access \
                  key. It is made with the authority in the hub's data folder, and the running hub is asked for the user. It \
                  names the user's unique id: a user who is deleted, or made anew under the same name, is refused from the next \
                  call, and so is one who is blocked. One certificate is stopped by `lanyard block create --certificate SHA256`. There is no \
                  list of such certificates, so they are good for hours.\n\n\
                  Examples:\n  LANYARD_STORE=postgres://lanyard@db/lanyard lanyard pki issue authn --out ./authn --name \
                  authn.lanyard.svc\n  lanyard pki issue gateway --config lanyard.toml --out ./gateway --name \
                  hub.example.com\n  lanyard pki issue --principal arn:aws:iam::111122223333:user/ana --out ./ana --hours 8"
)]
pub struct IssueArgs {
    /// Which service.
    #[arg(value_enum, required_unless_present = "principal")]
    service: Option<ServiceName>,
    /// In place of a service, the user whose certificate it is to be.
    #[arg(long, value_name = "ARN", conflicts_with_all = ["service", "name", "days", "config", "kms_key"])]
    principal: Option<PrincipalArn>,
    /// The folder to write, made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A name or address that the service is reached by, beyond loopback; may be given again.
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Has KMS wrap the service's envelope key: the ARN of a key, or of an alias.
    #[arg(long, value_name = "ARN", value_parser = KmsKey::parse)]
    kms_key: Option<KmsKey>,
    /// How long a service's certificate is good, in days.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// How long a principal's certificate is good, in hours; at most 90 days.
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 24,
        value_parser = clap::value_parser!(u16).range(1..=principal::HOURS_MAX),
        requires = "principal"
    )]
    hours: u16,
    /// The hub's configuration, a TOML file.
    #[arg(long, value_name = "FILE", env = "LANYARD_CONFIG")]
    config: Option<PathBuf>,
    /// The hub's folder [default: ~/.local/share/lanyard].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Issued {
    service: &'static str,
    folder: PathBuf,
    hub_id: String,
    account: String,
    #[serde(with = "time::serde::rfc3339")]
    certificate_ends_at: OffsetDateTime,
    /// The id of its envelope key; none where the service has no keys in the store.
    envelope: Option<String>,
}

impl PkiCommand {
    /// Runs it.
    pub async fn run(self, context: &Context) -> Result<Ending, Failure> {
        match self {
            Self::Issue(args) => args.run(context).await,
            Self::Renew(args) => args.run(context),
            Self::Show(args) => args.run(context),
            Self::IssueSpoke(args) => args.run(context).await,
        }
    }
}

/// The flags of `lanyard pki issue-spoke`.
#[derive(Debug, Args)]
#[command(
    after_help = "The certificate names one cluster, and pushes that cluster's aws-auth and RBAC alone. It is made with the \
                  authority in the hub's data folder, and counts because it is registered with the running hub, until that is \
                  deleted.\n\nExamples:\n  lanyard pki issue-spoke dev --out ./dev\n  lanyard cluster spoke-credential list dev\n  \
                  lanyard cluster spoke-credential delete dev 0123456789ab    # it is refused from the next call"
)]
pub struct IssueSpokeArgs {
    /// The cluster's id.
    cluster: ClusterId,
    /// The folder to write, made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How long the certificate is good, in days.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// The hub's folder, where its authority is [default: ~/.local/share/lanyard].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What was made for a spoke.
#[derive(Debug, Serialize)]
struct IssuedSpoke {
    cluster: String,
    cluster_uid: String,
    folder: PathBuf,
    /// As `spoke-credential list` names it.
    credential: String,
    #[serde(with = "time::serde::rfc3339")]
    certificate_ends_at: OffsetDateTime,
}

impl IssueSpokeArgs {
    async fn run(self, context: &Context) -> Result<Ending, Failure> {
        let hub = context.connect().await?;
        let folder = self.data_dir.unwrap_or_else(place::data_dir).join("pki");
        let authority = Authority::load(&folder, &hub.id.to_string()).map_err(Failure::usage)?;
        secure_dir(&self.out).map_err(Failure::usage)?;
        let remote = hub.remote();
        let cluster = remote.get_cluster(admitted_at_the_door(), self.cluster.clone()).await?;
        let (now, lifetime) = (SystemClock.now(), Duration::days(self.days.into()));
        let issued =
            authority.issue_spoke(&cluster.uid.to_string(), lifetime, now).map_err(Failure::usage)?;
        let chain = issued.chain().map_err(Failure::usage)?;
        let leaf = chain.first().ok_or_else(|| Failure::usage("the authority made no certificate"))?;
        let sha256 = hex::encode(tls::fingerprint(leaf));
        let names = (spoke::CERTIFICATE_FILE, spoke::KEY_FILE);
        write_credential(&self.out, names, &issued, authority.root_pem()).map_err(Failure::usage)?;
        // After the files: what is registered and lost would count for nobody, and stand in lists.
        let made = remote.register_spoke_certificate(self.change.into(), self.cluster, sha256).await?;
        context.show(&changed(made, |credential| IssuedSpoke {
            cluster: cluster.id.to_string(),
            cluster_uid: cluster.uid.to_string(),
            folder: self.out,
            credential: credential.id,
            certificate_ends_at: now + lifetime,
        }))
    }
}

impl Row for IssuedSpoke {
    const COLUMNS: &'static [&'static str] = &["CLUSTER", "CREDENTIAL", "FOLDER", "ENDS AT"];

    fn cells(&self) -> Vec<String> {
        let folder = self.folder.display().to_string();
        vec![self.cluster.clone(), self.credential.clone(), folder, moment_text(self.certificate_ends_at)]
    }
}

impl IssueArgs {
    async fn run(self, context: &Context) -> Result<Ending, Failure> {
        match (self.service, &self.principal) {
            (_, Some(principal)) => {
                let lifetime = Duration::hours(self.hours.into());
                principal::issue(context, principal, &self.out, self.data_dir.as_deref(), lifetime).await
            }
            (Some(service), None) => {
                let issued = self.issue(service).await;
                context.show(&Fields(issued.map_err(|error| Failure::usage(format!("{error:#}")))?))
            }
            // The command line's own rules have said so before.
            (None, None) => Err(Failure::usage("name a service, or give --principal ARN")),
        }
    }

    async fn issue(self, service: ServiceName) -> anyhow::Result<Issued> {
        anyhow::ensure!(
            service.holder().is_some() || self.kms_key.is_none(),
            "--kms-key: `{}` has no keys in the store, leave it out",
            service.as_str()
        );
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let config = serve::configuration(self.config.as_deref(), self.data_dir.as_deref())?;
        let (hub, authority) = serve::open_offline(&config, &clock).await?;
        secure_dir(&self.out)?;
        let now = clock.now();
        let lifetime = Duration::days(self.days.into());
        self.write_certificate(service, &authority, lifetime, now)?;
        let envelope = match service.holder() {
            Some(holder) => {
                let (wanted, client) =
                    ((self.kms_key.as_ref(), hub.hub.id), || serve::kms_client(&config, &clock));
                let envelope = envelope::load_or_create(&self.out, holder, wanted, client).await?;
                hub.store.entrust(&Mutation::system("lanyard pki issue"), holder, &envelope).await?;
                envelope::forget_replaced(&self.out)?;
                Some(envelope.id())
            }
            None => None,
        };
        hub.store.close().await;
        Ok(Issued {
            service: service.as_str(),
            folder: self.out,
            hub_id: hub.hub.id.to_string(),
            account: hub.hub.account.to_string(),
            certificate_ends_at: now + lifetime,
            envelope,
        })
    }

    fn write_certificate(
        &self,
        service: ServiceName,
        authority: &Authority,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> anyhow::Result<()> {
        let names = Names::loopback().and(self.name.iter().cloned());
        let issued = authority.issue_service(service.as_str(), &names, lifetime, now)?;
        Ok(write_credential(&self.out, (CERTIFICATE_FILE, KEY_FILE), &issued, authority.root_pem())?)
    }
}

/// Writes a certificate and its key under these names, and the hub's root beside them.
fn write_credential(
    folder: &Path,
    (certificate, key): (&str, &str),
    issued: &KeyedCertificate,
    root_pem: &str,
) -> Result<(), FileError> {
    let secret = SecretBytes::from(issued.key_pem.expose_secret().as_bytes().to_vec());
    write_secret_file(&folder.join(key), &secret)?;
    write_public_file(&folder.join(certificate), issued.chain_pem.as_bytes())?;
    write_public_file(&folder.join(ROOT_FILE), root_pem.as_bytes())
}

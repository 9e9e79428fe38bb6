//! `lanyard spoke push`: the watch from inside of a cluster, for a hub that cannot reach in.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand, builder::RangedU64ValueParser};
use lanyard_api::{
    ClusterId,
    grpc::{MESSAGE_BYTES_MAX, Remote, admitted_at_the_door},
    kubeconfig::Kubeconfig,
    mapping::Clusters as _,
    signing::{Signatory, SignedChannel},
};
use lanyard_kit::{
    Clock, SystemClock,
    life::{self, Life},
    telemetry::LogConfig,
    tls::{RELOAD_INTERVAL, ROOT_FILE, read_public_file},
};
use lanyard_spoke::{Pusher, SpokeConfig, Target, in_cluster};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::{
    cli::{Context, complain},
    failure::Failure,
    hub,
    input::Source,
};

/// What the credential of a watch may do in the cluster, as the rules of a ClusterRole.
macro_rules! spoke_rules {
    () => {
        "  - {apiGroups: [rbac.authorization.k8s.io], verbs: [get, list, watch],
     resources: [roles, clusterroles, rolebindings, clusterrolebindings]}
  - {apiGroups: [''], resources: [configmaps], resourceNames: [aws-auth], verbs: [get, list, watch]}
  - {apiGroups: [''], resources: [serviceaccounts], verbs: [get, list, watch]}
  - {nonResourceURLs: [/.well-known/openid-configuration, /openid/v1/jwks], verbs: [get]}
"
    };
}
pub(super) use spoke_rules;

/// What the credential may do beside that where the hub itself has it: ask about the tokens of pods.
macro_rules! review_rule {
    () => {
        "  - {apiGroups: [authentication.k8s.io], resources: [tokenreviews], verbs: [create]}
"
    };
}
pub(super) use review_rule;

/// The certificate of a spoke, in the folder that `lanyard pki issue-spoke` writes.
pub(super) const CERTIFICATE_FILE: &str = "spoke.crt";
/// Its key.
pub(super) const KEY_FILE: &str = "spoke.key";
/// How long one call to the hub may take: as long as its front door lets any. A first list is written by one transaction, and one that
/// ends before that is only begun anew. Whether the hub is there at all pings tell sooner.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// What a message has beside what it is about.
const BESIDE_BYTES: usize = 64 * 1024;
/// Most bytes of a cluster's RBAC, and of its ServiceAccounts, unless told: the hub's front door takes messages of up to 4 MiB
/// (`gateway.message_bytes_max`).
const BYTES_MAX: usize = 4 * 1024 * 1024 - BESIDE_BYTES;
/// As far as that can be raised: no call has more, whatever the door takes.
const BYTES_MAX_MOST: u64 = (MESSAGE_BYTES_MAX - BESIDE_BYTES) as u64;
/// How often the way to the API server is read anew: a pod's token is replaced within the hour.
const WAY_IN_RENEWAL: Duration = Duration::from_secs(20 * 60);

/// What there is to do inside of a spoke cluster.
#[derive(Debug, Subcommand)]
pub enum SpokeCommand {
    /// Watch this cluster's aws-auth, RBAC, ServiceAccounts and issuer, and push what changes, until told to stop.
    Push(PushArgs),
}

/// The flags of `lanyard spoke push`.
#[derive(Debug, Args)]
#[command(
    after_help = concat!("\
In a pod the API server is the pod's own, by its service account, which needs a ClusterRole with these rules:
", spoke_rules!(), "
The hub does not reach in, so that it cannot ask this API server whether a pod is still there: a pod that is gone is vended to by its
token while that lasts, as far as its node still asks.

The hub knows the cluster by the certificate in --credential, and takes of it what concerns this cluster alone.

A cluster that is larger than the limits is not taken. All of its RBAC goes with one message, and so do its ServiceAccounts: for \
more bytes than the default first raise the hub's gateway.message_bytes_max (4 MiB unless set) to 64 KiB above them. No message \
has more than 16 MiB.

Examples:
  lanyard spoke push --cluster dev --hub https://hub.example:8444 --credential /etc/lanyard
  lanyard spoke push --cluster dev --hub https://hub.example:8444 --credential ./dev --kubeconfig admin.yaml")
)]
pub struct PushArgs {
    /// The cluster's id.
    #[arg(long, value_name = "ID")]
    cluster: ClusterId,
    /// The folder that `lanyard pki issue-spoke` wrote.
    #[arg(long, value_name = "DIR")]
    credential: PathBuf,
    /// The way to the API server; by default that of the pod.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; by default its current one.
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    context: Option<String>,
    /// What is logged, such as `info,lanyard_spoke=debug`.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Most RBAC objects of the cluster.
    #[arg(long, value_name = "COUNT", default_value_t = SpokeConfig::default().objects_max, value_parser = count())]
    objects_max: usize,
    /// Most bytes of the RBAC objects.
    #[arg(long, value_name = "BYTES", default_value_t = BYTES_MAX, value_parser = bytes())]
    rbac_bytes_max: usize,
    /// Most ServiceAccounts of the cluster.
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = SpokeConfig::default().service_accounts_max,
        value_parser = count()
    )]
    service_accounts_max: usize,
    /// Most bytes of the ServiceAccounts.
    #[arg(long, value_name = "BYTES", default_value_t = BYTES_MAX, value_parser = bytes())]
    service_account_bytes_max: usize,
    /// Most bytes read of the API server at once; one object has to fit.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = SpokeConfig::default().answer_bytes_max,
        value_parser = count()
    )]
    answer_bytes_max: usize,
}

fn count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::from(1_u64..)
}

fn bytes() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::from(1_u64..=BYTES_MAX_MOST)
}

impl SpokeCommand {
    /// Runs it until told to stop.
    pub fn run(self, context: &Context) -> ExitCode {
        let Self::Push(args) = self;
        let Some(url) = context.hub.hub.clone() else {
            return refuse(&Failure::usage(
                "where is the hub? Add --hub https://HOST:PORT, the address of its gRPC",
            ));
        };
        let mut log = LogConfig::default();
        if let Some(filter) = &args.log {
            log.filter = filter.clone();
        }
        let mut refused = None;
        let ended = life::run(life::Options { log, ..life::Options::default() }, |life| {
            let refused = &mut refused;
            async move {
                Box::pin(args.push(&url, life)).await.map_err(|failure| {
                    let text = failure.to_string();
                    *refused = Some(failure);
                    text
                })
            }
        });
        // The life's own code says that it ended with a fault; a command says which kind.
        refused.map_or(ended, |failure| failure.exit_code())
    }
}

fn refuse(failure: &Failure) -> ExitCode {
    complain(&format!("lanyard: {failure}"));
    failure.exit_code()
}

impl PushArgs {
    async fn push(self, url: &str, life: Life) -> Result<(), Failure> {
        // Before anybody is called: a kubeconfig that cannot be used is the command line's fault.
        self.way_in()?;
        // Read first, so that what is put there meanwhile is another.
        let shown = Shown::of(&self.credential);
        let mut hub = Arc::new(connect(url, &self.credential).await?);
        let mut shown = shown?;
        let cluster = hub.get_cluster(admitted_at_the_door(), self.cluster.clone()).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let config = self.config();
        let target = Target { uid: cluster.uid, id: cluster.id };
        tracing::info!(cluster.uid = %target.uid, cluster.name = %target.id, hub = url, "pushing what is seen of this cluster");
        loop {
            let pusher = Pusher::new(Arc::clone(&hub), target.clone(), config.clone(), Arc::clone(&clock));
            let pushing = Box::pin(pusher.run(|| self.way_in(), WAY_IN_RENEWAL, life.stop()));
            // Begun anew with another certificate: the cluster is listed again, and what is the same is no change.
            let (taken, by_it) = tokio::select! {
                pushed = pushing => return pushed.map_err(Failure::usage),
                renewed = Box::pin(self.renewed(url, &shown)) => renewed,
            };
            (shown, hub) = (taken, Arc::new(by_it));
        }
    }

    /// The hub, called by another certificate than the one in use, once such a one lies in the folder and the hub takes it. One is written
    /// before it is registered, and its files one after the other: what does not do at once is not told before it comes again.
    async fn renewed(&self, url: &str, in_use: &Shown) -> (Shown, Hub) {
        let (mut reason, mut times) = (String::new(), 0_u32);
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            match self.another(url, in_use).await {
                Ok(None) => times = 0,
                Ok(Some(renewed)) => {
                    tracing::info!("took a new certificate");
                    return renewed;
                }
                Err(failure) => {
                    let why = failure.to_string();
                    times = if why == reason { times.saturating_add(1) } else { 1 };
                    reason = why;
                    if times == 2 {
                        tracing::warn!(
                            reason,
                            "the certificate in the folder does not do: the one before it stays in use"
                        );
                    }
                }
            }
        }
    }

    async fn another(&self, url: &str, in_use: &Shown) -> Result<Option<(Shown, Hub)>, Failure> {
        let shown = Shown::of(&self.credential)?;
        if shown == *in_use {
            return Ok(None);
        }
        let hub = connect(url, &self.credential).await?;
        hub.get_cluster(admitted_at_the_door(), self.cluster.clone()).await?;
        Ok(Some((shown, hub)))
    }

    fn config(&self) -> SpokeConfig {
        SpokeConfig {
            objects_max: self.objects_max,
            rbac_bytes_max: self.rbac_bytes_max,
            service_accounts_max: self.service_accounts_max,
            service_account_bytes_max: self.service_account_bytes_max,
            answer_bytes_max: self.answer_bytes_max,
            ..SpokeConfig::default()
        }
    }

    fn way_in(&self) -> Result<Kubeconfig, Failure> {
        match &self.kubeconfig {
            None => in_cluster().map_err(Failure::usage),
            Some(path) => {
                let text = Source::File(path.clone()).read()?;
                Kubeconfig::reduce(&text, self.context.as_deref()).map_err(Failure::usage)
            }
        }
    }
}

/// The hub, as a cluster calls it.
type Hub = Remote<SignedChannel<Channel>>;

/// What lies in a folder of a certificate, as far as it tells that it is another. A key of its own has another certificate.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    root: String,
    certificate: String,
}

impl Shown {
    fn of(folder: &Path) -> Result<Self, Failure> {
        let read = |name: &str| read_public_file(&folder.join(name)).map_err(Failure::usage);
        Ok(Self { root: read(ROOT_FILE)?, certificate: read(CERTIFICATE_FILE)? })
    }
}

/// A hub, called by the cluster's certificate: connections show it, and its key signs the calls. A connection is made anew where
/// it breaks.
async fn connect(url: &str, folder: &Path) -> Result<Hub, Failure> {
    lanyard_kit::tls::install_provider();
    if !url.starts_with("https://") {
        return Err(Failure::usage(format!(
            "`{url}` is not https: a hub is called over TLS alone, so write https://HOST:PORT"
        )));
    }
    let root = read_public_file(&folder.join(ROOT_FILE)).map_err(Failure::usage)?;
    let (identity, signer) =
        hub::certificate_of_files(&folder.join(CERTIFICATE_FILE), &folder.join(KEY_FILE))?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(root)).identity(identity);
    let endpoint = Endpoint::from_shared(url.to_owned()).and_then(|endpoint| endpoint.tls_config(tls));
    let endpoint = endpoint.map_err(|error| Failure::usage(format!("the hub's address `{url}`: {error}")))?;
    let channel = hub::pinged(endpoint).connect_timeout(Duration::from_secs(10)).connect_lazy();
    let signing = hub::signing(&channel, url, Signatory::Certificate(Arc::new(signer))).await?;
    Ok(Remote::new(signing.over(channel)).with_timeout(CALL_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use lanyard_spoke::{
        ApiFault,
        mirror::{Bounds, Limited, TooLarge},
    };

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        push: PushArgs,
    }

    fn config(flags: &[&str]) -> Result<SpokeConfig, clap::Error> {
        let line = ["push", "--cluster", "dev", "--credential", "/etc/lanyard"];
        Ok(Line::try_parse_from(line.iter().chain(flags))?.push.config())
    }

    #[test]
    fn a_cluster_that_is_too_large_is_told_of_flags_that_raise_the_limits() {
        let bounds = Bounds { objects_max: 1, bytes_max: 1 };
        let of = |config: &SpokeConfig, what| match what {
            Limited::Rbac => (config.objects_max, config.rbac_bytes_max),
            Limited::ServiceAccounts => (config.service_accounts_max, config.service_account_bytes_max),
        };
        for what in [Limited::Rbac, Limited::ServiceAccounts] {
            assert_eq!(of(&config(&[]).unwrap(), what), (50_000, BYTES_MAX));
            let told = TooLarge { what, bounds }.to_string();
            let flags: Vec<&str> = told
                .split_whitespace()
                .filter(|word| word.starts_with("--"))
                .map(|word| word.trim_end_matches(';'))
                .collect();
            let [objects, bytes] = flags[..] else { panic!("two flags: {told}") };
            let raised = config(&[objects, "60000", bytes, "16711680"]).unwrap();
            assert_eq!(of(&raised, what), (60_000, 16 * 1024 * 1024 - BESIDE_BYTES));
            for nothing in [[objects, "0"], [bytes, "0"], [bytes, "16711681"]] {
                assert!(config(&nothing).is_err(), "{nothing:?}");
            }
        }
    }

    #[test]
    fn an_object_that_is_too_long_is_told_of_the_flag_that_raises_the_limit() {
        assert_eq!(config(&[]).unwrap().answer_bytes_max, 16 * 1024 * 1024);
        let too_long = ApiFault::ObjectTooLong { place: "the first of the list".to_owned(), bytes_max: 1 };
        for told in [too_long, ApiFault::EventTooLong(1)].map(|fault| fault.to_string()) {
            assert!(told.contains("--answer-bytes-max"), "{told}");
        }
        let raised = config(&["--answer-bytes-max", "33554432"]).unwrap();
        assert_eq!(raised.answer_bytes_max, 32 * 1024 * 1024);
        assert!(config(&["--answer-bytes-max", "0"]).is_err());
    }
}

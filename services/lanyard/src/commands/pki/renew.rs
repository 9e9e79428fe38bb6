//! `lanyard pki renew`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lanyard_api::CertificateSha256;
use lanyard_kit::{
    Clock as _, SystemClock,
    tls::{Authority, CertificateFacts, certificates_from_pem, fingerprint, read_public_file},
};
use serde::Serialize;
use time::OffsetDateTime;

use crate::{cli::Context, exit::Ending, failure::Failure, place, show::Fields};

/// The flags of `lanyard pki renew`.
#[derive(Debug, Args)]
#[command(
    after_help = "What is issued from then on comes from the new key: a running `lanyard serve` makes its listeners' certificate \
                  with it within seconds, and nobody has to be told, for all trust the root. Certificates of the key before it stay \
                  good until they end, each with the chain that it brings along: one that is to count for nothing has to be \
                  deleted (spokes) or blocked (principals), and services are issued anew with `lanyard pki issue`. Where the key \
                  itself is in others' hands, that is not enough: its certificate is good under the root, so that the hub needs \
                  another root. No command changes that beneath a working hub, for whoever trusts the root has a copy of it: stop the \
                  hub, move the folder `pki` away, and start it, which makes another; then issue services, spokes and principals \
                  anew, and give API servers and people their files again (`lanyard cluster webhook-config`, `lanyard \
                  kubeconfig`).\n\nExamples:\n  lanyard pki renew services\n  lanyard pki renew spokes --data-dir /var/lib/lanyard"
)]
pub struct RenewArgs {
    /// Whose certificates it issues.
    #[arg(value_enum)]
    issuing: Issuing,
    /// The hub's folder [default: ~/.local/share/lanyard].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// The issuing keys of an authority.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Issuing {
    /// Services and listeners.
    Services,
    /// Spoke clusters.
    Spokes,
    /// Principals.
    Principals,
}

impl Issuing {
    fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Spokes => "spokes",
            Self::Principals => "principals",
        }
    }
}

/// What was made.
#[derive(Debug, Serialize)]
struct Renewed {
    issuing: &'static str,
    hub_id: String,
    file: PathBuf,
    sha256: CertificateSha256,
    #[serde(with = "time::serde::rfc3339")]
    not_after: OffsetDateTime,
}

impl RenewArgs {
    pub(super) fn run(self, context: &Context) -> Result<Ending, Failure> {
        let folder = self.data_dir.unwrap_or_else(place::data_dir).join("pki");
        let (issuing, hub_id) = (self.issuing.name(), Authority::hub_in(&folder).map_err(Failure::usage)?);
        Authority::renew_issuing(&folder, &hub_id, issuing, SystemClock.now()).map_err(Failure::usage)?;
        let file = folder.join(format!("{issuing}.crt"));
        let chain = certificates_from_pem(&read_public_file(&file).map_err(Failure::usage)?);
        let chain = chain.map_err(Failure::usage)?;
        let made = chain.first().ok_or_else(|| Failure::usage("the authority made no certificate"))?;
        let facts = CertificateFacts::of(made).map_err(Failure::usage)?;
        let sha256 = CertificateSha256::from_bytes(fingerprint(made));
        context.show(&Fields(Renewed { issuing, hub_id, file, sha256, not_after: facts.not_after }))
    }
}

//! `lanyard pki issue --principal ARN`: a certificate that is a user, at the hub's gRPC.

use std::path::{Path, PathBuf};

use lanyard_api::{
    CertificateSha256,
    authn::{Accounts as _, accounts::Named},
    grpc::admitted_at_the_door,
};
use lanyard_iam::{PrincipalArn, PrincipalKind};
use lanyard_kit::{
    Clock as _, SystemClock,
    tls::{Authority, PRINCIPAL_LIFETIME_MAX, fingerprint, secure_dir},
};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::write_credential;
use crate::{cli::Context, exit::Ending, failure::Failure, place, show::Fields};

/// The longest that one is good, in hours.
pub const HOURS_MAX: i64 = PRINCIPAL_LIFETIME_MAX.whole_hours();
/// The certificate, in the folder that is written.
const CERTIFICATE_FILE: &str = "principal.crt";
/// Its key.
const KEY_FILE: &str = "principal.key";

/// What was made for a user.
#[derive(Debug, Serialize)]
struct IssuedPrincipal {
    principal: String,
    /// Which of all that ever bore the name.
    principal_id: String,
    /// By which a block stops it.
    certificate_sha256: CertificateSha256,
    folder: PathBuf,
    hub_id: String,
    #[serde(with = "time::serde::rfc3339")]
    certificate_ends_at: OffsetDateTime,
}

/// Makes the folder.
pub(super) async fn issue(
    context: &Context,
    principal: &PrincipalArn,
    out: &Path,
    data_dir: Option<&Path>,
    lifetime: Duration,
) -> Result<Ending, Failure> {
    let PrincipalKind::User { name, .. } = &principal.kind else {
        return Err(Failure::usage(format!(
            "`{principal}` is no user: a role is assumed, so make a certificate for a user who may assume it"
        )));
    };
    let hub = context.connect().await?;
    let folder = data_dir.map_or_else(place::data_dir, Path::to_owned).join("pki");
    let authority = Authority::load(&folder, &hub.id.to_string()).map_err(Failure::usage)?;
    let named = Named { account: Some(principal.account), name: name.clone() };
    let user = hub.remote().get_user(admitted_at_the_door(), named).await?;
    let found = PrincipalArn {
        partition: principal.partition,
        account: user.account,
        kind: PrincipalKind::User { path: user.path.clone(), name: user.name.clone() },
    };
    if found != *principal {
        return Err(Failure::usage(format!("the user is `{found}`, with that path: give this ARN")));
    }
    let (now, vouched) = (SystemClock.now(), lanyard_api::Authority::Local.to_string());
    let (account, id) = (user.account.to_string(), user.principal_id);
    let issued = authority.issue_principal(&vouched, &account, &id, lifetime, now).map_err(Failure::usage)?;
    let chain = issued.chain().map_err(Failure::usage)?;
    let leaf = chain.first().ok_or_else(|| Failure::usage("the authority made no certificate"))?;
    let certificate_sha256 = CertificateSha256::from_bytes(fingerprint(leaf));
    secure_dir(out).map_err(Failure::usage)?;
    let names = (CERTIFICATE_FILE, KEY_FILE);
    write_credential(out, names, &issued, authority.root_pem()).map_err(Failure::usage)?;
    context.show(&Fields(IssuedPrincipal {
        principal: found.to_string(),
        principal_id: id,
        certificate_sha256,
        folder: out.to_owned(),
        hub_id: hub.id.to_string(),
        certificate_ends_at: now + lifetime,
    }))
}

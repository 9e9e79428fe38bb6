//! Files for a kube-apiserver: of which cluster, where they are written, and where they will lie.

use std::path::{Path, PathBuf};

use clap::Args;
use lanyard_api::ClusterId;
use lanyard_kit::{SecretBytes, tls};
use url::{Host, Url};

use crate::{
    cli::complain,
    failure::Failure,
    hub::{ChangeArgs, Hub},
    kubefiles::start_notes,
};

/// The flags of a command that writes such files.
#[derive(Debug, Args)]
pub struct FilesArgs {
    /// The cluster's id.
    pub(super) cluster: ClusterId,
    /// The folder to write to; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where the files will lie on the API server's machine; by default where they are written.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The URL of the hub's gateway, as the API server reaches it; by default the ready-file's.
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    #[command(flatten)]
    pub(super) change: ChangeArgs,
}

impl FilesArgs {
    /// The gateway's URL, and the folder. To be asked for before a credential is made: where the folder is refused, there is none
    /// to lose.
    ///
    /// # Errors
    /// [`Failure::Usage`] where there is no gateway, or the folder is refused.
    pub(super) fn places(&self, hub: &Hub) -> Result<(String, Folder), Failure> {
        let gateway = gateway_url(self.gateway.as_deref(), hub)?;
        Ok((gateway, Folder::make(&self.out, self.path.as_deref())?))
    }
}

/// A folder of files that hold credentials.
#[derive(Debug)]
pub(super) struct Folder {
    /// Where they are written.
    out: PathBuf,
    /// Where they will lie.
    place: PathBuf,
}

impl Folder {
    /// Made if it is not there; `path` is where the files will lie in the end.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the folder is refused.
    pub(super) fn make(out: &Path, path: Option<&Path>) -> Result<Self, Failure> {
        tls::secure_dir(out).map_err(Failure::usage)?;
        let out = std::path::absolute(out).map_err(Failure::usage)?;
        let place = path.map_or_else(|| out.clone(), Path::to_owned);
        Ok(Self { out, place })
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.out
    }

    /// Where files of these names are written.
    pub(super) fn written(&self, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| self.out.join(name).display().to_string()).collect()
    }

    /// Where the file of a name will lie.
    pub(super) fn at(&self, name: &str) -> String {
        self.place.join(name).display().to_string()
    }

    /// Writes one, for its owner alone.
    ///
    /// # Errors
    /// [`Failure::Usage`] where it cannot be written.
    pub(super) fn write(&self, name: &str, text: String) -> Result<(), Failure> {
        let secret = SecretBytes::from(text.into_bytes());
        tls::write_secret_file(&self.out.join(name), &secret).map_err(Failure::usage)
    }
}

/// The API server's flags, as notes, and below them what it takes to start with these.
pub(super) fn flags_noted(flags: &[String]) -> Vec<String> {
    let mut notes = vec![String::new(), "kube-apiserver:".to_owned()];
    notes.extend(flags.iter().map(|flag| format!("  {flag}")));
    notes.push(String::new());
    notes.extend(start_notes(flags));
    notes
}

/// Says so where files that name this gateway are of use on its own machine alone.
pub(super) fn tell_of_loopback(gateway: &str) {
    if is_loopback(gateway) {
        complain(&format!(
            "notice: the files name the hub by `{gateway}`, which leads an API server on another machine to itself: start the hub with \
             --listen ADDRESS:8443 --external-url https://HOST:8443 --administrator-on-public-listener, or say by --gateway how API \
             servers reach it, by a name that its certificate holds (--tls-san)"
        ));
    }
}

/// Whether a URL leads to the machine that it is asked for on.
fn is_loopback(url: &str) -> bool {
    let url = Url::parse(url).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// The gateway's URL, without an end slash.
pub(crate) fn gateway_url(given: Option<&str>, hub: &Hub) -> Result<String, Failure> {
    let url = given.or(hub.target.gateway.as_deref()).ok_or_else(|| {
        Failure::usage(
            "where is the hub's gateway? Add --gateway https://HOST:PORT: only a ready-file tells it",
        )
    })?;
    let url = url.trim_end_matches('/');
    match url.strip_prefix("https://") {
        Some(rest) if !rest.is_empty() => Ok(url.to_owned()),
        _ => Err(Failure::usage(format!("`{url}` is not the URL of a gateway: write https://HOST:PORT"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_the_own_machine_is_told_from_what_others_reach() {
        for url in
            ["https://127.0.0.1:8443", "https://[::1]:8443", "https://localhost", "https://LOCALHOST:8443"]
        {
            assert!(is_loopback(url), "{url}");
        }
        for url in
            ["https://10.0.0.1:8443", "https://[fd00::1]:8443", "https://localhost.example", "https://hub"]
        {
            assert!(!is_loopback(url), "{url}");
        }
    }
}

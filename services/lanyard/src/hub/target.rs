//! Which hub, found without a call.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{credentials::CertificateFiles, failure::Failure, place, serve::Ready};

/// Where the hub is and who calls.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The hub and who calls it")]
pub struct HubArgs {
    /// The hub's gRPC address, https://HOST:PORT; by default the one in the ready-file.
    #[arg(long, global = true, value_name = "URL", env = "LANYARD_HUB", hide_env_values = true)]
    pub hub: Option<String>,
    /// The certificate (PEM) of the authority that the hub's certificate comes from.
    #[arg(long, global = true, value_name = "FILE", env = "LANYARD_CA", hide_env_values = true)]
    pub ca: Option<PathBuf>,
    /// What `lanyard serve` wrote; by default ready.json in its data folder.
    #[arg(long, global = true, value_name = "FILE", env = "LANYARD_READY_FILE", hide_env_values = true)]
    pub ready_file: Option<PathBuf>,
    /// The certificate of a principal, as `lanyard pki issue --principal` made it: then calls are signed by its key.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "LANYARD_CLIENT_CERT",
        hide_env_values = true,
        conflicts_with = "profile"
    )]
    pub client_cert: Option<PathBuf>,
    /// Its key, PEM, for this user alone.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "LANYARD_CLIENT_KEY",
        hide_env_values = true,
        conflicts_with = "profile"
    )]
    pub client_key: Option<PathBuf>,
    /// The profile of the AWS credentials and config files to sign with: its keys, or for calls to the hub the certificate that it
    /// names by `client_certificate` and `client_key`.
    #[arg(long, global = true, value_name = "NAME", env = "LANYARD_PROFILE", hide_env_values = true)]
    pub profile: Option<String>,
    /// The region of clusters and STS hosts; by default that of the environment, the profile or the hub.
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
}

impl HubArgs {
    /// With what the flags' variables say where no flag does; an empty one says nothing. A certificate and a profile both say who calls:
    /// where flags name the one, the variables of the other do not count.
    ///
    /// # Errors
    /// [`Failure::Usage`] where flags name half of a certificate, and no variable the other.
    pub fn with_variables(mut self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name: &str| path(name).map(|value| value.to_string_lossy().into_owned());
        let by_profile = self.profile.is_some();
        let by_certificate = self.client_cert.is_some() || self.client_key.is_some();
        self.hub = self.hub.or_else(|| text("LANYARD_HUB"));
        self.ca = self.ca.or_else(|| path("LANYARD_CA"));
        self.ready_file = self.ready_file.or_else(|| path("LANYARD_READY_FILE"));
        if !by_profile {
            self.client_cert = self.client_cert.or_else(|| path("LANYARD_CLIENT_CERT"));
            self.client_key = self.client_key.or_else(|| path("LANYARD_CLIENT_KEY"));
        }
        if by_certificate {
            self.certificate()?;
        } else {
            self.profile = self.profile.or_else(|| text("LANYARD_PROFILE"));
        }
        Ok(self)
    }

    /// The certificate that signs, where flags or variables name one.
    ///
    /// # Errors
    /// [`Failure::Usage`] where half of it is named, or a profile by a variable too.
    pub fn certificate(&self) -> Result<Option<CertificateFiles>, Failure> {
        let lacks = |have: &str, lack: &str| {
            let variable = lack.to_uppercase();
            Failure::usage(format!(
                "--client-{have}, or its variable, is given without --client-{lack}: add that, or set LANYARD_CLIENT_{variable}"
            ))
        };
        match (&self.client_cert, &self.client_key) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(lacks("cert", "key")),
            (None, Some(_)) => Err(lacks("key", "cert")),
            (Some(_), Some(_)) if self.profile.is_some() => Err(Failure::usage(
                "LANYARD_CLIENT_CERT and LANYARD_PROFILE both say who calls: unset one of them, or say who by --profile, or by \
                 --client-cert with --client-key",
            )),
            (Some(certificate), Some(key)) => {
                Ok(Some(CertificateFiles { certificate: certificate.clone(), key: key.clone() }))
            }
        }
    }

    /// What the ready-file says that somebody named; nothing where it is of another hub than the one that they named beside it.
    ///
    /// # Errors
    /// [`TargetError::Ready`] where it cannot be read.
    pub fn named_ready(&self) -> Result<Option<Ready>, TargetError> {
        let ready = self.ready_file.as_deref().map(read).transpose()?;
        Ok(ready.filter(|ready| self.hub.as_deref().is_none_or(|url| is_of(ready, url))))
    }
}

fn read(path: &Path) -> Result<Ready, TargetError> {
    Ready::read(path).map_err(|error| TargetError::Ready(error.to_string()))
}

/// Whether a ready-file is of the hub at an address.
fn is_of(ready: &Ready, url: &str) -> bool {
    url.trim_end_matches('/') == ready.grpc.trim_end_matches('/')
}

/// A hub's address with all that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// gRPC, always https.
    pub url: String,
    /// What names that address, as messages say it.
    pub named_by: String,
    /// Whom to trust there,
    pub ca_pem: String,
    /// and the file that says so.
    pub ca: PathBuf,
    /// Hub id and region, where the ready-file tells them.
    pub names: Option<(String, String)>,
    /// The URL of Kubernetes' HTTP, where known.
    pub gateway: Option<String>,
    /// The embedded administrator's credentials, where this is the hub of the ready-file.
    pub credentials: Option<PathBuf>,
}

/// Why no hub is known.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// No ready-file, or a broken one, and no address given.
    #[error("{0}")]
    Ready(String),
    /// Signatures keep others from changing a call, not from reading it.
    #[error("`{0}` is not https: a hub is called over TLS alone, so write https://HOST:PORT")]
    NotHttps(String),
    /// Nobody to trust.
    #[error(
        "--hub `{0}` needs --ca FILE: the certificate of the authority that the hub's certificate comes from"
    )]
    NoCa(String),
    /// A certificate file that cannot be read.
    #[error(
        "the CA file `{}` cannot be read: {reason}; of a hub of `lanyard serve` it is `pki/root.crt` in its data folder, and --ca or \
         LANYARD_CA names another", path.display()
    )]
    Ca {
        /// Which.
        path: PathBuf,
        /// The system's own words.
        reason: std::io::Error,
    },
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        match error {
            // Nothing is wrong with the command: there is no hub to ask.
            TargetError::Ready(error) => Self::NoAnswer(error),
            error => Self::usage(error),
        }
    }
}

impl Target {
    /// Finds the hub that flags, environment and ready-file name.
    ///
    /// # Errors
    /// [`TargetError`] says what to add.
    pub fn of(args: &HubArgs) -> Result<Self, TargetError> {
        let default = place::data_dir().join(place::READY_FILE);
        let path = args.ready_file.as_deref().unwrap_or(&default);
        let is_read = args.ready_file.is_some() || args.hub.is_none() || default.exists();
        let ready = is_read.then(|| read(path)).transpose()?;
        let named_by = match args.hub {
            Some(_) => "--hub or LANYARD_HUB".to_owned(),
            None => format!("the ready-file `{}`", path.display()),
        };
        Ok(Self { named_by, ..Self::assemble(args.hub.as_deref(), args.ca.as_deref(), ready)? })
    }

    fn assemble(hub: Option<&str>, ca: Option<&Path>, ready: Option<Ready>) -> Result<Self, TargetError> {
        // Whoever asks knows.
        let named_by = String::new();
        // A ready-file of another hub says nothing about this one.
        let ready = ready.filter(|ready| hub.is_none_or(|url| is_of(ready, url)));
        let url = match (hub, &ready) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(ready)) => ready.grpc.trim_end_matches('/').to_owned(),
            (None, None) => String::new(),
        };
        if !url.starts_with("https://") {
            return Err(TargetError::NotHttps(url));
        }
        let Some(ca) = ca.map(Path::to_owned).or_else(|| ready.as_ref().map(|ready| ready.ca.clone())) else {
            return Err(TargetError::NoCa(url));
        };
        let ca_pem =
            fs::read_to_string(&ca).map_err(|reason| TargetError::Ca { path: ca.clone(), reason })?;
        Ok(match ready {
            Some(ready) => Self {
                url,
                named_by,
                ca_pem,
                ca,
                names: Some((ready.hub_id, ready.region)),
                gateway: Some(ready.gateway),
                credentials: Some(ready.credentials),
            },
            None => Self { url, named_by, ca_pem, ca, names: None, gateway: None, credentials: None },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(folder: &Path) -> Ready {
        let ca = folder.join("ca.pem");
        fs::write(&ca, "PEM").unwrap();
        Ready {
            gateway: "https://127.0.0.1:8443".to_owned(),
            grpc: "https://127.0.0.1:8444".to_owned(),
            aws: None,
            metrics: Default::default(),
            ca,
            credentials: folder.join("credentials"),
            account: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            hub_id: "8c0c9f3a-0000-4000-8000-000000000000".to_owned(),
        }
    }

    #[test]
    fn a_flag_wins_over_the_variables_that_say_the_same_and_an_empty_one_says_nothing() {
        let all = |name: &str| Some(OsString::from(format!("/{name}")));
        let none = |_: &str| None;
        let of_variables = HubArgs::default().with_variables(all).unwrap();
        assert_eq!(of_variables.hub.as_deref(), Some("/LANYARD_HUB"));
        assert_eq!(of_variables.profile.as_deref(), Some("/LANYARD_PROFILE"));
        let both = of_variables.certificate().unwrap_err().to_string();
        assert!(both.contains("LANYARD_CLIENT_CERT and LANYARD_PROFILE"), "{both}");

        let half = || HubArgs { client_cert: Some("/c".into()), ..HubArgs::default() };
        let whole = HubArgs { client_key: Some("/k".into()), ..half() }.with_variables(all).unwrap();
        assert_eq!(whole.profile, None);
        let files = |key: &str| Some(CertificateFiles { certificate: "/c".into(), key: key.into() });
        assert_eq!(whole.certificate().unwrap(), files("/k"));
        let rest = half().with_variables(all).unwrap();
        assert_eq!(rest.certificate().unwrap(), files("/LANYARD_CLIENT_KEY"));
        let refused = half().with_variables(none).unwrap_err().to_string();
        assert!(refused.contains("--client-key") && refused.contains("LANYARD_CLIENT_KEY"), "{refused}");

        let ana =
            HubArgs { profile: Some("ana".to_owned()), ..HubArgs::default() }.with_variables(all).unwrap();
        assert_eq!((ana.profile.as_deref(), ana.certificate().unwrap()), (Some("ana"), None));

        let empty = HubArgs::default().with_variables(|_| Some(OsString::new())).unwrap();
        assert_eq!(format!("{empty:?}"), format!("{:?}", HubArgs::default()));
        let key = |name: &str| (name == "LANYARD_CLIENT_KEY").then(|| "/k".into());
        let half_by_variable = HubArgs::default().with_variables(key).unwrap();
        let refused = half_by_variable.certificate().unwrap_err().to_string();
        assert!(refused.contains("LANYARD_CLIENT_CERT"), "{refused}");
    }

    #[test]
    fn the_ready_file_tells_all_unless_another_hub_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let ready = ready(folder.path());
        let all = Target::assemble(None, None, Some(ready.clone())).unwrap();
        assert_eq!(all.url, "https://127.0.0.1:8444");
        assert_eq!(all.names, Some((ready.hub_id.clone(), "us-east-1".to_owned())));
        assert_eq!(all.credentials, Some(ready.credentials.clone()));
        assert_eq!(all.ca, ready.ca);
        let same = Target::assemble(Some("https://127.0.0.1:8444/"), None, Some(ready.clone())).unwrap();
        assert_eq!(same, all);
        let other =
            Target::assemble(Some("https://hub.example"), Some(&ready.ca), Some(ready.clone())).unwrap();
        assert_eq!((other.names, other.gateway, other.credentials), (None, None, None));
    }

    #[test]
    fn a_ready_file_counts_beside_the_hub_that_it_is_of() {
        let folder = tempfile::tempdir().unwrap();
        let ready = ready(folder.path());
        let path = folder.path().join("ready.json");
        fs::write(&path, serde_json::to_vec(&ready).unwrap()).unwrap();
        let named = |hub: Option<&str>, ready_file: &Path| {
            let hub = hub.map(str::to_owned);
            HubArgs { hub, ready_file: Some(ready_file.to_owned()), ..HubArgs::default() }.named_ready()
        };
        assert_eq!(named(None, &path).unwrap().as_ref(), Some(&ready));
        assert_eq!(named(Some("https://127.0.0.1:8444/"), &path).unwrap(), Some(ready));
        assert_eq!(named(Some("https://hub.example"), &path).unwrap(), None);
        assert!(matches!(named(None, &folder.path().join("other.json")), Err(TargetError::Ready(_))));
        assert_eq!(HubArgs::default().named_ready().unwrap(), None);
    }

    #[test]
    fn a_hub_is_never_called_without_tls_or_without_somebody_to_trust() {
        let folder = tempfile::tempdir().unwrap();
        let ready = ready(folder.path());
        let plain = Target::assemble(Some("http://127.0.0.1:8444"), Some(&ready.ca), None);
        assert!(matches!(plain, Err(TargetError::NotHttps(_))));
        let untrusted = Target::assemble(Some("https://hub.example"), None, Some(ready.clone()));
        assert!(matches!(untrusted, Err(TargetError::NoCa(_))), "another hub's CA is not this one's");
        let ready = Ready { grpc: "http://127.0.0.1:1".to_owned(), ..ready };
        assert!(matches!(Target::assemble(None, None, Some(ready)), Err(TargetError::NotHttps(_))));
    }
}

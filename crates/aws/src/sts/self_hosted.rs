//! STS of one's own: what a configuration says of them.

use std::path::PathBuf;

use lanyard_iam::{Region, StsAuthority, StsAuthorityError};
use lanyard_kit::http_client::{AddressRules, Options};
use lanyard_kit::tls::{CertificateDer, read_ca_file};
use serde::{Deserialize, Serialize};

/// Longest name, in characters: that of an authority.
const NAME_CHARS_MAX: usize = 63;

/// An STS that is not AWS's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfHostedSts {
    /// Its name: `lab` is the authority `sts:lab`.
    pub name: String,
    /// The host that its clients sign for, with a port where it is not 443.
    pub host: String,
    /// The region of their credential scope.
    pub region: String,
    /// It may have a private address.
    #[serde(default)]
    pub private_address: bool,
    /// A PEM file with the authorities that its certificate is verified by: these alone, and at its host alone. Without one
    /// those of the system count.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// Why a self-hosted STS cannot be used as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelfHostedStsError {
    /// A self-hosted STS without a usable name.
    #[error(
        "self_hosted_sts: `{0}` is not a name, use 1 to 63 lower-case letters, digits and `-`, each once"
    )]
    Name(String),
    /// A self-hosted STS without a usable region.
    #[error("self_hosted_sts: `{0}` is not a region name")]
    Region(String),
    /// A self-hosted STS at a host that it cannot have.
    #[error("self_hosted_sts: {0}")]
    Host(#[from] StsAuthorityError),
    /// Two at one host.
    #[error("self_hosted_sts: `{0}` is given twice, a host belongs to one STS")]
    HostTwice(String),
    /// A file of authorities that cannot be used.
    #[error(
        "self_hosted_sts.ca_file: `{}` of `{name}` {reason}; give a PEM file with the certificate of the authority \
         that signed the one of this STS, or leave the key out where that is one of the system's",
        path.display()
    )]
    CaFile {
        /// The STS.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl SelfHostedSts {
    /// All of them as verifiers know them.
    ///
    /// # Errors
    /// [`SelfHostedStsError`] names the key and the rule.
    pub fn authorities(all: &[Self]) -> Result<Vec<StsAuthority>, SelfHostedStsError> {
        let mut known: Vec<StsAuthority> = Vec::with_capacity(all.len());
        for sts in all {
            let authority = sts.authority()?;
            if known.iter().any(|other| other.name() == authority.name()) {
                return Err(SelfHostedStsError::Name(sts.name.clone()));
            }
            if known.iter().any(|other| other.host() == authority.host()) {
                return Err(SelfHostedStsError::HostTwice(sts.host.clone()));
            }
            known.push(authority);
        }
        Ok(known)
    }

    /// How STS is called: of all private addresses, those of the self-hosted STS that may have one are allowed; and a self-hosted
    /// STS with a CA file is verified by that alone.
    ///
    /// # Errors
    /// [`SelfHostedStsError::CaFile`] for a file that cannot be used.
    pub fn http_options(all: &[Self]) -> Result<Options, SelfHostedStsError> {
        let hosts = all.iter().filter(|sts| sts.private_address);
        let addresses =
            hosts.fold(AddressRules::public_only(), |rules, sts| rules.allow_private(sts.bare_host()));
        let mut options = Options { addresses, ..Options::default() };
        for sts in all {
            if let Some(roots) = sts.roots()? {
                options.roots_of_hosts.insert(sts.host.clone(), roots);
            }
        }
        Ok(options)
    }

    fn authority(&self) -> Result<StsAuthority, SelfHostedStsError> {
        if !is_name(&self.name) {
            return Err(SelfHostedStsError::Name(self.name.clone()));
        }
        let region =
            Region::parse(&self.region).map_err(|_| SelfHostedStsError::Region(self.region.clone()))?;
        Ok(StsAuthority::new(&self.name, &self.host, region)?)
    }

    /// The host without its port.
    fn bare_host(&self) -> &str {
        match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &self.host,
        }
    }

    /// The authorities of its CA file, if it has one.
    fn roots(&self) -> Result<Option<Vec<CertificateDer<'static>>>, SelfHostedStsError> {
        let Some(path) = &self.ca_file else { return Ok(None) };
        let fault =
            |reason| SelfHostedStsError::CaFile { name: self.name.clone(), path: path.clone(), reason };
        read_ca_file(path).map(|(roots, _)| Some(roots)).map_err(fault)
    }
}

/// What can stand in `sts:<name>`.
fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sts(name: &str, host: &str, region: &str) -> SelfHostedSts {
        SelfHostedSts {
            name: name.into(),
            host: host.into(),
            region: region.into(),
            private_address: false,
            ca_file: None,
        }
    }

    #[test]
    fn a_value_out_of_its_rule_is_named() {
        let lab = || sts("lab", "sts.lab.example", "eu-lab-1");
        assert_eq!(SelfHostedSts::authorities(&[lab()]).unwrap().len(), 1);
        let cases = [
            (vec![sts("Lab", "sts.lab.example", "eu-lab-1")], "is not a name"),
            (vec![sts("", "sts.lab.example", "eu-lab-1")], "is not a name"),
            (vec![lab(), sts("lab", "sts2.lab.example", "eu-lab-1")], "is not a name"),
            (vec![lab(), sts("lab2", "sts.lab.example", "eu-lab-1")], "given twice"),
            (vec![sts("lab", "https://sts.lab.example", "eu-lab-1")], "is not a host"),
            (vec![sts("lab", "sts.amazonaws.com", "eu-lab-1")], "belongs to AWS"),
            (vec![sts("lab", "sts.lab.example", "EU")], "is not a region name"),
        ];
        for (all, words) in cases {
            let error = SelfHostedSts::authorities(&all).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn only_a_self_hosted_sts_that_says_so_may_have_a_private_address() {
        let mut lab = sts("lab", "sts.lab.example:8443", "eu-lab-1");
        lab.private_address = true;
        let all = [lab, sts("other", "sts.other.example", "eu-lab-1")];
        let addresses = SelfHostedSts::http_options(&all).unwrap().addresses;
        let private = std::net::IpAddr::from([10, 0, 0, 1]);
        for (host, expected) in
            [("sts.lab.example", true), ("sts.other.example", false), ("sts.amazonaws.com", false)]
        {
            assert_eq!(addresses.allow(host, private), expected, "{host}");
        }
    }

    #[test]
    fn an_addresss_port_is_no_part_of_it() {
        for (host, bare) in [
            ("sts.lab.example", "sts.lab.example"),
            ("sts.lab.example:8443", "sts.lab.example"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("[::1]:8443", "[::1]"),
        ] {
            assert_eq!(sts("lab", host, "eu-lab-1").bare_host(), bare);
        }
    }

    #[test]
    fn a_ca_file_is_of_its_own_host_and_allows_no_private_address() {
        let folder = tempfile::tempdir().unwrap();
        let pki = folder.path().join("pki");
        let ca = lanyard_kit::tls::Authority::create(&pki, "test", time::OffsetDateTime::now_utc()).unwrap();
        let (mut lab, other) =
            (sts("lab", "sts.lab.example:8443", "eu-lab-1"), sts("other", "b.example", "eu-lab-1"));
        lab.ca_file = Some(ca.root_path().to_owned());
        let options = SelfHostedSts::http_options(&[lab, other]).unwrap();
        assert_eq!(options.roots_of_hosts, [("sts.lab.example:8443".to_owned(), ca.roots().unwrap())].into());
        assert_eq!((options.roots.len(), options.addresses), (0, AddressRules::public_only()));
    }

    #[test]
    fn a_ca_file_that_cannot_be_used_is_named_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let fault = || {
            let lab =
                SelfHostedSts { ca_file: Some(path.clone()), ..sts("lab", "sts.lab.example", "eu-lab-1") };
            SelfHostedSts::http_options(&[lab]).unwrap_err().to_string()
        };
        let start = format!("self_hosted_sts.ca_file: `{}` of `lab` ", path.display());
        let not_there = fault();
        assert!(not_there.starts_with(&format!("{start}cannot be read (No such file")), "{not_there}");
        let no_root = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let too_long = "x".repeat(lanyard_kit::tls::CA_FILE_BYTES_MAX as usize + 1);
        for (content, words) in [
            ("", "holds no certificate that can be read"),
            ("hello", "holds no certificate that can be read"),
            (no_root, "holds what is no authority"),
            (too_long.as_str(), "is longer than 1048576 bytes"),
        ] {
            std::fs::write(&path, content).unwrap();
            let text = fault();
            assert!(text.starts_with(&format!("{start}{words}")), "{text}");
        }
    }
}

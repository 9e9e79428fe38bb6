//! A principal's certificate and key, to call by.

use std::path::Path;

use lanyard_iam::sigv4::CertificateSigner;
use lanyard_kit::{
    ExposeSecret as _, SecretString,
    tls::{CertificateFacts, KeyedCertificate, read_public_file, read_secret_file},
};
use tonic::transport::Identity;

use crate::failure::Failure;

/// What the connection shows, and what signs its calls.
///
/// # Errors
/// [`Failure::Usage`] names the file, and what is wrong with it.
pub fn of_files(certificate: &Path, key: &Path) -> Result<(Identity, CertificateSigner), Failure> {
    let wrong =
        |path: &Path, what: &dyn std::fmt::Display| Failure::usage(format!("`{}`: {what}", path.display()));
    let chain_pem = read_public_file(certificate).map_err(Failure::usage)?;
    let key_pem = read_secret_file(key).map_err(Failure::usage)?;
    let identity = Identity::from_pem(&chain_pem, key_pem.expose_secret());
    let key_text = std::str::from_utf8(key_pem.expose_secret()).map_err(|error| wrong(key, &error))?;
    let pair = KeyedCertificate { chain_pem, key_pem: SecretString::from(key_text) };
    let chain = pair.chain().map_err(|error| wrong(certificate, &error))?;
    let leaf = chain.first().ok_or_else(|| wrong(certificate, &"it holds no certificate"))?;
    let facts = CertificateFacts::of(leaf).map_err(|error| wrong(certificate, &error))?;
    let secret = pair.key().map_err(|error| wrong(key, &error))?;
    let signer = CertificateSigner::new(&chain, &facts.serial, secret.secret_der())
        .map_err(|error| wrong(key, &error))?;
    if signer.public_key() != facts.public_key {
        let file = certificate.display();
        return Err(wrong(
            key,
            &format!("it is not the key of `{file}`; give the two that were made together"),
        ));
    }
    Ok((identity, signer))
}

//! Files of authorities that a configuration names.

use std::{fs::File, io::Read as _, path::Path};

use super::{CertificateDer, certificates_from_pem, client_config};

/// The longest CA file: a few hundred authorities, as many as a system has.
pub const CA_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The authorities of a PEM file and its text.
///
/// # Errors
/// What is wrong with it, as it follows the file's name.
pub fn read_ca_file(path: &Path) -> Result<(Vec<CertificateDer<'static>>, String), String> {
    let mut pem = String::new();
    let read = File::open(path).and_then(|file| file.take(CA_FILE_BYTES_MAX + 1).read_to_string(&mut pem));
    let length = read.map_err(|error| format!("cannot be read ({error})"))?;
    if length as u64 > CA_FILE_BYTES_MAX {
        return Err(format!("is longer than {CA_FILE_BYTES_MAX} bytes"));
    }
    let roots =
        certificates_from_pem(&pem).map_err(|_| "holds no certificate that can be read".to_owned())?;
    client_config(&roots, None).map_err(|error| format!("holds what is no authority ({error})"))?;
    Ok((roots, pem))
}

//! The AWS shared-credentials file of the embedded account's administrator.

use std::path::Path;

use lanyard_kit::{
    SecretBytes,
    tls::{FileError, write_secret_file},
};
use secrecy::{ExposeSecret, SecretString};

/// Writes a file whose `default` profile is one key. Mode 0600, in a folder of mode 0700.
///
/// # Errors
/// [`FileError`] names the rule that file or folder breaks.
pub fn write(path: &Path, access_key_id: &str, secret: &SecretString, region: &str) -> Result<(), FileError> {
    let text = format!(
        "# The administrator of this hub's embedded account. Whoever reads this file is that administrator.\n[default]\n\
         aws_access_key_id = {access_key_id}\naws_secret_access_key = {}\nregion = {region}\n",
        secret.expose_secret()
    );
    write_secret_file(path, &SecretBytes::from(text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::credentials;

    #[test]
    fn the_file_is_its_owners_alone_and_reads_back_as_aws_tools_read_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let path = folder.path().join("credentials");
        write(&path, "LKIAAAAAAAAAAAAAAAAA", &"s3cret/+=".into(), "us-east-1").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = credentials::of_file(&path, "default").unwrap();
        assert_eq!(read.secret_access_key.expose(), "s3cret/+=");
    }
}

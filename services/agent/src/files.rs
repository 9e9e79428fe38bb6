//! Small files that others write: projected tokens.

use std::path::Path;

use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::AsyncReadExt as _;

use crate::token::TOKEN_BYTES_MAX;

/// A token's file, without the line break that a hand may have left at its end.
///
/// # Errors
/// The system's words, or that the file is too long or no text.
pub(crate) async fn token(path: &Path) -> Result<SecretString, String> {
    let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file.take(TOKEN_BYTES_MAX as u64 + 1).read_to_string(&mut text).await;
    read.map_err(|error| error.to_string())?;
    if text.len() > TOKEN_BYTES_MAX {
        return Err(format!("it is longer than {TOKEN_BYTES_MAX} bytes"));
    }
    Ok(SecretString::from(text.trim_end()))
}

/// The same as the value of an `Authorization` header.
///
/// # Errors
/// As [`token`], or that it is no visible ASCII.
pub(crate) async fn bearer(path: &Path) -> Result<HeaderValue, String> {
    let token = token(path).await?;
    let value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
    let mut value = value.map_err(|_| "it cannot be sent: a token is visible ASCII".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_read_without_its_line_break_and_up_to_a_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(token(&path).await.is_err());
        std::fs::write(&path, "abc.def.ghi\n").unwrap();
        assert_eq!(token(&path).await.unwrap().expose_secret(), "abc.def.ghi");
        assert_eq!(bearer(&path).await.unwrap(), "Bearer abc.def.ghi");
        std::fs::write(&path, "a\nb").unwrap();
        assert!(bearer(&path).await.unwrap_err().contains("visible ASCII"));
        std::fs::write(&path, "a".repeat(TOKEN_BYTES_MAX + 1)).unwrap();
        assert!(token(&path).await.unwrap_err().contains("longer"));
    }
}

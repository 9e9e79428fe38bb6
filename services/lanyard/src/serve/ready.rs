//! The ready-file: how to reach a hub, for scripts and for the CLI.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use lanyard_kit::tls::{FileError, write_public_file};
use serde::{Deserialize, Serialize};

/// One JSON object, written once everything answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The URL of Kubernetes' HTTP.
    pub gateway: String,
    /// The URL of gRPC.
    pub grpc: String,
    /// The URL of the AWS wire, for `--endpoint-url`; none where its door is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<String>,
    /// The URLs of listeners for operators, by process; `serve` is one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, String>,
    /// The file of the CA's certificate, PEM.
    pub ca: PathBuf,
    /// An AWS shared-credentials file whose `default` profile is the embedded account's administrator.
    pub credentials: PathBuf,
    /// The embedded account.
    pub account: String,
    /// The region that management calls sign.
    pub region: String,
    /// The hub's number, which management calls sign.
    pub hub_id: String,
}

/// Why a ready-file is not there.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    /// It cannot be written where it was asked for.
    #[error("ready-file `{}`: {reason}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// The system's own words.
        reason: std::io::Error,
    },
    /// The data folder refuses it.
    #[error(transparent)]
    File(#[from] FileError),
    /// It cannot be read.
    #[error("`{}` {reason}: start a hub with `lanyard serve`, or name its ready-file with --ready-file", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Ready {
    /// Writes it into the data folder.
    ///
    /// # Errors
    /// [`ReadyError::File`] where the folder is not secure.
    pub fn write_to_data(&self, path: &Path) -> Result<(), ReadyError> {
        Ok(write_public_file(path, &self.bytes())?)
    }

    /// Writes it where a script wants it: whole or not at all, so that who waits for it never reads half.
    ///
    /// # Errors
    /// [`ReadyError::Write`] with the system's own words.
    pub fn write(&self, path: &Path) -> Result<(), ReadyError> {
        let half = path.with_extension("partial");
        let written = std::fs::write(&half, self.bytes()).and_then(|()| std::fs::rename(&half, path));
        written.map_err(|reason| ReadyError::Write { path: path.to_owned(), reason })
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`ReadyError::Read`] names the file and the next step.
    pub fn read(path: &Path) -> Result<Self, ReadyError> {
        let fault = |reason: String| ReadyError::Read { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| fault(format!("cannot be read ({error})")))?;
        serde_json::from_slice(&bytes).map_err(|error| fault(format!("is not a ready-file ({error})")))
    }

    fn bytes(&self) -> Vec<u8> {
        // Strings and paths of Unicode always become JSON; others would have been refused as configuration.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

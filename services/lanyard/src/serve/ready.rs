//! The ready-file: how to reach a hub, for scripts and for the CLI.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use lanyard_kit::life::{ReadyFile, ReadyFileError};
use serde::{Deserialize, Serialize};

use super::config::ServeConfig;
use crate::place;

/// One JSON object, there from when everything answers to the hub's end.
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

/// A ready-file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{}` {reason}: start a hub with `lanyard serve`, or name its ready-file with --ready-file", path.display())]
pub struct ReadyError {
    path: PathBuf,
    reason: String,
}

/// The files of a hub, without what a hub of before said there: in its data folder, for the CLI, and where a script wants one.
///
/// # Errors
/// Where one cannot be removed.
pub fn files(config: &ServeConfig) -> Result<Vec<ReadyFile>, ReadyFileError> {
    let of_data = config.data_dir.join(place::READY_FILE);
    [Some(&of_data), config.ready_file.as_ref()]
        .into_iter()
        .flatten()
        .map(|path| ReadyFile::begin(path))
        .collect()
}

impl Ready {
    /// Writes it.
    ///
    /// # Errors
    /// Where the system refuses that.
    pub fn write(&self, file: &mut ReadyFile) -> Result<(), ReadyFileError> {
        file.write(&self.bytes())
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`ReadyError`] names the file and the next step.
    pub fn read(path: &Path) -> Result<Self, ReadyError> {
        let fault = |reason: String| ReadyError { path: path.to_owned(), reason };
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

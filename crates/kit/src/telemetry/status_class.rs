//! The classes of HTTP status that requests are counted by.

use http::StatusCode;

use super::{Label, names};

/// A class of HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusClass {
    /// 2xx, and what is below 4xx.
    Ok,
    /// 4xx.
    ClientError,
    /// 5xx.
    ServerError,
}

impl Label for StatusClass {
    const KEY: &'static str = names::CODE;
    const ALL: &'static [Self] = &[Self::Ok, Self::ClientError, Self::ServerError];

    fn value(self) -> &'static str {
        match self {
            Self::Ok => "2xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl From<StatusCode> for StatusClass {
    fn from(status: StatusCode) -> Self {
        if status.is_server_error() {
            Self::ServerError
        } else if status.is_client_error() {
            Self::ClientError
        } else {
            Self::Ok
        }
    }
}

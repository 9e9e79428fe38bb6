//! What is said over a connection, and what errors mean.

use std::fmt;

use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, RedisError, RedisResult};

/// A connection; clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// What lies under a key, no more than one byte over `bytes_max` of it; empty where nothing does.
    pub(super) async fn get(&self, key: &str, bytes_max: usize) -> RedisResult<Vec<u8>> {
        let mut command = redis::cmd("GETRANGE");
        command.arg(key).arg(0).arg(bytes_max);
        self.send(&command).await
    }

    pub(super) async fn put(&self, key: &str, sealed: &[u8], milliseconds: u64) -> RedisResult<()> {
        let mut command = redis::cmd("SET");
        command.arg(key).arg(sealed).arg("PX").arg(milliseconds);
        self.send(&command).await
    }

    async fn send<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Server(connection) => command.query_async(&mut connection.clone()).await,
            Self::Cluster(connection) => command.query_async(&mut connection.clone()).await,
        }
    }

    /// Whether it makes lost parts anew by itself.
    pub(super) fn mends_itself(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

/// What an error means for those who met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Redis is well; what lies there is no text.
    Garbage,
    /// Redis is well, and has no memory left.
    Full,
    /// This connection is of no use any more: it has ended, or leads to a server that has become a replica.
    Gone,
    /// Anything else.
    Fault,
}

impl Verdict {
    pub(super) fn of(error: &RedisError) -> Self {
        match error.code() {
            Some("WRONGTYPE") => Self::Garbage,
            Some("OOM") => Self::Full,
            Some("READONLY") => Self::Gone,
            _ if error.is_io_error() || error.is_unrecoverable_error() => Self::Gone,
            _ => Self::Fault,
        }
    }
}

/// What an error says, for the log: the code of an answer without its words, which may hold anything.
pub(super) fn reason(error: &RedisError) -> String {
    match error.code() {
        Some(code) => {
            let plain = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
            format!("it answered {}", code.chars().filter(plain).take(32).collect::<String>())
        }
        None if error.is_io_error() => {
            error.to_string().chars().filter(|letter| !letter.is_control()).collect()
        }
        None => error.category().to_owned(),
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Unreached {
    /// A step took too long.
    TimedOut,
    /// No Sentinel knows the master.
    NoMaster,
    /// The server that the Sentinels name says that it is none.
    NotMaster,
    /// What a server or the network said.
    Said(RedisError),
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no answer in time"),
            Self::NoMaster => f.write_str("no Sentinel knows a master of this name"),
            Self::NotMaster => f.write_str("the Sentinels name a server that is not the master"),
            Self::Said(error) => f.write_str(&reason(error)),
        }
    }
}

impl From<RedisError> for Unreached {
    fn from(error: RedisError) -> Self {
        Self::Said(error)
    }
}

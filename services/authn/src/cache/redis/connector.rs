//! Connecting to one server, to the master that Sentinels name, or to a cluster.

use std::future::Future;
use std::time::Duration;

use lanyard_kit::{ExposeSecret as _, tls};
use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
    RedisResult, TlsCertificates,
};
use tokio::time::timeout;

use super::address::{Address, Host, Place};
use super::config::{InvalidRedis, Login, Options, RedisConfig};
use super::connection::{Connection, Unreached, Verdict};
use super::name_of;

/// Makes connections, each as it was configured.
pub(super) struct Connector {
    how: How,
    means: Means,
    /// How long the question may take that a new connection is asked.
    get: Duration,
}

enum How {
    Server(Client),
    Sentinel { sentinels: Vec<Client>, master: String, database: u16, login: Login },
    Cluster(Box<ClusterClient>),
}

/// What every connection is made with.
struct Means {
    tls: Option<Roots>,
    step: Duration,
    config: AsyncConnectionConfig,
}

/// Who vouches for a server's certificate.
enum Roots {
    OfTheSystem,
    These(TlsCertificates),
}

/// How often a cluster's client follows a redirection or tries again, within the time of a question.
const CLUSTER_RETRIES: u32 = 3;
/// It waits no longer before that, in milliseconds.
const CLUSTER_RETRY_MILLISECONDS_MAX: u64 = 5;

impl Connector {
    /// Looks at everything that can be judged without a connection.
    pub(super) fn new(options: Options) -> Result<Self, InvalidRedis> {
        // The driver's TLS asks for the process's provider.
        tls::install_provider();
        let Options { address, login, sentinel_login, ca_pem, get, connect, .. } = options;
        let Address { place, tls } = address;
        let roots = |pem: String| {
            Roots::These(TlsCertificates { client_tls: None, root_cert: Some(pem.into_bytes()) })
        };
        let means = Means {
            tls: tls.then(|| ca_pem.map_or(Roots::OfTheSystem, roots)),
            step: connect,
            config: AsyncConnectionConfig::new()
                .set_connection_timeout(Some(connect))
                .set_response_timeout(Some(connect)),
        };
        let how = means.how(place, login, &sentinel_login);
        let how = how.map_err(|error| InvalidRedis::Driver(error.to_string()))?;
        Ok(Self { how, means, get })
    }

    /// Reads the files anew that the configuration names: passwords and authorities are replaced while the process runs. What does not do
    /// is not taken; that the server does not let us in is told then.
    pub(super) async fn renew(&mut self, config: &RedisConfig) {
        if !config.has_files() {
            return;
        }
        let config = config.clone();
        // Files may lie on a disk that is slow. An error of the task says that the runtime is being taken down.
        let read = tokio::task::spawn_blocking(move || config.options().and_then(Self::new)).await;
        match read {
            Ok(Ok(renewed)) => *self = renewed,
            Ok(Err(error)) => {
                tracing::debug!(%error, "what Redis is connected to with stays as it was read before")
            }
            Err(_) => {}
        }
    }

    /// A connection that has answered the question that requests ask: whether we may is known as well as whether it is there.
    pub(super) async fn connect(&self) -> Result<Connection, Unreached> {
        let connection = match &self.how {
            How::Server(client) => Connection::Server(self.means.server(client).await?),
            How::Sentinel { sentinels, master, database, login } => {
                let master = self.means.master_of(sentinels, master).await?;
                let client = self.means.client(&master, *database, login)?;
                let connection = self.means.server(&client).await?;
                self.means.is_master(&connection).await?;
                Connection::Server(connection)
            }
            // Nodes are connected to and then asked for the others: two steps.
            How::Cluster(client) => {
                Connection::Cluster(within(self.means.step * 2, client.get_async_connection()).await?)
            }
        };
        match within(self.get, connection.get(&name_of(&[0; 32]), 0)).await {
            Err(Unreached::Said(error)) if Verdict::of(&error) != Verdict::Garbage => {
                Err(Unreached::Said(error))
            }
            Err(Unreached::TimedOut) => Err(Unreached::TimedOut),
            _ => Ok(connection),
        }
    }
}

impl Means {
    fn how(&self, place: Place, login: Login, sentinel_login: &Login) -> RedisResult<How> {
        Ok(match place {
            Place::Server { host, database } => How::Server(self.client(&host, database, &login)?),
            Place::Sentinel { sentinels, master, database } => {
                let sentinels = sentinels.iter().map(|host| self.client(host, 0, sentinel_login));
                How::Sentinel { sentinels: sentinels.collect::<Result<_, _>>()?, master, database, login }
            }
            Place::Cluster { nodes } => {
                let nodes = nodes.iter().map(|host| self.info(host, 0, &login));
                let builder = ClusterClientBuilder::new(nodes.collect::<Result<Vec<_>, _>>()?)
                    .connection_timeout(self.step)
                    .response_timeout(self.step)
                    .retries(CLUSTER_RETRIES)
                    .min_retry_wait(1)
                    .max_retry_wait(CLUSTER_RETRY_MILLISECONDS_MAX);
                let builder = match &self.tls {
                    Some(Roots::These(roots)) => builder.certs(roots.clone()),
                    _ => builder,
                };
                How::Cluster(Box::new(builder.build()?))
            }
        })
    }

    fn client(&self, host: &Host, database: u16, login: &Login) -> RedisResult<Client> {
        let info = self.info(host, database, login)?;
        match &self.tls {
            Some(Roots::These(roots)) => Client::build_with_tls(info, roots.clone()),
            _ => Client::open(info),
        }
    }

    fn info(&self, host: &Host, database: u16, login: &Login) -> RedisResult<ConnectionInfo> {
        let Host { name, port } = host.clone();
        let address = match self.tls {
            Some(_) => ConnectionAddr::TcpTls { host: name, port, insecure: false, tls_params: None },
            None => ConnectionAddr::Tcp(name, port),
        };
        let mut settings = RedisConnectionInfo::default().set_db(database.into());
        if let Some(username) = &login.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &login.password {
            settings = settings.set_password(password.expose_secret());
        }
        Ok(address.into_connection_info()?.set_redis_settings(settings))
    }

    async fn server(&self, client: &Client) -> Result<MultiplexedConnection, Unreached> {
        within(self.step, client.get_multiplexed_async_connection_with_config(&self.config)).await
    }

    /// Where the first Sentinel that knows it says that the master is.
    async fn master_of(&self, sentinels: &[Client], name: &str) -> Result<Host, Unreached> {
        let mut last = Unreached::NoMaster;
        for sentinel in sentinels {
            match self.ask(sentinel, name).await {
                Ok(Some((name, port))) => return Ok(Host { name, port }),
                Ok(None) => {}
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    async fn ask(&self, sentinel: &Client, name: &str) -> Result<Option<(String, u16)>, Unreached> {
        let mut connection = self.server(sentinel).await?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        within(self.step, command.query_async(&mut connection)).await
    }

    /// A Sentinel may not have heard yet that there is another. Who may not ask the server itself finds out when it takes no
    /// value.
    async fn is_master(&self, connection: &MultiplexedConnection) -> Result<(), Unreached> {
        let mut connection = connection.clone();
        let command = redis::cmd("ROLE");
        match within(self.step, command.query_async::<Vec<redis::Value>>(&mut connection)).await {
            Ok(role) => match role.first().map(redis::from_redis_value_ref::<String>) {
                Some(Ok(role)) if role == "master" => Ok(()),
                _ => Err(Unreached::NotMaster),
            },
            Err(Unreached::Said(error)) if Verdict::of(&error) == Verdict::Fault => Ok(()),
            Err(why) => Err(why),
        }
    }
}

/// One step, which has so long.
async fn within<T>(limit: Duration, step: impl Future<Output = RedisResult<T>>) -> Result<T, Unreached> {
    match timeout(limit, step).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Unreached::TimedOut),
    }
}

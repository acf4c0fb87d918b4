//! How is Dify's Redis read? One connection, kept; a handful of commands of Redis 6.0, none of
//! which writes, and none of which walks over all keys.

use crate::config::{Address, DifyRedis, Encryption};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisResult, TlsCertificates,
};
use std::fmt;
use std::time::Duration;

/// For one command, and for a connection. Nobody waits for us, but our own next round.
const PATIENCE: Duration = Duration::from_secs(1);
/// For everything together.
const ROUND: Duration = Duration::from_secs(5);
/// More nodes are not read.
const MOST_NODES: usize = 4096;
/// Daemons before 0.5 write every plugin of every node.
const MOST_STATES: usize = 32_768;
/// A value longer than this is not one of the daemon's.
const LONGEST: usize = 64 * 1024;
/// Fields per step: a hash of any size keeps Redis busy for a moment only.
const STEP: usize = 512;

/// Both hashes, and Redis's own time in seconds.
pub(super) struct Picture {
    pub(super) time: i64,
    pub(super) nodes: Vec<(String, Vec<u8>)>,
    pub(super) states: Vec<(String, Vec<u8>)>,
}

/// The connection to Dify's Redis.
pub(super) struct Link {
    settings: DifyRedis,
    connection: Option<MultiplexedConnection>,
}

impl Link {
    pub(super) const fn new(settings: DifyRedis) -> Self {
        Self {
            settings,
            connection: None,
        }
    }

    /// Reads what the daemons wrote; plugins only if they are wanted. After an error the next
    /// reading connects anew, and asks the sentinels anew.
    pub(super) async fn read(&mut self, states: bool) -> Result<Picture, String> {
        let read = tokio::time::timeout(ROUND, self.try_read(states)).await;
        let what = match read {
            Ok(Ok(picture)) => return Ok(picture),
            Ok(Err(error)) => error,
            Err(_late) => "no answer in time".to_owned(),
        };
        self.connection = None;
        Err(format!("redis: {what}"))
    }

    async fn try_read(&mut self, states: bool) -> Result<Picture, String> {
        let mut connection = match &self.connection {
            Some(connection) => connection.clone(),
            None => self.connect().await?,
        };
        let key = |name: &str| format!("{}:{name}", self.settings.prefix);
        let nodes = key("cluster-nodes-status-hash-map");
        let states = states.then(|| key("plugin_state"));
        let picture = picture(&mut connection, &nodes, states).await;
        let picture = picture.map_err(|error| error.to_string())?;
        self.connection = Some(connection);
        Ok(picture)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let address = match &self.settings.sentinels {
            None => self.settings.address.clone(),
            Some(_) => self.ask_sentinels().await?,
        };
        let settings = &self.settings;
        let mut login = RedisConnectionInfo::default().set_db(settings.db.into());
        if let Some(username) = &settings.username {
            login = login.set_username(username);
        }
        if let Some(password) = &settings.password {
            login = login.set_password(password.expose());
        }
        self.open(&address, login)
            .await
            .map_err(|error| format!("{address}: {error}"))
    }

    /// Where the sentinels say it is; the first of them that knows is believed.
    async fn ask_sentinels(&self) -> Result<Address, String> {
        let Some(sentinels) = &self.settings.sentinels else {
            return Err("no sentinels".to_owned());
        };
        let mut login = RedisConnectionInfo::default();
        if let Some(username) = &sentinels.username {
            login = login.set_username(username);
        }
        if let Some(password) = &sentinels.password {
            login = login.set_password(password.expose());
        }
        let mut why = "no sentinel".to_owned();
        for address in &sentinels.addresses {
            let answer = async {
                let mut sentinel = self.open(address, login.clone()).await?;
                redis::cmd("SENTINEL")
                    .arg("get-master-addr-by-name")
                    .arg(&sentinels.service)
                    .query_async::<Option<(String, u16)>>(&mut sentinel)
                    .await
            };
            match answer.await {
                Ok(Some((host, port))) => {
                    return Ok(Address {
                        host,
                        port,
                        tls: false,
                    });
                }
                Ok(None) => why = format!("sentinel {address} does not know {}", sentinels.service),
                Err(error) => why = format!("sentinel {address}: {error}"),
            }
        }
        Err(why)
    }

    async fn open(
        &self,
        address: &Address,
        login: RedisConnectionInfo,
    ) -> RedisResult<MultiplexedConnection> {
        let info = place(address, self.settings.encryption)
            .into_connection_info()?
            .set_redis_settings(login.set_skip_set_lib_name());
        let patience = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = self.client(info).await?;
        client
            .get_multiplexed_async_connection_with_config(&patience)
            .await
    }

    async fn client(&self, info: ConnectionInfo) -> RedisResult<Client> {
        let Some(file) = &self.settings.ca else {
            return Client::open(info);
        };
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(tokio::fs::read(file).await?),
        };
        if self.settings.encryption == Encryption::Off {
            return Client::open(info);
        }
        Client::build_with_tls(info, certificates)
    }
}

fn place(address: &Address, encryption: Encryption) -> ConnectionAddr {
    let (host, port) = (address.host.clone(), address.port);
    match encryption {
        Encryption::Off => ConnectionAddr::Tcp(host, port),
        Encryption::Verified | Encryption::Unverified => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: encryption == Encryption::Unverified,
            tls_params: None,
        },
    }
}

async fn picture(
    connection: &mut MultiplexedConnection,
    nodes: &str,
    states: Option<String>,
) -> RedisResult<Picture> {
    let (time, _micros): (i64, i64) = redis::cmd("TIME").query_async(connection).await?;
    let nodes = fields(connection, nodes, MOST_NODES).await?;
    let states = match states {
        Some(key) => fields(connection, &key, MOST_STATES).await?,
        None => Vec::new(),
    };
    Ok(Picture {
        time,
        nodes,
        states,
    })
}

/// The fields of a hash, so many at most.
async fn fields(
    connection: &mut MultiplexedConnection,
    key: &str,
    most: usize,
) -> RedisResult<Vec<(String, Vec<u8>)>> {
    let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let (next, step): (u64, Vec<(String, Vec<u8>)>) = redis::cmd("HSCAN")
            .arg(key)
            .arg(cursor)
            .arg("COUNT")
            .arg(STEP)
            .query_async(connection)
            .await?;
        let plausible =
            |(field, value): &(String, Vec<u8>)| field.len() <= 256 && value.len() <= LONGEST;
        fields.extend(step.into_iter().filter(plausible));
        if next == 0 || fields.len() >= most {
            fields.truncate(most);
            return Ok(fields);
        }
        cursor = next;
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.settings.address)
            .finish_non_exhaustive()
    }
}

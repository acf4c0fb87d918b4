//! How do we get to Redis and back, and when do we try again?

use super::answer;
use super::trouble::{garbage, understood};
use crate::config::Share;
use crate::model::{Secret, clock};
use crate::share::{Answer, Keys, Letter, ShareError};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, TlsCertificates, TlsMode, Value,
};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What happens to a letter in Redis.
pub const SCRIPT: &str = include_str!("../exchange.lua");

/// So many answers in a row that did not come in time, and the connection is taken for dead.
const PATIENCE: u32 = 3;
/// The first wait before the next connection, at most; twice as long each further time.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// And never longer: with it, all is exact again within three seconds after Redis is back.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The way to one Redis.
pub struct Link {
    settings: Share,
    keys: Keys,
    digest: String,
    open: Option<Open>,
    /// Answers in a row that did not come in time.
    late: u32,
    /// Connections in a row that failed.
    failed: u32,
    not_before: Instant,
    last: ShareError,
    /// The last letter was sent: no other may bring us back.
    left: bool,
}

enum Open {
    One(MultiplexedConnection),
    Sharded(ClusterConnection),
}

impl Link {
    /// A way that nobody has gone yet.
    ///
    /// # Errors
    /// When an address is none.
    pub fn new(settings: &Share) -> Result<Self, String> {
        for url in &settings.urls {
            info(url).map_err(|error| error.to_string())?;
        }
        Ok(Self {
            keys: Keys::new(&settings.prefix, settings.sharded),
            digest: redis::Script::new(SCRIPT).get_hash().to_owned(),
            settings: settings.clone(),
            open: None,
            late: 0,
            failed: 0,
            not_before: clock::now(),
            last: garbage("not connected yet"),
            left: false,
        })
    }

    /// Goes another way from now on: a password or an address has changed. The keys stay.
    pub(super) fn adjust(&mut self, settings: &Share) {
        let settings = Share {
            prefix: self.settings.prefix.clone(),
            sharded: self.settings.sharded,
            ..settings.clone()
        };
        if settings.is_on() && settings != self.settings {
            self.settings = settings;
            self.open = None;
            self.failed = 0;
            self.not_before = clock::now();
        }
    }

    /// Carries a letter there and its answer back: one round trip, or two when Redis does not know
    /// the script yet.
    ///
    /// # Errors
    /// Whatever is in the way. While it is too early to connect again, the last error.
    pub async fn carry(&mut self, letter: &Letter) -> Result<Answer, ShareError> {
        if self.left {
            return Err(garbage("this gateway has left the fleet"));
        }
        self.left = letter.leave;
        if self.open.is_none() {
            self.connect().await?;
        }
        let Some(open) = &mut self.open else {
            return Err(self.last.clone());
        };
        let argument = letter.to_json();
        let patience = self.settings.timeout;
        let short = command("EVALSHA", &self.digest, &self.keys, &argument);
        let mut value = ask(open, patience, &short).await;
        if value
            .as_ref()
            .is_err_and(|error| error.code() == Some("NOSCRIPT"))
        {
            let whole = command("EVAL", SCRIPT, &self.keys, &argument);
            value = ask(open, patience, &whole).await;
        }
        let result = match value {
            Ok(value) => answer::read(letter, value).ok_or_else(|| {
                let what = garbage("an answer that is not the script's to this letter");
                (what, true)
            }),
            Err(error) => Err(understood(&error)),
        };
        self.settle(result)
    }

    /// Connects and leaves the script there, for an operator who asks whether that works.
    ///
    /// # Errors
    /// Whatever is in the way.
    pub async fn greet(&mut self) -> Result<(), ShareError> {
        self.connect().await?;
        let Some(open) = &mut self.open else {
            return Err(self.last.clone());
        };
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(SCRIPT);
        let loaded = ask(open, self.settings.timeout, &load).await;
        loaded.map(drop).map_err(|error| understood(&error).0)
    }

    fn settle(&mut self, result: Result<Answer, (ShareError, bool)>) -> Result<Answer, ShareError> {
        match result {
            Ok(answer) => {
                (self.late, self.failed) = (0, 0);
                Ok(answer)
            }
            Err((error, lost)) => {
                self.late = if error.cause == "timeout" {
                    self.late + 1
                } else {
                    0
                };
                if lost || self.late >= PATIENCE {
                    self.open = None;
                    self.late = 0;
                    self.wait();
                }
                self.last = error.clone();
                Err(error)
            }
        }
    }

    /// No connection before some time has passed, and another time in each gateway: when Redis comes
    /// back, it must not be run over.
    fn wait(&mut self) {
        let most = FIRST_WAIT
            .saturating_mul(1 << self.failed.min(10))
            .min(LONGEST_WAIT);
        self.failed = self.failed.saturating_add(1);
        self.not_before = clock::now() + most.mul_f64(fastrand::f64());
    }

    async fn connect(&mut self) -> Result<(), ShareError> {
        if clock::now() < self.not_before {
            return Err(self.last.clone());
        }
        let opened = timeout(self.settings.timeout, open(&self.settings)).await;
        let result = match opened {
            Ok(Ok(open)) => {
                self.open = Some(open);
                return Ok(());
            }
            Ok(Err(error)) => understood(&error).0,
            Err(_late) => ShareError {
                cause: "timeout",
                what: "no connection in time".to_owned(),
            },
        };
        self.wait();
        self.last = result.clone();
        Err(result)
    }
}

fn command(name: &str, script: &str, keys: &Keys, argument: &str) -> Cmd {
    let mut command = redis::cmd(name);
    command
        .arg(script)
        .arg(keys.all().len())
        .arg(keys.all())
        .arg(argument);
    command
}

async fn ask(open: &mut Open, patience: Duration, command: &Cmd) -> Result<Value, RedisError> {
    let said = async {
        match open {
            Open::One(connection) => connection.req_packed_command(command).await,
            Open::Sharded(connection) => connection.req_packed_command(command).await,
        }
    };
    match timeout(patience, said).await {
        Ok(value) => value?.extract_error(),
        Err(late) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, late).into()),
    }
}

fn info(url: &Secret) -> Result<ConnectionInfo, RedisError> {
    url.expose().into_connection_info()
}

async fn open(settings: &Share) -> Result<Open, RedisError> {
    let certificates = certificates(settings).await?;
    let urls = settings.urls.iter().map(info);
    let mut urls = urls.collect::<Result<Vec<_>, _>>()?;
    if settings.sharded {
        let mut client = ClusterClient::builder(urls)
            .connection_timeout(settings.timeout)
            .response_timeout(settings.timeout)
            .retries(1);
        if let Some(certificates) = certificates {
            client = client.certs(certificates);
        }
        let connection = client.build()?.get_async_connection().await?;
        return Ok(Open::Sharded(connection));
    }
    let client = match &settings.sentinel.name {
        Some(name) => {
            behind_sentinels(settings, name, urls)?
                .async_get_client()
                .await?
        }
        None => match (certificates, urls.pop()) {
            (Some(certificates), Some(url)) => Client::build_with_tls(url, certificates)?,
            (None, Some(url)) => Client::open(url)?,
            (_, None) => return Err(std::io::Error::other("no address of Redis").into()),
        },
    };
    let patience = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.timeout))
        .set_response_timeout(Some(settings.timeout));
    let connection = client.get_multiplexed_async_connection_with_config(&patience);
    Ok(Open::One(connection.await?))
}

/// The sentinels are asked anew for each connection: after a failover they name another server.
fn behind_sentinels(
    settings: &Share,
    name: &str,
    urls: Vec<ConnectionInfo>,
) -> Result<SentinelClient, RedisError> {
    let sentinel = &settings.sentinel;
    let mut login = RedisConnectionInfo::default().set_db(sentinel.database);
    if let Some(username) = &sentinel.username {
        login = login.set_username(username);
    }
    if let Some(password) = &sentinel.password {
        login = login.set_password(password.expose());
    }
    let mut data = SentinelNodeConnectionInfo::default().set_redis_connection_info(login);
    if sentinel.tls {
        data = data.set_tls_mode(TlsMode::Secure);
    }
    SentinelClient::build(urls, name, Some(data), SentinelServerType::Master)
}

async fn certificates(settings: &Share) -> Result<Option<TlsCertificates>, RedisError> {
    let Some(file) = &settings.ca else {
        return Ok(None);
    };
    Ok(Some(TlsCertificates {
        client_tls: None,
        root_cert: Some(tokio::fs::read(file).await?),
    }))
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("open", &self.open.is_some())
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

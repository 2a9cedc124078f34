//! Records on a PostgreSQL server: connecting, and the connections to it.
//!
//! Everything that waits has an end: connecting, a lock, a query, and a transaction whose process is gone or stuck, so
//! that it does not keep the writers' lock from the other controllers.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use crate::database::{Opened, StoreOptions};
use crate::error::StoreError;
use crate::feed::Bell;
use crate::logs;
use crate::migrations;
use crate::pools::{ACQUIRE_TIMEOUT, Pools};

/// Begins a transaction that writes, when every other one has ended: the number is Wharf's writers' lock. It ends with
/// the transaction, after others can see what it committed.
pub(crate) const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(8245928656)";

/// The oldest version that has all that is used (`CREATE OR REPLACE TRIGGER`).
const OLDEST: i64 = 14;
/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long all of opening may take: a migration of many records takes its time, another process may migrate first.
const OPENING_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// For the connection that migrates: waits for others no longer than they may take.
const OPENING: &str = "SET lock_timeout = '10min'; SET client_min_messages = warning";
/// For a connection that reads. Queries here are short: compiling them costs more than it brings.
const READING: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; SET jit = off; \
    SET default_transaction_read_only = on";
/// For the connection that writes; the last one has the triggers note what it touches.
const WRITING: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; SET jit = off; \
    SET idle_in_transaction_session_timeout = '30s'; SET wharf.notes = 'on'";

/// Connections that listen: one, and those that are being given up.
const LISTENERS_MAX: u32 = 3;

/// Connects, and brings the database to this version's form.
pub(crate) async fn open(url: &str, options: &StoreOptions) -> Result<Opened, StoreError> {
    let connect = PgConnectOptions::from_str(url)
        .map_err(|source| StoreError::Connect {
            server: "its address".to_owned(),
            hint: "write it as postgres://user:password@host:5432/name",
            source,
        })?
        .application_name("wharf");
    let server = describe(&connect);
    let failed = |source: sqlx::Error| StoreError::Connect {
        server: server.clone(),
        hint: hint(&source),
        source,
    };
    let first = tokio::time::timeout(CONNECT_TIMEOUT, connect.connect()).await;
    let mut conn = first.map_err(|_elapsed| failed(timed_out()))?.map_err(failed)?;
    let form = tokio::time::timeout(OPENING_TIMEOUT, bring_to_form(&mut conn)).await;
    form.map_err(|_elapsed| failed(timed_out()))??;
    // What follows opens its own.
    conn.close().await.map_err(failed)?;
    Ok(Opened {
        pools: Pools::Postgres {
            readers: pool(&connect, options.readers.max(1), READING),
            writer: pool(&connect, 1, WRITING),
        },
        bell: Bell::Server(pool(&connect, LISTENERS_MAX, READING)),
        reserve: None,
    })
}

/// A pool whose connections begin with these settings. None is opened before it is needed, so that a server that is away
/// for a while is met again by whoever asks next.
fn pool(connect: &PgConnectOptions, max: u32, settings: &'static str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |conn, _about| {
            Box::pin(async move {
                sqlx::raw_sql(settings).execute(conn).await?;
                Ok(())
            })
        })
        .connect_lazy_with(connect.clone())
}

async fn bring_to_form(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::raw_sql(OPENING).execute(&mut *conn).await?;
    check_server(conn).await?;
    migrations::postgres(conn).await?;
    sqlx::raw_sql(BEGIN).execute(&mut *conn).await?;
    logs::make_permanent(conn).await?;
    sqlx::raw_sql("COMMIT").execute(conn).await?;
    Ok(())
}

async fn check_server(conn: &mut PgConnection) -> Result<(), StoreError> {
    let row: PgRow = sqlx::query(
        "SELECT current_setting('server_version_num')::bigint / 10000, \
         current_setting('server_version'), current_setting('server_encoding')",
    )
    .fetch_one(conn)
    .await?;
    let (major, version, encoding): (i64, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if major < OLDEST {
        return Err(StoreError::Server(format!(
            "the database server is PostgreSQL {version}, but {OLDEST} or later is needed: upgrade it"
        )));
    }
    if encoding != "UTF8" {
        return Err(StoreError::Server(format!(
            "the database keeps text as {encoding}, but UTF8 is needed: create another one with \
             createdb --encoding=UTF8 --template=template0 NAME"
        )));
    }
    Ok(())
}

fn timed_out() -> sqlx::Error {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// Where it is, without the password.
fn describe(connect: &PgConnectOptions) -> String {
    let database = connect.get_database().unwrap_or(connect.get_username());
    let user = connect.get_username();
    match connect.get_socket() {
        Some(socket) => format!("{database:?} at {} as {user}", socket.display()),
        None => format!("{database:?} at {}:{} as {user}", connect.get_host(), connect.get_port()),
    }
}

/// What to do about it.
fn hint(error: &sqlx::Error) -> &'static str {
    let code = error.as_database_error().and_then(|error| error.code());
    match (code.as_deref(), error) {
        (Some("28P01" | "28000"), _) => "check user and password, and pg_hba.conf on the server",
        (Some("3D000"), _) => "create it with createdb",
        (Some("42501"), _) => "the user must own it: CREATE DATABASE ... OWNER ...",
        (_, error) if is_about_tls(error) => {
            "check the server's certificate, or set sslmode and sslrootcert in the address"
        }
        _ => "check that the server runs and can be reached from here",
    }
}

/// A certificate that is refused is what was read and cannot be, and not an error of its own.
fn is_about_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

//! What can go wrong with records.

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database's directory or file cannot be used.
    #[error("cannot open the database {path}")]
    Open {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The database server cannot be used.
    #[error("cannot connect to the database {server}: {hint}")]
    Connect {
        /// Database, server and user, without the password.
        server: String,
        /// What to do.
        hint: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The database server is not one that can be used; says what to do.
    #[error("{0}")]
    Server(String),
    /// Another process opens or migrates the same database, and does not come to an end.
    #[error("cannot lock {path} to open the database in it")]
    Lock {
        /// The directory.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the file open.
    #[error("{0} is in use: stop every Wharf on this data directory first")]
    InUse(String),
    /// A migration failed, or the file was written by a newer version.
    #[error("cannot bring the database to this version's form")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The disk that holds the database is full; nothing was changed.
    #[error("the disk that holds the database is full: free some space and try again")]
    Full,
    /// The database could not be reached in time; nothing was changed.
    #[error("the database is busy, try again")]
    Busy,
    /// The database server is away or going down. Whether what was to be written was written is not known where it went
    /// at the commit.
    #[error("the database server cannot be reached, try again")]
    Unreachable(#[source] sqlx::Error),
    /// A text has the character NUL, which PostgreSQL cannot keep.
    #[error(
        "a text holds the character NUL (\\u0000), which the database cannot keep: leave it out"
    )]
    Nul,
    /// A query failed for another reason.
    #[error("a query failed")]
    Database(#[source] sqlx::Error),
    /// What was to be changed does not exist (any more).
    #[error("{0} does not exist")]
    NotFound(String),
    /// The record was changed by somebody else between reading and writing; read again.
    #[error("{0} was changed by somebody else at the same time")]
    Changed(String),
    /// The host name belongs to another link.
    #[error("the host name {0:?} is taken")]
    NameTaken(String),
    /// The host name was released by another user a short while ago.
    #[error("the host name {0:?} was released a short while ago and is kept from others until {1}")]
    NameResting(String, String),
    /// The owner has as many host names as one may have.
    #[error("the owner has {0} host names already, which is the most one may have: release one")]
    NamesMax(u32),
    /// What was to be the owner cannot be it.
    #[error("{0}")]
    BadOwner(String),
    /// The owner has another record of this kind with this name.
    #[error(
        "{owner} has a {what} named {name:?} already; send ensure_unique_name to get another name"
    )]
    NameInUse {
        /// The kind of record, in words.
        what: &'static str,
        /// The owner.
        owner: String,
        /// The name.
        name: String,
    },
    /// The user name belongs to another user.
    #[error("the user name {0:?} is taken")]
    UsernameTaken(String),
    /// What was to be deleted has something that would be left behind; says what, and what to do.
    #[error("{0}")]
    StillUsed(String),
    /// A stored record does not have the form it was written in.
    #[error("the stored {what} cannot be read")]
    Corrupt {
        /// Table and identifier.
        what: String,
        /// How it is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// What a supervisor left is no manifest.
    #[error("what a container left is no manifest: {0}")]
    Manifest(String),
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The write ended without an answer (a panic, or the runtime is going down).
    #[error("the write was interrupted")]
    Interrupted,
}

impl StoreError {
    /// Whether trying again later can help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Full | Self::Busy | Self::Unreachable(_) | Self::Interrupted)
    }

    /// Whether the disk failed, after which SQLite may have rolled back by itself.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Full => true,
            // SQLITE_IOERR.
            Self::Database(error) => result_code(error).is_some_and(|code| code & 0xff == 10),
            _ => false,
        }
    }

    /// Whether this is a clash with a unique index.
    pub(crate) fn is_unique_violation(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.is_unique_violation(),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as Sqlx;
        match &error {
            Sqlx::PoolTimedOut => return Self::Busy,
            // Of a connection to a server; that the disk fails SQLite says by its codes.
            Sqlx::Io(_) | Sqlx::Tls(_) | Sqlx::Protocol(_) => return Self::Unreachable(error),
            _ => {}
        }
        if let Some(code) = postgres_code(&error) {
            return match &*code {
                // disk_full; lock_not_available, query_canceled (its time is over), deadlock_detected,
                // too_many_connections (postgresql.org/docs/current/errcodes-appendix.html).
                "53100" => Self::Full,
                "55P03" | "57014" | "40P01" | "40001" | "53300" => Self::Busy,
                // character_not_in_repertoire, untranslatable_character: NUL, as text is valid UTF-8.
                "22021" | "22P05" => Self::Nul,
                // The server goes down, comes up, or ended the connection.
                "57P01" | "57P02" | "57P03" | "25P03" => Self::Unreachable(error),
                code if code.starts_with("08") => Self::Unreachable(error),
                _ => Self::Database(error),
            };
        }
        // Extended result codes keep the primary code in the low byte:
        // SQLITE_BUSY 5, SQLITE_LOCKED 6, SQLITE_FULL 13 (sqlite.org/rescode.html).
        match result_code(&error) {
            Some(IOERR_SHMSIZE) => Self::Full,
            Some(code) if matches!(code & 0xff, 5 | 6) => Self::Busy,
            Some(code) if code & 0xff == 13 => Self::Full,
            _ => Self::Database(error),
        }
    }
}

/// PostgreSQL's code of an error, five letters and digits.
fn postgres_code(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    Some(error.code().to_owned())
}

/// SQLITE_IOERR_SHMSIZE: the write-ahead log's index cannot grow, usually for want of room.
const IOERR_SHMSIZE: u32 = 10 | (19 << 8);

/// SQLite's extended result code.
fn result_code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

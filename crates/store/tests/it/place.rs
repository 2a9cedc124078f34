//! Where a test's records are: a file in a directory that goes away, memory, or a database of its own on the server that
//! `WHARF_TEST_POSTGRES` names (`cargo xtask test` starts one).

use std::path::{Path, PathBuf};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use store::{Store, StoreOptions};

pub(crate) enum Place {
    File { path: PathBuf, folder: tempfile::TempDir },
    Memory,
    Server { url: String },
}

impl Place {
    pub(crate) async fn new() -> Self {
        match std::env::var("WHARF_TEST_POSTGRES") {
            Ok(url) => Self::on_server(&url).await,
            Err(_) => {
                let folder = tempfile::tempdir().unwrap();
                Self::File { path: folder.path().join("wharf.db"), folder }
            }
        }
    }

    /// The same, in memory in place of a file.
    pub(crate) async fn quick() -> Self {
        match std::env::var("WHARF_TEST_POSTGRES") {
            Ok(url) => Self::on_server(&url).await,
            Err(_) => Self::Memory,
        }
    }

    pub(crate) fn beside(disk: &Path) -> Self {
        let folder = tempfile::tempdir_in(disk).unwrap();
        Self::File { path: disk.join("wharf.db"), folder }
    }

    async fn on_server(url: &str) -> Self {
        // Several tests ask in the same moment.
        let now = jiff::Timestamp::now().as_nanosecond();
        let name = format!("test_{}_{now}", std::process::id());
        let mut conn = PgConnection::connect(url).await.unwrap();
        let create = format!("CREATE DATABASE {name} STRATEGY file_copy");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        Self::Server { url: url.replacen("/postgres?", &format!("/{name}?"), 1) }
    }

    /// Opens a store there; again, where there is one already.
    pub(crate) async fn open(&self, options: StoreOptions) -> Store {
        match self {
            Self::File { path, .. } => Store::open(path, options).await,
            Self::Memory => Store::open(Path::new(":memory:"), options).await,
            Self::Server { url } => Store::connect(url, options).await,
        }
        .unwrap()
    }

    /// The directory of a file.
    pub(crate) fn folder(&self) -> &Path {
        let Self::File { folder, .. } = self else { panic!("there is no file") };
        folder.path()
    }

    /// Everything that is kept: of files as they are on disk, of a database all its rows.
    pub(crate) async fn bytes(&self) -> Vec<u8> {
        let Self::Server { url } = self else {
            let files = std::fs::read_dir(self.folder()).unwrap();
            return files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        };
        let mut conn = PgConnection::connect(url).await.unwrap();
        let tables =
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
        let tables = sqlx::query(tables).fetch_all(&mut conn).await.unwrap();
        let mut bytes = Vec::new();
        for table in tables {
            let table: String = table.get(0);
            let rows = format!("SELECT '{table}' || whole::text FROM {table} AS whole");
            let rows = sqlx::query(AssertSqlSafe(rows)).fetch_all(&mut conn).await.unwrap();
            rows.iter().for_each(|row| bytes.extend(row.get::<String, _>(0).into_bytes()));
        }
        conn.close().await.unwrap();
        bytes
    }
}

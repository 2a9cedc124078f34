//! Where a test's records are: a file in a directory that goes away, memory, or a database of its own on the server that
//! `WHARF_TEST_POSTGRES` names (`cargo xtask test` starts one).

use std::path::{Path, PathBuf};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use store::{Store, StoreOptions};

pub(crate) enum Place {
    File { path: PathBuf, folder: tempfile::TempDir },
    Memory,
    Server { url: String, server: String, name: String },
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

    async fn on_server(server: &str) -> Self {
        // Several tests ask in the same moment.
        let now = jiff::Timestamp::now().as_nanosecond();
        let name = format!("test_{}_{now}", std::process::id());
        let mut conn = PgConnection::connect(server).await.unwrap();
        ensure_template(&mut conn, server).await;
        run(&mut conn, format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await;
        conn.close().await.unwrap();
        Self::Server { url: url_of(server, &name), server: server.to_owned(), name }
    }

    /// Opens a store there; again, where there is one already.
    pub(crate) async fn open(&self, options: StoreOptions) -> Store {
        match self {
            Self::File { path, .. } => Store::open(path, options).await,
            Self::Memory => Store::open(Path::new(":memory:"), options).await,
            Self::Server { url, .. } => Store::connect(url, options).await,
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
        let Self::Server { url, .. } = self else {
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

impl Drop for Place {
    fn drop(&mut self) {
        let Self::Server { server, name, .. } = self else { return };
        let (server, name) = (server.clone(), name.clone());
        // Not on the test's own runtime, which may be the one that drops us.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut conn = PgConnection::connect(&server).await.unwrap();
                run(&mut conn, format!("DROP DATABASE {name} WITH (FORCE)")).await;
            });
        });
        let _panicked_already = dropping.join();
    }
}

/// A database that has the tables already: making them takes longer than a copy.
const TEMPLATE: &str = "test_template";

/// Makes the template where there is none, by one process at a time.
async fn ensure_template(conn: &mut PgConnection, server: &str) {
    run(conn, "SELECT pg_advisory_lock(1)".to_owned()).await;
    let there = "SELECT 1 FROM pg_database WHERE datname = 'test_template'";
    if sqlx::query(there).fetch_optional(&mut *conn).await.unwrap().is_none() {
        run(conn, "DROP DATABASE IF EXISTS test_making".to_owned()).await;
        run(conn, "CREATE DATABASE test_making".to_owned()).await;
        let url = url_of(server, "test_making");
        Store::connect(&url, StoreOptions::default()).await.unwrap().close().await;
        run(conn, format!("ALTER DATABASE test_making RENAME TO {TEMPLATE}")).await;
    }
    run(conn, "SELECT pg_advisory_unlock(1)".to_owned()).await;
}

/// The address of a database, from that of the server's own.
fn url_of(server: &str, name: &str) -> String {
    server.replacen("/postgres?", &format!("/{name}?"), 1)
}

async fn run(conn: &mut PgConnection, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(conn).await.unwrap();
}

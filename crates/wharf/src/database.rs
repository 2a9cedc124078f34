//! `wharf database`: records from one place to another, while nothing serves them.

use anyhow::{Context, Result, bail};
use cli::{DatabaseCommand, DatabaseCopyArgs, SharedArgs};
use config::Environment;
use store::transfer::{self, Taken};
use store::{Store, StoreOptions};

use crate::data_dir::{DataDir, RECORDS};
use crate::process::{print, runtime};

/// Does a command to its end.
pub(crate) fn run(command: &DatabaseCommand, shared: &SharedArgs) -> Result<()> {
    match command {
        DatabaseCommand::Copy(args) => runtime()?.block_on(copy(args, shared)),
    }
}

async fn copy(args: &DatabaseCopyArgs, shared: &SharedArgs) -> Result<()> {
    let environment = Environment::read();
    let path = shared.data.clone().unwrap_or_else(|| config::default_data_dir(&environment));
    let Some(url) = args.to.as_ref().or(environment.database.as_ref()) else {
        bail!("say where to: WHARF_DATABASE=postgres://user:password@host:5432/name, or --to")
    };
    if !path.join(RECORDS).is_file() {
        bail!("there is no {RECORDS} in {}: name the data directory with --data", path.display());
    }
    let data = DataDir::prepare(&path)?;
    let _setup = data.begin_setup().await?;
    let options = StoreOptions::default();
    let from = data.records();
    let taken = transfer::copy(&from, url.expose(), &options).await;
    let taken =
        taken.with_context(|| format!("copy the records in {} to {url}", from.display()))?;
    let store = Store::connect(url.expose(), options).await?;
    store.belong_to(&data.ensure_id()?, &data.about()).await?;
    store.close().await;
    print(&summary(&taken, &from.display().to_string(), &url.to_string()))
}

/// What was done and what comes next, for the person.
fn summary(taken: &[Taken], from: &str, to: &str) -> String {
    let n_rows: u64 = taken.iter().map(|one| one.n_rows).sum();
    let tables: Vec<String> = taken
        .iter()
        .filter(|one| one.n_rows > 0)
        .map(|one| format!("{} {}", one.n_rows, one.table.replace('_', " ")))
        .collect();
    format!(
        "Copied {n_rows} records from {from} to {to}:\n  {}\n\n\
         Start Wharf with this database from now on (WHARF_DATABASE, --database or Database.URL). The file stays as it\n\
         was, and is not used any more: keep it until you are content, then delete it.\n",
        tables.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_copied_is_told_without_empty_tables() {
        let of = |table: &str, n_rows| Taken { table: table.to_owned(), n_rows };
        let text =
            summary(&[of("users", 3), of("links", 0), of("container_requests", 12)], "a", "b");
        assert!(
            text.starts_with("Copied 15 records from a to b:\n  3 users, 12 container requests\n")
        );
    }
}

//! Machines that take no new containers.

use model::UserUuid;
use model::site::Cordon;
use serde_json::json;

use crate::changes::ChangeKind;
use crate::connection::{Connection, Row, query};
use crate::database::Store;
use crate::error::StoreError;
use crate::logs;
use crate::writer::Tx;

impl Store {
    /// Whether new containers are kept from this machine.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cordon_of(&self, node: &str) -> Result<Option<Cordon>, StoreError> {
        find(&mut self.reader().await?, node).await
    }

    /// Keeps new containers from a machine. One that was cordoned before stays as it was: what is told is since when, and
    /// who began it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cordon(&self, node: &str, by: UserUuid) -> Result<Cordon, StoreError> {
        let node = node.to_owned();
        self.write(move |tx| Box::pin(set(tx, node, by))).await
    }

    /// Lets new containers onto a machine again; false where it was not cordoned.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn uncordon(&self, node: &str, by: UserUuid) -> Result<bool, StoreError> {
        let node = node.to_owned();
        self.write(move |tx| {
            Box::pin(async move {
                let n_lifted = query("DELETE FROM cordons WHERE node = $1")
                    .bind(node.clone())
                    .execute(tx.conn())
                    .await?;
                if n_lifted > 0 {
                    note(tx, "uncordon", &node, by).await?;
                }
                Ok(n_lifted > 0)
            })
        })
        .await
    }
}

async fn find(conn: &mut Connection, node: &str) -> Result<Option<Cordon>, StoreError> {
    let row = query("SELECT since, by_user_uuid FROM cordons WHERE node = $1")
        .bind(node.to_owned())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Cordon, StoreError> {
    let text = |name| row.try_get::<String, _>(name);
    let cordon = json!({ "since": text("since")?, "by_user_uuid": text("by_user_uuid")? });
    serde_json::from_value(cordon)
        .map_err(|source| StoreError::Corrupt { what: "cordon".to_owned(), source })
}

async fn set(tx: &mut Tx, node: String, by: UserUuid) -> Result<Cordon, StoreError> {
    if let Some(cordon) = find(tx.conn(), &node).await? {
        return Ok(cordon);
    }
    let cordon = Cordon { since: tx.now, by_user_uuid: by };
    query("INSERT INTO cordons (node, since, by_user_uuid) VALUES ($1, $2, $3)")
        .bind(node.clone())
        .bind(cordon.since.to_string())
        .bind(by.to_string())
        .execute(tx.conn())
        .await?;
    note(tx, "cordon", &node, by).await?;
    Ok(cordon)
}

/// In the log, and for those who follow: the dispatcher, and pages of administrators.
async fn note(tx: &mut Tx, what: &str, node: &str, by: UserUuid) -> Result<(), StoreError> {
    let summary = format!("{what} of the machine {node}");
    logs::note(tx, by, what, summary, json!({ "node": node })).await?;
    tx.changed(ChangeKind::Node, &node, None::<String>);
    Ok(())
}

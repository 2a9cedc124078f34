//! Registered workflows.

use model::{Link, UserUuid, Workflow, WorkflowUuid};

use crate::changes::ChangeKind;
use crate::connection::query;
use crate::database::Store;
use crate::error::StoreError;
use crate::groups;
use crate::links::{self, later};
use crate::random;
use crate::schema::{LINKS, WORKFLOWS};
use crate::sql;
use crate::writer::Tx;

impl Store {
    /// A new workflow's identifier.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new_workflow_uuid(&self) -> Result<WorkflowUuid, StoreError> {
        random::uuid(&self.options.cluster)
    }

    /// Keeps a new workflow.
    ///
    /// # Errors
    /// [`StoreError::BadOwner`], or when the database fails.
    pub async fn create_workflow(
        &self,
        mut workflow: Workflow,
        by: UserUuid,
    ) -> Result<Workflow, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                (workflow.created_at, workflow.modified_at) = (tx.now, tx.now);
                workflow.modified_by_user_uuid = by;
                groups::check_owner(tx.conn(), &workflow.owner_uuid, None).await?;
                sql::insert(&WORKFLOWS, &workflow, Vec::new())?.execute(tx.conn()).await?;
                tx.changed(ChangeKind::Workflow, &workflow.uuid, [&workflow.owner_uuid]);
                Ok(workflow)
            })
        })
        .await
    }

    /// Replaces `before`, as it was read, by `after`.
    ///
    /// # Errors
    /// [`StoreError::Changed`] where the workflow is not as it was read.
    pub async fn update_workflow(
        &self,
        before: Workflow,
        mut after: Workflow,
        by: UserUuid,
    ) -> Result<Workflow, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let uuid = before.uuid;
                let as_read = before.modified_at;
                sql::require_as_read(tx.conn(), &WORKFLOWS, "workflow", uuid.as_str(), as_read)
                    .await?;
                if after.owner_uuid != before.owner_uuid {
                    groups::check_owner(tx.conn(), &after.owner_uuid, None).await?;
                }
                after.modified_at = later(tx.now, before.modified_at);
                after.modified_by_user_uuid = by;
                let statement = sql::update(&WORKFLOWS, uuid.as_str(), &after, Vec::new())?;
                statement.execute(tx.conn()).await?;
                let owners = [&before.owner_uuid, &after.owner_uuid];
                tx.changed(ChangeKind::Workflow, &uuid, owners);
                Ok(after)
            })
        })
        .await
    }

    /// The workflow with this identifier.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn workflow(&self, uuid: WorkflowUuid) -> Result<Option<Workflow>, StoreError> {
        sql::by_uuid(&mut self.reader().await?, &WORKFLOWS, uuid.as_str()).await
    }

    /// Deletes a workflow; false where there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_workflow(&self, uuid: WorkflowUuid) -> Result<bool, StoreError> {
        self.write_ending(move |tx| {
            Box::pin(async move {
                let found: Option<Workflow> =
                    sql::by_uuid(tx.conn(), &WORKFLOWS, uuid.as_str()).await?;
                let Some(workflow) = found else { return Ok(false) };
                delete(tx, &workflow).await?;
                Ok(true)
            })
        })
        .await
    }
}

/// Deletes a workflow and the links to it.
pub(crate) async fn delete(tx: &mut Tx, workflow: &Workflow) -> Result<(), StoreError> {
    let uuid = workflow.uuid.to_string();
    let links: Vec<Link> =
        sql::select_where(tx.conn(), &LINKS, "WHERE head_uuid = $1", &[&uuid]).await?;
    for link in &links {
        links::delete(tx, link).await?;
    }
    query("DELETE FROM workflows WHERE uuid = $1").bind(uuid).execute(tx.conn()).await?;
    tx.changed(ChangeKind::Workflow, &workflow.uuid, [&workflow.owner_uuid]);
    Ok(())
}

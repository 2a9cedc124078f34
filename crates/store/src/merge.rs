//! Two accounts become one: all that one user has goes to another, in one transaction.
//!
//! ```text
//! projects, requests, collections, workflows ──► the new owner: the other user, or a project
//! links, host names, invitations, what was submitted, running containers ──► the other user
//! rights that the old user holds ──► the other user      rights on the old user's account ──► gone
//! tokens, sign-in at providers ──► the other user where the account redirects; else tokens are gone
//! ```
//!
//! Rights on the old account do not become rights on the new one: whoever managed one would manage the other, which its user
//! never agreed to. The log keeps the names of those times.

use std::fmt::Write as _;

use model::{Container, Link, Timestamp, User, UserUuid};

use crate::changes::ChangeKind;
use crate::collections::renamed;
use crate::connection::{Query, query};
use crate::containers;
use crate::database::Store;
use crate::error::StoreError;
use crate::groups;
use crate::links::{self, later};
use crate::schema::{CONTAINERS, LINKS, Resource, USERS};
use crate::sql;
use crate::users::system_user;
use crate::writer::Tx;

/// Whose things go to whom.
#[derive(Debug, Clone)]
pub struct Merge {
    /// Who has them.
    pub old: UserUuid,
    /// Who gets them.
    pub new: UserUuid,
    /// What owns the records from then on: the new user, or a project.
    pub new_owner: String,
    /// Whether who signs in as the old user, or has a token of theirs, is the new one from then on. The old account may not
    /// act any more then; otherwise it may, and has nothing.
    pub redirects: bool,
    /// Who does it.
    pub by: UserUuid,
}

impl Store {
    /// Gives all that one user has to another; the old user as it is then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::BadOwner`] where one of the two cannot be merged, or the new owner is none or
    /// belongs to the old user.
    pub async fn merge_users(&self, merge: Merge) -> Result<User, StoreError> {
        self.write(move |tx| Box::pin(merge_within(tx, merge))).await
    }
}

async fn merge_within(tx: &mut Tx, merge: Merge) -> Result<User, StoreError> {
    let old = check(tx, &merge).await?;
    for resource in Resource::OWNED {
        give_records(tx, &merge, *resource).await?;
    }
    // Who submitted a request may open its service, while its owner lets them.
    let submitted = ("container_requests", "submitted_by_uuid", ChangeKind::Request);
    let invited = ("invitations", "made_by", ChangeKind::Invitation);
    for (table, column, kind) in [submitted, invited] {
        give_column(tx, &merge, table, column, kind).await?;
    }
    give_running(tx, &merge).await?;
    give_links(tx, &merge).await?;
    give_tokens(tx, &merge).await?;
    tx.changed(ChangeKind::User, &merge.new, [merge.new]);
    tx.changed(ChangeKind::User, &merge.old, [merge.old]);
    if merge.redirects { redirect(tx, &merge, old).await } else { Ok(old) }
}

/// What must hold at the moment of the merge; the old user.
async fn check(tx: &mut Tx, merge: &Merge) -> Result<User, StoreError> {
    let refuse = |why: String| Err(StoreError::BadOwner(why));
    let system = system_user(&tx.options);
    if merge.old == merge.new || merge.old == system || merge.new == system {
        return refuse(
            "an account is merged into another one, and the system user into none".into(),
        );
    }
    let no_such = |uuid: UserUuid| StoreError::NotFound(format!("user {uuid}"));
    let old: Option<User> = sql::by_uuid(tx.conn(), &USERS, merge.old.as_str()).await?;
    let new: Option<User> = sql::by_uuid(tx.conn(), &USERS, merge.new.as_str()).await?;
    let old = old.ok_or_else(|| no_such(merge.old))?;
    if !new.ok_or_else(|| no_such(merge.new))?.is_active {
        return refuse(format!("the account of {} may not act: activate it first", merge.new));
    }
    groups::check_owner(tx.conn(), &merge.new_owner, None).await?;
    if groups::is_within(tx.conn(), &merge.new_owner, merge.old.as_str()).await? {
        return refuse(format!(
            "{} belongs to the user whose records it would own",
            merge.new_owner
        ));
    }
    Ok(old)
}

/// Records that homes hold. What clashes with a name that the new owner has gets another one.
async fn give_records(tx: &mut Tx, merge: &Merge, resource: Resource) -> Result<(), StoreError> {
    let table = resource.schema().table;
    let owned = format!("SELECT uuid, modified_at FROM {table} WHERE owner_uuid = $1");
    let rows = Query::made(owned, vec![merge.old.as_str().into()]).fetch_all(tx.conn()).await?;
    if rows.is_empty() {
        return Ok(());
    }
    if matches!(resource, Resource::Groups | Resource::Collections) {
        rename_clashing(tx, merge, resource).await?;
    }
    let mut newest = Timestamp::from_jiff(jiff::Timestamp::MIN);
    let owners = [merge.old.as_str(), merge.new_owner.as_str()];
    for row in &rows {
        let (uuid, modified_at): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        newest = newest.max(modified_at.parse().unwrap_or(newest));
        tx.changed(kind_of(resource), &uuid, owners);
    }
    // Old versions of collections stay as they were, but for their owner.
    let versions = matches!(resource, Resource::Collections);
    let mut set = String::from("owner_uuid = $1");
    for (name, place) in [("modified_at", "$2"), ("modified_by_user_uuid", "$3")] {
        let _infallible = match versions {
            true => write!(
                set,
                ", {name} = CASE WHEN current_version_uuid = uuid THEN {place} ELSE {name} END"
            ),
            false => write!(set, ", {name} = {place}"),
        };
    }
    let given = format!("UPDATE {table} SET {set} WHERE owner_uuid = $4");
    let at = later(tx.now, newest).to_string();
    let values = vec![
        merge.new_owner.as_str().into(),
        at.into(),
        merge.by.as_str().into(),
        merge.old.as_str().into(),
    ];
    Query::made(given, values).execute(tx.conn()).await?;
    Ok(())
}

fn kind_of(resource: Resource) -> ChangeKind {
    match resource {
        Resource::Groups => ChangeKind::Group,
        Resource::Collections => ChangeKind::Collection,
        Resource::Workflows => ChangeKind::Workflow,
        Resource::ContainerRequests => ChangeKind::Request,
        Resource::Containers => ChangeKind::Container,
        Resource::Links => ChangeKind::Link,
        Resource::Users => ChangeKind::User,
        Resource::Tokens => ChangeKind::Token,
        Resource::Logs => ChangeKind::Log,
    }
}

/// As `ensure_unique_name` does.
async fn rename_clashing(tx: &mut Tx, merge: &Merge, resource: Resource) -> Result<(), StoreError> {
    let table = resource.schema().table;
    let named = |of: &str| match resource {
        Resource::Collections => {
            format!(
                "{of}.name <> '' AND NOT {of}.is_trashed AND {of}.current_version_uuid = {of}.uuid"
            )
        }
        _ => format!("NOT {of}.is_trashed"),
    };
    let clashing = format!(
        "SELECT mine.uuid, mine.name FROM {table} AS mine \
         JOIN {table} AS other ON other.owner_uuid = $2 AND other.name = mine.name \
         WHERE mine.owner_uuid = $1 AND {} AND {}",
        named("mine"),
        named("other"),
    );
    let values = vec![merge.old.as_str().into(), merge.new_owner.as_str().into()];
    for row in Query::made(clashing, values).fetch_all(tx.conn()).await? {
        let (uuid, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let rename = format!("UPDATE {table} SET name = $1 WHERE uuid = $2");
        let values = vec![renamed(&name, &uuid).into(), uuid.into()];
        Query::made(rename, values).execute(tx.conn()).await?;
    }
    Ok(())
}

/// Records in which a column that is no attribute names the old user.
async fn give_column(
    tx: &mut Tx,
    merge: &Merge,
    table: &str,
    column: &str,
    kind: ChangeKind,
) -> Result<(), StoreError> {
    let old = merge.old.to_string();
    let named = format!("SELECT uuid FROM {table} WHERE {column} = $1");
    for row in Query::made(named, vec![old.clone().into()]).fetch_all(tx.conn()).await? {
        let uuid: String = row.try_get(0)?;
        tx.changed(kind, &uuid, [merge.old, merge.new]);
    }
    let given = format!("UPDATE {table} SET {column} = $1 WHERE {column} = $2");
    Query::made(given, vec![merge.new.to_string().into(), old.into()]).execute(tx.conn()).await?;
    Ok(())
}

/// Containers that are not over run for the new user, with tokens that go on.
async fn give_running(tx: &mut Tx, merge: &Merge) -> Result<(), StoreError> {
    let running: Vec<Container> = sql::select_where(
        tx.conn(),
        &CONTAINERS,
        "WHERE state IN ('Queued', 'Locked', 'Running') AND runtime_user_uuid = $1",
        &[merge.old.as_str()],
    )
    .await?;
    for container in running {
        if let Some(token) = container.auth_uuid {
            give_token(tx, merge, token.as_str()).await?;
        }
        let container = Container { runtime_user_uuid: Some(merge.new), ..container };
        containers::save(tx, container).await?;
    }
    Ok(())
}

async fn give_links(tx: &mut Tx, merge: &Merge) -> Result<(), StoreError> {
    for before in links::of_user(tx, merge.old).await? {
        let after = given(&before, merge);
        let is_power_over_old =
            before.gives() && before.head_uuid.as_deref() == Some(merge.old.as_str());
        let leads_to_itself = after.tail_uuid.is_some() && after.tail_uuid == after.head_uuid;
        if is_power_over_old || leads_to_itself || is_there(tx, &before, &after).await? {
            links::delete(tx, &before).await?;
            continue;
        }
        let after = Link {
            modified_at: later(tx.now, before.modified_at),
            modified_by_user_uuid: merge.by,
            ..after
        };
        sql::update(&LINKS, after.uuid.as_str(), &after, Vec::new())?.execute(tx.conn()).await?;
        let owners = links::audience(&before).chain(links::audience(&after));
        tx.changed(ChangeKind::Link, &after.uuid, owners);
    }
    // Who gave a host name up may have it back.
    query("UPDATE released_names SET owner_uuid = $1 WHERE owner_uuid = $2")
        .bind(merge.new.to_string())
        .bind(merge.old.to_string())
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// The link with the new user in the place of the old one.
fn given(link: &Link, merge: &Merge) -> Link {
    let instead = |uuid: &str| match uuid == merge.old.as_str() {
        true => merge.new.to_string(),
        false => uuid.to_owned(),
    };
    Link {
        owner_uuid: instead(&link.owner_uuid),
        tail_uuid: link.tail_uuid.as_deref().map(instead),
        head_uuid: link.head_uuid.as_deref().map(instead),
        ..link.clone()
    }
}

/// Whether a link that changes its tail is one that the new user has.
async fn is_there(tx: &mut Tx, before: &Link, after: &Link) -> Result<bool, StoreError> {
    if before.tail_uuid == after.tail_uuid {
        return Ok(false);
    }
    let same = query(
        "SELECT 1 FROM links WHERE tail_uuid = $1 AND head_uuid = $2 AND link_class = $3 \
         AND name = $4 AND uuid <> $5 LIMIT 1",
    )
    .bind(after.tail_uuid.clone())
    .bind(after.head_uuid.clone())
    .bind(after.link_class.clone())
    .bind(after.name.clone())
    .bind(after.uuid.to_string());
    Ok(same.fetch_optional(tx.conn()).await?.is_some())
}

/// Tokens act for the new user, or are gone; codes that stand for one are gone either way.
async fn give_tokens(tx: &mut Tx, merge: &Merge) -> Result<(), StoreError> {
    let old = merge.old.to_string();
    query("DELETE FROM one_time_codes WHERE user_uuid = $1")
        .bind(old.clone())
        .execute(tx.conn())
        .await?;
    let owned = query("SELECT uuid FROM api_client_authorizations WHERE owner_uuid = $1");
    for row in owned.bind(old.clone()).fetch_all(tx.conn()).await? {
        let uuid: String = row.try_get(0)?;
        if merge.redirects {
            give_token(tx, merge, &uuid).await?;
        } else {
            tx.changed(ChangeKind::Token, &uuid, [merge.old]);
        }
    }
    query("DELETE FROM api_client_authorizations WHERE owner_uuid = $1")
        .bind(old)
        .execute(tx.conn())
        .await?;
    Ok(())
}

async fn give_token(tx: &mut Tx, merge: &Merge, uuid: &str) -> Result<(), StoreError> {
    let now = tx.now.to_string();
    query(
        "UPDATE api_client_authorizations SET owner_uuid = $1, modified_at = $2, \
         modified_by_user_uuid = $3 WHERE uuid = $4",
    )
    .bind(merge.new.to_string())
    .bind(now)
    .bind(merge.by.to_string())
    .bind(uuid.to_owned())
    .execute(tx.conn())
    .await?;
    tx.changed(ChangeKind::Token, &uuid, [merge.old, merge.new]);
    Ok(())
}

/// Who signs in as the old user is the new one; the old account may not act.
async fn redirect(tx: &mut Tx, merge: &Merge, old: User) -> Result<User, StoreError> {
    let (old_uuid, new_uuid) = (merge.old.to_string(), merge.new.to_string());
    query("UPDATE user_identities SET user_uuid = $1 WHERE user_uuid = $2")
        .bind(new_uuid.clone())
        .bind(old_uuid.clone())
        .execute(tx.conn())
        .await?;
    // So that no way leads over two accounts.
    query("UPDATE users SET redirect_user_uuid = $1 WHERE uuid = $2 OR redirect_user_uuid = $2")
        .bind(new_uuid)
        .bind(old_uuid)
        .execute(tx.conn())
        .await?;
    let old = User {
        is_active: false,
        modified_at: later(tx.now, old.modified_at),
        modified_by_user_uuid: merge.by,
        ..old
    };
    sql::update(&USERS, old.uuid.as_str(), &old, Vec::new())?.execute(tx.conn()).await?;
    Ok(old)
}

//! Lists: any record type, filtered, ordered, selected, seen by one reader.

use model::filter::{ListQuery, Schema};
use model::{JsonMap, UserUuid};
use sea_query::{Alias, Cond, Expr, ExprTrait as _, Order, Query, SelectStatement, SimpleExpr};

use crate::database::Store;
use crate::error::StoreError;
use crate::filter_sql;
use crate::schema::Resource;
use crate::sql;

/// Who asks. Decides which records exist for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The user.
    pub user: UserUuid,
    /// Administrators see everything.
    pub is_admin: bool,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The selected attributes of each record, as wire JSON.
    pub items: Vec<JsonMap>,
    /// How many match in all, where that was asked.
    pub available: Option<i64>,
}

impl Store {
    /// One page of the records that match and that the reader may see.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(
        &self,
        resource: Resource,
        query: &ListQuery,
        reader: &Reader,
    ) -> Result<Page, StoreError> {
        let schema = resource.schema();
        let now = self.now().to_string();
        let mut conn = self.reader().await?;
        let items = if query.limit == 0 {
            Vec::new()
        } else {
            let page = sql::build(&page(resource, query, reader, &now));
            page.fetch_all(&mut conn)
                .await?
                .iter()
                .map(|row| sql::row_to_json(schema, query.select.as_deref(), row))
                .collect::<Result<_, _>>()?
        };
        let available = if query.count {
            let count = sql::build(&count(resource, query, reader, &now));
            Some(count.fetch_count(&mut conn).await?)
        } else {
            None
        };
        Ok(Page { items, available })
    }

    /// One record as wire JSON, where the reader may see it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn get(
        &self,
        resource: Resource,
        uuid: &str,
        reader: &Reader,
    ) -> Result<Option<JsonMap>, StoreError> {
        let schema = resource.schema();
        let statement = {
            let mut statement = sql::select_all(schema);
            statement
                .cond_where(visible(resource, reader))
                .cond_where(present(resource, false, true, &self.now().to_string()))
                .and_where(Expr::col((Alias::new(schema.table), Alias::new("uuid"))).eq(uuid));
            sql::build(&statement)
        };
        let rows = statement.fetch_all(&mut *self.reader().await?).await?;
        rows.first().map(|row| sql::row_to_json(schema, None, row)).transpose()
    }
}

fn page(resource: Resource, query: &ListQuery, reader: &Reader, now: &str) -> SelectStatement {
    let schema = resource.schema();
    let mut statement = matching(resource, query, reader, now);
    let selected = |name: &str| query.select.as_ref().is_none_or(|names| names.contains(&name));
    for attribute in schema.attributes.iter().filter(|a| selected(a.name)) {
        statement.column((Alias::new(schema.table), Alias::new(attribute.name)));
    }
    if query.select.as_ref().is_some_and(Vec::is_empty) {
        // Only kind and etag were asked: rows still count.
        statement.expr(Expr::val(1));
    }
    if query.distinct {
        statement.distinct();
    }
    for term in &query.order {
        // What is not selected cannot order distinct rows.
        if query.distinct && !selected(term.attribute.name) {
            continue;
        }
        let direction = if term.descending { Order::Desc } else { Order::Asc };
        let column = (Alias::new(schema.table), Alias::new(term.attribute.name));
        statement.order_by(column, direction);
    }
    statement.limit(query.limit.into()).offset(query.offset.into());
    statement
}

fn count(resource: Resource, query: &ListQuery, reader: &Reader, now: &str) -> SelectStatement {
    let mut statement = matching(resource, query, reader, now);
    statement.expr(Expr::cust("COUNT(*)"));
    statement
}

/// `FROM`, joins and conditions.
fn matching(resource: Resource, query: &ListQuery, reader: &Reader, now: &str) -> SelectStatement {
    let schema: &'static Schema = resource.schema();
    let mut statement = Query::select();
    statement.from(Alias::new(schema.table));
    for join in filter_sql::joins_used(&query.filters).iter().filter_map(|p| schema.join(p)) {
        let other = Alias::new(join.schema.table);
        let on = Expr::col((other.clone(), Alias::new("uuid")))
            .equals((Alias::new(schema.table), Alias::new(join.via)));
        statement.left_join(other, on);
    }
    statement
        .cond_where(visible(resource, reader))
        .cond_where(present(resource, query.include_trash, query.include_old_versions, now))
        .cond_where(filter_sql::all_of(schema, &query.filters));
    statement
}

/// Which records exist for the reader.
fn visible(resource: Resource, reader: &Reader) -> Cond {
    let all = Cond::all();
    if reader.is_admin {
        return all;
    }
    let user = reader.user.to_string();
    let owner = |table: &'static str| {
        Expr::col((Alias::new(table), Alias::new("owner_uuid"))).eq(user.clone())
    };
    match resource {
        // Active users see each other, as Arvados does unless told otherwise.
        Resource::Users => all,
        Resource::ContainerRequests
        | Resource::Links
        | Resource::Tokens
        | Resource::Collections
        | Resource::Workflows => all.add(owner(resource.schema().table)),
        Resource::Containers => all.add(has_request_of(&user, "containers", "uuid")),
        // Those about what the reader may see; what the system wrote belongs to the system user, so the first
        // one holds for what users wrote themselves.
        Resource::Logs => {
            let is_user = |column: &'static str| {
                Expr::col((Alias::new("logs"), Alias::new(column))).eq(user.clone())
            };
            all.add(
                Cond::any()
                    .add(is_user("owner_uuid"))
                    .add(is_user("object_owner_uuid"))
                    .add(is_user("object_uuid"))
                    .add(has_request_of(&user, "logs", "object_uuid")),
            )
        }
    }
}

/// Which records are there: not in the trash, and the newest of their versions, unless those are
/// asked for too. `now` decides about what is due and not yet marked.
fn present(resource: Resource, trash: bool, old_versions: bool, now: &str) -> Cond {
    let mut all = Cond::all();
    if resource != Resource::Collections {
        return all;
    }
    let column = |name: &'static str| Expr::col((Alias::new("collections"), Alias::new(name)));
    if !trash {
        let not_due = column("trash_at").is_null().or(column("trash_at").gt(now));
        all = all.add(column("is_trashed").eq(false)).add(not_due);
    }
    if !old_versions {
        let own = (Alias::new("collections"), Alias::new("uuid"));
        all = all.add(column("current_version_uuid").equals(own));
    }
    all
}

/// Whether a request of the user's points at the container that this column names.
fn has_request_of(user: &str, table: &'static str, column: &'static str) -> SimpleExpr {
    let requests = Alias::new("container_requests");
    let mut pointing = Query::select();
    pointing
        .expr(Expr::val(1))
        .from(requests.clone())
        .and_where(
            Expr::col((requests.clone(), Alias::new("container_uuid")))
                .equals((Alias::new(table), Alias::new(column))),
        )
        .and_where(Expr::col((requests, Alias::new("owner_uuid"))).eq(user));
    Expr::exists(pointing)
}

//! Lists: any record type, filtered, ordered, selected, seen by one reader.

use model::filter::{Filter, ListQuery, OrderTerm, Schema};
use model::{JsonMap, UserUuid};
use sea_query::{
    Alias, Cond, Expr, ExprTrait as _, Order, Query, SelectStatement, SimpleExpr, UnionType,
};

use crate::database::Store;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::filter_sql;
use crate::permissions::sight::{Sight, column, is_in};
use crate::permissions::{Around, Found, rights_on};
use crate::schema::Resource;
use crate::sql;

/// Who asks. Decides which records exist for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The user.
    pub user: UserUuid,
    /// Administrators see everything.
    pub is_admin: bool,
    /// Whether what is trashed exists, too.
    pub include_trash: bool,
}

impl Reader {
    /// A reader who does not ask for trash.
    pub fn new(user: UserUuid, is_admin: bool) -> Self {
        Self { user, is_admin, include_trash: false }
    }
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
        let mut conn = self.reader().await?;
        let include_trash = reader.include_trash || query.include_trash;
        let reader = Reader { include_trash, ..*reader };
        let mut sight = Sight::of(&mut conn, &Around::of(&self.options), &reader).await?;
        sight.include_old_versions = query.include_old_versions;
        let items = if query.limit == 0 {
            Vec::new()
        } else {
            let page = sql::build(conn.dialect(), &page(resource, query, &sight, None));
            page.fetch_all(&mut conn)
                .await?
                .iter()
                .map(|row| sql::row_to_json(schema, query.select.as_deref(), row))
                .collect::<Result<_, _>>()?
        };
        let available = if query.count {
            let count =
                sql::build(conn.dialect(), &count(resource, &query.filters, &sight, |_| {}));
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
        let mut conn = self.reader().await?;
        let row = sql::row_by_uuid(&mut conn, schema, &[], uuid).await?;
        let Some(row) = row else { return Ok(None) };
        let record = sql::row_to_json(schema, None, &row)?;
        let text = |name: &str| record.get(name).and_then(|value| value.as_str());
        let found = Found {
            uuid: uuid.to_owned(),
            owner_uuid: text("owner_uuid").unwrap_or_default().to_owned(),
            trash_at: text("trash_at").map(str::to_owned),
        };
        let around = Around::of(&self.options);
        let rights = rights_on(&mut conn, &around, reader, resource, &found).await?;
        Ok(rights.map(|_| record))
    }

    /// Those of these records that the reader may see, by identifier, with the selected attributes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_by_uuids(
        &self,
        resource: Resource,
        uuids: &[&str],
        select: Option<&[&'static str]>,
        reader: &Reader,
    ) -> Result<Vec<JsonMap>, StoreError> {
        if uuids.is_empty() {
            return Ok(Vec::new());
        }
        let mut conn = self.reader().await?;
        let sight = Sight::of(&mut conn, &Around::of(&self.options), reader).await?;
        let statement = {
            let mut statement = select_of(resource, select);
            statement
                .and_where(is_in(conn.dialect(), column(resource, "uuid"), uuids.iter()))
                .cond_where(sight.of_records(resource))
                .order_by((Alias::new(resource.schema().table), Alias::new("uuid")), Order::Asc);
            sql::build(conn.dialect(), &statement)
        };
        let rows = statement.fetch_all(&mut conn).await?;
        rows.iter().map(|row| sql::row_to_json(resource.schema(), select, row)).collect()
    }
}

/// `SELECT` of the selected attributes, `FROM` the record's table.
pub(crate) fn select_of(resource: Resource, select: Option<&[&'static str]>) -> SelectStatement {
    let schema = resource.schema();
    let mut statement = Query::select();
    let selected = |name: &str| select.is_none_or(|names| names.contains(&name));
    for attribute in schema.attributes.iter().filter(|a| selected(a.name)) {
        statement.column((Alias::new(schema.table), Alias::new(attribute.name)));
    }
    if select.is_some_and(<[&str]>::is_empty) {
        // Only kind and etag were asked: rows still count.
        statement.expr(Expr::val(1));
    }
    statement.from(Alias::new(schema.table));
    statement
}

pub(crate) fn page(
    resource: Resource,
    query: &ListQuery,
    sight: &Sight,
    also: Option<Cond>,
) -> SelectStatement {
    let mut statement = select_of(resource, query.select.as_deref());
    if query.distinct {
        narrow(&mut statement, resource, &query.filters, sight);
        statement.distinct().cond_where(also.unwrap_or_else(Cond::all));
        order(sight.dialect(), &mut statement, resource, query);
        statement.limit(query.limit.into()).offset(query.offset.into());
        return statement;
    }
    // Which records are on the page is found by what indexes hold; whole rows are read for these alone.
    let on_page = on_page(resource, query, sight, &also.unwrap_or_else(Cond::all));
    statement.and_where(column(resource, "uuid").in_subquery(on_page));
    order(sight.dialect(), &mut statement, resource, query);
    statement
}

/// The identifiers of a page's records. What a reader sees in several ways is merged from a list of each.
fn on_page(resource: Resource, query: &ListQuery, sight: &Sight, also: &Cond) -> SelectStatement {
    let key = |number: usize| Alias::new(format!("key_{number}"));
    let mut parts = sight.parts(resource).into_iter().map(|part| {
        let mut list = Query::select();
        list.expr_as(column(resource, "uuid"), Alias::new("key_uuid"));
        for (number, term) in query.order.iter().enumerate() {
            list.expr_as(column(resource, term.attribute.name), key(number));
        }
        list.from(Alias::new(resource.schema().table));
        narrow_to(&mut list, resource, &query.filters, sight, part);
        list.cond_where(also.clone());
        list
    });
    let mut merged = parts.next().unwrap_or_default();
    for part in parts {
        merged.union(UnionType::All, part);
    }
    for (number, term) in query.order.iter().enumerate() {
        order_by(sight.dialect(), &mut merged, Expr::col(key(number)), term);
    }
    merged.limit(query.limit.into()).offset(query.offset.into());
    let mut uuids = Query::select();
    uuids.column(Alias::new("key_uuid")).from_subquery(merged, Alias::new("merged"));
    uuids
}

fn order(dialect: Dialect, statement: &mut SelectStatement, resource: Resource, query: &ListQuery) {
    let selected = |name: &str| query.select.as_ref().is_none_or(|names| names.contains(&name));
    for term in &query.order {
        // What is not selected cannot order distinct rows.
        if query.distinct && !selected(term.attribute.name) {
            continue;
        }
        order_by(dialect, statement, column(resource, term.attribute.name), term);
    }
}

/// Orders by this expression as the term's attribute is ordered.
pub(crate) fn order_by(
    dialect: Dialect,
    statement: &mut SelectStatement,
    key: SimpleExpr,
    term: &OrderTerm,
) {
    match dialect.order(term.attribute, term.descending) {
        (direction, Some(nulls)) => statement.order_by_expr_with_nulls(key, direction, nulls),
        (direction, None) => statement.order_by_expr(key, direction),
    };
}

/// Counts what a list has; `more` are conditions beside its own.
///
/// An administrator sees all but what is in trashed projects. That is counted by itself and taken off: by its owners it is found
/// in an index, while without them all other records would have to be read for theirs.
pub(crate) fn count(
    resource: Resource,
    filters: &[Filter],
    sight: &Sight,
    more: impl Fn(&mut SelectStatement),
) -> SelectStatement {
    let counted = |part: Cond| {
        let mut statement = Query::select();
        statement.expr(Expr::cust("COUNT(*)")).from(Alias::new(resource.schema().table));
        narrow_to(&mut statement, resource, filters, sight, part);
        more(&mut statement);
        statement
    };
    match sight.all_and_hidden(resource) {
        None => counted(sight.of_records(resource)),
        Some((all, hidden)) => {
            let (all, hidden) = (Expr::from(counted(all)), Expr::from(counted(hidden)));
            let mut difference = Query::select();
            difference.expr(all.sub(hidden));
            difference
        }
    }
}

/// Joins and conditions of a list of all that exists for the reader.
pub(crate) fn narrow(
    statement: &mut SelectStatement,
    resource: Resource,
    filters: &[Filter],
    sight: &Sight,
) {
    narrow_to(statement, resource, filters, sight, sight.of_records(resource));
}

/// The same of a part of it.
pub(crate) fn narrow_to(
    statement: &mut SelectStatement,
    resource: Resource,
    filters: &[Filter],
    sight: &Sight,
    part: Cond,
) {
    let schema: &'static Schema = resource.schema();
    for join in filter_sql::joins_used(filters).iter().filter_map(|p| schema.join(p)) {
        let other = Alias::new(join.schema.table);
        let on = Expr::col((other.clone(), Alias::new("uuid")))
            .equals((Alias::new(schema.table), Alias::new(join.via)));
        statement.left_join(other, on);
    }
    let filters = filter_sql::all_of(sight.dialect(), schema, filters);
    statement.cond_where(part).cond_where(filters);
}

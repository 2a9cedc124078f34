//! What homes and projects hold: lists over several record types at once.
//!
//! One query finds which records are on the page (type, identifier and what they are ordered by, from each table, in
//! SQL's own order), then each type's rows are read by identifier. So pages are right whatever is mixed on them, and
//! memory holds one page.

use std::collections::HashMap;

use model::JsonMap;
use model::filter::{Attribute, AttributeKind, Filter, OrderTerm};
use sea_query::{Alias, Cond, Expr, ExprTrait as _, Order, Query, SelectStatement, UnionType};

use crate::connection::{Connection, query};
use crate::database::Store;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::list::{self, Reader};
use crate::permissions::Around;
use crate::permissions::sight::{Sight, column, is_in};
use crate::schema::Resource;
use crate::sql;

/// One record type of a mixed list.
#[derive(Debug, Clone)]
pub struct KindQuery {
    /// The type.
    pub resource: Resource,
    /// All must hold.
    pub filters: Vec<Filter>,
    /// Complete, so that it is total.
    pub order: Vec<OrderTerm>,
    /// Attributes to answer; none means all.
    pub select: Option<Vec<&'static str>>,
}

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything that the reader may see.
    Everything,
    /// Everything but what is in the reader's own home and the projects there.
    NotHome,
    /// What this user or project owns.
    In(String),
    /// The same, with what is in the projects below it.
    Below(String),
}

/// A mixed list request.
#[derive(Debug, Clone)]
pub struct ContentsQuery {
    /// Where to look.
    pub scope: Scope,
    /// The types, in the order in which they are listed where their own orders differ.
    pub kinds: Vec<KindQuery>,
    /// Most records to answer; 0 is legal (count only).
    pub limit: u32,
    /// Records to skip.
    pub offset: u32,
    /// Also count all that match.
    pub count: bool,
}

/// A page of a mixed list.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// The selected attributes of each record, as wire JSON.
    pub items: Vec<(Resource, JsonMap)>,
    /// How many match in all, where that was asked.
    pub available: Option<i64>,
}

impl Store {
    /// One page of the records of all these types that match and that the reader may see.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn contents(
        &self,
        query: &ContentsQuery,
        reader: &Reader,
    ) -> Result<Contents, StoreError> {
        let mut conn = self.reader().await?;
        let sight = Sight::of(&mut conn, &Around::of(&self.options), reader).await?;
        let place = Place::find(&mut conn, &query.scope, reader).await?;
        let items = if query.limit == 0 || query.kinds.is_empty() {
            Vec::new()
        } else {
            let keys = sql::build(conn.dialect(), &keys(query, &sight, &place));
            let rows = keys.fetch_all(&mut conn).await?;
            let keys = rows
                .iter()
                .map(|row| Ok((row.try_get::<i64, _>(0)?, row.try_get::<String, _>(1)?)))
                .collect::<Result<Vec<_>, StoreError>>()?;
            fetch(&mut conn, query, keys).await?
        };
        let mut available = query.count.then_some(0);
        if let Some(sum) = &mut available {
            for kind in &query.kinds {
                let count = sql::build(conn.dialect(), &count(kind, &sight, &place));
                *sum += count.fetch_count(&mut conn).await?;
            }
        }
        Ok(Contents { items, available })
    }

    /// Projects and filter groups that were shared with the reader at the top: those that the reader sees and that are
    /// not in a project that it sees, nor in its own home (Arvados's `groups/shared`).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shared_groups(
        &self,
        query: &model::filter::ListQuery,
        reader: &Reader,
    ) -> Result<list::Page, StoreError> {
        let mut conn = self.reader().await?;
        let sight = Sight::of(&mut conn, &Around::of(&self.options), reader).await?;
        let groups = Resource::Groups;
        let top = {
            let mut parents = Query::select();
            parents
                .column((Alias::new("parents"), Alias::new("uuid")))
                .from_as(Alias::new("groups"), Alias::new("parents"))
                .and_where(
                    Expr::col((Alias::new("parents"), Alias::new("group_class"))).eq("project"),
                )
                .and_where(sight.sees_into((Alias::new("parents"), Alias::new("uuid"))));
            let owner = column(groups, "owner_uuid");
            let is_top =
                owner.clone().ne(reader.user.as_str()).and(owner.in_subquery(parents).not());
            Cond::all().add(is_top).add(column(groups, "group_class").ne("role"))
        };
        let page =
            sql::build(conn.dialect(), &list::page(groups, query, &sight, Some(top.clone())));
        let count = list::count(groups, &query.filters, &sight, |statement| {
            statement.cond_where(top.clone());
        });
        let count = sql::build(conn.dialect(), &count);
        let rows = page.fetch_all(&mut conn).await?;
        let items = rows
            .iter()
            .map(|row| sql::row_to_json(groups.schema(), query.select.as_deref(), row))
            .collect::<Result<_, _>>()?;
        let available = if query.count { Some(count.fetch_count(&mut conn).await?) } else { None };
        Ok(list::Page { items, available })
    }
}

/// A scope with its projects looked up.
enum Place {
    Everywhere,
    OwnedBy(Vec<String>),
    NotOwnedBy(Vec<String>),
}

impl Place {
    async fn find(
        conn: &mut Connection,
        scope: &Scope,
        reader: &Reader,
    ) -> Result<Self, StoreError> {
        Ok(match scope {
            Scope::Everything => Self::Everywhere,
            Scope::NotHome => Self::NotOwnedBy(projects_below(conn, reader.user.as_str()).await?),
            Scope::In(owner) => Self::OwnedBy(vec![owner.clone()]),
            Scope::Below(owner) => Self::OwnedBy(projects_below(conn, owner).await?),
        })
    }

    fn narrow(&self, dialect: Dialect, statement: &mut SelectStatement, resource: Resource) {
        let owner = column(resource, "owner_uuid");
        match self {
            Self::Everywhere => {}
            Self::OwnedBy(owners) => match owners.as_slice() {
                // Equality lets the owner's index be read in its order.
                [one] => {
                    statement.and_where(owner.eq(one.as_str()));
                }
                many => {
                    statement.and_where(is_in(dialect, owner, many.iter()));
                }
            },
            Self::NotOwnedBy(owners) => {
                statement.and_where(is_in(dialect, owner, owners.iter()).not());
            }
        }
    }
}

/// An owner and all projects below it.
async fn projects_below(conn: &mut Connection, owner: &str) -> Result<Vec<String>, StoreError> {
    macro_rules! below {
        ($owner:literal) => {
            concat!(
                "WITH RECURSIVE below (uuid) AS ( SELECT ",
                $owner,
                " UNION \
                    SELECT groups.uuid FROM below JOIN groups ON groups.owner_uuid = below.uuid \
                        WHERE groups.group_class = 'project' \
                ) SELECT uuid FROM below"
            )
        };
    }
    let rows = query(conn.dialect().pick(below!("$1"), below!("$1 COLLATE \"C\"")))
        .bind(owner.to_owned())
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The type's place in the query, the identifier, and what it is ordered by: of the page, in order.
fn keys(query: &ContentsQuery, sight: &Sight, place: &Place) -> SelectStatement {
    let columns = order_columns(&query.kinds);
    let part = |at: usize, kind: &KindQuery, of_sight: Cond| {
        let mut arm = Query::select();
        let number = i64::try_from(at).unwrap_or(i64::MAX);
        arm.expr_as(Expr::val(number), Alias::new("kind"))
            .expr_as(column(kind.resource, "uuid"), Alias::new("key_uuid"))
            .from(Alias::new(kind.resource.schema().table));
        for (number, (of_kinds, _)) in columns.iter().enumerate() {
            let key = of_kinds.iter().find(|(of, _)| *of == at).map_or_else(
                || sight.dialect().null_of(kind_of(of_kinds, &query.kinds)),
                |(_, name)| column(kind.resource, name),
            );
            arm.expr_as(key, Alias::new(format!("key_{number}")));
        }
        list::narrow_to(&mut arm, kind.resource, &kind.filters, sight, of_sight);
        place.narrow(sight.dialect(), &mut arm, kind.resource);
        arm
    };
    let arms = query.kinds.iter().enumerate().flat_map(|(at, kind)| {
        sight.parts(kind.resource).into_iter().map(move |of_sight| (at, kind, of_sight))
    });
    let mut arms = arms.map(|(at, kind, of_sight)| part(at, kind, of_sight));
    let mut statement = arms.next().unwrap_or_default();
    for arm in arms {
        statement.union(UnionType::All, arm);
    }
    if !is_common(&query.kinds) {
        statement.order_by(Alias::new("kind"), Order::Asc);
    }
    for (number, (of_kinds, descending)) in columns.iter().enumerate() {
        let key = Alias::new(format!("key_{number}"));
        let Some(attribute) = attribute_of(of_kinds, &query.kinds) else { continue };
        match sight.dialect().order(attribute, *descending) {
            (direction, Some(nulls)) => statement.order_by_with_nulls(key, direction, nulls),
            (direction, None) => statement.order_by(key, direction),
        };
    }
    statement.limit(query.limit.into()).offset(query.offset.into());
    statement
}

/// Whether all types are ordered by the same attributes, so that their records mix; else one type follows the other.
fn is_common(kinds: &[KindQuery]) -> bool {
    let terms = |kind: &KindQuery| -> Vec<(&'static str, bool)> {
        kind.order.iter().map(|term| (term.attribute.name, term.descending)).collect()
    };
    kinds.windows(2).all(|pair| terms(&pair[0]) == terms(&pair[1]))
}

/// A column of the order: the attribute of each type (by its place) that stands in it, and whether it descends.
type OrderColumn = (Vec<(usize, &'static str)>, bool);

/// The attribute that stands in a column of the order; that of the first type, as all have the same kind.
fn attribute_of(of_kinds: &[(usize, &'static str)], kinds: &[KindQuery]) -> Option<Attribute> {
    let (at, name) = of_kinds.first()?;
    kinds.get(*at)?.resource.schema().attribute(name)
}

fn kind_of(of_kinds: &[(usize, &'static str)], kinds: &[KindQuery]) -> AttributeKind {
    attribute_of(of_kinds, kinds).map_or(AttributeKind::Text, |attribute| attribute.kind)
}

fn order_columns(kinds: &[KindQuery]) -> Vec<OrderColumn> {
    let own = |at: usize| {
        kinds[at].order.iter().map(move |term| (vec![(at, term.attribute.name)], term.descending))
    };
    if !is_common(kinds) {
        return (0..kinds.len()).flat_map(own).collect();
    }
    let Some(first) = kinds.first() else { return Vec::new() };
    first
        .order
        .iter()
        .map(|term| {
            ((0..kinds.len()).map(|at| (at, term.attribute.name)).collect(), term.descending)
        })
        .collect()
}

fn count(kind: &KindQuery, sight: &Sight, place: &Place) -> SelectStatement {
    list::count(kind.resource, &kind.filters, sight, |statement| {
        place.narrow(sight.dialect(), statement, kind.resource);
    })
}

/// The rows of a page's keys, in the keys' order.
async fn fetch(
    conn: &mut Connection,
    query: &ContentsQuery,
    keys: Vec<(i64, String)>,
) -> Result<Vec<(Resource, JsonMap)>, StoreError> {
    let mut found: HashMap<String, (Resource, JsonMap)> = HashMap::with_capacity(keys.len());
    for (at, kind) in query.kinds.iter().enumerate() {
        let of_kind = |key: &&(i64, String)| usize::try_from(key.0).is_ok_and(|of| of == at);
        let uuids: Vec<&str> = keys.iter().filter(of_kind).map(|key| key.1.as_str()).collect();
        if uuids.is_empty() {
            continue;
        }
        let statement = {
            // The identifier comes last: it is needed whatever was selected.
            let mut statement = list::select_of(kind.resource, kind.select.as_deref());
            statement
                .expr_as(column(kind.resource, "uuid"), Alias::new("key_uuid"))
                .and_where(is_in(conn.dialect(), column(kind.resource, "uuid"), uuids.iter()));
            sql::build(conn.dialect(), &statement)
        };
        for row in statement.fetch_all(&mut *conn).await? {
            let record = sql::row_to_json(kind.resource.schema(), kind.select.as_deref(), &row)?;
            found.insert(row.try_get("key_uuid")?, (kind.resource, record));
        }
    }
    Ok(keys.into_iter().filter_map(|(_, uuid)| found.remove(&uuid)).collect())
}

#[cfg(test)]
mod plans;

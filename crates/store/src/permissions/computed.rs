//! What each user may do with each group, user and record that rights lead to, as a list: for administrators who look
//! over a site.
//!
//! The steps are those of [`super::sight`], from many users at once. A record in a project is listed where a link leads to
//! it by itself; what a project holds else follows from the project.

use model::JsonMap;
use model::filter::{Filter, ListQuery, OrderTerm};
use sea_query::{Alias, Expr, Query as Statement, SimpleExpr};

use super::Around;
use crate::connection::{Connection, Query};
use crate::database::Store;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::filter_sql;
use crate::list::order_by;
use crate::schema::{COMPUTED_PERMISSIONS, Resource, USERS};
use crate::sql;

/// Users whose rights are found at a time, where the list is ordered by them: a page is full long before all are.
const USERS_AT_A_TIME: usize = 100;
const USER: &str = "user_uuid";

/// A step from what a user reaches to what a group owns, or over a permission link.
const STEPS_SQLITE: &str = "SELECT reach.user_uuid, groups.uuid, reach.level, 1 FROM reach \
        JOIN groups ON groups.owner_uuid = reach.uuid \
        WHERE reach.through = 1 AND groups.group_class <> 'role' \
    UNION \
    SELECT reach.user_uuid, links.head_uuid, CASE WHEN links.name = 'can_manage' THEN reach.level \
            WHEN links.name = 'can_write' AND reach.level > 1 THEN 2 ELSE 1 END, \
        links.name = 'can_manage' OR substr(links.head_uuid, 7, 5) <> 'tpzed' FROM reach \
        JOIN links ON links.tail_uuid = reach.uuid \
        WHERE reach.through = 1 AND links.link_class = 'permission' \
        AND links.name IN ('can_read', 'can_write', 'can_manage') \
        AND links.head_uuid IS NOT NULL";

const STEPS_POSTGRES: &str = "SELECT reach.user_uuid, step.uuid, step.level, step.through \
    FROM reach CROSS JOIN LATERAL ( \
        SELECT groups.uuid, reach.level, 1 AS through FROM groups \
            WHERE groups.owner_uuid = reach.uuid AND groups.group_class <> 'role' \
        UNION ALL \
        SELECT links.head_uuid, CASE WHEN links.name = 'can_manage' THEN reach.level \
                WHEN links.name = 'can_write' AND reach.level > 1 THEN 2 ELSE 1 END, \
            CASE WHEN links.name = 'can_manage' OR substr(links.head_uuid, 7, 5) <> 'tpzed' \
                THEN 1 ELSE 0 END FROM links \
            WHERE links.tail_uuid = reach.uuid AND links.link_class = 'permission' \
            AND links.name IN ('can_read', 'can_write', 'can_manage') \
            AND links.head_uuid IS NOT NULL \
    ) AS step WHERE reach.through = 1";

impl Store {
    /// A page of users, what they may do something with, and how much: `can_read`, `can_write` or `can_manage`. What is
    /// in the trash is among it. Administrators may more than is listed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn computed_permissions(
        &self,
        query: &ListQuery,
    ) -> Result<Vec<JsonMap>, StoreError> {
        let around = Around::of(&self.options);
        let mut conn = self.reader().await?;
        let order = complete(&query.order);
        let by_user = order.first().filter(|term| term.attribute.name == USER);
        let is_backwards = by_user.is_some_and(|term| term.descending);
        let users = users(&mut conn, &query.filters, is_backwards).await?;
        let at_a_time = match by_user.is_some() && !query.distinct {
            true => USERS_AT_A_TIME,
            false => users.len().max(1),
        };
        let wanted = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        for some in users.chunks(at_a_time) {
            if items.len() >= wanted {
                break;
            }
            let rows = page(conn.dialect(), &around, query, &order, wanted - items.len(), some);
            for row in rows.fetch_all(&mut conn).await? {
                items.push(sql::row_to_json(&COMPUTED_PERMISSIONS, query.select.as_deref(), &row)?);
            }
        }
        Ok(items)
    }
}

fn table() -> Alias {
    Alias::new(COMPUTED_PERMISSIONS.table)
}

fn column(name: &'static str) -> SimpleExpr {
    Expr::col((table(), Alias::new(name)))
}

/// The users whom the filters leave, as far as these are about users alone.
async fn users(
    conn: &mut Connection,
    filters: &[Filter],
    is_backwards: bool,
) -> Result<Vec<String>, StoreError> {
    let about_users = |filter: &&Filter| {
        filter.any_of.iter().all(|condition| condition.target.attribute.name == USER)
    };
    let filters: Vec<Filter> = filters.iter().filter(about_users).cloned().collect();
    let built = {
        let mut all = Statement::select();
        all.expr_as(Expr::col(Alias::new("uuid")), Alias::new(USER)).from(Alias::new(USERS.table));
        let mut statement = Statement::select();
        statement
            .column((table(), Alias::new(USER)))
            .from_subquery(all, table())
            .cond_where(filter_sql::all_of(conn.dialect(), &COMPUTED_PERMISSIONS, &filters));
        let (attribute, descending) = (COMPUTED_PERMISSIONS.attributes[0], is_backwards);
        let term = OrderTerm { attribute, descending };
        order_by(conn.dialect(), &mut statement, column(USER), &term);
        sql::build(conn.dialect(), &statement)
    };
    built.fetch_all(conn).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// These terms, and user and target behind them.
fn complete(terms: &[OrderTerm]) -> Vec<OrderTerm> {
    let mut terms = terms.to_vec();
    for attribute in COMPUTED_PERMISSIONS.attributes.iter().take(2) {
        if terms.iter().all(|term| term.attribute.name != attribute.name) {
            terms.push(OrderTerm { attribute: *attribute, descending: false });
        }
    }
    terms
}

fn page(
    dialect: Dialect,
    around: &Around,
    query: &ListQuery,
    order: &[OrderTerm],
    limit: usize,
    users: &[String],
) -> Query {
    let mut statement = Statement::select();
    let selected = |name: &str| query.select.as_ref().is_none_or(|names| names.contains(&name));
    let attributes = COMPUTED_PERMISSIONS.attributes.iter().filter(|it| selected(it.name));
    statement.columns(attributes.map(|it| (table(), Alias::new(it.name)))).from(table());
    statement.cond_where(filter_sql::all_of(dialect, &COMPUTED_PERMISSIONS, &query.filters));
    if query.select.as_ref().is_some_and(Vec::is_empty) {
        // Only kind and etag were asked: rows still count.
        statement.expr(Expr::val(1));
    }
    if query.distinct {
        statement.distinct();
    }
    // What is not selected cannot order distinct rows.
    for term in order.iter().filter(|it| !query.distinct || selected(it.attribute.name)) {
        order_by(dialect, &mut statement, column(term.attribute.name), term);
    }
    statement.limit(u64::try_from(limit).unwrap_or(u64::MAX));
    let values = vec![
        serde_json::Value::from(users).to_string().into(),
        around.all_users.as_str().into(),
        around.anonymous.as_str().into(),
    ];
    sql::build(dialect, &statement).behind(|first| clause(dialect, first), values)
}

/// `reach` is what the users reach, `computed_permissions` how much they may do with it. The first value is a JSON list of the
/// users; then come the roles of all and of anonymous users, which everybody has.
fn clause(dialect: Dialect, first: usize) -> String {
    let (all_users, anonymous) = (first + 1, first + 2);
    let these = dialect.among(first);
    let (text, steps) = match dialect {
        Dialect::Sqlite => ("", STEPS_SQLITE),
        Dialect::Postgres => (" COLLATE \"C\"", STEPS_POSTGRES),
    };
    let begin = |uuid: &str, level: u8| {
        format!("SELECT users.uuid, {uuid}{text}, {level}, 1 FROM users WHERE users.uuid {these}")
    };
    let (own, of_all, of_anonymous) = (
        begin("users.uuid", 3),
        begin(&format!("${all_users}"), 2),
        begin(&format!("${anonymous}"), 1),
    );
    // A record that a link leads to may be in a project that gives more.
    let by_owner: String = Resource::OWNED
        .iter()
        .filter(|resource| **resource != Resource::Groups)
        .map(|resource| {
            let table = resource.schema().table;
            format!(
                " UNION ALL SELECT reach.user_uuid, reach.uuid, above.level FROM reach \
                 JOIN {table} ON {table}.uuid = reach.uuid \
                 JOIN reach AS above ON above.user_uuid = reach.user_uuid \
                 AND above.uuid = {table}.owner_uuid AND above.through = 1"
            )
        })
        .collect();
    format!(
        "WITH RECURSIVE reach (user_uuid, uuid, level, through) AS ( \
             {own} UNION {of_all} UNION {of_anonymous} UNION {steps} \
         ), levels (user_uuid, uuid, level) AS ( \
             SELECT user_uuid, uuid, level FROM reach{by_owner} \
         ), computed_permissions (user_uuid, target_uuid, perm_level) AS ( \
             SELECT user_uuid, uuid, CASE MAX(level) WHEN 3 THEN 'can_manage' \
                 WHEN 2 THEN 'can_write' ELSE 'can_read' END \
             FROM levels GROUP BY user_uuid, uuid \
         )"
    )
}

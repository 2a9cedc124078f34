//! Who may open ports of services: links of class `service_access`.

use model::service_access::SERVICE_ACCESS_CLASS;
use model::{ContainerPort, Group, Link, RequestUuid, User, UserUuid};
use serde::Deserialize;
use serde_json::json;

use crate::call::Client;
use crate::error::ClientError;
use crate::list::{ListQuery, Page};

const LINKS: &str = "/arvados/v1/links";
/// How the role ends that everybody has, signed in or not; a port is published as public for that.
const ANONYMOUS: &str = "-anonymouspublic";

/// Ports of a request that somebody opened to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OpenedPorts {
    /// The request.
    pub request_uuid: RequestUuid,
    /// Whether it is every port.
    pub every_port: bool,
    /// The ports that are named.
    pub ports: Vec<u16>,
}

impl OpenedPorts {
    /// Whether a port is among them.
    pub fn has(&self, port: ContainerPort) -> bool {
        self.every_port || self.ports.contains(&port.get())
    }
}

/// Whether a user may open a port, and why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MayOpen {
    /// Whether.
    pub may_open: bool,
    /// Why, a fragment of a sentence.
    pub why: String,
}

/// Somebody whom a port can be opened to.
#[derive(Debug, Clone, PartialEq)]
pub enum Holder {
    /// A user.
    Person(Box<User>),
    /// Everybody who is in a role.
    Group(Box<Group>),
}

impl Holder {
    /// Its identifier.
    pub fn uuid(&self) -> &str {
        match self {
            Self::Person(user) => user.uuid.as_str(),
            Self::Group(group) => group.uuid.as_str(),
        }
    }

    /// What people call it.
    pub fn name(&self) -> String {
        match self {
            Self::Group(group) => group.name.clone(),
            Self::Person(user) => match user.full_name().trim() {
                "" if user.username.is_empty() => user.uuid.to_string(),
                "" => user.username.clone(),
                name => name.to_owned(),
            },
        }
    }

    /// Whether a text is its identifier, name or address, in any case.
    fn is_called(&self, text: &str) -> bool {
        let same = |name: &str| !name.is_empty() && name.to_lowercase() == text.to_lowercase();
        same(self.uuid())
            || same(&self.name())
            || matches!(self, Self::Person(user) if same(&user.email) || same(&user.username))
    }

    /// The one of these that a person typed.
    ///
    /// # Errors
    /// Where there is none, or more than one; in words for that person.
    pub fn find(holders: Vec<Self>, text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mut called = holders.into_iter().filter(|holder| holder.is_called(text));
        match (called.next(), called.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(format!(
                "several people or groups are called {text:?}: give the address or the identifier"
            )),
            (None, _) => Err(format!(
                "nobody is called {text:?}: give an address, a user name or the name of a group"
            )),
        }
    }
}

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

impl Client {
    /// Who was let in to ports of a request, or of all, as far as the token may see it; oldest first.
    pub async fn list_access(
        &self,
        request: Option<RequestUuid>,
    ) -> Result<Vec<Link>, ClientError> {
        let mut query = ListQuery::default()
            .filter("link_class", "=", SERVICE_ACCESS_CLASS)
            .order("created_at")
            .limit(1000);
        if let Some(request) = request {
            query = query.filter("head_uuid", "=", request.as_str());
        }
        let page: Page<Link> = self.get(&query.path(LINKS)).await?;
        Ok(page.items)
    }

    /// Opens a port, or every port, to a user or a role. Doing it twice changes nothing.
    pub async fn open_port_to(
        &self,
        request: RequestUuid,
        port: Option<ContainerPort>,
        holder: &str,
    ) -> Result<Link, ClientError> {
        let properties = port.map_or_else(|| json!({}), |port| json!({ "port": port.get() }));
        let link = json!({
            "link_class": SERVICE_ACCESS_CLASS,
            "head_uuid": request,
            "tail_uuid": holder,
            "properties": properties,
        });
        self.post(LINKS, &json!({ "link": link })).await
    }

    /// What others opened to the token's user.
    pub async fn opened_ports(&self) -> Result<Vec<OpenedPorts>, ClientError> {
        let Items { items } = self.get("/wharf/v1/opened_ports").await?;
        Ok(items)
    }

    /// Those of these requests that the token's user may write, and so stop; at most 100 are looked at.
    pub async fn writable_requests(
        &self,
        uuids: &[RequestUuid],
    ) -> Result<Vec<RequestUuid>, ClientError> {
        let list: Vec<&str> = uuids.iter().map(RequestUuid::as_str).collect();
        let path = format!("/wharf/v1/writable_requests?uuids={}", list.join(","));
        let Items { items } = self.get(&path).await?;
        Ok(items)
    }

    /// What a user would get at a port; for who manages the request.
    pub async fn may_open(
        &self,
        request: RequestUuid,
        port: ContainerPort,
        user: UserUuid,
    ) -> Result<MayOpen, ClientError> {
        self.get(&format!("/wharf/v1/service_access/{request}?port={port}&user_uuid={user}")).await
    }

    /// Whom ports can be opened to, as far as the token may see them: users who may act, and roles.
    pub async fn list_holders(&self) -> Result<Vec<Holder>, ClientError> {
        let query =
            ListQuery::default().filter("group_class", "=", "role").order("name").limit(1000);
        let roles: Page<Group> = self.get(&query.path("/arvados/v1/groups")).await?;
        let users = self.list_users().await?.into_iter().filter(|user| user.is_active);
        let users = users.map(|user| Holder::Person(Box::new(user)));
        let roles = roles.items.into_iter().filter(|role| !role.uuid.as_str().ends_with(ANONYMOUS));
        Ok(users.chain(roles.map(|role| Holder::Group(Box::new(role)))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(number: u32, username: &str, name: &str) -> Holder {
        let uuid = format!("wharf-tpzed-{number:015}");
        let time = "2026-11-23T20:58:45.123456789Z";
        let user = json!({
            "uuid": uuid, "owner_uuid": "wharf-tpzed-000000000000000", "created_at": time,
            "modified_at": time, "modified_by_user_uuid": uuid, "username": username,
            "email": format!("{username}@example.com"), "first_name": name, "last_name": "",
            "identity_url": null, "is_active": true, "is_admin": false, "prefs": {},
        });
        Holder::Person(Box::new(serde_json::from_value(user).unwrap()))
    }

    #[test]
    fn people_are_found_by_what_they_are_called_and_never_guessed() {
        let all =
            || vec![person(1, "ada", "Ada"), person(2, "bob", "Bob"), person(3, "bob2", "Bob")];
        for (text, number) in
            [("Ada", 1), (" ADA@example.com ", 1), ("bob2", 3), ("wharf-tpzed-000000000000002", 2)]
        {
            let found = Holder::find(all(), text).unwrap();
            assert_eq!(found.uuid(), person(number, "", "").uuid(), "{text}");
        }
        assert!(Holder::find(all(), "Bob").unwrap_err().contains("several"));
        for text in ["", "ad", "carol"] {
            assert!(Holder::find(all(), text).unwrap_err().contains("nobody"), "{text}");
        }
    }
}

//! Host name links.

use model::{ContainerPort, Link, LinkUuid, RequestUuid};
use serde_json::{Value, json};

use crate::call::{Client, Ignored};
use crate::error::ClientError;
use crate::list::{ListQuery, Page};

const LINKS: &str = "/arvados/v1/links";

impl Client {
    /// Gives a port of a request a host name. Errs with 422 if somebody has it.
    pub async fn create_hostname(
        &self,
        name: &str,
        request: RequestUuid,
        port: ContainerPort,
    ) -> Result<Link, ClientError> {
        let link = json!({
            "link_class": "hostname",
            "name": name,
            "head_uuid": request,
            "properties": { "port": port.get() },
        });
        self.post(LINKS, &json!({ "link": link })).await
    }

    /// Points a host name that exists somewhere else.
    pub async fn move_hostname(
        &self,
        link: LinkUuid,
        request: RequestUuid,
        port: ContainerPort,
    ) -> Result<Link, ClientError> {
        let fields = json!({ "head_uuid": request, "properties": { "port": port.get() } });
        self.patch(&format!("{LINKS}/{link}"), &json!({ "link": fields })).await
    }

    /// Host names that the token may see, of both classes, in order of name.
    pub async fn list_hostnames(&self) -> Result<Vec<Link>, ClientError> {
        self.hostname_links(ListQuery::default()).await
    }

    /// The host names of these requests.
    pub async fn hostnames_of(&self, requests: &[RequestUuid]) -> Result<Vec<Link>, ClientError> {
        let mut found = Vec::new();
        for requests in requests.chunks(100) {
            let uuids: Vec<&str> = requests.iter().map(RequestUuid::as_str).collect();
            let query = ListQuery::default().filter("head_uuid", "in", uuids);
            found.extend(self.hostname_links(query).await?);
        }
        Ok(found)
    }

    /// The link of one host name, if it exists and the token may see it.
    pub async fn find_hostname(&self, name: &str) -> Result<Option<Link>, ClientError> {
        let query = ListQuery::default().filter("name", "=", name.to_ascii_lowercase());
        Ok(self.hostname_links(query).await?.into_iter().next())
    }

    async fn hostname_links(&self, query: ListQuery) -> Result<Vec<Link>, ClientError> {
        let classes = Value::from(vec!["hostname", "published_port"]);
        let query = query.filter("link_class", "in", classes).order("name").limit(1000);
        let page: Page<Link> = self.get(&query.path(LINKS)).await?;
        Ok(page.items)
    }

    /// Frees a host name.
    pub async fn delete_link(&self, uuid: LinkUuid) -> Result<(), ClientError> {
        let Ignored {} = self.delete(&format!("{LINKS}/{uuid}")).await?;
        Ok(())
    }
}

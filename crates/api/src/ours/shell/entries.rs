//! Who had a shell where, when, and how it ended: entries of the log of records, about the container, and lines of the
//! access log. Never what was typed, nor the command's arguments: they may hold secrets.

use model::{ContainerUuid, JsonMap};
use serde_json::{Value, json};
use store::{NewLog, Resource, StoreError};

use crate::caller::Caller;
use crate::router::Api;

/// What is noted of one shell.
#[derive(Debug, Clone)]
pub(super) struct Noted {
    pub(super) container: ContainerUuid,
    pub(super) session: String,
    /// The program's name, where one was named.
    pub(super) program: Option<String>,
    pub(super) is_terminal: bool,
}

impl Noted {
    /// It began, or somebody came back to it.
    pub(super) async fn began(
        &self,
        api: &Api,
        caller: &Caller,
        resumed: bool,
    ) -> Result<(), StoreError> {
        let event = if resumed { "shell_resume" } else { "shell_start" };
        self.write(api, caller, event, Value::Null).await
    }

    /// It ended; `how` in words.
    pub(super) async fn ended(&self, api: &Api, caller: &Caller, how: &str) {
        if let Err(error) = self.write(api, caller, "shell_end", how.into()).await {
            tracing::error!(?error, container.uuid = %self.container, "the end of a shell is not in the log");
        }
    }

    async fn write(
        &self,
        api: &Api,
        caller: &Caller,
        event: &str,
        how: Value,
    ) -> Result<(), StoreError> {
        let (container, user) = (self.container, caller.user.uuid);
        let how_words = how.as_str().unwrap_or_default();
        tracing::info!(
            target: "wharf::access",
            { container.uuid = %container, user.uuid = %user, session = %self.session, how = how_words },
            "{event}"
        );
        let found =
            api.store().get(Resource::Containers, container.as_str(), &caller.reader()).await?;
        let owner = found.and_then(|it| it.get("owner_uuid")?.as_str().map(str::to_owned));
        let properties = json!({
            "session": self.session,
            "program": self.program,
            "terminal": self.is_terminal,
            "how": how,
        });
        let new = NewLog {
            event_type: event.to_owned(),
            object_uuid: Some(container.to_string()),
            object_owner_uuid: owner,
            summary: Some(format!("{event} in {container}")),
            properties: properties.as_object().cloned().unwrap_or_else(JsonMap::new),
            ..NewLog::default()
        };
        api.store().create_log(new, user).await.map(drop)
    }
}

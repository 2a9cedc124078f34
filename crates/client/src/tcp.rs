//! Raw TCP to a port of a container, through its service host.

use crate::call::Client;
use crate::error::ClientError;
use crate::upgrade::{ByteStream, Upgrade};

/// Where service hosts open raw connections.
const PATH: &str = "/.wharf/tcp";

impl Client {
    /// Connects to the port behind a service host, given as its address (`http://…/`).
    ///
    /// Where the API is on this machine the connection is made to it, since not every resolver knows names below
    /// `localhost`; else to the service host itself. It is TLS whenever calls are.
    pub async fn open_tcp(&self, service_url: &str) -> Result<ByteStream, ClientError> {
        let wanted =
            Upgrade { url: service_url, path: PATH, token: "tcp", protocol: "TCP", more: &[] };
        let what = |authority: &str| format!("a connection to {authority}");
        self.upgrade(wanted, what).await.map(|(_switched, stream)| stream)
    }
}

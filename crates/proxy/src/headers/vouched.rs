//! What we tell an app of its client, beside what the client says.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::exchange::RequestId;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
const REQUEST_ID: &str = "x-request-id";

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static(FORWARDED_FOR);
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static(FORWARDED_PROTO);

/// Fields of ours. A head of HTTP/1.1 gets them as it is written, behind the client's own, of which none has such a name
/// any more (T16): a map of fields would take a quarter of its work for them.
#[derive(Debug)]
pub(crate) struct Vouched {
    /// The host that was asked.
    pub(crate) host: HeaderValue,
    /// How the client came, `http` or `https`.
    pub(crate) proto: &'static str,
    /// The client's address, behind those that a front proxy has named.
    pub(crate) addresses: HeaderValue,
    pub(crate) request_id: RequestId,
}

impl Vouched {
    /// Names and values as they are written.
    pub(crate) fn fields(&self) -> [(&'static str, &[u8]); 4] {
        [
            (FORWARDED_HOST, self.host.as_bytes()),
            (FORWARDED_PROTO, self.proto.as_bytes()),
            (FORWARDED_FOR, self.addresses.as_bytes()),
            (REQUEST_ID, self.request_id.as_str().as_bytes()),
        ]
    }

    /// For heads that are sent as maps, over HTTP/2.
    pub(crate) fn insert_into(self, headers: &mut HeaderMap) {
        headers.insert(HeaderName::from_static(FORWARDED_HOST), self.host);
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(self.proto));
        headers.insert(X_FORWARDED_FOR, self.addresses);
        headers.insert(HeaderName::from_static(REQUEST_ID), self.request_id.header());
    }
}

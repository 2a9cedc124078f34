//! A visit to an address that is used again: behind the gate, and before the app is asked.

use std::sync::Arc;

use http::Response;
use http::request::Parts;

use crate::body::ProxyBody;
use crate::budgets::Open;
use crate::client_body::ClientBody;
use crate::exchange::Exchange;
use crate::gate::Asking;
use crate::grants::Grant;
use crate::pages;
use crate::proxy::{AskedAt, Shared};
use crate::refusal::Refusal;
use crate::session::cookie::CookieNames;
use crate::tenant::{self, Met, Tenant};

/// A granted request at an address that is used again.
#[derive(Clone, Copy)]
pub(crate) struct Visit<'r> {
    pub(crate) tenant: &'r Tenant,
    pub(crate) grant: &'r Arc<Grant>,
    pub(crate) exchange: &'r Exchange,
}

impl Shared {
    /// Carries a granted request to its app, unless the browser met another tenant there: it starts clean.
    pub(crate) async fn receive(
        &self,
        parts: &mut Parts,
        body: ClientBody,
        asking: Asking,
        visit: Visit<'_>,
        asked: &mut AskedAt,
        open: Open,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let Visit { tenant, grant, exchange } = visit;
        let Asking { names, credentials, protocol, https } = asking;
        let met = tenant.met(&credentials.cookies.tenants);
        asked.must_forget = tenant::must_forget(met, parts);
        if met == Met::Another {
            let goes_on = exchange.is_get_or_head()
                && !protocol.opens_socket()
                && tenant::is_navigation(parts);
            return if goes_on {
                Ok(start_anew(parts, visit, &names))
            } else {
                Err(Refusal::Replaced)
            };
        }
        let is_worker = tenant::is_worker_script(parts);
        let mut response = self.carry(parts, body, protocol, grant, exchange, open).await?;
        let headers = response.headers_mut();
        if is_worker {
            tenant::keep_worker_fresh(headers);
        }
        // A program that sends its token keeps nothing of the site.
        if met == Met::Nobody && !grant.caller.is_program() {
            tenant.mark(headers, &names, https);
            if asked.must_forget {
                tenant::forget(headers);
            }
        }
        Ok(response)
    }
}

/// To the same address, with nothing left of another tenant.
fn start_anew(parts: &Parts, visit: Visit<'_>, names: &CookieNames) -> Response<ProxyBody> {
    let origin = &visit.grant.origin;
    let path = parts.uri.path_and_query().map_or("/", |text| text.as_str());
    let location = format!("{}{path}", origin.text());
    let mut response = tenant::clean_start(&location, &parts.headers);
    pages::harden(response.headers_mut());
    visit.tenant.mark(response.headers_mut(), names, origin.https);
    response
}

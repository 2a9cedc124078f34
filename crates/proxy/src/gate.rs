//! The gate: from a request's head to a grant, or to why there is none. Read [`Shared::answer`] from top to bottom.
//!
//! The order is the same for every method and protocol: how much, host, service, who, may they, from where, how much of
//! it, and only then which protocol. What is ours in a request is taken out before anything is decided. A request whose grant is known skips
//! the questions that made it, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use http::header::ORIGIN;
use http::request::Parts;
use http::{Method, Response};
use limits::{Miss, Tick};

use crate::authorize::{self, Caller, Denied, Found};
use crate::body::ProxyBody;
use crate::budgets::{Exceeded, Open};
use crate::client_body::ClientBody;
use crate::cors;
use crate::directory::{DirectoryError, Target};
use crate::exchange::Exchange;
use crate::grants::{Counted, Grant, GrantKey, Presented, Rule, Site};
use crate::host::{self, Authority, HostError};
use crate::origin::{self, Origin};
use crate::peer::Farewell;
use crate::proxy::{AskedAt, Shared};
use crate::refusal::Refusal;
use crate::route::{self, Protocol, Reach};
use crate::session::Credentials;
use crate::session::cookie::CookieNames;
use crate::steps;
use crate::tenant::{self, Tenant};
use crate::visit::Visit;

/// What the gate goes by, read off the head and taken out of it.
pub(crate) struct Asking {
    pub(crate) https: bool,
    pub(crate) names: CookieNames,
    pub(crate) credentials: Credentials,
    pub(crate) protocol: Protocol,
}

/// What a host leads to.
#[derive(Clone, Copy)]
pub(crate) struct Place<'t> {
    /// None where there is no such thing.
    pub(crate) target: Option<&'t Target>,
    pub(crate) origin: &'t Origin,
    /// Who is served there, where the host may have been another's.
    pub(crate) tenant: Option<&'t Tenant>,
}

/// Where the gate leads.
enum Passed {
    /// To the app.
    Grant(Arc<Grant>),
    /// To an answer of ours.
    Answer(Box<Response<ProxyBody>>),
}

/// Those who wait for a turn are let go together at steps of this length, not one by one: in between nothing of a flood
/// stands in others' way.
const TURN_STEP: Duration = Duration::from_millis(10);

impl Shared {
    /// The whole story of a request.
    ///
    /// What few requests need is boxed: the future of a plain one stays small, and it is moved several times.
    pub(crate) async fn answer(
        &self,
        parts: &mut Parts,
        body: ClientBody,
        exchange: &Exchange,
        asked: &mut AskedAt,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let mut open = self.admit(exchange)?;
        let came = exchange.tick();
        let counted = self.budgets.take_request(exchange.address(), came);
        let admitted = self.take_turn(counted, came).await?;
        let mut asking = self.read(parts, exchange)?;
        asked.path = parts.uri.clone();
        asked.https = asking.https;
        asked.cors_origin = self.cors_origins.named_in(&parts.headers);
        let key = self.key_of(parts, &asking)?;
        let known = key.and_then(|key| self.grants.find(&key, authorize::now_s()));
        let grant = match known {
            Some(grant) => {
                ensure_own(&grant.caller, parts, &grant.origin, &asking.protocol)?;
                grant
            }
            None => {
                let deciding = self.decide(parts, &mut asking, key, exchange, asked);
                match Box::pin(deciding).await {
                    Ok(Passed::Grant(grant)) => grant,
                    Ok(Passed::Answer(answer)) => return Ok(*answer),
                    Err(refusal) if refusal.tells_of_existence() && cors::is_preflight(parts) => {
                        return preflight(parts, asked);
                    }
                    Err(refusal) => return Err(refusal),
                }
            }
        };
        asked.grant = Some(Arc::clone(&grant));
        let entered = open.enter(&grant, &self.budgets, exchange.begun, admitted);
        self.take_turn(entered, admitted).await?;
        if let Some(tenant) = &grant.tenant {
            let visit = Visit { tenant, grant: &grant, exchange };
            return Box::pin(self.receive(parts, body, asking, visit, asked, open)).await;
        }
        self.carry(parts, body, asking.protocol, &grant, exchange, open).await
    }

    /// Takes a place among the open requests of the client's address. Where there is none, a refusal cannot be held
    /// back, as that takes a place; its connection ends instead.
    fn admit(&self, exchange: &Exchange) -> Result<Open, Refusal> {
        Open::at(exchange.address(), &self.budgets).map_err(|exceeded| {
            exchange.peer.say(Farewell::Gracefully);
            Refusal::Exceeded(exceeded)
        })
    }

    /// Waits for the turn of a request that is over a rate, which most are not; answers when that is.
    async fn take_turn(
        &self,
        counted: Result<Duration, Exceeded>,
        now: Tick,
    ) -> Result<Tick, Refusal> {
        match counted {
            Ok(Duration::ZERO) => Ok(now),
            Ok(turn) => {
                Box::pin(tokio::time::sleep(now.until_step(turn, TURN_STEP))).await;
                Ok(Tick::now())
            }
            Err(exceeded) => Err(Box::pin(self.hold_back(exceeded)).await),
        }
    }

    /// The refusal of a request that is over a limit, after a while.
    async fn hold_back(&self, exceeded: Exceeded) -> Refusal {
        self.budgets.hold_back().await;
        Refusal::Exceeded(exceeded)
    }

    /// Reads what the gate goes by, and takes what is ours out of the head.
    fn read(&self, parts: &mut Parts, exchange: &Exchange) -> Result<Asking, Refusal> {
        let external_port = if self.rules.has_external_ports() {
            self.rules.external_port_of(host::named_host(&parts.uri, &parts.headers)?)
        } else {
            None
        };
        let https = origin::is_https(&exchange.peer, &parts.headers);
        let names = CookieNames::new(https, external_port);
        let seen = exchange.seen;
        let credentials = Credentials::take_from(parts, &self.config.cluster, &names, seen);
        let protocol = route::protocol_of(parts, seen);
        Ok(Asking { https, names, credentials, protocol })
    }

    /// Under what the request's grant is kept; `None` where none may be: a credential that is used up, two cookies of
    /// which one is planted, records that may have changed without our hearing of it.
    fn key_of(&self, parts: &Parts, asking: &Asking) -> Result<Option<GrantKey>, Refusal> {
        let Credentials { query, cookies, bearer, .. } = &asking.credentials;
        let is_stale = self.directory.silent_for() > self.config.grant_age_max;
        let enters = matches!(asking.protocol, Protocol::Enter | Protocol::Invitation);
        if query.is_some() || cookies.is_tossed || is_stale || enters {
            return Ok(None);
        }
        let rule = match asking.protocol {
            Protocol::Tcp => Rule::BearerAlone,
            _ => Rule::Usual,
        };
        Ok(self.grants.key_of(Presented {
            rule,
            https: asking.https,
            host: host::named_host(&parts.uri, &parts.headers)?,
            session: cookies.session.as_deref().unwrap_or_default().as_bytes(),
            bearer: bearer.as_ref().map_or(&b""[..], |bearer| bearer.as_bytes()),
        }))
    }

    /// Asks the records. Whoever is told nothing of a service does not learn it from the time that takes either, and
    /// whoever only guesses is slowed down: hosts that are none, credentials that open nothing. Nobody else at the same
    /// address is held up by that. A preflight says nothing of either, and so does not count.
    async fn decide(
        &self,
        parts: &mut Parts,
        asking: &mut Asking,
        key: Option<GrantKey>,
        exchange: &Exchange,
        asked: &mut AskedAt,
    ) -> Result<Passed, Refusal> {
        let decided = self.ask_records(parts, asking, key, exchange, asked).await;
        // What begins the way in is the same for every host, and need not hide how long it took.
        if !may_tell(&decided) && asking.protocol != Protocol::Enter {
            steps::next(exchange.begun).await;
        }
        if !is_miss(&decided, asking) || cors::is_preflight(parts) {
            return decided;
        }
        match (self.budgets.take_miss(exchange.address(), exchange.tick()), decided) {
            (Ok(()), decided) => decided,
            (Err(exceeded), Err(_miss)) => Err(self.hold_back(exceeded).await),
            (Err(_), Ok(answer)) => {
                // A wrong token leaves the address bar all the same.
                self.budgets.hold_back().await;
                Ok(answer)
            }
        }
    }

    /// Which service, who, whether they may, and whether it can be reached.
    async fn ask_records(
        &self,
        parts: &mut Parts,
        asking: &mut Asking,
        key: Option<GrantKey>,
        exchange: &Exchange,
        asked: &mut AskedAt,
    ) -> Result<Passed, Refusal> {
        let authority = Authority::parse(host::named_host(&parts.uri, &parts.headers)?)?;
        let origin = Origin::new(&authority, asking.https);
        asked.host.clone_from(&origin.host);
        let host = self.rules.target_of(&authority)?;
        asked.cookies_to_clear = self.tossed(asking);
        let answer = match asking.protocol {
            Protocol::Enter => Some(self.enter(parts, asking, &origin)?),
            Protocol::Invitation if parts.method == Method::GET => {
                Some(self.pages.invitation(exchange.request_id))
            }
            Protocol::Invitation => {
                Some(self.redeem_invitation(parts, asking, &host, &origin, exchange).await?)
            }
            _ => None,
        };
        if let Some(answer) = answer {
            return Ok(Passed::Answer(Box::new(answer)));
        }
        asking.credentials.settle(&mut parts.headers, &self.config.cluster);

        // Which service. A token leaves the address bar whatever the answer will be.
        let version = self.grants.version();
        let target = self.directory.find(&host).await?;
        let tenant = target.as_deref().and_then(|it| self.tenants.of(&host, &origin, it));
        if asking.credentials.query.is_some()
            && exchange.is_get_or_head()
            && !asking.protocol.opens_socket()
        {
            let place =
                Place { target: target.as_deref(), origin: &origin, tenant: tenant.as_ref() };
            let redirect = self.redirect(parts, asking, place);
            return redirect.await.map(|answer| Passed::Answer(Box::new(answer)));
        }
        let target = target.ok_or(Refusal::NotFound)?;
        if let Some(tenant) = &tenant {
            let met = tenant.met(&asking.credentials.cookies.tenants);
            asked.must_forget = tenant::must_forget(met, parts);
        }

        // Who, whether they may, and whether it is they who ask.
        let found = self.caller(asking, &target, &origin).await;
        if let (Err(Refusal::Denied(denied)), Some(container)) = (&found, target.container) {
            let (port, from) = (target.port.get(), exchange.client_ip());
            self.visitors.refuse(container, port, from, denied.why());
        }
        let found = found?;
        ensure_own(&found.caller, parts, &origin, &asking.protocol)?;

        // Whether it can be reached.
        let container = match route::reach(&target, self.config.allow_unpublished_ports) {
            Reach::Unpublished => return Err(Refusal::NotFound),
            Reach::Over => return Err(Refusal::Stopped(target)),
            Reach::NotYet if asking.protocol == Protocol::Status => {
                let status = self.status(&target, None).await;
                return Ok(Passed::Answer(Box::new(status)));
            }
            Reach::NotYet => return Err(self.starting(&target, exchange).await),
            Reach::Running(container) => container,
        };
        let budgets = self.budgets.of_grant(container, &found.caller);
        let site = Site { host, origin, tenant };
        let (port, from) = (target.port.get(), exchange.client_ip());
        let counted = Counted {
            traffic: self.ports.of(container, port),
            visitor: self.visitors.enter(container, port, &found.caller, from),
        };
        let grant = Grant::new(key, site, target, container, found, budgets, counted);
        Ok(Passed::Grant(self.grants.add(grant, version)))
    }

    async fn caller(
        &self,
        asking: &Asking,
        target: &Target,
        origin: &Origin,
    ) -> Result<Found, Refusal> {
        let (directory, credentials) = (&*self.directory, &asking.credentials);
        let found = match asking.protocol {
            Protocol::Tcp => authorize::by_bearer(directory, target, credentials).await?,
            _ => authorize::caller(directory, &self.seal, target, credentials, origin).await?,
        };
        found.map_err(Refusal::Denied)
    }
}

/// The answer to a browser that asks on behalf of a page whether it may use a private service, or one that is not there.
fn preflight(parts: &Parts, asked: &AskedAt) -> Result<Response<ProxyBody>, Refusal> {
    match asked.cors_origin {
        Some(_) => Ok(cors::leave(&parts.headers)),
        None => Err(Refusal::Preflight),
    }
}

/// Whether the time that it took may tell what was found.
fn may_tell(decided: &Result<Passed, Refusal>) -> bool {
    match decided {
        Ok(Passed::Grant(_)) => true,
        Ok(Passed::Answer(answer)) => !answer.status().is_redirection(),
        Err(refusal) => !refusal.tells_of_existence(),
    }
}

/// Whether a decision says no more than that something was tried: a host that is none, a credential that opens nothing.
/// A session that we sealed cannot have been guessed.
fn is_miss(decided: &Result<Passed, Refusal>, asking: &Asking) -> bool {
    match decided {
        Err(Refusal::NotFound | Refusal::Host(HostError::NotAService)) => true,
        Err(Refusal::Denied(Denied::NotAllowed) | Refusal::NotInvited) => true,
        Err(Refusal::Denied(Denied::NoCredentials)) => asking.credentials.cookies.session.is_some(),
        Err(_) | Ok(Passed::Grant(_)) => false,
        Ok(Passed::Answer(answer)) => answer.extensions().get::<Miss>().is_some(),
    }
}

/// Whether it is the caller who asks, and not a page of somebody else's.
fn ensure_own(
    caller: &Caller,
    parts: &Parts,
    origin: &Origin,
    protocol: &Protocol,
) -> Result<(), Refusal> {
    let is_foreign = match caller {
        // Programs name no origin.
        _ if *protocol == Protocol::Tcp => parts.headers.contains_key(ORIGIN),
        Caller::User { by_cookie: true, .. } | Caller::Guest(_) => {
            !origin::is_from_own_pages(parts, origin, protocol.opens_socket())
        }
        Caller::User { .. } | Caller::Anyone => false,
    };
    if is_foreign { Err(Refusal::ForeignOrigin) } else { Ok(()) }
}

impl From<HostError> for Refusal {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<DirectoryError> for Refusal {
    fn from(error: DirectoryError) -> Self {
        Self::NoRecords(error)
    }
}

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use model::{ContainerPort, PublishedPorts, TokenUuid, UserUuid};
use tokio::sync::mpsc;

use super::*;
use crate::budgets::Budgets;
use crate::config::ProxyLimits;
use crate::directory::{Credential, DirectoryError, Principal, StartInfo, TargetState};
use crate::host::Authority;
use crate::visitors::Visitors;

const CONTAINER: &str = "wharf-dz642-0123456789abcde";
const OTHER: &str = "wharf-dz642-00000000000000b";
const TOKEN: &str = "wharf-gj3su-0123456789abcde";
const USER: &str = "wharf-tpzed-0123456789abcde";

/// One service and one token; counts questions.
#[derive(Debug)]
struct Records {
    holds: AtomicBool,
    is_readable: AtomicBool,
    n_asked: AtomicUsize,
    news: Mutex<Option<mpsc::UnboundedReceiver<Changed>>>,
}

impl Directory for Records {
    fn find<'a>(
        &'a self,
        target: &'a HostTarget,
    ) -> BoxFuture<'a, Result<Option<Arc<Target>>, DirectoryError>> {
        self.n_asked.fetch_add(1, Ordering::SeqCst);
        let HostTarget::Container { uuid, .. } = target else { unreachable!("only containers") };
        let readable = self.is_readable.load(Ordering::SeqCst);
        let found = readable.then(|| Some(target_of(uuid.as_str())));
        std::future::ready(found.ok_or(DirectoryError("gone".to_owned()))).boxed()
    }

    fn principal(
        &self,
        _credential: Credential,
    ) -> BoxFuture<'_, Result<Option<Principal>, DirectoryError>> {
        let (user, token) = (UserUuid::parse(USER).unwrap(), TokenUuid::parse(TOKEN).unwrap());
        let found = Principal { user, token, is_admin: true, unscoped: true, expires_at: None };
        let holds = self.holds.load(Ordering::SeqCst);
        std::future::ready(Ok(holds.then_some(found))).boxed()
    }

    fn start_info<'a>(&'a self, _target: &'a Target) -> BoxFuture<'a, StartInfo> {
        std::future::ready(StartInfo::default()).boxed()
    }

    fn changes(&self) -> Option<BoxStream<'static, Changed>> {
        let news = self.news.lock().unwrap().take()?;
        let next = async |mut news: mpsc::UnboundedReceiver<Changed>| {
            news.recv().await.map(|changed| (changed, news))
        };
        Some(stream::unfold(news, next).boxed())
    }
}

fn target_of(container: &str) -> Arc<Target> {
    Arc::new(Target {
        container: ContainerUuid::parse(container).ok(),
        request: None,
        name: String::new(),
        state: TargetState::Running,
        ports: PublishedPorts::default(),
        port: ContainerPort::HTTP,
        submitters: Vec::new(),
        exit_words: String::new(),
        is_service: true,
        records: vec![container.to_owned()],
    })
}

fn key(n: u32) -> GrantKey {
    static KEYS: LazyLock<KeyMaker> = LazyLock::new(KeyMaker::new);
    let bearer = &n.to_le_bytes();
    let presented =
        Presented { rule: Rule::Usual, https: false, host: "a.test", session: b"", bearer };
    KEYS.key_of(presented).unwrap()
}

fn grant(n: u32, container: &str, expires_at_s: Option<u64>) -> Grant {
    let uuid = ContainerUuid::parse(container).unwrap();
    let caller = Caller::User {
        user: UserUuid::parse(USER).unwrap(),
        token: TokenUuid::parse(TOKEN).unwrap(),
        by_cookie: false,
    };
    let origin = Origin::new(&Authority::parse("a.test").unwrap(), false);
    let host = HostTarget::Container { uuid, port: None };
    let budgets = Budgets::new(&ProxyLimits::default()).of_grant(uuid, &caller);
    let found = Found { caller, expires_at_s, rests_on: Vec::new() };
    let site = Site { host, origin, tenant: None };
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    let visitor = Visitors::default().enter(uuid, 80, &found.caller, address);
    let counted = Counted { traffic: Arc::default(), visitor };
    Grant::new(Some(key(n)), site, target_of(container), uuid, found, budgets, counted)
}

struct World {
    grants: Arc<Grants>,
    records: Arc<Records>,
    news: mpsc::UnboundedSender<Changed>,
}

impl World {
    fn start(n_max: usize) -> Self {
        let (news, heard) = mpsc::unbounded_channel();
        let records = Arc::new(Records {
            holds: AtomicBool::new(true),
            is_readable: AtomicBool::new(true),
            n_asked: AtomicUsize::new(0),
            news: Mutex::new(Some(heard)),
        });
        let grants = Arc::new(Grants::new(n_max, true));
        let (kept, asked) = (Arc::clone(&grants), Arc::clone(&records));
        let changes = records.changes().unwrap();
        tokio::spawn(async move { kept.keep(&*asked, changes).await });
        Self { grants, records, news }
    }

    fn tell(&self, record: &str) {
        self.news.send(Changed::Record(record.to_owned())).unwrap();
    }

    fn add(&self, grant: Grant) -> Arc<Grant> {
        self.grants.add(grant, self.grants.version())
    }
}

/// All tasks have done what they can: time is paused, so it only passes then.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_grant_is_found_until_one_of_its_records_changes() {
    for record in [CONTAINER, TOKEN, USER] {
        let world = World::start(10);
        drop(world.add(grant(1, CONTAINER, None)));
        world.tell(OTHER);
        settle().await;
        assert!(world.grants.find(&key(1), 0).is_some());
        assert!(world.grants.find(&key(2), 0).is_none());
        world.tell(record);
        settle().await;
        assert!(world.grants.find(&key(1), 0).is_none(), "{record}");
        assert_eq!(world.records.n_asked.load(Ordering::SeqCst), 0, "nobody had it");
    }
}

#[tokio::test(start_paused = true)]
async fn t37_a_thousand_streams_end_with_one_question() {
    let world = World::start(10);
    let grant = world.add(grant(1, CONTAINER, None));
    let mut streams = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        streams.spawn(Revoked::of(&grant));
    }
    settle().await;
    world.tell(CONTAINER);
    settle().await;
    assert!(streams.try_join_next().is_none(), "it still holds, so all go on");
    world.records.holds.store(false, Ordering::SeqCst);
    world.tell(TOKEN);
    while streams.join_next().await.is_some() {}
    assert_eq!(world.records.n_asked.load(Ordering::SeqCst), 2);
    // Who comes late is told as well.
    Revoked::of(&grant).await;
}

#[tokio::test(start_paused = true)]
async fn streams_under_a_grant_that_nobody_finds_any_more_are_still_ended() {
    let world = World::start(2);
    let first = world.add(grant(0, CONTAINER, None));
    for n in 1..10 {
        drop(world.add(grant(n, OTHER, None)));
    }
    assert!(world.grants.find(&key(0), 0).is_none(), "the table is bounded");
    world.records.holds.store(false, Ordering::SeqCst);
    world.tell(CONTAINER);
    Revoked::of(&first).await;
}

#[tokio::test(start_paused = true)]
async fn a_grant_read_while_records_changed_is_asked_about_again() {
    let world = World::start(10);
    let version = world.grants.version();
    world.tell(OTHER);
    settle().await;
    world.records.holds.store(false, Ordering::SeqCst);
    let late = world.grants.add(grant(1, CONTAINER, None), version);
    assert!(world.grants.find(&key(1), 0).is_none());
    Revoked::of(&late).await;
}

#[tokio::test(start_paused = true)]
async fn everything_is_asked_about_when_news_was_lost() {
    let world = World::start(10);
    let (one, other) = (world.add(grant(1, CONTAINER, None)), world.add(grant(2, OTHER, None)));
    world.records.holds.store(false, Ordering::SeqCst);
    world.news.send(Changed::Everything).unwrap();
    Revoked::of(&one).await;
    Revoked::of(&other).await;
}

#[tokio::test(start_paused = true)]
async fn records_that_cannot_be_read_end_nothing() {
    let world = World::start(10);
    let held = world.add(grant(1, CONTAINER, None));
    world.records.is_readable.store(false, Ordering::SeqCst);
    world.tell(CONTAINER);
    settle().await;
    assert!(Revoked::of(&held).now_or_never().is_none());
    assert!(world.grants.find(&key(1), 0).is_none(), "new requests ask");
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_ends_ends_its_streams() {
    let world = World::start(10);
    let now_s = authorize::now_s();
    let ends = world.add(grant(1, CONTAINER, Some(now_s)));
    let later = world.add(grant(2, CONTAINER, Some(now_s + 3600)));
    assert!(world.grants.find(&key(1), now_s).is_none());
    Revoked::of(&ends).await;
    assert!(world.grants.find(&key(2), now_s).is_some());
    assert!(Revoked::of(&later).now_or_never().is_none());
}

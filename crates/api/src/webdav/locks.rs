//! Write locks (RFC 4918 section 6): whoever holds one changes what it is on, and others are told 423.
//!
//! They are in the memory of this process, expire, and are counted. Clients take them so that they do not
//! write over each other; what keeps a collection whole is that each change is made of its newest version. So a
//! lock that a restart forgot, or that another controller does not know, loses nothing but that courtesy.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::UserUuid;
use ring::rand::{SecureRandom as _, SystemRandom};

/// Locks in this process.
const LOCKS_MAX: usize = 10_000;
/// Of one user.
const LOCKS_PER_USER_MAX: usize = 1000;
/// How long a lock is where its client does not say.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);
/// The longest that one is: a client that is gone must not keep others out for days.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// Everybody's locks.
#[derive(Debug, Default)]
pub(crate) struct Locks(Mutex<Vec<Lock>>);

/// One lock.
#[derive(Debug, Clone)]
pub(super) struct Lock {
    /// `opaquelocktoken:<random>`.
    pub(super) token: String,
    /// The collection's identifier.
    pub(super) collection: String,
    /// The path in it that was locked.
    pub(super) path: String,
    /// Whether all below it is locked too.
    pub(super) is_deep: bool,
    /// Whether others may have one of the kind beside it.
    pub(super) is_shared: bool,
    /// Who has it.
    pub(super) user: UserUuid,
    /// What its client calls its owner: text.
    pub(super) owner: String,
    pub(super) expires: Instant,
}

/// Why there is no lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockFault {
    /// Somebody has one that excludes it.
    Locked,
    /// There are too many.
    TooMany,
    /// The system gave no random bytes.
    NoRandom,
}

impl Lock {
    /// Whether a path is locked by it.
    pub(super) fn covers(&self, collection: &str, path: &str) -> bool {
        self.collection == collection
            && (self.path == path || (self.is_deep && is_below(path, &self.path)))
    }

    /// As `Timeout` and `D:timeout` have it.
    pub(super) fn seconds_left(&self) -> u64 {
        self.expires.saturating_duration_since(Instant::now()).as_secs()
    }
}

/// Whether a path is inside another one; all are inside `""`.
fn is_below(path: &str, above: &str) -> bool {
    above.is_empty() && !path.is_empty()
        || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// The time of a `Timeout` header: the first that is understood.
pub(super) fn timeout_of(header: Option<&str>) -> Duration {
    let asked = header.unwrap_or_default().split(',').map(str::trim).find_map(|it| match it {
        "Infinite" => Some(TIMEOUT_MAX),
        other => other.strip_prefix("Second-")?.parse().ok().map(Duration::from_secs),
    });
    asked.unwrap_or(TIMEOUT_DEFAULT).clamp(Duration::from_secs(1), TIMEOUT_MAX)
}

impl Locks {
    /// Takes a lock, where none that is there excludes it.
    pub(super) fn take(&self, mut lock: Lock) -> Result<Lock, LockFault> {
        let mut random = [0; 16];
        SystemRandom::new().fill(&mut random).map_err(|_unspecified| LockFault::NoRandom)?;
        lock.token = format!("opaquelocktoken:{:032x}", u128::from_ne_bytes(random));
        let mut locks = self.live();
        let excludes = |other: &&Lock| {
            let meet = other.covers(&lock.collection, &lock.path)
                || (lock.is_deep && lock.covers(&other.collection, &other.path));
            meet && !(lock.is_shared && other.is_shared)
        };
        if locks.iter().any(|other| excludes(&other)) {
            return Err(LockFault::Locked);
        }
        let n_own = locks.iter().filter(|other| other.user == lock.user).count();
        if locks.len() >= LOCKS_MAX || n_own >= LOCKS_PER_USER_MAX {
            return Err(LockFault::TooMany);
        }
        locks.push(lock.clone());
        Ok(lock)
    }

    /// Gives a lock that covers the path more time; none where the user has no such one.
    pub(super) fn refresh(
        &self,
        token: &str,
        user: UserUuid,
        (collection, path): (&str, &str),
        timeout: Duration,
    ) -> Option<Lock> {
        let mut locks = self.live();
        let lock = locks.iter_mut().find(|lock| {
            lock.token == token && lock.user == user && lock.covers(collection, path)
        })?;
        lock.expires = Instant::now() + timeout;
        Some(lock.clone())
    }

    /// Ends a lock that covers the path; false where the user has no such one.
    pub(super) fn release(
        &self,
        token: &str,
        user: UserUuid,
        collection: &str,
        path: &str,
    ) -> bool {
        let mut locks = self.live();
        let n_before = locks.len();
        locks.retain(|lock| {
            !(lock.token == token && lock.user == user && lock.covers(collection, path))
        });
        locks.len() < n_before
    }

    /// Ends all locks on a path and below: what was there is gone.
    pub(super) fn forget(&self, collection: &str, path: &str) {
        self.live().retain(|lock| {
            lock.collection != collection || (lock.path != path && !is_below(&lock.path, path))
        });
    }

    /// The locks that cover a path.
    pub(super) fn on(&self, collection: &str, path: &str) -> Vec<Lock> {
        let locks = self.live();
        locks.iter().filter(|lock| lock.covers(collection, path)).cloned().collect()
    }

    /// Whether this user may change a path, and with `deep` all below, having shown these tokens.
    pub(super) fn permit(
        &self,
        user: UserUuid,
        tokens: &[String],
        (collection, path): (&str, &str),
        deep: bool,
    ) -> bool {
        let locks = self.live();
        let on_path: Vec<&Lock> = locks
            .iter()
            .filter(|lock| {
                lock.covers(collection, path)
                    || (deep && lock.collection == collection && is_below(&lock.path, path))
            })
            .collect();
        // Of shared locks on the same place one's own is enough.
        let is_shown = |lock: &&Lock| lock.user == user && tokens.contains(&lock.token);
        on_path.iter().all(|lock| {
            is_shown(lock)
                || (lock.is_shared
                    && on_path.iter().any(|own| own.path == lock.path && is_shown(own)))
        })
    }

    /// Those that have not expired; the others go.
    fn live(&self) -> std::sync::MutexGuard<'_, Vec<Lock>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        locks.retain(|lock| lock.expires > now);
        locks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(last: char) -> UserUuid {
        UserUuid::parse(&format!("wharf-tpzed-{}", last.to_string().repeat(15))).unwrap()
    }

    fn lock(path: &str, is_deep: bool, is_shared: bool, user: UserUuid) -> Lock {
        Lock {
            token: String::new(),
            collection: "c".to_owned(),
            path: path.to_owned(),
            is_deep,
            is_shared,
            user,
            owner: String::new(),
            expires: Instant::now() + Duration::from_secs(60),
        }
    }

    #[test]
    fn an_exclusive_lock_keeps_others_out_of_what_it_covers() {
        let locks = Locks::default();
        let (ada, bob) = (user('a'), user('b'));
        let deep = locks.take(lock("d", true, false, ada)).unwrap();
        for (path, other) in [("d", 'x'), ("d/e", 'x'), ("", 'd')] {
            let taken = locks.take(lock(path, other == 'd', false, bob)).map(drop);
            assert_eq!(taken, Err(LockFault::Locked), "{path}");
        }
        assert!(locks.take(lock("da", true, false, bob)).is_ok());
        let shown = [deep.token.clone()];
        for (path, is_deep, may) in [("d/e", false, true), ("da", false, false), ("", true, false)]
        {
            assert_eq!(locks.permit(ada, &shown, ("c", path), is_deep), may, "{path}");
        }
        assert!(!locks.permit(ada, &[], ("c", "d/e"), false), "the token must be shown");
        assert!(!locks.permit(bob, &shown, ("c", "d/e"), false), "and be one's own");
        assert!(locks.permit(bob, &[], ("other", "d"), false));
        assert!(!locks.release(&deep.token, bob, "c", "d"));
        assert!(locks.release(&deep.token, ada, "c", "d/e"));
        assert!(locks.permit(bob, &[], ("c", "d"), false));
    }

    #[test]
    fn shared_locks_stand_beside_each_other() {
        let locks = Locks::default();
        let (ada, bob) = (user('a'), user('b'));
        let own = locks.take(lock("f", false, true, ada)).unwrap();
        locks.take(lock("f", false, true, bob)).unwrap();
        assert_eq!(locks.take(lock("f", false, false, bob)).map(drop), Err(LockFault::Locked));
        assert!(locks.permit(ada, &[own.token], ("c", "f"), false));
        assert!(!locks.permit(ada, &[], ("c", "f"), false));
    }

    #[test]
    fn locks_expire_and_are_counted() {
        let locks = Locks::default();
        let gone = Lock { expires: Instant::now(), ..lock("f", false, false, user('a')) };
        locks.take(gone).unwrap();
        assert!(locks.on("c", "f").is_empty());
        for number in 0..LOCKS_PER_USER_MAX {
            locks.take(lock(&number.to_string(), false, false, user('a'))).unwrap();
        }
        let more = locks.take(lock("more", false, false, user('a'))).map(drop);
        assert_eq!(more, Err(LockFault::TooMany));
        locks.take(lock("more", false, false, user('b'))).unwrap();
        assert_eq!(timeout_of(Some("Infinite, Second-5")), TIMEOUT_MAX);
        assert_eq!(timeout_of(Some("Weekly, Second-5")), Duration::from_secs(5));
        assert_eq!(timeout_of(None), TIMEOUT_DEFAULT);
    }
}

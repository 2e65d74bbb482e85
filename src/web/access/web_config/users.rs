//! Basic auth: users with bcrypt hashes.
//!
//! A wrong password costs what a right one costs, and an unknown user as much: names cannot be guessed by
//! the time that an answer takes. One hash is computed at a time, off the async threads, so that guessing
//! takes no more than one core; the few who wait for it are bounded. A pair that was right is remembered,
//! under a keyed digest and never as it is, because every scrape brings it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use http::HeaderValue;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;

use crate::config::Secret;

/// Right pairs that are remembered, as in the toolkit.
const REMEMBERED: usize = 100;
/// Requests that may wait for their hash; more than all who scrape have together.
const WAITING: usize = 64;

/// Checks a hash at the start instead of at the first request.
///
/// # Errors
/// What was expected; the hash is not quoted.
pub(super) fn check_hash(hash: &str) -> Result<(), String> {
    let cost = cost(hash).ok_or("expected a bcrypt hash such as htpasswd -nBC 10 \"\" prints ($2y$10$…)")?;
    if (4..=31).contains(&cost) {
        Ok(())
    } else {
        Err(format!("expected a bcrypt hash of cost 4 to 31, got cost {cost}"))
    }
}

fn cost(hash: &str) -> Option<u32> {
    hash.parse::<HashParts>().ok().map(|parts| parts.get_cost())
}

/// Those who may come in. With nobody in it, everybody may.
#[derive(Debug)]
pub(super) struct Users {
    hashes: BTreeMap<String, Secret>,
    /// Hash that unknown users are compared with: as costly as the costliest, and of a password that
    /// nobody has.
    nobody: Secret,
}

impl Users {
    pub(super) fn new(hashes: BTreeMap<String, Secret>) -> Self {
        let cost = hashes.values().filter_map(|hash| cost(hash.expose())).max().unwrap_or(10);
        // Salt and digest of random bytes: no password is known for it.
        let nobody =
            Secret::new(format!("$2b${cost:02}$Y8vQxk0p3mWc7tUeJr2hLOZ1nXsBfG9dKq4aTiVyR5wEoMhPzCu6S"));
        Self { hashes, nobody }
    }

    pub(super) fn everybody(&self) -> bool {
        self.hashes.is_empty()
    }
}

/// What a request's credentials are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They are right.
    Welcome,
    /// None, or wrong ones.
    Unknown,
    /// Too many others wait for theirs to be checked.
    Busy,
}

/// Checks credentials and remembers the right ones.
pub(super) struct Checker {
    /// Of this process alone, so that what is remembered says nothing outside.
    key: hmac::Key,
    right: Mutex<VecDeque<[u8; 32]>>,
    turn: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Checker {
    /// # Panics
    /// When the system gives no random bytes; TLS would not work then either.
    pub(super) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).expect("random bytes");
        Self {
            key,
            right: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }

    /// Checks the `Authorization` header of a request.
    pub(super) async fn check(&self, users: &Users, authorization: Option<&HeaderValue>) -> Verdict {
        let Some((user, password)) = authorization.and_then(credentials) else { return Verdict::Unknown };
        let known = std::str::from_utf8(&user).ok().and_then(|user| users.hashes.get(user));
        let hash = known.unwrap_or(&users.nobody).clone();
        let tag = self.tag(&user, hash.expose(), &password);
        if known.is_some() && self.remembers(&tag) {
            return Verdict::Welcome;
        }
        let Ok(place) = self.waiting.clone().try_acquire_owned() else { return Verdict::Busy };
        let Ok(turn) = self.turn.clone().acquire_owned().await else { return Verdict::Busy };
        let compared = tokio::task::spawn_blocking(move || {
            let right = bcrypt::verify(&password, hash.expose()).unwrap_or(false);
            // Held to the end even if the client has left, so that there is never a second one.
            drop((turn, place));
            right
        });
        if compared.await.unwrap_or(false) && known.is_some() {
            self.remember(tag);
            return Verdict::Welcome;
        }
        Verdict::Unknown
    }

    /// What a pair is remembered under; the hash is in it, so that a new password ends the old one.
    fn tag(&self, user: &[u8], hash: &str, password: &[u8]) -> [u8; 32] {
        let mut digest = hmac::Context::with_key(&self.key);
        for part in [user, hash.as_bytes(), password] {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(digest.sign().as_ref());
        tag
    }

    fn remembers(&self, tag: &[u8; 32]) -> bool {
        self.right.lock().unwrap_or_else(PoisonError::into_inner).contains(tag)
    }

    fn remember(&self, tag: [u8; 32]) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= REMEMBERED {
            right.pop_front();
        }
        right.push_back(tag);
    }
}

/// User and password of `Basic dXNlcjpwYXNz`.
fn credentials(header: &HeaderValue) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut user = STANDARD.decode(encoded).ok()?;
    let colon = user.iter().position(|b| *b == b':')?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Some((user, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(pairs: &[(&str, &str)]) -> Users {
        let hash = |password: &str| Secret::new(bcrypt::hash(password, 4).unwrap());
        Users::new(pairs.iter().map(|(user, password)| ((*user).to_owned(), hash(password))).collect())
    }

    fn header(pair: &str) -> HeaderValue {
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).unwrap()
    }

    async fn check(users: &Users, pair: &str) -> Verdict {
        Checker::new().check(users, Some(&header(pair))).await
    }

    #[tokio::test]
    async fn only_the_right_pair_comes_in() {
        let users = users(&[("alice", "open:sesame"), ("bob", "")]);
        for (pair, verdict) in [
            ("alice:open:sesame", Verdict::Welcome),
            ("bob:", Verdict::Welcome),
            ("alice:open", Verdict::Unknown),
            ("alice:", Verdict::Unknown),
            ("bob:open:sesame", Verdict::Unknown),
            ("carol:open:sesame", Verdict::Unknown),
            (":", Verdict::Unknown),
            ("alice", Verdict::Unknown),
            ("", Verdict::Unknown),
        ] {
            assert_eq!(check(&users, pair).await, verdict, "{pair:?}");
        }
        for broken in ["Basic", "Basic ?", "Bearer abc", "", "Basic dXNlcg"] {
            let header = HeaderValue::from_static(broken);
            assert_eq!(Checker::new().check(&users, Some(&header)).await, Verdict::Unknown, "{broken:?}");
        }
        assert_eq!(Checker::new().check(&users, None).await, Verdict::Unknown);
    }

    #[tokio::test]
    async fn a_right_pair_is_remembered_and_a_new_password_ends_the_old_one() {
        let before = users(&[("alice", "old")]);
        let checker = Checker::new();
        for _ in 0..3 {
            assert_eq!(checker.check(&before, Some(&header("alice:old"))).await, Verdict::Welcome);
        }
        assert_eq!(checker.right.lock().unwrap().len(), 1);
        let after = users(&[("alice", "new")]);
        assert_eq!(checker.check(&after, Some(&header("alice:old"))).await, Verdict::Unknown);
        assert_eq!(checker.check(&users(&[]), Some(&header("alice:old"))).await, Verdict::Unknown);
    }

    #[tokio::test]
    async fn wrong_pairs_take_no_place_among_the_right_ones() {
        let users = users(&[("alice", "a")]);
        let checker = Checker::new();
        checker.check(&users, Some(&header("alice:a"))).await;
        for n in 0..5 {
            checker.check(&users, Some(&header(&format!("alice:{n}")))).await;
        }
        assert_eq!(checker.right.lock().unwrap().len(), 1);
        for n in 0..2 * REMEMBERED {
            checker.remember(checker.tag(b"x", "y", &n.to_be_bytes()));
        }
        assert_eq!(checker.right.lock().unwrap().len(), REMEMBERED);
    }

    #[tokio::test]
    async fn too_many_who_wait_are_sent_away_and_those_who_are_known_are_not() {
        let users = Arc::new(users(&[("alice", "a")]));
        let checker = Arc::new(Checker::new());
        checker.check(&users, Some(&header("alice:a"))).await;
        let turn = checker.turn.clone().acquire_owned().await.unwrap();
        for n in 0..WAITING {
            let (users, checker) = (users.clone(), checker.clone());
            drop(tokio::spawn(async move { checker.check(&users, Some(&header(&format!("m:{n}")))).await }));
        }
        while checker.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(checker.check(&users, Some(&header("mallory:x"))).await, Verdict::Busy);
        assert_eq!(checker.check(&users, Some(&header("alice:a"))).await, Verdict::Welcome);
        drop(turn);
    }

    #[test]
    fn an_unknown_user_costs_as_much_as_the_costliest() {
        let hashes = [("a", 4), ("b", 6)]
            .map(|(user, cost)| (user.to_owned(), Secret::new(bcrypt::hash("x", cost).unwrap())));
        let users = Users::new(hashes.into());
        assert_eq!(cost(users.nobody.expose()), Some(6));
        check_hash(users.nobody.expose()).unwrap();
    }

    #[test]
    fn what_is_no_hash_is_refused_without_quoting_it() {
        for (bad, said) in [
            ("doe-hush", "bcrypt hash"),
            ("", "bcrypt hash"),
            ("$2y$03$qRTBuFoULoYNA7AQ/F3ck.trZBPyjV64.oA4ZsSBCIWvXuvQlQTuu", "cost 3"),
            ("$2y$32$qRTBuFoULoYNA7AQ/F3ck.trZBPyjV64.oA4ZsSBCIWvXuvQlQTuu", "cost 32"),
            ("$6$rounds=5000$hush$hush", "bcrypt hash"),
        ] {
            let reason = check_hash(bad).unwrap_err();
            assert!(reason.contains(said) && !reason.contains("hush"), "{bad}: {reason}");
        }
        check_hash("$2a$10$qRTBuFoULoYNA7AQ/F3ck.trZBPyjV64.oA4ZsSBCIWvXuvQlQTuu").unwrap();
    }
}

//! Accounts and their secrets, compared so that the time taken tells nothing about either.

use std::fmt;

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::config::Secret;
use crate::model::{AccountId, UtcOffset};

/// An account as webhooks name it.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// Its number in the store, which no change of its name changes.
    pub account: AccountId,
    /// Configured name.
    pub name: String,
    /// Account sid; both stand for the account in an address.
    pub sid: String,
    /// Any of these opens; without one the account takes no webhooks.
    pub secrets: Vec<Secret>,
    /// Offset of the account's clock.
    pub offset: UtcOffset,
}

type Sum = [u8; SHA256_OUTPUT_LEN];

/// The entrances by hash: hashes have one length, and where two of them begin to differ tells nothing
/// about the texts.
pub(super) struct Keys(Vec<Key>);

struct Key {
    names: [Sum; 2],
    secrets: Vec<Sum>,
}

/// What an account and a secret open.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The account, where it is known and takes webhooks.
    pub(super) account: Option<usize>,
    /// Whether the secret is one of its own.
    pub(super) opened: bool,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.0.len()).finish()
    }
}

impl Keys {
    pub(super) fn new(entrances: &[Entrance]) -> Self {
        let key = |entrance: &Entrance| Key {
            names: [sum(entrance.name.as_bytes()), sum(entrance.sid.as_bytes())],
            secrets: entrance.secrets.iter().map(|secret| sum(secret.expose().as_bytes())).collect(),
        };
        Self(entrances.iter().map(key).collect())
    }

    /// Compares with every name and every secret, whatever fits.
    pub(super) fn try_open(&self, account: &[u8], secret: &[u8]) -> Found {
        let (account, secret) = (sum(account), sum(secret));
        let (mut index, mut known, mut opened) = (0_u64, Choice::from(0), Choice::from(0));
        for (at, key) in (0_u64..).zip(&self.0) {
            let [name, sid] = &key.names;
            let takes = Choice::from(u8::from(!key.secrets.is_empty()));
            let named = (name.ct_eq(&account) | sid.ct_eq(&account)) & takes;
            let fits = key.secrets.iter().fold(Choice::from(0), |fits, own| fits | own.ct_eq(&secret));
            index.conditional_assign(&at, named);
            known |= named;
            opened |= named & fits;
        }
        let account = bool::from(known).then(|| usize::try_from(index).ok()).flatten();
        Found { account, opened: opened.into() }
    }
}

fn sum(bytes: &[u8]) -> Sum {
    let mut sum = Sum::default();
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entrance(name: &str, sid: &str, secrets: &[&str]) -> Entrance {
        let secrets = secrets.iter().map(|text| Secret::new(*text)).collect();
        let (name, sid) = (name.to_owned(), sid.to_owned());
        Entrance { account: AccountId(1), name, sid, secrets, offset: UtcOffset::default() }
    }

    #[test]
    fn each_account_is_opened_by_its_own_secrets_under_name_and_sid() {
        let keys = Keys::new(&[
            entrance("acme", "acme1", &["old-secret", "new-secret"]),
            entrance("silent", "silent1", &[]),
            entrance("other", "other1", &["third-secret"]),
        ]);
        for (account, secret, found, opened) in [
            ("acme", "old-secret", Some(0), true),
            ("acme1", "new-secret", Some(0), true),
            ("other", "third-secret", Some(2), true),
            ("acme", "third-secret", Some(0), false),
            ("acme", "old-secre", Some(0), false),
            ("acme", "", Some(0), false),
            ("nobody", "old-secret", None, false),
            ("", "", None, false),
            ("silent", "", None, false),
            ("silent1", "old-secret", None, false),
        ] {
            let expected = Found { account: found, opened };
            assert_eq!(keys.try_open(account.as_bytes(), secret.as_bytes()), expected, "{account} {secret}");
        }
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let entrances = [entrance("acme", "acme1", &["old-secret"])];
        let shown = format!("{:?} {:?}", entrances, Keys::new(&entrances));
        assert!(!shown.contains("old-secret"), "{shown}");
    }
}

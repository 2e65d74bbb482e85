//! The key under which numbers are hashed for `privacy.phone_numbers: hashed`: made once, kept with the data
//! that it protects.

use std::sync::{Arc, Mutex, PoisonError};

use redb::ReadableTable;
use ring::rand::{SecureRandom, SystemRandom};

use super::seal::{seal_bytes, unseal_bytes};
use super::tables::META;
use super::{Error, Store, writer};

/// Its name in `meta`.
const NAME: &str = "privacy_key";
/// Bytes of a key: as many as the hash has.
const LENGTH: usize = 32;

impl Store {
    /// The key, made when it is asked for first.
    ///
    /// # Errors
    /// [`Error`]; one that is damaged is not replaced silently, since hashes would change.
    pub async fn privacy_key(&self) -> Result<Vec<u8>, Error> {
        let found = Arc::new(Mutex::new(Vec::new()));
        let slot = Arc::clone(&found);
        writer::with_engine(&self.queue, move |engine| {
            let txn = engine.db.begin_write()?;
            let key = {
                let mut meta = txn.open_table(META)?;
                let known = match meta.get(NAME)? {
                    Some(value) => Some(unseal_bytes("meta", NAME.as_bytes(), value.value())?.to_vec()),
                    None => None,
                };
                match known {
                    Some(key) => key,
                    None => {
                        let mut key = vec![0; LENGTH];
                        SystemRandom::new().fill(&mut key).map_err(|_| Error::Fault)?;
                        meta.insert(NAME, seal_bytes("meta", NAME.as_bytes(), &key).as_slice())?;
                        key
                    }
                }
            };
            txn.commit()?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = key;
            Ok(())
        })
        .await?;
        let key = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::{folder, open_at};

    #[tokio::test]
    async fn a_key_is_made_once_and_another_store_has_another() {
        let (folder, elsewhere) = (self::folder(), self::folder());
        let path = folder.path().join("s.redb");
        let store = open_at(&path).unwrap();
        let key = store.privacy_key().await.unwrap();
        assert_eq!((key.len(), store.privacy_key().await.unwrap()), (32, key.clone()));
        store.close().await;
        assert_eq!(open_at(&path).unwrap().privacy_key().await.unwrap(), key);
        let other = open_at(&elsewhere.path().join("s.redb")).unwrap();
        assert_ne!(other.privacy_key().await.unwrap(), key);
    }
}

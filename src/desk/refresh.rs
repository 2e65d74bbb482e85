//! One call asked for anew: of v1 with its legs, else of v2, else of v3.

use http::StatusCode;

use super::{from_store, unavailable};
use crate::collector::Account;
use crate::exotel::{self, ErrorKind, Priority, Row};
use crate::ingest::Page;
use crate::model::{Observation, Sid};
use crate::reconcile::Origin;
use crate::web::access::Refusal;
use crate::web::api::desk::Refreshed;

/// Asks, stores what is said, gives what is known then.
pub(super) async fn refresh(account: &Account, sid: Sid) -> Result<Option<Refreshed>, Refusal> {
    let (api_version, said) = ask_exotel(account, &sid).await?;
    let origin = if api_version == "v1" { Origin::Single } else { Origin::Newer };
    let page = Page::new(account.context(), vec![Row::Call(Box::new(said))], origin);
    account.take_in(page).await.map_err(from_store)?;
    let record = account.store.call(account.id, account.config.sid.clone(), sid).await.map_err(from_store)?;
    Ok(record.map(|record| Refreshed { record, api_version }))
}

/// What the first version of Exotel's API that knows a call says of it: v1 with its legs, else v2, else v3.
///
/// Only "not found" asks the next version. One that this account may not use (403) is passed over too, but
/// nobody is told then that Exotel does not know the call.
async fn ask_exotel(account: &Account, sid: &Sid) -> Result<(&'static str, Observation), Refusal> {
    let refused = |version, error: &exotel::Error| from_exotel(error, version);
    match account.call(sid, Priority::Interactive).await {
        Ok(said) => return Ok(("v1", said)),
        Err(error) if error.kind == ErrorKind::NotFound => {}
        Err(error) => return Err(refused("v1", &error)),
    }
    let not_allowed = match account.client.call_v2(sid, Priority::Interactive).await {
        Ok(said) => return Ok(("v2", said)),
        Err(error) if error.kind == ErrorKind::NotFound => None,
        Err(error) if error.kind == ErrorKind::Forbidden => Some(error),
        Err(error) => {
            account.failed(&error.message);
            return Err(refused("v2", &error));
        }
    };
    match (account.client.call_v3(sid, Priority::Interactive).await, not_allowed) {
        (Ok(said), _) => Ok(("v3", said)),
        (Err(error), None) if error.kind == ErrorKind::NotFound => Err(refused("v3", &error)),
        (Err(error), Some(earlier)) if error.kind == ErrorKind::NotFound => {
            account.failed(&earlier.message);
            Err(refused("v2", &earlier))
        }
        (Err(error), _) => {
            account.failed(&error.message);
            Err(refused("v3", &error))
        }
    }
}

/// `version` is that of the API which answered so.
fn from_exotel(error: &exotel::Error, version: &str) -> Refusal {
    let refusal = match error.kind {
        ErrorKind::NotFound => {
            let refusal =
                Refusal::new(StatusCode::NOT_FOUND, "call_unknown", "Exotel knows no call with this Sid.");
            return refusal.with_detail("v1, v2 and v3 of its API were asked");
        }
        ErrorKind::Client | ErrorKind::Decode => Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "exotel_refused",
            "Exotel's answer to this call cannot be taken in.",
        ),
        ErrorKind::Throttled { .. } => {
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "exotel_throttled", "Exotel's limit is reached.")
        }
        ErrorKind::Auth | ErrorKind::Forbidden | ErrorKind::Payment => {
            unavailable("exotel_unavailable", "Exotel does not let this account ask.")
        }
        _ => unavailable("exotel_unavailable", "Exotel gave no answer."),
    };
    refusal.with_detail(format!("reason: {}, of {version}", error.kind.reason()))
}

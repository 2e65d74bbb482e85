//! Accounts with budgets and last errors, ExoPhones with what polls and heartbeats say of them.

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::ask::Ask;
use super::desk::{AccountView, AlternateView, ExoPhoneView};
use super::figures::money;
use super::numbers::Numbers;
use super::schema::Time;
use crate::model::health::{NumberHealth, Way};
use crate::web::access::Refusal;

answer! {
    /// A failure.
    Failure {
        /// When it was seen; of a row of failures, the first.
        at: Time,
        /// What was said.
        message: String,
    }
}

answer! {
    /// Requests of one pool.
    Pool {
        /// voice, exophones or sms.
        pool: &'static str,
        /// Requests in any minute.
        per_minute: u64,
        /// Those of them for reading in the background.
        background_per_minute: u64,
        /// Requests of the last minute.
        used: u64,
        /// Requests that wait for their turn.
        waiting: u64,
        /// What Exotel last said is left; null if it never did.
        remaining: Option<u64>,
    }
}

answer! {
    /// The balance as last read.
    Balance {
        /// Amount.
        amount: f64,
        /// Currency.
        currency: String,
        /// When it was read.
        at: Time,
    }
}

answer! {
    /// An account at work.
    Account {
        /// Name.
        name: String,
        /// Sid.
        sid: String,
        /// Base of the API that is asked.
        base_url: String,
        /// Offset of its days.
        utc_offset: String,
        /// Currency of its prices.
        currency: String,
        /// up, starting or failing.
        state: &'static str,
        /// First start for this account: calls created before are history.
        first_start: Time,
        /// Requests by pool.
        budgets: Vec<Pool>,
        /// The last failure of any kind; null if there was none since the start.
        last_error: Option<Failure>,
        /// Since when every sync has failed; null after one that succeeded.
        sync_failing: Option<Failure>,
        /// End of the last successful sync.
        last_sync_success: Option<Time>,
        /// Every call created before this is read and final.
        watermark: Option<Time>,
        /// When a poll of health last succeeded.
        last_health_success: Option<Time>,
        /// Calls that are not counted yet.
        unsettled: u64,
        /// Calls that are counted and have no price yet.
        unpriced: u64,
        /// Rows that could not be read.
        set_aside: u64,
        /// The balance; null where it is not read, or was not yet.
        balance: Option<Balance>,
    }
}

answer! {
    /// A number that Exotel names to use instead of one that is out.
    Alternate {
        /// As Exotel names it, a number or a sid; what looks like a number that is none of the account's is shown
        /// as privacy.phone_numbers says.
        name: String,
        /// Value of the label exophone, if it is one of the account's numbers.
        label: Option<String>,
    }
}

answer! {
    /// One direction of a number, by poll.
    Side {
        /// active, partial, outage or unknown.
        state: &'static str,
        /// Since when, by our own sightings.
        since: Time,
        /// When Exotel checked it, by its own word.
        checked: Option<Time>,
        /// What to use instead, where Exotel names something.
        alternate: Option<Alternate>,
    }
}

answer! {
    /// What the last poll of a number found.
    Polled {
        /// Calls to the number.
        inbound: Side,
        /// Calls from the number.
        outbound: Side,
        /// When Exotel answered.
        answered: Time,
        /// Whether that still says how things are.
        fresh: bool,
    }
}

answer! {
    /// What the heartbeat in force says of a number.
    Pushed {
        /// Whether calls to the number are affected; null where Exotel left that out.
        inbound_affected: Option<bool>,
        /// Whether calls from the number are affected; null where Exotel left that out.
        outbound_affected: Option<bool>,
        /// What to use instead for calls to it, where Exotel names something.
        inbound_alternate: Option<Alternate>,
        /// What to use instead for calls from it, where Exotel names something.
        outbound_alternate: Option<Alternate>,
    }
}

answer! {
    /// One of the account's numbers.
    ExoPhone {
        /// Exotel's sid of it.
        sid: String,
        /// The number as the list gives it.
        number: String,
        /// Value of the label exophone: alias, else the number.
        label: String,
        /// Name given in Exotel's dashboard.
        friendly_name: Option<String>,
        /// Whether the list still has it.
        listed: bool,
        /// Whether its outage is to page.
        paging: bool,
        /// By poll; null before its first answer, and where nothing is polled.
        poll: Option<Polled>,
        /// By heartbeat; null without one that still says how things are.
        push: Option<Pushed>,
    }
}

impl From<AccountView> for Account {
    fn from(view: AccountView) -> Self {
        let failure = |seen: Option<_>| seen.map(|(at, message)| Failure { at: Time(at), message });
        let pool = |pool: super::desk::PoolView| Pool {
            pool: pool.pool,
            per_minute: pool.per_minute,
            background_per_minute: pool.background_per_minute,
            used: pool.used,
            waiting: pool.waiting,
            remaining: pool.remaining,
        };
        let [unsettled, unpriced, set_aside] = view.waiting;
        Self {
            name: view.name,
            sid: view.sid,
            base_url: view.base_url,
            utc_offset: view.offset.to_string(),
            currency: view.currency,
            state: view.state,
            first_start: Time(view.first_start),
            budgets: view.pools.into_iter().map(pool).collect(),
            last_error: failure(view.last_error),
            sync_failing: failure(view.sync_failing),
            last_sync_success: view.last_sync.map(Time),
            watermark: view.watermark.map(Time),
            last_health_success: view.last_health.map(Time),
            unsettled,
            unpriced,
            set_aside,
            balance: view.balance.map(|(micros, currency, at)| Balance {
                amount: money(micros),
                currency,
                at: Time(at),
            }),
        }
    }
}

fn side(health: &NumberHealth, way: Way, alternate: Option<Alternate>) -> Side {
    Side {
        state: health.reachability.state(way).as_str(),
        since: Time(health.since(way)),
        checked: health.reachability.checked(way).map(Time),
        alternate,
    }
}

impl Alternate {
    fn new(view: AlternateView, numbers: &Numbers) -> Self {
        let name = if view.label.is_some() { view.named } else { numbers.show_text(&view.named) };
        Self { name, label: view.label }
    }
}

impl ExoPhone {
    fn new(view: ExoPhoneView, numbers: &Numbers) -> Self {
        let named = |view: Option<AlternateView>| view.map(|view| Alternate::new(view, numbers));
        let [inbound_alternate, outbound_alternate] = view.polled_alternates.map(named);
        let pushed_alternates = view.pushed_alternates.map(named);
        let [inbound_affected, outbound_affected] = view.pushed;
        let any = inbound_affected.is_some() || outbound_affected.is_some();
        Self {
            sid: view.phone.sid,
            number: view.phone.number,
            label: view.label,
            friendly_name: view.phone.friendly_name,
            listed: view.listed,
            paging: view.paging,
            poll: view.polled.map(|(health, fresh)| Polled {
                inbound: side(&health, Way::Inbound, inbound_alternate),
                outbound: side(&health, Way::Outbound, outbound_alternate),
                answered: Time(health.answered),
                fresh,
            }),
            push: any.then(|| {
                let [inbound_alternate, outbound_alternate] = pushed_alternates;
                Pushed { inbound_affected, outbound_affected, inbound_alternate, outbound_alternate }
            }),
        }
    }
}

/// Every account, or the one that is asked for.
pub(super) async fn accounts(State(shared): State<Shared>, ask: Ask) -> Json<Vec<Account>> {
    let wanted = ask.text("account").is_some().then_some(ask.who.sid);
    let accounts = shared.desk.accounts().into_iter();
    let accounts = accounts.filter(|account| wanted.as_ref().is_none_or(|sid| account.sid == *sid));
    Json(accounts.map(Account::from).collect())
}

/// The account's numbers.
pub(super) async fn exophones(
    State(shared): State<Shared>,
    ask: Ask,
) -> Result<Json<Vec<ExoPhone>>, Refusal> {
    let numbers = shared.desk.exophones(ask.who.account);
    let shown = shared.manner.numbers();
    Ok(Json(numbers.into_iter().map(|view| ExoPhone::new(view, &shown)).collect()))
}

//! The bulk call list: a page, spelled, with whatever is wrong with it.

use http::StatusCode;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::answer::{Answer, Form};
use super::call::Tick;
use super::faults::Fault;
use super::options::{BulkDetails, LastPage, Wire};
use super::page;
use super::query::{Asked, Query};
use super::row::{Absurdity, Row, extra_key};
use super::world::World;

/// A page as it goes out.
///
/// Shape: `{"Metadata": {"Total", "PageSize", "FirstPageUri", "PrevPageUri", "NextPageUri"}, "Calls": […]}`.
struct Bulk<'a> {
    total: usize,
    page_size: usize,
    first: String,
    previous: Option<String>,
    next: Option<String>,
    /// None for a page that lacks its rows.
    rows: Option<Vec<Row<'a>>>,
    wire: Wire,
}

/// Answers a bulk query; `luck` is any number that decides between kinds of one fault.
pub(super) fn answer(
    world: &World,
    account: &str,
    raw_query: &str,
    now: Tick,
    fault: Option<Fault>,
    luck: u64,
) -> Answer {
    let wire = world.options().wire;
    let parsed = Query::parse(raw_query, world.wall(now.second()), wire.cursor);
    let found = parsed.and_then(|query| page::read(world, &query, now).map(|page| (query, page)));
    let (mut query, page) = match found {
        Ok(found) => found,
        Err(message) => return Answer::error(Form::Json, StatusCode::BAD_REQUEST, &message),
    };
    if wire.bulk_details == BulkDetails::Ignored {
        query.extras.details = Asked::No;
    }
    let path = format!("/v1/Accounts/{account}/Calls.json");
    let uri = |query: &str| format!("{path}?{query}");
    let first = uri(&query.canonical);
    let next = match fault {
        Some(Fault::CursorLoop) if luck.is_multiple_of(2) => Some(uri(raw_query)),
        Some(Fault::CursorLoop) => Some(first.clone()),
        Some(Fault::ForeignCursor) => Some(foreign(&first, account, luck)),
        _ => page.next.as_deref().map(uri),
    };
    let absurdity = (fault == Some(Fault::Absurd))
        .then(|| [Absurdity::Numbers, Absurdity::Dates, Absurdity::Types][(luck % 3) as usize]);
    let row = |(n, place): (usize, &u32)| {
        let sheet = world.sheet(*place, now).expect("a row in bulk belongs to a call that began");
        // Some rows of an absurd page stay good.
        Row { account, sheet, wire, extras: query.extras, absurdity: absurdity.filter(|_| n % 3 != 2) }
    };
    let rows = (fault != Some(Fault::NoCalls)).then(|| page.places.iter().enumerate().map(row).collect());
    let bulk = Bulk {
        total: page.total,
        page_size: query.page_size,
        first,
        previous: page.previous.as_deref().map(uri),
        next,
        rows,
        wire,
    };
    Answer::json(serde_json::to_string(&bulk).expect("texts, numbers and lists can be written as JSON"))
}

/// A `NextPageUri` that no client may follow with its credentials.
fn foreign(uri: &str, account: &str, luck: u64) -> String {
    match luck % 3 {
        0 => format!("https://exotel.invalid{uri}"),
        1 => format!("//exotel.invalid{uri}"),
        _ => uri.replacen(account, "another-account", 1),
    }
}

impl Serialize for Bulk<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("Metadata", &Metadata(self))?;
        if let Some(rows) = &self.rows {
            map.serialize_entry("Calls", rows)?;
        }
        extra_key(&mut map, self.wire)?;
        map.end()
    }
}

struct Metadata<'a>(&'a Bulk<'a>);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bulk = self.0;
        let none = match bulk.wire.last_page {
            LastPage::Empty => Some(""),
            LastPage::Null | LastPage::Missing | LastPage::EmptyPage => None,
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("Total", &bulk.total)?;
        map.serialize_entry("PageSize", &bulk.page_size)?;
        map.serialize_entry("FirstPageUri", &bulk.first)?;
        map.serialize_entry("PrevPageUri", &bulk.previous.as_deref().or(none))?;
        if bulk.next.is_some() || bulk.wire.last_page != LastPage::Missing {
            map.serialize_entry("NextPageUri", &bulk.next.as_deref().or(none))?;
        }
        extra_key(&mut map, bulk.wire)?;
        map.end()
    }
}

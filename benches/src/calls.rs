//! Made-up calls and the pages that Exotel would answer with: always the same for the same number.
//!
//! Five calls per second of data time unless told otherwise, oldest first. Every row is final: ended, priced, with leg
//! details inline, so that a store that takes it in has all of its work at once.

use std::fmt::Write as _;

use exotel_exporter::model::{KnownExoPhone, WallTime};

/// Rows on a page, Exotel's most.
pub const PAGE: u64 = 100;
/// The account's own numbers.
pub const EXOPHONES: u16 = 40;
/// Account sid.
pub const ACCOUNT: &str = "exampleacct1";
/// Calls in [`Calls::over`] seconds of data time, where nobody says otherwise.
const RATE: u64 = 5;

/// Makes calls from a moment on.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// Creation time of the first.
    pub from: WallTime,
    /// So many calls ...
    number: u64,
    /// ... in so many seconds of data time.
    over: u64,
}

/// One draw after the other from a call's number (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What became of a call, in hundredths: Exotel's status, leg 1, leg 2.
const FATES: [(u64, &str, &str, &str); 6] = [
    (58, "completed", "completed", "completed"),
    (72, "completed", "completed", "no-answer"),
    (84, "no-answer", "completed", "no-answer"),
    (91, "busy", "completed", "busy"),
    (97, "failed", "failed", ""),
    (100, "canceled", "completed", "canceled"),
];

impl Calls {
    /// Five a second.
    pub fn from(from: WallTime) -> Self {
        Self::spread(from, RATE, 1)
    }

    /// So many calls, evenly over so many seconds.
    pub fn spread(from: WallTime, number: u64, over: u64) -> Self {
        Self { from, number, over }
    }

    /// Creation time of a call.
    pub fn created(&self, number: u64) -> WallTime {
        self.from.plus((number * self.over / self.number) as i64)
    }

    /// A bulk answer with the calls from `first` on, as PHP writes JSON: every slash escaped.
    pub fn page(&self, first: u64) -> Vec<u8> {
        let mut page = String::with_capacity(100_000);
        let path = format!("\\/v1\\/Accounts\\/{ACCOUNT}\\/Calls.json?PageSize=100&SortBy=DateCreated:asc");
        write!(
            page,
            "{{\"Metadata\":{{\"Total\":{},\"PageSize\":100,\"FirstPageUri\":\"{path}\",\"PrevPageUri\":null,\
             \"NextPageUri\":\"{path}&After={first}\"}},\"Calls\":[",
            first + 10 * PAGE
        )
        .expect("a String takes every write");
        for number in first..first + PAGE {
            if number > first {
                page.push(',');
            }
            self.row(&mut page, number);
        }
        page.push_str("]}");
        page.into_bytes()
    }

    /// One row: 22 fields, the last of them an object.
    fn row(&self, out: &mut String, number: u64) {
        let mut dice = Dice(number.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let created = self.created(number);
        let sid = sid(&mut dice, created);
        let chance = dice.below(100);
        let (_, status, leg1, leg2) = FATES.into_iter().find(|f| chance < f.0).expect("chances add up");
        let answered = leg2 == "completed";
        let ring = 3 + dice.below(30);
        // Log-normal is not worth the trouble: short calls are the most, some are long.
        let talk = if answered { 5 + dice.below(60) * dice.below(20) / 4 } else { 0 };
        let duration = if leg1 == "failed" { 0 } else { ring + talk };
        let ended = created.plus(duration as i64);
        let updated = ended.plus(100 + dice.below(140) as i64);
        let inbound = dice.below(2) == 0;
        let ours = format!("0{}", 8_000_000_000 + dice.below(u64::from(EXOPHONES)));
        let agent = format!("0{}", 9_900_000_000 + dice.below(200));
        let customer = format!("0{}", 7_000_000_000 + dice.below(2_000_000_000));
        let (direction, from, to) = match (inbound, dice.below(4)) {
            (true, _) => ("inbound", &customer, &ours),
            (false, 0) => ("outbound-dial", &agent, &customer),
            (false, _) => ("outbound-api", &agent, &customer),
        };
        let millis = if duration == 0 { 0 } else { duration.div_ceil(60) * 300 };
        let price = format!("{}.{:03}", millis / 1000, millis % 1000);
        let custom =
            if dice.below(3) == 0 { format!("\"lead-{}\"", dice.below(1_000_000)) } else { "null".into() };
        let recording = if answered {
            format!("\"https:\\/\\/recordings.exotel.com\\/exotelrecordings\\/{ACCOUNT}\\/{sid}.mp3\"")
        } else {
            "null".into()
        };
        let answered_by = if answered && !inbound { "\"human\"" } else { "null" };
        let leg2_json = if leg2.is_empty() { "null".into() } else { format!("\"{leg2}\"") };
        write!(
            out,
            "{{\"Sid\":\"{sid}\",\"ParentCallSid\":null,\"DateCreated\":\"{created}\",\"DateUpdated\":\"{updated}\",\
             \"AccountSid\":\"{ACCOUNT}\",\"To\":\"{to}\",\"From\":\"{from}\",\"PhoneNumber\":\"{ours}\",\
             \"PhoneNumberSid\":\"{ours}\",\"Status\":\"{status}\",\"StartTime\":\"{created}\",\"EndTime\":\"{ended}\",\
             \"Duration\":\"{duration}\",\"Price\":\"{price}\",\"Direction\":\"{direction}\",\
             \"AnsweredBy\":{answered_by},\"ForwardedFrom\":null,\"CallerName\":null,\
             \"Uri\":\"\\/v1\\/Accounts\\/{ACCOUNT}\\/Calls.json\\/{sid}\",\"CustomField\":{custom},\
             \"RecordingUrl\":{recording},\"Details\":{{\"ConversationDuration\":{talk},\"Leg1Status\":\"{leg1}\",\
             \"Leg2Status\":{leg2_json},\"Legs\":[{{\"Leg\":{{\"Id\":1,\"OnCallDuration\":{duration}}}}},\
             {{\"Leg\":{{\"Id\":2,\"OnCallDuration\":{talk}}}}}]}}}}"
        )
        .expect("a String takes every write");
    }
}

/// 28 random hexadecimal digits and the date in base 36, as Exotel's Sids look.
fn sid(dice: &mut Dice, created: WallTime) -> String {
    let day = created.to_string();
    let part = |range: std::ops::Range<usize>| day[range].parse::<u32>().expect("digits of a date");
    let digit = |n: u32| char::from_digit(n, 36).expect("a day of a month");
    format!(
        "{:016x}{:012x}{:02}{}{}",
        dice.next(),
        dice.next() >> 16,
        part(0..4) - 2006,
        digit(part(5..7)),
        digit(part(8..10)),
    )
}

/// The account's own numbers, known and countable.
pub fn exophones() -> Vec<KnownExoPhone> {
    (0..EXOPHONES)
        .map(|n| KnownExoPhone {
            id: n + 2,
            sid: format!("phone{n}"),
            number: format!("0{}", 8_000_000_000 + u64::from(n)),
            friendly_name: None,
            countable_from: 0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use exotel_exporter::exotel::{AccountShape, Row, read_page};
    use exotel_exporter::model::UtcOffset;

    #[test]
    fn a_page_is_read_whole_and_nothing_of_it_is_odd() {
        let calls = Calls::from(WallTime(1_772_477_110));
        let shape = AccountShape { sid: ACCOUNT.to_owned(), utc_offset: UtcOffset::default() };
        let page = read_page(&calls.page(500), &shape, "").unwrap();
        assert_eq!(page.rows.len(), 100);
        for (n, row) in (500..).zip(&page.rows) {
            let Row::Call(call) = row else { panic!("{row:?}") };
            assert_eq!(call.created, calls.created(n));
            assert_eq!(call.odd, vec![]);
            assert!(call.details.is_some() && call.price.is_some() && call.end.is_some());
        }
    }
}

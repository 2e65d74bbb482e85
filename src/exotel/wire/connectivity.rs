//! Connectivity of one ExoPhone.

use serde_json::Value;

use super::{AccountShape, Malformed, text_of};
use crate::model::health::{Alternate, Connectivity, Reachability, State};
use crate::model::parse_time;

/// Where the object of a number may stand: bare, or in one of Exotel's envelopes.
const PLACES: [&str; 7] = [
    "",
    "/response/data",
    "/response",
    "/data",
    "/incoming_phone_number",
    "/response/incoming_phone_number",
    "/response/data/incoming_phone_number",
];

/// Reads one ExoPhone; only its connectivity is used. Directions that are not told of are none.
///
/// Shapes: `tests/fixtures/exotel/exophone-details*.json`, `exophone-v2beta.json`.
///
/// # Errors
/// When the body is not JSON, or neither a number nor its connectivity.
pub(crate) fn connectivity(body: &[u8], account: &AccountShape) -> Result<Reachability, Malformed> {
    const EXPECTED: &str = "an ExoPhone with its connectivity";
    let text = text_of(body);
    let top: Value = serde_json::from_str(&text).map_err(|e| Malformed::body(EXPECTED, body, Some(&e)))?;
    let places = || PLACES.iter().filter_map(|at| top.pointer(at)).filter(|place| place.is_object());
    if let Some(block) = places().filter_map(|place| place.get("connectivity")).find(|b| b.is_object()) {
        let side = |key: &str| direction(block.get(key)?, account);
        return Ok(Reachability { inbound: side("incoming_call"), outbound: side("outgoing_call") });
    }
    let is_number = |place: &Value| place.get("phone_number").is_some_and(|n| n.is_string() || n.is_number());
    if places().any(is_number) {
        return Ok(Reachability::default());
    }
    Err(Malformed::body(EXPECTED, body, None))
}

/// `{"status": "active", "last_check_time": "2026-03-02T13:20:00Z", "alternate_exophone": null}`.
fn direction(block: &Value, account: &AccountShape) -> Option<Connectivity> {
    let block = block.as_object()?;
    let word = block.get("status").and_then(Value::as_str).unwrap_or_default();
    let checked = block
        .get("last_check_time")
        .and_then(Value::as_str)
        .and_then(|text| parse_time(text, account.utc_offset).ok().flatten())
        .map(|wall| wall.to_timestamp(account.utc_offset));
    let alternate = block.get("alternate_exophone").and_then(alternate);
    Some(Connectivity { state: State::from_word(word), checked, alternate })
}

/// `alternate_exophone` of one direction: null, a number or a sid, or an object that holds them. Of an object
/// the number goes before the sid, since it says more to a person.
///
/// Exotel's reference does not say of which type it is; anything else than these is none.
pub(in crate::exotel) fn alternate(value: &Value) -> Option<Alternate> {
    const KEYS: [&str; 6] = ["phone_number", "number", "exophone", "sid", "phone_number_sid", "exophone_sid"];
    let scalar = |value: &Value| match value {
        Value::String(text) => Alternate::new(text),
        Value::Number(number) => Alternate::new(&number.to_string()),
        _ => None,
    };
    match value {
        Value::Object(named) => KEYS.iter().find_map(|key| scalar(named.get(*key)?)),
        value => scalar(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, UtcOffset};

    fn read(body: &str) -> Result<Reachability, Malformed> {
        let account = AccountShape { sid: "exampleacct1".into(), utc_offset: UtcOffset::default() };
        connectivity(body.as_bytes(), &account)
    }

    fn both(inbound: State, outbound: State) -> Reachability {
        // 2026-03-02 13:20:00 and 13:21:00 UTC.
        let side = |state, at| {
            let checked = Some(Timestamp(1_772_457_600).plus(at));
            Some(Connectivity { checked, ..Connectivity::of(state) })
        };
        Reachability { inbound: side(inbound, 0), outbound: side(outbound, 60) }
    }

    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/exotel/", $name))
        };
    }

    #[test]
    fn states_and_times_are_read_bare_or_in_any_envelope() {
        let well = both(State::Active, State::Active);
        assert_eq!(read(fixture!("exophone-details.json")), Ok(well.clone()));
        assert_eq!(read(fixture!("exophone-details-enveloped.json")), Ok(well));
        let bare = fixture!("exophone-details-outage.json");
        let mut ill = both(State::Outage, State::Partial);
        ill.inbound.as_mut().unwrap().alternate = Alternate::new("+918000000022");
        assert_eq!(read(bare), Ok(ill.clone()));
        for envelope in [
            format!("{{\"response\": {bare}}}"),
            format!("{{\"data\": {bare}}}"),
            format!("{{\"response\": {{\"data\": {bare}}}}}"),
            format!("{{\"incoming_phone_number\": {bare}}}"),
            format!("{{\"response\": {{\"incoming_phone_number\": {bare}}}}}"),
            format!("\u{feff}{bare}"),
        ] {
            assert_eq!(read(&envelope), Ok(ill.clone()), "{envelope}");
        }
    }

    #[test]
    fn what_is_not_told_is_none_and_an_unknown_word_is_unknown() {
        assert_eq!(read(fixture!("exophone-v2beta.json")), Ok(Reachability::default()));
        let inbound = |block: &str| {
            read(&format!(r#"{{"connectivity": {{"incoming_call": {block}, "more": 7}}}}"#)).unwrap().inbound
        };
        for (block, state) in [
            (r#"{"status": "MAJOR-OUTAGE"}"#, State::Outage),
            (r#"{"status": " Active ", "last_check_time": ""}"#, State::Active),
            (r#"{"status": "sleepy", "alternate_exophone": {"name": "x"}}"#, State::Unknown),
            (r#"{"status": null, "last_check_time": "yesterday"}"#, State::Unknown),
            ("{}", State::Unknown),
        ] {
            assert_eq!(inbound(block), Some(Connectivity::of(state)), "{block}");
        }
        for block in ["null", "7", "[]", r#""active""#] {
            assert_eq!(inbound(block), None, "{block}");
        }
        assert_eq!(read(r#"{"connectivity": {}}"#), Ok(Reachability::default()));
    }

    #[test]
    fn the_number_to_use_instead_may_be_a_text_a_number_an_object_or_nothing() {
        let alternate = |json: &str| {
            let block = format!(r#"{{"status": "major_outage", "alternate_exophone": {json}}}"#);
            let read = read(&format!(r#"{{"connectivity": {{"outgoing_call": {block}}}}}"#)).unwrap();
            assert_eq!(
                (read.inbound, read.outbound.as_ref().unwrap().state),
                (None, State::Outage),
                "{json}"
            );
            read.outbound.unwrap().alternate.map(|alternate| alternate.as_str().to_owned())
        };
        for (json, said) in [
            (r#""+918000000022""#, "+918000000022"),
            (r#"" 08000000022 ""#, "08000000022"),
            ("918000000022", "918000000022"),
            (r#""60718293a4b5c6d7e8f1020304050607""#, "60718293a4b5c6d7e8f1020304050607"),
            (r#"{"sid": "6071", "phone_number": "+918000000022", "more": [1]}"#, "+918000000022"),
            (r#"{"sid": "6071", "phone_number": null}"#, "6071"),
            (r#"{"exophone_sid": "6071"}"#, "6071"),
            (r#"{"number": 8000000022}"#, "8000000022"),
        ] {
            assert_eq!(alternate(json).as_deref(), Some(said), "{json}");
        }
        let long = format!("\"{}\"", "8".repeat(129));
        for nothing in ["null", "\"\"", "\"null\"", "true", "[]", "{}", "[\"+918000000022\"]", long.as_str()]
        {
            assert_eq!(alternate(nothing), None, "{nothing}");
        }
        assert!(!format!("{:?}", Alternate::new("+918000000022")).contains("8000"));
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        for bad in [
            "",
            "<html>",
            "[]",
            "null",
            "{}",
            r#"{"connectivity": "fine"}"#,
            r#"{"response": {"code": 200}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let cut = &fixture!("exophone-details.json")[..300];
        let Err(Malformed(message)) = read(cut) else { panic!("read") };
        assert!(
            message.starts_with("expected an ExoPhone with its connectivity, got JSON cut off"),
            "{message}"
        );
    }
}

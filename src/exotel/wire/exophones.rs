//! The lists of ExoPhones, `v2_beta` and v1.

use serde_json::Value;

use crate::model::ExoPhone;

use super::page::small_number;
use super::{Malformed, text_of};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PhonePage {
    /// The numbers that could be read.
    pub(crate) phones: Vec<ExoPhone>,
    /// Entries without a number; nothing can be done with them.
    pub(crate) unreadable: usize,
    /// Rows a full page has, as the page says.
    pub(crate) page_size: Option<u32>,
}

impl PhonePage {
    /// Whether another page may follow: this one is as long as pages are.
    pub(crate) fn is_full(&self) -> bool {
        let rows = self.phones.len() + self.unreadable;
        rows > 0 && self.page_size.is_some_and(|size| rows >= size as usize)
    }
}

/// Reads either list.
///
/// Shapes: `{"page": 0, "page_size": 50, "incoming_phone_numbers": [{"sid", "phone_number",
/// "friendly_name", …}]}` (`v2_beta`, bare or under `response`, `response.data` or `data`) and
/// `{"Metadata": {"PageSize": 50, …}, "IncomingPhoneNumbers": [{"IncomingPhoneNumber": {"Sid",
/// "PhoneNumber", "FriendlyName"}}]}` (v1). Samples: `tests/fixtures/exotel/exophones-list-*.json`.
///
/// # Errors
/// When the body is not JSON or has no list.
pub(crate) fn exophones(body: &[u8]) -> Result<PhonePage, Malformed> {
    const EXPECTED: &str = "a list of ExoPhones";
    let text = text_of(body);
    let top: Value = serde_json::from_str(&text).map_err(|e| Malformed::body(EXPECTED, body, Some(&e)))?;
    let holder = ["", "/response/data", "/response", "/data"]
        .iter()
        .filter_map(|at| top.pointer(at))
        .find(|v| list(v).is_some())
        .ok_or_else(|| Malformed::body(EXPECTED, body, None))?;
    let items = list(holder).map(Vec::as_slice).unwrap_or_default();
    let phones: Vec<ExoPhone> = items.iter().filter_map(phone).collect();
    let page_size = holder.get("page_size").or_else(|| holder.pointer("/Metadata/PageSize"));
    Ok(PhonePage {
        unreadable: items.len() - phones.len(),
        phones,
        page_size: page_size.and_then(small_number).filter(|size| *size > 0),
    })
}

fn list(holder: &Value) -> Option<&Vec<Value>> {
    holder.get("incoming_phone_numbers").or_else(|| holder.get("IncomingPhoneNumbers"))?.as_array()
}

fn phone(item: &Value) -> Option<ExoPhone> {
    let item = item.get("IncomingPhoneNumber").unwrap_or(item);
    let text = |new: &str, old: &str| {
        let text = match item.get(new).or_else(|| item.get(old))? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        (!text.is_empty() && text != "null").then_some(text)
    };
    let number = text("phone_number", "PhoneNumber")?;
    // The sid may be the number itself, and may be missing from the old list.
    let sid = text("sid", "Sid").unwrap_or_else(|| number.clone());
    Some(ExoPhone { sid, number, friendly_name: text("friendly_name", "FriendlyName") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_are_read_bare_or_enveloped() {
        let new = include_str!("../../../tests/fixtures/exotel/exophones-list-v2beta.json");
        let page = exophones(new.as_bytes()).unwrap();
        assert_eq!(page.phones.len(), 2);
        assert_eq!(page.phones[0].sid, "5f60718293a4b5c6d7e8f10203040506");
        assert_eq!(page.phones[0].number, "+918000000011");
        assert_eq!(page.phones[1].friendly_name.as_deref(), Some("Sales line"));
        assert_eq!((page.page_size, page.unreadable, page.is_full()), (Some(50), 0, false));
        let enveloped = format!("{{\"request_id\": \"a\", \"response\": {{\"data\": {new}}}}}");
        assert_eq!(exophones(enveloped.as_bytes()).unwrap(), page);

        let old = include_str!("../../../tests/fixtures/exotel/exophones-list-v1.json");
        let page = exophones(old.as_bytes()).unwrap();
        assert_eq!(page.phones[1].number, "08000000022");
        assert_eq!((page.page_size, page.is_full()), (Some(50), false));
    }

    #[test]
    fn one_bad_entry_does_not_lose_the_list_and_no_list_is_an_error() {
        let page = exophones(
            br#"{"page_size": "2", "incoming_phone_numbers": [7, {"phone_number": 8000000011, "friendly_name": null}]}"#,
        )
        .unwrap();
        assert_eq!(page.unreadable, 1);
        assert_eq!(page.phones[0].sid, "8000000011");
        assert_eq!(page.phones[0].friendly_name, None);
        assert!(page.is_full());
        for bad in ["", "<html>", "{}", "[]", "null", r#"{"incoming_phone_numbers": {}}"#] {
            assert!(exophones(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

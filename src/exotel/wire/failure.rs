//! What an error body says, for the message of an error. Never a reason to fail again.

use serde_json::Value;

use crate::exotel::excerpt::{excerpt, masked};

/// Longest text taken out of an error body.
const MAX_TEXT: usize = 300;

/// The text of an error body, with its code where it has one; numbers are hidden.
///
/// Shapes: `{"RestException": {"Status", "Message", "Code"}}` (v1; `Code` absent, a number or a word),
/// `{"response": {"error_data": {"code", "message"}}}` and `{"response": {"error": {…}}}` (v2, v3),
/// `<TwilioResponse><RestException>…<Message>` (v1 as XML), plain text, HTML, nothing.
pub(crate) fn failure_text(body: &[u8]) -> String {
    if body.trim_ascii().is_empty() {
        return "empty body".to_owned();
    }
    json(body).or_else(|| xml(body)).unwrap_or_else(|| excerpt(body))
}

fn json(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let v1 = value.get("RestException").map(|e| (e.get("Message"), e.get("Code")));
    let enveloped = || {
        let response = value.get("response")?;
        let error = response.get("error_data").or_else(|| response.get("error"))?;
        Some((error.get("message"), error.get("code")))
    };
    let (message, code) = v1.or_else(enveloped)?;
    let message = shown(message?.as_str()?);
    match code {
        Some(Value::String(code)) => Some(format!("{message} (code {})", shown(code))),
        Some(Value::Number(code)) => Some(format!("{message} (code {})", shown(&code.to_string()))),
        _ => Some(message),
    }
}

fn xml(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let message = text.split_once("<Message>")?.1.split_once("</Message>")?.0;
    Some(shown(message))
}

fn shown(text: &str) -> String {
    let head: String = text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    masked(head.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_error_is_put_into_words() {
        for (body, text) in [
            (
                include_str!("../../../tests/fixtures/exotel/error-401.json"),
                "Authentication failed (code 20003)",
            ),
            (
                include_str!("../../../tests/fixtures/exotel/error-401.txt"),
                "Authentication is required to view this page.",
            ),
            (
                include_str!("../../../tests/fixtures/exotel/error-403-dnd.xml"),
                "Call to [###########] cannot be made because of TRAI NDNC regulations",
            ),
            (
                include_str!("../../../tests/fixtures/exotel/error-404.json"),
                "The requested call was not found",
            ),
            (
                include_str!("../../../tests/fixtures/exotel/error-400-direction.json"),
                "Invalid parameter Direction. Valid values: inbound, outbound-dial, outbound-api",
            ),
            (
                include_str!("../../../tests/fixtures/exotel/error-429.json"),
                "Too many requests (code RATE_LIMIT_EXCEEDED)",
            ),
            (
                include_str!("../../../tests/fixtures/exotel/error-429-legs.json"),
                "Rate limit exceeded (code 429)",
            ),
            (
                include_str!("../../../tests/fixtures/exotel/error-429-sms.json"),
                "Request limit reached (code 40402)",
            ),
            (
                include_str!("../../../tests/fixtures/exotel/error-503-sms.json"),
                "Service throttled (code 40405)",
            ),
            (include_str!("../../../tests/fixtures/exotel/error-v3-404.json"), "Call not found (code 10744)"),
            ("<html><h1>502 Bad Gateway</h1></html>", "<html><h1>502 Bad Gateway</h1></html>"),
            ("{\"RestException\": 7}", "{\"RestException\": 7}"),
            (" \n", "empty body"),
            ("{\"RestException\": {\"Message\": \"line\\nbreak\"}}", "line break"),
        ] {
            assert_eq!(failure_text(body.as_bytes()), text);
        }
    }
}

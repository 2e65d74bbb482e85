//! Bodies of what the simulator sends: one tree of keys and values, spelled as JSON, as an urlencoded
//! form, as a query, or as multipart.

use bytes::Bytes;
use serde_json::Value;

use super::params::encode;

/// How a body is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Multipart,
    Urlencoded,
    Json,
}

/// `Content-Type` and bytes.
pub(super) fn spell(spelling: Spelling, tree: &Value) -> (String, Bytes) {
    match spelling {
        Spelling::Json => ("application/json".to_owned(), tree.to_string().into()),
        Spelling::Urlencoded => ("application/x-www-form-urlencoded".to_owned(), urlencoded(tree).into()),
        Spelling::Multipart => multipart(&fields(tree)),
    }
}

/// `CallSid=0a1b…&Legs%5B0%5D%5BStatus%5D=completed`.
pub(super) fn urlencoded(tree: &Value) -> String {
    let pairs = fields(tree).into_iter().map(|(key, value)| format!("{}={}", encode(&key), encode(&value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Keys as forms have them: `Legs[0][Status]`. What is null is an empty text.
fn fields(tree: &Value) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    flatten("", tree, &mut fields);
    fields
}

fn flatten(key: &str, value: &Value, fields: &mut Vec<(String, String)>) {
    let inner = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}[{name}]") };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| flatten(&inner(name), value, fields)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, value)| flatten(&inner(&n.to_string()), value, fields));
        }
        Value::Null => fields.push((key.to_owned(), String::new())),
        Value::String(text) => fields.push((key.to_owned(), text.clone())),
        Value::Number(_) | Value::Bool(_) => fields.push((key.to_owned(), value.to_string())),
    }
}

fn multipart(fields: &[(String, String)]) -> (String, Bytes) {
    // No value of ours holds it: they are numbers, dates, sids and URLs.
    let boundary = "------------------------5f60718293a4b5c6";
    let mut body = String::new();
    for (key, value) in fields {
        body.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{key}\"\r\n\r\n{value}\r\n"
        ));
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    (format!("multipart/form-data; boundary={boundary}"), body.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_tree_is_spelled_in_every_form() {
        let tree = json!({"Sid": "a+b", "End": null, "Legs": [{"Status": "busy", "Seconds": 7}]});
        let text = |spelling| {
            let (content_type, body) = spell(spelling, &tree);
            (content_type, String::from_utf8(body.to_vec()).unwrap())
        };
        let (kind, body) = text(Spelling::Urlencoded);
        assert_eq!(kind, "application/x-www-form-urlencoded");
        let mut pairs: Vec<_> = body.split('&').collect();
        pairs.sort_unstable();
        assert_eq!(
            pairs,
            ["End=", "Legs%5B0%5D%5BSeconds%5D=7", "Legs%5B0%5D%5BStatus%5D=busy", "Sid=a%2Bb"]
        );
        let (kind, body) = text(Spelling::Json);
        assert_eq!((kind.as_str(), body), ("application/json", tree.to_string()));
        let (kind, body) = text(Spelling::Multipart);
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert!(body.ends_with(&format!("\r\n--{boundary}--\r\n")), "{body}");
        assert_eq!(
            body.matches(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"")).count(),
            4
        );
        assert!(body.contains("name=\"Legs[0][Status]\"\r\n\r\nbusy\r\n"), "{body}");
    }
}

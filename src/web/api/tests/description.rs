//! The description and the routes say the same.

use super::*;

/// Holds a value against the parts of JSON Schema that the description uses.
fn fits(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().filter(|choice| fits(choice, value, place).is_ok()).count();
        return if fitting == 1 {
            Ok(())
        } else {
            Err(format!("{place}: {value} fits {fitting} of {schema}"))
        };
    }
    let right = match schema["type"].as_str().ok_or_else(|| format!("{place}: no type in {schema}"))? {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" if schema["format"] == "date-time" => {
            value.as_str().is_some_and(|text| text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok())
        }
        "string" => value.is_string(),
        "array" => {
            let items = value.as_array().ok_or_else(|| format!("{place}: no list: {value}"))?;
            return items.iter().try_for_each(|item| fits(&schema["items"], item, &format!("{place}[]")));
        }
        "object" => {
            let object = value.as_object().ok_or_else(|| format!("{place}: no object: {value}"))?;
            let Some(properties) = schema["properties"].as_object() else { return Ok(()) };
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !object.contains_key(name) {
                    return Err(format!("{place}: {name} is missing"));
                }
            }
            return object.iter().try_for_each(|(name, value)| match properties.get(name) {
                Some(schema) => fits(schema, value, &format!("{place}.{name}")),
                None => Err(format!("{place}: {name} is not described")),
            });
        }
        other => return Err(format!("{place}: a type {other}")),
    };
    if right { Ok(()) } else { Err(format!("{place}: {value} is no {schema}")) }
}

async fn document() -> Value {
    let request = Request::get("/api/openapi.json").body(Body::empty()).unwrap();
    let (status, _, body) = send(routes_with(Numbers::Masked, &[]), request).await;
    assert_eq!(status, StatusCode::OK, "the description needs no token");
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn every_route_answers_as_its_description_says() {
    let document = document().await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut driven = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let filled = path.replace("{sid}", "known");
            let (status, body) = ask(method, &filled, Role::SuperAdmin, Numbers::Masked).await;
            let described = &operation["responses"][status.as_str()];
            let schema = &described["content"]["application/json"]["schema"];
            fits(schema, &body, path).unwrap();
            assert!(status.is_success(), "{path}: {status} {body}");
            assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{path}");
            driven += 1;
        }
    }
    assert_eq!(driven, routes::all().len());
    assert!(driven >= 17);
}

#[tokio::test]
async fn every_parameter_takes_what_its_description_allows_and_refuses_the_rest() {
    for (path, operations) in document().await["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let path = path.replace("{sid}", "known");
            for parameter in operation["parameters"].as_array().unwrap() {
                let name = parameter["name"].as_str().unwrap();
                let schema = &parameter["schema"];
                let words = |list: &Value| -> Vec<String> {
                    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
                };
                let (good, bad): (Vec<String>, Vec<&str>) = if schema["enum"].is_array() {
                    (words(&schema["enum"]), vec!["nonsense", "OK;", "%00"])
                } else if schema["type"] == "integer" {
                    (vec!["1".into(), "1000".into()], vec!["0", "-1", "1001", "1000000000", "x", "1.5"])
                } else if schema["examples"].is_array() {
                    (
                        words(&schema["examples"]),
                        vec!["yesterday", "2026-02-30", "1772457600", "%F0%9F%98%80"],
                    )
                } else {
                    continue;
                };
                for value in good {
                    let uri = format!("{path}?{name}={value}");
                    let (status, body) = ask(method.clone(), &uri, Role::Admin, Numbers::Masked).await;
                    assert!(status.is_success(), "{uri}: {status} {body}");
                }
                for value in bad {
                    let uri = format!("{path}?{name}={value}");
                    let (status, body) = ask(method.clone(), &uri, Role::Admin, Numbers::Masked).await;
                    assert_eq!(status, StatusCode::BAD_REQUEST, "{uri}");
                    is_refusal(&uri, status, &body);
                }
            }
            for query in ["nonsense=1", "account=acme&account=acme", "account=%00", "account=a%0Ab"] {
                let uri = format!("{path}?{query}");
                let (status, body) = ask(method.clone(), &uri, Role::Admin, Numbers::Masked).await;
                assert_eq!(status, StatusCode::BAD_REQUEST, "{uri}");
                is_refusal(&uri, status, &body);
            }
            let uri = format!("{path}?account=nobody");
            let (status, body) = ask(method, &uri, Role::Admin, Numbers::Masked).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{uri}");
            is_refusal(&uri, status, &body);
        }
    }
}

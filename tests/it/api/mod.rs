//! The monitoring API as its clients see it: the built binary over a fake Exotel.

mod bad_input;
mod beyond;
mod fuzz;
mod old_routes;
mod refresh;

use serde_json::{Value, json};

use crate::support::agent::{Agent, Setup, account};
use crate::support::fake::Fake;
use crate::support::http;
use crate::support::http::Answer;
use crate::support::{ensure, eventually, secs};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A setup over this Exotel whose API is on.
fn setup(exotel: &Fake) -> Setup {
    Setup::new(&[account("acme", &exotel.base)]).with("api", json!({"jwt_secret": SECRET}))
}

/// The agent, and a token of a role.
struct Client {
    agent: Agent,
    token: String,
}

impl Client {
    fn start(setup: &Setup, role: &str) -> Self {
        let agent = setup.start();
        Self { agent, token: token(setup, role) }
    }

    /// Asks below `/api/monitoring/`.
    fn ask(&self, method: &str, path: &str) -> Answer {
        let url = format!("{}/api/monitoring/{path}", self.agent.base);
        http::ask(method, &url, &[("Authorization", &format!("Bearer {}", self.token))]).unwrap()
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json().unwrap()
    }

    /// Asks until the answer is as wanted, and gives it.
    #[track_caller]
    fn until(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(secs(20), what, || {
            let value = self.get(path);
            ensure(wanted(&value), || value.to_string())?;
            Ok::<_, String>(value)
        })
    }
}

fn token(setup: &Setup, role: &str) -> String {
    let finished = setup.finish(&["token", "--role", role]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout.trim().to_owned()
}

/// The names of an object's fields.
fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

/// Asserts that an object has these fields, and perhaps more.
#[track_caller]
fn has(value: &Value, names: &[&str]) {
    for name in names {
        assert!(fields(value).contains(name), "{name} is missing: {value}");
    }
}

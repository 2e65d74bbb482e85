//! `docs/configuration.md` says what the code does: its tables are written from the lists in `keys`,
//! and these lists are held against what the readers ask for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use super::load_text;
use crate::config::fault::Findings;
use crate::config::keys::{Effect, Form, KEYS, Key, VARIABLES};
use crate::config::node::Node;
use crate::config::section::Reader;
use crate::config::{Accounts, Config, Overrides, Sources, file};
use crate::test_files;

const MINIMAL: &str = "accounts: [{sid: minimal, api_key: k, api_token: t}]";

#[test]
fn the_list_of_keys_is_what_the_reader_asks_for() {
    let findings = Findings::default();
    let reader = Reader::new(Path::new("test.yml"), &findings);
    let node = Node::parse(MINIMAL).unwrap();
    file::read(reader.root(&node), &mut Config::default());
    let asked = reader.asked();
    let is_section = |path: &str| {
        asked.iter().any(|p| p.starts_with(&format!("{path}.")) || p.starts_with(&format!("{path}[].")))
    };
    let asked: BTreeSet<&str> = asked.iter().map(String::as_str).filter(|path| !is_section(path)).collect();
    let listed: BTreeSet<&str> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(asked, listed);
    assert_eq!(listed.len(), KEYS.len(), "each key once");
}

#[test]
fn the_list_of_variables_is_what_the_environment_is_asked_for() {
    let asked = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    let flags = Overrides::default();
    Config::load(&Sources { file: None, env: &lookup, flags: &flags, accounts: Accounts::Required })
        .unwrap_err();
    let mut listed = BTreeSet::new();
    for variable in VARIABLES {
        listed.insert(variable.name.to_owned());
        if variable.form == Form::Secret {
            listed.insert(format!("{}_FILE", variable.name));
        }
        assert!(KEYS.iter().any(|key| key.path == variable.key), "{} names a key", variable.name);
    }
    assert_eq!(asked.into_inner(), listed);
}

/// A file that sets one key, in an account that is otherwise the minimal one.
fn file_with(key: &Key, value: &str) -> String {
    let account = "accounts:\n  - sid: minimal\n    api_key: k\n    api_token: t\n";
    let secret = "    webhook_secrets: [a-secret-for-webhooks]\n";
    match key.path.strip_prefix("accounts[].") {
        Some(key @ ("sid" | "api_key" | "api_token")) => account
            .lines()
            .map(|l| {
                if l.contains(&format!("{key}:")) {
                    let (before, _) = l.split_once(':').unwrap();
                    format!("{before}: {value}\n")
                } else {
                    format!("{l}\n")
                }
            })
            .collect(),
        Some("expected_webhooks") => format!("{account}{secret}    expected_webhooks: {value}\n"),
        Some(key) => match key.split_once('.') {
            Some((section, key)) => format!("{account}    {section}: {{{key}: {value}}}\n"),
            None => format!("{account}    {key}: {value}\n"),
        },
        None => {
            let (section, key) = key.path.split_once('.').unwrap();
            format!("{account}{section}: {{{key}: {value}}}\n")
        }
    }
}

#[test]
fn the_defaults_in_the_list_are_the_defaults() {
    let minimal = load_text(MINIMAL, &[]).unwrap().config;
    let mut checked = 0;
    for key in KEYS {
        let in_words = key.default.contains(' ') || key.default == "required";
        let files_and_lists = key.default == "none" && !key.kind.contains("`none`");
        if in_words || files_and_lists {
            continue;
        }
        let loaded = load_text(&file_with(key, key.default), &[]);
        let mut config = loaded.unwrap_or_else(|faults| panic!("{}: {faults}", key.path)).config;
        for account in &mut config.accounts {
            account.webhook_secrets.clear();
        }
        assert_eq!(config, minimal, "{}", key.path);
        checked += 1;
    }
    assert!(checked > 35, "{checked}");
}

#[test]
fn each_example_in_the_list_loads_and_changes_something() {
    let minimal = load_text(MINIMAL, &[]).unwrap().config;
    for key in KEYS.iter().filter(|key| !key.path.ends_with("_file")) {
        let loaded = load_text(&file_with(key, key.example), &[]);
        let config = loaded.unwrap_or_else(|faults| panic!("{}: {faults}", key.path)).config;
        assert_ne!(config, minimal, "{}", key.path);
    }
}

#[test]
fn the_tables_of_the_documentation_are_those_of_the_code() {
    let path = Path::new("docs/configuration.md");
    let mut text = std::fs::read_to_string(path).unwrap();
    let mut sections: Vec<&str> = Vec::new();
    for key in KEYS {
        let section = section(key);
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    for section in sections {
        put(&mut text, section, &keys_table(section));
    }
    put(&mut text, "environment", &variables_table());
    test_files::check(path, &text);
}

fn section(key: &Key) -> &'static str {
    key.path.split(['.', '[']).next().unwrap_or_default()
}

/// Replaces what stands between the two marks of a table.
fn put(text: &mut String, name: &str, table: &str) {
    let (begin, end) = (format!("<!-- {name}: written by a test -->\n"), format!("<!-- end of {name} -->"));
    let from = text.find(&begin).unwrap_or_else(|| panic!("{begin} is in the file")) + begin.len();
    let to = text.find(&end).unwrap_or_else(|| panic!("{end} is in the file"));
    text.replace_range(from..to, table);
}

fn keys_table(name: &str) -> String {
    let mut table = "| key | takes | default | example | what it does |\n|---|---|---|---|---|\n".to_owned();
    for key in KEYS.iter().filter(|key| section(key) == name) {
        let default = if key.default.contains(' ') || key.default == "required" {
            key.default.to_owned()
        } else {
            format!("`{}`", key.default)
        };
        let later = if key.effect == Effect::NotYet { " *Without effect in this version.*" } else { "" };
        let Key { path, kind, example, meaning, .. } = key;
        table.push_str(&format!("| `{path}` | {kind} | {default} | `{example}` | {meaning}{later} |\n"));
    }
    table
}

fn variables_table() -> String {
    let mut table = "| variable | stands for | what it takes |\n|---|---|---|\n".to_owned();
    for variable in VARIABLES {
        let file = match variable.form {
            Form::Plain => String::new(),
            Form::Secret => format!(", `{}_FILE`", variable.name),
        };
        let (name, key, meaning) = (variable.name, variable.key, variable.meaning);
        table.push_str(&format!("| `{name}`{file} | `{key}` | {meaning} |\n"));
    }
    table
}

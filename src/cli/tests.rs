//! The command line as users type it, and `docs/flags.md`, which is written from it.

use std::ffi::OsString;

use clap::{Arg, Command as Definition, CommandFactory};

use super::{Cli, Command, StoreCommand};
use crate::config::LogFormat;
use crate::test_files;

fn read(line: &str) -> Result<Cli, clap::Error> {
    Cli::read(std::iter::once("exotel-exporter").chain(line.split_whitespace()).map(OsString::from))
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn without_a_command_the_agent_runs() {
    let cli = read("--config.file=a.yml").unwrap();
    assert!(cli.command.is_none());
    assert_eq!(cli.flags.config_file.unwrap().to_str(), Some("a.yml"));
}

#[test]
fn flags_stand_before_or_after_the_command_with_or_without_an_equals_sign() {
    let flags = [
        "--config.file=a.yml --web.listen-address :1 --web.listen-address=:2 --web.telemetry-path=/m",
        "--web.config.file=w.yml --web.enable-lifecycle --store.path=s.redb --log.level=debug --log.format json",
    ]
    .join(" ");
    for line in
        [format!("{flags} store check"), format!("store check {flags}"), format!("store {flags} check")]
    {
        let cli = read(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let Some(Command::Store(store)) = &cli.command else { panic!("{line}") };
        assert!(matches!(store.command, StoreCommand::Check), "{line}");
        let overrides = cli.flags.overrides();
        assert_eq!(overrides.listen.len(), 2, "{line}");
        assert_eq!(overrides.telemetry_path.as_deref(), Some("/m"));
        assert_eq!(overrides.web_config_file.unwrap().to_str(), Some("w.yml"));
        assert!(overrides.enable_lifecycle, "{line}");
        assert_eq!(overrides.store_path.unwrap().to_str(), Some("s.redb"));
        assert_eq!(overrides.log_level, Some(tracing::Level::DEBUG));
        assert_eq!(overrides.log_format, Some(LogFormat::Json));
    }
}

#[test]
fn an_address_on_either_side_of_the_command_is_not_lost_silently() {
    let error = read("--web.listen-address=:1 run --web.listen-address :2").unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("before and after the command"), "{error}");
}

#[test]
fn a_store_that_the_demo_would_not_use_is_refused() {
    for line in ["demo --store.path=a.redb", "--store.path a.redb demo"] {
        let error = read(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains("temporary folder"), "{error}");
    }
    assert!(read("demo --log.level=debug").is_ok());
}

#[test]
fn simulated_webhooks_go_to_a_whole_url_of_plain_http() {
    let base = "http://127.0.0.1:10043/webhooks/{account}/SECRET";
    let cli = read(&format!("simulate --webhooks {base}")).unwrap();
    let Some(Command::Simulate(args)) = cli.command else { panic!("another command") };
    assert_eq!(args.webhooks.as_deref(), Some(base));
    for wrong in
        ["127.0.0.1:10043", "https://x/webhooks", "http://", "http://x/webhooks?secret=1", "/webhooks"]
    {
        assert_eq!(read(&format!("simulate --webhooks {wrong}")).unwrap_err().exit_code(), 2, "{wrong}");
    }
}

#[test]
fn wrong_usage_ends_with_status_2_and_help_with_0() {
    for line in [
        "--bogus",
        "fly",
        "store",
        "store backup",
        "store erase",
        "--log.level=loud",
        "--log.format=xml",
        "--web.listen-address=nowhere",
        "--web.telemetry-path=/api",
        "--web.telemetry-path=/docs",
        "simulate --seed x",
        "token",
        "token --role root",
        "token --role admin --ttl soon",
        "-config.file=a.yml",
    ] {
        assert_eq!(read(line).unwrap_err().exit_code(), 2, "{line}");
    }
    for line in ["--help", "-h", "help", "run --help", "store check --help"] {
        assert_eq!(read(line).unwrap_err().exit_code(), 0, "{line}");
    }
    assert!(read("--version").unwrap().flags.version);
    assert!(read("run --version").unwrap().flags.version);
}

#[test]
fn every_command_has_an_example_in_its_help() {
    let definition = Cli::command();
    for command in definition.get_subcommands() {
        let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(example.contains("Example:\n  exotel-exporter "), "{}", command.get_name());
    }
}

#[test]
fn the_page_of_flags_is_that_of_the_code() {
    let definition = Cli::command();
    let mut page = "\
# Commands and flags

Written by a test from the definitions in `src/cli`. Flags stand before or after the command; values follow an equals sign or a blank.
Exit status: 0 done, 1 failed, 2 wrong usage.

## Commands

| command | what it does |
|---|---|
"
    .to_owned();
    let commands = commands(&definition, "");
    for (name, command) in &commands {
        page.push_str(&format!("| `{name}` | {} |\n", command.get_about().expect("each has one")));
    }
    page.push_str("\nWithout a command: `run`.\n\n## Flags of every command\n\n");
    page.push_str(&table(definition.get_arguments().filter(|arg| arg.is_global_set())));
    for (name, command) in &commands {
        let own: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_global_set()).collect();
        if !own.is_empty() {
            page.push_str(&format!("\n## `{name}`\n\n{}", table(own.into_iter())));
        }
    }
    test_files::check("docs/flags.md".as_ref(), &page);
}

/// The commands that do something, with the words that name them.
fn commands<'d>(definition: &'d Definition, before: &str) -> Vec<(String, &'d Definition)> {
    let mut list = Vec::new();
    for command in definition.get_subcommands() {
        let name = format!("{before}{}", command.get_name());
        if command.has_subcommands() {
            list.extend(commands(command, &format!("{name} ")));
        } else {
            list.push((name, command));
        }
    }
    list
}

fn table<'d>(args: impl Iterator<Item = &'d Arg>) -> String {
    let mut table = "| flag | default | what it does |\n|---|---|---|\n".to_owned();
    for arg in args {
        let value = arg.get_value_names().map(|names| names[0].to_string());
        let takes_value = arg.get_action().takes_values();
        let flag = match (arg.get_long(), value.filter(|_| takes_value)) {
            (Some(long), Some(value)) => format!("--{long}={value}"),
            (Some(long), None) => format!("--{long}"),
            (None, value) => value.unwrap_or_else(|| arg.get_id().to_string().to_uppercase()),
        };
        let help = arg.get_help().expect("each has a help").to_string();
        // Settings have their default in the text, as the file's default is the same.
        let (help, default) = match help.split_once(" [default: ") {
            Some((help, default)) => (help.to_owned(), default.trim_end_matches(']').to_owned()),
            None => (help, arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect()),
        };
        let default = if default.is_empty() || !takes_value { String::new() } else { format!("`{default}`") };
        table.push_str(&format!("| `{flag}` | {default} | {help} |\n"));
    }
    table
}

#[test]
fn a_token_is_for_a_day_unless_said_otherwise() {
    let args = |line: &str| match read(line).unwrap().command {
        Some(Command::Token(args)) => args,
        other => panic!("{other:?}"),
    };
    let day = std::time::Duration::from_secs(86_400);
    assert_eq!(args("token --role admin").ttl, day);
    let long = args("token --ttl=30d --role super_admin");
    assert_eq!((long.ttl, long.role), (30 * day, crate::web::access::Role::SuperAdmin));
}

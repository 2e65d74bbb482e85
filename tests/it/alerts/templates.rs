//! Messages as people get them: rendered by amtool, kept beside the configuration to be looked at.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{file_name, files_of, golden, repository, text_of, tool};
use crate::support::tools::Version;

/// What `{{ template "NAME" . }}` a text names.
fn templates_in(text: &str) -> BTreeSet<String> {
    text.split("template \"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

fn render(version: Version, template: &str, data: &str) -> Result<String, String> {
    tool(
        version,
        "amtool",
        &[
            "template",
            "render",
            "--template.glob=templates/*.tmpl",
            &format!("--template.text={{{{ template \"{template}\" . }}}}"),
            &format!("--template.data={data}"),
        ],
    )
}

#[test]
fn messages_look_as_kept() {
    let used = templates_in(&text_of("alerts/alertmanager.yml"));
    assert!(used.len() > 5, "{used:?}");
    for version in Version::here() {
        for data in files_of("alerts/tests/notifications", ".json") {
            let mut rendered = String::new();
            for template in &used {
                let text = render(version, template, &data.display().to_string())
                    .unwrap_or_else(|fault| panic!("{version:?}: {template}: {fault}"));
                assert!(!text.contains("<no value>"), "{template}: {text}");
                writeln!(rendered, "==== {template}\n{}\n", text.trim_end()).unwrap();
            }
            golden(
                &format!("alerts/tests/notifications/{}", file_name(&data).replace(".json", ".txt")),
                &rendered,
            );
        }
    }
}

#[test]
fn what_a_person_needs_is_in_each_message_of_ours() {
    for data in files_of("alerts/tests/notifications", ".json") {
        let notification: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&data).unwrap()).unwrap();
        if notification["commonLabels"]["component"] != "exotel-exporter" {
            continue;
        }
        let path = data.display().to_string();
        let text = render(Version::Debian, "exotel.text", &path).unwrap();
        let slack = render(Version::Debian, "exotel.slack.text", &path).unwrap();
        for alert in notification["alerts"].as_array().unwrap() {
            for (message, keys) in [
                (&text, ["summary", "description", "runbook_url", "dashboard_url"].as_slice()),
                (
                    &slack,
                    if alert["status"] == "firing" {
                        &["summary", "description", "runbook_url"]
                    } else {
                        &["summary"]
                    },
                ),
            ] {
                for key in keys {
                    let wanted = alert["annotations"][*key].as_str().unwrap();
                    assert!(message.contains(wanted), "{}: {key} is missing in\n{message}", data.display());
                }
                // 21:04:30 UTC.
                assert!(message.contains("Mon 2 Mar 21:04"), "{}: since when?\n{message}", data.display());
            }
        }
    }
}

#[test]
fn a_name_that_no_template_has_is_a_fault() {
    let data = repository("alerts/tests/notifications/one-critical.json");
    let fault = render(Version::Debian, "exotel.nothing", &data.display().to_string()).unwrap_err();
    assert!(fault.contains("exotel.nothing"), "{fault}");
}

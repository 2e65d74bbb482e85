//! Sockets that were opened by somebody else before the start, as systemd does it.

use std::process::Command;

use super::curl::curl;
use super::{PASSWORD, quiet, users, write};
use crate::support::process::Process;
use crate::support::tools::python;
use crate::support::{ensure, eventually, free_port, secs};

/// Opens sockets, puts them where systemd would, and becomes the program.
const LIKE_SYSTEMD: &str = r"
import os, socket, sys
ports, program = sys.argv[1].split(','), sys.argv[2:]
sockets = []
for port in ports:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(('127.0.0.1', int(port)))
    one.listen(64)
    sockets.append(os.dup(one.detach()))
high = [os.dup2(fd, 100 + n) for n, fd in enumerate(sockets)]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n)
for fd in high + sockets:
    if fd >= 3 + len(ports):
        os.close(fd)
os.environ.update(LISTEN_FDS=str(len(ports)), LISTEN_PID=str(os.getpid()))
os.execv(program[0], program)
";

fn activated(setup: &crate::support::agent::Setup, ports: &[u16], names: &str) -> Process {
    let ours = setup.command(&["run", "--web.systemd-socket"]);
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let mut command = Command::new(python());
    command.args(["-c", LIKE_SYSTEMD, &ports.join(",")]).arg(ours.get_program()).args(ours.get_args());
    command.current_dir(setup.path()).env("LISTEN_FDNAMES", names).env("HOME", setup.path());
    Process::start("exotel-exporter by systemd", command)
}

#[test]
fn pages_and_webhooks_are_served_on_sockets_by_their_names() {
    let setup = super::with_web_key(quiet(), "config_file", "web.yml".into());
    write(&setup.path(), &users());
    let (pages, webhooks) = (free_port(), free_port());
    let mut process = activated(&setup, &[webhooks, pages], "webhooks:pages");
    eventually(secs(20), "the agent listens", || {
        process.must_run();
        ensure(process.log().contains("msg=listening"), || process.log())
    });
    let user = format!("prometheus:{PASSWORD}");
    let ask = |port: u16| curl(&["--user", &user, &format!("http://127.0.0.1:{port}/metrics")]).status;
    assert_eq!((ask(pages), ask(webhooks)), (200, 404), "{}", process.log());
    assert_eq!(process.terminate(secs(10)).code(), Some(0));
}

#[test]
fn without_a_socket_the_start_fails_with_the_reason() {
    let setup = quiet();
    let finished = setup.finish(&["run", "--web.systemd-socket"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("systemd passed no socket"), "{finished:?}");
    let mut process = activated(&setup, &[free_port()], "webhooks");
    assert_eq!(process.wait(secs(20)).code(), Some(1));
    assert!(process.log().contains("webhooks alone"), "{}", process.log());
}

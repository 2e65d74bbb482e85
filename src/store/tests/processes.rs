//! Other processes: this test program runs itself again, told what to do by the environment.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use super::*;

/// Names the store for a child; without it a child's test is none.
const PATH: &str = "EXOTEL_EXPORTER_TEST_STORE";

/// Runs one test of this program with a store to work on.
pub(super) fn child(test: &str, path: &Path) -> Child {
    let program = std::env::current_exe().expect("this program");
    let name = format!("store::tests::{test}");
    Command::new(program)
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child")
}

/// The store that a child is to work on; none in the parent.
pub(super) fn told() -> Option<std::path::PathBuf> {
    std::env::var_os(PATH).map(Into::into)
}

/// A test that does nothing, unless it runs in a child: it holds the store until its input ends.
#[tokio::test]
async fn child_that_holds_the_store() {
    let Some(path) = told() else { return };
    let store = open_at(&path).expect("the store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    store.transact(page(account, 300, vec![missed("c1", 0)])).await.expect("stored");
    store.checkpoint().await;
    println!("\nholding");
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).expect("the end of the input");
    store.close().await;
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_who_holds_the_store() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    let mut holder = child("processes::child_that_holds_the_store", &path);
    let mut lines = BufReader::new(holder.stdout.take().expect("its output")).lines();
    assert!(lines.any(|line| line.expect("a line") == "holding"), "the child opened the store");
    for error in [
        open_at(&path).expect_err("it is held"),
        compact(&path).expect_err("it is held"),
        restore(&path, &path).expect_err("it is held"),
    ] {
        assert!(matches!(&error, OpenError::InUse { .. }), "{error}");
        assert!(error.to_string().contains(&format!("(pid {})", holder.id())), "{error}");
    }
    // To read is no conflict.
    assert_eq!(check(&path, &mut |_| {}).expect("a check").calls, 1);
    backup(&path, &folder.path().join("copy"), &mut |_, _| {}).expect("a copy");
    drop(holder.stdin.take());
    assert!(holder.wait().expect("its end").success());
    let store = open_at(&path).expect("it is free");
    assert_eq!(total(&store, Family::Calls), 1);
}

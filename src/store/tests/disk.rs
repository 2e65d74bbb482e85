//! A full disk, a read-only one, and folders that are not ours.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::*;
use crate::store::journal;

/// A small file system of our own; gone with the value. Only root may make one.
struct Disk(TempDir);

impl Disk {
    fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let options = format!("size={size}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            _ => {
                println!("skipped: a file system of its own can be mounted by root alone");
                None
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("store.redb")
    }

    /// Leaves no room, however little was given back.
    fn fill(&self) {
        let filler = self.0.path().join("filler");
        let mut file =
            fs::File::options().append(true).create(true).open(filler).expect("somebody else's file");
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.path().join("filler")).expect("space returns");
    }

    fn remount(&self, options: &str) {
        let done =
            Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(self.0.path()).status();
        assert!(done.is_ok_and(|status| status.success()), "remounted {options}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A store that is still closing holds it for a moment: lazily.
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_work_loses_nothing_and_is_left_behind_without_a_restart() {
    let Some(disk) = Disk::new("4m") else { return };
    let store = open_at(&disk.path()).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    let filler = disk.0.path().join("filler");
    fs::write(&filler, vec![1; 1_500_000]).expect("somebody else's file");
    let rows = |n: i64| (0..200).map(|i| missed(&format!("c{n}x{i}"), n)).collect::<Vec<_>>();
    let mut acked = 0;
    let error = loop {
        match store.transact(page(account, 5_000, rows(acked))).await {
            Ok(_) => acked += 1,
            Err(error) => break error,
        }
        assert!(acked < 1_000, "the disk fills up");
    };
    assert!(matches!(&error, Error::Unavailable { reason, .. } if reason.contains("full")), "{error}");
    assert!(acked > 3, "{acked}");
    // As long as it is full: an error at once, again and again, and no panic.
    for _ in 0..8 {
        disk.fill();
        let again = store.transact(page(account, 5_000, rows(acked))).await;
        assert!(matches!(again, Err(Error::Unavailable { .. })), "{again:?}");
        let pruned = store.prune(account, SID, wall(-9), START).await;
        assert!(matches!(pruned, Err(Error::Unavailable { .. })), "{pruned:?}");
        drop(store.summary(account, SID.into()).await);
        assert_eq!(total(&store, Family::Calls), acked as u64 * 200, "the counters stay");
        tokio::time::advance(Duration::from_secs(31)).await;
    }
    disk.empty();
    tokio::time::advance(Duration::from_secs(31)).await;
    for n in 0..acked + 3 {
        store.transact(page(account, 5_000, rows(n))).await.expect("it is open again by itself");
    }
    assert_eq!(total(&store, Family::Calls), (acked as u64 + 3) * 200, "nothing lost, nothing doubled");
    store.close().await;
    let report = check(&disk.path(), &mut |_| {}).expect("a check");
    assert_eq!((report.calls, report.faults), ((acked as u64 + 3) * 200, Vec::new()));
}

#[tokio::test]
async fn a_kill_on_a_full_disk_loses_nothing() {
    let Some(disk) = Disk::new("4m") else { return };
    let store = open_at(&disk.path()).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    let rows = |n: i64| (0..10).map(|i| missed(&format!("c{n}x{i}"), n)).collect::<Vec<_>>();
    for n in 0..6 {
        store.transact(page(account, 5_000, rows(n))).await.expect("stored");
    }
    let killed = disk.0.path().join("killed.redb");
    for (from, to) in [(disk.path(), killed.clone()), (journal::place(&disk.path()), journal::place(&killed))]
    {
        // With holes, as redb leaves them: a later write has to fill them.
        let bytes = fs::read(&from).expect("bytes");
        let copy = fs::File::create(&to).expect("a copy");
        copy.set_len(bytes.len() as u64).expect("a length");
        for (n, block) in bytes.chunks(4096).enumerate().filter(|(_, block)| block.iter().any(|b| *b != 0)) {
            copy.write_all_at(block, n as u64 * 4096).expect("written");
        }
    }
    store.close().await;
    disk.fill();
    let error = open_at(&killed).map(drop).expect_err("there is no room for what the journal holds");
    assert!(matches!(&error, OpenError::Io { reason, .. } if reason.contains("full")), "{error}");
    disk.empty();
    let store = open_at(&killed).expect("it starts");
    assert_eq!(total(&store, Family::Calls), 60, "what was answered is there");
    store.close().await;
    let report = check(&killed, &mut |_| {}).expect("a check");
    assert_eq!((report.calls, report.faults), (60, Vec::new()));
}

#[tokio::test]
async fn a_disk_without_room_for_a_store_is_a_clear_error() {
    let Some(disk) = Disk::new("16k") else { return };
    let error = open_at(&disk.path()).expect_err("no room");
    assert!(matches!(&error, OpenError::Io { reason, .. } if reason.contains("full")), "{error}");
}

#[tokio::test]
async fn a_read_only_disk_is_a_clear_error_and_its_store_can_be_read() {
    let Some(disk) = Disk::new("8m") else { return };
    let store = open_at(&disk.path()).expect("a new store");
    let (account, _) = store.account(SID, START).await.expect("an account");
    store.transact(page(account, 5_000, vec![missed("c1", 0)])).await.expect("stored");
    store.close().await;
    disk.remount("ro");
    for path in [disk.path(), disk.0.path().join("new/store.redb")] {
        let error = open_at(&path).expect_err("nothing can be written");
        assert!(matches!(&error, OpenError::Io { reason, .. } if reason.contains("read-only")), "{error}");
    }
    let report = check(&disk.path(), &mut |_| {}).expect("a check");
    assert_eq!((report.calls, report.pages, report.faults), (1, Pages::Verified, Vec::new()));
    assert_eq!(stats(&disk.path()).expect("stats").tables[0].rows, 1);
    let folder = folder();
    backup(&disk.path(), &folder.path().join("copy"), &mut |_, _| {}).expect("a copy elsewhere");
    let error = restore(&disk.path(), &folder.path().join("copy")).expect_err("nothing can be written");
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
}

#[tokio::test]
async fn places_that_cannot_hold_a_store_are_named_with_the_reason() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, b"x").expect("a file");
    for path in [folder.path().to_owned(), file.join("store.redb")] {
        let error = open_at(&path).expect_err("no store can be there");
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    }
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may write everywhere");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).expect("a mode");
    let error = open_at(&folder.path().join("store.redb")).expect_err("not ours to write");
    assert!(error.to_string().contains("permission denied"), "{error}");
}

#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let folder = folder();
    let path = folder.path().join("store.redb");
    fs::write(&path, b"").expect("a file");
    let store = open_at(&path).expect("it opens");
    store.close().await;
    assert_eq!(check(&path, &mut |_| {}).expect("a check").calls, 0);
}

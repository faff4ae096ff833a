//! The spool alone: what it keeps, what it refuses, and what it finds when it is opened again.

use std::path::Path;
use std::time::Duration;

use prometheus::Registry;

use super::*;

fn directory(name: &str) -> PathBuf {
    let directory =
        std::env::temp_dir().join(format!("patchline-spool-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    directory
}

fn open_with(directory: &Path, change: impl FnOnce(&mut SpoolConfig)) -> Result<Spool, OpenError> {
    let mut config = SpoolConfig {
        directory: directory.to_owned(),
        headroom_bytes: 100_000,
        ..SpoolConfig::default()
    };
    change(&mut config);
    Spool::open(config, Metrics::register(&Registry::new()).unwrap())
}

/// The writer of one that was dropped without being closed ends soon afterwards.
fn open(directory: &Path) -> Spool {
    loop {
        match open_with(directory, |_| {}) {
            Err(OpenError::InUse { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

fn messages(names: &[&str]) -> Vec<Message> {
    names.iter().map(|name| Message { key: (*name).to_owned(), payload: vec![7; 100] }).collect()
}

async fn keep(spool: &Spool, names: &[&str]) -> Result<(), SpoolError> {
    spool.keep(Kind::Heartbeat, messages(names), Timestamp(1), ()).await
}

fn keys(spool: &Spool) -> Vec<String> {
    let reports = spool.read(&(0..=i64::MAX), usize::MAX).unwrap();
    reports.into_iter().map(|report| report.message.key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_there_in_order_after_every_start_and_numbers_only_rise() {
    let directory = directory("order");
    let mut last = 0;
    for at in 0..3 {
        let spool = open(&directory);
        keep(&spool, &[&format!("{at}-a"), &format!("{at}-b")]).await.unwrap();
        let first = spool.read(&(last + 1..=i64::MAX), 1).unwrap();
        assert_eq!((first.len(), &*first[0].message.key), (1, &*format!("{at}-a")));
        last = *spool.newest().borrow();
        // As after a crash: nobody closes it.
        if at == 1 {
            spool.close();
        }
        drop(spool);
    }
    let spool = open(&directory);
    assert_eq!(keys(&spool), ["0-a", "0-b", "1-a", "1-b", "2-a", "2-b"]);
    let seqs: Vec<i64> =
        spool.read(&(0..=i64::MAX), usize::MAX).unwrap().iter().map(|report| report.seq).collect();
    spool.forget(runs(&seqs[1..5]), 0);
    spool.settled().await;
    assert_eq!(keys(&spool), ["0-a", "2-b"]);
    assert_eq!(spool.bytes(), 2 * (3 + 100 + 64), "counted");
    assert_eq!(spool.oldest().unwrap(), Some(Timestamp(1)));
    fs::remove_dir_all(directory).unwrap();
}

fn runs(seqs: &[i64]) -> Vec<RangeInclusive<i64>> {
    seqs.iter().map(|seq| *seq..=*seq).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_share_a_commit() {
    let directory = directory("group");
    let spool = open(&directory);
    let mut keeps = tokio::task::JoinSet::new();
    for at in 0..200 {
        let spool = spool.clone();
        keeps.spawn(async move { keep(&spool, &[&at.to_string()]).await });
    }
    assert!(keeps.join_all().await.iter().all(Result::is_ok));
    assert_eq!(keys(&spool).len(), 200);
    let commits = spool.metrics().commits.get();
    assert!(commits < 100, "{commits} commits for 200 requests at once");
    fs::remove_dir_all(directory).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_quota_a_request_is_refused_whole_and_room_is_used_again() {
    let directory = directory("quota");
    let spool = open_with(&directory, |config| config.quota_bytes = 1700).unwrap();
    // 165 bytes each.
    for at in 0..9 {
        keep(&spool, &[&at.to_string()]).await.unwrap();
    }
    assert_eq!(keep(&spool, &["a", "b"]).await, Err(SpoolError::Full { quota: 1700 }));
    keep(&spool, &["9"]).await.unwrap();
    assert_eq!(keep(&spool, &["c"]).await, Err(SpoolError::Full { quota: 1700 }));
    assert_eq!(*spool.health().borrow(), Health::NearlyFull);
    assert_eq!(keys(&spool), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let whole: Vec<String> = (0..20).map(|at| at.to_string()).collect();
    let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
    assert!(matches!(keep(&spool, &whole).await, Err(SpoolError::TooLarge { .. })));

    let oldest = spool.read(&(0..=i64::MAX), 1).unwrap()[0].seq;
    spool.forget(vec![oldest..=oldest + 1], 330);
    spool.settled().await;
    assert_eq!(*spool.health().borrow(), Health::Good);
    keep(&spool, &["a", "b"]).await.unwrap();
    fs::remove_dir_all(directory).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_decays_in_use_costs_the_file_and_not_the_gateway() {
    let directory = directory("decay");
    let spool = open(&directory);
    let many: Vec<String> = (0..500).map(|at| at.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    keep(&spool, &many).await.unwrap();
    spool.close();
    drop(spool);
    // A payload's byte: no check of the pages' structure sees it.
    let file = directory.join("spool.db");
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(100).rposition(|window| window == [7; 100]).unwrap();
    bytes[at + 50] = 8;
    fs::write(&file, bytes).unwrap();

    let spool = open(&directory);
    assert_eq!(spool.metrics().corrupt_files.get(), 0, "not seen yet");
    let found = spool.read(&(0..=i64::MAX), usize::MAX).unwrap_err();
    assert!(found.to_string().contains("checksum"), "{found}");
    spool.settled().await;
    assert_eq!(spool.metrics().corrupt_files.get(), 1);
    keep(&spool, &["fresh"]).await.unwrap();
    assert_eq!(keys(&spool), ["fresh"]);
    drop(spool);

    let aside = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.contains(".corrupt-") && name.chars().last().unwrap().is_ascii_digit()
    });
    let mut read = 0;
    let salvaged = salvage::<StoreError>(&aside.unwrap(), |_| {
        read += 1;
        Ok(())
    });
    assert_eq!((salvaged.unwrap(), read), (Salvaged { read: 499, unreadable: 1 }, 499));
    fs::remove_dir_all(directory).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_spool_of_this_layout_is_left_alone_and_named() {
    let directory = directory("foreign");
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join("spool.db");
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("CREATE TABLE other (a)").unwrap();
    drop(other);
    let error = open_with(&directory, |_| {}).err().unwrap();
    assert!(matches!(error, OpenError::File { source: StoreError::Foreign, .. }), "{error}");
    fs::remove_file(&file).unwrap();

    drop(open(&directory));
    // The writer ends soon after the last handle.
    let later = rusqlite::Connection::open(&file).unwrap();
    later.busy_timeout(Duration::from_secs(10)).unwrap();
    later.pragma_update(None, "user_version", 2).unwrap();
    drop(later);
    let error = loop {
        match open_with(&directory, |_| {}).err().unwrap() {
            OpenError::InUse { .. } => std::thread::yield_now(),
            error => break error,
        }
    };
    let known = matches!(error, OpenError::File { source: StoreError::Layout { found: 2 }, .. });
    assert!(known, "{error}");
    fs::remove_dir_all(directory).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_has_one_gateway_at_a_time() {
    let directory = directory("locked");
    let first = open(&directory);
    let error = open_with(&directory, |_| {}).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("give each gateway its own"));
    first.close();
    drop(first);
    open(&directory);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn settings_that_could_not_work_are_named() {
    let check = |change: fn(&mut SpoolConfig)| {
        let mut config = SpoolConfig::default();
        change(&mut config);
        config.check()
    };
    assert_eq!(check(|_| {}), Ok(()));
    assert!(check(|config| config.quota_bytes = 0).unwrap_err().contains("spool.quota_bytes"));
    let error = check(|config| config.replay_bytes_per_s = 0).unwrap_err();
    assert!(error.contains("spool.replay_bytes_per_s"));
    assert!(check(|config| config.directory = PathBuf::new()).unwrap_err().contains("directory"));
}

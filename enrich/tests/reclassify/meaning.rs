//! What a change of the catalog makes of the rows that are stored.

use std::time::Duration;

use patchline_schemas::{Advisory, UpdateState};

use crate::world::{World, advisory, bulletin, kb, package, scan, windows};

const CLASSES: &str = "SELECT concat(Classification, ' ', ClassificationSource, ' ', AdvisoryIDs) \
    FROM Update WHERE SourceComputerId = 'c1' AND Product = 'openssl' AND UpdateState = 'Needed'";

const STOP: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_advisory_changes_the_rows_of_scans_that_came_before_it() {
    let world = World::new("late").await;
    let known = advisory("USN-1", "medium", &[("bash", "4.3-2")]);
    world.publish(&known).await;
    let old = world.catalog();
    let both = [package("openssl", "1.0-1", "1.0-3"), package("bash", "4.3-1", "4.3-2")].concat();
    world.store(&scan("c1", 0, package("openssl", "1.0-1", "1.0-2")), &old).await;
    world.store(&scan("c1", 1, both), &old).await;
    world.store(&scan("c2", 1, package("openssl", "1.0-3", "1.0-4")), &old).await;
    world.store(&scan("c3", 1, package("zsh", "1", "2")), &old).await;
    let rows = "SELECT count() FROM update_rows";
    let stored = world.number(rows).await;
    assert_eq!(world.differences().await, Vec::<String>::new());
    assert_eq!(world.texts(CLASSES).await, ["Other Updates default "]);

    let mut reclassify = world.start();
    world.publish(&advisory("USN-2", "critical", &[("openssl", "1.0-3")])).await;
    world.wait_for(CLASSES, &["Critical Updates catalog USN-2"]).await;
    world.wait_until_it_agrees().await;
    let versions = "SELECT DISTINCT concat(SourceComputerId, Product, splitByChar('/', CatalogVersion)[2]) \
        FROM Update WHERE UpdateState = 'Needed' ORDER BY 1";
    assert_eq!(world.texts(versions).await, ["c1bash1", "c1openssl2", "c2openssl1", "c3zsh1"]);
    // The former scan's summary stays as it was.
    let summary = "SELECT concat(toString(CriticalUpdatesMissing), ' ', toString(SecurityUpdatesMissing), ' ', \
        toString(OtherUpdatesMissing), ' ', toString(ifNull(OldestMissingSecurityUpdateInDays, -1)), ' ', \
        OldestMissingSecurityUpdateBucket) FROM UpdateSummary WHERE SourceComputerId = 'c1' \
        ORDER BY TimeGenerated";
    assert_eq!(world.texts(summary).await, ["0 0 1 -1 ", "1 1 0 35 30 days ago"]);

    // The advisory is changed: it speaks of another package, and the former is as it was.
    world.publish(&advisory("USN-2", "high", &[("zsh", "2")])).await;
    world.wait_for(CLASSES, &["Other Updates default "]).await;
    world.wait_until_it_agrees().await;

    // The vendor takes it back.
    let withdrawn = Advisory { withdrawn: true, ..advisory("USN-2", "", &[]) };
    world.publish(&withdrawn).await;
    world.wait_until_applied().await;
    assert_eq!(world.differences().await, Vec::<String>::new());
    assert_eq!(world.number(rows).await, stored, "no row was added or taken away");
    assert_eq!(world.number("SELECT count() FROM update_summary_rows").await, 4);
    assert_eq!(world.number("SELECT count() FROM reclassified_rows").await, 0);
    let status = reclassify.terminate(STOP).unwrap();
    assert!(status.success(), "{}", world.logged());
}

#[tokio::test]
async fn a_bulletin_changes_what_its_kb_replaces_and_a_withdrawal_gives_the_agents_word_back() {
    use UpdateState::{Installed, Needed};
    let world = World::new("windows").await;
    let none = world.catalog();
    let mut titled = kb(4_000_001, Needed);
    titled.kbid = "".into();
    world.store(&windows("titled", 0, vec![titled, kb(4_000_003, Installed)]), &none).await;
    let updates = vec![kb(4_000_001, Needed), kb(4_000_002, Needed), kb(4_000_003, Installed)];
    world.store(&windows("c1", 0, updates), &none).await;
    world.store(&windows("c2", 0, vec![kb(4_000_001, Needed)]), &none).await;
    let mut reclassify = world.start();

    world.publish(&bulletin("2026-Jan/4000001", 4_000_001, &[])).await;
    world.publish(&bulletin("2026-Jan/4000002", 4_000_002, &[4_000_001])).await;
    world.wait_until_it_agrees().await;
    let marks = "SELECT concat(SourceComputerId, ' ', SupersededBy, ' ', Classification, ' ', RebootBehavior) \
        FROM Update WHERE Title LIKE '%4000001%' ORDER BY SourceComputerId";
    let unmarked = ["c1", "c2", "titled"].map(|at| format!("{at}  Security Updates alwaysreboots"));
    assert_eq!(world.texts(marks).await, unmarked);

    // Two steps away: 3 replaces 2, which replaces 1.
    world.publish(&bulletin("2026-Feb/4000003", 4_000_003, &[4_000_002])).await;
    world.wait_until_it_agrees().await;
    let marked = [
        "c1 4000003 Security Updates alwaysreboots",
        "c2  Security Updates alwaysreboots",
        "titled 4000003 Security Updates alwaysreboots",
    ];
    assert_eq!(world.texts(marks).await, marked);

    // The link in between goes, without a word about either end.
    world.publish(&bulletin("2026-Jan/4000002", 4_000_002, &[])).await;
    world.wait_until_it_agrees().await;
    assert_eq!(world.texts(marks).await, unmarked);

    let gone = Advisory { withdrawn: true, ..bulletin("2026-Jan/4000001", 4_000_001, &[]) };
    world.publish(&gone).await;
    world.wait_until_it_agrees().await;
    let own = ["c1", "c2", "titled"].map(|at| format!("{at}  Updates neverreboots"));
    assert_eq!(world.texts(marks).await, own);
    reclassify.terminate(STOP).unwrap();
}

#[tokio::test]
async fn a_scan_that_was_on_its_way_gets_it_too_and_a_newer_verdict_stays() {
    let world = World::new("inflight").await;
    world.publish(&advisory("USN-1", "medium", &[("bash", "2")])).await;
    let old = world.catalog();
    let openssl = || package("openssl", "1.0-1", "1.0-3");
    world.store(&scan("c0", 0, openssl()), &old).await;
    let mut reclassify = world.start();
    world.publish(&advisory("USN-2", "high", &[("openssl", "1.0-3")])).await;
    world.wait_until_it_agrees().await;
    world.wait_until_applied().await;

    // Judged before, stored after.
    world.store(&scan("c1", 0, openssl()), &old).await;
    world.wait_for(CLASSES, &["Security Updates catalog USN-2"]).await;
    world.wait_until_it_agrees().await;
    reclassify.kill().unwrap();

    // The same while it is down, and a computer's second scan.
    world.store(&scan("c1", 1, openssl()), &old).await;
    assert_eq!(world.texts(CLASSES).await, ["Other Updates default "]);
    let mut reclassify = world.start();
    world.wait_until_it_agrees().await;

    // Judged by a catalog that is ahead of ours, which knows what we do not know yet.
    let mut ahead = patchline_enrich::index::IndexBuilder::default();
    ahead.upsert(&advisory("USN-9", "critical", &[("openssl", "1.0-3")]));
    let ahead = std::sync::Arc::new(ahead.build("1@2026-01-15T09:00:00Z/900"));
    world.store(&scan("c1", 2, openssl()), &ahead).await;
    world.publish(&advisory("USN-3", "low", &[("openssl", "1.0-3"), ("zsh", "2")])).await;
    world.store(&scan("c4", 0, package("zsh", "1", "2")), &old).await;
    world
        .wait_for(
            "SELECT AdvisoryIDs FROM Update WHERE Product = 'zsh' AND UpdateState = 'Needed'",
            &["USN-3"],
        )
        .await;
    world.wait_until_applied().await;
    assert_eq!(world.texts(CLASSES).await, ["Critical Updates catalog USN-9"]);
    reclassify.terminate(STOP).unwrap();
}

#[tokio::test]
async fn what_is_applied_is_remembered_and_what_came_meanwhile_is_not_missed() {
    let world = World::new("restart").await;
    let none = world.catalog();
    world.store(&scan("c1", 0, package("openssl", "1.0-1", "1.0-3")), &none).await;
    world.publish(&advisory("USN-1", "low", &[("bash", "2")])).await;
    let mut reclassify = world.start();
    world.wait_until_applied().await;
    assert!(world.logged().contains("everything=true"), "{}", world.logged());
    reclassify.terminate(STOP).unwrap();

    world.publish(&advisory("USN-2", "high", &[("openssl", "1.0-3")])).await;
    let before = world.logged().len();
    let mut reclassify = world.start();
    world.wait_for(CLASSES, &["Security Updates catalog USN-2"]).await;
    world.wait_until_applied().await;
    let log = world.logged();
    assert!(log[before..].contains("everything=false"), "{log}");
    assert!(log[before..].contains("advisories=1"), "{log}");
    assert_eq!(world.differences().await, Vec::<String>::new());
    reclassify.terminate(STOP).unwrap();
}

#[tokio::test]
async fn a_pass_that_was_interrupted_between_a_row_and_its_summary_is_completed() {
    let world = World::new("half").await;
    world.publish(&bulletin("2026-Jan/4000001", 4_000_001, &[])).await;
    let catalog = world.catalog();
    world.store(&windows("c1", 0, vec![kb(4_000_001, UpdateState::Needed)]), &catalog).await;
    let back = "ALTER TABLE update_summary_rows UPDATE SecurityUpdatesMissing = 0, OtherUpdatesMissing = 1, \
        CatalogVersion = 'none' WHERE 1 SETTINGS mutations_sync = 1";
    world.client.query(back).execute().await.unwrap();
    assert_eq!(world.differences().await.len(), 2);
    let mut reclassify = world.start();
    world.wait_until_it_agrees().await;
    reclassify.terminate(STOP).unwrap();
}

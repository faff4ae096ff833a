//! What the tables show: the newest scan of each computer, each report once.

use patchline_schemas::{Timestamp, UpdateState};
use patchline_sink::batch::{Batch, Message, Source};

use crate::fixture::{World, heartbeat, id, run_progress, scan, update};

const PRODUCTS: &str = "SELECT concat(Product, ' ', UpdateState) FROM Update \
    WHERE SourceComputerId = 'c1' ORDER BY Product";

#[tokio::test]
async fn update_shows_the_newest_scan_and_nothing_else() {
    use UpdateState::{Needed, NotNeeded};
    let world = World::migrated("newest", 1).await;
    let mut sink = world.start(&[]);
    let summaries = "SELECT count() FROM UpdateSummary";

    world.send_scan(&scan("c1", 1, 1000, vec![update(1, Needed), update(2, NotNeeded)])).await;
    world.send_scan(&scan("c2", 2, 1000, vec![update(1, Needed)])).await;
    world.wait_for(summaries, 2).await;
    assert_eq!(world.texts(PRODUCTS).await, ["package-1 Needed", "package-2 Not needed"]);

    // Package 1 was installed, package 2 removed, package 3 is new.
    world.send_scan(&scan("c1", 3, 2000, vec![update(1, NotNeeded), update(3, Needed)])).await;
    world.wait_for(summaries, 3).await;
    assert_eq!(world.texts(PRODUCTS).await, ["package-1 Not needed", "package-3 Needed"]);

    // A late, older scan changes nothing here, and has its summary.
    world.send_scan(&scan("c1", 4, 1500, vec![update(1, Needed), update(9, Needed)])).await;
    world.wait_for(summaries, 4).await;
    assert_eq!(world.texts(PRODUCTS).await, ["package-1 Not needed", "package-3 Needed"]);

    // The newest scan comes a second time, by way of another gateway.
    world.send_scan(&scan("c1", 3, 2000, vec![update(1, NotNeeded), update(3, Needed)])).await;
    world.wait_for("SELECT count() FROM computer_scans WHERE SourceOffset = 4", 1).await;
    assert_eq!(world.texts(PRODUCTS).await, ["package-1 Not needed", "package-3 Needed"]);
    assert_eq!(world.number(summaries).await, 4);

    // Scanned, nothing there: the computer has no rows, its neighbour keeps its own.
    world.send_scan(&scan("c1", 5, 3000, vec![])).await;
    world.wait_for(summaries, 5).await;
    assert!(world.texts(PRODUCTS).await.is_empty());
    assert_eq!(world.number("SELECT count() FROM Update").await, 1);

    // Merging away what is old changes nothing that is shown.
    world.client.query("OPTIMIZE TABLE update_rows FINAL").execute().await.unwrap();
    world.client.query("OPTIMIZE TABLE computer_scans FINAL").execute().await.unwrap();
    assert!(world.texts(PRODUCTS).await.is_empty());
    assert_eq!(world.number("SELECT count() FROM Update").await, 1);
    sink.terminate(std::time::Duration::from_secs(20)).unwrap();
}

#[tokio::test]
async fn every_field_reaches_its_column() {
    let world = World::migrated("columns_filled", 1).await;
    let mut sink = world.start(&[]);

    let mut report = scan("c1", 1, 0, vec![update(1, UpdateState::Needed)]);
    report.scan.resource_id =
        "/subscriptions/S1/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/VM".into();
    report.scan.restart_pending = true;
    report.summary.oldest_missing_security_update_in_days = Some(40);
    let update = &mut report.updates[0];
    update.update.approved = false;
    update.update.title = "naïve \u{1F980}\n\ttitle with 'quotes'".into();
    update.verdict.cve_numbers = "CVE-2017-1;CVE-2017-2".into();
    world.send_scan(&report).await;
    world.wait_for("SELECT count() FROM Update", 1).await;
    let row = world
        .texts(
            "SELECT toJSONString(tuple(Computer, TimeGenerated, Title, CVENumbers, Approved, Optional, \
             PublishedDate, ReportId, SubscriptionId, ResourceGroup, ResourceProvider, ResourceType, \
             Resource, _ResourceId, Type, ClassificationSource, UpdateId)) FROM Update",
        )
        .await;
    assert_eq!(
        row[0],
        format!(
            "[\"c1.contoso.com\",\"2023-11-14 22:13:20.000\",\"naïve \u{1F980}\\n\\ttitle with 'quotes'\",\
             \"CVE-2017-1;CVE-2017-2\",false,false,\"2023-11-14 22:13:19.999\",\"{}\",\"S1\",\"RG\",\
             \"Microsoft.Compute\",\"virtualMachines\",\"VM\",\
             \"\\/subscriptions\\/s1\\/resourcegroups\\/rg\\/providers\\/microsoft.compute\\/virtualmachines\\/vm\",\
             \"Update\",\"catalog\",\"\"]",
            id(1)
        )
    );
    let row = world
        .texts(
            "SELECT toJSONString(tuple(RestartPending, SecurityUpdatesMissing, TotalUpdatesMissing, \
             OldestMissingSecurityUpdateInDays)) FROM UpdateSummary",
        )
        .await;
    assert_eq!(row, ["[true,1,1,40]"]);

    let mut progress = run_progress("c1", 2);
    progress.report.end_time = Some(Timestamp(1_700_000_060_000));
    world.send_run_progress(&progress).await;
    world.send_heartbeat(&heartbeat("c1", 3)).await;
    world.wait_for("SELECT count() FROM UpdateRunProgress", 1).await;
    world.wait_for("SELECT count() FROM Heartbeat", 1).await;
    let row = world
        .texts(
            "SELECT toJSONString(tuple(UpdateRunName, Product, InstallationStatus, StartTime, EndTime)) \
             FROM UpdateRunProgress",
        )
        .await;
    assert_eq!(
        row,
        [
            "[\"July\",\"bash\",\"Succeeded\",\"2023-11-14 22:13:20.000\",\"2023-11-14 22:14:20.000\"]"
        ]
    );
    let row = world.texts("SELECT toJSONString(ComputerPrivateIPs) FROM Heartbeat").await;
    assert_eq!(row, ["[\"10.0.0.1\",\"10.0.0.2\"]"]);
    sink.terminate(std::time::Duration::from_secs(20)).unwrap();
}

/// A dictionary's index is one, two or four bytes wide, by how many values the block has.
#[tokio::test]
async fn dictionaries_of_every_width_are_read_back() {
    let world = World::migrated("dictionaries", 1).await;
    let store = patchline_sink::store::Store::new(&world.clickhouse);
    let mut rows = 0;
    for (scans, updates) in [(1, 200), (1, 50_000), (2, 50_000)] {
        let mut batch = Batch::new(Source::Scans, 0);
        for offset in 0..scans {
            let updates = (offset * updates..(offset + 1) * updates).map(|number| {
                let mut update = update(number, UpdateState::Needed);
                update.update.kbid = number.to_string().into();
                update
            });
            let mut payload = Vec::new();
            let scan = scan("c1", offset, 0, updates.collect());
            world.codec.encode(&scan, &mut payload).unwrap();
            let timestamp = Timestamp::now();
            batch.push(
                &world.codec,
                Message { offset: offset.into(), timestamp, key: None, payload },
            );
        }
        assert!(batch.rejects().is_empty());
        let block = &batch.blocks()[0];
        store.insert(block, &format!("{scans}-{updates}")).await.unwrap();
        rows += u64::from(scans * updates);
        assert_eq!(world.number("SELECT count() FROM update_rows").await, rows);
        let wrong = "SELECT countIf(Product != concat('package-', KBID)) FROM update_rows";
        assert_eq!(world.number(wrong).await, 0, "{scans} scans of {updates} updates");
    }
}

/// Between the rows of a newer scan and the row that makes it visible, merges may happen.
#[tokio::test]
async fn a_scan_that_is_half_written_takes_nothing_from_the_one_that_is_shown() {
    use UpdateState::{Needed, NotNeeded};
    let world = World::migrated("half", 1).await;
    let store = patchline_sink::store::Store::new(&world.clickhouse);
    let blocks = |report: u32, updates| {
        let mut batch = Batch::new(Source::Scans, 0);
        let mut payload = Vec::new();
        let scan = scan("c1", report, i64::from(report) * 1000, updates);
        world.codec.encode(&scan, &mut payload).unwrap();
        let timestamp = Timestamp::now();
        let offset = report.into();
        batch.push(&world.codec, Message { offset, timestamp, key: None, payload });
        batch.blocks()
    };
    let old = blocks(1, vec![update(1, Needed), update(2, Needed), update(3, Needed)]);
    for block in &old {
        store.insert(block, &format!("old-{}", block.table)).await.unwrap();
    }
    let new = blocks(2, vec![update(1, NotNeeded), update(2, Needed)]);
    let (last, first): (Vec<_>, Vec<_>) =
        new.iter().partition(|block| block.table == "computer_scans");
    for block in first {
        store.insert(block, &format!("new-{}", block.table)).await.unwrap();
    }
    let shown = ["package-1 Needed", "package-2 Needed", "package-3 Needed"];
    world.client.query("OPTIMIZE TABLE update_rows FINAL").execute().await.unwrap();
    assert_eq!(world.texts(PRODUCTS).await, shown);
    store.delete_replaced_scans().await.unwrap();
    assert_eq!(world.texts(PRODUCTS).await, shown);
    assert_eq!(world.number("SELECT count() FROM update_rows").await, 5, "the new scan is kept");

    store.insert(last[0], "new-last").await.unwrap();
    let shown = ["package-1 Not needed", "package-2 Needed"];
    assert_eq!(world.texts(PRODUCTS).await, shown);
    store.delete_replaced_scans().await.unwrap();
    assert_eq!(world.texts(PRODUCTS).await, shown);
    assert_eq!(world.number("SELECT count() FROM update_rows").await, 2, "the old scan is deleted");
}

//! The database's versions, and that the sink writes what the tables have.

use std::collections::BTreeMap;

use patchline_schemas::{Heartbeat, Timestamp, UpdateState};
use patchline_sink::batch::Source;
use patchline_sink::migrate::{self, MigrateError, NEWEST};
use patchline_sink::tables::TABLES;

use crate::fixture::{World, heartbeat, id, scan, update};

#[tokio::test]
async fn migrating_twice_changes_nothing_and_a_newer_database_is_refused() {
    let world = World::new("migrate", 1).await;
    assert!(matches!(
        migrate::check(&world.clickhouse).await,
        Err(MigrateError::DatabaseOlder { found: 0, .. })
    ));
    let refused = world.command(&[]).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("run `patchline-sink migrate` first"), "{said}");

    for _ in 0..2 {
        let migrated = world.command(&[]).arg("migrate").output().unwrap();
        assert!(migrated.status.success(), "{migrated:?}");
    }
    migrate::check(&world.clickhouse).await.unwrap();
    let versions = world.number("SELECT count() FROM schema_migrations FINAL").await;
    assert_eq!(versions, u64::from(NEWEST));

    let newer = format!("INSERT INTO schema_migrations (version) VALUES ({})", NEWEST + 1);
    world.client.query(&newer).execute().await.unwrap();
    for command in [Some("migrate"), None] {
        let refused = world.command(&[]).args(command).output().unwrap();
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("at least as new"), "{said}");
    }
}

/// A block sends text as a dictionary where the table keeps it plain, or the other way round, JSON as text,
/// and the plain values that an aggregate is made of.
fn as_sent(r#type: &str) -> String {
    let inside = |prefix: &str| {
        r#type.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(')')).map(as_sent)
    };
    if let Some(text) = inside("LowCardinality(") {
        return text;
    }
    if let Some(items) = inside("Array(") {
        return format!("Array({items})");
    }
    if r#type.starts_with("JSON") {
        return "String".to_owned();
    }
    if r#type.starts_with("SimpleAggregateFunction(") {
        let value = r#type.split_once(", ").and_then(|(_, value)| value.strip_suffix(')'));
        return value.unwrap().to_owned();
    }
    r#type.to_owned()
}

#[tokio::test]
async fn blocks_have_the_columns_of_their_tables() {
    let world = World::migrated("columns", 1).await;
    for (table, columns) in TABLES {
        let in_database: Vec<(String, String)> = world
            .client
            .query(
                "SELECT name, type FROM system.columns WHERE database = currentDatabase() \
                 AND table = ? AND default_kind = ''",
            )
            .bind(table)
            .fetch_all()
            .await
            .unwrap();
        let in_database: BTreeMap<&str, String> =
            in_database.iter().map(|(name, r#type)| (name.as_str(), as_sent(r#type))).collect();
        let in_block: BTreeMap<&str, String> =
            columns.iter().map(|(name, r#type)| (*name, as_sent(r#type))).collect();
        assert_eq!(in_block, in_database, "{table}");
    }
}

const TIMES_TO_LIVE: &str = "SELECT countIf(engine_full LIKE '% TTL toDateTime(TimeReceived) %') FROM system.tables \
    WHERE database = currentDatabase()";

#[tokio::test]
async fn tables_keep_their_rows_for_as_long_as_they_are_told() {
    let world = World::new("retention", 1).await;
    let migrate = async |settings: &[(&str, &str)]| {
        let done = world.command(settings).arg("migrate").output().unwrap();
        assert!(done.status.success(), "{done:?}");
        let said = String::from_utf8(done.stdout).unwrap();
        let retained = said.split(", ").nth(2).unwrap().split(' ').next().unwrap();
        retained.parse::<usize>().unwrap()
    };
    assert_eq!(migrate(&[]).await, 6, "all that grow with time");
    assert_eq!(migrate(&[]).await, 0, "nothing is altered twice");
    assert_eq!(world.number(TIMES_TO_LIVE).await, 6);
    let other = [
        ("RETENTION_DAYS__HEARTBEAT", "10"),
        ("RETENTION_DAYS__UPDATE_HISTORY", "100"),
        ("RETENTION_DAYS__CUSTOM", "0"),
    ];
    assert_eq!(migrate(&other).await, 3);
    assert_eq!(migrate(&other).await, 0);

    // Two heartbeats as old by their own clock, of which one arrived today; and a scan of long ago.
    let (now, day) = (Timestamp::now(), Timestamp::DAY_MS);
    let long_ago = Timestamp(now.0 - 1000 * day);
    for (number, arrived) in [(1, long_ago), (2, now)] {
        let beat = Heartbeat { time_generated: long_ago, ..heartbeat("c1", number) };
        world.store(Source::Heartbeats, number.into(), arrived, &[beat]).await;
    }
    let mut scan = scan("c1", 3, 0, vec![update(1, UpdateState::Needed)]);
    scan.scan.time_generated = long_ago;
    world.store(Source::Scans, 0, long_ago, &[scan]).await;
    for table in ["heartbeat_rows", "update_rows", "update_history_rows", "update_summary_rows"] {
        let merge = format!("OPTIMIZE TABLE {table} FINAL");
        world.client.query(&merge).execute().await.unwrap();
    }
    let kept = world.texts("SELECT toString(ReportId) FROM Heartbeat").await;
    assert_eq!(kept, [id(2).to_string()]);
    assert_eq!(world.number("SELECT count() FROM UpdateSummary").await, 0);
    assert_eq!(world.number("SELECT count() FROM UpdateHistory").await, 0);
    assert_eq!(world.number("SELECT count() FROM Update").await, 1, "a newest scan stays");

    assert_eq!(migrate(&[("RETENTION_DAYS__UPDATE", "30")]).await, 4);
    world.client.query("OPTIMIZE TABLE update_rows FINAL").execute().await.unwrap();
    assert_eq!(world.number("SELECT count() FROM Update").await, 0, "unless that is asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_one_computer_uses_an_index() {
    let world = World::migrated("index", 1).await;
    for computer in ["c1", "c2"] {
        let scan = scan(computer, 1, 0, vec![update(1, UpdateState::Needed)]);
        world.store(Source::Scans, 0, Timestamp::now(), &[scan]).await;
    }
    let computer = world.texts("SELECT any(Computer) FROM Update").await.remove(0);
    for (index, condition) in [
        ("computer", format!("Computer = '{computer}'")),
        ("computer_any_case", format!("lower(Computer) = lower('{computer}')")),
        ("vm_any_case", "lower(VMUUID) = 'none'".to_owned()),
        ("resource_any_case", "_ResourceId = 'none'".to_owned()),
    ] {
        let explain = format!("EXPLAIN indexes = 1 SELECT Title FROM Update WHERE {condition}");
        let plan = world.texts(&explain).await;
        let uses = plan.iter().any(|line| line.trim() == format!("Name: {index}"));
        assert!(uses, "{condition}: {plan:#?}");
    }
}

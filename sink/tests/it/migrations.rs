//! The database's versions, and that the sink writes what the tables have.

use patchline_sink::migrate::{self, MigrateError, NEWEST};
use patchline_sink::tables::TABLES;

use crate::fixture::World;

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

#[tokio::test]
async fn blocks_have_the_columns_of_their_tables() {
    let world = World::migrated("columns", 1).await;
    for (table, columns) in TABLES {
        let in_database = world
            .texts(&format!(
                "SELECT concat(name, ' ', replaceRegexpOne(type, '^LowCardinality\\\\((.*)\\\\)$', '\\\\1')) \
                 FROM system.columns WHERE database = currentDatabase() AND table = '{table}' ORDER BY 1"
            ))
            .await;
        // A block may send text as a dictionary where the table keeps it plain, or the other way round.
        let mut in_block: Vec<String> = columns
            .iter()
            .map(|(name, r#type)| {
                let plain =
                    r#type.strip_prefix("LowCardinality(").and_then(|t| t.strip_suffix(')'));
                format!("{name} {}", plain.unwrap_or(r#type))
            })
            .collect();
        in_block.sort();
        assert_eq!(in_block, in_database, "{table}");
    }
}

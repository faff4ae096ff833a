//! The sink is killed again and again while messages keep coming; in the end every message is stored
//! once, physically: the tables are read without `FINAL`, so that the tokens are tested and not
//! the tables' own idempotence.

use std::time::Duration;

use patchline_local::Process;
use patchline_schemas::UpdateState;
use patchline_sink::tables::TABLES;

use crate::fixture::{Random, World, heartbeat, run_progress, scan, update};

const COMPUTERS: u32 = 40;
const ROUNDS: u32 = 60;
const UPDATES: u32 = 40;
const KILLS: u32 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_every_message_is_stored_once() {
    let mut random = Random::seeded();
    let world = World::migrated("kills", 3).await;
    // What is inserted twice must stay to be seen.
    for (table, _) in TABLES {
        let stop = format!("SYSTEM STOP MERGES {}.{table}", world.name);
        world.client.query(&stop).execute().await.unwrap();
    }
    let settings = [
        ("SINK__BATCH_ROWS_MAX", "400"),
        ("SINK__BATCH_AGE_MAX_MS", "30"),
        // The least that a broker allows: a killed second instance keeps its partitions this long.
        ("SINK__SESSION_TIMEOUT_MS", "6000"),
        ("SINK__DRAIN_TIMEOUT_MS", "3000"),
    ];
    let second = [&settings[..], &[("SINK__INSTANCE_ID", "b")]].concat();

    let load = async {
        for round in 0..ROUNDS {
            for computer in 0..COMPUTERS {
                let name = format!("c{computer}");
                let number = round * COMPUTERS + computer;
                let updates = (0..UPDATES).map(|at| update(at, UpdateState::Needed)).collect();
                let scan = scan(&name, number, round.into(), updates);
                let (heartbeat, progress) = (heartbeat(&name, number), run_progress(&name, number));
                tokio::join!(
                    world.send_scan(&scan),
                    world.send_heartbeat(&heartbeat),
                    world.send_run_progress(&progress),
                );
            }
        }
    };
    let kills = async {
        let mut first: Process = world.start(&settings);
        let mut other: Option<Process> = None;
        for kill in 0..KILLS {
            // Waiting is the schedule here, not a way to synchronise.
            tokio::time::sleep(Duration::from_millis(100 + random.below(900))).await;
            match random.below(4) {
                0 => {
                    // A second instance joins, or leaves: partitions move.
                    other = match other.take() {
                        None => Some(world.start(&second)),
                        Some(mut process) => {
                            process.kill().unwrap();
                            None
                        }
                    };
                }
                1 => {
                    // Frozen for a while, as by a stalled machine, then killed or not.
                    first.signal(libc::SIGSTOP).unwrap();
                    tokio::time::sleep(Duration::from_millis(random.below(1500))).await;
                    first.signal(libc::SIGCONT).unwrap();
                }
                _ => {
                    first.kill().unwrap();
                    first = world.start(&settings);
                }
            }
            println!("kill {kill}: {} processes", 1 + u32::from(other.is_some()));
        }
        (first, other)
    };
    let ((), (mut first, other)) = tokio::join!(load, kills);
    drop(other);

    let messages = u64::from(COMPUTERS * ROUNDS);
    for (table, rows) in [
        ("update_rows", messages * u64::from(UPDATES)),
        ("update_history_rows", messages * u64::from(UPDATES + 1)),
        ("update_summary_rows", messages),
        ("computer_scans", messages),
        ("update_run_progress_rows", messages),
        ("heartbeat_rows", messages),
    ] {
        let stored = format!("SELECT uniqExact(SourcePartition, SourceOffset) FROM {table}");
        world.wait_for(&stored, messages).await;
        assert_eq!(world.number(&format!("SELECT count() FROM {table}")).await, rows, "{table}");
    }
    let newest = u64::from(COMPUTERS * UPDATES);
    world.wait_for("SELECT count() FROM Update", newest).await;
    let last = "SELECT uniqExact(SourceComputerId) FROM Update \
                WHERE TimeGenerated = fromUnixTimestamp64Milli(1700000000059, 'UTC')";
    world.wait_for(last, COMPUTERS.into()).await;
    assert_eq!(world.number("SELECT count() FROM Update").await, newest);
    first.terminate(Duration::from_secs(20)).unwrap();
}

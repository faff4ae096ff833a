//! Killed at any point, it still ends well, and nobody sees anything wrong meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use patchline_schemas::{Advisory, Update};

use crate::world::{World, advisory, package, scan};

const PACKAGES: u64 = 12;

/// Deterministic numbers (splitmix64), the same for the same seed everywhere.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        println!("SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

/// Packages of a computer; each update that is missing is one of three versions.
fn updates(random: &mut Random) -> Vec<Update<'static>> {
    let packages = (0..PACKAGES).map(|number| {
        let available = format!("1.{}", 1 + random.below(3));
        package(&format!("package-{number}"), "1.0", &available)
    });
    packages.collect::<Vec<_>>().concat()
}

/// An advisory about some packages, or none any more.
fn published(random: &mut Random) -> Advisory<'static> {
    let id = format!("USN-{}", random.below(6));
    let fixes: Vec<(String, String)> = (0..1 + random.below(4))
        .map(|_| {
            (format!("package-{}", random.below(PACKAGES)), format!("1.{}", 1 + random.below(3)))
        })
        .collect();
    let fixes: Vec<(&str, &str)> =
        fixes.iter().map(|(name, fixed)| (name.as_str(), fixed.as_str())).collect();
    let severity = ["low", "medium", "high", "critical"][random.below(4) as usize];
    Advisory { withdrawn: random.below(5) == 0, ..advisory(&id, severity, &fixes) }
}

#[tokio::test]
async fn killed_at_any_point_it_ends_well_and_readers_see_each_row_once() {
    let mut random = Random::seeded();
    let world = Arc::new(World::new("kills").await);
    let none = world.catalog();
    let computers: Vec<String> = (0..30).map(|number| format!("c{number:02}")).collect();
    let scans: Vec<_> =
        computers.iter().map(|computer| scan(computer, 0, updates(&mut random))).collect();
    world.store_all(&scans, &none).await;

    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (world, done) = (Arc::clone(&world), Arc::clone(&done));
        async move {
            let wrong = format!(
                "SELECT countIf(Count != {expected} OR Distinct != {expected} OR Empty != 0) FROM (\
                    SELECT SourceComputerId, count() AS Count, uniqExact(Product, ProductVersion) AS Distinct, \
                        countIf(Classification = '' OR ClassificationSource = '') AS Empty \
                    FROM Update GROUP BY SourceComputerId)",
                expected = 2 * PACKAGES
            );
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(world.number(&wrong).await, 0);
                let summaries = "SELECT toUInt64(count() - uniqExact(SourceComputerId, TimeGenerated)) FROM UpdateSummary";
                assert_eq!(world.number(summaries).await, 0);
                assert_eq!(
                    world.number("SELECT uniqExact(SourceComputerId) FROM Update").await,
                    30
                );
                reads += 1;
            }
            reads
        }
    });

    let mut stale = none;
    for round in 1..=6 {
        let mut reclassify = world.start();
        for _ in 0..1 + random.below(4) {
            world.publish(&published(&mut random)).await;
        }
        // Some computers scan again; the stage that judges them has not read all of it yet.
        let some = random.below(30) as usize;
        let again: Vec<_> =
            computers[..some].iter().map(|at| scan(at, round, updates(&mut random))).collect();
        if !again.is_empty() {
            world.store_all(&again, &stale).await;
        }
        stale = world.catalog();
        // Its start alone takes some of that.
        tokio::time::sleep(Duration::from_millis(random.below(900))).await;
        reclassify.kill().unwrap();
    }
    let mut reclassify = world.start();
    world.wait_until_it_agrees().await;
    done.store(true, Ordering::Relaxed);
    assert!(reader.await.unwrap() > 0);
    world.client.query("OPTIMIZE TABLE update_rows FINAL").execute().await.unwrap();
    assert_eq!(world.differences().await, Vec::<String>::new());
    reclassify.terminate(Duration::from_secs(20)).unwrap();
}

//! The intent log of one partition: which batch is being inserted, written into Kafka's own offset
//! metadata before the insert begins.
//!
//! What it guarantees: every message of the partition ends in exactly one batch whose bounds never
//! change once an insert of it may have begun, whoever inserts it and however often. Together with
//! one deduplication token a batch and table, ClickHouse then keeps each batch once.
//!
//! How: before the batch `first..=last` is inserted, `(offset = first, metadata = "i1 <last>")` is
//! committed. The next batch's intent, whose offset is `last + 1`, or a plain commit of
//! `last + 1` when nothing follows, says that the batch is complete. Whoever is assigned the
//! partition and finds an intent collects exactly that batch again and inserts it with the same tokens.
//!
//! The module is plain code: no broker, no clock, no task. [`crate::partition`] drives it, and the
//! tests drive it through random crashes, rebalances, zombies, lost answers and partial inserts.

use std::fmt;

/// A Kafka offset.
pub type Offset = i64;

/// The messages from `first` to `last`, both included; the bounds of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    /// Offset of the first message.
    pub first: Offset,
    /// Offset of the last message.
    pub last: Offset,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// What is committed for the partition: an offset with its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Where a reader of the group begins.
    pub offset: Offset,
    /// [`intent`](Commit::intent) or empty.
    pub metadata: String,
}

/// First word of an intent's metadata: the version of this format.
const INTENT: &str = "i1";

impl Commit {
    /// Announces that `range` is about to be inserted.
    #[must_use]
    pub fn intent(range: Range) -> Self {
        Self { offset: range.first, metadata: format!("{INTENT} {}", range.last) }
    }

    /// Says that everything before `next` is stored.
    #[must_use]
    pub fn completion(next: Offset) -> Self {
        Self { offset: next, metadata: String::new() }
    }

    /// The batch this commit announces, if it is an intent.
    ///
    /// # Errors
    /// The metadata is neither empty nor an intent of this version.
    pub fn announced(&self) -> Result<Option<Range>, UnknownIntent> {
        if self.metadata.is_empty() {
            return Ok(None);
        }
        self.metadata
            .strip_prefix(INTENT)
            .and_then(|rest| rest.strip_prefix(' '))
            .and_then(|last| last.parse::<Offset>().ok())
            .filter(|last| *last >= self.offset)
            .map(|last| Some(Range { first: self.offset, last }))
            .ok_or_else(|| UnknownIntent { commit: self.clone() })
    }
}

/// The group's committed metadata was not written by a sink of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "offset {} is committed with metadata `{}`, which this version cannot read: \
     run the version that wrote it until it has stopped cleanly, or use a consumer group of its own",
    commit.offset, commit.metadata
)]
pub struct UnknownIntent {
    commit: Commit,
}

/// What the driver does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Offer messages; close the batch when it is large or old enough.
    Collect,
    /// Commit this for the partition, then report [`PartitionLog::committed`]. Repeat it until it
    /// succeeds or the partition is gone: repeating is harmless.
    Commit(Commit),
    /// Insert the collected batch under tokens made of `range`, then report
    /// [`PartitionLog::inserted`]. Repeat it until it succeeds or the partition is gone.
    Insert {
        /// The batch.
        range: Range,
        /// An insert of it may have happened before.
        maybe_stored: bool,
    },
}

/// What becomes of an offered message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It belongs to the batch.
    Taken,
    /// It lies before the batch: already stored. Drop it.
    Behind,
    /// It lies behind the batch, which is closed now. Keep it and offer it again for the next one.
    Ahead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Taking messages from `next` on; `last` is the last one taken.
    Collecting {
        first: Option<Offset>,
        next: Offset,
    },
    /// Taking exactly the announced batch, from `next` on.
    Recollecting {
        range: Range,
        next: Offset,
    },
    Announcing {
        range: Range,
    },
    Inserting {
        range: Range,
        maybe_stored: bool,
    },
    Completing {
        next: Offset,
    },
}

/// The state of one partition while this process has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLog {
    phase: Phase,
    /// An insert succeeded that no commit has confirmed yet; its end.
    unconfirmed: Option<Offset>,
}

impl PartitionLog {
    /// Takes up the partition where `committed` left it; nothing is committed for a new one.
    ///
    /// # Errors
    /// The committed metadata is of another version.
    pub fn assigned(committed: Option<&Commit>) -> Result<Self, UnknownIntent> {
        let phase = match committed {
            None => Phase::Collecting { first: None, next: 0 },
            Some(commit) => match commit.announced()? {
                None => Phase::Collecting { first: None, next: commit.offset },
                Some(range) => Phase::Recollecting { range, next: range.first },
            },
        };
        Ok(Self { phase, unconfirmed: None })
    }

    /// Kafka has deleted everything before `low`. An announced batch that is gone altogether cannot be
    /// collected again, and no message would ever close it: it counts as complete.
    pub fn expired(&mut self, low: Offset) {
        if let Phase::Recollecting { range, .. } = self.phase
            && low > range.last
        {
            self.phase = Phase::Completing { next: low };
        }
    }

    /// What to do now.
    #[must_use]
    pub fn step(&self) -> Step {
        match self.phase {
            Phase::Collecting { .. } | Phase::Recollecting { .. } => Step::Collect,
            Phase::Announcing { range } => Step::Commit(Commit::intent(range)),
            Phase::Inserting { range, maybe_stored } => Step::Insert { range, maybe_stored },
            Phase::Completing { next } => Step::Commit(Commit::completion(next)),
        }
    }

    /// The batch is an announced one that is collected again: its bounds are given, it must not be
    /// closed by size or age.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        matches!(self.phase, Phase::Recollecting { .. })
    }

    /// Offers the message at `offset`. Offsets come in rising order, with gaps.
    pub fn offer(&mut self, offset: Offset) -> Offer {
        match &mut self.phase {
            Phase::Collecting { first, next } => {
                if offset < *next {
                    return Offer::Behind;
                }
                first.get_or_insert(offset);
                *next = offset + 1;
                Offer::Taken
            }
            Phase::Recollecting { range, next } => {
                let range = *range;
                if offset < *next {
                    return Offer::Behind;
                }
                if offset <= range.last {
                    *next = offset + 1;
                }
                if offset >= range.last {
                    self.phase = Phase::Inserting { range, maybe_stored: true };
                }
                if offset <= range.last { Offer::Taken } else { Offer::Ahead }
            }
            Phase::Announcing { .. } | Phase::Inserting { .. } | Phase::Completing { .. } => {
                Offer::Ahead
            }
        }
    }

    /// Closes the batch, because it is large or old enough. An empty one is nothing to insert: what
    /// was inserted before is then confirmed instead, if it has not been.
    pub fn close(&mut self) {
        if let Phase::Collecting { first, next } = self.phase {
            match (first, self.unconfirmed) {
                (Some(first), _) => {
                    self.phase = Phase::Announcing { range: Range { first, last: next - 1 } };
                }
                (None, Some(next)) => self.phase = Phase::Completing { next },
                (None, None) => {}
            }
        }
    }

    /// The commit that [`step`](Self::step) asked for has succeeded.
    pub fn committed(&mut self) {
        match self.phase {
            Phase::Announcing { range } => {
                self.unconfirmed = None;
                self.phase = Phase::Inserting { range, maybe_stored: false };
            }
            Phase::Completing { next } => {
                self.unconfirmed = None;
                self.phase = Phase::Collecting { first: None, next };
            }
            _ => {}
        }
    }

    /// The insert that [`step`](Self::step) asked for has succeeded, in every table.
    pub fn inserted(&mut self) {
        if let Phase::Inserting { range, .. } = self.phase {
            let next = range.last + 1;
            self.unconfirmed = Some(next);
            self.phase = Phase::Collecting { first: None, next };
        }
    }

    /// An insert failed in a way that leaves open whether it took effect.
    pub fn insert_unclear(&mut self) {
        if let Phase::Inserting { maybe_stored, .. } = &mut self.phase {
            *maybe_stored = true;
        }
    }
}

/// The deduplication token of the batch `range` for one table.
#[must_use]
pub fn token(topic: &str, partition: i32, range: Range, table: &str) -> String {
    format!("{topic}:{partition}:{range}:{table}")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use proptest::prelude::*;
    use proptest::test_runner::TestRng;

    use super::*;

    #[test]
    fn an_intent_survives_its_metadata() {
        let range = Range { first: 7, last: 9 };
        let commit = Commit::intent(range);
        assert_eq!(commit, Commit { offset: 7, metadata: "i1 9".to_owned() });
        assert_eq!(commit.announced(), Ok(Some(range)));
        assert_eq!(Commit::completion(10).announced(), Ok(None));
        for metadata in ["i2 9", "i1", "i1 x", "i1 6", "hello", "i19"] {
            let commit = Commit { offset: 7, metadata: metadata.to_owned() };
            assert!(commit.announced().is_err(), "{metadata}");
        }
    }

    #[test]
    fn a_replayed_batch_ends_where_its_intent_says_even_if_its_last_message_is_gone() {
        let mut log =
            PartitionLog::assigned(Some(&Commit::intent(Range { first: 3, last: 6 }))).unwrap();
        assert_eq!(log.offer(2), Offer::Behind);
        assert_eq!(log.offer(4), Offer::Taken);
        assert_eq!(log.offer(8), Offer::Ahead);
        let range = Range { first: 3, last: 6 };
        assert_eq!(log.step(), Step::Insert { range, maybe_stored: true });
        log.inserted();
        assert_eq!(log.offer(8), Offer::Taken);
        log.close();
        assert_eq!(log.step(), Step::Commit(Commit::intent(Range { first: 8, last: 8 })));
    }

    #[test]
    fn an_announced_batch_that_kafka_deleted_is_given_up_and_one_that_is_left_in_part_is_not() {
        let range = Range { first: 3, last: 6 };
        let log = PartitionLog::assigned(Some(&Commit::intent(range))).unwrap();
        let mut gone = log.clone();
        gone.expired(7);
        assert_eq!(gone.step(), Step::Commit(Commit::completion(7)));
        let mut left = log.clone();
        left.expired(6);
        assert_eq!(left, log);
    }

    #[test]
    fn an_idle_partition_confirms_once() {
        let mut log = PartitionLog::assigned(None).unwrap();
        log.close();
        assert_eq!(log.step(), Step::Collect);
        log.offer(5);
        log.close();
        log.committed();
        log.inserted();
        log.close();
        assert_eq!(log.step(), Step::Commit(Commit::completion(6)));
        log.committed();
        log.close();
        assert_eq!(log.step(), Step::Collect);
    }

    /// What may go wrong in a simulated run, so that a test can show that each safeguard is needed.
    #[derive(Clone, Copy)]
    struct Safeguards {
        tokens: bool,
        replay: bool,
        gone_flag: bool,
    }

    const ALL: Safeguards = Safeguards { tokens: true, replay: true, gone_flag: true };
    const TABLES: usize = 3;

    /// A process that has, or once had, the partition.
    struct Owner {
        log: PartitionLog,
        batch: Vec<Offset>,
        /// Where its consumer reads on.
        position: usize,
        /// Set by revoke under the partition's lock; the driver looks at it before every commit.
        gone: bool,
        /// Generation that its membership carries; a member that stays in the group has the newest.
        in_group: bool,
        /// An insert that was sent and whose effect has not been decided: table reached.
        in_flight: Option<(Range, Vec<Offset>, usize)>,
        crashed: bool,
    }

    struct World {
        messages: Vec<Offset>,
        committed: Option<Commit>,
        /// Rows by table and message.
        rows: [HashMap<Offset, u32>; TABLES],
        tokens: [HashMap<Range, ()>; TABLES],
        owners: Vec<Owner>,
        safeguards: Safeguards,
        trace: Vec<String>,
    }

    impl World {
        fn new(rng: &mut TestRng, safeguards: Safeguards) -> Self {
            let mut offset = 0;
            let messages = (0..30)
                .map(|_| {
                    offset += 1 + i64::from(rng.random_range(0..3_u8));
                    offset
                })
                .collect();
            let mut world = Self {
                messages,
                committed: None,
                rows: Default::default(),
                tokens: Default::default(),
                owners: Vec::new(),
                safeguards,
                trace: Vec::new(),
            };
            world.assign();
            world
        }

        /// A new owner takes the partition over from whoever had it.
        fn assign(&mut self) {
            let mut log = PartitionLog::assigned(self.committed.as_ref()).unwrap();
            if !self.safeguards.replay && log.is_replaying() {
                let next = self.committed.as_ref().unwrap().offset;
                log = PartitionLog::assigned(Some(&Commit::completion(next))).unwrap();
            }
            let from = self.committed.as_ref().map_or(0, |commit| commit.offset);
            let position = self.messages.iter().position(|offset| *offset >= from);
            self.owners.push(Owner {
                log,
                batch: Vec::new(),
                position: position.unwrap_or(self.messages.len()),
                gone: false,
                in_group: true,
                in_flight: None,
                crashed: false,
            });
        }

        fn apply(&mut self, table: usize, range: Range, batch: &[Offset]) {
            let known = self.tokens[table].insert(range, ()).is_some();
            if known && self.safeguards.tokens {
                return;
            }
            for offset in batch {
                *self.rows[table].entry(*offset).or_default() += 1;
            }
        }

        /// One move of owner `at`. `luck` decides what goes wrong.
        fn drive(&mut self, at: usize, luck: u8) {
            let current = self.owners.len() - 1;
            if let Some((range, batch, table)) = self.owners[at].in_flight.take() {
                // The server works on what it was sent, whatever became of the sender.
                if luck < 250 {
                    self.apply(table, range, &batch);
                }
                let failed = luck >= 215;
                let owner = &mut self.owners[at];
                if failed {
                    owner.log.insert_unclear();
                } else if table + 1 < TABLES {
                    if !owner.crashed {
                        owner.in_flight = Some((range, batch, table + 1));
                    }
                } else {
                    owner.log.inserted();
                    owner.batch.clear();
                }
                return;
            }
            if self.owners[at].crashed {
                return;
            }
            let gone = self.owners[at].gone && self.safeguards.gone_flag;
            match self.owners[at].log.step() {
                Step::Collect => {
                    let owner = &mut self.owners[at];
                    if gone {
                        return;
                    }
                    if luck < 40 && !owner.log.is_replaying()
                        || owner.position == self.messages.len()
                    {
                        owner.log.close();
                        return;
                    }
                    let offset = self.messages[owner.position];
                    if owner.log.offer(offset) == Offer::Taken {
                        owner.batch.push(offset);
                    }
                    if !matches!(owner.log.step(), Step::Insert { .. })
                        || owner.batch.contains(&offset)
                    {
                        owner.position += 1;
                    }
                }
                Step::Commit(commit) => {
                    if gone {
                        return;
                    }
                    // The broker looks at the member's generation, not at who owns the partition.
                    let accepted = self.owners[at].in_group && luck < 230;
                    if accepted {
                        self.trace.push(format!("{at} commits {commit:?}"));
                        self.committed = Some(commit);
                    }
                    let answered = accepted && luck < 200;
                    if answered {
                        self.owners[at].log.committed();
                    }
                }
                Step::Insert { range, .. } => {
                    if gone && at != current {
                        return;
                    }
                    self.trace.push(format!("{at} inserts {range}"));
                    let batch = self.owners[at].batch.clone();
                    self.owners[at].in_flight = Some((range, batch, 0));
                }
            }
        }

        fn done(&self) -> bool {
            let end = self.messages.last().unwrap() + 1;
            self.committed == Some(Commit::completion(end))
        }
    }

    /// Runs one random schedule to its end and says what is wrong with the tables afterwards.
    fn run(seed: u64, safeguards: Safeguards) -> Result<(), String> {
        let mut rng = TestRng::from_seed(
            prop::test_runner::RngAlgorithm::ChaCha,
            &std::array::from_fn::<u8, 32, _>(|at| seed.to_le_bytes()[at % 8]),
        );
        let mut world = World::new(&mut rng, safeguards);
        for turn in 0..20_000 {
            if world.done() {
                break;
            }
            let current = world.owners.len() - 1;
            let trouble = turn < 2_000;
            match rng.random_range(0..100_u8) {
                // The owner's process dies; what it sent to the server lives on.
                0..=1 if trouble => {
                    world.owners[current].crashed = true;
                    world.owners[current].in_group = false;
                    world.assign();
                }
                // The partition moves on while its old owner stays in the group: revoke waits for the
                // partition's lock, so no commit of the old owner is under way.
                2..=3 if trouble => {
                    world.owners[current].gone = true;
                    world.assign();
                }
                // The owner freezes and falls out of the group without noticing.
                4..=5 if trouble => {
                    world.owners[current].in_group = false;
                    world.assign();
                }
                6..=30 => {
                    let any = rng.random_range(0..world.owners.len());
                    let luck = rng.random_range(0..=255_u8);
                    world.drive(any, luck);
                }
                _ => {
                    let luck = if trouble { rng.random_range(0..=255_u8) } else { 100 };
                    world.drive(world.owners.len() - 1, luck);
                }
            }
        }
        // Stragglers: every insert that is still in flight lands.
        for at in 0..world.owners.len() {
            while world.owners[at].in_flight.is_some() {
                world.drive(at, 0);
            }
        }
        if !world.done() {
            return Err(format!("never finished: {:?}", world.committed));
        }
        for (table, rows) in world.rows.iter().enumerate() {
            let rows: BTreeMap<_, _> = rows.iter().collect();
            for offset in &world.messages {
                match rows.get(offset) {
                    Some(1) => {}
                    Some(count) => {
                        return Err(format!("{offset} is {count} times in table {table}"));
                    }
                    None => return Err(format!("{offset} is not in table {table}")),
                }
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]
        #[test]
        fn every_message_is_stored_once_whatever_happens(seed in any::<u64>()) {
            if let Err(wrong) = run(seed, ALL) {
                prop_assert!(false, "{wrong} (seed {seed})");
            }
        }
    }

    /// The simulation can see a fault: without any one safeguard, some schedule loses or doubles.
    #[test]
    fn each_safeguard_is_needed() {
        for (name, safeguards) in [
            ("tokens", Safeguards { tokens: false, ..ALL }),
            ("replay", Safeguards { replay: false, ..ALL }),
            ("gone flag", Safeguards { gone_flag: false, ..ALL }),
        ] {
            assert!(
                (0..500).any(|seed| run(seed, safeguards).is_err()),
                "no schedule needs: {name}"
            );
        }
    }
}

//! Verdicts that were found before: fleets repeat themselves.
//!
//! Two generations: what is found goes into the young one, and when that is full it becomes the old
//! one, whose own content goes, except for what was asked for again. So memory is bounded in bytes,
//! what is in use stays, and nothing is ever searched for what to drop.

use std::hash::{BuildHasher, Hash, Hasher};
use std::mem::size_of;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::{DefaultHashBuilder, HashTable};
use prometheus::IntCounter;

use crate::advice::Advice;

/// Of each of the two generations. A verdict with its key takes half a kilobyte or so, and a fleet
/// of one distribution needs some ten thousand.
const GENERATION_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What allocator and table add to an entry, about.
const OVERHEAD_BYTES: usize = 64;

/// How often the memo knew. Clones count together, over all indexes of one builder.
#[derive(Debug, Clone)]
pub struct MemoCounters {
    /// Updates whose verdict was there.
    pub hits: IntCounter,
    /// Updates whose verdict had to be found.
    pub misses: IntCounter,
}

impl Default for MemoCounters {
    fn default() -> Self {
        let counter = |name| {
            IntCounter::new(name, name).unwrap_or_else(|_| unreachable!("the names are valid"))
        };
        Self { hits: counter("memo_hits"), misses: counter("memo_misses") }
    }
}

/// What a verdict depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key<'a>(pub(crate) [&'a str; 6]);

impl Key<'_> {
    fn hash(self, hasher: &DefaultHashBuilder) -> u64 {
        let mut hasher = hasher.build_hasher();
        for part in self.0 {
            part.hash(&mut hasher);
        }
        hasher.finish()
    }

    fn bytes(self) -> usize {
        self.0.iter().map(|part| part.len()).sum()
    }
}

/// A key, its parts one after the other.
#[derive(Debug)]
struct Stored {
    text: Box<str>,
    lengths: [u32; 6],
}

impl Stored {
    fn new(key: Key<'_>) -> Self {
        let lengths = key.0.map(|part| u32::try_from(part.len()).unwrap_or(u32::MAX));
        Self { text: key.0.concat().into(), lengths }
    }

    fn is(&self, key: Key<'_>) -> bool {
        let mut rest = self.text.as_ref();
        key.0.iter().zip(&self.lengths).all(|(part, length)| {
            u32::try_from(part.len()) == Ok(*length)
                && rest.strip_prefix(part).is_some_and(|after| {
                    rest = after;
                    true
                })
        })
    }
}

type Verdict = Option<Arc<Advice>>;

#[derive(Debug, Default)]
struct Generations {
    young: HashTable<(u64, Stored, Verdict)>,
    young_bytes: usize,
    old: HashTable<(u64, Stored, Verdict)>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Memo {
    generations: Mutex<Generations>,
    hasher: DefaultHashBuilder,
    bytes_max: usize,
    counters: MemoCounters,
}

impl Memo {
    pub(crate) fn new(counters: MemoCounters) -> Self {
        Self {
            generations: Mutex::default(),
            hasher: DefaultHashBuilder::default(),
            bytes_max: GENERATION_BYTES_MAX,
            counters,
        }
    }

    /// Answers each of `asked`, with `find` where the answer is not known. The lock is not held
    /// while `find` runs.
    pub(crate) fn answer<'k, T>(
        &self,
        asked: &[T],
        key: impl Fn(&T) -> Key<'k>,
        find: impl Fn(&T) -> Verdict,
    ) -> Vec<Verdict> {
        if asked.is_empty() {
            return Vec::new();
        }
        let mut answers = Vec::with_capacity(asked.len());
        let mut unknown = Vec::new();
        let lock = || self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let mut generations = lock();
        for (at, one) in asked.iter().enumerate() {
            let key = key(one);
            let hash = key.hash(&self.hasher);
            match generations.get(hash, key) {
                Some(verdict) => answers.push(verdict),
                None => {
                    answers.push(None);
                    unknown.push((at, hash));
                }
            }
        }
        drop(generations);
        self.counters.hits.inc_by(count(asked.len() - unknown.len()));
        self.counters.misses.inc_by(count(unknown.len()));
        for (at, hash) in unknown {
            let (Some(one), Some(answer)) = (asked.get(at), answers.get_mut(at)) else { continue };
            *answer = find(one);
            lock().put(hash, key(one), answer.clone(), self.bytes_max);
        }
        answers
    }
}

impl Generations {
    fn get(&mut self, hash: u64, key: Key<'_>) -> Option<Verdict> {
        let is = |entry: &(u64, Stored, Verdict)| entry.0 == hash && entry.1.is(key);
        if let Some((_, _, verdict)) = self.young.find(hash, is) {
            return Some(verdict.clone());
        }
        let entry = self.old.find_entry(hash, is).ok()?;
        let ((hash, stored, verdict), _) = entry.remove();
        let found = verdict.clone();
        self.young_bytes += bytes(key, &verdict);
        self.young.insert_unique(hash, (hash, stored, verdict), |entry| entry.0);
        Some(found)
    }

    fn put(&mut self, hash: u64, key: Key<'_>, verdict: Verdict, bytes_max: usize) {
        let is = |entry: &(u64, Stored, Verdict)| entry.0 == hash && entry.1.is(key);
        if self.young.find(hash, is).is_some() {
            return;
        }
        if self.young_bytes > bytes_max {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes(key, &verdict);
        self.young.insert_unique(hash, (hash, Stored::new(key), verdict), |entry| entry.0);
    }
}

/// What an entry takes, about.
fn bytes(key: Key<'_>, verdict: &Verdict) -> usize {
    let texts = verdict.as_ref().map_or(0, |advice| {
        let texts = [
            &advice.advisory_ids,
            &advice.msrc_severity,
            &advice.msrc_bulletin_id,
            &advice.bulletin_id,
            &advice.bulletin_url,
            &advice.cve_numbers,
            &advice.package_severity,
            &advice.reboot_behavior,
        ];
        size_of::<Advice>() + texts.iter().map(|text| text.capacity()).sum::<usize>()
    });
    key.bytes() + texts + size_of::<(u64, Stored, Verdict)>() + OVERHEAD_BYTES
}

fn count(updates: usize) -> u64 {
    u64::try_from(updates).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn ask(memo: &Memo, names: &[&'static str], found: &Cell<usize>) -> Vec<String> {
        let find = |name: &&'static str| {
            found.set(found.get() + 1);
            Some(Arc::new(Advice { advisory_ids: (*name).to_owned(), ..Advice::default() }))
        };
        let answers = memo.answer(names, |name| Key([name, "", "", "", "", ""]), find);
        answers.into_iter().map(|advice| advice.unwrap().advisory_ids.clone()).collect()
    }

    #[test]
    fn what_was_found_once_is_not_looked_for_again() {
        let memo = Memo::new(MemoCounters::default());
        let found = Cell::new(0);
        assert_eq!(ask(&memo, &["a", "b", "a"], &found), ["a", "b", "a"]);
        assert_eq!(ask(&memo, &["b", "c"], &found), ["b", "c"]);
        // The second `a` was asked for before the first one was answered.
        assert_eq!((found.get(), memo.counters.hits.get(), memo.counters.misses.get()), (4, 1, 4));
    }

    #[test]
    fn keys_differ_by_where_their_parts_end() {
        let memo = Memo::new(MemoCounters::default());
        let keys = [["ab", "c"], ["a", "bc"], ["abc", ""], ["", "abc"]];
        let key = |[one, two]: &[&'static str; 2]| Key([one, two, "", "", "", ""]);
        let find = |[one, _]: &[&str; 2]| {
            Some(Arc::new(Advice { advisory_ids: (*one).to_owned(), ..Advice::default() }))
        };
        for _ in 0..2 {
            let answers = memo.answer(&keys, key, find);
            let ids: Vec<_> =
                answers.iter().map(|a| a.as_ref().unwrap().advisory_ids.clone()).collect();
            assert_eq!(ids, ["ab", "a", "abc", ""]);
        }
        assert_eq!(memo.counters.misses.get(), 4);
    }

    #[test]
    fn memory_is_bounded_and_what_is_in_use_stays() {
        let mut memo = Memo::new(MemoCounters::default());
        memo.bytes_max = 100 * bytes(Key(["1000", "", "", "", "", ""]), &None);
        let found = Cell::new(0);
        let find = |_: &String| {
            found.set(found.get() + 1);
            None
        };
        for round in 0..2_000 {
            let name = vec![format!("{round}")];
            memo.answer(&name, |_| Key([name[0].as_str(), "", "", "", "", ""]), find);
            memo.answer(&name, |_| Key(["0", "", "", "", "", ""]), find);
        }
        let generations = memo.generations.lock().unwrap();
        let kept = generations.young.len() + generations.old.len();
        assert!((100..=220).contains(&kept), "{kept}");
        assert_eq!(found.get(), 2_000, "`0` was looked for once");
    }
}

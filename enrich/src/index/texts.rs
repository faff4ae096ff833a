//! Texts kept once each, behind numbers of four bytes.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// Texts in one block of memory, each once, by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Texts {
    text: String,
    ends: Vec<usize>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

/// The number of no text.
pub(crate) const NONE: u32 = u32::MAX;

/// The number of the thing that would be added next to `count` others. Memory ends before numbers do.
pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(NONE)
}

/// The index that a number is.
pub(crate) fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Texts {
    /// The number of `text`, a new one if it has none.
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        if let Some(found) =
            self.numbers.find(hash, |&one| get(&self.text, &self.ends, one) == text)
        {
            return *found;
        }
        let new = number(self.ends.len());
        self.text.push_str(text);
        self.ends.push(self.text.len());
        self.numbers.insert_unique(hash, new, |&one| {
            self.hasher.hash_one(get(&self.text, &self.ends, one))
        });
        new
    }

    /// The number of `text`, if it has one.
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        self.numbers.find(hash, |&one| get(&self.text, &self.ends, one) == text).copied()
    }

    /// The text behind `number`; empty for [`NONE`].
    pub(crate) fn get(&self, number: u32) -> &str {
        get(&self.text, &self.ends, number)
    }

    /// The number of texts.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Gives back what only finding and adding need.
    pub(crate) fn seal(&mut self) {
        self.numbers = HashTable::new();
        self.shrink();
    }

    /// Gives back what was allocated in advance.
    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

fn get<'t>(text: &'t str, ends: &[usize], number: u32) -> &'t str {
    let number = at(number);
    let Some(&end) = ends.get(number) else { return "" };
    let begin = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    text.get(begin..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_and_a_number_one_text() {
        let mut texts = Texts::default();
        let numbers: Vec<u32> = ["a", "", "bc", "a", ""].map(|text| texts.intern(text)).to_vec();
        assert_eq!(numbers, [0, 1, 2, 0, 1]);
        assert_eq!([0, 1, 2, NONE].map(|number| texts.get(number)), ["a", "", "bc", ""]);
        assert_eq!((texts.find("bc"), texts.find("b")), (Some(2), None));
        texts.seal();
        assert_eq!((texts.get(2), texts.len()), ("bc", 3));
    }
}

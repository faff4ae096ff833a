//! The catalog that counts now.

use std::sync::{Arc, PoisonError, RwLock};

use crate::index::Index;

/// Holds the catalog that is in use, and changes it as a whole: who has taken one keeps it for as long
/// as needed, and who asks next has the new one. Cheap to clone; clones hold the same.
#[derive(Clone)]
pub struct Current(Arc<RwLock<Arc<Index>>>);

impl Current {
    /// Begins with `catalog`.
    #[must_use]
    pub fn new(catalog: Arc<Index>) -> Self {
        Self(Arc::new(RwLock::new(catalog)))
    }

    /// The catalog in use.
    #[must_use]
    pub fn get(&self) -> Arc<Index> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `catalog` in its place.
    pub fn set(&self, catalog: Arc<Index>) {
        // What was there is dropped outside of the lock; a large one takes a while.
        let former = {
            let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, catalog)
        };
        drop(former);
    }
}

//! The keys that come most often, in bounded memory: Space-Saving (Metwally, Agrawal and El Abbadi, "Efficient
//! computation of frequent and top-k elements in data streams", 2005).
//!
//! A key that is not in a full table takes the place of the one with the least count, and its count goes on from
//! there. So no count is too small, and none is larger than the true one by more than its `error`, which is at most
//! the number of all occurrences divided by the number of entries.
//!
//! The paper finds the least count in a list of buckets. Here a cursor goes round the counts, which lie side by
//! side: it usually stands at one of the least already, because those it has passed were raised.

/// What a table needs of where its entries are kept for others to read.
pub(super) trait Shown {
    /// An entry has this count now.
    fn count(&self, entry: usize, count: u64);
    /// An entry belongs to another key now. It has no name yet.
    fn replace(&self, entry: usize, hash: u64, row: usize, count: u64, error: u64);
    /// An entry's name.
    fn name(&self, entry: usize, name: &str);
}

/// Places in the index for each entry: few keys collide.
const INDEX_PER_ENTRY: usize = 8;
const FREE: u16 = 0;

/// One table, of one thread.
#[derive(Debug)]
pub(super) struct SpaceSaving {
    hashes: Vec<u64>,
    counts: Vec<u64>,
    named: Vec<bool>,
    /// For a hash the entry plus one, with linear probing.
    index: Vec<u16>,
    capacity: usize,
    least: u64,
    cursor: usize,
}

impl SpaceSaving {
    /// A table with the entries that are there already: hash, count, and whether it has a name.
    pub(super) fn with(
        capacity: usize,
        entries: impl IntoIterator<Item = (u64, u64, bool)>,
    ) -> Self {
        let places = capacity.saturating_mul(INDEX_PER_ENTRY).next_power_of_two();
        let mut table = Self {
            hashes: Vec::with_capacity(capacity),
            counts: Vec::with_capacity(capacity),
            named: Vec::with_capacity(capacity),
            index: vec![FREE; places],
            capacity,
            least: 0,
            cursor: 0,
        };
        for (hash, count, is_named) in entries.into_iter().take(capacity) {
            table.push(hash, count, is_named);
        }
        table
    }

    /// Counts a key. `name` is asked for when the key comes into a table with room, or for the second time: in a
    /// flood of keys that come once, none is named.
    #[inline]
    pub(super) fn add(
        &mut self,
        hash: u64,
        row: usize,
        shown: &impl Shown,
        name: impl FnOnce() -> Option<String>,
    ) {
        let entry = match self.find(hash) {
            Some(entry) => {
                let Some(count) = self.counts.get_mut(entry) else { return };
                *count = count.wrapping_add(1);
                shown.count(entry, *count);
                if self.named.get(entry).is_some_and(|&is_named| is_named) {
                    return;
                }
                entry
            }
            None if self.hashes.len() < self.capacity => {
                let entry = self.push(hash, 1, false);
                shown.replace(entry, hash, row, 1, 0);
                entry
            }
            None => return self.displace(hash, row, shown),
        };
        if let Some(name) = name() {
            shown.name(entry, &name);
            if let Some(is_named) = self.named.get_mut(entry) {
                *is_named = true;
            }
        }
    }

    fn displace(&mut self, hash: u64, row: usize, shown: &impl Shown) {
        let entry = self.find_least();
        let Some(old) = self.hashes.get(entry).copied() else { return };
        self.remove(old);
        let count = self.least.wrapping_add(1);
        self.set(entry, hash, count);
        self.insert(hash, entry);
        shown.replace(entry, hash, row, count, self.least);
    }

    fn push(&mut self, hash: u64, count: u64, is_named: bool) -> usize {
        let entry = self.hashes.len();
        self.hashes.push(hash);
        self.counts.push(count);
        self.named.push(is_named);
        self.insert(hash, entry);
        entry
    }

    fn set(&mut self, entry: usize, hash: u64, count: u64) {
        let parts =
            (self.hashes.get_mut(entry), self.counts.get_mut(entry), self.named.get_mut(entry));
        if let (Some(own), Some(counted), Some(is_named)) = parts {
            (*own, *counted, *is_named) = (hash, count, false);
        }
    }

    /// An entry with the least count, which becomes `least`.
    fn find_least(&mut self) -> usize {
        loop {
            let is_least = |&count: &u64| count <= self.least;
            let (passed, ahead) = self.counts.split_at(self.cursor.min(self.counts.len()));
            let found =
                ahead.iter().position(is_least).map(|place| place.wrapping_add(passed.len()));
            if let Some(entry) = found.or_else(|| passed.iter().position(is_least)) {
                self.cursor = entry;
                return entry;
            }
            self.least = self.counts.iter().copied().min().unwrap_or_default();
        }
    }

    #[inline(always)]
    const fn home(&self, hash: u64) -> usize {
        (hash >> 32) as usize & self.index.len().wrapping_sub(1)
    }

    #[inline(always)]
    const fn next(&self, place: usize) -> usize {
        place.wrapping_add(1) & self.index.len().wrapping_sub(1)
    }

    #[inline(always)]
    fn entry_at(&self, place: usize) -> Option<usize> {
        self.index.get(place).and_then(|&entry| usize::from(entry).checked_sub(1))
    }

    #[inline(always)]
    fn find(&self, hash: u64) -> Option<usize> {
        let mut place = self.home(hash);
        while let Some(entry) = self.entry_at(place) {
            if self.hashes.get(entry) == Some(&hash) {
                return Some(entry);
            }
            place = self.next(place);
        }
        None
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most 4,000 entries")]
    fn insert(&mut self, hash: u64, entry: usize) {
        let mut place = self.home(hash);
        while self.entry_at(place).is_some() {
            place = self.next(place);
        }
        if let Some(slot) = self.index.get_mut(place) {
            *slot = entry.wrapping_add(1) as u16;
        }
    }

    /// Frees the place of a hash, and moves those behind it up that would no longer be found.
    fn remove(&mut self, hash: u64) {
        let mut free = self.home(hash);
        while self.entry_at(free).is_some_and(|entry| self.hashes.get(entry) != Some(&hash)) {
            free = self.next(free);
        }
        let mut place = free;
        loop {
            place = self.next(place);
            let Some(entry) = self.entry_at(place) else { break };
            let home = self.home(self.hashes.get(entry).copied().unwrap_or_default());
            let mask = self.index.len().wrapping_sub(1);
            // Whether its home lies at or before the free place, going round.
            let is_reached = place.wrapping_sub(home) & mask >= place.wrapping_sub(free) & mask;
            if is_reached {
                let moved = self.index.get(place).copied().unwrap_or(FREE);
                if let Some(slot) = self.index.get_mut(free) {
                    *slot = moved;
                }
                free = place;
            }
        }
        if let Some(slot) = self.index.get_mut(free) {
            *slot = FREE;
        }
    }
}

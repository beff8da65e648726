//! The two words of a slot, six bits each: `F = key 2 | generation 4`, `S = kind 2 | generation 4`.

/// A key's name, from 1; 0 is the fingerprint of a slot that was never written.
pub(crate) type Key = u8;

/// How many bits a packed [`Tag`] or [`Word`] takes.
pub(crate) const HALF_BITS: u32 = 6;
/// How many bits a generation takes. The model never wraps it by itself (see `checked`).
pub(crate) const GENERATION_BITS: u32 = 4;

const GENERATIONS: u8 = 1 << GENERATION_BITS;

/// The word F: whose the slot is, and by which claim.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tag(u8);

impl Tag {
    pub(crate) fn new(key: Key, generation: u8) -> Self {
        Self(key << GENERATION_BITS | checked(generation))
    }

    pub(crate) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    pub(crate) fn key(self) -> Key {
        self.0 >> GENERATION_BITS
    }

    pub(crate) fn generation(self) -> u8 {
        self.0 & (GENERATIONS - 1)
    }
}

/// What the word S says. With a limit of 1, LIVE has two faces: a budget to give, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Free,
    /// LIVE with its debt paid off: its own key may spend again, any other key may claim the slot.
    Expired,
    /// LIVE or BLOCKED with nothing left: its own key is denied, any other key keeps off.
    Spent,
    /// An insertion in progress. The stamp is left out: two clocks may tie, so it proves nothing.
    Trans,
}

/// The word S: the authority on the generation.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Word(u8);

impl Word {
    pub(crate) fn new(kind: Kind, generation: u8) -> Self {
        Self((kind as u8) << GENERATION_BITS | checked(generation))
    }

    pub(crate) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0 >> GENERATION_BITS {
            0 => Kind::Free,
            1 => Kind::Expired,
            2 => Kind::Spent,
            _ => Kind::Trans,
        }
    }

    pub(crate) fn generation(self) -> u8 {
        self.0 & (GENERATIONS - 1)
    }

    /// The same claim gone further: what every transition does except a new claim.
    pub(crate) fn turned(self, kind: Kind) -> Self {
        Self::new(kind, self.generation())
    }
}

/// A generation that does not fit would make the exploration unsound, so it stops the test instead.
fn checked(generation: u8) -> u8 {
    assert!(generation < GENERATIONS, "the model ran out of generations");
    generation
}

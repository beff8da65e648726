//! The protocol with one thing done otherwise. A check that cannot fail proves nothing, so the fatal
//! departures must be caught; the harmless ones say what an implementation is free to do.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Departure {
    /// Fatal: a claim takes its generation from F, not from S, so a TRANS that was killed recurs.
    GenerationFromTag,
    /// Fatal: the lookup trusts F and S to belong together and judges a key on another key's state.
    UncheckedGeneration,
    /// Fatal: nobody looks whether the key was inserted elsewhere meanwhile.
    NoUniquenessPass,
    /// Fatal: F is swapped first and TRANS stored blindly after it, over whatever came between.
    TagFirst,
    /// Fatal: the uniqueness pass leaves a rival insertion at a higher index alive.
    RivalLeftAlive,
    /// Fatal: a rival that could not be killed is not looked at again, though it may be LIVE by now.
    NoSecondLook,
    /// Fatal: 4b expects the F that is there after 4a, which may already be the next owner's.
    TagReadAfterClaim,
    /// Fatal: the pass reads the other F before 4b: what a missing store-load fence amounts to.
    PassBeforeTag,
    /// Fatal: whoever adopts an insertion completes it without a uniqueness pass of its own.
    AdoptWithoutPass,
    /// Fatal: the pass counts only entries that have budget left, as if BLOCKED were not LIVE.
    PassIgnoresSpent,
    /// Fatal: a freed slot goes back to all zero, so its generations recur.
    FreeForgetsGeneration,
    /// Fatal: a generation of one bit: the wrap that is accepted at eight bits, made likely.
    OneBitGeneration,
    /// Fatal to progress: a lookup that meets a torn pair restarts, and a crash leaves it torn.
    TornPairRestarts,
    /// Fatal to progress: the pass gives way to a torn pair as if it were LIVE, and it stays torn.
    PassFearsTornPair,
    /// Fatal to progress: a rival at a lower index is killed too, so two can keep killing each other.
    RivalsKillEachOther,
    /// Harmless: the victim's F is read after its S, but still before 4a.
    TagReadAfterWord,
    /// Harmless: after a lost 4a another victim is tried at once, without a new lookup.
    NextVictimAtOnce,
}

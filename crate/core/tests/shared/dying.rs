//! A process dies after its k-th exchange, for every k there is: what it leaves behind needs no repair.

use crate::child::{FIXED, Job, start};
use crate::figure;
use crate::place::{KINDS, Place, here, kind, open, policy};
use ratethrottle_core::shared::{Contents, Directory, Place as _};
use ratethrottle_core::{At, Encoding, Limiter, die_after};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;

const COUNT: u64 = 6;
const WINDOW_MS: u64 = 3_600_000;
/// So small that the keys of the script evict one another.
const CAPACITY: usize = 1;
const CLOCK: At = At(FIXED);

#[test]
fn whatever_the_exchange_after_which_a_process_dies_the_limit_holds() {
    let mut deaths = 0;
    for (name, ..) in KINDS {
        for k in 1.. {
            let place = Place::new();
            let held = open(&place.0, &policy(kind(name), COUNT, WINDOW_MS, CAPACITY)).unwrap();
            let figures = (name, COUNT, WINDOW_MS, CAPACITY);
            let mut child = start("dying", &place, figures, &[k]);
            let mut out = String::new();
            child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
            let status = child.wait().unwrap();
            let answered = out.matches("hot admitted").count() as u64;
            let when = format!("{name}, k = {k}");
            check(&held, answered, &when);
            assert_eq!(claimed(&place), 0, "{when}: a claim was left");
            if status.success() {
                assert!(k > 20, "{name}: only {k} exchanges");
                break;
            }
            assert_eq!(status.signal(), Some(9));
            deaths += 1;
        }
    }
    figure("deaths after the k-th exchange, every k", deaths);
}

/// What is left of the hot key's limit, and whether strangers still find a slot.
fn check(held: &Limiter, answered: u64, when: &str) {
    let hot = held.key(b"hot", Encoding::Utf8);
    let left = (0..=COUNT).filter(|_| held.allow(hot, 1, &CLOCK)).count() as u64;
    assert!(answered + left <= COUNT, "{when}: {answered} answered and {left} left");
    assert!(answered + left + 1 >= COUNT, "{when}: {answered} answered and {left} left");
    let later = At(ratethrottle_core::Nanos(FIXED.0 + 30_000_000));
    let before = held.overflows();
    // So many that every slot is wanted: one that a dead claim holds is the first to go.
    let strangers = (1..=64_u64).map(|n| held.key(&(n << 40).to_le_bytes(), Encoding::Utf8));
    for key in strangers {
        assert!(held.allow(key, 1, &later), "{when}: a stranger was refused");
    }
    assert_eq!(held.overflows(), before, "{when}: a slot was lost");
}

fn claimed(place: &Place) -> u64 {
    let found = Directory::open(&place.0, here()).unwrap().list(FIXED).unwrap();
    let claimed = found.iter().map(|entry| match &entry.contents {
        Contents::Sound(sound) => sound.tables[0].claimed,
        Contents::Unsound(why) => panic!("{why}"),
    });
    claimed.sum()
}

/// Every call, with claims, evictions and blocks. The hot key is charged three units early, so it owes
/// more than whoever is evicted.
pub(crate) fn job(job: &Job) {
    let limiter = job.limiter();
    let key = |name: &[u8]| limiter.key(name, Encoding::Utf8);
    let hot = key(b"hot");
    let charge = || {
        if limiter.allow(hot, 1, &CLOCK) {
            println!("hot admitted");
        }
    };
    die_after(job.number(0));
    (0..3).for_each(|_| charge());
    for n in 0..12_u64 {
        limiter.allow(key(&n.to_le_bytes()), 1, &CLOCK);
    }
    charge();
    limiter.check(key(b"other"), 2, &CLOCK);
    limiter.refund(key(b"other"), 1, &CLOCK);
    limiter.block(key(b"other"), 10, &CLOCK);
    limiter.reset(key(b"other"));
    limiter.peek(hot, 1, &CLOCK);
    charge();
    die_after(0);
}

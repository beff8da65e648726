//! A process dies after its k-th exchange, for every k there is: what it leaves behind needs no repair.

use crate::child::{FIXED, Job, start};
use crate::figure;
use crate::test_dir::{KINDS, TestDir, config, here, kind, open};
use ratethrottle_core::shared::{Contents, Directory, Platform as _};
use ratethrottle_core::{
    AlgorithmKind, Encoding, FixedTime, Limit, LimiterConfig, RawLimiter, die_after,
};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;

const COUNT: u64 = 6;
const WINDOW_MS: u64 = 3_600_000;
/// So small that the keys of the script evict one another.
const CAPACITY: usize = 1;
const CLOCK: FixedTime = FixedTime(FIXED);

#[test]
fn whatever_the_exchange_after_which_a_process_dies_the_limit_holds() {
    let (mut deaths, mut strange) = (0, 0);
    for (name, ..) in KINDS {
        for k in 1.. {
            let place = TestDir::new();
            let held = open(&place.0, &config(kind(name), COUNT, WINDOW_MS, CAPACITY)).unwrap();
            let figures = (name, COUNT, WINDOW_MS, CAPACITY);
            let mut child = start("dying", &place, figures, &[k]);
            let mut out = String::new();
            child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
            let status = child.wait().unwrap();
            let answered = out.matches("hot admitted").count() as u64;
            let when = format!("{name}, k = {k}");
            strange += check(&held, answered, &when);
            assert_eq!(claimed(&place), 0, "{when}: a claim was left");
            if status.success() {
                assert!(k > 20, "{name}: only {k} exchanges");
                break;
            }
            assert_eq!(status.signal(), Some(9));
            deaths += 1;
        }
    }
    // About 20,000 strangers, each taken for the moved hot key with one chance in 2^18.
    assert!(strange <= 3, "{strange} strangers were refused");
    figure("deaths after the k-th exchange, every k", deaths);
}

/// Three limits, of which the last denies every second call: what a death leaves behind is at most one call's
/// cost in each, and never less than what was answered.
#[test]
fn a_death_in_a_call_with_several_limits_leaves_at_most_that_call_charged() {
    let (mut deaths, mut partly) = (0, 0);
    for (name, ..) in KINDS {
        for k in 1.. {
            let place = TestDir::new();
            let held = open(&place.0, &several(kind(name))).unwrap();
            let mut child = start("dying_in_several", &place, (name, 1, 1, 1), &[k]);
            let mut out = String::new();
            child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
            let status = child.wait().unwrap();
            let answered = out.matches("admitted").count() as u64;
            let key = held.key(b"hot", Encoding::Utf8);
            let charged: Vec<u64> = (0..SEVERAL.len())
                .map(|index| {
                    SEVERAL[index] - held.limit_status(key, index, &CLOCK).unwrap().remaining
                })
                .collect();
            for &units in &charged {
                let when = format!("{name}, k = {k}: {answered} answered, {charged:?} charged");
                // Never less than what was answered: else the bound would not hold.
                assert!(units >= answered * COST, "{when}");
                assert!(units <= (answered + 1) * COST, "{when}");
            }
            if status.success() {
                assert_eq!(charged, [answered * COST; 3], "{name}: the script ran to its end");
                assert!(k > 6, "{name}: only {k} exchanges");
                break;
            }
            assert_eq!(status.signal(), Some(9));
            partly += u64::from(charged.iter().any(|units| *units != charged[0]));
            deaths += 1;
        }
    }
    // What the documents admit does happen: else they could promise more.
    assert!(partly > 0, "no death left some limits charged and others not");
    figure("deaths in calls with several limits, every k", deaths);
}

/// The counts of the limits; the last is used up after two of the script's calls.
const SEVERAL: [u64; 3] = [12, 9, 6];
const COST: u64 = 3;

fn several(kind: AlgorithmKind) -> LimiterConfig {
    let limits = SEVERAL.iter().zip([WINDOW_MS, WINDOW_MS * 2, WINDOW_MS * 3]);
    LimiterConfig {
        limits: limits.map(|(&count, window)| Limit::new(count, window).unwrap()).collect(),
        ..config(kind, COUNT, WINDOW_MS, 16)
    }
}

/// Five calls of three units: two are admitted, and three are charged to some limits and given back.
pub(crate) fn job_in_several(job: &Job) {
    let limiter = open(&job.directory(), &several(job.kind())).unwrap();
    let key = limiter.key(b"hot", Encoding::Utf8);
    die_after(job.number(0));
    for _ in 0..5 {
        if limiter.check(key, COST, &CLOCK).allowed {
            println!("admitted");
        }
    }
    die_after(0);
}

/// What is left of the hot key's limit, and whether new keys still find a slot.
fn check(held: &RawLimiter, answered: u64, when: &str) -> u64 {
    let hot = held.key(b"hot", Encoding::Utf8);
    let left = (0..=COUNT).filter(|_| held.allow(hot, 1, &CLOCK)).count() as u64;
    assert!(answered + left <= COUNT, "{when}: {answered} answered and {left} left");
    assert!(answered + left + 1 >= COUNT, "{when}: {answered} answered and {left} left");
    let later = FixedTime(ratethrottle_core::Nanos(FIXED.0 + 30_000_000));
    let before = held.overflows();
    // So many that every slot is wanted: one that a dead claim holds is the first to go.
    let new_keys = (1..=64_u64).map(|n| held.key(&(n << 40).to_le_bytes(), Encoding::Utf8));
    let refused = new_keys.filter(|key| !held.allow(*key, 1, &later)).count() as u64;
    assert_eq!(held.overflows(), before, "{when}: a slot was lost");
    // A slot that stayed lost would refuse many.
    assert!(refused <= 1, "{when}: {refused} strangers were refused");
    refused
}

fn claimed(place: &TestDir) -> u64 {
    let found = Directory::open(&place.0, here()).unwrap().list(FIXED).unwrap();
    let claimed = found.iter().map(|entry| match &entry.contents {
        Contents::Valid(sound) => sound.tables[0].claimed,
        Contents::Invalid(why) => panic!("{why}"),
    });
    claimed.sum()
}

/// Every call, with claims, evictions and blocks. The hot key is charged three units early, so it owes
/// more than the evicted keys.
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

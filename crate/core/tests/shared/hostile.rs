//! Arbitrary bytes: in a label they are refused or describe a table that exists; in a table they are
//! decided on, in bounded time and inside its own memory.

use crate::test_dir::{KINDS, TestDir, config, open};
use crate::{asked, figure};
use ratethrottle_core::shared::{FileHeader, HEADER_BYTES};
use ratethrottle_core::{Encoding, Monotonic, RawLimiter};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

/// splitmix64: every failure can be repeated from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }
}

#[test]
fn labels_of_any_bytes_are_refused_or_sound() {
    let place = TestDir::new();
    drop(open(&place.0, &config(KINDS[0].1, 10, 1_000, 100)).unwrap());
    let good = fs::read(place.file()).unwrap()[..HEADER_BYTES].to_vec();
    let mut random = Random(1);
    let rounds = asked("PROVE_LABELS", 20_000);
    let mut accepted = 0;
    for _ in 0..rounds {
        let mut page = good.clone();
        match random.below(4) {
            0 => page.iter_mut().for_each(|byte| *byte = random.next().to_le_bytes()[0]),
            1 => page.truncate(random.below(HEADER_BYTES + 1)),
            _ => {
                for _ in 0..=random.below(8) {
                    let at = random.below(page.len() / 8) * 8;
                    let word = [0, 1, u64::MAX, 1 << 63, random.next()][random.below(5)];
                    page[at..at + 8].copy_from_slice(&word.to_ne_bytes());
                }
            }
        }
        if let Ok(label) = FileHeader::read(&page) {
            accepted += 1;
            assert!(label.page().is_some());
        }
    }
    figure("mutated labels read", rounds);
    println!("{accepted} of them unchanged where it counts");
}

#[test]
fn tables_of_any_bytes_are_decided_on() {
    let decisions = asked("PROVE_HOSTILE", 20_000);
    let mut random = Random(2);
    for (name, kind, _) in KINDS {
        for fill in 0..6 {
            let place = TestDir::new();
            let config = config(kind, 5, 1_000, 64);
            let limiter = open(&place.0, &config).unwrap();
            let file = OpenOptions::new().write(true).open(place.file()).unwrap();
            let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
            for at in (HEADER_BYTES..length).step_by(8) {
                let word = match fill {
                    0 => random.next(),
                    1 => u64::MAX,
                    2 => random.next() | 2 << 62,
                    3 => random.next() & !(3 << 62) | 1 << 62,
                    4 => 0xc0ff_ffff_ffff_ffff,
                    _ => random.next() & 0xff,
                };
                file.write_at(&word.to_ne_bytes(), at as u64).unwrap();
            }
            ask(&limiter, decisions / 30, &mut random);
            let words = (length - HEADER_BYTES) / 8;
            std::thread::scope(|scope| {
                scope.spawn(|| ask(&limiter, decisions / 30, &mut Random(3)));
                for _ in 0..decisions / 30 {
                    let at = HEADER_BYTES + random.below(words) * 8;
                    file.write_at(&random.next().to_ne_bytes(), at as u64).unwrap();
                }
            });
            assert!(limiter.is_current(), "{name}");
        }
    }
    figure("decisions on tables of arbitrary bytes", 2 * decisions);
}

fn ask(limiter: &RawLimiter, calls: u64, random: &mut Random) {
    for _ in 0..calls {
        let key = limiter.key(&(random.next() % 50).to_le_bytes(), Encoding::Utf8);
        match random.below(12) {
            0 => limiter.reset(key),
            1 => limiter.refund(key, 1, &Monotonic),
            2 => {
                limiter.block(key, 10, &Monotonic);
            }
            3 => {
                limiter.peek(key, 2, &Monotonic);
            }
            4 => {
                limiter.check(key, random.next() % 7, &Monotonic);
            }
            _ => {
                limiter.allow(key, 1, &Monotonic);
            }
        }
    }
}

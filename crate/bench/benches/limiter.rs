//! `cargo bench -p ratethrottle-bench`: one call of each kind, with one hot key and with many keys.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ratethrottle_core::{AlgorithmKind, Limiter, LimiterBuilder};
use std::hint::black_box;
use std::time::Duration;

const KEYS: u64 = 1_000_000;

fn builder(algorithm: AlgorithmKind) -> LimiterBuilder {
    Limiter::builder().limit(1_000, Duration::from_secs(60)).algorithm(algorithm)
}

fn admit(c: &mut Criterion) {
    let mut group = c.benchmark_group("allow, one key");
    for &algorithm in AlgorithmKind::ALL {
        let limiter = builder(algorithm).capacity(1_000).build().unwrap();
        let name = BenchmarkId::from_parameter(algorithm.name());
        group.bench_function(name, |b| b.iter(|| limiter.allow(black_box("user:42"))));
    }
    group.finish();
}

fn check(c: &mut Criterion) {
    let limiter = builder(AlgorithmKind::TokenBucket).capacity(1_000).build().unwrap();
    c.bench_function("check, one key", |b| b.iter(|| limiter.check(black_box("user:42"))));
}

fn many_keys(c: &mut Criterion) {
    let limiter = builder(AlgorithmKind::TokenBucket).capacity(1_000_000).build().unwrap();
    let mut key = 0_u64;
    c.bench_function("allow, a million keys", |b| {
        b.iter(|| {
            // A full-period step: every key in turn, in an order that no cache can predict.
            key = key.wrapping_add(618_033) % KEYS;
            limiter.allow(black_box(key).to_le_bytes())
        });
    });
}

fn several_limits(c: &mut Criterion) {
    let limiter = builder(AlgorithmKind::TokenBucket)
        .limit(100_000, Duration::from_secs(3_600))
        .capacity(1_000)
        .build()
        .unwrap();
    c.bench_function("check, two limits", |b| b.iter(|| limiter.check(black_box("user:42"))));
}

criterion_group!(benches, admit, check, many_keys, several_limits);
criterion_main!(benches);

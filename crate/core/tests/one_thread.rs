//! A limiter that only one thread uses exchanges words without a lock, and decides as any other.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use proptest::prelude::*;
use ratethrottle_core::{
    AlgorithmKind, Encoding, FixedTime, Limit, LimiterConfig, Nanos, RawLimiter,
};

fn config(kind: AlgorithmKind, limits: usize) -> LimiterConfig {
    let all = [Limit::new(5, 1_000).unwrap(), Limit::new(8, 3_000).unwrap()];
    LimiterConfig { limits: all[..limits].to_vec(), algorithm: kind, block_for_ms: 0, capacity: 20 }
}

proptest! {
    #[test]
    fn it_decides_as_any_other(
        kind in prop::sample::select(AlgorithmKind::ALL),
        limits in 1..=2_usize,
        calls in prop::collection::vec((0..30_u8, 0..4_u64, 0..400_u64, any::<bool>()), 1..300),
    ) {
        let alone = RawLimiter::for_one_thread(config(kind, limits)).unwrap();
        let shared = RawLimiter::new(config(kind, limits)).unwrap();
        let mut now = 7_000_000_000_000;
        for (name, cost, ms, detail) in calls {
            now += ms * 1_000_000;
            let at = FixedTime(Nanos(now));
            // Twenty keys have room, so no limiter evicts, and the secrets make no difference.
            let name = [name % 20];
            let keys = [alone.key(&name, Encoding::Utf8), shared.key(&name, Encoding::Utf8)];
            if detail {
                prop_assert_eq!(alone.check(keys[0], cost, &at), shared.check(keys[1], cost, &at));
            } else {
                prop_assert_eq!(alone.allow(keys[0], cost, &at), shared.allow(keys[1], cost, &at));
            }
        }
    }
}

//! A test of threads says something only if they met.

/// Repeats until the threads have been seen to collide, where the build can tell.
pub(crate) fn until_contended(run: impl Fn()) {
    #[cfg(feature = "probe")]
    {
        let before = ratethrottle_core::lost_exchanges();
        for _ in 0..50 {
            run();
            if ratethrottle_core::lost_exchanges() > before {
                return;
            }
        }
        panic!("the threads never met: nothing has been proved");
    }
    #[cfg(not(feature = "probe"))]
    run();
}

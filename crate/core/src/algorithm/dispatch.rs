//! Turns the table of algorithms in `mod.rs` into enums, and calls of an enum into calls of its variant.
//!
//! A predictable branch is cheaper than a virtual call and keeps the whole step visible to the optimiser.

/// Calls the same method on whichever variant it is.
macro_rules! each {
    ({ $($Variant:ident),+ }, $self:ident.$method:ident $arguments:tt) => {
        match $self {
            $(Self::$Variant(algorithm) => algorithm.$method $arguments),+
        }
    };
}

/// Implements methods of a trait by calling those of the variant.
macro_rules! forward {
    ($variants:tt: $(
        $(#[$attribute:meta])*
        fn $method:ident($($argument:ident: $Type:ty),*) $(-> $Result:ty)?;
    )+) => {
        $(
            $(#[$attribute])*
            fn $method(&self, $($argument: $Type),*) $(-> $Result)? {
                each!($variants, self.$method($($argument),*))
            }
        )+
    };
}

/// The steps of [`Algorithm`](super::Algorithm) for an enum.
macro_rules! forward_algorithm {
    ({ $($Variant:ident),+ }) => {
        #[inline(always)]
        fn with<T: AlgorithmTask>(&self, task: T) -> T::Output {
            match self {
                $(Self::$Variant(algorithm) => task.run(algorithm)),+
            }
        }
        forward! { { $($Variant),+ }:
            fn overflow_bucket(limit: Limit) -> Self::OverflowBucket;
            #[inline(always)]
            fn admit(state: State<'_>, now: Nanos, cost: u64) -> Option<u64>;
            #[inline(always)]
            fn admit_between(state: State<'_>, range: TimeRange, cost: u64) -> Option<Verdict>;
            #[inline(always)]
            fn read(state: State<'_>, now: Nanos, cost: u64) -> Reading;
            #[inline(always)]
            fn read_admitted(before: State<'_>, next: u64, now: Nanos, cost: u64) -> Reading;
            fn refund(state: State<'_>, now: Nanos, units: u64) -> u64;
            fn undo(state: State<'_>, now: Nanos, receipt: u64, units: u64) -> u64;
            #[inline(always)]
            fn flush(state: State<'_>, now: Nanos);
            fn log_times(state: State<'_>, now: Nanos) -> Vec<u64>;
            fn log_value(units: u64) -> u64;
            fn debt(state: State<'_>, now: Nanos) -> Debt;
            fn lasting_us(state: State<'_>, now: Nanos) -> Option<u64>;
            fn recalled(now: Nanos, left_us: u64) -> Option<u64>;
            #[inline]
            fn max_cost() -> u64;
            #[inline(always)]
            fn epoch(now: Nanos) -> u64;
            fn epoch_ms() -> u64;
            fn script_args() -> [u64; 3];
            #[inline(always)]
            fn ring_words() -> usize;
        }
    };
}

/// The enums of all algorithms: their names, their arithmetic for one limit, and for limits that vary.
macro_rules! algorithms {
    (
        kinds { $( $(#[$kind_doc:meta])* $Kind:ident = $name:literal, $Of:ident; )+ }
        arithmetic { $( $(#[$doc:meta])* $Variant:ident; )+ }
    ) => {
        /// How requests are counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum AlgorithmKind {
            $( $(#[$kind_doc])* $Kind, )+
        }

        impl AlgorithmKind {
            /// Every algorithm. The position is its number in a shared file.
            pub const ALL: &[Self] = &[$(Self::$Kind),+];

            /// The name in options.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Kind => $name),+
                }
            }

            /// The arithmetic of one limit, or why its state does not fit the word.
            pub(crate) fn arithmetic(self, limit: Limit) -> Result<AnyAlgorithm, Error> {
                Ok(match self {
                    $(Self::$Kind => AnyAlgorithm::$Of($Of::new(limit)?)),+
                })
            }

            /// The arithmetic of a limit on words that other limits share; a log has rings of `ring` cells.
            #[cfg(not(loom))]
            pub(crate) fn varying(self, limit: Limit, ring: u64) -> Result<AnyVarying, Error> {
                Ok(match self {
                    $(Self::$Kind => AnyVarying::$Of($Of::varying(limit, ring)?)),+
                })
            }
        }

        /// The arithmetic of one validated limit, whichever its algorithm.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum AnyAlgorithm {
            $( $(#[$doc])* $Variant($Variant), )+
        }

        impl Algorithm for AnyAlgorithm {
            type OverflowBucket = Gcra;
            forward_algorithm!({ $($Variant),+ });
        }

        /// The same on words without their mark, see [`Varying`].
        #[cfg(not(loom))]
        #[derive(Clone, Debug)]
        pub(crate) enum AnyVarying {
            $( $Variant($Variant<true>), )+
        }

        #[cfg(not(loom))]
        impl Algorithm for AnyVarying {
            type OverflowBucket = Gcra<true>;
            forward_algorithm!({ $($Variant),+ });
        }

        #[cfg(not(loom))]
        impl VaryingAlgorithm for AnyVarying {
            forward! { { $($Variant),+ }:
                fn used(state: State<'_>, now: Nanos) -> u64;
                fn add_used(state: State<'_>, now: Nanos, more: u64) -> u64;
                fn is_exhausted(value: u64, now: Nanos, logged: u64) -> bool;
                fn logged(state: State<'_>, now: Nanos) -> u64;
                fn has_mark() -> bool;
                fn may_be_exhausted(used: u64) -> bool;
                fn stamp(now: Nanos) -> u64;
                fn idle_ms(state: State<'_>, now: Nanos) -> u64;
                fn price(units: u64) -> u64;
                fn max_used() -> u64;
            }
        }
    };
}

// Lines of the shield that are broken on purpose: of its core, and of its TypeScript layer.

const of = (names) => names.map((name) => `__test__/shield/${name}.test.ts`)
const CORE = 'crate/core/src/shield'

export const RUST_SHIELD = [
  {
    name: 'shield: a mark counts whoever it was made for',
    file: `${CORE}/marks.rs`,
    from: 'if word & 0xffff == owner { word } else { 0 }',
    to: 'if word & 0xffff == owner || true { word } else { 0 }',
  },
  {
    name: 'shield: a strike for each request',
    file: `${CORE}/marks.rs`,
    from: 'if last == second || count == 0xff {',
    to: 'if (last == second && false) || count == 0xff {',
  },
  {
    name: 'shield: blocks are never forgotten',
    file: `${CORE}/marks.rs`,
    from: 'self.level == 0 || now.ms > self.until_ms.saturating_add(FORGIVEN_AFTER_MS)',
    to: 'self.level == 0 || (now.ms > self.until_ms.saturating_add(FORGIVEN_AFTER_MS) && false)',
  },
  {
    name: 'shield: each block is the first',
    file: `${CORE}/misconduct.rs`,
    from: 'if before.is_forgiven(now) { 1 } else { before.level.saturating_add(1) }',
    to: 'if before.is_forgiven(now) || true { 1 } else { before.level.saturating_add(1) }',
  },
  {
    name: 'shield: failures are never forgotten',
    file: `${CORE}/marks.rs`,
    from: 'const FAILURE_WINDOW_MS: u64 = 300_000;',
    to: 'const FAILURE_WINDOW_MS: u64 = 1 << 50;',
  },
  {
    name: 'shield: few failures among many requests are enough',
    file: `${CORE}/misconduct.rs`,
    from: '|| to_float(failures.count) < config.failure_share * to_float(made)',
    to: '|| to_float(failures.count) < 0.0 * config.failure_share * to_float(made)',
  },
  {
    name: 'shield: who is back too early is let in',
    file: `${CORE}/class.rs`,
    from: 'if left_ms > 0 && enforces {',
    to: 'if left_ms > 0 && enforces && false {',
  },
  {
    name: 'shield: who was not told is held to have been told',
    file: `${CORE}/misconduct.rs`,
    from: 'if !enforces {',
    to: 'if !enforces && false {',
  },
  {
    name: 'shield: a rate forgets within half a minute',
    file: `${CORE}/record.rs`,
    from: 'const RECENT_SECONDS: f32 = 60.0;',
    to: 'const RECENT_SECONDS: f32 = 30.0;',
  },
  {
    name: 'shield: threads lose counts',
    file: `${CORE}/words.rs`,
    from: 'self.word.fetch_add(n, Ordering::AcqRel).wrapping_add(n)',
    // It is stopped between the two, as on a busy machine: else the threads of a test seldom meet there.
    to: '{ let sum = self.get().wrapping_add(n); std::thread::yield_now(); self.word.store(sum, Ordering::Release); sum }',
  },
  {
    name: 'shield: two threads make two records of one source',
    file: `${CORE}/table.rs`,
    from: 'if self.is_alone {\n            return Rival::Absent;',
    to: 'if self.is_alone || true {\n            return Rival::Absent;',
  },
].map((mutant) => ({ ...mutant, tests: 'shield' }))

export const SHIELD = [
  {
    name: 'shield: watch mode refuses',
    file: 'ts/shield/guard.ts',
    from: 'isRefused === 0 || !this.#isEnforcing',
    to: 'isRefused === 0',
    tests: of(['guard']),
  },
  {
    name: 'shield: watch mode holds it against sources that they return',
    file: 'ts/shield/guard.ts',
    from: '(this.#isEnforcing ? 0 : WATCHING)',
    to: '0',
    tests: of(['outcomes']),
  },
  {
    name: 'shield: the allow list is not asked',
    file: 'ts/shield/guard.ts',
    from: 'if (this.#allow?.has(ip)) return CLEAR',
    to: 'if (this.#allow?.has(ip) && false) return CLEAR',
    tests: of(['guard', 'ratethrottle-cases']),
  },
  {
    name: 'shield: a client that was told to wait has failed',
    file: 'ts/shield/outcome.ts',
    from: 'outcome !== 408 && outcome !== 425 && outcome !== 429',
    to: 'outcome !== 408 && outcome !== 425',
    tests: of(['outcomes']),
  },
  {
    name: 'shield: all failures are on one path',
    file: 'ts/shield/guard.ts',
    from: "hasFailed ? pathHash(request.path ?? '', this.#pathSeed) : 0",
    to: '0',
    tests: of(['ratethrottle-defects', 'outcomes']),
  },
  {
    name: 'shield: logins that succeed are not counted',
    file: 'ts/shield/guard.ts',
    from: "if (!hasFailed && (!isSensitive || outcome === 'dropped')) return",
    to: 'if (!hasFailed) return',
    tests: of(['outcomes']),
  },
  {
    name: 'shield: who was not drawn is told that it misbehaved',
    file: 'ts/shield/guard.ts',
    from: 'isLot === 1 ? 503 : 429',
    to: '429',
    tests: of(['outcomes']),
  },
  {
    name: 'shield: a guard that was closed goes on',
    file: 'ts/shield/guard.ts',
    from: 'this.#isClosed = true',
    to: '',
    tests: of(['guard']),
  },
  {
    name: 'shield: durations have no upper bound',
    file: 'ts/shield/options.ts',
    from: 'if (ms <= most) return ms',
    to: 'if (ms <= most || true) return ms',
    tests: of(['options']),
  },
  {
    name: 'shield: the longest block comes first',
    file: 'ts/shield/options.ts',
    from: 'insistenceBlocks: [...insistence.block],',
    to: 'insistenceBlocks: [...insistence.block].reverse(),',
    tests: of(['traps']),
  },
  {
    name: 'shield: top takes newcomers for regulars',
    file: 'ts/shield/reading.ts',
    from: 'isRegular: regular === 1,',
    to: 'isRegular: regular === 0,',
    tests: of(['guard']),
  },
]

import { defineConfig } from 'vitest/config'

const { RATETHROTTLE_LONG } = process.env
/**
 * Attacks on real servers, the whole range of them in virtual time, the tools of bench/, and valgrind, which keep a
 * processor busy for minutes: npm run prove:long. And what asks Prometheus or drives Chromium, which are large:
 * npm run prove:prometheus, npm run prove:page.
 */
const LONG = [
  '__test__/shield/http/auto.test.ts',
  '__test__/shield/http/botnet.test.ts',
  '__test__/project/bench.test.ts',
  '__test__/bench/range.test.ts',
  '__test__/native/valgrind.test.ts',
  '__test__/insight/formats/prometheus-server.test.ts',
  '__test__/insight/page/in-browser-*.test.ts',
  '__test__/insight/wiring/hosts-cluster.test.ts',
]
const LONG_ONLY = RATETHROTTLE_LONG === '1' ? [] : LONG

/**
 * Tests load the built package by its own name, as its users do, so they also prove what is shipped. Modules that
 * no entry point exports are tested alone: tests of `client-ip/`, `limit/` and `validate.ts` import them from
 * `ts/`, and a few other tests load a file of `dist/`.
 */
export default defineConfig({
  test: {
    include: ['__test__/**/*.test.ts'],
    // Installs packages, and has a configuration of its own: npm run test:package
    exclude: ['__test__/package/**', ...LONG_ONLY],
    // A crash of the addon ends one file's process, not the run.
    pool: 'forks',
    // Most of their time tests wait for servers, clocks and other processes.
    maxWorkers: 6,
    server: { deps: { external: [/\/dist\//, /\/crate\/napi\//] } },
    // The long forms do fifty times as much.
    testTimeout: RATETHROTTLE_LONG === '1' ? 900_000 : 120_000,
    hookTimeout: 120_000,
    // As PATIENCE of __test__/fixtures/patience.ts: the default of a second is too short for a busy machine.
    expect: { poll: { timeout: 60_000 } },
    // No test file outlives its limit, whatever it does to the event loop or the timers.
    setupFiles: ['__test__/fixtures/watchdog.ts'],
    globalSetup: ['__test__/fixtures/leftovers.ts'],
    typecheck: {
      enabled: true,
      include: ['__test__/types/**/*.test-d.ts'],
      tsconfig: '__test__/tsconfig.json',
    },
  },
})

import { defineConfig } from 'vitest/config'

/**
 * Apart from the other tests, because it installs packages: from the network once, then from npm's cache.
 * `--mode full` takes every Node line that we support and more of TypeScript; else the oldest and the newest.
 */
export default defineConfig(({ mode }) => ({
  test: {
    include: ['__test__/package/*.test.ts'],
    globalSetup: ['__test__/package/setup.ts'],
    provide: { full: mode === 'full', nodes: mode === 'full' ? [20, 22, 24, 26] : [20, 26] },
    pool: 'forks',
    // Without this a machine of two processors has one.
    maxWorkers: 3,
    // Most of it waits for compilers and for npm, on a machine that may be busy.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
}))

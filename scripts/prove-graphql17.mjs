// The tests of GraphQL costs and refunds against graphql 17, which wants newer Nodes than we do: npm run prove:graphql17
// Installs it into a folder that is deleted at the end. Exits with 1 if a test fails.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const GRAPHQL = 'graphql@17.1.0'
const TESTS = ['cost', 'hostile', 'kept-documents', 'refund'].map(
  (name) => `__test__/graphql/${name}.test.ts`,
)

const place = mkdtempSync(join(tmpdir(), 'ratethrottle-graphql17-'))
process.once('exit', () => rmSync(place, { recursive: true, force: true, maxRetries: 3 }))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130))

process.env.RATETHROTTLE_GRAPHQL = join(place, 'node_modules', 'graphql', 'index.js')
// It hands on the environment of when it is loaded.
const { run } = await import('./recipes/project.mjs')
await run('npm', ['install', '--prefix', place, '--no-audit', '--no-fund', GRAPHQL], place)
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--typecheck.enabled=false']
const config = ['--config', '__test__/graphql/vitest.config.mts']
try {
  console.log(await run(process.execPath, [...vitest, ...config, ...TESTS], process.cwd()))
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { PAGES } from './pages.ts'
import {
  CODE,
  compiled,
  MARK,
  type Program,
  programsOf,
  runProgram,
  wrongCommands,
} from './programs.ts'

const SHELL = ['sh', 'bash', 'console']
/** Languages of which nothing is checked. */
const OTHER = ['text', 'http', 'nginx', 'yaml', 'toml', 'dockerfile', 'diff', 'sql', 'rust', 'html']

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
}
const blocks = PAGES.flatMap((page) =>
  page.blocks.map((block) => ({ ...block, place: `${page.path}:${block.line}` })),
)
const programs = PAGES.flatMap(programsOf)
/** Declarations that reach into other modules must not reach into other programs. */
const reaching = programs.filter(({ text }) => /^\s*declare (module|global)\b/m.test(text))
/** Nest has the decorators that TypeScript had first, which take the place of the standard ones. */
const decorated = programs.filter(({ text }) => /from '@nestjs\//.test(text))
const special = [...reaching, ...decorated]
const alone = programs.filter((program) => !special.includes(program))

test('every code block names its language, and uses known marks', () => {
  const known = [...CODE, ...SHELL, ...OTHER, 'json']
  const wrong = blocks.filter(({ language, mark }) => {
    if (!known.includes(language)) return true
    return CODE.includes(language) ? !MARK.test(mark) : !/^(output)?$/.test(mark)
  })
  expect(wrong.map(({ place, language, mark }) => `${place} ${language} ${mark}`)).toEqual([])
})

test('every JSON block parses', () => {
  const json = blocks.filter(({ language }) => language === 'json')
  for (const { place, code } of json) expect(() => JSON.parse(code), place).not.toThrow()
})

test('every command in a shell block exists', () => {
  const shell = blocks.filter(({ language }) => SHELL.includes(language))
  const wrong = shell.flatMap((block) =>
    wrongCommands(block.code, Object.keys(scripts)).map((said) => `${block.place}: ${said}`),
  )
  expect(wrong).toEqual([])
})

test('every command that a sentence names exists', () => {
  const wrong = PAGES.flatMap(({ path, prose }) => {
    const commands = [...prose.matchAll(/`((?:npm|npx|node) [^`\n]+)`/g)].map(
      ([, text = '']) => text,
    )
    const said = commands.flatMap((command) => wrongCommands(command, Object.keys(scripts)))
    return said.map((text) => `${path}: ${text}`)
  })
  expect(wrong).toEqual([])
})

test('every program compiles, and those marked "run" run and print what the page says', async () => {
  expect(programs.length).toBeGreaterThan(10)
  await compiled(alone, async (errors, folder) => {
    expect(errors).toEqual([])
    await runAll(alone, folder)
  })
})

test('every program with the decorators of Nest compiles', async () => {
  expect(decorated.length).toBeGreaterThan(3)
  const check = (errors: readonly string[]): void => expect(errors).toEqual([])
  await compiled(decorated, check, { experimentalDecorators: true })
})

test('every program that extends types of a framework compiles by itself', async () => {
  for (const program of reaching) {
    await compiled([program], async (errors, folder) => {
      expect(errors).toEqual([])
      await runAll([program], folder)
    })
  }
})

describe('the check of code blocks', () => {
  const page = (text: string) => {
    const lines = ['# A page', '', ...text.split('\n')]
    const code = lines.slice(lines.indexOf('```ts run') + 1, lines.lastIndexOf('```'))
    const block = { language: 'ts', mark: 'run', line: lines.indexOf('```ts run') + 1 }
    return { path: 'page.md', lines, prose: '', blocks: [{ ...block, code: code.join('\n') }] }
  }
  const IMPORT = "import { RateLimiter } from 'ratethrottle'"

  test('reports a block that does not compile, with its line on the page', async () => {
    const broken = page(`\`\`\`ts run\n${IMPORT}\nnew RateLimiter('1/hour').alow('k')\n\`\`\``)
    const errors = await compiled(programsOf(broken), (said) => said)
    expect(errors).toEqual([expect.stringMatching(/^page\.md\(5,\d+\): TS2551: .*'alow'/)])
  })

  test('reports a program that throws, also in its hidden part', async () => {
    const wrong = `${IMPORT}\nconst limiter = new RateLimiter('1/hour')`
    const hidden = page(
      `\`\`\`ts run\n${wrong}\n\`\`\`\n<!-- then\nif (limiter.allow('k')) throw 1\n-->`,
    )
    const failed = await compiled(programsOf(hidden), async (errors, folder) => {
      expect(errors).toEqual([])
      return failuresOf(programsOf(hidden), folder)
    })
    expect(failed).toEqual([expect.stringContaining('page.md:3 ended with 1')])
  })
})

async function runAll(candidates: readonly Program[], folder: string): Promise<void> {
  expect(await failuresOf(candidates, folder)).toEqual([])
}

/** Runs programs, four at a time, and returns those that fail or print something else. */
async function failuresOf(candidates: readonly Program[], folder: string): Promise<string[]> {
  const waiting = candidates.filter(({ isRun }) => isRun)
  const failed: string[] = []
  const worker = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { code, out, err } = await runProgram(next, folder)
      if (code !== 0) failed.push(`${next.name} ended with ${code}: ${err}`)
      else if (next.output !== undefined && out.trim() !== next.output.trim()) {
        failed.push(`${next.name} printed ${JSON.stringify(out)}`)
      }
    }
  }
  await Promise.all([worker(), worker(), worker(), worker()])
  return failed
}

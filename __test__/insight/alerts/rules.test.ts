import { describe, expect, it } from 'vitest'
import { FIGURES } from '../../../ts/insight/alerts/figure-names.ts'
import { readRule } from '../../../ts/insight/alerts/rule.ts'
import { pageAt } from '../../docs/pages.ts'
import { randomFor } from '../../fixtures/random.ts'

const read = (when: unknown, more: object = {}) => readRule({ when, ...more }, 'rules[0]')

describe('the language of rules', () => {
  it('reads a figure, a comparison and a number', () => {
    const { figure, threshold, windowMs, min, when } = read('  denied.share  >\t0.2 ')
    expect({ figure, threshold, windowMs, min, when }).toEqual({
      figure: 'denied.share',
      threshold: 0.2,
      windowMs: 60_000,
      min: 100,
      when: 'denied.share > 0.2',
    })
    expect(read('admitted.rate<1').threshold).toBe(1)
  })

  it.each([
    ['>', [false, false, true]],
    ['>=', [false, true, true]],
    ['<', [true, false, false]],
    ['<=', [true, true, false]],
    ['==', [false, true, false]],
  ])('compares with %s', (comparison, expected) => {
    const { holdsFor } = read(`denied.rate ${comparison} 5`)
    expect([4, 5, 6].map(holdsFor)).toEqual(expected)
  })

  it.each([
    ['denied.shar > 0.2', 'expected a figure (did you mean denied.share?) at position 0'],
    ['Denied.Share > 0.2', 'did you mean denied.share?'],
    ['store.availabel == 0', 'did you mean store.available?'],
    ['  denyed.rate > 1', 'did you mean denied.rate?) at position 2'],
    ['nonsense > 1', 'expected a figure (one of requests.rate,'],
    ['', 'at position 0'],
    ['denied.share', 'expected >, >=, <, <= or == at position 12'],
    ['denied.share = 0.2', 'at position 13'],
    ['denied.share != 0.2', 'at position 13'],
    ['denied.share > ', 'expected a number such as 0.2 at position 15'],
    ['denied.share > .2', 'expected a number such as 0.2 at position 15'],
    ['denied.share > -1', 'expected a number such as 0.2 at position 15'],
    ['denied.share > NaN', 'expected a number'],
    ['denied.rate > 1e3', 'expected the end'],
    ['denied.rate > 0x10', 'expected the end'],
    ['denied.share > 20%', 'expected the end'],
    ['denied.share > 20', 'expected a share from 0 to 1 at position 15'],
    ['store.available == 2', 'expected 0 or 1 at position 19'],
    ['denied.rate > 1 and denied.rate > 2', 'one comparison: write two rules) at position 16'],
    ['denied.rate > 1; drop', 'expected the end'],
    ['__proto__ > 1', 'expected a figure'],
    ['constructor > 1', 'expected a figure'],
    ['toString == 1', 'expected a figure'],
    ['denied.rate\n> 1', 'expected >'],
    ['denied\u200b.share > 1', 'expected a figure'],
    ['denied.share \uff1e 1', 'expected >'],
    ['denied.rate > \u0661', 'expected a number'],
    [`denied.rate > ${'1'.repeat(200)}`, 'expected at most 128 characters at position 128'],
    [`denied.rate > 1${' '.repeat(200)}`, 'expected at most 128 characters'],
  ])('refuses %j by position', (when, message) => {
    expect(() => read(when)).toThrow(message)
    expect(() => read(when)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it.each([undefined, null, 5, {}, [], () => 'denied.rate > 1', new String('denied.rate > 1')])(
    'refuses what is no text: %s',
    (when) => {
      expect(() => read(when)).toThrow(/^rules\[0\]\.when must be a rule/)
    },
  )

  it('answers to any text with a rule or an error of its own, printable and short', () => {
    const random = randomFor('hostile rules')
    const parts = [...Object.keys(FIGURES), '>', '>=', '==', '<', '=', ' ', '\t', '.', '0.2', '1']
    const hostile = [
      '\0',
      '\u001b[2J',
      '\u202e',
      '\ud800',
      '<img>',
      '"',
      '\\',
      '\n',
      '{}',
      '9'.repeat(99),
    ]
    let accepted = 0
    for (let i = 0; i < 20_000; i++) {
      const pieces = random.chance(0.5) ? parts : [...parts, ...hostile]
      const when = Array.from({ length: random.integer(0, 7) }, () => random.pick(pieces)).join('')
      try {
        const { figure, threshold } = read(when)
        expect(when).toContain(figure)
        expect(Number.isFinite(threshold)).toBe(true)
        accepted++
      } catch (error) {
        const { message, code } = error as Error & { code?: string }
        expect(code).toBe('INVALID_OPTION')
        expect(message).toMatch(/^[\x20-\x7e]{1,700}$/)
      }
    }
    expect(accepted).toBeGreaterThan(10)
  })

  it('does not read a text of 10 MB', () => {
    let isRead = false
    const text = 'denied.rate > 1'.padEnd(10_000_000, '\t ')
    const when = new Proxy(Object(text), { get: () => (isRead = true) })
    expect(() => read(text)).toThrow('at most 128 characters')
    expect(() => read(when)).toThrow('must be a rule')
    expect(isRead).toBe(false)
  })
})

describe('the rest of a rule', () => {
  it.each([
    [{ for: '1500 ms' }, 'rules[0].for must be whole seconds up to 10 minutes'],
    [{ for: '11 minutes 1 s' }, 'Invalid rules[0].for'],
    [{ for: '90 days' }, 'whole minutes up to 24 hours'],
    [{ for: 661_000 }, 'whole minutes up to 24 hours'],
    [{ for: 0 }, 'rules[0].for'],
    [{ min: -1 }, 'rules[0].min must be an integer'],
    [{ min: 1.5 }, 'rules[0].min'],
    [{ min: Number.NaN }, 'rules[0].min'],
    [{ limit: '' }, 'rules[0].limit'],
    [{ limit: 5 }, 'rules[0].limit'],
    [{ severity: 'fatal' }, 'rules[0].severity must be "info", "warning" or "critical"'],
    [{ name: 'x'.repeat(129) }, 'rules[0].name'],
    [{ treshold: 1 }, 'unknown option "treshold"'],
  ])('refuses %j', (more, message) => {
    expect(() => read('denied.share > 0.2', more)).toThrow(message)
  })

  it('refuses a limit and a least number where they mean nothing', () => {
    expect(() => read('shield.pressure == 1', { limit: 'api' })).toThrow('limit must be absent')
    expect(() => read('store.available == 0', { min: 5 })).toThrow('min must be absent')
    expect(read('store.available == 0', { limit: 'api' }).limit).toBe('api')
  })

  it('takes nothing from a polluted prototype', () => {
    const polluted = Object.create({ min: 0, limit: 'other' })
    expect(readRule(Object.assign(polluted, { when: 'denied.share > 0.2' }), 'r')).toMatchObject({
      min: 100,
      limit: undefined,
    })
  })

  it('has the same hash for the same rule, and another for another', () => {
    const rule = { when: 'denied.share > 0.2', for: '1 minute' }
    const one = readRule(rule, 'r').hash
    expect(readRule({ ...rule, for: 60_000, severity: 'critical' }, 'r').hash).toBe(one)
    for (const other of [{ for: '2 minutes' }, { limit: 'api' }, { name: 'x' }]) {
      expect(readRule({ ...rule, ...other }, 'r').hash).not.toBe(one)
    }
  })
})

it('the reference explains every figure', () => {
  const { prose } = pageAt('docs/reference/alerts.md')
  const missing = Object.keys(FIGURES).filter((name) => !prose.includes(`\`${name}\``))
  expect(missing).toEqual([])
})

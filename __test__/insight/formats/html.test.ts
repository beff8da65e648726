import { expect, it } from 'vitest'
import { toHTML } from '../../../ts/insight/formats/html.ts'
import { readHtml } from './html-reader.ts'
import { HOSTILE, report, reportOf, series, shield } from './reports.ts'

const TAGS =
  'bdi body dd div dl dt figcaption figure h1 h2 head header html main meta p path section span style svg table tbody td th thead time title tr'.split(
    ' ',
  )
const ATTRIBUTES =
  'aria-label charset class content d http-equiv lang name preserveAspectRatio role scope tabindex viewBox'.split(
    ' ',
  )

const page = (names: readonly string[]) => toHTML(reportOf(names), names.map(series))
const textOf = (html: string) =>
  readHtml(html)
    .flatMap(({ tag, text }) => (tag === undefined ? text : []))
    .join('\n')

/** A name as the page shows it: what is not seen, or turns text around, as its number. */
const visible = (name: string) =>
  name.replace(
    /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu,
    (char) => `\\u${char.codePointAt(0)?.toString(16).padStart(4, '0')}`,
  )

it('has tags and attributes of its own alone, whatever the names are', () => {
  const html = page(HOSTILE)
  const pieces = readHtml(html)
  const tags = new Set(pieces.flatMap(({ tag }) => tag ?? []))
  const attributes = new Set(pieces.flatMap((piece) => [...piece.attributes.keys()]))
  expect([...tags].sort()).toEqual(TAGS)
  expect([...attributes].sort()).toEqual(ATTRIBUTES)
  expect(pieces.filter(({ tag }) => tag === 'style')).toHaveLength(1)
})

it('shows each name as text, in the page and in the names of pictures', () => {
  const html = page(HOSTILE)
  const text = textOf(html)
  const labels = readHtml(html).flatMap(({ tag, attributes }) =>
    tag === 'svg' ? (attributes.get('aria-label') ?? '') : [],
  )
  for (const [place, name] of HOSTILE.entries()) {
    expect(text.split('\n'), JSON.stringify(name)).toContain(visible(name))
    expect(labels[place]).toMatch(/, 60 minutes: /)
    expect(labels[place]?.startsWith(visible(name))).toBe(true)
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
  expect(html).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)
})

it('asks no server for anything, and forbids scripts', () => {
  const html = page(HOSTILE)
  const policy = readHtml(html).find(({ attributes }) => attributes.has('http-equiv'))
  expect(policy?.attributes.get('content')).toBe(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
  )
  const style = /<style>([\s\S]*?)<\/style>/.exec(html)?.[1] ?? ''
  expect(style.length).toBeGreaterThan(1000)
  expect(style).not.toMatch(/url\(|@import|expression|[<>&]/i)
})

it('can be read without a picture: each chart and each table has a name', () => {
  const pieces = readHtml(page(['api', 'mail']))
  const pictures = pieces.filter(({ tag }) => tag === 'svg')
  expect(pictures).toHaveLength(2)
  for (const { attributes } of pictures) {
    expect(attributes.get('role')).toBe('img')
    expect(attributes.get('aria-label')).toMatch(
      /^(api|mail), 60 minutes: [\d,]+ admitted, [\d,]+ denied/,
    )
  }
  const frames = pieces.filter(({ attributes }) => attributes.get('class') === 'frame')
  expect(frames.map(({ attributes }) => attributes.get('aria-label'))).toEqual([
    'Limits',
    'Routes',
    'Keys that were denied most',
    'Keys that asked most',
    'Times',
    'Shields',
    'Biggest sources',
    'Stores',
  ])
})

it('has the heading of a column of numbers above the numbers', () => {
  const heads = readHtml(page(['api'])).filter(({ tag }) => tag === 'th')
  const classes = heads.map(({ attributes }) => attributes.get('class'))
  expect(classes.slice(0, 5)).toEqual(['words', 'words', 'number', 'number', 'words'])
})

it('shows an empty report, and one about a time', () => {
  const empty = textOf(toHTML(report(), []))
  expect(empty).toContain('everything until 2026-11-30 12:34:56 UTC, 1 process')
  expect(empty).toContain('None.')
  const hour = textOf(toHTML(report({ sinceMs: 5_400_000, processes: 4 }), []))
  expect(hour).toContain('1.5 hours until 2026-11-30 12:34:56 UTC, 4 processes')
  expect(hour).toContain('all other figures since the start')
  expect(empty).not.toContain('since the start')
  const sent = JSON.parse('{ "sinceMs": null }') as { sinceMs: undefined }
  expect(textOf(toHTML(report(sent), []))).toContain('everything until')
  const of = (sinceMs: number) => textOf(toHTML(report({ sinceMs }), []))
  expect([of(3_600_000), of(1)].map((text) => /1 \w+ until/.exec(text)?.[0])).toEqual([
    '1 hour until',
    '1 ms until',
  ])
})

it('draws what happened: no column where nothing did, and denied on top of admitted', () => {
  const points = [0, 1, 2].map((step) => ({
    at: step * 1000,
    admitted: [10, 0, 5][step] ?? 0,
    denied: [0, 0, 5][step] ?? 0,
    dry: 0,
    waited: 0,
  }))
  const html = toHTML(report({ shields: [shield('front')] }), [
    { limit: 'api', unit: 'second', points },
  ])
  const drawn = readHtml(html).flatMap(({ attributes }) => attributes.get('d') ?? [])
  expect(drawn).toEqual([
    'M0 120v-116h160v116zM400 120v-58h160v58z',
    'M400 62v-58h160v58z',
    'M0 120H600',
  ])
})

it('is judged by a reader that finds what is wrong', () => {
  const good = '<!doctype html><p class="a">a &amp; b</p>'
  expect(() => readHtml(good)).not.toThrow()
  for (const wrong of [
    good.replace('</p>', ''),
    good.replace('&amp;', '&'),
    good.replace('&amp;', '"'),
    good.replace('&amp;', '<'),
    good.replace('"a"', 'a'),
    good.replace('"a"', '"a" class="b"'),
  ]) {
    expect(() => readHtml(wrong), wrong).toThrow()
  }
})

/** The contrast of two colours, as WCAG 2 has it. */
function contrast(one: string, other: string): number {
  const luminance = (colour: string) => {
    const hex = colour.length === 4 ? colour.replace(/[0-9a-f]/g, '$&$&') : colour
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}

it('has the contrast of WCAG AA in light, in the dark and on paper', () => {
  const grounds = [...toHTML(report(), []).matchAll(/:root\{([^}]*)\}/g)]
  expect(grounds).toHaveLength(3)
  for (const [, properties = ''] of grounds) {
    const colours = new Map(
      [...properties.matchAll(/--(\w+):(#\w+)/g)].map(([, name, hex]) => [name, hex]),
    )
    const against = (name: string) => contrast(colours.get(name) ?? '', colours.get('ground') ?? '')
    expect(against('text')).toBeGreaterThan(7)
    expect(against('quiet')).toBeGreaterThan(4.5)
    expect(against('admitted')).toBeGreaterThan(3)
    expect(against('denied')).toBeGreaterThan(3)
  }
  expect(contrast('#fff', '#777777')).toBeCloseTo(4.48, 1)
})

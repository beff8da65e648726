import { expect, it } from 'vitest'
import { toJSON } from '../../../ts/insight/formats/json.ts'
import { HOSTILE, limit, report, reportOf, times } from './reports.ts'

it('is plain data that says what the report says', () => {
  const given = reportOf(HOSTILE)
  const data = toJSON(given)
  // What is not known is null there and undefined here.
  const known = JSON.parse(
    JSON.stringify(given, (_, value) => (value === undefined ? null : value)),
  )
  expect(JSON.parse(JSON.stringify(data))).toEqual(known)
  expect(data).toEqual(known)
})

it('has the same properties in the same order, however the report was put together', () => {
  const given = reportOf(['api'])
  const shapes = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(shapes)
      : typeof value === 'object' && value !== null
        ? Object.entries(value).map(([name, inner]) => [name, shapes(inner)])
        : null
  const reversed = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(reversed)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([name, inner]) => [name, reversed(inner)]),
          )
        : value
  const [one, other] = [toJSON(given), toJSON(reversed(given) as typeof given)]
  expect(JSON.stringify(other)).toBe(JSON.stringify(one))
  expect(shapes(other)).toEqual(shapes(one))
  expect(Object.keys(one).slice(0, 3)).toEqual(['version', 'at', 'sinceMs'])
})

it('shows nothing that a report of this version does not have', () => {
  const leaky = { ...limit('api'), _originalIdentifier: '203.0.113.7' }
  const asked = [{ key: '203.0.113.xxx', limit: 'api', count: 1, error: 0, raw: '203.0.113.7' }]
  const text = JSON.stringify(toJSON(report({ limits: [leaky], top: { asked, denied: [] } })))
  expect(text).not.toContain('203.0.113.7')
})

it('has null for a number that JSON has no word for', () => {
  const endless = times([[Number.POSITIVE_INFINITY, 1]])
  const data = toJSON(report({ times: { decision: endless, store: endless, wait: endless } }))
  expect(JSON.parse(JSON.stringify(data))).toEqual(data)
  expect(data).toHaveProperty('times.decision.cells', [{ belowMs: null, count: 1 }])
})

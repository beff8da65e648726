import { execFileSync } from 'node:child_process'
import { buildSchema, parse } from 'graphql'
import { costOf } from 'ratethrottle/graphql'
import { expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'

const schema = buildSchema('type Query { a(n: Int, first: Int): [Query] b: Int }')

it('a document is costed once, unless variables say what it costs', () => {
  const fixed = parse('query ($n: Int) { a(n: $n) { b } }')
  const first = costOf(schema, fixed)
  expect(costOf(schema, fixed, { n: 5 })).toBe(first)
  const varying = parse('query ($n: Int) { a(first: $n) { b } }')
  expect([1, 5, 1].map((n) => costOf(schema, varying, { n }).cost)).toEqual([2, 6, 2])
  // Other options, another cost.
  expect(costOf(schema, fixed, {}, { listSize: 3 }).cost).toBe(4)
  expect(costOf(schema, fixed).cost).toBe(11)
})

it('an operation of a document is not taken for another', () => {
  const document = parse('query A { b } query B { a { b } } query { b }')
  const of = (operationName: string): number => costOf(schema, document, {}, { operationName }).cost
  expect([of('A'), of('B'), of('A')]).toEqual([1, 11, 1])
})

it('a million different documents take no memory', { timeout: 300_000 }, () => {
  const program = `
    const { buildSchema, parse } = require('graphql')
    const { costOf } = require('ratethrottle/graphql')
    const schema = buildSchema('type Query { a(n: Int): Int }')
    const run = (from, to) => {
      for (let i = from; i < to; i++) {
        const text = '{ a(n: ' + i + ') }'
        if (costOf(schema, text).cost !== 1) throw new Error(text)
        if (costOf(schema, parse(text, { noLocation: true })).cost !== 1) throw new Error(text)
      }
      global.gc()
      return process.memoryUsage().heapUsed
    }
    const before = run(0, 3_000)
    console.log(run(3_000, ${byLength(6_000, 1_000_000)}) - before)`
  const out = execFileSync(process.execPath, ['--expose-gc', '--eval', program], {
    encoding: 'utf8',
  })
  expect(Number(out)).toBeLessThan(3_000_000)
})

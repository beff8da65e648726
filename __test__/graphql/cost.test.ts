import { buildSchema, parse, specifiedRules, validate } from 'graphql'
import { costOf } from 'ratethrottle/graphql'
import { expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { randomFor } from '../fixtures/random.ts'
import { Model } from './model.ts'
import { QueryMaker, queryText } from './random-query.ts'
import { randomSchema, textOf } from './random-schema.ts'

it('costs and depths are those of a slow model, for random schemas and queries', {
  timeout: 600_000,
}, () => {
  const random = randomFor('graphql costs')
  let costs = 0
  for (let i = 0; i < byLength(30, 1_000); i++) {
    const spec = randomSchema(random)
    const schema = buildSchema(textOf(spec), { assumeValid: true })
    for (let j = 0; j < 10; j++) {
      const query = new QueryMaker(random, spec, false).make()
      const text = queryText(query)
      const model = new Model(spec, query)
      const shown = `${textOf(spec)}\n${text}\n${JSON.stringify(query.given)}`
      const found = costOf(schema, parse(text), query.given)
      expect(found, shown).toEqual({ cost: model.cost(), depth: model.depth() })
      costs += found.cost
    }
  }
  expect(costs).toBeGreaterThan(1_000)
})

it('most random queries are valid', () => {
  const random = randomFor('graphql validity')
  let valid = 0
  const queries = byLength(30, 100)
  for (let i = 0; i < queries; i++) {
    const spec = randomSchema(random)
    const query = new QueryMaker(random, spec, true).make()
    const schema = buildSchema(textOf(spec), { assumeValid: true })
    if (validate(schema, parse(queryText(query)), specifiedRules).length === 0) valid++
  }
  expect(valid / queries).toBeGreaterThan(0.8)
})

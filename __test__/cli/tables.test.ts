import { createRequire } from 'node:module'
import { insight } from 'ratethrottle/insight'
import { expect, onTestFinished, test } from 'vitest'
import { serve } from '../http/serve.ts'

const { limitTable } = createRequire(`${process.cwd()}/`)('./dist/cli/live/tables.js')

test('what a dry run would have refused does not stand under denied', async () => {
  const view = insight()
  onTestFinished(() => view.close())
  const real = await serve('node:http', { limits: '2/hour', name: 'real', insight: view })
  await real.statuses(5)
  const table = () => limitTable(view.report().limits).map((row: string[]) => row.slice(3, 7))
  expect(table()).toEqual([
    ['admitted', 'denied', 'share', 'binds'],
    ['2', '3', '60.0 %', '2/hour'],
  ])
  const options = { limits: '1/hour', name: 'dry', dryRun: true, insight: view }
  expect(await (await serve('node:http', options)).statuses(4)).toEqual([200, 200, 200, 200])
  expect(table()).toEqual([
    ['admitted', 'denied', 'dry', 'share'],
    ['2', '3', '0', '60.0 %'],
    ['1', '0', '3', '75.0 %'],
  ])
})

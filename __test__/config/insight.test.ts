import { defineConfig } from 'ratethrottle/config'
import { insight } from 'ratethrottle/insight'
import { expect, test } from 'vitest'
import { serve } from '../http/serve.ts'
import { file, load } from './files.ts'

const FIRST = {
  algorithm: 'fixed-window',
  insight: { keys: 'plain', top: 10 },
  limiters: { api: { limits: '2/hour' }, search: { limits: '1/hour' } },
  routes: { 'GET /search': 'search', '*': 'api' },
}

test('the insight of a file counts by the names of its limiters, goes on after reloads, and shows a stale file', async () => {
  const content = file(FIRST)
  const config = await load(content.path)
  const served = await serve('Fastify 5', { config })
  await served.statuses(3)
  await served.statuses(2, '/search')
  const figures = () =>
    config.insight?.report().limits.map(({ name, admitted, denied }) => [name, admitted, denied])
  expect(figures()).toEqual([
    ['api', 2, 1],
    ['search', 1, 1],
  ])
  content.write({ ...FIRST, limiters: { ...FIRST.limiters, api: { limits: '4/hour' } } })
  expect((await config.reload()).ok).toBe(true)
  await served.statuses(3)
  await config.limiter('api').check('by hand')
  expect(figures()?.[0]).toEqual(['api', 5, 2])
  expect(config.insight?.report().config?.stale).toBe(false)
  content.write('nothing')
  await config.reload()
  expect(config.insight?.report().config?.stale).toBe(true)
  expect(config.insight?.prometheus()).toMatch(/^ratethrottle_config_stale\S* 1$/m)
})

test('the insight of a file stays as it is while the process runs', async () => {
  const content = file(FIRST)
  const config = await load(content.path)
  content.write({ ...FIRST, insight: { top: 20 } })
  const { ok, errors } = await config.reload()
  expect([ok, errors[0]?.path]).toEqual([false, 'insight'])
})

test('an insight of the program shows the state of a file; two of them are one too many', async () => {
  const view = insight()
  const { insight: _, ...rest } = FIRST
  const content = file(rest)
  const config = await load(content.path)
  const served = await serve('Express 5', { config, insight: view })
  await served.statuses(3)
  expect(view.report().limits.map(({ name, denied }) => [name, denied])).toContainEqual(['api', 1])
  content.write('nothing')
  await config.reload()
  expect(view.report().config?.stale).toBe(true)
  config.close()
  expect(view.report().config?.stale).toBe(true)
  const both = defineConfig({ limits: '1/hour', insight: view })
  const shown = await serve('Express 5', { config: both })
  await shown.statuses(2)
  expect(view.report().limits.map(({ name }) => name)).toContain('default')
  const own = await load(file(FIRST).path)
  await expect(serve('Express 5', { config: own, insight: view })).rejects.toThrow(
    /insight must be left out/,
  )
  view.close()
})

test('a configuration in a program is checked as a file is', () => {
  expect(() => defineConfig({ limits: undefined })).toThrow(/limits must be/)
  expect(() => defineConfig({ limiters: { a: { limits: '1/hour', key: 'ip' as never } } })).toThrow(
    /key must be a function/,
  )
  expect(() => defineConfig({ limts: '1/hour' } as never)).toThrow(
    /unknown key "limts"; did you mean limits/,
  )
  expect(() =>
    defineConfig({ limiters: { a: { limits: () => '1/hour', cost: () => 1, key: () => 'a' } } }),
  ).not.toThrow()
  expect(() => defineConfig({ limits: '1/hour', message: '${NOT_A_VARIABLE}' })).not.toThrow()
})

test.each(['memory:', `shared:insight of a file ${process.pid}`])(
  'the limiters of a file can be asked and changed by key, before and after a reload: %s',
  async (storage) => {
    const written = (count: number): object => ({
      ...FIRST,
      storage,
      limiters: { ...FIRST.limiters, api: { limits: `${count}/hour` } },
    })
    const content = file(written(2))
    const config = await load(content.path)
    const served = await serve('Fastify 5', { config })
    const api = () => config.insight?.limiters().get('api')
    await served.statuses(1)
    const key = config.insight?.report().top.asked[0]?.key ?? ''
    for (const count of [3, 5]) {
      expect(await api()?.peek(key)).toMatchObject({
        allowed: true,
        remaining: count === 3 ? 1 : 4,
      })
      await api()?.block(key, 60_000)
      expect(await served.statuses(1)).toEqual([429])
      await api()?.reset(key)
      expect(await served.statuses(1)).toEqual([200])
      content.write(written(count + 2))
      await config.reload()
    }
  },
)

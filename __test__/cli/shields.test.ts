import { existsSync } from 'node:fs'
import { shield } from 'ratethrottle/shield'
import { expect, it } from 'vitest'
import { fileOf, freshName } from '../shared/place.ts'
import { call } from './calls.ts'

async function shared(...args: string[]): Promise<string> {
  const { code, out, err } = await call(['shared', ...args])
  if (code !== 0) throw new Error(err)
  return out
}

it('shared list and show count the sources of a shield, and name none of them', async () => {
  const name = freshName()
  const guard = shield({
    mode: 'enforce',
    name,
    shared: true,
    sources: 1_000,
    ceiling: '30/minute',
  })
  for (let n = 0; n < 100; n++) guard.decide({ ip: `10.${n}.0.1` })
  for (let n = 0; n < 10; n++) guard.block(`10.${n}.0.1`, 60_000)
  // Told to wait two seconds, again before each command.
  const told = (...args: string[]): Promise<string> => {
    for (let n = 0; n < 2; n++) guard.decide({ ip: '10.50.0.1' })
    return shared(...args)
  }
  const row = (await told('list')).split('\n').find((line) => line.includes(`"${name}"`))
  expect(row?.trim().split(/ {2,}/)).toEqual([
    `"${name}"`,
    'shield',
    ...['1', '1000', '10.0 %', '1', '10', '0'],
  ])
  const shown = await told('show', name)
  expect(shown).toMatch(/^shield +of 1000 sources, \d+ bytes$/m)
  expect(shown).toMatch(/^sources +89 known, 1 told to wait, 10 blocked, 0 not seen/m)
  const [entry] = JSON.parse(await told('show', name, '--json'))
  expect(entry).toMatchObject({
    name,
    kind: 'shield',
    limits: [],
    sources: { known: 89, told: 1, blocked: 10, gone: 0, claimed: 0 },
    processes: [process.pid],
  })
  expect(JSON.stringify(entry) + shown).not.toMatch(/10\.\d+\.0\.1/)
  guard.close()
})

it('shared remove refuses while a process uses the shield', async () => {
  const name = freshName()
  const guard = shield({ name, shared: true })
  const file = fileOf(name)
  await expect(shared('remove', name)).rejects.toThrow('processes are attached to it')
  guard.close()
  expect(existsSync(file)).toBe(true)
  expect(await shared('remove', name)).toMatch(/^removed /)
  expect(existsSync(file)).toBe(false)
})

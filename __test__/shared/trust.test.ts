import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import { describe, expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'
import { type Act, act, actAndStay, actWhere, fileOf, freshName, mayUnshare } from './place.ts'

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0

async function used(): Promise<[Act, string]> {
  const what = { limits: '5/day', options: { name: freshName() }, checks: 3 }
  expect(await act(what)).toMatchObject({ admitted: 3 })
  return [what, fileOf(what.options.name)]
}

const TAMPERED: readonly [string, string, (file: string) => void][] = [
  ['truncated', 'it is 4096 bytes long', (file) => fs.truncateSync(file, 4096)],
  ['of no length', 'it is 0 bytes long', (file) => fs.truncateSync(file, 0)],
  ['of another length', 'it is 6639617 bytes long', (file) => fs.appendFileSync(file, 'x')],
  [
    'of random bytes',
    "it is no file of ratethrottle's",
    (file) => fs.writeFileSync(file, randomBytes(fs.statSync(file).size)),
  ],
  ['that others may write', 'its mode is 0666, not 0600', (file) => fs.chmodSync(file, 0o666)],
  [
    'that is a link',
    'it is a symbolic link',
    (file) => {
      fs.renameSync(file, `${file}.away`)
      fs.symlinkSync(`${file}.away`, file)
    },
  ],
  ['of two names', 'it has 2 names', (file) => fs.linkSync(file, `${file}.too`)],
]

describe.each(TAMPERED)('a file %s', (_, why, tamper) => {
  it('is an error that says why; with onMismatch: private a warning, and a table of this process', async () => {
    const [what, file] = await used()
    tamper(file)
    try {
      const before = fs.lstatSync(file)
      const refused = await act(what)
      expect(refused).toMatchObject({ code: 'SHARED_UNTRUSTED', name: 'Error', warnings: [] })
      expect(refused.message).toContain(`${file}: ${why}`)
      const options = { ...what.options, onMismatch: 'private' }
      const warnings = ['RATETHROTTLE_SHARED_PRIVATE']
      expect(await act({ ...what, options, checks: 9 })).toMatchObject({ admitted: 5, warnings })
      expect(fs.lstatSync(file)).toMatchObject({ ino: before.ino, size: before.size })
    } finally {
      for (const name of [file, `${file}.away`, `${file}.too`]) fs.rmSync(name, { force: true })
    }
  })
})

describe('a shared file that processes use', () => {
  it('when truncated raises no signal: each process counts for itself, with a warning', async () => {
    const { code, out, err } = await run('shared/truncated.mjs', [freshName()])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(JSON.parse(out)).toEqual({
      before: 3,
      after: 5,
      renewed: 5,
      warnings: ['RATETHROTTLE_SHARED_LOST', 'RATETHROTTLE_SHARED_RENEWED'],
    })
  })

  it('when removed is made again and shared, also by processes that had it open', async () => {
    const [what, file] = await used()
    const [child] = await actAndStay({ ...what, checks: 1 })
    fs.rmSync(file)
    expect(await act({ ...what, checks: 2 })).toMatchObject({ admitted: 2 })
    // Its watch looks every two seconds.
    const told = await new Promise((resolve) => child.stderr?.once('data', resolve))
    expect(String(told)).toContain('RATETHROTTLE_SHARED_RENEWED')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await act({ ...what, checks: 9 })).toMatchObject({ admitted: 3 })
  })
})

describe.skipIf(!isRoot)('another user', () => {
  it('has its own tables, and cannot open those of this user', async () => {
    const [what, file] = await used()
    const mine = fs.statSync(file)
    const other = await act({ ...what, uid: NOBODY, checks: 9 })
    expect(other).toMatchObject({ admitted: 5 })
    expect(fs.statSync(file)).toMatchObject({ ino: mine.ino, uid: mine.uid, mode: mine.mode })
    fs.chownSync(file, NOBODY, NOBODY)
    const refused = await act(what)
    expect(refused).toMatchObject({ code: 'SHARED_UNTRUSTED' })
    expect(refused.message).toContain(`it belongs to user ${NOBODY}, not to user 0`)
    fs.rmSync(file)
    fs.rmSync(`/dev/shm/ratethrottle-${NOBODY}`, { recursive: true, force: true })
  })
})

const SMALL = (size: string): string => `mount -t tmpfs -o size=${size} tmpfs /dev/shm`

describe.skipIf(!mayUnshare())('in a namespace with another system state', () => {
  const what = { limits: '5/day', options: { name: 'elsewhere' }, checks: 9 }

  it('a /dev/shm with too little space is an error, not a signal', () => {
    const refused = actWhere('-m', SMALL('1m'), what)
    expect(refused).toMatchObject({ code: 'SHARED_NO_SPACE', name: 'Error' })
    expect(refused.message).toContain('no room for 6639616 bytes')
    const small = { ...what, options: { ...what.options, capacity: 1_000 } }
    expect(actWhere('-m', SMALL('1m'), small)).toMatchObject({ admitted: 5 })
    const options = { ...what.options, onMismatch: 'private' }
    expect(actWhere('-m', SMALL('1m'), { ...what, options })).toMatchObject({ admitted: 5 })
  })

  it('an existing limiter works while the rest of /dev/shm fills up', () => {
    const fill = `${SMALL('8m')}
      mkdir -m 700 /dev/shm/ratethrottle-0
      "$0" "$1" '${JSON.stringify({ ...what, checks: 1 })}' > /dev/null
      head -c 16m /dev/zero > /dev/shm/rest 2> /dev/null || true`
    expect(actWhere('-m', fill, what)).toMatchObject({ admitted: 4 })
  })

  it('a /dev/shm that is read-only is an error that says so', () => {
    const hide = 'mount -t tmpfs -o ro tmpfs /dev/shm'
    expect(actWhere('-m', hide, what)).toMatchObject({ code: 'SHARED_FAILED' })
  })

  it.skipIf(!isRoot)('a directory that belongs to another user is refused', () => {
    const squat = (how: string) => `${SMALL('8m')}; mkdir /dev/shm/ratethrottle-0; ${how}`
    const theirs = actWhere('-m', squat(`chown ${NOBODY} /dev/shm/ratethrottle-0`), what)
    expect(theirs).toMatchObject({ code: 'SHARED_UNTRUSTED' })
    expect(theirs.message).toContain(`it belongs to user ${NOBODY}, not to user 0`)
    const open = actWhere('-m', squat('chmod 777 /dev/shm/ratethrottle-0'), what)
    expect(open).toMatchObject({ code: 'SHARED_UNTRUSTED' })
    const link = `${SMALL('8m')}; mkdir /dev/shm/x; ln -s x /dev/shm/ratethrottle-0`
    expect(actWhere('-m', link, what)).toMatchObject({ code: 'SHARED_UNTRUSTED' })
  })

  it('a file of an earlier boot is replaced', async () => {
    const [before, file] = await used()
    const id = `/tmp/boot-${process.pid}`
    fs.writeFileSync(id, '00000000-0000-4000-8000-000000000001\n')
    const later = `mount --bind ${id} /proc/sys/kernel/random/boot_id`
    const inode = fs.statSync(file).ino
    expect(actWhere('-m', later, { ...before, checks: 9 })).toMatchObject({ admitted: 5 })
    expect(fs.statSync(file).ino).not.toBe(inode)
    fs.rmSync(id)
    fs.rmSync(file)
  })

  it('a process with another monotonic clock is refused while other processes count', async () => {
    const [before, file] = await used()
    const [child] = await actAndStay(before)
    const refused = actWhere('--time --monotonic=864000 --fork', ':', before)
    expect(refused).toMatchObject({ code: 'SHARED_MISMATCH', name: 'Error' })
    expect(refused.message).toContain('its times are those of time namespace')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const alone = actWhere('--time --monotonic=864000 --fork', ':', { ...before, checks: 9 })
    expect(alone).toMatchObject({ admitted: 5 })
    fs.rmSync(file)
  })
})

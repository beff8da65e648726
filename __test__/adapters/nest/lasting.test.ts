import { Controller, Get, Query, UseGuards } from '@nestjs/common'
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets'
import { Limit, RateThrottleModule } from 'ratethrottle/nest'
import { concat, NEVER, of, throwError, timer } from 'rxjs'
import { ignoreElements } from 'rxjs/operators'
import { afterEach, describe, expect, it } from 'vitest'
import { byLength } from '../../fixtures/long.ts'
import { closeAll, decorate, PLATFORMS, start } from './apps.ts'
import { BOTH, connect, startWith, until } from './sockets.ts'

afterEach(closeAll)

/** How a handler may end. */
type End = 'returns' | 'throws' | 'emits' | 'fails' | 'hangs' | 'stuck'

/** Handlers that wait inside until the test lets them go. */
class Work {
  inside = 0
  most = 0
  runs = 0
  #go: () => void = () => {}
  #gate: Promise<void> = Promise.resolve()

  shut(): void {
    this.#gate = new Promise((resolve) => {
      this.#go = resolve
    })
  }

  open(): void {
    this.#go()
  }

  async end(end: End): Promise<unknown> {
    this.runs++
    this.inside++
    this.most = Math.max(this.most, this.inside)
    if (end === 'hangs') return NEVER
    if (end === 'stuck') return new Promise(() => {})
    await this.#gate
    this.inside--
    if (end === 'throws') throw new Error('no')
    if (end === 'emits') return concat(timer(2).pipe(ignoreElements()), of('emitted'))
    if (end === 'fails') return throwError(() => new Error('no'))
    return 'returned'
  }
}

const deny = { canActivate: () => false }

describe.each(PLATFORMS)('%s: concurrent', (platform) => {
  async function startWork(options: object) {
    const work = new Work()
    class WorkController {
      run(end: End): unknown {
        return work.end(end)
      }
      denied(): string {
        return 'never'
      }
      own(): unknown {
        return work.end('returns')
      }
    }
    decorate(WorkController, {
      parameters: { run: [Query('end')] },
      methods: {
        run: [Get()],
        denied: [UseGuards(deny), Get('denied')],
        own: [Limit({ concurrent: 2 }), Get('own')],
      },
      class: [Controller()],
    })
    const imports = [RateThrottleModule.forRoot(options)]
    const { url } = await start(platform, { imports, controllers: [WorkController] })
    const ask = async (path: string): Promise<number> => (await fetch(url + path)).status
    return { work, ask, url }
  }

  it('no more handlers run at a time, and each permit comes back however a handler ends', async () => {
    const { work, ask } = await startWork({ concurrent: 3 })
    const callers = byLength(15, 50)
    for (const end of ['returns', 'throws', 'emits', 'fails', 'returns']) {
      work.shut()
      const answers: number[] = []
      const all = Array.from({ length: callers }, async () =>
        answers.push(await ask(`/?end=${end}`)),
      )
      await until(() => answers.length === callers - 3)
      expect([work.inside, answers.every((status) => status === 429)]).toEqual([3, true])
      work.open()
      await Promise.all(all)
      expect(answers.filter((status) => status !== 429)).toHaveLength(3)
      for (let i = 0; i < 5; i++) expect(await ask('/denied')).toBe(403)
    }
    expect(work.most).toBe(3)
  })

  it('a client that leaves gives its permit back', async () => {
    const { work, url, ask } = await startWork({ concurrent: 1 })
    for (let i = 1; i <= byLength(5, 20); i++) {
      const leaving = new AbortController()
      const left = fetch(`${url}/?end=hangs`, { signal: leaving.signal }).catch(() => 'left')
      await until(() => work.runs === i)
      leaving.abort()
      await left
      while ((await ask('/denied')) === 429);
    }
    expect(await ask('/?end=returns')).toBe(200)
  })

  it('a handler has permits of its own', async () => {
    const { work, ask } = await startWork({ limits: '100/hour' })
    work.shut()
    const answers: number[] = []
    const all = Array.from({ length: 10 }, async () => answers.push(await ask('/own')))
    await until(() => answers.length === 8)
    work.open()
    await Promise.all(all)
    expect(answers.filter((status) => status === 200)).toHaveLength(2)
  })
})

describe.each(BOTH)('%s, %s: concurrent', (platform, sockets) => {
  async function startGateway(options: object) {
    const work = new Work()
    class WorkGateway {
      run(end: End): unknown {
        return work.end(end)
      }
      denied(): string {
        return 'never'
      }
    }
    decorate(WorkGateway, {
      parameters: { run: [MessageBody()] },
      methods: {
        run: [SubscribeMessage('run')],
        denied: [UseGuards(deny), SubscribeMessage('denied')],
      },
      class: [WebSocketGateway()],
    })
    const { url } = await startWith(platform, sockets, WorkGateway as never, options)
    return { work, url }
  }

  it('no more messages are handled at a time, and each permit comes back', async () => {
    const { work, url } = await startGateway({ concurrent: 2 })
    const { send, got, close } = await connect(sockets, url)
    const refused = (text: string): number =>
      got.filter(({ event, data }) => event === 'exception' && JSON.stringify(data).includes(text))
        .length
    for (const end of ['returns', 'throws', 'emits', 'fails', 'returns']) {
      work.shut()
      // Permits come back a moment after a handler has ended.
      while (work.inside < 2) {
        send('run', end)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      const before = refused('RATE_LIMITED')
      for (let i = 0; i < 20; i++) send('run', end)
      await until(() => refused('RATE_LIMITED') >= before + 20)
      expect(work.inside).toBe(2)
      work.open()
      await until(() => work.inside === 0)
    }
    for (let i = 1; i <= 10; i++) {
      send('denied', {})
      await until(() => refused('orbidden') === i)
    }
    work.shut()
    await until(() => {
      send('run', 'returns')
      return work.inside === 2
    })
    expect(work.most).toBe(2)
    work.open()
    close()
  })

  it('clients that leave while they are served give their permits back', async () => {
    const { work, url } = await startGateway({ concurrent: 1 })
    const clients = byLength(4, 10)
    for (let i = 1; i <= clients; i++) {
      const { send, close } = await connect(sockets, url)
      // The one before may not have been noticed yet.
      while (work.runs < i) {
        send('run', i % 2 === 0 ? 'hangs' : 'stuck')
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      close()
    }
    expect(work.runs).toBe(clients)
  })
})

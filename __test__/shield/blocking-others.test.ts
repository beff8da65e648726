import { describe, expect, it } from 'vitest'
import { enforcing, MINUTE, run, type Sender, sum, users } from './traffic.ts'

/*
 * A detector that blocks by itself is a weapon if a client can have another one blocked. Here each way that is
 * known is tried: through a shared address, a shared network, time, and texts that parse oddly.
 */

const NAT = '203.0.113.1'

/** Abuse, by an address or by one of those behind it. */
const ABUSE: readonly (readonly [string, Omit<Sender, 'ip'>])[] = [
  ['tries passwords', { perSecond: 5, path: '/login', status: 401, sensitive: true }],
  ['scans', { perSecond: 5, path: (n) => `/${n}.php`, status: 404 }],
  ['presses F5 all the time', { perSecond: 10 }],
]

describe('one of many behind an address', () => {
  it.each(ABUSE)('%s, and the others are let in', (_what, abuse) => {
    const sent = enforcing()
    const others = (perSecond: number): Sender[] => [
      { ip: NAT, perSecond: perSecond * 0.9, path: (n) => `/page/${n % 50}` },
      { ip: NAT, perSecond: perSecond * 0.1, path: '/login', sensitive: true },
    ]
    run(sent, 600, others(25))
    const all = run(sent, 1_800, [...others(25), { ...abuse, ip: NAT }])
    expect(sum(all)).toMatchObject({ refused: 0, blocked: 0 })
  })

  it('floods, and the others are let in again minutes after it has ended', () => {
    const sent = enforcing()
    const others = { ip: NAT, perSecond: 5, isPatient: true }
    run(sent, 600, [others])
    run(sent, 120, [others, { ip: NAT, perSecond: 500 }])
    run(sent, 120, [others])
    const [after] = run(sent, 600, [others])
    expect(after?.refused).toBe(0)
  })
})

const FLOODS: typeof ABUSE = [
  ...ABUSE,
  ['floods', { perSecond: 500 }],
  ['floods with failures', { perSecond: 60, path: (n) => `/${n}`, status: 404, sensitive: true }],
]

describe('an address that', () => {
  const networks = [
    ['/24', (i: number) => `198.51.100.${i}`],
    ['/48', (i: number) => `2001:db8:7:${i.toString(16)}::1`],
  ] as const
  const cases = networks.flatMap(([name, address]) =>
    FLOODS.map(([what, abuse]) => ({ what, name, address, abuse })),
  )

  it.each(cases)('$what harms no other of its $name', ({ address, abuse }) => {
    const sent = enforcing({ maxRate: '1000/second' })
    const neighbours = Array.from({ length: 100 }, (_, i) => i + 2).map((i) => ({
      ip: address(i),
      perSecond: 0.5,
      // Half of them are there before it begins; the others come meanwhile.
      from: i % 2 === 0 ? 0 : 100 + i,
      path: (n: number) => (n % 40 === 1 ? `/missing/${n}` : '/'),
      status: (n: number) => (n % 40 === 1 ? 404 : 200),
    }))
    const abuser = { ...abuse, ip: address(1), from: 120 }
    const all = run(sent, 400, [...neighbours, abuser])
    expect(sum(all.slice(0, -1))).toMatchObject({ refused: 0, blocked: 0 })
  })
})

describe('a network whose addresses change with each request', () => {
  it('does not have its regulars refused, nor others', () => {
    const sent = enforcing({ maxRate: '1000/second' })
    const host = (n: number) => `2001:db8:7:${(1_000 + (n >> 1)).toString(16)}::1`
    const regulars = Array.from({ length: 40 }, (_, i) => ({
      ip: `2001:db8:7:${i.toString(16)}::1`,
      perSecond: 0.5,
    }))
    const known = users(100).map((ip) => ({ ip, perSecond: 0.5 }))
    const fresh = users(300)
      .slice(100)
      .map((ip, i) => ({ ip, perSecond: 0.5, from: 130 + (i % 100), until: 270 }))
    const flood = { ip: host, perSecond: 800, from: 120, until: 280 }
    const all = run(sent, 300, [...regulars, ...known, ...fresh, flood])
    const harmed = sum(all.slice(0, -1))
    expect(all.at(-1)?.refused).toBeGreaterThan(100_000)
    expect(sum(all.slice(0, regulars.length + known.length)).refused).toBe(0)
    expect(harmed.blocked).toBe(0)
    // The first moment of it, in newcomers.
    expect(harmed.refused / harmed.asked).toBeLessThan(0.001)
  })
})

describe('good behaviour', () => {
  it('buys nothing: who floods after 2,000 polite requests is caught as fast as a fresh one', () => {
    for (const perSecond of [60, 200, 1_000]) {
      const sent = enforcing()
      const polite = '192.0.2.1'
      run(sent, 2_000, [{ ip: polite, perSecond: 1 }])
      const [known, fresh] = run(sent, 120, [
        { ip: polite, perSecond },
        { ip: '192.0.2.2', perSecond },
      ])
      expect(known?.refusedAt).toBeLessThanOrEqual((fresh?.refusedAt ?? 0) + 1)
      expect(known?.refused).toBeGreaterThan((fresh?.refused ?? 0) * 0.95)
    }
  })
})

it('no one can fill the table for good, so that the shield is blind for what is new', () => {
  const sent = enforcing({ sources: 1_024 })
  const { guard, clock } = sent
  // Twelve requests a minute from each of ever new networks of one /48: regulars, all of them.
  for (let group = 0; group < 14; group++) {
    for (let round = 0; round < 13; round++) {
      for (let i = 0; i < 200; i++) {
        guard.decide({ ip: `2001:db8:1:${(group * 200 + i).toString(16)}::1` })
        clock.advance(25)
      }
    }
  }
  let seen = 0
  for (let k = 0; k < 100; k++) {
    const [flood] = run(sent, 2, [{ ip: `198.51.${k}.7`, perSecond: 500 }])
    if ((flood?.refused ?? 0) > 0) seen++
  }
  expect(seen).toBe(100)
  expect(guard.block('192.0.2.1', MINUTE)).toBe(true)
})

/** Each request with a text of a megabyte takes a millisecond: no more are sent than are needed. */
function floodUntilBlocked(sent: ReturnType<typeof enforcing>, ip: string): void {
  for (let second = 0; second < 20 && sent.guard.isBlocked(ip) === 0; second++) {
    run(sent, 1, [{ ip, perSecond: 100 }])
  }
}

describe('texts that parse oddly', () => {
  /** Each is another source than all others here. */
  const ODD = [
    '1.2.3.4',
    '1.2.3.40',
    '01.2.3.4',
    '1.2.3.04',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '1.2.3.4:80',
    '1.2.3.4/32',
    '1.2.3.4%eth0',
    '1.2.3.4\0',
    '1.2.3.4, 9.9.9.9',
    '0x1.2.3.4',
    '16909060',
    '1.2.772',
    '１.2.3.4',
    '::1.2.3.4.5',
    '[2001:db8::1]',
    '2001:db8::1',
    '2001:db8:0:1::1',
    '::fffe:1.2.3.4',
    '64:ff9b::1.2.3.4',
    '2002:102:304::1',
    'fe80::1%eth0',
    'ff01::102:304',
    'ff01:0:102:304::',
    'unix',
    'unix\0',
    '\0unix',
    'UNIX',
    '',
    '\ud800',
    '\ud800\udc00',
    `${'x'.repeat(200)}a`,
    `${'x'.repeat(200)}b`,
  ]

  it('never have another source blocked', () => {
    for (const odd of ODD) {
      const sent = enforcing()
      run(sent, 20, [{ ip: odd, perSecond: 500, path: (n) => `/${n}`, status: 404 }])
      const blocked = ODD.filter((one) => sent.guard.isBlocked(one) > 0)
      expect(blocked).toEqual([odd])
      expect(sent.guard.state().blocked).toBe(1)
      sent.guard.close()
    }
  })

  it('of any length or without meaning are never an address', () => {
    const texts = [
      '\ud800',
      '\ufffd',
      'x'.repeat(255),
      `1.2.3.4${' '.repeat(300)}`,
      '1'.repeat(1e6),
    ]
    for (const text of texts) {
      const sent = enforcing()
      floodUntilBlocked(sent, text)
      expect(sent.guard.isBlocked(text)).toBeGreaterThan(0)
      for (const ip of ['1.2.3.4', '::1', '2001:db8::1', 'unix', '']) {
        expect(sent.guard.isBlocked(ip)).toBe(0)
      }
      sent.guard.close()
    }
  })

  it('differ wherever they differ', () => {
    const long = 'x'.repeat(255)
    const texts = [
      `${long}a`,
      `${long}b`,
      `${long}ab`,
      'x'.repeat(2 ** 20),
      '\ud800',
      '\udc00',
      '\ufffd',
    ]
    for (const [i, text] of texts.entries()) {
      const sent = enforcing()
      floodUntilBlocked(sent, text)
      const blocked = texts.map((one) => sent.guard.isBlocked(one) > 0)
      expect(blocked.indexOf(true)).toBe(i)
      expect(blocked.lastIndexOf(true)).toBe(i)
    }
  })

  it('are another spelling of an address only where a reader would say so', () => {
    const same = [
      ['203.0.113.7', '::ffff:203.0.113.7', '::FFFF:203.0.113.7', '0:0:0:0:0:ffff:cb00:7107'],
      ['2001:db8::1', '2001:DB8:0:0::9', '2001:0db8::', '2001:db8::1%eth0', '2001:db8::/64'],
    ]
    for (const [first = '', ...spellings] of same) {
      for (const spelling of spellings) {
        const { guard } = enforcing()
        guard.block(spelling, MINUTE)
        expect(guard.isBlocked(first), spelling).toBe(MINUTE)
      }
    }
  })
})

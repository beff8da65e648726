/**
 * The scenarios of the attack range, as data: rates are requests a second, times are seconds from the start of the
 * attack. `--scenario '{"bots":3000,"rate":0.7}'` runs one that is not listed here; what it leaves out is as in BASE.
 */
export const BASE = {
  capacity: 1_000,
  peace: 300,
  attack: 180,
  after: 120,
  people: {
    arrivals: 4.17,
    pages: 8,
    requests: [3, 9],
    between: 0.15,
    think: 15,
    shared: { share: 0.1, addresses: 100 },
    carrier: 30,
    fail: 0.02,
    login: 0,
    loginFails: 0.1,
    patient: 0.6,
    leaves: 0.25,
    reload: [4, 8],
    afterLoss: 5,
    tries: 4,
    paths: 300,
  },
  /** How many times as many people arrive during the attack. */
  crowd: 1,
  /** Seconds over which a crowd gathers. */
  crowdRamp: 60,
  /** How much fewer people arrive at night than at noon, from 0 to 1. */
  rhythm: 0,
  /** Crowds in peace, at any time, and how long they last. */
  crowds: { count: 0, times: 4, lasts: 600 },
  /** Crawlers that obey: pages a second of each, and the share that is not found. */
  crawlers: { count: 0, rate: 1, fail: 0.05 },
  bots: 0,
  /** Of one bot. */
  rate: 1,
  /** Part of its gap by which each gap of a bot may be longer or shorter. */
  jitter: 0.2,
  /** Seconds over which the bots come in. */
  ramp: 0,
  /** Bots that wait as long as they are told. */
  obey: false,
  /** `{ every, on, from, spread }` seconds: they send only in pulses; each bot begins up to `spread` later. */
  pulse: null,
  /** Where they come from: 'random' IPv4, or /48s of IPv6, of which they use a new /64 every `perSource` requests. */
  from: 'random',
  blocks: 1,
  perSource: 0,
  /** Share of their requests that fails, and how; where they go. */
  fails: 0,
  failStatus: 401,
  target: 'pages',
  /** Options of our shield that differ from its defaults. */
  shield: {},
}

export const SCENARIOS = {
  S1: { says: 'one source, 1,000/s', bots: 1, rate: 1_000 },
  S1b: { says: "one source, 60/s (300 users' worth)", bots: 1, rate: 60 },
  S2: { says: '10,000 bots of 1/s', bots: 10_000, rate: 1 },
  S2b: { says: '10,000 bots of 0.2/s', bots: 10_000, rate: 0.2 },
  S2c: { says: '10,000 bots of 1/s that obey Retry-After', bots: 10_000, rate: 1, obey: true },
  S3: {
    says: 'one /48, a new /64 every 2 requests, 1,000/s',
    bots: 1,
    rate: 1_000,
    from: 'blocks',
    perSource: 2,
  },
  S4: { says: '2,000 bots of 1/s, ramp of 150 s', bots: 2_000, rate: 1, ramp: 150 },
  S5: { says: 'flash crowd × 4, fits', crowd: 4 },
  S5b: { says: 'flash crowd × 12, does not fit', crowd: 12 },
  S6: {
    says: 'stuffing, 50 × 2/s, 98 % fail',
    bots: 50,
    rate: 2,
    fails: 0.98,
    target: 'login',
    people: { login: 0.03 },
  },
  S6b: {
    says: 'stuffing, 5,000 × 1/minute, 98 % fail',
    bots: 5_000,
    rate: 1 / 60,
    fails: 0.98,
    target: 'login',
    people: { login: 0.03 },
  },
  S7: {
    says: 'scan at 20/s',
    bots: 1,
    rate: 20,
    fails: 0.95,
    failStatus: 404,
    target: 'scan',
  },
  S7b: { says: 'scan at 1/s', bots: 1, rate: 1, fails: 0.95, failStatus: 404, target: 'scan' },
  S8: {
    says: 'pulses, 2,000 × 5/s in 10 of 60 s',
    bots: 2_000,
    rate: 5,
    pulse: { every: 60, on: 10, from: 5, spread: 3 },
  },
  S9: {
    says: '10,000 fresh sources/s from four /48s',
    bots: 100,
    rate: 100,
    from: 'blocks',
    blocks: 4,
    perSource: 1,
  },
  S9b: {
    says: '10,000 fresh sources/s from random IPv4 addresses',
    bots: 100,
    rate: 100,
    perSource: 1,
  },
}

/** Takes a minute for a seed, so it runs only when it is named. */
const DAY = {
  says: 'a benign day: rhythm, three crowds × 3.5 that fit, a carrier address, crawlers that obey',
  peace: 86_400,
  attack: 0,
  after: 0,
  rhythm: 0.7,
  crowds: { count: 3, times: 3.5, lasts: 600 },
  crawlers: { count: 5, rate: 1, fail: 0.1 },
}

/** By name, those included that run only when they are named. */
export const ALL_SCENARIOS = { ...SCENARIOS, day: DAY }

/** A scenario with all that it leaves out; one that is unknown, or has a field that is unknown, throws. */
export function toScenario(given) {
  const fields = Object.keys({ name: '', says: '', ...BASE })
  const unknown = Object.keys(given).find((field) => !fields.includes(field))
  if (unknown !== undefined) {
    throw new RangeError(`a scenario has no '${unknown}'; it has ${fields.join(', ')}`)
  }
  const people = { ...BASE.people, ...given.people }
  const crowds = { ...BASE.crowds, ...given.crowds }
  const crawlers = { ...BASE.crawlers, ...given.crawlers }
  return { name: 'own', says: '', ...BASE, ...given, people, crowds, crawlers }
}

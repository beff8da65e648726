// Lines of the TypeScript layer and of the script in Redis that are broken on purpose, for the storms of permits.

const SCRIPT = 'ts/redis/script/permits.ts'
const KEEPER = 'ts/remote/permits/keeper.ts'
const redis = { tests: ['__test__/permits/redis-storm.test.ts'] }
const shared = { tests: ['__test__/permits/shared-storm.test.ts'] }

export const PERMIT_STORMS = [
  {
    name: 'permits in Redis: one more than may be',
    file: SCRIPT,
    from: 'return size(set) < most or',
    to: 'return size(set) <= most or',
    ...redis,
  },
  {
    name: 'permits in Redis: all keys together are not counted',
    file: SCRIPT,
    from: 'if all and not may(all, of_all, id) then',
    to: 'if false then',
    ...redis,
  },
  {
    name: 'permits in Redis: a release takes the permit of another',
    file: SCRIPT,
    from: "call('ZREM', key, id)",
    to: "call('ZPOPMIN', key)",
    ...redis,
  },
  {
    name: 'permits in Redis: leases end at once',
    file: SCRIPT,
    from: "call('ZADD', key, now + lease, id)",
    to: "call('ZADD', key, now + 1, id)",
    ...redis,
  },
  {
    name: 'permits in Redis: leases do not end',
    file: SCRIPT,
    from: "call('ZADD', key, now + lease, id)",
    to: "call('ZADD', key, now + 100 * lease, id)",
    ...redis,
  },
  {
    name: 'permits in Redis: no lease is renewed',
    file: KEEPER,
    from: 'await inTurn(this.#backend.batches(due), (batch) => this.#renew(batch))',
    to: '',
    ...redis,
  },
  {
    name: 'permits in Redis: a lease that has ended is not lost',
    file: 'ts/remote/permits/remote-permit.ts',
    from: '(!this.#isReleased && performance.now() > this.#until)',
    to: 'false',
    ...redis,
  },
  {
    name: 'permits on this host: one more than may be',
    file: 'ts/permits/native-counts.ts',
    from: '{ perKey, total, capacity },',
    to: '{ perKey: perKey + 1, total, capacity },',
    ...shared,
  },
  {
    name: 'permits on this host: all keys together are not counted',
    file: 'ts/permits/native-counts.ts',
    from: '{ perKey, total, capacity },',
    to: '{ perKey, total: 2 * total, capacity },',
    ...shared,
  },
  {
    name: 'permits on this host: a permit comes back twice',
    file: 'ts/permits/counted-permit.ts',
    from: 'desk.counts.release(receipt)\n',
    to: 'desk.counts.release(receipt)\n    desk.counts.release(receipt)\n',
    ...shared,
  },
]

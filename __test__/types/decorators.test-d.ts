import { type Decision, RateLimiter } from 'ratethrottle'
import {
  closeLimiters,
  type LimitDecorator,
  limit,
  limitersOf,
  type MethodLimiter,
} from 'ratethrottle/decorators'
import { FakeClock, testLimiter, timersClock } from 'ratethrottle/testing'
import { expectTypeOf, test } from 'vitest'

declare const remote: {
  check(key: string, cost?: number): Promise<Decision>
  refund(key: string, units?: number): Promise<void>
}
const limiter = new RateLimiter('5/s')

test('valid uses of the decorators compile', () => {
  class Service<T> {
    readonly id = 5

    @limit('10/minute')
    sync(): void {}

    @limit(['10/second', '1000/hour'], { algorithm: 'sliding-window', blockFor: '5 minutes' })
    async later(): Promise<number> {
      return this.id
    }

    @limit('10/minute', {
      key(to, count) {
        expectTypeOf(this).toEqualTypeOf<Service<T>>()
        expectTypeOf(to).toEqualTypeOf<string>()
        expectTypeOf(count).toEqualTypeOf<number | undefined>()
        return this.id
      },
      cost: (to, count = 1) => to.length * count,
    })
    inferred(_to: string, _count?: number): void {}

    @limit('10/minute', { key: (to: string) => to })
    written(_to: string, _count: number): void {}

    @limit('10/minute', { key: (...all) => all.join() })
    rest(..._all: number[]): void {}

    @limit('10/minute', {
      key(name) {
        expectTypeOf(this).toEqualTypeOf<typeof Service>()
        return name
      },
    })
    static shared(_name: string): void {}

    @limit('10/minute', { key: (count) => count })
    #hidden(_count: number): void {}

    @limit('10/minute', { key: (from) => from })
    *generate(from: number): Generator<number> {
      yield from
    }

    @limit('10/minute')
    generic<U>(value: U): U {
      return value
    }

    @limit('10/minute', { key: () => 'k' })
    ofClass(value: T): T {
      return value
    }

    overloaded(value: string): string
    overloaded(value: number): number
    @limit('10/minute')
    overloaded(value: never): never {
      return value
    }

    @limit({ limiter })
    @limit({ limiter: remote, key: (name) => name })
    async both(name: string): Promise<string> {
      return name
    }

    @limit({ limiter: remote })
    async *stream(): AsyncGenerator<number> {
      yield this.id
    }

    @limit({ limiter })
    local(): number {
      return this.id
    }

    touch(): void {
      this.#hidden(1)
    }
  }
  expectTypeOf(new Service<number>().generic('text')).toEqualTypeOf<string>()
  expectTypeOf<Service<number>['later']>().toEqualTypeOf<() => Promise<number>>()
})

test('decorators applied by hand, kept in a variable, and passed where any decorator is accepted compile', () => {
  const method = { m: (by: number) => `${by}` }.m
  const limited = limit('5/s')(method, {} as ClassMethodDecoratorContext)
  expectTypeOf(limited).toEqualTypeOf<(by: number) => string>()
  const perUser = limit('5/s', { key: (user: string) => user })
  class Kept {
    @perUser
    method(_user: string): void {}
  }
  const legacy: MethodDecorator = limit('5/s')
  const text = '5/s' as string
  expectTypeOf(limit(text)).toExtend<LimitDecorator<unknown, unknown[]>>()
  expectTypeOf(limitersOf(Kept.prototype.method)).toEqualTypeOf<
    readonly (RateLimiter | MethodLimiter)[]
  >()
  closeLimiters(Kept.prototype.method)
  return legacy
})

test('invalid uses of the decorators do not compile', () => {
  // @ts-expect-error an unknown unit
  limit('10/fortnight')
  // @ts-expect-error no limits
  limit()
  // @ts-expect-error an unknown option
  limit('10/s', { max: 5 })
  // @ts-expect-error a limiter in place of limits, not beside them
  limit('10/s', { limiter })
  // @ts-expect-error options of a limiter do not suit one that exists
  limit({ limiter, burst: 5 })
  // @ts-expect-error no limiter
  limit({ limiter: {} })
  // @ts-expect-error a key is a string or a number
  limit('10/s', { key: () => ({}) })

  class Wrong {
    // @ts-expect-error this has no such property
    @limit('10/s', { key() { return this.nope } }) // biome-ignore format: the error is on this line
    one(): void {}

    // @ts-expect-error the argument is a string
    @limit('10/s', { key: (to: number) => to })
    two(_to: string): void {}

    // @ts-expect-error a string has no such property
    @limit('10/s', { key: (to) => to.nope })
    three(_to: string): void {}

    // @ts-expect-error the method has one argument only
    @limit('10/s', { key: (_to, from) => from })
    four(_to: string): void {}

    // @ts-expect-error a method that answers at once can't wait for a promise
    @limit({ limiter: remote })
    five(): number {
      return 5
    }

    // @ts-expect-error a generator neither
    @limit({ limiter: remote })
    *six(): Generator<number> {
      yield 6
    }

    // @ts-expect-error not on a field
    @limit('10/s')
    seven = 7

    // @ts-expect-error not on a getter
    @limit('10/s')
    get eight(): number {
      return 8
    }
  }

  // @ts-expect-error not on a class
  @limit('10/s')
  class Nine {}
  return [Wrong, Nine]
})

test('the types of ratethrottle/testing', () => {
  expectTypeOf(testLimiter('5/s')).toExtend<RateLimiter>()
  testLimiter(['5/s', '9/m'], { clock: new FakeClock(), burst: 9 })
  new RateLimiter('5/s', { clock: timersClock })
  // @ts-expect-error an unknown unit
  testLimiter('10/fortnight')
  // @ts-expect-error an unknown option
  testLimiter('10/s', { max: 5 })
})

import { describe, expectTypeOf, it } from 'vitest'
import type { CheckedLimits, Limit, LimitInput } from '../../ts/limit/limit.ts'
import { parseLimits } from '../../ts/limit/parse.ts'
import type { ACCEPTED, MISTAKES } from '../limit/texts.ts'

// The limiter takes its limits in its constructor: the same parameter type, on a class.
declare class Limiter<const L extends LimitInput = LimitInput> {
  constructor(limits: CheckedLimits<L>, options?: { readonly burst?: number })
  allow(key: string): boolean
}

// createLimiter takes them as a property.
declare function create<const L extends LimitInput>(options: {
  readonly limits?: CheckedLimits<L> | undefined
  readonly storage?: string
}): Limiter

// A decorator takes them and returns a function.
declare function decorate<const L extends LimitInput>(limits: CheckedLimits<L>): () => void

declare const text: string
declare const texts: string[]
declare const frozenTexts: readonly string[]
declare const limit: Limit
declare const limits: Limit[]
declare const either: string | Limit
declare const mixed: readonly (string | Limit)[]
declare const input: LimitInput
declare const count: number
declare const branded: string & { readonly brand: 'limit' }
declare const whatever: ReturnType<typeof JSON.parse>
declare const unsure: '5/s' | '10/min'
declare const halfWrong: '5/s' | '10/fortnight'

type Refusal<Texts extends readonly string[]> = {
  readonly [I in keyof Texts]: CheckedLimits<Texts[I]> extends `not a limit: ${string}`
    ? Texts[I]
    : never
}

describe('the type of a limit literal', () => {
  it('is the literal itself when the parser accepts it', () => {
    expectTypeOf<CheckedLimits<typeof ACCEPTED>>().toEqualTypeOf<typeof ACCEPTED>()
    expectTypeOf<CheckedLimits<(typeof ACCEPTED)[number]>>().toEqualTypeOf<
      (typeof ACCEPTED)[number]
    >()
  })

  it('is a message when the text is a plain mistake', () => {
    expectTypeOf<Refusal<typeof MISTAKES>>().toEqualTypeOf<typeof MISTAKES>()
    expectTypeOf<
      CheckedLimits<'10/fortnight'>
    >().toEqualTypeOf<'not a limit: 10/fortnight (a limit is such as 100/minute)'>()
  })

  it('names the invalid limit of a list', () => {
    expectTypeOf<
      CheckedLimits<'5/s; 6/eon | 7/s'>
    >().toEqualTypeOf<'not a limit: 6/eon (a limit is such as 100/minute)'>()
    expectTypeOf<CheckedLimits<'5/s;'>>().toEqualTypeOf<'not a limit: an empty text'>()
    expectTypeOf<CheckedLimits<readonly ['5/s', '']>>().toEqualTypeOf<
      readonly ['5/s', 'not a limit: an empty text']
    >()
  })
})

describe('parseLimits', () => {
  it('takes literals', () => {
    expectTypeOf(parseLimits('100/minute')).toEqualTypeOf<readonly Limit[]>()
    parseLimits('10/15 minutes; 5 PER 300s')
    parseLimits(['10/second', '1000/hour', { count: 5, windowMs: 1_000 }])
    parseLimits({ count: 5, windowMs: 1_000 })
    parseLimits(unsure)
  })

  it('accepts strings whose value the compiler does not know', () => {
    parseLimits(text)
    parseLimits(texts)
    parseLimits(frozenTexts)
    parseLimits(limit)
    parseLimits(limits)
    parseLimits(either)
    parseLimits(mixed)
    parseLimits(input)
    parseLimits(branded)
    parseLimits(whatever)
    parseLimits(`${count}/minute`)
    parseLimits(`${count} per ${text}`)
    parseLimits([`${count}/minute`, text, limit])
    parseLimits([...texts, '5/s'])
    parseLimits(parseLimits('5/s'))
  })

  it('rejects invalid literals', () => {
    // @ts-expect-error no slash
    parseLimits('100 minute')
    // @ts-expect-error unknown unit
    parseLimits('10/fortnight')
    // @ts-expect-error zero
    parseLimits('0/minute')
    // @ts-expect-error negative
    parseLimits('-1/minute')
    // @ts-expect-error fraction
    parseLimits('1.5/minute')
    // @ts-expect-error empty
    parseLimits('')
    // @ts-expect-error bad separator
    parseLimits('5/s & 6/s')
    // @ts-expect-error the second of an array
    parseLimits(['5/s', '10/fortnight'])
    // @ts-expect-error one of two
    parseLimits(halfWrong)
    // @ts-expect-error an empty array
    parseLimits([])
    // @ts-expect-error a number
    parseLimits(100)
    // @ts-expect-error a number among texts
    parseLimits(['5/s', 100])
    // @ts-expect-error arrays do not nest
    parseLimits([['5/s']])
    // @ts-expect-error nothing
    parseLimits(undefined)
    // @ts-expect-error a limit without a window
    parseLimits({ count: 5 })
    // @ts-expect-error a limit with a property that limits do not have
    parseLimits({ count: 5, windowMs: 1_000, most: 9 })
    // @ts-expect-error the same in an array
    parseLimits([{ count: 5, windowMs: 1_000, most: 9 }])
  })
})

describe('the same parameter type in user code', () => {
  it('works on a class', () => {
    const plain: Limiter = new Limiter('5/s')
    const several: Limiter = new Limiter(['5/s', '10/min'], { burst: 9 })
    expectTypeOf(new Limiter(input)).toExtend<Limiter>()
    expectTypeOf(plain).toEqualTypeOf(several)
    // @ts-expect-error the declared type of the variable does not switch the check off
    const wrong: Limiter = new Limiter('10/fortnight')
    // @ts-expect-error nor does a property of another object
    const held: { readonly limiter: Limiter } = { limiter: new Limiter(['5/s', '5']) }
    expectTypeOf(wrong).toEqualTypeOf(held.limiter)
  })

  it('works on a subclass that passes its text on to the constructor', () => {
    class Strict extends Limiter {
      constructor(own: string) {
        super(own)
      }
    }
    expectTypeOf<ConstructorParameters<typeof Strict>>().toEqualTypeOf<[string]>()
  })

  it('works on a property and on a decorator', () => {
    create({ storage: 'memory:' })
    create({ limits: '100/minute', storage: 'memory:' })
    create({ limits: ['5/s', limit] })
    create({ limits: text })
    decorate('100/minute')
    // @ts-expect-error unknown unit
    create({ limits: '10/fortnight' })
    // @ts-expect-error no slash, in an array
    create({ limits: ['5/s', '10'] })
    // @ts-expect-error unknown unit
    decorate('10/fortnight')
  })

  it('is not checked when the type argument is the wide type', () => {
    parseLimits<LimitInput>('whatever the parser says')
    parseLimits('10/fortnight' as string)
  })
})

import { rateThrottle } from 'ratethrottle/http'
import { expect, it } from 'vitest'
import type { Options } from './serve.ts'

/** One invalid option each, and what the error must contain. */
const WRONG: readonly (readonly [wrong: Options, says: string | RegExp])[] = [
  [{ blockFor: [] }, 'blockFor must be a duration, or at least one step, got [array]'],
  [{ blockFor: ['1 minute', 'soon'] }, 'blockFor[1]'],
  [
    { slowDown: '1 second', countWhen: 'failure' },
    'slowDown must be left out beside countWhen or a blockFor with steps',
  ],
  [
    { slowDown: '1 second', blockFor: ['1 minute'] },
    'slowDown must be left out beside countWhen or a blockFor with steps',
  ],
  [{ slowDown: -1 }, 'slowDown'],
  [{ name: 'a', scope: 'b' }, 'name must be left out beside scope'],
  [{ scope: '' }, /scope .*got ""/],
  [{ policy: ['a', 'b'] }, 'policy must be at most one name per limit (1), got 2'],
  [{ policy: 'naïve' }, /policy .*printable ASCII/],
  [{ status: 200 }, /status .*from 400 to 599, got 200/],
  [{ message: '' }, 'message'],
  [{ cost: -1 }, /cost .*from 0 .*got -1/],
  [{ cost: 1.5 }, 'cost'],
  [{ keyTimeoutMs: 0 }, 'keyTimeoutMs'],
  [{ outcomeTimeoutMs: 0 }, 'outcomeTimeoutMs'],
  [{ methods: [] }, 'methods'],
  [{ methods: ['PO ST'] }, 'methods[0]'],
  [{ methods: ['GET', 'PSOT'] }, 'methods[1]'],
  [{ headers: 'draft-7' }, /headers .*"draft"/],
  [{ countWhen: 'sometimes' }, 'countWhen'],
  [{ missingKey: 'skip' }, /missingKey .*"deny"/],
  [{ onKeyError: 'open' }, /onKeyError .*"ip"/],
  [{ key: 'user' }, /key .*a function, got "user"/],
  [{ dryRun: 1 }, 'dryRun'],
  [{ problem: 'yes' }, 'problem'],
  [{ handler: 'text' }, 'handler'],
  [{ onDeny: true }, 'onDeny'],
  [{ trust: true }, 'trust'],
  [{ allow: '10.0.0.0/33' }, 'allow'],
  [{ deny: [7] }, 'deny[0]'],
]

it.each(WRONG)('%j stops the start with an error that names the option', (wrong, says) => {
  expect(() => rateThrottle({ limits: '1/hour', ...wrong })).toThrow(says)
})

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from '../fixtures/child.ts'

// A death after each single exchange, with its consequences, is tested in crate/core/tests/shared/dying.rs,
// and real kills in __test__/shared/killed.test.ts.

const PROMISES = ['README.md', 'docs/concepts/guarantees.md', 'docs/internals/proof.md']

test.each(PROMISES)(
  '%s promises all or nothing after a kill only for a limiter with one limit',
  (file) => {
    const text = readFileSync(join(ROOT, file), 'utf8').replaceAll(/\s+/g, ' ')
    const sentences = text.split(/(?<=[.:;|]) /)
    const promised = sentences.filter((sentence) => /in full or not at all/.test(sentence))
    expect(promised.length).toBeGreaterThan(0)
    for (const sentence of promised) expect(sentence).toMatch(/one limit/)
    expect(text).toMatch(/several limits/)
  },
)

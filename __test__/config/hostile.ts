/** A file that must be refused, by what is wrong with it. */
export interface Hostile {
  readonly name: string
  readonly file: 'x.json' | 'x.yaml'
  readonly bytes: Uint8Array | string
}

const API = '"api": { "limits": "1/second" }'
const NAMES = [
  ...[
    '__proto__',
    'constructor',
    'prototype.x',
    'toString',
    'valueOf',
    'hasOwnProperty',
    '__defineGetter__',
  ],
  ...[
    'isPrototypeOf',
    'toLocaleString',
    '',
    ' ',
    'a b',
    'a/b',
    '-a',
    '1a',
    'a'.repeat(65),
    'ä',
    '\u202ea',
    '${HOME}',
  ],
].filter((name) => name !== 'prototype.x')

const json = (name: string, bytes: Hostile['bytes']): Hostile => ({ name, file: 'x.json', bytes })
const yaml = (name: string, bytes: Hostile['bytes']): Hostile => ({ name, file: 'x.yaml', bytes })
const bytesOf = (...parts: (string | number[])[]): Uint8Array =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))),
  )

const limiter = (inner: string): string =>
  `{ "limiters": { "api": { "limits": "1/second", ${inner} } } }`

function brokenJson(): Hostile[] {
  const texts = [
    ...[
      '',
      ' ',
      '{',
      '}',
      '[',
      ']',
      '"',
      'null',
      'true',
      '1',
      '"text"',
      '[]',
      '[{}]',
      '{}',
      '{"limiters"}',
      '{"limiters":}',
    ],
    ...[
      '{,}',
      '{"limiters":{}',
      `{"limiters":{${API}}}}`,
      `{"limiters":{${API},}}`,
      `{"limiters":{${API}} /* no */}`,
    ],
    ...[
      `// no\n{"limiters":{${API}}}`,
      `{"limiters":{${API}}}\u0000`,
      `{'limiters':{}}`,
      '{limiters:{}}',
      '{"a":01}',
      '{"a":+1}',
    ],
    ...[
      '{"a":1e}',
      '{"a":.5}',
      '{"a":NaN}',
      '{"a":Infinity}',
      '{"a":undefined}',
      '{"a":"\n"}',
      '{"a":"\\x41"}',
      '{"a":"\\u12"}',
    ],
    ...['{"a":"\\ud800"}', '{"a":tru}', '{"a" 1}', '{"a":1 "b":2}', '[1 2]', '{"a":1}{"b":2}'],
  ]
  return texts.map((text) => json(`broken: ${text.slice(0, 30)}`, text))
}

function huge(): Hostile[] {
  const deep = (open: string, close: string, count: number): string =>
    open.repeat(count) + close.repeat(count)
  return [
    json('1 MB and a byte', ' '.repeat(1_048_577)),
    json('100 MB', Buffer.alloc(100_000_000, 32)),
    json('deep lists', deep('[', ']', 500_000)),
    json('deep objects', '{"a":'.repeat(150_000)),
    json('many keys', `{${Array.from({ length: 60_000 }, (_, i) => `"k${i}":1`).join()}}`),
    json('many values', `{"limiters":[${'1,'.repeat(400_000)}1]}`),
    json('a huge key', `{"${'k'.repeat(900_000)}":1}`),
    json('a huge text', `{"limiters":"${'k'.repeat(900_000)}"}`),
    json('a huge escaped text', `{"limiters":"${'\\u0041'.repeat(150_000)}"}`),
    json('a huge number', `{"cost":${'9'.repeat(900_000)}}`),
    json('many spaces', `${' '.repeat(1_000_000)}x`),
    json('many lines', `${'\n'.repeat(1_000_000)}x`),
    json(
      'many routes',
      `{"limiters":{${API}},"routes":{${Array.from({ length: 6_000 }, (_, i) => `"/${i}":"api"`).join()}}}`,
    ),
    json(
      'many limiters',
      `{"limiters":{${Array.from({ length: 1_100 }, (_, i) => `"l${i}":{"limits":"1/s"}`).join()}},"routes":{"*":"l1"}}`,
    ),
    json('a deep route', `{"limiters":{${API}},"routes":{"${'/a'.repeat(40)}":"api","*":"api"}}`),
    yaml('deep flow', '['.repeat(500_000)),
    yaml('deep flow maps', '{a: '.repeat(200_000)),
    yaml('deep rows', `${'- '.repeat(400_000)}x`),
    yaml('deep questions', `${'? '.repeat(400_000)}x`),
    yaml('deep indents', Array.from({ length: 1_300 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')),
    yaml('one key many times', 'a: [1]\n'.repeat(130_000)),
    yaml('many keys', Array.from({ length: 90_000 }, (_, i) => `k${i}: 1`).join('\n')),
    yaml('many documents', '---\n'.repeat(200_000)),
    yaml('many anchors', `a: ${Array.from({ length: 50_000 }, (_, i) => `&a${i}`).join(' ')}`),
    yaml('a huge key', `${'k'.repeat(900_000)}: 1`),
    yaml('a huge text', `limiters: ${'k'.repeat(900_000)}`),
    yaml('a huge block', `limiters: |\n${'  k\n'.repeat(200_000)}`),
    yaml('a huge fold', `limiters: >\n${'  k\n\n'.repeat(150_000)}`),
    yaml('a huge escaped text', `limiters: "${'\\x41'.repeat(200_000)}"`),
    ...[
      '"',
      "'",
      '&',
      '*',
      '!',
      '%',
      '@',
      '`',
      '|',
      '>',
      ':',
      '?',
      '-',
      ',',
      '#',
      '[]',
      '{}',
      ': ',
      '- ',
    ].map((sign) => yaml(`900 KB of ${sign}`, sign.repeat(900_000 / sign.length))),
  ]
}

function bombs(): Hostile[] {
  const letters = 'abcdefghij'
  const laughs = [...letters].map((one, i) =>
    i === 0
      ? 'a: &a [x, x, x, x, x, x, x, x, x, x]'
      : `${one}: &${one} [${Array(10)
          .fill(`*${letters[i - 1]}`)
          .join(', ')}]`,
  )
  return [
    yaml('a billion laughs', laughs.join('\n')),
    yaml('an alias of itself', 'limiters: &a { api: *a }'),
    yaml('an alias before its anchor', 'limiters: *a\nroutes: &a {}'),
    yaml(
      'a quadratic blowup',
      `limiters: &a "${'x'.repeat(8_000)}"\nroutes: [${Array(15_000).fill('*a').join(', ')}]`,
    ),
    yaml('merge keys', 'limiters: &a { api: { limits: 1/s } }\nroutes:\n  <<: *a'),
    ...[
      '!!js/function "x"',
      '!!python/object:os.system x',
      '!!binary aGk=',
      '!!set {a}',
      '!!omap [a: 1]',
      '!!timestamp 2026-11-30',
      '!foo x',
      '!!str x',
      '! x',
    ].map((value) => yaml(`a tag: ${value}`, `limiters: ${value}`)),
    ...[
      '%YAML 1.1\n---\nlimiters: {}',
      '%TAG ! tag:x,2026:\n---\na: 1',
      'a: 1\n---\nb: 2',
      'a: 1\n...\nb: 2',
    ].map((text) => yaml(`documents: ${text.slice(0, 12)}`, text)),
    ...[
      '1: x',
      'true: x',
      '~: x',
      '[a]: x',
      '{a: 1}: x',
      '? [a, b]\n: x',
      '2026-11-30: x',
      '0x1: y',
    ].map((text) => yaml(`a key: ${text}`, text)),
    ...[
      'no',
      'off',
      'Yes',
      '0x10',
      '010',
      '0o7',
      '1e3',
      '+1',
      '.inf',
      '.nan',
      '1_000',
      '~',
      '2026-11-30',
      '1:30',
    ].map((value) =>
      yaml(`a value: ${value}`, `limiters:\n  api:\n    limits: 1/second\n    burst: ${value}`),
    ),
  ]
}

function bytes(): Hostile[] {
  const good = `{"limiters":{${API}}}`
  return [
    json('a byte order mark', bytesOf([0xef, 0xbb, 0xbf], good)),
    json('UTF-16 LE', Buffer.from(`\ufeff${good}`, 'utf16le')),
    json('UTF-16 BE', bytesOf([0xfe, 0xff], [0, 123])),
    json('UTF-32', bytesOf([0xff, 0xfe, 0, 0], [123, 0, 0, 0])),
    json('Latin-1', bytesOf('{"a":"', [0xe4], '"}')),
    json('an overlong slash', bytesOf('{"a":"', [0xc0, 0xaf], '"}')),
    json('a surrogate in UTF-8', bytesOf('{"a":"', [0xed, 0xa0, 0x80], '"}')),
    json('half a character', bytesOf('{"a":"', [0xe2, 0x82])),
    json('gzip', bytesOf([0x1f, 0x8b, 8, 0, 0, 0, 0, 0])),
    json('zeros', Buffer.alloc(1_000_000)),
    json('random', Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 197) % 256))),
    ...[0x00, 0x01, 0x08, 0x0b, 0x0c, 0x1b, 0x7f].flatMap((code) => [
      json(`U+${code.toString(16)}`, `{"limiters":{"a${String.fromCharCode(code)}":{}}}`),
      yaml(`U+${code.toString(16)}`, `limiters: a${String.fromCharCode(code)}`),
    ]),
    ...['\u202e', '\u2066', '\u2028', '\u0085', '\ufeff'].map((sign) =>
      yaml(`U+${sign.charCodeAt(0).toString(16)}`, `limiters: {a: ${sign}}`),
    ),
  ]
}

function keys(): Hostile[] {
  const inner = [
    'limts: 1',
    'Limits: 1',
    'max: 5',
    'windowMs: 60000',
    '__proto__: {}',
    'constructor: 1',
    'key: ip',
    'clock: 1',
    'shield: {}',
    'RATELIMIT_STORAGE_URL: x',
  ]
  return [
    ...NAMES.map((name) =>
      json(
        `a limiter called ${name.slice(0, 20)}`,
        `{"limiters":{${JSON.stringify(name)}:{"limits":"1/s"}}}`,
      ),
    ),
    ...inner.map((pair) => {
      const [key = '', value = ''] = pair.split(': ')
      return json(
        `a key: ${key}`,
        limiter(`"${key}": ${/^\d|^\{/.test(value) ? value : `"${value}"`}`),
      )
    }),
    json('__proto__ at the top', '{"__proto__":{"limits":"1/s"}}'),
    json('__proto__ in a limit', '{"limits":{"count":1,"windowMs":1000,"__proto__":{"burst":5}}}'),
    json('a key twice', '{"limits":"1/s","limits":"9/s"}'),
    json('a key twice, escaped', '{"limits":"1/s","limit\\u0073":"9/s"}'),
    yaml('a key twice', 'limits: 1/s\n"limits": 9/s'),
    yaml('__proto__', '__proto__:\n  limits: 1/s'),
  ]
}

function values(): Hostile[] {
  const pairs = [
    ...[
      '"burst": 0',
      '"burst": 1e30',
      '"burst": "5"',
      '"burst": null',
      '"burst": [1]',
      '"algorithm": "bucket"',
      '"capacity": -1',
    ],
    ...[
      '"capacity": 1e9',
      '"blockFor": "soon"',
      '"blockFor": []',
      '"blockFor": -1',
      '"cost": 0.5',
      '"trust": true',
      '"trust": "*"',
    ],
    ...[
      '"trust": "0.0.0.0/0"',
      '"allow": "300.1.1.1"',
      '"deny": ["x"]',
      '"methods": []',
      '"methods": ["G T"]',
      '"status": 200',
    ],
    ...[
      '"headers": true',
      '"headers": "all"',
      '"policy": "\\u00e4"',
      '"dryRun": "false"',
      '"dryRun": 1',
      '"storage": "mysql://u:secret@h"',
    ],
    ...[
      '"storage": "shared:"',
      '"storage": ""',
      '"keyPrefix": "{"',
      '"lease": {}',
      '"lease": { "size": 0 }',
      '"slowDown": "1 s", "countWhen": "failure"',
    ],
    ...[
      '"message": ""',
      '"scope": "a", "name": "b"',
      '"policy": ["a", "b"]',
      '"burst": 5, "algorithm": "fixed-window"',
      '"cost": "${MISSING}"',
    ],
    ...[
      '"message": "${}"',
      '"message": "${1}"',
      '"message": "${A B}"',
      '"message": "${"',
      '"message": "${LONG}"',
      '"message": "${RECURSIVE}${MISSING}"',
    ],
  ]
  const limits = [
    '',
    '5',
    '0/second',
    '5/fortnight',
    '5 per',
    '1e9/second',
    '-1/s',
    '5/0s',
    '٥/second',
    '5/second;',
    ';',
    '9'.repeat(2_000),
  ]
  return [
    ...pairs.map((pair) => json(`a value: ${pair}`, limiter(pair))),
    ...limits.map((text) =>
      json(`limits: ${text.slice(0, 20)}`, `{"limits":${JSON.stringify(text)}}`),
    ),
    ...[
      '{}',
      '{"count":1}',
      '{"count":1,"windowMs":0}',
      '{"count":1.5,"windowMs":9}',
      '[]',
      '[[]]',
      'null',
      '{"count":1,"windowMs":9,"x":1}',
    ].map((value) => json(`limits: ${value}`, `{"limits":${value}}`)),
    ...[
      '{"/a":"none"}',
      '{"/a":true}',
      '{"/a":null}',
      '{"a":"api"}',
      '{"GET":"api"}',
      '{"/a?b":"api"}',
      '{"/:":"api"}',
      '{"/a*":"api"}',
      '{"/*/a":"api"}',
      '{"HEAD /a":"api"}',
      '{"/a/../b":"api"}',
      '{"/a":"api"}',
      '[]',
      '"api"',
      '{"/a/:x":"api","/A/:y/":"api","*":"api"}',
    ].map((routes) => json(`routes: ${routes}`, `{"limiters":{${API}},"routes":${routes}}`)),
  ]
}

export const HOSTILE: readonly Hostile[] = [
  ...brokenJson(),
  ...huge(),
  ...bombs(),
  ...bytes(),
  ...keys(),
  ...values(),
]

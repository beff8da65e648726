import { Facts, make, section, setAttributes, setName, setText } from './element.ts'
import { duration, number, share } from './format.ts'
import type { Change, Changes } from './live.ts'
import type { ShieldCard, Snapshot, SourceRow, StoreRow } from './snapshot.ts'
import { Table, textColumn } from './table.ts'

/* What stands before and behind the limits: shields with their blocks, and stores. */

/** What each level is called. The number alone says little. */
const LEVELS = ['no suspicion', 'watched', 'paced', 'told to wait', 'blocked']

/** All shields, and what can be changed of them. */
export class Shields {
  readonly element: HTMLElement
  readonly #cards = new Map<string, ShieldPart>()
  readonly #list = make('div')
  readonly #said = make('p', { class: 'said', role: 'status' })
  readonly #empty = make(
    'p',
    { class: 'empty' },
    'No shield stands before these limits. A limit holds each client to its count; a shield finds floods, ' +
      'scans and stuffing over many clients. Try ',
    make('code', {}, "shield: { mode: 'watch' }"),
    ', which reports and refuses no request.',
  )
  readonly #changes: Changes
  readonly #forms: HTMLElement

  constructor(changes: Changes) {
    this.#changes = changes
    this.#forms = make('div', {}, ...this.#makeForms(), this.#said)
    const { element } = section('shields', 'Shield', this.#empty, this.#list, this.#forms)
    this.element = element
  }

  show({ shields }: Snapshot): void {
    this.#empty.hidden = shields.length > 0
    this.#forms.hidden = shields.length === 0
    const left = new Set(this.#cards.keys())
    for (const shield of shields) {
      left.delete(shield.name)
      const part = this.#cards.get(shield.name) ?? this.#add(shield.name)
      part.show(shield)
    }
    for (const name of left) {
      this.#cards.get(name)?.element.remove()
      this.#cards.delete(name)
    }
  }

  #add(name: string): ShieldPart {
    const pardon = (source: string): Promise<void> => this.#do({ action: 'pardon', source })
    const part = new ShieldPart(name, this.#changes.may.pardon ? pardon : undefined)
    this.#cards.set(name, part)
    this.#list.append(part.element)
    return part
  }

  async #do(change: Change): Promise<void> {
    setText(this.#said, 'Asking the server …')
    setText(this.#said, await this.#changes.ask(change))
  }

  #makeForms(): HTMLElement[] {
    const forms: HTMLElement[] = []
    if (this.#changes.may.pardon) {
      forms.push(
        addressForm('pardon', 'Pardon', (source) => this.#do({ action: 'pardon', source })),
      )
    }
    if (this.#changes.may.block) {
      const minutes = minutesField()
      const block = (source: string): Promise<void> =>
        this.#do({ action: 'block', source, ms: Number(minutes.value) * 60_000 })
      forms.push(addressForm('block', 'Block', block, minutes))
    }
    return forms
  }
}

function minutesField(): HTMLSelectElement {
  const choices = { 10: '10 minutes', 60: '1 hour', 1440: '1 day' }
  const options = Object.entries(choices).map(([value, words]) => make('option', { value }, words))
  return make('select', { 'aria-label': 'How long to block it' }, ...options)
}

function addressForm(
  id: string,
  verb: string,
  submit: (address: string) => Promise<void>,
  extra?: HTMLElement,
): HTMLElement {
  const field = make('input', {
    id: `${id}-address`,
    required: true,
    maxlength: 64,
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false',
  })
  const label = make('label', { for: field.id }, `${verb} an address`)
  const button = make('button', { type: 'submit' }, verb)
  const form = make('form', {}, make('div', {}, label, field), extra, button)
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void submit(field.value.trim()).then(() => {
      field.value = ''
    })
  })
  return form
}

/** One shield with its biggest sources. */
class ShieldPart {
  readonly element: HTMLElement
  readonly #title = make('h3')
  readonly #facts = new Facts('facts')
  readonly #table: Table<SourceRow>

  /** @param pardon `undefined`: it may not be done */
  constructor(name: string, pardon: ((source: string) => Promise<void>) | undefined) {
    const columns = [
      {
        title: 'Source',
        fill: (cell: HTMLElement, row: SourceRow) => setName(cell, row.source, 'key'),
      },
      textColumn<SourceRow>('A minute', (row) => number(Math.round(row.requestsPerMinute)), true),
      textColumn<SourceRow>('Level', (row) => levelOf(row)),
      textColumn<SourceRow>('Blocked', ({ blockedMs }) =>
        blockedMs > 0 ? `for ${duration(blockedMs)}` : 'no',
      ),
    ]
    const last = {
      title: '',
      fill: (cell: HTMLElement, row: SourceRow) => pardonButton(cell, row, pardon),
    }
    this.#table = new Table(
      `Biggest sources at ${name}, blocked ones first`,
      pardon === undefined ? columns : [...columns, last],
      (row) => row.source,
      make('p', { class: 'empty' }, 'No source has asked yet. Those that ask most appear here.'),
    )
    setName(this.#title, name)
    this.element = make('div', {}, this.#title, this.#facts.element, this.#table.element)
  }

  show(shield: ShieldCard): void {
    const isWatching = shield.mode === 'watch'
    this.#facts.show('Mode', isWatching ? 'watch: it refuses no request' : shield.mode)
    this.#facts.show('Pressure', shield.pressure ? '▲ yes: more than it can serve' : 'no')
    this.#facts.show('Failures', shield.alarm ? '▲ most sensitive requests fail' : 'usual')
    this.#facts.show('Let in', number(shield.admitted))
    this.#facts.show('Refused', isWatching ? undefined : number(shield.refused))
    this.#facts.show('Would refuse', isWatching ? number(shield.wouldRefuse) : undefined)
    this.#facts.show('New sources let in', share(shield.newcomerShare, 1))
    this.#facts.show('Blocked sources', number(shield.blocked))
    this.#table.show(shield.top)
  }
}

function levelOf({ level, isRegular }: SourceRow): string {
  return `${level} ${LEVELS[level] ?? ''}${isRegular ? ', a regular' : ''}`
}

/** The name of a pardon's button has its source: a screen reader may come to it without its row. */
function pardonButton(
  cell: HTMLElement,
  { source, blockedMs }: SourceRow,
  pardon: ((source: string) => Promise<void>) | undefined,
): void {
  const isThere = cell.childElementCount > 0
  if (blockedMs === 0 || pardon === undefined) {
    cell.replaceChildren()
    return
  }
  if (isThere) return
  const button = make('button', { type: 'button', class: 'small' }, 'Pardon')
  setAttributes(button, { 'aria-label': `Pardon ${source}` })
  button.addEventListener('click', () => {
    button.disabled = true
    void pardon(source).finally(() => {
      button.disabled = false
    })
  })
  cell.append(button)
}

/** Stores behind a network. */
export class Stores {
  readonly element: HTMLElement
  readonly #table: Table<StoreRow>

  constructor() {
    this.#table = new Table<StoreRow>(
      'Whether the store of each limit answers this process',
      [
        { title: 'Limit', fill: (cell, row) => setName(cell, row.limit) },
        {
          title: 'State',
          fill: (cell, row) => {
            if (cell.childElementCount === 0) cell.append(make('span'))
            const text = cell.firstElementChild as HTMLElement
            setAttributes(text, { class: row.available ? 'state good' : 'state bad' })
            setText(text, row.available ? '✓ answers' : '✕ does not answer')
          },
        },
        textColumn('Reason', ({ reason, available }) => (available ? '–' : (reason ?? 'unknown'))),
      ],
      (row) => row.limit,
      make(
        'p',
        { class: 'empty' },
        'All limits count in this process or this host, so no store can be away. With a ',
        make('code', {}, 'redis://'),
        ' storage, its state is shown here.',
      ),
    )
    this.element = section('stores', 'Stores', this.#table.element).element
  }

  show({ stores }: Snapshot): void {
    this.#table.show(stores)
  }
}

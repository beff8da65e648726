// Lines of the permits that are broken on purpose. Those that loom notices have `tests: 'loom'`.

const CHANGE = 'crate/core/src/permits/change.rs'
const CLAIM = 'crate/core/src/permits/claim.rs'
const shared = { only: 'permits' }
const loom = { tests: 'loom', only: 'permits' }

export const PERMITS = [
  {
    name: 'permits: whoever writes over a mark does not say so',
    file: CHANGE,
    from: 'if word.load(Ordering::Acquire) == announced {',
    to: 'if word.load(Ordering::Acquire) == announced && false {',
    ...loom,
  },
  {
    name: 'permits: whoever writes over a mark says so afterwards',
    file: CHANGE,
    from: `        if from.mark().lane() != hand.lane && matches!(from.content(), Content::Count(_)) {
            self.acknowledge(hand, index, from.mark());
        }
        let won = exchange(self.word(index), from.0, to.0);`,
    to: `        let won = exchange(self.word(index), from.0, to.0);
        if from.mark().lane() != hand.lane && matches!(from.content(), Content::Count(_)) {
            self.acknowledge(hand, index, from.mark());
        }`,
    ...loom,
  },
  {
    name: 'permits: what is held is written before the exchange',
    file: CHANGE,
    from: '        let to = Word::new(Content::Count(count), from.generation(), mark);\n        let won',
    to: `        self.set_held(hand.lane, index, held);
        hand.stepped();
        let to = Word::new(Content::Count(count), from.generation(), mark);\n        let won`,
    ...loom,
  },
  {
    name: 'permits: what is held is announced after the slot',
    file: CHANGE,
    from: 'if mark_in(announced) == mark && mark.lane() == lane {',
    to: 'if mark.lane() == lane {',
    ...loom,
  },
  {
    name: 'permits: a last change is never finished',
    file: CHANGE,
    from: 'index <= self.layout.slots() && self.has_taken_place(lane, index, mark)',
    to: 'false && self.has_taken_place(lane, index, mark)',
    ...loom,
  },
  {
    name: 'permits: a last change is always finished',
    file: CHANGE,
    from: 'index <= self.layout.slots() && self.has_taken_place(lane, index, mark)',
    to: 'index <= self.layout.slots() && (self.has_taken_place(lane, index, mark) || true)',
    ...loom,
  },
  {
    name: 'permits: the next user of a lane begins with old marks',
    file: CHANGE,
    from: 'hand.go_on_after(mark);',
    to: '',
    survives:
      'no change takes the mark that its word has already, so an old one misleads only a thread that stood still meanwhile',
    ...shared,
  },
  {
    name: 'permits: no second look before a claim counts',
    file: CLAIM,
    from: 'if !self.has_no_rival(hand, key, index) {',
    to: 'if !self.has_no_rival(hand, key, index) && false {',
    ...loom,
  },
  {
    name: 'permits: no fence between writing and looking',
    file: CLAIM,
    from: '        fence(Ordering::SeqCst);\n',
    to: '',
    ...loom,
  },
  {
    name: 'permits: a rival that was only claimed is passed by',
    file: CLAIM,
    from: 'if rival.content() != Content::Claimed || before {\n                    return false;\n                }',
    to: 'if rival.content() != Content::Claimed || before {\n                    return false;\n                }\n                if true { break; }',
    ...loom,
  },
  {
    name: 'permits: a claim keeps the generation',
    file: CLAIM,
    from: 'let generation = seen.generation().wrapping_add(1);',
    to: 'let generation = seen.generation();',
    ...loom,
  },
  {
    name: 'permits: a slot is taken from a key that holds permits',
    file: CLAIM,
    from: 'matches!(word.content(), Content::Count(0) | Content::Free)',
    to: 'matches!(word.content(), Content::Count(_) | Content::Free)',
    ...shared,
  },
  {
    name: 'permits: a claim left behind is never taken over',
    file: CLAIM,
    from: 'claimed.next()',
    to: 'claimed.next().filter(|_| false)',
    survives:
      'a key has sixteen slots, and those that look after the dead free no claims: it takes sixteen deaths',
    ...shared,
  },
  {
    name: 'permits: the lock of a lane is not asked for',
    file: 'crate/core/src/permits/lane.rs',
    from: '*taken >> lane & 1 == 0 && self.attachment.hold(lane)',
    to: '*taken >> lane & 1 == 0',
    ...shared,
  },
  {
    name: 'permits: threads of one process do not exclude each other',
    file: 'crate/core/src/permits/lane.rs',
    from: '*taken >> lane & 1 == 0 && self.attachment.hold(lane)',
    to: 'self.attachment.hold(lane)',
    tests: 'permits',
  },
  {
    name: 'permits: the key keeps its permit when the total refuses',
    file: 'crate/core/src/permits/both.rs',
    from: '                self.give_back(hand, index, 1);\n                return Err(Refusal::Total);',
    to: '                return Err(Refusal::Total);',
    ...shared,
  },
]

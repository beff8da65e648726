// Lines of the core that are broken on purpose: what is broken, where, and how. Each is a line of `file`.
// `tests` names the tests that are run: `shared` where it is left out.

import { PERMITS } from './permits.mjs'
import { RUST_SHIELD } from './shield.mjs'

export const MUTANTS = [
  ...RUST_SHIELD,
  ...PERMITS,
  {
    name: 'the exchange is a load and a store',
    file: 'crate/core/src/atomic.rs',
    from: 'let won = word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok();',
    to: 'let won = word.load(Ordering::Acquire) == from;\nif won { word.store(to, Ordering::Release); }',
  },
  {
    name: 'no second look before a claim is promoted',
    file: 'crate/core/src/table/claim.rs',
    from: 'if !self.has_no_rival(key, mine.slot) ||',
    to: 'if (!self.has_no_rival(key, mine.slot) && false) ||',
  },
  {
    name: 'an abandoned claim is never taken over',
    file: 'crate/core/src/table/evict.rs',
    from: 'const ABANDONED_MS: u64 = 20;',
    to: 'const ABANDONED_MS: u64 = 1 << 60;',
  },
  {
    name: 'a claim keeps the generation',
    file: 'crate/core/src/table/slot.rs',
    from: 'Self::new(SlotState::Claimed, self.generation().wrapping_add(1), ms)',
    to: 'Self::new(SlotState::Claimed, self.generation(), ms)',
  },
  {
    name: 'a slot is believed whatever its generation',
    file: 'crate/core/src/table/claim.rs',
    from: '(tag(fingerprint, s.generation()) == seen && s.kind() != SlotState::Free).then_some(s)',
    to: '(s.kind() != SlotState::Free).then_some(s)',
  },
  {
    name: 'the log forgets after half a window',
    file: 'crate/core/src/algorithm/sliding_log.rs',
    from: 'age.is_none_or(|age| age >= self.window)',
    to: 'age.is_none_or(|age| age >= self.window / 2)',
  },
  {
    name: 'memory is not reserved',
    file: 'crate/core/src/shared/linux/attach.rs',
    from: 'return match fallocate(file, FallocateFlags::empty(), 0, bytes as u64) {',
    to: 'let _ = FallocateFlags::empty(); let _ = fallocate::<&OwnedFd>;\nreturn match rustix::fs::ftruncate(file, bytes as u64) {',
  },
  {
    name: 'a file of another user is believed',
    file: 'crate/core/src/shared/linux/file.rs',
    from: 'if found.st_uid != uid {',
    to: 'if found.st_uid != uid && false {',
  },
  {
    name: 'a directory of another user is believed',
    file: 'crate/core/src/shared/linux/directory.rs',
    from: 'if found.st_uid != host.uid {',
    to: 'if found.st_uid != host.uid && false {',
  },
  {
    name: 'any mode will do',
    file: 'crate/core/src/shared/linux/file.rs',
    from: 'if mode != MODE {',
    to: 'if mode != MODE && false {',
  },
  {
    name: 'a file may have other names',
    file: 'crate/core/src/shared/linux/file.rs',
    from: '(found.st_nlink > 1).then',
    to: '(found.st_nlink > 9).then',
  },
  {
    name: 'links are followed',
    file: 'crate/core/src/shared/linux/file.rs',
    from: 'access | OFlags::NOFOLLOW | OFlags::CLOEXEC',
    to: 'access | OFlags::CLOEXEC',
  },
  {
    name: 'no process joins the lock',
    file: 'crate/core/src/shared/linux/file.rs',
    from: 'match flock(file, FlockOperation::NonBlockingLockShared) {',
    to: 'match flock(file, FlockOperation::Unlock) {',
  },
  {
    name: 'the length is not looked at',
    file: 'crate/core/src/shared/linux/attach.rs',
    from: 'if u64::try_from(stat.st_size) != Ok(bytes as u64) {',
    to: 'if u64::try_from(stat.st_size) != Ok(bytes as u64) && false {',
  },
  {
    name: 'the checksum is not looked at',
    file: 'crate/core/src/shared/header.rs',
    from: '|| sum != expected',
    to: '|| (sum != expected && false)',
  },
  {
    name: 'another layout is believed',
    file: 'crate/core/src/shared/linux/attach.rs',
    from: 'if header.layout != host.layout {',
    to: 'if header.layout != host.layout && false {',
  },
  {
    name: 'an earlier boot is believed',
    file: 'crate/core/src/shared/linux/directory.rs',
    from: 'if header.boot != self.host.boot {',
    to: 'if header.boot != self.host.boot && false {',
  },
  {
    name: 'another clock is believed',
    file: 'crate/core/src/shared/linux/directory.rs',
    from: '(theirs != ours)',
    to: '(theirs != ours && false)',
  },
  {
    name: 'who is attached is not asked before a file goes',
    file: 'crate/core/src/shared/linux/file.rs',
    from: 'flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()',
    to: 'flock(file, FlockOperation::NonBlockingLockExclusive).is_ok() || true',
  },
  {
    name: 'SIGBUS is not answered',
    file: 'crate/core/src/shared/linux/sigbus.rs',
    from: 'if !(is_beyond && replace(address)) {',
    to: 'if !(is_beyond && replace(address) && false) {',
  },
  {
    name: 'a removed file goes unnoticed',
    file: 'crate/core/src/shared/linux/mapping.rs',
    from: 'found.st_nlink > 0 &&',
    to: 'found.st_nlink < 9 &&',
  },
  {
    name: 'a record left alone for years is read as it stands',
    file: 'crate/core/src/stored/mod.rs',
    from: 'if idle_ms > algorithm.epoch_ms() {',
    to: 'if idle_ms > algorithm.epoch_ms() && false {',
    tests: 'stored',
  },
  {
    name: 'time steps back for a record',
    file: 'crate/core/src/stored/mod.rs',
    from: 'let now = Nanos(now.0.max(record.last.0));',
    to: 'let now = Nanos(now.0);',
    tests: 'stored',
  },
  {
    name: 'a record is not checked',
    file: 'crate/core/src/stored/record.rs',
    from: 'checksum(body) != u64::from_le_bytes(*sum)',
    to: 'false',
    tests: 'stored',
  },
  {
    name: 'a coarse decision holds after a pause',
    file: 'crate/core/src/clock.rs',
    from: '(coarse.0.saturating_sub(earliest.0) <= SLACK_MS * 1_000_000).then_some(decision)',
    to: 'Some(decision)',
    tests: 'lib',
  },
  {
    name: 'nothing is given back when a later limit denies',
    file: 'crate/core/src/limit_set.rs',
    from: 'self.take_back(ask, &receipts);',
    to: '',
    tests: 'give_back',
  },
]

// Breaks the core on purpose, one line at a time, and says which checks notice: npm run prove:mutants [-- word ...]
// Works on a copy; a mutant that no check notices makes it exit with 1.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const COPY = join(tmpdir(), 'ratethrottle-mutants')
const SOURCE = join(COPY, 'crate/core/src')

/** What is broken, where, and how. */
const MUTANTS = [
  {
    name: 'the exchange is a load and a store',
    file: 'table/claim.rs',
    from: 'let won = word.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire).is_ok();',
    to: 'let won = word.load(Ordering::Acquire) == from.0;\nif won { word.store(to.0, Ordering::Release); }',
  },
  {
    name: 'no second look before a claim is promoted',
    file: 'table/claim.rs',
    from: 'if !self.alone(key, mine.slot) {',
    to: 'if !self.alone(key, mine.slot) && false {',
  },
  {
    name: 'an abandoned claim is never taken over',
    file: 'table/claim.rs',
    from: 'const ABANDONED_MS: u64 = 20;',
    to: 'const ABANDONED_MS: u64 = 1 << 60;',
  },
  {
    name: 'a claim keeps the generation',
    file: 'table/word.rs',
    from: 'Self::new(Kind::Claimed, self.generation().wrapping_add(1), ms)',
    to: 'Self::new(Kind::Claimed, self.generation(), ms)',
  },
  {
    name: 'a slot is believed whatever its generation',
    file: 'table/claim.rs',
    from: '(tag(fingerprint, s.generation()) == seen && s.kind() != Kind::Free).then_some(s)',
    to: '(s.kind() != Kind::Free).then_some(s)',
  },
  {
    name: 'the log forgets after half a window',
    file: 'algorithm/sliding_log.rs',
    from: 'age.is_none_or(|age| age >= self.window)',
    to: 'age.is_none_or(|age| age >= self.window / 2)',
  },
  {
    name: 'memory is not reserved',
    file: 'shared/linux/directory.rs',
    from: 'return match fallocate(file, FallocateFlags::empty(), 0, bytes as u64) {',
    to: 'let _ = FallocateFlags::empty(); let _ = fallocate::<&OwnedFd>;\nreturn match rustix::fs::ftruncate(file, bytes as u64) {',
  },
  {
    name: "anybody's file is believed",
    file: 'shared/linux/file.rs',
    from: 'if found.st_uid != uid {',
    to: 'if found.st_uid != uid && false {',
  },
  {
    name: "anybody's directory is believed",
    file: 'shared/linux/directory.rs',
    from: 'if found.st_uid != host.uid {',
    to: 'if found.st_uid != host.uid && false {',
  },
  {
    name: 'any mode will do',
    file: 'shared/linux/file.rs',
    from: 'if mode != MODE {',
    to: 'if mode != MODE && false {',
  },
  {
    name: 'a file may have other names',
    file: 'shared/linux/file.rs',
    from: '(found.st_nlink > 1).then',
    to: '(found.st_nlink > 9).then',
  },
  {
    name: 'links are followed',
    file: 'shared/linux/file.rs',
    from: 'access | OFlags::NOFOLLOW | OFlags::CLOEXEC',
    to: 'access | OFlags::CLOEXEC',
  },
  {
    name: 'nobody takes part in the lock',
    file: 'shared/linux/file.rs',
    from: 'match flock(file, FlockOperation::NonBlockingLockShared) {',
    to: 'match flock(file, FlockOperation::Unlock) {',
  },
  {
    name: 'the length is not looked at',
    file: 'shared/linux/directory.rs',
    from: 'if u64::try_from(stat.st_size) != Ok(bytes as u64) {',
    to: 'if u64::try_from(stat.st_size) != Ok(bytes as u64) && false {',
  },
  {
    name: 'the checksum is not looked at',
    file: 'shared/label.rs',
    from: '|| sum != checksum(&words)',
    to: '|| (sum != checksum(&words) && false)',
  },
  {
    name: 'another layout is believed',
    file: 'shared/linux/directory.rs',
    from: 'if label.layout != host.layout {',
    to: 'if label.layout != host.layout && false {',
  },
  {
    name: 'an earlier boot is believed',
    file: 'shared/linux/directory.rs',
    from: 'if label.boot != self.host.boot {',
    to: 'if label.boot != self.host.boot && false {',
  },
  {
    name: 'another clock is believed',
    file: 'shared/linux/directory.rs',
    from: '(theirs != ours)',
    to: '(theirs != ours && false)',
  },
  {
    name: 'who is attached is not asked before a file goes',
    file: 'shared/linux/file.rs',
    from: 'flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()',
    to: 'flock(file, FlockOperation::NonBlockingLockExclusive).is_ok() || true',
  },
  {
    name: 'SIGBUS is not answered',
    file: 'shared/linux/sigbus.rs',
    from: 'if !(is_beyond && replace(address)) {',
    to: 'if !(is_beyond && replace(address) && false) {',
  },
  {
    name: 'a removed file goes unnoticed',
    file: 'shared/linux/mapping.rs',
    from: 'found.st_nlink > 0 &&',
    to: 'found.st_nlink < 9 &&',
  },
]

const words = process.argv.slice(2)
mkdirSync(COPY, { recursive: true })
let survivors = 0
const wanted = MUTANTS.filter(
  ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
)
for (const mutant of wanted) survivors += kill(mutant)
process.exitCode = survivors === 0 ? 0 : 1

function kill({ name, file, from, to }) {
  for (const part of ['crate', 'Cargo.toml', 'Cargo.lock']) {
    cpSync(part, join(COPY, part), { recursive: true, filter: (path) => !path.endsWith('.node') })
  }
  const path = join(SOURCE, file)
  const text = readFileSync(path, 'utf8')
  if (!text.includes(from)) throw new Error(`${name}: ${file} has no line ${from}`)
  writeFileSync(path, text.replace(from, to))
  const args = ['test', '-p', 'ratethrottle-core', '--features', 'probe', '--test', 'shared']
  const { stdout, status, signal } = spawnSync('cargo', args, {
    cwd: COPY,
    encoding: 'utf8',
    timeout: 240_000,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const noticed = [...stdout.matchAll(/^test (\S+) \.\.\. FAILED$/gm)].map(([, test]) => test)
  const ended = stdout.includes('test result')
    ? ''
    : stdout.includes('running')
      ? 'the process ended'
      : ''
  const survived = status === 0
  if (!survived && noticed.length === 0 && ended === '' && signal === null) {
    throw new Error(`${name}: does not compile`)
  }
  const by = survived ? 'SURVIVED' : [...noticed, ended || signal].filter(Boolean).join(', ')
  console.log(`| ${name} | ${by} |`)
  return survived ? 1 : 0
}

'use strict'
// Loads the addon: the file beside this one in a checkout, else the package of this platform. Written by hand:
// each `require` has its name in full, because bundlers and packagers look for those, and no others are asked for. Each
// stands in a `try`: so bundlers know that it may find nothing, and copy the addon that is there.
const { readFileSync } = require('node:fs')

/** The platforms that there is an addon for. */
const PLATFORMS = [
  'linux-x64-gnu',
  'linux-arm64-gnu',
  'linux-x64-musl',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64-msvc',
  'win32-arm64-msvc',
]

/** Another file to load, for tests. */
const OVERRIDE = 'NAPI_RS_NATIVE_LIBRARY_PATH'

module.exports = load()

function load() {
  const override = process.env[OVERRIDE]
  if (override)
    return attempt(
      () => require(override),
      (error) => unloadable(error, `${OVERRIDE}: `),
    )
  const platform = platformName()
  if (!PLATFORMS.includes(platform)) {
    const all = PLATFORMS.join(', ')
    throw failure(
      'ADDON_UNSUPPORTED',
      `there is no native addon for ${platform}; there is one for ${all}`,
    )
  }
  let cause
  for (const place of [ofCheckout, ofPackage]) {
    const { addon, error } = place(platform)
    if (addon !== undefined) return addon
    // What is there and can't be loaded is the cause; that the other place is empty is not.
    if (cause === undefined || (isAbsent(cause, platform) && !isAbsent(error, platform)))
      cause = error
  }
  throw isAbsent(cause, platform) ? missing(platform, cause) : unloadable(cause, '')
}

/** The file of a checkout. */
function ofCheckout(platform) {
  try {
    switch (platform) {
      case 'linux-x64-gnu':
        return { addon: require('./ratethrottle.linux-x64-gnu.node') }
      case 'linux-arm64-gnu':
        return { addon: require('./ratethrottle.linux-arm64-gnu.node') }
      case 'linux-x64-musl':
        return { addon: require('./ratethrottle.linux-x64-musl.node') }
      case 'linux-arm64-musl':
        return { addon: require('./ratethrottle.linux-arm64-musl.node') }
      case 'darwin-x64':
        return { addon: require('./ratethrottle.darwin-x64.node') }
      case 'darwin-arm64':
        return { addon: require('./ratethrottle.darwin-arm64.node') }
      case 'win32-x64-msvc':
        return { addon: require('./ratethrottle.win32-x64-msvc.node') }
      case 'win32-arm64-msvc':
        return { addon: require('./ratethrottle.win32-arm64-msvc.node') }
    }
  } catch (error) {
    return { error }
  }
}

/** The package that npm installs. */
function ofPackage(platform) {
  try {
    switch (platform) {
      case 'linux-x64-gnu':
        return { addon: require('ratethrottle-linux-x64-gnu') }
      case 'linux-arm64-gnu':
        return { addon: require('ratethrottle-linux-arm64-gnu') }
      case 'linux-x64-musl':
        return { addon: require('ratethrottle-linux-x64-musl') }
      case 'linux-arm64-musl':
        return { addon: require('ratethrottle-linux-arm64-musl') }
      case 'darwin-x64':
        return { addon: require('ratethrottle-darwin-x64') }
      case 'darwin-arm64':
        return { addon: require('ratethrottle-darwin-arm64') }
      case 'win32-x64-msvc':
        return { addon: require('ratethrottle-win32-x64-msvc') }
      case 'win32-arm64-msvc':
        return { addon: require('ratethrottle-win32-arm64-msvc') }
    }
  } catch (error) {
    return { error }
  }
}

function attempt(act, explain) {
  try {
    return act()
  } catch (error) {
    throw explain(error)
  }
}

function platformName() {
  const { platform, arch } = process
  if (platform === 'linux') return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`
  return platform === 'win32' ? `win32-${arch}-msvc` : `${platform}-${arch}`
}

/** Which C library this very process runs on; the system may have both. */
function isMusl() {
  try {
    const maps = readFileSync('/proc/self/maps', 'utf8')
    if (/\/ld-musl-[^/]+$/m.test(maps)) return true
    if (/\/libc(\.so\.6|-2[^/]*\.so)$/m.test(maps)) return false
  } catch {
    // No /proc, or no permission to read it.
  }
  const report = process.report?.getReport()
  return report !== undefined && report.header.glibcVersionRuntime === undefined
}

/** Whether a place is empty: the file or package itself is not found, not something that it needs. */
function isAbsent(error, platform) {
  const { code, message } = error
  return code === 'MODULE_NOT_FOUND' && message.includes(platform)
}

function missing(platform, cause) {
  return failure(
    'ADDON_MISSING',
    `the package ratethrottle-${platform} is missing: it holds the native addon. npm leaves it out with ` +
      '--omit=optional, and where node_modules or package-lock.json were made on another platform ' +
      '(https://github.com/npm/cli/issues/4828): remove both and run `npm install` again, or run ' +
      `\`npm install ratethrottle-${platform}\`. In a checkout, run \`npm run build:native\``,
    cause,
  )
}

function unloadable(cause, prefix) {
  const { code, message } = cause
  if (code === 'ERR_DLOPEN_DISABLED') {
    const how =
      process.permission === undefined
        ? 'with --no-addons; start it without that flag'
        : 'with --permission; start it with --allow-addons too'
    return failure(
      'ADDON_NOT_ALLOWED',
      `Node may not load the native addon: this process runs ${how}`,
      cause,
    )
  }
  const text = String(message).split('\n', 1)[0]
  return failure(
    'ADDON_NOT_LOADABLE',
    `${prefix}the native addon can't be loaded: ${text}${adviceOn(text)}`,
    cause,
  )
}

function adviceOn(text) {
  if (
    /GLIBC_|GLIBCXX_|symbol not found|ld-linux|ld-musl|cannot open shared object|libc\.(so|musl)/.test(
      text,
    )
  ) {
    return '. The C library of this system is missing or too old for it: use a newer system or image'
  }
  if (
    /invalid ELF|too short|file format|not a valid|wrong architecture|mach-o|not self-register/i.test(
      text,
    )
  ) {
    return '. The file is damaged or made for another system: remove node_modules and install again on this one'
  }
  return ''
}

function failure(code, message, cause) {
  return Object.assign(new Error(`ratethrottle: ${message}`, { cause }), { code })
}

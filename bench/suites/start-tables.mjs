const TITLES = {
  require: 'start require: a CommonJS program loads a package',
  import: 'start import: an ES module loads a package',
  first: 'start first: an ES module loads a package and has the first answer of its store',
}

/** One table for each way to load, and one of what is installed. */
export function tables(rows) {
  const loads = Object.entries(TITLES).flatMap(([name, title]) => {
    const own = rows.filter((row) => row.case === name)
    return own.length === 0 ? [] : [loadTable(title, own)]
  })
  const sizes = rows.filter((row) => row.case === 'size')
  return sizes.length === 0 ? loads : [...loads, sizeTable(sizes)]
}

function loadTable(title, rows) {
  return {
    title,
    head: ['package', 'ms', 'min', 'max', 'CPU ms', 'process', 'files', 'KiB', 'built-ins'],
    body: rows.map((row) => [
      row.subject,
      ...[row.ms, row.min, row.max, row.cpuMs].map((ms) => ms.toFixed(1)),
      row.overEmptyMs?.toFixed(1) ?? '',
      String(row.files),
      (row.sourceBytes / 1024).toFixed(0),
      String(row.builtins),
    ]),
    notes: [
      '`process`: milliseconds by which the whole process takes longer than an empty one.',
      '`files`, `KiB`: JavaScript that is compiled. `built-ins`: modules of Node that were not loaded yet.',
    ],
  }
}

function sizeTable(rows) {
  return {
    title: 'start size: on the disk after npm install, without what the user brings along',
    head: ['package', 'packages', 'files', 'KiB'],
    body: rows.map(({ subject, packages, files, bytes }) => [
      subject,
      String(packages),
      String(files),
      (bytes / 1024).toFixed(0),
    ]),
    notes: [
      "ratethrottle's binary is of this platform, its documentation and benchmarks included.",
    ],
  }
}

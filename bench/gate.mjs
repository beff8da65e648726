const CELLS = 2
const ARRIVED = 0
const DONE = 1

/** Where threads start together, and none stops before all have measured. */
export const newGate = () => gateOver(new Int32Array(new SharedArrayBuffer(CELLS * 4)))

export function gateOver(cells) {
  return {
    cells,
    reset() {
      cells.fill(0)
    },
    arrive(threads) {
      Atomics.add(cells, ARRIVED, 1)
      Atomics.notify(cells, ARRIVED)
      for (;;) {
        const arrived = Atomics.load(cells, ARRIVED)
        if (arrived >= threads) return
        Atomics.wait(cells, ARRIVED, arrived)
      }
    },
    leave: () => Atomics.add(cells, DONE, 1),
    allLeft: (threads) => Atomics.load(cells, DONE) >= threads,
  }
}

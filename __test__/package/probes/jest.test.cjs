// Runs the programs of programs.json inside Jest, which has a `require` of its own.
const programs = require('./programs.json')

it.each(programs)('%s', async (program, prints) => {
  const printed = new Promise((resolve) => {
    jest.spyOn(console, 'log').mockImplementation(resolve)
  })
  require(program)
  expect(await printed).toBe(prints)
})

import { grafanaBoard } from '../insight/grafana.ts'
import { type Command, DONE, Misuse, wordsOf } from './command.ts'

/** `ratethrottle grafana`: a dashboard. */
export const grafana: Command = {
  name: 'grafana',
  forms: ['grafana [--title TEXT] [--uid TEXT]'],
  summary:
    'Prints a dashboard for Grafana over the metrics of view.prometheus(), to be imported there.',
  options: { title: { type: 'string' }, uid: { type: 'string' } },
  help: `  --title TEXT    its title. Default: ratethrottle
  --uid TEXT      what its address has in it; a board with the same one is replaced. Default: ratethrottle
`,
  example: 'npx ratethrottle grafana > board.json',
  run: (given, { stdout }) => {
    wordsOf(given, 0, '')
    stdout.write(
      `${JSON.stringify(boardOf(given.value('title'), given.value('uid')), undefined, 2)}\n`,
    )
    return DONE
  },
}

function boardOf(title: string | undefined, uid: string | undefined): object {
  try {
    return grafanaBoard({ title, uid })
  } catch (error) {
    throw new Misuse((error as Error).message)
  }
}

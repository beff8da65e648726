import type { AlertNotification } from './types.ts'

/** Most characters of a header, and of a field, that Slack takes; ours are cut before they are escaped. */
const [MAX_HEADER, MAX_FIELD] = [140, 300]

/**
 * A notification as Slack shows it: a text for phones and screen readers, and blocks. Every value is text and no
 * markup: a rule's name cannot notify a channel or show a link as another.
 */
export function slackMessage(notification: AlertNotification): object {
  const { status, rule, severity, host, limit, since } = notification
  const title = `${status === 'fired' ? 'Fired' : 'Resolved'} (${severity}): ${rule}`
  const fields = [
    ['Rule', notification.when],
    ['Value', notification.value === null ? 'none' : String(notification.value)],
    ['Window', `${notification.windowMs / 1_000} s`],
    ['Limiter', limit ?? 'all'],
    ['Host', host],
    ['Since', new Date(since).toISOString()],
  ] as const
  return {
    text: plain(`${title} on ${host}`, MAX_FIELD).text,
    blocks: [
      { type: 'header', text: plain(title, MAX_HEADER) },
      {
        type: 'section',
        fields: fields.map(([name, value]) => plain(`${name}: ${value}`, MAX_FIELD)),
      },
    ],
  }
}

function plain(text: string, room: number): { type: string; text: string; emoji: boolean } {
  return { type: 'plain_text', text: escaped([...text].slice(0, room).join('')), emoji: false }
}

/** `&`, `<` and `>` begin what Slack reads as more than text. Control and direction characters become blanks. */
function escaped(text: string): string {
  const visible = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, ' ')
  return visible.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

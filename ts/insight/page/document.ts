import { clientCode } from './client-code.ts'
import { STYLE } from './style.ts'

/** What differs from one page to the next. */
export interface PageSettings {
  readonly title: string
  /** Sent back with each change. */
  readonly token: string
  readonly nonce: string
  readonly may: { readonly pardon: boolean; readonly block: boolean }
}

/** Three bars, the last one crossed. */
const ICON =
  'data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 16 16%22%3E' +
  '%3Cpath fill=%22%230b5fc0%22 d=%22M1 9h3v6H1zM6 5h3v10H6z%22/%3E' +
  '%3Cpath fill=%22%23b34700%22 d=%22M11 1h4v14h-4z%22/%3E%3C/svg%3E'

/** The one file that is sent. Its script fills in the figures; without it there is nothing to show. */
export function documentOf({ title, token, nonce, may }: PageSettings): string {
  const name = escaped(title)
  return `<!doctype html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${name}</title>
<link rel="icon" href="${ICON}">
<style nonce="${nonce}">${STYLE}</style>
</head>
<body data-token="${token}" data-pardon="${may.pardon}" data-block="${may.block}">
<a class="skip" href="#figures">Skip to the figures</a>
<header>
<h1>${name}</h1>
<div class="bar">
<fieldset class="ranges"><legend class="unseen">Time shown</legend>
${rangeButton('10m', '10 min', true)}${rangeButton('24h', '24 h')}${rangeButton('30d', '30 days')}
</fieldset>
<button type="button" id="pause" aria-pressed="false">Pause</button>
<p id="link" class="link" role="status"><span>Connecting</span></p>
</div>
</header>
<main id="figures" tabindex="-1">
<noscript><p class="notice">This page draws its figures with a script of its own. Allow it to see them.</p></noscript>
<div id="notices" role="status"></div>
<p id="summary" class="unseen" aria-live="polite"></p>
</main>
<script nonce="${nonce}">${clientCode()}</script>
</body>
</html>
`
}

function rangeButton(range: string, words: string, isChosen = false): string {
  const checked = isChosen ? ' checked' : ''
  return `<label><input type="radio" name="range" value="${range}"${checked}><span>${words}</span></label>`
}

/** Text as it may stand in an element or an attribute. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}

/*
 * How the page looks. Colours are pairs for light and dark, each with at least 4.5 : 1 to what it stands on; blue
 * and orange differ for colour-blind people too, and what is denied is also hatched.
 */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f3f5f8; --card: #ffffff; --ink: #17202b; --soft: #4d5a68; --line: #d5dbe3; --field: #76818e;
  --blue: #0b5fc0; --blue-wash: #e3eefb; --orange: #b34700; --orange-wash: #fdeee2;
  --good: #10693a; --bad: #ae1f23; --bad-wash: #fdebeb; --focus: #0b5fc0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1218; --card: #161d26; --ink: #e8eef5; --soft: #a3b1c0; --line: #2b3643; --field: #7d8b9a;
    --blue: #6cb0ff; --blue-wash: #17304d; --orange: #ffa25c; --orange-wash: #43280f;
    --good: #5bd48f; --bad: #ff9592; --bad-wash: #45191c; --focus: #9accff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
header, main { max-width: 1180px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 20px; display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: center; justify-content: space-between; }
h1 { font-size: 22px; line-height: 1.25; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 16px; line-height: 1.3; margin: 0; }
h3 { font-size: 14px; margin: 18px 0 6px; }
p { margin: 6px 0; }
main { padding-bottom: 48px; outline: none; }
.bar { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
.unseen { position: absolute; width: 1px; height: 1px; margin: -1px; padding: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; border: 0; }
.skip { position: absolute; left: -9999px; top: 0; padding: 8px 14px; background: var(--card); color: var(--blue); }
.skip:focus { left: 8px; top: 8px; z-index: 2; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 4px; }
button, select, input { font: inherit; color: var(--ink); background: var(--card); border: 1px solid var(--field); border-radius: 6px; padding: 4px 12px; min-height: 34px; }
button { cursor: pointer; }
button:hover { background: var(--blue-wash); }
button[disabled] { color: var(--soft); cursor: default; background: var(--page); }
button[aria-pressed="true"] { background: var(--ink); color: var(--card); border-color: var(--ink); }
button.name { all: unset; cursor: pointer; color: var(--blue); font-weight: 600; text-decoration: underline; text-underline-offset: 3px; text-decoration-thickness: 1px; padding: 4px 0; }
button.name bdi { text-decoration: inherit; }
button.name:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 4px; }
button.small { min-height: 28px; padding: 1px 10px; font-size: 13px; }
.ranges { border: 0; margin: 0; padding: 0; display: flex; }
.ranges label { position: relative; }
.ranges input { position: absolute; inset: 0; width: 100%; height: 100%; min-height: 0; margin: 0; opacity: 0; cursor: pointer; }
.ranges span { display: block; padding: 4px 12px; border: 1px solid var(--field); margin-left: -1px; background: var(--card); }
.ranges label:first-of-type span { border-radius: 6px 0 0 6px; margin-left: 0; }
.ranges label:last-of-type span { border-radius: 0 6px 6px 0; }
.ranges input:checked + span { background: var(--ink); border-color: var(--ink); color: var(--card); font-weight: 600; }
.ranges input:focus-visible + span { outline: 3px solid var(--focus); outline-offset: 2px; position: relative; z-index: 1; }
.link { margin: 0; min-width: 112px; color: var(--soft); font-size: 14px; }
.link::before { content: "○ "; }
.link[data-state="live"] { color: var(--good); } .link[data-state="live"]::before { content: "● "; }
.link[data-state="lost"] { color: var(--bad); font-weight: 600; } .link[data-state="lost"]::before { content: "✕ "; }
.notice { margin: 14px 0 0; padding: 10px 14px; border: 1px solid var(--bad); border-left-width: 6px; border-radius: 6px; background: var(--bad-wash); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 12px; margin: 16px 0 0; padding: 0; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px 14px 12px; }
.tiles dt { color: var(--soft); font-size: 13px; }
.tiles dd { margin: 0; font-size: 24px; line-height: 1.25; font-weight: 650; font-variant-numeric: tabular-nums; letter-spacing: -.01em; }
.tiles dd small { display: block; font-size: 13px; font-weight: 400; color: var(--soft); letter-spacing: 0; }
.tiles .denied dd { color: var(--orange); } .tiles .admitted dd { color: var(--blue); }
.tiles .denied dd small, .tiles .admitted dd small { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px 16px; margin-top: 16px; min-width: 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 0 16px; }
.head { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; justify-content: space-between; margin-bottom: 6px; }
.head label { min-width: 0; max-width: 100%; } .head select { max-width: min(100%, 360px); text-overflow: ellipsis; }
.hint { color: var(--soft); font-size: 13.5px; }
.empty { color: var(--soft); padding: 6px 0 2px; }
code { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--page); border-radius: 4px; padding: 1px 5px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0; padding: 0; list-style: none; font-size: 13.5px; }
.legend svg { width: 16px; height: 12px; margin-right: 6px; vertical-align: -1px; }
.chart { position: relative; height: 240px; margin-top: 8px; }
.chart > svg { display: block; width: 100%; height: 100%; }
.chart .axis, .chart text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.grid { stroke: var(--line); stroke-width: 1; fill: none; }
.admitted-bars { fill: var(--blue); }
.denied-bars { stroke: var(--orange); stroke-width: .75; }
.stripe-back { fill: var(--orange-wash); } .stripe { stroke: var(--orange); stroke-width: 2; }
.cursor { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 3 3; }
.nothing { position: absolute; inset: 34% 12px auto 60px; text-align: center; color: var(--soft); }
.nothing span { background: var(--card); padding: 2px 10px; }
.reading { min-height: 1.5em; font-size: 13.5px; color: var(--soft); font-variant-numeric: tabular-nums; }
.spark { display: block; width: 120px; height: 26px; }
.table { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); font-size: 13.5px; padding: 0 0 4px; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); font-size: 13px; }
tbody th { color: var(--ink); font-size: 14px; font-weight: 500; min-width: 9em; }
thead th { overflow-wrap: normal; white-space: nowrap; }
th.number, td.number { text-align: right; white-space: nowrap; overflow-wrap: normal; }
th:last-child, td:last-child { padding-right: 0; }
tbody tr:last-child > * { border-bottom: 0; }
td small, th small { display: block; color: var(--soft); font-size: 12.5px; font-weight: 400; }
/* A box of its own ends what a name has opened: an isolate of the name's own would end ours in its place. */
bdi { unicode-bidi: isolate; display: inline-block; max-width: 100%; vertical-align: top; }
.key { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 13px; }
.tag { display: inline-block; border: 1px solid var(--field); border-radius: 10px; padding: 0 8px; font-size: 12px; color: var(--soft); margin-left: 6px; font-family: system-ui, sans-serif; }
.state { font-weight: 600; } .state.good { color: var(--good); } .state.bad { color: var(--bad); }
.facts { display: flex; flex-wrap: wrap; gap: 2px 26px; margin: 4px 0; }
.facts div { display: flex; gap: 6px; } .facts dt { color: var(--soft); } .facts dd { margin: 0; font-weight: 600; }
form { display: flex; flex-wrap: wrap; gap: 8px; align-items: end; margin-top: 12px; }
form label { display: block; font-size: 13px; color: var(--soft); }
form input { display: block; width: 240px; max-width: 100%; }
.said { font-weight: 600; }
.said:empty { display: none; }
details { margin-top: 8px; } summary { cursor: pointer; color: var(--blue); font-size: 13.5px; width: max-content; max-width: 100%; }
footer { color: var(--soft); font-size: 13px; margin-top: 18px; }
[hidden] { display: none !important; }
@media (max-width: 640px) {
  header, main { padding-left: 12px; padding-right: 12px; }
  section { padding: 12px 12px 14px; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; } .tiles dd { font-size: 20px; }
  .chart { height: 190px; }
  .table table, .table caption, .table tbody, .table tr, .table td, .table tbody th { display: block; }
  .table thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  .table tr { padding: 8px 0; border-bottom: 1px solid var(--line); }
  .table tbody tr:last-child { border-bottom: 0; }
  .table td, .table tbody th, .table td.number { border: 0; padding: 1px 0; text-align: left; white-space: normal; }
  .table td[data-name] { display: grid; grid-template-columns: 108px minmax(0, 1fr); gap: 0 8px; }
  .table td[data-name] > * { grid-column: 2; }
  .table td[data-name]::before { content: attr(data-name); color: var(--soft); font-size: 13px; }
  .table td:empty { display: none; }
  form input { width: 100%; } form > div { flex: 1 1 100%; }
}
@media (prefers-reduced-motion: no-preference) { button { transition: background-color .12s; } }
@media (forced-colors: active) { .admitted-bars { fill: CanvasText; } .stripe { stroke: CanvasText; } }
`

/**
 * The style of a report. Blue and orange are told apart by people who do not see red or green, and denied stands on
 * top of admitted. Both reach the contrast of WCAG AA on their ground, as do all texts.
 */
export const STYLE = `:root{color-scheme:light dark;--ground:#fff;--text:#1b1f24;--quiet:#57606a;--line:#d0d7de;--admitted:#0969da;--denied:#bc4c00}
@media(prefers-color-scheme:dark){:root{--ground:#0d1117;--text:#e6edf3;--quiet:#9198a1;--line:#30363d;--admitted:#4493f8;--denied:#db6d28}}
@media print{:root{color-scheme:light;--ground:#fff;--text:#000;--quiet:#444;--line:#bbb;--admitted:#0969da;--denied:#bc4c00}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:64rem;padding:1rem;background:var(--ground);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.25rem 0}
.quiet,.none,.ends{color:var(--quiet)}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:.75rem;margin:1rem 0}
dl div{border:1px solid var(--line);border-radius:.4rem;padding:.5rem .75rem}
dt{color:var(--quiet);font-size:.85rem}
dd{margin:0;font-size:1.35rem;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.frame{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{border-bottom:1px solid var(--line);padding:.3rem .6rem .3rem 0;text-align:left;vertical-align:top}
td bdi{overflow-wrap:anywhere}
td{min-width:5rem}
td:first-child{min-width:8rem}
td.number{min-width:0}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
figure{margin:0 0 1rem;break-inside:avoid}
figcaption{font-size:.9rem;overflow-wrap:anywhere}
svg{display:block;width:100%;height:7rem}
.admitted{fill:var(--admitted)}
.denied{fill:var(--denied)}
.axis{stroke:var(--line);fill:none}
.ends{display:flex;justify-content:space-between;font-size:.8rem}
.key{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 .8em}
.key.admitted{background:var(--admitted)}
.key.denied{background:var(--denied)}
@media print{body{max-width:none;padding:0;font-size:10pt}.frame{overflow:visible}table{font-size:8pt}td,td:first-child{min-width:0}section{break-inside:auto}tr{break-inside:avoid}*{print-color-adjust:exact}}
`

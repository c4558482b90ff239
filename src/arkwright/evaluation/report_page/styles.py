"""The page's style sheet: light and dark, narrow and wide, and on paper.

Texts have a contrast of at least 4.5 to 1 on their background, lines and marks of charts at least 3 to 1
(WCAG 2.1, success criteria 1.4.3 and 1.4.11); the test measures both.
"""

from __future__ import annotations

STYLES = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1a1d21;--soft:#4a525c;--line:#c9ced6;--panel:#f4f6f8;--link:#0b4f94;
--good:#14632f;--warning:#7a4500;--bad:#a31515;--unknown:#4a525c;--a:#0b5fa5;--b:#b3470b;--c:#2e6f40;--axis:#6a7480;
--fade:#0b5fa533}
@media(prefers-color-scheme:dark){:root{--paper:#15181c;--ink:#e8eaed;--soft:#b4bcc6;--line:#454d57;--panel:#1f242a;
--link:#8cbcf2;--good:#79d095;--warning:#f0b35c;--bad:#ff9a92;--unknown:#b4bcc6;--a:#6fb1f0;--b:#f39a5d;--c:#7fcf95;
--axis:#8f99a5;--fade:#6fb1f033}}
*{box-sizing:border-box}
html{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;scroll-padding-top:1rem}
body{margin:0;background:var(--paper);color:var(--ink);overflow-wrap:break-word}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-999rem}
.skip:focus{left:1rem;top:1rem;background:var(--paper);padding:.5rem 1rem;z-index:2}
header,.page,footer{max-width:76rem;margin:0 auto;padding:1rem}
header{border-bottom:1px solid var(--line)}
h1{font-size:1.75rem;line-height:1.2;margin:.25rem 0 .75rem}
h2{font-size:1.4rem;margin:0 0 .75rem;padding-top:1rem;border-top:2px solid var(--line)}
h3{font-size:1.12rem;margin:1.75rem 0 .5rem}
h4{font-size:1rem;margin:1.25rem 0 .4rem}
p,ul,ol{margin:.5rem 0;max-width:46rem}
main section{margin-bottom:2.5rem}
main:focus{outline:none}
nav ol{list-style:none;padding:0;columns:2;margin:.25rem 0}
nav h2{font-size:1rem;border:0;padding:0;margin:0}
nav li{padding:.15rem 0;break-inside:avoid}
nav a{display:inline-block;padding:.1rem 0}
@media(min-width:64rem){.page{display:grid;grid-template-columns:13rem minmax(0,1fr);gap:2.5rem}
nav{position:sticky;top:1rem;align-self:start;max-height:calc(100vh - 2rem);overflow:auto}nav ol{columns:1}}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.5rem 1.5rem;margin:.75rem 0}
dt{color:var(--soft);font-size:.85rem}
dd{margin:0;overflow-wrap:anywhere}
.note{color:var(--soft)}
.verdict{font-size:1.35rem;font-weight:700;margin:.25rem 0}
.mark{font-weight:600;white-space:nowrap}
.good{color:var(--good)}.warning{color:var(--warning)}.bad{color:var(--bad)}.unknown{color:var(--unknown)}
.sentences{padding-left:1.25rem}
.sentences li{margin:.5rem 0}
.from{font-size:.9rem;color:var(--soft)}
.scroll{overflow-x:auto;max-width:100%;margin:.5rem 0}
table{border-collapse:collapse;font-size:.92rem;min-width:min(100%,30rem)}
caption{text-align:left;font-weight:600;padding:.25rem 0;color:var(--ink)}
th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line)}
td{min-width:5rem}
thead th{color:var(--soft);vertical-align:bottom}
tbody th{font-weight:500;min-width:8rem;max-width:24rem}
.why{min-width:12rem}
.n{text-align:right;font-variant-numeric:tabular-nums}
tr:target,h3:target,h4:target{background:var(--panel);outline:2px solid var(--link)}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
figure{margin:1rem 0}
figcaption{font-weight:600;margin-bottom:.25rem}
svg{display:block;width:100%;max-width:48rem;min-width:34rem;height:auto;font-size:13px}
svg text{fill:var(--ink)}
svg .dim{fill:var(--soft)}
svg .grid{stroke:var(--line);stroke-width:1}
svg .axis{stroke:var(--axis);stroke-width:1}
svg .ref{stroke:var(--axis);stroke-width:1.5;stroke-dasharray:5 4;fill:none}
svg .a{fill:var(--a);stroke:var(--a)}svg .b{fill:var(--b);stroke:var(--b)}svg .c{fill:var(--c);stroke:var(--c)}
svg .line{fill:none;stroke-width:2}
svg .hollow{fill:var(--paper);stroke-width:2}
svg .whisker{stroke-width:2}
svg .band{fill:var(--fade);stroke:none}
svg .thin{fill:none;stroke:var(--a);stroke-width:.7;opacity:.45}
svg .cell{fill:var(--a);stroke:var(--line)}
svg .plate{fill:var(--paper)}
details{margin:.25rem 0 .75rem}
summary{cursor:pointer;color:var(--link);padding:.25rem 0}
footer{border-top:1px solid var(--line);color:var(--soft);font-size:.9rem}
@page{margin:15mm 12mm}
@media print{:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#333;--line:#999;--panel:#fff;--link:#000;
--good:#14632f;--warning:#7a4500;--bad:#a31515;--unknown:#333;--a:#0b5fa5;--b:#b3470b;--c:#2e6f40;--axis:#555;
--fade:#0b5fa533}
html{font-size:10pt}.skip,summary{display:none}nav{position:static;max-height:none}.page{display:block;padding:0}
nav ol{columns:3}
details::details-content{content-visibility:visible;display:block;block-size:auto;height:auto;overflow:visible}
details:not([open])>:not(summary){display:block}
.scroll{overflow:visible}svg{min-width:0;max-width:16cm}table{min-width:0;font-size:8pt}
td,.why,tbody th{min-width:0}th,td{padding:.15rem .35rem .15rem 0}
svg,tr,li,p{break-inside:avoid}h2,h3,h4,figcaption,figure>p,caption{break-after:avoid}thead{display:table-header-group}
a{text-decoration:none}}
"""

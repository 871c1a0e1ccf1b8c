"""The style sheet of the report: its colours by name, light and dark, for text, tables and SVG."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--page:#f5f6f9;--card:#fff;--ink:#1c2230;--dim:#667085;
 --rule:#e3e6ec;--buy:#128a62;--sell:#cf4a4f;--grid:#2f6df0;--hold:#8a93a6;--stock:#d9982b;
 --fees:#a855c4;--warn:#a86400;--warnback:#fdf3e1}
@media (prefers-color-scheme:dark){:root{--page:#12151c;--card:#1a1f29;--ink:#e4e8f0;--dim:#98a1b3;
 --rule:#2b323f;--buy:#2bb98a;--sell:#ee6c70;--grid:#6a9bff;--hold:#8a93a6;--stock:#e2aa48;
 --fees:#c98be0;--warn:#f0b95a;--warnback:#33291a}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
 font:14px/1.55 Inter,system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:24px;line-height:1.25;margin:0 0 2px}
h2{font-size:16px;margin:0 0 10px}
h3{font-size:13px;margin:18px 0 4px;color:var(--dim);font-weight:600}
.sub{color:var(--dim);margin:0 0 18px}
section{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:18px 20px;
 margin:0 0 16px;overflow-x:auto}
p{margin:0 0 8px;max-width:78ch}
.lead{font-size:16px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(148px,1fr));gap:12px 20px;
 margin-top:16px}
.tiles span{display:block;color:var(--dim);font-size:12px}
.tiles b{font-size:19px;font-weight:600;white-space:nowrap}
.tiles b,table{font-variant-numeric:tabular-nums}
.up{color:var(--buy)}.down{color:var(--sell)}.dim{color:var(--dim)}
.alarm{border-left:4px solid var(--sell);color:var(--sell);font-weight:600;padding:4px 12px}
.warn{background:var(--warnback);color:var(--warn);border-radius:6px;padding:8px 12px}
table{border-collapse:collapse;width:100%}
th,td{padding:4px 14px 4px 0;text-align:right;vertical-align:top;
 border-bottom:1px solid var(--rule)}
td{white-space:nowrap}td:last-child,th:last-child{padding-right:0}
th{color:var(--dim);font-weight:500;font-size:12px}
td:first-child,th:first-child,.words td,.words th{text-align:left}
.words td:first-child{color:var(--dim);width:128px}
.words td,td.wrap{white-space:normal;overflow-wrap:anywhere}td.left{text-align:left}
tr:last-child td{border-bottom:0}
tr.sum td{font-weight:600;border-top:2px solid var(--rule)}
.two{columns:2 360px;column-gap:40px}.two>div{break-inside:avoid}.two h3{margin-top:0}
.two>div{padding-bottom:16px}
.note{color:var(--dim);font-size:12.5px;margin-top:8px}
.key{color:var(--dim);font-size:12.5px}
.key i{display:inline-block;width:12px;height:3px;border-radius:2px;margin:0 5px 3px 12px;
 vertical-align:middle}
.key i:first-child{margin-left:0}
i.buy{background:var(--buy)}i.sell{background:var(--sell)}i.grid{background:var(--grid)}
i.hold{background:var(--hold)}i.stock{background:var(--stock)}i.profit{background:var(--buy)}
i.fees{background:var(--fees)}i.funding{background:var(--hold)}i.forced{background:var(--sell)}i.total{background:var(--ink)}
svg{display:block;width:100%;height:auto}
svg text{font-size:11px;fill:var(--dim)}
svg .rule{stroke:var(--rule);stroke-width:1;fill:none}
svg .line{fill:none;stroke-width:1.6;stroke-linejoin:round}
svg .line.grid{stroke:var(--grid)}svg .line.total{stroke:var(--ink)}
svg .line.hold{stroke:var(--hold);stroke-dasharray:4 3;stroke-width:1.2}
svg .area{stroke:none;fill-opacity:.42}
svg .area.sell{fill:var(--sell)}svg .area.stock{fill:var(--stock)}svg .area.profit{fill:var(--buy)}
svg .area.fees{fill:var(--fees)}svg .area.funding{fill:var(--hold)}
svg .area.forced{fill:var(--sell)}
svg .candle{stroke-width:.8;opacity:.6}
svg .candle.buy{stroke:var(--buy);fill:var(--buy)}svg .candle.sell{stroke:var(--sell);
 fill:var(--sell)}
svg .mark{stroke:var(--card);stroke-width:.7}svg .mark.small{stroke:none;opacity:.6}
svg .mark.buy,svg .bar.buy{fill:var(--buy)}svg .mark.sell,svg .bar.sell{fill:var(--sell)}
svg .bar.grid{fill:var(--grid)}
svg .level{stroke-width:.8;stroke-dasharray:1.5 3;opacity:.75;fill:none}
svg .level.buy{stroke:var(--buy)}svg .level.sell{stroke:var(--sell)}svg .level.faint{opacity:.25}
@media (max-width:640px){td.says{display:none}main{padding:18px 10px}section{padding:14px 12px}}
@media print{body{background:#fff}section{break-inside:avoid;border:0;padding:0}}
"""

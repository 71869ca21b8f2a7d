"""How the pages of the report look; light or dark as the reader's system is."""

CSS = """
:root { --ground: #ffffff; --panel: #f6f8fa; --ink: #1f2328; --faint: #656d76; --line: #d8dee4; --accent: #0969da;
  --warn: #9a6700; --warn-ground: #fff8c5; --better: #1a7f37; --worse: #cf222e; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --panel: #161b22; --ink: #e6edf3; --faint: #8b949e;
  --line: #30363d; --accent: #58a6ff; --warn: #e3b341; --warn-ground: #2b2410; --better: #3fb950; --worse: #f85149; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1280px; padding: 32px 24px 64px; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; line-height: 1.25; }
h2 { font-size: 18px; margin: 40px 0 12px; }
p { margin: 8px 0; max-width: 80ch; }
.faint { color: var(--faint); }
.banner { background: var(--warn-ground); color: var(--warn); border-left: 4px solid; padding: 10px 14px;
  border-radius: 4px; margin: 16px 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; margin: 20px 0; }
.tile { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; }
.tile b { display: block; font-size: 24px; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile b small { display: block; font-size: 13px; font-weight: 400; color: var(--faint); }
.tile span { color: var(--faint); font-size: 13px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th { text-align: right; font-weight: 600; color: var(--faint); border-bottom: 2px solid var(--line); padding: 6px 10px;
  white-space: nowrap; vertical-align: bottom; }
td { text-align: right; border-bottom: 1px solid var(--line); padding: 5px 10px; white-space: nowrap; }
th.left, td.left { text-align: left; }
tr.total td { font-weight: 600; border-top: 2px solid var(--line); }
td small { color: var(--faint); font-weight: 400; }
.better { color: var(--better); } .worse { color: var(--worse); }
svg.whisker { vertical-align: middle; }
.whisker .scale { stroke: var(--line); stroke-width: 2; }
.whisker .interval { fill: var(--accent); opacity: .35; }
.whisker .mean { fill: var(--accent); } .whisker .worst { stroke: var(--worse); stroke-width: 2; }
svg.curves { width: 100%; max-width: 860px; display: block; }
.curves text { fill: var(--faint); font-size: 12px; }
.curves .grid { stroke: var(--line); }
.curves polyline { fill: none; stroke-width: 1.6; }
.curves .mean-line { stroke: var(--ink); stroke-width: 3; } .curves .band { fill: var(--ink); opacity: .12; }
.legend { max-width: none; font-size: 13px; color: var(--faint); }
.legend span { display: inline-block; margin-right: 16px; }
.legend i { display: inline-block; width: 14px; height: 4px; border-radius: 2px; margin-right: 6px;
  vertical-align: middle; }
.legend .swatch-mean { background: var(--ink); }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(520px, 100%), 1fr)); gap: 16px; }
figure { margin: 0; background: #000; border-radius: 8px; overflow: hidden; }
figure img { display: block; width: 100%; height: 220px; object-fit: contain; padding: 6px; }
figcaption { background: var(--panel); color: var(--ink); padding: 7px 12px; font-size: 13px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 0; font-size: 14px; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, monospace; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 12px; overflow-x: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--accent); margin: 8px 0; }
"""

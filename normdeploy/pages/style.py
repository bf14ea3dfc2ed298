"""How the pages look: one column on a phone, figures side by side on a screen, light or dark as the reader's
system is. The charts take their colours from the same variables."""

CSS = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --card: #f6f7f9; --ink: #1c2128; --faint: #667080; --line: #d9dee5;
  --accent: #2563c9; --good: #16794a; --warn: #96590a; --bad: #c0283a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171c; --card: #1d2229; --ink: #e7eaee; --faint: #99a3b1; --line: #363e49;
    --accent: #74a7ff; --good: #58c98f; --warn: #e3a94a; --bad: #ff7b86;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem 3rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h1, h2, p, figcaption { overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 46rem; }
.subtitle, .note, caption, figcaption { color: var(--faint); }
.badge {
  display: inline-block; margin: .9rem 0 .3rem; padding: .2rem .85rem; border-radius: 1rem;
  border: 1.5px solid currentColor; font-weight: 600;
}
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.scroll { overflow-x: auto; margin: .75rem 0; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
caption { text-align: left; padding: .6rem .65rem 0; }
th, td { padding: .45rem .65rem; text-align: left; vertical-align: top; }
td { max-width: min(22rem, 70vw); overflow-wrap: break-word; }
.prose { min-width: 15rem; }
th { font-weight: 600; color: var(--faint); white-space: nowrap; background: var(--card); }
tbody tr + tr td { border-top: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr));
  gap: 0 1rem; align-items: start; }
figure { margin: .75rem 0 0; padding: .75rem; background: var(--card); border-radius: .5rem; min-width: 0; }
figcaption { font-size: .875rem; margin-bottom: .5rem; }
figure svg { display: block; width: 100%; height: auto; max-width: 42rem; margin: 0 auto; }
@media print { body { max-width: none; } .scroll { overflow: visible; } }
"""

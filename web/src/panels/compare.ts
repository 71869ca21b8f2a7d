// The session beside another segmentation: what to compare with, Dice and volumes, what the colours in the picture mean.

import { api } from '../api/client.ts';
import type { App } from '../app.ts';
import type { ComparedRow } from '../api/types.ts';
import { h, refill } from '../dom.ts';
import { icon } from '../icons.ts';
import { saveFile } from '../session/saving.ts';
import type { ShownComparison } from '../session/comparing.ts';
import { comparisonAsCsv } from '../session/tables.ts';
import { texts } from '../strings.ts';

const words = texts.compare;

export interface ComparePanel {
  element: HTMLElement;
  /** Other sessions are asked for while it is shown only. */
  setShown: (shown: boolean) => void;
}

export function comparePanel(app: App): ComparePanel {
  const { element: choice, update } = chooser(app);
  const result = h('div', { class: 'compared' });
  let shown = false;
  const updateIfShown = () => void (shown && update());
  app.store.watch(['comparison', 'session'], ({ comparison, session }) => {
    result.hidden = !comparison;
    choice.hidden = Boolean(comparison);
    if (comparison) refill(result, ...shownResult(app, comparison, session?.revision !== comparison.revision));
  });
  app.store.watch(['scan'], updateIfShown);
  return {
    element: h('div', { class: 'scroll', tabindex: 0 }, choice, result),
    setShown(now) {
      shown = now;
      updateIfShown();
    },
  };
}

/** What to compare with: a file, or another session of the scan. */
function chooser(app: App): { element: HTMLElement; update: () => Promise<void> } {
  const file = h('input', { type: 'file', id: 'compare-file', hidden: true });
  const ask = h('button', { title: words.fileTitle, onclick: () => file.click() }, words.file);
  const sessions = h('select', { id: 'compare-session', 'aria-label': words.session });
  file.addEventListener('change', () => {
    const [chosen] = file.files ?? [];
    file.value = '';
    if (chosen) void app.comparing.begin({ name: chosen.name, source: chosen });
  });
  sessions.addEventListener('change', () => {
    const name = sessions.selectedOptions[0]?.text ?? '';
    if (sessions.value) void app.comparing.begin({ name, source: sessions.value });
    sessions.value = '';
  });
  app.store.watch(['session'], ({ session }) => {
    ask.disabled = !session;
  });
  const update = async () => {
    const { session, scan } = app.store.state;
    if (!session || !scan) return;
    const all = await api.sessions().catch(() => []);
    const others = all.filter(({ id, scan_id, objects }) => scan_id === scan.id && id !== session.id && objects.length);
    sessions.hidden = !others.length;
    sessions.replaceChildren(h('option', { value: '' }, words.session), ...others.map(({ id, created, objects }) =>
      h('option', { value: id }, words.sessionChoice(new Date(created).toLocaleString(), objects.length))));
  };
  sessions.hidden = true;
  return { element: h('div', { class: 'compare-with' }, h('p', { class: 'hint' }, words.about), ask, sessions, file), update };
}

function shownResult(app: App, comparison: ShownComparison, outdated: boolean): HTMLElement[] {
  const { other, rows } = comparison;
  const save = () => saveFile(comparisonAsCsv(rows), `${app.store.state.scan?.name ?? 'scan'}_comparison.csv`, 'text/csv');
  const tool = (key: string, name: 'save' | 'close', label: string, act: () => void) =>
    h('button', { class: 'plain tool', 'data-key': key, 'aria-label': label, title: label, onclick: act }, icon(name));
  return [
    h('div', { class: 'compared-head' }, h('b', { title: other.name }, words.with(other.name)),
      tool('compare-csv', 'save', words.csv, save), tool('compare-end', 'close', words.end, () => app.comparing.end())),
    outdated && h('p', { class: 'outdated', role: 'status' }, words.outdated,
      h('button', { class: 'small', 'data-key': 'compare-again', onclick: () => app.comparing.begin(other) }, words.again)),
    legend(),
    table(app, comparison),
  ].filter((part) => part !== false);
}

function legend(): HTMLElement {
  const entries = { first: words.onlyFirst, second: words.onlySecond, otherwise: words.otherwise };
  return h('ul', { class: 'legend' }, ...Object.entries(entries).map(([kind, text]) =>
    h('li', {}, h('span', { class: `swatch ${kind}` }), text)));
}

function table(app: App, { rows, chosen }: ShownComparison): HTMLElement {
  const number = (text: string, title: string) => h('th', { scope: 'col', class: 'number', title }, text);
  return h('table', {},
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, words.structure), number(words.dice, words.dice),
      number(texts.units.ml, words.firstMlTitle), number(words.secondMl, words.secondMlTitle), number(words.hd95, words.hd95Title))),
    h('tbody', {}, ...rows.map((row) => line(app, row, row === chosen))));
}

function line(app: App, row: ComparedRow, chosen: boolean): HTMLElement {
  const cells = [shown(row.dice, 3), shown(row.first_ml, 2), shown(row.second_ml, 2), shown(row.hd95_mm, 1)];
  return h('tr', { class: chosen ? 'active' : null, 'data-compared': row.name, onclick: () => app.comparing.choose(row) },
    h('th', { scope: 'row' }, h('button', {
      class: 'plain name', 'data-key': `compared-${row.name}`, 'aria-pressed': String(chosen), title: words.rowTitle,
    }, row.name)),
    ...cells.map((text) => h('td', { class: 'number' }, text)));
}

const shown = (value: number | null, digits: number) => (value === null ? texts.units.none : value.toFixed(digits));

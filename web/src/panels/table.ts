// Volume and HU of every object.

import type { App } from '../app.ts';
import type { Row } from '../api/types.ts';
import { h, refill } from '../dom.ts';
import { icon } from '../icons.ts';

const TOUCHES = 'It touches the border of the scan: the volume is a lower bound.';

export function volumeTable(app: App): { element: HTMLElement; copy: HTMLElement } {
  const body = h('tbody');
  const copy = h('button', { class: 'plain tool', 'aria-label': 'Copy the table', title: 'Copy as a table for spreadsheets' }, icon('copy'));
  copy.addEventListener('click', () => copyRows(app));
  const table = h('table', {},
    h('thead', {}, h('tr', {},
      h('th', { scope: 'col' }, 'Structure'),
      h('th', { scope: 'col', class: 'number' }, 'ml'),
      h('th', { scope: 'col', class: 'number' }, 'mean HU'),
      h('th', { scope: 'col', class: 'number', title: 'Standard deviation' }, '± SD'))),
    body);
  app.store.watch(['rows', 'active'], ({ rows, active }) => {
    copy.disabled = !rows.length;
    refill(body, ...rows.map((one) => line(app, one, one.id === active)));
  });
  return { element: h('div', { class: 'scroll', tabindex: '0' }, table), copy };
}

function line(app: App, row: Row, active: boolean): HTMLElement {
  const volume = h('td', { class: 'number' }, millilitres(row.volume_ml));
  if (row.unlikely.length) volume.append(h('abbr', { title: `Unlikely: ${row.unlikely.join(', ')}` }, '?'));
  if (row.touches_border) volume.append(h('abbr', { title: TOUCHES }, '*'));
  return h('tr', { class: active ? 'active' : null, 'data-row': row.name, onclick: () => app.prompts.select(row.id, true) },
    h('th', { scope: 'row' }, row.name),
    volume,
    h('td', { class: 'number' }, rounded(row.mean_hu)),
    h('td', { class: 'number' }, rounded(row.sd_hu)));
}

async function copyRows(app: App): Promise<void> {
  const head = ['structure', 'voxels', 'volume_ml', 'mean_hu', 'sd_hu', 'touches_border', 'unlikely'];
  const lines = app.store.state.rows.map((row) =>
    [row.name, row.voxels, row.volume_ml, row.mean_hu ?? '', row.sd_hu ?? '', row.touches_border, row.unlikely.join(', ')]
      .join('\t'));
  try {
    await navigator.clipboard.writeText([head.join('\t'), ...lines].join('\n'));
    app.notices.info('The table is in the clipboard.');
  } catch {
    app.notices.error('The browser does not let this page use the clipboard.');
  }
}

function millilitres(volume: number): string {
  return volume >= 100 ? volume.toFixed(0) : volume >= 10 ? volume.toFixed(1) : volume.toFixed(2);
}

const rounded = (value: number | null) => (value === null ? '–' : String(Math.round(value)).replace('-', '−'));

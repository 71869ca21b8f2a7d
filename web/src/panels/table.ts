// Volume and HU of every object.

import type { App } from '../app.ts';
import type { Row } from '../api/types.ts';
import { h, refill } from '../dom.ts';
import { icon } from '../icons.ts';
import { texts } from '../strings.ts';

const words = texts.volumes;

export function volumeTable(app: App): { element: HTMLElement; copy: HTMLElement } {
  const body = h('tbody');
  const copy = h('button', { class: 'plain tool', 'aria-label': words.copy, title: words.copyTitle }, icon('copy'));
  copy.addEventListener('click', () => copyRows(app));
  const table = h('table', {},
    h('thead', {}, h('tr', {},
      h('th', { scope: 'col' }, words.structure),
      h('th', { scope: 'col', class: 'number' }, texts.units.ml),
      h('th', { scope: 'col', class: 'number' }, words.meanHu),
      h('th', { scope: 'col', class: 'number', title: words.sdTitle }, words.sd))),
    body);
  app.store.watch(['rows', 'active'], ({ rows, active }) => {
    copy.disabled = !rows.length;
    refill(body, ...rows.map((one) => line(app, one, one.id === active)));
  });
  return { element: h('div', { class: 'scroll', tabindex: '0' }, table), copy };
}

function line(app: App, row: Row, active: boolean): HTMLElement {
  const volume = h('td', { class: 'number' }, millilitres(row.volume_ml));
  const doubt = (mark: string, about: string) => // fingers see no titles
    h('abbr', { title: about, onclick: () => app.notices.info(about) }, mark);
  if (row.unlikely.length) volume.append(doubt('?', words.unlikely(row.unlikely.join(', '))));
  if (row.touches_border) volume.append(doubt('*', words.touches));
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
    app.notices.info(words.copied);
  } catch {
    app.notices.error(words.noClipboard);
  }
}

function millilitres(volume: number): string {
  return volume >= 100 ? volume.toFixed(0) : volume >= 10 ? volume.toFixed(1) : volume.toFixed(2);
}

const rounded = (value: number | null) => (value === null ? texts.units.none : String(Math.round(value)).replace('-', '−'));

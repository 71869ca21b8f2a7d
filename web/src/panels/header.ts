// The first line: open, what is open, window, export, help, dark or light.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import { switchTheme } from '../theme.ts';
import { windowControls } from './window-level.ts';
import { workListControls } from './work-list.ts';

export function header(app: App, open: () => void, save: () => void, help: () => void): HTMLElement {
  const name = h('span', { class: 'scan-name' });
  app.store.watch(['scan', 'info'], ({ scan, info }) => {
    name.textContent = scan ? `${scan.name}  ·  ${scan.shape.join(' × ')}  ·  ${scan.spacing.map(short).join(' × ')} mm` : '';
    name.title = info ? `Model ${info.default_model}` : '';
  });
  const exporting = h('button', { class: 'with-icon', id: 'export', title: 'Export (Ctrl S)', onclick: save }, icon('save'), 'Export…');
  app.store.watch(['session'], ({ session }) => {
    exporting.disabled = !session;
  });
  return h('header', { class: 'top' },
    h('h1', {}, 'Open', h('b', {}, 'VISTA')),
    h('button', { class: 'with-icon', id: 'open', title: 'Open a CT (O)', onclick: open }, icon('open'), 'Open…'),
    name,
    workListControls(app),
    windowControls(app),
    exporting,
    h('button', { class: 'plain tool', 'aria-label': 'Dark or light', title: 'Dark or light', onclick: switchTheme }, icon('theme')),
    h('button', { class: 'plain tool', 'aria-label': 'Keys and help', title: 'Keys and help (?)', onclick: help }, icon('help')));
}

const short = (value: number) => String(Math.round(value * 100) / 100);

// The first line: open, what is open, window, export, help, dark or light.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import { texts } from '../strings.ts';
import { switchTheme } from '../theme.ts';
import { windowControls } from './window-level.ts';
import { workListControls } from './work-list.ts';

const words = texts.header;

export function header(app: App, open: () => void, save: () => void, help: () => void): HTMLElement {
  const name = h('span', { class: 'scan-name' });
  app.store.watch(['scan', 'info'], ({ scan, info }) => {
    name.textContent = scan ? words.scan(scan.name, scan.shape.join(' × '), scan.spacing.map(short).join(' × ')) : '';
    name.title = info ? words.model(info.default_model) : '';
  });
  const exporting = h('button', { class: 'with-icon', id: 'export', title: words.exportTitle, onclick: save }, icon('save'), words.export);
  app.store.watch(['session'], ({ session }) => {
    exporting.disabled = !session;
  });
  return h('header', { class: 'top' },
    h('h1', {}, texts.page.name[0], h('b', {}, texts.page.name[1])),
    h('button', { class: 'with-icon', id: 'open', title: words.openTitle, onclick: open }, icon('open'), words.open),
    name,
    workListControls(app),
    windowControls(app),
    exporting,
    h('button', { class: 'plain tool', 'aria-label': words.theme, title: words.theme, onclick: switchTheme }, icon('theme')),
    h('button', { class: 'plain tool', 'aria-label': words.help, title: words.helpTitle, onclick: help }, icon('help')));
}

const short = (value: number) => String(Math.round(value * 100) / 100);

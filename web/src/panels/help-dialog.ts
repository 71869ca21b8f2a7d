// Keys, mouse, fingers, and what is behind the page.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import { texts } from '../strings.ts';

const words = texts.help;

export function helpDialog(app: App): HTMLDialogElement {
  const about = h('dl', { class: 'about' });
  app.store.watch(['info'], ({ info }) => {
    const model = info?.models.find(({ name }) => name === info.default_model);
    if (!info || !model) return;
    about.replaceChildren(
      ...pair(words.software, info.version),
      ...pair(words.model, words.modelAbout(model.name, model.class_count, model.branches.join(words.and))),
      ...pair(words.licence, model.licence),
      ...pair(words.sha256, model.weights_sha256.slice(0, 16) + '…'),
      ...pair(words.purpose, words.research),
    );
  });
  return h('dialog', { class: 'help-dialog', 'aria-labelledby': 'help-title' },
    h('div', { class: 'dialog-head' },
      h('h2', { id: 'help-title' }, words.title),
      h('form', { method: 'dialog' }, h('button', { class: 'plain tool', 'aria-label': texts.page.close }, icon('close')))),
    h('div', { class: 'columns' }, keys(words.keysTitle, words.keys), h('div', {}, keys(words.mouseTitle, words.mouse), keys(words.touchTitle, words.touch), h('h3', {}, words.aboutTitle), about)),
    h('p', { class: 'hint' }, h('a', { href: 'licences.txt', target: '_blank' }, words.licences)));
}

function keys(title: string, lines: [string, string][]): HTMLElement {
  return h('div', {}, h('h3', {}, title), h('dl', {}, ...lines.flatMap(([key, text]) => pair(key, text))));
}

function pair(term: string, text: string): HTMLElement[] {
  return [h('dt', {}, term), h('dd', {}, text)];
}

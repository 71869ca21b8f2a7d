// Where a CT comes from: a file, a folder, a path or address the server can read, or what it already has.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import { texts } from '../strings.ts';
import { workListRows } from './work-list.ts';

const words = texts.open;

export function openDialog(app: App): HTMLDialogElement & { present: () => void } {
  const file = h('input', { type: 'file', id: 'open-file', hidden: true });
  const folder = h('input', { type: 'file', id: 'open-folder', hidden: true, webkitdirectory: true });
  const dialog = h('dialog', { class: 'open-dialog', 'aria-labelledby': 'open-title' },
    h('div', { class: 'dialog-head' }, h('h2', { id: 'open-title' }, words.title), closer()),
    h('p', { class: 'drop' },
      h('button', { class: 'primary', autofocus: true, onclick: () => file.click() }, words.file),
      h('button', { onclick: () => folder.click() }, words.folder),
      h('span', {}, words.drop)),
    file, folder,
    h('p', { class: 'hint' }, words.about),
    elsewhere(app, () => dialog.close()),
    workListRows(app, () => dialog.close()));

  file.addEventListener('change', () => void take(app, dialog, file));
  folder.addEventListener('change', () => void take(app, dialog, folder));
  return Object.assign(dialog, {
    present() {
      if (!dialog.open) dialog.showModal();
      void app.workList.refresh();
    },
  });
}

function closer(): HTMLElement {
  return h('form', { method: 'dialog' }, h('button', { class: 'plain tool', 'aria-label': texts.page.close }, icon('close')));
}

async function take(app: App, dialog: HTMLDialogElement, input: HTMLInputElement): Promise<void> {
  const files = [...(input.files ?? [])];
  const folder = files[0]?.webkitRelativePath.split('/')[0] ?? '';
  input.value = '';
  if (!files.length) return;
  dialog.close();
  await app.opening.files(files, folder);
}

function elsewhere(app: App, done: () => void): HTMLElement {
  const field = h('input', { type: 'text', 'aria-label': words.place, spellcheck: 'false' });
  const form = h('form', { class: 'elsewhere' }, field, h('button', {}, words.open));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const place = field.value.trim();
    if (!place) return;
    done();
    void (/^https?:/i.test(place) ? app.opening.url(place) : app.opening.path(place));
  });
  app.store.watch(['info'], ({ info }) => {
    const { paths = false, urls = false } = info?.features ?? {};
    form.hidden = !paths && !urls;
    field.placeholder = [paths && words.path, urls && words.url].filter(Boolean).join(words.or);
  });
  return form;
}

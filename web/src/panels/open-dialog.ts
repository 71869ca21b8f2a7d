// Where a CT comes from: a file, a folder, a path or address the server can read, or what it already has.

import { api } from '../api/client.ts';
import type { App } from '../app.ts';
import type { ScanInfo } from '../api/types.ts';
import { h, refill } from '../dom.ts';
import { icon } from '../icons.ts';

export function openDialog(app: App): HTMLDialogElement & { present: () => void } {
  const file = h('input', { type: 'file', id: 'open-file', hidden: true });
  const folder = h('input', { type: 'file', id: 'open-folder', hidden: true, webkitdirectory: true });
  const known = h('div', { class: 'known' });
  const dialog = h('dialog', { class: 'open-dialog', 'aria-labelledby': 'open-title' },
    h('div', { class: 'dialog-head' }, h('h2', { id: 'open-title' }, 'Open a CT'), closer()),
    h('p', { class: 'drop' },
      h('button', { class: 'primary', autofocus: true, onclick: () => file.click() }, 'File…'),
      h('button', { onclick: () => folder.click() }, 'DICOM folder…'),
      h('span', {}, 'or drop it anywhere on this page')),
    file, folder,
    h('p', { class: 'hint' }, 'NIfTI, NRRD, MHA, or DICOM as a folder or zip. The scan goes to the server this page came from, and nowhere else.'),
    elsewhere(app, () => dialog.close()),
    known);

  file.addEventListener('change', () => void take(app, dialog, file));
  folder.addEventListener('change', () => void take(app, dialog, folder));
  return Object.assign(dialog, {
    present() {
      if (!dialog.open) dialog.showModal();
      void listKnown(app, dialog, known);
    },
  });
}

function closer(): HTMLElement {
  return h('form', { method: 'dialog' }, h('button', { class: 'plain tool', 'aria-label': 'Close' }, icon('close')));
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
  const field = h('input', { type: 'text', 'aria-label': 'Path or address', spellcheck: 'false' });
  const form = h('form', { class: 'elsewhere' }, field, h('button', {}, 'Open'));
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
    field.placeholder = [paths && 'path on the server', urls && 'https://…'].filter(Boolean).join(' or ');
  });
  return form;
}

async function listKnown(app: App, dialog: HTMLDialogElement, list: HTMLElement): Promise<void> {
  let scans: ScanInfo[] = [];
  try {
    scans = await api.scans();
  } catch (error) {
    app.notices.error(error);
  }
  scans.sort((a, b) => b.created.localeCompare(a.created));
  const rows = scans.map((scan) => {
    const remove = h('button', { class: 'plain tool', 'aria-label': `Delete ${scan.name}`, title: 'Delete from the server, with its sessions' }, icon('remove'));
    remove.addEventListener('click', async () => {
      await api.removeScan(scan.id).catch((error: unknown) => app.notices.error(error));
      await listKnown(app, dialog, list);
    });
    const open = () => {
      dialog.close();
      void app.opening.scan(scan);
    };
    return h('div', { class: 'known-scan' },
      h('button', { class: 'plain name', onclick: open },
        h('b', {}, scan.name), h('small', {}, `${scan.shape.join(' × ')} · ${new Date(scan.created).toLocaleString()}`)),
      scan.id !== app.store.state.scan?.id && remove);
  });
  refill(list, rows.length > 0 && h('h3', {}, 'On the server'), ...rows);
}

// Which of several DICOM series is meant.

import { h } from '../dom.ts';
import { icon } from '../icons.ts';

/** Asks; `null` if the user would rather not. Choices are what to ask the server for, and what each is. */
export function chooseSeries(choices: Record<string, string>): Promise<string | null> {
  return new Promise((resolve) => {
    const rows = Object.entries(choices).map(([key, about]) =>
      h('div', { class: 'known-scan' },
        h('button', { class: 'plain name', 'data-series': key, onclick: () => dialog.close(key) },
          h('b', {}, about.replace(`, ${key}`, '')), h('small', {}, key))));
    const dialog = h('dialog', { class: 'open-dialog series-dialog', 'aria-labelledby': 'series-title' },
      h('div', { class: 'dialog-head' }, h('h2', { id: 'series-title' }, 'Which series?'),
        h('form', { method: 'dialog' }, h('button', { class: 'plain tool', 'aria-label': 'Close' }, icon('close')))),
      h('div', { class: 'known' }, ...rows));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue || null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

// What a DICOM folder leaves open: which of several series is meant, and what to do about slices that are missing.

import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import { texts } from '../strings.ts';

/** Asks; `null` if the user would rather not. Choices are what to ask the server for, and what each is. */
export function chooseSeries(choices: Record<string, string>): Promise<string | null> {
  const rows = Object.entries(choices).map(([key, about]) =>
    h('div', { class: 'known-scan' },
      h('button', { class: 'plain name', 'data-answer': key, 'data-series': key },
        h('b', {}, about.replace(`, ${key}`, '')), h('small', {}, key))));
  return ask('series-dialog', texts.open.whichSeries, h('div', { class: 'known' }, ...rows));
}

/** Whether missing slices are to be interpolated; the server's problem says which they are. */
export async function offerFilling(problem: string): Promise<boolean> {
  const missing = problem.split(';')[0] as string;
  const answer = await ask('gaps-dialog', texts.open.gaps, h('div', { class: 'known' },
    h('p', {}, texts.open.gapsAbout(missing)),
    h('button', { class: 'primary', 'data-answer': 'fill' }, texts.open.fillGaps)));
  return answer === 'fill';
}

/** The `data-answer` of the button that was pressed; `null` if the dialog was closed. */
function ask(kind: string, title: string, content: HTMLElement): Promise<string | null> {
  return new Promise((resolve) => {
    const dialog = h('dialog', { class: `open-dialog ${kind}`, 'aria-labelledby': 'ask-title' },
      h('div', { class: 'dialog-head' }, h('h2', { id: 'ask-title' }, title),
        h('form', { method: 'dialog' }, h('button', { class: 'plain tool', 'aria-label': texts.page.close }, icon('close')))),
      content);
    for (const button of content.querySelectorAll<HTMLElement>('[data-answer]'))
      button.addEventListener('click', () => dialog.close(button.dataset.answer));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue || null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

// Keys, mouse, and what is behind the page.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon } from '../icons.ts';

const KEYS: [string, string][] = [
  ['O', 'Open a CT'],
  ['J  K', 'Next, previous scan of the work list'],
  ['Ctrl S', 'Export'],
  ['/', 'Search classes; Enter segments the first'],
  ['N  C  B  S  L  P', 'Navigate, click, box, scribble, lasso, paint'],
  ['M  A  E', 'Measure: ruler, angle, ellipse'],
  ['X', 'Add or take away; painting: erase'],
  ['+  −', 'Larger, smaller brush'],
  ['Ctrl Z', 'Undo'],
  ['Ctrl Shift Z, Ctrl Y', 'Redo'],
  ['↑ ↓, Page Up Page Down', 'Next, previous slice of the plane under the pointer; Shift: ten'],
  ['1  2  3  4  5  0', 'Axial, coronal, sagittal, 3D, an oblique plane, all'],
  ['W, Shift 1 … 6', 'Next window preset; soft tissue, lung, bone, brain, liver, mediastinum'],
  ['H', 'Hide or show all labels'],
  ['F  I', 'The active object: outline or filled; alone'],
  ['[  ]', 'Labels fainter, stronger'],
  [',  .', 'Previous, next object'],
  ['R', 'Reset zoom and position'],
  ['Enter, Esc', 'Use, discard a box; Esc also cancels work'],
  ['?', 'This page'],
];

const MOUSE: [string, string][] = [
  ['Left', 'The tool: move the crosshair, click, box, scribble, lasso, paint'],
  ['Right, or Shift left', 'Click, box (Shift), scribble and lasso: take away; paint: erase'],
  ['Right drag', 'Window: width across, level up and down'],
  ['Wheel', 'Slices, one for a notch; with Shift: five; with Ctrl: zoom'],
  ['Middle drag, Ctrl drag', 'Shift the picture'],
  ['In 3D', 'Drag turns, wheel zooms'],
  ['In the oblique plane', 'Drag turns and tilts; wheel: slices along it'],
];

export function helpDialog(app: App): HTMLDialogElement {
  const about = h('dl', { class: 'about' });
  app.store.watch(['info'], ({ info }) => {
    const model = info?.models.find(({ name }) => name === info.default_model);
    if (!info || !model) return;
    about.replaceChildren(
      ...pair('OpenVISTA', info.version),
      ...pair('Model', `${model.name}, ${model.class_count} classes, ${model.branches.join(' and ')}`),
      ...pair('Licence of its weights', model.licence),
      ...pair('SHA-256 of its weights', model.weights_sha256.slice(0, 16) + '…'),
      ...pair('Purpose', 'Research. Not a medical device.'),
    );
  });
  return h('dialog', { class: 'help-dialog', 'aria-labelledby': 'help-title' },
    h('div', { class: 'dialog-head' },
      h('h2', { id: 'help-title' }, 'Keys and mouse'),
      h('form', { method: 'dialog' }, h('button', { class: 'plain tool', 'aria-label': 'Close' }, icon('close')))),
    h('div', { class: 'columns' }, keys('Keys', KEYS), h('div', {}, keys('Mouse', MOUSE), h('h3', {}, 'About'), about)),
    h('p', { class: 'hint' }, h('a', { href: 'licences.txt', target: '_blank' }, 'Licences of the software in this page')));
}

function keys(title: string, lines: [string, string][]): HTMLElement {
  return h('div', {}, h('h3', {}, title), h('dl', {}, ...lines.flatMap(([key, text]) => pair(key, text))));
}

function pair(term: string, text: string): HTMLElement[] {
  return [h('dt', {}, term), h('dd', {}, text)];
}

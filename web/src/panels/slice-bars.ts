// At the foot of each plane: a slider through its slices, the slice's number, and where it lies in mm. For fingers, which
// a slider through hundreds of slices is too fine for, a button to each neighbour.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import { texts } from '../strings.ts';
import { PLANE_NAMES, PLANES, type Plane } from '../view/planes.ts';
import { towards } from './status.ts';

const words = texts.slices;

export function sliceBars(app: App): HTMLElement {
  const bars = PLANE_NAMES.map((plane) => sliceBar(app, plane));
  const element = h('div', { class: 'slice-bars' }, ...bars);
  app.store.watch(['layout'], ({ layout }) => element.setAttribute('data-layout', layout));
  app.store.watch(['cursor'], ({ cursor }) => {
    element.hidden = !cursor;
  });
  return element;
}

function sliceBar({ store, view }: App, plane: Plane): HTMLElement {
  const { normal } = PLANES[plane];
  const slider = h('input', { type: 'range', min: 1, step: 1, 'aria-label': words.slider(texts.planes[plane]) });
  const place = h('output', {});
  slider.addEventListener('input', () => view.step(plane, Number(slider.value) - 1 - Math.round(view.crosshair[normal])));
  store.watch(['cursor'], ({ cursor }) => {
    if (!cursor || !view.axes) return;
    const slices = view.axes.displayShape[normal];
    const number = Math.round(view.crosshair[normal]) + 1;
    slider.max = String(slices);
    slider.value = String(number);
    slider.setAttribute('aria-valuetext', words.of(number, slices));
    place.textContent = words.place(texts.planes[plane], number, slices, towards(cursor.mm[normal], normal));
  });
  const step = (by: 1 | -1, name: string) =>
    h('button', { class: by > 0 ? 'up' : 'down', 'aria-label': name, title: name, onclick: () => view.step(plane, by) }, icon('next'));
  const steps = h('div', { class: 'slice-steps' },
    step(1, words.next(texts.planes[plane])), step(-1, words.previous(texts.planes[plane])));
  return h('div', { class: `slice-bar ${plane}` }, place, slider, steps);
}

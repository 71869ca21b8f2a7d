// What was measured with ruler, angle and ellipse: values, names, a way back to the place.

import type { App } from '../app.ts';
import type { KeptMeasurement, Vec3 } from '../api/types.ts';
import { h, refill } from '../dom.ts';
import { icon } from '../icons.ts';
import { inWords, KIND_NAMES } from '../session/measurements.ts';
import { texts } from '../strings.ts';

const words = texts.measurements;

export function measurementList(app: App): HTMLElement {
  const list = h('div', { role: 'list', 'aria-label': texts.results.measurements });
  const hint = h('p', { class: 'hint' }, words.hint);
  app.store.watch(['measurements'], ({ measurements }) => {
    refill(list, ...measurements.map((one, index) => row(app, one, index)));
    hint.hidden = measurements.length > 0;
    list.hidden = !hint.hidden;
  });
  return h('div', { class: 'scroll' }, hint, list);
}

function row(app: App, { drawn, measured }: KeptMeasurement, index: number): HTMLElement {
  const kind = KIND_NAMES[drawn.kind];
  const name = h('input', {
    class: 'name', value: drawn.name, placeholder: kind, maxlength: 120, 'aria-label': words.name(kind, index + 1),
    'data-key': `measure-${index}`, onchange: () => app.measurements.rename(index, name.value.trim()),
  });
  const values = h('button', {
    class: 'plain values', title: words.show, 'data-measure': drawn.kind, onclick: () => show(app, drawn.points),
  }, ...inWords(measured).map((line) => h('span', {}, line)));
  const remove = h('button', {
    class: 'plain tool', 'aria-label': words.remove(kind, index + 1), title: words.delete,
    onclick: () => app.measurements.remove(index),
  }, icon('remove'));
  return h('div', { class: 'measured', role: 'listitem' }, icon(drawn.kind), name, values, remove);
}

function show({ view }: App, points: Vec3[]): void {
  const { axes } = view;
  if (!axes || !points.length) return;
  const mean = (axis: 0 | 1 | 2) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  view.moveTo(axes.toDisplay([mean(0), mean(1), mean(2)]).map(Math.round) as Vec3);
}

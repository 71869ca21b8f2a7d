// Changes of the active object's mask as a whole, or slice by slice (axial).

import type { App } from '../app.ts';
import type { Edit, Vec3 } from '../api/types.ts';
import { h } from '../dom.ts';
import { texts } from '../strings.ts';
import { enableMenu, menu, menuItem } from './menu.ts';

const words = texts.change;
const AXIAL = 2;
const START_MM = 2;
const MOST_MM = 50;

export function changeMenu(app: App): HTMLElement {
  const mm = h('input', { type: 'number', id: 'change-mm', min: 0.5, max: MOST_MM, step: 0.5, value: START_MM, 'aria-label': words.mm });
  const item = ([label, about]: [string, string], make: () => Edit | null) =>
    menuItem(label, about, () => {
      const edit = make();
      if (edit) void app.prompts.reshape(edit, label);
    });
  const other = h('select', { id: 'change-other', 'aria-label': words.other });
  const combine = (operation: 'union' | 'subtract' | 'intersect') => (): Edit | null =>
    other.value ? { kind: 'combine', operation, other: Number(other.value) } : null;
  const withOther = [
    h('label', { class: 'slider' }, words.with, other),
    item(words.union, combine('union')),
    item(words.subtract, combine('subtract')),
    item(words.intersect, combine('intersect')),
  ];
  const amount = () => (mm.valueAsNumber > 0 ? mm.valueAsNumber : START_MM);
  const element = menu('change', 'rename', words.title,
    item(words.fillHoles, () => ({ kind: 'fill_holes', axis: null })),
    item(words.fillSlices, () => ({ kind: 'fill_holes', axis: axialAxis(app) })),
    item(words.keepPiece, () => ({ kind: 'keep_piece', voxel: here(app) })),
    item(words.interpolate, () => ({ kind: 'interpolate', axis: axialAxis(app) })),
    item(words.copyUp, () => copySlice(app, 1)),
    item(words.copyDown, () => copySlice(app, -1)),
    h('label', { class: 'slider' }, mm, words.mmAfter),
    item(words.smooth, () => ({ kind: 'smooth', mm: amount() })),
    item(words.grow, () => ({ kind: 'margin', mm: amount() })),
    item(words.shrink, () => ({ kind: 'margin', mm: -amount() })),
    ...withOther);
  app.store.watch(['session', 'active'], ({ session, active }) => {
    enableMenu(element, Boolean(session?.objects.some(({ id }) => id === active)));
    const others = session?.objects.filter(({ id }) => id !== active) ?? [];
    const chosen = other.value;
    other.replaceChildren(...others.map(({ id, name }) => h('option', { value: id, selected: String(id) === chosen }, name)));
    for (const line of withOther) line.hidden = !others.length;
  });
  return element;
}

function here(app: App): Vec3 {
  return app.view.axes?.toFile(app.view.crosshair.map(Math.round) as Vec3) ?? [0, 0, 0];
}

function axialAxis(app: App): number {
  return app.view.axes?.fileAxis(AXIAL) ?? AXIAL;
}

/** The slice at the crosshair to the next one, which then comes into sight. */
function copySlice(app: App, up: 1 | -1): Edit | null {
  const { axes, crosshair } = app.view;
  if (!axes) return null;
  const axis = axes.fileAxis(AXIAL);
  const display = crosshair.map(Math.round) as Vec3;
  const next: Vec3 = [display[0], display[1], display[2] + up];
  const slice = axes.toFile(display)[axis];
  app.view.moveTo(next);
  return { kind: 'copy_slice', axis, slice, by: axes.toFile(next)[axis] > slice ? 1 : -1 };
}

// Around the picture: tools, undo, which planes, how the labels look.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon, type IconName } from '../icons.ts';
import type { Layout, State, ToolName } from '../session/state.ts';
import type { Tool } from '../tools/tool.ts';
import { changeMenu } from './change-menu.ts';

interface ToolText {
  name: ToolName;
  label: string;
  key: string;
  hint: string;
}

const TOOLS: ToolText[] = [
  { name: 'navigate', label: 'Navigate', key: 'N', hint: 'Left: crosshair · right drag: window · wheel: slices' },
  { name: 'click', label: 'Click', key: 'C', hint: 'left click is inside · right or Shift click is not' },
  { name: 'box', label: 'Box', key: 'B', hint: 'drag a box, pull its edges in any plane, Enter' },
  { name: 'scribble', label: 'Scribble', key: 'S', hint: 'left line is inside · right or Shift line is not' },
  { name: 'lasso', label: 'Lasso', key: 'L', hint: 'left drag adds · right or Shift drag takes away' },
  { name: 'brush', label: 'Paint', key: 'P', hint: 'left paints · right erases' },
];
const MEASURES: ToolText[] = [
  { name: 'ruler', label: 'Ruler', key: 'M', hint: 'drag a line: its length in mm' },
  { name: 'angle', label: 'Angle', key: 'A', hint: 'three clicks: the angle at the second one' },
  { name: 'ellipse', label: 'Ellipse', key: 'E', hint: 'drag an ellipse: mean and SD of HU, area' },
];
/** These change the mask itself, so no model is asked. */
const BY_HAND: ToolName[] = ['navigate', 'lasso', 'brush', 'ruler', 'angle', 'ellipse'];
/** These change no object. */
const LOOKING: ToolName[] = ['navigate', 'ruler', 'angle', 'ellipse'];
export const LEAST_BRUSH_MM = 1;
export const MOST_BRUSH_MM = 30;
/** What the brush's range begins as: soft tissue. */
const BRUSH_HU: [number, number] = [-30, 150];

const LAYOUTS: { name: Layout; label: string; title: string }[] = [
  { name: 'all', label: 'All', title: 'Three planes and 3D (0)' },
  { name: 'axial', label: 'Ax', title: 'Axial (1)' },
  { name: 'coronal', label: 'Cor', title: 'Coronal (2)' },
  { name: 'sagittal', label: 'Sag', title: 'Sagittal (3)' },
  { name: 'render', label: '3D', title: '3D (4)' },
  { name: 'oblique', label: 'Obl', title: 'Three planes and an oblique one (5)' },
];

export function toolbar(app: App): HTMLElement {
  return h('div', { class: 'toolbar', role: 'toolbar', 'aria-label': 'Tools' },
    toolGroup(app),
    signSwitch(app),
    measureGroup(app),
    changeMenu(app),
    historyGroup(app),
    layoutGroup(app));
}

/** Below the picture: one line about the tool in hand, and how the labels look. */
export function underline(app: App): HTMLElement {
  return h('div', { class: 'underline' },
    toolHint(app),
    lassoSwitch(app),
    brushGroup(app),
    slider(app, 'opacity', 'Labels', 'Opacity of the labels ([ and ])'),
    slider(app, 'ctIn3D', 'CT in 3D', 'How much of the CT the 3D view shows'));
}

function toolHint(app: App): HTMLElement {
  const line = h('p', { class: 'tool-hint' });
  app.store.watch(['tool', 'active', 'session'], (state) => {
    const tool = [...TOOLS, ...MEASURES].find(({ name }) => name === state.tool);
    const object = state.session?.objects.find(({ id }) => id === state.active);
    const about = object ? `${object.name}: ` : 'a new object: ';
    line.textContent = LOOKING.includes(state.tool) ? (tool?.hint ?? '') : about + (tool?.hint ?? '');
  });
  return line;
}

export function toolAllowed(name: ToolName, state: Readonly<State>): boolean {
  if (name === 'navigate') return true;
  return Boolean(state.session && (BY_HAND.includes(name) || state.info?.features.clicks));
}

function toolGroup(app: App): HTMLElement {
  const buttons = TOOLS.map(({ name, label, key }) =>
    h('button', {
      class: 'with-icon', 'data-tool': name, title: `${label} (${key})`, onclick: () => app.store.set({ tool: name }),
    }, icon(name as IconName), label));
  app.store.watch(['tool', 'session', 'info'], (state) => {
    for (const button of buttons) {
      const name = button.dataset['tool'] as ToolName;
      button.setAttribute('aria-pressed', String(state.tool === name));
      button.disabled = !toolAllowed(name, state);
      if (state.info && !state.info.features.clicks && !BY_HAND.includes(name)) {
        button.title = `The model ${state.info.default_model} answers classes only, not clicks`;
      }
    }
  });
  return h('div', { class: 'group', role: 'group', 'aria-label': 'Tool' }, ...buttons);
}

function measureGroup(app: App): HTMLElement {
  const buttons = MEASURES.map(({ name, label, key }) =>
    h('button', {
      class: 'plain tool', 'data-tool': name, 'aria-label': label, title: `${label} (${key})`, onclick: () => app.store.set({ tool: name }),
    }, icon(name as IconName)));
  app.store.watch(['tool', 'session', 'info'], (state) => {
    buttons.forEach((button, index) => {
      const name = MEASURES[index]?.name as ToolName;
      button.setAttribute('aria-pressed', String(state.tool === name));
      button.disabled = !toolAllowed(name, state);
    });
  });
  return h('div', { class: 'group', role: 'group', 'aria-label': 'Measure' }, ...buttons);
}

function signSwitch(app: App): HTMLElement {
  const choices = [false, true].map((negative) =>
    h('button', {
      class: `plain tool sign ${negative ? 'negative' : 'positive'}`, 'aria-label': negative ? 'Take away' : 'Add',
      title: negative ? 'Take away (X; or hold Shift)' : 'Add (X)', onclick: () => app.store.set({ negative }),
    }, icon(negative ? 'minus' : 'add')));
  const group = h('div', { class: 'group', role: 'group', 'aria-label': 'Add or take away' }, ...choices);
  app.store.watch(['negative', 'tool'], ({ negative, tool }) => {
    group.hidden = LOOKING.includes(tool);
    choices.forEach((choice, index) => choice.setAttribute('aria-pressed', String(negative === Boolean(index))));
  });
  return group;
}

function lassoSwitch(app: App): HTMLElement {
  const box = h('input', { type: 'checkbox', id: 'lasso-as-hint' });
  box.addEventListener('change', () => app.store.set({ lassoAsHint: box.checked }));
  const label = h('label', { class: 'slider', title: 'The model finds the object in it; otherwise it is the region itself' }, box, 'as a prompt');
  app.store.watch(['tool', 'info', 'lassoAsHint'], ({ tool, info, lassoAsHint }) => {
    label.hidden = tool !== 'lasso' || !info?.features.clicks;
    box.checked = lassoAsHint;
  });
  return label;
}

function brushGroup(app: App): HTMLElement {
  const size = h('input', { type: 'range', min: LEAST_BRUSH_MM, max: MOST_BRUSH_MM, step: 1, id: 'brush-mm', 'aria-label': 'Radius of the brush in mm' });
  const shown = h('span', {});
  const ball = h('input', { type: 'checkbox', id: 'brush-3d' });
  size.addEventListener('input', () => app.store.set({ brushMm: Number(size.value) }));
  ball.addEventListener('change', () => app.store.set({ brushIn3D: ball.checked }));
  const onlyHu = h('input', { type: 'checkbox', id: 'brush-hu' });
  const bound = (value: number, label: string) => h('input', { type: 'number', step: 10, value, class: 'hu', 'aria-label': label });
  const least = bound(BRUSH_HU[0], 'HU, at least');
  const most = bound(BRUSH_HU[1], 'HU, at most');
  const bounds = h('span', { class: 'slider' }, least, 'to', most);
  let range = BRUSH_HU;
  const setHu = () => {
    if (least.valueAsNumber <= most.valueAsNumber) range = [least.valueAsNumber, most.valueAsNumber];
    [least.valueAsNumber, most.valueAsNumber] = range;  // what is no range gives way to the last one
    app.store.set({ brushHu: onlyHu.checked ? range : null });
  };
  for (const input of [onlyHu, least, most]) input.addEventListener('change', setHu);
  const group = h('div', { class: 'group', role: 'group', 'aria-label': 'Brush' },
    h('label', { class: 'slider', title: 'Radius (+ and −)' }, size, shown),
    h('label', { class: 'slider', title: 'A ball through the slices; otherwise a disk on this slice' }, ball, '3D brush'),
    h('label', { class: 'slider', title: 'Change voxels with these HU only' }, onlyHu, 'only HU'), bounds);
  app.store.watch(['tool', 'brushMm', 'brushIn3D', 'brushHu'], ({ tool, brushMm, brushIn3D, brushHu }) => {
    group.hidden = tool !== 'brush';
    size.value = String(brushMm);
    shown.textContent = `${brushMm} mm`;
    ball.checked = brushIn3D;
    onlyHu.checked = Boolean(brushHu);
    bounds.hidden = !brushHu;
  });
  return group;
}

function historyGroup(app: App): HTMLElement {
  const undo = h('button', { class: 'plain tool', id: 'undo', 'aria-label': 'Undo', title: 'Undo (Ctrl Z)', onclick: () => app.prompts.undo() }, icon('undo'));
  const redo = h('button', { class: 'plain tool', id: 'redo', 'aria-label': 'Redo', title: 'Redo (Ctrl Shift Z)', onclick: () => app.prompts.redo() }, icon('redo'));
  app.store.watch(['session'], ({ session }) => {
    undo.disabled = !session?.can_undo;
    redo.disabled = !session?.can_redo;
  });
  return h('div', { class: 'group', role: 'group', 'aria-label': 'History' }, undo, redo);
}

function layoutGroup(app: App): HTMLElement {
  const buttons = LAYOUTS.map(({ name, label, title }) =>
    h('button', { class: 'plain', title, 'aria-label': title, onclick: () => app.store.set({ layout: name }) }, label));
  const reset = h('button', { class: 'plain tool', title: 'Reset zoom and position (R)', 'aria-label': 'Reset view', onclick: () => app.view.reset() }, icon('reset'));
  app.store.watch(['layout'], ({ layout }) => {
    app.view.setLayout(layout);
    buttons.forEach((button, index) => button.setAttribute('aria-pressed', String(LAYOUTS[index]?.name === layout)));
  });
  return h('div', { class: 'group', role: 'group', 'aria-label': 'Planes' }, ...buttons, reset);
}

function slider(app: App, key: 'opacity' | 'ctIn3D', label: string, title: string): HTMLElement {
  const input = h('input', { type: 'range', min: 0, max: 1, step: 0.05, 'aria-label': title, title });
  input.addEventListener('input', () => app.store.set({ [key]: Number(input.value) }));
  app.store.watch([key], (state) => {
    input.value = String(state[key]);
  });
  return h('label', { class: 'slider' }, label, input);
}

/** Over the picture while a box is drawn. */
export function boxActions(app: App, current: () => Tool): HTMLElement {
  const use = h('button', { class: 'primary', onclick: () => current().confirm?.() }, 'Use box');
  const drop = h('button', { onclick: () => current().cancel() }, 'Discard');
  const group = h('div', { class: 'box-actions', role: 'group', 'aria-label': 'Box' }, use, drop);
  app.store.watch(['boxDrawn'], ({ boxDrawn }) => {
    group.hidden = !boxDrawn;
  });
  return group;
}

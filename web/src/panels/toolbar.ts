// Around the picture: tools, undo, which planes, how the labels look.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon, type IconName } from '../icons.ts';
import type { Layout, State, ToolName } from '../session/state.ts';
import { texts } from '../strings.ts';
import type { Tool } from '../tools/tool.ts';
import { fingersFirst } from '../tools/touch.ts';
import { changeMenu } from './change-menu.ts';
import { slabChoice } from './slab.ts';

const words = texts.tools;

interface ToolKey {
  name: ToolName;
  key: string;
}

const TOOLS: ToolKey[] = [
  { name: 'navigate', key: 'N' },
  { name: 'click', key: 'C' },
  { name: 'box', key: 'B' },
  { name: 'scribble', key: 'S' },
  { name: 'lasso', key: 'L' },
  { name: 'brush', key: 'P' },
];
const MEASURES: ToolKey[] = [
  { name: 'ruler', key: 'M' },
  { name: 'angle', key: 'A' },
  { name: 'ellipse', key: 'E' },
];
/** These change the mask itself, so no model is asked. */
const BY_HAND: ToolName[] = ['navigate', 'lasso', 'brush', 'ruler', 'angle', 'ellipse'];
/** These change no object. */
const LOOKING: ToolName[] = ['navigate', 'ruler', 'angle', 'ellipse'];
export const LEAST_BRUSH_MM = 1;
export const MOST_BRUSH_MM = 30;
/** What the brush's range begins as: soft tissue. */
const BRUSH_HU: [number, number] = [-30, 150];

const LAYOUTS: Layout[] = [
  'all',
  'axial',
  'coronal',
  'sagittal',
  'render',
  'oblique',
];

export function toolbar(app: App): HTMLElement {
  return h('div', { class: 'toolbar', role: 'toolbar', 'aria-label': words.toolbar },
    toolGroup(app),
    signSwitch(app),
    measureGroup(app),
    changeMenu(app),
    historyGroup(app),
    layoutGroup(app),
    slabChoice(app));
}

/** Below the picture: one line about the tool in hand, and how the labels look. */
export function underline(app: App): HTMLElement {
  return h('div', { class: 'underline' },
    toolHint(app),
    lassoSwitch(app),
    brushGroup(app),
    slider(app, 'opacity', words.labels, words.labelsTitle),
    slider(app, 'ctIn3D', words.ctIn3D, words.ctIn3DTitle));
}

function toolHint(app: App): HTMLElement {
  const line = h('p', { class: 'tool-hint' });
  app.store.watch(['tool', 'active', 'session'], (state) => {
    const [name, byMouse, fingers] = words[state.tool];
    const hint = fingersFirst ? words.named(name, fingers) : byMouse; // nothing shows a button's name to a finger
    const object = state.session?.objects.find(({ id }) => id === state.active);
    const about = object ? words.about(object.name, hint) : words.aboutNew(hint);
    line.textContent = LOOKING.includes(state.tool) ? hint : about;
  });
  return line;
}

export function toolAllowed(name: ToolName, state: Readonly<State>): boolean {
  if (name === 'navigate') return true;
  return Boolean(state.session && (BY_HAND.includes(name) || state.info?.features.clicks));
}

function toolGroup(app: App): HTMLElement {
  const buttons = TOOLS.map(({ name, key }) =>
    h('button', {
      class: 'with-icon', 'data-tool': name, title: words.withKey(words[name][0], key), onclick: () => app.store.set({ tool: name }),
    }, icon(name as IconName), words[name][0]));
  app.store.watch(['tool', 'session', 'info'], (state) => {
    for (const button of buttons) {
      const name = button.dataset['tool'] as ToolName;
      button.setAttribute('aria-pressed', String(state.tool === name));
      button.disabled = !toolAllowed(name, state);
      if (state.info && !state.info.features.clicks && !BY_HAND.includes(name)) {
        button.title = words.noClicks(state.info.default_model);
      }
    }
  });
  return h('div', { class: 'group', role: 'group', 'aria-label': words.tool }, ...buttons);
}

function measureGroup(app: App): HTMLElement {
  const buttons = MEASURES.map(({ name, key }) =>
    h('button', {
      class: 'plain tool', 'data-tool': name, 'aria-label': words[name][0], title: words.withKey(words[name][0], key),
      onclick: () => app.store.set({ tool: name }),
    }, icon(name as IconName)));
  app.store.watch(['tool', 'session', 'info'], (state) => {
    buttons.forEach((button, index) => {
      const name = MEASURES[index]?.name as ToolName;
      button.setAttribute('aria-pressed', String(state.tool === name));
      button.disabled = !toolAllowed(name, state);
    });
  });
  return h('div', { class: 'group', role: 'group', 'aria-label': words.measure }, ...buttons);
}

function signSwitch(app: App): HTMLElement {
  const choices = [false, true].map((negative) =>
    h('button', {
      class: `plain tool sign ${negative ? 'negative' : 'positive'}`, 'aria-label': negative ? words.takeAway : words.add,
      title: negative ? words.takeAwayTitle : words.addTitle, onclick: () => app.store.set({ negative }),
    }, icon(negative ? 'minus' : 'add')));
  const group = h('div', { class: 'group', role: 'group', 'aria-label': words.sign }, ...choices);
  app.store.watch(['negative', 'tool'], ({ negative, tool }) => {
    group.hidden = LOOKING.includes(tool);
    choices.forEach((choice, index) => choice.setAttribute('aria-pressed', String(negative === Boolean(index))));
  });
  return group;
}

function lassoSwitch(app: App): HTMLElement {
  const box = h('input', { type: 'checkbox', id: 'lasso-as-hint' });
  box.addEventListener('change', () => app.store.set({ lassoAsHint: box.checked }));
  const label = h('label', { class: 'slider', title: words.lassoAsHintTitle }, box, words.lassoAsHint);
  app.store.watch(['tool', 'info', 'lassoAsHint'], ({ tool, info, lassoAsHint }) => {
    label.hidden = tool !== 'lasso' || !info?.features.clicks;
    box.checked = lassoAsHint;
  });
  return label;
}

function brushGroup(app: App): HTMLElement {
  const size = h('input', { type: 'range', min: LEAST_BRUSH_MM, max: MOST_BRUSH_MM, step: 1, id: 'brush-mm', 'aria-label': words.brushMm });
  const shown = h('span', {});
  const ball = h('input', { type: 'checkbox', id: 'brush-3d' });
  size.addEventListener('input', () => app.store.set({ brushMm: Number(size.value) }));
  ball.addEventListener('change', () => app.store.set({ brushIn3D: ball.checked }));
  const onlyHu = h('input', { type: 'checkbox', id: 'brush-hu' });
  const bound = (value: number, label: string) => h('input', { type: 'number', step: 10, value, class: 'hu', 'aria-label': label });
  const least = bound(BRUSH_HU[0], words.leastHu);
  const most = bound(BRUSH_HU[1], words.mostHu);
  const bounds = h('span', { class: 'slider' }, least, words.to, most);
  let range = BRUSH_HU;
  const setHu = () => {
    if (least.valueAsNumber <= most.valueAsNumber) range = [least.valueAsNumber, most.valueAsNumber];
    [least.valueAsNumber, most.valueAsNumber] = range;  // what is no range gives way to the last one
    app.store.set({ brushHu: onlyHu.checked ? range : null });
  };
  for (const input of [onlyHu, least, most]) input.addEventListener('change', setHu);
  const group = h('div', { class: 'group', role: 'group', 'aria-label': words.brushGroup },
    h('label', { class: 'slider', title: words.brushMmTitle }, size, shown),
    h('label', { class: 'slider', title: words.brush3DTitle }, ball, words.brush3D),
    h('label', { class: 'slider', title: words.onlyHuTitle }, onlyHu, words.onlyHu), bounds);
  app.store.watch(['tool', 'brushMm', 'brushIn3D', 'brushHu'], ({ tool, brushMm, brushIn3D, brushHu }) => {
    group.hidden = tool !== 'brush';
    size.value = String(brushMm);
    shown.textContent = words.mm(brushMm);
    ball.checked = brushIn3D;
    onlyHu.checked = Boolean(brushHu);
    bounds.hidden = !brushHu;
  });
  return group;
}

function historyGroup(app: App): HTMLElement {
  const undo = h('button', { class: 'plain tool', id: 'undo', 'aria-label': words.undo, title: words.undoTitle, onclick: () => app.prompts.undo() }, icon('undo'));
  const redo = h('button', { class: 'plain tool', id: 'redo', 'aria-label': words.redo, title: words.redoTitle, onclick: () => app.prompts.redo() }, icon('redo'));
  app.store.watch(['session'], ({ session }) => {
    undo.disabled = !session?.can_undo;
    redo.disabled = !session?.can_redo;
  });
  return h('div', { class: 'group', role: 'group', 'aria-label': words.history }, undo, redo);
}

function layoutGroup(app: App): HTMLElement {
  const buttons = LAYOUTS.map((name) => {
    const [label, title] = words[name];
    return h('button', { class: 'plain', title, 'aria-label': title, onclick: () => app.store.set({ layout: name }) }, label);
  });
  const reset = h('button', { class: 'plain tool', title: words.resetTitle, 'aria-label': words.reset, onclick: () => app.view.reset() }, icon('reset'));
  app.store.watch(['layout'], ({ layout }) => {
    app.view.setLayout(layout);
    buttons.forEach((button, index) => button.setAttribute('aria-pressed', String(LAYOUTS[index] === layout)));
  });
  return h('div', { class: 'group', role: 'group', 'aria-label': words.planes }, ...buttons, reset);
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
  const use = h('button', { class: 'primary', onclick: () => current().confirm?.() }, words.useBox);
  const drop = h('button', { onclick: () => current().cancel() }, words.discardBox);
  const group = h('div', { class: 'box-actions', role: 'group', 'aria-label': words.boxGroup }, use, drop);
  app.store.watch(['boxDrawn'], ({ boxDrawn }) => {
    group.hidden = !boxDrawn;
  });
  return group;
}

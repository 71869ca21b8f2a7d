// Keys of the whole page; fields keep theirs.

import type { App } from './app.ts';
import { nextKind, nextThickness } from './panels/slab.ts';
import type { PanelName } from './panels/splitters.ts';
import { LEAST_BRUSH_MM, MOST_BRUSH_MM, toolAllowed } from './panels/toolbar.ts';
import { nextPreset, setPreset } from './panels/window-level.ts';
import { changeLook, lookOf } from './session/looks.ts';
import type { Layout, ToolName } from './session/state.ts';
import type { Pointer } from './tools/pointer.ts';

const TOOL_KEYS: Record<string, ToolName> = { n: 'navigate', c: 'click', b: 'box', s: 'scribble', l: 'lasso', p: 'brush', m: 'ruler', a: 'angle', e: 'ellipse' };
const LAYOUT_KEYS: Record<string, Layout> = { 0: 'all', 1: 'axial', 2: 'coronal', 3: 'sagittal', 4: 'render', 5: 'oblique' };
const SLICE_KEYS: Record<string, number> = { ArrowUp: 1, PageUp: 1, ArrowDown: -1, PageDown: -1 };
const MANY_SLICES = 10;
const OPACITY_STEP = 0.1;
const BRUSH_KEYS: Record<string, number> = { '+': 1, '=': 1, '-': -1 };

export interface Dialogs {
  open: () => void;
  save: () => void;
  help: () => void;
  search: () => void;
  turnPanel: (name: PanelName) => void;
}

export function listenToKeys(app: App, pointer: Pointer, picture: Element, dialogs: Dialogs): void {
  document.addEventListener('keydown', (event) => {
    if (document.querySelector('dialog[open]') || isField(event.target)) return;
    const taken = event.ctrlKey || event.metaKey ? withControl(app, dialogs, event) : alone(app, pointer, picture, dialogs, event);
    if (taken) event.preventDefault();
  });
}

function withControl(app: App, dialogs: Dialogs, event: KeyboardEvent): boolean {
  const key = event.key.toLowerCase();
  if (key === 'z' && !event.shiftKey) void app.prompts.undo();
  else if (key === 's') dialogs.save();
  else if (key === 'y' || key === 'z') void app.prompts.redo();
  else return false;
  return true;
}

function alone(app: App, pointer: Pointer, picture: Element, dialogs: Dialogs, event: KeyboardEvent): boolean {
  if (event.altKey) return false;
  return (
    switches(app, event) ||
    slices(app, pointer, picture, event) ||
    commands(app, pointer, dialogs, event.key)
  );
}

function switches(app: App, event: KeyboardEvent): boolean {
  const { store } = app;
  const key = event.key.toLowerCase();
  const tool = TOOL_KEYS[key];
  const layout = LAYOUT_KEYS[event.key];
  const preset = event.shiftKey ? Number(event.code.match(/^Digit([1-9])$/)?.[1] ?? 0) : 0;
  if (preset) setPreset(app, preset - 1);
  else if (tool) {
    if (toolAllowed(tool, store.state)) store.set({ tool });
  } else if (layout) store.set({ layout });
  else if (key === 'x') store.set({ negative: !store.state.negative });
  else if (key === 'i') store.set({ solo: !store.state.solo });
  else if (key === 'f') turnOutline(app);
  else if (key === 'h') store.set({ overlay: !store.state.overlay });
  else if (key === '[' || key === ']') changeOpacity(app, key === ']' ? OPACITY_STEP : -OPACITY_STEP);
  else if (key === 'w') nextPreset(app);
  else if (key === 't') (event.shiftKey ? nextKind : nextThickness)(app);
  else if (BRUSH_KEYS[key]) store.set({ brushMm: largerBrush(store.state.brushMm, BRUSH_KEYS[key]) });
  else return false;
  return true;
}

function slices(app: App, pointer: Pointer, picture: Element, event: KeyboardEvent): boolean {
  const direction = SLICE_KEYS[event.key];
  const elsewhere = document.activeElement !== picture && document.activeElement !== document.body;
  if (!direction || (elsewhere && event.key.startsWith('Arrow'))) return false;
  app.view.step(pointer.plane, direction * (event.shiftKey ? MANY_SLICES : 1));
  return true;
}

function commands(app: App, pointer: Pointer, dialogs: Dialogs, key: string): boolean {
  if (key === 'o') dialogs.open();
  else if (key === '?') dialogs.help();
  else if (key === '/') dialogs.search();
  else if (key === '<' || key === '>') dialogs.turnPanel(key === '<' ? 'classes' : 'side');
  else if (key === 'j' || key === 'k') void app.workList.step(key === 'j' ? 1 : -1);
  else if (key === 'r') app.view.reset();
  else if (key === ',' || key === '.') nextObject(app, key === '.' ? 1 : -1);
  else if (key === 'Enter' && app.store.state.boxDrawn) pointer.tool.confirm?.();
  else if (key === 'Escape') stop(app, pointer);
  else return false;
  return true;
}

function stop(app: App, pointer: Pointer): void {
  const { boxDrawn, work } = app.store.state;
  pointer.stop();
  if (!boxDrawn && work?.canCancel) void app.prompts.cancel();
}

function largerBrush(mm: number, by: number): number {
  return Math.min(MOST_BRUSH_MM, Math.max(LEAST_BRUSH_MM, mm + by));
}

function changeOpacity(app: App, by: number): void {
  const opacity = Math.min(1, Math.max(0, app.store.state.opacity + by));
  app.store.set({ opacity: Math.round(opacity * 100) / 100 });
}

/** The active object: filled, or its edge only. */
function turnOutline({ store }: App): void {
  const { active, looks } = store.state;
  if (active !== null) changeLook(store, active, { outline: !lookOf(looks, active).outline });
}

function nextObject(app: App, by: number): void {
  const { session, active } = app.store.state;
  const objects = session?.objects ?? [];
  const index = objects.findIndex(({ id }) => id === active) + by;
  const next = objects[(index + objects.length) % objects.length];
  if (next) app.prompts.select(next.id, true);
}

function isField(target: EventTarget | null): boolean {
  if (target instanceof HTMLInputElement) return target.type !== 'range' && target.type !== 'color';
  return target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}

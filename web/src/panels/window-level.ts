// The HU window: presets, and level and width of one's own.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { texts } from '../strings.ts';
import { fromLevel, levelOf, presetOf, WINDOW_PRESETS, widthOf } from '../view/windows.ts';

const words = texts.header;

export function windowControls(app: App): HTMLElement {
  const own = h('option', { value: '' }, words.ownWindow);
  const choice = h('select', { 'aria-label': words.preset, title: words.presetTitle, id: 'window-preset' },
    ...WINDOW_PRESETS.map(({ name }, index) => h('option', { value: index, title: words.presetKey(index + 1) }, name)), own);
  const level = h('input', { type: 'number', step: 10, 'aria-label': words.levelLabel, title: words.levelTitle });
  const width = h('input', { type: 'number', step: 10, min: 2, 'aria-label': words.widthLabel, title: words.widthTitle });

  choice.addEventListener('change', () => {
    if (choice.value !== '') setPreset(app, Number(choice.value));
  });
  const typed = () => {
    const [newLevel, newWidth] = [level.valueAsNumber, width.valueAsNumber];
    if (Number.isFinite(newLevel) && newWidth >= 2) app.store.set({ window: fromLevel(newLevel, newWidth) });
  };
  level.addEventListener('change', typed);
  width.addEventListener('change', typed);
  app.store.watch(['window'], ({ window }) => {
    const preset = presetOf(window);
    choice.value = preset ? String(WINDOW_PRESETS.indexOf(preset)) : '';
    level.value = String(levelOf(window));
    width.value = String(widthOf(window));
    app.view.setWindow(window);
  });
  return h('div', { class: 'window-controls', role: 'group', 'aria-label': words.window },
    choice, h('label', {}, words.level, level), h('label', {}, words.width, width));
}

/** By its place in the list; nothing where there is none. */
export function setPreset(app: App, index: number): void {
  const preset = WINDOW_PRESETS[index];
  if (preset) app.store.set({ window: fromLevel(preset.level, preset.width) });
}

/** The preset after the one in use. */
export function nextPreset(app: App): void {
  const current = presetOf(app.store.state.window);
  setPreset(app, (current ? WINDOW_PRESETS.indexOf(current) + 1 : 0) % WINDOW_PRESETS.length);
}

// Panels of which one is shown at a time.

import { h } from '../dom.ts';

export interface Tab {
  id: string;
  label: string;
  content: HTMLElement;
  /** Beside the names of the tabs, while this one is shown. */
  action?: HTMLElement;
}

export function tabs(label: string, shown: (id: string) => void, ...all: Tab[]): HTMLElement {
  const buttons = all.map(({ id, label: name }) =>
    h('button', { class: 'plain', role: 'tab', id: `tab-${id}`, 'aria-controls': `panel-${id}`, onclick: () => show(id) }, name));
  const panels = all.map(({ id, content }) =>
    h('div', { class: 'tab-panel', role: 'tabpanel', id: `panel-${id}`, 'aria-labelledby': `tab-${id}` }, content));
  const show = (chosen: string) => {
    all.forEach(({ id, action }, index) => {
      buttons[index]?.setAttribute('aria-selected', String(id === chosen));
      (panels[index] as HTMLElement).hidden = id !== chosen;
      if (action) action.hidden = id !== chosen;
    });
    shown(chosen);
  };
  show(all[0]?.id ?? '');
  const actions = all.flatMap(({ action }) => action ?? []);
  return h('section', { class: 'panel table', 'aria-label': label },
    h('div', { class: 'panel-head' }, h('div', { class: 'tabs', role: 'tablist', 'aria-label': label }, ...buttons), ...actions),
    ...panels);
}

// Under the active object: how strongly it is drawn, filled or as an outline, alone or among the others.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import { changeLook, lookOf } from '../session/looks.ts';
import { texts } from '../strings.ts';

/** One for all rows, so that its slider can be pulled while rows are drawn anew. */
export function objectLook({ store }: App): HTMLElement {
  const change = (what: Parameters<typeof changeLook>[2]) => {
    if (store.state.active !== null) changeLook(store, store.state.active, what);
  };
  const strength = h('input', {
    type: 'range', min: 0, max: 1, step: 0.05, 'data-key': 'look-opacity', 'aria-label': texts.objects.opacity,
    title: texts.objects.opacityTitle, oninput: () => change({ opacity: Number(strength.value) }),
  });
  const outline = h('button', {
    class: 'small', 'data-key': 'look-outline', title: texts.objects.outlineTitle,
    onclick: () => change({ outline: outline.getAttribute('aria-pressed') !== 'true' }),
  }, texts.objects.outline);
  const solo = h('button', {
    class: 'small', 'data-key': 'look-solo', title: texts.objects.soloTitle,
    onclick: () => store.set({ solo: !store.state.solo }),
  }, texts.objects.solo);
  store.watch(['active', 'looks', 'solo'], ({ active, looks, solo: alone }) => {
    const look = lookOf(looks, active ?? 0);
    strength.value = String(look.opacity);
    outline.setAttribute('aria-pressed', String(look.outline));
    solo.setAttribute('aria-pressed', String(alone));
  });
  return h('div', { class: 'look' }, icon('contrast'), strength, outline, solo);
}

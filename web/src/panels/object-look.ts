// Under the active object: how strongly it is drawn, filled or as an outline, alone or among the others, above which.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import { changeLook, lookOf } from '../session/looks.ts';
import { texts } from '../strings.ts';

/** One for all rows, so that its slider can be pulled while rows are drawn anew. */
export function objectLook({ store, prompts }: App): HTMLElement {
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
  /** Where it would be in the order; later ones lie on top. */
  const position = (by: 1 | -1) => {
    const objects = store.state.session?.objects ?? [];
    const to = objects.findIndex(({ id }) => id === store.state.active) + by;
    return to >= 0 && to < objects.length ? to : null;
  };
  const steps = [1, -1] as const;
  const order = steps.map((by) => h('button', {
    class: `plain tool ${by > 0 ? 'up' : 'down'}`, 'data-key': `look-order-${by}`,
    'aria-label': by > 0 ? texts.objects.raise : texts.objects.lower, title: by > 0 ? texts.objects.raise : texts.objects.lower,
    onclick: () => {
      const [{ active }, to] = [store.state, position(by)];
      if (active !== null && to !== null) void prompts.changeObject(active, { position: to });
    },
  }, icon('next')));
  store.watch(['active', 'session'], () => {
    steps.forEach((by, index) => {
      (order[index] as HTMLButtonElement).disabled = position(by) === null;
    });
  });
  store.watch(['active', 'looks', 'solo'], ({ active, looks, solo: alone }) => {
    const look = lookOf(looks, active ?? 0);
    strength.value = String(look.opacity);
    outline.setAttribute('aria-pressed', String(look.outline));
    solo.setAttribute('aria-pressed', String(alone));
  });
  return h('div', { class: 'look' }, icon('contrast'), strength, outline, solo, ...order);
}

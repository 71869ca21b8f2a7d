// At the foot of the oblique plane: how it stands.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { texts } from '../strings.ts';
import { type Angles, MOST, STRAIGHT } from '../view/oblique.ts';

const words = texts.oblique;

export function obliqueBar(app: App): HTMLElement {
  const reset = h('button', {
    class: 'plain', title: words.straightTitle, onclick: () => app.store.set({ oblique: STRAIGHT }),
  }, words.straight);
  const element = h('div', { class: 'oblique-bar', role: 'group', 'aria-label': words.group },
    angle(app, 'turn'), angle(app, 'tilt'), reset);
  app.store.watch(['layout', 'cursor'], ({ layout, cursor }) => {
    element.hidden = layout !== 'oblique' || !cursor;
  });
  return element;
}

function angle({ store }: App, which: keyof Angles): HTMLElement {
  const slider = h('input', {
    type: 'range', min: -MOST[which], max: MOST[which], step: 1, 'aria-label': words[which][1],
  });
  const shown = h('output', {});
  slider.addEventListener('input', () => store.set({ oblique: { ...store.state.oblique, [which]: Number(slider.value) } }));
  store.watch(['oblique'], ({ oblique }) => {
    slider.value = String(oblique[which]);
    shown.textContent = words.degrees(words[which][0], Math.round(oblique[which]));
  });
  return h('label', {}, shown, slider);
}

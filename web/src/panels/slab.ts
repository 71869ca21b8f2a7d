// How thick a slab the planes show, and what of it.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { texts } from '../strings.ts';
import { KINDS, type Kind, shownSlab } from '../view/thick-slab.ts';

const words = texts.slab;
const THICKNESSES_MM = [5, 10, 20, 30, 50];

export function slabChoice({ store }: App): HTMLElement {
  const choice = h('select', { id: 'slab', 'aria-label': words.label, title: words.title },
    h('option', { value: '' }, words.off),
    ...KINDS.map((kind) => h('optgroup', { label: words.kinds[kind][1] },
      ...THICKNESSES_MM.map((mm) => h('option', { value: `${kind} ${mm}` }, words.choice(words.kinds[kind][0], mm))))));
  const waits = h('span', { class: 'slab-waits', role: 'status' });
  choice.addEventListener('change', () => {
    const [kind, mm] = choice.value.split(' ');
    store.set({ slab: mm ? { kind: kind as Kind, mm: Number(mm) } : { ...store.state.slab, mm: 0 } });
  });
  store.watch(['slab', 'tool'], (state) => {
    const { kind, mm } = state.slab;
    choice.value = mm ? `${kind} ${mm}` : '';
    waits.textContent = mm && !shownSlab(state).mm ? words.waits : '';
    waits.title = waits.textContent && words.waitsTitle;
  });
  return h('span', { class: 'slab-choice' }, choice, waits);
}

/** Thicker, and after the thickest the slice alone. */
export function nextThickness({ store }: App): void {
  const { slab } = store.state;
  store.set({ slab: { ...slab, mm: THICKNESSES_MM.find((mm) => mm > slab.mm) ?? 0 } });
}

export function nextKind({ store }: App): void {
  const { slab } = store.state;
  const kind = KINDS[(KINDS.indexOf(slab.kind) + 1) % KINDS.length] as Kind;
  if (slab.mm) store.set({ slab: { ...slab, kind } });
}

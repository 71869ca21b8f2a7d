// The last line: where the crosshair is, and what is being worked on.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import type { Cursor } from '../session/state.ts';
import { texts } from '../strings.ts';

const words = texts.status;

export function statusBar(app: App): HTMLElement {
  const place = h('output', { class: 'place', 'aria-label': words.crosshair });
  const text = h('span', { class: 'work-text' });
  const bar = h('progress', { max: 1, 'aria-label': words.progress });
  const cancel = h('button', { onclick: () => app.prompts.cancel() }, texts.page.cancel);
  const work = h('div', { class: 'work', role: 'status', id: 'work' }, text, bar, cancel);

  app.store.watch(['cursor', 'session'], ({ cursor, session }) => {
    const name = cursor ? session?.objects.find(({ id }) => id === cursor.object)?.name : undefined;
    place.textContent = cursor ? describe(cursor, name) : '';
  });
  app.store.watch(['work'], ({ work: current }) => {
    work.hidden = !current;
    text.textContent = current ? words.work(current.text) : '';
    cancel.hidden = !current?.canCancel;
    if (current?.fraction == null) bar.removeAttribute('value');
    else bar.value = current.fraction;
  });
  return h('footer', { class: 'status' }, place, work);
}

/** Such as S 12.5. */
export function towards(mm: number, axis: number): string {
  return `${texts.directions[axis]?.[mm < 0 ? 0 : 1]} ${Math.abs(mm).toFixed(1)}`;
}

function describe({ voxel, mm, hu }: Cursor, name?: string): string {
  const voxels = voxel.map(Math.round).join(', ');
  const places = mm.map(towards);
  const parts = [words.voxel(voxels), words.mm(places.join('  ')), words.hu(String(Math.round(hu)).replace('-', '−'))];
  return [...parts, ...(name ? [name] : [])].join('   ·   ');
}

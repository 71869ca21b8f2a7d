// How each object is drawn: this page's affair, not the session's. Kept while the tab is open.

import type { ObjectInfo } from '../api/types.ts';
import { shownRows } from './comparing.ts';
import type { State, Store } from './state.ts';

export interface Look {
  /** Of this object, times that of all labels. */
  opacity: number;
  /** Its edge only, in the planes. */
  outline: boolean;
}

export type Looks = Readonly<Record<number, Look>>;

const PLAIN: Look = { opacity: 1, outline: false };
const key = (session: string) => `openvista-looks:${session}`;

export function lookOf(looks: Looks, id: number): Look {
  return looks[id] ?? PLAIN;
}

export function changeLook(store: Store, id: number, change: Partial<Look>): void {
  const { looks, session } = store.state;
  const changed = { ...looks, [id]: { ...lookOf(looks, id), ...change } };
  store.set({ looks: changed });
  if (session) sessionStorage.setItem(key(session.id), JSON.stringify(changed));
}

export function keptLooks(session: string): Looks {
  return JSON.parse(sessionStorage.getItem(key(session)) ?? '{}') as Looks;
}

/** Whether an object is drawn: it is not hidden, no other one is looked at alone, and it is in a comparison if there is one. */
export function isShown(object: ObjectInfo, { solo, active, session, comparison }: Readonly<State>): boolean {
  if (comparison) return shownRows(comparison).some(({ first_id }) => first_id === object.id);
  const alone = solo && session?.objects.some(({ id }) => id === active);
  return alone ? object.id === active : object.visible;
}

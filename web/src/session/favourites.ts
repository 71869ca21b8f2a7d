// Classes that this user asks for often: this browser's affair, by name, whatever the model.

import type { Store } from './state.ts';

const KEPT = 'openvista-favourites';

export function keptFavourites(): readonly string[] {
  return JSON.parse(localStorage.getItem(KEPT) ?? '[]') as string[];
}

export function turnFavourite(store: Store, name: string): void {
  const { favourites } = store.state;
  const changed = favourites.includes(name) ? favourites.filter((one) => one !== name) : [...favourites, name];
  localStorage.setItem(KEPT, JSON.stringify(changed));
  store.set({ favourites: changed });
}

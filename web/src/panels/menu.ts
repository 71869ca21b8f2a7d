// A button that opens a list of commands.

import { h } from '../dom.ts';
import { icon, type IconName } from '../icons.ts';

export function menu(id: string, name: IconName, label: string, ...items: HTMLElement[]): HTMLDetailsElement {
  const summary = h('summary', { class: 'with-icon', role: 'button' }, icon(name), label);
  const element = h('details', { class: 'menu', id }, summary);
  summary.addEventListener('click', (event) => {
    if (summary.getAttribute('aria-disabled') === 'true') event.preventDefault();
  });
  element.append(h('div', { class: 'menu-items' }, ...items));
  document.addEventListener('click', (event) => {
    if (!element.contains(event.target as Node)) element.open = false;
  });
  element.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') element.open = false;
  });
  return element;
}

export function enableMenu(element: HTMLDetailsElement, enabled: boolean): void {
  element.querySelector('summary')?.setAttribute('aria-disabled', String(!enabled));
  if (!enabled) element.open = false;
}

export function menuItem(label: string, about: string, act: () => void): HTMLButtonElement {
  return h('button', {
    class: 'plain',
    onclick: (event: Event) => {
      const owner = (event.currentTarget as HTMLElement).closest('details');
      if (owner) owner.open = false;
      act();
    },
  }, h('b', {}, label), h('small', {}, about));
}

// What the model can name: search, groups, everything. A press on a name segments it.

import type { App } from '../app.ts';
import type { ClassInfo, GroupInfo } from '../api/types.ts';
import { h, refill } from '../dom.ts';
import { icon } from '../icons.ts';
import { turnFavourite } from '../session/favourites.ts';
import { texts } from '../strings.ts';

const words = texts.classes;

export function classPanel(app: App): HTMLElement {
  const search = h('input', {
    type: 'search', placeholder: words.searchHint, 'aria-label': words.search, id: 'class-search',
    autocomplete: 'off', spellcheck: 'false',
  });
  const everything = h('button', { class: 'wide', onclick: () => app.prompts.askClasses('all', words.everythingName) },
    words.everything);
  const list = h('div', { class: 'scroll' });
  const show = () => refill(list, ...rows(app, search.value));

  search.addEventListener('input', show);
  search.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') list.querySelector<HTMLButtonElement>('button.class:not(:disabled)')?.click();
  });
  app.store.watch(['classes', 'session', 'active', 'info', 'favourites'], show);
  app.store.watch(['session', 'info', 'work'], ({ session, info, work }) => {
    everything.disabled = !session || !info?.features.class_prompts || Boolean(work?.canCancel);
  });
  return h('section', { class: 'panel classes', id: 'classes', 'aria-labelledby': 'classes-title' },
    h('div', { class: 'panel-head' }, h('h2', { id: 'classes-title' }, words.title), everything),
    h('label', { class: 'search' }, icon('find'), search),
    list);
}

function rows(app: App, query: string): HTMLElement[] {
  const known = app.store.state.classes;
  if (!known) return [h('p', { class: 'hint' }, words.waiting)];
  const classes = known.classes.filter((one) => matches(one, query));
  const groups = known.groups.filter((group) => matches(group, query));
  if (!classes.length && !groups.length) {
    return [h('p', { class: 'hint' }, words.unknown(known.model, query))];
  }
  const byName = new Map<string, ClassInfo[]>();
  const { favourites } = app.store.state;
  const first = classes.filter(({ name }) => favourites.includes(name));
  for (const one of classes) {
    if (first.includes(one)) continue;
    const name = one.group ?? words.others;
    byName.set(name, [...(byName.get(name) ?? []), one]);
  }
  return [
    ...(first.length ? section(words.favourites, first.map((one) => classRow(app, one))) : []),
    ...(groups.length ? section(words.groups, groups.map((group) => groupRow(app, group))) : []),
    ...[...byName].flatMap(([name, members]) => section(name, members.map((one) => classRow(app, one)))),
  ];
}

function section(title: string, members: HTMLElement[]): HTMLElement[] {
  return [h('h3', {}, title), h('div', { role: 'list', 'aria-label': title }, ...members)];
}

function classRow(app: App, one: ClassInfo): HTMLElement {
  const object = app.prompts.objectOf(one);
  const active = object !== undefined && object.id === app.store.state.active;
  const press = () => (object ? app.prompts.select(object.id, true) : app.prompts.askClasses([one.id], one.name));
  const title = object ? words.show(one.name) : words.segment(one.name, one.aliases);
  const favourite = app.store.state.favourites.includes(one.name);
  return h('div', { class: 'class-row', role: 'listitem' },
    h('button', {
      class: 'class', 'data-key': `class-${one.id}`, 'data-class': one.name, 'aria-current': active ? 'true' : null, title,
      disabled: disabled(app), onclick: press,
    },
    h('span', { class: 'swatch', style: `background:${object?.colour ?? one.colour}` }),
    h('span', { class: 'name' }, one.name),
    object && icon('check')),
    h('button', {
      class: 'plain tool favourite', 'data-key': `favourite-${one.id}`, 'aria-pressed': String(favourite),
      'aria-label': words.makeFavourite(one.name), title: words.makeFavourite(one.name),
      onclick: () => turnFavourite(app.store, one.name),
    }, icon('star')));
}

function groupRow(app: App, group: GroupInfo): HTMLElement {
  return h('div', { role: 'listitem' },
    h('button', {
      class: 'class', 'data-key': `group-${group.id}`, 'data-class': group.name, disabled: disabled(app),
      title: words.segmentGroup(group.name, group.members.length),
      onclick: () => app.prompts.askClasses(group.members, group.name),
    },
    h('span', { class: 'swatch group' }),
    h('span', { class: 'name' }, group.name),
    h('span', { class: 'count' }, String(group.members.length))));
}

function disabled(app: App): boolean {
  const { session, info } = app.store.state;
  return !session || !info?.features.class_prompts;
}

function matches(one: { name: string; aliases?: string[]; group?: string | null }, query: string): boolean {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [one.name, ...(one.aliases ?? []), one.group ?? ''].join(' ').toLowerCase();
  return words.every((word) => text.includes(word));
}

// The objects of the session: which one is being clicked, what it is called, its colour, whether it shows, its lock.

import type { App } from '../app.ts';
import type { ObjectInfo } from '../api/types.ts';
import { h, refill } from '../dom.ts';
import { icon, type IconName } from '../icons.ts';
import { texts } from '../strings.ts';
import { objectLook } from './object-look.ts';

const words = texts.objects;
/** A row being dragged; files dropped on the page are something else. */
const DRAGGED = 'application/x-openvista-object';

export function objectPanel(app: App): HTMLElement {
  const add = h('button', { class: 'with-icon', id: 'new-object', onclick: () => app.prompts.addObject() },
    icon('add'), words.add);
  const labels = h('input', { type: 'file', id: 'labels-file', hidden: true });
  const load = h('button', {
    id: 'import-labels', title: words.importTitle, onclick: () => labels.click(),
  }, words.import);
  labels.addEventListener('change', () => {
    const [file] = labels.files ?? [];
    labels.value = '';
    if (file) void app.prompts.importLabels(file);
  });
  const look = objectLook(app);
  const list = h('div', { class: 'scroll', role: 'list', 'aria-label': words.title });
  const hint = h('p', { class: 'hint' });
  app.store.watch(['session', 'active'], ({ session, active }) => {
    add.disabled = load.disabled = !session;
    const objects = [...(session?.objects ?? [])].reverse(); // later ones lie on top
    refill(list, ...objects.map((object) => row(app, object, object.id === active ? look : null)));
    hint.hidden = objects.length > 0;
    list.hidden = !hint.hidden;
    hint.textContent = session ? words.hint : words.openFirst;
  });
  return h('section', { class: 'panel objects', id: 'objects', 'aria-labelledby': 'objects-title' },
    h('div', { class: 'panel-head' }, h('h2', { id: 'objects-title' }, words.title), load, add, labels),
    hint, list);
}

function row(app: App, object: ObjectInfo, look: HTMLElement | null): HTMLElement {
  const active = look !== null;
  const { id, name, visible, locked } = object;
  const change = app.prompts.changeObject.bind(app.prompts, id);
  const line = h('div', { class: `object${active ? ' active' : ''}${visible ? '' : ' off'}`, role: 'listitem', 'data-object': name });
  const colour = h('input', {
    type: 'color', value: object.colour, 'aria-label': words.colourOf(name), title: words.colour, 'data-key': `colour-${id}`,
    onchange: (event: Event) => change({ colour: (event.target as HTMLInputElement).value }),
  });
  const select = h('button', {
    class: 'plain name', 'aria-pressed': String(active), 'data-key': `select-${id}`,
    title: active ? words.active : words.select,
    onclick: () => app.prompts.select(id, true),
    ondblclick: () => rename(app, object, line),
  }, name);
  const doubt: HTMLElement[] = [];
  if (object.unlikely.length) {
    const measures = object.unlikely.join(', ');
    doubt.push(h('abbr', { title: words.unlikelyTitle(measures) }, words.unlikely(measures)));
  }
  line.append(
    colour,
    select,
    tool(`rename-${id}`, 'rename', words.rename(name), () => rename(app, object, line)),
    tool(`visible-${id}`, visible ? 'visible' : 'hidden', visible ? words.hide(name) : words.show(name),
      () => change({ visible: !visible })),
    tool(`locked-${id}`, locked ? 'locked' : 'unlocked', locked ? words.unlock(name) : words.lock(name),
      () => change({ locked: !locked }), locked),
    tool(`remove-${id}`, 'remove', words.remove(name), () => app.prompts.removeObject(id)),
    ...doubt,
    ...(look ? [look] : []),
  );
  listenToOrder(app, object, line);
  return line;
}

/** A row that is dropped on another one takes its place in the order; higher rows lie on top. */
function listenToOrder(app: App, { id, name }: ObjectInfo, line: HTMLElement): void {
  line.draggable = true;
  line.title = words.order(name);
  line.addEventListener('dragstart', (event) => event.dataTransfer?.setData(DRAGGED, String(id)));
  line.addEventListener('dragover', (event) => event.dataTransfer?.types.includes(DRAGGED) && line.classList.add('target'));
  line.addEventListener('dragleave', () => line.classList.remove('target'));
  line.addEventListener('drop', (event) => {
    line.classList.remove('target');
    const moved = Number(event.dataTransfer?.getData(DRAGGED));
    const position = app.store.state.session?.objects.findIndex((object) => object.id === id) ?? -1;
    if (moved && moved !== id && position >= 0) void app.prompts.changeObject(moved, { position });
  });
}

function tool(key: string, name: IconName, label: string, act: () => unknown, on = false): HTMLElement {
  return h('button', {
    class: `plain tool${on ? ' on' : ''}`, 'data-key': key, 'aria-label': label, title: label, onclick: act,
  }, icon(name));
}

/** Puts a field in the place of the name; Enter keeps it, Escape does not. */
function rename(app: App, object: ObjectInfo, line: HTMLElement): void {
  const field = h('input', {
    class: 'name', value: object.name, maxlength: 120, 'aria-label': words.newName(object.name),
    'data-key': `select-${object.id}`,
  });
  let over = false;
  const finish = (keep: boolean) => {
    if (over) return;
    over = true;
    const name = field.value.trim();
    if (keep && name && name !== object.name) void app.prompts.changeObject(object.id, { name });
    else field.replaceWith(old);
  };
  field.addEventListener('keydown', (event) => {
    event.stopPropagation();
    if (event.key === 'Enter') finish(true);
    if (event.key === 'Escape') finish(false);
  });
  field.addEventListener('blur', () => finish(true));
  const old = line.querySelector('.name') as HTMLElement;
  old.replaceWith(field);
  field.select();
}

// The work list: in the header the scan in hand, in the dialog all of them.

import type { App } from '../app.ts';
import type { ScanInfo, ScanState } from '../api/types.ts';
import { h, refill } from '../dom.ts';
import { icon } from '../icons.ts';
import { STATE_NAMES } from '../session/work-list.ts';
import { texts } from '../strings.ts';

const words = texts.workList;
const STATES = Object.keys(STATE_NAMES) as ScanState[];

/** Previous and next scan, and what is left to do with this one. */
export function workListControls(app: App): HTMLElement {
  const arrow = (by: -1 | 1, label: string, key: string) =>
    h('button', { class: 'plain tool', 'aria-label': label, title: words.withKey(label, key), onclick: () => app.workList.step(by) },
      icon(by > 0 ? 'next' : 'previous'));
  const [previous, next] = [arrow(-1, words.previous, 'K'), arrow(1, words.next, 'J')];
  const state = stateChoice(words.state, (chosen) => {
    const { scan } = app.store.state;
    if (scan) void app.workList.setState(scan.id, chosen);
  });
  state.id = 'scan-state';
  const place = h('span', { class: 'place-in-list' });
  const group = h('div', { class: 'work-list', role: 'group', 'aria-label': words.group }, previous, place, next, state);
  app.store.watch(['scan', 'scans'], ({ scan, scans }) => {
    group.hidden = !scan;
    previous.disabled = !app.workList.neighbour(-1);
    next.disabled = !app.workList.neighbour(1);
    place.textContent = `${scans.findIndex(({ id }) => id === scan?.id) + 1}/${scans.length}`;
    show(state, scan?.state ?? 'open');
  });
  return group;
}

/** All scans, newest first; `leave` is called before one is opened. */
export function workListRows(app: App, leave: () => void): HTMLElement {
  const list = h('div', { class: 'known' });
  app.store.watch(['scans', 'scan'], ({ scans }) => {
    const counts = STATES.map((state) => words.count(scans.filter((scan) => scan.state === state).length, STATE_NAMES[state]));
    refill(list, scans.length > 0 && h('h3', {}, words.counts(counts)), ...[...scans].reverse().map((scan) => row(app, scan, leave)));
  });
  return list;
}

function row(app: App, scan: ScanInfo, leave: () => void): HTMLElement {
  const here = scan.id === app.store.state.scan?.id;
  const open = () => {
    leave();
    if (!here) void app.opening.scan(scan);
  };
  const state = stateChoice(words.stateOf(scan.name), (chosen) => void app.workList.setState(scan.id, chosen));
  show(state, scan.state);
  return h('div', { class: `known-scan${here ? ' here' : ''}`, 'data-scan': scan.name },
    h('button', { class: 'plain name', 'data-key': scan.id, onclick: open },
      h('b', {}, scan.name), h('small', {}, `${scan.shape.join(' × ')} · ${new Date(scan.created).toLocaleString()}`)),
    state,
    h('button', {
      class: 'plain tool', 'aria-label': words.remove(scan.name), disabled: here,
      title: here ? words.isOpen : words.removeTitle, onclick: () => app.workList.remove(scan.id),
    }, icon('remove')));
}

function stateChoice(label: string, choose: (state: ScanState) => void): HTMLSelectElement {
  const choice = h('select', { class: 'scan-state', 'aria-label': label, title: label, onchange: () => choose(choice.value as ScanState) },
    ...STATES.map((state) => h('option', { value: state }, STATE_NAMES[state])));
  return choice;
}

function show(choice: HTMLSelectElement, state: ScanState): void {
  choice.value = state;
  choice.dataset['state'] = state;
}

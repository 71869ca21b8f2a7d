// Everything that was done, as a list: a press goes back to a step, or forth again.

import { api } from '../api/client.ts';
import type { App } from '../app.ts';
import { h, refill } from '../dom.ts';
import { describeStep, sortSteps } from '../session/steps.ts';
import { texts } from '../strings.ts';

const words = texts.history;

export interface HistoryList {
  element: HTMLElement;
  /** Asked for while it is shown only. */
  setShown: (shown: boolean) => void;
}

export function historyList(app: App): HistoryList {
  const list = h('div', { class: 'scroll steps', role: 'list', 'aria-label': texts.results.history });
  let shown = false;
  const update = async () => {
    const { session } = app.store.state;
    if (!shown || !session) return;
    try {
      const { events } = await api.history(session.id);
      if (app.store.state.session?.id === session.id) refill(list, ...rows(app, sortSteps(events)));
    } catch (error) {
      app.notices.error(error);
    }
  };
  app.store.watch(['session'], () => void update());
  return {
    element: list,
    setShown(now) {
      shown = now;
      void update();
    },
  };
}

function rows(app: App, { past, future }: ReturnType<typeof sortSteps>): HTMLElement[] {
  const steps = [null, ...past, ...future];
  const now = past.length;
  const lines = steps.map((step, index) => {
    const { what, which } = step ? describeStep(step) : { what: words.beginning, which: '' };
    const time = step ? new Date(step.time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) : '';
    return h('div', { role: 'listitem' }, h('button', {
      class: `class${index > now ? ' undone' : ''}`, 'data-step': index, 'data-key': `step-${index}`,
      'aria-current': index === now ? 'step' : null,
      title: index === now ? words.now : index < now ? words.back : words.forth,
      onclick: () => app.prompts.travel(index - now),
    }, h('b', {}, what), h('span', { class: 'name' }, which), h('span', { class: 'count' }, time)));
  });
  return lines.reverse();
}

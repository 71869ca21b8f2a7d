// What the page tells the user in passing. Errors stay until they are closed; the rest goes by itself.

import { h } from './dom.ts';
import { icon } from './icons.ts';
import { texts } from './strings.ts';

const SECONDS = 6;
const MOST = 4;

type Kind = 'error' | 'warning' | 'info';

export class Notices {
  readonly element = h('div', { class: 'notices', role: 'region', 'aria-label': texts.page.messages });

  error(problem: unknown): void {
    console.error(problem);
    this.show('error', problem instanceof Error ? problem.message : String(problem));
  }

  warn(text: string): void {
    this.show('warning', text);
  }

  info(text: string): void {
    this.show('info', text);
  }

  clear(): void {
    this.element.replaceChildren();
  }

  private show(kind: Kind, text: string): void {
    const close = h('button', { class: 'plain', 'aria-label': texts.page.closeMessage }, icon('close'));
    const notice = h('div', { class: `notice ${kind}`, role: kind === 'error' ? 'alert' : 'status' }, h('p', {}, text), close);
    close.addEventListener('click', () => notice.remove());
    const same = [...this.element.children].find((other) => other.textContent === text);
    same?.remove();
    this.element.append(notice);
    while (this.element.children.length > MOST) this.element.firstElementChild?.remove();
    if (kind !== 'error') setTimeout(() => notice.remove(), SECONDS * 1000);
  }
}

// Borders of panels: pulled by pointer or keys they change its size, and they close and open it. Kept in this browser.

import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import { texts } from '../strings.ts';

const [KEPT, KEPT_CLOSED] = ['openvista-panels', 'openvista-closed-panels'];
const STEP_PX = 16;
const words = texts.panels;

export type PanelName = 'classes' | 'side' | 'objects';

interface Border {
  /** Whether it stands between left and right. */
  upright: boolean;
  /** Pulled to less than half of it, the panel closes. */
  least: number;
  /** Pulled towards the right or the foot, the panel grows (1) or shrinks (−1). */
  sign: 1 | -1;
}

const BORDERS: Record<PanelName, Border> = {
  classes: { upright: true, least: 140, sign: 1 },
  side: { upright: true, least: 240, sign: -1 },
  objects: { upright: false, least: 80, sign: 1 },
};

/** The border of the panel that has its name as id. */
class Splitter {
  readonly element: HTMLElement;
  private readonly name: PanelName;
  private readonly border: Border;
  private readonly pulled: HTMLElement;
  private readonly button: HTMLButtonElement;
  private readonly sizes: Record<string, number>;
  private readonly closed: Set<string>;

  constructor(name: PanelName, sizes: Record<string, number>, closed: Set<string>) {
    this.name = name;
    this.border = BORDERS[name];
    this.sizes = sizes;
    this.closed = closed;
    const [size, panel, title] = words[name];
    this.pulled = h('div', {
      class: `splitter ${name}`, role: 'separator', tabindex: 0, 'aria-label': size, title: words.title,
      'aria-orientation': this.border.upright ? 'vertical' : 'horizontal',
    });
    this.button = h('button', {
      class: 'fold', 'aria-label': panel, title, 'aria-controls': name, onclick: () => this.turn(),
    }, icon('next'));
    this.element = h('div', { class: `border ${name}` }, this.pulled, this.button);
    this.pulled.addEventListener('pointerdown', (event) => this.pull(event));
    this.pulled.addEventListener('keydown', (event) => this.key(event));
    this.pulled.addEventListener('dblclick', () => this.turn());
    this.apply();
  }

  /** Closes the panel, or opens it. */
  turn(open = this.closed.has(this.name)): void {
    const focused = document.getElementById(this.name)?.contains(document.activeElement);
    if (open) this.closed.delete(this.name);
    else this.closed.add(this.name);
    this.apply();
    this.keep();
    if (focused && !open) this.button.focus();
  }

  private pull(event: PointerEvent): void {
    const { least, sign, upright } = this.border;
    const along = (at: PointerEvent) => (upright ? at.clientX : at.clientY);
    const [from, { size }] = [along(event), this.measure()];
    const move = (moved: PointerEvent) => {
      const wanted = size + (along(moved) - from) * sign;
      if (wanted >= least / 2) this.set(wanted);
      else if (!this.closed.has(this.name)) this.turn(false);
    };
    this.pulled.setPointerCapture(event.pointerId);
    this.pulled.addEventListener('pointermove', move);
    this.pulled.addEventListener('lostpointercapture', () => {
      this.pulled.removeEventListener('pointermove', move);
      this.keep();
    }, { once: true });
  }

  private key(event: KeyboardEvent): void {
    const { upright, least, sign } = this.border;
    const { size, most } = this.measure();
    const steps: Record<string, number> = upright ? { ArrowLeft: -1, ArrowRight: 1 } : { ArrowUp: -1, ArrowDown: 1 };
    const step = (steps[event.key] ?? 0) * sign * STEP_PX;
    if (step > 0 || (step && size)) this.set(size + step);
    else if (event.key === 'Home') this.set(least);
    else if (event.key === 'End') this.set(most);
    else if (event.key === 'Delete') this.set(null);
    else if (event.key === 'Enter') this.turn();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.keep();
  }

  /** Opens it, too; null: as large as it was at first. */
  private set(size: number | null): void {
    this.closed.delete(this.name);
    if (size === null) delete this.sizes[this.name];
    else this.sizes[this.name] = Math.round(Math.max(this.border.least, Math.min(this.measure().most, size)));
    this.apply();
  }

  private apply(): void {
    const [open, size] = [!this.closed.has(this.name), this.sizes[this.name]];
    const { style, dataset } = document.body;
    dataset['closed'] = [...this.closed].join(' ');
    if (open && size === undefined) style.removeProperty(`--${this.name}-size`);
    else style.setProperty(`--${this.name}-size`, `${open ? size : 0}px`);
    this.button.setAttribute('aria-expanded', String(open));
    this.pulled.setAttribute('aria-valuenow', String(Math.round(this.measure().size || (open && size) || 0)));
  }

  private keep(): void {
    localStorage.setItem(KEPT, JSON.stringify(this.sizes));
    localStorage.setItem(KEPT_CLOSED, JSON.stringify([...this.closed]));
  }

  /** The panel's size now, and how much of the page it may take. */
  private measure(): { size: number; most: number } {
    const { width = 0, height = 0 } = document.getElementById(this.name)?.getBoundingClientRect() ?? {};
    return this.border.upright ? { size: width, most: innerWidth * 0.4 } : { size: height, most: innerHeight * 0.7 };
  }
}

export function splitters(): Record<PanelName, Splitter> {
  const sizes = JSON.parse(localStorage.getItem(KEPT) ?? '{}') as Record<string, number>;
  const closed = new Set(JSON.parse(localStorage.getItem(KEPT_CLOSED) ?? '[]') as string[]);
  const make = (name: PanelName) => new Splitter(name, sizes, closed);
  return { classes: make('classes'), side: make('side'), objects: make('objects') };
}

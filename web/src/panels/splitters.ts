// Borders of panels that can be pulled, by pointer or by keys. Sizes are kept in this browser.

import { h } from '../dom.ts';
import { texts } from '../strings.ts';

const KEPT = 'openvista-panels';
const STEP_PX = 16;
const words = texts.panels;

type Name = 'classes' | 'side' | 'objects';

interface Border {
  label: string;
  /** Whether it stands between left and right. */
  upright: boolean;
  least: number;
  /** The panel's size, and the most that it may have. */
  measure: () => { size: number; most: number };
  /** Pulled towards the right or the foot, the panel grows (1) or shrinks (−1). */
  sign: 1 | -1;
}

const BORDERS: Record<Name, Border> = {
  classes: { label: words.classes, upright: true, least: 140, sign: 1, measure: () => sizeOf('.panel.classes', 'width') },
  side: { label: words.side, upright: true, least: 240, sign: -1, measure: () => sizeOf('aside', 'width') },
  objects: { label: words.objects, upright: false, least: 80, sign: 1, measure: () => sizeOf('.panel.objects', 'height') },
};

export function splitters(): Record<Name, HTMLElement> {
  const kept = JSON.parse(localStorage.getItem(KEPT) ?? '{}') as Record<string, number>;
  const keep = () => localStorage.setItem(KEPT, JSON.stringify(kept));
  const make = (name: Name) => {
    const border = BORDERS[name];
    const element = h('div', {
      class: `splitter ${name}`, role: 'separator', tabindex: 0, 'aria-label': border.label, title: words.title,
      'aria-orientation': border.upright ? 'vertical' : 'horizontal', 'aria-valuenow': kept[name] ?? 0,
    });
    const set = (size: number | null) => {
      const { most } = border.measure();
      if (size === null) delete kept[name];
      else kept[name] = Math.round(Math.max(border.least, Math.min(most, size)));
      apply(name, kept[name]);
      element.setAttribute('aria-valuenow', String(Math.round(border.measure().size)));
    };
    apply(name, kept[name]);
    listen(element, border, set, keep);
    return element;
  };
  return { classes: make('classes'), side: make('side'), objects: make('objects') };
}

function listen(element: HTMLElement, border: Border, set: (size: number | null) => void, keep: () => void): void {
  const along = (event: PointerEvent) => (border.upright ? event.clientX : event.clientY);
  element.addEventListener('pointerdown', (event) => {
    const [from, { size }] = [along(event), border.measure()];
    element.setPointerCapture(event.pointerId);
    const move = (moved: PointerEvent) => set(size + (along(moved) - from) * border.sign);
    element.addEventListener('pointermove', move);
    element.addEventListener('lostpointercapture', () => {
      element.removeEventListener('pointermove', move);
      keep();
    }, { once: true });
  });
  element.addEventListener('keydown', (event) => {
    const { size, most } = border.measure();
    const steps: Record<string, number> = border.upright ? { ArrowLeft: -1, ArrowRight: 1 } : { ArrowUp: -1, ArrowDown: 1 };
    const step = steps[event.key];
    if (step) set(size + step * border.sign * STEP_PX);
    else if (event.key === 'Home') set(border.least);
    else if (event.key === 'End') set(most);
    else if (event.key === 'Enter') set(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
    keep();
  });
  element.addEventListener('dblclick', () => {
    set(null);
    keep();
  });
}

function apply(name: string, size: number | undefined): void {
  if (size === undefined) document.body.style.removeProperty(`--${name}-size`);
  else document.body.style.setProperty(`--${name}-size`, `${size}px`);
}

/** Of a panel now, and how much of the page it may take. */
function sizeOf(selector: string, side: 'width' | 'height'): { size: number; most: number } {
  const size = document.querySelector(selector)?.getBoundingClientRect()[side] ?? 0;
  return { size, most: (side === 'width' ? innerWidth : innerHeight) * (side === 'width' ? 0.4 : 0.7) };
}

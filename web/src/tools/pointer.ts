// The mouse, or a finger, on the picture. Left, or one finger: the tool. Right: the tool's opposite, or window and level
// when dragged. Middle: shift. Two fingers: touch.ts.

import type { Vec3 } from '../api/types.ts';
import { inWords } from '../session/measurements.ts';
import type { Store, ToolName } from '../session/state.ts';
import { markObject } from '../view/marks.ts';
import { drawMeasurement } from '../view/measured-marks.ts';
import { turned } from '../view/oblique.ts';
import { obliqueMarks } from '../view/oblique-marks.ts';
import type { Plane } from '../view/planes.ts';
import { scaleBars } from '../view/scale-bar.ts';
import { slabMarks } from '../view/thick-slab.ts';
import type { View } from '../view/view.ts';
import type { At, Tool } from './tool.ts';
import { Fingers } from './touch.ts';

/** CSS pixels beyond which a press is a drag: a mouse's, and a finger's, which is never still. */
const [SLACK, SLACK_OF_FINGER] = [4, 8];
const HU_PER_PIXEL = 3;
const DEGREES_PER_PIXEL = 0.5;
const ZOOM_STEP = 1.15;
/** What a wheel says at a notch, at least; a touchpad says less at a time, which adds up to slices. */
const NOTCH = 50;
/** What a notch is in `wheelDelta`, which browsers on busy machines add up. */
const NOTCH_OF_WHEEL = 120;
const MANY_SLICES = 5;

/** Tools whose opposite the right button is; with the others it is the window's. */
const AGAINST: ToolName[] = ['click', 'scribble', 'lasso', 'brush'];
/** Tools that the right button draws with, too. */
const DRAWING: ToolName[] = ['scribble', 'lasso', 'brush'];

type Gesture = 'tool' | 'window' | 'shift' | 'rotate';

interface Press {
  gesture: Gesture;
  plane: Plane | 'render';
  pointer: number;
  button: number;
  byFinger: boolean;
  /** What the tool has not heard of yet. */
  start: At | null;
  crosshair: Vec3;
  x: number;
  y: number;
  lastX: number;
  lastY: number;
  moved: boolean;
  negative: boolean;
}

export class Pointer {
  /** What lies below everything that is drawn here. */
  backdrop: { shapes: () => SVGElement[] } | null = null;
  /** The plane that the pointer is on, for the keys that turn slices. */
  plane: Plane = 'axial';
  private readonly layer: SVGSVGElement;
  private readonly view: View;
  private readonly store: Store;
  private readonly tools: Record<ToolName, Tool>;
  private readonly fingers: Fingers;
  private press: Press | null = null;
  private rolled = 0;

  constructor(layer: SVGSVGElement, view: View, store: Store, tools: Record<ToolName, Tool>) {
    this.layer = layer;
    this.view = view;
    this.store = store;
    this.tools = tools;
    this.fingers = new Fingers(view);
    layer.addEventListener('pointerdown', (event) => this.down(event));
    layer.addEventListener('pointermove', (event) => this.move(event));
    layer.addEventListener('pointerup', (event) => this.up(event));
    layer.addEventListener('pointercancel', (event) => this.cancel(event));
    layer.addEventListener('contextmenu', (event) => event.preventDefault());
    layer.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    view.onDraw = () => this.draw();
    store.watch(['active', 'session', 'measurements', 'comparison'], () => this.draw());
    store.watch(['tool'], () => {
      for (const tool of Object.values(tools)) tool.cancel();
    });
  }

  get tool(): Tool {
    return this.tools[this.store.state.tool];
  }

  /** Ends what is being drawn. */
  stop(): void {
    this.press = null;
    this.tool.cancel();
  }

  private down(event: PointerEvent): void {
    const [x, y] = this.position(event);
    const byFinger = event.pointerType === 'touch';
    if (byFinger) this.finger(event, x, y);
    else if (this.press?.byFinger) this.drop(); // a pen beside the hand that rests
    const hit = this.view.hit(x, y);
    if (!hit || this.press || (byFinger && this.fingers.busy)) return;
    event.preventDefault();
    this.layer.focus();
    this.layer.setPointerCapture(event.pointerId);
    const negative = event.shiftKey || event.button === 2 || this.store.state.negative;
    const gesture = this.gestureOf(event, hit.plane);
    const start = gesture === 'tool' && hit.plane !== 'render' ? { ...hit, x, y, negative, byFinger } : null;
    this.press = {
      gesture, plane: hit.plane, pointer: event.pointerId, button: event.button, byFinger, start,
      crosshair: this.view.crosshair, x, y, lastX: x, lastY: y, moved: false, negative,
    };
    if (!byFinger) this.begin(this.press);
  }

  private finger(event: PointerEvent, x: number, y: number): void {
    if (this.press && !this.press.byFinger) return; // a hand beside the pen
    this.fingers.down(event.pointerId, [x, y]);
    if (!this.fingers.busy) return;
    this.layer.setPointerCapture(event.pointerId);
    this.drop(); // two fingers are no stroke
  }

  /** What is pressed was not meant: nothing comes of it. */
  private drop(): void {
    const { press, tool } = this;
    this.press = null;
    if (press?.gesture !== 'tool' || press.start) return;
    if (tool.drop) tool.drop();
    else tool.cancel();
    this.view.moveTo(press.crosshair);
  }

  /** The tool hears of a finger once it has moved or is lifted: another one may follow. */
  private begin(press: Press): void {
    if (!press.start) return;
    this.plane = press.start.plane;
    this.tool.press(press.start);
    press.start = null;
  }

  private move(event: PointerEvent): void {
    const [x, y] = this.position(event);
    const { press } = this;
    if (event.pointerType === 'touch') this.fingers.move(event.pointerId, [x, y]);
    if (!press) {
      if (this.fingers.busy) return;
      const hit = this.view.hit(x, y);
      if (hit && hit.plane !== 'render') {
        this.plane = hit.plane;
        this.tool.hover?.({ plane: hit.plane, display: hit.display, x, y, negative: event.shiftKey, byFinger: false });
      }
      return;
    }
    if (event.pointerId !== press.pointer) return;
    press.moved ||= Math.hypot(x - press.x, y - press.y) > (press.byFinger ? SLACK_OF_FINGER : SLACK);
    if (!press.moved) return;
    this.begin(press);
    // a right press is the tool's opposite until it moves
    if (press.gesture === 'tool' && press.button === 2 && !DRAWING.includes(this.store.state.tool)) press.gesture = 'window';
    this.follow(press, x, y);
    press.lastX = x;
    press.lastY = y;
  }

  private follow(press: Press, x: number, y: number): void {
    const [dx, dy] = [x - press.lastX, y - press.lastY];
    const { gesture, plane } = press;
    if (gesture === 'rotate') this.rotate(dx, dy);
    else if (gesture === 'window') this.turnWindow(dx, dy);
    else if (plane === 'render') return;
    else if (gesture === 'shift') this.view.pan(plane, dx, dy);
    else {
      const at = this.at(press, plane, x, y);
      if (at) this.tool.drag(at);
    }
  }

  private rotate(dx: number, dy: number): void {
    const { layout, oblique } = this.store.state;
    if (layout === 'oblique') this.store.set({ oblique: turned(oblique, { turn: dx * DEGREES_PER_PIXEL, tilt: -dy * DEGREES_PER_PIXEL }) });
    else this.view.rotate(dx, dy);
  }

  private up(event: PointerEvent): void {
    const { press } = this;
    this.fingers.up(event.pointerId);
    if (!press || event.pointerId !== press.pointer || event.button !== press.button) return;
    this.press = null;
    if (press.gesture !== 'tool' || press.plane === 'render') return;
    this.begin(press);
    const [x, y] = this.position(event);
    const at = this.at(press, press.plane, x, y);
    if (at) this.tool.release(at, press.moved);
    if (press.byFinger) this.tool.leave?.();
  }

  private cancel(event: PointerEvent): void {
    this.fingers.up(event.pointerId);
    if (event.pointerId === this.press?.pointer) this.drop();
  }

  private gestureOf(event: PointerEvent, plane: Plane | 'render'): Gesture {
    if (plane === 'render') return event.button === 0 ? 'rotate' : 'window';
    if (event.button === 1 || (event.button === 0 && (event.ctrlKey || event.metaKey))) return 'shift';
    if (event.button === 2 && !AGAINST.includes(this.store.state.tool)) return 'window';
    return 'tool';
  }

  private at(press: Press, plane: Plane, x: number, y: number): At | null {
    const display = this.view.project(plane, x, y);
    return display && { plane, display, x, y, negative: press.negative, byFinger: press.byFinger };
  }

  private turnWindow(dx: number, dy: number): void {
    const { low, high } = this.store.state.window;
    const width = Math.max(2, high - low + dx * HU_PER_PIXEL);
    const level = (low + high) / 2 - dy * HU_PER_PIXEL;
    this.store.set({ window: { low: level - width / 2, high: level + width / 2 } });
  }

  private wheel(event: WheelEvent): void {
    const [x, y] = this.position(event);
    const hit = this.view.hit(x, y);
    const delta = event.deltaY || event.deltaX; // with Shift some browsers turn it sideways
    if (!hit || delta === 0) return;
    event.preventDefault();
    const factor = delta < 0 ? ZOOM_STEP : 1 / ZOOM_STEP;
    const oblique = hit.plane === 'render' && this.store.state.layout === 'oblique';
    if (hit.plane === 'render' && !oblique) this.view.zoom3D(factor);
    else if (event.ctrlKey || event.metaKey) this.view.zoom(factor);
    else if (hit.plane === 'render') this.view.oblique.step(this.notches(event, delta) * (event.shiftKey ? MANY_SLICES : 1));
    else this.view.step(hit.plane, this.notches(event, delta) * (event.shiftKey ? MANY_SLICES : 1));
  }

  /** One slice for a notch of a wheel, also of several that came as one event; up is towards the head, the front, the left. */
  private notches(event: WheelEvent, delta: number): number {
    if (event.deltaMode !== WheelEvent.DOM_DELTA_PIXEL || Math.abs(delta) >= NOTCH) {
      this.rolled = 0;
      const notches = Math.abs((event as { wheelDelta?: number }).wheelDelta ?? 0) / NOTCH_OF_WHEEL;
      return -Math.sign(delta) * (Number.isInteger(notches) ? Math.max(1, notches) : 1);
    }
    this.rolled += delta;
    const slices = Math.trunc(this.rolled / NOTCH);
    this.rolled -= slices * NOTCH;
    return slices ? -slices : 0;
  }

  private position(event: MouseEvent): [number, number] {
    const frame = this.layer.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  private draw(): void {
    const { session, active, scan, measurements, oblique } = this.store.state;
    const object = scan ? session?.objects.find(({ id }) => id === active) : undefined;
    this.layer.replaceChildren(
      ...(scan ? (this.backdrop?.shapes() ?? []) : []),
      ...(this.view.axes ? scaleBars(this.view) : []),
      ...slabMarks(this.view),
      ...measurements.flatMap(({ drawn, measured }) => drawMeasurement(this.view, drawn, inWords(measured))),
      ...(object ? markObject(this.view, object) : []),
      ...obliqueMarks(this.view, oblique, object),
      ...this.tool.shapes(),
    );
  }
}

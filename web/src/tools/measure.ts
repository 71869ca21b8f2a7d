// A ruler and an ellipse are dragged; an angle takes three clicks, or a drag and a click.

import type { Measurement, Vec3 } from '../api/types.ts';
import { lengthBetween, type Measurements } from '../session/measurements.ts';
import type { Store } from '../session/state.ts';
import { texts } from '../strings.ts';
import { drawMeasurement } from '../view/measured-marks.ts';
import { PLANES, type Plane } from '../view/planes.ts';
import type { View } from '../view/view.ts';
import type { At, Tool } from './tool.ts';

const POINTS = { ruler: 2, angle: 3, ellipse: 2 };

export class MeasureTool implements Tool {
  private readonly kind: Measurement['kind'];
  private readonly view: View;
  private readonly store: Store;
  private readonly measurements: Measurements;
  private plane: Plane | null = null;
  private slice = 0;
  /** Display voxels; the last one follows the pointer. */
  private points: Vec3[] = [];

  constructor(kind: Measurement['kind'], view: View, store: Store, measurements: Measurements) {
    this.kind = kind;
    this.view = view;
    this.store = store;
    this.measurements = measurements;
  }

  press(at: At): void {
    if (this.plane !== at.plane) this.begin(at);
  }

  drag(at: At): void {
    this.follow(at);
  }

  release(at: At, moved: boolean): void {
    this.follow(at);
    if (!moved && this.kind !== 'angle') {
      this.cancel();
      return;
    }
    // a click that began an angle has set its first point only
    if (!moved && this.points.length === 2 && this.fresh) this.fresh = false;
    else if (this.points.length < POINTS[this.kind]) this.points.push(this.onSlice(at));
    else this.finish();
    this.view.onDraw();
  }

  hover(at: At): void {
    if (this.points.length) this.follow(at);
  }

  cancel(): void {
    this.plane = null;
    this.points = [];
    this.view.onDraw();
  }

  shapes(): SVGElement[] {
    const drawn = this.drawn();
    const { scan } = this.store.state;
    if (!drawn || !scan || this.points.length < 2) return [];
    const [from, to] = drawn.points as [Vec3, Vec3];
    const words = this.kind === 'ruler' ? [texts.measurements.mm(lengthBetween(scan, from, to).toFixed(1))] : [];
    return drawMeasurement(this.view, drawn, words, 'waiting');
  }

  private fresh = false;

  private begin(at: At): void {
    this.plane = at.plane;
    this.slice = Math.round(at.display[PLANES[at.plane].normal]);
    this.points = [this.onSlice(at), this.onSlice(at)];
    this.fresh = true;
  }

  private follow(at: At): void {
    if (at.plane !== this.plane || !this.points.length) return;
    this.points[this.points.length - 1] = this.onSlice(at);
    this.view.onDraw();
  }

  private finish(): void {
    const drawn = this.drawn();
    this.cancel();
    if (drawn) void this.measurements.add(drawn);
  }

  private drawn(): Measurement | null {
    const { axes } = this.view;
    if (!axes || !this.plane) return null;
    const points = this.points.map((point) => axes.toFile(point));
    const axis = axes.fileAxis(PLANES[this.plane].normal);
    return this.kind === 'ellipse'
      ? { kind: 'ellipse', name: '', axis, points }
      : { kind: this.kind, name: '', points };
  }

  private onSlice(at: At): Vec3 {
    const { normal } = PLANES[at.plane];
    return at.display.map((value, axis) => (axis === normal ? this.slice : Math.round(value * 100) / 100)) as Vec3;
  }
}

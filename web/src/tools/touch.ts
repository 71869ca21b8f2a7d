// Fingers on the picture. One is the tool's, as the mouse is; two zoom and shift the picture, whatever the tool.

import { PLANE_NAMES, type Plane } from '../view/planes.ts';
import type { View } from '../view/view.ts';

type Point = [number, number];

/** What two fingers are over. */
interface Pinch {
  plane: Plane | 'render';
  middle: Point;
  apart: number;
}

/** CSS pixels; closer fingers count as this far apart. */
const LEAST_APART = 10;

/** Whether the page is worked on by fingers first: a tablet. */
export const fingersFirst = matchMedia('(pointer: coarse)').matches;

export class Fingers {
  /** Two have been down since the picture was touched: what is left of them draws nothing. */
  busy = false;
  private readonly view: View;
  /** In the order they came. */
  private readonly places = new Map<number, Point>();
  private pinch: Pinch | null = null;

  constructor(view: View) {
    this.view = view;
  }

  down(finger: number, place: Point): void {
    this.places.set(finger, place);
    this.busy ||= this.places.size > 1;
    this.pinch = this.measure();
  }

  move(finger: number, place: Point): void {
    if (!this.places.has(finger)) return;
    this.places.set(finger, place);
    const [before, now] = [this.pinch, this.measure()];
    this.pinch = now && before ? { ...now, plane: before.plane } : now;
    if (!before || !now) return;
    const factor = now.apart / before.apart;
    if (before.plane === 'render') {
      if (this.view.layout === 'oblique') this.view.zoom(factor);
      else this.view.zoom3D(factor);
      return;
    }
    this.view.pan(before.plane, now.middle[0] - before.middle[0], now.middle[1] - before.middle[1]);
    this.view.zoom(factor, this.view.project(before.plane, ...before.middle) ?? undefined);
  }

  up(finger: number): void {
    this.places.delete(finger);
    this.pinch = this.measure();
    this.busy &&= this.places.size > 0;
  }

  /** Of the first two; null where there are none. */
  private measure(): Pinch | null {
    const [one, two] = [...this.places.values()];
    if (!one || !two) return null;
    return {
      plane: this.planeAt(one),
      middle: [(one[0] + two[0]) / 2, (one[1] + two[1]) / 2],
      apart: Math.max(LEAST_APART, Math.hypot(two[0] - one[0], two[1] - one[1])),
    };
  }

  /** Also beside the CT, where no voxel is. */
  private planeAt([x, y]: Point): Plane | 'render' {
    const isThere = (plane: Plane) => {
      const [left, foot, right, top] = this.view.cornersOf(plane) ?? [0, 0, 0, 0];
      return x >= left && x < right && y >= top && y < foot;
    };
    return PLANE_NAMES.find(isThere) ?? 'render';
  }
}

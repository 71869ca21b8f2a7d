// A contour drawn by hand on one slice: the region itself, or a hint to the model.

import type { Vec3 } from '../api/types.ts';
import { svg } from '../dom.ts';
import type { Prompts } from '../session/prompts.ts';
import type { Store } from '../session/state.ts';
import { PLANES, type Plane } from '../view/planes.ts';
import type { View } from '../view/view.ts';
import type { At, Tool } from './tool.ts';

const LEAST_POINTS = 3;
const MOST_POINTS = 2000;
/** CSS pixels between two points of the contour. */
const STEP = 3;

export class LassoTool implements Tool {
  private readonly view: View;
  private readonly store: Store;
  private readonly prompts: Prompts;
  private points: Vec3[] = [];
  private plane: Plane | null = null;
  private negative = false;
  private last: [number, number] = [0, 0];

  constructor(view: View, store: Store, prompts: Prompts) {
    this.view = view;
    this.store = store;
    this.prompts = prompts;
  }

  press(at: At): void {
    this.points = [at.display];
    this.plane = at.plane;
    this.negative = at.negative;
    this.last = [at.x, at.y];
  }

  drag(at: At): void {
    if (at.plane !== this.plane || this.points.length >= MOST_POINTS) return;
    if (Math.hypot(at.x - this.last[0], at.y - this.last[1]) < STEP) return;
    this.last = [at.x, at.y];
    this.points.push(at.display);
    this.view.onDraw();
  }

  release(): void {
    const { axes } = this.view;
    const { plane, points, negative } = this;
    this.cancel();
    if (!axes || !plane || points.length < LEAST_POINTS) return;
    const axis = axes.fileAxis(PLANES[plane].normal);
    const others = [0, 1, 2].filter((other) => other !== axis) as [0 | 1 | 2, 0 | 1 | 2];
    const contour = points.map((point) => axes.toFile(point));
    const slice = Math.round((contour[0] as Vec3)[axis]);
    const flat = contour.map((voxel) => others.map((other) => round(voxel[other])) as [number, number]);
    if (this.store.state.lassoAsHint) void this.prompts.lasso(axis, slice, flat, !negative);
    else void this.prompts.edit({ kind: 'polygon', axis, slice, points: flat, add: !negative }, negative);
  }

  cancel(): void {
    this.points = [];
    this.plane = null;
    this.view.onDraw();
  }

  shapes(): SVGElement[] {
    const { plane } = this;
    if (!plane || this.points.length < 2) return [];
    const path = this.points.flatMap((point) => this.view.screen(plane, point) ?? []);
    return [svg('polygon', { points: path.join(' '), class: `contour ${this.negative ? 'negative' : 'positive'}` })];
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

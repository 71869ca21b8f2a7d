// A line drawn freely on one slice: what brush and scribble have in common.

import type { Vec3 } from '../api/types.ts';
import { svg } from '../dom.ts';
import type { Prompts } from '../session/prompts.ts';
import type { Store } from '../session/state.ts';
import { PLANES, type Plane } from '../view/planes.ts';
import type { View } from '../view/view.ts';
import type { At, Tool } from './tool.ts';

/** The server takes 4096. */
const MOST_POINTS = 4000;

export interface Stroke {
  plane: Plane;
  negative: boolean;
  /** Whole display voxels. */
  voxels: Vec3[];
}

export abstract class StrokeTool implements Tool {
  protected readonly view: View;
  protected readonly store: Store;
  protected readonly prompts: Prompts;
  protected pointer: At | null = null;
  private stroke: Stroke | null = null;
  /** Strokes that the server still works on. */
  private readonly sent = new Set<Stroke>();

  constructor(view: View, store: Store, prompts: Prompts) {
    this.view = view;
    this.store = store;
    this.prompts = prompts;
  }

  /** Sends a stroke that is complete; `points` are its voxels in the file's order. */
  protected abstract send(stroke: Stroke, points: Vec3[]): Promise<void>;
  /** Of the line, in CSS pixels. */
  protected abstract width(plane: Plane): number;
  protected abstract readonly look: string;

  press(at: At): void {
    this.stroke = { plane: at.plane, negative: at.negative, voxels: [at.display.map(Math.round) as Vec3] };
    this.hover(at);
  }

  drag(at: At): void {
    const { stroke } = this;
    const last = stroke?.voxels.at(-1);
    if (!stroke || !last || at.plane !== stroke.plane || stroke.voxels.length >= MOST_POINTS) return;
    const { normal } = PLANES[at.plane];
    const voxel = at.display.map((place, axis) => (axis === normal ? last[axis] : Math.round(place))) as Vec3;
    if (voxel.some((place, axis) => place !== last[axis])) stroke.voxels.push(voxel);
    this.hover(at);
  }

  release(): void {
    const { axes } = this.view;
    const { stroke } = this;
    this.stroke = null;
    if (!axes || !stroke) return;
    this.sent.add(stroke);
    const points = stroke.voxels.map((voxel) => axes.toFile(voxel));
    void this.send(stroke, points).finally(() => {
      this.sent.delete(stroke);
      this.view.onDraw();
    });
  }

  hover(at: At): void {
    this.pointer = at;
    this.view.onDraw();
  }

  leave(): void {
    this.pointer = null;
    this.view.onDraw();
  }

  cancel(): void {
    this.stroke = null;
    this.pointer = null;
    this.view.onDraw();
  }

  shapes(): SVGElement[] {
    const strokes = [...this.sent, ...(this.stroke ? [this.stroke] : [])];
    return strokes.flatMap((stroke) => this.path(stroke));
  }

  private path({ plane, negative, voxels }: Stroke): SVGElement[] {
    const width = this.width(plane);
    const points = voxels.flatMap((voxel) => this.view.screen(plane, voxel)?.join(' ') ?? []);
    if (!width || !points[0]) return [];
    const d = `M${points[0]}L${(points.length > 1 ? points : [points[0], points[0]]).join('L')}`;
    return [svg('path', { d, class: `${this.look} ${negative ? 'negative' : 'positive'}`, 'stroke-width': width })];
  }
}

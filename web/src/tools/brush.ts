// Paint or erase by hand: a disk on the slice, or a ball, of so many mm along a stroke.

import type { Vec3 } from '../api/types.ts';
import { svg } from '../dom.ts';
import type { Prompts } from '../session/prompts.ts';
import type { Store } from '../session/state.ts';
import { PLANES, type Plane } from '../view/planes.ts';
import type { View } from '../view/view.ts';
import type { At, Tool } from './tool.ts';

/** The server takes 4096. */
const MOST_POINTS = 4000;

interface Stroke {
  plane: Plane;
  negative: boolean;
  /** Whole display voxels. */
  voxels: Vec3[];
}

export class BrushTool implements Tool {
  private readonly view: View;
  private readonly store: Store;
  private readonly prompts: Prompts;
  private stroke: Stroke | null = null;
  /** Strokes that the server still works on. */
  private readonly sent = new Set<Stroke>();
  private pointer: At | null = null;

  constructor(view: View, store: Store, prompts: Prompts) {
    this.view = view;
    this.store = store;
    this.prompts = prompts;
  }

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
    const { brushMm, brushIn3D, brushHu } = this.store.state;
    this.sent.add(stroke);
    void this.prompts
      .edit(
        {
          kind: 'brush',
          points: stroke.voxels.map((voxel) => axes.toFile(voxel)),
          radius_mm: brushMm,
          axis: brushIn3D ? null : axes.fileAxis(PLANES[stroke.plane].normal),
          add: !stroke.negative,
          hu: brushHu,
        },
        stroke.negative,
      )
      .finally(() => {
        this.sent.delete(stroke);
        this.view.onDraw();
      });
  }

  hover(at: At): void {
    this.pointer = at;
    this.view.onDraw();
  }

  cancel(): void {
    this.stroke = null;
    this.pointer = null;
    this.view.onDraw();
  }

  shapes(): SVGElement[] {
    const strokes = [...this.sent, ...(this.stroke ? [this.stroke] : [])];
    return [...strokes.flatMap((stroke) => this.path(stroke)), ...this.outline()];
  }

  private path({ plane, negative, voxels }: Stroke): SVGElement[] {
    const radius = this.radius(plane);
    const points = voxels.flatMap((voxel) => this.view.screen(plane, voxel)?.join(' ') ?? []);
    if (!radius || !points[0]) return [];
    const d = `M${points[0]}L${(points.length > 1 ? points : [points[0], points[0]]).join('L')}`;
    return [svg('path', { d, class: `stroke ${negative ? 'negative' : 'positive'}`, 'stroke-width': 2 * radius })];
  }

  private outline(): SVGElement[] {
    if (!this.pointer) return [];
    const { plane, x, y, negative } = this.pointer;
    const sign = negative || this.store.state.negative ? 'negative' : 'positive';
    return [svg('circle', { cx: x, cy: y, r: this.radius(plane), class: `brush ${sign}` })];
  }

  /** Of the brush, in CSS pixels. */
  private radius(plane: Plane): number {
    const { scan, brushMm } = this.store.state;
    const { axes } = this.view;
    if (!scan || !axes) return 0;
    const { across } = PLANES[plane];
    return (brushMm / scan.spacing[axes.fileAxis(across)]) * this.view.pixelsPerVoxel(plane);
  }
}

// Paints and erases by hand: a disk on the slice, or a ball, of some mm.

import type { Vec3 } from '../api/types.ts';
import { svg } from '../dom.ts';
import { PLANES, type Plane } from '../view/planes.ts';
import { type Stroke, StrokeTool } from './stroke.ts';

export class BrushTool extends StrokeTool {
  protected readonly look = 'stroke';

  protected send({ plane, negative }: Stroke, points: Vec3[]): Promise<void> {
    const { brushMm, brushIn3D, brushHu } = this.store.state;
    const axis = brushIn3D ? null : (this.view.axes?.fileAxis(PLANES[plane].normal) ?? null);
    return this.prompts.edit({ kind: 'brush', points, radius_mm: brushMm, axis, add: !negative, hu: brushHu }, negative);
  }

  protected width(plane: Plane): number {
    return 2 * this.radius(plane);
  }

  override shapes(): SVGElement[] {
    return [...super.shapes(), ...this.outline()];
  }

  private outline(): SVGElement[] {
    if (!this.pointer) return [];
    const { plane, x, y, negative } = this.pointer;
    const sign = negative || this.store.state.negative ? 'negative' : 'positive';
    return [svg('circle', { cx: x, cy: y, r: this.radius(plane), class: `brush ${sign}` })];
  }

  /** Of the brush, in CSS pixels. */
  private radius(plane: Plane): number {
    return this.store.state.brushMm * this.view.pixelsPerMm(plane);
  }
}

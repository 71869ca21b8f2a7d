// A box around the object: drawn on one plane, its edges pulled on any plane, then used or thrown away.

import type { Box, Vec3 } from '../api/types.ts';
import { svg } from '../dom.ts';
import type { Prompts } from '../session/prompts.ts';
import type { Store } from '../session/state.ts';
import { PLANE_NAMES, PLANES, type Plane } from '../view/planes.ts';
import type { View } from '../view/view.ts';
import type { At, Tool } from './tool.ts';

type Axis = 0 | 1 | 2;
/** CSS pixels within which a mouse and a finger catch an edge. */
const [REACH, REACH_OF_FINGER] = [8, 22];

/** An edge of the box: end 0 or 1 of its interval along an axis. */
interface Edge {
  axis: Axis;
  end: 0 | 1;
}

export class BoxTool implements Tool {
  private readonly view: View;
  private readonly store: Store;
  private readonly prompts: Prompts;
  private box: Box | null = null;
  private corner: Vec3 | null = null;
  private edges: Edge[] = [];
  private negative = false;
  /** The box, and whether it takes away, before the last press. */
  private before: { box: Box | null; negative: boolean } = { box: null, negative: false };

  constructor(view: View, store: Store, prompts: Prompts) {
    this.view = view;
    this.store = store;
    this.prompts = prompts;
  }

  press(at: At): void {
    this.before = structuredClone({ box: this.box, negative: this.negative });
    this.edges = this.edgesNear(at);
    if (this.edges.length) return;
    this.corner = at.display;
    this.negative = at.negative;
    this.box = null;
  }

  drag(at: At): void {
    if (this.edges.length) for (const edge of this.edges) this.pull(edge, at.display[edge.axis]);
    else if (this.corner) this.box = this.between(this.corner, at.display, at.plane);
    this.view.onDraw();
  }

  release(_at: At, moved: boolean): void {
    if (!moved && !this.edges.length) this.box = null;
    this.corner = null;
    this.edges = [];
    this.store.set({ boxDrawn: this.box !== null });
    this.showMiddle();
  }

  confirm(): void {
    const { axes } = this.view;
    if (!this.box || !axes) return;
    const [box, positive] = [axes.boxToFile(this.box), !this.negative];
    this.cancel();
    void this.prompts.box(box, positive);
  }

  cancel(): void {
    this.before = { box: null, negative: false };
    this.drop();
  }

  drop(): void {
    Object.assign(this, this.before);
    this.corner = null;
    this.edges = [];
    this.store.set({ boxDrawn: this.box !== null });
    this.view.onDraw();
  }

  shapes(): SVGElement[] {
    return PLANE_NAMES.flatMap((plane) => {
      const corners = this.corners(plane);
      const place = this.view.placement(plane);
      if (!corners || !place) return [];
      const [x, y, width, height] = place.rectangle; // what lies beside its plane is not drawn
      const [[x0, y0], [x1, y1]] = corners;
      const rectangle = svg('rect', {
        x: Math.min(x0, x1) - x, y: Math.min(y0, y1) - y, width: Math.abs(x1 - x0), height: Math.abs(y1 - y0),
        class: `contour ${this.negative ? 'negative' : 'positive'}`,
      });
      return [svg('svg', { x, y, width, height }, rectangle)];
    });
  }

  /** Brings the box into sight on all planes. */
  private showMiddle(): void {
    const at = this.view.crosshair;
    const through = this.box?.every(([start, stop], axis) => (at[axis] ?? 0) >= start && (at[axis] ?? 0) <= stop - 1);
    if (!this.box || through) this.view.onDraw();
    else this.view.moveTo(this.box.map(([start, stop]) => Math.floor((start + stop - 1) / 2)) as Vec3);
  }

  /** The rectangle that the box cuts out of a plane, where the shown slice goes through it. */
  private corners(plane: Plane): [[number, number], [number, number]] | null {
    if (!this.box) return null;
    const { normal, across, up } = PLANES[plane];
    const slice = Math.round(this.view.crosshair[normal]);
    const [start, stop] = this.box[normal];
    if (slice < start || slice >= stop) return null;
    const [box, place] = [this.box, this.view.placement(plane)];
    if (!place) return null;
    const corner = (end: 0 | 1): [number, number] => [
      place.at[0] + (box[across][end] - 0.5) * place.scale[0],
      place.at[1] + (box[up][end] - 0.5) * place.scale[1],
    ];
    return [corner(0), corner(1)];
  }

  private edgesNear(at: At): Edge[] {
    const corners = this.corners(at.plane);
    if (!corners) return [];
    const { across, up } = PLANES[at.plane];
    const [low, high] = corners;
    const reach = at.byFinger ? REACH_OF_FINGER : REACH;
    const inside = (value: number, a: number, b: number) =>
      value >= Math.min(a, b) - reach && value <= Math.max(a, b) + reach;
    if (!inside(at.x, low[0], high[0]) || !inside(at.y, low[1], high[1])) return [];
    const edges: Edge[] = [];
    for (const end of [0, 1] as const) {
      const corner = end ? high : low;
      if (Math.abs(at.x - corner[0]) <= reach) edges.push({ axis: across, end });
      if (Math.abs(at.y - corner[1]) <= reach) edges.push({ axis: up, end });
    }
    return edges;
  }

  private pull({ axis, end }: Edge, to: number): void {
    if (!this.box) return;
    const [start, stop] = this.box[axis];
    const border = this.inside(axis, Math.round(to + 0.5));
    this.box[axis] = end ? [start, Math.max(start + 1, border)] : [Math.min(stop - 1, border), stop];
  }

  /** Two corners on a plane make a box; out of the plane it is as thick as it is wide on average, in mm. */
  private between(a: Vec3, b: Vec3, plane: Plane): Box {
    const { normal, across, up } = PLANES[plane];
    const box: Box = [[0, 0], [0, 0], [0, 0]];
    for (const axis of [across, up]) {
      const start = this.inside(axis, Math.round(Math.min(a[axis], b[axis])));
      box[axis] = [start, Math.max(start + 1, this.inside(axis, Math.round(Math.max(a[axis], b[axis])) + 1))];
    }
    const side = (axis: Axis) => (box[axis][1] - box[axis][0]) * this.spacing(axis);
    const half = Math.max(0.5, (side(across) + side(up)) / 4 / this.spacing(normal));
    const middle = Math.round(a[normal]);
    box[normal] = [
      this.inside(normal, Math.round(middle + 0.5 - half)),
      Math.max(middle + 1, this.inside(normal, Math.round(middle + 0.5 + half))),
    ];
    return box;
  }

  private inside(axis: Axis, border: number): number {
    return Math.min(Math.max(border, 0), this.view.axes?.displayShape[axis] ?? 0);
  }

  private spacing(axis: Axis): number {
    const fileAxis = this.view.axes?.fileAxis(axis) ?? axis;
    return this.store.state.scan?.spacing[fileAxis] ?? 1;
  }
}

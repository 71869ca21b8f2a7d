// Two label maps in the planes: the outlines of both, the second dashed, and the voxels in which they differ.

import { shownRows, type ShownComparison } from '../session/comparing.ts';
import type { Store } from '../session/state.ts';
import { svg } from '../dom.ts';
import type { LabelVolume } from './label-volume.ts';
import { PLANE_NAMES, PLANES, type Plane } from './planes.ts';
import type { View } from './view.ts';

/** Of a voxel: named by the first only, by the second only, by both in another way. */
const KINDS = ['first', 'second', 'otherwise'] as const;

/** Numbers of structures on one slice, [up][across] in one array; 0 is none of those that are compared. */
interface Slice {
  width: number;
  height: number;
  first: Uint8Array;
  second: Uint8Array;
}

interface Drawn {
  key: string;
  frame: SVGElement;
  inside: SVGElement;
}

export class DifferenceLayer {
  private readonly view: View;
  private readonly store: Store;
  /** A slice is cut once, however often it is drawn. */
  private readonly drawn = new Map<Plane, Drawn>();
  private of: ShownComparison | null = null;

  constructor(view: View, store: Store) {
    this.view = view;
    this.store = store;
  }

  shapes(): SVGElement[] {
    const { comparison, overlay, session } = this.store.state;
    const { labels } = this.view;
    if (comparison !== this.of) this.drawn.clear();
    this.of = comparison;
    if (!comparison || !overlay || !labels || !session) return [];
    return PLANE_NAMES.flatMap((plane) => this.inPlane(plane, comparison, labels, session.revision));
  }

  private inPlane(plane: Plane, comparison: ShownComparison, labels: LabelVolume, revision: number): SVGElement[] {
    const place = this.view.placement(plane);
    if (!place) return [];
    const slice = Math.round(this.view.crosshair[PLANES[plane].normal]);
    const key = `${slice} ${revision}`;
    let drawn = this.drawn.get(plane);
    if (drawn?.key !== key) {
      const inside = svg('g', {}, ...pathsOf(cut(plane, slice, comparison, labels)));
      drawn = { key, inside, frame: svg('svg', { class: 'difference' }, inside) };
      this.drawn.set(plane, drawn);
    }
    const [left, top, width, height] = place.rectangle;
    for (const [name, value] of Object.entries({ x: left, y: top, width, height })) drawn.frame.setAttribute(name, String(value));
    const [sx, sy] = place.scale;
    // corners of voxels are half a voxel before their middles
    const [x, y] = [place.at[0] - sx / 2 - left, place.at[1] - sy / 2 - top];
    drawn.inside.setAttribute('transform', `matrix(${sx} 0 0 ${sy} ${x} ${y})`);
    return [drawn.frame];
  }
}

function cut(plane: Plane, at: number, comparison: ShownComparison, labels: LabelVolume): Slice {
  const { normal, across, up } = PLANES[plane];
  const shape = labels.axes.displayShape;
  const steps = [1, shape[0], shape[0] * shape[1]] as const;
  const [width, height] = [shape[across], shape[up]];
  const [ofFirst, ofSecond] = [new Uint8Array(256), new Uint8Array(256)];
  shownRows(comparison).forEach(({ first_id, second_id }, index) => {
    if (first_id !== null) ofFirst[labels.slotOf(first_id)] = index + 1;
    if (second_id !== null) ofSecond[comparison.volume.slotOf(second_id)] = index + 1;
  });
  const slice: Slice = { width, height, first: new Uint8Array(width * height), second: new Uint8Array(width * height) };
  for (let row = 0, to = 0; row < height; row++) {
    let from = at * steps[normal] + row * steps[up];
    for (let column = 0; column < width; column++, to++, from += steps[across]) {
      slice.first[to] = ofFirst[labels.slots[from] as number] as number;
      slice.second[to] = ofSecond[comparison.volume.slots[from] as number] as number;
    }
  }
  return slice;
}

function pathsOf(slice: Slice): SVGElement[] {
  const differing = differences(slice).map((d, kind) => svg('path', { d, class: `only-${KINDS[kind]}` }));
  const outlines = (['first', 'second'] as const).map((which) => [outline(slice, which), which] as const);
  return [
    ...differing,
    ...outlines.map(([d]) => svg('path', { d, class: 'outline halo' })),
    ...outlines.map(([d, which]) => svg('path', { d, class: `outline ${which}` })),
  ];
}

/** For each kind of difference a path around its voxels, run by run. */
function differences({ width, height, first, second }: Slice): string[] {
  const paths = KINDS.map(() => '');
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; ) {
      const kind = kindOf(first, second, row * width + column);
      const start = column++;
      while (column < width && kindOf(first, second, row * width + column) === kind) column++;
      if (kind >= 0) paths[kind] += `M${start} ${row}h${column - start}v1H${start}z`;
    }
  }
  return paths;
}

function kindOf(first: Uint8Array, second: Uint8Array, at: number): number {
  if (first[at] === second[at]) return -1;
  return second[at] === 0 ? 0 : first[at] === 0 ? 1 : 2;
}

/** Along the edges of structures, as long as they run straight. */
function outline(slice: Slice, which: 'first' | 'second'): string {
  const { width, height, [which]: numbers } = slice;
  const at = (column: number, row: number) =>
    column < 0 || row < 0 || column >= width || row >= height ? 0 : (numbers[row * width + column] as number);
  let path = '';
  for (let row = 0; row <= height; row++) {
    for (let column = 0, start = -1; column <= width; column++) {
      const edge = column < width && at(column, row) !== at(column, row - 1);
      if (edge && start < 0) start = column;
      else if (!edge && start >= 0) {
        path += `M${start} ${row}H${column}`;
        start = -1;
      }
    }
  }
  for (let column = 0; column <= width; column++) {
    for (let row = 0, start = -1; row <= height; row++) {
      const edge = row < height && at(column, row) !== at(column - 1, row);
      if (edge && start < 0) start = row;
      else if (!edge && start >= 0) {
        path += `M${column} ${start}V${row}`;
        start = -1;
      }
    }
  }
  return path;
}

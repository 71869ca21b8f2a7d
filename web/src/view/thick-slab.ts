// Several slices seen as one: of the voxels behind each other the largest, the least or the mean. Of the CT only; labels
// are those of the slice in the middle.

import type { Vec3 } from '../api/types.ts';
import { svg } from '../dom.ts';
import type { State, ToolName } from '../session/state.ts';
import { texts } from '../strings.ts';
import { PLANE_NAMES, PLANES, type Plane } from './planes.ts';
import type { View } from './view.ts';

export const KINDS = ['max', 'min', 'mean'] as const;
export type Kind = (typeof KINDS)[number];

export interface ThickSlab {
  kind: Kind;
  /** From the first to the last slice; 0: the slice in the middle alone. */
  mm: number;
}

export const NO_SLAB: ThickSlab = { kind: 'max', mm: 0 };
/** Others draw on a slice or measure its HU, and it must be seen for that. */
const SEEN_WITH: ToolName[] = ['navigate', 'ruler', 'angle'];
/** mm, of numbers that are not exact. */
const SAME = 1e-3;
const [FROM_LEFT, FROM_TOP, UNDER_OBLIQUE_BAR] = [12, 20, 48];

/** What the planes show with the tool in hand. */
export function shownSlab({ slab, tool }: Readonly<State>): ThickSlab {
  return slab.mm && SEEN_WITH.includes(tool) ? slab : NO_SLAB;
}

/** Slices on each side of the middle one whose own middles lie within half the thickness. */
export function reachOf({ mm }: ThickSlab, spacing: number): number {
  return Math.floor((mm / 2 + SAME) / spacing);
}

/** In a corner of each plane: what is shown there, and how many slices of this CT it is. */
export function slabMarks(view: View): SVGElement[] {
  const { slab } = view;
  if (!slab.mm || !view.axes) return [];
  const tile = view.oblique.place();
  return [
    ...PLANE_NAMES.flatMap((plane) => {
      const [left, , , top] = view.cornersOf(plane) ?? [];
      return left === undefined || top === undefined ? [] : [mark(left, top + FROM_TOP, slab, slicesOf(view, plane))];
    }),
    ...(tile ? [mark(tile.left, tile.top + UNDER_OBLIQUE_BAR, slab)] : []),
  ];
}

function mark(left: number, y: number, { kind, mm }: ThickSlab, slices?: number): SVGElement {
  const text = svg('text', { class: 'slab-mark', x: left + FROM_LEFT, y });
  const name = texts.slab.choice(texts.slab.kinds[kind][0], mm);
  text.textContent = slices === undefined ? name : texts.slab.mark(name, slices);
  return text;
}

/** Fewer at the ends of the CT. */
function slicesOf({ axes, ct, crosshair, slab }: View, plane: Plane): number {
  const { normal } = PLANES[plane];
  const [middle, last] = [Math.round(crosshair[normal]), (axes?.displayShape[normal] ?? 1) - 1];
  const reach = reachOf(slab, (ct?.spacing ?? ([1, 1, 1] as Vec3))[normal]);
  return Math.min(last, middle + reach) - Math.max(0, middle - reach) + 1;
}

// A bar of so many mm in each plane, as long as the picture is zoomed.

import { svg } from '../dom.ts';
import { texts } from '../strings.ts';
import { PLANE_NAMES, type Plane } from './planes.ts';
import type { View } from './view.ts';

const LENGTHS_MM = [200, 100, 50, 20, 10, 5, 2, 1];
/** CSS pixels. */
const LONGEST = 110;
const [FROM_LEFT, FROM_FOOT, TICK] = [12, 34, 4];

export function scaleBars(view: View): SVGElement[] {
  return PLANE_NAMES.flatMap((plane) => scaleBar(view, plane));
}

function scaleBar(view: View, plane: Plane): SVGElement[] {
  const corners = view.cornersOf(plane);
  return corners ? bar([corners[0], corners[1]], view.pixelsPerMm(plane)) : [];
}

/** Beside the lower left corner of a part of the picture. */
export function bar(corner: [number, number], pixelsPerMm: number): SVGElement[] {
  const mm = pixelsPerMm && LENGTHS_MM.find((length) => length * pixelsPerMm <= LONGEST);
  if (!mm) return [];
  const [x, y, length] = [corner[0] + FROM_LEFT, corner[1] - FROM_FOOT, mm * pixelsPerMm];
  const text = svg('text', { x: x + length / 2, y: y - TICK - 3 });
  text.textContent = mm >= 10 ? texts.scaleBar.cm(mm / 10) : texts.scaleBar.mm(mm);
  const d = `M${x} ${y - TICK}V${y}H${x + length}V${y - TICK}`;
  return [svg('g', { class: 'scale-bar', 'data-mm': mm }, svg('path', { d }), text)];
}

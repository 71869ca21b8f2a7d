// A bar of so many mm in each plane, as long as the picture is zoomed.

import { svg } from '../dom.ts';
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
  const scale = view.scaleOf(plane);
  const mm = scale && LENGTHS_MM.find((length) => length * scale.pixelsPerMm <= LONGEST);
  if (!scale || !mm) return [];
  const [left, top, , height] = scale.rectangle;
  const [x, y, length] = [left + FROM_LEFT, top + height - FROM_FOOT, mm * scale.pixelsPerMm];
  const text = svg('text', { x: x + length / 2, y: y - TICK - 3 });
  text.textContent = mm >= 10 ? `${mm / 10} cm` : `${mm} mm`;
  const d = `M${x} ${y - TICK}V${y}H${x + length}V${y - TICK}`;
  return [svg('g', { class: 'scale-bar', 'data-mm': mm }, svg('path', { d }), text)];
}

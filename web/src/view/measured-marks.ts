// Measurements on top of the picture: on every plane whose slice holds all their points.

import type { Measurement, Vec3 } from '../api/types.ts';
import { svg } from '../dom.ts';
import { PLANE_NAMES, PLANES, type Plane } from './planes.ts';
import type { View } from './view.ts';

type Point = [number, number];
const HALF_SLICE = 0.5;
/** CSS pixels. */
const [HANDLE, BESIDE, LINE] = [2.5, 8, 14];

export function drawMeasurement(view: View, drawn: Measurement, words: string[], state = ''): SVGElement[] {
  const { axes } = view;
  if (!axes) return [];
  const places = drawn.points.map((point) => axes.toDisplay(point));
  return PLANE_NAMES.flatMap((plane) => {
    if (!holds(view, plane, places) || (drawn.kind === 'ellipse' && axes.fileAxis(PLANES[plane].normal) !== drawn.axis)) return [];
    const points = places.flatMap((place) => {
      const at = view.screen(plane, place);
      return at ? [at] : [];
    });
    if (points.length < places.length) return [];
    return [svg('g', { class: `measure ${state}` }, ...shapesOf(drawn.kind, points), text(drawn.kind, points, words))];
  });
}

function holds(view: View, plane: Plane, places: Vec3[]): boolean {
  const { normal } = PLANES[plane];
  return places.every((place) => Math.abs(place[normal] - Math.round(view.crosshair[normal])) < HALF_SLICE);
}

function shapesOf(kind: Measurement['kind'], points: Point[]): SVGElement[] {
  const handles = points.map(([cx, cy]) => svg('circle', { cx, cy, r: HANDLE }));
  if (kind !== 'ellipse') return [svg('path', { d: `M${points.join('L')}` }), ...handles];
  const [[x0, y0], [x1, y1]] = points as [Point, Point];
  return [
    svg('ellipse', { cx: (x0 + x1) / 2, cy: (y0 + y1) / 2, rx: Math.abs(x1 - x0) / 2, ry: Math.abs(y1 - y0) / 2 }),
  ];
}

/** To the right of everything; that of an ellipse higher up, where a line through it does not cross it. */
function text(kind: Measurement['kind'], points: Point[], words: string[]): SVGElement {
  const right = Math.max(...points.map(([x]) => x)) + BESIDE;
  const heights = points.map(([, y]) => y);
  const middle = kind === 'ellipse' ? Math.min(...heights) : heights.reduce((sum, y) => sum + y, 0) / heights.length;
  const lines = words.map((word, number) => {
    const line = svg('tspan', { x: right, y: middle + 4 + (number - (words.length - 1) / 2) * LINE });
    line.textContent = word;
    return line;
  });
  return svg('text', {}, ...lines);
}

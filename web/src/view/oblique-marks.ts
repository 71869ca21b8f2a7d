// Over the oblique plane: crosshair, scale and clicks; in the other planes the line where it cuts them.

import type { ObjectInfo, Vec3 } from '../api/types.ts';
import { svg } from '../dom.ts';
import { clickMark, NEAR_SLICES } from './marks.ts';
import { type Angles, cross, dot, frameOf } from './oblique.ts';
import { PLANE_NAMES, PLANES } from './planes.ts';
import { bar } from './scale-bar.ts';
import type { View } from './view.ts';

/** CSS pixels that the crosshair leaves free around its middle. */
const GAP = 10;

export function obliqueMarks(view: View, angles: Angles, object: ObjectInfo | undefined): SVGElement[] {
  const tile = view.oblique.place();
  if (!tile) return [];
  const { left, top, width, height, pixelsPerMm } = tile;
  const [x, y] = [left + width / 2, top + height / 2];
  const lines = [
    `M${left} ${y}H${x - GAP}M${x + GAP} ${y}H${left + width}`,
    `M${x} ${top}V${y - GAP}M${x} ${y + GAP}V${top + height}`,
  ];
  return [
    svg('path', { class: 'oblique-cross', d: lines.join('') }),
    ...bar([left, top + height], pixelsPerMm),
    ...cuts(view, angles),
    ...clicks(view, angles, object, [x, y], pixelsPerMm),
  ];
}

/** Clicks as far from this plane as they are shown from the others, where they lie in it. */
function clicks(
  view: View, angles: Angles, object: ObjectInfo | undefined, [x, y]: [number, number], pixelsPerMm: number,
): SVGElement[] {
  const { axes, ct, crosshair } = view;
  if (!axes || !ct) return [];
  const { spacing } = ct;
  const { across, up, normal } = frameOf(angles);
  const step = ct.stepAlong(normal); // slices of this plane are as far apart as voxels are along it
  return (object?.clicks ?? []).filter(({ drawn }) => !drawn).flatMap(({ voxel, positive }) => {
    const mm = axes.toDisplay(voxel).map((at, axis) => (at - crosshair[axis as 0 | 1 | 2]) * spacing[axis as 0 | 1 | 2]) as Vec3;
    const away = Math.abs(Math.round(dot(mm, normal) / step));
    if (away > NEAR_SLICES) return [];
    return [clickMark([x + dot(mm, across) * pixelsPerMm, y - dot(mm, up) * pixelsPerMm], away, positive)];
  });
}

function cuts(view: View, angles: Angles): SVGElement[] {
  const { normal } = frameOf(angles);
  return PLANE_NAMES.flatMap((plane) => {
    const out: Vec3 = [0, 0, 0];
    out[PLANES[plane].normal] = 1;
    const along = cross(normal, out);
    const ends = view.oblique.lineThroughCrosshair(plane, along);
    if (!ends) return []; // they are parallel, or the plane is not shown
    const [[x1, y1], [x2, y2]] = ends;
    return [svg('line', { class: 'oblique-cut', 'data-plane': plane, x1, y1, x2, y2 })];
  });
}

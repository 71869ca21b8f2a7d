// Drawings on top of the picture: clicks and contours. Shape tells positive from negative, not colour alone.

import type { ObjectInfo, Vec3 } from '../api/types.ts';
import { svg } from '../dom.ts';
import { PLANE_NAMES, PLANES } from './planes.ts';
import type { View } from './view.ts';

const RADIUS = 7;
const ARM = 3.5;
/** A click is shown this many slices away, fainter. */
export const NEAR_SLICES = 2;

/** A click on every plane whose slice is near it. */
export function markClick(view: View, display: Vec3, positive: boolean, state = ''): SVGElement[] {
  const marks: SVGElement[] = [];
  for (const plane of PLANE_NAMES) {
    const { normal } = PLANES[plane];
    const away = Math.abs(Math.round(view.crosshair[normal]) - display[normal]);
    const at = away <= NEAR_SLICES ? view.screen(plane, display) : null;
    if (!at) continue;
    marks.push(clickMark(at, away, positive, state));
  }
  return marks;
}

/** A click so many slices away, at a place on the screen. */
export function clickMark(at: [number, number], away: number, positive: boolean, state = ''): SVGElement {
  const sign = positive ? `M${-ARM} 0H${ARM}M0 ${-ARM}V${ARM}` : `M${-ARM} 0H${ARM}`;
  return svg(
    'g',
    {
      class: `mark ${positive ? 'positive' : 'negative'} ${state}`,
      transform: `translate(${at[0]} ${at[1]})`,
      opacity: 1 - away / (NEAR_SLICES + 1),
    },
    svg('circle', { r: RADIUS }),
    svg('path', { d: sign }),
  );
}

export function markObject(view: View, object: ObjectInfo): SVGElement[] {
  const { axes } = view;
  if (!axes) return [];
  const own = object.clicks.filter(({ drawn }) => !drawn);
  return own.flatMap(({ voxel, positive }) => markClick(view, axes.toDisplay(voxel), positive));
}

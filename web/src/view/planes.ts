// The three planes in display axes (0 right, 1 anterior, 2 superior), numbered as niivue numbers its tiles.

export type Plane = 'axial' | 'coronal' | 'sagittal';
type Axis = 0 | 1 | 2;

export interface PlaneAxes {
  tile: number;
  /** The axis that points out of the plane, and those that run across and up the screen. */
  normal: Axis;
  across: Axis;
  up: Axis;
}

export const PLANES: Record<Plane, PlaneAxes> = {
  axial: { tile: 0, normal: 2, across: 0, up: 1 },
  coronal: { tile: 1, normal: 1, across: 0, up: 2 },
  sagittal: { tile: 2, normal: 0, across: 1, up: 2 },
};

export const PLANE_NAMES = Object.keys(PLANES) as Plane[];
export const RENDER_TILE = 4;

export function planeOfTile(tile: number): Plane | null {
  return PLANE_NAMES.find((plane) => PLANES[plane].tile === tile) ?? null;
}

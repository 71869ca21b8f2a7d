// The part of the picture where the oblique plane is: the crosshair is its middle. It stands where 3D is otherwise.

import { type Niivue, SLICE_TYPE } from '@niivue/niivue';
import type { Vec3 } from '../api/types.ts';
import { LAYOUTS } from './layouts.ts';
import { type Angles, frameOf, ObliquePlane, STRAIGHT } from './oblique.ts';
import { PLANES, type Plane } from './planes.ts';
import { reachOf } from './thick-slab.ts';
import type { View } from './view.ts';

type Point = [number, number];
/** CSS pixels in which a mm along the plane is no line any more. */
const NOTHING = 1e-6;

export interface Place {
  left: number;
  top: number;
  width: number;
  height: number;
  pixelsPerMm: number;
}

export class ObliqueTile {
  private readonly view: View;
  private readonly nv: Niivue;
  private plane: ObliquePlane | null = null;
  private angles: Angles = STRAIGHT;

  constructor(view: View, nv: Niivue) {
    this.view = view;
    this.nv = nv;
    const draw3D = nv.draw3D.bind(nv);
    nv.draw3D = (...how) => (this.draw(how[0] ?? []) ? undefined : draw3D(...how));
  }

  /** Once there is a context; gives the program, which wants the CT's window. */
  install(): WebGLProgram {
    this.plane = new ObliquePlane(this.nv);
    return this.plane.program;
  }

  turn(angles: Angles): void {
    this.angles = angles;
    if (this.place()) this.nv.drawScene();
  }

  /** Moves the crosshair along the normal, by as much as lies between two voxels there; up is to the head, front or right. */
  step(slices: number): void {
    const { ct, crosshair } = this.view;
    if (!slices || !ct) return;
    const { normal } = frameOf(this.angles);
    const main = normal.reduce((most, part) => (Math.abs(part) > Math.abs(most) ? part : most));
    const by = slices * Math.sign(main) * ct.stepAlong(normal);
    this.view.moveTo(crosshair.map((at, axis) => at + (by * (normal[axis] ?? 0)) / (ct.spacing[axis] ?? 1)) as Vec3);
  }

  /** In CSS pixels; null when it is not shown. */
  place(): Place | null {
    const [left, top, width, height] = LAYOUTS.oblique.find(({ sliceType }) => sliceType === SLICE_TYPE.RENDER)?.position ?? [];
    if (this.view.layout !== 'oblique' || !this.view.ct || left === undefined || top === undefined || !width || !height) return null;
    const { clientWidth: w, clientHeight: h } = this.nv.gl.canvas as HTMLCanvasElement;
    return { left: left * w, top: top * h, width: width * w, height: height * h, pixelsPerMm: this.view.pixelsPerMm('axial') };
  }

  /** Both ends, in CSS pixels, of a line through the crosshair in a plane; `along` is in mm. Null where there is none. */
  lineThroughCrosshair(plane: Plane, along: Vec3): [Point, Point] | null {
    const { axes, ct, crosshair } = this.view;
    const [map, at] = [this.view.mapOf(plane), this.view.screen(plane, crosshair)];
    if (!map || !at || !ct || !axes) return null;
    const [{ displayShape }, { spacing }] = [axes, ct];
    const { across, up } = PLANES[plane];
    const dx = along[across] / (spacing[across] * displayShape[across] * map.perPixel[0]);
    const dy = along[up] / (spacing[up] * displayShape[up] * map.perPixel[1]);
    if (Math.hypot(dx, dy) < NOTHING) return null;
    const [left, top, width, height] = map.rectangle;
    // as far as the nearer of the edges that lie ahead
    const reach = (sign: number) => Math.min(
      ...[[dx, at[0], left, left + width], [dy, at[1], top, top + height]].map(([d = 0, from = 0, low = 0, high = 0]) =>
        d * sign > 0 ? (high - from) / (d * sign) : d * sign < 0 ? (low - from) / (d * sign) : Number.POSITIVE_INFINITY),
    );
    const end = (sign: number): Point => [at[0] + sign * reach(sign) * dx, at[1] + sign * reach(sign) * dy];
    return [end(-1), end(1)];
  }

  /** Whether it was drawn, in device pixels. */
  private draw([left = 0, top = 0, width = 0, height = 0]: number[]): boolean {
    const { ct, axes } = this.view;
    const place = this.place();
    if (!place || !this.plane || !ct || !axes) return false;
    const { nv } = this;
    nv.screenSlices.push({
      leftTopWidthHeight: [left, top, width, height], axCorSag: SLICE_TYPE.RENDER, sliceFrac: 0,
      AxyzMxy: [], leftTopMM: [], fovMM: [0, 0], screen2frac: [],
    });
    nv.gl.viewport(left, nv.gl.canvas.height - top - height, width, height);
    const stepMm = ct.stepAlong(frameOf(this.angles).normal);
    this.plane.draw({
      middle: [...nv.scene.crosshairPos] as Vec3,
      size: ct.spacing.map((mm, axis) => mm * (axes.displayShape[axis] ?? 1)) as Vec3,
      angles: this.angles,
      halfMm: [place.width / 2 / place.pixelsPerMm, place.height / 2 / place.pixelsPerMm],
      stepMm,
      reach: reachOf(this.view.slab, stepMm),
    });
    return true;
  }
}

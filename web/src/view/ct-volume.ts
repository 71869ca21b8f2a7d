// The CT: its numbers as they are stored, and a texture of 16 bit per voxel in display order. It fills chunk by chunk.

import type { Box, ScanInfo, Vec3 } from '../api/types.ts';
import { texts } from '../strings.ts';
import type { AxisOrder } from './axes.ts';
import type { Asked, Told } from './ct-worker.ts';
import type { NiftiHeader, Voxels } from './nifti.ts';

/** None of niivue's. */
export const CT_UNIT = 12;
/** mm, and HU of a scan of real numbers. */
const SAME = 1e-3;

/** A file that only the server reads. */
export class NotReadHere extends Error {}

/** What one needs to know before the first voxel is there. */
export interface Geometry {
  shape: Vec3;
  affine: number[][];
}

/** Throws an Error with a readable message where the graphics card cannot hold a scan. */
export function refuseTooLong(gl: WebGL2RenderingContext, { shape }: Geometry): void {
  const most = gl.getParameter(gl.MAX_3D_TEXTURE_SIZE) as number;
  if (Math.max(...shape) <= most) return;
  throw new Error(texts.page.tooLong(most, shape.join(' × ')));
}

export class CtVolume {
  readonly header: NiftiHeader;
  /** Of the display's axes, in mm. */
  readonly spacing: Vec3;
  readonly axes: AxisOrder;
  readonly texture: WebGLTexture;
  private readonly gl: WebGL2RenderingContext;
  private readonly chunks: Voxels[] = [];
  private readonly slices: number;
  private range: [number, number] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

  constructor(gl: WebGL2RenderingContext, header: NiftiHeader, axes: AxisOrder, slices: number) {
    this.gl = gl;
    this.header = header;
    this.axes = axes;
    this.slices = slices;
    const size = (axis: 0 | 1 | 2) => Math.hypot(...header.affine.map((row) => row[axes.fileAxis(axis)] ?? 0));
    this.spacing = [size(0), size(1), size(2)];
    this.texture = gl.createTexture();
    this.bind();
    gl.texStorage3D(gl.TEXTURE_3D, 1, gl.R16F, ...axes.displayShape);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_3D, name, gl.LINEAR);
    for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R]) {
      gl.texParameteri(gl.TEXTURE_3D, name, gl.CLAMP_TO_EDGE);
    }
  }

  /** mm from voxel to voxel along a direction. */
  stepAlong(direction: Vec3): number {
    return Math.hypot(...direction.map((part, axis) => part * (this.spacing[axis] ?? 1)));
  }

  bind(): void {
    this.gl.activeTexture(this.gl.TEXTURE0 + CT_UNIT);
    this.gl.bindTexture(this.gl.TEXTURE_3D, this.texture);
  }

  /** The next chunk of the file; `box` is where it lies in display order. */
  add(box: Box, stored: Voxels, halves: Uint16Array, [low, high]: [number, number]): void {
    const { gl } = this;
    const [[x0, x1], [y0, y1], [z0, z1]] = box;
    this.chunks.push(stored);
    this.range = [Math.min(this.range[0], low), Math.max(this.range[1], high)];
    this.bind();
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 2);
    gl.texSubImage3D(gl.TEXTURE_3D, 0, x0, y0, z0, x1 - x0, y1 - y0, z1 - z0, gl.RED, gl.HALF_FLOAT, halves);
  }

  get chunkCount(): number {
    return this.chunks.length;
  }

  /** HU of a display voxel; null where none is, or not yet. */
  hu(display: Vec3): number | null {
    const [x, y, z] = this.axes.toFile(display.map(Math.round) as Vec3);
    const [nx, ny, nz] = this.header.shape;
    if (Math.min(x, y, z) < 0 || x >= nx || y >= ny || z >= nz) return null;
    const chunk = Math.floor(z / this.slices);
    const stored = this.chunks[chunk]?.[x + nx * (y + ny * (z - chunk * this.slices))];
    return stored === undefined ? null : this.scaled(stored);
  }

  /** Whether the server understood a file as this page did: then its own copy need not be fetched. */
  isThat({ shape, affine, hu_range }: ScanInfo): boolean {
    const { header } = this;
    const near = (a: number, b: number) => Math.abs(a - b) <= SAME;
    const ends = this.range.map((end) => this.scaled(end)).sort((a, b) => a - b);
    return (
      shape.every((length, axis) => length === header.shape[axis]) &&
      header.affine.every((row, at) => row.every((value, column) => near(value, affine[at]?.[column] ?? Number.NaN))) &&
      hu_range.every((end, at) => near(end, ends[at] ?? Number.NaN))
    );
  }

  free(): void {
    this.gl.deleteTexture(this.texture);
    this.chunks.length = 0;
  }

  private scaled(stored: number): number {
    return stored * this.header.slope + this.header.intercept;
  }
}

/**
 * Reads a NIfTI file beside the page. `begin` makes a volume when the header is there; `show` is called as chunks come.
 * Throws NotReadHere where the file is of a kind that the viewer does not read, and where it is damaged.
 */
export function readCt(
  file: Blob, begin: (header: NiftiHeader, slices: number) => Promise<CtVolume>, show: (box: Box, number: number) => void,
): Promise<CtVolume> {
  const worker = new Worker(new URL('./ct-worker.ts', import.meta.url), { type: 'module' });
  const ask = (message: Asked) => worker.postMessage(message);
  return new Promise<CtVolume>((resolve, reject) => {
    let volume: CtVolume | null = null;
    const fail = (message: string) => {
      volume?.free();
      reject(new NotReadHere(message));
    };
    worker.onerror = ({ message }) => fail(message);
    worker.onmessage = ({ data }: MessageEvent<Told>) => {
      if (data.kind === 'failed') fail(data.message);
      else if (data.kind === 'header') {
        if (!data.header) return fail(texts.page.unreadable);
        begin(data.header, data.slices).then((begun) => {
          volume = begun;
          ask({ permutation: [...begun.axes.permutation] });
        }, reject);
      } else if (volume && data.kind === 'chunk') {
        volume.add(data.box, data.stored, data.halves, data.range);
        show(data.box, volume.chunkCount);
      } else if (volume) resolve(volume);
    };
    ask({ file });
  }).finally(() => worker.terminate());
}

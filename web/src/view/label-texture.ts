// Labels on the graphics card: the table of colours, and boxes of voxels.

import type { Box, Vec3 } from '../api/types.ts';
import type { Style } from './shaders.ts';
import type { LabelVolume } from './label-volume.ts';

const TEXTURE_UNIT = 7; // niivue's for drawings
const TABLE_SIZE = 256;

interface ColourTable {
  lut: Uint8ClampedArray<ArrayBuffer>;
  labels: string[];
}

export function emptyTable(): ColourTable {
  return { lut: new Uint8ClampedArray(TABLE_SIZE * 4), labels: new Array<string>(TABLE_SIZE).fill('') };
}

/** Colours by slot; an opacity of 0 hides. It counts in 3D: the planes have a program of their own. */
export function tableOf(styles: (Style & { colour: string })[]): ColourTable {
  const table = emptyTable();
  for (const { slot, colour, opacity } of styles) {
    table.lut.set([...channels(colour), Math.round(255 * opacity)], slot * 4);
  }
  return table;
}

/** Empty, in the place of another one. */
export function makeTexture(gl: WebGL2RenderingContext, old: WebGLTexture | null, shape: Vec3): WebGLTexture {
  gl.deleteTexture(old);
  const texture = gl.createTexture();
  gl.activeTexture(gl.TEXTURE0 + TEXTURE_UNIT);
  gl.bindTexture(gl.TEXTURE_3D, texture);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_3D, name, gl.NEAREST);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R]) {
    gl.texParameteri(gl.TEXTURE_3D, name, gl.CLAMP_TO_EDGE);
  }
  gl.texStorage3D(gl.TEXTURE_3D, 1, gl.R8, ...shape);
  return texture;
}

/** Sends only the voxels of the box: a click must not cost the whole CT. */
export function uploadBox(gl: WebGL2RenderingContext, texture: WebGLTexture, labels: LabelVolume, box: Box): void {
  const [nx, ny] = labels.axes.displayShape;
  const [[x0, x1], [y0, y1], [z0, z1]] = box;
  gl.activeTexture(gl.TEXTURE0 + TEXTURE_UNIT);
  gl.bindTexture(gl.TEXTURE_3D, texture);
  const layout: [number, number][] = [
    [gl.UNPACK_ALIGNMENT, 1],
    [gl.UNPACK_ROW_LENGTH, nx],
    [gl.UNPACK_IMAGE_HEIGHT, ny],
    [gl.UNPACK_SKIP_PIXELS, x0],
    [gl.UNPACK_SKIP_ROWS, y0],
    [gl.UNPACK_SKIP_IMAGES, z0],
  ];
  for (const [name, value] of layout) gl.pixelStorei(name, value);
  gl.texSubImage3D(
    gl.TEXTURE_3D, 0, x0, y0, z0, x1 - x0, y1 - y0, z1 - z0, gl.RED, gl.UNSIGNED_BYTE, labels.slots,
  );
  for (const [name] of layout.slice(1)) gl.pixelStorei(name, 0);
}

function channels(colour: string): [number, number, number] {
  const value = Number.parseInt(colour.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

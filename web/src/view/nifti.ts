// What a NIfTI file says of itself, as far as the viewer reads such files: one volume of plain numbers, little-endian.

import type { Vec3 } from '../api/types.ts';

/** Bytes that hold the header of either version. */
export const HEADER_BYTES = 540;

export type Voxels = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Float32Array | Float64Array;
type VoxelType = { new (buffer: ArrayBuffer, offset?: number, length?: number): Voxels; BYTES_PER_ELEMENT: number };

const TYPES: Record<number, VoxelType> = {
  2: Uint8Array, 4: Int16Array, 8: Int32Array, 16: Float32Array, 64: Float64Array, 256: Int8Array, 512: Uint16Array,
};

export interface NiftiHeader {
  shape: Vec3;
  /** Code of the voxels' type. */
  code: number;
  /** Bytes before the voxels. */
  offset: number;
  slope: number;
  intercept: number;
  /** From voxels to mm, right, anterior, superior: sform, else qform, else the voxels' sizes alone. */
  affine: number[][];
}

export const voxelType = ({ code }: NiftiHeader): VoxelType => TYPES[code] as VoxelType;

/** Null for what the viewer does not read itself. */
export function readHeader(bytes: ArrayBuffer): NiftiHeader | null {
  if (bytes.byteLength < HEADER_BYTES) return null;
  const view = new DataView(bytes);
  const size = view.getInt32(0, true);
  if (size === 348) return headerOf(view, (at) => view.getInt16(40 + 2 * at, true), {
    code: 70, offset: view.getFloat32(108, true), slope: [112, 116], pixdim: 76, codes: [252, 254], quaternion: 256, rows: 280, bytes: 4,
  });
  if (size === 540) return headerOf(view, (at) => Number(view.getBigInt64(16 + 8 * at, true)), {
    code: 12, offset: Number(view.getBigInt64(168, true)), slope: [176, 184], pixdim: 104, codes: [344, 348], quaternion: 352, rows: 400, bytes: 8,
  });
  return null;
}

/** Where the fields of a version are, and how long its real numbers are. */
interface Places {
  code: number;
  offset: number;
  slope: [number, number];
  pixdim: number;
  codes: [number, number];
  quaternion: number;
  rows: number;
  bytes: 4 | 8;
}

function headerOf(view: DataView, dim: (at: number) => number, places: Places): NiftiHeader | null {
  const real = (at: number) => (places.bytes === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true));
  const reals = (at: number, count: number) => Array.from({ length: count }, (_, index) => real(at + index * places.bytes));
  const shape: Vec3 = [dim(1), dim(2), dim(3)];
  const others = [4, 5, 6, 7].filter((at) => at <= dim(0)).map(dim);
  const code = view.getInt16(places.code, true);
  if (dim(0) < 3 || Math.min(...shape) < 1 || others.some((length) => length > 1) || !TYPES[code]) return null;
  const [slope, intercept] = places.slope.map(real) as [number, number];
  const scaled = Number.isFinite(slope) && slope !== 0;
  const has = places.codes.map((at) => (places.bytes === 4 ? view.getInt16(at, true) : view.getInt32(at, true)));
  const pixdim = reals(places.pixdim, 4);
  const affine = has[1] ? [0, 1, 2].map((row) => reals(places.rows + 4 * row * places.bytes, 4))
    : has[0] ? fromQuaternion(reals(places.quaternion, 6), pixdim)
    : null;
  if (!affine) return null; // where it lies is for the server to say
  return {
    shape, code, offset: places.offset, slope: scaled ? slope : 1, intercept: scaled ? intercept : 0, affine,
  };
}

/** NIfTI-1, method 2. */
function fromQuaternion([b, c, d, x, y, z]: number[], [handed, ...sizes]: number[]): number[][] {
  const [i, j, k] = [b ?? 0, c ?? 0, d ?? 0];
  const a = Math.sqrt(Math.max(0, 1 - (i * i + j * j + k * k)));
  const turned = [
    [a * a + i * i - j * j - k * k, 2 * (i * j - a * k), 2 * (i * k + a * j)],
    [2 * (i * j + a * k), a * a + j * j - i * i - k * k, 2 * (j * k - a * i)],
    [2 * (i * k - a * j), 2 * (j * k + a * i), a * a + k * k - j * j - i * i],
  ];
  const steps = sizes.map((size, axis) => (axis === 2 && (handed ?? 1) < 0 ? -size : size));
  return turned.map((row, at) => [...row.map((part, axis) => part * (steps[axis] ?? 1)), [x, y, z][at] ?? 0]);
}

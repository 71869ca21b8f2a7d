// What a NIfTI file says of itself, as far as the viewer reads such files: one volume of plain numbers, little-endian.

import { isNIFTI1, isNIFTI2, NIFTI1, readHeader as readFields } from 'nifti-reader-js';
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
  /** From voxels to mm, right, anterior, superior: rows of four. */
  affine: number[][];
}

export const voxelType = ({ code }: NiftiHeader): VoxelType => TYPES[code] as VoxelType;

/** Null for what the viewer does not read itself. */
export function readHeader(bytes: ArrayBuffer): NiftiHeader | null {
  const one = isNIFTI1(bytes);
  if (!one && !isNIFTI2(bytes)) return null;
  // of version 1 without what follows the header: extensions may be longer than these bytes
  const fields = readFields(one ? bytes.slice(0, NIFTI1.STANDARD_HEADER_SIZE) : bytes);
  const { dims, datatypeCode: code, vox_offset: offset, scl_slope: slope, scl_inter, qform_code, sform_code } = fields;
  const [axes = 0, nx = 0, ny = 0, nz = 0, ...others] = dims;
  if (axes < 3 || Math.min(nx, ny, nz) < 1 || others.slice(0, axes - 3).some((length) => length > 1)) return null;
  // where neither form counts, or both do and the reader takes another one than the server, that is for the server to say
  const placed = sform_code > 0 ? sform_code >= qform_code : one && qform_code > 0;
  const affine = fields.affine.slice(0, 3);
  if (!placed || !affine.flat().every(Number.isFinite) || !fields.littleEndian || !TYPES[code]) return null;
  const scaled = Number.isFinite(slope) && slope !== 0;
  return { shape: [nx, ny, nz], code, offset, slope: scaled ? slope : 1, intercept: scaled ? scl_inter : 0, affine };
}

// niivue wants a volume of its own to know where things lie. It gets one that fills the same space with a few voxels,
// because it would copy all of a CT several times; the shaders draw the CT itself.

import { NVImage } from '@niivue/niivue';
import type { Geometry } from './ct-volume.ts';

const MOST = 8;

export async function standIn({ shape, affine }: Geometry): Promise<NVImage> {
  const dims = shape.map((length) => Math.min(length, MOST));
  const ratio = shape.map((length, axis) => length / (dims[axis] ?? 1));
  // the middle of the first of the larger voxels
  const first = ratio.map((larger) => (larger - 1) / 2);
  const rows = affine.slice(0, 3).map((row) => [
    ...ratio.map((larger, axis) => (row[axis] ?? 0) * larger),
    (row[3] ?? 0) + first.reduce((sum, voxels, axis) => sum + (row[axis] ?? 0) * voxels, 0),
  ]);
  const sizes = ratio.map((_, axis) => Math.hypot(...rows.map((row) => row[axis] ?? 0)));
  const voxels = new Uint8Array(dims.reduce((product, length) => product * length, 1));
  const file = NVImage.createNiftiArray(dims, sizes, [...rows.flat(), 0, 0, 0, 1], 2, voxels);
  return NVImage.loadFromUrl({ url: new Uint8Array(file).buffer, name: 'ct.nii', colormap: 'gray', cal_min: 0, cal_max: 1 });
}

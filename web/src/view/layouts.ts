// Which parts of the picture there are in each layout, and where: left, top, width, height of 1.

import { SLICE_TYPE } from '@niivue/niivue';
import type { Layout } from '../session/state.ts';

interface Tile {
  sliceType: SLICE_TYPE;
  position: [number, number, number, number];
}

const FOUR: Tile[] = [
  { sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 0.5, 0.5] },
  { sliceType: SLICE_TYPE.RENDER, position: [0.5, 0, 0.5, 0.5] },
  { sliceType: SLICE_TYPE.CORONAL, position: [0, 0.5, 0.5, 0.5] },
  { sliceType: SLICE_TYPE.SAGITTAL, position: [0.5, 0.5, 0.5, 0.5] },
];

export const LAYOUTS: Record<Layout, Tile[]> = {
  all: FOUR,
  oblique: FOUR, // it stands where 3D is otherwise
  axial: [{ sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 1, 1] }],
  coronal: [{ sliceType: SLICE_TYPE.CORONAL, position: [0, 0, 1, 1] }],
  sagittal: [{ sliceType: SLICE_TYPE.SAGITTAL, position: [0, 0, 1, 1] }],
  render: [{ sliceType: SLICE_TYPE.RENDER, position: [0, 0, 1, 1] }],
};

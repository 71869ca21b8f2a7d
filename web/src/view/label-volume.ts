// The label map as it is shown: one byte per voxel in display order, because the graphics card looks colours up by byte.

import type { Box, LabelBox, Vec3 } from '../api/types.ts';
import type { AxisOrder } from './axes.ts';
import { ByteSource } from './byte-source.ts';

/** Ids of objects may be any number; a slot is the byte that stands for one on the screen. 0 is background. */
const MOST_SLOTS = 255;

/** Voxels of a chunk, about; the page does other things between two of them. */
const CHUNK_VOXELS = 1 << 22;

/** A box of labels in chunks along z, as they are unpacked. */
export async function* chunksOf({ box, dtype, data }: LabelBox): AsyncGenerator<{ box: Box; values: Uint8Array | Uint16Array }> {
  const packed = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const source = new ByteSource(new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip')));
  const [xs, ys, [first, last]] = box;
  const slice = (xs[1] - xs[0]) * (ys[1] - ys[0]);
  const slices = Math.max(1, Math.round(CHUNK_VOXELS / slice));
  for (let z = first; z < last; z += slices) {
    const end = Math.min(z + slices, last);
    const bytes = new Uint8Array(slice * (end - z) * (dtype === 'uint16' ? 2 : 1));
    if (!(await source.fill(bytes))) throw new Error('a box of labels came with too few values');
    yield { box: [xs, ys, [z, end]], values: dtype === 'uint16' ? new Uint16Array(bytes.buffer) : bytes };
    if (end < last) await new Promise((resolve) => setTimeout(resolve));
  }
}

export class LabelVolume {
  readonly slots: Uint8Array<ArrayBuffer>;
  readonly axes: AxisOrder;
  private readonly slotOfId = new Map<number, number>([[0, 0]]);
  private readonly idOfSlot: number[] = [0];

  constructor(axes: AxisOrder) {
    this.axes = axes;
    const [x, y, z] = axes.displayShape;
    this.slots = new Uint8Array(x * y * z);
  }

  /** Writes the values of a box (file order, x fastest); gives the box that changed, in display order. */
  write(box: Box, values: Uint8Array | Uint16Array): Box {
    const [[x0, x1], [y0, y1], [z0, z1]] = box;
    const expected = (x1 - x0) * (y1 - y0) * (z1 - z0);
    if (values.length !== expected) throw new Error(`a box of ${expected} voxels came with ${values.length} values`);
    const { start, step } = this.axes.strides();
    const lookup = this.lookupFor(values);
    let from = 0;
    for (let z = z0; z < z1; z++) {
      for (let y = y0; y < y1; y++) {
        let to = start + x0 * step[0] + y * step[1] + z * step[2];
        for (let x = x0; x < x1; x++, to += step[0]) this.slots[to] = lookup[values[from++] as number] as number;
      }
    }
    return this.axes.boxToDisplay(box);
  }

  /** Object at a display voxel; 0 where there is none. */
  at(display: Vec3): number {
    const [x, y, z] = display.map(Math.round) as Vec3;
    const [nx, ny, nz] = this.axes.displayShape;
    if (x < 0 || y < 0 || z < 0 || x >= nx || y >= ny || z >= nz) return 0;
    return this.idOfSlot[this.slots[x + nx * (y + ny * z)] as number] ?? 0;
  }

  /** The voxel of an object that is nearest to its centre of mass; null when it has none. */
  centre(id: number): Vec3 | null {
    const sum: Vec3 = [0, 0, 0];
    let count = 0;
    this.visit(id, (x, y, z) => {
      sum[0] += x;
      sum[1] += y;
      sum[2] += z;
      count++;
    });
    const [cx, cy, cz] = sum.map((total) => total / count) as Vec3;
    let nearest: Vec3 | null = null;
    let least = Number.POSITIVE_INFINITY;
    this.visit(id, (x, y, z) => {
      const away = (x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2;
      if (away < least) [nearest, least] = [[x, y, z], away];
    });
    return nearest;
  }

  /** Every voxel of an object. There may be millions, so nothing is made for each. */
  private visit(id: number, act: (x: number, y: number, z: number) => void): void {
    const slot = this.slotOfId.get(id);
    if (!slot) return;
    const { slots } = this;
    const [nx, ny] = this.axes.displayShape;
    const last = slots.lastIndexOf(slot);
    for (let index = slots.indexOf(slot); index >= 0 && index <= last; index++) {
      if (slots[index] === slot) act(index % nx, Math.floor(index / nx) % ny, Math.floor(index / (nx * ny)));
    }
  }

  slotOf(id: number): number {
    const known = this.slotOfId.get(id);
    if (known !== undefined) return known;
    const slot = Math.min(this.idOfSlot.length, MOST_SLOTS); // beyond 255 objects the last ones share a colour
    this.slotOfId.set(id, slot);
    this.idOfSlot[slot] = id;
    return slot;
  }

  private lookupFor(values: Uint8Array | Uint16Array): Uint8Array {
    const lookup = new Uint8Array(values instanceof Uint16Array ? 65536 : 256);
    const seen = new Uint8Array(lookup.length);
    for (const id of values) {
      if (seen[id]) continue;
      seen[id] = 1;
      lookup[id] = this.slotOf(id);
    }
    return lookup;
  }
}

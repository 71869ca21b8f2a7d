// The label map as it is shown: one byte per voxel in display order, because the graphics card looks colours up by byte.

import type { Box, LabelBox, Vec3 } from '../api/types.ts';
import type { AxisOrder } from './axes.ts';

/** Ids of objects may be any number; a slot is the byte that stands for one on the screen. 0 is background. */
const MOST_SLOTS = 255;

export async function decodeLabels(labels: LabelBox): Promise<Uint8Array | Uint16Array> {
  const bytes = Uint8Array.from(atob(labels.data), (character) => character.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const buffer = await new Response(unpacked).arrayBuffer();
  return labels.dtype === 'uint16' ? new Uint16Array(buffer) : new Uint8Array(buffer);
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
    for (const voxel of this.voxelsOf(id)) {
      for (const axis of [0, 1, 2] as const) sum[axis] += voxel[axis];
      count++;
    }
    const away = (voxel: Vec3) => voxel.reduce((total, at, axis) => total + (at - (sum[axis] as number) / count) ** 2, 0);
    let nearest: Vec3 | null = null;
    for (const voxel of this.voxelsOf(id)) {
      if (!nearest || away(voxel) < away(nearest)) nearest = voxel;
    }
    return nearest;
  }

  private *voxelsOf(id: number): Generator<Vec3> {
    const slot = this.slotOfId.get(id);
    if (!slot) return;
    const [nx, ny] = this.axes.displayShape;
    for (let index = this.slots.indexOf(slot); index >= 0; index = this.slots.indexOf(slot, index + 1)) {
      yield [index % nx, Math.floor(index / nx) % ny, Math.floor(index / (nx * ny))];
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

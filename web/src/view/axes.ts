// Two orders of voxels: as they lie in the file, and as they are shown (right, anterior, superior).

import type { Box, Vec3 } from '../api/types.ts';

type Axis = 0 | 1 | 2;
const AXES: Axis[] = [0, 1, 2];

/** Which file axis each display axis shows, and whether backwards. */
export class AxisOrder {
  readonly fileShape: Vec3;
  readonly displayShape: Vec3;
  readonly permutation: readonly number[];
  private readonly fileAxisOf: [Axis, Axis, Axis];
  private readonly flipped: [boolean, boolean, boolean];

  /** `permutation`: for each display axis the file axis + 1, negative where it is shown backwards. */
  constructor(fileShape: Vec3, permutation: readonly number[]) {
    this.fileShape = fileShape;
    this.permutation = permutation;
    const axis = (display: Axis) => (Math.abs(permutation[display] ?? 0) - 1) as Axis;
    this.fileAxisOf = [axis(0), axis(1), axis(2)];
    if ([...this.fileAxisOf].sort().join() !== '0,1,2') throw new Error(`not an order of axes: ${permutation}`);
    this.flipped = AXES.map((display) => (permutation[display] ?? 0) < 0) as [boolean, boolean, boolean];
    this.displayShape = this.fileAxisOf.map((file) => fileShape[file]) as Vec3;
  }

  fileAxis(display: Axis): Axis {
    return this.fileAxisOf[display];
  }

  toFile(display: Vec3): Vec3 {
    const file: Vec3 = [0, 0, 0];
    for (const axis of AXES) file[this.fileAxisOf[axis]] = this.mirrored(axis, display[axis]);
    return file;
  }

  toDisplay(file: Vec3): Vec3 {
    return AXES.map((axis) => this.mirrored(axis, file[this.fileAxisOf[axis]])) as Vec3;
  }

  /** Where the middle of a voxel lies, as a part of the volume. */
  fraction(display: Vec3): Vec3 {
    return AXES.map((axis) => (display[axis] + 0.5) / this.displayShape[axis]) as Vec3;
  }

  /** A half-open box of the file as the display sees it. */
  boxToDisplay(box: Box): Box {
    return AXES.map((axis) => {
      const [start, stop] = box[this.fileAxisOf[axis]];
      return this.flipped[axis] ? [this.displayShape[axis] - stop, this.displayShape[axis] - start] : [start, stop];
    }) as Box;
  }

  boxToFile(box: Box): Box {
    const file: Box = [[0, 0], [0, 0], [0, 0]];
    for (const axis of AXES) {
      const [start, stop] = box[axis];
      const size = this.displayShape[axis];
      file[this.fileAxisOf[axis]] = this.flipped[axis] ? [size - stop, size - start] : [start, stop];
    }
    return file;
  }

  /** Where in display memory (x fastest) a file voxel lies: `start + i * step[0] + j * step[1] + k * step[2]`. */
  strides(): { start: number; step: Vec3 } {
    const display: Vec3 = [1, this.displayShape[0], this.displayShape[0] * this.displayShape[1]];
    const step: Vec3 = [0, 0, 0];
    let start = 0;
    for (const axis of AXES) {
      step[this.fileAxisOf[axis]] = this.flipped[axis] ? -display[axis] : display[axis];
      if (this.flipped[axis]) start += display[axis] * (this.displayShape[axis] - 1);
    }
    return { start, step };
  }

  private mirrored(axis: Axis, value: number): number {
    return this.flipped[axis] ? this.displayShape[axis] - 1 - value : value;
  }
}

// What a tool is: it hears what the pointer does on a plane, and draws on top of the picture.

import type { Vec3 } from '../api/types.ts';
import type { Plane } from '../view/planes.ts';

export interface At {
  plane: Plane;
  display: Vec3;
  /** CSS pixels of the canvas. */
  x: number;
  y: number;
  /** Shift, the right button, or the switch in the toolbar: take away. */
  negative: boolean;
  byFinger: boolean;
}

export interface Tool {
  press(at: At): void;
  drag(at: At): void;
  /** `moved` is false for a click. */
  release(at: At, moved: boolean): void;
  cancel(): void;
  /** What the last press has begun is no more; `cancel` where there is none. */
  drop?(): void;
  /** The pointer is here, and nothing is pressed. */
  hover?(at: At): void;
  /** The finger is lifted: nothing is above the picture. */
  leave?(): void;
  /** Enter. */
  confirm?(): void;
  shapes(): SVGElement[];
}

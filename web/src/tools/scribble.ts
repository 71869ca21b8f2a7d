// A line that lies in the active object, or beside it: the model finds the rest.

import type { Vec3 } from '../api/types.ts';
import { type Stroke, StrokeTool } from './stroke.ts';

const WIDTH = 3;

export class ScribbleTool extends StrokeTool {
  protected readonly look = 'scribble';

  protected send({ negative }: Stroke, points: Vec3[]): Promise<void> {
    return this.prompts.scribble(points, !negative);
  }

  protected width(): number {
    return WIDTH;
  }
}

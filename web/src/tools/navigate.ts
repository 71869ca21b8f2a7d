// Moves the crosshair.

import type { View } from '../view/view.ts';
import type { At, Tool } from './tool.ts';

export class NavigateTool implements Tool {
  private readonly view: View;

  constructor(view: View) {
    this.view = view;
  }

  press(at: At): void {
    this.view.moveTo(at.display);
  }

  drag(at: At): void {
    this.press(at);
  }

  release(): void {}

  cancel(): void {}

  shapes(): SVGElement[] {
    return [];
  }
}

// One voxel that belongs to the active object, or does not.

import type { Vec3 } from '../api/types.ts';
import type { Prompts } from '../session/prompts.ts';
import { markClick } from '../view/marks.ts';
import type { View } from '../view/view.ts';
import type { At, Tool } from './tool.ts';

interface Pending {
  display: Vec3;
  positive: boolean;
}

export class ClickTool implements Tool {
  private readonly view: View;
  private readonly prompts: Prompts;
  private readonly pending = new Set<Pending>();

  constructor(view: View, prompts: Prompts) {
    this.view = view;
    this.prompts = prompts;
  }

  press(): void {}

  drag(at: At): void {
    this.view.moveTo(at.display);
  }

  release(at: At, moved: boolean): void {
    const { axes } = this.view;
    if (moved || !axes) return;
    const display = at.display.map(Math.round) as Vec3;
    const sent = { display, positive: !at.negative };
    this.pending.add(sent);
    this.view.moveTo(display);
    void this.prompts.click(axes.toFile(display), sent.positive).finally(() => {
      this.pending.delete(sent);
      this.view.onDraw();
    });
  }

  cancel(): void {}

  /** Clicks that the server still works on. */
  shapes(): SVGElement[] {
    return [...this.pending].flatMap(({ display, positive }) => markClick(this.view, display, positive, 'waiting'));
  }
}

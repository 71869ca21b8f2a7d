// When the picture is drawn: once per frame of the screen, however much has changed; the planes at once, 3D when what
// is done rests. Without a graphics card 3D takes a hundred times as long as a plane.

import type { Niivue } from '@niivue/niivue';

/** Nothing has changed for so long. */
const REST_MS = 150;

type Rectangle = [number, number, number, number];
type Tile = Niivue['screenSlices'][number];

export class Frames {
  /** Where the planes are, as parts of the canvas: left, top, width, height. */
  planes: Rectangle[] = [];
  private readonly nv: Niivue;
  private readonly drawAll: () => void;
  private readonly onDraw: () => void;
  private waiting: 'planes' | 'all' | null = null;
  private rest = 0;
  /** 3D waits until `with3D`: the CT is still coming. */
  private without3D = false;
  /** What 3D looks like stays on the canvas, and where it is in niivue's list. */
  private keeps3D = false;
  private tile3D: Tile | null = null;

  constructor(nv: Niivue, onDraw: () => void) {
    this.nv = nv;
    this.onDraw = onDraw;
    const draw = nv.drawScene.bind(nv);
    this.drawAll = () => void draw();
    nv.drawScene = () => this.ask('all');
    this.keep3D();
  }

  /** Draws the planes with the next frame, and 3D when nothing else has been asked for a while. */
  planesFirst(): void {
    this.ask('planes');
  }

  /** What 3D shows is gone, and until `begin3D` nothing takes its place. */
  end3D(): void {
    this.without3D = true;
    this.tile3D = null;
    this.ask('planes');
  }

  begin3D(): void {
    this.without3D = false;
    this.ask('planes');
  }

  /** Draws everything before it returns. */
  now(): void {
    clearTimeout(this.rest);
    this.waiting = null;
    this.keeps3D = this.without3D;
    this.drawAll();
    this.keeps3D = false;
    this.tellBusy(this.without3D && this.nv.volumes.length > 0);
    this.onDraw();
  }

  private ask(what: 'planes' | 'all'): void {
    const asked = this.waiting !== null;
    if (this.waiting !== 'all') this.waiting = what;
    this.tellBusy(true);
    clearTimeout(this.rest);
    if (!asked) requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    if (this.waiting === null) return;
    if (this.waiting === 'all' || !this.planes.length || this.without3D) return this.now();
    this.waiting = null;
    this.keeps3D = true;
    this.drawAll();
    this.keeps3D = false;
    // counted from the end of a frame, which may take longer than the rest
    this.rest = window.setTimeout(() => this.ask('all'), REST_MS);
    this.onDraw();
  }

  private tellBusy(busy: boolean): void {
    this.nv.canvas?.setAttribute('aria-busy', String(busy));
  }

  /** The canvas is not cleared between frames, so what is not drawn anew is still there. */
  private keep3D(): void {
    const { nv } = this;
    const [draw3D, clear] = [nv.draw3D.bind(nv), nv.clearBounds.bind(nv)];
    nv.draw3D = (...how) => {
      if (this.keeps3D) {
        if (this.tile3D) nv.screenSlices.push(this.tile3D);
        return undefined;
      }
      const answer = draw3D(...how);
      this.tile3D = nv.screenSlices.at(-1) ?? null;
      return answer;
    };
    nv.clearBounds = (mask, place) => {
      if (place || !this.keeps3D || !this.tile3D) return clear(mask, place);
      const { width, height } = nv.gl.canvas;
      for (const [left, top, w, h] of this.planes) clear(mask, [left * width, top * height, w * width, h * height]);
    };
  }
}

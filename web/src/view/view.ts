// The picture: niivue behind words of the field. Positions are display voxels (see axes.ts) and CSS pixels of the canvas.

import { Niivue, SLICE_TYPE } from '@niivue/niivue';
import type { Box, LabelBox, Vec3 } from '../api/types.ts';
import type { Layout } from '../session/state.ts';
import { texts } from '../strings.ts';
import { AxisOrder } from './axes.ts';
import { CtVolume, type Geometry, readCt, refuseTooLong } from './ct-volume.ts';
import { Frames } from './frames.ts';
import { emptyTable, makeTexture, tableOf, uploadBox } from './label-texture.ts';
import { LabelVolume, chunksOf } from './label-volume.ts';
import { LAYOUTS } from './layouts.ts';
import { ObliqueTile } from './oblique-tile.ts';
import { PLANES, type Plane, planeOfTile, RENDER_TILE } from './planes.ts';
import { Shaders, type Style } from './shaders.ts';
import { standIn } from './stand-in.ts';
import { NO_SLAB, reachOf, type ThickSlab } from './thick-slab.ts';
import type { HuWindow } from './windows.ts';

const BACKGROUND = [0, 0, 0, 1];
const CROSSHAIR = [0.98, 0.78, 0.25, 0.85];
/** Per cent of the scan's width, and mm, before zooming. */
const [CROSSHAIR_WIDTH, CROSSHAIR_GAP] = [0.25, 6];
const NARROWEST_ZOOM = 0.5;
const WIDEST_ZOOM = 20;
/** While a CT comes, it is drawn again after so many chunks. */
const CHUNKS_AT_ONCE = 10;

/** What lies under the pointer. */
export type Hit = { plane: Plane; display: Vec3 } | { plane: 'render' };

/** Of a plane on the screen, in CSS pixels; `rectangle` is left, top, width, height. */
export interface Placement {
  at: [number, number];
  scale: [number, number];
  rectangle: [number, number, number, number];
}

export interface Location {
  display: Vec3;
  mm: Vec3;
  hu: number;
}

export class View {
  axes: AxisOrder | null = null;
  labels: LabelVolume | null = null;
  /** Called after each frame. */
  onDraw: () => void = () => {};
  layout: Layout = 'all';
  ct: CtVolume | null = null;
  slab: ThickSlab = NO_SLAB;
  readonly oblique: ObliqueTile;
  onLocation: (location: Location) => void = () => {};
  private readonly nv: Niivue;
  private readonly frames: Frames;
  private readonly shaders: Shaders;
  private ctIn3D = 1;

  constructor() {
    this.nv = new Niivue({
      interactive: false, // pointer.ts and keyboard.ts do it
      dragAndDropEnabled: false,
      backColor: BACKGROUND,
      crosshairColor: CROSSHAIR,
      crosshairWidth: CROSSHAIR_WIDTH,
      crosshairWidthUnit: 'percent',
      crosshairGap: CROSSHAIR_GAP,
      isRadiologicalConvention: true, // the patient's right on the left of the screen, as on every CT console
      sagittalNoseLeft: true,
      showAllOrientationMarkers: true,
      fontColor: [0.85, 0.87, 0.9, 1],
      fontSizeScaling: 0.3,
      loadingText: '',
      logLevel: 'error',
    });
    this.shaders = new Shaders(this.nv);
    this.oblique = new ObliqueTile(this, this.nv);
    this.frames = new Frames(this.nv, () => this.onDraw());
    this.nv.drawLut = emptyTable();
    this.nv.drawRimOpacity = 1;
    this.makeLabelsSolidIn3D();
  }

  /** Throws an Error with a readable message where the browser cannot draw in 3D. */
  async attach(canvas: HTMLCanvasElement): Promise<void> {
    // niivue gets the same context when it asks for one; what it does not draw anew stays
    if (!canvas.getContext('webgl2', { alpha: true, antialias: true, preserveDrawingBuffer: true })) {
      throw new Error(texts.page.noWebGl);
    }
    await this.nv.attachToCanvas(canvas, true);
    this.shaders.install();
    this.shaders.add(this.oblique.install());
  }

  /**
   * Shows a CT (NIfTI, gzip or not) with an empty label map, as its slices come. `begin` is called when it takes the
   * place of what was shown. `known`: where it lies, if the server has said so. Throws NotReadHere.
   */
  async load(file: Blob, window: HuWindow, begin: () => void, known?: Geometry): Promise<CtVolume> {
    const ct = await readCt(
      file,
      async (header, slices) => {
        const geometry = { ...header, ...(known && { shape: known.shape, affine: known.affine }) };
        refuseTooLong(this.nv.gl, geometry);
        const image = await standIn(geometry);
        this.clear();
        begin();
        const axes = new AxisOrder(geometry.shape, image.permRAS ?? [1, 2, 3]);
        this.ct = new CtVolume(this.nv.gl, geometry, axes, slices);
        this.axes = axes;
        this.labels = new LabelVolume(axes);
        this.nv.addVolume(image);
        this.nv.drawTexture = makeTexture(this.nv.gl, this.nv.drawTexture, axes.displayShape);
        this.nv.drawBitmap = this.labels.slots;
        this.nv.drawLut = emptyTable();
        this.reset();
        this.setWindow(window);
        this.setSlab(this.slab);
        return this.ct;
      },
      (box, number) => this.showChunk(box, number),
    );
    this.applyCtIn3D();
    this.frames.begin3D();
    return ct;
  }

  clear(): void {
    for (const volume of [...this.nv.volumes]) this.nv.removeVolume(volume);
    if (this.labels) this.nv.closeDrawing();
    this.frames.end3D();
    this.ct?.free();
    this.ct = null;
    this.axes = null;
    this.labels = null;
  }

  /** The slice that is looked at at once, the others now and then: drawing takes time from reading. */
  private showChunk(box: Box, number: number): void {
    const at = this.crosshair.map(Math.round) as Vec3;
    const here = box.every(([start, stop], axis) => (at[axis] ?? 0) >= start && (at[axis] ?? 0) < stop);
    if (here || number % CHUNKS_AT_ONCE === 0) this.frames.planesFirst();
    if (here) this.reportLocation();
  }

  reset(): void {
    this.nv.scene.pan2Dxyzmm = [0, 0, 0, 1];
    this.thinCrosshair();
    this.nv.scene.volScaleMultiplier = 1.1;
    this.nv.scene.crosshairPos = [0.5, 0.5, 0.5];
    this.nv.setRenderAzimuthElevation(150, 12);
    // an even number of slices has its middle between two: show one of them, and know which
    this.moveTo(this.crosshair.map(Math.round) as Vec3);
  }

  setLayout(layout: Layout): void {
    this.layout = layout;
    const planes = LAYOUTS[layout].filter(({ sliceType }) => sliceType !== SLICE_TYPE.RENDER);
    this.frames.planes = layout === 'oblique' ? [] : planes.map(({ position }) => position);
    this.nv.setCustomLayout(LAYOUTS[layout]);
  }

  setWindow(window: HuWindow): void {
    this.shaders.setWindow(window);
    if (this.ct) this.frames.planesFirst();
  }

  setSlab(slab: ThickSlab): void {
    this.slab = slab;
    this.shaders.setSlab(slab, (this.ct?.spacing ?? [1, 1, 1]).map((mm) => reachOf(slab, mm)));
    if (this.ct) this.frames.planesFirst();
  }

  /** niivue has one opacity for planes and 3D alike; this one is for the 3D view only. */
  setCtIn3D(fraction: number): void {
    this.ctIn3D = fraction;
    this.applyCtIn3D();
    this.nv.drawScene();
  }

  setOpacity(opacity: number): void {
    this.nv.drawRimOpacity = opacity > 0 ? Math.min(1, opacity + 0.4) : 0;
    this.nv.drawOpacity = opacity;
    if (this.ct) this.frames.planesFirst();
  }

  /** How each object is drawn, by its id. */
  setObjects(looks: (Omit<Style, 'slot'> & { id: number; colour: string })[]): void {
    if (!this.labels) return;
    const { labels } = this;
    const styles = looks.map(({ id, ...look }) => ({ ...look, slot: labels.slotOf(id) }));
    this.shaders.setLooks(styles);
    this.nv.drawLut = tableOf(styles);
    this.nv.refreshColormaps();
    this.frames.planesFirst();
  }

  /** Takes over a changed box of labels, chunk by chunk: a large one must not stop the page. */
  async takeLabels(changed: LabelBox): Promise<void> {
    const { labels } = this;
    for await (const { box, values } of chunksOf(changed)) {
      if (!labels || labels !== this.labels || !this.nv.drawTexture) return;
      uploadBox(this.nv.gl, this.nv.drawTexture, labels, labels.write(box, values));
    }
    this.frames.planesFirst();
    this.reportLocation();
  }

  /** The picture as a data address. */
  pixels(): string {
    this.frames.now();
    return (this.nv.gl.canvas as HTMLCanvasElement).toDataURL();
  }

  get crosshair(): Vec3 {
    return this.voxelOf(this.nv.scene.crosshairPos);
  }

  moveTo(display: Vec3): void {
    if (!this.axes) return;
    const most = this.axes.displayShape.map((size) => size - 1);
    this.nv.scene.crosshairPos = this.axes.fraction(display.map((at, axis) => Math.min(Math.max(at, 0), most[axis] ?? 0)) as Vec3);
    this.frames.planesFirst();
    this.reportLocation();
  }

  step(plane: Plane, slices: number): void {
    if (!slices) return;
    const at = this.crosshair.map(Math.round) as Vec3;
    at[PLANES[plane].normal] += slices;
    this.moveTo(at);
  }

  /** Zooms the planes about a display voxel. */
  zoom(factor: number, about = this.crosshair): void {
    if (!this.axes) return;
    const pan = this.nv.scene.pan2Dxyzmm;
    const before = pan[3];
    const after = Math.min(WIDEST_ZOOM, Math.max(NARROWEST_ZOOM, before * factor));
    const mm = this.nv.frac2mm(this.axes.fraction(about));
    for (const axis of [0, 1, 2]) pan[axis] = (pan[axis] ?? 0) + (mm[axis] ?? 0) * (before - after);
    pan[3] = after;
    this.thinCrosshair();
  }

  /** As thin on the screen, however large the picture is. */
  private thinCrosshair(): void {
    const zoom = this.nv.scene.pan2Dxyzmm[3];
    this.nv.opts.crosshairGap = CROSSHAIR_GAP / zoom;
    this.nv.opts.crosshairWidth = CROSSHAIR_WIDTH / zoom;
    const drawn = this.nv.crosshairs3D?.mm;
    if (drawn) drawn[0] = Number.NaN; // niivue makes it anew
    this.frames.planesFirst();
  }

  /** Shifts the picture by so many CSS pixels of a plane. */
  pan(plane: Plane, dx: number, dy: number): void {
    const map = this.mapOf(plane);
    if (!map || !this.axes) return;
    const { across, up } = PLANES[plane];
    const spacing: Vec3 = this.ct?.spacing ?? [1, 1, 1];
    const pan = this.nv.scene.pan2Dxyzmm;
    const zoom = pan[3];
    const mm = (axis: 0 | 1 | 2, fraction: number) =>
      fraction * (this.axes?.displayShape[axis] ?? 1) * spacing[axis] * zoom;
    pan[across] = (pan[across] ?? 0) + mm(across, dx * map.perPixel[0]);
    pan[up] = (pan[up] ?? 0) + mm(up, dy * map.perPixel[1]);
    this.frames.planesFirst();
  }

  rotate(dx: number, dy: number): void {
    const { renderAzimuth, renderElevation } = this.nv.scene;
    this.nv.setRenderAzimuthElevation(renderAzimuth + dx * 0.5, renderElevation + dy * 0.5);
  }

  zoom3D(factor: number): void {
    this.nv.setScale(Math.min(4, Math.max(0.4, this.nv.scene.volScaleMultiplier * factor)));
  }

  hit(x: number, y: number): Hit | null {
    if (!this.axes) return null;
    const dpr = this.nv.uiData.dpr ?? 1;
    const index = this.nv.tileIndex(x * dpr, y * dpr);
    const tile = this.nv.screenSlices[index];
    if (!tile) return null;
    if (tile.axCorSag === RENDER_TILE) return { plane: 'render' };
    const plane = planeOfTile(tile.axCorSag);
    const fraction = this.nv.screenXY2TextureFrac(x * dpr, y * dpr, index, true);
    return plane && fraction[0] >= 0 ? { plane, display: this.voxelOf(fraction) } : null;
  }

  /** A display voxel of a plane even where the pointer has left the CT: for drags. */
  project(plane: Plane, x: number, y: number): Vec3 | null {
    const map = this.mapOf(plane);
    if (!map) return null;
    const { across, up } = PLANES[plane];
    const fraction: Vec3 = [...map.fraction];
    fraction[across] += (x - map.centre[0]) * map.perPixel[0];
    fraction[up] += (y - map.centre[1]) * map.perPixel[1];
    return this.voxelOf(fraction);
  }

  /** Where a display voxel lies on the screen, in CSS pixels; null when the plane is not shown or it is outside. */
  screen(plane: Plane, display: Vec3): [number, number] | null {
    const map = this.mapOf(plane);
    if (!map || !this.axes) return null;
    const { across, up } = PLANES[plane];
    const fraction = this.axes.fraction(display);
    const x = map.centre[0] + (fraction[across] - map.fraction[across]) / map.perPixel[0];
    const y = map.centre[1] + (fraction[up] - map.fraction[up]) / map.perPixel[1];
    const [left, top, width, height] = map.rectangle;
    return x >= left && y >= top && x <= left + width && y <= top + height ? [x, y] : null;
  }

  /** How display voxels of a plane (across, up) become CSS pixels, `at + voxel * scale`, and what of the picture it takes. */
  placement(plane: Plane): Placement | null {
    const map = this.mapOf(plane);
    if (!map || !this.axes) return null;
    const { displayShape } = this.axes;
    const { across, up } = PLANES[plane];
    const [sx, sy] = [1 / (map.perPixel[0] * displayShape[across]), 1 / (map.perPixel[1] * displayShape[up])];
    const at = (centre: number, axis: 0 | 1 | 2, scale: number) => centre + (0.5 - map.fraction[axis] * displayShape[axis]) * scale;
    return { at: [at(map.centre[0], across, sx), at(map.centre[1], up, sy)], scale: [sx, sy], rectangle: map.rectangle };
  }

  /** CSS pixels that a display voxel of a plane takes across; 0 when the plane is not shown. */
  pixelsPerVoxel(plane: Plane): number {
    const map = this.mapOf(plane);
    const size = this.axes?.displayShape[PLANES[plane].across] ?? 1;
    return map ? Math.abs(1 / (map.perPixel[0] * size)) : 0;
  }

  /** CSS pixels that a mm takes in a plane; 0 when it is not shown. */
  pixelsPerMm(plane: Plane): number {
    const spacing = this.ct?.spacing[PLANES[plane].across];
    return spacing ? this.pixelsPerVoxel(plane) / spacing : 0;
  }

  /** A plane's part of the picture: left, foot, right, top in CSS pixels; null when the plane is not shown. */
  cornersOf(plane: Plane): [number, number, number, number] | null {
    const place = LAYOUTS[this.layout].find(({ sliceType }) => sliceType === PLANES[plane].tile)?.position;
    const { clientWidth, clientHeight } = this.nv.gl.canvas as HTMLCanvasElement;
    const [x, y, width, height] = place ?? [0, 0, 0, 0];
    return place ? [x * clientWidth, (y + height) * clientHeight, (x + width) * clientWidth, y * clientHeight] : null;
  }

  private voxelOf(fraction: ArrayLike<number>): Vec3 {
    const shape = this.axes?.displayShape ?? [1, 1, 1];
    return shape.map((size, axis) => (fraction[axis] ?? 0) * size - 0.5) as Vec3;
  }

  /** How CSS pixels of a plane become fractions of the volume: measured around the middle of its tile. */
  mapOf(plane: Plane) {
    const { tile, across, up } = PLANES[plane];
    const index = this.nv.screenSlices.findIndex((slice) => slice.axCorSag === tile);
    const slice = this.nv.screenSlices[index];
    if (!slice) return null;
    const dpr = this.nv.uiData.dpr ?? 1;
    const [l, top, w, height] = slice.leftTopWidthHeight as [number, number, number, number];
    const [left, width] = w < 0 ? [l + w, -w] : [l, w];
    const [cx, cy, probe] = [left + width / 2, top + height / 2, Math.min(width, height) / 4];
    const middle = this.nv.screenXY2TextureFrac(cx, cy, index, false);
    const aside = this.nv.screenXY2TextureFrac(cx + probe, cy + probe, index, false);
    const perPixel = (axis: number) => (((aside[axis] ?? 0) - (middle[axis] ?? 0)) / probe) * dpr;
    return {
      centre: [cx / dpr, cy / dpr] as [number, number],
      rectangle: [left / dpr, top / dpr, width / dpr, height / dpr] as [number, number, number, number],
      fraction: [middle[0], middle[1], middle[2]] as Vec3,
      perPixel: [perPixel(across), perPixel(up)] as [number, number],
    };
  }

  /** In the planes the CT must shine through the labels; in 3D half transparent ones are noise. */
  private makeLabelsSolidIn3D(): void {
    const draw = this.nv.drawImage3D.bind(this.nv);
    this.nv.drawImage3D = (...view) => {
      const opacity = this.nv.drawOpacity;
      this.nv.drawOpacity = opacity > 0 ? 1 : 0;
      this.shaders.setSteps(this.axes?.displayShape ?? [1, 1, 1]);
      draw(...view);
      this.nv.drawOpacity = opacity;
    };
  }

  private applyCtIn3D(): void {
    const shader = this.nv.renderShader;
    if (!shader) return;
    shader.use(this.nv.gl);
    this.nv.gl.uniform1f(shader.uniforms['backOpacity'] ?? null, this.ctIn3D);
  }

  private reportLocation(): void {
    const hu = this.ct?.hu(this.crosshair) ?? null;
    if (hu === null) return; // its slice has not come yet
    const mm = this.nv.frac2mm(this.nv.scene.crosshairPos, 0, true);
    this.onLocation({ display: this.crosshair, mm: [mm[0], mm[1], mm[2]], hu });
  }
}

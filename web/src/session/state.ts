// Everything the page knows, in one place; panels listen to the parts they show.

import type { ClassList, KeptMeasurement, Measurement, Row, ScanInfo, ServerInfo, SessionInfo, Vec3 } from '../api/types.ts';
import { type Angles, STRAIGHT } from '../view/oblique.ts';
import { NO_SLAB, type ThickSlab } from '../view/thick-slab.ts';
import { fromLevel, type HuWindow } from '../view/windows.ts';
import type { ShownComparison } from './comparing.ts';
import { keptFavourites } from './favourites.ts';
import type { Looks } from './looks.ts';

export type ToolName = 'navigate' | 'click' | 'box' | 'scribble' | 'lasso' | 'brush' | MeasureName;
export type MeasureName = Measurement['kind'];
/** `all`: the planes and 3D; `oblique`: the planes and one that can be turned. */
export type Layout = 'all' | 'oblique' | 'axial' | 'coronal' | 'sagittal' | 'render';

/** Where the crosshair is. */
export interface Cursor {
  voxel: Vec3;
  mm: Vec3;
  hu: number;
  object: number;
}

/** Something that takes time; `fraction` is null while nobody knows how much is done. */
export interface Work {
  text: string;
  fraction: number | null;
  canCancel: boolean;
}

export interface State {
  info: ServerInfo | null;
  classes: ClassList | null;
  /** Names of classes. */
  favourites: readonly string[];
  /** All of this user, in the order they came. */
  scans: ScanInfo[];
  scan: ScanInfo | null;
  session: SessionInfo | null;
  rows: Row[];
  measurements: KeptMeasurement[];
  comparison: ShownComparison | null;
  active: number | null;
  tool: ToolName;
  /** The next click, box, lasso or stroke takes away instead of adding. */
  negative: boolean;
  /** Radius of the brush, and whether it is a ball instead of a disk on the slice. */
  brushMm: number;
  brushIn3D: boolean;
  /** The brush changes voxels with these HU only, both included; null: all. */
  brushHu: [number, number] | null;
  /** A lasso is a hint to the model instead of the region itself. */
  lassoAsHint: boolean;
  /** A box is drawn and waits to be used. */
  boxDrawn: boolean;
  layout: Layout;
  oblique: Angles;
  /** Chosen; some tools show the slice alone all the same. */
  slab: ThickSlab;
  window: HuWindow;
  opacity: number;
  overlay: boolean;
  looks: Looks;
  /** Only the active object is drawn. */
  solo: boolean;
  /** How much of the CT itself the 3D view shows. */
  ctIn3D: number;
  cursor: Cursor | null;
  work: Work | null;
}

export type Key = keyof State;
type Listener = (state: State) => void;

const START: State = {
  info: null,
  classes: null,
  favourites: keptFavourites(),
  scans: [],
  scan: null,
  session: null,
  rows: [],
  measurements: [],
  comparison: null,
  active: null,
  tool: 'navigate',
  negative: false,
  brushMm: 5,
  brushIn3D: false,
  brushHu: null,
  lassoAsHint: false,
  boxDrawn: false,
  layout: 'all',
  oblique: STRAIGHT,
  slab: NO_SLAB,
  window: fromLevel(40, 400),
  opacity: 0.5,
  overlay: true,
  looks: {},
  solo: false,
  ctIn3D: 0.35,
  cursor: null,
  work: null,
};

export class Store {
  private current: State = { ...START };
  private readonly listeners: { keys: Key[]; listener: Listener }[] = [];

  get state(): Readonly<State> {
    return this.current;
  }

  set(patch: Partial<State>): void {
    const changed = (Object.keys(patch) as Key[]).filter((key) => patch[key] !== this.current[key]);
    if (!changed.length) return;
    this.current = { ...this.current, ...patch };
    for (const { keys, listener } of this.listeners) {
      if (keys.some((key) => changed.includes(key))) listener(this.current);
    }
  }

  /** Calls now, and again whenever one of the keys changes. */
  watch(keys: Key[], listener: Listener): void {
    this.listeners.push({ keys, listener });
    listener(this.current);
  }
}

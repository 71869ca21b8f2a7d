// What the server takes and gives, as JSON; voxels are [x, y, z] of the scan as it lies in its file.

export type Vec3 = [number, number, number];
/** Half-open intervals along x, y and z. */
export type Box = [[number, number], [number, number], [number, number]];

export interface ModelInfo {
  name: string;
  licence: string;
  weights_sha256: string;
  branches: string[];
  class_count: number;
  spacing: Vec3;
}

export interface ServerInfo {
  version: string;
  ready: boolean;
  default_model: string;
  models: ModelInfo[];
  read_formats: string[];
  write_formats: string[];
  limits: { upload_bytes: number; voxels: number };
  features: { class_prompts: boolean; clicks: boolean; paths: boolean; urls: boolean };
}

export interface ClassInfo {
  id: number;
  name: string;
  group: string | null;
  aliases: string[];
  colour: string;
  special: boolean;
  everything: boolean;
}

/** A prompt that is replaced by its parts, such as lung. */
export interface GroupInfo {
  id: number;
  name: string;
  members: number[];
}

export interface ClassList {
  model: string;
  classes: ClassInfo[];
  groups: GroupInfo[];
}

/** Which DICOM series of several, and whether slices that are missing are interpolated. */
export interface SeriesChoice {
  series: string | null;
  fill_gaps: boolean;
}

/** In the work list of its owner. */
export type ScanState = 'open' | 'review' | 'done';

export interface ScanInfo {
  id: string;
  name: string;
  created: string;
  shape: Vec3;
  spacing: Vec3;
  affine: number[][];
  axis_codes: string;
  hu_range: [number, number];
  /** Of the voxels, their grid and type. */
  sha256: string;
  warnings: { code: string; message: string }[];
  from_dicom: boolean;
  state: ScanState;
}

export interface Click {
  voxel: Vec3;
  positive: boolean;
  /** It stands for a box, a scribble or a lasso: nobody clicked there. */
  drawn?: boolean;
}

export interface ObjectInfo {
  /** Also its value in the label map. */
  id: number;
  name: string;
  class_id: number | null;
  colour: string;
  locked: boolean;
  visible: boolean;
  voxels: number;
  clicks: Click[];
  /** Kinds of the edits by hand, oldest first. */
  edits: string[];
  /** What of an automatic result is unlike the cases of training: volume, HU, elongation, place. */
  unlikely: string[];
}

export interface SessionInfo {
  id: string;
  scan_id: string;
  model: string;
  created: string;
  revision: number;
  can_undo: boolean;
  can_redo: boolean;
  objects: ObjectInfo[];
  active_job: JobInfo | null;
}

export interface JobInfo {
  id: string;
  kind: string;
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  progress: { stage: string; done: number; total: number } | null;
  problem: { detail: string; code: string } | null;
  warnings: string[];
}

export interface LabelBox {
  box: Box;
  dtype: 'uint8' | 'uint16';
  /** base64 of gzip of the box's label values, x fastest. */
  data: string;
}

export interface Change {
  session: SessionInfo;
  /** The revision that the box is relative to. */
  since: number;
  labels: LabelBox | null;
  warnings: string[];
}

export interface Row {
  id: number;
  name: string;
  voxels: number;
  volume_ml: number;
  mean_hu: number | null;
  sd_hu: number | null;
  touches_border: boolean;
  unlikely: string[];
}

export interface Table {
  revision: number;
  rows: Row[];
}

/** Points are voxels; an ellipse fills the rectangle between its two. */
export type Measurement = { name: string; points: Vec3[] } & ({ kind: 'ruler' | 'angle' } | { kind: 'ellipse'; axis: number });

/** `null` for what its kind does not measure. */
export interface MeasuredValues {
  length_mm: number | null;
  degrees: number | null;
  area_mm2: number | null;
  voxels: number | null;
  mean_hu: number | null;
  sd_hu: number | null;
  min_hu: number | null;
  max_hu: number | null;
}

export interface KeptMeasurement {
  drawn: Measurement;
  measured: MeasuredValues;
}

/** A structure in the session (first) and in what it is compared with (second); `null` for what cannot be said. */
export interface ComparedRow {
  name: string;
  first_id: number | null;
  second_id: number | null;
  first_ml: number | null;
  second_ml: number | null;
  dice: number | null;
  hd95_mm: number | null;
}

export interface Comparison {
  /** Of the session when it was compared. */
  revision: number;
  rows: ComparedRow[];
  /** The second one's voxels; values are `second_id`. */
  labels: LabelBox | null;
}

/** DICOM only: a Label Map Segmentation; contours that go round holes through a channel. */
export interface ExportOptions {
  labelmap: boolean;
  keyhole: boolean;
}

export interface HistoryEvent {
  revision: number;
  time: string;
  kind: string;
  object: string | null;
  prompt: Record<string, unknown>;
  undone: boolean;
}

export interface ObjectChange {
  name?: string;
  colour?: string;
  locked?: boolean;
  visible?: boolean;
  /** 0 lies lowest. */
  position?: number;
}

export interface Lasso {
  object: number;
  axis: number;
  slice: number;
  points: [number, number][];
  positive: boolean;
}

/** A change of a mask by hand; what it decides no later click changes. */
export type Edit =
  | { kind: 'brush'; points: Vec3[]; radius_mm: number; axis: number | null; add: boolean; hu: [number, number] | null }
  | { kind: 'polygon'; axis: number; slice: number; points: [number, number][]; add: boolean }
  | { kind: 'fill_holes'; axis: number | null }
  | { kind: 'keep_piece'; voxel: Vec3 }
  | { kind: 'interpolate'; axis: number }
  | { kind: 'copy_slice'; axis: number; slice: number; by: 1 | -1 }
  | { kind: 'smooth' | 'margin'; mm: number }
  | { kind: 'combine'; operation: 'union' | 'subtract' | 'intersect'; other: number };

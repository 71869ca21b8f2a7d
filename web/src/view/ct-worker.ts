// Reads a NIfTI file beside the page: unpacks it, and turns chunk after chunk into what the graphics card takes.

import type { Box, Vec3 } from '../api/types.ts';
import { AxisOrder } from './axes.ts';
import { ByteSource } from './byte-source.ts';
import { halfTable } from './half.ts';
import { HEADER_BYTES, type NiftiHeader, readHeader, type Voxels, voxelType } from './nifti.ts';

/** Voxels of a chunk, about: small enough not to stop the page while it goes to the graphics card. */
const CHUNK_VOXELS = 1 << 21;
const [GZIP_FIRST, GZIP_SECOND] = [0x1f, 0x8b];

/** What the worker tells: the header first, then chunks in the order of the file, or what went wrong. */
export type Told =
  | { kind: 'header'; header: NiftiHeader | null; slices: number }
  | { kind: 'chunk'; box: Box; stored: Voxels; halves: Uint16Array<ArrayBuffer>; range: [number, number] }
  | { kind: 'end' }
  | { kind: 'failed'; message: string };

/** What the page asks: a file; and, once it has the header, the order of axes to go on with. */
export type Asked = { file: Blob } | { permutation: number[] };

const tell = (message: Told, transfer: Transferable[] = []) => self.postMessage(message, { transfer });

let goOn: (permutation: number[]) => void = () => {};

self.onmessage = ({ data }: MessageEvent<Asked>) => {
  if ('permutation' in data) goOn(data.permutation);
  else void read(data.file).catch((error: unknown) => tell({ kind: 'failed', message: String(error) }));
};

async function read(file: Blob): Promise<void> {
  const source = new ByteSource(await unpacked(file));
  const first = new ArrayBuffer(HEADER_BYTES);
  const whole = await source.fill(new Uint8Array(first));
  const header = whole ? readHeader(first) : null;
  const slices = header ? Math.max(1, Math.round(CHUNK_VOXELS / (header.shape[0] * header.shape[1]))) : 0;
  const permutation = new Promise<number[]>((resolve) => {
    goOn = resolve;
  });
  tell({ kind: 'header', header, slices });
  if (!header) return;
  source.putBack(new Uint8Array(first));
  await source.skip(header.offset);
  const chunks = new Chunks(header, new AxisOrder(header.shape, await permutation));
  for (let z = 0; z < header.shape[2]; z += slices) {
    await chunks.send(source, z, Math.min(z + slices, header.shape[2]));
  }
  tell({ kind: 'end' });
}

async function unpacked(file: Blob): Promise<ReadableStream<Uint8Array>> {
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  if (first !== GZIP_FIRST || second !== GZIP_SECOND) return file.stream();
  return file.stream().pipeThrough(new DecompressionStream('gzip'));
}

class Chunks {
  private readonly header: NiftiHeader;
  private readonly axes: AxisOrder;
  private readonly table: Uint16Array;
  /** Numbers of other types become whole HU first. */
  private readonly direct: boolean;

  constructor(header: NiftiHeader, axes: AxisOrder) {
    this.header = header;
    this.axes = axes;
    this.direct = [2, 4, 256].includes(header.code);
    this.table = this.direct ? halfTable(header.slope, header.intercept) : halfTable(1, 0);
  }

  async send(source: ByteSource, from: number, to: number): Promise<void> {
    const [nx, ny] = this.header.shape;
    const type = voxelType(this.header);
    const bytes = new ArrayBuffer(nx * ny * (to - from) * type.BYTES_PER_ELEMENT);
    if (!(await source.fill(new Uint8Array(bytes)))) throw new Error('The file ends before its voxels do.');
    const stored = new type(bytes);
    const box = this.axes.boxToDisplay([[0, nx], [0, ny], [from, to]]);
    const { halves, range } = this.convert(stored, to - from);
    tell({ kind: 'chunk', box, stored, halves, range }, [bytes, halves.buffer]);
  }

  /** A chunk in display order, and its least and largest number as they are stored. */
  private convert(stored: Voxels, slices: number): { halves: Uint16Array<ArrayBuffer>; range: [number, number] } {
    const [nx, ny] = this.header.shape;
    const { start, step } = stridesOf(this.axes, [nx, ny, slices]);
    const { direct, table } = this;
    const { slope, intercept } = this.header;
    const halves = new Uint16Array(stored.length);
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    let from = 0;
    for (let z = 0; z < slices; z++) {
      for (let y = 0; y < ny; y++) {
        let to = start + y * step[1] + z * step[2];
        for (let x = 0; x < nx; x++, to += step[0]) {
          const value = stored[from++] as number;
          if (value < low) low = value;
          if (value > high) high = value;
          halves[to] = table[(direct ? value : wholeHu(value * slope + intercept)) & 0xffff] as number;
        }
      }
    }
    return { halves, range: [low, high] };
  }
}

const wholeHu = (hu: number) => Math.max(-32767, Math.min(32767, Math.round(hu)));

/** Where the voxels of a chunk lie in display order. */
function stridesOf(axes: AxisOrder, shape: Vec3): { start: number; step: Vec3 } {
  return new AxisOrder(shape, axes.permutation).strides();
}

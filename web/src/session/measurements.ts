// Lengths, angles and ellipses that the user draws: kept by the server, which measures them on the scan's own voxels.

import { api } from '../api/client.ts';
import type { Measurement, MeasuredValues, ScanInfo, Vec3 } from '../api/types.ts';
import type { Notices } from '../notices.ts';
import { texts } from '../strings.ts';
import type { Store } from './state.ts';

export const KIND_NAMES: Record<Measurement['kind'], string> = texts.measures;

export class Measurements {
  private readonly store: Store;
  private readonly notices: Notices;
  private last: Promise<void> = Promise.resolve();

  constructor(store: Store, notices: Notices) {
    this.store = store;
    this.notices = notices;
  }

  load(session: string): Promise<void> {
    return this.take(async () => (await api.measurements(session)).measurements);
  }

  add(drawn: Measurement): Promise<void> {
    return this.change((all) => [...all, drawn]);
  }

  rename(index: number, name: string): Promise<void> {
    return this.change((all) => all.map((one, at) => (at === index ? { ...one, name } : one)));
  }

  remove(index: number): Promise<void> {
    return this.change((all) => all.filter((_, at) => at !== index));
  }

  /** One after the other, so that what is drawn quickly is not lost. */
  private change(make: (all: Measurement[]) => Measurement[]): Promise<void> {
    this.last = this.last.then(() => this.take(async () => {
      const { session, measurements } = this.store.state;
      if (!session) return [];
      return (await api.setMeasurements(session.id, make(measurements.map(({ drawn }) => drawn)))).measurements;
    }));
    return this.last;
  }

  private async take(get: () => Promise<{ drawn: Measurement; measured: MeasuredValues }[]>): Promise<void> {
    try {
      this.store.set({ measurements: await get() });
    } catch (error) {
      this.notices.error(error);
    }
  }
}

/** Such as "32.5 mm"; what it says of an ellipse takes two lines. */
export function inWords({ length_mm, degrees, area_mm2, mean_hu, sd_hu }: MeasuredValues): string[] {
  const words = texts.measurements;
  if (length_mm !== null) return [words.mm(length_mm.toFixed(1))];
  if (degrees !== null) return [words.degrees(degrees.toFixed(1))];
  const area = words.area(((area_mm2 ?? 0) / 100).toFixed(2));
  return mean_hu === null || sd_hu === null ? [area] : [words.hu(signed(mean_hu), sd_hu.toFixed(0)), area];
}

/** In mm, between voxels of the file. */
export function lengthBetween(scan: ScanInfo, from: Vec3, to: Vec3): number {
  const across = from.map((value, axis) => to[axis as 0 | 1 | 2] - value);
  const mm = [0, 1, 2].map((row) => across.reduce((sum, voxels, axis) => sum + voxels * (scan.affine[row]?.[axis] ?? 0), 0));
  return Math.hypot(...mm);
}

const signed = (value: number) => value.toFixed(0).replace('-', '−');

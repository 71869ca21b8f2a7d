// The session beside another segmentation of its scan: a file, or another session. The server measures.

import { api } from '../api/client.ts';
import type { ComparedRow, Comparison } from '../api/types.ts';
import { texts } from '../strings.ts';
import { LabelVolume, chunksOf } from '../view/label-volume.ts';
import type { View } from '../view/view.ts';
import type { Store } from './state.ts';
import type { Sync } from './sync.ts';

/** What the session is compared with. */
export interface Other {
  name: string;
  source: File | string;
}

export interface ShownComparison extends Comparison {
  other: Other;
  /** The second one's voxels as they are shown. */
  volume: LabelVolume;
  /** The only row that is shown; null: those that both have. */
  chosen: ComparedRow | null;
}

const isCommon = ({ first_id, second_id }: ComparedRow) => first_id !== null && second_id !== null;

/** The structures whose outlines and differences are drawn. */
export function shownRows({ rows, chosen }: ShownComparison): ComparedRow[] {
  return chosen ? [chosen] : rows.filter(isCommon);
}

export class Comparing {
  private readonly store: Store;
  private readonly view: View;
  private readonly sync: Sync;

  constructor(store: Store, view: View, sync: Sync) {
    this.store = store;
    this.view = view;
    this.sync = sync;
  }

  async begin(other: Other): Promise<void> {
    const found = await this.sync.run(texts.compare.working, (session) => api.compare(session.id, other.source));
    const { axes } = this.view;
    if (!found || !axes) return;
    const volume = new LabelVolume(axes);
    if (found.labels) for await (const { box, values } of chunksOf(found.labels)) volume.write(box, values);
    const before = this.store.state.comparison?.chosen?.name;
    const chosen = found.rows.find(({ name }) => name === before) ?? null;
    this.store.set({ comparison: { ...found, other, volume, chosen } });
  }

  /** Shows one structure only and goes there, or all of them again. */
  choose(row: ComparedRow): void {
    const { comparison } = this.store.state;
    if (!comparison) return;
    const chosen = comparison.chosen === row ? null : row;
    this.store.set({ comparison: { ...comparison, chosen } });
    const own = row.first_id === null ? null : this.view.labels?.centre(row.first_id);
    const centre = own ?? (row.second_id === null ? null : comparison.volume.centre(row.second_id));
    if (chosen && centre) this.view.moveTo(centre);
  }

  end(): void {
    this.store.set({ comparison: null });
  }
}

// The scans that the server keeps of this user, in the order they came, and what is left to do with each.

import { api } from '../api/client.ts';
import type { ScanInfo, ScanState } from '../api/types.ts';
import type { Notices } from '../notices.ts';
import { texts } from '../strings.ts';
import type { Opening } from './opening.ts';
import type { Store } from './state.ts';

export const STATE_NAMES: Record<ScanState, string> = texts.states;

export class WorkList {
  private readonly store: Store;
  private readonly opening: Opening;
  private readonly notices: Notices;

  constructor(store: Store, opening: Opening, notices: Notices) {
    this.store = store;
    this.opening = opening;
    this.notices = notices;
    store.watch(['scan'], ({ scan, scans }) => {
      if (scan && !scans.some(({ id }) => id === scan.id)) void this.refresh();
    });
  }

  async refresh(): Promise<void> {
    try {
      const scans = await api.scans();
      this.store.set({ scans: scans.sort((a, b) => a.created.localeCompare(b.created)) });
    } catch (error) {
      this.notices.error(error);
    }
  }

  async setState(id: string, state: ScanState): Promise<void> {
    try {
      const changed = await api.changeScan(id, { state });
      const { scans, scan } = this.store.state;
      this.store.set({
        scans: scans.map((one) => (one.id === id ? changed : one)),
        scan: scan?.id === id ? changed : scan,
      });
    } catch (error) {
      this.notices.error(error);
    }
  }

  async remove(id: string): Promise<void> {
    await api.removeScan(id).catch((error: unknown) => this.notices.error(error));
    await this.refresh();
  }

  /** The scan so many places later in the list, or earlier where below 0; null at its ends. */
  neighbour(by: number): ScanInfo | null {
    const { scans, scan } = this.store.state;
    const place = scans.findIndex(({ id }) => id === scan?.id);
    return place < 0 ? null : (scans[place + by] ?? null);
  }

  async step(by: number): Promise<void> {
    const next = this.neighbour(by);
    if (next) await this.opening.scan(next);
    else if (this.store.state.scan) this.notices.info(by > 0 ? texts.workList.last : texts.workList.first);
  }
}

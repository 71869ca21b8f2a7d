// Keeps the page and the server's session the same: one operation at a time, changes applied in order.

import { api } from '../api/client.ts';
import { ApiError } from '../api/http.ts';
import type { Change, SessionInfo } from '../api/types.ts';
import type { Notices } from '../notices.ts';
import { texts } from '../strings.ts';
import type { View } from '../view/view.ts';
import type { Store } from './state.ts';

const TABLE_DELAY_MS = 250;

export class Sync {
  private readonly store: Store;
  private readonly view: View;
  private readonly notices: Notices;
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private revision = 0;
  private tableTimer = 0;

  constructor(store: Store, view: View, notices: Notices) {
    this.store = store;
    this.view = view;
    this.notices = notices;
  }

  /** Starts from a session whose scan is shown with an empty label map. */
  async begin(session: SessionInfo): Promise<void> {
    this.revision = 0;
    this.store.set({ session, rows: [], active: session.objects.at(-1)?.id ?? null });
    if (session.revision > 0) await this.apply(await api.changes(session.id, 0));
  }

  /** Runs after everything asked before; shows what goes wrong. Gives null then. */
  run<T>(text: string, operation: (session: SessionInfo) => Promise<T>): Promise<T | null> {
    const done = this.last.then(async () => {
      const session = this.store.state.session;
      if (!session) return null;
      try {
        this.store.set({ work: { text, fraction: null, canCancel: false } });
        return await operation(session);
      } catch (error) {
        this.explain(error);
        return null;
      } finally {
        this.waiting--;
        if (!this.waiting) this.store.set({ work: null });
      }
    });
    this.waiting++;
    this.last = done;
    return done;
  }

  /** An operation whose answer is a change. */
  change(text: string, ask: (session: SessionInfo) => Promise<Change>): Promise<Change | null> {
    return this.run(text, async (session) => {
      const change = await ask(session);
      await this.apply(change);
      return change;
    });
  }

  /** Another page, or a job, has changed the session. */
  async catchUp(revision: number): Promise<void> {
    if (this.waiting || revision <= this.revision) return;
    await this.change(texts.work.updating, (session) => api.changes(session.id, this.revision));
  }

  /** The part of the session that this page lacks. */
  missing(session: SessionInfo): Promise<Change> {
    return api.changes(session.id, this.revision);
  }

  private async apply(given: Change): Promise<void> {
    const gap = given.since > this.revision; // somebody else's change lies between
    const change = gap ? await api.changes(given.session.id, this.revision) : given;
    if (change.session.id !== this.store.state.session?.id) return;
    this.revision = change.session.revision;
    if (change.labels) await this.view.takeLabels(change.labels);
    const ids = change.session.objects.map((object) => object.id);
    const active = this.store.state.active;
    this.store.set({ session: change.session, active: active !== null && ids.includes(active) ? active : null });
    for (const warning of new Set([...given.warnings, ...change.warnings])) this.notices.warn(warning);
    this.refreshTable();
  }

  private refreshTable(): void {
    clearTimeout(this.tableTimer);
    this.tableTimer = window.setTimeout(async () => {
      const session = this.store.state.session;
      if (!session) return;
      try {
        const { rows } = await api.table(session.id);
        if (this.store.state.session?.id === session.id) this.store.set({ rows });
      } catch (error) {
        this.explain(error);
      }
    }, TABLE_DELAY_MS);
  }

  private explain(error: unknown): void {
    if (error instanceof ApiError && error.code.startsWith('nothing-to-')) this.notices.info(error.message);
    else this.notices.error(error);
  }
}

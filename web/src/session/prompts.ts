// What a user asks of the session: classes, clicks, boxes, scribbles, lassos, edits; objects and their properties; undo, redo, export.

import { api } from '../api/client.ts';
import type { Box, Change, ClassInfo, Edit, ExportOptions, ObjectChange, ObjectInfo, Vec3 } from '../api/types.ts';
import type { Notices } from '../notices.ts';
import { texts } from '../strings.ts';
import type { View } from '../view/view.ts';
import type { Jobs } from './jobs.ts';
import { saveFile } from './saving.ts';
import type { Store } from './state.ts';
import type { Sync } from './sync.ts';

const words = texts.work;

export class Prompts {
  private readonly store: Store;
  private readonly view: View;
  private readonly sync: Sync;
  private readonly jobs: Jobs;
  private readonly notices: Notices;

  constructor(store: Store, view: View, sync: Sync, jobs: Jobs, notices: Notices) {
    this.store = store;
    this.view = view;
    this.sync = sync;
    this.jobs = jobs;
    this.notices = notices;
  }

  /** Segments by name; what is asked for becomes the active object and comes into sight. */
  async askClasses(classes: 'all' | number[], name: string): Promise<void> {
    const change = await this.sync.change(words.segmenting(name), async (session) => {
      const job = await api.askClasses(session.id, classes);
      const done = await this.jobs.finished(session.id, job);
      if (!done) this.notices.info(words.stopped(name));
      for (const warning of done?.warnings ?? []) this.notices.warn(warning);
      return this.sync.missing(session);
    });
    if (!change || classes === 'all') return;
    const asked = change.session.objects.filter((object) => classes.includes(object.class_id ?? -1));
    const found = asked.filter((object) => object.voxels > 0);
    if (asked.length && !found.length) this.notices.info(words.notFound(name));
    const first = found[0] ?? asked[0];
    if (first) this.select(first.id, true);
  }

  /** A click on the active object; a new object is made where none is active. */
  async click(voxel: Vec3, positive: boolean): Promise<void> {
    const object = await this.target(positive);
    if (object === null) return;
    await this.sync.change(positive ? words.adding : words.takingAway, (session) =>
      api.click(session.id, object, [{ voxel, positive }]));
  }

  async box(box: Box, positive: boolean): Promise<void> {
    const object = await this.target(positive);
    if (object === null) return;
    await this.sync.change(words.boxing, (session) => api.box(session.id, object, box, positive));
  }

  async lasso(axis: number, slice: number, points: [number, number][], positive: boolean): Promise<void> {
    const object = await this.target(positive);
    if (object === null) return;
    await this.sync.change(positive ? words.adding : words.takingAway, (session) =>
      api.lasso(session.id, { object, axis, slice, points, positive }));
  }

  /** A line through what belongs to the active object, or does not. */
  async scribble(points: Vec3[], positive: boolean): Promise<void> {
    const object = await this.target(positive);
    if (object === null) return;
    await this.sync.change(positive ? words.adding : words.takingAway, (session) =>
      api.scribble(session.id, object, points, positive));
  }

  /** What the user draws is so, whatever the model says. */
  async edit(edit: Edit, negative: boolean): Promise<void> {
    const object = await this.target(!negative);
    if (object === null) return;
    await this.sync.change(negative ? words.erasing : words.painting, (session) => api.edit(session.id, object, edit));
  }

  /** A change of all of the active object. */
  async reshape(edit: Edit, what: string): Promise<void> {
    const object = await this.target(false);
    if (object !== null) await this.sync.change(what, (session) => api.edit(session.id, object, edit));
  }

  importLabels(file: File): Promise<Change | null> {
    return this.sync.change(words.readingLabels, (session) => api.startFrom(session.id, file));
  }

  async addObject(name = this.freeName()): Promise<number | null> {
    const change = await this.sync.change(words.newObject, (session) => api.addObject(session.id, name));
    const id = change?.session.objects.at(-1)?.id ?? null;
    if (id !== null) this.select(id, false);
    return id;
  }

  changeObject(id: number, change: ObjectChange): Promise<Change | null> {
    return this.sync.change(words.saving, (session) => api.changeObject(session.id, id, change));
  }

  removeObject(id: number): Promise<Change | null> {
    return this.sync.change(words.removing, (session) => api.removeObject(session.id, id));
  }

  undo(): Promise<Change | null> {
    return this.sync.change(words.undoing, (session) => api.undo(session.id));
  }

  redo(): Promise<Change | null> {
    return this.sync.change(words.redoing, (session) => api.redo(session.id));
  }

  /** So many steps forth in the history, or back where below 0. */
  async travel(steps: number): Promise<void> {
    for (let left = Math.abs(steps); left > 0; left--) {
      if (!(await (steps < 0 ? this.undo() : this.redo()))) return;
    }
  }

  async cancel(): Promise<void> {
    const session = this.store.state.session;
    if (session) await api.cancel(session.id).catch((error: unknown) => this.notices.error(error));
  }

  async save(format: string, options: ExportOptions): Promise<void> {
    const file = await this.sync.run(words.writing, (session) => api.exported(session.id, format, options));
    if (file) saveFile(file.blob, file.name);
  }

  /** Makes an object the one that clicks are about; `bringUp` moves the crosshair to it. */
  select(id: number | null, bringUp: boolean): void {
    this.store.set({ active: id });
    const centre = id !== null && bringUp ? this.view.labels?.centre(id) : null;
    if (centre) this.view.moveTo(centre);
  }

  objectOf(classInfo: ClassInfo): ObjectInfo | undefined {
    return this.store.state.session?.objects.find((object) => object.class_id === classInfo.id);
  }

  private async target(positive: boolean): Promise<number | null> {
    const { active, session } = this.store.state;
    const object = session?.objects.find(({ id }) => id === active);
    if (object?.locked) {
      this.notices.warn(words.locked(object.name));
      return null;
    }
    if (object) return object.id;
    if (positive) return this.addObject();
    this.notices.warn(words.chooseFirst);
    return null;
  }

  private freeName(): string {
    const names = new Set(this.store.state.session?.objects.map((object) => object.name));
    for (let number = 1; ; number++) {
      const name = words.freeName(number);
      if (!names.has(name)) return name;
    }
  }
}

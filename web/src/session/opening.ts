// From a file, a folder of DICOM slices, a path or an address to a scan on the screen with a session.

import { api } from '../api/client.ts';
import { ApiError } from '../api/http.ts';
import type { ScanInfo, SeriesChoice, SessionInfo } from '../api/types.ts';
import type { Notices } from '../notices.ts';
import { chooseSeries, offerFilling } from '../panels/series-dialog.ts';
import { texts } from '../strings.ts';
import { type CtVolume, NotReadHere } from '../view/ct-volume.ts';
import type { View } from '../view/view.ts';
import type { Jobs } from './jobs.ts';
import { keptLooks } from './looks.ts';
import type { Measurements } from './measurements.ts';
import type { Store } from './state.ts';
import type { Sync } from './sync.ts';

const words = texts.open;
/** Files that lie in DICOM folders and are none. */
const NOT_A_SLICE = /(^|\/)(\.|DICOMDIR$|Thumbs\.db$|desktop\.ini$)|\.(txt|xml|html?|pdf|jpe?g|png|exe|inf)$/i;
const SESSION_FILE = /\.ovsession$/i;
/** What this page reads by itself. */
const NIFTI = /\.nii(\.gz)?$/i;
const MEGABYTE = 1024 * 1024;

/** The scan; of several series the one that the user chooses, with missing slices filled if the user wants; or none. */
async function chosen(open: (choice: SeriesChoice) => Promise<ScanInfo>): Promise<ScanInfo | null> {
  let choice: SeriesChoice = { series: null, fill_gaps: false };
  for (;;) {
    try {
      return await open(choice);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === 'several-series' && choice.series === null) {
        const series = await chooseSeries(error.choices);
        if (series === null) return null;
        choice = { ...choice, series };
      } else if (error.code === 'missing-slices' && !choice.fill_gaps) {
        if (!(await offerFilling(error.message))) return null;
        choice = { ...choice, fill_gaps: true };
      } else throw error;
    }
  }
}

export class Opening {
  private readonly store: Store;
  private readonly view: View;
  private readonly sync: Sync;
  private readonly jobs: Jobs;
  private readonly measurements: Measurements;
  private readonly notices: Notices;
  private running = false;

  constructor(store: Store, view: View, sync: Sync, jobs: Jobs, measurements: Measurements, notices: Notices) {
    this.store = store;
    this.view = view;
    this.sync = sync;
    this.jobs = jobs;
    this.measurements = measurements;
    this.notices = notices;
  }

  /** One scan: a single file, or the slices of a folder. A .ovsession continues on the scan that is open. */
  files(given: File[], folder = ''): Promise<boolean> {
    const sessions = given.filter((file) => SESSION_FILE.test(file.name));
    if (sessions.length) return this.savedSession(sessions[0] as File);
    return this.guarded(async () => {
      const files = given.length > 1 ? given.filter((file) => !NOT_A_SLICE.test(file.name)) : given;
      if (!files.length) throw new Error(words.noSlice);
      this.checkSize(files);
      const what = folder || (files.length > 1 ? words.files(files.length) : (files[0] as File).name);
      const before = this.store.state;
      let gone = false;
      const local = await this.look(files, () => {
        gone = true;
        this.empty();
      });
      try {
        const scan = await chosen((choice) =>
          api.sendScan(files, folder, choice, (fraction) => this.tell(words.sending(what), fraction)));
        if (scan) await this.show(scan, null, local);
      } catch (error) {
        if (gone) await this.goBack(before.scan, before.session);
        throw error;
      }
    });
  }

  /** Shows a file at once, before the server has it; nothing where this page cannot. */
  private async look([file, ...others]: File[], begin: () => void): Promise<CtVolume | null> {
    if (!file || others.length || !NIFTI.test(file.name)) return null;
    this.tell(words.loading(file.name), null);
    try {
      return await this.view.load(file, this.store.state.window, begin);
    } catch (error) {
      if (error instanceof NotReadHere) return null; // the server says what is wrong with it, or reads it
      throw error;
    }
  }

  private async goBack(scan: ScanInfo | null, session: SessionInfo | null): Promise<void> {
    this.empty();
    this.view.clear();
    if (scan) await this.show(scan, session);
  }

  private empty(): void {
    this.store.set({ session: null, scan: null, rows: [], measurements: [], comparison: null, active: null, cursor: null });
  }

  path(path: string): Promise<boolean> {
    return this.guarded(async () => {
      this.tell(words.opening(path), null);
      const scan = await chosen((choice) => api.scanFromPath(path, choice));
      if (scan) await this.show(scan, null);
    });
  }

  url(url: string): Promise<boolean> {
    return this.guarded(async () => {
      this.tell(words.fetching, null);
      const scan = await chosen((choice) => api.scanFromUrl(url, choice));
      if (scan) await this.show(scan, null);
    });
  }

  /** A scan the server still has, with its latest session. */
  scan(scan: ScanInfo): Promise<boolean> {
    return this.guarded(async () => {
      const sessions = (await api.sessions()).filter((session) => session.scan_id === scan.id);
      sessions.sort((a, b) => a.created.localeCompare(b.created));
      await this.show(scan, sessions.at(-1) ?? null);
    });
  }

  session(id: string): Promise<boolean> {
    return this.guarded(async () => {
      const session = await api.session(id);
      await this.show(await api.scan(session.scan_id), session);
    });
  }

  private savedSession(file: File): Promise<boolean> {
    return this.guarded(async () => {
      const { scan } = this.store.state;
      if (!scan) throw new Error(words.scanFirst(file.name));
      const session = await api.importSession(scan.id, file, (part) => this.tell(words.sending(file.name), part));
      await this.show(scan, session);
    });
  }

  /** `local`: what is on the screen already, if the server understood it in the same way. */
  private async show(scan: ScanInfo, given: SessionInfo | null, local: CtVolume | null = null): Promise<void> {
    if (!local?.isThat(scan)) {
      this.tell(words.loading(scan.name), null);
      const image = await api.image(scan.id, (fraction) => this.tell(words.loading(scan.name), fraction));
      await this.view.load(image, this.store.state.window, () => this.empty(), scan);
    }
    const session = given ?? (await api.openSession(scan.id));
    this.store.set({ scan, looks: keptLooks(session.id), solo: false });
    await this.sync.begin(session);
    await this.measurements.load(session.id);
    this.jobs.follow(session.id);
    history.replaceState(null, '', `#session=${encodeURIComponent(session.id)}`);
    for (const warning of scan.warnings) this.notices.warn(warning.message);
  }

  /** One opening at a time; what goes wrong is shown, and what was open stays. */
  private async guarded(open: () => Promise<void>): Promise<boolean> {
    if (this.running) return false;
    this.running = true;
    try {
      await open();
      return true;
    } catch (error) {
      this.notices.error(error);
      return false;
    } finally {
      this.running = false;
      this.store.set({ work: null });
    }
  }

  private checkSize(files: File[]): void {
    const most = this.store.state.info?.limits.upload_bytes ?? Number.POSITIVE_INFINITY;
    const size = files.reduce((sum, file) => sum + file.size, 0);
    if (size <= most) return;
    const megabytes = (bytes: number) => words.megabytes(Math.ceil(bytes / MEGABYTE));
    throw new Error(words.tooLarge(megabytes(size), megabytes(most)));
  }

  private tell(text: string, fraction: number | null): void {
    this.store.set({ work: { text, fraction, canCancel: false } });
  }
}

// The native API, call by call.

import { json, readBytes, request, upload, withBody } from './http.ts';
import type {
  Box, Change, ClassList, Click, Comparison, Edit, ExportOptions, HistoryEvent, JobInfo, KeptMeasurement, Lasso, Measurement, ObjectChange,
  ScanInfo, ScanState, SeriesChoice, ServerInfo, SessionInfo, Table, Vec3,
} from './types.ts';

const ROOT = 'api/v1';
type Report = (fraction: number) => void;

const at = (session: string, rest: string) => `${ROOT}/sessions/${encodeURIComponent(session)}/${rest}`;

export const api = {
  info: () => json<ServerInfo>(`${ROOT}/info`),
  classes: (model: string) => json<ClassList>(`${ROOT}/classes?model=${encodeURIComponent(model)}`),

  scans: async () => (await json<{ scans: ScanInfo[] }>(`${ROOT}/scans`)).scans,
  scan: (id: string) => json<ScanInfo>(`${ROOT}/scans/${encodeURIComponent(id)}`),
  removeScan: (id: string) => request(`${ROOT}/scans/${encodeURIComponent(id)}`, { method: 'DELETE' }),
  changeScan: (id: string, change: { name?: string; state?: ScanState }) =>
    json<ScanInfo>(`${ROOT}/scans/${encodeURIComponent(id)}`, withBody('PATCH', change)),
  scanFromPath: (path: string, choice: SeriesChoice) =>
    json<ScanInfo>(`${ROOT}/scans/from-path`, withBody('POST', { path, ...choice })),
  scanFromUrl: (url: string, choice: SeriesChoice) =>
    json<ScanInfo>(`${ROOT}/scans/from-url`, withBody('POST', { url, ...choice })),

  sendScan(files: File[], name: string, choice: SeriesChoice, report: Report): Promise<ScanInfo> {
    const form = new FormData();
    if (name) form.append('name', name);
    if (choice.series) form.append('series', choice.series);
    if (choice.fill_gaps) form.append('fill_gaps', 'true');
    for (const file of files) form.append('file', file, file.name);
    return upload(`${ROOT}/scans`, form, report);
  },

  async image(scan: string, report: Report): Promise<Blob> {
    return readBytes(await request(`${ROOT}/scans/${encodeURIComponent(scan)}/image`), report);
  },

  sessions: async () => (await json<{ sessions: SessionInfo[] }>(`${ROOT}/sessions`)).sessions,
  session: (id: string) => json<SessionInfo>(`${ROOT}/sessions/${encodeURIComponent(id)}`),
  openSession: (scan: string) => json<SessionInfo>(`${ROOT}/sessions`, withBody('POST', { scan_id: scan })),

  importSession(scan: string, file: File, report: Report): Promise<SessionInfo> {
    const form = new FormData();
    form.append('file', file, file.name);
    return upload(`${ROOT}/sessions/import?scan_id=${encodeURIComponent(scan)}`, form, report);
  },

  /** Objects from labels of this scan: a label map, or a DICOM segmentation or RT structure set. */
  startFrom(session: string, file: File): Promise<Change> {
    const form = new FormData();
    form.append('file', file, file.name);
    return json<Change>(at(session, 'segmentation'), { method: 'POST', body: form });
  },

  /** With another segmentation of the scan: a file as for `startFrom`, or a session by its id. */
  compare(session: string, other: File | string): Promise<Comparison> {
    if (typeof other === 'string')
      return json<Comparison>(at(session, `comparison?session=${encodeURIComponent(other)}`), withBody('POST'));
    const form = new FormData();
    form.append('file', other, other.name);
    return json<Comparison>(at(session, 'comparison'), { method: 'POST', body: form });
  },

  /** Answers at once; the job's events and `changes` tell the rest. */
  askClasses: (session: string, classes: 'all' | (number | string)[]) =>
    json<JobInfo>(at(session, 'classes?wait=false'), withBody('POST', { classes })),
  job: (session: string, job: string) => json<JobInfo>(at(session, `jobs/${encodeURIComponent(job)}`)),
  cancel: (session: string) => json<{ cancelled: number }>(at(session, 'cancel'), withBody('POST')),

  click: (session: string, object: number, clicks: Click[]) =>
    json<Change>(at(session, 'clicks'), withBody('POST', { object, clicks })),
  box: (session: string, object: number, box: Box, positive: boolean) =>
    json<Change>(at(session, 'boxes'), withBody('POST', { object, box, positive })),
  scribble: (session: string, object: number, points: Vec3[], positive: boolean) =>
    json<Change>(at(session, 'scribbles'), withBody('POST', { object, points, positive })),
  edit: (session: string, object: number, edit: Edit) =>
    json<Change>(at(session, 'edits'), withBody('POST', { object, edit })),
  lasso: (session: string, lasso: Lasso) => json<Change>(at(session, 'lassos'), withBody('POST', lasso)),

  addObject: (session: string, name: string) => json<Change>(at(session, 'objects'), withBody('POST', { name })),
  changeObject: (session: string, object: number, change: ObjectChange) =>
    json<Change>(at(session, `objects/${object}`), withBody('PATCH', change)),
  removeObject: (session: string, object: number) =>
    json<Change>(at(session, `objects/${object}`), withBody('DELETE')),

  undo: (session: string) => json<Change>(at(session, 'undo'), withBody('POST')),
  redo: (session: string) => json<Change>(at(session, 'redo'), withBody('POST')),
  changes: (session: string, since: number) => json<Change>(at(session, `changes?since=${since}`)),
  table: (session: string) => json<Table>(at(session, 'table')),

  history: (session: string) => json<{ events: HistoryEvent[] }>(at(session, 'history')),
  measurements: (session: string) => json<{ measurements: KeptMeasurement[] }>(at(session, 'measurements')),
  setMeasurements: (session: string, measurements: Measurement[]) =>
    json<{ measurements: KeptMeasurement[] }>(at(session, 'measurements'), withBody('PUT', { measurements })),

  async exported(session: string, format: string, { labelmap, keyhole }: ExportOptions): Promise<{ blob: Blob; name: string }> {
    const answer = await request(at(session, `export?format=${encodeURIComponent(format)}&labelmap=${labelmap}&keyhole=${keyhole}`));
    const name = fileName(answer.headers.get('Content-Disposition')) ?? `segmentation.${format}`;
    return { blob: await answer.blob(), name };
  },

  events: (session: string) => new EventSource(at(session, 'events')),
};

function fileName(disposition: string | null): string | null {
  const encoded = disposition?.match(/filename\*=(?:utf-8|UTF-8)''([^;]+)/)?.[1];
  if (encoded) return decodeURIComponent(encoded);
  return disposition?.match(/filename="?([^";]+)"?/)?.[1] ?? null;
}

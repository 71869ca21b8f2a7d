// Long computations: progress by server-sent events, and asking again where events do not come through.

import { api } from '../api/client.ts';
import { ApiError } from '../api/http.ts';
import type { JobInfo } from '../api/types.ts';
import { texts } from '../strings.ts';
import type { Store } from './state.ts';

/** Without events for so long, the job is asked after. */
const POLL_MS = 5000;
const STAGES: Record<string, string> = texts.work.stages;

type Ended = (job: JobInfo) => void;

const hasEnded = (job: JobInfo) => ['done', 'failed', 'cancelled'].includes(job.state);

export class Jobs {
  onChange: (revision: number) => void = () => {};
  private readonly store: Store;
  private readonly waiting = new Map<string, Ended>();
  private readonly ended = new Map<string, JobInfo>();
  private source: EventSource | null = null;
  private heard = 0;

  constructor(store: Store) {
    this.store = store;
  }

  follow(session: string): void {
    this.source?.close();
    this.source = api.events(session);
    this.source.addEventListener('job', (event) => {
      this.heard = Date.now();
      this.take(JSON.parse(event.data) as JobInfo);
    });
    this.source.addEventListener('change', (event) => {
      this.onChange((JSON.parse(event.data) as { revision: number }).revision);
    });
  }

  /** Waits until a job has ended. Throws ApiError when it failed; gives null when it was cancelled. */
  async finished(session: string, started: JobInfo): Promise<JobInfo | null> {
    const job = await this.end(session, started);
    if (job.state === 'failed') {
      throw new ApiError(job.problem?.detail ?? texts.page.failed, job.problem?.code ?? 'job', 500);
    }
    return job.state === 'done' ? job : null;
  }

  private end(session: string, started: JobInfo): Promise<JobInfo> {
    const known = hasEnded(started) ? started : this.ended.get(started.id);
    if (known) return Promise.resolve(known);
    this.show(started);
    return new Promise((resolve, reject) => {
      const stop = (finish: () => void) => {
        clearInterval(timer);
        this.waiting.delete(started.id);
        finish();
      };
      const timer = setInterval(() => {
        if (Date.now() - this.heard < POLL_MS) return;
        api.job(session, started.id).then(
          (job) => this.take(job),
          (error: unknown) => stop(() => reject(error as Error)),
        );
      }, POLL_MS);
      this.waiting.set(started.id, (job) => stop(() => resolve(job)));
    });
  }

  private take(job: JobInfo): void {
    if (!hasEnded(job)) {
      this.show(job);
      return;
    }
    this.ended.set(job.id, job);
    this.waiting.get(job.id)?.(job);
  }

  private show(job: JobInfo): void {
    const work = this.store.state.work;
    if (!work) return;
    const { progress } = job;
    const stage = progress ? (STAGES[progress.stage] ?? progress.stage) : null;
    const text = job.state === 'queued' ? texts.work.waiting : (stage ?? work.text);
    const fraction = progress?.total ? progress.done / progress.total : null;
    this.store.set({ work: { text, fraction, canCancel: true } });
  }
}

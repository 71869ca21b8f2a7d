// One request: readable errors, and patience with a server that restarts.

import { texts } from '../strings.ts';

const MOST_TRIES = 5;
const LONGEST_WAIT_S = 10;

/** A refusal of the server, or its silence; `message` is one line for people. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  /** What can be asked for instead, and what each is; empty where there is nothing to choose. */
  readonly choices: Record<string, string>;

  constructor(message: string, code: string, status: number, choices: Record<string, string> = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.choices = choices;
  }
}

/** Sends a request and gives its answer if that is a success; repeats it while the server says 503. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    const answer = await send(path, init);
    if (answer.ok) return answer;
    if (answer.status !== 503 || attempt >= MOST_TRIES) throw await refusal(answer);
    await pause(waitSeconds(answer));
  }
}

export async function json<T>(path: string, init: RequestInit = {}): Promise<T> {
  return (await request(path, init)).json() as Promise<T>;
}

export function withBody(method: string, body?: unknown): RequestInit {
  if (body === undefined) return { method };
  return { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
}

/** Sends a form with its progress, which `fetch` cannot tell. */
export function upload<T>(path: string, form: FormData, report: (fraction: number) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const sender = new XMLHttpRequest();
    sender.open('POST', path);
    sender.upload.onprogress = (event) => event.lengthComputable && report(event.loaded / event.total);
    sender.onerror = () => reject(new ApiError(texts.page.silence, 'network', 0));
    sender.onload = () => {
      if (sender.status >= 200 && sender.status < 300) resolve(JSON.parse(sender.responseText) as T);
      else reject(problemOf(sender.status, sender.responseText));
    };
    sender.send(form);
  });
}

/** The body of an answer, with its progress where the server says how long it is. */
export async function readBytes(answer: Response, report: (fraction: number) => void): Promise<Blob> {
  const total = Number(answer.headers.get('Content-Length'));
  if (!answer.body || !total) return answer.blob();
  let done = 0;
  const counter = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      done += chunk.byteLength;
      report(Math.min(1, done / total));
      controller.enqueue(chunk);
    },
  });
  return new Response(answer.body.pipeThrough(counter)).blob();
}

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch {
    throw new ApiError(texts.page.silence, 'network', 0);
  }
}

async function refusal(answer: Response): Promise<ApiError> {
  return problemOf(answer.status, await answer.text());
}

function problemOf(status: number, text: string): ApiError {
  try {
    const { detail, code, choices } = JSON.parse(text) as {
      detail: string; code: string; choices?: Record<string, string>;
    };
    return new ApiError(detail, code, status, choices);
  } catch {
    return new ApiError(texts.page.status(status), 'status', status);
  }
}

function waitSeconds(answer: Response): number {
  const asked = Number(answer.headers.get('Retry-After'));
  return Math.min(LONGEST_WAIT_S, Number.isFinite(asked) && asked > 0 ? asked : 1);
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

// The session's history as a list to go back and forth in.

import type { HistoryEvent } from '../api/types.ts';
import { texts } from '../strings.ts';

export interface Steps {
  /** What the present state is made of, oldest first. */
  past: HistoryEvent[];
  /** What was undone and can come back, the next one first. */
  future: HistoryEvent[];
}

/** Sorts everything that was ever asked: what was undone before something new was done is gone. */
export function sortSteps(events: HistoryEvent[]): Steps {
  const [past, future]: [HistoryEvent[], HistoryEvent[]] = [[], []];
  for (const event of events) {
    const [from, to] = event.kind === 'undo' ? [past, future] : [future, past];
    if (event.kind === 'undo' || event.kind === 'redo') {
      const step = from.pop();
      if (step) to.push(step);
    } else {
      past.push(event);
      future.length = 0;
    }
  }
  return { past, future: future.reverse() };
}

const words = texts.history;
const KINDS: Record<string, string> = words.kinds;
const EDITS: Record<string, string> = words.edits;

/** What was done, and to which object. */
export function describeStep({ kind, object, prompt }: HistoryEvent): { what: string; which: string } {
  const edit = prompt['edit'] as { kind: string; add?: boolean } | undefined;
  const negative = edit ? edit.add === false : prompt['positive'] === false;
  const classes = prompt['classes'];
  const which = object ?? (prompt['name'] as string | undefined) ?? (Array.isArray(classes) ? words.classes(classes.length) : '');
  const what = edit?.kind === 'brush' && negative ? words.erase : (edit ? EDITS[edit.kind] : KINDS[kind]) ?? kind;
  const sign = negative && what !== words.erase ? ' −' : '';
  return { what: what + sign, which };
}

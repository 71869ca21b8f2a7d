// The parts of the page that panels talk to.

import type { Notices } from './notices.ts';
import type { Comparing } from './session/comparing.ts';
import type { Jobs } from './session/jobs.ts';
import type { Measurements } from './session/measurements.ts';
import type { Opening } from './session/opening.ts';
import type { Prompts } from './session/prompts.ts';
import type { Store } from './session/state.ts';
import type { WorkList } from './session/work-list.ts';
import type { View } from './view/view.ts';

export interface App {
  comparing: Comparing;
  store: Store;
  view: View;
  notices: Notices;
  jobs: Jobs;
  measurements: Measurements;
  opening: Opening;
  prompts: Prompts;
  workList: WorkList;
}

// Line drawings on a 24 × 24 grid.

import { svg } from './dom.ts';

const PATHS = {
  open: 'M3 7h6l2 2h10v10H3z',
  navigate: 'M12 3v18M3 12h18M9 6l3-3 3 3M9 18l3 3 3-3M6 9l-3 3 3 3M18 9l3 3-3 3',
  click: 'M12 2v5M12 17v5M2 12h5M17 12h5M12 10.5v3M10.5 12h3',
  box: 'M4 6h16v12H4z',
  scribble: 'M3 17c3-9 6-9 6-3s3 6 5-1 4-7 7-4',
  lasso: 'M7 20c-2-3 4-3 2-6C4 13 2 10 4 7c3-4 13-4 16 0s-2 8-8 8c-2 0-3 0-4-.5',
  brush: 'M20 4c-4 1-8 5-10 9l2 2c4-2 8-6 8-11zM9 14c-3 0-3 3-6 5 3 2 8 1 8-3z',
  ruler: 'M3 17L17 3l4 4L7 21zM8 12l2 2M11 9l2 2M14 6l2 2',
  angle: 'M20 19H4L16 5M11 19a7 7 0 0 0-2.500-5.200',
  ellipse: 'M12 6c5.500 0 9 2.700 9 6s-3.500 6-9 6-9-2.700-9-6 3.500-6 9-6z',
  undo: 'M8 5L4 9l4 4M4 9h9a6 6 0 0 1 0 12H9',
  redo: 'M16 5l4 4-4 4M20 9h-9a6 6 0 0 0 0 12h4',
  visible: 'M2 12c5-8 15-8 20 0-5 8-15 8-20 0zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z',
  hidden: 'M3 3l18 18M9.5 5.8C14 4.600 19 7 22 12c-1 1.700-2.200 3-3.500 4M6 7.500C4.500 8.600 3.100 10 2 12c3 4.900 8 7.200 12.500 6.100',
  locked: 'M6 11h12v9H6zM8 11V8a4 4 0 0 1 8 0v3',
  unlocked: 'M6 11h12v9H6zM8 11V7a4 4 0 0 1 7.500-2',
  remove: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.500 11v5M13.500 11v5',
  rename: 'M4 20l1-5L16 4l4 4L9 19zM14 6l4 4',
  next: 'M9 5l7 7-7 7',
  previous: 'M15 5l-7 7 7 7',
  add: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  save: 'M12 3v12M7 10l5 5 5-5M4 20h16',
  help: 'M9 9a3 3 0 1 1 4.500 2.600c-1 .6-1.500 1.200-1.500 2.400M12 17.500v.5M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20z',
  contrast: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 3v18M12 8h7M12 12h8.500M12 16h7',
  theme: 'M12 3a9 9 0 1 0 9 9c-5 2-11-4-9-9z',
  find: 'M10 4a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM14.500 14.500L20 20',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  check: 'M4 12l5 5L20 6',
  close: 'M5 5l14 14M19 5L5 19',
  star: 'M12 3l2.700 5.800 6.300.7-4.700 4.300 1.300 6.200-5.600-3.200L6.400 20l1.300-6.200L3 9.500l6.300-.7z',
  reset: 'M4 4v6h6M4.600 14a8 8 0 1 0 1.500-7.600L4 10',
} as const;

export type IconName = keyof typeof PATHS;

/** Decoration: its button carries the words. */
export function icon(name: IconName): SVGElement {
  return svg(
    'svg',
    { viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true', focusable: 'false' },
    svg('path', { d: PATHS[name] }),
  );
}

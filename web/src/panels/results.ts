// Volumes, measurements, history and comparison, one at a time.

import type { App } from '../app.ts';
import { comparePanel } from './compare.ts';
import { historyList } from './history.ts';
import { measurementList } from './measurements.ts';
import { volumeTable } from './table.ts';
import { texts } from '../strings.ts';
import { tabs } from './tabs.ts';

export function resultPanel(app: App): HTMLElement {
  const volumes = volumeTable(app);
  const history = historyList(app);
  const compare = comparePanel(app);
  const shown = (id: string) => {
    history.setShown(id === 'history');
    compare.setShown(id === 'compare');
  };
  const element = tabs(texts.results.title, shown,
    { id: 'volumes', label: texts.results.volumes, content: volumes.element, action: volumes.copy },
    { id: 'measurements', label: texts.results.measurements, content: measurementList(app) },
    { id: 'history', label: texts.results.history, content: history.element },
    { id: 'compare', label: texts.results.compare, content: compare.element });
  let before = 0;
  app.store.watch(['measurements'], ({ measurements, tool }) => {
    // what was just drawn comes into sight
    if (measurements.length > before && tool !== 'navigate') element.querySelector<HTMLElement>('#tab-measurements')?.click();
    before = measurements.length;
  });
  return element;
}

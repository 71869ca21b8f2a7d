// Volumes, measurements and history, one at a time.

import type { App } from '../app.ts';
import { historyList } from './history.ts';
import { measurementList } from './measurements.ts';
import { volumeTable } from './table.ts';
import { tabs } from './tabs.ts';

export function resultPanel(app: App): HTMLElement {
  const volumes = volumeTable(app);
  const history = historyList(app);
  const element = tabs('Results', (id) => history.setShown(id === 'history'),
    { id: 'volumes', label: 'Volumes', content: volumes.element, action: volumes.copy },
    { id: 'measurements', label: 'Measurements', content: measurementList(app) },
    { id: 'history', label: 'History', content: history.element });
  let before = 0;
  app.store.watch(['measurements'], ({ measurements, tool }) => {
    // what was just drawn comes into sight
    if (measurements.length > before && tool !== 'navigate') element.querySelector<HTMLElement>('#tab-measurements')?.click();
    before = measurements.length;
  });
  return element;
}

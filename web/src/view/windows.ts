// HU windows by which CTs are read: level and width as radiology departments set them.

import { texts } from '../strings.ts';

export interface HuWindow {
  low: number;
  high: number;
}

export interface WindowPreset {
  name: string;
  level: number;
  width: number;
}

export const WINDOW_PRESETS: WindowPreset[] = [
  { name: texts.windows.softTissue, level: 40, width: 400 },
  { name: texts.windows.lung, level: -600, width: 1500 },
  { name: texts.windows.bone, level: 400, width: 1800 },
  { name: texts.windows.brain, level: 40, width: 80 },
  { name: texts.windows.liver, level: 60, width: 160 },
  { name: texts.windows.mediastinum, level: 50, width: 350 },
];

const NARROWEST = 2;

export function fromLevel(level: number, width: number): HuWindow {
  const half = Math.max(NARROWEST, width) / 2;
  return { low: level - half, high: level + half };
}

export const levelOf = (window: HuWindow) => Math.round((window.low + window.high) / 2);
export const widthOf = (window: HuWindow) => Math.round(window.high - window.low);

export function presetOf(window: HuWindow): WindowPreset | undefined {
  return WINDOW_PRESETS.find(({ level, width }) => level === levelOf(window) && width === widthOf(window));
}

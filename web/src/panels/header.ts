// The first line: open, what is open, window, export, help, dark or light.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import { switchTheme } from '../theme.ts';
import { menu, menuItem } from './menu.ts';
import { windowControls } from './window-level.ts';

const FORMATS: { format: string; label: string; about: string }[] = [
  { format: 'nii.gz', label: 'NIfTI (.nii.gz)', about: 'label map with names' },
  { format: 'seg.nrrd', label: '3D Slicer (.seg.nrrd)', about: 'segments with names and colours' },
  { format: 'dicom-seg', label: 'DICOM SEG (.dcm)', about: 'for the PACS, on the slices of the series' },
  { format: 'dicom-rtstruct', label: 'DICOM RTSTRUCT (.dcm)', about: 'contours for planning systems' },
  { format: 'dicom-sr', label: 'DICOM SR (.dcm)', about: 'report of volumes and mean HU' },
  { format: 'glb', label: 'Surfaces (.glb)', about: 'named and coloured, for 3D programs and web pages' },
  { format: 'obj', label: 'Surfaces (.obj)', about: 'named groups, mm' },
  { format: 'stl.zip', label: 'Surfaces (.stl in a .zip)', about: 'a file per structure, for printing and CAD' },
  { format: 'ovsession', label: 'Session (.ovsession)', about: 'to carry on later, clicks and history included' },
];

export function header(app: App, open: () => void, help: () => void): HTMLElement {
  const name = h('span', { class: 'scan-name' });
  app.store.watch(['scan', 'info'], ({ scan, info }) => {
    name.textContent = scan ? `${scan.name}  ·  ${scan.shape.join(' × ')}  ·  ${scan.spacing.map(short).join(' × ')} mm` : '';
    name.title = info ? `Model ${info.default_model}` : '';
  });
  return h('header', { class: 'top' },
    h('h1', {}, 'Open', h('b', {}, 'VISTA')),
    h('button', { class: 'with-icon', id: 'open', title: 'Open a CT (O)', onclick: open }, icon('open'), 'Open…'),
    name,
    windowControls(app),
    exportMenu(app),
    h('button', { class: 'plain tool', 'aria-label': 'Dark or light', title: 'Dark or light', onclick: switchTheme }, icon('theme')),
    h('button', { class: 'plain tool', 'aria-label': 'Keys and help', title: 'Keys and help (?)', onclick: help }, icon('help')));
}

function exportMenu(app: App): HTMLElement {
  const items = FORMATS.map(({ format, label, about }) => {
    const item = menuItem(label, about, () => void app.prompts.save(format));
    item.dataset['format'] = format;
    return item;
  });
  const element = menu('export', 'save', 'Export', ...items);
  app.store.watch(['session'], ({ session }) => element.classList.toggle('disabled', !session));
  app.store.watch(['scan'], ({ scan }) => {
    for (const item of items) item.hidden = Boolean(item.dataset.format?.startsWith('dicom')) && !scan?.from_dicom;
  });
  return element;
}

const short = (value: number) => String(Math.round(value * 100) / 100);

// Everything that can be taken away: label maps, DICOM, surfaces, tables, a report, the session.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import { writeReport } from '../session/report.ts';
import { saveFile } from '../session/saving.ts';
import { measurementsAsCsv, volumesAsCsv } from '../session/tables.ts';

interface Format {
  format: string;
  label: string;
  about: string;
}

const LABEL_MAPS: Format[] = [
  { format: 'nii.gz', label: 'NIfTI (.nii.gz)', about: 'label map with names' },
  { format: 'nii', label: 'NIfTI (.nii)', about: 'the same, not compressed' },
  { format: 'seg.nrrd', label: '3D Slicer (.seg.nrrd)', about: 'segments with names and colours' },
  { format: 'nrrd', label: 'NRRD (.nrrd)', about: 'label map' },
  { format: 'mha', label: 'MetaImage (.mha)', about: 'label map' },
];
const DICOM: Format[] = [
  { format: 'dicom-seg', label: 'DICOM SEG (.dcm)', about: 'for the PACS, on the slices of the series' },
  { format: 'dicom-rtstruct', label: 'DICOM RTSTRUCT (.dcm)', about: 'contours for planning systems' },
  { format: 'dicom-sr', label: 'DICOM SR (.dcm)', about: 'report of volumes and mean HU' },
];
const SURFACES: Format[] = [
  { format: 'glb', label: 'glTF (.glb)', about: 'named and coloured, for 3D programs and web pages' },
  { format: 'obj', label: 'OBJ (.obj)', about: 'named groups, mm' },
  { format: 'stl', label: 'STL (.stl)', about: 'all in one, for printing and CAD' },
  { format: 'stl.zip', label: 'STL (.stl in a .zip)', about: 'a file per structure' },
];
const TABLES: Format[] = [
  { format: 'volumes.csv', label: 'Volumes (.csv)', about: 'volume and HU of every structure' },
  { format: 'measurements.csv', label: 'Measurements (.csv)', about: 'lengths, angles, HU of ellipses' },
  { format: 'report.html', label: 'Report (.html)', about: 'picture, volumes and measurements, to print' },
];
const SESSION: Format[] = [
  { format: 'ovsession', label: 'Session (.ovsession)', about: 'to carry on later: objects, clicks, history' },
];
const NO_SLICES = 'The scan did not come as DICOM, so there are no slices to lie on.';

export function exportDialog(app: App, layer: SVGSVGElement): HTMLDialogElement {
  const labelmap = option('export-labelmap', 'SEG as Label Map Segmentation: newer and smaller');
  const keyhole = option('export-keyhole', 'RTSTRUCT with channels into holes');
  const options = () => ({ labelmap: box(labelmap).checked, keyhole: box(keyhole).checked });
  const served = ({ format }: Format) => app.prompts.save(format, options());
  const dicom = DICOM.map((one) => item(one, () => served(one)));
  const dialog = h('dialog', { class: 'export-dialog', 'aria-labelledby': 'export-title' },
    h('div', { class: 'dialog-head' }, h('h2', { id: 'export-title' }, 'Export'),
      h('form', { method: 'dialog' }, h('button', { class: 'plain tool', 'aria-label': 'Close' }, icon('close')))),
    h('div', { class: 'columns' },
      h('div', {}, ...group('Label map', LABEL_MAPS.map((one) => item(one, () => served(one))))),
      h('div', {}, ...group('DICOM', dicom), labelmap, keyhole,
        ...group('Session', SESSION.map((one) => item(one, () => served(one))))),
      h('div', {}, ...group('Surfaces', SURFACES.map((one) => item(one, () => served(one))))),
      h('div', {}, ...group('Tables and report', TABLES.map((one) => item(one, () => saveTable(app, layer, one.format)))))));
  app.store.watch(['scan'], ({ scan }) => {
    for (const button of dicom) {
      button.disabled = !scan?.from_dicom;
      button.title = button.disabled ? NO_SLICES : '';
    }
    labelmap.hidden = keyhole.hidden = !scan?.from_dicom;
  });
  return dialog;
}

function saveTable(app: App, layer: SVGSVGElement, format: string): void {
  const { state } = app.store;
  const name = `${state.scan?.name ?? 'scan'}_${format}`;
  if (format === 'volumes.csv') saveFile(volumesAsCsv(state.rows), name, 'text/csv');
  else if (format === 'measurements.csv') saveFile(measurementsAsCsv(state.measurements), name, 'text/csv');
  else {
    const { width, height } = layer.getBoundingClientRect();
    const picture = { pixels: app.view.pixels(), width, height, drawn: layer.innerHTML };
    saveFile(writeReport(state, picture, new Date()), name, 'text/html');
  }
}

function group(title: string, items: HTMLElement[]): HTMLElement[] {
  return [h('h3', {}, title), ...items];
}

function item({ format, label, about }: Format, save: () => unknown): HTMLButtonElement {
  return h('button', { class: 'plain format', 'data-format': format, onclick: save }, h('b', {}, label), h('small', {}, about));
}

function option(id: string, text: string): HTMLLabelElement {
  return h('label', { class: 'slider' }, h('input', { type: 'checkbox', id }), text);
}

const box = (label: HTMLLabelElement) => label.control as HTMLInputElement;

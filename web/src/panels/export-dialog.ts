// Everything that can be taken away: label maps, DICOM, surfaces, tables, a report, the session.

import type { App } from '../app.ts';
import { h } from '../dom.ts';
import { icon } from '../icons.ts';
import { writeReport } from '../session/report.ts';
import { saveFile } from '../session/saving.ts';
import { measurementsAsCsv, volumesAsCsv } from '../session/tables.ts';
import { texts } from '../strings.ts';

const words = texts.export;
type Format = keyof typeof words.formats;

const LABEL_MAPS: Format[] = ['nii.gz', 'nii', 'seg.nrrd', 'nrrd', 'mha'];
const DICOM: Format[] = ['dicom-seg', 'dicom-rtstruct', 'dicom-sr'];
const SURFACES: Format[] = ['glb', 'obj', 'stl', 'stl.zip'];
const TABLES: Format[] = ['volumes.csv', 'measurements.csv', 'report.html'];
const SESSION: Format[] = ['ovsession'];

export function exportDialog(app: App, layer: SVGSVGElement): HTMLDialogElement {
  const labelmap = option('export-labelmap', words.labelmapSeg);
  const keyhole = option('export-keyhole', words.keyhole);
  const options = () => ({ labelmap: box(labelmap).checked, keyhole: box(keyhole).checked });
  const served = (format: Format) => app.prompts.save(format, options());
  const dicom = DICOM.map((one) => item(one, () => served(one)));
  const dialog = h('dialog', { class: 'export-dialog', 'aria-labelledby': 'export-title' },
    h('div', { class: 'dialog-head' }, h('h2', { id: 'export-title' }, words.title),
      h('form', { method: 'dialog' }, h('button', { class: 'plain tool', 'aria-label': texts.page.close }, icon('close')))),
    h('div', { class: 'columns' },
      h('div', {}, ...group(words.labelMap, LABEL_MAPS.map((one) => item(one, () => served(one))))),
      h('div', {}, ...group(words.dicom, dicom), labelmap, keyhole,
        ...group(words.session, SESSION.map((one) => item(one, () => served(one))))),
      h('div', {}, ...group(words.surfaces, SURFACES.map((one) => item(one, () => served(one))))),
      h('div', {}, ...group(words.tables, TABLES.map((one) => item(one, () => saveTable(app, layer, one)))))));
  app.store.watch(['scan'], ({ scan }) => {
    for (const button of dicom) {
      button.disabled = !scan?.from_dicom;
      button.title = button.disabled ? words.noSlices : '';
    }
    labelmap.hidden = keyhole.hidden = !scan?.from_dicom;
  });
  return dialog;
}

function saveTable(app: App, layer: SVGSVGElement, format: Format): void {
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

function item(format: Format, save: () => unknown): HTMLButtonElement {
  const [label, about] = words.formats[format];
  return h('button', { class: 'plain format', 'data-format': format, onclick: save }, h('b', {}, label), h('small', {}, about));
}

function option(id: string, text: string): HTMLLabelElement {
  return h('label', { class: 'slider' }, h('input', { type: 'checkbox', id }), text);
}

const box = (label: HTMLLabelElement) => label.control as HTMLInputElement;

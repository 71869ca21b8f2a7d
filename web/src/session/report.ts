// A report to read and print: one HTML file that needs nothing else.

import type { KeptMeasurement, ModelInfo, ObjectInfo, Row, ScanInfo } from '../api/types.ts';
import { language, texts } from '../strings.ts';
import { inWords, KIND_NAMES } from './measurements.ts';
import type { State } from './state.ts';

/** The picture as it is shown: its pixels as a data address, and what lies over them as SVG. */
export interface Picture {
  pixels: string;
  width: number;
  height: number;
  drawn: string;
}

const words = texts.report;
const STYLE = `
  @page { size: A4; margin: 16mm; }
  body { max-width: 180mm; margin: 8mm auto; color: #16202a; font: 10.5pt/1.45 system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; }
  h1 { margin: 0; font-size: 18pt; font-weight: 600; }
  h2 { margin: 7mm 0 2mm; font-size: 12pt; }
  p { margin: 1mm 0; }
  .faint { color: #55626f; }
  .facts { display: grid; grid-template-columns: auto 1fr; gap: 0.5mm 6mm; margin: 4mm 0; }
  .facts dt { color: #55626f; }
  .facts dd { margin: 0; overflow-wrap: anywhere; }
  figure { position: relative; margin: 5mm 0; overflow: hidden; border-radius: 2mm; break-inside: avoid; }
  figure img { display: block; width: 100%; }
  figure svg { position: absolute; inset: 0; width: 100%; height: 100%; }
  table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th { color: #55626f; font-weight: 500; }
  th, td { padding: 1mm 2mm; border-bottom: 0.2mm solid #cfd6dd; text-align: left; }
  tr { break-inside: avoid; }
  .number { text-align: right; white-space: nowrap; }
  .swatch { display: inline-block; width: 3mm; height: 3mm; margin-right: 2mm; border: 0.2mm solid #888; border-radius: 0.7mm; }
  .measure :is(path, ellipse) { fill: none; stroke: #6fe3ff; stroke-width: 1.6; }
  .measure circle, .measure text { fill: #6fe3ff; }
  .measure text { font: 12px sans-serif; }
  .scale-bar path { fill: none; stroke: #d5dbe1; stroke-width: 1.5; }
  .scale-bar text { fill: #d5dbe1; font: 11px sans-serif; text-anchor: middle; }
  .slab-mark { fill: #fac740; font: 12px sans-serif; }
  .mark { display: none; }
  .foot { margin-top: 8mm; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }`;

export function writeReport(state: Readonly<State>, picture: Picture, now: Date): string {
  const { scan, session, info, rows, measurements } = state;
  if (!scan || !session) return '';
  const model = info?.models.find(({ name }) => name === session.model);
  return `<!doctype html>
<html lang="${language}"><head><meta charset="utf-8"><title>${safe(words.title(scan.name))}</title><style>${STYLE}</style></head><body>
<h1>${safe(scan.name)}</h1>
<p class="faint">${safe(words.subtitle(now.toLocaleString()))}</p>
${facts(scan, model, info?.version ?? '')}
${figure(picture)}
${volumes(rows, session.objects)}
${measured(measurements)}
${scan.warnings.length ? `<h2>${words.warnings}</h2>${scan.warnings.map(({ message }) => `<p>${safe(message)}</p>`).join('')}` : ''}
<p class="faint foot">${words.research}</p>
</body></html>
`;
}

function facts(scan: ScanInfo, model: ModelInfo | undefined, version: string): string {
  const lines: [string, string][] = [
    [words.voxels, `${scan.shape.join(' × ')}, ${scan.spacing.map((mm) => mm.toFixed(2)).join(' × ')} ${texts.units.mm}, ${scan.axis_codes}`],
    [words.sha256, scan.sha256],
    [words.model, model ? words.modelAbout(model.name, model.licence, model.weights_sha256) : words.noModel],
    [words.software, words.softwareAbout(version)],
  ];
  return `<dl class="facts">${lines.map(([name, value]) => `<dt>${name}</dt><dd>${safe(value)}</dd>`).join('')}</dl>`;
}

function figure({ pixels, width, height, drawn }: Picture): string {
  return `<figure><img src="${pixels}" alt="${words.picture}">
<svg viewBox="0 0 ${width} ${height}" aria-hidden="true">${drawn}</svg></figure>`;
}

function volumes(rows: Row[], objects: ObjectInfo[]): string {
  if (!rows.length) return `<h2>${words.structures}</h2><p>${words.noStructures}</p>`;
  const lines = rows.map((row) => {
    const object = objects.find(({ id }) => id === row.id);
    const notes = [row.touches_border && words.touches, ...row.unlikely.map((what) => words.unlikely(what))];
    return `<tr><td><span class="swatch" style="background:${object?.colour ?? '#888'}"></span>${safe(row.name)}</td>
<td class="number">${row.volume_ml.toFixed(2)}</td><td class="number">${whole(row.mean_hu)}</td><td class="number">${whole(row.sd_hu)}</td>
<td>${origin(object)}</td><td>${safe(notes.filter(Boolean).join('; '))}</td></tr>`;
  });
  return `<h2>${words.structures}</h2><table><tr><th>${words.name}</th><th class="number">${texts.units.ml}</th><th class="number">${words.meanHu}</th>
<th class="number">${words.sd}</th><th>${words.madeBy}</th><th>${words.notes}</th></tr>${lines.join('')}</table>`;
}

function measured(measurements: KeptMeasurement[]): string {
  if (!measurements.length) return '';
  const lines = measurements.map(({ drawn, measured: values }) =>
    `<tr><td>${safe(drawn.name || texts.units.none)}</td><td>${KIND_NAMES[drawn.kind]}</td><td class="number">${safe(inWords(values).join(', '))}</td></tr>`);
  return `<h2>${words.measurements}</h2><table><tr><th>${words.name}</th><th>${words.kind}</th><th class="number">${words.value}</th></tr>${lines.join('')}</table>`;
}

/** Of an object: the model alone, or with somebody's help. */
function origin(object: ObjectInfo | undefined): string {
  if (!object) return '';
  const by = object.clicks.length ? words.clicks(object.clicks.length) : object.class_id === null ? '' : words.byModel;
  const edits = object.edits.length ? words.edits(object.edits.length) : '';
  return [by, edits].filter(Boolean).join(', ') || words.import;
}

const whole = (value: number | null) => (value === null ? texts.units.none : value.toFixed(0).replace('-', '−'));

function safe(text: string): string {
  const codes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => codes[character] as string);
}

// Volumes, measurements and comparisons as CSV (RFC 4180), numbers as the server gives them.

import type { ComparedRow, KeptMeasurement, Row } from '../api/types.ts';

type Cell = string | number | boolean | null;

export function volumesAsCsv(rows: Row[]): string {
  const head = ['structure', 'voxels', 'volume_ml', 'mean_hu', 'sd_hu', 'touches_border', 'unlikely'];
  return csv([head, ...rows.map((row) => [
    row.name, row.voxels, row.volume_ml, row.mean_hu, row.sd_hu, row.touches_border, row.unlikely.join(' '),
  ])]);
}

export function measurementsAsCsv(measurements: KeptMeasurement[]): string {
  const head = ['kind', 'name', 'length_mm', 'degrees', 'area_mm2', 'voxels', 'mean_hu', 'sd_hu', 'min_hu', 'max_hu', 'points_xyz'];
  return csv([head, ...measurements.map(({ drawn, measured: { length_mm, degrees, area_mm2, voxels, mean_hu, sd_hu, min_hu, max_hu } }) => [
    drawn.kind, drawn.name, length_mm, degrees, area_mm2, voxels, mean_hu, sd_hu, min_hu, max_hu,
    drawn.points.map((point) => point.join(' ')).join('; '),
  ])]);
}

export function comparisonAsCsv(rows: ComparedRow[]): string {
  const head = ['structure', 'dice', 'first_ml', 'second_ml', 'hd95_mm'];
  return csv([head, ...rows.map((row) => [row.name, row.dice, row.first_ml, row.second_ml, row.hd95_mm])]);
}

function csv(lines: Cell[][]): string {
  return lines.map((line) => line.map(quoted).join(',')).join('\r\n') + '\r\n';
}

/** What a spreadsheet would take for a formula is kept as text. */
function quoted(cell: Cell): string {
  const text = cell === null ? '' : String(cell);
  const safe = typeof cell === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

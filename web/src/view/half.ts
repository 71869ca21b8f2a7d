// HU as the graphics card keeps them: half floats, which it interpolates. Exact from -2048 to 2048 HU, to 2 HU up to 4096.

const INT16 = 65536;
const MOST = 32767;

/** The bits of the nearest half float; for whole numbers of 16 bits. */
function halfOf(value: number): number {
  const sign = value < 0 ? 0x8000 : 0;
  let size = Math.abs(value);
  if (size < 1) return sign ? 0x8000 : 0;
  let exponent = Math.floor(Math.log2(size));
  size = Math.round((size / 2 ** exponent - 1) * 1024);
  if (size === 1024) [size, exponent] = [0, exponent + 1];
  return sign | ((exponent + 15) << 10) | size;
}

/** Half floats of `stored * slope + intercept` by the 16 bits of a stored number, rounded to whole HU. */
export function halfTable(slope: number, intercept: number): Uint16Array<ArrayBuffer> {
  const table = new Uint16Array(INT16);
  for (let bits = 0; bits < INT16; bits++) {
    const stored = bits > MOST ? bits - INT16 : bits;
    table[bits] = halfOf(Math.max(-MOST, Math.min(MOST, Math.round(stored * slope + intercept))));
  }
  return table;
}

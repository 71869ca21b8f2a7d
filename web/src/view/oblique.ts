// A plane through the crosshair that stands as the user turns it: read from the same textures as the other planes.
// Places are display voxels; directions and distances are mm along the display's axes (right, anterior, superior).

import type { Niivue } from '@niivue/niivue';
import type { Vec3 } from '../api/types.ts';
import { CT_COLOUR, DRAW_COLOUR, LOOK, SLAB } from './shaders.ts';

/** Degrees. At 0 and 0 it is the axial plane; tilted by 90 it stands upright: coronal, or sagittal when turned by 90. */
export interface Angles {
  /** About the body's long axis, -180 to 180. */
  turn: number;
  /** Up from the axial plane, -90 to 90. */
  tilt: number;
}

export const STRAIGHT: Angles = { turn: 0, tilt: 0 };
export const MOST: Angles = { turn: 180, tilt: 90 };

/** A drag across turns the plane, up or down tilts it; degrees. */
export function turned({ turn, tilt }: Angles, by: Angles): Angles {
  const around = turn + by.turn;
  return {
    turn: around > MOST.turn ? around - 360 : around < -MOST.turn ? around + 360 : around,
    tilt: Math.max(-MOST.tilt, Math.min(MOST.tilt, tilt + by.tilt)),
  };
}

/** Unit vectors: to the right of the screen, up, and out of it towards the eye. */
export interface Frame {
  across: Vec3;
  up: Vec3;
  normal: Vec3;
}

/** Left of the patient to the right of the screen, as in the other planes. */
export function frameOf({ turn, tilt }: Angles): Frame {
  const [t, e] = [(turn * Math.PI) / 180, (tilt * Math.PI) / 180];
  const across: Vec3 = [-Math.cos(t), -Math.sin(t), 0];
  const ahead: Vec3 = [-Math.sin(t), Math.cos(t), 0];
  const up: Vec3 = [ahead[0] * Math.cos(e), ahead[1] * Math.cos(e), Math.sin(e)];
  return { across, up, normal: cross(across, up) };
}

export function cross([a, b, c]: Vec3, [x, y, z]: Vec3): Vec3 {
  return [b * z - c * y, c * x - a * z, a * y - b * x];
}

export const dot = (a: Vec3, b: Vec3): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

const VERTEX = `#version 300 es
uniform vec2 halfMm;
out vec2 mm;
void main() {
	vec2 corner = vec2(float(gl_VertexID % 2), float(gl_VertexID / 2)) * 2.0 - 1.0;
	mm = corner * halfMm;
	gl_Position = vec4(corner, 0.0, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision highp int;
precision highp float;
uniform highp sampler3D drawing;
uniform highp sampler2D colormap;
uniform vec4 looks[64];
uniform float drawOpacity;
uniform float drawRimOpacity;
uniform vec3 middle;
uniform vec3 perMmAcross;
uniform vec3 perMmUp;
uniform vec3 slabStep;
uniform int slabReach;
in vec2 mm;
out vec4 color;
${DRAW_COLOUR}${CT_COLOUR}${SLAB}
void main() {
	vec3 texPos = middle + mm.x * perMmAcross + mm.y * perMmUp;
	color = vec4(windowed(slabHu(texPos, slabStep, slabReach)).rgb, 1.0);
	float drawV = texture(drawing, texPos).r;
	vec4 dcolor = drawColor(drawV, drawOpacity);
	if (dcolor.a > 0.0) {${LOOK}
		color.rgb = mix(color.rgb, dcolor.rgb, dcolor.a);
	}
	if (any(lessThan(texPos, vec3(0.0))) || any(greaterThan(texPos, vec3(1.0)))) color = vec4(0.0, 0.0, 0.0, 1.0);
}`;

export interface Seen {
  /** Of the crosshair, as a part of the volume. */
  middle: Vec3;
  /** Of the volume, in mm. */
  size: Vec3;
  angles: Angles;
  /** Of the tile, from its middle to its edges. */
  halfMm: [number, number];
  /** Of a thick slab: from slice to slice, and how many there are on each side. */
  stepMm: number;
  reach: number;
}

export class ObliquePlane {
  private readonly nv: Niivue;
  readonly program: WebGLProgram;

  constructor(nv: Niivue) {
    this.nv = nv;
    this.program = compiled(nv.gl);
  }

  /** Fills the viewport. */
  draw({ middle, size, angles, halfMm, stepMm, reach }: Seen): void {
    const { gl, drawOpacity, drawRimOpacity } = this.nv;
    const { across, up, normal } = frameOf(angles);
    const at = (name: string) => gl.getUniformLocation(this.program, name);
    const perMm = (direction: Vec3) => direction.map((part, axis) => part / (size[axis] ?? 1));
    gl.useProgram(this.program);
    gl.uniform1i(at('drawing'), 7);
    gl.uniform1i(at('colormap'), 1);
    gl.uniform1f(at('drawOpacity'), drawOpacity);
    gl.uniform1f(at('drawRimOpacity'), drawRimOpacity);
    gl.uniform2fv(at('halfMm'), halfMm);
    gl.uniform3fv(at('middle'), middle);
    gl.uniform3fv(at('perMmAcross'), perMm(across));
    gl.uniform3fv(at('perMmUp'), perMm(up));
    gl.uniform3fv(at('slabStep'), perMm(normal).map((part) => part * stepMm));
    gl.uniform1i(at('slabReach'), reach);
    for (const what of [gl.DEPTH_TEST, gl.CULL_FACE, gl.BLEND]) gl.disable(what);
    gl.bindVertexArray(null);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    gl.enable(gl.BLEND);
  }
}

function compiled(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(kind);
    if (!shader) throw new Error('The graphics card takes no more programs.');
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    throw new Error(`The oblique plane cannot be drawn: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}

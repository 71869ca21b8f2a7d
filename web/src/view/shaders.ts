// niivue's programs for planes and 3D with two changes: the CT comes as HU and is windowed where it is drawn, and in the
// planes each object has an opacity and an outline of its own.

import type { Niivue } from '@niivue/niivue';
import { CT_UNIT } from './ct-volume.ts';
import { KINDS, type ThickSlab } from './thick-slab.ts';
import type { HuWindow } from './windows.ts';

const SLOTS = 256;
/** Steps of a ray through 3D, at most, along the longest axis. */
const MOST_STEPS = 256;
/** Where niivue reads a voxel of its own volume. */
const VOXEL = /texture\(volume, /g;
/** niivue's edge of labels; what stands there instead takes the object's look. */
const EDGE = /if \(drawRimOpacity >= 0\.0\) \{[\s\S]*?dcolor\.a = drawRimOpacity;\s*\}/;
export const LOOK = `
		int slot = int(drawV * 255.0 + 0.5);
		float look = looks[slot / 4][slot % 4]; // below 0: the outline only
		vec3 across = dFdx(texPos) * (look < 0.0 ? 2.0 : 1.0);
		vec3 down = dFdy(texPos) * (look < 0.0 ? 2.0 : 1.0);
		bool edge = texture(drawing, texPos - across).r != drawV || texture(drawing, texPos + across).r != drawV
			|| texture(drawing, texPos - down).r != drawV || texture(drawing, texPos + down).r != drawV;
		dcolor.a = edge ? drawRimOpacity * abs(look) : drawOpacity * max(look, 0.0);`;
/** niivue's own: the colour of a label. */
export const DRAW_COLOUR = `
vec4 drawColor(float scalar, float drawOpacity) {
	float nlayer = float(textureSize(colormap, 0).y);
	vec4 dcolor = texture(colormap, vec2((scalar * 255.0) / 256.0 + 0.5 / 256.0, (nlayer - 0.5) / nlayer));
	return vec4(dcolor.rgb, dcolor.a * drawOpacity);
}
`;
/** niivue's gray with its opacities. */
export const CT_COLOUR = `
uniform highp sampler3D ctHu;
uniform vec2 ctWindow;
vec4 windowed(float hu) {
	float grey = clamp((hu - ctWindow.x) / (ctWindow.y - ctWindow.x), 0.0, 1.0);
	if (hu > ctWindow.x) grey = max(grey, 2.0 / 256.0);
	float alpha = grey < 0.486 ? grey * 0.387 : 0.188 + (grey - 0.486) * 0.61;
	return vec4(vec3(grey), alpha);
}
vec4 ctColour(vec3 at) {
	return windowed(texture(ctHu, at).r);
}
`;
/** HU of a place, or of so many on each side of it (see thick-slab.ts). */
export const SLAB = `
uniform int slabKind;
float slabHu(vec3 at, vec3 along, int reach) {
	float most = -1e9, least = 1e9, sum = 0.0, count = 0.0;
	for (int i = -reach; i <= reach; i++) {
		vec3 there = at + float(i) * along;
		if (i != 0 && (any(lessThan(there, vec3(0.0))) || any(greaterThan(there, vec3(1.0))))) continue;
		float hu = textureLod(ctHu, there, 0.0).r;
		most = max(most, hu);
		least = min(least, hu);
		sum += hu;
		count += 1.0;
	}
	return slabKind == 0 ? most : slabKind == 1 ? least : sum / count;
}
`;
/** In the planes: from the middle of one slice to that of another, so that nothing is averaged between them. */
const PLANE_SLAB = `
uniform ivec3 slabReach;
vec4 ctSlab(vec3 at) {
	int normal = 2 - axCorSag;
	int reach = slabReach[normal];
	if (reach == 0) return ctColour(at);
	float slices = float(textureSize(ctHu, 0)[normal]);
	at[normal] = (floor(at[normal] * slices) + 0.5) / slices;
	vec3 along = vec3(0.0);
	along[normal] = 1.0 / slices;
	return windowed(slabHu(at, along, reach));
}
`;

/** A program and its places for numbers, as niivue holds them. */
interface Program {
  program: WebGLProgram;
  uniforms: Record<string, WebGLUniformLocation | null>;
  use: (gl: WebGL2RenderingContext) => void;
}

export interface Style {
  slot: number;
  opacity: number;
  outline: boolean;
}

export class Shaders {
  private readonly nv: Niivue;
  private readonly looks = new Float32Array(SLOTS).fill(1);
  private window: [number, number] = [0, 1];
  private slabKind = 0;
  /** Slices on each side, by the axis that they follow each other along. */
  private slabReach: readonly number[] = [0, 0, 0];
  private installed = false;
  /** Of ours, beside niivue's. */
  private readonly others: WebGLProgram[] = [];

  constructor(nv: Niivue) {
    this.nv = nv;
  }

  /** Once niivue has its programs. */
  install(): void {
    const { nv } = this;
    const planes = this.source(nv.sliceMMShader as Program | null, nv.gl.FRAGMENT_SHADER);
    const space = this.source(nv.renderShader as Program | undefined, nv.gl.FRAGMENT_SHADER);
    if (!EDGE.test(planes) || !planes.match(VOXEL) || !space.match(VOXEL)) {
      throw new Error('This version of niivue draws in another way than the viewer knows.');
    }
    const looks = 'uniform float drawRimOpacity;\nuniform vec4 looks[64];';
    nv.setCustomSliceShader(withCt(planes, 'ctSlab(', SLAB + PLANE_SLAB).replace('uniform float drawRimOpacity;', looks).replace(EDGE, LOOK));
    const old = nv.renderShader as unknown as Program;
    const Shader = old.constructor as new (gl: WebGL2RenderingContext, vertex: string, fragment: string) => NonNullable<Niivue['renderShader']>;
    nv.renderShader = new Shader(nv.gl, this.source(old, nv.gl.VERTEX_SHADER), withCt(space));
    nv.initRenderShader(nv.renderShader);
    this.installed = true;
    this.apply();
  }

  /** Another program that draws CT and labels. */
  add(program: WebGLProgram): void {
    this.others.push(program);
    this.apply();
  }

  setLooks(styles: Style[]): void {
    this.looks.fill(1);
    for (const { slot, opacity, outline } of styles) this.looks[slot] = outline ? -opacity : opacity;
    this.apply();
  }

  setWindow({ low, high }: HuWindow): void {
    this.window = [low, high];
    this.apply();
  }

  setSlab({ kind }: ThickSlab, reach: readonly number[]): void {
    this.slabKind = KINDS.indexOf(kind);
    this.slabReach = reach;
    this.apply();
  }

  /** How finely 3D is sampled: as many steps as voxels along each axis, or fewer of a large CT. */
  setSteps(shape: readonly number[]): void {
    const { gl, renderShader } = this.nv;
    const coarse = Math.max(1, Math.max(...shape) / MOST_STEPS);
    renderShader?.use(gl);
    gl.uniform3fv(renderShader?.uniforms['texVox'] ?? null, shape.map((length) => length / coarse));
  }

  private apply(): void {
    if (!this.installed) return;
    const { gl, customSliceShader, renderShader } = this.nv;
    const niivues = [customSliceShader, renderShader].flatMap((shader) => (shader ? [shader.program] : []));
    for (const program of [...niivues, ...this.others]) {
      gl.useProgram(program);
      gl.uniform1i(gl.getUniformLocation(program, 'ctHu'), CT_UNIT);
      gl.uniform2fv(gl.getUniformLocation(program, 'ctWindow'), this.window);
      gl.uniform4fv(gl.getUniformLocation(program, 'looks'), this.looks);
      gl.uniform1i(gl.getUniformLocation(program, 'slabKind'), this.slabKind);
    }
    if (customSliceShader) {
      gl.useProgram(customSliceShader.program);
      gl.uniform3iv(gl.getUniformLocation(customSliceShader.program, 'slabReach'), this.slabReach as number[]);
    }
  }

  private source(shader: Program | null | undefined, kind: number): string {
    const { gl } = this.nv;
    const parts = shader ? (gl.getAttachedShaders(shader.program) ?? []) : [];
    const part = parts.find((one) => gl.getShaderParameter(one, gl.SHADER_TYPE) === kind);
    return (part && gl.getShaderSource(part)) ?? '';
  }
}

/** The CT instead of niivue's volume; the first line of a source is its version, so ours go before `main`. */
function withCt(source: string, colour = 'ctColour(', more = ''): string {
  return source.replace(VOXEL, colour).replace('void main()', `${CT_COLOUR}${more}void main()`);
}

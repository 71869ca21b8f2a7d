// Labels in the planes: niivue's own program with one change, an opacity and an outline for each object.

import type { Niivue } from '@niivue/niivue';

const SLOTS = 256;
/** niivue's edge of labels; what stands there instead takes the object's look. */
const EDGE = /if \(drawRimOpacity >= 0\.0\) \{[\s\S]*?dcolor\.a = drawRimOpacity;\s*\}/;
const OURS = `
		int slot = int(drawV * 255.0 + 0.5);
		float look = looks[slot / 4][slot % 4]; // below 0: the outline only
		vec3 across = dFdx(texPos) * (look < 0.0 ? 2.0 : 1.0);
		vec3 down = dFdy(texPos) * (look < 0.0 ? 2.0 : 1.0);
		bool edge = texture(drawing, texPos - across).r != drawV || texture(drawing, texPos + across).r != drawV
			|| texture(drawing, texPos - down).r != drawV || texture(drawing, texPos + down).r != drawV;
		dcolor.a = edge ? drawRimOpacity * abs(look) : drawOpacity * max(look, 0.0);`;

export interface Style {
  slot: number;
  opacity: number;
  outline: boolean;
}

export class LabelShader {
  private readonly nv: Niivue;
  private readonly looks = new Float32Array(SLOTS).fill(1);
  private place: WebGLUniformLocation | null = null;

  constructor(nv: Niivue) {
    this.nv = nv;
  }

  /** Once niivue has its programs. */
  install(): void {
    const { gl, sliceMMShader } = this.nv;
    const parts = sliceMMShader ? (gl.getAttachedShaders(sliceMMShader.program) ?? []) : [];
    const fragment = parts.find((part) => gl.getShaderParameter(part, gl.SHADER_TYPE) === gl.FRAGMENT_SHADER);
    const source = (fragment && gl.getShaderSource(fragment)) ?? '';
    if (!EDGE.test(source)) throw new Error('This version of niivue draws labels in another way than the viewer knows.');
    const declared = source.replace('uniform float drawRimOpacity;', 'uniform float drawRimOpacity;\nuniform vec4 looks[64];');
    this.nv.setCustomSliceShader(declared.replace(EDGE, OURS));
    const program = this.nv.customSliceShader?.program;
    this.place = program ? gl.getUniformLocation(program, 'looks') : null;
    this.apply();
  }

  set(styles: Style[]): void {
    this.looks.fill(1);
    for (const { slot, opacity, outline } of styles) this.looks[slot] = outline ? -opacity : opacity;
    this.apply();
  }

  private apply(): void {
    const { gl, customSliceShader } = this.nv;
    if (!customSliceShader) return;
    customSliceShader.use(gl);
    gl.uniform4fv(this.place, this.looks);
  }
}

// Writes licences.txt beside the page: every package whose code is in it, with its licence text.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Plugin } from 'vite';

interface Package {
  name: string;
  version: string;
  license: string;
  folder: string;
}

export function licences(): Plugin {
  return {
    name: 'licences',
    generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((part) => (part.type === 'chunk' ? Object.keys(part.modules) : []));
      const found = new Map<string, Package>();
      for (const module of modules) {
        const one = module.includes('node_modules') ? packageOf(module) : null;
        if (one) found.set(one.name, one);
      }
      const texts = [...found.values()].sort((a, b) => a.name.localeCompare(b.name)).map(describe);
      this.emitFile({ type: 'asset', fileName: 'licences.txt', source: texts.join('\n\n') + '\n' });
    },
  };
}

function packageOf(module: string): Package | null {
  for (let folder = dirname(module.split('?')[0] as string); folder.includes('node_modules'); folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (!existsSync(file)) continue;
    const { name, version, license } = JSON.parse(readFileSync(file, 'utf8')) as Package;
    if (name && version) return { name, version, license, folder };
  }
  return null;
}

function describe({ name, version, license, folder }: Package): string {
  const own = readdirSync(folder).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
  // packages that leave their licence in their repository: its text is kept here
  const file = own ? join(folder, own) : join(import.meta.dirname, 'licence-texts', `${name}.txt`);
  const text = readFileSync(file, 'utf8').trim();
  return `${'='.repeat(100)}\n${name} ${version} (${license})\n${'='.repeat(100)}\n\n${text}`;
}

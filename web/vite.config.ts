import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { licences } from './licences.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  // relative addresses: the viewer works behind a proxy that serves it under a path
  base: './',
  plugins: [licences()],
  resolve: {
    // niivue can stream zarr; the viewer never does, and its codecs are larger than the rest of the page
    alias: { zarrita: here('./src/view/no-zarr.ts') },
  },
  build: {
    outDir: here('../src/openvista/serve/web'),
    emptyOutDir: true,
    target: 'es2022',
    chunkSizeWarningLimit: 2000,
    assetsInlineLimit: 0,
  },
  server: {
    proxy: { '/api': 'http://127.0.0.1:8000', '/v1': 'http://127.0.0.1:8000' },
  },
});

/** Tells esbuild how a `.wasm` file is imported as an ES module: inlined, instantiated with what it imports. */

import { readFile } from 'node:fs/promises';
import type { Plugin } from 'esbuild';

export const wasmModules: Plugin = {
  name: 'wasm modules',
  setup(build) {
    build.onLoad({ filter: /\.wasm$/ }, async ({ path }) => {
      const bytes = await readFile(path);
      const module = new WebAssembly.Module(bytes);
      const sources = [...new Set(WebAssembly.Module.imports(module).map((row) => row.module))];
      const names = WebAssembly.Module.exports(module).map((row) => row.name);
      const imports = sources.map((source, i) => `import * as from${i} from ${JSON.stringify(source)};`);
      return {
        loader: 'js',
        contents: `${imports.join('\n')}
const bytes = Uint8Array.from(atob(${JSON.stringify(bytes.toString('base64'))}), (c) => c.charCodeAt(0));
const imports = { ${sources.map((source, i) => `${JSON.stringify(source)}: from${i}`).join(', ')} };
const { instance } = await WebAssembly.instantiate(bytes, imports);
export const { ${names.join(', ')} } = instance.exports;`,
      };
    });
  },
};

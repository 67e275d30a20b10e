// Bundles an example's page into its folder `dist`: what stands here, and its own src/main.jsx.
//   node ../page/build.mjs        from the example's folder
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// Packages are the example's own, for the parts that stand here too.
const own = join(process.cwd(), 'node_modules');
const { build } = createRequire(join(process.cwd(), 'package.json'))('esbuild');

// Relay's compiler has made a file of each tagged text; a tag stands for what is in it.
const relayTags = {
  name: 'relay tags',
  setup({ onLoad }) {
    onLoad({ filter: /src.main\.jsx$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      const imports = [];
      const contents = text.replace(/graphql`\s*(?:query|fragment)\s+(\w+)[^`]*`/g, (_, name) => {
        imports.push(`import ${name}_made from './__generated__/${name}.graphql.js';`);
        return `${name}_made`;
      });
      return { contents: `${imports.join('\n')}\n${contents}`, loader: 'jsx' };
    });
  },
};

await mkdir('dist', { recursive: true });
await build({
  entryPoints: ['src/main.jsx'], outfile: 'dist/main.js', bundle: true, minify: true, format: 'esm', target: 'es2022', jsx: 'automatic',
  nodePaths: [own], define: { 'process.env.NODE_ENV': '"production"', __DEV__: 'false' }, plugins: [relayTags], logLevel: 'warning',
});
for (const name of ['index.html', 'page.css']) await copyFile(new URL(name, import.meta.url), `dist/${name}`);

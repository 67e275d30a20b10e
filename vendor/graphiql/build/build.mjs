// Bundles GraphiQL into ../dist: stable names, no fonts but the editor's icons, nothing from elsewhere.
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, '..', 'dist');
const copied = ['index.html', 'favicon.svg', 'starters.json'];
// Packages without a licence text of their own, and the package of the same repository or author that has it.
const LICENCE_IN = {
  '@graphiql/plugin-doc-explorer': 'graphiql',
  '@graphiql/plugin-history': 'graphiql',
  'react-compiler-runtime': 'react',
  'react-remove-scroll-bar': 'react-remove-scroll',
};
const NOTICES = {
  'monaco-editor':
    'codicon.ttf: Visual Studio Code icons, copyright (c) Microsoft Corporation, unchanged, under the Creative Commons\n' +
    'Attribution 4.0 International licence, https://creativecommons.org/licenses/by/4.0/legalcode\n\n' +
    'DOMPurify 3.1.7, copyright (c) Cure53 and other contributors, under the Apache License 2.0 (its text is in this file)',
};
const shared = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  charset: 'utf8',
  legalComments: 'none',
  target: 'es2022',
  outdir: out,
  metafile: true,
  logLevel: 'warning',
  define: { 'process.env.NODE_ENV': '"production"' },
  banner: { js: '/* Licences: LICENSES.txt */', css: '/* Licences: LICENSES.txt */' },
};

// What is swapped for something smaller: the whole editor, Prettier's JavaScript parts, its second GraphQL parser.
const swaps = {
  name: 'swaps',
  setup({ onResolve }) {
    const swap = (filter, from, file) =>
      onResolve({ filter }, ({ importer }) => (importer.includes(from) ? { path: join(here, file) } : undefined));
    swap(/^monaco-graphql\/esm\/monaco-editor\.js$/, '/@graphiql/react/', 'monaco.js');
    swap(/^\.\/monaco-editor$/, '/monaco-graphql/', 'monaco.js');
    swap(/\/jsonc\.js$/, '/@graphiql/react/', 'jsonc.js');
    swap(/^prettier\/parser-graphql$/, '/@graphiql/react/', 'node_modules/prettier/plugins/graphql.mjs');
  },
};
// The editor's own "format" command is left out (GraphiQL has a button), and Prettier with it.
const noPrettier = {
  name: 'no-prettier',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^prettier\// }, ({ path }) => ({ path, namespace: 'nothing' }));
    onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: '' }));
  },
};

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });

const page = await build({
  ...shared,
  entryPoints: { graphiql: 'entry.jsx' },
  format: 'esm',
  jsx: 'automatic',
  loader: { '.ttf': 'file' },
  assetNames: '[name]',
  plugins: [swaps],
});
const workers = await build({
  ...shared,
  entryPoints: {
    'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
    'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
    'graphql.worker': 'monaco-graphql/esm/graphql.worker.js',
  },
  format: 'iife',
  plugins: [noPrettier],
});

for (const file of copied) await copyFile(join(here, file), join(out, file));
const inputs = [page, workers].flatMap(({ metafile }) => Object.values(metafile.outputs)).flatMap(bundledInputs);
await writeFile(join(out, 'LICENSES.txt'), await licences(packagesOf(inputs)));
await writeFile(join(out, 'SHA256SUMS'), await checksums());

function bundledInputs({ inputs }) {
  return Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => path);
}

function packagesOf(paths) {
  const folders = paths.map((path) => path.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//)?.[1]).filter(Boolean);
  return [...new Set(folders)].sort();
}

async function licences(folders) {
  const titles = new Set();
  const byText = new Map();
  for (const folder of folders) {
    const manifest = JSON.parse(await readFile(join(here, folder, 'package.json'), 'utf8'));
    const title = `${manifest.name} ${manifest.version} (${manifest.license})`;
    if (titles.has(title)) continue;
    titles.add(title);
    const text = tidy(await noticeOf(folder, manifest));
    byText.set(text, [...(byText.get(text) ?? []), title]);
  }
  const list = [...titles].sort().map((title) => `  ${title}\n`).join('');
  const texts = [...byText].map(([text, users]) => `${'='.repeat(100)}\n${users.join('\n')}\n\n${text}\n`);
  return `These packages, in whole or in part, are in the files of this folder:\n\n${list}\n${texts.join('\n')}`;
}

function tidy(text) {
  return text.replaceAll('\r\n', '\n').replace(/[ \t]+$/gm, '').trim();
}

async function noticeOf(folder, { name }) {
  const home = join(here, LICENCE_IN[name] ? `node_modules/${LICENCE_IN[name]}` : folder);
  const files = (await readdir(home)).filter((file) => /^(licen[cs]e|notice|third-?party-?notices)/i.test(file)).sort();
  if (files.length === 0) throw new Error(`${name} carries no licence text`);
  const texts = await Promise.all(files.map((file) => readFile(join(home, file), 'utf8')));
  return [...texts, NOTICES[name]].filter(Boolean).join('\n\n');
}

async function checksums() {
  const lines = [];
  for (const name of (await readdir(out)).filter((name) => name !== 'SHA256SUMS').sort()) {
    lines.push(`${createHash('sha256').update(await readFile(join(out, name))).digest('hex')}  ${name}\n`);
  }
  return lines.join('');
}

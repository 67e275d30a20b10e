// graphql-codegen's client preset makes types of the schema and the operations of codegen/main.ts; `tsc --strict` takes them.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CHECK_MS, check, equal, fail, holds } from './support.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const require = createRequire(import.meta.url);
const TSC = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
const CODEGEN = join(dirname(require.resolve('@graphql-codegen/cli/package.json')), 'esm/bin.js');
const STRICT = ['--strict', '--noEmit', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--module', 'esnext',
  '--moduleResolution', 'bundler', '--target', 'es2022', '--lib', 'es2022', '--types', '', 'main.ts'];

export async function codegen(url) {
  const folder = await mkdtemp(join(tmpdir(), 'staygraph-codegen-'));
  try {
    await check('codegen: types of schema.graphql, and tsc --strict takes them and finds each mistake', async () => {
      await build(join(folder, 'file'), join(HERE, '../../schema.graphql'));
    });
    await check('codegen: so do types of the schema that is served', async () => {
      await build(join(folder, 'served'), { [url]: { oneOf: true, specifiedByUrl: true } });
      const [file, served] = await Promise.all(['file', 'served'].map((from) => texts(join(folder, from, 'generated'))));
      holds(Object.keys(file).length > 2, 'nothing was generated');
      equal(served, file, 'what is generated');
    }, { needs: 'an encoding that Node.js 20 unpacks' });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function build(folder, schema, more = {}) {
  await cp(join(HERE, 'codegen'), folder, { recursive: true });
  await symlink(join(HERE, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  await writeFile(join(folder, 'codegen.json'), JSON.stringify({
    schema,
    documents: ['main.ts'],
    generates: {
      './generated/': {
        preset: 'client',
        presetConfig: { fragmentMasking: false, ...more },
        config: {
          useTypeImports: true, enumsAsTypes: true, strictScalars: true,
          scalars: { Date: 'string', DateTime: 'string', Long: 'number', JSON: 'unknown', _Any: 'unknown' },
        },
      },
    },
  }));
  await promisify(execFile)(process.execPath, [CODEGEN, '--config', 'codegen.json', '--errors-only'], { cwd: folder, timeout: CHECK_MS })
    .catch(({ stdout, stderr }) => fail(`graphql-codegen: ${stdout}${stderr}`.slice(0, 1500)));
  await promisify(execFile)(process.execPath, [TSC, ...STRICT], { cwd: folder, timeout: CHECK_MS })
    .catch(({ stdout, stderr }) => fail(`tsc: ${stdout}${stderr}`.slice(0, 1500)));
}

async function texts(folder) {
  const names = await readdir(folder);
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')])));
}

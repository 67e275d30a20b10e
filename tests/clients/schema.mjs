// schema.graphql as tools read it: the served schema is the same, and linters find what Relay and they themselves ask for.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { diff } from '@graphql-inspector/core';
import eslintPlugin from '@graphql-eslint/eslint-plugin';
import { ESLint } from 'eslint';
import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema } from 'graphql';
import { CHECK_MS, check, data, equal, holds } from './support.mjs';

const require = createRequire(import.meta.url);
export const FILE = fileURLToPath(new URL('../../schema.graphql', import.meta.url));
const RELAY = ['relay-arguments', 'relay-connection-types', 'relay-edge-types', 'relay-page-info'];
const OTHERS = ['no-hashtag-description', 'no-typename-prefix', 'require-deprecation-reason', 'unique-enum-value-names', 'lone-schema-definition'];
// Fields, members and values stand in the model's order, so that a reader meets first what matters.
const SORTED = ['enum-values-sorted-alphabetically', 'input-object-fields-sorted-alphabetically', 'interface-fields-sorted-alphabetically', 'type-fields-sorted-alphabetically'];
// A dead letter is no entity of the graph, and its list goes forward only: the contract has it so.
const CONTRACT = [
  "Edge type's field `node` must implement `Node` interface.",
  'Field `deadLetters` must contain an argument `last`, that return Int.',
  'Field `deadLetters` must contain an argument `before`, that return String or Scalar.',
];
const UNUSED = 'defined-types-are-used';

export async function schema(url) {
  const text = await readFile(FILE, 'utf8');
  const written = buildSchema(text);
  const served = async (options) => buildClientSchema(await data(url, getIntrospectionQuery({
    specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true, inputValueDeprecation: true, ...options,
  })));

  await check('graphql-inspector: no difference between schema.graphql and what is served', async () => {
    // Directives' uses are told by no introspection: the next check has those that matter.
    const changes = (await diff(written, await served())).filter(({ type }) => !type.startsWith('DIRECTIVE_USAGE'));
    equal(changes.map(({ message }) => message), [], 'the differences');
  });
  await check('graphql-js prints both alike, @oneOf and @specifiedBy too', async () => {
    const of = (from) => printSchema(lexicographicSortSchema(from));
    equal(firstDifference(of(written), of(await served({ oneOf: true }))), undefined, 'the first difference');
  }, { needs: 'one schema, printed and served' });

  const lines = await lint(FILE);
  // What federation adds is named by its specification.
  const found = (rules) => lines.filter(({ rule, message }) => rules(rule) && !/[`.]_[A-Za-z]/.test(message)).map(({ message }) => message);
  await check('graphql-schema-linter: names, descriptions, Relay', () => {
    equal(found((rule) => !SORTED.includes(rule) && rule !== UNUSED), [], 'what it finds');
  });
  await check('graphql-schema-linter: each type is used, but for filters of scalars that this model has no field of', () => {
    // They are there in every model, so that a client's documents do not depend on which fields one has.
    const isFilter = (message) => /^The type `\w+Filter` is defined in the schema but not used anywhere\.$/.test(message);
    equal(found((rule) => rule === UNUSED).filter((message) => !isFilter(message)), [], 'what else it finds');
  });

  await check("graphql-eslint: Relay's rules, and its own for schemas", async () => {
    const rules = Object.fromEntries([...RELAY, ...OTHERS].map((rule) => [`@graphql-eslint/${rule}`, 'error']));
    // Connections have `nodes` beside `edges`, as GitHub's do.
    rules['@graphql-eslint/relay-edge-types'] = ['error', { withEdgeSuffix: true, shouldImplementNode: true, listTypeCanWrapOnlyEdgeType: false }];
    const eslint = new ESLint({
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      overrideConfigFile: true,
      overrideConfig: [{
        files: ['*.graphql'],
        languageOptions: { parser: eslintPlugin.parser, parserOptions: { graphQLConfig: { schema: FILE } } },
        plugins: { '@graphql-eslint': eslintPlugin },
        rules,
      }],
    });
    const [result] = await eslint.lintFiles([FILE]);
    holds(result.filePath === FILE, 'it looked at nothing');
    equal(result.messages.map(({ message }) => message), CONTRACT, 'what it finds');
  });
}

function firstDifference(one, other) {
  const [a, b] = [one.split('\n'), other.split('\n')];
  const at = a.findIndex((line, index) => line !== b[index]);
  return at < 0 && a.length === b.length ? undefined : [at, a[at], b[at]];
}

// The linter's command, which ends with 1 where it finds something.
async function lint(file) {
  const command = join(dirname(require.resolve('graphql-schema-linter/package.json')), 'lib/cli.js');
  const { stdout } = await promisify(execFile)(process.execPath, [command, '--format', 'json', file], { maxBuffer: 1e8, timeout: CHECK_MS }).catch((found) => found);
  return JSON.parse(stdout).errors;
}

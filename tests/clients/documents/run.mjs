// Makes the manifests of Relay, GraphQL Code Generator and Apollo with their own tools, and asks a staygraph that answers these documents and
// no others, with their own clients.
//   node run.mjs <staygraph's binary>
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ApolloClient, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from '@apollo/client/core';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { generatePersistedQueryIdsFromManifest } from '@apollo/persisted-query-lists';
import { build } from '../codegen.mjs';
import { compile } from '../relay.mjs';
import { FILE } from '../schema.mjs';
import { start } from '../server.mjs';
import { CHECK_MS, ask, check, equal, fail, holds, remembering, summary } from '../support.mjs';
import { PERSON } from './stays.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const require = createRequire(import.meta.url);

const [binary] = process.argv.slice(2);
if (!binary) {
  console.error("usage: node run.mjs <staygraph's binary>");
  process.exit(2);
}
const folder = await mkdtemp(join(tmpdir(), 'staygraph-documents-'));
let server;
try {
  await run();
} finally {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
}
process.exit(summary());

async function run() {
  const manifests = {
    relay: join(folder, 'relay/persisted.json'), codegen: join(folder, 'codegen/generated/persisted-documents.json'), apollo: join(folder, 'apollo/manifest.json'),
  };
  await check('documents: each tool makes its manifest', async () => {
    await mkdir(join(folder, 'relay'));
    await writeFile(manifests.relay, '{}');
    await compile(join(folder, 'relay'), 'stays', { persistConfig: { file: './persisted.json', algorithm: 'SHA256' } });
    await build(join(folder, 'codegen'), FILE, { persistedDocuments: { hashAlgorithm: 'sha256' } });
    await apolloManifest(join(folder, 'apollo'));
  });
  await check('documents: staygraph starts with all of them', async () => {
    const config = join(folder, 'staygraph.toml');
    await writeFile(config, `[documents]\nonly = true\nfiles = ${JSON.stringify(Object.values(manifests))}\n`);
    server = await start(binary, ['serve', '--config', config, '--model', join(HERE, '../../../model.graphql'), '--data', join(folder, 'data')]);
  });

  const url = () => (server ? `${server.url}/graphql` : fail('there is no service'));
  const read = async (name) => JSON.parse(await readFile(manifests[name], 'utf8'));
  const send = async (body) => {
    const answer = await fetch(url(), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal: AbortSignal.timeout(CHECK_MS) });
    return answer.json();
  };

  await check("documents: Relay's, by the id that its compiler wrote into the artifact", async () => {
    const { params } = require(join(folder, 'relay/artifacts/staysQuery.graphql.js'));
    equal(params.text, null, "the artifact's text");
    const { data, errors } = await send({ documentId: params.id, variables: { guest: 'nobody', count: 2 } });
    equal([data, errors], [{ person: null }, undefined], 'the answer');
  });

  await check("documents: GraphQL Code Generator's, each by its hash", async () => {
    const known = await read('codegen');
    holds(Object.keys(known).length >= 2, 'there are too few');
    for (const [id, text] of Object.entries(known)) {
      const { data, errors } = await send({ documentId: id, variables: text.includes('$guest') ? { guest: 'nobody' } : { id: 'Property:none' } });
      equal([Object.values(data ?? {}), errors], [[null], undefined], text);
    }
  });

  await check("documents: Apollo's, with the ids of its manifest", async () => {
    const net = remembering();
    const persisted = new PersistedQueryLink(generatePersistedQueryIdsFromManifest({ loadManifest: () => read('apollo') }));
    const client = new ApolloClient({ cache: new InMemoryCache(), link: persisted.concat(new HttpLink({ uri: url(), fetch: net.fetch })) });
    const { data } = await client.query({ query: PERSON, variables: { key: 'nobody' } });
    equal([data, net.requests.map(({ body }) => Boolean(body.query))], [{ person: null }, [false]], 'data, and whether the text was sent');
  });

  await check('documents: nothing else is answered', async () => {
    const codes = async (body) => (await send(body)).errors?.map(({ extensions }) => extensions.code);
    equal(await codes({ query: '{ __typename }' }), ['DOCUMENT_REQUIRED'], 'the code of a text');
    equal(await codes({ documentId: 'nobody knows it' }), ['DOCUMENT_NOT_FOUND'], 'the code of an unknown id');
    equal(await codes({ query: '{ __schema { queryType { name } } }' }), ['DOCUMENT_REQUIRED'], 'the code of introspection');
    const client = new ApolloClient({ cache: new InMemoryCache(), link: new HttpLink({ uri: url() }) });
    const refused = await client.query({ query: gql`{ catalog { entities { name } } }` }).catch((error) => error);
    holds(CombinedGraphQLErrors.is(refused) && refused.errors[0].extensions.code === 'DOCUMENT_REQUIRED', String(refused));
  });

  await check('documents: a known one is answered when its text is sent, too', async () => {
    const [text] = Object.values(await read('codegen'));
    const { errors } = await ask(url(), text, text.includes('$guest') ? { guest: 'nobody' } : { id: 'Property:none' });
    equal(errors, undefined, 'the errors');
  });

  await check('documents: a document that the schema does not fit is told by `check`', async () => {
    await writeFile(join(folder, 'old.json'), JSON.stringify({ old: 'query Old { person(key: "1") { nickname } }' }));
    const config = join(folder, 'old.toml');
    await writeFile(config, `[documents]\nfiles = ["old.json"]\n`);
    const told = await promisify(execFile)(binary, ['check', '--config', config, '--model', join(HERE, '../../../model.graphql')], { timeout: CHECK_MS })
      .then(() => fail('it is silent'), (fault) => fault);
    equal(told.code, 1, 'the exit code');
    holds(told.stderr.includes('nickname') && told.stderr.includes('old.json'), told.stderr);
  });
}

async function apolloManifest(into) {
  await mkdir(join(into, 'src'), { recursive: true });
  await cp(join(HERE, 'stays.js'), join(into, 'src/stays.js'));
  await symlink(join(HERE, '../node_modules'), join(into, 'node_modules'));
  await writeFile(join(into, 'persisted-query-manifest.config.json'), JSON.stringify({ documents: ['src/*.js'], output: 'manifest.json' }));
  const command = join(dirname(require.resolve('@apollo/generate-persisted-query-manifest/package.json')), require('@apollo/generate-persisted-query-manifest/package.json').bin['generate-persisted-query-manifest']);
  await promisify(execFile)(process.execPath, [command], { cwd: into, timeout: CHECK_MS }).catch(({ stdout, stderr }) => fail(`${stdout}${stderr}`));
}

// Relay: the compiler reads schema.graphql and relay/*.js, and its artifacts run against the service with relay-runtime.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import compiler from 'relay-compiler';
import relay from 'relay-runtime';
import { CHECK_MS, GUEST, PROPERTY, TIMELY, check, equal, fail, holds, remembering } from './support.mjs';

const { Environment, Network, RecordSource, Store, createOperationDescriptor, fetchQuery, getPaginationMetadata, getPaginationVariables,
  getRefetchMetadata, getSingularSelector } = relay;
const require = createRequire(import.meta.url);
const HERE = fileURLToPath(new URL('.', import.meta.url));

export async function relayClient(url) {
  const folder = await mkdtemp(join(tmpdir(), 'staygraph-relay-'));
  try {
    await run(url, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(url, folder) {
  const make = () => {
    const net = remembering();
    const seen = [];
    const send = async ({ text, name }, variables) => {
      const answer = await net.fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json' },
        body: JSON.stringify({ query: text, operationName: name, variables }),
      });
      const result = await answer.json();
      seen.push(result.extensions?.freshness);
      return result;
    };
    const environment = new Environment({ network: Network.create(send), store: new Store(new RecordSource()) });
    const ask = async (request, variables) => {
      await fetchQuery(environment, request, variables, { networkCacheConfig: { force: true } }).toPromise();
      const operation = createOperationDescriptor(request, variables);
      environment.retain(operation);
      return environment.lookup(operation.fragment).data;
    };
    const read = (fragment, reference) => environment.lookup(getSingularSelector(fragment, reference)).data;
    return { environment, ask, read, requests: net.requests, freshness: seen };
  };

  await check('Relay: the compiler takes schema.graphql and the documents', async () => {
    await compile(join(folder, 'stays'), 'stays');
  });
  const artifact = (name) => require(join(folder, 'stays/artifacts', `${name}.graphql.js`));

  await check('Relay: a query reads its fragments', async () => {
    const { ask, read } = make();
    const found = await ask(artifact('staysQuery'), { guest: GUEST, count: 2 });
    const stays = read(artifact('stays_person'), found.person);
    equal([stays.reservations.edges.length, stays.name.length > 0], [2, true], 'edges and a name');
    holds(stays.reservations.edges.every(({ node }) => node.id.startsWith('Reservation:')), JSON.stringify(stays));
  });

  await check('Relay: loadNext, over the refetch query that @refetchable made, grows the connection to its end', async () => {
    const { environment, ask, read, requests } = make();
    const fragment = artifact('stays_person');
    const { person } = await ask(artifact('staysQuery'), { guest: GUEST, count: 20 });
    const { identifierInfo, paginationMetadata, paginationRequest } = { ...getRefetchMetadata(fragment, 'loadNext'), ...getPaginationMetadata(fragment, 'loadNext') };
    let pages = 1;
    for (let stays = read(fragment, person); stays.reservations.pageInfo.hasNextPage && pages < 10; pages += 1) {
      const variables = getPaginationVariables('forward', 20, stays.reservations.pageInfo.endCursor, { guest: GUEST, count: 20 }, {}, paginationMetadata);
      variables[identifierInfo.identifierQueryVariableName] = stays[identifierInfo.identifierField];
      await fetchQuery(environment, paginationRequest, variables, { networkCacheConfig: { force: true } }).toPromise();
      stays = read(fragment, person);
    }
    const { reservations } = read(fragment, person);
    equal(pages, Math.ceil(reservations.totalCount / 20), 'pages');
    equal(reservations.edges.length, reservations.totalCount, 'edges');
    equal(new Set(reservations.edges.map(({ node }) => node.id)).size, reservations.totalCount, 'stays');
    holds(/node\(id:/.test(requests[1].body.query), 'the refetch query asks for no node');
  });

  await check('Relay: a refetch by node(id:) brings an entity up to date for all who read it', async () => {
    const { environment, ask, read } = make();
    const id = `Property:${PROPERTY}`;
    const fragment = artifact('place_property');
    const { property } = await ask(artifact('placeQuery'), { key: PROPERTY });
    const { name } = read(fragment, property);
    environment.commitUpdate((store) => store.get(id).setValue('stale', 'name'));
    equal(read(fragment, property).name, 'stale', 'the name before');
    const { refetchableRequest, identifierInfo } = getRefetchMetadata(fragment, 'refetch');
    await fetchQuery(environment, refetchableRequest, { [identifierInfo.identifierQueryVariableName]: id }, { networkCacheConfig: { force: true } }).toPromise();
    equal(read(fragment, property).name, name, 'the name then');
  });

  await check('Relay: @catch tells the error of a field, and what else was asked is there', async () => {
    const { ask } = make();
    const { person, property } = await ask(artifact('caughtQuery'), { guest: GUEST, after: 'none' });
    equal([person.ok, person.errors?.map(({ path }) => path), property.name.length > 0], [false, [['reservations']], true], 'the result');
  });

  await check('Relay: a variable that cannot be is an error, with its code', async () => {
    const { ask } = make();
    const error = await ask(artifact('staysQuery'), { guest: GUEST, count: 'many' }).then(() => fail('no error'), (fault) => fault);
    equal(error.source?.errors?.map(({ extensions }) => extensions.code), ['BAD_USER_INPUT'], String(error));
  });

  await check('Relay: the network layer reads extensions.freshness', async () => {
    const { ask, freshness } = make();
    await ask(artifact('placeQuery'), { key: PROPERTY });
    equal(freshness[0].domains.map(({ domain }) => domain).sort(), ['people', 'properties'], 'the domains');
  });

  await check('Relay: freshness of entities and connections', async () => {
    await compile(join(folder, 'fresh'), 'fresh');
    const request = require(join(folder, 'fresh/artifacts/freshQuery.graphql.js'));
    const { ask } = make();
    const { person } = await ask(request, { guest: GUEST });
    holds([person, person.reservations].every(({ freshness }) => TIMELY.includes(freshness.status)), 'status');
  });
}

// Compiles one document's folder into `folder`, as a team's build does: a package with its own configuration.
export async function compile(folder, name, more = {}) {
  await mkdir(join(folder, 'src'), { recursive: true });
  await mkdir(join(folder, 'artifacts'));
  await cp(join(HERE, 'relay', `${name}.js`), join(folder, 'src', `${name}.js`));
  await cp(join(HERE, '../../schema.graphql'), join(folder, 'schema.graphql'));
  await symlink(join(HERE, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'commonjs' }));
  await writeFile(join(folder, 'relay.config.json'), JSON.stringify({
    src: './src', schema: './schema.graphql', artifactDirectory: './artifacts', language: 'javascript', eagerEsModules: false, noSourceControl: true, ...more,
  }));
  await promisify(execFile)(compiler, ['--noWatchman', 'relay.config.json'], { cwd: folder, timeout: CHECK_MS })
    .catch(({ stdout, stderr }) => fail(`${stdout}${stderr}`.trim()));
}

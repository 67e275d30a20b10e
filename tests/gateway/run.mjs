// Joins a running staygraph and another subgraph in Hive's gateway, and asks across both.
//   node run.mjs <URL of /graphql>
import { createServer } from 'node:http';
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
import { composeServices, compositionHasErrors } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { GUEST, PROPERTY, ask, check, data, equal, fail, holds, summary } from '../clients/support.mjs';
import { CLEANINGS, cleanings } from './cleanings.mjs';

const [url] = process.argv.slice(2);
if (!url) {
  console.error('usage: node run.mjs <URL of /graphql>');
  process.exit(2);
}

const servers = [];
const listening = async (handler) => {
  const server = createServer(handler);
  servers.push(server);
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return `http://127.0.0.1:${server.address().port}/graphql`;
};

let supergraph;
let gateway;
try {
  await run();
} finally {
  await gateway?.runtime[Symbol.asyncDispose]?.();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
}
process.exit(summary());

async function run() {
  await check('federation: the schema is told, and each entity has its key', async () => {
    const { _service } = await data(url, '{ _service { sdl } }');
    for (const entity of ['Person', 'Property', 'Price', 'Reservation']) {
      holds(new RegExp(`^type ${entity} [^{]*@key\\(fields: "key"\\)`, 'm').test(_service.sdl), `${entity} has no @key`);
    }
    holds(/specs\.apollo\.dev\/federation\/v2/.test(_service.sdl), 'it is no schema of version 2');
  });

  await check('federation: entities by representations, in their order, null for what is not there', async () => {
    const representations = [{ __typename: 'Property', key: PROPERTY }, { __typename: 'Person', key: 'nobody of this name' }, { __typename: 'Person', key: GUEST }];
    const query = 'query($of: [_Any!]!) { _entities(representations: $of) { __typename ... on Property { key } ... on Person { id } } }';
    const { _entities } = await data(url, query, { of: representations });
    equal(_entities, [{ __typename: 'Property', key: PROPERTY }, null, { __typename: 'Person', id: `Person:${GUEST}` }], 'the entities');
    for (const [wrong, of] of [
      ['an entity that is not in the model', [{ __typename: 'Boat', key: '1' }]], ['one without a key', [{ __typename: 'Person' }]], ['a key that is a number', [{ __typename: 'Person', key: 1 }]],
      ['no entity', ['Person']], ['too many', Array.from({ length: 1001 }, () => representations[0])],
    ]) {
      const { errors } = await ask(url, query, { of });
      equal(errors?.[0].extensions.code, 'BAD_USER_INPUT', `the code of ${wrong}`);
    }
  });

  await check('gateway: the two subgraphs compose', async () => {
    const { _service } = await data(url, '{ _service { sdl } }');
    const other = await listening(cleanings);
    const composed = composeServices([
      { name: 'staygraph', typeDefs: parse(_service.sdl), url },
      { name: 'cleanings', typeDefs: parse(CLEANINGS), url: other },
    ]);
    if (compositionHasErrors(composed)) fail(composed.errors.map(({ message }) => message).join('; '));
    supergraph = composed.supergraphSdl;
    const runtime = createGatewayRuntime({ supergraph, logging: false, maskedErrors: false });
    gateway = { runtime, url: await listening(runtime) };
  });

  const asked = (query, variables) => {
    if (!gateway) fail('there is no gateway');
    return data(gateway.url, query, variables);
  };

  await check('gateway: a field that another adds to Property, and back into a Reservation', async () => {
    const { property } = await asked(`query($key: String!) {
      property(key: $key) { key name host { name } cleanings { by during { key completeness property { key name } } } }
    }`, { key: PROPERTY });
    const [{ by, during }] = property.cleanings;
    equal([property.key, by, during.completeness, during.property.key.length > 0], [PROPERTY, 'Mirela', 'COMPLETE', true], 'what is told');
  });

  await check('gateway: from the other side, an entity by its key alone', async () => {
    const { cleanings: [first] } = await asked('{ cleanings { by property { name status host { name } } during { status guest { name } } } }');
    holds(first.property.name && first.property.host.name && first.during.status, JSON.stringify(first));
  });

  await check('gateway: a list, each with its field of the other', async () => {
    const { properties } = await asked('{ properties(first: 20) { totalCount nodes { key name cleanings { by } } } }');
    equal([properties.nodes.length, properties.nodes.every((node) => Array.isArray(node.cleanings))], [20, true], 'nodes');
  });

  await check("gateway: staygraph's error comes through with its code and path", async () => {
    if (!gateway) fail('there is no gateway');
    const { data: found, errors } = await ask(gateway.url, `{ person(key: "${GUEST}") { reservations(after: "none") { totalCount } } cleanings { by } }`);
    equal([found.person, found.cleanings.length > 0], [null, true], 'the data');
    equal([errors[0].extensions.code, errors[0].path], ['BAD_USER_INPUT', ['person', 'reservations']], 'code and path');
  });
}

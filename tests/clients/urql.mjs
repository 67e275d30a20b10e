// urql with its normalised cache, graphcache, which knows the schema by introspection.
import { Client, fetchExchange, gql } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';
import { persistedExchange } from '@urql/exchange-persisted';
import { getIntrospectionQuery } from 'graphql';
import { GUEST, PROPERTY, TIMELY, check, complaints, data, equal, holds, remembering } from './support.mjs';

export async function urql(url) {
  const schema = await data(url, getIntrospectionQuery({ descriptions: false }));
  // What has no id of its own is a part of what holds it.
  const keys = Object.fromEntries(schema.__schema.types
    .filter(({ kind, fields }) => kind === 'OBJECT' && !fields.some(({ name }) => name === 'id'))
    .map(({ name }) => [name, () => null]));
  const make = (options = {}, ...exchanges) => {
    const net = remembering();
    const cache = cacheExchange({ schema, keys, resolvers: { Person: { reservations: relayPagination() } } });
    const client = new Client({ url, fetch: net.fetch, preferGetMethod: false, exchanges: [cache, ...exchanges, fetchExchange], ...options });
    return { client, requests: net.requests, ask: (query, variables, context) => client.query(query, variables, context).toPromise() };
  };

  const STAYS = gql`query Stays($guest: String!, $first: Int, $after: String) {
    person(key: $guest) {
      id
      name
      reservations(first: $first, after: $after) {
        totalCount
        edges { cursor node { id status total { minor currency } property { id name } } }
        pageInfo { startCursor endCursor hasNextPage hasPreviousPage }
      }
    }
  }`;

  await check('urql: what one query brought, another is answered with, without a request', async () => {
    const { ask, requests } = make();
    const { data: found } = await ask(gql`query($key: String!) { property(key: $key) { id name host { id name } } }`, { key: PROPERTY });
    const again = await ask(
      gql`query($key: String!) { property(key: $key) { id host { name } } }`, { key: PROPERTY }, { requestPolicy: 'cache-only' },
    );
    equal(again.data.property.host.name, found.property.host.name, 'the host');
    equal(requests.length, 1, 'requests');
  });

  await check('urql: an entity is one thing, through whichever interface and query it comes', async () => {
    const { ask, client } = make();
    const { data: first } = await ask(gql`query($id: ID!) { node(id: $id) { id ... on Entity { key completeness } ... on Property { name } } }`, { id: `Property:${PROPERTY}` });
    const { data: second } = await ask(gql`query($key: String!) { property(key: $key) { id key name } }`, { key: PROPERTY });
    equal([first.node.key, first.node.name], [second.property.key, second.property.name], 'key and name');
    const name = gql`fragment Name on Property { __typename id name }`;
    equal(client.readQuery(gql`query($key: String!) { property(key: $key) { ...Name } } ${name}`, { key: PROPERTY }).data.property.name, first.node.name, 'from the cache');
  });

  await check('urql: pages grow into one list', async () => {
    const { ask } = make();
    const variables = { guest: GUEST, first: 20 };
    let stays = (await ask(STAYS, variables)).data.person.reservations;
    let pages = 1;
    for (; stays.pageInfo.hasNextPage && pages < 10; pages += 1) {
      stays = (await ask(STAYS, { ...variables, after: stays.pageInfo.endCursor })).data.person.reservations;
    }
    const whole = (await make().ask(STAYS, { guest: GUEST, first: 1000 })).data.person.reservations;
    equal(pages, Math.ceil(stays.totalCount / 20), 'pages');
    equal(stays.edges.map(({ node }) => node.id), whole.edges.map(({ node }) => node.id), 'the stays');
  });

  await check('urql: an error carries its code, and what else was asked is there', async () => {
    const { ask } = make();
    const { data: found, error } = await ask(gql`query($after: String) {
      property(key: "${PROPERTY}") { id name }
      person(key: "${GUEST}") { id reservations(after: $after) { totalCount } }
    }`, { after: 'none' });
    equal(error.graphQLErrors.map(({ extensions, path }) => [extensions.code, path]), [['BAD_USER_INPUT', ['person', 'reservations']]], 'the errors');
    equal([found.property.id, found.person], [`Property:${PROPERTY}`, null], 'the data');
  });

  await check('urql: a document that does not fit has its code, and no network error', async () => {
    const { ask } = make({ exchanges: [fetchExchange] });
    const { error, data: found } = await ask(gql`{ noSuchField }`);
    equal([error.networkError, error.graphQLErrors.map(({ extensions }) => extensions.code), found], [undefined, ['GRAPHQL_VALIDATION_FAILED'], undefined], 'the result');
  });

  await check('urql: result.extensions has the freshness', async () => {
    const { ask } = make();
    const { extensions } = await ask(STAYS, { guest: GUEST, first: 1 });
    equal(extensions.freshness.domains.map(({ domain }) => domain).sort(), ['people', 'properties', 'reservations'], 'the domains');
  });

  await check('urql: by GET, answered 304 once nothing changed', async () => {
    const { client, requests } = make({ preferGetMethod: 'force' });
    const query = gql`query($key: String!) { property(key: $key) { id name } }`;
    const { data: found } = await client.query(query, { key: PROPERTY }).toPromise();
    equal([requests[0].method, found.property.id], ['GET', `Property:${PROPERTY}`], 'method and id');
    const again = await fetch(requests[0].url, { headers: { accept: 'application/graphql-response+json', 'if-none-match': requests[0].headers.get('etag') } });
    equal(again.status, 304, 'the status');
  });

  await check('urql: the freshness of entities and connections is in the cache', async () => {
    const { ask, requests } = make();
    const query = gql`query($guest: String!) { person(key: $guest) { id freshness { status cause asOf position }
      reservations(first: 2) { freshness { status position } nodes { id freshness { status } } } } }`;
    await ask(query, { guest: GUEST });
    const { data: found } = await ask(query, { guest: GUEST }, { requestPolicy: 'cache-only' });
    holds([found.person, found.person.reservations].every(({ freshness }) => TIMELY.includes(freshness.status)), 'what the cache has');
    equal(requests.length, 1, 'requests');
  });

  // urql knows the message alone, not the code.
  await check('urql: persisted queries: the hash alone once the text was sent', async () => {
    const query = gql(`query Persisted { person(key: "${GUEST}") { id urql${process.pid}: name } }`);
    const first = make({}, persistedExchange({ preferGetForPersistedQueries: false }));
    const told = await first.ask(query);
    equal(first.requests.map(({ body }) => Boolean(body.query)), [false, true], 'which requests had the text');
    const second = make({}, persistedExchange({ preferGetForPersistedQueries: false }));
    equal((await second.ask(query)).data, told.data, 'the answer then');
    equal(second.requests.map(({ body }) => Boolean(body.query)), [false], 'the requests then');
  }, { needs: 'PersistedQueryNotFound, to the letter' });

  await check('urql: nothing to complain of', async () => {
    const heard = await complaints(async () => {
      const { ask } = make();
      await ask(STAYS, { guest: GUEST, first: 2 });
      const { error } = await ask(gql`{
        projection { version domains { domain status partitions { topic partition applied } } deadLetters { nodes { id } totalCount } }
        catalog { entities { name count fields { name filled } drift { kind name } } }
        search(text: "hostel", first: 2) { score node { id ... on Entity { lastEvent { id time } } ... on Property { location { lat lon } } } }
        reservations(filter: { total: { minor: { gt: 100 } }, property: { host: { country: { eq: "SG" } } } }, orderBy: [{ checkIn: ASC }], first: 1) { nodes { id } }
      }`);
      holds(!error, String(error));
    });
    equal(heard, [], 'warnings');
  });
}

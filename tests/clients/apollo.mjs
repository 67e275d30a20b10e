// Apollo Client 4, as a page uses it: a cache by id, pages that grow, errors with their codes, freshness read by a link.
import { createHash } from 'node:crypto';
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from '@apollo/client/core';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { relayStylePagination } from '@apollo/client/utilities';
import { filter, firstValueFrom, map } from 'rxjs';
import { GUEST, PROPERTY, TIMELY, check, complaints, data, equal, holds, remembering } from './support.mjs';

export async function apollo(url) {
  const { __schema } = await data(url, '{ __schema { types { kind name possibleTypes { name } } } }');
  const possibleTypes = Object.fromEntries(__schema.types.filter(({ kind }) => kind === 'INTERFACE')
    .map(({ name, possibleTypes: types }) => [name, types.map((type) => type.name)]));
  const make = (...links) => {
    const net = remembering();
    const cache = new InMemoryCache({
      possibleTypes,
      typePolicies: {
        Query: { fields: { reservations: relayStylePagination(['filter', 'orderBy']) } },
        Person: { fields: { reservations: relayStylePagination(['filter', 'orderBy']) } },
      },
    });
    const link = ApolloLink.from([...links, new HttpLink({ uri: url, fetch: net.fetch })]);
    return { client: new ApolloClient({ cache, link }), cache, requests: net.requests };
  };

  const STAYS = gql`query Stays($guest: String!, $first: Int, $after: String) {
    person(key: $guest) {
      id
      name
      reservations(first: $first, after: $after, orderBy: [{ checkIn: DESC }]) {
        totalCount
        edges { cursor node { id status total { minor currency } property { id name host { id name } } } }
        pageInfo { endCursor hasNextPage }
      }
    }
  }`;
  const BROKEN = gql`query Broken($cursor: String) {
    whole: property(key: "${PROPERTY}") { id name }
    broken: person(key: "${GUEST}") { id reservations(after: $cursor) { totalCount } }
  }`;

  await check('Apollo: an entity has one place in the cache, by its id, whichever query brought it', async () => {
    const { client, cache, requests } = make();
    await client.query({ query: STAYS, variables: { guest: GUEST, first: 3 } });
    const { data: found } = await client.query({
      query: gql`query Place($id: ID!) { node(id: $id) { id ... on Entity { key } ... on Property { name } } }`,
      variables: { id: `Property:${PROPERTY}` },
    });
    equal(found.node.key, PROPERTY, 'the key');
    const entries = Object.keys(cache.extract());
    holds(entries.includes(`Person:Person:${GUEST}`) && entries.includes(`Property:Property:${PROPERTY}`), entries.join(' '));
    const name = gql`fragment Name on Property { name }`;
    cache.writeFragment({ id: `Property:Property:${PROPERTY}`, fragment: name, data: { __typename: 'Property', name: 'renamed' } });
    const again = client.readQuery({
      query: gql`query Place($id: ID!) { node(id: $id) { id ... on Property { name } } }`,
      variables: { id: `Property:${PROPERTY}` },
    });
    equal(again.node.name, 'renamed', 'what the first query reads then');
    const before = requests.length;
    await client.query({ query: STAYS, variables: { guest: GUEST, first: 3 } });
    equal(requests.length, before, 'requests of a query asked again');
  });

  await check('Apollo: pages grow into one list, and equal the list asked for at once', async () => {
    const { client } = make();
    const watched = client.watchQuery({ query: STAYS, variables: { guest: GUEST, first: 20 } });
    const beyond = (edges) => firstValueFrom(watched.pipe(
      map(({ loading, data: found }) => !loading && found?.person?.reservations),
      filter((stays) => stays && stays.edges.length > edges),
    ));
    const subscription = watched.subscribe(() => {});
    try {
      let grown = await beyond(0);
      let pages = 1;
      for (; grown.pageInfo.hasNextPage && pages < 10; pages += 1) {
        const next = beyond(grown.edges.length);
        await watched.fetchMore({ variables: { after: grown.pageInfo.endCursor } });
        grown = await next;
      }
      equal(pages, Math.ceil(grown.totalCount / 20), 'pages');
      const { data: whole } = await make().client.query({ query: STAYS, variables: { guest: GUEST, first: 1000 } });
      equal(grown.edges.length, grown.totalCount, 'edges');
      equal(grown.edges, whole.person.reservations.edges, 'the edges');
    } finally {
      subscription.unsubscribe();
    }
  });

  await check('Apollo: an error carries its code, place and path', async () => {
    const { client, requests } = make();
    const refused = await client.query({ query: BROKEN, variables: { cursor: 'none' } }).catch((error) => error);
    holds(CombinedGraphQLErrors.is(refused), String(refused));
    equal(refused.errors.map(({ extensions, path }) => [extensions.code, path]), [['BAD_USER_INPUT', ['broken', 'reservations']]], 'the errors');
    holds(refused.errors[0].locations.length > 0, 'no place');
    equal(requests[0].headers.get('content-type').split(';')[0], 'application/graphql-response+json', 'the media type');
  });

  await check('Apollo: a document that does not fit is CombinedGraphQLErrors, though its status is 400', async () => {
    const { client, requests } = make();
    const refused = await client.query({ query: gql`{ noSuchField }` }).catch((error) => error);
    holds(CombinedGraphQLErrors.is(refused), String(refused));
    equal([requests[0].status, refused.errors[0].extensions.code], [400, 'GRAPHQL_VALIDATION_FAILED'], 'status and code');
  });

  for (const [policy, hasData, hasError] of [['none', false, true], ['all', true, true], ['ignore', true, false]]) {
    await check(`Apollo: errorPolicy ${policy}`, async () => {
      const { client } = make();
      const found = await client.query({ query: BROKEN, variables: { cursor: 'none' }, errorPolicy: policy }).catch((error) => ({ error }));
      equal([Boolean(found.data), Boolean(found.error)], [hasData, hasError], 'data and error');
      if (hasData) equal([found.data.whole.id, found.data.broken], [`Property:${PROPERTY}`, null], 'the data');
    });
  }

  await check('Apollo: a link reads extensions.freshness of each answer', async () => {
    const seen = [];
    const freshness = new ApolloLink((operation, forward) => forward(operation).pipe(map((result) => {
      seen.push(result.extensions?.freshness);
      return result;
    })));
    const { client } = make(freshness);
    await client.query({ query: STAYS, variables: { guest: GUEST, first: 1 } });
    equal(seen.length, 1, 'answers');
    equal(seen[0].domains.map(({ domain }) => domain).sort(), ['people', 'properties', 'reservations'], 'the domains');
    holds(TIMELY.includes(seen[0].status) && !Number.isNaN(Date.parse(seen[0].asOf)), JSON.stringify(seen[0]));
  });

  await check('Apollo: the freshness of entities and connections is in the cache', async () => {
    const { client } = make();
    const { data: found } = await client.query({
      query: gql`query Fresh($guest: String!, $after: String) { person(key: $guest) {
        id
        freshness { status cause asOf position }
        reservations(first: 2, after: $after) { freshness { status cause asOf position } edges { cursor node { id freshness { status } } } pageInfo { endCursor hasNextPage } }
      } }`,
      variables: { guest: GUEST },
    });
    holds(TIMELY.includes(found.person.freshness.status), "the person's");
    holds(found.person.freshness.position.includes('people'), found.person.freshness.position);
    holds(found.person.reservations.freshness.position.includes('reservations'), "the connection's position");
    holds(found.person.reservations.edges.every(({ node }) => TIMELY.includes(node.freshness.status)), "the stays'");
  });

  const sha256 = (text) => createHash('sha256').update(text).digest('hex');
  for (const byGet of [false, true]) {
    await check(`Apollo: persisted queries: the hash alone once the text was sent${byGet ? ', by GET' : ''}`, async () => {
      // A document that no earlier run sent: the service may outlive this test.
      const query = gql`query Persisted { person(key: "${GUEST}") { id own${process.pid}${byGet ? 'get' : 'post'}: name } }`;
      const paramsOf = ({ url: { searchParams }, body }) => (body
        ? { query: Boolean(body.query), hash: body.extensions?.persistedQuery?.sha256Hash }
        : { query: searchParams.has('query'), hash: JSON.parse(searchParams.get('extensions')).persistedQuery.sha256Hash });
      const first = make(new PersistedQueryLink({ sha256, useGETForHashedQueries: byGet }));
      const heard = [];
      const told = await first.client.query({ query });
      equal(first.requests.map((request) => paramsOf(request).query), [false, true], 'which requests had the text');
      equal(told.data.person.id, `Person:${GUEST}`, 'the answer');
      const second = make(new PersistedQueryLink({ sha256, useGETForHashedQueries: byGet, disable: () => heard.push('disabled') > 0 }));
      const again = await second.client.query({ query });
      equal(second.requests.map((request) => [request.method, paramsOf(request).query]), [[byGet ? 'GET' : 'POST', false]], 'the requests then');
      equal([again.data, heard], [told.data, []], 'the answer then');
    });
  }

  await check('a hash that was never told is PERSISTED_QUERY_NOT_FOUND; one of another text is refused', async () => {
    const send = async (body) => (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })).json();
    const unknown = await send({ extensions: { persistedQuery: { version: 1, sha256Hash: sha256('nobody sent this') } } });
    equal([unknown.errors[0].message, unknown.errors[0].extensions.code], ['PersistedQueryNotFound', 'PERSISTED_QUERY_NOT_FOUND'], 'the error');
    const other = await send({ query: '{ __typename }', extensions: { persistedQuery: { version: 1, sha256Hash: sha256('another text') } } });
    holds(!other.data && other.errors[0].extensions.code !== 'INTERNAL_SERVER_ERROR', JSON.stringify(other));
  }, { needs: 'PersistedQueryNotFound, to the letter' });

  await check('a long answer is compressed for who takes gzip, brotli or zstd, and read by fetch', async () => {
    const { client, requests } = make();
    const { data: found } = await client.query({ query: gql`{ reservations(first: 300) { nodes { id key status } } }` });
    equal(found.reservations.nodes.length, 300, 'nodes');
    holds(['gzip', 'br', 'zstd'].includes(requests[0].headers.get('content-encoding')), 'no content-encoding');
    holds(/accept-encoding/i.test(requests[0].headers.get('vary')), `vary: ${requests[0].headers.get('vary')}`);
  });

  await check('Apollo: nothing to complain of', async () => {
    const heard = await complaints(async () => {
      const { client } = make();
      await client.query({ query: STAYS, variables: { guest: GUEST, first: 2 } });
      await client.query({ query: STAYS, variables: { guest: GUEST, first: 2, after: null }, fetchPolicy: 'network-only' });
      await client.query({ query: gql`{ projection { version position domains { domain status } } catalog { entities { name count } } }` });
    });
    equal(heard, [], 'warnings');
  });
}

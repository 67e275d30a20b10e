// A guest's stays and one of them, asked for with Apollo Client. Its cache keeps each entity once, by its `id`.
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { ApolloProvider, useQuery } from '@apollo/client/react';
import { relayStylePagination } from '@apollo/client/utilities';
import { ASK_AGAIN_MS, GUEST, PAGE, Page, SERVICE, Stay, Stays } from '../../page/parts.jsx';

const client = new ApolloClient({
  link: new HttpLink({ uri: SERVICE }),
  cache: new InMemoryCache({ typePolicies: { Person: { fields: { reservations: relayStylePagination(['filter', 'orderBy']) } } } }),
});

const STAYS = gql`
  query Stays($guest: String!, $first: Int!, $after: String) {
    person(key: $guest) {
      id
      name
      reservations(first: $first, after: $after, filter: { property: { prices: { some: {} } } }) {
        totalCount
        edges { node { id key property { id name neighbourhood city } } }
        pageInfo { endCursor hasNextPage }
      }
    }
  }
`;

// Each part says how fresh it is: a component has it where it has the rest.
const STAY = gql`
  query Stay($key: String!) {
    reservation(key: $key) {
      id key status checkIn checkOut nights channel bookedAt provenance
      freshness { status cause asOf }
      total { minor currency }
      guest { id key name country since freshness { status cause asOf } }
      property {
        id name kind neighbourhood city country sleeps
        freshness { status cause asOf }
        host { id name since }
        prices(first: 4) { freshness { status cause asOf } nodes { id unit validFrom validTo amount { minor currency } } }
      }
    }
  }
`;

function App() {
  const [chosen, choose] = useState();
  const { data, error, fetchMore } = useQuery(STAYS, { variables: { guest: GUEST, first: PAGE } });
  const stays = data?.person?.reservations;
  const nodes = stays?.edges.map(({ node }) => node) ?? [];
  const key = chosen ?? nodes[0]?.key;
  return (
    <Page
      by="Apollo Client"
      name={data?.person?.name}
      count={stays?.totalCount}
      list={error ? <p className="failure">{error.message}</p> : (
        <Stays
          stays={nodes}
          chosen={key}
          choose={choose}
          hasMore={stays?.pageInfo.hasNextPage}
          more={() => fetchMore({ variables: { after: stays.pageInfo.endCursor } })}
        />
      )}
      detail={key && <Detail stayKey={key} />}
    />
  );
}

function Detail({ stayKey }) {
  const { data, error } = useQuery(STAY, { variables: { key: stayKey }, pollInterval: ASK_AGAIN_MS });
  if (data?.reservation) return <Stay stay={data.reservation} failure={error?.message} />;
  return <p className={error ? 'failure' : 'soft'}>{error?.message ?? 'One moment'}</p>;
}

createRoot(document.getElementById('page')).render(<ApolloProvider client={client}><App /></ApolloProvider>);

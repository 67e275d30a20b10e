// A guest's stays and one of them, asked for with Relay: each part says what it needs in a fragment of its own.
import { Suspense, useEffect, useState, useTransition } from 'react';
import { createRoot } from 'react-dom/client';
import { RelayEnvironmentProvider, fetchQuery, graphql, useLazyLoadQuery, usePaginationFragment } from 'react-relay';
import { Environment, Network, RecordSource, Store } from 'relay-runtime';
import { ASK_AGAIN_MS, GUEST, PAGE, Page, SERVICE, Stay, Stays } from '../../page/parts.jsx';

async function send({ text, name }, variables) {
  const response = await fetch(SERVICE, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/graphql-response+json' },
    body: JSON.stringify({ query: text, operationName: name, variables }),
  });
  return response.json();
}

const environment = new Environment({ network: Network.create(send), store: new Store(new RecordSource()) });

const STAYS = graphql`
  query mainStaysQuery($guest: String!, $count: Int!) {
    person(key: $guest) {
      ...main_person @arguments(count: $count)
    }
  }
`;

const PERSON = graphql`
  fragment main_person on Person
  @argumentDefinitions(count: { type: "Int", defaultValue: 6 }, cursor: { type: "String" })
  @refetchable(queryName: "mainMoreStaysQuery") {
    name
    reservations(first: $count, after: $cursor, filter: { property: { prices: { some: {} } } }) @connection(key: "main_reservations") {
      totalCount
      edges { node { key property { name neighbourhood city } } }
    }
  }
`;

// Each part says how fresh it is: a component has it where it has the rest.
const STAY = graphql`
  query mainStayQuery($key: String!) {
    reservation(key: $key) {
      key status checkIn checkOut nights channel bookedAt provenance
      freshness { status cause asOf }
      total { minor currency }
      guest { key name country since freshness { status cause asOf } }
      property {
        name kind neighbourhood city country sleeps
        freshness { status cause asOf }
        host { name since }
        prices(first: 4) { freshness { status cause asOf } nodes { unit validFrom validTo amount { minor currency } } }
      }
    }
  }
`;

function App() {
  const { person } = useLazyLoadQuery(STAYS, { guest: GUEST, count: PAGE });
  return person ? <Person person={person} /> : <Page by="Relay" list={<p className="soft">Nobody is called {GUEST}</p>} />;
}

function Person({ person }) {
  const { data, hasNext, loadNext } = usePaginationFragment(PERSON, person);
  const [, startTransition] = useTransition();
  const [chosen, choose] = useState();
  const nodes = data.reservations.edges.map(({ node }) => node);
  const key = chosen ?? nodes[0]?.key;
  return (
    <Page
      by="Relay"
      name={data.name}
      count={data.reservations.totalCount}
      list={<Stays stays={nodes} chosen={key} choose={(stay) => startTransition(() => choose(stay))} hasMore={hasNext} more={() => loadNext(PAGE)} />}
      detail={key && <Suspense fallback={<p className="soft">One moment</p>}><Detail stayKey={key} /></Suspense>}
    />
  );
}

function Detail({ stayKey }) {
  const { reservation } = useLazyLoadQuery(STAY, { key: stayKey });
  const [failure, setFailure] = useState();
  useEffect(() => {
    let asked;
    const timer = setInterval(() => {
      asked = fetchQuery(environment, STAY, { key: stayKey }, { fetchPolicy: 'network-only' })
        .subscribe({ next: () => setFailure(undefined), error: (error) => setFailure(error.message) });
    }, ASK_AGAIN_MS);
    return () => {
      clearInterval(timer);
      asked?.unsubscribe();
    };
  }, [stayKey]);
  return <Stay stay={reservation} failure={failure} />;
}

createRoot(document.getElementById('page')).render(
  <RelayEnvironmentProvider environment={environment}>
    <Suspense fallback={<Page by="Relay" list={<p className="soft">One moment</p>} />}><App /></Suspense>
  </RelayEnvironmentProvider>,
);

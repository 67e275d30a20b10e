// Read by relay-compiler alone: tests/clients/relay.mjs runs what it makes of this.
import { graphql } from 'relay-runtime';

export const query = graphql`
  query freshQuery($guest: String!) {
    person(key: $guest) {
      freshness { status cause asOf position }
      reservations(first: 5) @connection(key: "fresh_reservations") {
        freshness { status cause asOf position }
        edges { node { id freshness { status } } }
      }
    }
  }
`;

// Read by relay-compiler alone: tests/clients/relay.mjs runs what it makes of these.
import { graphql } from 'relay-runtime';

export const query = graphql`
  query staysQuery($guest: String!, $count: Int!) {
    person(key: $guest) {
      ...stays_person @arguments(count: $count)
    }
  }
`;

export const person = graphql`
  fragment stays_person on Person
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "staysPaginationQuery") {
    name
    reservations(first: $count, after: $cursor, orderBy: [{ checkIn: DESC }]) @connection(key: "stays_reservations") {
      totalCount
      edges {
        node {
          id
          status
          total { minor currency }
          property { ...place_property }
        }
      }
      pageInfo { endCursor hasNextPage }
    }
  }
`;

export const place = graphql`
  query placeQuery($key: String!) {
    property(key: $key) {
      ...place_property
    }
  }
`;

export const property = graphql`
  fragment place_property on Property @refetchable(queryName: "placeRefetchQuery") {
    name
    host { name }
  }
`;

export const caught = graphql`
  query caughtQuery($guest: String!, $after: String) {
    person(key: $guest) @catch(to: RESULT) {
      reservations(after: $after) {
        totalCount
      }
    }
    property(key: "71609") {
      name
    }
  }
`;

// Read by generate-persisted-query-manifest alone, and asked for by tests/clients/documents/run.mjs.
import { gql } from '@apollo/client/core';

export const PERSON = gql`
  query Person($key: String!) {
    person(key: $key) {
      id
      name
      reservations(first: 2) { totalCount edges { node { id status } } }
    }
  }
`;

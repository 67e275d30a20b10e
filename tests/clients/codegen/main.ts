// What a team writes against the generated types. `tsc --strict` compiles it; each `@ts-expect-error` is a mistake that has to be found.
import type { ResultOf, VariablesOf } from '@graphql-typed-document-node/core';
import { graphql } from './generated/gql.js';

const Stays = graphql(`
  query Stays($guest: String!, $filter: ReservationFilter, $orderBy: [ReservationOrder!], $first: Int) {
    person(key: $guest) {
      id
      name
      reservations(filter: $filter, orderBy: $orderBy, first: $first) {
        totalCount
        nodes {
          id
          checkIn
          status
          total { minor currency }
          property { name location { lat lon } host { name } }
        }
      }
    }
  }
`);

const Place = graphql(`
  query Place($id: ID!) {
    node(id: $id) {
      id
      ... on Entity { key completeness lastEvent { time offset } }
      ... on Property { name kind }
    }
  }
`);

type Variables = VariablesOf<typeof Stays>;
type Person = NonNullable<ResultOf<typeof Stays>['person']>;
type Stay = Person['reservations']['nodes'][number];

export const good: Variables[] = [
  { guest: '44250196' },
  { guest: '44250196', first: null, filter: { status: { in: ['CANCELLED', 'NO_SHOW'] } } },
  { guest: '44250196', orderBy: [{ checkIn: 'DESC' }, { total: 'ASC' }] },
  { guest: '44250196', orderBy: { checkIn: 'DESC' } },
  { guest: '44250196', filter: { property: { host: { country: { eq: 'SG' } } }, total: { minor: { gte: 100 } } } },
];

// @ts-expect-error a required variable is missing
export const without: Variables = {};
// @ts-expect-error no status is called so
export const misspelt: Variables = { guest: '', filter: { status: { eq: 'CANCELED' } } };
// @ts-expect-error no field is called so
export const unknown: Variables = { guest: '', filter: { arrival: { eq: '2024-01-01' } } };
// @ts-expect-error an order is by one field: @oneOf
export const two: Variables = { guest: '', orderBy: [{ checkIn: 'DESC', total: 'ASC' }] };
// @ts-expect-error an order is by a field: @oneOf
export const none: Variables = { guest: '', orderBy: [{}] };

export function words(person: Person): string {
  const name: string | null = person.name;
  const total: number = person.reservations.totalCount;
  return `${name ?? 'somebody'}: ${total} ${person.reservations.nodes.map(wordsOfStay).join()}`;
}

function wordsOfStay(stay: Stay): string {
  // @ts-expect-error what may be null is told to be so
  const amount: number = stay.total.minor;
  const checkIn: string | null = stay.checkIn;
  const status: 'BOOKED' | 'CONFIRMED' | 'CANCELLED' | 'CHECKED_IN' | 'COMPLETED' | 'NO_SHOW' | null = stay.status;
  const lat: number | undefined = stay.property?.location?.lat;
  return [amount, checkIn, status, lat].join();
}

export function key(place: NonNullable<ResultOf<typeof Place>['node']>): string {
  const offset: number | undefined = 'lastEvent' in place ? place.lastEvent?.offset : undefined;
  return [place.id, place.key, place.completeness, offset].join();
}

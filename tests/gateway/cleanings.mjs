// The other subgraph: who cleans which property, during which stay. It knows of staygraph's entities their keys alone.
import { createSchema, createYoga } from 'graphql-yoga';
import { PROPERTY } from '../clients/support.mjs';

// One cleaning, at a property of the demo, during a stay of the demo.
const PLANNED = [{ id: '1', by: 'Mirela', propertyKey: PROPERTY, stayKey: 'hb-1' }];

export const CLEANINGS = `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
  type Query { cleanings: [Cleaning!]! }
  type Cleaning @key(fields: "id") { id: ID!  by: String!  property: Property!  during: Reservation }
  type Property @key(fields: "key") { key: String!  cleanings: [Cleaning!]! }
  type Reservation @key(fields: "key", resolvable: false) { key: String! }
`;

// What the specification of subgraphs adds to a schema, `_service` and `_entities`, written out.
const schema = createSchema({
  typeDefs: `
    ${CLEANINGS.replace(/extend schema.*/, '')}
    directive @key(fields: String!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE
    scalar _Any
    type _Service { sdl: String! }
    union _Entity = Cleaning | Property
    extend type Query { _service: _Service!  _entities(representations: [_Any!]!): [_Entity]! }
  `,
  resolvers: {
    Query: {
      cleanings: () => PLANNED,
      _service: () => ({ sdl: CLEANINGS }),
      _entities: (_, { representations }) => representations.map((of) => (of.__typename === 'Property' ? of : { ...PLANNED.find(({ id }) => id === of.id), __typename: 'Cleaning' })),
    },
    _Entity: { __resolveType: ({ __typename }) => __typename },
    Cleaning: { property: ({ propertyKey }) => ({ key: propertyKey }), during: ({ stayKey }) => ({ key: stayKey }) },
    Property: { cleanings: ({ key }) => PLANNED.filter(({ propertyKey }) => propertyKey === key) },
  },
});

export const cleanings = createYoga({ schema, logging: false, landingPage: false });

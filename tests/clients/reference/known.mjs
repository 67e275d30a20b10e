// Where graphql-js 16 and the service differ and the service is not wrong: by the specification's paragraph (September 2025), or a page's.
const list = [
  {
    why: '2.10.4 String Value: \\u{…} has any number of digits; graphql-js reads no more than twelve characters',
    fits: ({ query }) => /\\u\{0{9,}/.test(query),
  },
  {
    why: '4.2 Schema Introspection: includeDeprecated is Boolean! with a default; in graphql-js 16 it may be null',
    fits: ({ query }) => /includeDeprecated: null/.test(query),
  },
  {
    why: 'docs/graphql.md, Filters: null as a member of a filter is refused, since isNull asks for it',
    fits: ({ query }) => /\b(and|or|not): null/.test(query),
  },
  {
    why: '5.8.5 All Variable Usages Are Allowed: of a variable that may be null, with a default, in a member of a @oneOf the text says no and the algorithm yes',
    fits: ({ query }) => /\$(\w+): OrderDirection = /.test(query),
  },
];

export const known = (request) => list.some(({ fits }) => fits(request));

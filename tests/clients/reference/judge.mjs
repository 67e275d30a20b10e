// What graphql-js says of a request: where it stops, or that it runs. The schema is schema.graphql, with its scalars as its text describes them.
import { readFileSync } from 'node:fs';
import {
  GraphQLError, Kind, MaxIntrospectionDepthRule, TypeInfo, buildSchema, getArgumentValues, getDirectiveValues, getNamedType, getNullableType, getVariableValues,
  GraphQLIncludeDirective, GraphQLSkipDirective, isCompositeType, parse, specifiedRules, typeFromAST, validate, valueFromASTUntyped,
  visit, visitWithTypeInfo,
} from 'graphql';
import { FILE } from '../schema.mjs';

export const schema = buildSchema(readFileSync(FILE, 'utf8'));
// How deep introspection may go is a limit, and the service has its own: QUERY_TOO_DEEP.
const RULES = specifiedRules.filter((rule) => rule !== MaxIntrospectionDepthRule);
const OUR_SCALARS = /(Date|DateTime|Long|JSON) is/;

const text = (kind, fits) => (value) => {
  if (typeof value === 'string' && fits(value)) return value;
  throw new GraphQLError(`${kind} is another text`);
};
const real = (day) => !Number.isNaN(Date.parse(`${day}T00:00:00Z`)) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
const DATE_TIME = /^(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;
const readers = {
  Date: text('Date', (value) => /^\d{4}-\d\d-\d\d$/.test(value) && real(value)),
  DateTime: text('DateTime', (value) => DATE_TIME.test(value) && real(value.slice(0, 10))),
  Long: (value) => {
    if (Number.isSafeInteger(value)) return value;
    throw new GraphQLError('Long is an integer within ±(2^53 − 1)');
  },
};
const literalKinds = { Date: [Kind.STRING], DateTime: [Kind.STRING], Long: [Kind.INT] };
for (const [name, reader] of Object.entries(readers)) {
  Object.assign(schema.getType(name), {
    parseValue: reader,
    parseLiteral: (node, variables) => {
      if (!literalKinds[name].includes(node.kind)) throw new GraphQLError(`${name} is no ${node.kind}`);
      return reader(node.kind === Kind.INT ? Number(node.value) : valueFromASTUntyped(node, variables));
    },
  });
}

// `stage` is where it stops: parse, validation, operation, variables, arguments; or `runs`. `ours` says that a scalar of the service's own
// is the only fault: of such a literal either code is right.
export function judge({ query, variables = {}, operationName }) {
  let document;
  try {
    document = parse(query);
  } catch (error) {
    return { stage: 'parse', message: error.message };
  }
  const operations = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  // graphql-js tells of the fragments, which nothing uses; that there is nothing to run is as true.
  if (operations.length === 0 && document.definitions.every(({ kind }) => kind === Kind.FRAGMENT_DEFINITION)) return { stage: 'nothing', message: 'no operation' };
  const faults = validate(schema, document, RULES);
  if (faults.length > 0) {
    return { stage: 'validation', message: faults[0].message, ours: faults.every(({ message }) => OUR_SCALARS.test(message)) };
  }
  // September 2025, 5.2.1.1 Operation Type Existence; graphql-js 16 finds it when it executes.
  const rootless = operations.find(({ operation }) => !schema.getRootType(operation));
  if (rootless) return { stage: 'validation', message: `no ${rootless.operation}s` };
  const nullable = nullableOneOf(document, operations);
  if (nullable) return { stage: 'validation', message: `$${nullable} may be null in a member of a @oneOf` };
  const chosen = operationName ? operations.filter(({ name }) => name?.value === operationName) : operations;
  if (chosen.length !== 1) return { stage: 'operation', message: `${chosen.length} operations` };
  const { coerced, errors } = getVariableValues(schema, chosen[0].variableDefinitions ?? [], variables);
  if (errors) return { stage: 'variables', message: errors[0].message, ours: errors.every(({ message }) => OUR_SCALARS.test(message)) };
  try {
    const fragments = new Map(document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION).map((node) => [node.name.value, node]));
    bind(chosen[0].selectionSet, schema.getRootType(chosen[0].operation), { fragments, coerced });
  } catch (error) {
    return { stage: 'arguments', message: error.message };
  }
  return { stage: 'runs' };
}

// September 2025, 5.8.5 All Variable Usages Are Allowed: a member of a @oneOf is a place for what is not null. graphql-js 16 does not see it where
// the object is an item that may not be null.
function nullableOneOf(document, operations) {
  const info = new TypeInfo(schema);
  const definitions = operations.flatMap(({ variableDefinitions }) => variableDefinitions ?? []);
  let found;
  visit(document, visitWithTypeInfo(info, {
    ObjectField: ({ value }) => {
      const parent = getNullableType(info.getParentInputType());
      if (value.kind !== Kind.VARIABLE || !parent?.isOneOf) return;
      const name = value.name.value;
      if (definitions.some(({ variable, type, defaultValue }) => variable.name.value === name && type.kind !== Kind.NON_NULL_TYPE && !defaultValue)) found = name;
    },
  }));
  return found;
}

// Binds the arguments of every field that would be collected, as execution does.
function bind(selectionSet, parent, { fragments, coerced }, under = new Set()) {
  for (const node of selectionSet.selections) {
    if (getDirectiveValues(GraphQLSkipDirective, node, coerced)?.if === true) continue;
    if (getDirectiveValues(GraphQLIncludeDirective, node, coerced)?.if === false) continue;
    if (node.kind === Kind.FIELD) {
      const field = fieldOf(parent, node.name.value);
      if (!field) continue;
      getArgumentValues(field, node, coerced);
      const type = getNamedType(field.type);
      if (node.selectionSet && isCompositeType(type)) bind(node.selectionSet, type, { fragments, coerced }, under);
    } else if (node.kind === Kind.INLINE_FRAGMENT) {
      bind(node.selectionSet, node.typeCondition ? typeFromAST(schema, node.typeCondition) : parent, { fragments, coerced }, under);
    } else if (!under.has(node.name.value)) {
      const fragment = fragments.get(node.name.value);
      bind(fragment.selectionSet, typeFromAST(schema, fragment.typeCondition), { fragments, coerced }, new Set([...under, node.name.value]));
    }
  }
}

// Introspection's fields have no arguments that validation leaves open.
function fieldOf(parent, name) {
  return parent.getFields?.()[name];
}

const LIMITS = ['QUERY_TOO_DEEP', 'QUERY_TOO_COMPLEX', 'QUERY_TIMEOUT', 'OVERLOADED'];
const CODES = {
  parse: ['GRAPHQL_PARSE_FAILED'],
  validation: ['GRAPHQL_VALIDATION_FAILED'],
  nothing: ['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT'],
  operation: ['BAD_USER_INPUT'],
  variables: ['BAD_USER_INPUT'],
  arguments: ['BAD_USER_INPUT'],
};

// What is wrong with the service's answer beside the judgement, as a text; undefined where they agree; `limit` where it is a limit of its
// own, `value` where a field refuses what its type lets through: a cursor of another list, an id of no entity; `late` where a value of a
// scalar of the service's own is refused once the request runs.
export function disagreement(answer, { stage, message, ours }) {
  const codes = (answer.errors ?? []).map(({ extensions }) => extensions?.code);
  if (codes.some((code) => LIMITS.includes(code))) return 'limit';
  if (stage === 'runs' && codes.length > 0 && answer.errors.every(({ extensions, path }) => extensions.code === 'BAD_USER_INPUT' && path)) return 'value';
  if (stage === 'runs') return codes.length === 0 ? undefined : `it should run, and is ${codes[0]}: ${answer.errors[0].message}`;
  if (codes.length === 0) return `it should be a fault of ${stage} (${message}), and runs`;
  const allowed = [...CODES[stage], ...(ours ? ['BAD_USER_INPUT'] : [])];
  const other = codes.find((code) => !allowed.includes(code));
  if (other) return `it should be a fault of ${stage} (${message}), and is ${other}: ${answer.errors[0].message}`;
  if (stage === 'nothing' && !/no operation/i.test(answer.errors[0].message)) return `the message of a document without operations is: ${answer.errors[0].message}`;
  if (ours && answer.data !== undefined) return 'late';
  if (stage !== 'arguments' && answer.data !== undefined) return `a fault of ${stage} has data: ${JSON.stringify(answer.data)}`;
  const placeless = ['parse', 'validation'].includes(stage) && answer.errors.find(({ locations }) => !locations?.length);
  return placeless ? `a fault of ${stage} has no place: ${placeless.message}` : undefined;
}

// Requests made by chance over schema.graphql: one that fits, and the same with one thing changed. A seed gives the same ones always.
import {
  Kind, Lexer, Source, TokenKind, getNamedType, getNullableType, isAbstractType, isCompositeType, isEnumType, isInputObjectType, isLeafType, isListType, isNonNullType,
  parse, print, visit,
} from 'graphql';
import { schema } from './judge.mjs';

const DEPTH = 4;
// What the service asks of values beyond their types: a page is short, and has one direction; an id is one of the graph's.
const STRINGS = {
  from: ['Person:p1', 'Reservation:r2'], to: ['Property:h1', 'Person:p2'],
  key: ['p1', 'r1', 'h2', 'nobody'], domains: ['people', 'prices'], domain: ['people'], text: ['loft', 'att'], name: ['Person', 'Nobody'], code: ['BAD_FIELD'],
};
const IDS = ['Person:p1', 'Property:h1', 'Reservation:r2', 'Person:nobody'];
const CURSORS = ['after', 'before'];
const NUMBERS = { first: 3, last: 2, maxHops: 2, lat: 1, lon: 103, km: 50 };
const DATES = { Date: ['2026-02-01', '2026-03-31'], DateTime: ['2026-01-05T10:00:00Z', '2026-01-05T10:00:00.5+01:00'] };

export function* generated(seed, count) {
  const chance = mulberry32(seed);
  for (let index = 0; index < count; index += 1) {
    const request = new Maker(chance).request();
    yield { kind: 'that fit', ...request };
    const names = Object.keys(CHANGES);
    for (const step of [0, 6, 13, 20]) {
      const which = names[(index + step) % names.length];
      const changed = change(which, request, chance);
      if (changed) yield { kind: which, ...changed };
    }
  }
}

class Maker {
  constructor(chance) {
    this.chance = chance;
    this.aliases = 0;
    this.names = 0;
    this.definitions = [];
    this.variables = {};
    this.fragments = [];
  }

  pick(list) {
    return list[Math.floor(this.chance() * list.length)];
  }

  request() {
    const selections = this.selections(schema.getQueryType(), 0);
    const head = this.definitions.length > 0 ? `query Made(${this.definitions.join(', ')}) ` : this.pick(['', 'query ', 'query Made ']);
    return { query: print(parse([`${head}${selections}`, ...this.fragments].join('\n'))), variables: this.variables };
  }

  selections(type, depth) {
    const fields = Object.values(type.getFields?.() ?? {}).filter((field) => depth < DEPTH || isLeafType(getNamedType(field.type)));
    const parts = [];
    for (let left = 1 + Math.floor(this.chance() * 3); left > 0 && fields.length > 0; left -= 1) parts.push(this.field(this.pick(fields), depth));
    if (this.chance() < 0.2 || parts.length === 0) parts.push('__typename');
    if (isAbstractType(type)) {
      const member = this.pick([...schema.getPossibleTypes(type)]);
      parts.push(`... on ${member.name} ${this.selections(member, depth + 1)}`);
    } else if (this.chance() < 0.15) {
      const name = `F${this.names}`;
      this.names += 1;
      this.fragments.push(`fragment ${name} on ${type.name} ${this.selections(type, depth + 1)}`);
      parts.push(`...${name} ${this.directive()}`);
    }
    return `{ ${parts.join(' ')} }`;
  }

  field(field, depth) {
    const named = getNamedType(field.type);
    const one = field.args.some(({ name }) => name === 'last') && this.chance() < 0.3 ? 'first' : 'last';
    const given = field.args.filter(({ name, type }) => name !== one && (isNonNullType(type) || this.chance() < 0.5));
    const args = given.map((argument) => `${argument.name}: ${this.value(argument.type, argument.name, 0)}`);
    this.aliases += 1;
    return `a${this.aliases}: ${field.name}${args.length > 0 ? `(${args.join(', ')})` : ''} ${this.directive()} ${isCompositeType(named) ? this.selections(named, depth + 1) : ''}`;
  }

  directive() {
    if (this.chance() > 0.1) return '';
    if (this.chance() < 0.5) return this.pick(['@include(if: true)', '@skip(if: false)']);
    return `@include(if: ${this.variable('Boolean!', () => this.chance() < 0.7, '')})`;
  }

  // A literal, or a variable that has it as its value or its default.
  value(type, name, depth) {
    const nullable = getNullableType(type);
    if (depth === 0 && !isNonNullType(type) && (CURSORS.includes(name) || this.chance() < 0.1)) return 'null';
    if (this.chance() < 0.25) {
      const json = this.json(nullable, name, depth);
      const literal = literalOf(json, nullable);
      const written = this.pick([String(type), `${nullable}!`]);
      return this.variable(written, () => json, !written.endsWith('!') || this.chance() < 0.3 ? literal : '');
    }
    return literalOf(this.json(nullable, name, depth), nullable);
  }

  variable(type, json, literal) {
    const name = `v${this.definitions.length}`;
    const byDefault = literal && this.chance() < 0.4;
    this.definitions.push(`$${name}: ${type}${byDefault ? ` = ${literal}` : ''}`);
    if (!byDefault || this.chance() < 0.5) this.variables[name] = json();
    return `$${name}`;
  }

  json(type, name, depth) {
    if (isListType(type)) {
      const items = Array.from({ length: Math.floor(this.chance() * 3) }, () => this.json(getNullableType(type.ofType), name, depth + 1));
      return items.length === 1 && this.chance() < 0.3 ? items[0] : items;
    }
    if (isEnumType(type)) return this.pick(type.getValues()).name;
    if (isInputObjectType(type)) {
      const all = Object.values(type.getFields());
      const leaves = all.filter((field) => isLeafType(getNamedType(field.type)));
      const chosen = type.isOneOf ? [this.pick(all)] : all.filter(({ type: of }) => isNonNullType(of) || this.chance() < 1.5 / all.length);
      const fields = chosen.filter((field) => depth < 3 || leaves.includes(field));
      return Object.fromEntries(fields.map((field) => [field.name, this.json(getNullableType(field.type), field.name, depth + 1)]));
    }
    switch (type.name) {
      case 'Boolean': return this.chance() < 0.5;
      case 'Int': case 'Long': case 'Float': return NUMBERS[name] ?? Math.floor(this.chance() * 5);
      case 'ID': return this.pick(STRINGS[name] ?? IDS);
      case '_Any': return { __typename: 'Person', key: this.pick(STRINGS.key) };
      case 'Date': case 'DateTime': return this.pick(DATES[type.name]);
      default: return this.pick(STRINGS[name] ?? ['loft', 'é', '']);
    }
  }
}

function literalOf(json, type) {
  const of = getNullableType(type);
  if (json === null) return 'null';
  if (isListType(of)) return Array.isArray(json) ? `[${json.map((item) => literalOf(item, of.ofType)).join(', ')}]` : literalOf(json, of.ofType);
  if (isEnumType(of)) return json;
  if (isInputObjectType(of)) return `{${Object.entries(json).map(([name, value]) => `${name}: ${literalOf(value, of.getFields()[name].type)}`).join(', ')}}`;
  if (of.name === '_Any') return `{${Object.entries(json).map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(', ')}}`;
  return JSON.stringify(json);
}

const name = (value) => ({ kind: Kind.NAME, value });
const literal = (text) => parse(`{ a(b: ${text}) }`).definitions[0].selectionSet.selections[0].arguments[0].value;
const OTHER_VALUES = ['null', '1', '-1.5', '"text"', 'true', 'NOTHING', '[]', '[null]', '{}', '{a: 1}', '9999999999', '[[1]]'];
const OTHER_JSON = [null, 1, -1.5, 'text', true, [], [null], {}, { a: 1 }, 9999999999, [[1]]];
const withArguments = ({ arguments: args }) => args.length > 0;

// By name: which nodes can be changed, and into what. Some changes leave a request that fits: graphql-js says so.
const CHANGES = {
  'with an unknown field': [Kind.FIELD, () => true, (node) => ({ ...node, name: name(`${node.name.value}x`) })],
  'with an unknown argument': [Kind.FIELD, () => true, (node) => ({ ...node, arguments: [...node.arguments, { kind: Kind.ARGUMENT, name: name('more'), value: literal('1') }] })],
  'without an argument': [Kind.FIELD, withArguments, (node) => ({ ...node, arguments: node.arguments.slice(1) })],
  'with an argument twice': [Kind.FIELD, withArguments, (node) => ({ ...node, arguments: [...node.arguments, node.arguments[0]] })],
  'with another value': [Kind.ARGUMENT, () => true, (node, pick) => ({ ...node, value: literal(pick(OTHER_VALUES)) })],
  'with another value in an object': [Kind.OBJECT_FIELD, () => true, (node, pick) => ({ ...node, value: literal(pick(OTHER_VALUES.slice(1))) })],
  'with an unknown member': [Kind.OBJECT, () => true, (node) => ({ ...node, fields: [...node.fields, { kind: Kind.OBJECT_FIELD, name: name('more'), value: literal('1') }] })],
  'with a member twice': [Kind.OBJECT, ({ fields }) => fields.length > 0, (node) => ({ ...node, fields: [...node.fields, node.fields[0]] })],
  'without a member': [Kind.OBJECT, ({ fields }) => fields.length > 0, (node) => ({ ...node, fields: node.fields.slice(1) })],
  'with a list around a value': [Kind.ARGUMENT, () => true, (node) => ({ ...node, value: { kind: Kind.LIST, values: [node.value] } })],
  'with the first of a list': [Kind.LIST, ({ values }) => values.length > 0, (node) => node.values[0]],
  'without a selection': [Kind.FIELD, ({ selectionSet }) => selectionSet, (node) => ({ ...node, selectionSet: undefined })],
  'with a selection on a leaf': [Kind.FIELD, ({ selectionSet }) => !selectionSet, (node) => ({ ...node, selectionSet: parse('{ a }').definitions[0].selectionSet })],
  'with an unknown fragment': [Kind.FIELD, () => true, () => ({ kind: Kind.FRAGMENT_SPREAD, name: name('Nothing'), directives: [] })],
  'with another type condition': [Kind.INLINE_FRAGMENT, () => true, (node, pick) => ({ ...node, typeCondition: { kind: Kind.NAMED_TYPE, name: name(pick(['Person', 'Money', 'Nothing', 'ReservationFilter', 'Entity'])) } })],
  'with an unknown directive': [Kind.FIELD, () => true, (node) => ({ ...node, directives: [...node.directives, { kind: Kind.DIRECTIVE, name: name('nothing'), arguments: [] }] })],
  'with a directive twice': [Kind.FIELD, () => true, (node) => ({ ...node, directives: [literalDirective, literalDirective] })],
  'with one response name': [Kind.FIELD, ({ alias }) => alias, (node) => ({ ...node, alias: name('a1') })],
  'with a variable of another type': [Kind.VARIABLE_DEFINITION, () => true, (node, pick) => ({ ...node, type: { kind: Kind.NAMED_TYPE, name: name(pick(['Int', 'String', 'Boolean', 'ReservationFilter', 'Person'])) } })],
  'with another default': [Kind.VARIABLE_DEFINITION, () => true, (node, pick) => ({ ...node, defaultValue: literal(pick(OTHER_VALUES)) })],
  'with an unused variable': [Kind.OPERATION_DEFINITION, () => true, (node) => ({ ...node, variableDefinitions: [...node.variableDefinitions, ...parse('query($unused: Int) { a }').definitions[0].variableDefinitions] })],
  'without a variable': [Kind.OPERATION_DEFINITION, ({ variableDefinitions }) => variableDefinitions.length > 0, (node) => ({ ...node, variableDefinitions: node.variableDefinitions.slice(1) })],
  'with another value of a variable': 'variables',
  'without a token': 'text',
  'with a token twice': 'text',
  'with two tokens the other way': 'text',
  'cut off': 'text',
  'with a character more': 'text',
};
const literalDirective = parse('{ a @include(if: true) }').definitions[0].selectionSet.selections[0].directives[0];

function change(which, { query, variables }, chance) {
  const pick = (list) => list[Math.floor(chance() * list.length)];
  if (which.includes('token')) {
    const words = tokensOf(query);
    const at = Math.floor(chance() * (words.length - 1));
    const into = { 'without a token': [], 'with a token twice': [words[at], words[at]], 'with two tokens the other way': [words[at + 1], words[at]] }[which];
    words.splice(at, into.length === 2 && which.includes('other') ? 2 : 1, ...into);
    return { query: words.join(' '), variables };
  }
  if (which === 'cut off') return { query: query.slice(0, Math.floor(chance() * query.length)), variables };
  if (which === 'with a character more') {
    const at = Math.floor(chance() * query.length);
    return { query: query.slice(0, at) + pick(['{', '}', '(', ')', '$', '"', ':', '!', '\u0000', '.', '#', '-', '\\', 'é', '0']) + query.slice(at), variables };
  }
  const document = parse(query, { noLocation: true });
  if (which === 'with another value of a variable') {
    const names = document.definitions.flatMap(({ variableDefinitions }) => variableDefinitions ?? []).map(({ variable }) => variable.name.value);
    return names.length > 0 && { query, variables: { ...variables, [pick(names)]: pick(OTHER_JSON) } };
  }
  const [kind, fits, into] = CHANGES[which];
  const found = [];
  visit(document, { enter: (node) => { if (node.kind === kind && fits(node)) found.push(node); } });
  if (found.length === 0) return undefined;
  const chosen = pick(found);
  return { query: print(visit(document, { enter: (node) => (node === chosen ? into(node, pick) : undefined), leave: undefined })), variables };
}

function tokensOf(query) {
  const lexer = new Lexer(new Source(query));
  const words = [];
  for (let token = lexer.advance(); token.kind !== TokenKind.EOF; token = lexer.advance()) words.push(query.slice(token.start, token.end));
  return words;
}

function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

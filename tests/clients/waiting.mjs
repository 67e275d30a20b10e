// What the service does not have yet, by the name that checks use. A check that needs one of these has to fail until it is taken out.
export const waiting = [
  'PersistedQueryNotFound, to the letter',
  'an encoding that Node.js 20 unpacks',
  'one schema, printed and served',
  'no unused types',
  'reference: a colon that is missing',
  'reference: null where a list may stand',
  'reference: a default that is no value of its type',
  'reference: a literal that is no value of its scalar, where nothing reaches it',
  'reference: a member twice in an object of a scalar',
  'reference: what is no value of a scalar is refused before anything runs',
  'reference: made by chance',
];

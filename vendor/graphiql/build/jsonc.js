// In place of GraphiQL's module of this name: variables and headers are laid out by jsonc-parser, which is here
// anyway, so that Prettier's JavaScript parser and printer stay out.
import { applyEdits, format } from 'jsonc-parser';
export { parseJSONC, tryParseJSONC } from './node_modules/@graphiql/react/dist/utility/jsonc.js';

export async function formatJSONC(content) {
  return applyEdits(content, format(content, undefined, { tabSize: 2, insertSpaces: true }));
}

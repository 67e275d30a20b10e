// Runs real clients, unmodified, against a running staygraph with the demo's data.
//   node run.mjs <URL of /graphql> [part…]        parts: see below; all of them unless named
import { apollo } from './apollo.mjs';
import { summary } from './support.mjs';

const parts = { apollo };
const [url, ...names] = process.argv.slice(2);
if (!url || names.some((name) => !parts[name])) {
  console.error(`usage: node run.mjs <URL of /graphql> [${Object.keys(parts).join('|')}…]`);
  process.exit(2);
}
for (const [name, part] of Object.entries(parts)) {
  if (names.length === 0 || names.includes(name)) await part(url);
}
process.exit(summary());

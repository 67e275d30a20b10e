// Runs real clients, unmodified, against a running staygraph with the demo's data.
//   node run.mjs <URL of /graphql> [part…]        parts: see below; all of them unless named
import { apollo } from './apollo.mjs';
import { codegen } from './codegen.mjs';
import { relayClient as relay } from './relay.mjs';
import { schema } from './schema.mjs';
import { check, summary } from './support.mjs';
import { urql } from './urql.mjs';

const parts = { apollo, urql, relay, codegen, schema };
const [url, ...names] = process.argv.slice(2);
if (!url || names.some((name) => !parts[name])) {
  console.error(`usage: node run.mjs <URL of /graphql> [${Object.keys(parts).join('|')}…]`);
  process.exit(2);
}
for (const [name, part] of Object.entries(parts)) {
  if (names.length > 0 && !names.includes(name)) continue;
  await part(url).catch((error) => check(`${name}: what its checks need is there`, () => Promise.reject(error)));
}
process.exit(summary());

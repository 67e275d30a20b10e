// Runs the audit of GraphQL over HTTP (npm: graphql-http) against a running staygraph.
//   node audit.mjs <URL of /graphql>
// What the specification says MUST hold has to; what SHOULD or MAY hold is listed where it does not.
import { serverAudits } from 'graphql-http';

const [url] = process.argv.slice(2);
if (!url) {
  console.error('usage: node audit.mjs <URL of /graphql>');
  process.exit(2);
}

let failures = 0;
const counts = {};
for (const audit of serverAudits({ url })) {
  const level = audit.name.split(' ')[0];
  const result = await audit.fn();
  const held = result.status === 'ok';
  counts[level] ??= { held: 0, of: 0 };
  counts[level].of += 1;
  if (held) counts[level].held += 1;
  else console.log(`${level === 'MUST' ? 'FAIL' : 'note'}: ${audit.name}: ${result.reason}`);
  if (!held && level === 'MUST') failures += 1;
}
for (const [level, { held, of }] of Object.entries(counts)) console.log(`${level}: ${held} of ${of} hold`);
process.exit(failures === 0 ? 0 : 1);

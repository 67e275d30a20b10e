// Asks graphql-js and staygraph the same, hundreds of requests, written ones and ones made by chance: they have to agree on where each stops.
//   node run.mjs <staygraph's binary> [seed]
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ask, check, equal, fail, holds, summary } from '../support.mjs';
import { start } from '../server.mjs';
import { generated } from './generated.mjs';
import { disagreement, judge } from './judge.mjs';
import { known } from './known.mjs';
import { kinds, same } from './written.mjs';

const SEED = 20260105;
const MADE = 500;
// Of the requests made by chance, so many may end by a limit of the service's.
const LIMITS_MAX = 0.02;
const FIT_MIN = 0.98;
const BY_CHANCE = 'reference: made by chance';

const [binary, seed = SEED] = process.argv.slice(2);
if (!binary) {
  console.error("usage: node run.mjs <staygraph's binary> [seed]");
  process.exit(2);
}
const folder = await mkdtemp(join(tmpdir(), 'staygraph-reference-'));
try {
  const model = fileURLToPath(new URL('../../../model.graphql', import.meta.url));
  const server = await start(binary, ['serve', '--model', model, '--data', join(folder, 'data')]);
  try {
    await run(`${server.url}/graphql`, server.url);
  } finally {
    await server.stop();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exit(summary());

async function run(url, base) {
  const written = await fetch(`${base}/events`, {
    method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body: await readFile(new URL('events.ndjson', import.meta.url)),
  });
  const { position, rejected } = await written.json();
  holds(written.ok && rejected === 0, 'the events are not taken');
  await fetch(url, {
    method: 'POST', headers: { 'content-type': 'application/json', 'freshness-at-least': position, 'freshness-wait': '20s' }, body: '{"query":"{ __typename }"}',
  });

  let limits = 0;
  let values = 0;
  const late = [];
  let asked = 0;
  const differences = async (requests, { lenient } = {}) => {
    const found = [];
    for (const request of requests) {
      asked += 1;
      const answer = await ask(url, request.query, request.variables, request.operationName);
      const said = disagreement(answer, judge(request));
      if (said === 'limit') limits += 1;
      else if (said === 'value' && lenient) values += 1;
      else if (said === 'late') late.push(request.query.replace(/\s+/g, ' '));
      else if (said && !known(request)) found.push(`${said === 'value' ? `it should run, and is ${answer.errors[0].message}` : said} · ${request.query.replace(/\s+/g, ' ')} ${JSON.stringify(request.variables ?? {})}`);
    }
    return found;
  };
  for (const [kind, requests] of Object.entries(kinds)) {
    await agree(`reference: ${kind}`, await differences(requests.map(([query, variables, operationName]) => ({ query, variables, operationName }))), requests.length);
  }
  for (const [kind, pairs] of Object.entries(same)) {
    await check(`reference: ${kind}`, async () => {
      for (const [one, other] of pairs) equal((await ask(url, one)).data ?? null, (await ask(url, other)).data, one);
    }, { needs: `reference: ${kind}` });
  }
  const before = { asked, limits };
  const byKind = grouped(generated(Number(seed), MADE));
  let disagreed = 0;
  for (const [kind, requests] of byKind) {
    const found = await differences(requests, { lenient: kind !== 'that fit' });
    disagreed += found.length;
    // Which kinds a fault shows in is chance: they wait together.
    await agree(`${BY_CHANCE}, ${kind}`, found, requests.length, found.length > 0 ? BY_CHANCE : null);
  }
  await check(BY_CHANCE, async () => equal(disagreed, 0, 'the number of disagreements'), { needs: BY_CHANCE });
  const early = 'reference: what is no value of a scalar is refused before anything runs';
  await check(early, async () => equal(late.slice(0, 5), [], `${late.length} run; the first of them`), { needs: early });
  await check('reference: what is made to fit does run, by graphql-js too', async () => {
    const made = byKind.get('that fit');
    const running = made.filter((request) => judge(request).stage === 'runs').length;
    holds(running >= FIT_MIN * made.length, `${running} of ${made.length}`);
  });
  await check('reference: few of them end by a limit', async () => {
    holds(limits - before.limits <= LIMITS_MAX * (asked - before.asked), `${limits - before.limits} of ${asked - before.asked}`);
  });
  console.log(`${asked} requests, seed ${seed}; ${limits} ended by a limit of the service's, ${values} by a value that no type refuses`);
}

async function agree(name, found, of, needs = name) {
  await check(`${name} (${of})`, async () => {
    if (process.env.ALL) found.forEach((line) => console.log(`      ${line}`));
    if (found.length > 0) fail(`${found.length} of ${of}: ${found[0]}`);
  }, { needs });
}

function grouped(requests) {
  const groups = new Map();
  for (const request of requests) groups.set(request.kind, [...(groups.get(request.kind) ?? []), request]);
  return groups;
}

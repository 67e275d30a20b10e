// Asks a real Prometheus, which scrapes a real staygraph under load, what each panel of ops/dashboard.json asks. Each is to give data;
// a panel whose description begins with "Empty" may have none. Then the alerts are loaded: none is at fault, and none fires.
// Usage: node tests/ops/dashboard.mjs BINARY

import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const DEADLINE_MS = 120_000;
const [binary] = process.argv.slice(2);
const root = resolve(import.meta.dirname, '../..');
const folder = await mkdtemp(join(tmpdir(), 'staygraph-ops-'));
const started = [];

/** Starts a program, and waits for a line that says where it listens. */
function start(command, args, says) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  return new Promise((found, failed) => {
    let said = '';
    const hear = (bytes) => {
      said += bytes;
      const match = says.exec(said);
      if (match) found(match[1]);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('error', failed);
    child.on('exit', (code) => failed(new Error(`${command} ended with ${code}:\n${said.slice(-2000)}`)));
  });
}

async function json(url, init) {
  const answer = await fetch(url, init);
  return { status: answer.status, body: await answer.json() };
}

function write(service, event) {
  return json(`${service}/events`, { method: 'POST', headers: { 'Content-Type': 'application/cloudevents+json' }, body: JSON.stringify(event) });
}

/** Queries, good and bad, and an event of each domain: one round of what a service sees. */
async function load(service, round) {
  const ask = (query) =>
    json(`${service}/graphql`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ query }) });
  const event = (type, data) => ({
    specversion: '1.0', id: `${type}-${round}`, source: '/tests', type, subject: `s-${round}`, time: '2026-01-05T10:00:00Z', sequence: 1, data,
  });
  await Promise.all([
    ask('{ properties(first: 20) { totalCount nodes { key name host { key } } } }'),
    ask('{ nothing }'),
    write(service, event('person.registered', { name: 'Ann' })),
    write(service, event('property.listed', { name: 'A house' })),
    write(service, event('reservation.booked', { guestId: `s-${round}` })),
    write(service, event('nobody.knows', {})),
  ]);
}

async function query(prometheus, expression) {
  const { body } = await json(`${prometheus}/api/v1/query?query=${encodeURIComponent(expression)}`);
  if (body.status !== 'success') throw new Error(`${expression}: ${body.error}`);
  return body.data.result.filter(({ value }) => value[1] !== 'NaN');
}

async function main() {
  const service = await start(binary, ['demo', '--listen', '127.0.0.1:0', '--data', join(folder, 'data')], /(http:\/\/127\.0\.0\.1:\d+)/);
  const config = join(folder, 'prometheus.yml');
  await writeFile(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [join(root, 'ops/alerts.yml')],
      scrape_configs: [{ job_name: 'staygraph', static_configs: [{ targets: [new URL(service).host] }] }],
    }),
  );
  const listens = /msg="Listening on" address=(127\.0\.0\.1:\d+)/;
  const args = [`--config.file=${config}`, `--storage.tsdb.path=${join(folder, 'series')}`, '--web.listen-address=127.0.0.1:0'];
  const prometheus = `http://${await start('prometheus', args, listens)}`;
  const { panels } = JSON.parse(await readFile(join(root, 'ops/dashboard.json'), 'utf8'));
  let missing = panels.flatMap(({ title, description, targets }) =>
    targets.map(({ expr }) => ({ title, expr, mayBeEmpty: description?.startsWith('Empty') ?? false })),
  );
  const all = missing.length;
  const taken = await json(`${service}/projection/checkpoints`, { method: 'POST' });
  if (taken.status !== 201) throw new Error(`no checkpoint: ${JSON.stringify(taken.body)}`);
  // Until all have data: what is in Prometheus comes by its own clock. Those that may have none are asked as often: they are to be readable.
  const until = Date.now() + DEADLINE_MS;
  for (let round = 0; missing.some(({ mayBeEmpty }) => !mayBeEmpty) && Date.now() < until; round += 1) {
    await load(service, round);
    const asked = missing.map(async (panel) => {
      const expression = panel.expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '10s');
      return (await query(prometheus, expression)).length > 0 ? [] : [panel];
    });
    missing = (await Promise.all(asked)).flat();
  }
  const without = missing.filter(({ mayBeEmpty }) => !mayBeEmpty);
  for (const { title, expr } of without) console.error(`no data: ${title}: ${expr}`);
  const { body } = await json(`${prometheus}/api/v1/rules`);
  const rules = body.data.groups.flatMap((group) => group.rules);
  const wrong = rules.filter(({ health, state }) => health === 'err' || state === 'firing');
  for (const { name, state, lastError } of wrong) console.error(`alert ${name}: ${state} ${lastError ?? ''}`);
  console.log(`${all} queries of ${panels.length} panels: ${all - missing.length} gave data; ${rules.length} alerts, ${wrong.length} at fault or firing`);
  return without.length === 0 && wrong.length === 0 && rules.length > 0;
}

let isGood = false;
try {
  isGood = await main();
} catch (error) {
  console.error(error.message);
} finally {
  for (const child of started) {
    child.removeAllListeners('exit');
    await new Promise((ended) => {
      if (child.exitCode !== null || child.pid === undefined) return ended();
      child.on('exit', ended);
      child.kill('SIGTERM');
    });
  }
  await rm(folder, { recursive: true, force: true });
}
process.exit(isGood ? 0 : 1);

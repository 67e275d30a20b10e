// What the tests of clients share: checks by name, those that wait for something, and a fetch that remembers.
import { isDeepStrictEqual } from 'node:util';
import { waiting } from './waiting.mjs';

// A guest of the demo with some dozens of stays, and one of the properties.
export const GUEST = '44250196';
export const PROPERTY = '71609';

// What a domain's status may be on a machine that is busy.
export const TIMELY = ['FRESH', 'LATENT'];
export const CHECK_MS = 60_000;
const counts = { ok: 0, waits: 0, failed: 0 };

// Runs a check and says how it went. `needs` names something of `waiting` that it cannot hold without: while it is listed there the
// check has to fail, so that the list cannot outlive its reason. `ms` is how long it may take.
export async function check(name, body, { needs, ms = CHECK_MS } = {}) {
  const waits = needs && waiting.includes(needs);
  const fault = await faultOf(body, ms);
  if (!fault && !waits) tell('ok', `ok    ${name}`);
  else if (!fault) tell('failed', `FAIL  ${name}: it holds now: take '${needs}' out of waiting.mjs`);
  else if (waits) tell('waits', `waits ${name}${name.startsWith(needs) ? '' : `: for ${needs}`} (${fault.slice(0, 160)})`);
  else tell('failed', `FAIL  ${name}: ${fault}`);
}

// The exit code, after a line that counts.
export function summary() {
  const { ok, waits, failed } = counts;
  console.log(`${ok} hold, ${waits} wait, ${failed} fail`);
  return failed === 0 && ok + waits > 0 ? 0 : 1;
}

function tell(kind, line) {
  counts[kind] += 1;
  console.log(line);
}

async function faultOf(body, ms) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${ms} ms`)), ms);
  });
  try {
    await Promise.race([body(), late]);
    return undefined;
  } catch (error) {
    const text = error.stack && !error.expected ? error.stack : error.message;
    return text.replace(/\x1b\[\d*m/g, '').split('\n').slice(0, 4).join(' | ');
  } finally {
    clearTimeout(timer);
  }
}

export function equal(found, wanted, what) {
  if (isDeepStrictEqual(found, wanted)) return;
  fail(`${what} is ${brief(found)}, not ${brief(wanted)}`);
}

export function holds(condition, what) {
  if (!condition) fail(what);
}

export function fail(message) {
  throw Object.assign(new Error(message), { expected: true });
}

function brief(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 600 ? `${text.slice(0, 600)}…` : text;
}

// A fetch that keeps of each request its method, URL, body, status and the answer's headers.
export function remembering() {
  const requests = [];
  const fetch = async (input, options = {}) => {
    const url = new URL(typeof input === 'string' ? input : input.url ?? input);
    const request = { method: options.method ?? 'GET', url, body: options.body ? JSON.parse(options.body) : undefined };
    requests.push(request);
    const answer = await globalThis.fetch(input, options);
    Object.assign(request, { status: answer.status, headers: answer.headers });
    return answer;
  };
  return { fetch, requests };
}

// Asks without any client.
export async function ask(url, query, variables, operationName) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json' },
    body: JSON.stringify({ query, variables, operationName }),
    signal: AbortSignal.timeout(CHECK_MS),
  });
  return answer.json();
}

// The same, where no error may be.
export async function data(url, query, variables) {
  const answer = await ask(url, query, variables);
  if (answer.errors) fail(`asked for ${query}: ${JSON.stringify(answer.errors)}`);
  return answer.data;
}

// What a client writes to the console where something in its cache or its document is not right.
export async function complaints(body) {
  const heard = [];
  const saved = { warn: console.warn, error: console.error };
  console.warn = (...words) => heard.push(words.join(' '));
  console.error = console.warn;
  try {
    await body();
  } finally {
    Object.assign(console, saved);
  }
  return heard;
}

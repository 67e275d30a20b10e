// Asks /graphql, and tells `onAnswer` what each answer said about its freshness, whether it failed, and how long it took.
import { getOperationAST } from 'graphql';
import { createClient } from 'graphql-sse';

const ENDPOINT = '/graphql';
const ACCEPT = 'application/graphql-response+json, application/json';

export function createFetcher(onAnswer) {
  return (request, options = {}) => {
    const headers = options.headers ?? {};
    const operation = options.documentAST && getOperationAST(options.documentAST, request.operationName);
    return operation?.operation === 'subscription'
      ? subscribe(request, headers, onAnswer)
      : ask(request, headers, onAnswer);
  };
}

async function ask(request, headers, onAnswer) {
  // The editor's own look at the schema says nothing about the data.
  const tell = request.operationName === 'IntrospectionQuery' ? () => {} : onAnswer;
  const asked = performance.now();
  const ms = () => performance.now() - asked;
  let response, text;
  try {
    response = await fetch(ENDPOINT, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: ACCEPT, ...headers },
      body: JSON.stringify(request),
    });
    text = await response.text();
  } catch (error) {
    tell({ ms: ms(), failure: 'no answer' });
    throw error;
  }
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    tell({ ms: ms(), failure: `HTTP ${response.status}` });
    throw new Error(`HTTP ${response.status}: ${text.slice(0, 500) || 'an empty body'}`);
  }
  tell({ ms: ms(), freshness: answer?.extensions?.freshness, failure: failureOf(response, answer) });
  return answer;
}

// What went wrong, in a few words; undefined where nothing did.
function failureOf(response, answer) {
  const errors = answer?.errors ?? [];
  const codes = [...new Set(errors.map((error) => error.extensions?.code ?? 'an error'))];
  if (codes.length > 0) return codes.join(', ');
  // A problem has neither data nor errors.
  return response.ok ? undefined : `HTTP ${response.status}`;
}

// GraphQL over server-sent events, one connection for each operation, so that request headers count here too.
async function* subscribe(request, headers, onAnswer) {
  const client = createClient({ url: ENDPOINT, headers, retryAttempts: 0 });
  try {
    for await (const answer of client.iterate(request)) {
      onAnswer({ freshness: answer.extensions?.freshness, failure: failureOf({ ok: true }, answer) });
      yield answer;
    }
  } finally {
    client.dispose();
  }
}

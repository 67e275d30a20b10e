// Asks /graphql, and tells `onAnswer` what each answer said about its freshness and how long it took.
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
  const asked = performance.now();
  const response = await fetch(ENDPOINT, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: ACCEPT, ...headers },
    body: JSON.stringify(request),
  });
  const text = await response.text();
  const ms = performance.now() - asked;
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Error(`HTTP ${response.status}: ${text.slice(0, 500) || 'an empty body'}`);
  }
  // The editor's own look at the schema says nothing about the data.
  if (request.operationName !== 'IntrospectionQuery') {
    onAnswer({ ms, freshness: answer.extensions?.freshness });
  }
  return answer;
}

// GraphQL over server-sent events, one connection for each operation, so that request headers count here too.
async function* subscribe(request, headers, onAnswer) {
  const client = createClient({ url: ENDPOINT, headers, retryAttempts: 0 });
  try {
    for await (const answer of client.iterate(request)) {
      onAnswer({ freshness: answer.extensions?.freshness });
      yield answer;
    }
  } finally {
    client.dispose();
  }
}

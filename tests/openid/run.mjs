// Asks a staygraph with tokens of a real, certified OpenID provider (oidc-provider): the client credentials grant, its scopes, a rotation of its
// key, and the provider gone.
//   node run.mjs <staygraph's binary>
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Provider from 'oidc-provider';
import { start } from '../clients/server.mjs';
import { check, equal, fail, summary } from '../clients/support.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const AUDIENCE = 'urn:staygraph';
const SCOPES = 'read pii:read events:write ops:read ops:write export';
/** A key that is not known is asked for once a minute. */
const ROTATED_MS = 90_000;

const [binary] = process.argv.slice(2);
if (!binary) {
  console.error("usage: node run.mjs <staygraph's binary>");
  process.exit(2);
}
const folder = await mkdtemp(join(tmpdir(), 'staygraph-openid-'));
let provider;
let service;
try {
  await run();
} finally {
  await service?.stop();
  await provider?.stop();
  await rm(folder, { recursive: true, force: true });
}
process.exit(summary());

function key(kid, kind, options) {
  const { privateKey } = generateKeyPairSync(kind, options);
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig' };
}

/** Starts a provider on a port of its own or a known one. It publishes some keys, the first of which signs by an algorithm. */
async function serve(keys, alg, port = 0) {
  let handle;
  const server = createServer((request, response) => handle(request, response));
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const publish = (keys, alg) => { handle = oidc(issuer, keys, alg).callback(); };
  publish(keys, alg);
  const stop = () => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  return { issuer, port: server.address().port, publish, stop };
}

function oidc(issuer, keys, alg) {
  const resource = { scope: SCOPES, audience: AUDIENCE, accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg } } };
  return new Provider(issuer, {
    jwks: { keys },
    scopes: SCOPES.split(' '),
    clients: [{
      client_id: 'job', client_secret: 'a secret of the test alone', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
      scope: SCOPES,
    }],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: { enabled: true, getResourceServerInfo: () => resource },
    },
  });
}

/** A token by the client credentials grant. */
async function grant({ issuer }, scope) {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`job:${encodeURIComponent('a secret of the test alone')}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource: AUDIENCE, scope }),
  });
  const body = await answer.json();
  if (!body.access_token) fail(`the provider gives no token: ${JSON.stringify(body)}`);
  return body.access_token;
}

async function ask(token, query = '{ people { totalCount } }') {
  const headers = { 'content-type': 'application/json', accept: 'application/graphql-response+json', ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(`${service.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) });
  const body = await answer.json();
  return { status: answer.status, code: body.errors?.[0].extensions.code ?? body.code, retry: answer.headers.get('retry-after') };
}

async function begin() {
  const config = join(folder, 'staygraph.toml');
  const model = join(HERE, '../../model.graphql');
  await writeFile(config, `[[auth.issuers]]\nissuer = "${provider.issuer}"\naudience = "${AUDIENCE}"\njwks = "${provider.issuer}/jwks"\nalgorithms = ["RS256", "ES256", "EdDSA"]\n`);
  service = await start(binary, ['serve', '--config', config, '--model', model, '--data', join(folder, 'data')]);
}

async function run() {
  const [rsa, point, edwards] = [key('rsa-1', 'rsa', { modulusLength: 2048 }), key('point-1', 'ec', { namedCurve: 'P-256' }), key('edwards-1', 'ed25519')];
  let token;
  await check('openid: a token of the client credentials grant is taken, by each kind of key', async () => {
    provider = await serve([rsa, point, edwards], 'RS256');
    await begin();
    token = await grant(provider, 'read');
    equal((await ask(token)).status, 200, 'RS256');
    for (const alg of ['ES256', 'EdDSA']) {
      provider.publish([rsa, point, edwards], alg);
      equal((await ask(await grant(provider, 'read'))).status, 200, alg);
    }
  });
  await check('openid: the scopes that were granted count, and no others', async () => {
    const { status, code } = await ask(token, '{ projection { version } }');
    equal([status, code], [403, 'FORBIDDEN'], 'projection by `read`');
    equal((await ask(await grant(provider, 'ops:read'), '{ projection { version } }')).status, 200, 'projection by `ops:read`');
    equal((await ask(await grant(provider, 'ops:read'))).status, 403, 'people by `ops:read`');
  });
  await check('openid: nobody, and a token that was changed, are not let in', async () => {
    equal((await ask()).status, 401, 'nobody');
    const [head, claims, signature] = token.split('.');
    const more = { ...JSON.parse(Buffer.from(claims, 'base64url')), scope: SCOPES };
    equal((await ask([head, Buffer.from(JSON.stringify(more)).toString('base64url'), signature].join('.'))).status, 401, 'more scopes');
  });
  await check('openid: a new key is known within a minute, and the old one as long as it is published', async () => {
    provider.publish([key('rsa-2', 'rsa', { modulusLength: 2048 }), rsa], 'RS256');
    const newer = await grant(provider, 'read');
    const until = Date.now() + ROTATED_MS;
    while ((await ask(newer)).status !== 200) {
      if (Date.now() > until) fail('the new key is not known');
      await pause(500);
    }
    equal((await ask(token)).status, 200, "the old key's token");
    token = newer;
  }, { ms: 2 * ROTATED_MS });
  await check('openid: the provider goes, and its tokens are good still', async () => {
    await provider.stop();
    equal((await ask(token)).status, 200, 'the token');
    equal((await ask(`${token}x`)).status, 401, 'a token that was changed');
  });
  await check('openid: a service that starts without its provider says so, and goes on when it is back', async () => {
    await service.stop();
    await begin();
    const { status, code, retry } = await ask(token);
    equal([status, code, retry], [503, 'KEYS_AWAY', '1'], 'while the provider is away');
    provider = await serve([rsa], 'RS256', provider.port);
    const until = Date.now() + ROTATED_MS;
    const newer = await grant(provider, 'read');
    while ((await ask(newer)).status !== 200) {
      if (Date.now() > until) fail('the service does not go on');
      await pause(200);
    }
  });
}

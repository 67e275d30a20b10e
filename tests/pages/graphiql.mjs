// Opens the GraphiQL page of a running staygraph and checks what people do there.
//   node graphiql.mjs <base URL> [screenshot.png]        CHROMIUM names another browser
import { check, failed, open } from './browser.mjs';

const [base, screenshot] = process.argv.slice(2);
if (!base) {
  console.error('usage: node graphiql.mjs <base URL> [screenshot.png]');
  process.exit(2);
}
const origin = new URL(base).origin;
const { context, close } = await open('graphiql', { width: 1400, height: 900 });

const foreign = [];
const violations = [];
const errors = [];
try {
  await run(context.pages()[0] ?? (await context.newPage()));
} finally {
  await close();
}
process.exit(failed() ? 1 : 0);

async function run(page) {
  await watch(page);
  const query = page.locator('.graphiql-query-editor');
  const execute = page.locator('.graphiql-execute-button');

  await check('the page opens, with its title and a policy', async () => {
    const response = await page.goto(`${origin}/graphiql`);
    equal(response.status(), 200, 'status');
    equal(await page.title(), 'staygraph · GraphiQL', 'title');
    if (!response.headers()['content-security-policy']) throw new Error('no content-security-policy header');
  });
  await check('the starter queries are the tabs', async () => {
    const starters = await startersOf(origin);
    await page.waitForFunction((tabs) => document.querySelectorAll('.graphiql-tab').length === tabs, starters.length);
    await query.locator('.view-line').first().waitFor();
    await modelHolds(page, 'operation.graphql', starters[0].query.trim());
  });
  await check('each tab has a name', async () => {
    const names = await page.locator('.graphiql-tab').allTextContents();
    if (names.length === 0 || names.some((name) => !/[A-Za-z]/.test(name) || name.includes('untitled'))) {
      throw new Error(JSON.stringify(names));
    }
  });
  await check('the schema is read, and the docs pane shows Query', async () => {
    await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
    await page.locator('.graphiql-doc-explorer').getByText('Query', { exact: true }).first().waitFor();
  });
  await check('it runs, and the answer shows extensions.freshness', async () => {
    await execute.click();
    await modelHolds(page, 'response.json', '"freshness"');
    const answer = JSON.parse(await modelText(page, 'response.json'));
    if (answer.errors) throw new Error(JSON.stringify(answer.errors));
    if (!answer.data) throw new Error('no data');
    if (!answer.extensions?.freshness?.status) throw new Error('no extensions.freshness.status');
    await reveal(page, 'response.json', '"freshness"');
    const panel = page.locator('.graphiql-response');
    for (const word of ['extensions', 'freshness']) await panel.locator('.view-lines').getByText(word).first().waitFor();
  });
  await check('the line below says how fresh the answer is', async () => {
    const status = JSON.parse(await modelText(page, 'response.json')).extensions.freshness.status;
    await page.locator(`#freshness[data-status="${status}"]`).waitFor();
    const line = await page.locator('#freshness').textContent();
    if (!line.includes(' ms ') || !line.includes(status)) throw new Error(line);
  });
  if (screenshot) await page.screenshot({ path: screenshot });
  await check('a Freshness-* header from the headers editor is sent', async () => {
    await page.getByRole('tab', { name: 'Headers' }).or(page.getByRole('button', { name: 'Headers' })).first().click();
    await write(page, page.locator('.graphiql-editor-tool .graphiql-editor:not(.hidden)'), '{"Freshness-Max-Staleness": "1h"}');
    const sent = page.waitForRequest((request) => request.headers()['freshness-max-staleness'] === '1h');
    await execute.click();
    const response = await (await sent).response();
    if (!response.headers()['content-type'].includes('json')) throw new Error(response.headers()['content-type']);
  });
  await check('an unknown field is marked as an error', async () => {
    await write(page, query, '{ noSuchField }');
    equal(await modelText(page, 'operation.graphql'), '{ noSuchField }', 'the query');
    await query.locator('.squiggly-error').first().waitFor();
    await page.waitForFunction(() => globalThis.__MONACO.editor.getModelMarkers({ owner: 'graphql' })
      .some(({ message }) => message.includes('noSuchField')));
  });
  await check('a query that failed has no tick, and says what failed', async () => {
    await execute.click();
    await page.locator('#freshness[data-status="FAILED"]').waitFor();
    const line = await page.locator('#freshness').textContent();
    if (line.includes('✓') || !line.includes('GRAPHQL_VALIDATION_FAILED')) throw new Error(line);
    if (screenshot) await page.screenshot({ path: screenshot.replace(/(\.png)?$/, '-failed.png') });
  });
  await check('so has one without an answer, and one that is answered by no JSON', async () => {
    for (const [answer, said] of [
      [(route) => route.abort(), 'no answer'],
      [(route) => route.fulfill({ status: 502, body: '<html>bad gateway</html>', contentType: 'text/html' }), 'HTTP 502'],
      [(route) => route.fulfill({ status: 413, json: { title: 'Content Too Large', status: 413 } }), 'HTTP 413'],
      [(route) => route.fulfill({ json: { data: { a: null }, errors: [{ message: 'x', extensions: { code: 'FORBIDDEN' } }] } }), 'FORBIDDEN'],
    ]) {
      await page.route('**/graphql', answer, { times: 1 });
      await execute.click();
      await page.waitForFunction((text) => document.getElementById('freshness').textContent.includes(text), said);
      equal(await page.locator('#freshness').getAttribute('data-status'), 'FAILED', said);
    }
    // The browser itself tells the console of these: they were wanted.
    errors.splice(0);
  });
  await check('the first starter query is marked nowhere', async () => {
    const [{ query: starter }] = await startersOf(origin);
    await page.evaluate((text) => globalThis.__MONACO.editor.getEditors().map((editor) => editor.getModel())
      .find((model) => model?.uri.path.endsWith('operation.graphql')).setValue(text), starter);
    await page.waitForFunction(() => !globalThis.__MONACO.editor.getModelMarkers({ owner: 'graphql' })
      .some(({ message }) => message.includes('noSuchField')));
    empty(await markers(page));
  });
  await check('completion offers the fields of Query', async () => {
    await write(page, query, '{ ');
    await page.keyboard.press('Control+Space');
    await page.locator('.suggest-widget .monaco-list-row').first().waitFor();
    await page.keyboard.press('Escape');
  });
  await check('nothing is asked of another origin', () => empty(foreign));
  await check('nothing breaks the content security policy', () => empty(violations));
  await check('the console has no error', () => empty(errors));
}

async function watch(page) {
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (!['data:', 'blob:'].includes(url.protocol) && url.origin !== origin) foreign.push(request.url());
  });
  // The console also tells of violations inside workers, which the page's own event does not.
  context.on('console', (message) => {
    if (/content.security.policy/i.test(message.text())) violations.push(message.text());
    else if (message.type() === 'error') errors.push(message.text());
  });
  context.on('weberror', (error) => errors.push(String(error.error())));
  await page.exposeFunction('reportViolation', (text) => violations.push(text));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) =>
      globalThis.reportViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
  });
}

async function startersOf(from) {
  return (await context.request.get(`${from}/graphiql/starters.json`)).json();
}

function equal(found, wanted, what) {
  if (found !== wanted) throw new Error(`${what} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
}

function empty(list) {
  if (list.length > 0) throw new Error(`${list.length}: ${[...new Set(list)].slice(0, 5).join(' | ')}`);
}

// Replaces an editor's whole text key by key, as people do: closing brackets and quotes that the editor sets are typed over.
async function write(page, editor, text) {
  await editor.locator('.view-lines').first().click();
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await page.keyboard.type(text);
}

// The editors draw only the lines in sight, so their whole text is read from their models.
function modelText(page, file) {
  return page.evaluate((name) => {
    const shown = globalThis.__MONACO.editor.getEditors().map((editor) => editor.getModel());
    return shown.find((model) => model?.uri.path.endsWith(name))?.getValue() ?? '';
  }, file);
}

function modelHolds(page, file, text) {
  return page.waitForFunction(([name, wanted]) => {
    const shown = globalThis.__MONACO?.editor.getEditors().map((editor) => editor.getModel()) ?? [];
    return shown.find((model) => model?.uri.path.endsWith(name))?.getValue().includes(wanted);
  }, [file, text]);
}

function reveal(page, file, text) {
  return page.evaluate(([name, wanted]) => {
    const editor = globalThis.__MONACO.editor.getEditors().find((each) => each.getModel()?.uri.path.endsWith(name));
    editor.revealLineNearTop(editor.getModel().findMatches(wanted)[0].range.startLineNumber);
  }, [file, text]);
}

function markers(page) {
  return page.evaluate(() => globalThis.__MONACO.editor.getModelMarkers({ owner: 'graphql' }).map(({ message }) => message));
}

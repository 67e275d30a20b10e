// Opens the pages of examples/apollo and examples/relay over a running staygraph and checks what people see there.
//   node examples.mjs <base URL> <apollo|relay> [screenshot.png]        CHROMIUM names another browser
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check as checkIt, failed, open } from './browser.mjs';

const CLIENTS = { apollo: 'Apollo Client', relay: 'Relay' };
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8' };

const [base, name, screenshot] = process.argv.slice(2);
if (!base || !CLIENTS[name]) {
  console.error('usage: node examples.mjs <base URL> <apollo|relay> [screenshot.png]');
  process.exit(2);
}
const folder = fileURLToPath(new URL(`../../examples/${name}/dist/`, import.meta.url));
const server = createServer(async ({ url }, response) => {
  const path = new URL(url, 'http://localhost').pathname.replace(/^\/$/, '/index.html');
  const text = await readFile(join(folder, path)).catch(() => undefined);
  response.writeHead(text ? 200 : 404, { 'content-type': TYPES[extname(path)] ?? 'text/plain' }).end(text);
});
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
const { context, close } = await open('example', { width: 1240, height: 820 });

const errors = [];
context.on('console', (message) => { if (['error', 'warning'].includes(message.type())) errors.push(message.text()); });
context.on('weberror', (error) => errors.push(String(error.error())));
try {
  await run(context.pages()[0] ?? (await context.newPage()));
} finally {
  await close();
  server.close();
}
process.exit(failed() ? 1 : 0);

async function run(page) {
  const card = (title) => page.locator('.card').filter({ has: page.locator('header', { hasText: title }) });
  const stays = page.locator('nav li');
  const ask = async (query) => (await (await context.request.post(`${base}/graphql`, { data: { query } })).json()).data;

  await check('the page opens, and says by what it asks', async () => {
    await page.goto(`http://127.0.0.1:${server.address().port}/?to=${encodeURIComponent(base)}`);
    await page.getByText(`Asked for by ${CLIENTS[name]}`).waitFor();
    await stays.first().waitFor();
  });
  await check('the first stay is shown, with its guest, property, host and price', async () => {
    const { person } = await ask(`{ person(key: "44225562") { name reservations(first: 1, filter: { property: { prices: { some: {} } } }) {
      nodes { key property { neighbourhood host { name } prices(first: 1) { nodes { validFrom } } } } } } }`);
    const [stay] = person.reservations.nodes;
    await card('Stay').getByText(stay.key).waitFor();
    await card('Guest').getByText(person.name).waitFor();
    await card('Property and host').getByText(stay.property.host.name).waitFor();
    await card('Property and host').getByText(stay.property.neighbourhood).waitFor();
    await card('Prices').getByRole('heading', { name: / a (night|stay)$/ }).waitFor();
    await card('Prices').getByText(stay.property.prices.nodes[0].validFrom.slice(0, 4)).first().waitFor();
  });
  await check('each domain has its status, and as of when, in words', async () => {
    for (const domain of ['reservations', 'people', 'properties', 'prices']) {
      const row = page.locator(`tr[data-domain=${domain}]`);
      await row.locator('[data-status=FRESH]').waitFor();
      const words = await row.textContent();
      if (!/as of (now|\d+ seconds? ago)/.test(words) || !words.includes('everything that was written is in it')) throw new Error(words);
    }
    for (const title of ['Stay', 'Guest', 'Property and host', 'Prices']) await card(title).locator('.status[data-status=FRESH]').waitFor();
  });
  if (screenshot) await page.screenshot({ path: screenshot, fullPage: true });
  await check('more stays are added to those that are there', async () => {
    const before = await stays.allTextContents();
    await page.getByRole('button', { name: 'More stays' }).click();
    await page.waitForFunction((count) => document.querySelectorAll('nav li').length > count, before.length);
    const after = await stays.allTextContents();
    if (JSON.stringify(after.slice(0, before.length)) !== JSON.stringify(before)) throw new Error(after.join(' | '));
  });
  await check('another stay is shown when it is chosen', async () => {
    const before = await card('Stay').locator('dd').last().textContent();
    await stays.last().getByRole('button').click();
    await page.waitForFunction((key) => [...document.querySelectorAll('.card dd')].every(({ textContent }) => textContent !== key), before);
    await stays.last().locator('[aria-current=true]').waitFor();
  });
  await check('it is asked for again, and the answer is a newer one', async () => {
    const answer = await page.waitForResponse((response) => response.url().startsWith(base) && response.request().method() === 'POST');
    const { data } = await answer.json();
    if (!data.reservation.freshness.asOf) throw new Error('no freshness');
  });
  await check('nothing to complain of', () => {
    if (errors.length > 0) throw new Error([...new Set(errors)].slice(0, 3).join(' | '));
  });
  await check('while no answer comes the last one stays, and says so', async () => {
    await page.route(`${base}/graphql`, (route) => route.abort());
    await page.getByText('this is the last one').waitFor();
    await card('Guest').getByText('Lin Bellweather').waitFor();
    await card('Guest').locator('.status[data-status=UNKNOWN]').waitFor();
    if (screenshot) await page.screenshot({ path: screenshot.replace(/(\.png)?$/, '-away.png'), fullPage: true });
    await page.unroute(`${base}/graphql`);
    await page.getByText('this is the last one').waitFor({ state: 'detached' });
    await card('Guest').locator('.status[data-status=FRESH]').waitFor();
  });
}

function check(what, body) {
  return checkIt(`${name}: ${what}`, body);
}

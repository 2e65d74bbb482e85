// node shoot.mjs BOARDS PROMETHEUS TO SECONDS [open] [NAME...]: serves the built page and the boards in the folder BOARDS, hands
// queries on to PROMETHEUS, and writes a picture of each board, of the last SECONDS, into the folder TO.
import { createReadStream, existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { chromium } from 'playwright-core';

const [boards, prometheus, to, seconds, ...rest] = process.argv.slice(2);
const open = rest[0] === 'open' ? rest.shift() : undefined;
const names = rest.length ? rest : readdirSync(boards).filter((file) => extname(file) === '.json').map((file) => file.slice(0, -5));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml' };

const server = createServer(async (request, response) => {
  const path = new URL(request.url, 'http://loopback').pathname;
  if (path.startsWith('/api/')) {
    const answer = await fetch(prometheus + request.url);
    response.writeHead(answer.status, { 'Content-Type': 'application/json' });
    response.end(await answer.text());
    return;
  }
  const file = path.startsWith('/boards/') ? join(boards, path.slice(8)) : join('dist', path === '/' ? 'index.html' : path);
  if (!existsSync(file)) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' });
  createReadStream(file).pipe(response);
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
const end = Math.floor(Date.now() / 1000);
for (const name of names) {
  const page = await browser.newPage({ viewport: { width: 1632, height: 1000 }, timezoneId: 'UTC', deviceScaleFactor: 1 });
  page.on('pageerror', (error) => console.error(`${name}: ${error.stack}`));
  page.on('console', (message) => message.type() === 'error' && !/404/.test(message.text()) && console.error(`${name}: ${message.text().slice(0, 400)}`));
  await page.goto(`http://127.0.0.1:${server.address().port}/?board=${name}&from=${end - Number(seconds)}&to=${end}&open=${open ? 1 : 0}`);
  await page.waitForSelector('body[data-drawn=yes]', { timeout: 120_000 });
  await page.waitForTimeout(1500);
  await page.locator('#dashboard').screenshot({ path: join(to, `${name}.png`) });
  await page.close();
  console.log(`${name}.png`);
}
await browser.close();
server.close();

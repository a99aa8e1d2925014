// The pictures of docs/manual/page.md: `npm run pictures`, of the mock, or of real gateways with what
// `with.mjs` names. Look at them before they are committed.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { catalogue, NARROW, quit, WIDE, withPage } from './with.mjs';

const FOLDER = process.argv[2] ?? fileURLToPath(new URL('../../../docs/manual/images', import.meta.url));
const PAIR = '/m/tandem.cases.catalogue.v1.Catalogue/GetProduct';
mkdirSync(FOLDER, { recursive: true });

async function picture(page, name, clip) {
  // What moves is let come to rest: the caret and a change's mark.
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  await page.screenshot({ path: `${FOLDER}/${name}.png`, caret: 'hide', ...(clip === undefined ? {} : { clip }) });
}

async function typed(here, value) {
  const { page, api, at } = here;
  const found = await catalogue(api);
  await at(found.screen);
  const field = page.locator('[data-field="max_discount_percent"]');
  await field.getByRole('textbox').fill(String(value));
  return { ...found, field };
}

async function review({ page }, why) {
  await page.getByRole('button', { name: 'Review and publish' }).click();
  await page.getByRole('dialog').getByLabel('Reason').fill(why);
}

const publish = ({ page }) => page.getByRole('dialog').getByRole('button', { name: 'Publish', exact: true }).click();

await withPage({ viewport: WIDE, colorScheme: 'dark' }, async (here) => {
  // Most of a minute, so that there is something to see.
  await here.page.waitForTimeout(50_000);
  await picture(here.page, 'overview', { x: 0, y: 0, width: 1280, height: 660 });
});
await withPage({ viewport: { width: 1280, height: 760 } }, async (here) => {
  await typed(here, 30);
  await picture(here.page, 'settings', { x: 208, y: 0, width: 1072, height: 640 });
  await review(here, 'winter sale');
  await picture(here.page, 'publish', { x: 330, y: 120, width: 620, height: 520 });
});
await withPage({ viewport: NARROW, expectConsole: ['status of 422'] }, async (here) => {
  const { field } = await typed(here, 90);
  await review(here, 'everything must go');
  await publish(here);
  await field.getByText(/^Refused: /).waitFor();
  await picture(here.page, 'refused', { x: 0, y: 0, width: 390, height: 470 });
});
await withPage({ viewport: { width: 1280, height: 760 }, colorScheme: 'dark', expectConsole: ['status of 412'] }, async (here) => {
  const { where, settings } = await typed(here, 30);
  await review(here, 'winter sale');
  await here.other('PATCH', where, { from: settings.version, body: { values: { max_discount_percent: 15 }, why: 'less for everybody' } });
  await publish(here);
  await here.page.getByRole('dialog', { name: 'Somebody published in between' }).waitFor();
  await picture(here.page, 'race', { x: 210, y: 115, width: 860, height: 530 });
});
await withPage({ viewport: { width: 1280, height: 760 } }, async (here) => {
  const { screen } = await catalogue(here.api);
  await here.at(screen);
  await here.page.getByRole('button', { name: 'Roll back to version 2' }).click();
  await here.page.getByRole('dialog').getByLabel('Reason').fill('spring prices again');
  await picture(here.page, 'rollback', { x: 330, y: 90, width: 620, height: 590 });
});
await withPage({ viewport: { width: 1280, height: 1500 } }, async (here) => {
  await here.at(PAIR);
  const panel = here.page.getByRole('region', { name: 'Pair of go and rust' });
  await panel.getByText('about 51,000 pairs more').waitFor();
  // The charts above it have grown when there are two readings.
  await here.page.getByText(/calls in \d+ s/).waitFor();
  const { x, y, width, height } = await panel.boundingBox();
  await picture(here.page, 'pair', { x: x - 8, y: y - 8, width: width + 16, height: height + 16 });
});
await withPage({ viewport: { width: 1280, height: 760 }, colorScheme: 'dark' }, async (here) => {
  await here.at(`${PAIR}/differences`);
  await here.page.getByRole('heading', { name: 'etag' }).waitFor();
  await picture(here.page, 'differences', { x: 208, y: 0, width: 1072, height: 700 });
});
await quit();

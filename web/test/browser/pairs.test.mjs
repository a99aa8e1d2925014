// Live pairs: a verdict that says its evidence first, both lanes, differences, noise accepted by an
// act, the mirror switched; by keyboard, at both widths, light and dark.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { axe, fits, LOOKS, quit, REAL, withPage } from './with.mjs';

after(quit);
const needsMock = { skip: REAL && 'needs the mock' };
const METHOD = '/m/tandem.cases.catalogue.v1.Catalogue/GetProduct';

for (const look of LOOKS) {
  test(`experience_ux_6_a_pair_says_its_evidence_first_and_shows_both_lanes (${look.name})`, needsMock, async () => {
    await withPage(look, async ({ page, at }) => {
      await at(METHOD);
      const panel = page.getByRole('region', { name: 'Pair of go and rust' });
      await panel.getByText('The answers of go and rust differ: etag.').waitFor();
      assert.match((await panel.locator('.verdict').innerText()).trim(), /^[\d,]+ of about [\d,]+ pairs/);
      const rust = panel.getByRole('row').filter({ hasText: 'candidate' });
      assert.match(await rust.innerText(), /\[\d+ µs, \d+ µs\]/, 'an interval');
      assert.match(await rust.innerText(), /61\.0 µs/, 'what a call costs');
      await panel.getByText('about 51,000 pairs more').waitFor();
      // Once a second.
      const evidence = await panel.locator('.evidence').innerText();
      await page.waitForFunction((before) => document.querySelector('.evidence')?.textContent !== before, evidence);
      await axe(page);
      await fits(page);
      await panel.getByRole('link', { name: 'Differences and noise' }).click();
      await page.getByRole('heading', { level: 1, name: 'Differences of GetProduct' }).waitFor();
      await page.getByRole('heading', { name: 'etag' }).waitFor();
      await axe(page);
      await fits(page);
    });
  });
}

test('a difference is accepted as noise, by keyboard, with its reason and its command', needsMock, async () => {
  await withPage({}, async ({ page, at, api }) => {
    await at(`${METHOD}/differences`);
    await page.getByRole('button', { name: 'Accept etag as noise' }).focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Accept etag as noise?' });
    await dialog.getByLabel('Reason').and(page.locator(':focus')).waitFor();
    await page.keyboard.type('weak and strong tags are one to us');
    await dialog.getByText(/tandem noise accept .*GetProduct etag -n shop -m "weak and strong tags are one to us"/).waitFor();
    await axe(page);
    await page.keyboard.press('Enter');
    await page.getByText('etag is noise since version 5.').waitFor();
    await page.getByRole('heading', { name: 'etag' }).waitFor({ state: 'detached' });
    await page.getByText('declared in same.ignore').waitFor();
    const [live] = await api('GET', '/namespaces/shop/versions');
    assert.match(live.why, /noise accepted in .*GetProduct, etag: weak/);
  });
});

test('compare_j_6_an_inferred_mode_of_a_list_is_shown_and_pinned_by_an_act', needsMock, async () => {
  await withPage({}, async ({ page, at, api }) => {
    await at(`${METHOD}/differences`);
    await page.getByText('each element has its own `name`').waitFor();
    await page.getByRole('button', { name: 'Declare keyed images[]=name' }).click();
    const dialog = page.getByRole('dialog', { name: 'Declare keyed=name for images[]?' });
    await dialog.getByText('found by their key').waitFor();
    await dialog.getByLabel('Reason').fill('names are unique');
    await dialog.getByText(/tandem noise accept .*GetProduct .*images\[\].* --as keyed=name -n shop -m "names are unique"/).waitFor();
    await axe(page);
    await dialog.getByRole('button', { name: 'Declare', exact: true }).click();
    await page.getByText('images[] is keyed=name since version 5.').waitFor();
    await page.getByText('each element has its own `name`').waitFor({ state: 'detached' });
    const [live] = await api('GET', '/namespaces/shop/versions');
    assert.match(live.why, /noise accepted in .*GetProduct, images\[\] keyed=name: names/);
  });
});

test('a mirror is switched off, and on again with a share', needsMock, async () => {
  await withPage({ expectConsole: ['status of 404'] }, async ({ page, at, api }) => {
    await at(METHOD);
    await page.getByRole('button', { name: 'Mirror off…' }).click();
    let dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason').fill('a sale');
    await axe(page);
    await dialog.getByRole('button', { name: 'Mirror off', exact: true }).click();
    await page.getByText('calls are not mirrored to rust').waitFor();
    await page.getByRole('button', { name: 'Mirror…' }).click();
    dialog = page.getByRole('dialog');
    await dialog.getByLabel('Share of the calls').fill('5');
    await dialog.getByLabel('Reason').fill('the sale is over');
    await axe(page);
    await dialog.getByRole('button', { name: 'Publish' }).click();
    await page.getByRole('region', { name: 'Pair of go and rust' }).waitFor();
    const [live] = await api('GET', '/namespaces/shop/versions');
    assert.match(live.why, /mirror on for .*GetProduct: the sale is over/);
  });
});

test('a viewer sees classes and no values, and changes nothing', needsMock, async () => {
  await withPage({ as: 'viewer' }, async ({ page, at }) => {
    await at(`${METHOD}/differences`);
    await page.getByText('Values are shown to publishers.').first().waitFor();
    const accept = page.getByRole('button', { name: 'Accept etag as noise' });
    assert.equal(await accept.getAttribute('aria-disabled'), 'true');
    await page.getByText('needs publisher').first().waitFor();
    assert.equal(await page.locator('.sides').count(), 0);
    await at(METHOD);
    assert.equal(await page.getByRole('button', { name: 'Mirror off…' }).getAttribute('aria-disabled'), 'true');
  });
});

test('security_w_3_values_of_strangers_are_text', needsMock, async () => {
  await withPage({}, async ({ page, at }) => {
    await at(`${METHOD}/differences`);
    await page.getByText('<b>sale</b>').waitFor();
    assert.equal(await page.locator('main b').count(), 0);
  });
});

test('calls that a gateway carries become pairs, told on the screens of the method and of its differences', { skip: !REAL && 'needs a gateway' }, async () => {
  await withPage({}, async ({ page, at, gateway }) => {
    await at(METHOD);
    const panel = page.getByRole('region', { name: 'Pair of go and rust' });
    await panel.waitFor();
    // One call in ten is mirrored; both sides and the twin are one service, so they agree.
    const counted = panel.locator('.evidence').getByText(/^[1-9]\d* of about [\d,]+ pairs/).waitFor().then(() => true);
    while (!(await Promise.race([counted, gateway.call('/v1/products/none').then(() => false)]))) {
      await page.evaluate(() => new Promise(requestAnimationFrame));
    }
    await panel.getByRole('row').filter({ hasText: 'candidate' }).getByText('rust').waitFor();
    assert.equal(await panel.locator('.verdict.bad').count(), 0);
    await axe(page);
    await panel.getByRole('link', { name: 'Differences and noise' }).click();
    await page.getByRole('heading', { name: /^[1-9]\d* pairs of go and rust$/ }).waitFor();
    await page.getByText('No difference so far.').waitFor();
    await page.getByText('learned from the twin').waitFor();
    await axe(page);
    await fits(page);
  });
});

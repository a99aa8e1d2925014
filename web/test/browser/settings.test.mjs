// What a product manager does with settings: a change, a refused value, the way back, a lost race.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { axe, catalogue, fits, LOOKS, quit, withPage } from './with.mjs';

after(quit);

const refusedBy = (status) => [`the server responded with a status of ${status}`];

/** A value that is allowed and is not the one that is live. */
const another = (settings, besides = []) => [21, 22, 23, 24].find((value) => value !== settings.values.max_discount_percent && !besides.includes(value));

async function open({ api, at, page }) {
  const here = await catalogue(api);
  await at(here.screen);
  const field = page.locator('[data-field="max_discount_percent"]');
  const input = field.getByRole('textbox');
  await input.waitFor();
  return { ...here, field, input };
}

async function publish(page, why) {
  await page.getByRole('button', { name: 'Review and publish' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Reason').fill(why);
  return dialog;
}

for (const look of LOOKS) {
  test(`a product manager's change is live in seconds, and the command that does the same is shown (${look.name})`, async () => {
    await withPage(look, async (here) => {
      const { page, api } = here;
      const { where, settings, service, namespace, input } = await open(here);
      const value = another(settings);
      await input.fill(String(value));
      const dialog = await publish(page, 'winter sale');
      await dialog.getByText(`tandem settings set ${service} max_discount_percent=${value} -n ${namespace} -m "winter sale"`).waitFor();
      await dialog.getByText(`before: ${settings.values.max_discount_percent}`).waitFor();
      await axe(page);
      await fits(page);
      await dialog.getByRole('button', { name: 'Publish', exact: true }).click();
      await page.getByText(`Version ${settings.version + 1} is live.`).waitFor();
      const now = await api('GET', where);
      assert.equal(now.version, settings.version + 1);
      assert.equal(now.values.max_discount_percent, value);
      const instance = page.getByRole('listitem').filter({ hasText: now.instances[0].instance });
      await instance.getByText('applied').waitFor();
      await instance.getByText(`version ${now.version}`).waitFor();
      await axe(page);
      await fits(page);
    });
  });

  test(`a refused value keeps its place, says the rule and offers the nearest allowed one (${look.name})`, async () => {
    await withPage({ ...look, expectConsole: refusedBy(422) }, async (here) => {
      const { page, api } = here;
      const { where, settings, field, input } = await open(here);
      await input.fill('90');
      await field.getByText('Would be refused: is at most 60').waitFor();
      const dialog = await publish(page, 'everything must go');
      await dialog.getByRole('button', { name: 'Publish', exact: true }).click();
      await field.getByText('Refused: max_discount_percent is at most 60 (rule int32.lte)').waitFor();
      assert.equal(await input.inputValue(), '90', 'what was typed is kept');
      assert.equal(await input.getAttribute('aria-invalid'), 'true');
      assert.ok(await input.evaluate((element) => element === document.activeElement), 'the field has the focus');
      assert.equal((await api('GET', where)).version, settings.version, 'nothing was stored');
      await axe(page);
      await fits(page);
      await field.getByRole('button', { name: 'Use 60' }).click();
      assert.equal(await input.inputValue(), '60');
      await field.getByText('efused').waitFor({ state: 'detached' });
    });
  });

  test(`values go back to an older version after a question (${look.name})`, async () => {
    await withPage(look, async (here) => {
      const { page, api } = here;
      const before = await catalogue(api);
      const value = another(before.settings);
      await api('PATCH', before.where, { from: before.settings.version, body: { values: { max_discount_percent: value }, why: 'to be taken back' } });
      const { where } = await open(here);
      const versions = await api('GET', `${where}/versions`);
      const to = versions[1].number;
      await page.getByRole('button', { name: `Roll back to version ${to}`, exact: true }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByText(`before: ${value}`).waitFor();
      await dialog.getByLabel('Reason').fill('too much');
      await dialog.getByText(`--to ${to} -n ${before.namespace} -m "too much"`).waitFor();
      await axe(page);
      await dialog.getByRole('button', { name: 'Roll back', exact: true }).click();
      await page.getByText(`Version ${before.settings.version + 2} is live.`).waitFor();
      assert.deepEqual((await api('GET', where)).values, before.settings.values);
    });
  });

  test(`who lost a race sees who was faster, keeps what was typed, and applies it again (${look.name})`, async () => {
    await withPage({ ...look, expectConsole: refusedBy(412) }, async (here) => {
      const { page, api, other } = here;
      const { where, settings, input } = await open(here);
      const [mine, theirs] = [another(settings), another(settings, [another(settings)])];
      await input.fill(String(mine));
      const dialog = await publish(page, 'mine');
      await other('PATCH', where, { from: settings.version, body: { values: { max_discount_percent: theirs }, why: 'theirs, and earlier' } });
      await dialog.getByRole('button', { name: 'Publish', exact: true }).click();
      const lost = page.getByRole('dialog', { name: 'Somebody published in between' });
      await lost.getByText('theirs, and earlier').waitFor();
      await lost.getByText(new RegExp(`mira published version ${settings.version + 1}`)).waitFor();
      await lost.getByText(`before: ${settings.values.max_discount_percent}`).waitFor();
      await axe(page);
      await fits(page);
      await lost.getByRole('button', { name: `Look at version ${settings.version + 1}` }).click();
      await page.getByText(`Version ${settings.version + 1} made it ${theirs} (it was ${settings.values.max_discount_percent}) while you typed.`).waitFor();
      assert.equal(await input.inputValue(), String(mine), 'what was typed is kept');
      const again = await publish(page, 'mine after all');
      await again.getByText(`before: ${theirs}`).waitFor();
      await again.getByRole('button', { name: 'Publish', exact: true }).click();
      await page.getByText(`Version ${settings.version + 2} is live.`).waitFor();
      assert.equal((await api('GET', where)).values.max_discount_percent, mine);
    });
  });

  test(`a change goes by the keyboard alone, and the focus is always seen (${look.name})`, async () => {
    await withPage(look, async (here) => {
      const { page, api } = here;
      const { where, settings } = await open(here);
      const value = another(settings);
      await page.evaluate(() => document.body.focus());
      const reach = async (found, most = 60) => {
        for (let pressed = 0; pressed < most; pressed += 1) {
          await page.keyboard.press('Tab');
          const focused = await page.evaluate(() => {
            const at = document.activeElement;
            const { outlineStyle, outlineWidth } = getComputedStyle(at);
            return { text: `${at.getAttribute('aria-label') ?? ''} ${at.textContent?.trim() ?? ''}`, id: at.id, seen: outlineStyle !== 'none' && outlineWidth !== '0px', at: at.tagName };
          });
          assert.ok(focused.seen || focused.at === 'BODY', `the focus on ${focused.at} ${focused.text} is seen`);
          if (found(focused)) return;
        }
        assert.fail('it was not reached');
      };
      await reach(({ text }) => text.startsWith('Max discount percent'));
      await page.keyboard.press('Control+A');
      await page.keyboard.type(String(value));
      await reach(({ text }) => text.includes('Review and publish'));
      await page.keyboard.press('Enter');
      // The reason has the focus.
      await page.getByRole('dialog').waitFor();
      await page.keyboard.type('by keyboard');
      await page.keyboard.press('Enter');
      await page.getByText(`Version ${settings.version + 1} is live.`).waitFor();
      assert.equal((await api('GET', where)).values.max_discount_percent, value);
    });
  });
}

test('a race is won at once by applying again on the new version', async () => {
  await withPage({ expectConsole: refusedBy(412) }, async (here) => {
    const { page, api, other } = here;
    const { where, settings, input } = await open(here);
    const mine = another(settings);
    await input.fill(String(mine));
    const dialog = await publish(page, 'mine');
    await other('PATCH', where, { from: settings.version, body: { values: { hidden_categories: ['attic'] }, why: 'another field' } });
    await dialog.getByRole('button', { name: 'Publish', exact: true }).click();
    await page.getByRole('button', { name: `Apply mine to version ${settings.version + 1}` }).click();
    await page.getByText(`Version ${settings.version + 2} is live.`).waitFor();
    const { values } = await api('GET', where);
    assert.deepEqual([values.max_discount_percent, values.hidden_categories], [mine, ['attic']]);
  });
});

test('a version that goes live while somebody types is said at once, and the typing stays', async () => {
  await withPage({}, async (here) => {
    const { page, other } = here;
    const { where, settings, input } = await open(here);
    await input.fill('33');
    await other('PATCH', where, { from: settings.version, body: { values: { hidden_categories: ['cellar'] }, why: 'the cellar is closed' } });
    const note = page.getByRole('status').filter({ hasText: 'the cellar is closed' });
    await note.getByRole('button', { name: 'Show its values' }).click();
    await page.getByRole('textbox', { name: 'Hidden categories, item 1' }).waitFor();
    assert.equal(await page.getByRole('textbox', { name: 'Hidden categories, item 1' }).inputValue(), 'cellar');
    assert.equal(await input.inputValue(), '33');
  });
});

test('typed values outlive another screen', async () => {
  await withPage({}, async (here) => {
    const { page } = here;
    const { namespace, input } = await open(here);
    await input.fill('34');
    await page.getByRole('link', { name: 'Health' }).click();
    await page.getByRole('heading', { name: 'Health' }).waitFor();
    await page.getByRole('navigation', { name: 'Namespaces' }).getByRole('link', { name: namespace, exact: true }).click();
    await input.waitFor();
    assert.equal(await input.inputValue(), '34');
  });
});

test('every kind of field has its widget, and what is typed becomes the value of its kind', async () => {
  await withPage({}, async ({ page, api, at }) => {
    await at('/t/search');
    await page.getByLabel('Ranking', { exact: true }).selectOption('NEWEST');
    await page.getByRole('switch', { name: 'Suggest' }).click();
    await page.getByRole('textbox', { name: 'Title boost' }).fill('2.5');
    await page.getByRole('textbox', { name: 'Answer within' }).fill('1.5s');
    await page.getByRole('textbox', { name: 'Value 1 of Synonyms' }).fill('divan');
    await page.getByRole('button', { name: 'Add a key to Synonyms' }).click();
    await page.getByRole('textbox', { name: 'Key 2 of Synonyms' }).fill('lamp');
    await page.getByRole('textbox', { name: 'Value 2 of Synonyms' }).fill('light');
    await page.getByRole('textbox', { name: 'Index from' }).fill('2026-01-01T00:00:00Z');
    await page.getByRole('textbox', { name: 'Limits: Results' }).fill('120');
    await page.getByRole('textbox', { name: 'Limits: Bytes scanned' }).fill('9007199254740993');
    const dialog = await publish(page, 'all kinds');
    await dialog.getByRole('button', { name: 'Publish', exact: true }).click();
    await page.getByText('Version 2 is live.').waitFor();
    const { written } = await api('GET', '/namespaces/search/settings/tandem.cases.search.v1.Search');
    assert.deepEqual(written, {
      ranking: 'NEWEST', title_boost: 2.5, synonyms: { sofa: 'divan', lamp: 'light' }, suggest: true, answer_within: '1.500s'.replace('1.500', '1.5'),
      index_from: '2026-01-01T00:00:00Z', limits: { results: 120, bytes_scanned: '9007199254740993' },
    });
  });
});

test('a share is moved by its slider or by its number, and a field goes back to its default', async () => {
  await withPage({}, async (here) => {
    const { page, api } = here;
    const { where } = await open(here);
    await page.getByRole('spinbutton', { name: 'New price format, in per cent' }).fill('25.5');
    assert.equal(await page.getByRole('slider', { name: 'New price format' }).inputValue(), '255');
    await page.getByRole('button', { name: 'Back to default: Hidden categories' }).click();
    const dialog = await publish(page, 'a quarter');
    await dialog.getByText(/ hidden_categories= /).waitFor();
    await dialog.getByRole('button', { name: 'Publish', exact: true }).click();
    await page.getByText('Version 5 is live.').waitFor();
    const { written } = await api('GET', where);
    assert.deepEqual(written, { max_discount_percent: 20, new_price_format: { per_mille: 255 } });
  });
});

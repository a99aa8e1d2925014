// What no source of the page may hold, because the policy would refuse it or strangers could use it.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SOURCES = fileURLToPath(new URL('../../src', import.meta.url));

const FORBIDDEN: [RegExp, string][] = [
  [/\{@html/, 'markup out of text'],
  [/\.(inner|outer)HTML|insertAdjacentHTML|document\.write/, 'markup out of text'],
  [/\sstyle=["{]/, 'an inline style'],
  [/\son[a-z]+="/, 'an inline handler'],
  [/\beval\(|new Function\(/, 'code out of text'],
  [/https?:\/\/(?!www\.w3\.org)/, 'an address elsewhere'],
  [/url\(\s*["']?data:/, 'a data URL'],
];

test('security_ad_4_no_source_makes_markup_of_text_or_asks_elsewhere', () => {
  const files = readdirSync(SOURCES, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.ok(files.length > 30);
  for (const entry of files) {
    const text = readFileSync(join(entry.parentPath, entry.name), 'utf8');
    for (const [pattern, what] of FORBIDDEN) assert.doesNotMatch(text, pattern, `${entry.name} has ${what}`);
  }
});

// Help for the editor comes from the schema that the command line prints.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { help } from '../../src/lib/schema.ts';

test('a key has its words, its bounds and its default', () => {
  const { path, text, values } = help(['upstreams', 'any-name', 'connections']);
  assert.deepEqual([path, text], [['upstreams', 'any-name', 'connections'], 'Of each data thread to each endpoint, to begin with.']);
  assert.match(values, /1 to 4/);
  assert.match(values, /default 1/);
});

test('the document names its keys, and those that it needs', () => {
  const { keys } = help([]);
  assert.ok(keys.some(({ name, required }) => name === 'contract' && required));
  assert.ok(keys.some(({ name, required }) => name === 'hosts' && !required));
});

test('a key behind a reference and in one of several forms is found', () => {
  assert.equal(help(['defaults', 'deadline', 'max']).text, "The smaller of this and the caller's holds.");
  assert.match(help(['methods', 'a.B/C', 'retries']).values, /none/);
});

test('an unknown key gets the help of what is above it', () => {
  assert.deepEqual(help(['upstreams', 'go', 'conections']).path, ['upstreams', 'go']);
});

// A live pair of the mock: Go serves the products, Rust is mirrored, a second Go is the twin.
//
// Its figures follow the clock, so a reading between two events is as true as one at them.
const began = Date.now();
export const MIRRORED = 'tandem.cases.catalogue.v1.Catalogue/GetProduct';

/** Under YAML's line of the method, as `withIgnored` and `withMirror` write it. */
const OFF = `  ${MIRRORED}: { candidate: rust, mirror: none }`;
const ON = `  ${MIRRORED}: { candidate: rust, mirror: { share: 10%, twin: go-2, samples: true } }`;
export const LINE = ON;

export const isMirrored = (text) => text.includes(`${MIRRORED}: `) && !text.includes(OFF);
export const ignoredIn = (text) => JSON.parse(/# same\.ignore: (\[.*\])/.exec(text)?.[1] ?? '[]');

export function withMirror(text, on) {
  return on ? text.replace(OFF, ON) : text.replace(ON, OFF);
}

export function withIgnored(text, path) {
  const all = [...ignoredIn(text), path];
  const bare = text.replace(/# same\.ignore: .*\n/, '');
  return `${bare}${bare.endsWith('\n') ? '' : '\n'}# same.ignore: ${JSON.stringify(all)}\n`;
}

/** What is declared of a path beside that it is ignored. */
export const withRule = (text, path, rule) => `${text}${text.endsWith('\n') ? '' : '\n'}# same: ${path} ${rule}\n`;
const isDeclared = (text, path) => text.includes(`# same: ${path} `);

const quantile = (value_s, n, part) => ({
  value_s,
  interval: n * (1 - part) < 4 ? null : [value_s * 0.94, value_s * 1.08],
  n,
  dimmed: n * (1 - part) < 100,
});

function paths(pairs, ignored) {
  const path = (name, kind, candidate_only, twin_only, both, why = null, samples = []) => ({
    path: name, class: kind, candidate_only, twin_only, both, pairs, e_value: candidate_only > 9 ? 4211.5 : 0.7,
    bound: candidate_only > 9 ? 0.021 : 3.93 / pairs, critical: 0, why, samples,
    proposed: why === null ? null : { as: 'ignore', rule: `ignore ${name}`, why },
    lines: candidate_only + both > 0 ? [{ path: name, count: candidate_only + both, what: ['value'] }] : [],
  });
  const sample = (place, primary, candidate) => ({ place, what: 'value', primary, candidate });
  return [
    path('etag', 'worse', 24, 0, 0, null, [sample('etag', 'W/"p-17-4"', '"p-17-4"'), sample('etag', 'W/"p-3-1"', '"p-3-1"')]),
    path('labels{}', 'unknown', 2, 0, 0, null, [sample('labels{eu}', '<b>sale</b>', 'sale')]),
    path('update_time', 'noisy-equal', Math.round(pairs / 5), Math.round(pairs / 5), Math.round(pairs / 9), 'time of now'),
    path('create_time', 'masked', 0, 0, pairs, 'time of now'),
  ].filter(({ path: name }) => !ignored.includes(name));
}

export function pair(text) {
  const seconds = (Date.now() - began) / 1000 + 29;
  const pairs = Math.round(200 * seconds);
  const lane = (role, upstream, ms, cpu_s, memory) => ({
    role, upstream, calls: pairs, errors: 0, p50: quantile(ms / 1000, pairs, 0.5), p99: quantile((ms * 4.7) / 1000, pairs, 0.99), cpu_s, memory_bytes: memory * 1048576,
  });
  const found = paths(pairs, ignoredIn(text));
  const worse = found.filter((one) => one.class === 'worse');
  return {
    namespace: 'shop', method: MIRRORED, primary: 'go', candidate: 'rust', twin: 'go-2', noise: 'twin', since: new Date(began - 29_000).toISOString(),
    seconds, pairs, pairs_per_second: 200, critical: 0, sampled_after_cache: false,
    classes: { worse: worse.length, noise: 2, identical: 14, unknown: 1 }, differing: 0.004,
    lost: { timed_out: { candidate: 1, twin: 0 } }, dropped: { queue_full: 3 },
    lanes: [lane('primary', 'go', 0.9, 118e-6, 62), lane('candidate', 'rust', 0.7, 61e-6, 21), lane('twin', 'go-2', 0.8, 117e-6, 60)],
    word: worse.length > 0 ? 'answers-differ' : 'not-enough-evidence',
    evidence: `${pairs.toLocaleString('en-US')} of about ${(Math.ceil((pairs + 3_900) / 1000) * 1000).toLocaleString('en-US')} pairs`,
  };
}

export function verdict(text) {
  const now = pair(text);
  const differs = now.word === 'answers-differ';
  const metric = (id, one, other, interval, cell, counts, against) => ({
    id, unit: 's', primary: { value: one, interval: null, n: now.pairs }, candidate: { value: other, interval: null, n: now.pairs }, ratio: other / one, interval, cell, counts, against,
  });
  return {
    ...now,
    sentence: differs ? 'The answers of go and rust differ: etag. Verdict: answers-differ.' : 'At 200/s, rust against go: p99 unknown (0.88 [0.74, 1.05]); CPU per request unknown (0.52). Verdict: not-enough-evidence.',
    known: [differs ? 'answers differ in etag' : 'no difference of the answers; 2 fields are noise (create_time, update_time)'],
    open: [
      { id: 'answers', what: 'answers: one path has no class yet', pairs: 3900, seconds: 20 },
      { id: 'p99', what: 'p99: needs more pairs', pairs: 51_000, seconds: 255 },
      { id: 'cpu', what: 'CPU per request: needs more time', pairs: null, seconds: 570 },
    ],
    document: {
      schema: 'tandem.compare/v1',
      metrics: [
        metric('p50', 0.0008, 0.0007, [0.85, 0.9], 'better', false, 'go-2'),
        metric('p99', 0.0038, 0.0033, [0.74, 1.05], 'unknown', true, 'go-2'),
        metric('cpu', 118e-6, 61e-6, null, 'unknown', true),
      ],
    },
  };
}

export function differences(text, mayReadValues) {
  const now = pair(text);
  return {
    namespace: 'shop', method: MIRRORED, primary: 'go', candidate: 'rust', noise: 'twin', pairs: now.pairs, critical: 0, samples: mayReadValues ? 'on' : 'publisher',
    paths: paths(now.pairs, ignoredIn(text)).map((one) => (mayReadValues ? one : { ...one, samples: [] })),
  };
}

export function noise(text) {
  const now = pair(text);
  const ignored = ignoredIn(text);
  const learned = paths(now.pairs, ignored).filter(({ twin_only, both }) => twin_only + both > 0).map((one) => ({ ...one, flagged: false }));
  const flagged = { ...paths(now.pairs, [])[0], path: 'revision_id', class: 'unknown', candidate_only: 3, why: 'UUID', flagged: true };
  const images = { ...learned[0], path: 'images[]', class: 'unknown', candidate_only: 0, twin_only: 0, both: 0, why: null, proposed: { as: 'keyed=name', rule: 'keyed images[]=name', why: 'each element has its own `name`' } };
  const lists = isDeclared(text, 'images[]') ? [] : [images];
  return { namespace: 'shop', method: MIRRORED, noise: 'twin', pairs: now.pairs, learned: [...learned, flagged, ...lists], ignored };
}

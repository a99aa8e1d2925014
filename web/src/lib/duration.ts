// Durations of protobuf: `"1.500s"` in JSON, `1.5s`, `250ms`, `2h` as people write them.
const UNITS: Record<string, bigint> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  min: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
};

/** ProtoJSON of what somebody wrote (`1h 30m`, `250ms`); null where it is no duration. */
export function durationToJson(text: string): string | null {
  const trimmed = text.trim();
  const sign = trimmed.startsWith('-') ? -1n : 1n;
  const rest = trimmed.replace(/^-/, '');
  if (!/^(\d+(\.\d{1,9})?\s*(ns|us|µs|ms|s|min|m|h|d)\s*)+$/.test(rest)) return null;
  let nanos = 0n;
  for (const [, whole, , fraction = '', unit] of rest.matchAll(/(\d+)(\.(\d{1,9}))?\s*(ns|us|µs|min|ms|s|m|h|d)/g)) {
    const scale = UNITS[unit!]!;
    nanos += BigInt(whole!) * scale + (BigInt(fraction.padEnd(9, '0') || '0') * scale) / 1_000_000_000n;
  }
  nanos *= sign;
  const size = nanos < 0n ? -nanos : nanos;
  const fraction = String(size % 1_000_000_000n).padStart(9, '0').replace(/0+$/, '');
  return `${nanos < 0n ? '-' : ''}${size / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}s`;
}

/** As people read it: the largest unit in which it is whole. */
export function durationToText(json: string): string {
  const match = /^(-?)(\d+)(?:\.(\d{1,9}))?s$/.exec(json);
  if (match === null) return json;
  const [, sign, whole, fraction = ''] = match;
  const nanos = BigInt(whole!) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
  if (nanos === 0n) return '0s';
  for (const unit of ['d', 'h', 'm', 's', 'ms', 'us', 'ns']) {
    if (nanos % UNITS[unit]! === 0n) return `${sign}${nanos / UNITS[unit]!}${unit}`;
  }
  return json;
}

// Who was faster: what was published since the version that a change was made from.
import { ask, get, path, type Refusal } from './api.ts';
import type { DiffLine, Version } from './types.ts';

export interface Race {
  /** The version that is live now. */
  live: number;
  /** Published in between, the newest first; empty where the history may not be read. */
  between: Version[];
  /** What they changed. */
  diff: DiffLine[];
}

export async function whoWasFaster(namespace: string, base: number, refusal: Refusal): Promise<Race> {
  const told = refusal.body.version;
  let live = typeof told === 'number' ? told : (told as Version | undefined)?.number;
  let between: Version[] = typeof told === 'object' && told !== null ? [told as Version] : [];
  try {
    const versions = await get<Version[]>(path('namespaces', namespace, 'versions'));
    between = versions.filter((version) => version.number > base);
    live ??= Math.max(...versions.map((version) => version.number));
  } catch {
    // What the refusal said has to do.
  }
  if (live === undefined) throw refusal;
  let diff: DiffLine[] = [];
  if (base > 0) {
    try {
      const body = { from: base, to: live };
      diff = (await ask<{ diff: DiffLine[] }>('POST', path('namespaces', namespace, 'diff'), { body })).data.diff;
    } catch {
      // The names and reasons stand without it.
    }
  }
  return { live, between, diff };
}

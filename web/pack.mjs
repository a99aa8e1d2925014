// After `vite build`: each file of `dist` as gzip in `dist/gz`, the only form that goes into the binary.
//
// `crates/tandem/src/page.rs` embeds them; cargo does not see a folder that comes into being, so
// that file is marked as changed here whenever the page did.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const folder = fileURLToPath(new URL('dist', import.meta.url));
const room = fileURLToPath(new URL('../crates/tandem/src/page.rs', import.meta.url));

rmSync(join(folder, 'gz'), { recursive: true, force: true });
const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();
let [plain, packed] = [0, 0];
const all = createHash('sha256');
for (const file of files) {
  const bytes = readFileSync(file);
  // Level 9 and no time in the head: the same sources make the same bytes.
  const small = gzipSync(bytes, { level: 9 });
  const place = join(folder, 'gz', relative(folder, file));
  mkdirSync(dirname(place), { recursive: true });
  writeFileSync(place, small);
  all.update(relative(folder, file)).update(small);
  plain += bytes.length;
  packed += small.length;
  console.log(`${relative(folder, file).padEnd(40)} ${bytes.length} → ${small.length}`);
}
console.log(`${files.length} files, ${plain} bytes, ${packed} as gzip (${all.digest('hex').slice(0, 12)})`);
try {
  statSync(room);
  const now = new Date();
  utimesSync(room, now, now);
} catch {
  // The page is built outside of the repository.
}

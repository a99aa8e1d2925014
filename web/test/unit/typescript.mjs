// Lets Node run the page's plain TypeScript in unit tests: types are taken off, nothing else.
import { register } from 'node:module';

register('./loader.mjs', import.meta.url);

// Builds the page into `dist`. Nothing is inlined: the policy of the page allows neither data URLs
// nor inline scripts and styles.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [svelte()],
  // The schema of a team's document lies with its reader, outside of this folder.
  server: {
    fs: { allow: ['.', '../crates/config/schema'] },
    proxy: { '/api': process.env.TANDEM_PAGE_URL ?? 'http://127.0.0.1:9080' },
  },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 400,
  },
});

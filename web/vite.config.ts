import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const server = 'http://127.0.0.1:8000'; // `make run`, for `npm run dev`
const paths = ['conversations', 'events', 'streams', 'client.js', 'send-message', 'responders', 'limits', 'health', 'schema/openapi.json'];
const proxied = { target: server, changeOrigin: true, headers: { Origin: server } };

export default defineConfig({
  plugins: [svelte({ configFile: false })],
  build: {
    target: 'es2023',
    assetsInlineLimit: 0, // everything is a file with a hash in its name: the policy of the page allows nothing inline
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' }, // of everything that is bundled; it travels with the wheel
    rolldownOptions: {
      input: { index: 'index.html', schema: 'schema.html', client: 'src/client/index.ts' },
      preserveEntrySignatures: 'exports-only', // nothing here imports what client.js exports
      // Other pages load the client by this name: docs/client.md.
      output: { entryFileNames: ({ name }) => (name === 'client' ? 'client.js' : 'assets/[name]-[hash].js') },
    },
    chunkSizeWarningLimit: 2000, // the page of the API, which is not the chat's
  },
  server: { proxy: Object.fromEntries(paths.map((path) => [`/${path}`, proxied])) },
  // The limits are nets: no test may fail because the machine is slow.
  test: { include: ['src/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 },
});

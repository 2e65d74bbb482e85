import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  // Some of Grafana's packages read Node's variables.
  define: { 'process.env': {}, global: 'globalThis' },
  build: { chunkSizeWarningLimit: 100000, minify: false, reportCompressedSize: false },
});

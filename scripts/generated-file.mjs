import { readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const check = process.argv.includes('--check');

/**
 * Writes a generated file where it differs; with `--check` it only says so, and the process ends with 1.
 *
 * @param {URL} file
 * @param {string} text
 * @param {string} difference What is said then, as "this file differs from its source".
 */
export function writeGenerated(file, text, difference) {
  const path = fileURLToPath(file);
  if (read(path) === text) return;
  if (check) {
    console.error(`${difference}: run npm run generate`);
    process.exitCode = 1;
    return;
  }
  writeFileSync(path, text);
  console.log(`wrote ${relative(root, path)}`);
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

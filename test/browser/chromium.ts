/** Starts the Chromium of this machine. */

import { access } from 'node:fs/promises';
import { type Browser, chromium } from 'playwright-core';

const paths = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** @throws Error where there is none */
export async function launchChromium(): Promise<Browser> {
  for (const executablePath of paths) {
    const exists = await access(executablePath).then(
      () => true,
      () => false,
    );
    if (exists) return chromium.launch({ executablePath, args });
  }
  throw new Error(`this test needs a Chromium: none of ${paths.join(', ')} is there`);
}

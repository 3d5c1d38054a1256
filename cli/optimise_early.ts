/**
 * Imported first by what runs for months and does little: V8 optimises what has run often, and at its own measure a host
 * or signer would have served thousands of payments in code that is half as fast before it does.
 */

import v8 from 'node:v8';

/** In bytes of bytecode run; V8's own is 67,584. */
v8.setFlagsFromString('--interrupt-budget=3000');

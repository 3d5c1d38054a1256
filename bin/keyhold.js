#!/usr/bin/env node
import { main } from '../dist/cli/main.js';

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => stop.abort());
process.exitCode = await main(process.argv.slice(2), stop.signal);

/** A passphrase from the owner: typed without echo, or read from a file descriptor; never from argv or the environment. */

import { read } from 'node:fs';
import { promisify } from 'node:util';
import { Secret } from '../proto/secret.ts';
import { UsageError } from './command.ts';

const readFd = promisify(read);
const longest = 4096;

/** All bytes of a file descriptor up to a newline or its end. */
export async function passphraseFromFd(fd: number): Promise<Secret> {
  const buffer = new Uint8Array(longest);
  let length = 0;
  while (length < longest) {
    const { bytesRead } = await readFd(fd, buffer, length, longest - length, null);
    if (bytesRead === 0) break;
    length += bytesRead;
    const end = buffer.subarray(0, length).indexOf(0x0a);
    if (end >= 0) {
      length = end;
      break;
    }
  }
  const secret = Secret.copyOf(buffer.subarray(0, length));
  buffer.fill(0);
  return secret;
}

/** Asks on the terminal, echo off. */
export async function passphraseFromTerminal(question: string, signal: AbortSignal): Promise<Secret> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) throw new UsageError('no terminal to ask for the passphrase on: use --passphrase-fd N');
  stderr.write(question);
  stdin.setRawMode(true);
  try {
    return await typedLine(stdin, signal);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}

function typedLine(stdin: NodeJS.ReadStream, signal: AbortSignal): Promise<Secret> {
  return new Promise((resolve, reject) => {
    const typed = new Uint8Array(longest);
    let length = 0;
    const done = (settle: () => void) => {
      stdin.off('data', onData);
      signal.removeEventListener('abort', onAbort);
      settle();
      typed.fill(0);
    };
    const onAbort = () => done(() => reject(signal.reason));
    const onData = (chunk: Buffer) => {
      for (const byte of chunk) {
        if (byte === 0x0d || byte === 0x0a) return done(() => resolve(Secret.copyOf(typed.subarray(0, length))));
        if (byte === 0x03 || byte === 0x04) return done(() => reject(new UsageError('no passphrase was given')));
        if (byte === 0x7f || byte === 0x08) {
          // A character of several bytes goes whole: its continuation bytes are 10xxxxxx.
          while (length > 0 && ((typed[--length] ?? 0) & 0xc0) === 0x80);
        } else if (length < longest) typed[length++] = byte;
      }
      chunk.fill(0);
    };
    signal.addEventListener('abort', onAbort);
    stdin.on('data', onData);
  });
}

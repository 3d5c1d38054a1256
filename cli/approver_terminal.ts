/**
 * The owner at the signer's own terminal: a line for each thing asked, and its number typed in says yes, once. Nothing
 * waits for it: what is not answered stays refused. A number, not a plain yes: between reading and typing a host could
 * ask for something else.
 */

import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../proto/clock.ts';
import { answerOwner, type ListJson, type Owned, type OwnerRequest } from './approver_requests.ts';
import { OwnerRequestError } from './approver_socket.ts';
import { askedWords, leaveWords, listWords } from './approver_words.ts';

export interface Terminal {
  readonly input: Readable;
  readonly output: Writable;
}

/** How long a word given at the prompt counts, in seconds. */
const promptedFor = 60 * 60;
/** A host that asks without end must not fill the screen: no more than one line in this time. */
const quietMs = 1_000;

/** Prompts until disposed of. */
export function promptOwner(owned: Owned & { readonly clock: Clock }, { input, output }: Terminal): Disposable {
  const { desk, clock, now } = owned;
  const say = (text: string) => output.write(`${text}\n`);
  const list = () => answerOwner(owned, { method: 'list' } satisfies OwnerRequest) as ListJson;
  let spoke = -quietMs;
  const watching = desk.watch(({ id }) => {
    if (clock.monotonic() - spoke < quietMs) return;
    spoke = clock.monotonic();
    const asked = list().asked.find((each) => each.id === id);
    if (asked !== undefined)
      say(`refused until you say yes: ${askedWords(asked)}\ntype ${id} to allow it once, ? for a list`);
  });
  const lines = createInterface({ input });
  lines.on('line', (line) => {
    const typed = line.trim();
    if (typed === '') return;
    if (!/^\d{1,9}$/.test(typed)) say(listWords(list()));
    else say(allowed(owned, { method: 'approve', id: Number(typed), uses: 1, until: now() + promptedFor }));
  });
  return {
    [Symbol.dispose]() {
      watching[Symbol.dispose]();
      lines.close();
    },
  };
}

function allowed(owned: Owned, request: OwnerRequest): string {
  try {
    const answer = answerOwner(owned, request);
    return 'uses_left' in answer ? `allowed: ${leaveWords(answer)}; now have lightningd try again` : '';
  } catch (error: unknown) {
    if (error instanceof OwnerRequestError) return error.message;
    throw error;
  }
}

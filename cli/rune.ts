/** `keyhold rune`: the token that lets one device of the owner's ask the node for payments and more. */

import { base64urlnopad } from '@scure/base';
import { concat, utf8 } from '../proto/bytes.ts';
import { systemEntropy } from '../proto/entropy.ts';
import { makeRune, parseRune, type Restriction, RuneError, runeBytes } from '../signer/approvals/rune.ts';
import { runeVersion } from '../signer/approvals/rune_check.ts';
import { NodeKeys } from '../signer/keys/node_keys.ts';
import { backend } from '../signer/node/backends.ts';
import { openSecret } from './check_secret.ts';
import { command, UsageError } from './command.ts';
import { passphraseOf } from './signer.ts';

/** Reads restrictions as they stand in a rune. @throws UsageError */
function restrictionsOf(texts: readonly string[]): readonly Restriction[] {
  try {
    return parseRune(concat(new Uint8Array(32), utf8(['=0', ...texts].join('&')))).restrictions;
  } catch (error: unknown) {
    if (error instanceof RuneError) throw new UsageError(`RESTRICTION: ${error.message}`);
    throw error;
  }
}

export const rune = command({
  name: 'rune',
  summary: 'Make an access token (rune) for one of the owner’s devices.',
  operands: 'PUBKEY [RESTRICTION…]',
  explanation:
    'What a device signs with its key, and shows with this token, the signer takes for the owner’s word. PUBKEY is the\n' +
    'device’s public key: P-256, uncompressed, in hex. Restrictions narrow what it may ask: method=pay|method=xpay,\n' +
    'amount<1000000 (millisatoshi), time<1893456000 (seconds since 1970), per=5min, rate=2 (a minute).\n' +
    'revoked_runes in the policy file takes back all runes of an id: give each device its own.',
  options: {
    secret: { value: 'FILE', means: 'the hsm_secret of the node' },
    id: { value: 'NUMBER', means: 'what to revoke it by', default: '0' },
    passphrase: { means: 'ask for the secret’s passphrase on the terminal' },
    'passphrase-fd': { value: 'N', means: 'read the passphrase from this file descriptor' },
  },
  async run(given, signal) {
    const path = given.option('secret');
    if (path === undefined)
      throw new UsageError('--secret: expected the path of an hsm_secret; see: keyhold rune --help');
    const [pubkey = '', ...more] = given.operands;
    if (!/^04[0-9a-f]{128}$/i.test(pubkey))
      throw new UsageError('PUBKEY: expected 65 bytes in hex, the first of them 04');
    const id = given.option('id') ?? '';
    if (!/^\d{1,18}$/.test(id)) throw new UsageError(`--id: expected a number, got ${id}`);
    const restrictions = restrictionsOf(more);
    const passphrase = await passphraseOf(given.has('passphrase'), given.option('passphrase-fd'), signal);
    const secret = await openSecret(path, passphrase);
    const { runes } = new NodeKeys(backend(undefined, systemEntropy), secret, undefined);
    const device: Restriction = [{ field: 'pubkey', condition: '=', value: pubkey.toLowerCase() }];
    console.log(base64urlnopad.encode(runeBytes(makeRune(runes, id, runeVersion, [device, ...restrictions]))));
    return 0;
  },
});

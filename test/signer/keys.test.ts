import { HDKey } from '@scure/bip32';
import test from 'ava';
import fc from 'fast-check';
import { fromHex, toHex } from '../../proto/bytes.ts';
import { systemEntropy } from '../../proto/entropy.ts';
import { Secret } from '../../proto/secret.ts';
import { tiny } from '../../signer/crypto/tiny.ts';
import { childKey, descend, hardened, masterKey, serializePublic } from '../../signer/keys/bip32.ts';
import {
  detectSecretType,
  HsmSecretError,
  newHsmSecret,
  openHsmSecret,
  secretTypes,
} from '../../signer/keys/hsm_secret.ts';
import { NodeKeys } from '../../signer/keys/node_keys.ts';
import { commitmentNumbers, Shachain } from '../../signer/keys/shachain.ts';

const secp = tiny(systemEntropy);
const hexOf = (secret: Secret | undefined) => secret?.use(toHex);

/** BOLT 3 appendix D, generation: seed, index, secret. */
const generation = [
  ['00', 281474976710655n, '02a40c85b6f28da08dfdbe0926c53fab2de6d28c10301f8f7c4073d5e42e3148'],
  ['ff', 281474976710655n, '7cc854b54e3e0dcdb010d7a3fee464a9687be6e8db3be6854c475621e007a5dc'],
  ['ff', 0xaaaaaaaaaaan, '56f4008fb007ca9acf0e15b054d5c9fd12ee06cea347914ddbaed70d1c13a528'],
  ['ff', 0x555555555555n, '9015daaeb06dba4ccc05b91b2f73bd54405f2be9f217fbacd3c5ac2e62327d31'],
  ['01', 1n, '915c75942a26bb3a433a8ce2cb0427c29ec6c1775cfc78328b57f6ba7bfeaa9c'],
] as const;

for (const [byte, index, expected] of generation)
  test(`BOLT 3 appendix D: the secret at ${index} from a seed of ${byte}`, (t) => {
    const chain = new Shachain(new Secret(fromHex(byte.repeat(32))));
    t.is(hexOf(chain.secret(commitmentNumbers - 1n - index)), expected);
  });

test('a shachain gives the same secrets in whatever order they are asked for', (t) => {
  const seed = () => new Secret(new Uint8Array(32).fill(7));
  const kept = new Shachain(seed());
  const number = fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(0n, commitmentNumbers - 1n));
  fc.assert(fc.property(number, (n) => hexOf(kept.secret(n)) === hexOf(new Shachain(seed()).secret(n))));
  t.is(kept.secret(commitmentNumbers), undefined);
});

test('BIP 32 derivation agrees with a library of it, private and serialised', (t) => {
  const path = fc.array(
    fc.oneof(
      fc.nat(hardened - 1),
      fc.nat(hardened - 1).map((i) => i + hardened),
    ),
    { maxLength: 3 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 64 }), path, (seed, indexes) => {
      const ours = masterKey(secp, new Secret(seed.slice()));
      if (ours === undefined) return;
      const end = descend(secp, ours, indexes);
      const theirs = indexes.reduce((key, index) => key.deriveChild(index), HDKey.fromMasterSeed(seed));
      t.deepEqual(end.publicKey, theirs.publicKey ?? undefined);
      t.deepEqual(
        end.privateKey.use((bytes) => Uint8Array.from(bytes)),
        theirs.privateKey ?? undefined,
      );
      t.deepEqual(
        end.chainCode.use((bytes) => Uint8Array.from(bytes)),
        theirs.chainCode ?? undefined,
      );
      t.is(serializePublic(end, 0x0488b21e).length, 78);
    }),
    { numRuns: 20 },
  );
});

test('a new hsm_secret is a mnemonic that opens again, with its passphrase only', async (t) => {
  const entropy = () => new Secret(new Uint8Array(16).fill(9));
  const plain = newHsmSecret(entropy(), undefined);
  t.is(detectSecretType(plain), secretTypes.mnemonic);
  const opened = await openHsmSecret(plain, undefined);
  t.is(opened.seed.length, 64);

  const passphrase = (text: string) => new Secret(new TextEncoder().encode(text));
  const guarded = newHsmSecret(entropy(), passphrase('correct horse'));
  t.is((await openHsmSecret(guarded, passphrase('correct horse'))).type, secretTypes.mnemonicWithPassphrase);
  const wrong = await t.throwsAsync(openHsmSecret(guarded, passphrase('wrong')), { instanceOf: HsmSecretError });
  t.is(wrong.code, 3);
  const missing = await t.throwsAsync(openHsmSecret(guarded, undefined), { instanceOf: HsmSecretError });
  t.is(missing.code, 1);
});

test('channel keys are derived once, and a secret never prints', async (t) => {
  const keys = new NodeKeys(secp, await openHsmSecret(new Uint8Array(32).fill(1), undefined), undefined);
  const peer = keys.node.point;
  t.is(keys.channel(peer, 1n), keys.channel(peer, 1n));
  t.not(keys.channel(peer, 1n), keys.channel(peer, 2n));
  const { secret } = keys.node;
  t.is(`${secret} ${JSON.stringify({ secret })}`, '[secret] {"secret":"[secret]"}');
  t.is(childKey(secp, keys.wallet, 5).publicKey.length, 33);
});

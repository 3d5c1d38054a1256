/** The implementations of secp256k1 against published vectors, and signatures of the real lightning_hsmd. */

import { readFileSync } from 'node:fs';
import { schnorr } from '@noble/secp256k1';
import test from 'ava';
import { fromHex, toHex, utf8 } from '../../proto/bytes.ts';
import { Secret } from '../../proto/secret.ts';
import { sha256Of } from '../../signer/crypto/hash.ts';
import { signLowR } from '../../signer/crypto/low_r.ts';
import { revocationSecret, tweakedSecret } from '../../signer/keys/tweak.ts';
import { reportAddon, testEach } from './implementations.ts';

interface Vectors {
  readonly rfc6979: readonly { readonly secret: string; readonly message: string; readonly signature: string }[];
  readonly bolt3: Readonly<
    Record<
      | 'basepointSecret'
      | 'perCommitmentSecret'
      | 'basepoint'
      | 'perCommitmentPoint'
      | 'publicKey'
      | 'privateKey'
      | 'revocationPublicKey'
      | 'revocationPrivateKey',
      string
    >
  >;
  readonly bolt4: {
    readonly sessionKey: string;
    readonly hops: readonly { readonly publicKey: string; readonly sharedSecret: string }[];
  };
  readonly bolt8: readonly {
    readonly act: string;
    readonly secret: string;
    readonly point: string;
    readonly sharedSecret: string;
  }[];
  readonly coreLightning: {
    readonly lowR: readonly {
      readonly tries: number;
      readonly secret: string;
      readonly digest: string;
      readonly signature: string;
    }[];
  };
}

// The cast is checked by every test that uses the field: undefined would fail it.
const vectors = JSON.parse(readFileSync('test/vectors/secp256k1.json', 'utf8')) as Vectors;
const bip340 = readFileSync('test/vectors/bip340.csv', 'utf8')
  .trim()
  .split(/\r?\n/)
  .slice(1)
  .map((line) => {
    const [index = '', secret = '', publicKey = '', auxiliary = '', message = '', signature = '', result = ''] =
      line.split(',');
    return { index, secret, publicKey, auxiliary, message, signature, valid: result === 'TRUE' };
  });

const secretOf = (hex: string) => new Secret(fromHex(hex));
const hexOf = (secret: Secret | undefined) => secret?.use(toHex);

reportAddon();

testEach('signs the RFC 6979 vectors, and verifies what it signed and nothing else', (t, secp) => {
  for (const { secret, message, signature } of vectors.rfc6979) {
    const digest = sha256Of(utf8(message));
    const key = secretOf(secret);
    t.is(toHex(secp.sign(digest, key)), signature, message);
    t.is(toHex(secp.signRecoverable(digest, key).signature), signature, message);
    t.true(secp.verify(digest, secp.publicKey(key), fromHex(signature)));
    t.false(secp.verify(sha256Of(digest), secp.publicKey(key), fromHex(signature)));
  }
});

test("the verification that Schnorr signatures are held to here gives BIP 340's results", (t) => {
  t.is(bip340.length, 15);
  for (const { index, publicKey, message, signature, valid } of bip340) {
    t.is(schnorr.verify(fromHex(signature), fromHex(message), fromHex(publicKey)), valid, `vector ${index}`);
  }
});

testEach('gives the public keys of BIP 340, and signatures that its verification takes', (t, secp) => {
  for (const { index, secret, publicKey, auxiliary, message, signature } of bip340.filter((row) => row.secret !== '')) {
    t.is(toHex(secp.publicKey(secretOf(secret))).slice(2), publicKey.toLowerCase(), `vector ${index}`);
    const ours = secp.signSchnorr(fromHex(message), secretOf(secret));
    t.true(schnorr.verify(ours, fromHex(message), fromHex(publicKey)), `vector ${index}`);
    t.is(
      toHex(ours) === signature.toLowerCase(),
      /^0+$/.test(auxiliary),
      `vector ${index}: equal without auxiliary randomness only`,
    );
  }
});

testEach("derives BOLT 3's keys (appendix E)", (t, secp) => {
  const { bolt3 } = vectors;
  const basepoint = { secret: secretOf(bolt3.basepointSecret), point: secp.publicKey(secretOf(bolt3.basepointSecret)) };
  const perCommitmentSecret = secretOf(bolt3.perCommitmentSecret);
  const point = secp.publicKey(perCommitmentSecret);
  t.is(toHex(basepoint.point), bolt3.basepoint);
  t.is(toHex(point), bolt3.perCommitmentPoint);
  t.is(hexOf(tweakedSecret(secp, basepoint, point)), bolt3.privateKey);
  t.is(hexOf(revocationSecret(secp, basepoint, perCommitmentSecret)), bolt3.revocationPrivateKey);
  t.is(toHex(secp.addToPoint(basepoint.point, sha256Of(point, basepoint.point)) ?? point), bolt3.publicKey);
  const ours = secp.multiplyPoint(basepoint.point, sha256Of(basepoint.point, point)) ?? point;
  const theirs = secp.multiplyPoint(point, sha256Of(point, basepoint.point)) ?? point;
  t.is(toHex(secp.addPoints(ours, theirs) ?? point), bolt3.revocationPublicKey);
});

testEach("shares BOLT 8's handshake secrets", (t, secp) => {
  for (const { act, secret, point, sharedSecret } of vectors.bolt8)
    t.is(hexOf(secp.ecdh(fromHex(point), secretOf(secret))), sharedSecret, `act ${act}`);
});

testEach("shares BOLT 4's secrets with each hop, multiplying the session key from hop to hop", (t, secp) => {
  let key: Secret | undefined = secretOf(vectors.bolt4.sessionKey);
  for (const { publicKey, sharedSecret } of vectors.bolt4.hops) {
    if (key === undefined) return t.fail('the session key became zero');
    t.is(hexOf(secp.ecdh(fromHex(publicKey), key)), sharedSecret);
    key = secp.multiplySecret(key, sha256Of(secp.publicKey(key), fromHex(sharedSecret)));
  }
});

testEach('grinds low R as the real lightning_hsmd did in recordings', (t, secp) => {
  for (const { tries, secret, digest, signature } of vectors.coreLightning.lowR) {
    let tried = 0;
    const counting = {
      sign: (...args: Parameters<typeof secp.sign>) => {
        tried++;
        return secp.sign(...args);
      },
    };
    t.is(toHex(signLowR(counting, fromHex(digest), secretOf(secret))), signature);
    t.is(tried, tries);
  }
});

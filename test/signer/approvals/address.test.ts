import test from 'ava';
import fc from 'fast-check';
import { toHex } from '../../../proto/bytes.ts';
import { AddressError, scriptOfAddress } from '../../../signer/approvals/address.ts';
import { network } from '../chain/mining.ts';

/** From BIP 173, BIP 350 and the Bitcoin wiki. */
const valid: readonly (readonly [network: string, address: string, script: string])[] = [
  ['bitcoin', 'BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4', '0014751e76e8199196d454941c45d1b3a323f1433bd6'],
  [
    'testnet',
    'tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7',
    '00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262',
  ],
  [
    'bitcoin',
    'bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y',
    '5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6',
  ],
  ['bitcoin', 'BC1SW50QGDZ25J', '6002751e'],
  [
    'bitcoin',
    'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0',
    '512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798',
  ],
  ['bitcoin', '1RustyRX2oai4EYYDpQGWvEL62BBGqN9T', '76a91404b61f7dc1ea0dc99424464cc4064dc564d91e8988ac'],
  ['bitcoin', '3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX', 'a9148f55563b9a19f321c211e9b9f38cdf686ea0784587'],
  ['testnet', 'mk2QpYatsKicvFVuTAQLBryyccRXMUaGHP', '76a9143172b5654f6683c8fb146959d347ce303cae4ca788ac'],
];

for (const [name, address, script] of valid)
  test(`${address} is an address of ${name}`, (t) => {
    t.is(toHex(scriptOfAddress(address, network(name))), script);
  });

const invalid: readonly (readonly [network: string, address: string, why: string])[] = [
  ['testnet', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', 'another network'],
  ['bitcoin', '2N8hwP1WmJrFF5QWABn38y63uYLhnJYJYTF', 'another network'],
  ['bitcoin', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5', 'a wrong checksum'],
  ['bitcoin', 'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd', 'version 1 with the old checksum'],
  ['bitcoin', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh', 'version 0 with the new checksum'],
  ['bitcoin', 'BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R', 'version 17'],
  ['bitcoin', 'bc1pw5dgrnzv', 'a program of one byte'],
  ['bitcoin', 'BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P', 'version 0 with 16 bytes'],
  ['bitcoin', '1RustyRX2oai4EYYDpQGWvEL62BBGqN9U', 'a wrong checksum'],
  ['bitcoin', 'bc1gmk9yu', 'no data'],
  ['bitcoin', '', 'nothing'],
];

for (const [name, address, why] of invalid)
  test(`no address: ${why} (${address})`, (t) => {
    t.throws(() => scriptOfAddress(address, network(name)), { instanceOf: AddressError });
  });

test('random texts throw AddressError, nothing else', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((tail) => `bc1${tail}`),
      ),
      (text) => {
        try {
          scriptOfAddress(text, network('bitcoin'));
        } catch (error: unknown) {
          if (!(error instanceof AddressError)) throw error;
        }
      },
    ),
  );
  t.pass();
});

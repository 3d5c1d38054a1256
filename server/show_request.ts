/** keyhold.v1.Host's way to show a node's signer what a client signed: for operators, and for trying it out. */

import type { Host } from '../proto/gen/keyhold/v1/host_pb.ts';
import { type Implementation, StatusError } from '../proto/grpc.ts';
import { operatorName } from './certificate_name.ts';
import type { HostedNode } from './hosted_node.ts';

/** `nodes` are those of the host by name. */
export function showRequest(nodes: ReadonlyMap<string, HostedNode>): Pick<Implementation<typeof Host>, 'show'> {
  return {
    show: async ({ node: name, evidence }, { commonName }) => {
      if (commonName !== operatorName)
        throw new StatusError('PERMISSION_DENIED', 'expected the certificate of an operator');
      const node = nodes.get(name);
      if (node === undefined) throw new StatusError('NOT_FOUND', `this host has no node ${name}`);
      if (evidence === undefined) throw new StatusError('INVALID_ARGUMENT', 'expected evidence, got none');
      node.relay.show(evidence);
      return {};
    },
  };
}

import { type Attachment, attachmentKey } from '../contracts/attachment.ts';
import type { CniResult } from '../contracts/cni.ts';
import type { Failure } from '../contracts/failures.ts';
import type { AddRequest, InterfacePhase, InterfaceState, PodNetworkState } from '../contracts/pod-network.ts';
import type { NetPhase } from '../contracts/search-attributes.ts';
import type { Attached } from './attach.ts';

/** What one run knows of its sandbox: a row for each attachment, in the order in which they came. */
export class SandboxState {
  readonly #first: AddRequest;
  readonly #interfaces = new Map<string, InterfaceState>();

  constructor(first: AddRequest) {
    this.#first = first;
  }

  /** The answer of an ADD that was done before; chained plugins share an interface, so the kind counts too. */
  resultOf(attachment: Attachment): CniResult | undefined {
    const known = this.#interfaces.get(attachmentKey(attachment));
    return known?.phase === 'Attached' ? known.result : undefined;
  }

  enter(attachment: Attachment, phase: InterfacePhase): void {
    const { network, ifName, kind } = attachment;
    const addresses = this.#interfaces.get(attachmentKey(attachment))?.addresses ?? [];
    this.#interfaces.set(attachmentKey(attachment), { network, ifName, kind, phase, addresses });
  }

  attached({ network, ifName, kind, ...rest }: Attachment, { addresses, result }: Attached): void {
    const row: InterfaceState = { network, ifName, kind, phase: 'Attached', addresses, result };
    this.#interfaces.set(attachmentKey({ network, ifName, kind, ...rest }), row);
  }

  failed(attachment: Attachment, failure: Failure): void {
    const { network, ifName, kind } = attachment;
    const phase = failure.type === 'UnwindStuck' ? 'UnwindStuck' : 'Failed';
    this.#interfaces.set(attachmentKey(attachment), { network, ifName, kind, phase, addresses: [], failure });
  }

  remove(attachment: Attachment): void {
    this.#interfaces.delete(attachmentKey(attachment));
  }

  /** Attachments that still need a DEL. A failed one does not: it left nothing, or is UnwindStuck and found by its record. */
  get isEmpty(): boolean {
    return [...this.#interfaces.values()].every(({ phase }) => phase === 'Failed' || phase === 'UnwindStuck');
  }

  describe(): PodNetworkState {
    const { pod, node, attachment } = this.#first;
    return { pod, node, containerID: attachment.containerID, interfaces: [...this.#interfaces.values()] };
  }
}

/** How the sandbox as a whole stands: what a person must look at comes before what works. */
export function netPhaseOf({ interfaces }: PodNetworkState): NetPhase {
  const phases = new Set(interfaces.map(({ phase }) => phase));
  if (phases.has('UnwindStuck')) return 'UnwindStuck';
  if (phases.has('Attached')) return 'Attached';
  return phases.has('Failed') ? 'Failed' : 'Attaching';
}

/** The current details of a run, as the Temporal UI and `temporal workflow metadata` show them (Markdown). */
export function toMarkdown({ pod, node, containerID, interfaces }: PodNetworkState): string {
  const rows = interfaces.map(({ network, ifName, kind, phase, addresses }) => {
    const held = addresses.map(({ address, pool }) => `${address} (${pool})`).join(', ');
    return `| ${ifName} | ${network} | ${kind} | ${held || '–'} | ${phase} |`;
  });
  const failures = interfaces.flatMap(({ ifName, failure }) =>
    failure === undefined
      ? []
      : [
          `**${ifName}: ${failure.type}.** ${failure.message}${failure.remedy === undefined ? '' : `  \nRemedy: ${failure.remedy}`}`,
        ],
  );
  return [
    `Pod **${pod.namespace}/${pod.name}** on node **${node}**, sandbox \`${containerID}\``,
    ['| NIC | Network | Kind | Addresses | State |', '|---|---|---|---|---|', ...rows].join('\n'),
    ...failures,
  ].join('\n\n');
}
